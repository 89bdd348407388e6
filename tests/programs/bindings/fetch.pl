# fetch.pl MODE URL: Perl's WWW::Curl as programs use it. MODE: easy, multi.
use strict;
use warnings;
use WWW::Curl::Easy;
use WWW::Curl::Multi;

my ($mode, $url) = @ARGV;

sub start {
    my ($url, $id, $body, $head) = @_;
    my $curl = WWW::Curl::Easy->new;
    $curl->setopt(CURLOPT_URL, $url);
    $curl->setopt(CURLOPT_PRIVATE, $id);
    $curl->setopt(CURLOPT_POSTFIELDS, '{"model": "gpt-4"}');
    $curl->setopt(CURLOPT_HTTPHEADER, ['Content-Type: application/json']);
    $curl->setopt(CURLOPT_WRITEDATA, $body);
    $curl->setopt(CURLOPT_WRITEHEADER, $head);
    return $curl;
}

if ($mode eq 'easy') {
    my ($body, $head) = ('', '');
    my $curl = start($url, 1, \$body, \$head);
    my $result = $curl->perform;
    print "result $result\n$head$body\ncode ", $curl->getinfo(CURLINFO_HTTP_CODE), "\n";
} else {
    my (%curls, @bodies, @heads, @shown);
    my $multi = WWW::Curl::Multi->new;
    for my $i (1 .. 6) {
        ($bodies[$i], $heads[$i]) = ('', '');
        $curls{$i} = start("$url?$i", $i, \$bodies[$i], \$heads[$i]);
        $multi->add_handle($curls{$i});
    }
    while (%curls) {
        my $running = $multi->perform;
        if ($running == keys %curls) {
            my ($read, $write, $other) = $multi->fdset;
            my $bits = '';
            vec($bits, $_, 1) = 1 for @$read, @$write;
            select($bits, undef, undef, 0.02);
            next;
        }
        while (my ($id, $result) = $multi->info_read) {
            last unless $id;
            $shown[$id] = "result $result code " . $curls{$id}->getinfo(CURLINFO_HTTP_CODE);
            delete $curls{$id};
        }
    }
    print "$shown[$_]\n$heads[$_]$bodies[$_]\n" for 1 .. 6;
}
