#!/usr/bin/env bash
# What people see of the shared state, and what they do to it by hand: status, metrics, reset, drain
# and undrain.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PTY=$ROOT/build/programs/pty
unset NO_COLOR
export TERM=xterm SECRET_KEY=sk-never-shown

# settings_with BACKEND...: an endpoint "llm" with these backends, of one priority each
settings_with() {
    local name url priority=0
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        echo "    backends:"
        for name; do
            url=URL_$name priority=$((priority + 1))
            echo "      - {name: $name, url: ${!url}/v1, priority: $priority, key: $SECRET_KEY}"
        done
    } | write_settings
    chmod 600 settings.yaml
}

ask() {
    spill curl -sS -o body "$LOGICAL/v1/models" || fail "curl ends with $?"
}

# shown BACKEND .FIELD: what status --json says of it
shown() {
    "$SPILLWAY" status -c settings.yaml --json |
        jq -r --arg name "$1" ".endpoints[].backends[] | select(.name == \$name) | $2"
}

# await COMMAND...: until it succeeds, for a while
await() {
    local i
    for ((i = 0; i < 500; i++)); do
        ! "$@" || return 0
        sleep 0.02
    done
    fail "in vain: $*"
}

test_nothing_is_made() {
    start_mock first
    settings_with first
    assert_status 0 "$SPILLWAY" status -c settings.yaml
    assert_match $'TIER BACKEND STATE     RUN ANSW % 429 5XX NET LAST P50/P90/P99\n1 first      available   0    0 -   0   0   0    -           -' "$(cat out)"
    assert_equal "" "$(cat err)"
    assert_status 0 "$SPILLWAY" status -c settings.yaml --json
    assert_status 0 "$SPILLWAY" metrics -c settings.yaml
    [ ! -e state ] || fail "a state directory where there was none"
    mkdir -m 700 state
    assert_status 0 "$SPILLWAY" status -c settings.yaml
    assert_equal "" "$(ls -A state)" "files in the state directory"
}

test_nothing_is_changed() {
    local before
    start_mock first --status 429:retry-after=30
    start_mock second
    settings_with first second
    ask
    before=$(sha256sum state/ledger)
    assert_status 0 "$SPILLWAY" status -c settings.yaml
    assert_status 0 "$SPILLWAY" metrics -c settings.yaml
    echo "endpoints: [{name: new, url: $LOGICAL/v2, backends: [{url: $URL_first}]}]" >new.yaml
    assert_status 0 "$SPILLWAY" status -c new.yaml
    assert_equal "$before" "$(sha256sum state/ledger)" "the ledger"
}

test_what_happened_is_shown() {
    start_mock first --script 429:retry-after=30
    start_mock second --script 200,500,200
    start_mock third --script 200*2,reset,200
    settings_with first second third
    sed -i 's/retry_on.*//; s/^    backends:/    retry_on: [429, 5xx, connect, reset]\n    backends:/' settings.yaml
    ask
    ask
    ask
    assert_status 0 "$SPILLWAY" status -c settings.yaml
    assert_match '1 first      cooling [0-9]+ s left: 429' "$(cat out)"
    assert_match '2 second     cooling ([0-9]|10)(\.[0-9])? s left: 500' "$(cat out)"
    assert_match '3 third      available  ' "$(cat out)"
    assert_no_match $'\33' "$(cat out)" "a table that is no terminal's"
    assert_equal "0 0 1 0 429 429" "$(shown first '"\(.in_flight) \(.answered) \(.throttled) \(.server_errors) \(.reason) \(.last_status)"')"
    assert_equal "0 1 0 1 500 500" "$(shown second '"\(.in_flight) \(.answered) \(.throttled) \(.server_errors) \(.reason) \(.last_status)"')"
    assert_equal "2 0 null 200" "$(shown third '"\(.answered) \(.resets) \(.reason) \(.last_status)"')"
    assert_equal "true true" "$(shown first '"\(.cooldown_seconds > 10 and .cooldown_seconds <= 30) \(.share == 0)"')"
    assert_equal "true" "$(shown third '.share > 0.66 and .share < 0.67 and .latency_seconds.p50 > 0 and .latency_seconds.mean > 0')"
    assert_equal "true" "$(shown third '.last_status_age_seconds >= 0 and .last_status_age_seconds < 30')"
    assert_equal "true" "$("$SPILLWAY" status -c settings.yaml --json | jq '.time > now - 30 and .time < now + 30')"
    assert_equal "llm round_robin" "$("$SPILLWAY" status -c settings.yaml --json | jq -r '.endpoints[0] | "\(.name) \(.strategy)"')"
}

test_json_has_the_documented_names() {
    start_mock first
    settings_with first
    assert_equal "answered connect_failures cooldown_seconds in_flight last_status last_status_age_seconds latency_seconds name priority reason rejected resets server_errors share state throttled timeouts url weight" \
        "$(shown first 'keys | join(" ")')"
    assert_equal "mean p50 p90 p99" "$(shown first '.latency_seconds | keys | join(" ")')"
    local name
    for name in $(shown first 'keys[], (.latency_seconds | keys[])'); do
        grep -q "^\\.B $name\$" "$ROOT/config/man/spillway.1" || fail "$name is not in the manual"
    done
}

test_running_and_probing() {
    start_mock first --script 429:retry-after=0.3,hang
    start_mock second
    settings_with first second
    ask
    assert_equal 0 "$(shown first .in_flight)"
    await has_cooled
    spill curl -sS -o body --max-time 20 "$LOGICAL/v1/models" &
    await is_probing
    assert_equal 1 "$(shown first .in_flight)"
    kill "$!"
    wait "$!" 2>/dev/null
    await is_not_running
    assert_equal available "$(shown first .state)" "the probe is dead"
}
has_cooled() { [ "$(shown first .cooldown_seconds)" = 0 ]; }
is_probing() { [ "$(shown first .state)" = probing ]; }
is_not_running() { [ "$(shown first .in_flight)" = 0 ]; }

test_settings_are_found() {
    start_mock first
    settings_with first
    mkdir -p config/spillway elsewhere
    assert_status 1 "$SPILLWAY" status
    assert_match "^spillway status: no settings found, expected SPILLWAY_CONFIG" "$(cat err)"
    assert_status 0 env "SPILLWAY_CONFIG=$T/settings.yaml" "$SPILLWAY" status
    assert_match "endpoint llm" "$(cat out)"
    assert_status 0 env "SPILLWAY_CONFIG=/nowhere" "SPILLWAY_SETTINGS=$(cat settings.yaml)" "$SPILLWAY" status
    assert_match "endpoint llm" "$(cat out)"
    cp settings.yaml config/spillway/spillway.yaml
    assert_status 0 env "XDG_CONFIG_HOME=$T/config" "$SPILLWAY" status
    echo "endpoints: [{nam: x}]" >bad.yaml
    local command
    for command in status metrics reset "drain x"; do
        # shellcheck disable=SC2086  # a command and its argument
        assert_status 1 "$SPILLWAY" $command -c bad.yaml
        assert_equal "bad.yaml:1:14: unknown key 'nam', did you mean 'name'?" "$(cat err)"
    done
    assert_status 1 env "SPILLWAY_SETTINGS=endpoints: 7" "$SPILLWAY" status
    assert_match "^SPILLWAY_SETTINGS:1:" "$(cat err)"
}

test_a_state_that_is_not_shared() {
    local command
    start_mock first
    settings_with first
    chmod 600 settings.yaml
    for command in status "status --json" metrics reset "drain first"; do
        sed -i '/^state/d; 1i state: {scope: process}' settings.yaml
        # shellcheck disable=SC2086  # a command and its arguments
        assert_status 1 "$SPILLWAY" $command -c settings.yaml
        assert_equal "spillway ${command%% *}: each process keeps its state to itself (state.scope: process)" "$(cat out err)"
        sed -i '/^state/d' settings.yaml
        mkdir -m 755 state
        # shellcheck disable=SC2086
        assert_status 1 "$SPILLWAY" $command -c settings.yaml
        assert_match "^spillway ${command%% *}: $T/state: the state directory" "$(cat out err)"
        assert_equal 1 "$(wc -l <err)" "lines"
        rmdir state
    done
}

test_no_key_is_shown() {
    start_mock first
    settings_with first
    ask
    "$SPILLWAY" status -c settings.yaml >all
    "$SPILLWAY" status -c settings.yaml --json >>all
    "$SPILLWAY" metrics -c settings.yaml >>all
    "$PTY" 24 80 wait=first keys=q end -- "$SPILLWAY" status -c settings.yaml --watch >>all || fail "watch"
    ! grep -n "$SECRET_KEY" all || fail "a key is shown"
}

test_wrong_command_lines() {
    start_mock first
    settings_with first
    assert_status 2 "$SPILLWAY" status --nonsense
    assert_status 2 "$SPILLWAY" status -c settings.yaml surplus
    assert_status 2 "$SPILLWAY" status -c settings.yaml --watch 0.05
    assert_equal "spillway status: --watch: found '0.05', expected 0.1 to 3600 seconds" "$(cat err)"
    assert_status 2 "$SPILLWAY" metrics -c settings.yaml surplus
    assert_status 2 "$SPILLWAY" metrics --textfile
    assert_status 2 "$SPILLWAY" drain -c settings.yaml
    assert_status 2 "$SPILLWAY" undrain -c settings.yaml
    assert_status 2 "$SPILLWAY" drain -c settings.yaml --all
    assert_status 2 "$SPILLWAY" reset -c settings.yaml frist
    assert_equal "spillway reset: found 'frist', expected BACKEND or ENDPOINT/BACKEND of the settings; did you mean 'first'?" "$(cat err)"
    [ ! -e state ] || fail "something was done"
}

test_help() {
    local command
    for command in status metrics reset drain undrain; do
        assert_status 0 "$SPILLWAY" "$command" --help
        assert_match "^Usage: spillway $command " "$(cat out)"
        assert_match "^  $command +[a-z]" "$("$SPILLWAY" --help | grep "^  $command ")"
        assert_equal "" "$(grep -E '^.{101}' out)" "long lines"
    done
}

test_an_output_that_is_full() {
    start_mock first
    settings_with first
    local command
    for command in status "status --json" metrics; do
        # shellcheck disable=SC2086,SC2016  # a command and its arguments
        assert_status 1 sh -c '"$0" "$@" >/dev/full' "$SPILLWAY" $command -c settings.yaml
        assert_match "can't write: No space left" "$(cat err)"
    done
}

test_reset() {
    start_mock first --script 429:retry-after=30,200
    start_mock second --script 503,200
    start_mock third
    settings_with first second third
    ask
    assert_equal 0 "$(shown third .cooldown_seconds)"
    assert_status 0 "$SPILLWAY" reset -c settings.yaml first
    assert_equal "llm/first: cooldown ended" "$(cat out)"
    assert_equal "" "$(cat err)"
    assert_equal available "$(shown first .state)"
    assert_equal cooling "$(shown second .state)"
    ask
    assert_equal 2 "$(requests first)" "requests at the backend that was reset"
    assert_status 0 "$SPILLWAY" reset -c settings.yaml
    assert_equal "llm/second: cooldown ended" "$(cat out)"
    assert_status 0 "$SPILLWAY" reset -c settings.yaml llm/second
    assert_equal "" "$(cat out)"
    assert_equal "spillway reset: llm/second has no cooldown" "$(cat err)"
}

test_drain() {
    start_mock first
    start_mock second
    settings_with first second
    assert_status 0 "$SPILLWAY" drain -c settings.yaml first
    assert_equal "llm/first: drained" "$(cat out)"
    ask
    ask
    assert_equal "0 2" "$(requests first) $(requests second)"
    assert_equal drained "$(shown first .state)"
    assert_status 0 "$SPILLWAY" drain -c settings.yaml llm/first
    assert_equal "spillway drain: llm/first is drained already" "$(cat out err)"
    assert_status 0 "$SPILLWAY" undrain -c settings.yaml first second
    assert_equal "llm/first: undrained" "$(cat out)"
    assert_equal "spillway undrain: llm/second is not drained" "$(cat err)"
    ask
    assert_equal "1 2" "$(requests first) $(requests second)"
}

test_one_wrong_name_changes_nothing() {
    start_mock first
    settings_with first
    assert_status 2 "$SPILLWAY" drain -c settings.yaml first second
    assert_equal available "$(shown first .state)"
}

test_all_drained() {
    start_mock first
    start_mock second
    settings_with first second
    assert_status 0 "$SPILLWAY" drain -c settings.yaml first second
    assert_equal 429 "$(spill curl -sS -o body -w '%{http_code}' "$LOGICAL/v1/models")"
    assert_match 'first \(drained\), second \(drained\)' "$(jq -r .error.message body)"
    assert_equal "0 0" "$(requests first) $(requests second)"
}

test_a_name_of_several_endpoints() {
    start_mock first
    write_settings <<END
endpoints:
  - {name: a, url: $LOGICAL/a, backends: [{name: east, url: $URL_first/v1}]}
  - {name: b, url: $LOGICAL/b, backends: [{name: east, url: $URL_first/v1}]}
END
    assert_status 0 "$SPILLWAY" drain -c settings.yaml east
    assert_equal $'a/east: drained\nb/east: drained' "$(cat out)"
    assert_status 0 "$SPILLWAY" undrain -c settings.yaml b/east
    assert_equal $'b/east: undrained' "$(cat out)"
}

test_a_running_program_minds_a_drain() {
    local seen
    start_mock first
    start_mock second --status 418
    settings_with first second
    spill "$ROOT/build/programs/client" url="$LOGICAL/v1/models" until=418 >loop 2>&1 &
    await has_asked 5
    assert_status 0 "$SPILLWAY" drain -c settings.yaml first
    seen=$(requests first)
    wait "$!" || fail "the loop ends with $?: $(cat loop)"
    # one may have been on its way
    [ "$(requests first)" -le $((seen + 1)) ] || fail "$seen requests before the drain, $(requests first) behind it"
    assert_equal 1 "$(requests second)"
}
has_asked() { [ "$(requests first)" -ge "$1" ]; }

watch() { # STEP... -- [OPTION...]
    local steps=()
    while [ "$1" != -- ]; do
        steps+=("$1")
        shift
    done
    shift
    "$PTY" "${ROWS:-24}" "${COLUMNS_WIDE:-130}" "${steps[@]}" -- "$SPILLWAY" status -c settings.yaml "$@" >screen 2>ended ||
        fail "$(cat ended) $(tail -c 600 screen | cat -v)"
    assert_match terminal=same "$(cat ended)"
}

test_colours_are_for_terminals() {
    start_mock first --status 429:retry-after=30
    settings_with first
    ask
    watch wait=first end --
    assert_match $'\33\\[31mcooling' "$(cat screen)"
    export NO_COLOR=1
    watch wait=first end --
    assert_no_match $'\33' "$(cat screen)"
    watch wait=first keys=q end -- --watch
    assert_no_match $'\33\\[31m' "$(cat screen)" "the whole screen"
    unset NO_COLOR
    watch wait=first keys=q end -- --watch
    assert_match $'\33\\[31m' "$(cat screen)" "the whole screen"
    TERM=dumb watch wait=first end --
    assert_no_match $'\33' "$(cat screen)"
}

test_a_narrow_terminal() {
    start_mock first --status 429:retry-after=30
    settings_with first
    sed -i "s/name: first/name: a-name-that-is-longer-than-most/" settings.yaml
    ask
    COLUMNS_WIDE=80 watch wait=a-name end --
    assert_match ' s: 429' "$(cat screen)"
    COLUMNS_WIDE=120 watch wait=a-name end --
    assert_match ' s left: 429' "$(cat screen)"
}

# Nothing is cut at the usual width, with names that are not long.
test_watch_on_eighty_columns() {
    start_mock first --status 429:retry-after=30
    start_mock second
    settings_with first second
    sed -i 's/name: first/name: eastus-ptu/' settings.yaml
    ask
    COLUMNS_WIDE=80 watch wait=P50/P90/P99 wait=second wait=ms keys=q end -- --watch 3600
    assert_match '[0-9]+ s: 429' "$(cat screen)"
    COLUMNS_WIDE=100 watch wait=REQ/S wait=P50/P90/P99 keys=q end -- --watch 3600
    COLUMNS_WIDE=130 watch wait=P50/P90/P99 keys=q end -- --watch 3600
    assert_match ' s left: 429' "$(cat screen)"
}

test_watch_ends() {
    start_mock first
    settings_with first
    watch wait=first keys=q end -- --watch
    assert_match status=0 "$(cat ended)"
    assert_match $'\33\\[\\?1049h.*\33\\[\\?1049l' "$(tr '\n' ' ' <screen)" "the screen that was there comes back"
    watch wait=first keys=$'\3' end -- --watch 3600
    assert_match status=0 "$(cat ended)"
    watch wait=first kill=15 end -- --watch=3600
    assert_match status=143 "$(cat ended)"
    assert_match $'\33\\[\\?1049l' "$(cat screen)"
    [ ! -e state ] || fail "a state directory where there was none"
}

test_watch_follows() {
    start_mock first --script 200,429:retry-after=2,200
    start_mock second
    settings_with first second
    watch wait=first wait=available run="$ASK" run="$ASK" wait=cooling wait=available keys=q end -- --watch 0.1
}
# A request in a terminal that has no functions of ours.
ASK="'$SPILLWAY' run -c settings.yaml -- curl -sS -o body '$LOGICAL/v1/models'"

test_watch_counts_down_between_its_looks() {
    start_mock first --status 429:retry-after=2
    settings_with first
    ask
    watch wait=cooling wait=available keys=q end -- --watch 3600
}

test_watch_scrolls_and_resizes() {
    local i
    {
        echo "endpoints: [{name: llm, url: $LOGICAL/v1, backends: ["
        for i in {10..39}; do echo "{name: back$i, url: http://127.0.0.1:9/$i},"; done
        echo "]}]"
    } >settings.yaml
    ROWS=8 watch wait=back13 keys=$'\33OB' wait=back14 keys=$'\33OB\33OB' wait=back16 keys=$'\33OA' \
        size=12x130 wait=back19 size=40x130 wait=back39 size=3x20 size=1x1 size=10x60 wait=back keys=q end -- --watch 3600
    ROWS=8 watch wait=back13 keys=q end -- --watch 3600
    assert_no_match back14 "$(cat screen)" "more than fits"
    assert_match "lines 1-6 of 32" "$(cat screen)"
}

test_watch_without_a_terminal() {
    start_mock first
    settings_with first
    assert_status 2 "$SPILLWAY" status -c settings.yaml --watch
    assert_match "^spillway status: --watch needs a terminal" "$(cat err)"
    TERM=dumb watch end -- --watch
    assert_match status=2 "$(cat ended)"
    TERM=no-such-terminal watch end -- --watch
    assert_match status=2 "$(cat ended)"
    env -u TERM "$PTY" 24 80 end -- "$SPILLWAY" status -c settings.yaml --watch >screen 2>ended || fail "$(cat ended)"
    assert_match status=2 "$(cat ended)"
}

# with_everything: metrics in each of their states
with_everything() {
    start_mock first --script 429:retry-after=30
    start_mock second --script 200,500,200
    start_mock third
    settings_with first second third
    ask
    ask
    "$SPILLWAY" drain -c settings.yaml third >/dev/null || fail drain
    "$SPILLWAY" metrics -c settings.yaml >samples.prom || fail metrics
}

test_metrics() {
    with_everything
    grep -qxF 'spillway_requests_total{endpoint="llm",backend="first",outcome="throttled"} 1' samples.prom || fail "$(cat samples.prom)"
    grep -qxF 'spillway_requests_total{endpoint="llm",backend="second",outcome="server_error"} 1' samples.prom || fail "$(cat samples.prom)"
    grep -qxF 'spillway_backend_drained{endpoint="llm",backend="third"} 1' samples.prom || fail "$(cat samples.prom)"
    grep -qxF 'spillway_backend_available{endpoint="llm",backend="first"} 0' samples.prom || fail "$(cat samples.prom)"
    grep -qxF 'spillway_request_duration_seconds_count{endpoint="llm",backend="second"} 1' samples.prom || fail "$(cat samples.prom)"
    grep -qxF 'spillway_request_duration_seconds_bucket{endpoint="llm",backend="second",le="+Inf"} 1' samples.prom || fail "$(cat samples.prom)"
}

test_metrics_please_promtool() {
    command -v promtool >/dev/null || skip "no promtool (Debian's package prometheus)"
    with_everything
    assert_status 0 promtool check metrics <samples.prom
    assert_equal "" "$(cat out err)" "what promtool says"
}

test_textfile() {
    start_mock first
    settings_with first
    mkdir out.d
    (umask 077 && "$SPILLWAY" metrics -c settings.yaml --textfile out.d/spillway.prom) || fail "exit status $?"
    assert_equal "spillway.prom 644" "$(cd out.d && stat -c '%n %a' -- * .[!.]* 2>/dev/null)"
    assert_equal "$("$SPILLWAY" metrics -c settings.yaml)" "$(cat out.d/spillway.prom)"
    echo old >out.d/spillway.prom
    (cd out.d && assert_status 0 "$SPILLWAY" metrics -c ../settings.yaml --textfile spillway.prom) || exit 1
    assert_match spillway_requests_total "$(cat out.d/spillway.prom)"
    assert_status 1 "$SPILLWAY" metrics -c settings.yaml --textfile absent/spillway.prom
    assert_equal "spillway metrics: can't write 'absent/spillway.prom': No such file or directory" "$(cat err)"
    assert_status 1 "$SPILLWAY" metrics -c settings.yaml --textfile out.d
    assert_equal "spillway metrics: 'out.d' is no regular file" "$(cat err)"
    assert_equal spillway.prom "$(ls -A out.d)"
}

# Every word spillway_... of the dashboard is a sample of the metrics.
test_dashboard_uses_what_there_is() {
    local dashboard=$ROOT/config/grafana.json name
    with_everything
    grep -v '^#' samples.prom | grep -oE '^[a-z_]+' | sort -u >samples
    jq -r '.. | .expr? // empty, .query? // empty | if type == "object" then .query else . end' "$dashboard" |
        grep -oE 'spillway_[a-z_]+' | sort -u >used
    [ "$(wc -l <used)" -ge 5 ] || fail "metrics of the dashboard: $(cat used)"
    while read -r name; do
        grep -qx "$name" samples || fail "the dashboard asks for $name"
    done <used
    grep -qx spillway_request_duration_seconds_bucket used || fail "no latency"
    assert_equal "datasource endpoint" "$(jq -r '[.templating.list[].name] | sort | join(" ")' "$dashboard")"
    assert_equal "" "$(jq -r '[.panels[].id] | group_by(.)[] | select(length > 1)' "$dashboard")" "panels with one number"
}

test_dashboard_asks_in_promql() {
    command -v promtool >/dev/null || skip "no promtool (Debian's package prometheus)"
    jq '{groups: [{name: "panels", rules: [.panels[].targets[].expr
        | gsub("\\$__rate_interval"; "5m") | {record: "panel:value", expr: .}]
        | to_entries | map(.value + {labels: {number: "\(.key)"}})}]}' "$ROOT/config/grafana.json" >rules.json
    [ "$(jq '.groups[0].rules | length' rules.json)" -ge 10 ] || fail "$(cat rules.json)"
    assert_status 0 promtool check rules rules.json
}

run_tests
