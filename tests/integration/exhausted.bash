# shellcheck shell=bash
# What the tests of a pool with nothing left share. Read it after pair.bash.

# Two backends that cool down, the first for 200 s, the second for 400 s. LINE is one of the endpoint.
exhaust() {
    start_mock first --status 429:retry-after=200
    start_mock second --status 503:retry-after=400
    settings_with "$URL_first" "$URL_second" "${LINE:-}"
    spill curl -sS -o /dev/null "$LOGICAL/v1/models" || fail "curl ends with $?"
    assert_nothing_sent
}

assert_nothing_sent() {
    assert_equal "1 1" "$(requests first) $(requests second)" "requests at first and second"
}

assert_field() { # WANT NAME
    assert_equal "$1" "$(field "$2")" "$2"
}

# header NAME FILE: the value of a header line, of any case
header() {
    tr -d '\r' <"$2" | sed -n "s/^$1: //Ip"
}

# assert_reply HEADER_FILE BODY_FILE [SOONEST]: they are the 429 of our own
assert_reply() {
    local seconds ms soonest=${3:-200}
    assert_match '^HTTP/1\.1 429 Too Many Requests' "$(head -1 "$1")" "status line"
    seconds=$(header retry-after "$1")
    ms=$(header retry-after-ms "$1")
    assert_match '^[1-9][0-9]*$' "$seconds" Retry-After
    assert_match '^[1-9][0-9]*$' "$ms" retry-after-ms
    assert_equal "$(((ms + 999) / 1000))" "$seconds" "Retry-After, the milliseconds rounded up"
    if [ "$seconds" -gt "$soonest" ] || [ "$seconds" -lt $((soonest - 1 - (SECONDS - SINCE))) ]; then
        fail "Retry-After $seconds, the soonest of the backends was to need $soonest"
    fi
    assert_match '^application/json' "$(header content-type "$1")" Content-Type
    jq -e '.error | .type == "rate_limit_error" and .code == "429" and (.message | type) == "string"' \
        "$2" >json || fail "not the error that it should be: $(cat "$2")"
}
