#!/usr/bin/env bash
# How long a backend is not used, from what it starts and when it ends: seen in the log, in what
# the mocks get, and from one process to the next.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# settings [LINE OF THE ENDPOINT]...: mock ptu first, mock other second
settings() {
    local line
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        for line in "$@"; do echo "    $line"; done
        echo "    backends:"
        echo "      - {name: ptu, url: \"${URL_ptu:?}/v1\", priority: 1}"
        [ -z "${URL_other-}" ] || echo "      - {name: other, url: \"$URL_other/v1\", priority: 2}"
    } | write_settings
}

# ask [CURL_OPTION]...: one request in a process of its own; prints who answered, and the status
ask() {
    "$SPILLWAY" run -c "$T/settings.yaml" --log "$T/log" --log-level debug -- \
        curl -sS -o /dev/null -w '%header{x-spillway-mock} %{http_code}' "$@" "$LOGICAL/v1/models"
}

# The cooldowns in the log, as "BACKEND REASON SECONDS".
cooldowns() {
    [ ! -e log ] || sed -nE 's/.*event=cooldown .*backend=([^ ]*) reason=([^ ]*) seconds=([0-9.]*).*/\1 \2 \3/p' log
}

# until_answered_by NAME: asks until it answers; prints the milliseconds that it took
until_answered_by() {
    local start=${EPOCHREALTIME/./} tries
    for ((tries = 0; tries < 3000; tries++)); do
        [[ $(ask) != "$1 "* ]] || {
            echo $(((${EPOCHREALTIME/./} - start) / 1000))
            return 0
        }
    done
    fail "$1 is never used again"
}

# assert_between LOW GOT HIGH WHAT
assert_between() {
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ] && return
    fail "$4: expected $1 to $3, got $2"
}

# Each line: the step that ptu answers, and the whole seconds that the log then tells, for
# `cooldown: 20s` and `max_cooldown: 100s`.
test_the_response_says_how_long() {
    local script="" step want number=0 got
    cat >table <<'END'
429|20
503|20
429:retry-after=7|7
503:retry-after=7|7
500:Retry-After=8|8
429:retry-after=1.5|2
429:retry-after-ms=3000|3
429:retry-after-ms=2500.5|3
429:x-ms-retry-after-ms=4000|4
429:retry-after=9:retry-after-ms=5000|5
429:retry-after=9:x-ratelimit-reset-requests=3s|9
429:x-ratelimit-reset-requests=6|6
429:x-ratelimit-reset-requests=1m3s|63
429:x-ratelimit-reset-tokens=12s|12
429:x-ratelimit-remaining-requests=0:x-ratelimit-reset-requests=11s:x-ratelimit-remaining-tokens=9:x-ratelimit-reset-tokens=50s|11
429:x-ratelimit-remaining-requests=5:x-ratelimit-reset-requests=50s:x-ratelimit-remaining-tokens=0:x-ratelimit-reset-tokens=13s|13
429:x-ratelimit-remaining-requests=5:x-ratelimit-remaining-tokens=5:x-ratelimit-reset-requests=14s:x-ratelimit-reset-tokens=16s|16
429:x-ratelimit-remaining-requests=5:x-ratelimit-reset-requests=18s:x-ratelimit-reset-tokens=16s|18
429:retry-after=6:retry-after=4|6
429:retry-after=4:retry-after=6|6
429:retry-after=86400|100
429:retry-after=99999999999999999999999|100
429:retry-after-ms=86400000|100
429:retry-after=soon|20
429:retry-after=7x|20
429:retry-after=nan|20
429:retry-after=inf|20
429:retry-after=soon:x-ratelimit-reset-requests=15s|15
429:retry-after-ms=none:retry-after=17|17
429:body='{"error":{"message":"Please retry after 18 seconds."}}'|18
429:body='{"error":{"message":"Please try again in 19.5s."}}'|20
429:retry-after=3:body='Please retry after 18 seconds.'|3
429:retry-after='Thu, 01 Jan 2099 00:00:00 GMT'|100
429:quota|100
END
    while IFS='|' read -r step want; do script+="$step,"; done <table
    start_mock ptu --script "${script%,}"
    start_mock other
    settings "cooldown: 20s" "max_cooldown: 100s"
    while IFS='|' read -r step want; do
        number=$((number + 1))
        rm -f log
        export SPILLWAY_STATE_DIR=$T/state$number
        assert_equal "other 200" "$(ask)" "answer after $step"
        assert_match '^ptu [0-9a-z]+ [0-9]+\.?[0-9]*$' "$(cooldowns)" "cooldown after $step"
        got=$(cooldowns | awk '{print int($3 + 0.999)}')
        assert_equal "$want" "$got" "whole seconds after $step"
    done <table
}

test_past_and_negative_times_mean_now() {
    local step number=0 steps=("retry-after=0" "retry-after=-5" "retry-after-ms=0"
        "retry-after='Wed, 21 Oct 2015 07:28:00 GMT'" "x-ratelimit-reset-requests=0s")
    start_mock ptu --script "$(printf '429:%s,' "${steps[@]}" | sed 's/,$//')"
    start_mock other
    settings
    for step in "${steps[@]}"; do
        assert_equal "other 200" "$(ask)" "answer after $step"
        number=$((number + 1))
        assert_equal "$number" "$(requests ptu)" "requests at ptu, which is free again, after $step"
    done
}

test_http_date_counts_against_the_date_of_the_response() {
    start_mock ptu --script "429:retry-after='$(date -u -d '+30 seconds' '+%a, %d %b %Y %H:%M:%S GMT')'"
    start_mock other
    settings
    assert_equal "other 200" "$(ask)"
    assert_between 27 "$(cooldowns | awk '{print int($3)}')" 31 seconds
    assert_equal "other 200 1" "$(ask) $(requests ptu)" "the next request"
}

test_it_lasts_over_processes_and_ends_in_time() {
    start_mock ptu --script '429:retry-after=1,200'
    start_mock other
    settings
    assert_equal "other 200" "$(ask)"
    assert_between 600 "$(until_answered_by ptu)" 1800 "milliseconds until ptu is used again"
    assert_equal 2 "$(requests ptu)" "requests at ptu: none before the cooldown ended"
    assert_between 1000 "$(jq -s '((.[1].time - .[0].time) * 1000) | floor' ptu.log)" 2500 \
        "milliseconds from the 429 to the next request"
    assert_equal 1 "$(grep -c 'event=recovered .*backend=ptu' log)" "recovered lines"
    assert_equal "ptu 200" "$(ask)"
    assert_equal 1 "$(grep -c 'event=recovered' log)" "recovered lines"
}

test_max_cooldown_caps_in_behaviour_too() {
    start_mock ptu --script '429:retry-after=86400,429:quota,200'
    start_mock other
    settings "cooldown: 500ms" "max_cooldown: 700ms"
    assert_equal "other 200" "$(ask)"
    while [ "$(requests ptu)" = 1 ]; do ask >>asked; done
    assert_between 700 "$(jq -s '((.[1].time - .[0].time) * 1000) | floor' ptu.log)" 1700 milliseconds
    assert_equal "ptu 429 0.700
ptu quota 0.700" "$(cooldowns)"
    assert_between 500 "$(until_answered_by ptu)" 1700 "milliseconds after the quota's 429"
}

test_cooldown_holds_for_connect_errors() {
    start_mock ptu --script 'close,200'
    start_mock other
    settings "cooldown: 400ms"
    assert_equal "other 200" "$(ask)"
    assert_equal "ptu connect 0.400" "$(cooldowns)"
    assert_between 200 "$(until_answered_by ptu)" 1400 "milliseconds until it is used again"
}

test_failure_threshold_of_two() {
    start_mock ptu --status 500
    start_mock other
    settings "failure_threshold: 2"
    assert_equal "other 200" "$(ask)"
    assert_equal "" "$(cooldowns)" "after one failure"
    assert_equal "other 200" "$(ask)"
    assert_equal "ptu 500 10.000" "$(cooldowns)" "after two"
    assert_equal "other 200" "$(ask)"
    assert_equal "2 3" "$(requests ptu) $(requests other)"
}

test_failure_threshold_of_three_counts_consecutive_ones() {
    local i
    start_mock ptu --script '500,503,200,500,500,404,500,close,500,200'
    start_mock other
    settings "failure_threshold: 3"
    for i in 1 2 3 4 5 6 7 8; do ask >/dev/null; done
    assert_equal "" "$(cooldowns)" "no three in a row"
    ask >/dev/null
    assert_equal "ptu 500 10.000" "$(cooldowns)" "three in a row"
    ask >/dev/null
    assert_equal 9 "$(requests ptu)"
}

test_failure_threshold_does_not_spare_429() {
    start_mock ptu --script '429,200'
    start_mock other
    settings "failure_threshold: 5" "cooldown: 30s"
    assert_equal "other 200" "$(ask)"
    assert_equal "ptu 429 30.000" "$(cooldowns)"
    assert_equal "other 200" "$(ask)"
}

test_failures_below_the_threshold_still_fail_over() {
    local i
    start_mock ptu --status 503
    start_mock other
    settings "failure_threshold: 100"
    for i in 1 2 3 4; do assert_equal "other 200" "$(ask)" "request $i"; done
    assert_equal "4 4" "$(requests ptu) $(requests other)"
}

test_too_large_fails_over_without_cooldown() {
    start_mock ptu --script '429:too-large,200'
    start_mock other
    settings
    assert_equal "other 200" "$(ask)"
    assert_equal "" "$(cooldowns)"
    assert_equal "ptu 200" "$(ask)"
}

test_quota_cools_for_max_cooldown_whatever_the_headers_say() {
    start_mock ptu --script '429:quota:retry-after=1'
    start_mock other
    settings "max_cooldown: 5m"
    assert_equal "other 200" "$(ask)"
    assert_equal "ptu quota 300.000" "$(cooldowns)"
}

test_other_statuses_do_not_cool() {
    local i
    start_mock ptu --script '400:retry-after=9,401,403,404,408,413,422:retry-after=9,301:retry-after=9,200:retry-after=9,200'
    start_mock other
    settings
    for i in 1 2 3 4 5 6 7 8 9 10; do ask >>answers; done
    assert_equal "10 0" "$(requests ptu) $(requests other)"
    assert_equal "" "$(cooldowns)"
}

test_400_never_cools_even_if_it_is_retried() {
    start_mock ptu --script '400:retry-after=60,200'
    start_mock other
    settings "retry_on: [429, 4xx, 5xx, connect]"
    assert_equal "other 200" "$(ask)"
    assert_equal "" "$(cooldowns)"
    assert_equal "ptu 200" "$(ask)"
}

test_what_retry_on_leaves_out_does_not_cool() {
    start_mock ptu --script '503:retry-after=60,200'
    start_mock other
    settings "retry_on: [429]"
    assert_equal "ptu 503" "$(ask)"
    assert_equal "" "$(cooldowns)"
    assert_equal "ptu 200" "$(ask)"
}

# Both are asked at the same time; the second answer must not shorten what the first one said.
test_a_later_answer_does_not_shorten_a_cooldown() {
    local one
    start_mock ptu --script '429:retry-after=40:latency=100ms,429:retry-after=1:latency=600ms'
    start_mock other
    settings
    ask >/dev/null &
    one=$!
    ask >/dev/null
    wait "$one"
    assert_equal 2 "$(requests ptu)" "both were asked"
    assert_match "^ptu 429 40.000" "$(cooldowns)"
    rm log
    assert_status 0 "$SPILLWAY" run -c settings.yaml -- curl -sS -o /dev/null "$LOGICAL/v1/models"
    settings_without_other
    ask -D head >/dev/null
    assert_between 35 "$(sed -n 's/^[Rr]etry-[Aa]fter: \([0-9]*\)\r$/\1/p' head)" 40 "Retry-After of ours"
}

settings_without_other() {
    sed -i '/name: other/d' settings.yaml
}

test_our_retry_after_is_the_soonest_backends() {
    start_mock ptu --script '429:retry-after=50'
    start_mock other --script '429:retry-after=7'
    settings
    ask -D head >/dev/null
    assert_equal 7 "$(sed -n 's/^[Rr]etry-[Aa]fter: \([0-9]*\)\r$/\1/p' head)" "Retry-After"
    assert_equal "ptu 429 50.000
other 429 7.000" "$(cooldowns)"
}

test_one_process_remembers_too() {
    start_mock ptu --status 429 --retry-after 60
    start_mock other
    settings "failure_threshold: 1"
    sed -i '1i state: {scope: process}' settings.yaml
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-4]"
    assert_equal "1 4" "$(requests ptu) $(requests other)"
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_equal "2 5" "$(requests ptu) $(requests other)" "a process of its own"
}

test_without_a_usable_state_directory_it_works_all_the_same() {
    start_mock ptu --status 429 --retry-after 60
    start_mock other
    settings
    echo "a file" >blocked
    export SPILLWAY_STATE_DIR=$T/blocked/state
    assert_status 0 spill curl -sSf -o '#1' "$LOGICAL/v1/models?[1-3]"
    assert_equal "1 3" "$(requests ptu) $(requests other)"
    assert_equal "" "$(cat err)"
}

# The mock's window is the judge: what comes too early gets a 429, which the log would tell.
test_a_limited_backend_is_never_asked_too_early() {
    local i begin=$SECONDS
    start_mock ptu --limit 2/1s
    start_mock other
    settings
    for ((i = 0; i < 60; i++)); do ask >>answers; done
    assert_equal 0 "$(grep -c ' 429' answers)" "429s that the program saw"
    # in each window of a second one request finds out
    assert_between 1 "$(jq -r .status ptu.log | grep -c 429)" $((SECONDS - begin + 2)) "429s of ptu in these seconds"
}

run_tests
