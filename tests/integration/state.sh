#!/usr/bin/env bash
# What one process has learned about a backend serves the next; and what stands where that is kept
# never does a program harm.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

settings_with() { # [LINE AT THE TOP]
    write_settings <<END
${1:-# all else as it is by default}
endpoints:
  - name: llm
    url: $LOGICAL/v1
    sockets: off # or the place of a relay would lie beside the ledger
    backends:
      - {name: first, url: $URL_first/v1, priority: 1}
      - {name: second, url: $URL_second/v1, priority: 2}
END
}

# A first backend that throttles, a second one that answers.
two_backends() { # [STEP OF THE FIRST]
    start_mock first --status "${1:-429:retry-after=30}"
    start_mock second
    settings_with
}

# ask [NAME=VALUE...]: a request, answered by the second backend, without a word
ask() {
    assert_status 0 env "$@" "$SPILLWAY" run -c settings.yaml -- curl -sS -D head -o body "$LOGICAL/v1/models"
    assert_match "x-spillway-mock: second" "$(cat head)"
    assert_equal "" "$(cat out err)" "output of a curl that writes to files"
}

# assert_asked N: how many requests the throttled backend has seen
assert_asked() {
    assert_equal "$1" "$(requests first)" "requests at the throttled backend${2:+, $2}"
}

test_one_process_serves_the_next() {
    local i
    two_backends
    for i in 1 2 3 4; do
        ask "TRY=$i"
    done
    assert_asked 1
    assert_equal 4 "$(requests second)"
}

test_a_cooldown_ends_for_all_processes_and_not_before() {
    local i
    start_mock first --script 429:retry-after=1,200
    start_mock second
    settings_with
    for ((i = 0; i < 2000; i++)); do
        spill curl -sS -o body "$LOGICAL/v1/models" || fail "curl ends with $?"
        [ "$(requests first)" = 1 ] || break
    done
    assert_asked 2 "after $i requests"
    jq -es '.[1].time - .[0].time | . >= 1 and . < 1.5' first.log >json || fail "probed at: $(cat first.log)"
}

test_one_probe_per_cooldown() {
    local i pids=()
    two_backends 429:retry-after=1:latency=400ms
    spill curl -sS -o body "$LOGICAL/v1/models" || fail "curl ends with $?"
    assert_asked 1
    sleep 1.1 # the cooldown, and a little more
    for i in {1..8}; do
        spill curl -sS -o "body$i" -w '%{http_code}\n' "$LOGICAL/v1/models" >"code$i" &
        pids+=("$!")
    done
    wait "${pids[@]}"
    assert_equal "8 200" "$(cat code* | sort | uniq -c | sed 's/^ *//')" "answers"
    assert_asked 2 "one more for the next cooldown"
}

test_directory_of_the_environment_wins() {
    two_backends
    settings_with "state: {directory: $T/of-the-settings}"
    ask
    [ -d state ] || fail "SPILLWAY_STATE_DIR is not used"
    [ ! -e of-the-settings ] || fail "both directories are used"
    ask "SPILLWAY_STATE_DIR=$T/another"
    assert_asked 2
    ask -u SPILLWAY_STATE_DIR
    assert_asked 3
    [ -d of-the-settings ] || fail "the settings' directory is not used"
    ask
    ask "SPILLWAY_STATE_DIR=$T/another"
    ask -u SPILLWAY_STATE_DIR
    assert_asked 3 "all three know by now"
}

test_default_directory() {
    two_backends
    mkdir -m 700 run
    ask -u SPILLWAY_STATE_DIR "XDG_RUNTIME_DIR=$T/run"
    [ -d run/spillway ] || fail "XDG_RUNTIME_DIR is not used"
    ask -u SPILLWAY_STATE_DIR "XDG_RUNTIME_DIR=$T/run"
    assert_asked 1
}

# Of a user who has become another one by su, or in a container.
test_default_directory_that_is_not_there() {
    two_backends
    ask -u SPILLWAY_STATE_DIR "XDG_RUNTIME_DIR=$T/none"
    ask -u SPILLWAY_STATE_DIR "XDG_RUNTIME_DIR=$T/none"
    assert_asked 1 "both share /tmp/spillway-$(id -u)"
    ask -u SPILLWAY_STATE_DIR -u XDG_RUNTIME_DIR
    assert_asked 1
    [ ! -e none ] || fail "it was made"
}

test_relative_directory_starts_at_the_settings() {
    two_backends
    settings_with "state: {directory: below}"
    mkdir elsewhere
    (cd elsewhere && env -u SPILLWAY_STATE_DIR "$SPILLWAY" run -c ../settings.yaml -- curl -sS -o ../body "$LOGICAL/v1/models") ||
        fail "curl"
    [ -d below ] || fail "no directory beside the settings"
}

test_scope_process() {
    two_backends
    settings_with "state: {scope: process}"
    ask
    ask
    assert_asked 2
    [ ! -e state ] || fail "a state directory for a state that is private"
    # Inside a process all transfers know.
    assert_status 0 spill curl -sS -o a -o b -o c "$LOGICAL/v1/models" "$LOGICAL/v1/models" "$LOGICAL/v1/models"
    assert_asked 3
}

test_modes() {
    local mask
    two_backends
    for mask in 000 022 077; do
        rm -rf state
        (umask "$mask" && spill curl -sS -o "body$mask" "$LOGICAL/v1/models") || fail "curl with umask $mask"
        assert_equal 700 "$(stat -c %a state)" "mode of the directory, umask $mask"
        assert_equal 600 "$(find state -type f -exec stat -c %a {} + | sort -u)" "mode of the files, umask $mask"
    done
}

# stays_private DESCRIPTION: programs work, each with what it finds out for itself
stays_private() {
    : >first.log
    ask
    ask
    assert_asked 2 "$1"
}

test_foreign_directories() {
    two_backends
    mkdir -m 755 state
    stays_private "open to others"
    assert_equal "" "$(ls -A state)" "files in a directory that is open to others"
    chmod 770 state
    stays_private "open to the group"
    rmdir state
    mkdir -m 700 target
    ln -s target state
    stays_private "a symbolic link"
    assert_equal "" "$(ls -A target)" "files behind a symbolic link"
    rm state
    echo precious >state
    stays_private "a file"
    assert_equal precious "$(cat state)"
    rm state
    ln -s nowhere state
    stays_private "a link to nothing"
    [ ! -e nowhere ] || fail "it follows a link to nothing"
    rm state
    mkfifo state
    stays_private "a fifo"
    export SPILLWAY_STATE_DIR=$T/absent/state
    stays_private "without a parent"
    [ ! -e absent ] || fail "more than the last directory was made"
    export SPILLWAY_STATE_DIR=/proc/self/state
    stays_private "where nothing can be made"
    SPILLWAY_STATE_DIR=$T/$(head -c 5000 /dev/zero | tr '\0' x)
    stays_private "a path that is too long"
}

test_directory_of_another_user() {
    [ "$(id -u)" = 0 ] || skip "needs root to make a directory of another user"
    two_backends
    mkdir -m 700 state
    chown 65534 state
    stays_private "of another user"
    assert_equal "" "$(ls -A state)" "files in another user's directory"
}

test_a_private_state_is_logged() {
    two_backends
    mkdir -m 755 state
    export SPILLWAY_LOG_FILE=$T/log
    ask
    assert_equal 1 "$(grep -c "level=warn.* event=state .*directory=$T/state" log)" "lines about the state"
}

# is_replaced DESCRIPTION: what stands in place of the ledger's file does no harm, and is replaced
is_replaced() {
    : >first.log
    ask
    ask
    assert_asked 1 "$1"
    assert_equal 600 "$(stat -c %a "$LEDGER")" "mode, $1"
    assert_equal "regular file" "$(stat -c %F "$LEDGER")" "type, $1"
}

test_useless_files_are_replaced() {
    local size
    two_backends
    ask
    LEDGER=$(find state -type f)
    [ "$(wc -w <<<"$LEDGER")" = 1 ] || fail "files of the state: $LEDGER"
    size=$(stat -c %s "$LEDGER")
    : >"$LEDGER"
    is_replaced empty
    truncate -s 100 "$LEDGER"
    is_replaced "cut short"
    truncate -s $((size - 1)) "$LEDGER"
    is_replaced "a byte too short"
    head -c "$size" /dev/urandom >"$LEDGER"
    is_replaced garbage
    head -c "$size" /dev/zero >"$LEDGER"
    is_replaced zeros
    head -c "$size" /dev/zero >"$LEDGER"
    printf 'spillway' | dd of="$LEDGER" conv=notrunc status=none
    is_replaced "zeros but for the beginning"
    rm "$LEDGER"
    echo precious >victim
    ln -s ../victim "$LEDGER"
    is_replaced "a symbolic link"
    assert_equal precious "$(cat victim)"
    rm "$LEDGER"
    ln -s nothing "$LEDGER"
    is_replaced "a link to nothing"
    rm "$LEDGER"
    mkfifo "$LEDGER"
    is_replaced "a fifo"
    chmod 644 "$LEDGER"
    is_replaced "open to others"
}

test_a_directory_in_place_of_the_file() {
    two_backends
    ask
    LEDGER=$(find state -type f)
    rm "$LEDGER"
    mkdir "$LEDGER"
    stays_private "a directory in place of the file"
}

# Whoever may write to the file is the same user, but a crash may leave anything.
test_any_content_behind_the_header_is_survived() {
    local i size
    two_backends
    ask
    LEDGER=$(find state -type f)
    size=$(stat -c %s "$LEDGER")
    for i in random ones; do
        if [ "$i" = ones ]; then
            tr '\0' '\377' </dev/zero | head -c $((size - 4096)) >noise
        else
            head -c $((size - 4096)) /dev/urandom >noise
        fi
        dd if=noise of="$LEDGER" bs=4096 seek=1 conv=notrunc status=none
        assert_status 0 spill curl -sS -o body -w '%{http_code}' "$LOGICAL/v1/models"
        assert_match '^(200|429)$' "$(cat out)" "$i"
    done
}

test_a_file_that_is_removed_meanwhile() {
    two_backends
    ask
    rm -r state
    ask
    ask
    assert_asked 2
}

test_twenty_at_once() {
    local i asked pids=()
    two_backends
    for i in {1..20}; do
        spill curl -sS -o "body$i" -w '%{http_code}\n' "$LOGICAL/v1/models" >"code$i" 2>"err$i" &
        pids+=("$!")
    done
    wait "${pids[@]}"
    assert_equal "20 200" "$(cat code* | sort | uniq -c | sed 's/^ *//')" answers
    assert_equal "" "$(cat err*)"
    asked=$(requests first)
    assert_equal 20 "$(requests second)"
    assert_equal 1 "$(find state -type f | wc -l)" "files that are left"
    ask
    assert_asked "$asked" "all knew by then"
}

test_round_robin_goes_on_from_process_to_process() {
    local i
    start_mock a
    start_mock b
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    backends: [{url: $URL_a/v1, weight: 3}, {url: $URL_b/v1}]
END
    for i in {1..12}; do
        spill curl -sS -o body "$LOGICAL/v1/models" || fail "curl $i"
    done
    assert_equal "9 3" "$(requests a) $(requests b)"
}

test_endpoints_with_one_name_in_two_files_share_by_url() {
    two_backends
    ask
    # Another file that names the same backend for the same endpoint.
    sed -i 's/^    backends:/    cooldown: 20s\n    backends:/' settings.yaml
    cp settings.yaml other.yaml
    assert_status 0 "$SPILLWAY" run -c other.yaml -- curl -sS -o body "$LOGICAL/v1/models"
    assert_asked 1
}

test_no_descriptor_is_kept() {
    two_backends
    assert_status 0 spill "$ROOT/build/programs/client" descriptors url="$LOGICAL/v1/models" perform descriptors
    local with=$(($(sed -n 's/^descriptors=//p' out | tail -1) - $(sed -n 's/^descriptors=//p' out | head -1)))
    "$ROOT/build/programs/client" descriptors url="$URL_second/v1/models" perform descriptors >out
    local plain=$(($(sed -n 's/^descriptors=//p' out | tail -1) - $(sed -n 's/^descriptors=//p' out | head -1)))
    # One more connection is kept: that of the backend that throttled.
    [ $((with - plain)) -le 1 ] || fail "descriptors of a transfer: $plain without the shim, $with with it"
}

run_tests
