#!/usr/bin/env bash
# Whose credentials go where: a backend's key to that backend alone, the program's own to those
# backends that have none. The mocks log a hash of the key and the names of all headers.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Secrets of these tests; each holds the word by which a leak is found.
export KEY_A=sk-leaked-key-of-a KEY_B=sk-leaked-key-of-b
OWN=own-token-of-the-program

# settings "NAME PRIORITY [LINE OF THE BACKEND]"...
settings() {
    local entry name priority line url
    {
        echo "endpoints:"
        echo "  - name: llm"
        echo "    url: $LOGICAL/v1"
        echo "    backends:"
        for entry in "$@"; do
            read -r name priority line <<<"$entry"
            url=URL_$name
            echo "      - name: $name"
            echo "        url: ${!url}/v1"
            echo "        priority: $priority"
            [ -z "$line" ] || printf '        %s\n' "${line//; /$'\n        '}"
        done
    } | write_settings
    chmod 600 settings.yaml
}

hash_of() {
    printf %s "$1" | sha256sum | cut -c1-16
}

# seen NAME N: the headers with credentials of the Nth request, and the hash of the key
seen() {
    log_field "$1" "$2" '[.headers[] | ascii_downcase
        | select(test("auth|key|cookie"))] + [.key_hash // "none"] | join(" ")'
}

# assert_seen NAME N HEADER KEY [WHAT]: these credentials and no others; "" "" for none
assert_seen() {
    local want=none
    [ -z "$3" ] || want="$3 $(hash_of "$4")"
    assert_equal "$want" "$(seen "$1" "$2")" "credentials of request $2 at $1${5:+, $5}"
}

logged() {
    "$SPILLWAY" run -c settings.yaml --log log --log-level debug -- "$@"
}

assert_no_secret() { # FILE...
    local file
    for file in "$@"; do
        ! grep -qaE "leaked|$(printf %s "$OWN")" "$file" || fail "a secret is in $file"
    done
}

# basic USER:PASSWORD: the value of its Authorization header
basic() {
    printf 'Basic %s' "$(printf %s "$1" | base64)"
}

test_azure_dialect_gets_api_key_and_openai_bearer() {
    start_mock a
    start_mock b
    settings "a 1 key_env: KEY_A; dialect: azure"
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 api-key "$KEY_A"
    settings "b 1 key_env: KEY_B; dialect: openai"
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_seen b 1 authorization "$KEY_B"
    assert_equal authorization "$(log_field b 1 .key_header | tr '[:upper:]' '[:lower:]')"
}

test_endpoints_dialect_is_the_backends_default() {
    start_mock a
    settings "a 1 key_env: KEY_A"
    sed -i 's/name: llm/&\n    dialect: azure/' settings.yaml
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 api-key "$KEY_A"
}

test_key_from_file_settings_and_seed_style() {
    start_mock a
    printf '%s\n' "$KEY_A" >key.txt
    settings "a 1 key_file: key.txt"
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    printf '%s\r\n\n' "$KEY_A" >key.txt
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    settings "a 1 key: $KEY_A"
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    settings "a 1 api_key: $KEY_A"
    assert_status 0 spill curl -sS -o /dev/null "$LOGICAL/v1/models"
    local n
    for n in 1 2 3 4; do assert_seen a "$n" authorization "$KEY_A"; done
}

# Each line: what curl is given, and the value that a backend without a key then gets.
programs_credentials() {
    cat <<END
-H|Authorization: Bearer $OWN|authorization|$OWN
-H|authorization: Bearer $OWN|authorization|$OWN
-H|api-key: $OWN|api-key|$OWN
-H|API-KEY:$OWN|api-key|$OWN
-u|me:$OWN|authorization|$(basic "me:$OWN")
--oauth2-bearer|$OWN|authorization|$OWN
--netrc-file|$T/netrc|authorization|$(basic "me:$OWN")
END
}

write_netrc() {
    echo "default login me password $OWN" >netrc
    chmod 600 netrc
}

test_programs_credentials_go_unchanged_to_a_backend_without_a_key() {
    local option value header key n=0
    start_mock a
    settings "a 1"
    write_netrc
    while IFS='|' read -r option value header key; do
        n=$((n + 1))
        assert_status 0 spill curl -sS -o /dev/null "$option" "$value" "$LOGICAL/v1/models"
        assert_seen a "$n" "$header" "$key" "$option ${value%%:*}"
    done < <(programs_credentials)
    assert_status 0 spill curl -sS -o /dev/null "http://me:$OWN@llm.test/v1/models"
    assert_seen a $((n + 1)) authorization "$(basic "me:$OWN")" "user:pass@"
    assert_equal 8 "$((n + 1))"
}

test_programs_credentials_do_not_go_to_a_backend_with_a_key() {
    local option value header key n=0 dialect want
    start_mock a
    write_netrc
    for dialect in openai azure; do
        settings "a 1 key_env: KEY_A; dialect: $dialect"
        want=authorization
        [ "$dialect" = openai ] || want=api-key
        while IFS='|' read -r option value header key; do
            n=$((n + 1))
            assert_status 0 spill curl -sS -o /dev/null "$option" "$value" "$LOGICAL/v1/models"
            assert_seen a "$n" "$want" "$KEY_A" "$option ${value%%:*} ($dialect)"
        done < <(programs_credentials)
        n=$((n + 1))
        assert_status 0 spill curl -sS -o /dev/null "http://me:$OWN@llm.test/v1/models"
        assert_seen a "$n" "$want" "$KEY_A" "user:pass@ ($dialect)"
        n=$((n + 1))
        assert_status 0 spill curl -sS -o /dev/null -u "me:$OWN" --oauth2-bearer "$OWN" -n --netrc-file netrc \
            -H "Authorization: $OWN" -H "api-key: $OWN" -H 'Api-Key;' "http://me:$OWN@llm.test/v1/models"
        assert_seen a "$n" "$want" "$KEY_A" "all at once ($dialect)"
    done
    assert_equal 18 "$n"
}

# A netrc names the host that the program asks for, which is the logical one.
test_netrc_entry_of_the_logical_host_goes_to_a_backend_without_a_key() {
    start_mock a
    settings "a 1"
    printf 'machine llm.test login me password %s\nmachine 127.0.0.1 login other password no\n' "$OWN" >netrc
    chmod 600 netrc
    assert_status 0 spill curl -sS --netrc-file netrc -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 authorization "$(basic "me:$OWN")"
}

# fallback FIRST SECOND CURL_OPTION...: a 429 at the first backend, the answer at the second;
# an empty key is none
fallback() {
    local first=$1 second=$2
    shift 2
    start_mock a --script '429:retry-after=60'
    start_mock b
    settings "a 1 ${first:+key_env: $first}" "b 2 ${second:+key_env: $second}"
    assert_status 0 logged curl -sSf -o /dev/null "$@"
    assert_equal "1 1" "$(requests a) $(requests b)" "requests at a and b"
    assert_no_secret log err out
}

test_fallback_from_a_key_to_the_programs_own() {
    fallback KEY_A "" "$LOGICAL/v1/models" -H "Authorization: Bearer $OWN" -H "X-Kept: 1"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen b 1 authorization "$OWN"
    assert_equal true "$(log_field b 1 '.headers | index("X-Kept") != null')" "other headers"
}

test_fallback_from_a_key_to_the_programs_u() {
    fallback KEY_A "" "$LOGICAL/v1/models" -u "me:$OWN"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen b 1 authorization "$(basic "me:$OWN")"
}

test_fallback_from_a_key_to_the_programs_url() {
    fallback KEY_A "" "http://me:$OWN@llm.test/v1/models"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen b 1 authorization "$(basic "me:$OWN")"
}

test_fallback_from_a_key_to_the_programs_bearer() {
    fallback KEY_A "" "$LOGICAL/v1/models" --oauth2-bearer "$OWN"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen b 1 authorization "$OWN"
}

test_fallback_from_the_programs_own_to_a_key() {
    fallback "" KEY_B "$LOGICAL/v1/models" -H "Authorization: Bearer $OWN"
    assert_seen a 1 authorization "$OWN"
    assert_seen b 1 authorization "$KEY_B"
}

test_fallback_from_the_programs_u_to_a_key() {
    fallback "" KEY_B "$LOGICAL/v1/models" -u "me:$OWN"
    assert_seen a 1 authorization "$(basic "me:$OWN")"
    assert_seen b 1 authorization "$KEY_B"
}

test_fallback_from_the_programs_url_to_a_key() {
    fallback "" KEY_B "http://me:$OWN@llm.test/v1/models"
    assert_seen a 1 authorization "$(basic "me:$OWN")"
    assert_seen b 1 authorization "$KEY_B"
}

test_fallback_from_the_programs_netrc_to_a_key() {
    write_netrc
    fallback "" KEY_B --netrc-file netrc "$LOGICAL/v1/models"
    assert_seen a 1 authorization "$(basic "me:$OWN")"
    assert_seen b 1 authorization "$KEY_B"
}

test_fallback_from_key_to_key() {
    fallback KEY_A KEY_B "$LOGICAL/v1/models" -H "Authorization: Bearer $OWN"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen b 1 authorization "$KEY_B"
}

test_fallback_between_dialects_leaves_no_header_behind() {
    start_mock a --script '503:retry-after=0'
    start_mock b --script '429:retry-after=0'
    start_mock c
    settings "a 1 key_env: KEY_A; dialect: azure" "b 2 key_env: KEY_B" "c 3"
    assert_status 0 spill curl -sSf -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 api-key "$KEY_A"
    assert_seen b 1 authorization "$KEY_B"
    assert_seen c 1 "" ""
}

test_one_process_with_many_requests_keeps_them_apart() {
    local n
    start_mock a
    start_mock b
    start_mock c
    settings "a 1 key_env: KEY_A; dialect: azure" "b 1 key_env: KEY_B" "c 1"
    assert_status 0 spill curl -sSf -o '#1' -u "me:$OWN" "$LOGICAL/v1/models?[1-9]"
    for n in 1 2 3; do
        assert_seen a "$n" api-key "$KEY_A"
        assert_seen b "$n" authorization "$KEY_B"
        assert_seen c "$n" authorization "$(basic "me:$OWN")"
    done
}

test_own_host_header_is_dropped_and_others_stay() {
    start_mock a
    start_mock b --script '429:retry-after=0'
    settings "b 1 key_env: KEY_B" "a 2"
    assert_status 0 spill curl -sSf -o /dev/null -H 'Host: api.openai.com' -H 'X-One: 1' -H 'X-Two;' \
        -H 'Accept:' -A me/1 -e http://ref.test -b 'c=d' "$LOGICAL/v1/models"
    assert_equal "${URL_a#http://} ${URL_b#http://}" "$(log_field a 1 .host) $(log_field b 1 .host)"
    assert_equal "Host,User-Agent,Referer,Cookie,X-One,X-Two" "$(log_field a 1 '.headers | join(",")')"
}

test_key_with_a_line_break_is_never_sent() {
    local key n=0
    start_mock a
    settings "a 1 key_env: KEY_A"
    for key in $'sk-leaked\nX-Evil: 1' $'sk-leaked\rX-Evil: 1' $'sk-leaked\r\n\r\nGET /evil HTTP/1.1' ""; do
        assert_status 0 env KEY_A="$key" "$SPILLWAY" run -c settings.yaml -- \
            curl -sS -o /dev/null -H "Authorization: Bearer $OWN" "$LOGICAL/v1/models"
        assert_no_secret err
    done
    printf 'sk-leaked\nX-Evil: 1\n' >key.txt
    settings "a 1 key_file: key.txt"
    assert_status 0 spill curl -sS -o /dev/null -H "Authorization: Bearer $OWN" "$LOGICAL/v1/models"
    settings 'a 1 key: "sk-leaked\nX-Evil: 1"'
    spill curl -sS -o /dev/null -H "Authorization: Bearer $OWN" "$LOGICAL/v1/models" >out 2>err
    assert_no_secret out err
    [ ! -e a.log ] || while read -r key; do
        n=$((n + 1))
        assert_seen a "$n" "" ""
        assert_no_match "(?i)evil" "$key"
    done <a.log
}

# enter NAME: for a subshell, a directory below the test's, so that mocks have fresh names
enter() {
    T=$T/$1
    mkdir "$T" && cd "$T" || exit 1
}

# An origin is scheme, host and port: the same address with another port is another one.
redirect() { # STATUS DIALECT LOCATION [CURL_OPTION...]
    local status=$1 dialect=$2 location=$3
    shift 3
    start_mock a --script "$status:location='$location',200"
    settings "a 1 key_env: KEY_A; dialect: $dialect"
    assert_status 0 logged curl -sS -L -o /dev/null "$@" "$LOGICAL/v1/models"
}

test_redirect_to_another_origin_carries_no_key() {
    local dialect status
    start_mock b
    for dialect in azure openai; do
        for status in 301 302 303 307 308; do
            (
                enter "$dialect$status"
                redirect "$status" "$dialect" "${URL_b:?}/stolen"
            ) || fail "$dialect $status"
        done
    done
    assert_equal 10 "$(requests b)"
    assert_equal '["none"]' "$(jq -s -c '[.[].key_hash // "none"] | unique' b.log)" "keys that came with redirects"
    assert_equal '[]' "$(jq -s -c '[.[].headers[] | ascii_downcase | select(test("auth|key"))]' b.log)" "headers"
}

test_redirect_to_another_origin_carries_no_key_even_if_trusted() {
    start_mock b
    redirect 307 azure "$URL_b/stolen" --location-trusted -u "me:$OWN" -d text
    assert_equal 1 "$(requests b)"
    assert_no_match "api-key" "$(seen b 1)"
    assert_no_match "$(hash_of "$KEY_A")" "$(seen b 1)"
}

test_redirect_to_odd_spellings_of_another_origin_carries_no_key() {
    local location n=0 port
    start_mock b
    port=${URL_b##*:}
    for location in "//127.0.0.1:$port/x" "HTTP://127.0.0.1:$port/x" "http:/127.0.0.1:$port/x" \
        "http:127.0.0.1:$port/x" "http:///127.0.0.1:$port/x" "  //127.0.0.1:$port/x" \
        "http://a@127.0.0.1:$port/x" "http://localhost:$port/x" "http://127.1:$port/x" "\\\\127.0.0.1:$port/x" \
        "/\\127.0.0.1:$port/x" "http:\\\\127.0.0.1:$port/x" "http://127.0.0.1:$port?x" "http://127.0.0.1:$port#x"; do
        n=$((n + 1))
        (
            enter "$n"
            start_mock a --script "307:location='$location',200"
            settings "a 1 key_env: KEY_A; dialect: azure"
            spill curl -sS -L -o /dev/null -m 5 "$LOGICAL/v1/models" >out 2>err
            assert_no_secret out err
        ) || fail "$location"
    done
    [ "$(requests b)" -ge 5 ] || fail "hardly any of these came: $(requests b)"
    assert_equal '["none"]' "$(jq -s -c '[.[].key_hash // "none"] | unique' b.log)" "keys that came with redirects"
}

test_redirect_with_two_locations_carries_no_key_away() {
    local order n=0
    start_mock b
    for order in "location=/v1/a:location=$URL_b/x" "location=$URL_b/x:location=/v1/a"; do
        n=$((n + 1))
        (
            enter "$n"
            start_mock a --script "307:$(sed -E "s|=(http[^:]*:[^:]*:[0-9]+/x)|='\1'|" <<<"$order"),200"
            settings "a 1 key_env: KEY_A; dialect: azure"
            spill curl -sS -L -o /dev/null "$LOGICAL/v1/models"
        ) || fail "$order"
    done
    [ "$(requests b)" -ge 1 ] || fail "none of these came"
    assert_equal '["none"]' "$(jq -s -c '[.[].key_hash // "none"] | unique' b.log)" "keys that came with redirects"
}

test_redirect_by_a_detour_carries_no_key_to_the_other_origin() {
    start_mock b
    start_mock a --script "302:location=/v1/one,302:location='$URL_b/x'"
    settings "a 1 key_env: KEY_A"
    assert_status 0 spill curl -sS -L -o /dev/null "$LOGICAL/v1/models"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen a 2 authorization "$KEY_A" "behind a redirect in its own origin"
    assert_seen b 1 "" ""
}

test_redirect_to_the_other_backend_does_not_bring_a_wrong_key() {
    start_mock b
    start_mock a --script "307:location='$URL_b/v1/models'"
    settings "a 1 key_env: KEY_A" "b 2 key_env: KEY_B"
    assert_status 0 spill curl -sS -L -o /dev/null "$LOGICAL/v1/models"
    assert_no_match "$(hash_of "$KEY_A")" "$(seen b 1)"
}

test_redirect_in_the_same_origin_keeps_the_key() {
    start_mock a --script '302:location=/v1/one,200,307:location=two,200,200'
    settings "a 1 key_env: KEY_A; dialect: azure"
    assert_status 0 spill curl -sS -L -o /dev/null "$LOGICAL/v1/models"
    assert_status 0 spill curl -sS -L -o /dev/null "$LOGICAL/v1/models"
    local n
    for n in 1 2 3 4; do assert_seen a "$n" api-key "$KEY_A"; done
}

test_key_is_back_after_a_redirect_took_it_away() {
    start_mock b --script '200,503'
    start_mock a --script "302:location='$URL_b/x',200,302:location='$URL_b/x',200"
    start_mock c
    settings "a 1 key_env: KEY_A; dialect: azure" "c 2 key_env: KEY_B; dialect: azure"
    assert_status 0 spill curl -sS -L -o one -o two -o three "$LOGICAL/v1/models" "$LOGICAL/v1/files" "$LOGICAL/v1/batches"
    assert_seen a 2 api-key "$KEY_A" "the transfer behind the redirected one"
    assert_seen c 1 api-key "$KEY_B" "the attempt behind the redirected one"
    assert_equal '["none"]' "$(jq -s -c '[.[].key_hash // "none"] | unique' b.log)"
}

# What curl -v prints are the headers as they are sent.
test_verbose_output_shows_no_key() {
    start_mock a --script '429:retry-after=60'
    start_mock b
    settings "a 1 key_env: KEY_A; dialect: azure" "b 2 key_env: KEY_B"
    assert_status 0 logged curl -v -o /dev/null "$LOGICAL/v1/models"
    assert_no_secret err
    export SPILLWAY_STATE_DIR=$T/fresh
    assert_status 0 logged curl -sS --trace-ascii trace -o /dev/null "$LOGICAL/v1/models"
    assert_no_secret trace log
}

test_log_never_shows_a_secret() {
    start_mock a --script '429:retry-after=0,503:retry-after=0,302:location=/v1/x?sig=leaked,200,close,200'
    start_mock b --script '429:retry-after=0'
    settings "a 1 key_env: KEY_A; dialect: azure" "b 2 key: $KEY_B"
    for _ in 1 2 3 4; do
        logged curl -sS -L -o /dev/null -u "me:$OWN" -H "api-key: $OWN" \
            "http://me:$OWN@llm.test/v1/models?key=$OWN#$OWN" >>out 2>>err
    done
    assert_match "event=attempt" "$(cat log)"
    assert_no_secret log out err
}

test_check_never_shows_a_secret() {
    local line
    start_mock a
    settings "a 1 key: $KEY_A"
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_match "in the settings" "$(cat out)"
    assert_no_secret out err
    settings "a 1 key_env: KEY_A"
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_match "KEY_A" "$(cat out)"
    assert_no_secret out err
    echo "$KEY_A" >key.txt
    settings "a 1 key_file: key.txt"
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_no_secret out err
    for line in "key: [$KEY_A]" "kee: $KEY_A" "key: {a: $KEY_A}" "key: $KEY_A; api_key: $KEY_B" \
        "key_env: $KEY_A" "weight: $KEY_A" "key: \"$KEY_A" "key: $KEY_A: $KEY_B" "key: $KEY_A; key: $KEY_B" \
        "models: {$KEY_A}" "key: *$KEY_A" "key: !$KEY_A x" "key: &$KEY_A" "$KEY_A" "apikey: $KEY_A"; do
        settings "a 1 $line"
        "$SPILLWAY" check -c settings.yaml >out 2>err || :
        case $line in weight* | models* | "$KEY_A" | *[*!\&]"$KEY_A"*) ;; *) assert_no_secret out err ;; esac
    done
}

test_url_with_a_password_is_not_shown() {
    start_mock a
    settings "a 1"
    sed -i "s|http://127|http://me:$KEY_A@127|" settings.yaml
    "$SPILLWAY" check -c settings.yaml >out 2>err || :
    assert_no_secret out err
    settings "a 1"
    sed -i "s|url: $LOGICAL/v1|url: http://me:$KEY_A@llm.test/v1|" settings.yaml
    "$SPILLWAY" check -c settings.yaml >out 2>err || :
    assert_no_secret out err
    settings "a 1"
    sed -i "s|url: \(http://127.*\)|url: \1?api-key=$KEY_A|" settings.yaml
    "$SPILLWAY" check -c settings.yaml >out 2>err || :
    assert_no_secret out err
}

test_missing_key_never_lets_the_programs_own_out() {
    local line n
    start_mock a
    start_mock b
    for line in "key_env: NO_SUCH_KEY" "key_file: absent.txt"; do
        settings "a 1 $line" "b 2"
        assert_status 0 spill curl -sS -o /dev/null -u "me:$OWN" -H "api-key: $OWN" "$LOGICAL/v1/models"
    done
    for ((n = 1; n <= $(requests a); n++)); do assert_seen a "$n" "" ""; done
}

# rotate KEY: puts a new file in the place of key.txt, as who rotates secrets does
rotate() {
    printf '%s\n' "$1" >key.new
    mv key.new key.txt
}

# until_requests NAME N: waits until the mock has seen N requests
until_requests() {
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        [ "$(requests "$1")" -lt "$2" ] || return 0
        sleep 0.02
    done
    fail "$1 saw $(requests "$1") requests instead of $2"
}

test_rotated_file_is_used_from_the_next_request_on() {
    start_mock a --script '200:latency=3s,200:latency=3s,200:latency=3s,200'
    rotate "$KEY_A"
    settings "a 1 key_file: key.txt"
    logged curl -sSf -o '#1' "$LOGICAL/v1/models?[1-4]" >out 2>err &
    until_requests a 1
    rotate "$KEY_B"
    until_requests a 2
    : >key.txt # broken: the one that was good stays
    until_requests a 3
    rotate "$KEY_A"
    wait "$!" || fail "curl: $(cat err)"
    assert_seen a 1 authorization "$KEY_A"
    assert_seen a 2 authorization "$KEY_B" "after the rotation"
    assert_seen a 3 authorization "$KEY_B" "with a broken file"
    assert_seen a 4 authorization "$KEY_A" "after the repair"
    assert_equal 1 "$(grep -c 'event=credentials.*key=kept' log)" "lines about the broken file"
    assert_no_secret log err
}

test_file_that_appears_later_is_taken() {
    start_mock a --script '200:latency=3s,200'
    settings "a 1 key_file: key.txt"
    logged curl -sSf -o '#1' -u "me:$OWN" "$LOGICAL/v1/models?[1-2]" >out 2>err &
    until_requests a 1
    rotate "$KEY_A"
    wait "$!" || fail "curl: $(cat err)"
    assert_seen a 1 "" "" "without a file"
    assert_seen a 2 authorization "$KEY_A" "with it"
    assert_match "event=credentials.*missing=" "$(cat log)"
    assert_no_secret log err
}

test_verbose_output_shows_no_rotated_key() {
    start_mock a --script '200:latency=3s,429:retry-after=0,200,200'
    rotate "$KEY_A"
    settings "a 1 key_file: key.txt; dialect: azure"
    logged curl -v -o '#1' "$LOGICAL/v1/models?[1-3]" >out 2>err &
    until_requests a 1
    rotate "$KEY_B"
    wait "$!" || fail "curl: $(cat err)"
    assert_seen a 2 api-key "$KEY_B"
    assert_no_secret log err
}

test_threads_send_whole_keys_in_rotation() {
    local i
    start_mock a --tokens 2
    rotate "$KEY_A"
    settings "a 1 key_file: key.txt"
    spill "$ROOT/build/programs/multi_threads" 8 12 "$LOGICAL/v1/chat/completions" >out 2>err &
    for ((i = 0; ; i++)); do
        kill -0 "$!" 2>/dev/null || break
        if ((i % 2)); then rotate "$KEY_A"; else rotate "$KEY_B"; fi
    done
    wait "$!" || fail "multi_threads: $(cat err)"
    assert_equal "$(printf '%s\n' "$(hash_of "$KEY_A")" "$(hash_of "$KEY_B")" | sort)" \
        "$(jq -r '.key_hash // "none"' a.log | sort -u)" "the keys that were sent"
}

test_keys_are_not_in_the_programs_arguments_or_new_variables() {
    start_mock a
    settings "a 1 key: $KEY_B"
    unset KEY_B
    assert_status 0 spill sh -c 'env; tr "\0" " " </proc/$$/cmdline'
    assert_match "LD_PRELOAD=.*libspillway" "$(cat out)"
    ! grep -q key-of-b out || fail "the key is in the environment"
}

test_netrc_that_is_switched_off_is_forgotten() {
    start_mock a
    write_settings <<END
endpoints: [{url: $LOGICAL/v1, backends: [{name: a, url: $URL_a/v1}]}]
END
    echo "machine llm.test login me password secret" >netrc
    assert_status 0 spill "$ROOT/build/programs/netrc_off" "$LOGICAL/v1/models" netrc
    assert_equal "authorization null" "$(jq -r .key_header a.log | xargs)" "credentials of both requests"
}

run_tests
