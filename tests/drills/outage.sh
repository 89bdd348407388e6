#!/usr/bin/env bash
# S15: the primary is down for a while, and eight processes ask all the time. And the ready drills of
# config/drills: each shows what it is named for.
# shellcheck disable=SC2016,SC2317  # for inner shells; called by run_tests
TIME_LIMIT=${TIME_LIMIT:-180}
# shellcheck source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=drills.bash
. "$(dirname "$0")/drills.bash"

# The times of S15 are multiples of this: 1 s makes the outage one of 60 s, 100 ms one of 6 s.
UNIT=${FULL:+1000}
UNIT=${UNIT:-100} # ms

# outage COOLDOWN LINE...: eight processes with a request each 3 units, from 2 units before an outage of
# 60 until it is long over. COOLDOWN in units, the lines are of the endpoint.
outage() {
    local cooldown=$(($1 * UNIT))
    shift
    export FLEET=$ROOT/build/programs/fleet PAUSE=$((3 * UNIT))
    endpoint "cooldown: ${cooldown}ms" "$@" -- "ptu 1" "other 2"
    assert_status 0 drill --fault "ptu: refused after $((2 * UNIT))ms for $((60 * UNIT))ms" \
        --expect 'answered = 100%, processes = 8, transfers = 288, first_answer_after_end < 10m' -- \
        bash -c 'for i in {1..8}; do "$FLEET" loop 36 "$PAUSE" "$LOGICAL/v1/models" & done; wait'
    reported '[.attempt_list[] | select(.backend == "ptu" and .status != 200)] | sort_by(.begin)' >dead.json
    reported '[.cooldown_list[] | select(.backend == "ptu")] | sort_by(.begin)' >cooldowns.json
    # those that were on their way when the first one failed could not know
    jq --slurpfile c cooldowns.json '[.[] | select(.begin > $c[0][0].begin)]' dead.json >probes.json
    jq --slurpfile c cooldowns.json '[.[] | select(.begin <= $c[0][0].begin)]' dead.json >burst.json
    between 1 8 "$(jq length burst.json)" "attempts that found out"
    assert_equal 0 "$(jq --slurpfile c cooldowns.json '[.[] | .begin as $b | $c[0][] |
        select($b > .begin and $b < .begin + .seconds * 0.9)] | length' probes.json)" \
        "attempts in a cooldown: $(cat probes.json cooldowns.json)"
    # at most one per cooldown
    assert_equal "$(($(jq length cooldowns.json) - $(jq length burst.json)))" "$(jq length probes.json)" \
        "attempts, by cooldowns: $(cat probes.json cooldowns.json)"
}

# returned: how long after its return the primary was used again, in seconds; and within one cooldown
returned() {
    local back longest asked
    asked=$(jq --argjson unit "$UNIT" '[.transfer_list[] |
        select(.begin >= $unit * .002 and .begin < $unit * .062)] | length' report.json)
    back=$(reported '.faults[0].first_answer_after_end')
    longest=$(jq '[.[].seconds] | max' cooldowns.json)
    # the pause until somebody asks, and a second for a busy machine
    between 0 "$(jq -n "$longest + $PAUSE / 1000 + 1")" "$back" "seconds until its return was noticed"
    figure "S15 $1: $(jq length dead.json) attempts at the dead primary" \
        "($(jq length burst.json) when it went down) of $(reported .processes) processes," \
        "$asked requests in the outage of $((60 * UNIT)) ms, all answered;" \
        "back $back s after its return (last cooldown $longest s);" \
        "ms: $(reported '"p50 \(.p50 * 1000), p99 \(.p99 * 1000), longest \(.longest * 1000)"')"
}

test_s15_outage() {
    outage 10
    returned "cooldown $((10 * UNIT)) ms, doubling"
    between 1 12 "$(jq length dead.json)" "attempts at the dead primary"
}

# Where the return must be noticed soon, at the price of more attempts.
test_s15_outage_with_a_bound() {
    outage 10 "max_cooldown: $((10 * UNIT))ms"
    returned "cooldown and max_cooldown $((10 * UNIT)) ms"
    between 1 16 "$(jq length dead.json)" "attempts at the dead primary"
}

# ---- the ready drills --------------------------------------------------------------------------

# ready NAME EXPECTATIONS: eight requests through config/drills/NAME.yaml
ready() {
    local name=$1 expect=$2
    sed "s|https://api.openai.com|$LOGICAL|" "$ROOT/config/drills/$name.yaml" >settings.yaml
    drill --expect "$expect" -- bash -c 'for i in {1..8}; do chat; done' >out 2>err ||
        fail "$name: $(cat err) $(reported '[.expectations[] | select(.met | not)]')"
}

test_ready_drills_show_what_they_say() {
    local drills=("$ROOT"/config/drills/*.yaml) tried=0
    while IFS='|' read -r name expect; do
        ready "$name" "$expect"
        tried=$((tried + 1))
    done <<'END'
everything-throttled|answered = 0%, program_429 = 8, attempts = 3, exhausted = 8
flapping|answered = 100%, attempts@ptu >= 2, status_503@ptu >= 1
one-bad-key|answered = 100%, status_401@east = 1, attempts@ptu = 1, answers@west = 8
ptu-down|answered = 100%, attempts@ptu = 1, failed@ptu = 1
quota-exhausted|answered = 100%, attempts@ptu = 1, cooldowns@ptu = 1
silent-backend|answered = 100%, attempts@ptu = 1, longest >= 2s
stream-cut|program_errors = 2, answered = 75%, attempts = 8
throttled-ptu|answered = 100%, status_429@ptu >= 1, attempts@ptu <= 3, cooldowns@ptu >= 1
END
    assert_equal "${#drills[@]}" "$tried" "drills that were tried"
}

run_tests
