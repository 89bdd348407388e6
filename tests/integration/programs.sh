#!/usr/bin/env bash
# Programs as people have them, each plain and with the shim before the same kind of server. Plain,
# they ask it directly; with the shim they ask a logical endpoint whose first tier throttles.
# What they print and what the server saw has to be the same.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
BINDINGS=$ROOT/tests/programs/bindings

# needs COMMAND [PACKAGE]: skips the test where the command fails
needs() {
    eval "$1" >/dev/null 2>&1 || skip "not installed: $2"
}

# The plain run's server, and two tiers of which the first one throttles.
start_servers() {
    start_mock straight --name twin
    start_mock ptu --status 429 --retry-after 30
    start_mock behind --name twin
    write_settings <<END2
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - {name: ptu, url: "${URL_ptu:?}/v1", priority: 1}
      - {name: other, url: "${URL_behind:?}/v1", priority: 2}
END2
}

# What differs between any two runs: times, ports, identifiers made of them.
plain() {
    tr -d '\0' <"$1" | sed -E 's/^(header )?([Dd]ate: ).*/\1\2X/; s/(127\.0\.0\.1|llm\.test)(:[0-9]+)?/HOST/g
        s/"(created|created_at|sent)": ?[0-9.]+/"\1":0/g; s/"id": ?"[^"]*"/"id":"X"/g
        s/(x-request-id: ).*/\1X/'
}

# seen NAME: the requests of a mock, without what differs; whatever its order and its connections
seen() {
    [ ! -e "$1.log" ] || jq -c 'del(.time, .host, .request, .connection)' "$1.log" | sort
}

# assert_routed COMMAND...: '@' is the URL, up to and with /v1; also where FETCH_URL holds one
assert_routed() {
    local want=0 got=0
    start_servers
    FETCH_URL=$URL_straight/v1/models "${@//@/${URL_straight:?}/v1}" >want.out 2>want.err || want=$?
    FETCH_URL=$LOGICAL/v1/models spill "${@//@/$LOGICAL/v1}" >got.out 2>got.err || got=$?
    assert_equal "$want" "$got" "exit status of $*, stderr $(cat got.err)"
    assert_equal "$(plain want.out)" "$(plain got.out)" "output of $*"
    assert_equal "$(plain want.err)" "$(plain got.err)" "stderr of $*"
    assert_equal "$(seen straight)" "$(seen behind)" "what the server saw of $*"
    [ "$(requests straight)" != 0 ] || fail "no request at all"
    [ "$(requests ptu)" != 0 ] || fail "the first tier was not asked"
}

# compile OUT ARGUMENT...: with the C compiler, as a user would
compile() {
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O1 -g -o "$@" 2>compile.err || fail "$(cat compile.err)"
}

test_curl() {
    assert_routed curl -sS -i -d '{"model":"gpt-4"}' -H 'Content-Type: application/json' @/chat/completions
}

test_curl_in_parallel() {
    assert_routed curl -sS --no-progress-meter -Z --parallel-max 4 '@/models?[1-9]' -o '#1'
    assert_equal 9 "$(grep -l '"data"' [1-9] | wc -l)" "bodies that are models"
}

# For a host that is none of ours: git's requests and what it makes of them stay as they are.
git_asked() {
    cut -d' ' -f2- "$1" | sed 's/ | Accept-Encoding: [^|]*//' | sort
}

test_git_is_untouched() {
    needs "git --version && git --exec-path && [ -x \"\$(git --exec-path)/git-remote-http\" ]" git
    local main other control run
    compile server "$ROOT/tests/transparency/server.c" -lpthread
    export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x.test GIT_COMMITTER_NAME=a \
        GIT_COMMITTER_EMAIL=a@x.test GIT_AUTHOR_DATE='2020-01-01 00:00 +0000' \
        GIT_COMMITTER_DATE='2020-01-01 00:00 +0000' GIT_TERMINAL_PROMPT=0
    git init -q -b main work
    (
        cd work || exit
        for i in 1 2 3; do
            seq "$i" 400 >"file$i"
            git add . && git commit -q -m "commit $i"
        done
    )
    mkdir -p files
    git clone -q --bare work files/repo.git
    git -C files/repo.git update-server-info
    mkfifo ports
    ./server >ports &
    read -r main other control <ports
    : "$other"
    printf 'endpoints: [{name: llm, url: "%s/v1", backends: [{name: b, url: "%s"}]}]\n' \
        "$LOGICAL" http://127.0.0.1:9/v1 >settings.yaml
    git clone "http://127.0.0.1:$main/files/repo.git" plain >plain.out 2>&1 || fail "$(cat plain.out)"
    cat <"/dev/tcp/127.0.0.1/$control" >plain.seen
    spill git clone "http://127.0.0.1:$main/files/repo.git" shim >shim.out 2>&1 ||
        fail "$(cat shim.out)"
    cat <"/dev/tcp/127.0.0.1/$control" >shim.seen
    [ "$(grep -c GET plain.seen)" -gt 5 ] || fail "few requests: $(cat plain.seen)"
    assert_equal "$(sed 's/plain/X/' plain.out)" "$(sed 's/shim/X/' shim.out)" "git's output"
    # which of its connections is free first, and what was set on it before, is up to git's timing
    assert_equal "$(git_asked plain.seen)" "$(git_asked shim.seen)" "requests"
    diff -r plain/file1 shim/file1
    run=$(git -C shim fsck 2>&1) || fail "$run"
}

test_pycurl() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    assert_routed /usr/bin/python3 "$BINDINGS/fetch.py" get @/models
}

test_pycurl_post() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    assert_routed /usr/bin/python3 "$BINDINGS/fetch.py" post @/chat/completions
}

test_pycurl_upload() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    assert_routed /usr/bin/python3 "$BINDINGS/fetch.py" upload @/chat/completions
}

test_pycurl_multi() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    assert_routed /usr/bin/python3 "$BINDINGS/fetch.py" multi @/models
}

# AddressSanitizer ends a program that binds anything deeply; with the shim, curl.so is not.
PHP=(php)
[ -z "$SANITIZED" ] ||
    PHP=(php -n -d "extension=$(php -r 'echo ini_get("extension_dir");' 2>/dev/null)/curl.so")
php_has_curl="php -r 'exit(extension_loaded(\"curl\") ? 0 : 1);'"

test_php_returning() {
    needs "$php_has_curl" "php-cli php-curl"
    assert_routed "${PHP[@]}" "$BINDINGS/fetch.php" return @/chat/completions
}

test_php_printing() {
    needs "$php_has_curl" "php-cli php-curl"
    assert_routed "${PHP[@]}" "$BINDINGS/fetch.php" print @/chat/completions
}

test_php_functions() {
    needs "$php_has_curl" "php-cli php-curl"
    assert_routed "${PHP[@]}" "$BINDINGS/fetch.php" functions @/chat/completions
}

test_php_multi() {
    needs "$php_has_curl" "php-cli php-curl"
    assert_routed "${PHP[@]}" "$BINDINGS/fetch.php" multi @/chat/completions
}

test_perl() {
    needs "perl -MWWW::Curl -e 1" libwww-curl-perl
    assert_routed perl "$BINDINGS/fetch.pl" easy @/chat/completions
}

test_perl_multi() {
    needs "perl -MWWW::Curl -e 1" libwww-curl-perl
    assert_routed perl "$BINDINGS/fetch.pl" multi @/chat/completions
}

test_lua() {
    needs "lua5.1 -e 'require(\"curl\")'" "lua5.1 lua-curl"
    assert_routed lua5.1 "$BINDINGS/fetch.lua" @/chat/completions
}

# Also: before main, in threads, with a callback that throws.
test_cpp() {
    needs "g++ --version" g++
    g++ -std=c++17 -O1 -g -Wall -Wextra -o fetch "$BINDINGS/fetch.cpp" -lcurl -lpthread ||
        fail "it does not compile"
    assert_routed ./fetch
    # the first request, before main, finds the throttled tier; nobody else does within its cooldown
    assert_equal 1 "$(requests ptu)" "requests at the throttled backend"
    assert_equal 7 "$(requests behind)" "requests at the other one"
}

build_modules() {
    compile openssl.so -shared -fPIC "$BINDINGS/module.c" -lcurl -ldl
    compile gnutls.so -shared -fPIC "$BINDINGS/module.c" -l:libcurl-gnutls.so.4 -ldl
    compile host "$BINDINGS/host.c" -ldl
    compile linked -DLINKED "$BINDINGS/host.c" "$BINDINGS/module.c" -lcurl -ldl
    compile linked-gnutls -DLINKED "$BINDINGS/host.c" "$BINDINGS/module.c" -l:libcurl-gnutls.so.4 -ldl
}

has_gnutls="echo 'int main(void){return 0;}' | cc -x c - -o /dev/null -l:libcurl-gnutls.so.4"

test_module_of_its_own_scope() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./host @/models local:./openssl.so
    assert_match "by libcurl.so" "$(cat got.out)"
}

test_module_of_the_global_scope() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./host @/models global:./gnutls.so
    assert_match "by libcurl-gnutls.so" "$(cat got.out)"
}

# As PHP loads its extensions: bound deeply, the module would be out of reach.
test_module_bound_deeply() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./host @/models deep:./openssl.so
}

test_module_unloaded_and_loaded_again() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./host @/models again:./openssl.so again:./gnutls.so again:./openssl.so
    assert_equal 18 "$(requests behind)" "requests"
}

# assert_transfers OPENSSL GNUTLS: how many each libcurl has made, for callers built for it
assert_transfers() {
    assert_equal "$1" "$(grep -c '^0 200 .* by libcurl\.so.*, built for libcurl$' got.out)" \
        "transfers by libcurl: $(cat got.out)"
    assert_equal "$2" "$(grep -c '^0 200 .* by libcurl-gnutls\.so.*, built for libcurl-gnutls$' got.out)" \
        "transfers by libcurl-gnutls: $(cat got.out)"
    assert_equal $(($1 + $2)) "$(requests behind)" "requests"
}

test_two_libcurls() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./linked @/models local:./gnutls.so local:./openssl.so
    assert_transfers 6 2
}

test_two_libcurls_the_other_way_round() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./linked-gnutls @/models local:./openssl.so global:./gnutls.so
    assert_transfers 2 6
}

test_two_libcurls_in_the_global_scope() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./linked @/models global:./gnutls.so global:./openssl.so
    assert_transfers 6 2
}

test_two_libcurls_in_modules_alone() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    assert_routed ./host @/models local:./gnutls.so local:./openssl.so again:./gnutls.so
    assert_transfers 2 8
}

# A libcurl that comes first in the order of search is not the one whose versions the program asks for.
test_two_libcurls_of_which_the_first_is_another() {
    needs "$has_gnutls" libcurl3-gnutls
    build_modules
    export LD_PRELOAD=libcurl-gnutls.so.4
    assert_routed ./linked @/models local:./gnutls.so
    unset LD_PRELOAD
    assert_transfers 3 2
}

# libcurl's easy interface calls its multi interface through the PLT: nothing happens twice.
test_libcurl_that_calls_itself() {
    local library
    library=$(ldd "$(command -v curl)" | sed -n 's/.*libcurl[^ ]* => \([^ ]*\).*/\1/p')
    readelf -rW "$library" | grep -qE 'JUMP_SLO.*curl_multi_perform' ||
        skip "this libcurl binds its own calls"
    assert_routed curl -sS @/models
    assert_equal "1 1" "$(requests ptu) $(requests behind)" "requests"
}

# What is looked up in a library's handle is out of reach: it stays as it is, and works.
test_functions_looked_up_are_untouched() {
    needs "$has_gnutls" libcurl3-gnutls
    [ -z "$SANITIZED" ] || skip "AddressSanitizer refuses RTLD_DEEPBIND"
    build_modules
    start_servers
    sed -i "s#url: $LOGICAL/v1#url: $URL_straight/v1#" settings.yaml
    assert_status 0 spill ./host "$URL_straight/v1/models" direct:libcurl.so.4 local:./openssl.so
    assert_match "^directly: 0 [1-9]" "$(cat out)"
    # the module beside it, in the same process, is routed
    assert_equal "1 1 2" "$(requests straight) $(requests ptu) $(requests behind)" "requests"
}

test_ctypes_by_its_sockets() {
    needs "/usr/bin/python3 --version" python3
    start_servers
    sed -i "s#url: $LOGICAL/v1#url: $URL_straight/v1#" settings.yaml
    assert_status 0 spill /usr/bin/python3 -c '
import ctypes, sys
curl = ctypes.CDLL("libcurl.so.4")
curl.curl_easy_init.restype = ctypes.c_void_p
easy = ctypes.c_void_p(curl.curl_easy_init())
curl.curl_easy_setopt(easy, 10002, ctypes.c_char_p(sys.argv[1].encode()))
print(curl.curl_easy_perform(easy))
curl.curl_easy_cleanup(easy)' "$URL_straight/v1/models"
    assert_match '"data"' "$(cat out)"
    assert_equal "0 1 1" "$(requests straight) $(requests ptu) $(requests behind)" "requests"
}

run_tests
