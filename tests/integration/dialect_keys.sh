#!/usr/bin/env bash
# The program's own key at a backend of the other dialect that has none: it goes in the header that
# is looked for there, and nowhere else. The mocks are strict: a key in the wrong header is a 401.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
OWN=own-key-of-the-program
TOKEN=eyJhbGciOiJub25lIn0.eyJleHAiOjF9.x
BODY='{"model":"gpt-4","messages":[]}'
DEPLOYMENT="/openai/deployments/gpt-4/chat/completions?api-version=2024-02-01"

# endpoint DIALECT PATH LINE...
endpoint() {
    printf '%s\n' "state: {scope: process}" endpoints: "  - name: llm" "    url: $LOGICAL$2" \
        "    dialect: $1" "    backends:" "${@:3}" | write_settings
    chmod 600 settings.yaml
}

hash_of() {
    printf %s "$1" | sha256sum | cut -c1-16
}

# asks STATUS URL OPTION...: by curl
asks() {
    assert_status 0 "$SPILLWAY" run -c settings.yaml --log log --log-level debug -- \
        curl -sS -o answer -w '%{http_code}' -d "$BODY" "${@:3}" "$LOGICAL$2"
    assert_equal "$1" "$(cat out)" "status"
}

# seen NAME N: the headers of the Nth request that may hold a key, and the hash of the key
seen() {
    log_field "$1" "$2" '[.headers[] | ascii_downcase
        | select(test("auth|key|cookie"))] + [.key_hash // "none"] | join(" ")'
}

test_key_of_an_azure_program_goes_to_openai_as_bearer() {
    start_mock other --dialect openai --strict
    endpoint azure "" "      - {name: other, dialect: openai, url: \"$URL_other/v1\"}"
    asks 200 "$DEPLOYMENT" -H "api-key: $OWN"
    asks 200 "$DEPLOYMENT" -H "API-Key:$OWN  "
    asks 200 "$DEPLOYMENT" -H "Authorization: Bearer $OWN"
    for number in 1 2 3; do
        assert_equal "authorization $(hash_of "$OWN")" "$(seen other "$number")"
    done
}

test_key_of_an_openai_program_goes_to_azure_as_api_key() {
    start_mock other --dialect azure --strict
    endpoint openai /v1 "      - {name: other, dialect: azure, url: \"$URL_other\"}"
    asks 200 /v1/chat/completions -H "Authorization: Bearer $OWN"
    asks 200 /v1/chat/completions -H "authorization:bearer  $OWN"
    asks 200 /v1/chat/completions -H "api-key: $OWN"
    for number in 1 2 3; do
        assert_equal "api-key $(hash_of "$OWN")" "$(seen other "$number")"
    done
    asks 200 /v1/chat/completions -H "Authorization: Bearer $TOKEN" # Entra ID's are bearers there
    assert_equal "authorization $(hash_of "$TOKEN")" "$(seen other 4)"
}

# What is no single key stays as the program wrote it.
test_other_credentials_go_as_they_are() {
    start_mock other
    endpoint openai /v1 "      - {name: other, dialect: azure, url: \"$URL_other\"}"
    asks 200 /v1/chat/completions -H "Authorization: Basic abc"
    asks 200 /v1/chat/completions -H "Ocp-Apim-Subscription-Key: $OWN"
    asks 200 /v1/chat/completions -H "Authorization: Bearer $OWN" -H "x-api-key: $OWN"
    asks 200 /v1/chat/completions -H "Authorization: Bearer "
    asks 200 /v1/chat/completions -u "me:$OWN"
    assert_equal "authorization ocp-apim-subscription-key authorization x-api-key authorization authorization" \
        "$(jq -r '.headers[] | ascii_downcase | select(test("auth|key"))' other.log | paste -sd' ')"
}

# After a backend with a key, and before one of the program's own dialect.
test_key_is_the_programs_own_for_each_backend() {
    start_mock first --status 429
    start_mock second --status 429
    start_mock third
    endpoint openai /v1 "      - {name: first, priority: 1, key: key-of-first, url: \"$URL_first/v1\"}" \
        "      - {name: second, priority: 2, dialect: azure, url: \"$URL_second\"}" \
        "      - {name: third, priority: 3, url: \"$URL_third/v1\"}"
    asks 200 /v1/chat/completions -H "Authorization: Bearer $OWN" -v
    assert_equal "authorization $(hash_of key-of-first)" "$(seen first 1)"
    assert_equal "api-key $(hash_of "$OWN")" "$(seen second 1)"
    assert_equal "authorization $(hash_of "$OWN")" "$(seen third 1)"
    assert_no_match "$OWN" "$(cat log)" "log"
    assert_no_match "api-key: $OWN" "$(cat err)" "verbose output"
}

# libcurl keeps Authorization from other hosts, not api-key.
test_redirect_to_another_origin_carries_no_key() {
    start_mock away
    start_mock first --script "307:location='$URL_away/v1/chat/completions'"
    endpoint openai /v1 "      - {name: first, dialect: azure, url: \"$URL_first\"}"
    asks 200 /v1/chat/completions -H "Authorization: Bearer $OWN" -L
    assert_equal "api-key $(hash_of "$OWN")" "$(seen first 1)"
    assert_equal none "$(seen away 1)"
}

run_tests
