#!/usr/bin/env bash
# on_exhausted: last and wait. What a program gets by default is in exhausted.sh.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=pair.bash
. "$(dirname "$0")/pair.bash"
# shellcheck source=exhausted.bash
. "$(dirname "$0")/exhausted.bash"

# What of the client's output does not differ from one transfer to the next.
clean() {
    sed -E 's/(date|x-request-id): .*/\1/; /^ms=/d'
}

test_last_is_the_last_answer() {
    start_mock first --status 429:retry-after=20
    start_mock second --status "503:retry-after=40:x-extra=yes:body='{\"a\":1}'"
    settings_with "$URL_first" "$URL_second" "on_exhausted: last"
    "$CLIENT" url="$URL_second/v1/models" perform | clean | sed '/^effective_url/d' >want
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_field "$LOGICAL/v1/models" effective_url
    assert_equal "$(cat want)" "$(clean <out | sed '/^effective_url/d')" "the answer of second"
    assert_equal "1 2" "$(requests first) $(requests second)"
    # Nobody answers any more: there is no last answer, and nobody is asked for one.
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_field 429 response_code
    assert_equal "1 2" "$(requests first) $(requests second)"
}

test_last_is_the_last_answer_though_another_refused_since() {
    start_mock first --status "429:retry-after=20:x-extra=kept:body='{\"a\":1}'"
    settings_with "$URL_first" "$REFUSED" "on_exhausted: last"
    "$CLIENT" url="$URL_first/v1/models" perform | clean | sed '/^effective_url/d' | sort >want
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_equal 429 "$(field response_code)"
    assert_equal kept "$(sed -n 's/^api x-extra: //p' out)"
    assert_match '"a":1' "$(grep '^B' out)"
    assert_equal 1 "$(grep -c '^H HTTP/' out)" "status lines"
    assert_field 20 retry_after
    assert_field "$LOGICAL/v1/models" effective_url
    assert_status 22 env SPILLWAY_STATE_DIR="$T/other" "$SPILLWAY" run -c settings.yaml -- \
        curl -f -sS "$LOGICAL/v1/models"
}

test_last_answer_that_is_chunked_or_packed() {
    local url i kind
    printf '{"error":"packed %0300d"}' 7 >text
    gzip -c text >packed
    {
        printf 'HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n'
        printf 'Content-Length: %d\r\nRetry-After: 30\r\n\r\n' "$(wc -c <packed)"
        cat packed
    } >gzip.answer
    {
        printf 'HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nRetry-After: 30\r\n\r\n'
        printf '%x\r\n%s\r\n' 100 "$(head -c 256 text | head -c 256)" | sed '1s/.*/100\r/'
        printf '%x\r\n%s\r\n0\r\n\r\n' $(($(wc -c <text) - 256)) "$(tail -c +257 text)"
    } >chunked.answer
    i=0
    for kind in chunked gzip; do
        for second in "$REFUSED" "$("$CANNED" "$kind.answer")"; do
            url=$("$CANNED" "$kind.answer")
            settings_with "$url" "$second" "on_exhausted: last"
            i=$((i + 1))
            SPILLWAY_STATE_DIR=$T/s$i assert_status 0 spill curl -sS --compressed -D head -o body "$LOGICAL/v1/models"
            assert_equal "$(cat text)" "$(cat body)" "$kind, second is $second"
            assert_equal 30 "$(header retry-after head)"
            # bytes as they come for those who have not asked for a decoded body
            i=$((i + 1))
            SPILLWAY_STATE_DIR=$T/s$i assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/models"
            if [ "$kind" = gzip ]; then
                cmp packed body || fail "packed, second is $second"
                assert_equal gzip "$(header content-encoding head)"
            else
                assert_equal "$(cat text)" "$(cat body)" "$kind, second is $second"
            fi
        done
    done
}

test_wait_ends_when_the_soonest_is_back() {
    start_mock first --status 429:retry-after=20
    start_mock second --script 429:retry-after=1,200
    settings_with "$URL_first" "$URL_second" "on_exhausted: wait"
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform
    assert_equal "0 200" "$(field result) $(field response_code)"
    assert_equal 1 "$(grep -c '^H HTTP/' out)" "status lines"
    assert_equal "1 2" "$(requests first) $(requests second)"
    jq -es '.[1].time - .[0].time | . >= 1 and . < 4' second.log >json || fail "waited: $(cat second.log)"
}

test_wait_on_entry() {
    start_mock first --status 429:retry-after=20
    start_mock second --script 429:retry-after=1,200
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -w '%{http_code}' -o body "$LOGICAL/v1/models"
    assert_equal 429 "$(cat out)"
    settings_with "$URL_first" "$URL_second" "on_exhausted: wait"
    assert_status 0 spill curl -sS -w '%{http_code}' -o body "$LOGICAL/v1/chat/completions" -d '{"model":"gpt-4","messages":[]}'
    assert_equal 200 "$(cat out)"
    assert_equal "1 2" "$(requests first) $(requests second)"
    jq -es '.[1].time - .[0].time >= 1' second.log >json || fail "an early knock: $(cat second.log)"
}

# milliseconds COMMAND...: how long an assertion takes, into MS
milliseconds() {
    local begin=${EPOCHREALTIME/./}
    "$@"
    MS=$(((${EPOCHREALTIME/./} - begin) / 1000))
}

test_wait_is_bounded() {
    LINE="on_exhausted: wait
    max_wait: 300ms" exhaust
    milliseconds assert_status 0 spill curl -sS -w '%{http_code}' -D head -o body "$LOGICAL/v1/models"
    [ "$MS" -lt 5000 ] || fail "waited $MS ms, max_wait is 300"
    assert_equal 429 "$(cat out)"
    assert_reply head body
    sed -i 's/max_wait: .*/max_wait: 10m/' settings.yaml
    # The program's own limit: it may get the reply at once, or its timeout, but not more time.
    milliseconds spill curl -sS --max-time 1 -w '%{http_code}' -o body "$LOGICAL/v1/models" >out 2>err
    [ "$MS" -lt 5000 ] || fail "waited $MS ms, --max-time is 1 s"
    assert_match '^(429|000)$' "$(cat out)"
    assert_nothing_sent
}

test_wait_can_be_ended_by_the_program() {
    exhaust
    settings_with "$URL_first" "$URL_second" "on_exhausted: wait
    max_wait: 10m"
    milliseconds assert_status 0 spill "$CLIENT" abort=300 url="$LOGICAL/v1/models" perform
    assert_field 42 result
    [ "$(field ms)" -lt 4000 ] || fail "it took $(field ms) ms until the progress callback could end it"
    [ "$(field ms)" -ge 300 ] || fail "it ended after $(field ms) ms, before the program wanted that"
    milliseconds spill timeout -s INT 0.5 curl -sS "$LOGICAL/v1/models" >out 2>err
    [ "$MS" -lt 5000 ] || fail "a signal ends it after $MS ms"
    assert_nothing_sent
}

run_tests
