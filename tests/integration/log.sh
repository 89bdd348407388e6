#!/usr/bin/env bash
# The log: one logfmt line per event; and a program whose log or settings are of no use is left
# alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

KEY=sk-of-the-backend-7f3a9c
OWN_KEY=sk-of-the-program-51d2e8

settings_with() { # URL_OF_FIRST URL_OF_SECOND [LINE AT THE TOP]
    export KEY_OF_SECOND=$KEY
    write_settings <<END
${3:-# all else as it is by default}
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - {name: first, url: $1/v1, priority: 1}
      - {name: second, url: $2/v1, priority: 2, key_env: KEY_OF_SECOND}
END
}

# bare COMMAND...: with the preload alone, as a service's environment would have it
bare() {
    LD_PRELOAD=$PRELOAD SPILLWAY_CONFIG=${CONFIG:-$T/settings.yaml} "$@"
}

# value NAME LINE: of a logfmt line, without its quotes
value() {
    sed -nE "s/^(.* )?$1=(\"([^\"\\\\]|\\\\.)*\"|[^ ]*)( .*)?\$/\2/p" <<<"$2" | sed 's/^"\(.*\)"$/\1/'
}

# event NAME [N]: the Nth line of that event
event() {
    grep -E " event=$1( |\$)" log | sed -n "${2:-1}p"
}

events() {
    sed -nE 's/.* event=([^ ]+).*/\1/p' log | tr '\n' ' ' | sed 's/ $//'
}

assert_logfmt() {
    local pair='[a-z_]+=("([^"\\]|\\.)*"|[^ "=]*)'
    [ -s log ] || fail "nothing was logged"
    assert_equal "" "$(grep -vE "^$pair( $pair)*\$" log)" "lines that are not logfmt"
    assert_equal "" "$(grep -vE '^time=20[0-9-]+T[0-9:.]+Z level=(error|warn|info|debug) pid=[0-9]+ event=[a-z_]+( |$)' log)" \
        "lines without time, level, pid and event"
}

test_each_event_has_its_fields() {
    local line
    start_mock first --script 429:retry-after=1,200
    start_mock second --status 503:retry-after=30
    settings_with "$URL_first" "$URL_second"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    "$SPILLWAY" run -c settings.yaml -- curl -sS -o out "$LOGICAL/v1/chat/completions?api-key=$OWN_KEY" -H "api-key: $OWN_KEY" \
        -H "Authorization: Bearer $OWN_KEY" -d "{\"key\": \"$OWN_KEY\"}" 2>err &
    local pid=$!
    wait "$pid" || fail "curl: $(cat err)"
    assert_logfmt
    assert_equal "intercepted attempt cooldown attempt cooldown exhausted finished" "$(events)"
    assert_equal "" "$(grep -v " pid=$pid " log)" "lines of another process"
    line=$(event attempt 1)
    assert_equal "first 429" "$(value backend "$line") $(value status "$line")"
    assert_match '^[0-9]+(\.[0-9]+)?$' "$(value ms "$line")" "ms of an attempt"
    line=$(event cooldown 1)
    assert_equal "first 429" "$(value backend "$line") $(value reason "$line")"
    awk '{ exit !($1 > 0.5 && $1 <= 1) }' <<<"$(value seconds "$line")" || fail "seconds: $line"
    line=$(event attempt 2)
    assert_equal "second 503" "$(value backend "$line") $(value status "$line")"
    line=$(event cooldown 2)
    assert_equal "second 503" "$(value backend "$line") $(value reason "$line")"
    awk '{ exit !($1 > 29 && $1 <= 30) }' <<<"$(value seconds "$line")" || fail "seconds: $line"
    assert_match 'endpoint=llm' "$(event intercepted)"
    assert_match 'endpoint=llm' "$(event exhausted)"
    assert_equal "1" "$(grep -oE " transfer=$pid-1( |$)" log | tr -d ' ' | sort -u | wc -l)" "transfers in the log"
    assert_equal "$(wc -l <log)" "$(grep -cE " transfer=$pid-1( |$)" log)" "lines of the transfer"
    line=$(event finished)
    assert_equal "2 429 0" "$(value attempts "$line") $(value status "$line") $(value result "$line")"
    assert_equal "$(wc -c <out)" "$(value bytes "$line")" "bytes of the answer"
    awk '{ exit !($1 > 0 && $1 <= $2) }' <<<"$(value first_ms "$line") $(value ms "$line")" || fail "times: $line"
    rm log
    # It comes back after its second, and says so.
    spill curl -sS -o out --retry 3 --retry-delay 1 "$LOGICAL/v1/models" 2>err || fail "curl: $(cat err)"
    assert_logfmt
    assert_equal "first" "$(value backend "$(event recovered)")"
    line=$(grep ' event=attempt ' log | tail -1)
    assert_equal "first 200" "$(value backend "$line") $(value status "$line")"
    assert_equal 1 "$(grep -c ' event=recovered' log)"
}

test_a_connection_that_fails_has_its_reason() {
    start_mock second
    settings_with http://127.0.0.1:9 "$URL_second"
    export SPILLWAY_LOG=info SPILLWAY_LOG_FILE=$T/log
    assert_status 0 spill curl -sS -o out "$LOGICAL/v1/models"
    assert_logfmt
    assert_equal "first connect" "$(value backend "$(event cooldown)") $(value reason "$(event cooldown)")"
    assert_equal "first" "$(value backend "$(event attempt)")"
    assert_equal "second 200" "$(value backend "$(event attempt 2)") $(value status "$(event attempt 2)")"
}

test_no_key_is_ever_logged() {
    start_mock first --status 429:retry-after=1
    start_mock second --status 401
    settings_with "$URL_first" "$URL_second"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    assert_status 0 spill curl -sS -o out -u "me:$OWN_KEY" "$LOGICAL/v1/models?sig=$OWN_KEY" \
        -H "api-key: $OWN_KEY" -b "session=$OWN_KEY"
    assert_status 0 spill curl -sS -o out "http://me:$OWN_KEY@${LOGICAL#http://}/v1/models#$OWN_KEY"
    settings_with "$URL_second" "$URL_second" "log: {level: debug}"
    sed -i "s/key_env: KEY_OF_SECOND/key: $KEY/" settings.yaml
    assert_status 0 spill curl -sS -o out "$LOGICAL/v1/models"
    # One that can't be sent, and one that stands where the settings have no place for it.
    sed -i "s/key: $KEY/key: \"$KEY\\\\nx\"/" settings.yaml
    bare curl -sS "$LOGICAL/v1/models" >out 2>err
    sed -i "s/key: .*}/kye: $KEY}/" settings.yaml
    bare curl -sS "$LOGICAL/v1/models" >>out 2>>err
    assert_logfmt
    assert_equal "" "$(grep -E "$KEY|$OWN_KEY" log err)" "keys in the log"
}

test_what_a_request_holds_cannot_forge_a_line() {
    start_mock first
    settings_with "$URL_first" "$URL_first"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    assert_status 0 spill curl -sS -o out --path-as-is "$LOGICAL/v1/files/a%0Alevel=error%20event=forged"
    assert_status 0 spill curl -sS -o out --path-as-is -g "$LOGICAL/v1/files/\"a=b\""
    bare curl -sS -o out "$LOGICAL/v1/$(head -c 3000 /dev/zero | tr '\0' x)" || fail "a long path"
    assert_logfmt
    assert_equal "" "$(event forged)"
}

test_levels() {
    local level want tried=0
    start_mock first --status 429:retry-after=1
    start_mock second
    export SPILLWAY_LOG_FILE=$T/log
    settings_with "$URL_first" "$URL_second"
    while read -r level want; do
        rm -rf log state
        SPILLWAY_LOG=$level spill curl -sS -o out "$LOGICAL/v1/models" || fail "curl"
        assert_equal "$want" "$(events 2>/dev/null)" "events of level $level"
        tried=$((tried + 1))
    done <<'END'
off
error
warn cooldown
info intercepted attempt cooldown attempt finished
debug intercepted attempt cooldown attempt finished
END
    assert_equal 5 "$tried" "levels tried"
    # The settings' own level and file, which the environment wins over.
    settings_with "$URL_first" "$URL_second" "log: {level: info, file: own.log}"
    rm -rf log state
    unset SPILLWAY_LOG_FILE
    spill curl -sS -o out "$LOGICAL/v1/models"
    assert_equal 5 "$(wc -l <own.log)" "lines of the settings' log"
    rm -rf state
    SPILLWAY_LOG=warn SPILLWAY_LOG_FILE=$T/log spill curl -sS -o out "$LOGICAL/v1/models"
    assert_equal "5 1" "$(wc -l <own.log) $(wc -l <log)"
    # Without a file there is no log, whatever the level.
    settings_with "$URL_first" "$URL_second"
    rm -rf state
    assert_status 0 env SPILLWAY_LOG=debug "$SPILLWAY" run -c settings.yaml -- curl -sS -o body "$LOGICAL/v1/models"
    assert_equal "" "$(cat out err)"
}

test_one_write_per_line() {
    start_mock first --status 429:retry-after=1
    start_mock second
    settings_with "$URL_first" "$URL_second"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    assert_status 0 strace -f -qq -o trace -e trace=open,openat,write "$SPILLWAY" run -c settings.yaml -- \
        curl -sS -o body "$LOGICAL/v1/models"
    assert_equal 5 "$(grep -c 'write(.*"time=' trace)" "writes"
    assert_equal 5 "$(wc -l <log)" lines
    assert_equal "" "$(grep 'openat(.*/log"' trace | grep -vE 'O_APPEND.*O_CLOEXEC|O_CLOEXEC.*O_APPEND')" \
        "opened in another way"
}

test_many_processes_share_a_log() {
    local i pids=()
    start_mock first
    settings_with "$URL_first" "$URL_first"
    export SPILLWAY_LOG=info SPILLWAY_LOG_FILE=$T/log
    for i in {1..12}; do
        spill curl -sS -o "body$i" "$LOGICAL/v1/models" &
        pids+=("$!")
    done
    wait "${pids[@]}" || fail "the last curl ends with $?"
    assert_logfmt
    assert_equal "36 12" "$(wc -l <log) $(sed 's/.* pid=\([0-9]*\).*/\1/' log | sort -u | wc -l)" \
        "lines and processes"
}

test_a_log_that_cannot_be_written_changes_nothing() {
    local file
    start_mock first --status 429:retry-after=1
    start_mock second --status 200:body=hello
    settings_with "$URL_first" "$URL_second"
    mkdir directory
    mkfifo fifo # that nobody reads
    touch closed
    for file in "$T/absent/log" "$T/directory" "$T/fifo" /dev/full /proc/version "" relative/log; do
        rm -rf state
        SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$file bare curl -sS "$LOGICAL/v1/models" >out 2>err ||
            fail "curl ends with $?, log is '$file': $(cat err)"
        assert_equal "hello" "$(cat out err)" "output, log is '$file'"
    done
}

# ---- a preload without `run`, and settings that are wrong ------------------------------------

# untouched COMMAND...: its output and exit status are those that it has without the preload
untouched() {
    local plain=0 status=0
    "$@" >want.out 2>want.err || plain=$?
    bare "$@" >got.out 2>got.err || status=$?
    assert_equal "$plain" "$status" "exit status of $*"
    cmp want.out got.out || fail "other output of $*"
    sed -i 's/after [0-9]* ms/after N ms/' want.err got.err
    cmp want.err got.err || fail "other errors of $*: $(cat got.err)"
}

bad_settings() {
    printf 'endpoints:\n  - url: %s\n    strategie: first\n' "$LOGICAL" >settings.yaml
}

test_bad_settings_leave_the_program_untouched() {
    start_mock elsewhere --status 200:body=hello
    bad_settings
    export SPILLWAY_LOG_FILE=$T/log
    untouched curl -sS "$URL_elsewhere/v1/models"
    assert_equal hello "$(cat got.out)"
    assert_logfmt
    assert_equal 1 "$(wc -l <log)" "lines in the log"
    assert_match "level=error .*settings.yaml:3:5: .*strategie.*strategy" "$(cat log)"
    rm log
    # One line, too, for several transfers.
    untouched curl -sS "$URL_elsewhere/v1/models" "$URL_elsewhere/v1/models" "$LOGICAL/v1/models"
    assert_equal 1 "$(wc -l <log)" "lines in the log"
    unset SPILLWAY_LOG_FILE
    rm log
    untouched curl -sS "$URL_elsewhere/v1/models"
    untouched curl -sS "$LOGICAL/v1/models"
    [ ! -e log ] || fail "a log that nobody asked for"
    [ ! -e state ] || fail "a state directory without settings"
}

test_all_kinds_of_bad_settings() {
    start_mock elsewhere --status 200:body=hello
    export SPILLWAY_LOG_FILE=$T/log
    mkdir directory
    : >empty.yaml
    printf '\377\376\n' >bytes.yaml
    printf 'endpoints: [' >open.yaml
    printf 'endpoints: &a [*a]\n' >loop.yaml
    head -c 2000000 /dev/zero >zeros.yaml
    local file
    for file in "$T/absent.yaml" "$T/directory" "$T/empty.yaml" "$T/bytes.yaml" "$T/open.yaml" \
        "$T/loop.yaml" "$T/zeros.yaml" /dev/null; do
        rm -f log
        CONFIG=$file untouched curl -sS "$URL_elsewhere/v1/models"
        assert_equal 1 "$(wc -l <log)" "lines in the log for $file"
        assert_logfmt
    done
}

test_without_settings_nothing_happens() {
    [ ! -e /etc/spillway/spillway.yaml ] || skip "this machine has settings in /etc"
    start_mock elsewhere --status 200:body=hello
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    LD_PRELOAD=$PRELOAD curl -sS "$URL_elsewhere/v1/models" >out 2>err || fail "curl"
    assert_equal hello "$(cat out err)"
    [ ! -e log ] || fail "it logs: $(cat log)"
    [ ! -e state ] || fail "a state directory without settings"
}

test_a_bare_preload_with_good_settings() {
    start_mock first --status 429:retry-after=1
    start_mock second --status 200:body=hello
    settings_with "$URL_first" "$URL_second"
    bare curl -sS "$LOGICAL/v1/models" >out 2>err || fail "curl ends with $?"
    assert_equal hello "$(cat out err)"
    assert_equal "1 1" "$(requests first) $(requests second)"
    # In children that a shell starts, too.
    bare sh -c 'curl -sS "$LOGICAL/v1/models"' >out 2>err || fail "curl ends with $?"
    assert_equal hello "$(cat out err)"
}

test_programs_that_are_meant() {
    local line want tried=0
    start_mock first
    cp "$(command -v curl)" other-curl
    while IFS='|' read -r line want; do
        settings_with "$URL_first" "$URL_first" "programs: $line"
        : >first.log
        bare curl -sS -o out "$LOGICAL/v1/models" 2>err
        bare ./other-curl -sS -o out "$LOGICAL/v1/models" 2>err
        assert_equal "$want" "$(requests first)" "requests with programs: $line"
        tried=$((tried + 1))
    done <<'END'
{}|2
{only: [], skip: []}|2
{only: [curl]}|1
{only: [php, curl, other-curl]}|2
{skip: [curl]}|1
{skip: [curl, other-curl]}|0
{only: [curl], skip: [curl]}|0
{only: [cur]}|0
{skip: [git]}|2
END
    assert_equal 9 "$tried" "lines tried"
}

test_programs_that_are_skipped_are_untouched() {
    start_mock elsewhere --status 200:body=hello
    settings_with "$URL_elsewhere" "$URL_elsewhere" "programs: {skip: [curl]}"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    untouched curl -sS "$LOGICAL/v1/models"
    untouched curl -sS "$URL_elsewhere/v1/models"
    assert_equal "" "$(cat log 2>/dev/null)" "lines of a program that is skipped"
}

test_requests_for_others_are_untouched() {
    start_mock elsewhere --status 429:retry-after=5:x-a=b
    settings_with "$URL_elsewhere" "$URL_elsewhere"
    export SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    untouched curl -sS "$URL_elsewhere/v1/models"
    untouched curl -sS -f "$URL_elsewhere/v1/models"
    untouched curl -sS "file://$T/settings.yaml"
    untouched curl -sS "$LOGICAL/v2/models"
    untouched curl -sS http://127.0.0.1:9/
    # the sanitizer's own getaddrinfo stands between libcurl and ours, which takes it for the program's
    [ -z "$SANITIZED" ] || sed -i '/error="no relay is running"/d' log
    assert_equal "" "$(cat log 2>/dev/null)" "lines about requests of others"
    jq -es 'map([.method, .path, .host, .headers]) | .[0] == .[1] and .[2] == .[3]' elsewhere.log >json ||
        fail "what the server saw: $(cat elsewhere.log)"
}

run_tests
