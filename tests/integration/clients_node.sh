#!/usr/bin/env bash
# Node's clients, and the package openai, which uses them, through the sockets and the relay.
# shellcheck disable=SC2031  # what in_test sets is for its own subshell
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"
NODE=$ROOT/tests/programs/node

# node_client SCRIPT [LIBRARY]: is CLIENT
node_client() {
    needs "node -e 'fetch'" "nodejs of version 18 or later"
    CLIENT=(node "$NODE/$1" "${@:2}")
}

package() {
    export NODE_PATH=$ROOT/build/node/node_modules
    needs "node -e 'require(\"openai\")'" "the package openai: scripts/install-dependencies --test"
    node_client openai.js
    TYPE="" # it tries again by itself
}

test_fetch() {
    node_client client.js fetch
    is_served
}

test_fetch_by_https() {
    node_client client.js fetch
    is_served_securely
}

test_http() {
    node_client client.js http
    is_served
}

test_http_by_https() {
    node_client client.js http
    is_served_securely
}

test_package() {
    package
    is_served
}

test_package_by_https() {
    package
    is_served_securely
}

# Azure's class, and backends of both dialects.
test_package_for_azure() {
    package
    start_mock first --status 429 --retry-after 60 --dialect azure
    start_mock second --dialect azure --strict --deployment east --tokens 4
    start_mock third --dialect openai --strict --tokens 4
    write_settings <<END
endpoints:
  - url: $LOGICAL/openai
    dialect: azure
    backends:
      - {name: first, url: "${URL_first:?}", priority: 1}
      - {name: second, url: "${URL_second:?}", priority: 2, models: {gpt-4: east, text-embedding-3-small: east}}
END
    assert_status 0 spill "${CLIENT[@]}" azure "$LOGICAL"
    assert_equal "200 200" "$(sed -n 's/ null$//p' out | xargs)" statuses
    assert_match '"content":"second answers' "$(<out)"
    assert_match '"embedding":\[' "$(<out)"
    assert_equal "/openai/deployments/east/chat/completions?api-version=2024-10-21 /openai/deployments/east/embeddings?api-version=2024-10-21" \
        "$(jq -r .path second.log | xargs)" paths
    assert_equal "1 2" "$(requests first) $(requests second)" requests
    sed -i "s#name: second, .*#name: third, dialect: openai, url: \"${URL_third:?}/v1\", priority: 2}#" settings.yaml
    export SPILLWAY_STATE_DIR=$T/other # where nothing is known of the first tier
    assert_status 0 spill "${CLIENT[@]}" azure "$LOGICAL"
    assert_equal "/v1/chat/completions gpt-4 /v1/embeddings text-embedding-3-small" \
        "$(jq -r '.path, .model' third.log | xargs)" "what the other dialect's was asked"
}

run_tests
