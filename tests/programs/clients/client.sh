#!/bin/bash
# client.sh MODE URL: a script as people write it with wget.
#
# URL: up to and with /v1
# MODE: ask     the models and a chat; each status and body
#       stream  a chat as it is made: for each event how late it is here, in seconds
#       again   a chat; after a 429 once more, when Retry-After says so
set -u
OPTIONS=(-q --content-on-error --timeout=20 --tries=1 -O - --header='Authorization: Bearer programs-own')
[ -z "${CAINFO-}" ] || OPTIONS+=(--ca-certificate="$CAINFO")
QUESTION='{"model": "gpt-4", "messages": [{"role": "user", "content": "h\u00e9llo"}]'

# fetch PATH [BODY]: the body of the response; its head goes to $HEAD
HEAD=$(mktemp)
trap 'rm -f "$HEAD"' EXIT
fetch() {
    local path=$1 post=()
    [ $# = 1 ] || post=(--header='Content-Type: application/json' --post-data="$2")
    wget -S "${OPTIONS[@]}" "${post[@]}" "$URL$path" 2>"$HEAD"
}

field() {
    sed -n "s/^ *$1: //Ip" "$HEAD" | tr -d '\r'
}

status() {
    sed -n 's/^ *HTTP.1.[01] \([0-9]*\).*/\1/p' "$HEAD" | tail -1
}

chat() {
    fetch /chat/completions "$QUESTION${1-}}"
}

ask() {
    local body
    body=$(fetch /models)
    echo "$(status) $body"
    body=$(chat)
    echo "$(status) $body"
}

stream() {
    local line late
    chat ', "stream": true' | while IFS= read -r line; do
        [[ $line == 'data: {'* ]] || continue
        late=$EPOCHREALTIME
        line=${line##*\"sent\":}
        awk -v now="$late" -v sent="${line%%\}*}" 'BEGIN { print "late", now - sent }'
    done
    status
}

again() {
    local body seconds
    body=$(chat)
    if [ "$(status)" = 429 ]; then
        seconds=$(field Retry-After)
        echo "429 $seconds $(jq -r .error.type <<<"$body")"
        sleep "$seconds"
        body=$(chat)
    fi
    echo "$(status) $(jq -r .object <<<"$body")"
}

URL=$2
"$1"
