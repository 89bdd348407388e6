#!/usr/bin/env bash
# Which URLs belong to an endpoint, what the URL of an attempt is, and that everything else stays
# as it is without the shim.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=twins.bash
. "$(dirname "$0")/twins.bash"

CHAT='{"model":"gpt-4","messages":[]}'
JSON='Content-Type: application/json'

# settings URL_OF_ENDPOINT URL_OF_BACKEND...: one backend per tier
settings() {
    local url priority=0
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $1"
        echo "    backends:"
        for url in "${@:2}"; do
            echo "      - {name: backend$((++priority)), url: \"$url\", priority: $priority}"
        done
    } | write_settings
}

# paths NAME: of all requests that the mock has seen, in one line
paths() {
    [ ! -e "$1.log" ] || jq -r .path "$1.log" | xargs
}

# assert_path WANT URL [CURL_OPTION...]: the path of the request at mock `backend`
assert_path() {
    local want=$1
    assert_status 0 spill curl -sS -o /dev/null "${@:2}"
    assert_equal "$want" "$(tail -1 backend.log | jq -r .path)" "path at the backend for $2"
}

test_backend_base_and_what_is_below_the_prefix() {
    start_mock backend
    settings "$LOGICAL/v1" "${URL_backend:?}/openai/v1"
    assert_path /openai/v1/chat/completions "$LOGICAL/v1/chat/completions"
    assert_path /openai/v1 "$LOGICAL/v1"
    assert_path /openai/v1/ "$LOGICAL/v1/"
    assert_path /openai/v1/a/b/ "$LOGICAL/v1/a/b/"
    assert_path /openai/v1//a "$LOGICAL/v1//a"
    assert_path /openai/v1/v1/x "$LOGICAL/v1/v1/x"
    assert_path /openai/v1/openai/v1/x "$LOGICAL/v1/openai/v1/x"
    assert_path /openai/v1/a%20b%2Fc%3F "$LOGICAL/v1/a%20b%2Fc%3F"
    assert_path "/openai/v1/a:b@c;d=e,f" "$LOGICAL/v1/a:b@c;d=e,f"
    assert_equal 9 "$(requests backend)"
}

test_query_is_kept_and_the_fragment_is_not_sent() {
    start_mock backend
    settings "$LOGICAL/v1" "${URL_backend:?}/base"
    assert_path '/base/m?api-version=2024-10-21&x=%2F..%2F' "$LOGICAL/v1/m?api-version=2024-10-21&x=%2F..%2F"
    assert_path '/base?a=b' "$LOGICAL/v1?a=b"
    assert_path '/base/m?a=/../b/./c' "$LOGICAL/v1/m?a=/../b/./c"
    assert_path '/base/m?u=http://other.test/v1/x?y' "$LOGICAL/v1/m?u=http://other.test/v1/x?y"
    assert_path '/base/m?' "$LOGICAL/v1/m?"
    assert_path '/base/m?a=b' "$LOGICAL/v1/m?a=b#part"
    assert_path '/base/m' "$LOGICAL/v1/m#part?no=query"
    assert_path '/base/m?a=b&c=d+e' "$LOGICAL/v1/m?a=b" -G --data-urlencode 'c=d e'
    assert_path '/base/m?q=1' "$LOGICAL/v1/m" --url-query q=1
}

test_slashes_at_the_ends_of_prefix_and_base_do_not_matter() {
    local prefix base
    start_mock backend
    for prefix in "$LOGICAL/v1" "$LOGICAL/v1/"; do
        for base in /base /base/; do
            settings "$prefix" "${URL_backend:?}$base"
            assert_path /base/models?x=1 "$LOGICAL/v1/models?x=1"
            assert_path /base/models "$LOGICAL/v1/models"
        done
    done
    settings "$LOGICAL" "$URL_backend"
    assert_path /v1/models "$LOGICAL/v1/models"
    assert_path / "$LOGICAL"
    assert_path /?a=b "$LOGICAL?a=b"
    settings "$LOGICAL/" "$URL_backend/base/"
    assert_path /base/v1/models "$LOGICAL/v1/models"
}

test_base_is_never_doubled_on_a_retry() {
    start_mock one --script '503:retry-after=0,429:retry-after=0'
    start_mock two --script '503:retry-after=0,429:retry-after=0,500:retry-after=0'
    settings "$LOGICAL/v1" "${URL_one:?}/one/v1" "${URL_two:?}/v1/v1"
    assert_status 0 spill curl -sS -o '#1' "$LOGICAL/v1/models?a=[1-2]"
    assert_match '^(/one/v1/models\?a=[12] ?)+$' "$(paths one)" "paths at the first"
    assert_match '^(/v1/v1/models\?a=[12] ?)+$' "$(paths two)" "paths at the second"
    [ "$(requests two)" -ge 3 ] || fail "there were no retries"
}

# Each URL is asked through an HTTP proxy, so that any host and port arrive at a mock, with the URL
# as the request's target: the backend's if the shim took it, or else the program's own.
assert_matches() { # yes|no URL [CURL_OPTION...]
    local want=$1 path got=no
    shift
    assert_status 0 logged curl -sS -x "${URL_proxy:?}" -o /dev/null "$@"
    path=$(tail -1 proxy.log | jq -r .path)
    [[ $path != http://backend.test/* ]] || got=yes
    assert_equal "$want" "$got" "whether $1 is taken (it became $path)"
}

test_prefix_matches_by_scheme_host_port_and_whole_segments() {
    start_mock proxy
    settings "http://LLM.test/v1" http://backend.test/base
    assert_matches yes http://llm.test/v1/x
    assert_matches yes http://llm.test/v1
    assert_matches yes http://llm.test/v1?x
    assert_matches yes http://llm.test/v1#x
    assert_matches yes http://LLM.TEST/v1/x
    assert_matches yes HTTP://Llm.Test/v1/x
    assert_matches yes http://llm.test:80/v1/x
    assert_matches yes http://llm.test:/v1/x
    assert_matches yes llm.test/v1/x
    assert_matches yes http://me:pass@llm.test/v1/x
    assert_matches yes http://llm.test/./v1/x
    assert_matches yes http://llm.test/v2/../v1/x
    assert_matches no http://llm.test/v1beta
    assert_matches no http://llm.test/v1beta/x
    assert_matches no http://llm.test/v1.1/x
    assert_matches no http://llm.test/v
    assert_matches no http://llm.test/
    assert_matches no http://llm.test
    assert_matches no http://llm.test/V1/x
    assert_matches no http://llm.test//v1/x
    assert_matches no http://llm.test/x/v1
    assert_matches no http://llm.test:8080/v1/x
    assert_matches no http://llm.test:443/v1/x
    assert_matches no http://llm.test.example/v1/x
    assert_matches no http://x.llm.test/v1/x
    assert_matches no http://xllm.test/v1/x
    assert_matches no http://llm.tes/v1/x
    assert_matches no http://llm.test@other.test/v1/x
    assert_matches no http://llm.test:80@other.test/v1/x
    assert_matches no "http://other.test/http://llm.test/v1/x"
    assert_matches no "http://other.test?@llm.test/v1/x"
    assert_matches no "http://other.test#@llm.test/v1/x"
    assert_equal 12 "$(grep -c event=intercepted log)" "intercepted lines"
}

test_dot_segments_do_not_leave_the_prefix() {
    start_mock proxy
    settings http://llm.test/v1 http://backend.test/base
    assert_matches no http://llm.test/v1/../x
    assert_matches no http://llm.test/v1/..
    assert_matches no http://llm.test/v1/a/../../x
    assert_matches no --path-as-is http://llm.test/v1/../x
    assert_matches no --path-as-is http://llm.test/v1/..
    assert_matches no --path-as-is http://llm.test/v1/%2e%2e/x
    assert_matches no --path-as-is http://llm.test/v1/.%2E/x
    assert_matches no --path-as-is http://llm.test/v1/a/../../x
    assert_matches yes --path-as-is http://llm.test/v1/a/../x
    assert_matches yes --path-as-is http://llm.test/v1/..x/...
    assert_matches yes http://llm.test/v1/../v1/x
    assert_equal 0 "$(paths proxy | grep -c 'backend.test/base[^ ]*\(\.\.\|%2[eE]\)/')" "dots behind the base"
}

test_ports_and_schemes() {
    start_mock proxy
    write_settings <<END
endpoints:
  - {url: "http://one.test:8080/v1", backends: [{url: "http://backend.test/one"}]}
  - {url: "http://two.test:80/v1", backends: [{url: "http://backend.test/two"}]}
  - {url: "https://three.test/v1", backends: [{url: "http://backend.test/three"}]}
  - {url: "HTTPS://API.OpenAI.com:443/v1", backends: [{url: "http://backend.test/four"}]}
END
    assert_matches yes http://one.test:8080/v1/x
    assert_matches yes http://one.test:08080/v1/x
    assert_matches no http://one.test/v1/x
    assert_matches yes http://two.test/v1/x
    assert_matches yes http://two.test:80/v1/x
    assert_matches no http://three.test/v1/x
    assert_matches no http://three.test:443/v1/x
    assert_matches yes https://three.test/v1/x
    assert_matches yes https://three.test:443/v1/x
    assert_matches yes --proto-default https three.test/v1/x
    assert_matches yes https://API.OpenAI.com:443/v1/x
    assert_matches yes https://api.openai.com/v1/x
    assert_equal http://backend.test/four/x "$(tail -1 proxy.log | jq -r .path)"
}

test_longest_prefix_wins_whatever_the_order() {
    start_mock proxy
    write_settings <<END
endpoints:
  - {name: short, urls: [http://llm.test/v1, http://other.test], backends: [{url: "http://backend.test/short"}]}
  - {name: long, urls: ["http://llm.test/v1/chat"], backends: [{url: "http://backend.test/long"}]}
  - {name: root, urls: ["http://llm.test"], backends: [{url: "http://backend.test/root"}]}
END
    assert_matches yes http://llm.test/v1/chat/completions
    assert_matches yes http://llm.test/v1/chats
    assert_matches yes http://llm.test/v2
    assert_matches yes http://other.test/v1/chat
    assert_equal "http://backend.test/long/completions http://backend.test/short/chats http://backend.test/root/v2 http://backend.test/short/v1/chat" \
        "$(paths proxy)"
}

test_seed_style_entries() {
    start_mock backend
    start_mock proxy
    cat >settings.yaml <<END
endpoints:
  - url: $LOGICAL/v1
    backends:
      - host: ${URL_backend#http://}
        path: /base/v1
        api_key: sk-seed
END
    chmod 600 settings.yaml
    assert_path '/base/v1/models?x=1' "$LOGICAL/v1/models?x=1"
    assert_equal "$(printf sk-seed | sha256sum | cut -c1-16)" "$(log_field backend 1 .key_hash)" "key"
    sed -i 's|path: .*|path: base/v1/|' settings.yaml
    assert_path /base/v1/models "$LOGICAL/v1/models"
    sed -i '/path: /d' settings.yaml
    assert_path /models "$LOGICAL/v1/models"
    cat >settings.yaml <<END
endpoints:
  - urls: [$LOGICAL/v1, https://llm.test/v1]
    backends: [{host: backend.test, path: /openai}]
END
    assert_matches yes "$LOGICAL/v1/x"
    assert_equal http://backend.test/openai/x "$(tail -1 proxy.log | jq -r .path)"
    curl -sS -x "$URL_proxy" https://backend.test/ 2>want || :
    spill curl -sS -x "$URL_proxy" https://llm.test/v1/x -v 2>got || :
    assert_match 'CONNECT backend.test:443' "$(cat got)" "the scheme that the program asked with"
}

# The endpoint is the origin of mock straight with another path, so that its other paths are real.
test_what_is_for_no_endpoint_is_the_same_to_the_byte() {
    local format='%{http_code} %{size_header} %{size_download} %{num_connects} %{num_redirects} %{url_effective} %{remote_port} %{content_type} %{exitcode} %header{x-spillway-mock}\n' once
    start_mock home --script '200,200,404,429:retry-after=0,503,302:location=/else,200,302:location=/v1/models,200,cut,close,reset,200'
    start_mock apart --script '200,200,404,429:retry-after=0,503,302:location=/else,200,302:location=/v1/models,200,cut,close,reset,200' --name home
    start_mock backend
    settings "${URL_home:?}/taken" "${URL_backend:?}/v1"
    printf 'hello' >upload
    untouched() { # CURL_OPTION...: '@' is the mock's URL
        local want=0 got=0
        curl -sS -w "$format" "${@//@/${URL_apart:?}}" >want.out 2>want.err || want=$?
        logged curl -sS -w "$format" "${@//@/$URL_home}" >got.out 2>got.err || got=$?
        once=${URL_apart##*:}
        assert_equal "$want" "$got" "exit status of curl $*"
        assert_equal "$(plain want.out | sed "s/\b$once\b/${URL_home##*:}/")" "$(plain got.out)" "output of curl $*"
        assert_equal "$(plain want.err)" "$(plain got.err)" "stderr of curl $*"
        assert_equal "$(jq -c 'del(.time, .host)' apart.log)" "$(jq -c 'del(.time, .host)' home.log)" "requests"
    }
    untouched -i @/v1/models -H 'Host: a.test' -H "Authorization: Bearer x" -u me:pass
    untouched -i @/v1/chat/completions -H "$JSON" -d "$CHAT"
    untouched -i -f @/takenover
    untouched -i @/v1/models
    untouched -i -f @/v1/models
    untouched -i -L @/v1/models
    untouched -i -L @/v1/models
    untouched -i @/v1/models
    untouched @/v1/models
    untouched @/v1/models
    untouched -i -T upload @/v1/models
    untouched "file://$T/upload"
    untouched @/v1/models --max-time 0.000001
    untouched "htp://@/v1/models"
    untouched http://127.0.0.1:1/
    untouched "http://no-such-host.invalid/"
    untouched --no-such-option
    untouched @/v1/models @/taken2/b
    assert_equal 0 "$(requests backend)" "requests at the backend"
    assert_equal "" "$(cat log 2>/dev/null)" "log"
}

test_what_spillway_cannot_serve_is_left_alone() {
    local port
    start_mock home
    start_mock backend
    port=${URL_home##*:}
    settings "$LOGICAL/v1" "${URL_backend:?}/base"
    assert_status 0 logged curl -sS -o /dev/null --connect-to "llm.test:80:127.0.0.1:$port" "$LOGICAL/v1/models"
    assert_status 0 logged curl -sS -o /dev/null --request-target /v1/models -x "$URL_home" "$LOGICAL/v1/models"
    assert_equal "2 0" "$(requests home) $(requests backend)"
    assert_equal llm.test "$(log_field home 1 .host)" "Host"
    assert_status 7 spill curl -sS --unix-socket "$T/absent" "$LOGICAL/v1/models"
}

test_without_settings_or_with_bad_ones_nothing_changes() {
    start_mock home
    start_mock backend
    settings "${URL_home:?}/v1" "${URL_backend:?}/v1"
    sed -i 's/endpoints:/endpints:/' settings.yaml
    local config
    for config in "$T/absent.yaml" "$T/settings.yaml" /dev/null "$T"; do
        assert_status 0 env LD_PRELOAD="$PRELOAD" SPILLWAY_CONFIG="$config" curl -sS -i "$URL_home/v1/models"
        assert_equal "" "$(cat err)" "stderr with $config"
    done
    assert_equal "4 0" "$(requests home) $(requests backend)"
}

test_odd_urls_do_no_harm() {
    local url status want
    start_mock home
    settings "${URL_home:?}/taken" http://127.0.0.1:1/
    for url in "http://[::1" "http://[::1]:99999/v1" "http://" "://x" "http:///v1" "http://llm.test:abc/v1" \
        "http://ll m.test/v1" "$(printf 'http://llm.test/%05000d' 1)" "http://%6clm.test/v1" "http://llm.test:-80/v1" \
        "http://a@b@c@127.0.0.1:1/v1" "http://llm.test\\@127.0.0.1:1/v1" "gopher://127.0.0.1:1/v1" ""; do
        want=0 status=0
        curl -sS "$url" >want.out 2>want.err || want=$?
        spill curl -sS "$url" >got.out 2>got.err || status=$?
        assert_equal "$want $(plain want.err)" "$status $(plain got.err)" "what $url gives"
    done
}

# enter NAME: for a subshell, a directory below the test's, so that mocks have fresh names
enter() {
    T=$T/$1
    mkdir "$T" && cd "$T" || exit 1
}

test_redirects_with_and_without_following() {
    local status
    for status in 301 302 303 307 308; do
        (
            enter "$status"
            start_twins --script "$status:location=/v1/else,404,$status:location=/v1/else:x-body=1,200,$status:location=/v1/else,200"
            start_mock other
            settings "$LOGICAL/v1" "$URL_behind/v1" "$URL_other/v1"
            assert_as_straight -i @/models -d text
            assert_match "^HTTP/1.1 $status " "$(head -1 got.out)"
            assert_as_straight -i @/models
            assert_as_straight -i -L @/models -d text -w '%{num_redirects} %{redirect_url}'
            assert_equal 2 "$(grep -c '^HTTP/' got.out)" "blocks"
            assert_as_straight -L @/models -d text -o /dev/null -D -
            assert_equal 0 "$(requests other)"
        ) || fail "with $status"
    done
}

test_redirects_without_end_or_place() {
    start_twins --script '302:location=/v1/a*3,302*1,304,302,300'
    settings "$LOGICAL/v1" "$URL_behind/v1"
    assert_as_straight -i -L --max-redirs 2 @/models
    assert_equal 47 "$LAST_STATUS"
    assert_as_straight -i -L @/models
    assert_as_straight -i -L @/models
    assert_as_straight -i -L @/models
}

test_a_failure_behind_a_redirect_fails_over_from_the_beginning() {
    start_mock ptu --script '302:location=/v1/else:retry-after=0,503:retry-after=0,301:location=/v1/else,429:retry-after=0'
    start_twins
    settings "$LOGICAL/v1" "$URL_ptu/v1" "$URL_behind/v1"
    assert_as_straight -i -L -d text @/models
    assert_equal 1 "$(grep -c '^HTTP/' got.out)" "blocks"
    assert_as_straight -i -L -d text -e 'http://ref.test;auto' @/models
    assert_equal "POST /v1/models GET /v1/else POST /v1/models GET /v1/else" \
        "$(jq -r '.method + " " + .path' ptu.log | xargs)"
}

run_tests
