#!/usr/bin/env bash
# Python's clients through the sockets and the relay.
# shellcheck disable=SC2031  # what in_test sets is for its own subshell
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"
PYTHON=/usr/bin/python3 # for which Debian's packages are

# python_client LIBRARY [MODULE PACKAGE]: is CLIENT
python_client() {
    needs "$PYTHON -c 'import ${2:-urllib}'" "${3:-python3}"
    CLIENT=("$PYTHON" -u "$CLIENTS/client.py" "$1")
}

test_urllib() {
    python_client urllib
    is_served
}

test_urllib_by_https() {
    python_client urllib
    is_served_securely
}

# Without an authority that the program trusts, https is between it and the real host.
test_https_is_left_alone() {
    python_client urllib
    tiers "$SECURE"
    assert_status 1 "${CLIENT[@]}" ask "$SECURE/v1"
    tail -1 err >want
    SPILLWAY_LOG_FILE=$T/log assert_status 1 spill "${CLIENT[@]}" ask "$SECURE/v1"
    assert_equal "$(<want)" "$(tail -1 err)" "the error"
    assert_equal 1 "$(grep -c 'https without libcurl' log)" "lines about it in the log"
    assert_equal "0 0" "$(requests first) $(requests second)" "requests at first and second"
}

test_asyncio() {
    python_client asyncio
    is_served
}

test_asyncio_by_https() {
    python_client asyncio
    is_served_securely
}

test_requests() {
    python_client requests requests python3-requests
    is_served
}

test_requests_by_https() {
    python_client requests requests python3-requests
    is_served_securely
}

test_httpx() {
    python_client httpx httpx python3-httpx
    is_served
}

test_httpx_by_https() {
    python_client httpx httpx python3-httpx
    is_served_securely
}

test_httpx_async() {
    python_client httpx-async httpx python3-httpx
    is_served
}

test_httpx_async_by_https() {
    python_client httpx-async httpx python3-httpx
    is_served_securely
}

# libcurl by functions that Python looks up itself, past the hooks of the curl layer
test_ctypes() {
    python_client ctypes
    is_served
}

test_ctypes_by_https() {
    python_client ctypes
    is_served_securely
}

run_tests
