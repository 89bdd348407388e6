#!/usr/bin/env bash
# The response as the program gets it: one answer, none of a rejected attempt, and its bytes when
# the backend sends them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=pair.bash
. "$(dirname "$0")/pair.bash"

CHAT='{"model":"gpt-4","stream":true,"messages":[{"role":"user","content":"hi"}]}'

# What of the client's output does not differ from one transfer to the next.
clean() {
    sed -E 's/(date|x-request-id): .*/\1/; /^(ms|effective_url)=/d'
}

# Prints, for each event that arrives, the milliseconds since it was sent, and since the one
# before it arrived.
stamp() {
    local line sent now before=0
    while read -r line; do
        now=${EPOCHREALTIME/./}
        [[ $line =~ \"sent\":\ ?([0-9]+)\.([0-9]+) ]] || continue
        sent=${BASH_REMATCH[2]}000000
        sent=${BASH_REMATCH[1]}${sent:0:6}
        echo "$(((now - sent) / 1000)) $(((now - before) / 1000))"
        before=$now
    done
}

# prompt COMMAND...: its events arrive within 20 ms, and one at a time; the best of three tries,
# since the machine may be busy
prompt() {
    local try
    for try in 1 2 3; do
        forget
        : >"$T/second.log"
        "$@" | stamp >"stamps.$try"
        assert_equal 6 "$(wc -l <"stamps.$try")" "events, in try $try of '$*'"
        # the first event's delay, and the shortest time from one event to the next
        awk 'NR == 1 { late = $1 } NR > 1 && (!least || $2 < least) { least = $2 }
             END { exit !(late < 20 && least > 50) }' "stamps.$try" && return
    done
    fail "late events, delay and distance in ms: $(cat stamps.*)"
}

test_events_arrive_when_they_are_sent() {
    start_mock first --tokens 6
    start_mock second
    settings_with "$URL_first" "$URL_second"
    prompt spill curl -sS -N "$LOGICAL/v1/chat/completions" -d "$CHAT"
    assert_equal 0 "$(requests second)"
}

# The head is held back for the first event alone.
test_events_arrive_when_they_are_sent_with_a_limit_for_the_first() {
    start_mock first --tokens 6
    start_mock second
    settings_with "$URL_first" "$URL_second" "first_body_timeout: 20s"
    prompt spill curl -sS -N "$LOGICAL/v1/chat/completions" -d "$CHAT"
    assert_equal 0 "$(requests second)"
}

test_events_arrive_when_they_are_sent_after_a_429() {
    start_mock first --status 429:retry-after=9
    start_mock second --tokens 6
    settings_with "$URL_first" "$URL_second"
    prompt spill curl -sS -N "$LOGICAL/v1/chat/completions" -d "$CHAT"
    assert_equal 1 "$(requests second)"
}

test_events_arrive_when_they_are_sent_after_other_failures() {
    start_mock first --script 503,close
    start_mock second --tokens 6
    settings_with "$URL_first" "$URL_second"
    prompt spill curl -sS -N -i "$LOGICAL/v1/chat/completions" -d "$CHAT"
    settings_with "$REFUSED" "$URL_second"
    prompt spill curl -sS -N --http1.0 "$LOGICAL/v1/chat/completions" -d "$CHAT"
}

test_a_stream_is_whole() {
    start_mock first --status 429:retry-after=9
    start_mock second --tokens 30 --event-interval 5ms
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -N "$LOGICAL/v1/chat/completions" -d "$CHAT"
    assert_equal 30 "$(grep -c '"sent"' out)" events
    assert_equal "data: [DONE]" "$(grep -v '^$' out | tail -1)"
    assert_no_match "rate_limit|first" "$(cat out)"
}

# Headers must not wait for the body, nor one piece of it for the next: the server sends no piece
# before the program has got the one before.
test_nothing_waits_for_what_comes_later() {
    local pipe line piece
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Is: here\r\n\r\n' >"head"
    printf '4\r\none\n\r\n' >one
    printf '4\r\ntwo\n\r\n0\r\n\r\n' >two
    start_mock first --status 429:retry-after=9
    settings_with "$URL_first" "$("$CANNED" head:one:two)"
    mkfifo answer
    exec {pipe}<>answer
    spill curl -sS -N -D /dev/stderr "$LOGICAL/v1/models" >answer 2>&1 {pipe}>&- &
    for piece in "" one two; do
        line=none
        until [ "${line%$'\r'}" = "$piece" ]; do
            read -r -t 5 -u "$pipe" line || fail "'$piece' does not come"
        done
        : >"$([ -z "$piece" ] && echo one || echo two).go"
    done
    wait "$!" || fail "curl ends with $?"
}

test_a_large_response_is_whole() {
    head -c 3000000 /dev/urandom >big
    {
        printf 'HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n'
        cat big
    } >answer
    start_mock first --status 503
    settings_with "$URL_first" "$("$CANNED" answer)"
    assert_status 0 spill curl -sS -o got "$LOGICAL/v1/models"
    cmp big got || fail "other bytes"
}

test_a_cut_stream_stays_an_error() {
    local events request=("$LOGICAL/v1/chat/completions" -d "$CHAT")
    start_mock first --status cut --event-interval 5ms
    start_mock second
    settings_with "$URL_first" "$URL_second" "retry_on: [429, 5xx, connect, reset, timeout]"
    assert_status 18 curl -sS -N "$URL_first/v1/chat/completions" -d "$CHAT"
    events=$(grep -c '"sent"' out)
    assert_match '^[1-7]$' "$events" "events of a cut stream"
    assert_status 18 spill curl -sS -N "${request[@]}"
    assert_equal "$events" "$(grep -c '"sent"' out)" events
    assert_equal "2 0" "$(requests first) $(requests second)"
    # One that is throttled comes before the cut one.
    start_mock busy --status 429:retry-after=9
    settings_with "$URL_busy" "$URL_first" "retry_on: [429, 5xx, connect, reset, timeout]"
    forget
    assert_status 18 spill curl -sS -N "${request[@]}"
    assert_equal "$events" "$(grep -c '"sent"' out)" events
    assert_equal "3 1" "$(requests first) $(requests busy)"
}

test_a_timeout_within_the_body_stays_an_error() {
    start_mock first --tokens 50
    start_mock second
    settings_with "$URL_first" "$URL_second" "retry_on: [429, 5xx, connect, reset, timeout]"
    assert_status 28 spill curl -sS -N --max-time 0.5 "$LOGICAL/v1/chat/completions" -d "$CHAT"
    assert_match '"sent"' "$(cat out)"
    assert_equal "1 0" "$(requests first) $(requests second)"
}

# ---- one answer -------------------------------------------------------------------------------

# static_backend: a server whose response is the same each time; prints its URL
static_backend() {
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-From: second\r\nX-From: it\r\nContent-Length: 6\r\n\r\nhello\n' >static
    "$CANNED" static
}

test_the_record_is_that_of_the_second_backend() {
    local step how second i=0
    second=$(static_backend)
    for how in callbacks shared file whole; do
        "$CLIENT" receive="$how" url="$second/v1/models" perform | clean >want
        assert_match response_code=200 "$(cat want)"
        assert_match X-From "$(grep -v '^api' want)" "$how"
        for step in 429:retry-after=9 503:x-from=first close reset 503:interim=103 429:quota; do
            i=$((i + 1))
            start_mock "first$i" --status "$step"
            local url=URL_first$i
            settings_with "${!url}" "$second" "retry_on: [429, 5xx, connect, reset]"
            forget
            assert_status 0 spill "$CLIENT" receive="$how" url="$LOGICAL/v1/models" perform
            assert_equal "$(cat want)" "$(clean <out)" "record, $how, $step"
            assert_equal "$LOGICAL/v1/models" "$(field effective_url)"
            assert_equal 1 "$(requests "first$i")"
            kill "$(eval "echo \$PID_first$i")"
        done
    done
    settings_with "$REFUSED" "$second"
    "$CLIENT" url="$second/v1/models" perform | clean >want
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_equal "$(cat want)" "$(clean <out)" "record, first refuses"
}

test_curl_writes_the_accepted_header_alone() {
    start_mock first --status 429:retry-after=9:x-from=first
    start_mock second --status 200:x-from=second
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -i -D head -o body -w '%{header_json}' "$LOGICAL/v1/models"
    assert_equal 1 "$(grep -c '^HTTP/' head)" "status lines of -D"
    assert_equal 1 "$(grep -c '^HTTP/' body)" "status lines of -i"
    assert_match "x-from: second" "$(cat head)"
    assert_no_match "first|429|retry-after" "$(cat head body out)"
    jq -e '."x-from" == ["second"]' out >json || fail "header_json: $(cat out)"
    forget
    assert_status 0 spill curl -sS -f -o body "$LOGICAL/v1/models"
    assert_equal "2 2" "$(requests first) $(requests second)"
}

test_failonerror_of_what_is_not_retried() {
    start_mock first --status 404:x-from=first
    start_mock second
    settings_with "$URL_first" "$URL_second"
    assert_status 22 spill curl -sS -f "$LOGICAL/v1/models"
    assert_equal "curl: (22) The requested URL returned error: 404" "$(cat err)"
    assert_equal "1 0" "$(requests first) $(requests second)"
}

test_callbacks_that_refuse() {
    local trap second
    start_mock first --status 429:retry-after=9
    second=$(static_backend)
    settings_with "$URL_first" "$second"
    for trap in header:1 header:2 header:6 body:1; do
        "$CLIENT" stop="$trap" url="$second/v1/models" perform | clean >want
        forget
        assert_status 0 spill "$CLIENT" stop="$trap" url="$LOGICAL/v1/models" perform
        assert_equal 23 "$(field result)" "result, refused at $trap"
        # how many bytes libcurl had counted by then, and kept for its API, is its own matter
        assert_equal "$(grep -vE '^(api|error|size|header_size|content)' want)" \
            "$(clean <out | grep -vE '^(api|error|size|header_size|content)')" "record, refused at $trap"
    done
}

# After a pause libcurl gives what came meanwhile in one piece, and parses it so: the lines are
# the same, not the calls.
unmerged() {
    clean | grep -vE '^(paused|api)' | sed 's/^H //' | tr -d '\n.'
}

test_callbacks_that_pause() {
    local trap second
    start_mock first --status 503
    second=$(static_backend)
    settings_with "$URL_first" "$second"
    for trap in header:1 header:2 header:5 header:6 body:1; do
        "$CLIENT" pause="$trap" url="$second/v1/models" perform | clean >want
        forget
        assert_status 0 spill "$CLIENT" pause="$trap" url="$LOGICAL/v1/models" perform
        assert_equal "$(unmerged <want)" "$(unmerged <out)" "record, paused at $trap"
    done
    forget
    : >one.go
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Is: here\r\n\r\n4\r\none\n\r\n' >"head"
    printf '4\r\ntwo\n\r\n0\r\n\r\n' >one
    settings_with "$URL_first" "$("$CANNED" head:one)"
    assert_status 0 spill "$CLIENT" pause=header:3 url="$LOGICAL/v1/models" perform
    assert_equal "B 8 one.two." "$(grep '^B' out)" "a body that arrives during the pause"
}

test_odd_responses_arrive_as_they_are() {
    local i=0 name
    start_mock first --status 429:retry-after=9
    printf 'HTTP/1.1 200 OK\nContent-Length: 2\nX-A: 1\n\nhi' >bare-newlines
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: one\r\n  two\r\n\r\nhi' >folded
    printf 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi' >no-reason
    printf 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n' >no-body
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' >empty-body
    printf 'HTTP/1.0 200 OK\r\n\r\nuntil the end' >without-length
    printf 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi' >interim
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: last\r\n\r\n' >trailers
    printf 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nhi' >redirect
    printf 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n' >not-modified
    printf 'HTTP/1.1 200 OK\r\nX-Long: %09000d\r\nContent-Length: 2\r\n\r\nhi' 1 >long-line
    printf 'HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nhi' >status-600
    printf 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="a"\r\nContent-Length: 2\r\n\r\nhi' >unauthorized
    printf 'HTTP/1.1 407 Proxy\r\nContent-Length: 2\r\n\r\nhi' >proxy-auth
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi' >short
    printf 'HTTP/1.1 200 OK\r\nX-A: 1\r\n' >no-blank-line
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n' >bad-chunk
    printf 'no header at all' >http09
    for name in bare-newlines folded no-reason no-body empty-body without-length interim trailers redirect \
        not-modified long-line status-600 unauthorized proxy-auth short no-blank-line bad-chunk http09; do
        local url dribble
        for dribble in "" --dribble; do
            # shellcheck disable=SC2086  # one or none
            url=$("$CANNED" --close $dribble $name)
            settings_with "$URL_first" "$url"
            forget
            i=$((i + 1))
            "$CLIENT" url="$url/v1/models" perform | clean >want
            assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
            assert_equal "$(cat want)" "$(clean <out)" "record, $name $dribble"
        done
    done
}

test_odd_rejections_leave_nothing() {
    local name
    start_mock second
    "$CLIENT" url="$URL_second/v1/models" perform | clean >want
    printf 'HTTP/1.1 429 No\nContent-Length: 2\n\nhi' >bare-newlines
    printf 'HTTP/1.1 429\r\nContent-Length: 2\r\n\r\nhi' >no-reason
    printf 'HTTP/1.1 503 No\r\n\r\nuntil the end' >without-length
    printf 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nhi' >interim
    printf 'HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: last\r\n\r\n' >trailers
    printf 'HTTP/1.1 429 No\r\nContent-Length: 5\r\n\r\nhi' >short
    printf 'HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n' >bad-chunk
    printf 'HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi' >bad-gzip
    printf 'HTTP/1.1 429 No\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n' >cookie
    {
        printf 'HTTP/1.1 503 No\r\nContent-Length: 3000000\r\n\r\n'
        head -c 3000000 /dev/zero
    } >huge
    printf 'HTTP/1.1 503 No\r\nContent-Length: 3000000\r\n\r\nthe rest never comes' >endless
    for name in bare-newlines no-reason without-length interim trailers short bad-chunk bad-gzip cookie huge endless; do
        local keep=--close
        [ "$name" != endless ] || keep=--dribble # which keeps the connection open
        settings_with "$("$CANNED" "$keep" "$name")" "$URL_second"
        forget
        assert_status 0 spill "$CLIENT" encoding=gzip url="$LOGICAL/v1/models" perform
        assert_equal "$(cat want)" "$(clean <out)" "record after $name"
        [ "$(field ms)" -lt 4000 ] || fail "$name took $(field ms) ms"
    done
}

test_digest_authentication() {
    printf 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\nContent-Length: 2\r\n\r\nno' >ask
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes' >yes
    local url
    url=$("$CANNED" --log second.heads ask yes)
    "$CLIENT" httpauth=2 userpwd=user:pass url="$("$CANNED" ask yes)/v1/models" perform | clean >want
    assert_match "B 3 yes" "$(cat want)"
    start_mock first --status 429:retry-after=9
    settings_with "$URL_first" "$url"
    assert_status 0 spill "$CLIENT" httpauth=2 userpwd=user:pass url="$LOGICAL/v1/models" perform
    assert_equal "$(cat want)" "$(clean <out)" record
    assert_equal 1 "$(grep -c '^Authorization: Digest username="user"' second.heads)"
    # The first backend asks, and throttles when it is answered.
    printf 'HTTP/1.1 429 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n' >later
    start_mock second
    "$CLIENT" httpauth=2 userpwd=user:pass url="$URL_second/v1/models" perform | clean >want
    settings_with "$("$CANNED" ask later)" "$URL_second"
    forget
    assert_status 0 spill "$CLIENT" httpauth=2 userpwd=user:pass url="$LOGICAL/v1/models" perform
    assert_equal "$(cat want)" "$(clean <out)" "record, throttled after the question"
    # A wrong password: the second question is the answer, all of it as without the shim.
    "$CLIENT" httpauth=2 userpwd=user:pass url="$("$CANNED" ask)/v1/models" perform | clean >want
    settings_with "$("$CANNED" ask)" "$URL_second"
    forget
    assert_status 0 spill "$CLIENT" httpauth=2 userpwd=user:pass url="$LOGICAL/v1/models" perform
    assert_equal "$(cat want)" "$(clean <out)" "record, refused for good"
    assert_match response_code=401 "$(cat want)"
}

test_a_redirect_to_one_that_throttles() {
    start_mock target --status 429:retry-after=9
    start_mock second
    printf 'HTTP/1.1 302 Found\r\nLocation: %s/v1/models\r\nContent-Length: 2\r\n\r\nhi' "$URL_target" >redirect
    "$CLIENT" follow=1 url="$URL_second/v1/models" perform | clean >want
    settings_with "$("$CANNED" redirect)" "$URL_second"
    assert_status 0 spill "$CLIENT" follow=1 url="$LOGICAL/v1/models" perform
    assert_equal "1 2" "$(requests target) $(requests second)"
    assert_equal "$(cat want)" "$(clean <out)" record
}

test_a_redirect_that_is_followed_to_an_answer() {
    local url
    start_mock target
    start_mock first --status 429:retry-after=9
    printf 'HTTP/1.1 302 Found\r\nLocation: %s/v1/models\r\nContent-Length: 2\r\n\r\nhi' "$URL_target" >redirect
    url=$("$CANNED" redirect)
    "$CLIENT" follow=1 url="$url/v1/models" perform >plain
    settings_with "$URL_first" "$url"
    assert_status 0 spill "$CLIENT" follow=1 url="$LOGICAL/v1/models" perform
    assert_equal "$(clean <plain)" "$(clean <out)" record
    assert_no_match "$url" "$(field effective_url)" "a backend in the URL"
    forget
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_equal "302 $URL_target/v1/models" "$(field response_code) $(field redirect_url)" "not followed"
}

# codes: the status of each transfer that the client has printed
codes() {
    sed -n 's/^response_code=//p' out | tr '\n' ' ' | sed 's/ $//'
}

test_handles_are_used_again() {
    start_mock first --status 429:retry-after=30
    start_mock second
    start_mock elsewhere --status 201
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill "$CLIENT" header=X-A:b url="$URL_elsewhere/v1/models" perform \
        url="$LOGICAL/v1/models" perform perform url="$URL_elsewhere/v1/models" perform \
        duplicate perform url="$LOGICAL/v1/models" perform duplicate perform \
        reset url="$LOGICAL/v1/models" perform fresh url="$LOGICAL/v1/models" perform
    assert_equal "201 200 200 201 201 200 200 200 200" "$(codes)"
    assert_equal "1 6 3" "$(requests first) $(requests second) $(requests elsewhere)"
    assert_equal "$LOGICAL/v1/models" "$(field effective_url)"
    # With its own headers before the reset, and without after it.
    assert_equal "1 1 1 1 0 0" "$(jq -r '.headers | map(ascii_downcase) | [.[] | select(. == "x-a")] | length' second.log | tr '\n' ' ' | sed 's/ $//')"
    assert_equal "1 1 1" "$(jq -r '.headers | map(ascii_downcase) | [.[] | select(. == "x-a")] | length' elsewhere.log | tr '\n' ' ' | sed 's/ $//')"
}

test_an_error_buffer_tells_of_the_last_attempt_alone() {
    start_mock second
    settings_with "$REFUSED" "$URL_second"
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_equal "0 200 " "$(field result) $(field response_code) $(field error)"
}

test_a_program_that_gives_up_is_not_tried_on() {
    start_mock first --status 429:latency=8s
    start_mock second
    settings_with "$URL_first" "$URL_second" "retry_on: [429, timeout, connect]"
    assert_status 0 spill "$CLIENT" abort=200 url="$LOGICAL/v1/models" perform
    assert_equal 42 "$(field result)"
    assert_equal 0 "$(requests second)"
    forget
    assert_status 0 spill "$CLIENT" timeout_ms=300 url="$LOGICAL/v1/models" perform
    assert_equal 28 "$(field result)"
    [ "$(field ms)" -lt 3000 ] || fail "it took $(field ms) ms"
    assert_equal 0 "$(requests second)"
}

run_tests
