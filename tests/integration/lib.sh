#!/usr/bin/env bash
# What the integration tests share. A test file is tests/integration/NAME.sh:
#
#     #!/usr/bin/env bash
#     . "$(dirname "$0")/lib.sh"
#     test_second_backend_answers() {
#         start_mock ptu --status 429
#         start_mock other
#         write_settings <<END
#     ...
#     END
#         assert_status 0 spill curl -sS "$LOGICAL/v1/models"
#         assert_equal 1 "$(requests other)" "requests at the other backend"
#     }
#     run_tests
#
# Each function test_... runs in a subshell of its own with an empty directory $T, which is
# removed unless the test fails. A test fails when an assert_ does, when its last command
# fails, when it takes longer than TIME_LIMIT seconds (60; a test file may set it), or when a
# sanitizer reports. An assertion ends the test, but in $(...) or a pipeline it ends only that.
#
#   BUILD      the directory of the build under test (default: build)
#   SPILLWAY   the command under test; for the sanitized build a wrapper that prepares it
#   PRELOAD    the value of LD_PRELOAD that loads the shim into a program without `run`
#   LOGICAL    an origin that no test serves, for endpoints: http://llm.test
#   ONLY       a pattern: only the tests whose names match are run
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$ROOT/$BUILD ;;
esac
SPILLWAY=$BUILD/spillway
PRELOAD=$BUILD/libspillway.so
export LOGICAL=http://llm.test
TIME_LIMIT=${TIME_LIMIT:-60}
SANITIZED=""
WORK=$(mktemp -d "${TMPDIR:-/tmp}/spillway-tests.XXXXXX")
GROUP=""

# Nothing of the caller's surroundings reaches a test.
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
unset LD_PRELOAD CURL_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR OPENAI_API_KEY AZURE_OPENAI_API_KEY
unset SPILLWAY_CONFIG SPILLWAY_SETTINGS SPILLWAY_LOG SPILLWAY_LOG_FILE SPILLWAY_STATE_DIR
unset SPILLWAY_LIBRARY SPILLWAY_KEYS
export LC_ALL=C

# The sanitized shim in an unsanitized program: the runtime has to be loaded by LD_PRELOAD, and
# may come behind the shim, which `run` puts in front. It has to start before all else: libp11-kit,
# which curl brings along, would start it by the malloc of a newlocale, which holds glibc's lock of
# the locales; the runtime's own dlerror breaks that lock, and the next setlocale waits for ever.
if [ "${BUILD##*/}" = asan ]; then
    SANITIZED=$WORK/libasan-first.so
    echo '#include <stdlib.h>
__attribute__((constructor)) static void start(void) { free(malloc(1)); }' |
        gcc -O0 -shared -fPIC -Wl,-z,initfirst -o "$SANITIZED" -x c - || exit 1
    SANITIZED=$SANITIZED:$(readlink -f "$(gcc -print-file-name=libasan.so)")
    PRELOAD=$SANITIZED:$PRELOAD
    cat >"$WORK/spillway" <<END
#!/bin/sh
case \${LD_PRELOAD-} in
*"$SANITIZED"*) ;;
*) export LD_PRELOAD="$SANITIZED\${LD_PRELOAD:+:\$LD_PRELOAD}" ;;
esac
exec "$SPILLWAY" "\$@"
END
    chmod +x "$WORK/spillway"
    SPILLWAY=$WORK/spillway
fi

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# skip WHY: ends the test without a verdict.
skip() {
    printf '%s\n' "$*" >"$T/.skip"
    exit 0
}

# assert_equal WANT GOT [WHAT]
assert_equal() {
    [ "$1" = "$2" ] || fail "${3:-value}: expected '$1', got '$2'"
}

# assert_match PATTERN TEXT [WHAT]: an extended regular expression that TEXT contains
assert_match() {
    [[ $2 =~ $1 ]] || fail "${3:-text}: expected a match of '$1', got '$2'"
}

# assert_no_match PATTERN TEXT [WHAT]
assert_no_match() {
    [[ ! $2 =~ $1 ]] || fail "${3:-text}: expected no match of '$1', got '$2'"
}

# assert_status WANT COMMAND...: runs it, its output goes to $T/out and $T/err
assert_status() {
    local want=$1 got=0
    shift
    "$@" >"$T/out" 2>"$T/err" || got=$?
    [ "$want" = "$got" ] || fail "exit status of '$*': expected $want, got $got
stdout: $(head -c 2000 "$T/out" | tr -d '\0')
stderr: $(head -c 2000 "$T/err" | tr -d '\0')"
}

# start_mock NAME [OPTION...]: a simulated backend on a port that the system chooses. Sets
# URL_NAME to its base URL and PID_NAME ('-' in NAME becomes '_'); its requests are logged to
# $T/NAME.log. It ends with the test.
start_mock() {
    local name=$1 variable=${1//-/_} line="" more pipe tries
    shift
    mkfifo "$T/$name.pipe"
    exec {pipe}<>"$T/$name.pipe" # open for both, so that nobody waits for the other end
    "$SPILLWAY" mock --listen 127.0.0.1:0 --name "$name" --log "$T/$name.log" --for 60s "$@" \
        >"$T/$name.pipe" 2>"$T/$name.err" {pipe}>&- &
    printf -v "PID_$variable" '%s' "$!"
    # Returns as soon as the line is there; only a mock that says nothing is looked at again. The
    # time may be up in the midst of the line.
    for ((tries = 0; tries < 20; tries++)); do
        read -r -t 0.5 -u "$pipe" more && line+=$more && break
        line+=$more
        kill -0 "$!" 2>/dev/null || break
    done
    [ -n "$line" ] || fail "mock $name does not start: $(cat "$T/$name.err")"
    [[ $line =~ (https?://[^[:space:]/]+) ]] || fail "mock $name says '$line' instead of its URL"
    printf -v "URL_$variable" '%s' "${BASH_REMATCH[1]}"
}

# requests NAME: how many requests the mock has seen
requests() {
    if [ -e "$T/$1.log" ]; then wc -l <"$T/$1.log"; else echo 0; fi
}

# log_field NAME N .FIELD: a field of the mock's Nth request
log_field() {
    sed -n "${2}p" "$T/$1.log" | jq -r "$3"
}

# write_settings: stdin becomes $T/settings.yaml
write_settings() {
    cat >"$T/settings.yaml"
}

# spill PROGRAM...: runs it through Spillway with $T/settings.yaml
spill() {
    "$SPILLWAY" run -c "$T/settings.yaml" -- "$@"
}

stop_group() {
    [ -z "$GROUP" ] || kill -KILL -- "-$GROUP" 2>/dev/null
    GROUP=""
}

# The relays that `run` left for the programs of the test are in sessions of their own, and would
# stay for a minute: whoever holds a place of the test's.
stop_relays() {
    local holder
    [ -n "$(find "$T" -name 'relay-????????????????' -print -quit)" ] || return
    for holder in $(find /proc/[0-9]*/fd -lname "$T/*/relay-????????????????" 2>/dev/null | cut -d/ -f3 | sort -u); do
        kill -KILL "$holder" 2>/dev/null
    done
}

# Runs test function $1 in the directory $T, in this (sub)shell.
in_test() {
    export HOME=$T SPILLWAY_STATE_DIR=$T/state
    if [ -n "$SANITIZED" ]; then
        export ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0:log_path=$T/asan
        export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$T/ubsan
    fi
    cd "$T" || exit 1
    "$1"
}

# Runs test function $1 and sets STATUS: an exit status, or "time" when the limit was reached.
watch_test() {
    local finish leader
    mkfifo "$T.done"
    exec {finish}<>"$T.done"
    set -m # a process group of its own, by which everything that it started can be ended
    {
        set +m
        (in_test "$1" {finish}>&-) >"$T.out" 2>&1 </dev/null
        echo $? >&"$finish"
    } 2>/dev/null &
    leader=$!
    GROUP=$leader
    set +m
    read -r -t "$TIME_LIMIT" -u "$finish" STATUS || STATUS="time"
    stop_group
    wait "$leader" 2>/dev/null # by its number: that it was killed is nothing to report
    stop_relays
    exec {finish}>&-
}

report_failure() {
    echo "not ok $1"
    {
        [ "$STATUS" != time ] || echo "it did not end within $TIME_LIMIT s"
        cat "$T.out"
        for report in "$T"/asan.* "$T"/ubsan.*; do
            [ ! -s "$report" ] || head -60 "$report"
        done
        echo "its directory: $T"
    } | sed 's/^/    /'
}

# Runs every test_ function of the file, in its order, and ends the file.
run_tests() {
    local passed=0 failed=0 skipped=0 name reports
    trap 'stop_group; exit 130' INT TERM
    while read -r name; do
        # shellcheck disable=SC2053  # ONLY is a pattern
        [[ $name == ${ONLY:-*} ]] || continue
        T=$WORK/$name
        mkdir "$T"
        watch_test "$name"
        reports=$(find "$T" \( -name 'asan.*' -o -name 'ubsan.*' \) -size +0)
        if [ "$STATUS" != 0 ] || [ -n "$reports" ]; then
            failed=$((failed + 1))
            report_failure "$name"
            continue
        fi
        if [ -e "$T/.skip" ]; then
            skipped=$((skipped + 1))
            echo "skip $name: $(cat "$T/.skip")"
        else
            passed=$((passed + 1))
            echo "ok $name"
        fi
        rm -rf "$T" "$T.done" "$T.out"
    done < <(grep -oE '^test_[A-Za-z0-9_]+' "$0")
    [ "$failed" != 0 ] || rm -rf "$WORK"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}
