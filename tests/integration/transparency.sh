#!/usr/bin/env bash
# Programs x scenarios, plain and preloaded: what they print, how they end, what libcurl tells them
# and what the server saw must be the same. The cases are in ../transparency/*.cases. Each runs
#
#   plain      without the shim
#   elsewhere  with it, for a URL that is no endpoint
#   endpoint   with it, for an endpoint whose one backend is the very same server
#   alias      with it, for an endpoint with a name of its own in front of that server
#
# and is compared with its plain run (`alias` with one that resolves the name by an option).
# CASES=PATTERN runs the cases alone whose names match.
TIME_LIMIT=${TIME_LIMIT:-150}
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
SOURCES=$ROOT/tests/transparency
WORKERS=3

# Differences that are meant: PROGRAM MODE CASE (patterns of the shell) LINES, and the reason on the
# line before. LINES is an extended regular expression: lines of the record that may differ; or
# ORDER: the same lines may come in another order; or ALL. An entry that nothing needs is an error.
DIFFERENCES='
# a rejected status is not shown: with one backend it ends in the 429 of an exhausted pool
client-* @(endpoint|alias) status-@(429|503) ALL
# an answer without a header is a failure to connect, retried until the pool is exhausted
client-* @(endpoint|alias) @(nothing|cut-status|interim-103-cut) ALL
# a Host header of the program names the logical host, so it stays behind
client-* @(endpoint|alias) get-own-host ^1\.1.GET.*Host:|^REQUEST_SIZE=
# lines of intermediate responses are held until the final status is known: getinfo is ahead then
client-* @(endpoint|alias) @(interim-103|redirect|digest)-codes ^..code.
client-* @(endpoint|alias) redirect-url ^..url.
# ... 100 Continue as well, so the body is read before the program sees that line
client-* @(endpoint|alias) @(put*|any-put*|digest-@(put|read)|redirect-put|post-chunked) ORDER
# ... a callback that refuses or changes something at such a line does so after the next request
client-* @(endpoint|alias) redirect-refused ALL
client-* @(endpoint|alias) interim-103-fails ^header.|^RESPONSE_CODE=|^HEADER_SIZE=
client-* @(endpoint|alias) set-inside-redirect ^REQUEST_SIZE=|^1\.2.GET
client-* @(endpoint|alias) redirect-debug ORDER
# ... libcurl gives what came during a pause in one piece, and these are other lines now
client-* @(endpoint|alias) pause-redirect ^headers?.
# a body that was read once is sent again from a copy: no seeking, and none is needed
client-* @(endpoint|alias) @(redirect-@(read|read-ioctl|put)|any-put|any-put-ioctl) ^(seek|ioctl|read).
client-* @(endpoint|alias) @(redirect-read-not|any-put-no-seek) ALL
# the backend has a name of its own: in Host, in cookies and in what -v prints
client-easy alias * ^REQUEST_SIZE=
client-easy alias @(get-share|cookies|redirect-cookie) ^COOKIELIST=
client-easy alias cookies-added ^1\.1.GET
client-easy alias redirect-absolute ^header.Location:|^HEADER_SIZE=|^headers.0.1.Location:
client-easy alias @(get|redirect)-debug ^>
# the URL of a transfer is what the program asked for, after a redirect that was followed too, and as
# it wrote it
client-* @(endpoint|alias) @(copy-first|copy-inside-header|get-relative-dots|reset) ^EFFECTIVE_URL=
client-* @(endpoint|alias) @(*redirect*|interim-103-to) ^EFFECTIVE_URL=
curl @(endpoint|alias) write-follow url_effective
curl alias write-redirect ^go
# ... also when it is given in parts (CURLOPT_CURLU), where libcurl 7.88 tells the one before
client-* @(endpoint|alias) get-parts ^EFFECTIVE_URL=
# ... where a redirect leads that is not followed, libcurl works out from the name of the backend
client-* alias redirect-@(loop|none|not) ^REDIRECT_URL=
client-* alias redirect-referer ^REFERER=
# dot segments are resolved before a URL is matched: nothing else can be sure where it leads
client-* @(endpoint|alias) get-as-is ALL
curl @(endpoint|alias) path-as-is ALL
curl alias write-out ^small200
curl alias cookie* TRUE|FALSE
curl alias @(verbose*|trace) llm.test|127\.0\.0\.1|Send.header|^00[0-9a-f]{2}:
'

# Other releases differ in themselves: in what -v prints, in boundaries, in the order of events.
known_libcurl() {
    local release
    release=$(curl --version | sed -n '1s/^curl \([0-9]*\.[0-9]*\).*/\1/p')
    [ "$release" = 7.88 ] || skip "the table of differences is for libcurl 7.88, this is $release"
}

build_programs() {
    local cc=${CC:-cc} flags="-std=gnu11 -D_GNU_SOURCE -O1 -g -w"
    # shellcheck disable=SC2086  # words
    $cc $flags -o "$WORK/server" "$SOURCES/server.c" -lpthread &&
        $cc $flags -o "$WORK/client" "$SOURCES"/{client,loop,report}.c -lcurl ||
        exit 1
}

# start_server FIFO: sets MAIN, OTHER and CONTROL, its ports
start_server() {
    mkfifo "$1"
    "$WORK/server" >"$1" &
    read -r -t 10 MAIN OTHER CONTROL <"$1" || fail "the server does not start"
}

# run_case MODE NAME PROGRAM ARGUMENT...: leaves its record in ../MODE/NAME
run_case() {
    local mode=$1 host=127.0.0.1:$MAIN record=../$1/$2 program=$3 status=0 word words=()
    shift 3
    case $mode in
    alias | named) host=llm.test:$MAIN ;;
    esac
    for word in "$@"; do
        word=${word//@\//http://$host/v1/}
        word=${word//HOST/$host}
        word=${word//MAIN/$MAIN}
        words+=("${word//OTHER/$OTHER}")
    done
    if [ "$program" = curl ]; then
        printf 'a file to send\n' >sent
        printf 'partial' >part
        printf 'url = "http://%s/v1/ok"\n' "$host" >config
        printf 'machine %s login me password secret\n' 127.0.0.1 llm.test >netrc
        program=(curl -sS --resolve "llm.test:$MAIN:127.0.0.1")
    else
        program=("$WORK/client" "RESOLVE=llm.test:$MAIN:127.0.0.1" "loop=${program#client-}")
    fi
    if [ "$mode" = plain ] || [ "$mode" = named ]; then
        "${program[@]}" "${words[@]}" >out 2>err <../stdin || status=$?
    else
        LD_PRELOAD=$PRELOAD SPILLWAY_CONFIG=../$mode.yaml \
            "${program[@]}" "${words[@]}" >out 2>err <../stdin || status=$?
    fi
    {
        echo "status $status"
        tail -n +1 -- *
        echo "server"
        cat <"/dev/tcp/127.0.0.1/$CONTROL"
    } >"$record"
    rm -- *
}

# normalize FILE...: takes out what differs between any two runs, and the name that the shim replaces
# in front of the server.
normalize() {
    sed -i -s -E "s/\\b$MAIN\\b/MAIN/g; s/\\b$OTHER\\b/OTHER/g; s#$PWD#DIRECTORY#g
        s/-{24}[0-9a-f]{16}/BOUNDARY/g; s/0x[0-9a-f]{8,}/POINTER/g; /--:--:--/d
        s/after [0-9]+ ms/after N ms/; s/[0-9]+ milliseconds/N milliseconds/
        s/\"(local_port|speed_[a-z]+|time_[a-z]+)\":[0-9.]+/\"\\1\":N/g
        s/(127.0.0.1 port )[0-9]{5}/\\1N/; s/^(.* this generated on ).*/\\1X/
        /^server/,\$s/llm\\.test:MAIN/127.0.0.1:MAIN/g" "$@"
    # these are at work at the same time, on connections that they take as they are free
    for file in ./*/parallel*; do
        [ ! -e "$file" ] || sed -i '/^server/,$s/^[0-9.]* //' "$file"
        [ ! -e "$file" ] || sort -o "$file" "$file"
    done
}

# simplify PATTERN ORDER <RECORD
simplify() {
    if [ -n "$1" ]; then grep -vE -- "$1"; else cat; fi | if [ -n "$2" ]; then sort; else cat; fi
}

# explained PROGRAM MODE CASE BASE: whether the table explains all differences; leaves in `pattern`
# and `order` how it simplifies the records
explained() {
    local program mode case lines number=0
    pattern="" order=""
    while read -r program mode case lines; do
        number=$((number + 1))
        # shellcheck disable=SC2053  # patterns
        [[ -n $lines && $1 == $program && $2 == $mode && $3 == $case ]] || continue
        : >"$T/used.$number"
        case $lines in
        ORDER) order=1 ;;
        ALL) return 0 ;;
        *) pattern+="${pattern:+|}$lines" ;;
        esac
    done <<<"$DIFFERENCES"
    [ -n "$pattern$order" ] &&
        cmp -s <(simplify "$pattern" "$order" <"$4/$3") <(simplify "$pattern" "$order" <"$2/$3")
}

# compare PROGRAM MODE: prints the differences from its plain run
compare() {
    local base=plain case pattern order
    [ "$2" != alias ] || base=named
    diff -rq "$base" "$2" | sed -E 's/^Files [^ ]*\/([^ ]*) and .*/\1/' >"differ.$2"
    while read -r case; do
        explained "$1" "$2" "$case" "$base" && continue
        echo "$1, $2: $case"
        diff <(simplify "$pattern" "$order" <"$base/$case") \
            <(simplify "$pattern" "$order" <"$2/$case") | head -40 | cut -c -220 | sed 's/^/    /'
    done <"differ.$2"
}

write_mode_settings() { # URL OF THE ENDPOINT
    printf '%s\n' 'state: {scope: process}' 'endpoints:' '  - name: llm' "    url: $1" '    backends:' \
        "      - {name: only, url: 'http://127.0.0.1:$MAIN/v1'}"
}

# worker NUMBER PROGRAM SUBSET MODE...: every WORKERSth case of those whose names match
worker() {
    local number=$1 program=$2 subset=$3 name rest count=0 words mode
    shift 3
    mkdir "$T/$number" "$T/$number/run"
    cd "$T/$number/run" || exit 1
    start_server ../server
    for mode in "$@"; do mkdir "../$mode"; done
    write_mode_settings "$LOGICAL/v1" >../elsewhere.yaml
    write_mode_settings "http://127.0.0.1:$MAIN/v1" >../endpoint.yaml
    write_mode_settings "http://llm.test:$MAIN/v1" >../alias.yaml
    echo "from stdin" >../stdin
    while read -r name rest; do
        # shellcheck disable=SC2053  # patterns
        [[ -n $name && $name != \#* && $name == ${CASES:-*} && $name == $subset ]] || continue
        [ $((count++ % WORKERS)) = "$number" ] || continue
        eval "words=($rest)"
        for mode in "$@"; do
            run_case "$mode" "$name" "$program" "${words[@]}"
        done
        echo "$name" >>../done
    done <"$SOURCES/${program%-*}.cases"
    cd ..
    normalize ./*/*
    for mode in "$@"; do
        [ "$mode" = plain ] || [ "$mode" = named ] || compare "$program" "$mode"
    done >differences
}

# unneeded PROGRAM MODE...: entries of the table that explained nothing although their cases ran
unneeded() {
    local program mode case lines number=0 ran name
    while read -r program mode case lines; do
        number=$((number + 1))
        for ran in "${@:2}"; do
            # shellcheck disable=SC2053  # patterns
            [[ -n $lines && $program != \#* && $1 == $program && $ran == $mode ]] || continue
            while read -r name; do
                # shellcheck disable=SC2053
                [[ $name != $case || -e $T/used.$number ]] || break
            done < <(cat "$T"/*/done)
            [ -z "$name" ] || echo "not needed any more: $program $mode $case $lines"
        done
    done <<<"$DIFFERENCES" | sort -u
}

# assert_transparent PROGRAM SUBSET MODE...
assert_transparent() {
    local i pids=()
    for ((i = 0; i < WORKERS; i++)); do
        (worker "$i" "$@") &
        pids+=("$!")
    done
    for i in "${pids[@]}"; do
        wait "$i" || fail "a worker ended with status $?"
    done
    cat "$T"/*/differences >"$T/differences"
    [ -n "${CASES:-}" ] || unneeded "$1" "${@:3}" >>"$T/differences"
    [ ! -s "$T/differences" ] || fail "$(grep -c '^[^ ]' "$T/differences") differences in \
$(cat "$T"/*/done | wc -l) cases
$(cat "$T/differences")"
}

test_client_easy() {
    known_libcurl
    assert_transparent client-easy '*' plain elsewhere endpoint
}

test_client_multi() {
    known_libcurl
    assert_transparent client-multi '*' plain endpoint
}

test_client_sockets() {
    known_libcurl
    assert_transparent client-socket '@(redirect|interim|status|pause|abort|put|timeout|reuse)*' \
        plain elsewhere endpoint
}

test_client_for_another_name() {
    known_libcurl
    assert_transparent client-easy '@(get|redirect|basic|digest|cookies|copy|reset|proxy|tunnel)*' \
        named alias
}

test_curl() {
    known_libcurl
    assert_transparent curl '*' plain elsewhere endpoint
}

test_curl_for_another_name() {
    known_libcurl
    assert_transparent curl '@(get|verbose|trace|write|follow|cookie|two|head)*' named alias
}

build_programs
run_tests
