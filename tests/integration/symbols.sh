#!/usr/bin/env bash
# What the shim brings into each program that it is loaded into: the listed symbols, libc alone,
# and nothing before a program uses libcurl.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SHIM=$BUILD/libspillway.so

listed_symbols() {
    sed -n '/global:/,/local:/p' "$ROOT/shim/libspillway.map" | grep -oE '^ *[A-Za-z_*?.][^;]*;' | tr -d ' ;'
}

test_exports_are_those_of_the_list() {
    assert_no_match '[*?[]' "$(listed_symbols)" "wildcards in the list"
    assert_match curl_easy_perform "$(listed_symbols)"
    assert_equal "$(listed_symbols | sort)" \
        "$(nm -D --defined-only "$SHIM" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort)" "exported symbols"
    assert_equal "" "$(nm -D --defined-only "$SHIM" | awk '$2 !~ /^[TAi]$/')" "exports that are no functions"
}

test_needs_libc_alone() {
    [ -z "$SANITIZED" ] || skip "the sanitized shim needs the sanitizer's runtime"
    assert_equal libc.so.6 "$(readelf -dW "$SHIM" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')" DT_NEEDED
    assert_equal "" "$(nm -D --undefined-only "$SHIM" | grep -E ' (curl_|yaml_|_ZN|pthread_create)')" \
        "symbols that others would have to bring"
}

test_stack_and_relocations() {
    local headers dynamic
    headers=$(readelf -lW "$SHIM")
    dynamic=$(readelf -dW "$SHIM")
    assert_match 'GNU_STACK( +0x[0-9a-f]+)+ RW ' "$headers" "an executable stack"
    assert_no_match ' (RWE|R E W|WE) ' "$headers" "segments that can be written and executed"
    assert_match GNU_RELRO "$headers"
    assert_no_match TEXTREL "$dynamic"
    assert_no_match 'RPATH|RUNPATH' "$dynamic"
}

# calls FILE COMMAND...: the files that it touches and what else it asks the kernel for, by name
trace_of() {
    strace -f -qq -o "$1" -e 'trace=%file,%network,%process,%desc' "${@:2}"
}

test_a_program_without_libcurl_does_nothing_more() {
    [ -z "$SANITIZED" ] || skip "the sanitizer's runtime reads files of its own"
    printf 'endpoints: [{url: %s, backends: [{url: http://127.0.0.1:9}]}]\n' "$LOGICAL" >settings.yaml
    export SPILLWAY_CONFIG=$T/settings.yaml SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    trace_of plain /bin/true
    trace_of preloaded env LD_PRELOAD="$PRELOAD" /bin/true
    # behind env's own start
    sed -n '/execve("\/bin\/true"/,$p' preloaded | grep -oE '"/[^"]*"' | sort | uniq >opened
    grep -oE '"/[^"]*"' plain | sort | uniq >want
    assert_equal "\"$SHIM\"" "$(comm -13 want opened)" "files that it touches more than without the preload"
    assert_equal "" "$(grep -E 'settings.yaml|/proc/|state' opened)"
    # No thread, no socket.
    assert_equal "" "$(sed -n '/execve("\/bin\/true"/,$p' preloaded | grep -E '(clone|fork|socket|connect)\w*\(')"
    assert_equal "" "$(find log state 2>/dev/null)" "what it left"
}

# Debian's curl looks up the name of its host as it starts (libldap does): that is when settings
# are read, and that is all.
test_curl_that_only_shows_its_version() {
    [ -z "$SANITIZED" ] || skip "the sanitizer's runtime reads files of its own"
    printf 'endpoints: [{url: %s, backends: [{url: http://127.0.0.1:9}]}]\n' "$LOGICAL" >settings.yaml
    export SPILLWAY_CONFIG=$T/settings.yaml SPILLWAY_LOG=debug SPILLWAY_LOG_FILE=$T/log
    curl --version >want
    LD_PRELOAD=$PRELOAD strace -f -qq -o trace -e trace=%file,%network,%process curl --version >got 2>err ||
        fail "curl: $(cat err)"
    cmp want got || fail "another version"
    [ "$(grep -c 'open.*settings.yaml' trace)" -le 1 ] || fail "settings are read more than once"
    assert_equal "" "$(grep -E 'relay-|connect\(.*127\.' trace)" "what only requests need"
    [ ! -e log ] || fail "it logs: $(cat log)"
}

test_programs_of_all_kinds_say_nothing_of_it() {
    local command
    export SPILLWAY_CONFIG=$T/absent.yaml
    for command in "ls /" "sh -c 'echo \$((1+1)); exit 3'" "env -i /bin/echo x" "sed --version" "awk 'BEGIN { print 1 }'" \
        "bash -c 'cat <(echo a) | tr a b'" "perl -e 'print 1'" "python3 -c 'print(1)'" "git --version" "false"; do
        command -v "${command%% *}" >which || continue
        sh -c "$command" >want 2>want.err
        local status=$? got=0
        LD_PRELOAD=$PRELOAD sh -c "$command" >got 2>got.err || got=$?
        assert_equal "$status" "$got" "exit status of $command"
        cmp want got || fail "output of $command"
        cmp want.err got.err || fail "errors of $command: $(cat got.err)"
    done
}

test_it_can_be_loaded_without_any_libc_of_its_own() {
    [ -z "$SANITIZED" ] || skip "the sanitized shim needs the sanitizer's runtime"
    assert_equal "" "$(LD_PRELOAD=$PRELOAD LD_WARN=1 LD_BIND_NOW=1 /bin/true 2>&1)" "what the loader says"
    assert_equal "" "$(LD_PRELOAD=$PRELOAD ldd -r /bin/true | grep -iE 'undefined|not found')"
}

run_tests
