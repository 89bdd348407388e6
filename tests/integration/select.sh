#!/usr/bin/env bash
# Which backend a request goes to: tiers, strategies, weights.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# settings STRATEGY "NAME PRIORITY WEIGHT"...: an endpoint over mocks that run already
settings() {
    local strategy=$1 entry name priority weight url
    shift
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        [ -z "$strategy" ] || echo "    strategy: $strategy"
        echo "    cooldown: 1s"
        echo "    backends:"
        for entry in "$@"; do
            read -r name priority weight <<<"$entry"
            url=URL_${name//-/_}
            echo "      - {name: $name, url: \"${!url}/v1\", priority: $priority, weight: $weight}"
        done
    } | write_settings
}

# ask N: N requests, each in a curl process of its own
ask() {
    local i
    for ((i = 0; i < $1; i++)); do
        spill curl -sSf -o /dev/null "$LOGICAL/v1/models" || fail "request $((i + 1)) of $1"
    done
}

# A request in the background; CLIENT is its process itself, not a shell around it.
ask_behind() {
    "$SPILLWAY" run -c settings.yaml -- curl -sS -o /dev/null "$LOGICAL/v1/models" &
    CLIENT=$!
}

# assert_between LOW GOT HIGH WHAT
assert_between() {
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ] && return
    fail "$4: expected $1 to $3, got $2"
}

# Who answered the one request that this sends.
who() {
    spill curl -sS -o /dev/null -D - "$LOGICAL/v1/models" | sed -n 's/\r$//; s/^x-spillway-mock: //p'
}

test_lowest_priority_number_is_used_whatever_the_order() {
    start_mock third
    start_mock first
    start_mock second
    settings "" "third 30 1000" "first 0 1" "second 2 100"
    ask 6
    assert_equal "6 0 0" "$(requests first) $(requests second) $(requests third)"
}

test_lower_tier_is_used_only_when_the_whole_tier_cools() {
    start_mock a --script '429:retry-after=60'
    start_mock b --script '200*2,429:retry-after=60'
    start_mock c
    settings "" "c 2 1000" "a 1 1" "b 1 1"
    ask 2
    assert_equal "1 2 0" "$(requests a) $(requests b) $(requests c)" "a, b, c while b is available"
    ask 4
    assert_equal "1 3 4" "$(requests a) $(requests b) $(requests c)" "a, b, c after b's 429"
}

test_three_tiers_are_walked_in_order_in_one_transfer() {
    start_mock a --status 503
    start_mock b --status 429
    start_mock c
    settings "" "b 5 1" "c 7 1" "a 3 1"
    assert_status 0 "$SPILLWAY" run -c settings.yaml --log log --log-level info -- \
        curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal "backend=a attempt=1 status=503
backend=b attempt=2 status=429
backend=c attempt=3 status=200" "$(grep event=attempt log | grep -oE 'backend=.* status=[0-9]+')"
}

test_recovered_tier_is_used_again() {
    local tries=0 end
    start_mock up --script '429:retry-after=1,200'
    start_mock down
    settings "" "up 1 1" "down 2 1"
    assert_equal down "$(who)" "while the cooldown runs"
    end=$((SECONDS + 10))
    until [ "$(who)" = up ]; do
        [ "$SECONDS" -lt "$end" ] || fail "the recovered tier is not used again"
        tries=$((tries + 1))
    done
    [ "$tries" -gt 0 ] || fail "the cooling tier was used at once"
    assert_equal up "$(who)" "after the recovery"
}

test_round_robin_is_the_default_and_alternates() {
    start_mock a
    start_mock b
    start_mock c
    settings "" "a 1 1" "b 1 1" "c 1 1"
    ask 9
    assert_equal "3 3 3" "$(requests a) $(requests b) $(requests c)"
}

test_round_robin_respects_weights_over_processes() {
    start_mock a
    start_mock b
    settings round_robin "a 1 3" "b 1 1"
    ask 20
    assert_equal "15 5" "$(requests a) $(requests b)"
}

test_round_robin_weights_need_not_be_reduced() {
    start_mock a
    start_mock b
    start_mock c
    settings round_robin "a 1 100" "b 1 300" "c 1 200"
    ask 12
    assert_equal "2 6 4" "$(requests a) $(requests b) $(requests c)"
}

test_round_robin_is_exact_for_parallel_processes() {
    local i client clients=()
    start_mock a
    start_mock b
    settings round_robin "a 1 3" "b 1 1"
    for ((i = 0; i < 20; i++)); do
        ask_behind
        clients+=("$CLIENT")
    done
    for client in "${clients[@]}"; do wait "$client" || fail "a request failed"; done
    assert_equal "15 5" "$(requests a) $(requests b)"
}

test_round_robin_counts_within_one_process_and_over_processes_alike() {
    start_mock a
    start_mock b
    settings round_robin "a 1 1" "b 1 3"
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-6]"
    ask 2
    assert_equal "2 6" "$(requests a) $(requests b)"
}

test_round_robin_does_not_start_each_cycle_with_a_burst() {
    local seen="" i
    start_mock a
    start_mock b
    settings round_robin "a 1 2" "b 1 2"
    for i in 1 2 3 4; do seen+=$(who); done
    [[ abab == "$seen" || baba == "$seen" ]] || fail "equal weights alternate, got $seen"
}

test_round_robin_leaves_out_who_cools() {
    start_mock a --script '429:retry-after=60'
    start_mock b
    start_mock c
    settings round_robin "a 1 1" "b 1 1" "c 1 1"
    ask 9
    assert_equal 1 "$(requests a)" "requests at the one that cools"
    assert_equal 9 "$(($(requests b) + $(requests c)))" "requests that were answered"
    assert_between 3 "$(requests b)" 6 "the share of b"
}

test_first_takes_the_first_available_of_the_tier() {
    start_mock a --script '200*3,429:retry-after=60'
    start_mock b
    settings first "a 1 1" "b 1 1000"
    ask 6
    assert_equal "4 3" "$(requests a) $(requests b)"
}

# 3:1 over 120 draws: 90 expected with a standard deviation of 4.7; the bounds are six of them off.
test_random_respects_weights() {
    start_mock a
    start_mock b
    settings random "a 1 3" "b 1 1"
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-120]"
    assert_equal 120 "$(($(requests a) + $(requests b)))" "all requests"
    assert_between 62 "$(requests a)" 118 "the share of weight 3"
}

# All the same by chance: once in 2^29 runs.
test_random_differs_from_process_to_process() {
    start_mock a
    start_mock b
    settings random "a 1 1" "b 1 1"
    ask 30
    assert_between 1 "$(requests a)" 29 "the share of one of two"
}

test_random_leaves_out_who_cools() {
    start_mock a --script '429:retry-after=60'
    start_mock b
    settings random "a 1 1000" "b 1 1"
    ask 8
    assert_equal "1 8" "$(requests a) $(requests b)"
}

# Waits for a moment, on what never comes.
moment() {
    [ -e "$T/never" ] || mkfifo "$T/never"
    read -r -t 0.02 <>"$T/never" || true
}

# Sends requests until NAME, which never answers, has one more: that is in flight from then on.
occupy() {
    local tries before
    before=$(requests "$1")
    ask_behind
    for ((tries = 0; tries < 400; tries++)); do
        [ "$(requests "$1")" = "$before" ] || return 0
        kill -0 "$CLIENT" 2>/dev/null || ask_behind # the last one went elsewhere
        moment
    done
    fail "no request reached $1"
}

test_least_busy_avoids_the_one_that_works() {
    local before
    start_mock slow --script 'hang'
    start_mock fast
    settings least_busy "slow 1 1" "fast 1 1"
    occupy slow
    before=$(requests fast)
    ask 8
    assert_equal "1 8" "$(requests slow) $(($(requests fast) - before))" "while slow is busy"
}

# One each, whoever comes first; then 1 of weight 1 is busier than 1, 2 and 3 of weight 4.
test_least_busy_counts_by_weight() {
    local i tries
    start_mock big --script 'hang'
    start_mock small --script 'hang'
    settings least_busy "big 1 4" "small 1 1"
    for ((i = 1; i <= 5; i++)); do
        ask_behind
        for ((tries = 0; tries < 200; tries++)); do
            [ $(($(requests big) + $(requests small))) -lt "$i" ] || break
            moment
        done
    done
    assert_equal "4 1" "$(requests big) $(requests small)"
}

test_least_busy_spreads_parallel_processes() {
    local i clients=()
    start_mock slow --latency 2s
    start_mock fast --latency 2s
    settings least_busy "slow 1 1" "fast 1 1"
    for i in 1 2 3 4 5 6; do
        ask_behind
        clients+=("$CLIENT")
    done
    wait "${clients[@]}"
    assert_between 2 "$(requests slow)" 4 "of six at the same time, those at slow"
    assert_equal 6 "$(($(requests slow) + $(requests fast)))" "all requests"
}

test_least_busy_forgets_a_killed_process() {
    local tries
    start_mock slow --script 'hang,200'
    start_mock fast
    settings least_busy "slow 1 1" "fast 1 1"
    occupy slow
    kill -KILL "$CLIENT"
    wait "$CLIENT" 2>/dev/null
    for ((tries = 0; tries < 2000; tries++)); do
        ask 1
        [ "$(requests slow)" = 1 ] || return 0
    done
    fail "the killed process still counts at slow"
}

test_a_retry_in_the_tier_counts_for_the_strategy_too() {
    start_mock a --status 503
    start_mock b
    start_mock c
    settings round_robin "a 1 1" "b 1 1" "c 2 1"
    ask 4
    assert_equal "1 4 0" "$(requests a) $(requests b) $(requests c)"
}

test_endpoints_have_state_of_their_own() {
    start_mock a --script '429:retry-after=60,200'
    start_mock b
    write_settings <<END
endpoints:
  - {name: one, url: http://one.test/v1, backends: [{name: a, url: "$URL_a/v1"}, {name: b, url: "$URL_b/v1", priority: 2}]}
  - {name: two, url: http://two.test/v1, backends: [{name: a, url: "$URL_a/v1"}, {name: b, url: "$URL_b/v1", priority: 2}]}
END
    assert_status 0 spill curl -sSf -o /dev/null http://one.test/v1/models
    assert_equal "1 1" "$(requests a) $(requests b)" "the first endpoint"
    assert_status 0 spill curl -sSf -o /dev/null http://two.test/v1/models
    assert_equal "2 1" "$(requests a) $(requests b)" "the second endpoint"
}

run_tests
