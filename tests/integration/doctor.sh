#!/usr/bin/env bash
# `spillway doctor`: what it says of real programs, and that it is so.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# diagnose PROGRAM: the report becomes $T/out; a line of it is shown by `told LABEL`.
diagnose() {
    assert_status 0 "$SPILLWAY" doctor "$@"
    assert_equal "" "$(cat err)" stderr
}

told() {
    sed -n "s/^$1  *//p" out
}

compile() { # NAME SOURCE [OPTION...]
    local name=$1 source=$2
    shift 2
    gcc -o "$name" -x c - -x none "$@" <<<"$source" 2>compile.err ||
        skip "cannot compile $name: $(head -c 200 compile.err)"
}

# request_through PROGRAM...: runs it with $LOGICAL served by the mock "only"
request_through() {
    start_mock only
    write_settings <<END
endpoints: [{url: $LOGICAL/v1, backends: [{url: $URL_only/v1}]}]
END
    assert_status 0 spill "$@"
    assert_equal 1 "$(requests only)" "requests of $1 that arrived"
}

test_curl_is_reached_and_so_it_is() {
    diagnose curl
    assert_equal "$(command -v curl)" "$(told program)"
    assert_match '^libcurl.*\.so.* [78]\.[0-9]+\.[0-9]+, needed directly, /' "$(told libcurl)"
    assert_equal reached "$(told verdict)"
    request_through curl -sS "$LOGICAL/v1/models"
}

test_the_libraries_are_those_of_the_loader() {
    local program=$T/client path
    compile client 'extern void *curl_easy_init(void); int main(void) { return !curl_easy_init(); }' \
        -lcurl
    path=$(ldd "$program" | sed -n 's/.*libcurl[^ ]* => \([^ ]*\) .*/\1/p')
    diagnose ./client
    assert_match ", $path\$" "$(told libcurl)" "where ldd finds it"
}

test_git_over_http_needs_it_in_a_program_of_its_own() {
    command -v git >/dev/null || skip "no git here"
    local remote
    remote=$(git --exec-path)/git-remote-http
    [ -x "$remote" ] || skip "no git-remote-http here"
    diagnose git "$remote"
    assert_equal $'reached through the relay\nreached' "$(told verdict)"
    assert_match '^libcurl-gnutls|^libcurl\.so' "$(told libcurl | tail -n 1)"
}

test_a_library_between() {
    mkdir lib
    compile lib/libbetween.so 'extern void *curl_easy_init(void); void *begin(void); void *begin(void) { return curl_easy_init(); }' \
        -shared -fPIC -lcurl
    compile client 'extern void *begin(void); int main(void) { return !begin(); }' \
        -Llib -lbetween -Wl,--as-needed,-rpath,'$ORIGIN/lib'
    diagnose ./client
    assert_match 'needed by libbetween\.so, /' "$(told libcurl)"
    assert_equal reached "$(told verdict)"
    mv lib elsewhere
    diagnose ./client
    assert_equal "libbetween.so, needed by ./client" "$(told missing)"
    assert_equal "can't start as it is" "$(told verdict)"
    assert_status 0 env LD_LIBRARY_PATH="$T/elsewhere" "$SPILLWAY" doctor ./client
    assert_equal reached "$(told verdict)"
}

test_static_programs() {
    compile still 'int main(void) { return 0; }' -static
    diagnose ./still
    assert_match 'statically linked' "$(told kind)"
    assert_equal "not reached" "$(told verdict)"
    assert_equal "none needed at the start" "$(told libcurl)"
    compile still-pie 'int main(void) { return 0; }' -static-pie
    diagnose ./still-pie
    assert_match 'statically linked' "$(told kind)"
}

# Never run, so that what libcurl.a needs itself may be left out.
test_a_libcurl_linked_into_the_program() {
    local archive
    archive=$(gcc -print-file-name=libcurl.a)
    [ -e "$archive" ] || skip "no libcurl.a here"
    compile inside 'extern void *curl_easy_init(void); int main(void) { return !curl_easy_init(); }' \
        -no-pie -l:libcurl.a -Wl,--unresolved-symbols=ignore-all
    diagnose ./inside
    assert_match '^seems to be linked into it' "$(told libcurl)"
    assert_equal "reached through the relay" "$(told verdict)"
}

test_php() {
    command -v php >/dev/null || skip "no php here"
    diagnose php
    assert_match 'curl extension: reached' "$(told modules)"
    assert_equal "reached in some modules" "$(told verdict)"
    php -m | grep -qx curl || skip "no php-curl here"
    [ -z "$SANITIZED" ] || skip "the sanitizer's runtime refuses PHP's RTLD_DEEPBIND"
    request_through php -r 'curl_exec(curl_init(getenv("LOGICAL") . "/v1/models"));'
}

test_python() {
    [ -x /usr/bin/python3 ] || skip "no /usr/bin/python3 here"
    diagnose /usr/bin/python3
    assert_match 'pycurl: reached' "$(told modules)"
    /usr/bin/python3 -c 'import pycurl' 2>/dev/null || skip "no pycurl here"
    request_through /usr/bin/python3 -c 'import os, pycurl
c = pycurl.Curl()
c.setopt(c.URL, os.environ["LOGICAL"] + "/v1/models")
c.perform()'
}

test_perl() {
    command -v perl >/dev/null || skip "no perl here"
    diagnose perl
    assert_match 'WWW::Curl: reached' "$(told modules)"
    perl -MWWW::Curl::Easy -e 1 2>/dev/null || skip "no WWW::Curl here"
    request_through perl -MWWW::Curl::Easy -e 'my $c = WWW::Curl::Easy->new;
$c->setopt(CURLOPT_URL, "$ENV{LOGICAL}/v1/models");
exit $c->perform'
}

test_scripts() {
    printf '#!/bin/sh\ncurl "$@"\n' >script
    chmod +x script
    diagnose ./script
    assert_equal /bin/sh "$(told 'run by')"
    assert_equal "reached in what it starts" "$(told verdict)"
    echo 'echo a text' >plain
    chmod +x plain
    diagnose ./plain
    assert_equal /bin/sh "$(told 'run by')"
    ln -s "$(command -v curl)" reader
    printf '#!/usr/bin/env reader\n' >script
    PATH=$T:$PATH diagnose ./script
    assert_equal "/usr/bin/env, $T/reader" "$(told 'run by')"
    assert_equal reached "$(told verdict)"
}

test_privileged_programs() {
    [ "$(id -u)" = 0 ] || skip "needs root to make a file of another user"
    [[ ,$(findmnt -no OPTIONS -T "$T"), != *,nosuid,* ]] || skip "nosuid here"
    cp "$(readlink -f "$(command -v curl)")" raised
    chmod 4755 raised
    diagnose ./raised
    assert_equal reached "$(told verdict)"
    assert_match 'setuid or setgid \(not reached for other users\)$' "$(told kind)"
    chown 65534 raised
    chmod 4755 raised
    diagnose ./raised
    assert_match ', setuid$' "$(told kind)"
    assert_match 'needed directly' "$(told libcurl)"
    assert_equal "not reached" "$(told verdict)"
}

test_shared_address_sanitizer_refuses() {
    compile guarded 'int main(void) { return 0; }' -fsanitize=address
    diagnose ./guarded
    assert_equal "refuses preloads" "$(told verdict)"
    [ -z "$SANITIZED" ] || return 0 # its runtime is in front there
    write_settings <<END
endpoints: [{url: $LOGICAL/v1, backends: [{url: "http://127.0.0.1:9"}]}]
END
    assert_status 1 spill ./guarded
    assert_status 0 env ASAN_OPTIONS=verify_asan_link_order=0 "$SPILLWAY" run -c settings.yaml ./guarded
}

test_what_is_no_program() {
    echo 'a text' >text
    printf 'GIF89a\0\0' >picture
    head -c 100 "$(command -v curl)" >shortened
    chmod +x picture shortened
    local each
    for each in ./text ./picture ./shortened "$T" ./absent no-such-program-here; do
        assert_status 1 "$SPILLWAY" doctor "$each"
        assert_equal "" "$(cat out)" "report on $each"
        assert_match "^spillway: doctor: $each is no program: " "$(cat err)"
        assert_equal 1 "$(wc -l <err)" "lines on $each"
    done
    assert_status 1 "$SPILLWAY" doctor curl ./absent true
    assert_equal $'reached\nreached through the relay' "$(told verdict)" "the others are judged"
}

test_the_program_is_never_run() {
    printf '#!/bin/sh\ntouch started\n' >script
    compile trap 'int main(void) { return 0; }
__attribute__((constructor)) static void touch(void) { __builtin_trap(); }'
    chmod +x script
    diagnose ./script ./trap
    [ ! -e started ] || fail "it was run"
    command -v strace >/dev/null || skip "no strace here"
    [ -z "$SANITIZED" ] || skip "the wrapper of the sanitized build is a program too"
    assert_status 0 strace -f -o trace -e trace=execve "$SPILLWAY" doctor curl ./trap
    assert_equal 1 "$(grep -c execve trace)" "programs that were executed"
}

test_usage() {
    assert_status 2 "$SPILLWAY" doctor
    assert_match 'expected a program' "$(cat err)"
    assert_status 2 "$SPILLWAY" doctor --deep curl
    assert_match "spillway doctor --help" "$(cat err)"
    assert_status 0 "$SPILLWAY" doctor --help
    assert_match '^Usage: spillway doctor' "$(cat out)"
    assert_match 'Exit status: 0 if all are programs, reached or not' "$(cat out)"
    assert_status 1 "$SPILLWAY" doctor -- --deep
}

run_tests
