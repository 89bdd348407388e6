#!/usr/bin/env bash
# What a program gets when every backend cools down: the 429 of our own, in every way in which
# libcurl can tell it. For the other kinds of on_exhausted see on_exhausted.sh.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=curl_settings.bash
. "$(dirname "$0")/curl_settings.bash"
# shellcheck source=pair.bash
. "$(dirname "$0")/pair.bash"
# shellcheck source=exhausted.bash
. "$(dirname "$0")/exhausted.bash"

test_the_first_request_that_exhausts_gets_the_reply() {
    start_mock first --status 429:retry-after=7
    start_mock second --status 503:retry-after=9
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/models"
    assert_reply head body 7
    assert_nothing_sent
}

test_reply_names_backends_reasons_and_seconds() {
    local message
    exhaust
    assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/chat/completions" -d '{"model":"gpt-4"}'
    assert_reply head body
    message=$(jq -r .error.message body)
    assert_match 'first[^)]*429[^)]* (1[6-9][0-9]|200)([.][0-9]+)? *s' "$message"
    assert_match 'second[^)]*503[^)]* (3[6-9][0-9]|400)([.][0-9]+)? *s' "$message"
    assert_nothing_sent
}

test_every_reason_is_named() {
    start_mock first --status 429:quota
    settings_with "$URL_first" "$REFUSED"
    assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/models"
    assert_reply head body 10
    assert_match 'first[^)]*quota[^)]* (5[6-9][0-9]|600)' "$(jq -r .error.message body)" "cools for max_cooldown"
    assert_match 'second[^)]*connect' "$(jq -r .error.message body)"
}

test_every_backend_refuses() {
    settings_with "$REFUSED" "$REFUSED"
    assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/models"
    assert_reply head body 10
    settings_with "$REFUSED" "$REFUSED" "retry_on: [429]"
    assert_status 7 env SPILLWAY_STATE_DIR="$T/other" "$SPILLWAY" run -c settings.yaml -- \
        curl -sS "$LOGICAL/v1/models"
}

test_retry_after_is_never_below_one() {
    start_mock first --status 429:retry-after-ms=1
    start_mock second --status 429:retry-after=0
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill curl -sS -D head -o body "$LOGICAL/v1/models"
    assert_reply head body 1
    # Bounded although nobody ever says that there is something to wait for.
    [ "$(requests first)" -le 3 ] || fail "$(requests first) attempts on one backend"
    [ "$(requests second)" -le 3 ] || fail "$(requests second) attempts on one backend"
}

test_no_packet_leaves_the_machine() {
    exhaust
    assert_status 0 spill strace -f -qq -o trace -e trace=network \
        curl -sS -w '%{http_code}' -o body "$LOGICAL/v1/models"
    assert_equal 429 "$(cat out)"
    [ -s trace ] || fail "strace saw nothing"
    # curl itself makes an IPv6 socket to see whether there are such; it sends nothing.
    assert_equal "" "$(grep -E '(connect|bind|send[a-z]*)\(.*AF_INET' trace)" "calls that reach a network"
    assert_nothing_sent
}

test_curl_says_it_in_each_of_its_ways() {
    exhaust
    local url=$LOGICAL/v1/models
    assert_status 22 spill curl -sS -f "$url"
    assert_equal "curl: (22) The requested URL returned error: 429" "$(cat err)"
    assert_equal "" "$(cat out)"
    assert_status 22 spill curl -sS --fail-with-body "$url"
    assert_match rate_limit_error "$(cat out)"
    assert_status 0 spill curl -sS -i "$url"
    sed '/^\r$/,$d' out >"head"
    sed '1,/^\r$/d' out >body
    assert_reply head body
    assert_status 0 spill curl -sS -I "$url"
    assert_match '^HTTP/1.1 429' "$(cat out)"
    assert_no_match rate_limit_error "$(cat out)"
    assert_status 0 spill curl -sS -o body -D head "$url"
    assert_reply head body
    assert_status 0 spill curl -sS -o body \
        -w '%{http_code} %{url_effective} %{header{retry-after}} %{errormsg}|%{num_redirects} %{content_type} %{size_download}' "$url"
    assert_match "^429 $url .*\|0 application/json $(wc -c <body)\$" "$(cat out)"
    assert_nothing_sent
}

test_curl_shows_the_header_as_a_variable() {
    exhaust
    assert_status 0 spill curl -sS -o body -w '%header{retry-after} %header{retry-after-ms}' "$LOGICAL/v1/models"
    assert_match '^(1[6-9][0-9]|200) [0-9]+$' "$(cat out)"
    assert_status 0 spill curl -sS -o body -w '%{header_json}' "$LOGICAL/v1/models"
    jq -e '."retry-after" | length == 1' out >json || fail "header_json: $(cat out)"
}

test_curl_retries_when_the_time_has_come() {
    start_mock only --script 429:retry-after=1,200
    settings_with "$URL_only" "$URL_only"
    sed -i '/name: second/d' settings.yaml
    assert_status 0 spill curl -sS --retry 1 -w '%{http_code}' -o body "$LOGICAL/v1/models"
    assert_equal 200 "$(cat out)"
    assert_equal 2 "$(requests only)"
    # Not before its time, as the mock saw it.
    jq -es '.[1].time - .[0].time >= 1' only.log >json || fail "an early request: $(cat only.log)"
}

test_libcurl_says_it_in_each_of_its_ways() {
    exhaust
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models?a=b" perform
    assert_field 0 result
    assert_field 429 response_code
    assert_field "" error
    assert_field "$LOGICAL/v1/models?a=b" effective_url
    assert_field GET effective_method
    assert_field 0 redirects
    assert_field "" redirect_url
    assert_match '^application/json' "$(field content_type)"
    assert_match '^(1[6-9][0-9]|200)$' "$(field retry_after)" CURLINFO_RETRY_AFTER
    assert_equal "$(field retry_after)" "$(field api_retry_after)" curl_easy_header
    assert_equal "$(grep -a '^H .*: ' out | sed 's/^H //')" "$(sed -n 's/^api //p' out)" \
        "headers of the callback and of the headers API"
    assert_equal 1 "$(grep -c '^H HTTP/' out)" "status lines"
    assert_equal 1 "$(grep -c '^B ' out)" "runs of body bytes"
    assert_equal "$(sed -n 's/^B \([0-9]*\).*/\1/p' out)" "$(field size_download)"
    assert_status 0 spill "$CLIENT" fail=1 url="$LOGICAL/v1/models" perform
    assert_field 22 result
    assert_field "The requested URL returned error: 429" error
    assert_field 429 response_code
    assert_match '^(1[6-9][0-9]|200)$' "$(field retry_after)"
    assert_nothing_sent
}

test_each_way_to_receive() {
    local how
    exhaust
    for how in shared file whole; do
        assert_status 0 spill "$CLIENT" receive="$how" url="$LOGICAL/v1/models" perform
        assert_field 429 response_code
        assert_match 'HTTP/1.1 429' "$(cat out)" "$how"
        assert_match rate_limit_error "$(cat out)" "$how"
        assert_equal 1 "$(grep -ac 'HTTP/1.1 429' out)" "status lines, $how"
    done
    assert_status 0 spill "$CLIENT" stop=header:2 url="$LOGICAL/v1/models" perform
    assert_field 23 result
    assert_status 0 spill "$CLIENT" stop=body:1 url="$LOGICAL/v1/models" perform
    assert_field 23 result
    assert_status 0 spill "$CLIENT" pause=body:1 url="$LOGICAL/v1/models" perform
    assert_field 0 result
    assert_match "^B $(field content_length) " "$(grep '^B' out)"
}

curl_gets_the_reply() { # OPTION...
    assert_status 0 spill curl -sS -D head -o body -w '%{http_code} %{url_effective}' "$@" "$LOGICAL/v1/files"
    assert_match "^429 $LOGICAL/v1/files" "$(cat out)" "$*"
    assert_reply head body
}

test_whatever_the_program_has_set() {
    exhaust
    each_setting curl_gets_the_reply
    assert_nothing_sent
}

test_when_the_program_wants_ipv6_alone() {
    exhaust
    curl_gets_the_reply -6
}

test_whatever_the_program_has_set_with_https() {
    local options
    exhaust
    while read -r options; do
        # shellcheck disable=SC2086  # several words
        assert_status 0 spill curl -sS -D head -o body -w '%{http_code} %{url_effective} %{scheme}' \
            $options "https://llm.test/v1/models"
        assert_match "^429 https://llm.test/v1/models" "$(cat out)" "$options"
        assert_reply head body
    done <<'END'
--proto =https
--proto =https --proto-default https
--proto-redir =https -L
--http2
--http2-prior-knowledge
--no-alpn
-x http://127.0.0.1:9
--ssl-reqd
--tlsv1.3
--cacert settings.yaml
--cert settings.yaml
--false-start
--sessionid
END
    assert_nothing_sent
}

test_proxies_of_the_environment() {
    local proxy variable
    exhaust
    for proxy in http://127.0.0.1:9 socks5://127.0.0.1:9 socks4a://user:pass@127.0.0.1:9; do
        for variable in http_proxy ALL_PROXY all_proxy; do
            export "$variable=$proxy"
            curl_gets_the_reply
            unset "$variable"
        done
        export "https_proxy=$proxy"
        assert_status 0 spill curl -sS -D head -o body "https://llm.test/v1/models"
        assert_reply head body
    done
    assert_nothing_sent
}

test_large_uploads() {
    exhaust
    head -c 5000000 /dev/urandom >big
    curl_gets_the_reply --data-binary @big
    curl_gets_the_reply --data-binary @big -H Expect:
    curl_gets_the_reply --data-binary @big -H "Expect: 100-continue"
    curl_gets_the_reply --data-binary @big --http1.0
    curl_gets_the_reply -F file=@big
    curl_gets_the_reply -T big
    curl_gets_the_reply -T - <big
    # shellcheck disable=SC2002  # a pipe is the point
    cat big | curl_gets_the_reply -T - || fail "an upload from a pipe"
    assert_status 0 spill "$CLIENT" keep_sending=1 upload=5000000 url="$LOGICAL/v1/files" perform
    assert_equal "0 429" "$(field result) $(field response_code)"
    assert_nothing_sent
}

test_socket_callbacks_are_spared_and_stay() {
    exhaust
    start_mock elsewhere
    assert_status 0 spill "$CLIENT" sockets=1 url="$LOGICAL/v1/models" perform \
        url="$URL_elsewhere/v1/models" perform
    assert_equal "0 0 0 0" "$(sed -n 's/^sockets=//p' out | head -1)" \
        "calls of open, configure, close, prepare for our own reply"
    assert_equal "200 1 1" "$(field response_code) $(field sockets | cut -d' ' -f1,2)"
    assert_match ' 1$' "$(field sockets)" "calls of the program's CURLOPT_PREREQFUNCTION"
}

test_the_handle_is_as_it_was() {
    local option
    exhaust
    start_mock elsewhere
    "$CLIENT" url="$URL_elsewhere/v1/models" perform | clean >plain
    for option in interface=127.0.0.1 fastopen=1 http_version=1 http_version=3 \
        keep_sending=1 protocols=http port=0 timeout_ms=5000 fail=1 header=X-A:b \
        userpwd=user:pass encoding=gzip; do
        "$CLIENT" "$option" url="$URL_elsewhere/v1/models" perform >plain.out
        assert_status 0 spill "$CLIENT" "$option" url="$LOGICAL/v1/models" perform \
            url="$URL_elsewhere/v1/models" perform
        assert_equal "$(clean <plain.out)" "$(sed '1,/^ms=/d' out | clean)" "after the reply, with $option"
        # what the other server saw of the plain client's request and of the other's
        assert_equal "$(tail -2 elsewhere.log | head -1 | jq -c '[.method, .path, .host, .headers]')" \
            "$(tail -1 elsewhere.log | jq -c '[.method, .path, .host, .headers]')" "with $option"
    done
    assert_nothing_sent
}

# What of the client's output does not differ from one transfer to the next.
clean() {
    sed -E 's/(date|x-request-id): .*/\1/; /^ms=/d'
}

test_the_proxy_is_in_place_afterwards() {
    exhaust
    start_mock proxy
    assert_status 0 spill "$CLIENT" proxy="$URL_proxy" url="$LOGICAL/v1/models" perform \
        url=http://elsewhere.test/v1/models perform
    assert_equal "429 200" "$(sed -n 's/^response_code=//p' out | tr '\n' ' ' | sed 's/ $//')"
    assert_equal 1 "$(requests proxy)" "requests at the proxy"
    assert_equal elsewhere.test "$(log_field proxy 1 .host)"
    assert_status 0 env http_proxy="$URL_proxy" "$SPILLWAY" run -c settings.yaml -- "$CLIENT" \
        url="$LOGICAL/v1/models" perform url=http://elsewhere.test/v1/models perform
    assert_equal 2 "$(requests proxy)" "requests at the environment's proxy"
    assert_nothing_sent
}

test_the_endpoint_is_used_again_once_a_backend_is_back() {
    start_mock first --script 429:retry-after=1,200
    start_mock second --status 429:retry-after=30
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill "$CLIENT" sockets=1 url="$LOGICAL/v1/models" perform until=200 perform
    assert_field 200 until
    assert_field 200 response_code
    assert_equal 3 "$(requests first)" "requests at first"
    jq -es '.[1].time - .[0].time >= 1' first.log >json || fail "an early knock: $(cat first.log)"
    assert_equal 1 "$(requests second)"
}

test_no_descriptor_stays_open() {
    local before
    exhaust
    printf 'HTTP/1.1 429 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' >answer
    "$CLIENT" url="$("$CANNED" --close answer)/v1" perform descriptors >out
    before=$(field descriptors)
    assert_status 0 spill "$CLIENT" url="$LOGICAL/v1/models" perform descriptors \
        perform perform fields={} perform upload=100000 perform descriptors
    assert_equal "$before $before" "$(sed -n 's/^descriptors=//p' out | tr '\n' ' ' | sed 's/ $//')" \
        "descriptors, after one reply and after six"
}

test_cookies_survive() {
    start_mock elsewhere --status 200:set-cookie=a=b
    exhaust
    assert_status 0 spill curl -sS -c jar -o body "$URL_elsewhere/v1/models" --next -sS -b jar -c jar -o body "$LOGICAL/v1/models"
    assert_match $'127.0.0.1\t.*\ta\tb' "$(cat jar)"
}

run_tests
