#!/usr/bin/env bash
# Request bodies: what arrives at the second backend is, to the byte, what the program sent.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=pair.bash
. "$(dirname "$0")/pair.bash"

# What a mock saw of its last request.
seen() {
    tail -1 "$T/$1.log" | jq -c '[.method, .path, .body_length, .body_hash, .headers]'
}

hash_of() {
    sha256sum "$1" | cut -c1-16
}

# The bodies in their files, and where each curl reads its own from.
make_bodies() { # [BYTES OF THE LARGE ONE]
    head -c "${1:-400000}" /dev/urandom >big
    printf '{"model":"gpt-4","messages":[{"role":"user","content":"\303\244 \\n \\u0000"}]}' >small
    : >empty
    printf 'line one\r\nline two\n\n' >lines
}

# each_upload COMMAND...: a file that has the body as it has to arrive, and curl's arguments
each_upload() {
    local body options
    set -f
    while read -r body options; do
        # shellcheck disable=SC2086  # several words
        "$@" "$body" $options
    done <<'END'
small --json @small
small -d @small
big --data-binary @big
big --data-binary @big -H Expect:
big --data-binary @big -H Expect:100-continue
big --data-binary @big --http1.0
lines --data-binary @lines
empty -d @empty
empty -X POST
empty -X DELETE
big -T big
big -T - -X PUT
big -T . -X PATCH
big -T - -X POST -H Expect:
big -T big -H Transfer-Encoding:chunked -X POST
small -X DELETE -d @small
small -X PUT --data-binary @small
END
}

# arrives BODY OPTION...: BODY arrives at second as when the program asks it directly
arrives() {
    local body=$1 plain status
    shift
    status=$(curl -sS -w '%{http_code}' -o out.plain "$@" "$URL_second/v1/files" <"$body") || fail "plain curl $*"
    plain=$(seen second)
    assert_equal "$(wc -c <"$body") $(hash_of "$body")" \
        "$(jq -r '"\(.[2]) \(.[3])"' <<<"$plain")" "body that plain curl $* sends"
    forget
    timeout 20 "$SPILLWAY" run -c settings.yaml -- curl -sS -w '%{http_code}' -o out.body "$@" \
        "$LOGICAL/v1/files" <"$body" >out 2>err || fail "curl $* ends with $?: $(cat err)"
    assert_equal "$status" "$(cat out)" "status for curl $*"
    assert_equal "$plain" "$(seen second)" "what arrives from curl $*"
}

# Through a pipe, which nobody can rewind.
arrives_from_a_pipe() {
    local body=$1
    forget
    # shellcheck disable=SC2002  # a pipe is the point
    cat "$body" | spill curl -sS -w '%{http_code}' -o out.body -T - -X "$2" "$LOGICAL/v1/files" >out 2>err ||
        fail "curl from a pipe: $(cat err)"
    assert_equal "200" "$(cat out)"
    assert_equal "$(wc -c <"$body") $(hash_of "$body")" \
        "$(tail -1 second.log | jq -r '"\(.body_length) \(.body_hash)"')" "body from a pipe"
}

# all_arrive: whatever the first backend does
all_arrive() { # URL_OF_FIRST
    make_bodies
    start_mock second
    settings_with "$1" "$URL_second" "retry_on: [429, 5xx, connect, reset]"
    each_upload arrives
    arrives_from_a_pipe big POST
    arrives_from_a_pipe small PUT
    arrives_from_a_pipe empty PUT
}

test_bodies_after_a_429() {
    start_mock first --status 429:retry-after=9
    all_arrive "$URL_first"
    # The first had all of them, too.
    assert_equal "$(requests first)" "$((($(requests second) - 3) / 2 + 3))"
    assert_equal "$(hash_of big)" "$(log_field first 3 .body_hash)" "a body at the first"
}

test_five_megabytes() {
    make_bodies 5000000
    start_mock first --status 429:retry-after=9
    start_mock second
    settings_with "$URL_first" "$URL_second"
    arrives big --data-binary @big
    arrives big -T big
    arrives_from_a_pipe big POST
    # ... and when the 429 comes while the upload goes on
    printf 'HTTP/1.1 429 No\r\nRetry-After: 9\r\nContent-Length: 2\r\n\r\nno' >early
    settings_with "$("$CANNED" --early early)" "$URL_second"
    arrives big --data-binary @big
    arrives big --data-binary @big -H Expect:
    arrives_from_a_pipe big POST
}

test_bodies_after_a_503() {
    start_mock first --status 503
    all_arrive "$URL_first"
}

test_bodies_after_a_refusal() {
    all_arrive "$REFUSED"
}

test_bodies_after_an_empty_reply() {
    start_mock first --status close
    all_arrive "$URL_first"
}

# The 429 comes while the upload goes on.
test_bodies_after_an_early_429() {
    printf 'HTTP/1.1 429 No\r\nRetry-After: 9\r\nContent-Length: 2\r\n\r\nno' >early
    all_arrive "$("$CANNED" --early early)"
}

test_bodies_after_an_early_503_of_http_1_0() {
    printf 'HTTP/1.0 503 No\r\n\r\nno' >early
    make_bodies
    start_mock second
    settings_with "$("$CANNED" --early --close early)" "$URL_second"
    arrives big --data-binary @big
    arrives big -T big
}

test_forms() {
    local status form
    make_bodies
    start_mock second
    for status in 429:retry-after=9 503; do
        start_mock "first-${status%%:*}" --status "$status"
        local name=first-${status%%:*} url=URL_first_${status%%:*}
        settings_with "${!url}" "$URL_second"
        set -f
        while read -r form; do
            forget
            # shellcheck disable=SC2086  # several words
            assert_status 0 spill curl -sS -o /dev/null -w '%{http_code}' $form "$LOGICAL/v1/files" <big
            assert_equal 200 "$(cat out)" "curl $form"
            assert_equal "$(seen "$name")" "$(seen second)" "the body at both, $form"
            [ "$(tail -1 second.log | jq .body_length)" -gt "$(wc -c <small)" ] || fail "no body, $form"
            # shellcheck disable=SC2086  # several words
            curl -sS -o /dev/null $form "$URL_second/v1/files" <big
            # the boundary is another each time
            assert_equal "$(tail -1 second.log | jq -c '[.body_length, .headers]')" \
                "$(tail -2 second.log | head -1 | jq -c '[.body_length, .headers]')" "plain curl's $form"
        done <<'END'
-F file=@big
-F file=@small;type=application/json;filename=a.jsonl
-F purpose=fine-tune -F file=@big -F note=<lines
-F file=@big,small
-F file=@-
-F file=@small;encoder=base64 -F empty=@empty
-F file=@big -H Expect:
END
        set +f
    done
}

test_form_after_a_refusal() {
    make_bodies
    start_mock second
    settings_with "$REFUSED" "$URL_second"
    curl -sS -o /dev/null -F file=@big "$URL_second/v1/files"
    assert_status 0 spill curl -sS -o /dev/null -F file=@big "$LOGICAL/v1/files"
    assert_equal "$(log_field second 1 .body_length)" "$(log_field second 2 .body_length)"
}

test_read_function_without_and_with_seek() {
    local seek
    start_mock first --status 429:retry-after=9
    start_mock second
    settings_with "$URL_first" "$URL_second"
    "$CLIENT" upload=3000000 url="$URL_second/v1/files" perform >plain
    for seek in 0 1; do
        forget
        assert_status 0 spill "$CLIENT" upload=3000000 seek="$seek" url="$LOGICAL/v1/files" perform
        assert_match "response_code=200" "$(cat out)"
        assert_equal "$(log_field second 1 '[.body_length, .body_hash, .headers]')" \
            "$(tail -1 second.log | jq -r '[.body_length, .body_hash, .headers]')" "seek=$seek"
        assert_equal "$(grep size_upload plain)" "$(grep size_upload out)"
    done
    printf 'a part of the body' >part
    "$CLIENT" mime="$T/part" url="$URL_second/v1/files" perform >plain
    forget
    assert_status 0 spill "$CLIENT" mime="$T/part" url="$LOGICAL/v1/files" perform
    assert_match "response_code=200" "$(cat out)"
    assert_equal "$(seen first)" "$(seen second)"
}

test_fields_with_nul_and_of_a_given_size() {
    start_mock first --status 503
    start_mock second
    settings_with "$URL_first" "$URL_second"
    assert_status 0 spill "$CLIENT" size=3 fields=abcdef url="$LOGICAL/v1/files" perform
    assert_equal "3 $(printf abc | sha256sum | cut -c1-16)" "$(log_field second 1 '"\(.body_length) \(.body_hash)"')"
    printf 'a\0b' >nul
    arrives nul --data-binary @nul
}

test_more_than_the_limit_is_not_replayed() {
    make_bodies
    start_mock first --status 429:retry-after=9:x-from=first
    start_mock second
    settings_with "$URL_first" "$URL_second" "replay_limit: 64KiB"
    # shellcheck disable=SC2002  # a pipe is the point
    cat big | spill curl -sS -D head -o body -T - "$LOGICAL/v1/files" >out 2>err || fail "curl: $(cat err)"
    assert_match '^HTTP/1.1 429' "$(grep '^HTTP/' head | tail -1)"
    assert_match 'x-from: first' "$(cat head)" "the answer of the first, as it is"
    assert_match 'retry-after: 9' "$(cat head)"
    assert_no_match "All backends" "$(cat body)"
    jq -e .error body >json || fail "body: $(cat body)"
    assert_equal "1 0" "$(requests first) $(requests second)"
    # What it has learned is kept: the next one goes to the second at once.
    # shellcheck disable=SC2002  # a pipe is the point
    cat big | spill curl -sS -D head -o body -T - "$LOGICAL/v1/files" >out 2>err || fail "curl: $(cat err)"
    assert_match '^HTTP/1.1 200' "$(grep '^HTTP/' head | tail -1)"
    assert_equal "1 1" "$(requests first) $(requests second)"
    assert_equal "$(hash_of big)" "$(log_field second 1 .body_hash)"
}

test_what_can_be_read_again_needs_no_limit() {
    make_bodies
    start_mock first --status 429:retry-after=9
    start_mock second
    settings_with "$URL_first" "$URL_second" "replay_limit: 64KiB"
    arrives big -T big
    arrives big -T -
    # A pipe that holds less than the limit.
    arrives_from_a_pipe small PUT
    forget
    assert_status 0 spill "$CLIENT" upload=300000 seek=1 url="$LOGICAL/v1/files" perform
    assert_match "response_code=200" "$(cat out)"
    assert_equal 300000 "$(tail -1 second.log | jq .body_length)"
    forget
    assert_status 0 spill "$CLIENT" upload=300000 seek=0 url="$LOGICAL/v1/files" perform
    assert_match "response_code=429" "$(cat out)"
}

test_a_refused_connection_reads_nothing_from_the_pipe() {
    make_bodies
    start_mock second
    settings_with "$REFUSED" "$URL_second" "replay_limit: 64KiB"
    arrives_from_a_pipe big PUT
}

# The request that was too large for another attempt ends as the first backend ended it.
test_a_reset_in_the_middle_of_a_large_pipe_is_an_error() {
    make_bodies
    start_mock first --status reset
    start_mock second
    settings_with "$URL_first" "$URL_second" "{replay_limit: 64KiB, retry_on: [429, reset]}"
    sed -i 's/{replay_limit: 64KiB, retry_on: \(.*\)}/replay_limit: 64KiB\n    retry_on: \1/' settings.yaml
    # shellcheck disable=SC2002  # a pipe is the point
    cat big | spill curl -sS -T - "$LOGICAL/v1/files" >out 2>err
    assert_match '^(55|56)$' "$?" "exit status of curl"
    assert_equal 0 "$(requests second)"
}

run_tests
