#!/usr/bin/env bash
# Programs that open their own sockets: names and connections that lead to the relay, or to a backend,
# and all others, which don't.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SOCKETS=$ROOT/build/programs/sockets
OK='HTTP/1.1 200 OK by second'

# settings [LINE OF THE ENDPOINT]: a first tier that throttles, and one that answers
settings() {
    write_settings <<END
endpoints:
  - name: llm
    urls: [$LOGICAL/v1, http://llm.test:8080/v1, http://127.0.0.1:9/v1, http://localhost:81/v1]
    ${1:-strategy: first}
    backends:
      - {name: first, url: "${URL_first:-http://127.0.0.1:9}/v1", priority: 1}
      - {name: second, url: "${URL_second:-http://127.0.0.1:9}/v1", priority: 2}
END
}

start_both() {
    start_mock first --status 429:retry-after=60
    start_mock second
    settings "$@"
}

# as_plain WORD...: the program says the same with and without the shim
as_plain() {
    local want=0 got=0
    "$SOCKETS" "$@" >want 2>&1 || want=$?
    spill "$SOCKETS" "$@" >got 2>&1 || got=$?
    assert_equal "$want" "$got" "exit status of $*"
    assert_equal "$(cat want)" "$(cat got)" "output of $*"
}

# says PATTERN WORD...
says() {
    local pattern=$1
    shift
    assert_status 0 spill "$SOCKETS" "$@"
    assert_match "^$pattern$" "$(cat out)" "output of $*"
    assert_equal "" "$(cat err)" "stderr of $*"
}

test_names_of_others_are_untouched() {
    settings
    sed -i 's|, http://localhost:81/v1||' settings.yaml
    as_plain addresses localhost 80 any canon
    as_plain addresses localhost http 4
    as_plain addresses localhost - 6
    as_plain addresses - 80 any passive
    as_plain addresses - 80 any
    as_plain addresses 127.0.0.1 80 any numeric canon
    as_plain addresses llm.test 80 any numeric
    as_plain addresses llm.test 80 any datagram
    as_plain addresses llm.test 443 any
    as_plain addresses llm.test https any
    as_plain addresses llm.test no-such-service any
    as_plain addresses other.test 80 any
    as_plain addresses 127.0.0.1 9 any
    as_plain name gethostbyname other.test
    as_plain name gethostbyname 127.0.0.1
    as_plain name gethostbyname2_r other.test
    as_plain many other.test 127.0.0.1
}

test_logical_names() {
    local four='127\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.[0-9]+\.[0-9]+'
    settings
    says "4 $four 80 type 1" addresses llm.test 80 any
    says "4 $four 80 type 1" addresses LLM.test. http 4
    says "4 $four 8080 type 1 canon llm.test" addresses llm.test 8080 any canon
    says "4 $four 0 type 1 canon LLM.Test" addresses LLM.Test - any canon
    says "6 ::ffff:$four 80 type 1" addresses llm.test 80 6
    says "4 $four 80 type 1" addresses llm.test 80 any config
    says "llm.test 4 $four" name gethostbyname llm.test
    says "llm.test 16 ::ffff:$four" name gethostbyname2 llm.test
    says "llm.test 4 $four" name gethostbyname_r llm.test
    says "llm.test 16 ::ffff:$four" name gethostbyname2_r llm.test
    says 'too small
error 0' name small llm.test
    says "result 0
llm.test: 4 $four 80 type .*
127.0.0.1: 4 127.0.0.1 80 type .*
other.test: error .*" many llm.test 127.0.0.1 other.test
}

test_requests_get_the_pool() {
    local how
    start_both
    for how in main thread child handler nonblocking fastopen; do
        says "$OK" get "$how" llm.test 80 any
    done
    says "$OK" get main llm.test 8080 4
    says "$OK" get main llm.test 80 6
    says "$OK" get nonblocking llm.test 80 6
    says "$OK
$OK" get twice llm.test http any
    assert_equal 1 "$(requests first)" "requests at first"
    assert_equal 11 "$(requests second)" "requests at second"
}

test_a_constructor_may_ask() {
    start_both
    SOCKETS_EARLY=llm.test:80 says "$OK
$OK" get main llm.test 80 any
}

test_numeric_and_other_hosts() {
    start_both
    says "$OK" get main 127.0.0.1 9 any
    says "$OK" get main localhost 81 any
    # other ports of the same hosts are what they are
    says "HTTP/1.1 200 OK by second" get main localhost "${URL_second##*:}" any
    says "HTTP/1.1 200 OK by second" get main 127.0.0.1 "${URL_second##*:}" 4
}

test_bare_preload_without_a_relay() {
    settings
    LD_PRELOAD=$PRELOAD SPILLWAY_CONFIG=$T/settings.yaml SPILLWAY_LOG_FILE=$T/log \
        "$SOCKETS" addresses llm.test 80 any >out 2>err
    assert_match '^error ' "$(cat out)"
    assert_equal "" "$(cat err)"
    assert_equal 1 "$(grep -c 'no relay' log)" "lines of it"
}

test_sockets_off() {
    start_both "sockets: off"
    as_plain addresses llm.test 80 any
    assert_equal "" "$(find state -name 'relay-*' 2>/dev/null)" "what a relay would need"
}

test_https_is_left_alone() {
    write_settings <<END
endpoints: [{url: https://llm.test/v1, backends: [{url: http://127.0.0.1:9}]}]
END
    as_plain addresses llm.test 443 any
    as_plain addresses llm.test - any
}

test_addresses_fail_over_in_one_connect() {
    start_mock second
    settings "sockets: address"
    says "$OK" get main llm.test 80 any
    says "$OK" get main llm.test 80 6
    says "$OK" get thread llm.test 80 any
    assert_equal 3 "$(requests second)" "requests at second"
    assert_equal 1 "$("$SPILLWAY" status -c settings.yaml --json | jq '.endpoints[0].backends[0].connect_failures')" \
        "connections that first refused"
}

test_addresses_of_a_socket_that_does_not_block() {
    start_mock second
    settings "sockets: address"
    # the program learns of the refusal, and so does the pool: its next connection goes elsewhere
    assert_status 0 spill sh -c "'$SOCKETS' get nonblocking llm.test 80 any; '$SOCKETS' get nonblocking llm.test 80 any"
    assert_match "$OK\$" "$(cat out)"
    assert_equal 1 "$(requests second)" "requests at second"
}

test_addresses_exhausted() {
    settings "sockets: address"
    says "connect: Connection refused" get main llm.test 80 any
    says "connect: No route to host" get main llm.test 80 any
}

test_libcurl_itself_is_left_alone() {
    start_both
    # the second backend's host is the logical one of another URL
    sed -i "s|http://127.0.0.1:9/v1, ||; s|$URL_second/v1|${URL_second/127.0.0.1/localhost}/v1|" settings.yaml
    assert_status 0 spill curl -sS -o body -w '%{http_code}' "$LOGICAL/v1/models"
    assert_equal 200 "$(cat out)"
    assert_equal "1 1" "$(requests first) $(requests second)" "requests at first and second"
}

run_tests
