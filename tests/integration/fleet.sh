#!/usr/bin/env bash
# Many processes at once: what one learns the others heed, shares are exact, one alone tries what has
# cooled; whatever dies, or is written into the state, the rest goes on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=fleet.bash
. "$(dirname "$0")/fleet.bash"

# shellcheck disable=SC2034  # for lib.sh
TIME_LIMIT=60 # on a machine that has a lot to do

# one: a request in a process of its own; prints who answered
one() {
    spill "$FLEET" loop 1 0 "$CHAT" | cut -d' ' -f2
}

# assert_all_answered N FILE...: N requests in all, each with status 200
assert_all_answered() {
    local want=$1
    shift
    assert_equal "$want 200" "$(cut -d' ' -f1 "$@" | sort | uniq -c | sed 's/^ *//')" "requests and their status"
}

# A long-lived worker, which asks once for each `next`: prints who answered.
start_gate() {
    mkfifo gate.in gate.out
    "$SPILLWAY" run -c settings.yaml -- "$FLEET" gate 1 0 "$CHAT" <gate.in >gate.out 2>gate.err &
    exec {TO_GATE}>gate.in {FROM_GATE}<gate.out
}

next() {
    local name _
    echo go >&"$TO_GATE"
    read -r -t 20 _ name _ <&"$FROM_GATE" || fail "the long-lived worker does not answer"
    read -r -t 20 _ <&"$FROM_GATE" || fail "the long-lived worker does not end"
    echo "$name"
}

test_a_429_of_one_is_heeded_by_the_very_next_request_of_another() {
    start_mock first --script '200,429:retry-after=60'
    start_mock second
    settings -- "first 1" "second 2"
    start_gate
    assert_equal first "$(next)" "before the 429"
    assert_equal second "$(one)" "the one that met the 429"
    assert_equal second "$(next)" "a process that runs already"
    assert_equal second "$(one)" "a new process"
    assert_equal "2 3" "$(requests first) $(requests second)"
}

test_scope_process_keeps_a_429_private() {
    start_mock first --script '200,429:retry-after=60,200'
    start_mock second
    TOP="state: {scope: process}" settings -- "first 1" "second 2"
    start_gate
    assert_equal first "$(next)" "before the 429"
    assert_equal second "$(one)" "the one that met the 429"
    assert_equal first "$(next)" "a process that knows nothing of it"
    assert_equal first "$(one)" "a new process"
    [ ! -e state ] || fail "a state directory for what is private"
}

four_backends() {
    local name
    for name in a b c d; do start_mock "$name"; done
}

# assert_shares WANT_A REST: requests of a, and of each of the others, to one in a hundred
assert_shares() {
    local name want=$1
    assert_all_answered 2000 w?
    for name in a b c d; do
        assert_between $((want - want / 100)) "$(requests "$name")" $((want + want / 100)) "share of $name"
        want=$2
    done
}

test_equal_backends_get_equal_shares_of_eight_processes() {
    four_backends
    settings "strategy: round_robin" -- "a 1" "b 1" "c 1" "d 1"
    workers 8 250 0
    join_workers
    assert_shares 500 500
}

test_weights_are_exact_over_eight_processes() {
    four_backends
    settings "strategy: round_robin" -- "a 1 3" "b 1" "c 1" "d 1"
    workers 8 250 0
    join_workers
    assert_shares 1000 333
}

# A request of another endpoint, to where nobody listens, looks for dead processes on its way.
no_claims_after_a_look() {
    SPILLWAY_SETTINGS="endpoints: [{url: $LOGICAL, strategy: least_busy,
        cooldown: 10ms, max_cooldown: 10ms, backends: [
        {url: 'http://127.0.0.1:9', name: a}, {url: 'http://127.0.0.1:9', name: b}]}]" \
        "$SPILLWAY" run -- "$FLEET" loop 1 0 "$LOGICAL/" >/dev/null
    [ "$(claims)" = 0 ]
}

# One after the other, so that each sees the claims of those before it: no eight are the same as the
# eight before unless the killed ones count no more.
test_least_busy_does_not_drift_with_the_killed() {
    local i round
    start_mock a --script hang
    start_mock b --script hang
    settings "strategy: least_busy" -- "a 1" "b 1 3"
    for round in 1 2 3; do
        WORKERS=()
        for i in 1 2 3 4 5 6 7 8; do
            worker "w$i" loop 1 0 "$CHAT"
            WORKERS+=("$WORKER")
            within 20 "request $i of round $round" have_requests $((round * 8 - 8 + i))
        done
        assert_equal "$((round * 2)) $((round * 6))" "$(requests a) $(requests b)" "weights 1:3, round $round"
        assert_equal 8 "$(claims)" "claims of the living"
        end_workers
        within 10 "their claims vanish" no_claims_after_a_look
    done
}

have_requests() { # N, at a and b
    [ $(($(requests a) + $(requests b))) -ge "$1" ]
}

test_one_process_probes_and_the_others_wait_for_it() {
    start_mock first --script '429:retry-after=1,200:latency=1500ms,200'
    start_mock second
    settings "cooldown: 20s" -- "first 1" "second 2"
    assert_equal second "$(one)" "the one that met the 429"
    workers 4 0 20
    within 20 "the others follow" has_requests first 12
    end_workers
    jq -es '.[1].time - .[0].time >= 1' first.log >json || fail "probed before the cooldown's end: $(cat first.log)"
    jq -es '.[2].time - .[1].time >= 1.5' first.log >json || fail "used while it was tried: $(cat first.log)"
    jq -es --slurpfile first first.log '[.[] | select(.time > $first[1].time and .time < $first[2].time)] | length >= 4' \
        second.log >json || fail "the next tier was not used meanwhile"
    assert_equal 200 "$(cut -d' ' -f1 w? | sort -u)" "status of all requests"
    # All processes, not the prober alone.
    assert_equal 4 "$(grep -l ' first ' w? | wc -l)" "processes that follow"
}

# The cooldowns of first in the log, in seconds, on one line.
cooldowns() {
    sed -nE 's/.*event=cooldown .*backend=first .*seconds=([0-9.]*).*/\1/p' "$T/log" | head "-$1" | paste -sd' '
}

has_cooldowns() {
    [ -e log ] && [ "$(grep -c 'event=cooldown .*backend=first' log)" -ge "$1" ]
}

# assert_cooldowns SECONDS...: of the first backend, with one worker that asks all the time
assert_cooldowns() {
    export SPILLWAY_LOG_FILE=$T/log SPILLWAY_LOG=info
    workers 1 0 5
    within 30 "$# cooldowns" has_cooldowns $#
    end_workers
    assert_equal "$(printf '%.3f ' "$@" | sed 's/ $//')" "$(cooldowns $#)" "cooldowns"
    assert_equal 200 "$(cut -d' ' -f1 w1 | sort -u)" "status of all requests"
}

test_failed_probes_double_the_cooldown_up_to_its_maximum() {
    start_mock first --status 503
    start_mock second
    settings "cooldown: 100ms" "max_cooldown: 500ms" -- "first 1" "second 2"
    assert_cooldowns 0.1 0.2 0.4 0.5 0.5
}

test_refused_connections_double_the_cooldown() {
    export URL_first=http://127.0.0.1:9
    start_mock second
    settings "cooldown: 100ms" "max_cooldown: 500ms" -- "first 1" "second 2"
    assert_cooldowns 0.1 0.2 0.4 0.5 0.5
    assert_match "reason=connect" "$(grep -m1 event=cooldown log)"
}

test_success_ends_the_doubling() {
    start_mock first --script '503*3,200,503'
    start_mock second
    settings "cooldown: 100ms" -- "first 1" "second 2"
    assert_cooldowns 0.1 0.2 0.4 0.1 0.2
}

test_what_a_response_names_is_not_doubled() {
    start_mock first --script '503,503:retry-after=1,503:retry-after-ms=300,503:retry-after=1,200,503'
    start_mock second
    settings "cooldown: 100ms" -- "first 1" "second 2"
    assert_cooldowns 0.1 1 0.3 1 0.1
}

# probe_is_taken_over COMMAND...: which starts a worker that probes, is killed by its number in
# $T/prober, and perhaps not mourned
probe_is_taken_over() {
    local pid start=$SECONDS
    start_mock first --script '429:retry-after=1,hang,200'
    start_mock second
    settings "cooldown: 50s" -- "first 1" "second 2"
    assert_equal second "$(one)" "the one that met the 429"
    sleep 1 # the cooldown
    "$@" &
    within 10 "a probe" has_requests first 2
    assert_equal second "$(one)" "while it is tried"
    read -r pid <prober
    kill -KILL "$pid"
    within 5 "the end of the prober" has_ended "$pid"
    assert_equal first "$(one)" "the very next one, after $((SECONDS - start)) s in all"
}

has_ended() {
    case $(ps -o state= -p "$1") in
    Z* | "") return 0 ;;
    *) return 1 ;;
    esac
}

ask_and_tell() {
    # shellcheck disable=SC2016  # for the inner shell
    exec "$SPILLWAY" run -c settings.yaml -- bash -c 'echo $$ >prober; exec "$@"' - "$FLEET" loop 1 0 "$CHAT" >w1
}

test_a_killed_prober_frees_the_backend_at_once() {
    probe_is_taken_over ask_and_tell
}

leave_it_a_zombie() {
    ask_and_tell &
    exec sleep 50
}

test_a_prober_that_is_a_zombie_frees_the_backend_at_once() {
    probe_is_taken_over leave_it_a_zombie
}

# assert_gaps MINIMUM: seconds between two requests at first, doubled each time
assert_gaps() {
    jq -es --argjson minimum "$1" '[.[].time] as $at |
        [range(1; $at | length) | $at[.] - $at[. - 1] >= $minimum * pow(2; . - 1)] | all' \
        first.log >json || fail "attempts at the dead backend: $(jq .time first.log)"
}

test_an_outage_costs_one_attempt_per_cooldown() {
    start_mock first --status 503
    start_mock second
    settings "cooldown: 500ms" -- "first 1" "second 2"
    assert_equal second "$(one)" "the one that found it dead"
    workers 8 20 150
    join_workers
    assert_all_answered 160 w?
    assert_gaps 0.5
    assert_between 2 "$(requests first)" 8 "attempts at the dead backend"
}

two_backends() {
    start_mock first --status 429:retry-after=60
    start_mock second
    settings -- "first 1" "second 2"
}

# spoil OFFSET TEXT: writes over the ledger's file
spoil() {
    printf '%b' "$2" | dd of=state/ledger bs=1 seek="$1" conv=notrunc status=none
}

# assert_replaced WHAT: the next process makes a new one, which the one after it uses
assert_replaced() {
    : >first.log
    assert_equal second "$(one)" "$1"
    assert_equal 1 "$(requests first)" "requests at the throttled one, $1"
    assert_equal second "$(one)" "$1"
    assert_equal 1 "$(requests first)" "requests at the throttled one, afterwards, $1"
    assert_equal "600 ledger" "$(stat -c '%a' state/ledger) $(ls -A state)" "the state directory, $1"
}

test_another_header_is_no_header() {
    two_backends
    one >/dev/null
    spoil 0 'S'
    assert_replaced "another magic"
    spoil 8 '\0377'
    assert_replaced "another layout"
    spoil 8 '\0001'
    assert_replaced "an older layout"
    spoil 12 '\0000'
    assert_replaced "another size"
    spoil 16 'x'
    assert_replaced "another boot"
    truncate -s +4096 state/ledger
    assert_replaced "a longer file"
    echo left >state/ledger.new
    rm state/ledger
    assert_replaced "what a killed maker left"
}

test_a_file_of_another_user_is_replaced() {
    [ "$(id -u)" = 0 ] || skip "needs root to give a file away"
    two_backends
    one >/dev/null
    chown 65534 state/ledger
    assert_replaced "another user's"
}

gate_says() { # NAME
    [ "$(next)" = "$1" ]
}

# assert_follows COMMAND...: a process that has been running heeds what others do after COMMAND
assert_follows() {
    start_mock first
    start_mock second
    settings -- "first 1" "second 2"
    start_gate
    assert_equal first "$(next)" "before: $*"
    "$@"
    sleep 1.1 # it looks once a second
    assert_equal first "$(next)" "a process that runs already, after: $*"
    "$SPILLWAY" drain -c settings.yaml first >drained
    within 10 "what others know, after: $*" gate_says second
    "$SPILLWAY" undrain -c settings.yaml first >drained
    assert_equal "first first" "$(next) $(one)" "afterwards: $*"
}

test_a_running_process_follows_when_the_ledger_is_removed() {
    assert_follows rm state/ledger
}

test_a_running_process_follows_when_the_state_directory_is_removed() {
    assert_follows rm -r state
}

another_header() {
    spoil 8 '\0001'
    one >/dev/null
}

test_a_running_process_follows_when_the_ledger_is_replaced() {
    assert_follows another_header
}

noise_behind_the_header() {
    head -c $(($(stat -c %s state/ledger) - 4096)) /dev/urandom |
        dd of=state/ledger bs=4096 seek=1 conv=notrunc status=none
}

test_a_running_process_finds_its_place_again_after_noise() {
    assert_follows noise_behind_the_header
}

# Whoever reads behind the end of a mapped file is killed by the kernel.
test_an_idle_process_survives_a_ledger_that_is_cut() {
    assert_follows truncate -s 0 state/ledger
}

test_a_running_process_keeps_what_it_knows_when_there_is_nothing_to_go_over_to() {
    two_backends
    start_gate
    assert_equal second "$(next)" "the 429"
    rm -r state
    echo >state
    sleep 1.1
    assert_equal second "$(next)" "with a file in place of the directory"
    assert_equal 1 "$(requests first)" "requests at the throttled one"
}

# The four must go on while it is done, and be right afterwards; so must a fresh one.
test_random_bytes_over_the_ledger_of_four_at_work() {
    local i size end before name
    four_backends
    settings "cooldown: 100ms" -- "a 1" "b 1" "c 2" "d 2"
    workers 4 0 1
    for i in 1 2 3 4; do within 20 "worker $i" has_lines "w$i" 10; done
    size=$(stat -c %s state/ledger)
    end=$((SECONDS + 4))
    for ((i = 0; SECONDS < end; i++)); do
        head -c 4096 /dev/urandom >noise
        [ $((i % 5)) != 0 ] || head -c 4096 /dev/zero | tr '\0' '\377' >noise
        dd if=noise of=state/ledger bs=512 seek=$((RANDOM % (size / 512))) conv=notrunc status=none
        kill -0 "${WORKERS[@]}" || fail "a worker died"
    done
    before=$(cat w? | wc -l)
    for name in 1 2 3 4; do
        within 20 "worker $name goes on" has_lines "w$name" $(($(wc -l <"w$name") + 20))
    done
    kill -0 "${WORKERS[@]}" || fail "a worker died"
    assert_equal 200 "$(tail -qn 10 w? | cut -d' ' -f1 | sort -u)" "status after the noise, $before answers in it"
    assert_equal "" "$(cut -d' ' -f1 w? | sort -u | grep -vxE '200|429')" "any other status"
    assert_equal "" "$(grep '^200' w? | cut -d' ' -f2 | sort -u | grep -vxE 'a|b|c|d')" "any other backend"
    end_workers
    assert_match '^[abcd]$' "$(one)" "a fresh process"
}

# A small share of what `scripts/soak kills` does.
test_kills_leave_a_ledger_that_works() {
    BUILD=$BUILD assert_status 0 "$ROOT/scripts/soak" kills 60
}

# all_succeed ARGUMENT...: of the worker, whose threads are at work meanwhile
all_succeed() {
    start_mock first --script '429:retry-after=1,200'
    start_mock second
    settings -- "first 1" "second 2"
    assert_status 0 spill "$FLEET" "$@"
    assert_match '^answered=[1-9][0-9]* other=0$' "$(cat out)" "what the threads got"
}

test_children_of_a_process_with_threads() {
    [ -z "$SANITIZED" ] || skip "the sanitizer's heap does not outlive a fork beside threads"
    all_succeed fork 8 30 "$CHAT"
}

test_vfork_and_exec_in_a_process_with_threads() {
    all_succeed vfork 8 20 "$CHAT" curl -sSf -o /dev/null "$CHAT"
}

test_exec_of_what_is_no_client() {
    all_succeed vfork 4 50 "$CHAT" /bin/true
}

test_sixty_four_threads() {
    all_succeed threads 64 2000 "$CHAT"
}

# Its parent's claim stays, and its parent's transfer goes on.
test_a_child_that_cleans_up_its_parents_transfer() {
    start_mock first --latency 2s
    settings "strategy: least_busy" -- "first 1"
    worker w1 inherit "$CHAT"
    within 20 "the child's end" has_lines w1 1
    assert_equal 1 "$(claims)" "claims while the parent's transfer runs"
    wait "$WORKER" || fail "status $?: $(cat w1.err)"
    assert_equal "child=done 200 first" "$(paste -sd' ' w1)"
    assert_equal 0 "$(claims)" "claims afterwards"
}

# elsewhere COMMAND...: a request inside of namespaces, after COMMAND
elsewhere() {
    timeout -k 1 20 unshare -Urm sh -c "$1"' && exec "$@"' - \
        "$SPILLWAY" run -c settings.yaml --log log -- "$FLEET" loop 3 0 "$CHAT"
}

need_unshare() {
    unshare "$@" true 2>/dev/null || skip "unshare $* is not permitted"
}

test_namespaces_of_users_and_processes() {
    need_unshare -Urpf
    two_backends
    one >/dev/null
    assert_status 0 timeout -k 1 20 unshare -Urpf \
        "$SPILLWAY" run -c settings.yaml -- "$FLEET" loop 3 0 "$CHAT"
    assert_all_answered 3 out
    assert_equal 1 "$(requests first)" "requests at the throttled one"
}

test_a_state_directory_that_can_only_be_read() {
    need_unshare -Urm
    two_backends
    one >/dev/null
    assert_status 0 elsewhere 'mount --bind state state && mount -o remount,bind,ro state'
    assert_all_answered 3 out
    assert_match "event=state" "$(cat log)"
    assert_equal 2 "$(requests first)" "requests at the throttled one: one per private state"
}

test_a_full_file_system() {
    need_unshare -Urm
    two_backends
    mkdir -m 700 state
    assert_status 0 elsewhere 'mount -t tmpfs -o size=64k,mode=700 tmpfs state'
    assert_all_answered 3 out
    assert_match "event=state" "$(cat log)"
    assert_equal 1 "$(requests first)" "requests at the throttled one"
}

run_tests
