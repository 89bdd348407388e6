# shellcheck shell=bash
# What the scenarios share: settings, programs to drill, and looks into the report. Read it after lib.sh.
#
#   FULL=1         the lengths of the published list (a minute of outage) instead of a tenth of them
#   FIGURES=FILE   what was measured is appended there, a line each

NOWHERE=http://127.0.0.1:9 # nobody listens there: what a drill asks, it asks itself
# shellcheck disable=SC2089  # the quotes are JSON's
CHAT='{"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}'
# shellcheck disable=SC2089  # likewise
STREAM='{"model": "gpt-4", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
FULL=${FULL:-}
# shellcheck disable=SC2090  # they are quoted where they are used
export CHAT STREAM

# endpoint "LINE OF THE ENDPOINT"... -- "NAME PRIORITY [URL]"...: the settings
endpoint() {
    local name priority url
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        for (( ; $# > 0; )); do
            [ "$1" != -- ] || break
            echo "    $1"
            shift
        done
        shift
        echo "    backends:"
        for entry in "$@"; do
            read -r name priority url <<<"$entry"
            echo "      - {name: $name, priority: $priority, url: \"${url:-$NOWHERE}/v1\"}"
        done
    } | write_settings
}

# drill [OPTION...] -- PROGRAM...: nothing but the drill answers; the report goes to report.json
drill() {
    "$SPILLWAY" drill -c settings.yaml --against-mocks --quiet --json report.json "$@"
}

# reported FILTER: what jq makes of the report
reported() {
    jq -r "$1" report.json
}

# backends_asked: the names, in the order of the attempts
backends_asked() {
    reported '[.attempt_list[].backend] | join(" ")'
}

# figure TEXT...: something that was measured
figure() {
    [ -z "${FIGURES-}" ] || printf '%s\n' "$*" >>"$FIGURES"
}

# between LEAST MOST NUMBER WHAT
between() {
    awk -v low="$1" -v high="$2" -v n="$3" 'BEGIN { exit !(n + 0 >= low && n + 0 <= high) }' ||
        fail "$4: expected $1 to $2, got $3"
}

# spread: "p50 N, worst N" of the numbers on stdin
spread() {
    sort -g | awk '{ n[NR] = $1 }
        END { printf "p50 %g, worst %g (%d runs)", n[int((NR + 1) / 2)], n[NR], NR }'
}

# milliseconds of the first transfer
first_took() {
    reported '.transfer_list[0] | (.end - .begin) * 1000 * 100 | round / 100'
}

# Programs of their own, so that a drill can run them. `chat` prints the status, and leaves
# the body in ./body; `ask` is the same for a stream of events.
cat >"$WORK/chat" <<'END'
#!/bin/sh
exec curl -sS -o body -w '%{http_code} ' "$@" "$LOGICAL/v1/chat/completions" \
    -H 'Content-Type: application/json' -d "$CHAT"
END
# shellcheck disable=SC2016  # for that shell
sed 's/"\$CHAT"/"$STREAM"/; s/-sS/-sSN/' "$WORK/chat" >"$WORK/ask"

# often SECONDS PAUSE: a request now and then
cat >"$WORK/often" <<'END'
#!/bin/bash
end=$(($(date +%s%N) / 1000000 + $1 * 1000))
while [ $(($(date +%s%N) / 1000000)) -lt "$end" ]; do
    chat
    sleep "$2"
done
END
chmod +x "$WORK/chat" "$WORK/ask" "$WORK/often"
PATH=$WORK:$PATH
