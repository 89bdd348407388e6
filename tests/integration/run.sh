#!/usr/bin/env bash
# `spillway run`: how it becomes the program, what it says, what it refuses.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

settings_with() { # BACKEND_URL [LINE OF THE BACKEND]
    write_settings <<END
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - name: only
        url: $1/v1
        ${2:-weight: 1}
END
}

# Some settings, for tests that never send a request.
settings_unused() {
    settings_with http://127.0.0.1:9
}

# The preload list without the sanitizer's runtime, which lib.sh puts there.
preload_list() {
    tr ': ' '\n' <<<"$1" | grep -vE '^$|libasan'
}

test_exit_status_is_the_programs() {
    settings_unused
    assert_status 0 spill true
    assert_status 37 spill sh -c 'exit 37'
    assert_equal "" "$(cat "$T/err")" stderr
    assert_status 137 spill sh -c 'kill -KILL $$'
}

test_it_becomes_the_program() {
    settings_unused
    "$SPILLWAY" run -c settings.yaml -- sh -c 'echo $$; cat' <<<"from stdin" >out &
    wait "$!"
    assert_equal "$!
from stdin" "$(cat out)" "process id and stdin"
}

test_signals_reach_the_program() {
    local pipe
    settings_unused
    mkfifo ready
    exec {pipe}<>ready
    "$SPILLWAY" run -c settings.yaml -- \
        sh -c 'trap "echo caught; exit 5" TERM; echo ready >ready; sleep 20 & wait' >out 2>err &
    local pid=$! line="" status=0
    read -r -t 10 -u "$pipe" line
    assert_equal ready "$line"
    kill -TERM "$pid"
    wait "$pid" || status=$?
    assert_equal "5 caught" "$status $(cat out)"
}

test_arguments_arrive_as_they_are() {
    settings_unused
    assert_status 0 spill printf '<%s>' 'a b' '' '--' '-c' '*' $'line\nbreak'
    assert_equal $'<a b><><--><-c><*><line\nbreak>' "$(cat out)"
    assert_status 0 "$SPILLWAY" run -c settings.yaml printf '<%s>' -c --log
    assert_equal '<-c><--log>' "$(cat out)" "options behind the program's name"
}

test_program_not_found() {
    settings_unused
    assert_status 127 spill no-such-program-here
    assert_equal "spillway: no-such-program-here: command not found" "$(cat err)"
    mkdir -m 0 closed # as root it is only an empty directory
    assert_status 127 env PATH="$PATH:$T/closed" "$SPILLWAY" run -c settings.yaml -- no-such-program-here
    chmod 700 closed
    assert_status 127 spill ./absent
    assert_equal "spillway: ./absent: No such file or directory" "$(cat err)"
    printf '#!/no/such/interpreter\n' >orphan
    chmod +x orphan
    assert_status 127 spill ./orphan
    assert_equal "spillway: ./orphan: cannot execute: required file not found" "$(cat err)"
}

test_program_not_executable() {
    settings_unused
    echo 'echo no' >plain
    assert_status 126 spill ./plain
    assert_equal "spillway: ./plain: Permission denied" "$(cat err)"
    assert_status 126 spill "$T"
    assert_equal "spillway: $T: Is a directory" "$(cat err)"
}

test_script_without_interpreter_is_run_by_sh() {
    settings_unused
    echo 'echo "script $1"' >script
    chmod +x script
    assert_status 0 spill ./script here
    assert_equal "script here" "$(cat out)"
}

test_bad_settings_stop_it_before_the_program() {
    printf 'endpoints:\n  - url: %s\n    strategie: first\n' "$LOGICAL" >settings.yaml
    assert_status 2 spill touch started
    assert_match "settings.yaml:3:5: .*strateg" "$(cat err)"
    assert_equal "" "$(cat out)"
    [ ! -e started ] || fail "the program was started"
    assert_status 2 "$SPILLWAY" run -c absent.yaml -- touch started
    assert_match "absent.yaml" "$(cat err)"
    [ ! -e started ] || fail "the program was started"
}

test_without_settings_it_says_what_is_missing() {
    [ ! -e /etc/spillway/spillway.yaml ] || skip "this machine has settings in /etc"
    assert_status 2 "$SPILLWAY" run -- true
    assert_match "-c FILE.*--endpoint" "$(cat err)"
    mkdir -p .config/spillway
    settings_unused
    mv settings.yaml .config/spillway/spillway.yaml
    assert_status 0 "$SPILLWAY" run -- true
    assert_status 0 env -u HOME SPILLWAY_CONFIG=.config/spillway/spillway.yaml "$SPILLWAY" run -- true
}

test_settings_path_is_absolute_for_the_program() {
    settings_unused
    mkdir below
    assert_status 0 env SPILLWAY_SETTINGS=stale "$SPILLWAY" run -c settings.yaml -- \
        sh -c 'cd below; echo "$SPILLWAY_CONFIG ${SPILLWAY_SETTINGS-unset}"'
    assert_equal "$T/settings.yaml unset" "$(cat out)"
}

test_log_options_reach_the_program() {
    settings_unused
    assert_status 0 "$SPILLWAY" run -c settings.yaml --log my.log --log-level debug -- \
        sh -c 'echo "$SPILLWAY_LOG_FILE $SPILLWAY_LOG"'
    assert_equal "$T/my.log debug" "$(cat out)"
    assert_status 2 "$SPILLWAY" run -c settings.yaml --log absent/my.log -- true
    assert_match "absent/my.log" "$(cat err)"
    assert_status 2 "$SPILLWAY" run -c settings.yaml --log-level loud -- true
    assert_match "off, error, warn, info or debug" "$(cat err)"
}

test_existing_preload_is_kept_behind_ours() {
    settings_unused
    local show='printenv LD_PRELOAD' libc
    libc=$(ldd /bin/true | grep -oE '/[^ ]*libc\.so\.6')
    assert_status 0 env LD_PRELOAD="$libc" "$SPILLWAY" run -c settings.yaml -- sh -c "$show"
    assert_equal "$BUILD/libspillway.so
$libc" "$(preload_list "$(cat out)")"
}

test_run_inside_run_preloads_once_and_the_inner_settings_win() {
    settings_unused
    cp settings.yaml inner.yaml
    assert_status 0 spill "$SPILLWAY" run -c inner.yaml -- sh -c 'echo "$LD_PRELOAD"; echo "$SPILLWAY_CONFIG"'
    assert_equal "$BUILD/libspillway.so" "$(preload_list "$(sed -n 1p out)")"
    assert_equal "$T/inner.yaml" "$(sed -n 2p out)"
    assert_status 0 spill "$SPILLWAY" run --endpoint "$LOGICAL" --backend 1=http://127.0.0.1:9 -- \
        sh -c 'echo "${SPILLWAY_CONFIG-unset}"; echo "$SPILLWAY_SETTINGS"'
    assert_equal unset "$(sed -n 1p out)"
    assert_match "127.0.0.1:9" "$(cat out)"
}

test_library_with_a_space_is_refused() {
    settings_unused
    mkdir "a place"
    cp "$BUILD/libspillway.so" "a place/"
    assert_status 2 env SPILLWAY_LIBRARY="a place/libspillway.so" "$SPILLWAY" run -c settings.yaml -- true
    assert_match "space or a colon.*LD_PRELOAD" "$(cat err)"
    assert_status 2 env SPILLWAY_LIBRARY=/absent/libspillway.so "$SPILLWAY" run -c settings.yaml -- true
    assert_match "/absent/libspillway.so" "$(cat err)"
}

test_library_is_found_beside_the_command_or_in_lib() {
    local preload=""
    [ -z "$SANITIZED" ] || preload=$SANITIZED
    settings_unused
    mkdir -p tree/bin tree/lib
    cp "$BUILD/spillway" tree/bin/
    cp "$BUILD/libspillway.so" tree/lib/
    assert_status 0 env LD_PRELOAD="$preload" tree/bin/spillway run -c settings.yaml -- printenv LD_PRELOAD
    assert_equal "$T/tree/lib/libspillway.so" "$(preload_list "$(cat out)")"
    cp "$BUILD/libspillway.so" tree/bin/
    assert_status 0 env LD_PRELOAD="$preload" tree/bin/spillway run -c settings.yaml -- printenv LD_PRELOAD
    assert_equal "$T/tree/bin/libspillway.so" "$(preload_list "$(cat out)")"
    rm tree/*/libspillway.so
    assert_status 2 env LD_PRELOAD="$preload" tree/bin/spillway run -c settings.yaml -- true
    assert_match "SPILLWAY_LIBRARY" "$(cat err)"
}

static_program() {
    gcc -static -o "$1" -x c - <<'END' 2>/dev/null || skip "no static libc here"
int main(void) { return 7; }
END
}

test_static_program_gets_one_line_and_runs() {
    settings_unused
    static_program still
    assert_status 7 spill ./still
    assert_equal "spillway: ./still is statically linked: its requests can't be reached, it runs as it is" "$(cat err)"
    printf '#!%s\n' "$T/still" >script
    chmod +x script
    assert_status 7 spill ./script
    assert_equal "spillway: ./script is run by $T/still, which is statically linked: its requests can't be reached, it runs as it is" "$(cat err)"
}

test_setuid_program_gets_one_line_and_runs() {
    [ "$(id -u)" = 0 ] || skip "needs root to make a file of another user"
    settings_unused
    cp /bin/true raised
    chown 65534 raised
    chmod 4755 raised
    [[ ,$(findmnt -no OPTIONS -T "$T"), != *,nosuid,* ]] || skip "nosuid here"
    assert_status 0 spill ./raised
    assert_equal "spillway: ./raised is setuid: its requests can't be reached, it runs as it is" "$(cat err)"
    chown 0 raised
    chmod 4755 raised
    assert_status 0 spill ./raised
    assert_equal "" "$(cat err)" "notice for a setuid program of our own"
}

test_missing_key_is_warned_about() {
    settings_with http://127.0.0.1:9 "key_env: A_KEY_FOR_THIS_TEST"
    assert_status 0 spill true
    assert_equal 1 "$(wc -l <err)" "lines on stderr"
    assert_match "A_KEY_FOR_THIS_TEST is not set.*backend only" "$(cat err)"
    export A_KEY_FOR_THIS_TEST=sk-very-secret
    assert_status 0 spill true
    assert_equal "" "$(cat err)"
}

test_a_request_goes_to_the_backend() {
    start_mock one
    settings_with "$URL_one"
    assert_status 0 spill curl -sS -D head "$LOGICAL/v1/models"
    assert_match "x-spillway-mock: one" "$(cat head)"
    assert_equal 1 "$(requests one)" requests
}

test_one_liner_needs_no_file() {
    start_mock busy --status 429
    start_mock free
    export FREE_KEY=sk-very-secret
    assert_status 0 "$SPILLWAY" run --endpoint "$LOGICAL/v1" --backend "1=$URL_busy/v1" \
        --backend "2=$URL_free/v1,key_env=FREE_KEY,name=free" --log run.log --log-level debug -- \
        curl -sS -D head "$LOGICAL/v1/chat/completions" -H 'Content-Type: application/json' \
        -d '{"model":"gpt-4","messages":[{"role":"user","content":"hi"}]}'
    assert_match "x-spillway-mock: free" "$(cat head)"
    assert_equal "1 1" "$(requests busy) $(requests free)" "requests at busy and free"
    assert_match "backend=free" "$(cat run.log)"
    assert_no_match "very-secret" "$(cat run.log err)"
}

test_one_liner_with_two_endpoints() {
    start_mock one
    start_mock two
    assert_status 0 "$SPILLWAY" run --endpoint http://a.test/v1 --backend "1=$URL_one/v1" \
        --endpoint http://b.test/v1 --backend "1=$URL_two/v1" --strategy first -- \
        curl -sS -o /dev/null http://b.test/v1/models
    assert_equal "0 1" "$(requests one) $(requests two)"
}

test_wrong_flags_are_explained() {
    assert_status 2 "$SPILLWAY" run --endpoint "$LOGICAL" --backend 1=http://127.0.0.1:9,key=sk-very-secret -- touch started
    assert_match "--backend.*key_env=" "$(cat err)"
    assert_no_match "very-secret" "$(cat err)"
    assert_status 2 "$SPILLWAY" run --endpoint "$LOGICAL" --backend http://127.0.0.1:9 -- touch started
    assert_match "PRIORITY=URL" "$(cat err)"
    assert_status 2 "$SPILLWAY" run --endpoint "$LOGICAL" --backend 1=http://127.0.0.1:9 --backend 2=gopher://x -- touch started
    assert_match "--backend 2: " "$(cat err)"
    assert_status 2 "$SPILLWAY" run --endpint "$LOGICAL" -- touch started
    assert_match "--endpint.*did you mean --endpoint" "$(cat err)"
    [ ! -e started ] || fail "the program was started"
}

test_help_and_unknown_commands() {
    local command
    for command in "" run check mock; do
        # shellcheck disable=SC2086  # none or one
        assert_status 0 "$SPILLWAY" $command --help
        assert_match "Usage: spillway ${command:-COMMAND}" "$(cat out)"
        assert_equal "" "$(cat err)"
    done
    assert_status 0 "$SPILLWAY" --version
    assert_match "^spillway [0-9.]+$" "$(cat out)"
    assert_status 2 "$SPILLWAY"
    assert_status 2 "$SPILLWAY" chekc
    assert_match "'chekc'.*'check'" "$(cat err)"
}

run_tests
