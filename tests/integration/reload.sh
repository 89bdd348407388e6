#!/usr/bin/env bash
# Settings that change under programs that run: they are followed, and bad ones are not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=fleet.bash
. "$(dirname "$0")/fleet.bash"

# shellcheck disable=SC2034  # for lib.sh
TIME_LIMIT=60 # on a machine that has a lot to do

# replace_settings: as editors do it; overwrite_settings: in place
replace_settings() {
    mkdir -p next
    T=$T/next "$@"
    mv next/settings.yaml settings.yaml
    CHANGED=${EPOCHREALTIME/./}
}

overwrite_settings() {
    "$@"
    CHANGED=${EPOCHREALTIME/./}
}

# The name in the first line of w1 whose request began a second after CHANGED, or later.
follower() {
    awk -v due=$((CHANGED / 1000 + 1000)) '$3 >= due && !found { found = 1; next }
        found { print $1 != 200 ? $1 : $2; exit }' w1
}

has_follower() {
    [ -n "$(follower)" ]
}

# assert_follows NAME WHAT: within a second and one request
assert_follows() {
    within 20 "a request a second after the change" has_follower
    assert_equal "$1" "$(follower)" "$2"
}

# A worker that asks every 100 ms and has begun to; what is logged goes to $T/log.
start_asking() {
    export SPILLWAY_LOG_FILE=$T/log SPILLWAY_LOG=info
    workers 1 0 100
    within 20 "the first answer" has_lines w1 2
}

test_reload_of_backends_and_priorities() {
    local pid descriptors
    for name in a b c; do start_mock "$name"; done
    settings -- "a 5" "b 6"
    start_asking
    pid=${WORKERS[0]}
    descriptors=$(find "/proc/$pid/fd" -mindepth 1 | wc -l)
    replace_settings settings -- "a 5" "b 6" "c 1"
    assert_follows c "a backend that was added"
    overwrite_settings settings -- "a 5" "b 1" "c 2"
    assert_follows b "priorities that changed"
    replace_settings settings -- "a 1"
    assert_follows a "backends that went"
    assert_equal 3 "$(grep -c event=reloaded log)" "lines about it"
    # A connection per backend is libcurl's.
    assert_between "$descriptors" "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" $((descriptors + 2)) "descriptors"
    assert_equal 200 "$(cut -d' ' -f1 w1 | sort -u)" "status of all requests"
    end_workers
}

# settings_with_key NAME: of an environment variable
settings_with_key() {
    write_settings <<END
endpoints:
  - url: $LOGICAL/v1
    backends: [{name: a, url: $URL_a/v1, key_env: $1}]
END
}

last_key() {
    tail -1 a.log | jq -r .key_hash
}

test_reload_of_a_key() {
    start_mock a
    export KEY_ONE=one-one KEY_TWO=two-two
    settings_with_key KEY_ONE
    start_asking
    assert_equal "$(printf one-one | sha256sum | head -c 16)" "$(last_key)" "the first key"
    replace_settings settings_with_key KEY_TWO
    assert_follows a "who answers"
    assert_equal "$(printf two-two | sha256sum | head -c 16)" "$(last_key)" "the second key"
    end_workers
}

settings_for() { # URL
    LOGICAL=$1 settings -- "a 1"
}

test_reload_of_an_endpoints_url() {
    start_mock a
    CHAT=http://127.0.0.1:9/v1/models # where nobody listens
    settings_for http://llm.test
    start_asking
    replace_settings settings_for http://127.0.0.1:9
    assert_follows a "an URL that became an endpoint's"
    replace_settings settings_for http://llm.test
    assert_follows 0 "an URL that is none any more"
    end_workers
}

test_reload_keeps_cooldowns() {
    start_mock a --status 429:retry-after=60
    start_mock b
    start_mock c
    settings -- "a 1" "b 2"
    start_asking
    replace_settings settings -- "a 1" "c 2"
    assert_follows c "who answers"
    assert_equal 1 "$(requests a)" "requests at the one that cools"
    end_workers
}

# How many lines the log has on settings.
complaints() {
    grep -c event=settings log
}

bad_settings() {
    printf 'endpoints:\n  - url: %s/v1\n    backend: []\n' "$LOGICAL" | write_settings
}

test_a_bad_new_file_changes_nothing_and_is_told_once() {
    start_mock a
    start_mock b
    settings -- "a 1"
    start_asking
    replace_settings bad_settings
    assert_follows a "with a bad file"
    CHANGED=${EPOCHREALTIME/./}
    assert_follows a "a second later"
    assert_equal 1 "$(complaints)" "lines about it"
    assert_match "event=settings .*settings.yaml:3:5: " "$(cat log)" "its place"
    replace_settings settings -- "b 1"
    assert_follows b "with a good one"
    overwrite_settings rm settings.yaml
    assert_follows b "without a file"
    CHANGED=${EPOCHREALTIME/./}
    assert_follows b "a second later"
    assert_equal 2 "$(complaints)" "lines about it"
    overwrite_settings settings -- "a 1"
    assert_follows a "with the file back"
    overwrite_settings rm settings.yaml
    mkfifo settings.yaml
    CHANGED=${EPOCHREALTIME/./}
    assert_follows a "a fifo in its place"
    assert_between 3 "$(complaints)" 4 "lines about it"
    assert_equal 200 "$(cut -d' ' -f1 w1 | sort -u)" "status of all requests"
    end_workers
}

# Another content more often than it is looked for.
test_sixty_four_threads_under_reload() {
    local i
    start_mock a
    start_mock b
    settings -- "a 1" "b 2"
    export SPILLWAY_LOG_FILE=$T/log SPILLWAY_LOG=info
    worker w1 threads 64 10000 "$CHAT"
    within 20 "the first request" has_requests a 1
    for ((i = 0; i < 40; i++)); do
        kill -0 "$WORKER" 2>/dev/null || break
        if [ $((i % 2)) = 0 ]; then
            replace_settings settings -- "b 1" "a 2"
        else
            replace_settings settings "strategy: random" -- "a 1" "b 1"
        fi
        sleep 0.3
    done
    wait "$WORKER" || fail "status $?: $(cat w1.err)"
    assert_match '^answered=[1-9][0-9]* other=0$' "$(cat w1)"
    [ "$(grep -c event=reloaded log)" -ge 5 ] || fail "reloads: $(grep -c event=reloaded log)"
    assert_equal 0 "$(complaints)" "lines about bad settings"
    assert_equal 0 "$(claims)" "claims that are left"
}

test_one_look_a_second_is_enough() {
    command -v strace >/dev/null || skip "strace is not there"
    [ -z "$SANITIZED" ] || skip "the plain build shows it"
    start_mock a
    settings -- "a 1"
    assert_status 0 env SPILLWAY_CONFIG="$T/settings.yaml" \
        strace -f -qq -e trace=stat,newfstatat,statx,openat -o calls -E LD_PRELOAD="$PRELOAD" \
        "$FLEET" threads 8 3300 "$CHAT"
    assert_between 3 "$(grep -c 'stat.*settings.yaml' calls)" 5 "looks in 3.3 seconds"
    assert_equal 1 "$(grep -c 'openat.*settings.yaml' calls)" "times it was read"
}

run_tests
