# shellcheck shell=bash
# What the tests of clients without libcurl share. Read it after lib.sh.
#
# Each client is a program that takes a MODE and a URL, see tests/programs/clients: `ask`, `stream`
# and `again`. It is run for a logical host that no name service knows.

SECURE=https://api.llm.test
CLIENTS=$ROOT/tests/programs/clients

# needs COMMAND PACKAGE: skips the test where the command fails
needs() {
    eval "$1" >/dev/null 2>&1 || skip "not installed: $2"
}

# kind NAME FUNCTION ARGUMENT...: runs it in the background, in a directory of its own
kind() {
    local name=$1
    shift
    mkdir "$T/$name"
    (
        T=$T/$name
        export HOME=$T SPILLWAY_STATE_DIR=$T/state
        cd "$T" || exit
        "$@"
    ) &
    KINDS+=("$name:$!")
}

# Waits for all of them.
kinds() {
    local each failed=""
    for each in "${KINDS[@]}"; do
        wait "${each#*:}" || failed="$failed ${each%:*}"
    done
    [ -z "$failed" ] || fail "${CLIENT[*]}:$failed"
}

# tiers [ORIGIN [LINE AT THE TOP]]: a first tier that throttles and one that answers
tiers() {
    start_mock first --status 429 --retry-after 60
    start_mock second --name twin --event-interval 700ms --tokens 4
    write_settings <<END
${2-}
endpoints:
  - url: ${1:-$LOGICAL}/v1
    backends:
      - {name: first, url: "${URL_first:?}/v1", priority: 1}
      - {name: second, url: "${URL_second:?}/v1", priority: 2}
END
}

# What differs between any two runs.
plain() {
    sed -E 's/"created": ?[0-9]+/"created":0/g; s/"id": ?"chatcmpl[^"]*"/"id":"X"/g' "$1"
}

# The requests of a mock, but for what is about the connection (RFC 9110, section 7.6.1), the order of
# fields, and that there is no body where there can be none.
seen() {
    jq -c 'del(.time, .host, .request, .connection) | .method as $method |
        .headers |= (map(ascii_downcase | select(IN("connection", "upgrade", "http2-settings", "keep-alive", "te") or
            (. == "content-length" and $method == "GET") | not)) | sort)' "$1.log"
}

# assert_second_tier REQUESTS: all went there, after the first tier was asked once
assert_second_tier() {
    assert_equal "1 $1" "$(requests first) $(requests second)" "requests at first and second"
    assert_equal "$(printf programs-own | sha256sum | cut -c1-16)" "$(jq -r .key_hash second.log | sort -u)" \
        "the program's key"
}

# The program sees what it would without Spillway, and the backend as well.
is_routed() { # ORIGIN [LINE AT THE TOP]
    start_mock straight --name twin --tokens 4
    tiers "$@"
    [ -z "${2-}" ] || "$SPILLWAY" ca -c settings.yaml >/dev/null || fail "no authority"
    "${CLIENT[@]}" ask "${URL_straight:?}/v1" >want.out 2>want.err || fail "plain: $(<want.err)"
    assert_equal 200 "$(grep -oE '^[1-5][0-9]{2}\b' want.out | sort -u)" "statuses of the plain run"
    assert_status 0 spill "${CLIENT[@]}" ask "$1/v1"
    assert_equal "$(plain want.out)" "$(plain out)" output
    assert_equal "$(<want.err)" "$(<err)" stderr
    assert_equal "$(seen straight)" "$(seen second)" "what the backend saw"
    assert_second_tier "$(requests straight)"
}

# Held up to its end, the stream's first event would be 2.1 s late.
is_streamed() {
    tiers
    assert_status 0 spill "${CLIENT[@]}" stream "$LOGICAL/v1"
    assert_equal 4 "$(grep -c '^late' out)" events
    awk '/^late/ && $2 > 1.2 { exit 1 }' out || fail "late: $(<out)"
    assert_second_tier 1
}

# With nothing left the client gets our 429, and is served when it comes back after the time that this
# says. TYPE: what it shows of the error.
is_put_off() {
    start_mock first --script '429:retry-after=1,200'
    write_settings <<END
endpoints:
  - url: $LOGICAL:8080/v1
    backends: [{name: first, url: "${URL_first:?}/v1"}]
END
    assert_status 0 spill "${CLIENT[@]}" again "$LOGICAL:8080/v1"
    assert_match "^429 1${TYPE- rate_limit_error}
200[^
]*
?[^
]*chat.completion\$" "$(<out)"
    assert_equal 2 "$(requests first)" requests
}

# A response that breaks off is one for the program as well.
is_cut() {
    start_mock straight --name twin --script cut
    start_mock broken --name twin --script cut
    tiers
    sed -i "s#$URL_second#${URL_broken:?}#" settings.yaml
    local want=0 got=0
    "${CLIENT[@]}" ask "${URL_straight:?}/v1" >want.out 2>want.err || want=$?
    spill "${CLIENT[@]}" ask "$LOGICAL/v1" >out 2>err || got=$?
    assert_equal "$want" "$got" "exit status, stderr $(<err)"
    assert_equal "$(plain want.out)" "$(plain out)" output
    assert_equal "$(requests straight)" "$(requests broken)" requests
}

# A host that is none of ours is asked as without Spillway.
is_untouched() {
    start_mock straight --tokens 4
    start_mock other
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    backends: [{name: other, url: "${URL_other:?}/v1"}]
END
    local local_url=${URL_straight/127.0.0.1/localhost}/v1
    "${CLIENT[@]}" ask "$local_url" >want.out 2>want.err
    cp straight.log want.log
    : >straight.log
    assert_status 0 spill "${CLIENT[@]}" ask "$local_url"
    assert_equal "$(plain want.out)" "$(plain out)" output
    assert_equal "$(<want.err)" "$(<err)" stderr
    assert_equal "$(seen want)" "$(seen straight)" "what the server saw"
    assert_equal 0 "$(requests other)" "requests at the backend"
}

# is_served: what CLIENT sees of all that
is_served() {
    KINDS=()
    kind routed is_routed "$LOGICAL"
    kind streamed is_streamed
    kind put_off is_put_off
    kind cut is_cut
    kind untouched is_untouched
    kinds
}

# is_served_securely: by https, where the client trusts the authority
is_served_securely() {
    export CAINFO=$T/.config/spillway/ca/ca.pem # for those who have to be told
    is_routed "$SECURE" "relay: {tls: on}"
}
