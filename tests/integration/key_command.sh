#!/usr/bin/env bash
# key_command: when it is run, what becomes of its token, and that nothing of it is left.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# az: writes the script ./az, which notes that it was run, and goes on with the lines of standard
# input. In them $N is how often it was run, and $NOW the time.
az() {
    {
        # shellcheck disable=SC2016  # for the script
        printf '%s\n' 'N=$(($(cat count 2>/dev/null || echo 0) + 1))' 'echo "$N" >count' \
            'echo "$PPID" >>parents' 'env >az.env' 'cat >az.in' 'NOW=$(date +%s)'
        cat
    } >az
}

# A token that says how many there were.
az_for_an_hour() {
    az <<'END'
echo "{\"accessToken\": \"leaked-$N\", \"expires_on\": $((NOW + 3600)), \"tokenType\": \"Bearer\"}"
END
}

# settings "NAME [LINE OF THE BACKEND]"...: one after the other in priority; the line is the command
settings() {
    local entry name line url priority=0
    export XDG_RUNTIME_DIR=$T/runtime
    mkdir -p -m 700 runtime
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        echo "    backends:"
        for entry in "$@"; do
            read -r name line <<<"$entry"
            url=URL_$name
            echo "      - name: $name"
            echo "        url: ${!url-http://127.0.0.1:9}/v1"
            echo "        priority: $((++priority))"
            printf '        %s\n' "${line:-key_command: exec sh ./az}"
        done
    } | write_settings
    chmod 600 settings.yaml
}

hash_of() {
    printf %s "$1" | sha256sum | cut -c1-16
}

# assert_seen NAME N HEADER KEY; "" "" for none
assert_seen() {
    local want="null null"
    [ -z "$3" ] || want="$3 $(hash_of "$4")"
    assert_equal "$want" "$(log_field "$1" "$2" '"\(.key_header) \(.key_hash)"')" "the key of request $2 at $1"
}

# eventually WHAT COMMAND...: until it succeeds, for 20 s
eventually() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 400; tries++)); do
        ! "$@" || return 0
        sleep 0.05
    done
    fail "$what"
}

nothing_is_left() {
    [ -z "$(find runtime -mindepth 2 -name 'keys-*')" ]
}

is_gone() { # PID
    ! kill -0 "$1" 2>/dev/null
}

has_run() { # TIMES
    [ "$(cat count 2>/dev/null || echo 0)" -ge "$1" ]
}

assert_no_secret() {
    ! grep -qa leaked "$@" || fail "a token is in one of $*"
}

test_token_is_sent_as_bearer_in_both_dialects() {
    start_mock a --script 429:retry-after=60
    start_mock b
    az_for_an_hour
    settings a b
    sed -i '0,/key_command/s//dialect: azure\n        key_command/' settings.yaml
    assert_status 0 "$SPILLWAY" run -c settings.yaml --log log --log-level debug -- \
        curl -sSf -o /dev/null -u me:own "$LOGICAL/v1/models"
    assert_seen a 1 authorization leaked-1
    assert_seen b 1 authorization leaked-1
    assert_equal 1 "$(cat count)" "runs of the command of both"
    assert_equal "" "$(cat err)"
    eventually "the directory is left" nothing_is_left
    assert_no_secret log out err settings.yaml
}

test_web_token_from_a_variable_is_sent_as_bearer_to_azure() {
    start_mock a
    settings "a key_env: TOKEN"
    sed -i 's/key_env/dialect: azure\n        key_env/' settings.yaml
    export TOKEN=eyJhbGciOiJub25lIn0.eyJleHAiOjF9.AAAA
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 authorization "$TOKEN"
    TOKEN=0123456789abcdef
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 2 api-key "$TOKEN"
}

test_command_is_run_once_before_the_program_and_not_by_it() {
    start_mock a
    az_for_an_hour
    settings a
    spill sh -c "cat count; echo \$\$ >pid
        for i in 1 2 3; do curl -sSf -o /dev/null $LOGICAL/v1/models; done" >out 2>err <<<"the program's" ||
        fail "$(cat err)"
    assert_equal 1 "$(cat out)" "runs before the program"
    assert_equal "1 3" "$(cat count) $(requests a)" "runs, and requests"
    assert_equal "$(cat pid)" "$(cat parents)" "who ran it"
    assert_equal "" "$(cat az.in)" "its standard input"
    assert_no_match "libspillway" "$(grep ^LD_PRELOAD= az.env)" "its LD_PRELOAD"
}

test_object_of_an_outer_run_is_not_loaded_into_the_command() {
    az_for_an_hour
    settings a
    assert_status 0 spill "$SPILLWAY" run -c settings.yaml -- true
    assert_equal 2 "$(cat count)" "runs"
    assert_no_match "libspillway" "$(grep ^LD_PRELOAD= az.env)" "its LD_PRELOAD"
}

test_files_are_private_and_hold_the_token_alone() {
    local mask
    az_for_an_hour
    settings a
    # shellcheck disable=SC2016  # for the inner shell
    assert_status 0 spill sh -c 'stat -c "%A %U" "$SPILLWAY_KEYS" "$SPILLWAY_KEYS"/* && cat "$SPILLWAY_KEYS"/*'
    assert_equal "drwx------ $(id -un)
-rw------- $(id -un)
leaked-1" "$(cat out)"
    for mask in 0 0277; do
        # shellcheck disable=SC2016
        (umask "$mask" && spill sh -c 'stat -c %A "$SPILLWAY_KEYS" "$SPILLWAY_KEYS"/*' >modes)
        assert_equal "drwx------ -rw-------" "$(xargs <modes)" "with umask $mask"
    done
}

test_token_is_refreshed_while_the_program_runs() {
    start_mock a --latency 1200ms
    az <<'END'
echo "{\"accessToken\": \"leaked-$N\", \"expires_on\": \"$((NOW + 3))\"}"
END
    settings a
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-6]"
    assert_seen a 1 authorization leaked-1
    local kinds n expected=""
    kinds=$(jq -r .key_hash a.log | uniq)
    for ((n = 1; n <= $(cat count); n++)); do expected+=" $(hash_of "leaked-$n")"; done
    [ "$(wc -l <<<"$kinds")" -ge 2 ] || fail "one process sent only these: $kinds"
    for n in $kinds; do assert_match "$n" "$expected" "a token that was sent"; done
    eventually "the helper is left" is_gone "$(tail -1 parents)"
    eventually "the directory is left" nothing_is_left
}

test_failed_refresh_is_logged_and_the_token_stays() {
    start_mock a --latency 1s
    az <<'END'
[ "$N" = 1 ] || { echo "leaked-$N"; echo leaked >&2; exit 7; }
echo "{\"accessToken\": \"leaked-$N\", \"expires_on\": \"$((NOW + 2))\"}"
END
    settings a
    assert_status 0 "$SPILLWAY" run -c settings.yaml --log log -- \
        curl -sSf -o '#1' "$LOGICAL/v1/models?[1-4]"
    assert_equal "$(hash_of leaked-1)" "$(jq -r .key_hash a.log | uniq)" "the keys that were sent"
    assert_match 'event=credentials endpoint=llm backend=a key_command="exit status 7"' "$(cat log)"
    assert_equal "" "$(cat err)"
    assert_no_secret log
}

test_failed_command_is_told_and_the_program_is_run() {
    local wrong told
    start_mock a
    while IFS='~' read -r wrong told; do
        az <<<"$wrong"
        settings a
        assert_status 0 spill curl -sSf -o /dev/null -u me:own "$LOGICAL/v1/models"
        assert_equal "spillway: key_command of backend a of endpoint llm failed: $told" "$(cat err)"
    done <<'END'
echo leaked; exit 3~exit status 3
kill -KILL $$~signal 9
true~printed nothing
echo leaked token~printed something that is no token
echo '{"secret": "leaked"}'~printed JSON without accessToken, access_token or token
yes leaked~printed more than 64 KiB
END
    assert_equal 6 "$(requests a)" "requests"
    assert_equal '[null]' "$(jq -s -c '[.[].key_hash] | unique' a.log)" "keys that were sent"
    settings "a key_command: no-such-command-here"
    assert_status 0 spill true
    assert_match "failed: exit status 127" "$(cat err)"
}

test_command_that_failed_first_is_run_again() {
    start_mock a --latency 1s
    az <<'END'
[ "$N" != 1 ] || exit 1
echo "leaked-$N"
END
    settings a
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-10]"
    assert_seen a 1 "" ""
    assert_seen a 10 authorization leaked-2
}

test_nothing_is_left_of_a_program_that_ends_at_once() {
    az_for_an_hour
    settings a
    for _ in 1 2 3; do assert_status 0 spill true; done
    assert_status 5 spill sh -c 'exit 5'
    assert_status 137 spill sh -c 'kill -KILL $$'
    eventually "a directory is left" nothing_is_left
}

test_nothing_is_left_of_a_program_that_never_starts() {
    az_for_an_hour
    settings a
    assert_status 127 spill no-such-program-here
    [ ! -e count ] || fail "the command was run for no program"
    printf '#!/no/such/interpreter\n' >orphan
    chmod +x orphan
    assert_status 127 spill ./orphan
    nothing_is_left || fail "the directory is left at the end of run"
}

test_signal_during_the_command_leaves_nothing() {
    az <<'END'
echo $$ >az.pid
sleep 60 &
wait
END
    settings a
    "$SPILLWAY" run -c settings.yaml -- touch started 2>err &
    local run=$! status=0
    eventually "the command is not run" test -s az.pid
    kill -TERM "$run"
    wait "$run" || status=$?
    assert_equal 143 "$status" "exit status"
    nothing_is_left || fail "the directory is left"
    eventually "the command goes on" is_gone "$(cat az.pid)"
    [ ! -e started ] || fail "the program was started"
}

# A program that closes its output, and waits for a line.
write_waiting() {
    mkfifo ready go
    printf '%s\n' 'exec >&-' 'echo ready >ready' 'read -r _ <go' >waiting
}

# has_no_files PID: but /dev/null and what it watches; while it runs a command it has a pipe of its own
has_no_files() {
    ! find "/proc/$1/fd" -mindepth 1 -printf '%l\n' | grep -qE "pipe|$T"
}

test_helper_is_apart_and_ends_with_the_program() {
    local helper program
    az <<'END'
echo "{\"accessToken\": \"leaked-$N\", \"expires_on\": \"$((NOW + 2))\"}"
END
    settings a
    write_waiting
    "$SPILLWAY" run -c settings.yaml -- sh ./waiting &
    program=$!
    read -r _ <ready
    assert_equal "$program" "$(head -1 parents)" "who ran it first"
    eventually "it is not run again" has_run 2
    helper=$(tail -1 parents)
    [ "$helper" != "$program" ] || fail "the program itself runs the command"
    eventually "the helper keeps files" has_no_files "$helper"
    [ "$(ps -o sid= -p "$helper")" != "$(ps -o sid= -p "$program")" ] || fail "it is in the program's session"
    [ "$(ps -o ppid= -p "$helper")" -ne "$program" ] || fail "it is a child of the program"
    assert_no_match "waiting" "$(tr '\0' ' ' <"/proc/$helper/cmdline")" "its name"
    assert_no_match "libspillway" "$(cat "/proc/$helper/maps")" "what is loaded"
    kill -TERM "$helper" # a service manager does so while the program still has to finish
    eventually "it is not run any more" has_run "$(($(cat count) + 2))"
    echo >go
    wait "$program" || fail "the program ended with $?"
    eventually "the helper is left" is_gone "$helper"
    eventually "the directory is left" nothing_is_left
}

test_pipe_ends_when_the_program_closes_it() {
    az_for_an_hour
    settings a
    write_waiting
    mkfifo pipe
    cat pipe >drained &
    local reader=$!
    "$SPILLWAY" run -c settings.yaml -- sh ./waiting >pipe 2>err &
    read -r _ <ready
    eventually "somebody else has the pipe" is_gone "$reader"
    echo >go
    eventually "the directory is left" nothing_is_left
}

test_program_has_no_child_and_no_file_of_ours() {
    local alone=$ROOT/build/programs/alone plain
    plain=$("$alone")
    assert_match "^alone with [0-9]+ files$" "$plain"
    az_for_an_hour
    settings a
    assert_status 0 spill "$alone"
    assert_equal "$plain" "$(cat out)"
    assert_status 0 "$alone" --adopt "$SPILLWAY" run -c settings.yaml -- "$alone"
    assert_equal "$plain" "$(cat out)" "one that adopts orphans"
    eventually "the directory is left" nothing_is_left
    unshare --pid --fork --mount-proc true 2>/dev/null || return 0
    assert_status 0 unshare --pid --fork --mount-proc "$SPILLWAY" run -c settings.yaml -- "$alone"
    assert_equal "$plain" "$(cat out)" "the first process of a container"
}

test_token_is_in_no_environment_and_no_arguments() {
    az_for_an_hour
    settings a
    # of all processes those of this test: others have secrets of their own
    assert_status 0 spill sh -c 'env; ps axeww | grep -F "$HOME"'
    assert_match "SPILLWAY_KEYS=$T/runtime/spillway/keys-" "$(cat out)"
    assert_no_secret out err
}

test_unsafe_settings_are_refused() {
    local mode
    az_for_an_hour
    settings a
    for mode in 660 620 602 666; do
        chmod "$mode" settings.yaml
        assert_status 2 spill touch started
        assert_equal "spillway: run: $T/settings.yaml has a key_command, which is not run: others can write it (chmod go-w)" \
            "$(cat err)"
        assert_status 0 "$SPILLWAY" check -c settings.yaml
        assert_match "settings.yaml: warning: .*others can write it" "$(cat err)"
    done
    chmod 644 settings.yaml
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_equal "" "$(cat err)"
    assert_match "key: command .run by spillway run." "$(cat out)"
    if [ "$(id -u)" = 0 ]; then
        chown 65534 settings.yaml
        assert_status 2 spill touch started
        assert_match "settings.yaml.*belongs to another user" "$(cat err)"
    fi
    [ ! -e started ] || fail "the program was started"
    [ ! -e count ] || fail "the command was run"
}

test_settings_of_the_environment_may_have_a_command() {
    start_mock a
    az_for_an_hour
    settings a
    SPILLWAY_SETTINGS=$(cat settings.yaml)
    export SPILLWAY_SETTINGS
    assert_status 0 "$SPILLWAY" run -- curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 authorization leaked-1
}

test_without_run_there_is_no_key_and_no_command() {
    start_mock a
    az_for_an_hour
    settings a
    assert_status 0 env LD_PRELOAD="$PRELOAD" SPILLWAY_CONFIG="$T/settings.yaml" SPILLWAY_LOG_FILE="$T/log" \
        curl -sSf -o /dev/null -u me:own "$LOGICAL/v1/models"
    assert_seen a 1 "" ""
    assert_match "event=credentials backend=a missing=" "$(cat log)"
    [ ! -e count ] || fail "the command was run"
}

test_inner_run_without_commands_has_no_keys_of_the_outer() {
    az_for_an_hour
    settings a
    cp settings.yaml outer.yaml
    settings "a key_env: HOME"
    # shellcheck disable=SC2016  # for the inner shell
    assert_status 0 "$SPILLWAY" run -c outer.yaml -- "$SPILLWAY" run -c settings.yaml -- \
        sh -c 'echo "${SPILLWAY_KEYS-none}"'
    assert_equal none "$(cat out)"
}

test_missing_key_files_and_open_settings_are_told() {
    settings "a key_file: absent.key"
    assert_status 0 spill true
    assert_equal "spillway: $T/absent.key: No such file or directory: backend a of endpoint llm has no key" "$(cat err)"
    settings "a key: sk-leaked"
    chmod 644 settings.yaml
    assert_status 0 spill true
    assert_equal "spillway: $T/settings.yaml holds keys and others can read it (chmod 600)" "$(cat err)"
    chmod 600 settings.yaml
    assert_status 0 spill true
    assert_equal "" "$(cat err)"
}

run_tests
