# client.pl MODE URL: a program as people write it with Perl's HTTP::Tiny.
#
# URL: up to and with /v1
# MODE: ask     the models and a chat; each status and body
#       stream  a chat as it is made: for each event how late it is here, in seconds
#       again   a chat; after a 429 once more, when Retry-After says so
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP qw(decode_json);
use Time::HiRes qw(time);

my ($mode, $url) = @ARGV;
my %headers = ('Authorization' => 'Bearer programs-own', 'Content-Type' => 'application/json');
my $question = '{"model": "gpt-4", "messages": [{"role": "user", "content": "h\u00e9llo"}]';
my $http = HTTP::Tiny->new(verify_SSL => 1, timeout => 20);
$| = 1;

sub chat {
    my ($more, %options) = @_;
    return $http->post("$url/chat/completions",
        {headers => \%headers, content => "$question$more}", %options});
}

sub show {
    my ($response) = @_;
    print "$response->{status} $response->{content}\n";
}

sub ask {
    show($http->get("$url/models", {headers => \%headers}));
    show(chat(''));
}

sub stream {
    my $rest = '';
    my $take = sub {
        $rest .= $_[0];
        while ($rest =~ s/^([^\n]*)\n//) {
            my $line = $1;
            next unless $line =~ s/^data: (?=\{)//;
            print 'late ', time - decode_json($line)->{spillway_mock}{sent}, "\n";
        }
    };
    print chat(', "stream": true', data_callback => $take)->{status}, "\n";
}

sub again {
    my $response = chat('');
    if ($response->{status} == 429) {
        my $seconds = $response->{headers}{'retry-after'};
        print "429 $seconds ", decode_json($response->{content})->{error}{type}, "\n";
        sleep $seconds;
        $response = chat('');
    }
    print "$response->{status} ", decode_json($response->{content})->{object}, "\n";
}

{ask => \&ask, stream => \&stream, again => \&again}->{$mode}->();
