#!/usr/bin/env bash
# What makes a request go on at the next backend, what is handed over as it is, and what the
# program sees of it. The oracle is the same curl without the shim, straight to such a backend.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=twins.bash
. "$(dirname "$0")/twins.bash"

CANNED=$ROOT/build/programs/canned
ALL_REASONS="retry_on: [429, 5xx, connect, reset, timeout]"
CHAT='{"model":"gpt-4","messages":[{"role":"user","content":"hi"}]}'
JSON='Content-Type: application/json'

# settings NAME[=URL]... [-- LINE...]: one backend per tier, in this order: mocks that run, or
# those URLs; the lines go to the endpoint
settings() {
    local backends=() lines=() entry url priority=0
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        backends+=("$1")
        shift
    done
    [ $# = 0 ] || lines=("${@:2}")
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        for entry in "${lines[@]}"; do echo "    $entry"; done
        echo "    backends:"
        for entry in "${backends[@]}"; do
            url=URL_${entry%%=*}
            [[ $entry != *=* ]] && url=${!url} || url=${entry#*=}
            echo "      - {name: ${entry%%=*}, url: \"$url/v1\", priority: $((++priority))}"
        done
    } | write_settings
}

# The event's lines of the log, without time, level, pid and endpoint.
events() {
    grep -E " event=($1) " log | sed -E 's/.* event=/event=/; s/ (endpoint|transfer)=[^ ]*//g; s/ ms=.*//'
}

milliseconds() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

# assert_took LOW HIGH COMMAND...: in milliseconds
assert_took() {
    local low=$1 high=$2 start took
    shift 2
    start=$(milliseconds)
    "$@" || exit
    took=$(($(milliseconds) - start))
    [ "$took" -ge "$low" ] && [ "$took" -le "$high" ] && return
    fail "it took $took ms, expected $low to $high"
}

# dead NAME: sets URL_NAME to a port that nobody listens on
dead() {
    local pid=PID_$1
    start_mock "$1"
    kill "${!pid}"
    wait "${!pid}"
}

test_429_and_5xx_go_on_at_the_next_backend() {
    local script="" status statuses=(429 500 501 502 503 504 529 599)
    for status in "${statuses[@]}"; do script+="$status:retry-after=0,"; done
    start_mock ptu --script "${script%,}"
    start_mock other
    settings ptu other
    for status in "${statuses[@]}"; do
        assert_status 0 logged curl -sS -i "$LOGICAL/v1/models"
        assert_equal 1 "$(grep -c '^HTTP/' out)" "responses shown after $status"
        assert_match "x-spillway-mock: other" "$(cat out)" "answer after $status"
        assert_equal "" "$(cat err)"
    done
    assert_equal "8 8" "$(requests ptu) $(requests other)"
    assert_equal "${statuses[*]}" "$(events attempt | sed -n 's/.*backend=ptu.*status=//p' | xargs)"
}

test_other_statuses_are_handed_over_as_they_are() {
    local script="" status statuses=(200 201 202 204 206 300 301 302 303 304 305 307 308
        400 401 402 403 404 405 408 409 410 411 412 413 415 416 417 418 421 422 424 425 428 431 451 499)
    for status in "${statuses[@]}"; do script+="$status:x-odd= a  b:location=/v1/elsewhere,"; done
    start_twins --script "${script%,}"
    start_mock other
    settings behind other
    for status in "${statuses[@]}"; do
        assert_as_straight -i @/models
        assert_match "^HTTP/1.1 $status " "$(head -1 got.out)"
    done
    assert_equal 0 "$(requests other)" "requests at the other backend"
    assert_equal "" "$(events 'cooldown|exhausted')" "cooldowns"
}

test_chat_and_stream_are_handed_over_as_they_are() {
    start_twins --event-interval 1ms
    settings behind
    assert_as_straight -i @/chat/completions -H "$JSON" -d "$CHAT"
    assert_as_straight -i -N @/chat/completions -H "$JSON" \
        -d '{"model":"gpt-4","stream":true,"messages":[]}'
    assert_match 'data: \[DONE\]' "$(cat got.out)"
    assert_as_straight -i @/embeddings -H "$JSON" -d '{"input":"a"}'
    assert_as_straight -I @/models
    assert_as_straight -f @/no/such/path
    assert_equal 22 "$LAST_STATUS"
}

# The oracle is a transfer that began at the second backend.
test_after_a_failover_the_program_sees_the_second_response_alone() {
    local options fields
    fields='%{http_code} %{size_header} %{size_download} %{size_upload} %{num_redirects} %{content_type} %{exitcode} [%{errormsg}] %{method} %header{x-spillway-mock} %header{retry-after}'
    start_mock ptu --script '429:retry-after=0:x-first=1,500:retry-after=0:x-first=1,503:retry-after=0' --retry-after 0
    start_twins
    settings ptu behind
    for options in "-i" "-I" "-f -i" "--compressed -i" "-i -X DELETE" "-i -d a=b" "-i -L" \
        "-i --http1.0" "-i --fail-with-body" "-i -N" "-D -"; do
        # shellcheck disable=SC2086  # options
        assert_as_straight $options -w "$fields" @/models
        assert_equal 0 "$LAST_STATUS"
    done
    assert_as_straight -o file -D head -w '%{header_json}' @/models
    assert_equal 1 "$(grep -c '^HTTP/' head)"
    assert_equal 12 "$(requests ptu)" "each was rejected by the first backend"
}

test_effective_url_is_what_the_program_asked_for() {
    start_mock ptu --status 500
    start_mock other
    settings ptu other
    assert_status 0 spill curl -sS -o /dev/null -w '%{url_effective} %{url}' "$LOGICAL/v1/models?a=b"
    assert_equal "$LOGICAL/v1/models?a=b $LOGICAL/v1/models?a=b" "$(cat out)"
}

test_methods_and_bodies_arrive_at_the_second_backend() {
    local options count=0
    start_mock ptu --script '503:retry-after=0'
    start_mock other
    settings ptu other
    for options in "-X GET" "-I" "-d a=b" "-X PUT -d text" "-X PATCH --data-binary @settings.yaml" \
        "-X DELETE" "-X OPTIONS" "-X PURGE" "-G -d q=1"; do
        count=$((count + 1))
        # shellcheck disable=SC2086  # options
        assert_status 0 spill curl -sS $options -o /dev/null "$LOGICAL/v1/models"
        assert_equal "$(log_field ptu "$count" '[.method,.path,.body_length,.body_hash,(.headers|join(","))]|@csv')" \
            "$(log_field other "$count" '[.method,.path,.body_length,.body_hash,(.headers|join(","))]|@csv')" \
            "the request with $options"
    done
}

test_curl_f_is_not_troubled_by_a_rejected_attempt() {
    start_mock ptu --script '500:retry-after=0'
    start_mock other --script '200,404'
    settings ptu other
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal "" "$(cat err)"
    assert_status 22 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_match "error: 404" "$(cat err)"
}

test_refused_connection_goes_on() {
    dead gone
    start_mock other
    settings gone other
    assert_status 0 logged curl -sS -D head -o /dev/null "$LOGICAL/v1/models"
    assert_equal "" "$(cat err)"
    assert_match "x-spillway-mock: other" "$(cat head)"
    assert_equal "event=attempt backend=gone attempt=1 error=connect curl=7
event=cooldown backend=gone reason=connect seconds=10.000
event=attempt backend=other attempt=2 status=200" "$(events 'attempt|cooldown')"
    rm log
    assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_equal "event=attempt backend=other attempt=1 status=200" "$(events attempt)" "next request"
}

test_unknown_host_goes_on() {
    start_mock other
    settings lost=http://no-such-host.invalid other
    assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_match "backend=lost attempt=1 error=connect curl=6" "$(events attempt)"
    assert_equal 1 "$(requests other)"
}

certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key.pem \
        -out cert.pem -subj "/CN=127.0.0.1" -addext "subjectAltName=IP:127.0.0.1" 2>/dev/null ||
        fail "no certificate"
}

test_untrusted_certificate_goes_on() {
    certificate
    start_mock secure --tls cert.pem key.pem
    start_mock other
    settings secure other
    assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_match "backend=secure attempt=1 error=connect curl=60" "$(events attempt)"
    assert_equal "0 1" "$(requests secure) $(requests other)"
    export SPILLWAY_STATE_DIR=$T/fresh
    assert_status 0 spill curl -sS --cacert cert.pem -o /dev/null "$LOGICAL/v1/models"
    assert_status 0 spill curl -sS -k -o /dev/null "$LOGICAL/v1/models"
    assert_equal "2 1" "$(requests secure) $(requests other)" "with a certificate that is trusted"
}

test_https_to_a_server_without_tls_goes_on() {
    start_mock clear
    start_mock other
    settings "broken=${URL_clear/http/https}" other
    assert_status 0 logged curl -sS -k -o /dev/null "$LOGICAL/v1/models"
    assert_match "backend=broken attempt=1 error=connect curl=35" "$(events attempt)"
}

test_https_endpoint_with_an_http_backend_and_the_other_way_round() {
    certificate
    start_mock clear
    start_mock secure --tls cert.pem key.pem
    write_settings <<END
endpoints:
  - {url: https://one.test/v1, backends: [{url: "$URL_clear/v1"}]}
  - {url: http://two.test/v1, backends: [{url: "$URL_secure/v1"}]}
END
    assert_status 0 spill curl -sS -o /dev/null https://one.test/v1/models
    assert_status 0 spill curl -sS -k -o /dev/null http://two.test/v1/models
    assert_equal "1 1" "$(requests clear) $(requests secure)"
}

test_empty_reply_goes_on() {
    start_mock ptu --script close
    start_mock other
    settings ptu other
    assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models" -d text
    assert_match "backend=ptu attempt=1 error=connect curl=52" "$(events attempt)"
    assert_equal "1 1" "$(requests ptu) $(requests other)"
}

test_reset_goes_on_only_if_retry_on_says_so() {
    start_mock ptu --script reset
    start_mock other
    settings ptu other
    assert_status 56 logged curl -sS -o /dev/null "$LOGICAL/v1/models" -d text
    assert_match "backend=ptu attempt=1 error=reset curl=56" "$(events attempt)"
    assert_equal 0 "$(requests other)" "requests at the other backend"
    settings ptu other -- "retry_on: [429, 5xx, connect, reset]"
    assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models" -d text
    assert_match "event=cooldown backend=ptu reason=reset" "$(events cooldown)"
    assert_equal 1 "$(requests other)" "requests at the other backend"
}

test_without_connect_in_retry_on_curls_error_stays() {
    dead gone
    start_mock empty --script close
    start_mock other
    settings gone other -- "retry_on: [429, 5xx, reset, timeout]"
    assert_status 7 spill curl -sS "$LOGICAL/v1/models"
    assert_match "^curl: \(7\) Failed to connect" "$(cat err)"
    settings empty other -- "retry_on: [429, 5xx, reset, timeout]"
    assert_status 52 spill curl -sS "$LOGICAL/v1/models"
    settings lost=http://no-such-host.invalid other -- "retry_on: [429, 5xx, reset, timeout]"
    assert_status 6 spill curl -sS "$LOGICAL/v1/models"
    assert_equal 0 "$(requests other)" "requests at the other backend"
}

test_retry_on_of_one_status_means_that_one() {
    local status
    start_twins --script '429,500,404,503:retry-after=0'
    start_mock other
    settings behind other -- "retry_on: [503]"
    for status in 429 500 404; do
        export SPILLWAY_STATE_DIR=$T/$status
        assert_as_straight -i @/models
        assert_match "^HTTP/1.1 $status " "$(head -1 got.out)"
    done
    assert_equal 0 "$(requests other)" "requests at the other backend"
    export SPILLWAY_STATE_DIR=$T/503
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal 1 "$(requests other)" "requests at the other backend"
}

test_retry_on_takes_other_statuses_and_classes() {
    local status
    start_mock ptu --script '401,403,404,422,418,500'
    start_mock other
    settings ptu other -- "retry_on: [4xx]"
    for status in 401 403 404 422 418; do
        export SPILLWAY_STATE_DIR=$T/$status
        assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    done
    assert_equal "5 5" "$(requests ptu) $(requests other)"
    export SPILLWAY_STATE_DIR=$T/500
    assert_status 22 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal "6 5" "$(requests ptu) $(requests other)" "after a 500, which is no 4xx"
}

test_retry_on_401_holds_with_the_programs_credentials_too() {
    local number=0 options
    start_mock ptu --script '401:www-authenticate=Basic realm="x"'
    start_mock other
    settings ptu other -- "retry_on: [401]"
    for options in "-u me:wrong" "-H Authorization:x" "--oauth2-bearer wrong" "--anyauth -u me:wrong" "-i"; do
        export SPILLWAY_STATE_DIR=$T/$((++number))
        # shellcheck disable=SC2086  # options
        assert_status 0 spill curl -sSf $options -o /dev/null "$LOGICAL/v1/models"
        assert_equal "$number" "$(requests other)" "requests at the other backend, $options"
    done
}

test_retry_on_nothing_hands_everything_over() {
    start_twins --script '429,503,close'
    start_mock other
    settings behind other -- "retry_on: []"
    export SPILLWAY_STATE_DIR=$T/one
    assert_as_straight -i @/models
    export SPILLWAY_STATE_DIR=$T/two
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_equal "52 0" "$LAST_STATUS $(requests other)"
}

test_first_byte_timeout_goes_on() {
    start_mock ptu --script hang
    start_mock other
    settings ptu other -- "first_byte_timeout: 300ms"
    assert_took 300 900 assert_status 0 logged curl -sS -o /dev/null "$LOGICAL/v1/models" -d text
    assert_match "backend=ptu attempt=1 error=timeout" "$(events attempt)"
    assert_match "backend=ptu reason=timeout seconds=10.000" "$(events cooldown)"
    assert_equal "1 1" "$(requests ptu) $(requests other)"
}

test_first_byte_timeout_leaves_a_slow_stream_alone() {
    start_mock slow --event-interval 100ms --tokens 8
    start_mock other
    settings slow other -- "first_byte_timeout: 400ms"
    assert_took 700 5000 assert_status 0 spill curl -sSN "$LOGICAL/v1/chat/completions" \
        -H "$JSON" -d '{"model":"gpt-4","stream":true,"messages":[]}'
    assert_match 'DONE' "$(cat out)"
    assert_equal 0 "$(requests other)"
}

# Who has the beginning of a response gets the error; the next request goes elsewhere if the settings
# say that broken connections are failures.
test_a_response_that_breaks_off_counts_as_a_failure() {
    start_mock ptu --script cut
    start_mock other
    settings ptu other -- "retry_on: [429, 5xx, connect, reset]"
    assert_status 18 logged curl -sS -o body "$LOGICAL/v1/models"
    assert_equal "event=attempt backend=ptu attempt=1 status=200
event=cooldown backend=ptu reason=reset seconds=10.000" "$(events 'attempt|cooldown')"
    assert_status 0 spill curl -sS -o body "$LOGICAL/v1/models"
    assert_equal "1 1" "$(requests ptu) $(requests other)"
    export SPILLWAY_STATE_DIR=$T/fresh
    settings ptu other
    assert_status 18 spill curl -sS -o body "$LOGICAL/v1/models"
    assert_status 18 spill curl -sS -o body "$LOGICAL/v1/models"
    assert_equal "3 1" "$(requests ptu) $(requests other)" "with the default of retry_on"
}

# What the program ends itself is nobody's failure.
test_a_response_that_the_program_leaves_is_no_failure() {
    start_mock ptu --script slow --event-interval 100ms
    start_mock other
    settings ptu other -- "retry_on: [429, 5xx, connect, reset, timeout]"
    assert_status 28 spill curl -sSN --max-time 0.5 -o body "$LOGICAL/v1/models"
    assert_status 63 spill curl -sS --max-filesize 10 -o body "$LOGICAL/v1/models"
    spill curl -sSN "$LOGICAL/v1/models" 2>err | head -c 1 >body
    assert_equal "3 0" "$(requests ptu) $(requests other)"
}

# headers FILE: a response that has begun, of which the body is FILE.body, once there is FILE.body.go
headers() {
    printf 'HTTP/1.1 200 OK\r\nX-Who: %s\r\nContent-Length: 9\r\n\r\n' "$1" >"$1"
    printf 'some text' >"$1.body"
    printf -v "URL_$1" %s "$("$CANNED" "$1:$1.body")"
}

test_first_body_timeout_goes_on() {
    local option
    headers ptu
    start_mock other
    settings ptu other -- "first_body_timeout: 300ms" "cooldown: 0s"
    for option in -s -Z -i; do
        assert_took 300 2000 assert_status 0 logged curl -sS "$option" -D head -o body "$LOGICAL/v1/models" -d text
        assert_match "x-spillway-mock: other" "$(cat head)"
        assert_no_match "X-Who" "$(cat head body)"
        assert_match "backend=ptu attempt=1 error=timeout" "$(events attempt | head -1)"
        rm log
    done
    assert_equal 3 "$(requests other)"
}

# The limit is for the body's first byte from the request's end; headers that are missing count as well.
test_first_body_timeout_covers_the_headers() {
    start_mock ptu --script hang
    start_mock other
    settings ptu other -- "first_body_timeout: 300ms" "first_byte_timeout: 20s"
    assert_took 300 1300 assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_equal "1 1" "$(requests ptu) $(requests other)"
}

test_first_body_timeout_hands_the_headers_over_with_the_body() {
    headers ptu
    start_mock other
    settings ptu other -- "first_body_timeout: 20s"
    spill curl -sSN -D head -o body "$LOGICAL/v1/models" 2>err &
    sleep 0.3 # nothing can be awaited: nothing is to come
    assert_equal "" "$(cat head)" "headers before the body"
    touch ptu.body.go
    wait "$!" || fail "$(cat err)"
    assert_match "X-Who: ptu" "$(cat head)"
    assert_equal "some text" "$(cat body)"
    assert_equal 0 "$(requests other)"
}

test_first_body_timeout_changes_no_response() {
    start_twins --script '200,204,404,slow,cut,503:retry-after=0,200'
    start_mock other
    settings behind other -- "first_body_timeout: 20s" "retry_on: []"
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_as_straight -i @/models
    assert_as_straight -I @/models
    assert_equal 0 "$(requests other)"
}

test_max_time_ends_a_hanging_request_with_28() {
    start_mock ptu --script hang
    start_mock other
    settings ptu other -- "retry_on: [429, 5xx, connect, timeout]"
    assert_took 500 1200 assert_status 28 spill curl -sS --max-time 0.6 "$LOGICAL/v1/models"
    assert_match "^curl: \(28\) Operation timed out" "$(cat err)"
    assert_equal "1 0" "$(requests ptu) $(requests other)"
}

test_max_time_covers_all_attempts_together() {
    start_mock one --status 503 --latency 400ms
    start_mock two --status 503 --latency 400ms
    start_mock three --script hang
    settings one two three
    assert_took 1100 1700 assert_status 28 spill curl -sS --max-time 1.2 "$LOGICAL/v1/models"
    assert_equal "1 1 1" "$(requests one) $(requests two) $(requests three)"
}

test_max_time_covers_silent_attempts_together() {
    start_mock one --script hang
    start_mock two --script hang
    start_mock three --script hang
    settings one two three -- "first_byte_timeout: 400ms"
    assert_took 900 1600 assert_status 28 spill curl -sS --max-time 1 "$LOGICAL/v1/models"
    assert_equal "1 1 1" "$(requests one) $(requests two) $(requests three)"
}

# The kernel takes the connection, but nobody answers the TLS hello.
test_connect_timeout_goes_on() {
    certificate
    start_mock stopped --tls cert.pem key.pem
    start_mock other
    kill -STOP "${PID_stopped:?}"
    settings stopped other -- "connect_timeout: 20s"
    assert_took 300 1700 assert_status 0 logged curl -sS -k --connect-timeout 0.4 -o /dev/null "$LOGICAL/v1/models"
    assert_match "backend=stopped attempt=1 error=connect curl=28" "$(events attempt)"
    export SPILLWAY_STATE_DIR=$T/fresh
    settings stopped other -- "connect_timeout: 400ms"
    assert_took 300 1700 assert_status 0 spill curl -sS -k --connect-timeout 20 -o /dev/null "$LOGICAL/v1/models"
    assert_equal "2" "$(requests other)"
    settings stopped other -- "connect_timeout: 400ms" "retry_on: [429]"
    export SPILLWAY_STATE_DIR=$T/third
    assert_status 28 spill curl -sS -k -o /dev/null "$LOGICAL/v1/models"
}

test_a_cut_body_stays_an_error_and_is_not_retried() {
    start_twins --script cut --event-interval 1ms
    start_mock other
    settings behind other -- "$ALL_REASONS"
    assert_as_straight -i @/models
    assert_equal 18 "$LAST_STATUS"
    export SPILLWAY_STATE_DIR=$T/fresh
    assert_as_straight -N @/chat/completions -H "$JSON" \
        -d '{"model":"gpt-4","stream":true,"messages":[]}'
    assert_equal 18 "$LAST_STATUS"
    assert_equal 0 "$(requests other)" "requests at the other backend"
}

# raw_as_straight PRINTF: an answer that no mock gives, and the end of the connection. It shall end
# as without the shim, and nobody else be asked.
raw_as_straight() {
    # shellcheck disable=SC2059  # that is what it is for
    printf "$1" >reply
    start_mock other
    URL_straight=$("$CANNED" --close reply)
    settings "raw=$URL_straight" other -- "$ALL_REASONS"
    assert_as_straight -i @/models
    assert_equal 0 "$(requests other)" "requests at the other backend"
    assert_equal "" "$(events cooldown)" "cooldowns"
}

test_partial_headers_end_as_without_the_shim() {
    raw_as_straight 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Half: ye'
}

test_something_that_is_not_http_ends_as_without_the_shim() {
    raw_as_straight 'SSH-2.0-OpenSSH_9.2p1\r\n'
    [ "$LAST_STATUS" != 0 ] || fail "it was taken"
}

test_answer_without_length_and_odd_lines_is_handed_over() {
    raw_as_straight 'HTTP/1.0 200\r\nx-a:b\r\nX-Folded: one\r\n two\r\n\r\nuntil the end'
    assert_equal 0 "$LAST_STATUS"
}

test_trailers_are_handed_over() {
    raw_as_straight 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n'
    assert_equal 0 "$LAST_STATUS"
}

# libcurl calls it an empty reply.
test_partial_status_line_goes_on() {
    printf 'HTTP/1.1 2' >reply
    start_mock other
    settings "half=$("$CANNED" --close reply)" other
    assert_status 0 logged curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal 1 "$(requests other)"
}

# rejected HEADERS BODY [CANNED_ARGUMENT...]: a 429 with this body goes on at the other backend
rejected() {
    # shellcheck disable=SC2059  # that is what it is for
    printf "HTTP/1.1 429 No\r\nRetry-After: 7\r\n$1\r\n$2" >reply
    shift 2
    [ $# -gt 0 ] || set -- --close reply
    start_mock other
    settings "bad=$("$CANNED" --log bad.log "$@")" other
    assert_took 0 2500 assert_status 0 logged curl -sSf --compressed -i \
        "$LOGICAL/v1/chat/completions" -H "$JSON" -d "$CHAT"
    assert_equal 1 "$(grep -c '^HTTP/' out)" blocks
    assert_match "x-spillway-mock: other" "$(cat out)"
    assert_equal "" "$(cat err)"
    assert_equal "1 1" "$(grep -c ^body: bad.log) $(requests other)"
    assert_match "reason=429 seconds=7.000" "$(events cooldown)"
}

test_rejected_body_that_stalls() {
    rejected 'Content-Length: 1000\r\n' 'the beginning' reply:never
}

test_rejected_body_without_end() {
    head -c 3000000 /dev/zero >"more"
    touch more.go
    rejected '' 'the beginning' reply:more:never
}

test_rejected_body_that_is_cut() {
    rejected 'Content-Length: 1000\r\n' 'the beginning'
}

test_rejected_body_with_broken_chunks() {
    rejected 'Transfer-Encoding: chunked\r\n' 'zz\r\n'
}

test_rejected_body_with_broken_compression() {
    rejected 'Content-Encoding: gzip\r\nContent-Length: 4\r\n' 'abcd'
}

test_interim_lines_of_a_rejected_attempt_are_hidden() {
    start_mock ptu --script '429:interim=103:retry-after=0,503:interim=102:retry-after=0'
    start_twins --script '200,200:interim=103,404:interim=103'
    settings ptu behind
    assert_as_straight -i @/models
    assert_equal 1 "$(grep -c '^HTTP/' got.out)" "blocks of an answer without interim"
    assert_as_straight -i @/models
    assert_equal 2 "$(grep -c '^HTTP/' got.out)" "blocks of an answer with one"
    assert_as_straight -i @/models -d text
    assert_equal 3 "$(requests ptu)"
}

test_100_continue_of_a_rejected_attempt_is_hidden() {
    start_mock ptu --script '429:retry-after=0'
    start_twins
    settings ptu behind
    assert_as_straight -i @/models -d text -H 'Expect: 100-continue'
    assert_as_straight -i @/models -d text -H 'Expect:'
    assert_equal 2 "$(requests ptu)"
}

test_retry_after_zero_everywhere_is_bounded() {
    start_mock one --status 429 --retry-after 0
    start_mock two --status 429 --retry-after 0
    settings one two
    assert_took 0 3000 assert_status 0 spill curl -sS -i "$LOGICAL/v1/models"
    assert_match "^HTTP/1.1 429 " "$(head -1 out)"
    assert_match $'retry-after: 1\r\n' "$(tr '[:upper:]' '[:lower:]' <out)"
    assert_match '^[123] [123]$' "$(requests one) $(requests two)" "attempts at each"
}

test_exhausted_pool_sends_nothing() {
    start_mock one --status 429 --retry-after 60
    start_mock two --status 503
    settings one two
    assert_status 22 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal "1 1" "$(requests one) $(requests two)"
    assert_status 0 spill curl -sS -i "$LOGICAL/v1/models"
    assert_match "^HTTP/1.1 429 " "$(head -1 out)"
    assert_equal "1 1" "$(requests one) $(requests two)" "after the second request"
}

test_all_connections_refused_is_our_429() {
    dead one
    dead two
    settings one two
    assert_status 0 spill curl -sS -i "$LOGICAL/v1/models"
    assert_match "^HTTP/1.1 429 " "$(head -1 out)"
    assert_match '"rate_limit_error"' "$(cat out)"
}

test_errors_of_the_program_itself_cool_nobody() {
    start_twins
    start_mock other
    settings behind other -- "$ALL_REASONS"
    assert_as_straight -o absent/file @/models
    assert_equal 23 "$LAST_STATUS"
    assert_as_straight --max-filesize 10 @/models
    assert_equal 63 "$LAST_STATUS"
    assert_as_straight -x http://no-such-proxy.invalid:3128 @/models
    assert_equal 5 "$LAST_STATUS"
    assert_as_straight --interface 192.0.2.1 @/models
    assert_equal 45 "$LAST_STATUS"
    assert_equal "" "$(events 'cooldown')" "cooldowns"
    assert_equal 0 "$(requests other)" "requests at the other backend"
}

test_several_urls_in_one_process() {
    start_mock ptu --script '200,429:retry-after=60'
    start_mock other
    settings ptu other
    assert_status 0 spill curl -sSf -w '%header{x-spillway-mock} ' -o a -o b -o c \
        "$LOGICAL/v1/models" "$LOGICAL/v1/models" "$LOGICAL/v1/models"
    assert_equal "ptu other other " "$(cat out)"
    assert_equal "2 2" "$(requests ptu) $(requests other)"
    assert_equal "1" "$(jq -r .connection ptu.log | sort -u | wc -l)" "connections to ptu"
}

test_throttled_connection_stays_usable() {
    start_mock ptu --script '429:retry-after=0*2,200'
    settings ptu
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_equal "1 1 1" "$(jq -r .connection ptu.log | xargs)" "connections of three attempts"
}

run_tests
