#!/usr/bin/env bash
# The list of failover faults by which gateways are compared, S01 to S14 and S16: what the program
# gets, and what the backends are asked. S15 is in outage.sh.
# shellcheck disable=SC2016,SC2317  # for inner shells; called by run_tests
TIME_LIMIT=${TIME_LIMIT:-120}
# shellcheck source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=drills.bash
. "$(dirname "$0")/drills.bash"

RUNS=${FULL:+20} # of what takes no time
RUNS=${RUNS:-5}

# ---- throttled, or in error --------------------------------------------------------------------

# 429 with Retry-After: 2, once: the next backend at once, and the first one not before its time.
test_s01_429_once() {
    local again run
    endpoint -- "ptu 1" "other 2"
    for ((run = 0; run < ${FULL:+4}+1; run++)); do
        assert_status 0 drill --fault 'ptu: 429 retry-after=2 for 1 attempts' \
            --expect 'answered = 100%, attempts@ptu >= 2, status_429@ptu = 1' -- often 4 0.1
        assert_equal "ptu other" "$(backends_asked | cut -d' ' -f1,2)"
        again=$(reported '[.attempt_list[] | select(.backend == "ptu")] | .[1].begin - .[0].end')
        between 1.99 3.5 "$again" "seconds until the throttled backend was asked again"
        between 0 1000 "$(first_took)" "ms of the first transfer"
        first_took >>durations
        echo "$again" >>pauses
    done
    figure "S01 ms until the answer: $(spread <durations); primary asked again after s:" \
        "$(spread <pauses), soonest $(sort -g pauses | head -1)"
}

# overhead FAULT: the first transfer meets it, the next one does not any more; what it costs is the
# difference to a transfer of a drill without faults
overhead() {
    local run
    : >plain
    : >failing
    endpoint -- "ptu 1" "other 2"
    for ((run = 0; run < RUNS; run++)); do
        assert_status 0 drill -- chat
        first_took >>plain
        assert_status 0 drill --fault "ptu: $1" --expect 'answered = 100%, attempts@ptu = 1' -- \
            bash -c 'for i in {1..10}; do chat; done'
        assert_equal 10 "$(reported '.backends[1].answers')" "answers of the other backend"
        first_took >>failing
    done
    local usual
    usual=$(sort -g plain | sed -n "$(((RUNS + 1) / 2))p")
    awk -v usual="$usual" '{ print ($1 > usual ? $1 - usual : 0) }' failing >extra
    figure "$2 1 attempt at the primary; ms until the answer: $(spread <failing);" \
        "without the fault: $(spread <plain); overhead in ms: $(spread <extra)"
    between 0 50 "$(sort -g extra | head -1)" "ms that it costs at best"
}

test_s02_429_for_good() {
    overhead 429 S02
}

test_s04_503_for_good() {
    overhead 503 S04
}

# A 500, once: a peer of the same tier answers, not the tier below.
test_s03_500_once() {
    local run
    endpoint "strategy: first" -- "ptu 1" "peer 1" "other 2"
    for ((run = 0; run < RUNS; run++)); do
        assert_status 0 drill --fault 'ptu: 500 for 1 attempts' \
            --expect 'answered = 100%, attempts@ptu = 1, answers@peer = 3, attempts@other = 0' -- \
            bash -c 'for i in 1 2 3; do chat; done'
        assert_equal "200 200 200 " "$(cat out)"
        first_took >>durations
    done
    figure "S03 ms until the peer answered: $(spread <durations)"
}

# The connection is reset before a header, again and again.
test_s05_reset_before_headers() {
    local run
    endpoint "retry_on: [429, 5xx, connect, reset]" -- "ptu 1" "other 2"
    for ((run = 0; run < RUNS; run++)); do
        assert_status 0 drill --fault 'ptu: reset' \
            --expect 'answered = 100%, program_errors = 0, attempts@ptu = 1, answers@other = 3' -- \
            bash -c 'for i in 1 2 3; do chat; done'
        first_took >>durations
    done
    figure "S05 1 attempt at the primary; ms until the answer: $(spread <durations)"
}

# ---- silence -----------------------------------------------------------------------------------

# moves_on FAULT LIMIT ID: another backend answers within a second after the limit, once for all
# requests. A machine that is busy may take longer: the best of three.
moves_on() {
    local limit=${FULL:+10} run took best
    limit=${limit:-1}
    endpoint "$2: ${limit}s" -- "ptu 1" "other 2"
    : >durations
    for ((run = 0; run < 3; run++)); do
        assert_status 0 drill --fault "ptu: $1" \
            --expect 'answered = 100%, attempts@ptu = 1, answers@other = 3' -- \
            bash -c 'for i in 1 2 3; do ask; done'
        assert_equal "200 200 200 " "$(cat out)"
        took=$(first_took)
        echo "$took" >>durations
        [ -z "${FULL:-}" ] || continue
        awk -v t="$took" -v l="$limit" 'BEGIN { exit !(t < l * 1000 + 1000) }' && break
    done
    best=$(sort -g durations | head -1)
    between $((limit * 1000)) $((limit * 1000 + 1000)) "$best" "ms until another backend answered"
    figure "$3 $2 of $limit s, ms until the answer: $(spread <durations)"
}

test_s06_silence_before_headers() {
    moves_on silence first_byte_timeout S06
}

# The headers come, and no token.
test_s07_silence_before_the_first_token() {
    moves_on silence-body first_body_timeout S07
}

# ---- what has begun ----------------------------------------------------------------------------

# A stream of events and a whole response, cut: whoever asks sees an error, and nobody is asked twice.
test_s08_s14_cut_in_mid_answer() {
    local program
    endpoint "retry_on: [429, 5xx, connect, reset]" -- "ptu 1" "other 2"
    for program in ask chat; do
        assert_status 18 drill --fault 'ptu: cut after 150' -- "$program"
        assert_equal 150 "$(wc -c <body)" "bytes that $program got"
        assert_equal "ptu" "$(backends_asked)"
        assert_equal "failed cut 0 1" "$(reported '"\(.attempt_list[0] | "\(.outcome) \(.error)") " +
            "\(.answered) \(.backends[0].cooldowns)"')"
    done
    figure "S08 curl ends with status 18 (partial file) and 150 bytes, 1 attempt, 0 answered"
}

test_s08_s14_pycurl_sees_the_cut() {
    local python=/usr/bin/python3 body
    "$python" -c 'import pycurl' 2>/dev/null || skip "python3-pycurl is not installed"
    endpoint -- "ptu 1" "other 2"
    for body in "$STREAM" "$CHAT"; do
        assert_status 0 drill --fault 'ptu: cut after 150' --expect 'answered = 0%, attempts = 1' -- \
            "$python" -c 'import io, pycurl, sys
got = io.BytesIO()
c = pycurl.Curl()
c.setopt(pycurl.URL, sys.argv[1])
c.setopt(pycurl.POSTFIELDS, sys.argv[2])
c.setopt(pycurl.WRITEDATA, got)
try:
    c.perform()
    print("complete")
except pycurl.error as error:
    print(error.args[0], len(got.getvalue()))' "$LOGICAL/v1/chat/completions" "$body"
        assert_equal "18 150" "$(cat out)" "pycurl's error, and bytes"
    done
}

# A program without libcurl, which the relay serves.
test_s08_s14_http_client_sees_the_cut() {
    local body
    endpoint -- "ptu 1" "other 2"
    for body in "$STREAM" "$CHAT"; do
        assert_status 0 drill --fault 'ptu: cut after 150' --expect 'answered = 0%, attempts = 1' -- \
            python3 -c 'import http.client, sys
c = http.client.HTTPConnection("llm.test", timeout=20)
c.request("POST", "/v1/chat/completions", sys.argv[1], {"Content-Type": "application/json"})
r = c.getresponse()
try:
    r.read()
    print(r.status, "complete")
except http.client.IncompleteRead as error:
    print(r.status, "incomplete", len(error.partial))' "$body"
        assert_equal "200 incomplete 150" "$(cat out)"
    done
    figure "S08 http.client raises IncompleteRead after 150 bytes, pycurl error 18, 1 attempt each"
}

# A stream that stalls: the program's own limit ends it, and nothing is asked for again.
test_s09_stall() {
    local limit=(--max-time 2)
    [ -z "$FULL" ] || limit=(--speed-limit 1 --speed-time 30)
    endpoint "first_byte_timeout: 1s" -- "ptu 1" "other 2"
    assert_status 28 drill --fault 'ptu: stall after 150' -- ask "${limit[@]}"
    assert_equal 150 "$(wc -c <body)" "bytes"
    assert_equal ptu "$(backends_asked)"
    assert_equal 0 "$(reported .answered)"
    figure "S09 ${limit[*]} ends it after $(first_took) ms with curl's status 28, 1 attempt"
}

# ---- bytes that are not ours to judge ----------------------------------------------------------

# same_bytes ID [OPTION]: what a throttled program gets is what an unchanged one gets from the server
# that sends the file `response`: headers, body, curl's verdict
same_bytes() {
    local id=$1 want=0 got=0 url
    shift
    url=$("$ROOT/build/programs/canned" "$@" response) || fail "canned does not start"
    curl -sSN -D plain.head -o plain.body "$url/v1/chat/completions" -d "$STREAM" 2>plain.err || want=$?
    endpoint -- "ptu 1" "other 2 $url"
    "$SPILLWAY" drill -q -c settings.yaml --json report.json --fault 'ptu: 429' -- \
        curl -sSN -D head -o body "$LOGICAL/v1/chat/completions" -d "$STREAM" 2>err || got=$?
    assert_equal "$want" "$got" "exit status: $(cat err)"
    cmp plain.head head || fail "other headers"
    cmp plain.body body || fail "other bytes"
    assert_equal "ptu other" "$(backends_asked)"
    figure "$id same $(wc -c <body) bytes, headers and exit status $got as without Spillway"
}

# events HEADER: the head of a stream
events() {
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s\r\n\r\n' "$1"
}

# chunk: stdin as a chunk of a body
chunk() {
    cat >piece
    printf '%x\r\n' "$(wc -c <piece)"
    cat piece
    printf '\r\n'
}

test_s10_event_that_is_no_json() {
    {
        events 'Connection: close'
        printf 'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
        printf 'data: {"choices":[{"delta":{"content":"tw\n\n\xff\xfe\0'
        printf 'data: {"choices":[{"delta":{"content":"three"}}]}\n\ndata: [DONE]\n\n'
    } >response
    same_bytes S10 --close
    assert_equal 1 "$(reported .answered)" "answered"
}

test_s10_broken_chunk() {
    {
        events 'Transfer-Encoding: chunked'
        printf 'data: {"a": "one"}\n\n' | chunk
        printf 'zz\r\nno chunk\r\n0\r\n\r\n'
    } >response
    same_bytes S10
    assert_equal 20 "$(wc -c <body)" "bytes"
    assert_equal 0 "$(reported .answered)" "answered"
}

test_s11_no_done() {
    {
        events 'Transfer-Encoding: chunked'
        printf 'data: {"choices": [], "n": 1}\n\n' | chunk
        printf '0\r\n\r\n'
    } >response
    same_bytes S11
    assert_equal "1 0" "$(reported '"\(.answered) \(.program_errors)"')"
}

# Model and usage that the program accounts for are those of the backend that answered.
test_s16_accounting() {
    local body='{"id":"c-1","object":"chat.completion","model":"gpt-4-0613-of-other","choices":[],
  "usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}, "odd" : 1.50 }'
    printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: r-7\r\n' >response
    printf 'Content-Length: %d\r\n\r\n%s' "${#body}" "$body" >>response
    same_bytes S16
    assert_equal "gpt-4-0613-of-other 18" "$(jq -r '"\(.model) \(.usage.total_tokens)"' body)"
}

# ---- the request's own fault -------------------------------------------------------------------

# passes_through FAULT PATTERN ID: each request gets this answer after one attempt, and nothing cools
passes_through() {
    endpoint -- "ptu 1" "other 2"
    assert_status 0 drill --fault "ptu: $1" \
        --expect 'program_400 = 3, attempts@ptu = 3, attempts@other = 0, cooldowns@ptu = 0' -- \
        bash -c 'for i in 1 2 3; do chat; done'
    assert_match "$2" "$(cat body)"
    figure "$3 passed through, 1 attempt, no cooldown"
}

test_s12_context_length() {
    passes_through "400 body='{\"error\": {\"code\": \"context_length_exceeded\"}}'" \
        context_length_exceeded S12
}

test_s13_content_filter() {
    passes_through '400 content-filter' 'content_(filter|policy_violation)' S13
}

run_tests
