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

# The same, for the background: killing it kills curl.
ask_away() {
    exec curl -sS --max-time 20 --connect-to "llm.test:80:$RELAY" "$@"
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
    ask -o /dev/null -X POST -H 'Accept:' -H 'User-Agent:' -H 'Content-Length: 0' "$LOGICAL/v1/x"
    assert_equal 'Host Content-Length' "$(log_field first 2 '.headers|join(" ")')" "fields of a bare POST"
    ask -o /dev/null --data-binary "$(head -c 3000000 /dev/zero | tr '\0' x >big; echo @big)" \
        -H 'Accept:' -H 'User-Agent:' -H 'Content-Type:' -H 'Expect:' "$LOGICAL/v1/x"
    assert_equal 'Host Content-Length' "$(log_field first 3 '.headers|join(" ")')" "fields of a large POST"
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

test_responses_without_a_body() {
    start_mock first --script '204,304:etag=x,200:interim=103,200:body='
    one_backend
    start_relay
    ask -D head -o body "$LOGICAL/v1/models"
    assert_match 'HTTP/1.1 204' "$(cat head)" head
    assert_no_match '[Cc]ontent-[Ll]ength|ransfer-' "$(cat head)" "head of 204"
    ask -D head -o body "$LOGICAL/v1/models"
    assert_match 'HTTP/1.1 304' "$(cat head)" head
    assert_match 'etag: x' "$(cat head)" head
    ask -D head -o body "$LOGICAL/v1/models"
    assert_equal 1 "$(grep -c HTTP/ head)" "heads with a 103 before"
    ask -D head -o body "$LOGICAL/v1/models"
    assert_match 'Content-Length: 0' "$(cat head)" head
    # and the connection is good for another request after each of them
    assert_equal 4 "$(requests first)" requests
}

# A backend that says no length, asked with HEAD.
test_head_without_a_length() {
    start_mock first
    one_backend
    start_relay
    ask -I "$LOGICAL/v1/models" >"$T/head"
    assert_match 'HTTP/1.1 200' "$(cat head)" head
    exec {pipe}<>"/dev/tcp/${RELAY/:/\/}"
    printf 'HEAD /v1/chat/completions HTTP/1.1\r\nHost: llm.test\r\nConnection: close\r\n\r\n' >&"$pipe"
    timeout 10 cat <&"$pipe" >raw
    assert_equal "" "$(sed '1,/^\r$/d' raw)" "what follows the head"
}

test_fields_that_are_too_large() {
    local size
    python3 -c '
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Large", int(self.path[4:]) * "x")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.timeout = 20
print(server.server_port, flush=True)
for _ in range(8):
    server.handle_request()' >port &
    await 1 grep -c . port
    URL_first=http://127.0.0.1:$(cat port)
    one_backend
    start_relay
    for size in 20000 30000 32000 40000; do
        ask -o body -w '%{http_code}\n' "$LOGICAL/v1/$size" -H "X: $(head -c 3000 /dev/zero | tr '\0' y)"
    done >codes
    assert_equal "200 502 502 502" "$(xargs <codes)" statuses
    assert_match 'fields' "$(jq -r .error.message body)" message
    assert_equal 200 "$(ask -o body -w '%{http_code}' "$LOGICAL/v1/100")" "the next one"
}

# Each event leaves when it comes.
test_stream_is_not_held_up() {
    start_mock first --event-interval 300ms --tokens 4
    one_backend
    start_relay
    ask -N -d '{"model":"m","stream":true}' "$LOGICAL/v1/chat/completions" |
        while IFS= read -r line; do
            [[ $line == data:\ "{"* ]] && printf '%s %s\n' "$EPOCHREALTIME" "${line##*\"sent\":}"
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

# The end comes together with the last bytes: the client must not be left waiting.
test_stream_cut_in_a_chunk_ends_at_once() {
    local chunk try
    printf -v chunk '%065d' 0 # 41 in hex
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n%s\r\n41\r\n000' "$chunk" >broken
    URL_first=$("$ROOT/build/programs/canned" --close broken) || fail "canned does not start"
    one_backend
    start_relay
    for try in 1 2 3 4 5; do
        assert_status 18 ask --max-time 5 "$LOGICAL/v1/models"
        assert_equal 68 "$(wc -c <"$T/out")" "bytes, try $try"
    done
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

# --- whom it serves, and how long ---------------------------------------------------------------

# in_flight: attempts that run, by the shared state
in_flight() {
    "$SPILLWAY" status -c "$T/settings.yaml" --json | jq '[.endpoints[].backends[].in_flight]|add'
}

# await WANT COMMAND...: until it prints WANT
await() {
    local want=$1 got="" tries
    shift
    for ((tries = 0; tries < 100; tries++)); do
        got=$("$@")
        [ "$got" = "$want" ] && return
        sleep 0.05
    done
    fail "'$*': expected $want, got $got"
}

test_other_users_are_refused() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    start_mock first
    one_backend
    start_relay
    chmod 755 "$T" # for curl's working directory
    setpriv --reuid 65534 --clear-groups curl -sS --max-time 10 --connect-to "llm.test:80:$RELAY" \
        "$LOGICAL/v1/models" >"$T/out" 2>&1 && fail "another user is served"
    assert_match 'refused="a connection of another user"' "$(cat "$T/relay.log")" log
    assert_equal 0 "$(requests first)" requests
    assert_equal 200 "$(ask -o /dev/null -w '%{http_code}' "$LOGICAL/v1/models")" "its own user"
}

test_ipv4_in_an_ipv6_socket() {
    start_mock first
    one_backend
    start_relay
    assert_equal 200 "$(curl -sS --max-time 10 -o /dev/null -w '%{http_code}' -H 'Host: llm.test' \
        "http://[::ffff:127.0.0.1]:${RELAY#*:}/v1/models")" status
}

test_client_that_hangs_up_cancels_the_attempt() {
    start_mock first --script hang --event-interval 5s
    one_backend
    start_relay
    ask_away -o /dev/null "$LOGICAL/v1/models" &
    await 1 in_flight
    kill $!
    await 0 in_flight
    # in the middle of an upload
    ask_away -o /dev/null -T - "$LOGICAL/v1/files" < <(head -c 20000000 /dev/zero && exec sleep 20) &
    await 1 in_flight
    kill $!
    await 0 in_flight
    kill -0 "$RELAY_PID"
}

test_client_that_hangs_up_in_a_stream() {
    start_mock first --event-interval 200ms --tokens 1000
    one_backend
    start_relay
    ask_away -N -o "$T/stream" -d '{"stream":true}' "$LOGICAL/v1/chat/completions" &
    await 1 in_flight
    await 1 grep -m1 -c 'data: ' "$T/stream"
    kill $!
    await 0 in_flight
}

# The end of a connection may come together with its last bytes, in the middle of a request.
test_end_that_comes_with_the_last_bytes() {
    start_mock first
    one_backend "replay_limit: 10KiB"
    start_relay
    ask -o /dev/null "$LOGICAL/v1/models"
    open_files() {
        find "/proc/$RELAY_PID/fd" -type l | wc -l
    }
    local i before
    before=$(open_files)
    for ((i = 0; i < 150; i++)); do
        printf 'POST /v1/x HTTP/1.1\r\nHost: llm.test\r\nContent-Length: 99999\r\n\r\nabc' \
            >"/dev/tcp/${RELAY/:/\/}"
        printf 'GET /v1/x HTTP/1.1\r\nHo' >"/dev/tcp/${RELAY/:/\/}"
    done
    await yes eval '[ "$(open_files)" -le $((before + 2)) ] && echo yes'
    await 0 in_flight
}

# memory of the relay, in KiB
resident() {
    awk '/^VmRSS/ { print $2 }' "/proc/$RELAY_PID/status"
}

test_slow_reader_costs_no_memory() {
    start_mock first --tokens 1000000
    one_backend
    start_relay
    ask -o /dev/null "$LOGICAL/v1/models"
    local before after i
    before=$(resident)
    for ((i = 0; i < 12; i++)); do
        ask --limit-rate 50k -o /dev/null -d '{"model":"m"}' "$LOGICAL/v1/chat/completions" &
    done
    await 12 in_flight
    sleep 2 # the backend has sent what it could
    after=$(resident)
    [ $((after - before)) -lt 12000 ] || [ -n "$SANITIZED" ] ||
        fail "memory grew from $before to $after KiB"
}

test_signal_lets_what_runs_end() {
    start_mock first --event-interval 200ms --tokens 10
    one_backend
    start_relay
    ask -N -o "$T/stream" -d '{"stream":true}' "$LOGICAL/v1/chat/completions" &
    local client=$!
    await 1 in_flight
    kill -TERM "$RELAY_PID"
    await 1 grep -c 'state=stopping' "$T/relay.log"
    assert_status 7 ask "$LOGICAL/v1/models" # refused
    wait "$client" || fail "the stream was cut"
    assert_match 'DONE' "$(tail -2 "$T/stream")" stream
    wait "$RELAY_PID" || fail "exit status $?"
}

test_second_signal_ends_it_at_once() {
    start_mock first --script hang
    one_backend
    start_relay
    ask "$LOGICAL/v1/models" &
    await 1 in_flight
    kill -TERM "$RELAY_PID"
    await 1 grep -c 'state=stopping' "$T/relay.log"
    kill -INT "$RELAY_PID"
    wait "$RELAY_PID" || fail "exit status $?"
}

test_thousand_connections_at_once() {
    start_mock first --latency 3s
    one_backend
    start_relay
    local i
    for i in 1 2 3 4; do
        curl -sS -Z --parallel-immediate --parallel-max 250 --max-time 25 -o /dev/null \
            -w '%{http_code}\n' --connect-to "llm.test:80:$RELAY" "$LOGICAL/v1/models?[1-250]" \
            >"$T/codes$i" 2>"$T/codes$i.err" &
        clients+=($!)
    done
    await 1000 in_flight
    wait "${clients[@]}"
    assert_equal "1000 200" "$(cat "$T"/codes? | sort | uniq -c | xargs)" statuses
}

# --- by itself ----------------------------------------------------------------------------------

port_of_place() {
    sed -n 's/^spillway relay 1 port=\([0-9]*\) .*/\1/p' "$T"/state/relay-???????????????? 2>/dev/null
}

test_background_and_idle_end() {
    start_mock first
    one_backend
    assert_status 0 "$SPILLWAY" relay -c "$T/settings.yaml" --idle 1s
    assert_match '^relay listening on 127.0.0.1:[0-9]+$' "$(cat out)" output
    RELAY=127.0.0.1:$(port_of_place)
    assert_equal 200 "$(ask -o /dev/null -w '%{http_code}' "$LOGICAL/v1/models")" status
    assert_status 0 "$SPILLWAY" relay -c "$T/settings.yaml"
    assert_match "runs already, at $RELAY" "$(cat out)" output
    assert_status 1 "$SPILLWAY" relay --foreground -c "$T/settings.yaml"
    assert_match "runs already, at $RELAY" "$(cat err)" message
    await "" port_of_place
    assert_status 7 ask "$LOGICAL/v1/models"
}

test_run_starts_one_when_somebody_connects() {
    start_mock first
    one_backend
    # shellcheck disable=SC2016  # for the inner shell
    spill bash -c '
        echo "port $SPILLWAY_RELAY_PORT"
        ps -eo args | grep -c "^spillway relay" || true
        curl -sS -o /dev/null -w "%{http_code}\n" --connect-to "llm.test:80:127.0.0.1:$SPILLWAY_RELAY_PORT" \
            http://llm.test/v1/models' >out
    : # the shim is in that curl as well, and aims at the backend itself: see below
    assert_match '^port [1-9]' "$(cat out)" output
    # a program without the shim
    # shellcheck disable=SC2016
    spill env -u LD_PRELOAD bash -c '
        curl -sS -o /dev/null -w "%{http_code}\n" --connect-to "llm.test:80:127.0.0.1:$SPILLWAY_RELAY_PORT" \
            http://llm.test/v1/models
        sleep 0.2
        cat "$0"/state/relay-????????????????' "$T" >out
    assert_match '^200' "$(cat out)" output
    assert_equal 2 "$(requests first)" requests
}

test_runs_share_one_relay_and_leave_nothing() {
    start_mock first
    one_backend
    local i users=()
    for i in 1 2; do
        # shellcheck disable=SC2016
        "$SPILLWAY" run -c settings.yaml -- sh -c 'echo $SPILLWAY_RELAY_PORT; exec sleep 25' >"port$i" &
        users+=($!)
        await 1 grep -c . "port$i"
    done
    assert_match '^[1-9]' "$(cat port1)" port
    assert_equal "$(cat port1)" "$(cat port2)" "the second port"
    kill "${users[0]}"
    sleep 2.5 # longer than the waiting process looks
    assert_equal "$(cat port1)" "$(port_of_place)" "the port while one lives"
    kill "${users[1]}"
    await "" port_of_place
    await "" eval 'ls -A state | grep ^relay || true'
}

test_run_without_need_for_a_relay() {
    start_mock first
    write_settings <<END
endpoints:
  - url: https://llm.test/v1
    backends: [{name: first, url: "$URL_first/v1"}]
  - url: http://other.test/v1
    sockets: off
    backends: [{name: first, url: "$URL_first/v1"}]
END
    # shellcheck disable=SC2016
    assert_equal "none" "$(spill sh -c 'echo ${SPILLWAY_RELAY_PORT-none}')" port
    assert_equal "" "$(port_of_place)" place
}

test_numeric_hosts_are_told() {
    write_settings <<END
endpoints:
  - urls: [http://10.0.0.5/v1, "http://[::1]:8080/v1", http://llm.test/v1, https://10.0.0.6/v1]
    backends: [{name: first, url: "http://127.0.0.1:9/v1"}]
END
    # shellcheck disable=SC2016
    assert_equal "10.0.0.5:80=r [::1]:8080=r" "$(spill sh -c 'echo $SPILLWAY_SOCKETS')" hosts
}

# --- a port of its own --------------------------------------------------------------------------

test_listen_with_a_token() {
    start_mock first
    start_mock second
    write_settings <<END
endpoints:
  - urls: [https://api.openai.com/v1, http://llm.internal/v1]
    backends: [{name: first, url: "$URL_first/v1"}]
  - url: https://oai.example/openai
    backends: [{name: second, url: "$URL_second/openai", key_env: SECOND_KEY}]
END
    export RELAY_TOKEN=sesame SECOND_KEY=own
    start_relay --listen 127.0.0.1:0 --token-env RELAY_TOKEN
    local open=${RELAY_LINE##* } key
    assert_equal 401 "$(curl -sS -o body -w '%{http_code}' "http://$open/v1/models")" "no token"
    assert_equal spillway_error "$(jq -r .error.type body)" body
    assert_equal 401 "$(curl -sS -o body -w '%{http_code}' -H 'Authorization: Bearer sesam' \
        "http://$open/v1/models")" "wrong token"
    assert_equal 200 "$(curl -sS -o body -w '%{http_code}' -H 'Authorization: Bearer sesame' \
        "http://$open/v1/models")" "right token"
    assert_equal null "$(log_field first 1 .key_header)" "the token at the backend"
    assert_equal 200 "$(curl -sS -o body -w '%{http_code}' -H 'api-key: sesame' \
        "http://$open/openai/deployments/d/chat/completions?api-version=1" -d '{}')" "other header"
    key=$(printf own | sha256sum | cut -c1-8)
    assert_equal "$key" "$(log_field second 1 .key_hash | cut -c1-8)" "key of the second"
    assert_equal 404 "$(curl -sS -o body -w '%{http_code}' -H 'api-key: sesame' \
        "http://$open/other")" "no endpoint"
    ! grep -q sesame "$T/relay.log" || fail "the token in the log"
}

test_listen_for_its_own_user() {
    start_mock first
    one_backend
    start_relay --listen 127.0.0.1:0
    local open=${RELAY_LINE##* }
    assert_equal 200 "$(curl -sS -o /dev/null -w '%{http_code}' "http://$open/v1/models")" status
    [ "$(id -u)" = 0 ] || return 0
    chmod 755 "$T"
    setpriv --reuid 65534 --clear-groups curl -sS "http://$open/v1/models" >out 2>&1 &&
        fail "another user is served"
    assert_equal 1 "$(requests first)" requests
}

test_wrong_options() {
    start_mock first
    one_backend
    wrong() { # STATUS MESSAGE OPTION...
        local status=$1 message=$2
        shift 2
        assert_status "$status" "$SPILLWAY" relay --foreground -c "$T/settings.yaml" "$@"
        assert_match "$message" "$(cat err)" "message for '$*'"
        assert_equal 1 "$(wc -l <err)" "lines for '$*'"
    }
    wrong 2 "expected HOST:PORT" --listen here
    wrong 2 "expected an address of this host alone" --listen 0.0.0.0:0
    wrong 2 "has no token" --listen 127.0.0.1:0 --token-env NO_SUCH
    wrong 2 "goes with --listen" --token-env HOME
    wrong 2 "--idle: expected a time" --idle soon
    wrong 2 "which is no option" --bogus
    wrong 2 "belongs to no option" something
    wrong 1 "Address already in use" --listen "${URL_first#http://}"
}

# --- waiting ------------------------------------------------------------------------------------

test_on_exhausted_wait() {
    start_mock first --script '429:retry-after=1,200' --save-bodies "$T"
    one_backend "on_exhausted: wait"
    start_relay
    local start=$EPOCHREALTIME
    assert_equal 200 "$(ask -o body -w '%{http_code}' -d '{"model":"m"}' \
        "$LOGICAL/v1/chat/completions")" status
    awk -v s="$start" -v e="$EPOCHREALTIME" 'BEGIN { exit !(e - s >= 0.95) }' || fail "too early"
    cmp first-1.body first-2.body
    assert_match event=waiting "$(cat relay.log)" log
}

test_on_exhausted_wait_has_a_limit() {
    start_mock first --status 429 --retry-after 30
    one_backend "$(printf 'on_exhausted: wait\n    max_wait: 3s')"
    start_relay
    assert_equal 429 "$(ask -o body -w '%{http_code}' "$LOGICAL/v1/models")" status
}

test_client_that_hangs_up_while_it_waits() {
    start_mock first --script '429:retry-after=2,200'
    one_backend "on_exhausted: wait"
    start_relay
    ask -o /dev/null --max-time 1 "$LOGICAL/v1/models" 2>/dev/null && fail "it did not wait"
    sleep 2
    assert_equal 1 "$(requests first)" requests
}

run_tests
