#!/usr/bin/env bash
# Faults as libcurl and its programs meet them: the true errors, whatever a program has set, nothing
# for the backends, and a handle that is afterwards as it was. For the command itself see drill.sh.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=curl_settings.bash
. "$(dirname "$0")/curl_settings.bash"

CLIENT=$ROOT/build/programs/client
KEY=sk-of-the-first-backend

# settings_with URL_OF_FIRST URL_OF_SECOND [LINES]: the first has a key of its own
settings_with() {
    write_settings <<END
endpoints:
  - name: llm
    urls: [$LOGICAL/v1, https://llm.test/v1]
${3:-    strategy: first}
    backends:
      - {name: first, url: $1/v1, priority: 1, key: $KEY}
      - {name: second, url: $2/v1, priority: 2}
END
    chmod 600 settings.yaml
}

# Two backends that are not to be asked.
two_backends() { # [LINES]
    start_mock first
    start_mock second
    settings_with "$URL_first" "$URL_second" "$@"
}

assert_nothing_sent() {
    assert_equal "0 0" "$(requests first) $(requests second)" "requests at first and second"
}

# recording COMMAND...: what a drill runs, so that its log is ./log afterwards
cat >"$WORK/recording" <<'END'
#!/bin/sh
"$@"
status=$?
cp "$SPILLWAY_LOG_FILE" log
exit $status
END
chmod +x "$WORK/recording"

# drill FAULT COMMAND...: against mocks
drill() {
    local fault=$1
    shift
    "$SPILLWAY" drill -c settings.yaml --against-mocks --quiet --fault "$fault" -- "$WORK/recording" "$@"
}

# logged EVENT N NAME: a value of the Nth line of that event
logged() {
    grep "event=$1 " log | sed -n "$2p" | tr ' ' '\n' | sed -n "s/^$3=//p"
}

# field NAME: a line of what the client printed into $T/out
field() {
    sed -n "s/^$1=//p" out | tail -1
}

assert_field() { # WANT NAME
    assert_equal "$1" "$(field "$2")" "$2"
}

# --- what a program receives -------------------------------------------------------------------

# With nothing to retry the program itself meets each fault: curl's exit status, the status of the
# response, and the same in the log.
test_each_fault_is_libcurl_s_true_error() {
    local fault exit status error
    two_backends "    retry_on: []"
    while IFS='|' read -r fault exit status error; do
        assert_status "$exit" drill "first: $fault" curl -sS -m 2 -o body -D headers -w '%{http_code}' \
            "$LOGICAL/v1/chat/completions" -d '{"model": "gpt-4"}'
        assert_equal "$status" "$(cat out)" "status, $fault"
        assert_match "$error" "$(cat err)" "message of curl, $fault"
        assert_equal 1 "$(grep -c event=attempt log)" "attempts, $fault"
        assert_equal "${fault%% *} 1" \
            "$(logged attempt 1 fault | sed 's/^status$/429/') $(logged attempt 1 fault_number)" "fault in the log"
        assert_equal "$((10#$status)) $exit 1" \
            "$(logged finished 1 status) $(logged finished 1 result) $(logged finished 1 attempts)" "finished, $fault"
        assert_equal "$(logged attempt 1 transfer)" "$(logged finished 1 transfer)" "transfer"
        if [ "$status" = 000 ]; then
            assert_equal "" "$(logged finished 1 first_ms)" "first byte, $fault"
        else
            assert_match '^[0-9]+[.][0-9]{3}$' "$(logged finished 1 first_ms)" "first byte, $fault"
        fi
    done <<'END'
429 retry-after=5|0|429|^$
refused|7|000|onnection refused|Failed to connect
dns|6|000|Could not resolve host
tls|35|000|alert|SSL
reset|56|000|Connection reset by peer
silence|28|000|timed out
silence-body|28|200|with 0 out of
cut after 20|18|200|remaining to read
stall after 20|28|200|with 20 out of
END
    assert_nothing_sent
}

# Another backend answers, and the program sees nothing of the fault.
test_what_is_retried_is_answered_by_another() {
    local fault error
    two_backends "    retry_on: [429, 5xx, connect, reset, timeout]
    first_byte_timeout: 300ms"
    while IFS='|' read -r fault error; do
        assert_status 0 drill "first: $fault" curl -sS -o body -D headers -w '%{http_code}' \
            "$LOGICAL/v1/chat/completions" -d '{"model": "gpt-4"}'
        assert_equal 200 "$(cat out)" "$fault"
        assert_equal 1 "$(grep -ac ^HTTP headers)" "status lines, $fault"
        assert_match '^second' "$(jq -r '.choices[0].message.content' body)" "$fault"
        assert_equal "$error" "$(logged attempt 1 status)$(logged attempt 1 error)" "$fault"
        assert_equal "first $error" "$(logged cooldown 1 backend) $(logged cooldown 1 reason)" "$fault"
        assert_equal "" "$(logged attempt 2 fault)" "the fault of an attempt that met none"
        assert_equal "200 0 2" \
            "$(logged finished 1 status) $(logged finished 1 result) $(logged finished 1 attempts)" "$fault"
    done <<'END'
429|429
503 retry-after=5|503
refused|connect
dns|connect
tls|connect
reset|reset
silence|timeout
END
    assert_nothing_sent
}

test_headers_and_bodies_are_the_provider_s() {
    two_backends "    retry_on: []"
    drill 'first: 429 retry-after=7' curl -sS -o body -D headers "$LOGICAL/v1/chat/completions" -d '{"model": "gpt-4"}'
    assert_match 'retry-after: 7' "$(tr -d '\r' <headers)"
    assert_equal rate_limit_exceeded "$(jq -r .error.code body)"
    assert_match 'Please try again in 7s' "$(jq -r .error.message body)"
    drill 'first: 429 quota' curl -sS -o body "$LOGICAL/v1/chat/completions" -d '{"model": "gpt-4"}'
    assert_equal insufficient_quota "$(jq -r .error.code body)"
    drill 'first: 503 x-a="b, c" body="out of order"' curl -sS -o body -D headers "$LOGICAL/v1/models"
    assert_match 'x-a: b, c' "$(tr -d '\r' <headers)"
    assert_equal "out of order" "$(cat body)"
    sed -i "s,url: $URL_first/v1,url: $URL_first/openai/deployments/gpt4," settings.yaml
    drill 'first: 400 content-filter' curl -sS -o body "$LOGICAL/v1/chat/completions" -d '{"model": "gpt-4"}'
    assert_equal content_filter "$(jq -r .error.code body)" "by the backend's own path, so in its dialect"
    assert_nothing_sent
}

# A stream that was cut is never presented as complete, even if it was cut behind its end.
test_streams_of_events() {
    local fault
    two_backends
    for fault in "cut" "cut after 100" "cut after 1GiB"; do
        assert_status 18 drill "first: $fault" curl -sSN -o body "$LOGICAL/v1/chat/completions" \
            -d '{"model": "gpt-4", "stream": true}'
        assert_equal 1 "$(grep -c event=attempt log)" "attempts, $fault"
        [ "$fault" != "cut after 100" ] || assert_equal 100 "$(wc -c <body)" "$fault"
    done
    assert_status 28 drill "first: stall after 100" curl -sSN -m 1 -o body "$LOGICAL/v1/chat/completions" \
        -d '{"model": "gpt-4", "stream": true}'
    assert_equal 100 "$(wc -c <body)" "stall"
    assert_status 0 drill "first: trickle 1ms" curl -sSN -o body "$LOGICAL/v1/chat/completions" \
        -d '{"model": "gpt-4", "stream": true}'
    assert_match 'data: .DONE' "$(tail -3 body)" "trickle"
    assert_nothing_sent
}

# --- whatever the program has set --------------------------------------------------------------

# The first attempt is rejected by a fault, the second answered by a mock, which knows no such file:
# both are detours.
second_answers() { # OPTION...
    [ "$1" != --haproxy-protocol ] || return 0 # no mock speaks that
    assert_status 0 drill 'first: 429' curl -sS -D headers -o body -w '%{http_code} %{url_effective}' "$@" \
        "$LOGICAL/v1/files"
    assert_match "^(200|404|405) $LOGICAL/v1/files" "$(cat out)" "$*"
    assert_match '^x-spillway-mock: second' "$(tr -d '\r' <headers | grep -i ^x-spillway-mock)" "$*"
    assert_equal "429 $(cut -d' ' -f1 out)" "$(logged attempt 1 status) $(logged attempt 2 status)" "$*"
}

test_whatever_the_program_has_set() {
    two_backends
    each_setting second_answers
    assert_nothing_sent
}

test_whatever_the_program_has_set_with_https() {
    local options
    two_backends
    while read -r options; do
        # shellcheck disable=SC2086  # several words
        assert_status 0 drill 'first: 429' curl -sS -o body -w '%{http_code} %{url_effective} %{scheme}' \
            $options "https://llm.test/v1/models"
        assert_match "^200 https://llm.test/v1/models" "$(cat out)" "$options"
    done <<'END'
--proto =https
--proto =https --proto-default https
--proto-redir =https -L
--http2
--http2-prior-knowledge
--no-alpn
-x http://127.0.0.1:9
--ssl-reqd
--tlsv1.3
--cacert settings.yaml
--false-start
--sessionid
END
    assert_nothing_sent
}

# A connection that fails is the backend's matter in a drill, also where a real one would be the
# proxy's: the proxy is not asked.
test_connections_that_fail_despite_a_proxy() {
    local fault
    start_mock proxy
    two_backends
    for fault in refused dns tls reset; do
        assert_status 0 env http_proxy="$URL_proxy" https_proxy="$URL_proxy" ALL_PROXY="$URL_proxy" \
            "$SPILLWAY" drill -c settings.yaml --against-mocks --quiet --fault "first: $fault for 1 attempt" -- \
            "$WORK/recording" curl -sS -o body -w '%{http_code}' --retry 1 --retry-all-errors \
            --retry-delay 1 --proto =http "$LOGICAL/v1/models"
        assert_match '200$' "$(cat out)" "$fault"
        assert_match 'connect|reset' "$(logged attempt 1 error)" "$fault"
    done
    assert_equal 0 "$(requests proxy)" "requests at the proxy"
    assert_nothing_sent
}

test_every_way_to_receive() {
    local how
    two_backends
    for how in callbacks shared file whole; do
        assert_status 0 drill 'first: 503' "$CLIENT" receive="$how" url="$LOGICAL/v1/models" perform
        assert_field 200 response_code
        assert_equal 1 "$(grep -ac 'HTTP/1.1 ' out)" "status lines, $how"
        assert_match 'x-spillway-mock: second' "$(cat out)" "$how"
    done
    assert_status 0 drill 'first: 503' curl -sSI -o headers -w '%{http_code}' "$LOGICAL/v1/models"
    assert_match '^(200|405)$' "$(cat out)" HEAD
    assert_match second "$(grep -i x-spillway-mock headers)" HEAD
    assert_status 22 drill '*: 418' curl -sSf -o body "$LOGICAL/v1/models"
    assert_match 418 "$(cat err)" FAILONERROR
    assert_status 0 drill 'first: 503' curl -sSf -o body "$LOGICAL/v1/models"
    assert_nothing_sent
}

# Bodies arrive whole at the second detour, however the program gives them.
test_uploads() {
    local fault option
    two_backends "    retry_on: [5xx, connect, reset]"
    head -c 3000000 /dev/urandom >big
    for fault in 503 reset refused dns; do
        for option in "--data-binary @big" "--data-binary @big -H Expect:" "-F file=@big" "-T big" \
            "-X POST -T -"; do
            # shellcheck disable=SC2086  # several words
            assert_status 0 drill "first: $fault" curl -sS -o body -w '%{http_code}' $option \
                "$LOGICAL/v1/files" <big
            assert_equal 200 "$(cat out)" "$fault, $option"
            assert_equal 2 "$(grep -c event=attempt log)" "$fault, $option"
        done
        assert_status 0 drill "first: $fault" "$CLIENT" upload=3000000 seek=1 url="$LOGICAL/v1/files" perform
        assert_equal "0 200" "$(field result) $(field response_code)" "$fault, with a read function"
    done
    assert_nothing_sent
}

# --- what stays where it belongs ---------------------------------------------------------------

# The key of a backend, and what the program has for credentials, stay at home.
test_no_credential_goes_along() {
    local option
    two_backends
    printf 'machine llm.test login user password p-in-netrc\n' >.netrc
    chmod 600 .netrc
    while read -r option; do
        # shellcheck disable=SC2086  # several words
        drill 'first: 429' curl -sSv -o body $option "$LOGICAL/v1/models" >out 2>err
        assert_match '> x-spillway-fault: 429' "$(cat err)" "$option"
        assert_match '> x-spillway-backend: first' "$(cat err)" "$option"
        assert_no_match "$KEY|[Aa]uthorization|api-key|cGFzc|p-in-netrc|sk-own" "$(grep '^>' err)" "$option"
        assert_equal 2 "$(grep -c event=attempt log)" "$option"
    done <<'END'
-H Authorization:Bearer=sk-own
-H api-key:sk-own
-u user:pass
-u user:pass --digest
--oauth2-bearer sk-own
--netrc
END
    drill 'first: 429' curl -sSv -o body "http://user:pass@llm.test/v1/models" >out 2>err
    assert_no_match "[Aa]uthorization" "$(grep '^>' err)" "in the URL"
    assert_equal 2 "$(grep -c event=attempt log)" "in the URL"
    assert_nothing_sent
}

# Without --against-mocks, what no fault meets goes to the backend, as it would anyway.
test_the_next_attempt_is_pristine() {
    start_mock first
    start_mock second
    settings_with "$URL_first" "$URL_second"
    curl -sS -o body -H 'Authorization: Bearer own' -d '{"model": "a"}' "$URL_second/v1/chat/completions"
    assert_status 0 "$SPILLWAY" drill -c settings.yaml --quiet --fault 'first: 503 for 1 attempt' -- \
        curl -sS -o body -w '%{http_code} ' -H 'Authorization: Bearer own' -d '{"model": "a"}' \
        "$LOGICAL/v1/chat/completions"
    assert_equal "200 " "$(cat out)"
    assert_equal "0 2" "$(requests first) $(requests second)"
    assert_equal "$(head -1 second.log | jq -c '[.path, .headers, .key_hash, .body_hash]')" \
        "$(tail -1 second.log | jq -c '[.path, .headers, .key_hash, .body_hash]')" "what the backend got"
    assert_status 0 "$SPILLWAY" drill -c settings.yaml --quiet --fault 'second: 503' -- \
        curl -sS -o body "http://user:pass@llm.test/v1/models"
    assert_equal "1 2" "$(requests first) $(requests second)"
}

test_socket_callbacks_are_spared_and_stay() {
    start_mock elsewhere
    two_backends
    assert_status 0 drill 'first: 429' "$CLIENT" sockets=1 url="$LOGICAL/v1/models" perform \
        url="$URL_elsewhere/v1/models" perform
    assert_equal "0 0 0" "$(sed -n 's/^sockets=//p' out | head -1 | cut -d' ' -f1-3)" \
        "calls of open, configure, close for a detour"
    assert_equal "200 1 1" "$(field response_code) $(field sockets | cut -d' ' -f1,2)"
}

# What of the client's output does not differ from one transfer to the next.
clean() {
    sed -E 's/(date|x-request-id): .*/\1/; s/elsewhere-[0-9]+|"created_at":[0-9]+//g; /^ms=/d'
}

test_the_handle_is_as_it_was() {
    local option
    start_mock elsewhere
    two_backends
    for option in interface=127.0.0.1 fastopen=1 http_version=1 http_version=3 keep_sending=1 \
        protocols=http port=0 timeout_ms=5000 fail=1 header=X-A:b userpwd=user:pass encoding=gzip \
        fields={} upload=100; do
        "$CLIENT" "$option" url="$URL_elsewhere/v1/files" perform >plain.out
        assert_status 0 drill 'first: refused' "$CLIENT" "$option" url="$LOGICAL/v1/files" perform \
            url="$URL_elsewhere/v1/files" perform
        assert_equal 2 "$(grep -c event=attempt log)" "attempts, $option"
        assert_equal "$(clean <plain.out)" "$(sed '1,/^ms=/d' out | clean)" "after the drill's, with $option"
        assert_equal "$(tail -2 elsewhere.log | head -1 | jq -c '[.method, .path, .host, .headers]')" \
            "$(tail -1 elsewhere.log | jq -c '[.method, .path, .host, .headers]')" "with $option"
    done
    assert_status 0 drill 'first: refused' "$CLIENT" url="$LOGICAL/v1/models" perform duplicate \
        url="$URL_elsewhere/v1/models" perform reset url="$URL_elsewhere/v1/models" perform
    assert_field 200 response_code
    assert_nothing_sent
}

test_no_descriptor_stays_open() {
    local counts
    two_backends
    assert_status 0 drill '*: reset every 3' "$CLIENT" url="$LOGICAL/v1/models" perform descriptors \
        perform perform perform perform fields={} perform descriptors
    counts=$(sed -n 's/^descriptors=//p' out | sort -u | wc -l)
    assert_equal 1 "$counts" "different counts of descriptors"
}

# --- other ways to run transfers ---------------------------------------------------------------

test_multi() {
    local loop fault end
    two_backends "    retry_on: [429, 5xx, connect]"
    for loop in perform epoll; do
        while IFS='|' read -r fault end; do
            drill "first: $fault" "$ROOT/build/programs/multi_fetch" "$loop" 8 \
                "$LOGICAL/v1/chat/completions" timeout_ms=2000 >out 2>err || [ "$end" != "0 200 8" ] ||
                fail "$loop, $fault: $(cat err out)"
            assert_equal "$end" "$(grep -E '^[0-9]+ [0-9]+ [0-9]+$' out)" "$loop, $fault"
            assert_equal 8 "$(grep -c event=finished log)" "$loop, $fault"
            assert_equal 8 "$(grep event=finished log | grep -o 'transfer=[^ ]*' | sort -u | wc -l)" "numbers, $loop"
        done <<'END'
429|0 200 8
503|0 200 8
refused|0 200 8
dns|0 200 8
tls|0 200 8
reset|56 0 8
silence|28 0 8
silence-body|28 200 8
cut after 20|18 200 8
stall after 20|28 200 8
trickle 1ms|0 200 8
END
    done
    assert_nothing_sent
}

# --- without a drill that can be held ----------------------------------------------------------

test_without_its_page_nothing_is_routed() {
    two_backends
    mkdir -m 700 room
    assert_status 6 env SPILLWAY_DRILL="$T/room" SPILLWAY_LOG_FILE="$T/log" "$SPILLWAY" run \
        -c settings.yaml -- curl -sS "$LOGICAL/v1/models"
    assert_match 'level=error .*event=drill error="no page in .*No such file' "$(cat log)"
    assert_equal 1 "$(wc -l <log)" "lines"
    assert_nothing_sent
}

# Faults in the settings are for drills alone, and both say so.
test_faults_of_the_settings_are_for_drills() {
    local notice="settings.yaml: warning: faults: 2 of them, without effect outside of spillway drill"
    two_backends
    printf 'faults: ["*: 429", "first: reset"]\n' >>settings.yaml
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_equal "$notice" "$(cat err)"
    assert_status 0 "$SPILLWAY" run -c settings.yaml -- curl -sS -o body "$LOGICAL/v1/models"
    assert_match "$notice" "$(cat err)"
    assert_equal "1 0" "$(requests first) $(requests second)"
    printf 'faults: ["*: 429", "first: resett"]\n' >faults
    sed '/^faults/d' settings.yaml | cat - faults >wrong.yaml
    assert_status 1 "$SPILLWAY" check -c wrong.yaml
    assert_match "^wrong.yaml:$(wc -l <wrong.yaml):28: faults: found 'resett', .*did you mean 'reset'" "$(cat err)"
}

run_tests
