#!/usr/bin/env bash
# What becomes of a request that a backend of another dialect can't serve, or refuses: the 400 of
# ours, other backends, and a provider's own errors, which are the program's business.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
CHAT=$LOGICAL/v1/chat/completions
MODERATIONS=$LOGICAL/v1/moderations

# backends LINE...: an endpoint for OpenAI's dialect; EXTRA is a line of its own
backends() {
    {
        printf 'endpoints:\n  - name: llm\n    url: %s/v1\n    %s\n    backends:\n' "$LOGICAL" "${EXTRA-}"
        printf '      - {%s}\n' "$@"
    } | write_settings
}

# fetch EXIT STATUS URL BODY [OPTION...]: by curl; what it got goes to $T/body, $T/headers, $T/log
fetch() {
    local status
    : >log
    status=$(SPILLWAY_LOG=info SPILLWAY_LOG_FILE=$T/log "$SPILLWAY" run -c settings.yaml -- curl -sS \
        -o body -D headers -w '%{http_code}' "${@:5}" -d "$4" "$3" 2>err)
    assert_equal "$1" "$?" "exit status of curl for $4"
    assert_equal "$2" "$status" "status for $4: $(cat body)"
}

retry_after() {
    sed -n 's/\r$//; s/^Retry-After: //p' headers
}

# assert_refused BODY URL REASON...: 400, of ours, each backend with its reason, and nothing is sent
assert_refused() {
    local body=$1 url=$2 reason names="one two"
    fetch 0 400 "$url" "$body"
    assert_equal "invalid_request_error 400 null" "$(jq -r '.error | "\(.type) \(.code) \(.param)"' body)"
    for reason in "${@:3}"; do
        assert_match "${names%% *} \([^)]*$reason" "$(jq -r .error.message body)"
        names=${names#* }
    done
    assert_equal "" "$(retry_after)" "Retry-After"
    assert_match "event=refused endpoint=llm" "$(cat log)"
    assert_no_match "event=(cooldown|attempt|exhausted)" "$(cat log)"
    fetch 22 400 "$url" "$body" -f
    assert_equal "0 0" "$(requests one) $(requests two)" "requests"
}

test_nobody_can_serve_it() {
    start_mock one
    start_mock two
    for EXTRA in "" "on_exhausted: last" "on_exhausted: wait"; do
        backends "name: one, dialect: azure, url: \"$URL_one\"" "name: two, dialect: azure, url: \"$URL_two\""
        assert_refused '{"model":"gpt-4"}' "$MODERATIONS" "no such path" "no such path"
        assert_refused '{"messages":[]}' "$CHAT" "names no model" "names no model"
        assert_refused '{"messages"' "$CHAT" "no JSON" "no JSON"
        assert_refused '{"model":""}' "$CHAT" "names no model" "names no model"
        fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
        : >one.log
        : >two.log
    done
}

# One can't, the other cools: that is no reason to give up.
test_the_other_one_cools() {
    start_mock one --status 429 --retry-after 30
    start_mock two
    backends "name: one, url: \"$URL_one/v1\", priority: 1" \
        "name: two, dialect: azure, url: \"$URL_two\", priority: 2"
    for _ in 1 2; do
        fetch 0 429 "$MODERATIONS" '{"input":"a"}'
        assert_match '^(29|30)$' "$(retry_after)" "Retry-After"
        assert_match "one \(429, [0-9.]+ s\), two \(can't serve this request\)" "$(jq -r .error.message body)"
        assert_match "event=skipped endpoint=llm backend=two reason=.*no such path" "$(cat log)"
    done
    assert_equal "1 0" "$(requests one) $(requests two)" "requests"
    # it is as well as before
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_equal "1 1" "$(requests one) $(requests two)" "requests"
}

# Another dialect is passed over before and after what it can serve; no failure counts.
test_skipping_is_no_failure() {
    start_mock one
    start_mock two
    EXTRA="failure_threshold: 1" backends "name: one, dialect: azure, url: \"$URL_one\", priority: 1" \
        "name: two, url: \"$URL_two/v1\", priority: 2"
    for _ in 1 2 3; do
        fetch 0 200 "$CHAT" '{"no":"model"}'
        assert_match "event=skipped endpoint=llm backend=one reason=.*names no model" "$(cat log)"
        fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    done
    assert_equal "3 3" "$(requests one) $(requests two)" "requests"
}

test_nobody_waits_for_who_cant_serve_it() {
    local begin=$SECONDS
    start_mock one --status 429 --retry-after 60
    start_mock two
    EXTRA=$'on_exhausted: wait\n    max_wait: 20s' backends "name: one, url: \"$URL_one/v1\", priority: 1" \
        "name: two, dialect: azure, url: \"$URL_two\", priority: 2"
    fetch 0 429 "$MODERATIONS" '{"input":"a"}'
    fetch 0 429 "$MODERATIONS" '{"input":"a"}'
    [ $((SECONDS - begin)) -lt 10 ] || fail "it waited for $((SECONDS - begin)) s"
    assert_no_match "event=waiting" "$(cat log)"
}

test_waiting_for_the_one_that_can_serve_it() {
    start_mock one --script '429:retry-after=1,200'
    start_mock two
    EXTRA=$'on_exhausted: wait\n    max_wait: 20s' backends "name: one, url: \"$URL_one/v1\", priority: 1" \
        "name: two, dialect: azure, url: \"$URL_two\", priority: 2"
    fetch 0 200 "$CHAT" '{"no":"model"}'
    assert_match "event=waiting" "$(cat log)"
    assert_equal "2 0" "$(requests one) $(requests two)" "requests"
}

# Errors of the request are the program's: no other backend is asked, none cools.
test_errors_of_the_request_go_through() {
    local status
    local filter='{"error":{"message":"The response was filtered","code":"content_filter","status":400}}'
    start_mock one --script "400:body='$filter',401,403,404:body='{\"error\":{\"code\":\"DeploymentNotFound\"}}',200"
    start_mock two
    backends "name: one, dialect: azure, url: \"$URL_one\", models: {gpt-4: east}, priority: 1" \
        "name: two, url: \"$URL_two/v1\", priority: 2"
    fetch 0 400 "$CHAT" '{"model":"gpt-4"}'
    assert_equal "$filter" "$(cat body)"
    for status in 401 403 404; do
        fetch 0 "$status" "$CHAT" '{"model":"gpt-4"}'
        assert_no_match "event=cooldown" "$(cat log)"
    done
    assert_equal '{"error":{"code":"DeploymentNotFound"}}' "$(cat body)"
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_equal "5 0" "$(requests one) $(requests two)" "requests"
}

test_errors_that_retry_on_names_go_on() {
    start_mock one --script "404:body='{\"error\":{\"code\":\"DeploymentNotFound\"}}',200"
    start_mock two
    EXTRA="retry_on: [429, 404]" backends \
        "name: one, dialect: azure, url: \"$URL_one\", models: {gpt-4: east}, priority: 1" \
        "name: two, url: \"$URL_two/v1\", models: {gpt-4: llama}, priority: 2"
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_equal "1 1" "$(requests one) $(requests two)" "requests"
    assert_equal "east llama" "$(log_field one 1 .deployment) $(log_field two 1 .model)"
    assert_match "event=cooldown endpoint=llm backend=one reason=404" "$(cat log)"
}

# A deployment too small for the request, and one whose quota is spent.
test_too_large_and_quota_across_dialects() {
    start_mock one --script '429:too-large,200,429:quota:retry-after=1'
    start_mock two
    backends "name: one, dialect: azure, url: \"$URL_one\", models: {gpt-4: east}, priority: 1" \
        "name: two, url: \"$URL_two/v1\", priority: 2"
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_no_match "event=cooldown" "$(cat log)"
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_equal "2 1" "$(requests one) $(requests two)" "requests"
    fetch 0 200 "$CHAT" '{"model":"gpt-4"}'
    assert_match "event=cooldown endpoint=llm backend=one reason=quota seconds=600" "$(cat log)"
    assert_equal "3 2" "$(requests one) $(requests two)" "requests"
}

# Both cool, and the one that will be back first can't serve it: neither Retry-After nor waiting
# goes by that one.
test_cooldown_of_who_cant_serve_it_does_not_count() {
    local begin
    start_mock one --status 429 --retry-after 60
    start_mock two --status 429 --retry-after 4
    local both=("name: one, url: \"$URL_one/v1\", priority: 1" \
        "name: two, dialect: azure, url: \"$URL_two\", priority: 2")
    backends "${both[@]}"
    fetch 0 429 "$CHAT" '{"model":"gpt-4"}'
    fetch 0 429 "$MODERATIONS" '{"input":"a"}'
    assert_match '^(59|60)$' "$(retry_after)" "Retry-After"
    assert_match "two \(can't serve this request\)" "$(jq -r .error.message body)"
    EXTRA=$'on_exhausted: wait\n    max_wait: 10s' backends "${both[@]}"
    fetch 0 429 "$MODERATIONS" '{"input":"a"}'
    assert_no_match "event=waiting" "$(cat log)"
}

run_tests
