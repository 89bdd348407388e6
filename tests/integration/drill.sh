#!/usr/bin/env bash
# `spillway drill`: what a program receives when its backends are made to fail, and what the report
# says of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

NOWHERE=http://127.0.0.1:9 # nobody listens there: what a drill asks, it asks itself

# backends NAME...: an endpoint with these, of one priority each, that no packet would reach. LINE is
# one more of its lines.
backends() {
    local name priority=0
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        [ -z "${LINE-}" ] || echo "    $LINE"
        echo "    backends:"
        for name; do
            priority=$((priority + 1))
            echo "      - {name: $name, url: $NOWHERE/v1, priority: $priority}"
        done
    } | write_settings
}

# drill [OPTION...] -- PROGRAM...: against mocks, reported to report.json
drill() {
    "$SPILLWAY" drill -c settings.yaml --against-mocks --json report.json "$@"
}

# reported .FIELD
reported() {
    jq -r "$1" report.json
}

# chat [CURL OPTION...]: one request for a chat completion by curl, which prints the status. A program
# of its own, so that it can be what a drill runs.
cat >"$WORK/chat" <<'END'
#!/bin/sh
exec curl -sS -o body -w '%{http_code}' "$@" "$LOGICAL/v1/chat/completions" -H 'Content-Type: application/json' \
    -d '{"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}'
END
chmod +x "$WORK/chat"
PATH=$WORK:$PATH

test_without_a_fault_mocks_answer() {
    backends first second
    assert_status 0 drill -- chat
    assert_equal 200 "$(cat out)"
    assert_match first "$(jq -r '.choices[0].message.content' body)" "who answered"
    assert_equal "1 1 1 0 0" \
        "$(reported '"\(.transfers) \(.answered) \(.attempts) \(.wasted) \(.faulted)"')"
    assert_match 'ended with status 0 .*against mocks' "$(head -1 err)"
    assert_equal "first" "$(reported '.attempt_list[0].backend')"
}

# The program's output is its own; the report goes to standard error, or nowhere.
test_output_is_the_program_s() {
    backends first
    echo input | drill -- cat >out 2>err
    assert_equal input "$(cat out)"
    assert_match 'no transfer to an endpoint' "$(cat err)"
    drill --quiet -- sh -c 'echo own >&2' >out 2>err
    assert_equal own "$(cat out err)"
}

test_exit_status() {
    backends first
    assert_status 3 drill -- sh -c 'exit 3'
    assert_equal "3 null" "$(reported '"\(.exit_status) \(.signal)"')"
    assert_status 143 drill -- sh -c 'kill -TERM $$'
    assert_equal "143 15" "$(reported '"\(.exit_status) \(.signal)"')"
    rm report.json
    assert_status 127 drill -- ./absent
    assert_match 'absent: No such file' "$(cat err)"
    touch plain
    assert_status 126 drill -- ./plain
    printf '#!/no/such/interpreter\n' >script
    chmod +x script
    assert_status 127 drill -- ./script
    assert_match 'required file not found' "$(cat err)"
    [ ! -e report.json ] || fail "a report of what did not run"
    assert_status 0 drill --expect 'exit_status = 3' -- sh -c 'exit 3'
    assert_match 'met +exit_status = 3 +is 3' "$(cat err)"
    assert_status 1 drill --expect 'transfers = 0, exit_status < 3' -- sh -c 'exit 3'
    assert_match 'NOT MET +exit_status < 3 +is 3' "$(cat err)"
    assert_equal "true false" "$(reported '[.expectations[].met] | map(tostring) | join(" ")')"
}

# Whatever is wrong, the program has not been started.
test_bad_input_starts_nothing() {
    local want tried=0 arguments
    backends eastus-ptu westus
    while IFS='|' read -r arguments want; do
        eval "set -- $arguments"
        assert_status 2 "$SPILLWAY" drill "$@" -- touch started
        assert_match "$want" "$(cat err)" "message of: $arguments"
        [ ! -e started ] || fail "started with $arguments"
        tried=$((tried + 1))
    done <<'END'
-c absent.yaml|absent.yaml
-c settings.yaml --fault 'eastus-ptv: 429'|--fault 1, column 1: .*eastus-ptv.*did you mean .*eastus-ptu
-c settings.yaml --fault 'westus: reset' --fault 'eastus-ptu: rest 10%'|--fault 2, column 13: .*rest.*did you mean .*reset
-c settings.yaml --fault 'eastus-ptu: 429 for 60'|--fault 1, column 2
-c settings.yaml --fault 'eastus-ptu 429'|--fault 1, column
-c settings.yaml --fault ''|--fault 1, column 1
-c settings.yaml --expect 'answerd > 1%'|--expect, column 1: .*did you mean 'answered'
-c settings.yaml --expect 'answered >= 120%'|--expect, column 1: .*can.t be
-c settings.yaml --expect 'first_answer_after_end < 1s' --fault 'westus: reset'|no fault has an end
-c settings.yaml --expect 'attempts@weatus < 1'|column 10: .*did you mean 'westus'
-c settings.yaml --sed 4|found --sed which is no option; did you mean --seed
-c settings.yaml --html absent/page.html|cannot write into 'absent'
-c settings.yaml --json absent/page.json|cannot write into 'absent'
END
    assert_equal 13 "$tried" "lines tried"
}

# ---- each kind of fault: what the program receives ---------------------------------------------

# received FAULT [CURL OPTION...]: what curl gets when the fault meets the only backend, and nothing is
# retried: "exit status, HTTP status, bytes of the body"
received() {
    local fault=$1 status=0
    shift
    LINE="retry_on: [418]" backends ptu
    rm -f report.json body
    drill --fault "ptu: $fault" -- chat "$@" >out 2>err || status=$?
    [ -e body ] || : >body
    echo "$status $(cat out) $(wc -c <body)"
}

test_statuses() {
    local status got
    for status in 400 401 403 404 408 409 429 500 502 503 504; do
        assert_equal "0 $status" "$(received "$status" | cut -d' ' -f1,2)" "fault $status"
        got=$(jq -r '.error.message | length > 0' body) || fail "body of $status: $(cat body)"
        assert_equal true "$got" "an error's message in the body of $status"
        assert_equal "1 $status" "$(reported '"\(.faulted) \(.attempt_list[0].status)"')"
    done
}

test_headers_and_causes() {
    LINE="retry_on: [418]" backends ptu
    drill --fault 'ptu: 429 retry-after=5 x-note="a b"' -- chat -D headers >out 2>err
    assert_equal 429 "$(cat out)"
    assert_match 'etry-[Aa]fter: 5' "$(cat headers)"
    assert_match 'x-note: a b' "$(cat headers)"
    drill --fault 'ptu: 429 quota' -- chat >out 2>err
    assert_match quota "$(cat body)"
    drill --fault 'ptu: 429 too-large' -- chat >out 2>err
    assert_match 'too large' "$(cat body)"
}

test_connections_that_fail() {
    assert_equal "7 000 0" "$(received refused)" refused
    assert_equal "6 000 0" "$(received dns)" dns
    assert_equal "35 000 0" "$(received tls)" tls
    assert_match '^(52|56) 000 0$' "$(received reset)" reset
    assert_equal "7 000 0" "$(received 'connect refused')" "connect refused"
    assert_equal "6 000 0" "$(received 'dns failure')" "dns failure"
    assert_equal "1 failed" "$(reported '"\(.attempts) \(.attempt_list[0].outcome)"')"
}

test_silence() {
    assert_equal "28 000 0" "$(received silence --max-time 1)" silence
    assert_equal "28 200 0" "$(received silence-body --max-time 1)" silence-body
    assert_equal "failed" "$(reported '.attempt_list[0].outcome')" "a response without a body"
    assert_equal "0" "$(reported .answered | cut -d. -f1)"
}

# No truncated response is presented as complete.
test_streams_that_break() {
    assert_equal "18 200 50" "$(received 'cut after 50')" cut
    assert_equal "failed cut 18" "$(reported '.attempt_list[0] | "\(.outcome) \(.error) \(.curl)"')"
    assert_equal "1 0" "$(reported '"\(.program_errors) \(.answered)"' | sed 's/\.0*$//')"
    assert_equal "28 200 50" "$(received 'stall after 50' --max-time 1)" stall
    assert_equal "18 200 50" "$(received 'stream cut after 50 bytes')" "in plain English"
}

test_trickle() {
    local plain slow
    plain=$(received '200')
    slow=$(received 'trickle 50ms')
    assert_equal "0 200" "$(cut -d' ' -f1,2 <<<"$slow")"
    assert_equal "$(cut -d' ' -f3 <<<"$plain")" "$(cut -d' ' -f3 <<<"$slow")" "bytes"
    awk '{ exit !($1 >= 0.1) }' <<<"$(reported .longest)" || fail "it took $(reported .longest) s"
}

# ---- when a fault meets ------------------------------------------------------------------------

# met FAULT [OPTION...]: of ten requests, one after the other, which ones it met
met() {
    local fault=$1
    shift
    LINE="retry_on: [418]" backends ptu
    drill --fault "ptu: $fault" "$@" -- bash -c 'for i in {1..10}; do chat >/dev/null; done' >out 2>err
    reported '[.transfer_list[] | if .status == 503 then "x" else "." end] | join("")'
}

test_every_and_attempts() {
    assert_equal "..x..x..x." "$(met '503 every 3')"
    assert_equal "xx........" "$(met '503 for 2 attempts')"
    assert_equal "...xxxxxxx" "$(met '503 after 3 attempts')"
    assert_equal "...xx....." "$(met '503 for 2 attempts after 3 attempts')"
}

test_rates_are_the_same_with_the_same_seed() {
    local first seed all=""
    first=$(met '503 50%' --seed 7)
    assert_match 'x' "$first"
    assert_match '\.' "$first"
    assert_equal "$first" "$(met '503 50%' --seed 7)" "with the same seed"
    for seed in 8 9 10 11; do
        all=$all$(met '503 50%' --seed "$seed")
    done
    [ "$all" != "$first$first$first$first" ] || fail "all seeds are the same: $first"
    assert_equal "xxxxxxxxxx" "$(met '503 100%')"
}

# An outage of some seconds: the other backend answers meanwhile, and the first one again afterwards.
test_an_outage() {
    local during
    backends ptu other
    # shellcheck disable=SC2016  # for the shell that asks
    assert_status 0 drill --fault 'ptu: 429 retry-after=1 for 3s' --html page.html \
        --expect 'answered = 100%, program_429 = 0, attempts@ptu >= 2, status_429@ptu >= 1,
                  first_answer_after_begin < 3s, first_answer_after_end < 20s, exit_status = 0' -- \
        bash -c 'while :; do
            chat >status
            [ "$(cat status)" = 200 ] || exit 5
            [ $SECONDS -lt 6 ] || exit 0
            sleep 0.1
        done'
    assert_match 'first answer .* after it began; first answer from that backend .* after it ended' "$(cat err)"
    # one attempt per cooldown of a second
    during=$(reported '[.attempt_list[] | select(.backend == "ptu" and .status == 429)] | length')
    [[ $during -ge 1 && $during -le 4 ]] || fail "$during attempts on the dead backend"
    assert_equal 0 "$(reported '[.attempt_list[] | select(.backend == "ptu" and .status == 200 and .begin < 2.9)] | length')" \
        "answers from the dead backend"
    assert_equal "$during" "$(reported '.backends[] | select(.name == "ptu") | .faulted')"
    assert_equal "$(reported .transfers)" "$(reported '.transfer_list | length')"
    assert_equal "$(reported .attempts)" "$(reported '.attempt_list | length')"
    assert_match '<svg' "$(cat page.html)"
}

test_exhausted_and_the_program_s_own_retries() {
    backends ptu
    assert_status 0 drill --fault 'ptu: 429 retry-after=1 for 1 attempts' -- chat --retry 3
    assert_match '200$' "$(cat out)"
    assert_equal "1 1 1" "$(reported '"\(.program_429) \(.exhausted) \(.retries)"')"
    assert_equal "2 0.5" "$(reported '"\(.transfers) \(.answered)"' | sed 's/0*$//')"
    assert_equal "429 answered" "$(reported '"\(.transfer_list[0].status) \(.transfer_list[1].outcome)"')"
}

# Faults of the settings come first, and only here.
test_faults_of_the_settings() {
    LINE="retry_on: [418]" backends ptu
    printf "faults:\n  - 'ptu: 503 for 1 attempts'\n" >>settings.yaml
    drill --fault 'ptu: 500' -- bash -c 'chat; chat' >out 2>err
    assert_equal 503500 "$(cat out)"
    assert_equal "ptu: 503 for 1 attempts" "$(reported '.faults[0].fault')"
    start_mock real
    sed -i "s|$NOWHERE|$URL_real|" settings.yaml
    assert_status 0 spill chat
    assert_equal 200 "$(cat out)"
    assert_equal 1 "$(requests real)"
}

# ---- what surrounds the program ----------------------------------------------------------------

# Without --against-mocks what no fault meets goes to the backend, with its key, and nothing else.
test_backends_are_asked() {
    start_mock real
    export KEY_OF_REAL=sk-of-the-backend
    write_settings <<SETTINGS
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - {name: dead, url: $URL_real/v1, priority: 1, key_env: KEY_OF_REAL}
      - {name: real, url: $URL_real/v1, priority: 2, key_env: KEY_OF_REAL}
SETTINGS
    assert_status 0 "$SPILLWAY" drill -c settings.yaml --json report.json --fault 'dead: 503' -- chat
    assert_equal 200 "$(cat out)"
    assert_equal 1 "$(requests real)" "requests at the backend"
    assert_equal "dead real" "$(reported '[.attempt_list[].backend] | join(" ")')"
    assert_equal "$(printf %s "$KEY_OF_REAL" | sha256sum | cut -c1-16)" "$(log_field real 1 .key_hash)"
    assert_equal "" "$(grep -E "$KEY_OF_REAL" report.json err)" "keys in the report"
}

# A drill neither uses nor changes what other programs know, and leaves nothing behind.
test_the_state_is_the_drill_s_own() {
    local before
    start_mock real
    backends ptu other
    sed -i "s|$NOWHERE|$URL_real|" settings.yaml
    export XDG_RUNTIME_DIR=$T/run
    mkdir -m 700 run
    assert_status 0 spill curl -sS -o body "$LOGICAL/v1/models"
    before=$(sha256sum state/ledger)
    # shellcheck disable=SC2016  # for the inner shell
    drill --fault 'ptu: 429 retry-after=60' -- bash -c 'chat; ls -a "$SPILLWAY_DRILL" >inside' >out 2>err
    assert_match record "$(cat inside)"
    assert_equal "$before" "$(sha256sum state/ledger)" "the state of other programs"
    assert_equal "" "$(ls run/spillway)" "what is left of the drill"
}

test_nothing_is_left_after_a_signal() {
    local number status pid tries
    backends ptu
    export XDG_RUNTIME_DIR=$T/run
    mkdir -m 700 run
    for number in TERM HUP; do
        rm -f ready
        status=0
        # shellcheck disable=SC2016  # for the inner shell
        drill -- bash -c 'trap "exit 7" TERM HUP; echo $PPID >ready; while :; do sleep 0.05; done' >out 2>err &
        pid=$!
        for ((tries = 0; tries < 500; tries++)); do
            [ ! -s ready ] || break
            sleep 0.02
        done
        kill "-$number" "$(cat ready)" || fail "no drill"
        wait "$pid" || status=$?
        assert_equal 7 "$status" "exit status after SIG$number: $(cat err)"
        assert_equal "" "$(ls run/spillway)" "what is left after SIG$number"
        assert_match 'ended with status 7' "$(cat err)"
    done
}

# Ctrl-C is the terminal's: program and drill get it, the program once.
test_a_terminal_interrupts_once() {
    backends ptu
    # shellcheck disable=SC2016  # for the inner shell
    "$ROOT/build/programs/pty" 24 80 wait=ready keys=$'\003' end -- "$SPILLWAY" drill -c settings.yaml -m -- \
        bash -c 'trap "echo came >>signals; exit 5" INT; echo ready; while :; do sleep 0.05; done' >out 2>err
    assert_match 'status=5' "$(cat err)"
    assert_match 'terminal=same' "$(cat err)"
    assert_equal came "$(cat signals)"
    assert_match 'ended with status 5' "$(tr -d '\r' <out)"
}

test_many_processes() {
    backends ptu other
    # shellcheck disable=SC2016  # for the inner shell
    assert_status 0 drill --fault 'ptu: refused' --expect 'answered = 100%, transfers = 24' -- bash -c '
        for i in {1..8}; do
            (for k in 1 2 3; do curl -sS -o /dev/null "$LOGICAL/v1/models" || exit 1; done) &
        done
        wait'
    assert_equal "24 24" "$(reported '"\(.processes) \(.transfers)"')"
    # once a cooldown stands nobody asks
    [ "$(reported '.backends[0].attempts')" -le 8 ] || fail "$(reported '.backends[0].attempts') attempts"
}

# What a program without libcurl sends goes through a relay of the drill's own, where faults are the
# same. (To curl it is some server, which no endpoint means.)
test_through_the_relay() {
    backends ptu other
    # shellcheck disable=SC2016  # for the inner shell
    assert_status 0 drill --fault 'ptu: 429 retry-after=60' -- sh -c 'for i in 1 2 3; do
        curl -sS -o body -w "%{http_code} " -H "Host: ${LOGICAL#http://}" "http://127.0.0.1:$SPILLWAY_RELAY_PORT/v1/models"
    done'
    assert_equal "200 200 200 " "$(cat out)"
    assert_equal "3 1 1" "$(reported '"\(.transfers) \(.faulted) \(.answered)"' | sed 's/\.0*$//')"
    assert_equal "ptu other other other" "$(reported '[.attempt_list[].backend] | join(" ")')"
}

test_a_stream_of_events_is_cut() {
    LINE="retry_on: [418]" backends ptu
    # shellcheck disable=SC2016  # for the inner shell
    drill --fault 'ptu: cut after 300' -- bash -c 'curl -sSN -o body "$LOGICAL/v1/chat/completions" \
        -H "Content-Type: application/json" -d "{\"stream\": true, \"messages\": []}"' >out 2>err && fail "a success"
    assert_equal 300 "$(wc -c <body)" "bytes of the stream"
    assert_equal "" "$(grep DONE body)"
    assert_equal "1 18" "$(reported '"\(.program_errors) \(.transfer_list[0].curl)"')"
}

test_help() {
    assert_status 0 "$SPILLWAY" drill --help
    assert_match '^Usage: spillway drill' "$(cat out)"
    assert_equal "" "$(awk 'length > 90' out)" "long lines"
    assert_equal "" "$(cat err)"
}

run_tests
