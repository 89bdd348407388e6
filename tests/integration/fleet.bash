# shellcheck shell=bash
# What the tests of many processes share: settings over mocks, and workers. Read it after lib.sh.

FLEET=$ROOT/build/programs/fleet
CHAT=$LOGICAL/v1/models
CLAIMS=8192 # bytes at the ledger's end: LEDGER_CLAIMS words

# settings "LINE OF THE ENDPOINT"... -- "NAME PRIORITY [WEIGHT]"...: an endpoint over running mocks
settings() {
    local name priority weight url
    {
        echo "${TOP:-# the defaults}"
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        echo "    sockets: off" # or the place of a relay would lie beside the ledger
        for (( ; $# > 0; )); do
            [ "$1" != -- ] || break
            echo "    $1"
            shift
        done
        shift
        echo "    backends:"
        for entry in "$@"; do
            read -r name priority weight <<<"$entry"
            url=URL_${name//-/_}
            echo "      - {name: $name, url: \"${!url}/v1\", priority: $priority, weight: ${weight:-1}}"
        done
    } | write_settings
}

# worker NAME MODE ARGUMENT...: a process of its own; WORKER is its number, it writes to $T/NAME
worker() {
    local name=$1
    shift
    "$SPILLWAY" run -c settings.yaml -- "$FLEET" "$@" >"$name" 2>"$name.err" &
    WORKER=$!
}

# workers N COUNT PAUSE_MS: N processes of COUNT requests each, into $T/w1 ...; WORKERS has them
workers() {
    local i
    WORKERS=()
    for ((i = 1; i <= $1; i++)); do
        worker "w$i" loop "$2" "$3" "$CHAT"
        WORKERS+=("$WORKER")
    done
}

join_workers() {
    local pid
    for pid in "${WORKERS[@]}"; do wait "$pid" || fail "a worker ends with status $?: $(cat w*.err)"; done
}

end_workers() {
    kill -KILL "${WORKERS[@]}" 2>/dev/null
    wait "${WORKERS[@]}" 2>/dev/null || true
}

# within SECONDS WHAT COMMAND...: until it succeeds
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -le "$end" ] || fail "it does not come: $what"
        moment
    done
}

# Waits for a moment, on what never comes.
moment() {
    [ -e "$T/never" ] || mkfifo "$T/never"
    read -r -t 0.02 <>"$T/never" || true
}

has_requests() { # NAME N
    [ "$(requests "$1")" -ge "$2" ]
}

has_lines() { # FILE N
    [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}

# assert_between LOW GOT HIGH WHAT
assert_between() {
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ] && return
    fail "$4: expected $1 to $3, got $2"
}

# How many claims stand in the ledger.
claims() {
    tail -c "$CLAIMS" state/ledger | od -An -v -tx8 -w8 | grep -cv ' 0000000000000000'
}
