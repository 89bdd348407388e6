#!/usr/bin/env bash
# The relay, asked by a client that knows nothing of it: curl without the shim, led to its port.
# shellcheck disable=SC2119,SC2120,SC2154  # what start_mock sets; options that are optional
. "$(dirname "$0")/lib.sh"

# start_relay [OPTION...]: a relay for $T/settings.yaml. Sets RELAY to its address, RELAY_PID.
start_relay() {
    local tries pipe
    mkfifo "$T/relay.pipe"
    exec {pipe}<>"$T/relay.pipe"
    "$SPILLWAY" relay --foreground -c "$T/settings.yaml" --log "$T/relay.log" --log-level info \
        "$@" >"$T/relay.pipe" 2>"$T/relay.err" &
    RELAY_PID=$!
    read -r -t 20 RELAY_LINE <&"$pipe" || fail "the relay does not start: $(cat "$T/relay.err")"
    [[ $RELAY_LINE =~ 'listening on '([0-9.]+:[0-9]+) ]] || fail "the relay says '$RELAY_LINE'"
    RELAY=${BASH_REMATCH[1]}
    for ((tries = 0; tries < 200; tries++)); do # until it serves: signals are its own from then on
        grep -q 'state=started' "$T/relay.log" 2>/dev/null && return
        sleep 0.05
    done
    fail "the relay does not serve: $(cat "$T/relay.err" "$T/relay.log")"
}

# ask ARGUMENT...: curl, with the requests for llm.test going to the relay
ask() {
    curl -sS --max-time 20 --connect-to "llm.test:80:$RELAY" "$@"
}

two_backends() {
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    ${1:-cooldown: 60s}
    backends:
      - {name: first, priority: 1, url: "$URL_first/v1"}
      - {name: second, priority: 2, url: "$URL_second/v1"}
END
}

one_backend() {
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    ${1:-cooldown: 60s}
    backends:
      - {name: first, url: "$URL_first/v1"}
END
}

test_throttled_first_tier_is_not_seen() {
    start_mock first --script '200*2,429:retry-after=60'
    start_mock second
    two_backends
    start_relay
    for _ in 1 2 3 4 5; do
        assert_equal 200 "$(ask -o "$T/out" -w '%{http_code}' "$LOGICAL/v1/models")" status
    done
    assert_equal 3 "$(requests first)" "requests at the first"
    assert_equal 3 "$(requests second)" "requests at the second"
    assert_match 'x-spillway-mock: second' "$(ask -D - -o /dev/null "$LOGICAL/v1/models")" head
}

test_exhausted_pool_answers_429() {
    start_mock first --status 429 --retry-after 7
    one_backend
    start_relay
    ask -D "$T/head" -o "$T/body" "$LOGICAL/v1/models"
    assert_match 'HTTP/1.1 429' "$(cat "$T/head")" head
    assert_match 'Retry-After: 7' "$(cat "$T/head")" head
    assert_equal rate_limit_error "$(jq -r .error.type "$T/body")" body
}

test_methods_and_bodies() {
    local method
    start_mock first --save-bodies "$T"
    one_backend
    start_relay
    for method in GET POST PUT PATCH DELETE OPTIONS; do
        ask -X "$method" -d '{"model":"gpt-4"}' -H 'Content-Type: text/x-own' -o /dev/null \
            "$LOGICAL/v1/chat/completions"
    done
    assert_equal "GET POST PUT PATCH DELETE OPTIONS" "$(jq -r .method first.log | xargs)" methods
    assert_equal 1 "$(cat "$T"/first-*.body | sort | uniq | grep -c .)" "different bodies"
    assert_equal text/x-own "$(jq -r .content_type first.log | sort -u)" "content types"
    ask -X DELETE -o /dev/null "$LOGICAL/v1/files/1"
    ask -o /dev/null "$LOGICAL/v1/files/1"
    ask -I "$LOGICAL/v1/models" >"$T/head"
    assert_equal "DELETE GET HEAD" "$(tail -3 first.log | jq -r .method | xargs)" methods
    assert_match 'Content-Length: [1-9]' "$(cat "$T/head")" "head of HEAD"
}

# What the backend sees is what the client sent, without what is about the connection.
test_fields_of_the_request() {
    start_mock first
    one_backend
    start_relay
    ask -o /dev/null -H 'X-One: 1' -H 'X-Empty;' -H 'Connection: X-Hop' -H 'X-Hop: 1' \
        -H 'Keep-Alive: 5' -H 'TE: trailers' -H 'Accept:' -H 'User-Agent:' -H 'Cookie: a=b' \
        "$LOGICAL/v1/models?a=b%20c"
    assert_equal 'Host X-One X-Empty Cookie' "$(log_field first 1 '.headers|join(" ")')" fields
    assert_equal '/v1/models?a=b%20c' "$(log_field first 1 .path)" target
    assert_equal "${URL_first#http://}" "$(log_field first 1 .host)" host
}

test_key_of_the_backend() {
    start_mock first
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    backends:
      - {name: first, url: "$URL_first/v1", key_env: FIRST_KEY}
END
    export FIRST_KEY=backends-own
    start_relay
    ask -o /dev/null -H 'Authorization: Bearer programs-own' "$LOGICAL/v1/models"
    assert_equal "$(printf backends-own | sha256sum | cut -c1-8)" \
        "$(log_field first 1 .key_hash | cut -c1-8)" key
    ! grep -r -e backends-own -e programs-own "$T/relay.log" || fail "a key in the log"
}

test_fields_of_the_response() {
    start_mock first --script '200:x-a=1:x-a=2:connection=x-hop:x-hop=1:keep-alive=7:server=own'
    one_backend
    start_relay
    ask -D "$T/head" -o /dev/null "$LOGICAL/v1/models"
    assert_equal 2 "$(grep -c '^x-a: ' "$T/head")" "x-a"
    assert_match 'server: own' "$(cat "$T/head")" head
    ! grep -iE '^(connection|x-hop|keep-alive)' "$T/head" || fail "fields of the connection"
}

# Each event leaves when it comes.
test_stream_is_not_held_up() {
    start_mock first --event-interval 300ms --tokens 4
    one_backend
    start_relay
    ask -N -d '{"model":"m","stream":true}' "$LOGICAL/v1/chat/completions" |
        while IFS= read -r line; do
            [[ $line == data:\ {* ]] && printf '%s %s\n' "$EPOCHREALTIME" "${line##*\"sent\":}"
        done | awk '{ late = $1 - $2 + 0; if (late > most) most = late } END { print NR, most }' \
        >"$T/late"
    read -r events late <"$T/late"
    assert_equal 4 "$events" events
    awk -v l="$late" 'BEGIN { exit !(l < 0.25) }' || fail "an event came $late s late"
}

test_cut_stream_is_an_error() {
    start_mock first --script cut
    one_backend
    start_relay
    assert_status 18 ask "$LOGICAL/v1/models"
    ask -N -d '{"model":"m","stream":true}' "$LOGICAL/v1/chat/completions" >"$T/out" 2>&1 &&
        fail "a cut stream counts as complete"
    ask -X POST -o /dev/null "$LOGICAL/v1/models" || true # it goes on serving
    kill -0 "$RELAY_PID"
}

test_large_bodies() {
    start_mock first --script '429:retry-after=60' --save-bodies "$T"
    start_mock second --save-bodies "$T"
    two_backends
    start_relay
    head -c 6000000 /dev/urandom >small
    head -c 20000000 /dev/urandom >large
    # within replay_limit the next backend gets it all
    ask -o /dev/null --data-binary @small "$LOGICAL/v1/files"
    cmp small second-1.body || fail "the replayed body differs"
    # chunked, of unknown length
    ask -o /dev/null -T - "$LOGICAL/v1/files" <small
    cmp small second-2.body || fail "the chunked body differs"
    ask -o /dev/null -T large "$LOGICAL/v1/files"
    cmp large second-3.body || fail "the large body differs"
    ask -o /dev/null -T - -H 'Expect: 100-continue' "$LOGICAL/v1/files" <large
    cmp large second-4.body || fail "the large chunked body differs"
}

test_large_response() {
    start_mock first --tokens 500000
    one_backend
    start_relay
    ask -o "$T/through" -d '{"model":"m"}' "$LOGICAL/v1/chat/completions"
    [ "$(stat -c %s "$T/through")" -gt 2000000 ] || fail "not large: $(stat -c %s "$T/through")"
    jq -e . "$T/through" >/dev/null
}

test_keep_alive_and_pipelining() {
    start_mock first
    one_backend
    start_relay
    assert_equal 1 "$(ask -w '%{num_connects}\n' -o /dev/null "$LOGICAL/v1/models" --next -sS \
        --connect-to "llm.test:80:$RELAY" -w '%{num_connects}\n' -o /dev/null "$LOGICAL/v1/models" |
        paste -sd+ | bc)" connections
    exec {pipe}<>"/dev/tcp/${RELAY/:/\/}"
    printf 'GET /v1/a HTTP/1.1\r\nHost: llm.test\r\n\r\nGET /v1/b HTTP/1.1\r\nHost: llm.test\r\nConnection: close\r\n\r\n' >&"$pipe"
    assert_equal 2 "$(timeout 10 cat <&"$pipe" | grep -ac 'HTTP/1.1 ')" "answers to a pipeline"
    assert_equal "/v1/a /v1/b" "$(tail -2 first.log | jq -r .path | xargs)" order
}

test_http_10() {
    start_mock first
    one_backend
    start_relay
    assert_equal 200 "$(ask -0 -o "$T/out" -w '%{http_code}' "$LOGICAL/v1/models")" status
    assert_status 0 ask -0 -N -d '{"model":"m","stream":true}' "$LOGICAL/v1/chat/completions"
    assert_match 'DONE' "$(cat out)" stream
    assert_no_match 'ransfer-' "$(ask -0 -N -D - -o /dev/null -d '{"stream":true}' \
        "$LOGICAL/v1/chat/completions")" head
}

test_other_urls_go_where_they_say() {
    start_mock first
    start_mock second
    one_backend
    start_relay
    assert_match 'x-spillway-mock: second' \
        "$(curl -sS --connect-to "${URL_second#http://}:$RELAY" -D - -o /dev/null "$URL_second/x")" \
        head
    assert_equal 502 "$(ask -o body -w '%{http_code}' "$LOGICAL/elsewhere")" status
    assert_match 'llm.test did not answer' "$(jq -r .error.message body)" message
    # to itself: not round in circles
    assert_equal 502 "$(curl -sS -o body -w '%{http_code}' "http://$RELAY/v1/models")" status
}

test_bad_requests() {
    start_mock first
    one_backend
    start_relay
    refused() { # WANTED BYTES
        exec {pipe}<>"/dev/tcp/${RELAY/:/\/}"
        printf '%b' "$2" >&"$pipe"
        assert_match "HTTP/1.. $1 " "$(timeout 10 head -1 <&"$pipe")" "the answer to '$2'"
        exec {pipe}>&-
    }
    refused 400 'GET /v1/models HTTP/1.1\r\n\r\n'
    refused 400 'GET /v1/models HTTP/1.0\r\n\r\n'
    refused 400 'GET /v1/models HTTP/1.1\r\nHost: a@b\r\n\r\n'
    refused 400 'GET /v1/models HTTP/1.1\r\nHost: a/b\r\n\r\n'
    refused 400 'GET /v1/models HTTP/1.1\r\nHost: llm.test\r\nHost: other\r\n\r\n'
    refused 400 'GET https://llm.test/v1/models HTTP/1.1\r\nHost: llm.test\r\n\r\n'
    refused 400 'POST /v1/models HTTP/1.1\r\nHost: llm.test\r\nContent-Length: x\r\n\r\n'
    refused 501 'POST /v1/models HTTP/1.1\r\nHost: llm.test\r\nTransfer-Encoding: gzip\r\n\r\n'
    refused 431 "GET /v1/models HTTP/1.1\r\nHost: llm.test\r\nX: $(head -c 60000 /dev/zero | tr '\0' x)\r\n\r\n"
    refused 200 'GET http://llm.test/v1/models HTTP/1.1\r\nHost: other\r\n\r\n'
    assert_equal 1 "$(requests first)" "requests at the backend"
}

run_tests
