#!/usr/bin/env bash
# The README's table of what is reached: each row against what `spillway doctor` finds in a program
# of that kind, or against the test that shows it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

rows() {
    sed -n '/^## What it reaches/,/^## What it can/p' "$ROOT/README.md" |
        grep '^| ' | grep -v '^| program'
}

# doctor_says PATTERN PROGRAM
doctor_says() {
    command -v "$2" >/dev/null || return 0 # then the row rests on the other tests
    assert_status 0 "$SPILLWAY" doctor "$2"
    assert_match "$1" "$(cat out)" "doctor on $2"
}

# shown_by FILE TEST: another file of tests has it
shown_by() {
    grep -q "^$2()" "$ROOT/tests/integration/$1.sh" || fail "no $2 in $1.sh"
}

# check_row PROGRAMS REACHED
check_row() {
    case $1 in
    "curl (also"*)
        assert_match '^yes' "$2"
        doctor_says 'verdict  reached' curl
        shown_by programs test_curl_in_parallel
        shown_by programs test_cpp
        ;;
    "pycurl,"*)
        assert_match '^yes' "$2"
        doctor_says 'pycurl: reached' /usr/bin/python3
        doctor_says 'WWW::Curl: reached' perl
        shown_by programs test_lua
        ;;
    "PHP's curl"*)
        assert_match '^yes' "$2"
        doctor_says 'curl extension: reached' php
        shown_by programs test_php_returning
        ;;
    "ctypes,"*)
        assert_match 'through the relay' "$2"
        doctor_says 'ctypes: .* through the relay' /usr/bin/python3
        shown_by clients_python test_ctypes
        ;;
    "Node, Java"*)
        assert_match 'through the relay; for `https' "$2"
        doctor_says 'verdict  reached through the relay' node
        doctor_says 'httpx.*through the relay' /usr/bin/python3
        shown_by clients_node test_fetch
        shown_by clients test_java_client
        ;;
    "static and Go"*)
        assert_match 'relay --listen' "$2"
        gcc -static -o still -x c - <<<'int main(void) { return 0; }' 2>/dev/null ||
            skip "cannot link statically here"
        doctor_says 'statically linked' ./still
        ;;
    "setuid"*)
        assert_match '^no' "$2"
        shown_by doctor test_privileged_programs
        ;;
    "musl"*)
        assert_match '^no' "$2"
        shown_by doctor test_shared_address_sanitizer_refuses
        ;;
    *) fail "a row that nothing checks: $1" ;;
    esac
}

test_each_row_is_so() {
    local program reached count=0
    while IFS='|' read -r _ program reached _; do
        check_row "${program# }" "${reached# }"
        count=$((count + 1))
    done < <(rows)
    assert_equal 8 "$count" "rows"
}
run_tests
