#!/usr/bin/env bash
# The multi interface: all ways to drive it, handles that go or change in the middle, what a
# hostile backend sends, threads, HTTP/2.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=pair.bash
. "$(dirname "$0")/pair.bash"

PROGRAMS=$ROOT/build/programs
CHAT=$LOGICAL/v1/chat/completions

# A first tier that rejects each request without ever cooling down, and one that answers.
reject_first() { # [OPTION OF THE SECOND...]
    start_mock first --status 429:too-large
    start_mock second "$@"
    settings_with "$URL_first" "$URL_second"
}

# canned RESPONSE...: a server of files becomes the first backend
canned_first() {
    local url
    url=$("$PROGRAMS/canned" "$@") || fail "canned does not start"
    start_mock second
    settings_with "$url" "$URL_second"
}

# client NAME ARGUMENT...: with the shim, and with a look for leaks where the build allows one
client() {
    local name=$1
    shift
    [ -z "$SANITIZED" ] || local -x ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=1
    spill "$PROGRAMS/$name" "$@"
}

# watched NAME ARGUMENT...: the same under valgrind, which sees the shim, too
watched() {
    local name=$1
    shift
    spill valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
        "$PROGRAMS/$name" "$@"
}

need_valgrind() {
    [ -z "$SANITIZED" ] || skip "the sanitized build looks for itself"
    command -v valgrind >/dev/null || skip "valgrind is not there"
}

# field NAME: a line of what multi_fetch printed into $T/out
field() {
    sed -n "s/^$1=//p" out
}

# How the transfers ended, and how many of them: "RESULT STATUS NUMBER" lines
ends() {
    grep -E '^[0-9]+ [0-9]+ [0-9]+$' out
}

# Calls that must not block took less than MS.
assert_never_blocked() { # MS
    [ "$(field longest)" -lt "$1" ] || fail "a call of $(field longest) ms"
}

every_second_rejected() {
    local script
    script=$(printf '429:too-large,200,%.0s' {1..100})
    start_mock first --script "${script%,}"
    start_mock second
    settings_with "$URL_first" "$URL_second"
    assert_status 0 client multi_fetch "$1" 200 "$CHAT"
    assert_equal "0 200 200" "$(ends)" "ends"
    assert_equal 200 "$(field bodies)" "right bodies"
    assert_equal "200 100" "$(requests first) $(requests second)" "requests"
    assert_never_blocked 2000
}

test_every_second_is_rejected_perform() {
    every_second_rejected perform
}

test_every_second_is_rejected_wait() {
    every_second_rejected wait
}

test_every_second_is_rejected_fdset() {
    every_second_rejected fdset
}

test_every_second_is_rejected_socket_action() {
    every_second_rejected epoll
}

test_every_second_is_rejected_socket_all() {
    every_second_rejected socket_all
}

test_paused_write_functions() {
    reject_first
    assert_status 0 client multi_fetch epoll 50 "$CHAT" pause=1
    assert_equal "0 200 50 50" "$(ends) $(field bodies)"
}

test_write_function_returns_short() {
    reject_first
    assert_status 0 client multi_fetch epoll 20 "$CHAT" short=1
    assert_equal "23 200 20" "$(ends)"
    assert_equal "20 20" "$(requests first) $(requests second)" "requests: nothing is tried again"
}

# Those that libcurl holds back for want of a connection don't knock at a backend that cools.
test_held_back_by_the_connection_limit() {
    start_mock first --status 429:retry-after=20
    start_mock second
    settings_with "$URL_first" "$URL_second"
    assert_status 0 client multi_fetch epoll 8 "$CHAT" connections=1
    assert_equal "0 200 8 8" "$(ends) $(field bodies)"
    assert_equal "1 8" "$(requests first) $(requests second)" "requests"
}

test_few_at_a_time() {
    reject_first
    assert_status 0 client multi_fetch perform 100 "$CHAT" parallel=5
    assert_equal "0 200 100 100" "$(ends) $(field bodies)"
    assert_equal "100 100" "$(requests first) $(requests second)" "requests"
}

test_curl_in_parallel_sees_no_429() {
    start_mock first --limit 1/60s
    start_mock second
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -Z --parallel-max 50 -w '%{http_code}\n' -o /dev/null \
        "$LOGICAL/v1/models?n=[1-200]"
    assert_equal "200 200" "$(sort out | uniq -c | xargs)"
}

leave() { # ACTION
    reject_first
    for loop in perform epoll; do
        assert_status 0 client multi_leave "$1" "$loop" "$CHAT"
    done
}

test_removed_in_mid_retry() {
    leave remove
}

test_removed_and_added_again() {
    leave readd
}

test_moved_between_easy_and_multi_handles() {
    leave move
}

test_easy_cleanup_while_added() {
    leave easy
}

test_multi_cleanup_with_handles_in_it() {
    leave multi
}

test_removed_with_an_unread_message() {
    leave unread
}

test_added_and_removed_again_and_again() {
    leave fast
}

touch_with() { # WHAT
    for loop in perform epoll; do
        assert_status 0 client multi_touch "$1" "$loop" "$CHAT"
    done
}

test_url_set_in_a_callback() {
    reject_first
    touch_with url
}

test_url_set_between_turns() {
    reject_first
    touch_with url-between
}

test_headers_set_in_a_callback() {
    reject_first
    touch_with headers
}

test_write_function_set_in_a_callback() {
    reject_first
    touch_with write
}

test_timeout_taken_off_in_a_callback() {
    reject_first --script slow --event-interval 150ms
    touch_with untimed
}

test_clock_starts_with_the_first_turn() {
    reject_first
    touch_with late
}

test_duplicated_in_mid_transfer() {
    reject_first
    touch_with duplicate
}

test_reset_while_added() {
    reject_first
    touch_with reset
}

test_paused_in_mid_retry() {
    reject_first
    touch_with pause
}

test_header_callback_pauses_during_the_replay() {
    reject_first
    touch_with pause-head
}

test_callbacks_return_short() {
    reject_first
    touch_with short-head
    touch_with short-body
}

test_aborted_by_the_progress_callback() {
    reject_first
    touch_with abort
}

test_private_data_and_error_buffer() {
    reject_first
    touch_with private
}

# exhausted_with [LINE OF THE ENDPOINT]
exhausted_with() {
    start_mock first --status 429:retry-after=20
    start_mock second --status 503:retry-after=40
    settings_with "$URL_first" "$URL_second" "${1:-}"
}

assert_reply() {
    assert_equal "0 429 1" "$(ends)" ends
    assert_equal "HTTP/1.1 429 Too Many Requests" "$(field line)" "status line"
    [[ $(field retry_after) =~ ^(1[0-9]|20)$ ]] || fail "Retry-After '$(field retry_after)'"
    [ "$(field bytes)" -gt 20 ] || fail "$(field bytes) bytes"
    assert_never_blocked 1000
}

test_exhausted() {
    exhausted_with
    for loop in perform wait fdset epoll socket_all; do
        assert_status 0 client multi_fetch "$loop" 1 "$CHAT"
        assert_reply
    done
    assert_status 0 client multi_fetch epoll 1 "$CHAT" failonerror=1
    assert_equal "22 429 1" "$(ends)" "ends with CURLOPT_FAILONERROR"
    assert_status 0 client multi_fetch epoll 100 "$CHAT"
    assert_equal "0 429 100" "$(ends)"
    assert_equal "1 1" "$(requests first) $(requests second)" "requests"
}

test_wait_is_answered_like_reply() {
    exhausted_with "on_exhausted: wait"
    assert_status 0 client multi_fetch epoll 1 "$CHAT"
    assert_reply
    assert_status 0 client multi_fetch perform 1 "$CHAT"
    assert_reply
}

test_all_refuse() {
    settings_with "$REFUSED" "$REFUSED"
    assert_status 0 client multi_fetch epoll 20 "$CHAT"
    assert_equal "0 429 20" "$(ends)"
}

test_first_refuses() {
    start_mock second
    settings_with "$REFUSED" "$URL_second"
    for loop in perform epoll; do
        assert_status 0 client multi_fetch "$loop" 20 "$CHAT"
        assert_equal "0 200 20 20" "$(ends) $(field bodies)"
    done
}

test_timeout_covers_all_attempts() {
    local start took
    start_mock first --status 429:too-large:latency=500ms
    start_mock second --script hang
    settings_with "$URL_first" "$URL_second"
    for loop in perform epoll; do
        start=$(date +%s%N)
        assert_status 0 client multi_fetch "$loop" 3 "$CHAT" timeout_ms=900
        took=$((($(date +%s%N) - start) / 1000000))
        assert_equal "28 0 3" "$(ends)"
        [ "$took" -lt 1350 ] || fail "$loop: $took ms"
    done
}

# The response of a file: its header, an empty line, and what is in BODY.
response() { # FILE LINE...
    local file=$1
    shift
    printf '%s\r\n' "$@" "" >"$file"
}

stalled_body() { # LOOP
    response stalled "HTTP/1.1 429 Too Many Requests" "Retry-After: 20" "Content-Length: 1000"
    printf 'the beginning' >>stalled
    canned_first stalled:never
    # A turn may wait for a minute: libcurl itself has to say that it wants to run before.
    assert_status 0 client multi_fetch "$1" 1 "$CHAT" limit=4
    assert_equal "0 200 1 1" "$(ends) $(field bodies)"
}

test_rejected_body_stalls_perform() {
    stalled_body perform
}

test_rejected_body_stalls_socket_action() {
    stalled_body epoll
}

silent_backend() { # LOOP
    start_mock first --script hang
    start_mock second
    settings_with "$URL_first" "$URL_second" "first_byte_timeout: 500ms"
    assert_status 0 client multi_fetch "$1" 1 "$CHAT" limit=4
    assert_equal "0 200 1 1" "$(ends) $(field bodies)"
}

test_first_byte_timeout_perform() {
    silent_backend perform
}

test_first_byte_timeout_socket_action() {
    silent_backend epoll
}

silent_body() { # LOOP
    response begun "HTTP/1.1 200 OK" "Content-Length: 1000"
    URL_first=$("$PROGRAMS/canned" begun:never) || fail "canned does not start"
    start_mock second
    settings_with "$URL_first" "$URL_second" "first_body_timeout: 500ms"
    assert_status 0 client multi_fetch "$1" 1 "$CHAT" limit=4
    assert_equal "0 200 1 1" "$(ends) $(field bodies)"
}

test_first_body_timeout_perform() {
    silent_body perform
}

test_first_body_timeout_socket_action() {
    silent_body epoll
}

test_rejected_body_of_50_megabytes() {
    response large "HTTP/1.1 429 Too Many Requests" "Retry-After: 0" "Content-Length: 52428800"
    truncate -s +50M large
    canned_first large
    for loop in perform epoll; do
        assert_status 0 client multi_fetch "$loop" 1 "$CHAT"
        assert_equal "0 200 1 1" "$(ends) $(field bodies)"
    done
}

# filler BYTES: header lines
filler() {
    yes "X-Filler: $(printf 'a%.0s' {1..88})" | head -c "$1"
}

test_header_of_200_kilobytes_accepted() {
    {
        printf 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n'
        filler 200000
        printf '\r\n\r\n"m0"'
    } >large
    canned_first large
    for loop in perform epoll; do
        assert_status 0 client multi_fetch "$loop" 1 "$CHAT"
        assert_equal "0 200 1 1" "$(ends) $(field bodies)"
    done
    assert_equal 0 "$(requests second)" "requests at the second"
}

test_header_of_200_kilobytes_rejected() {
    {
        printf 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n'
        filler 200000
        printf '\r\n\r\nbody'
    } >large
    canned_first large
    assert_status 0 client multi_fetch epoll 1 "$CHAT"
    assert_equal "0 200 1 1" "$(ends) $(field bodies)"
}

# Bounded, and what it is about is known from its first line: the next backend is tried.
# What came before the error is the program's, and so is the error: its status may have been meant.
test_rejected_header_without_end() {
    {
        printf 'HTTP/1.1 429 Too Many Requests\r\n'
        filler 20000000
    } >endless
    canned_first endless
    assert_status 0 client multi_fetch epoll 1 "$CHAT" limit=5
    assert_match '^(56|100) 429 1$' "$(ends)" "the error reaches the program"
    assert_equal 0 "$(requests second)" "requests at the second"
}

test_accepted_header_without_end() {
    {
        printf 'HTTP/1.1 200 OK\r\n'
        filler 20000000
    } >endless
    canned_first endless
    assert_status 0 client multi_fetch epoll 1 "$CHAT" limit=5
    assert_match '^(56|100) 200 1$' "$(ends)" "the error reaches the program"
    assert_equal 0 "$(requests second)" "requests at the second"
}

test_accepted_chunks_end_early() {
    response ends-early "HTTP/1.1 200 OK" "Transfer-Encoding: chunked"
    printf '5\r\nhello\r\n7\r\nwor' >>ends-early
    canned_first --close ends-early
    for loop in perform epoll; do
        assert_status 0 client multi_fetch "$loop" 1 "$CHAT"
        assert_match '^(18|56) 200 1$' "$(ends)" "the error reaches the program"
    done
    assert_equal 0 "$(requests second)" "requests at the second"
}

test_threads() {
    reject_first
    # The freed memory of one thread is to be the next one's at once.
    local -x GLIBC_TUNABLES=glibc.malloc.tcache_count=0
    for ((round = 0; round < 6; round++)); do
        assert_status 0 client multi_threads 16 100 "$CHAT"
    done
}

test_http2_to_a_tls_backend() {
    local port tries
    command -v nghttpd >/dev/null || skip "nghttpd is not there (Debian: nghttp2-server)"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 2>/dev/null || fail "no certificate"
    mkdir -p www/v1
    echo "an answer" >www/v1/models
    for ((tries = 0; tries < 5; tries++)); do
        port=$((20000 + RANDOM % 20000))
        timeout 60 nghttpd -a 127.0.0.1 -d www "$port" key cert >/dev/null 2>&1 &
        curl -s --retry 20 --retry-connrefused --retry-delay 0 --retry-max-time 5 --cacert cert \
            -o /dev/null "https://127.0.0.1:$port/v1/models" && break
    done
    start_mock first --status 429:too-large
    settings_with "$URL_first" "https://127.0.0.1:$port"
    assert_status 0 client multi_fetch epoll 50 "$LOGICAL/v1/models" http2="$T/cert"
    assert_equal "0 200 50 50" "$(ends) $(field bodies)"
    # All wait for the first connection, and share it.
    [ "$(field connections)" -le 2 ] || fail "$(field connections) connections"
    assert_equal 50 "$(requests first)" "requests at the first"
}

test_no_endpoint_is_as_without_the_shim() {
    start_mock plain --script '200*30,429'
    start_mock shimmed --script '200*30,429'
    settings_with "$REFUSED" "$REFUSED"
    for loop in perform epoll; do
        assert_status 0 "$PROGRAMS/multi_fetch" "$loop" 20 "$URL_plain/v1/chat/completions"
        grep -v '^longest=' out | sort >plain.out
        assert_status 0 client multi_fetch "$loop" 20 "$URL_shimmed/v1/chat/completions"
        grep -v '^longest=' out | sort >shimmed.out
        diff plain.out shimmed.out || fail "not the same"
    done
    assert_equal "$(requests plain)" "$(requests shimmed)" requests
}

valgrind_clean() { # NAME ARGUMENT...
    need_valgrind
    reject_first
    assert_status 0 watched "$@"
}

test_valgrind_fetch() {
    valgrind_clean multi_fetch epoll 30 "$CHAT"
}

test_valgrind_remove() {
    valgrind_clean multi_leave remove epoll "$CHAT"
}

test_valgrind_easy_cleanup() {
    valgrind_clean multi_leave easy perform "$CHAT"
}

test_valgrind_multi_cleanup() {
    valgrind_clean multi_leave multi epoll "$CHAT"
}

run_tests
