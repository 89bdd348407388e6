#!/usr/bin/env bash
# `spillway mock`: a simulated deployment, as a client sees it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

CHAT='{"model":"gpt-4","messages":[{"role":"user","content":"hi"}]}'

# header NAME: a value of the response whose header is in $T/head
header() {
    tr -d '\r' <"head" | sed -n "s/^$1: //Ip"
}

# post PATH [BODY]: a request to the mock "one"; prints the status
post() {
    curl -sS -D head -o body -w '%{http_code}' "$URL_one$1" -d "${2:-$CHAT}"
}

# holds FILTER: the body is JSON for which this is true
holds() {
    jq -e "$1" body >json || fail "not so: $1 of $(cat body)"
}

test_says_where_it_listens_and_ends_when_told() {
    local pipe line="" status=0 signal
    for signal in TERM INT; do
        rm -f says
        mkfifo says
        exec {pipe}<>says
        "$SPILLWAY" mock --listen 127.0.0.1:0 --name one >says 2>err &
        read -r -t 5 -u "$pipe" line || fail "it says nothing: $(cat err)"
        assert_match '^mock one listening on http://127\.0\.0\.1:[0-9]+$' "$line"
        assert_status 0 curl -sS "${line##* }/v1/models"
        kill -"$signal" "$!"
        wait "$!" || status=$?
        assert_equal "0 " "$status $(cat err)" "exit status after SIG$signal, and stderr"
        assert_status 7 curl -sS "${line##* }/v1/models"
    done
}

test_ends_after_its_requests_and_after_its_time() {
    start_mock one --requests 2
    post /v1/chat/completions >out
    kill -0 "$PID_one" || fail "it ended too early"
    post /v1/chat/completions >>out
    assert_equal 200200 "$(cat out)"
    wait "$PID_one" || fail "exit status $?"
    assert_status 0 "$SPILLWAY" mock --listen 127.0.0.1:0 --for 200ms
}

test_refuses_what_it_cannot_do() {
    start_mock one
    assert_status 1 "$SPILLWAY" mock --listen "${URL_one#http://}"
    assert_match "${URL_one#http://}" "$(cat err)"
    assert_equal "" "$(cat out)"
    local wrong
    for wrong in "--limit 3" "--limit x/10s" "--script 200,,429" "--script nonsense" "--status 99" "--latency 5" \
        "--listen nowhere" "--retry-after soon" "--unknown" "--name a/b" "--script 200*0" "--status 200 --script 200" \
        "--deployment gpt4" "--strict --deployment" "--key-env"; do
        # shellcheck disable=SC2086  # several words
        assert_status 2 "$SPILLWAY" mock $wrong
        assert_match "^spillway mock: " "$(cat err)" "$wrong"
    done
    assert_status 2 "$SPILLWAY" mock --strict --deployment 'a"b'
    assert_match "^spillway mock: --deployment: found 'a\"b'" "$(cat err)"
}

test_answers_in_the_paths_of_both_dialects() {
    local prefix
    start_mock one
    for prefix in /v1 /openai/v1 /openai/deployments/gpt4 /any/prefix/v1; do
        assert_equal 200 "$(post "$prefix/chat/completions?api-version=2024-10-21")" "$prefix"
        holds '.object == "chat.completion" and .choices[0].message.role == "assistant" and
               (.choices[0].message.content | contains("one")) and .choices[0].finish_reason == "stop" and
               (.usage.total_tokens > 0) and (.id | type) == "string" and (.created | type) == "number"'
        assert_equal one "$(header x-spillway-mock)"
        assert_equal 200 "$(post "$prefix/completions" '{"model":"m","prompt":"a"}')"
        holds '.object == "text_completion" and (.choices[0].text | type) == "string"'
        assert_equal 200 "$(post "$prefix/embeddings" '{"model":"m","input":"a"}')"
        holds '.object == "list" and (.data | length) == 1 and
               (.data[0].embedding | length > 0 and all(type == "number"))'
        assert_equal one "$(header x-spillway-mock)"
    done
    assert_status 0 curl -sS -f -D head -o body "$URL_one/v1/models"
    holds '.object == "list" and (.data | map(.id) | length > 0)'
    assert_status 22 curl -sS -f "$URL_one/elsewhere"
    assert_status 22 curl -sS -f "$URL_one/v1/chat/completions"
}

test_answers_of_audio_images_and_responses() {
    start_mock one --tokens 3 --event-interval 10ms
    head -c 1000 /dev/urandom >speech
    local prefix path
    for prefix in /v1 /openai/v1 /openai/deployments/m; do
        for path in transcriptions translations; do
            assert_status 0 curl -sS -f -o body "$URL_one$prefix/audio/$path" -F file=@speech -F model=m
            holds '(keys == ["text"]) and (.text | contains("one"))'
        done
        assert_equal 200 "$(post "$prefix/audio/speech" '{"model":"m","input":"hi","voice":"alloy"}')"
        assert_equal audio/mpeg "$(header content-type)"
        assert_equal ID3 "$(head -c 3 body)"
        assert_equal 200 "$(post "$prefix/images/generations" '{"model":"m","prompt":"a"}')"
        jq -r '.data[0].b64_json' body | base64 -d | head -c 4 | grep -q PNG || fail "no image: $(cat body)"
        assert_status 0 curl -sS -f -o body "$URL_one$prefix/images/edits" -F image=@speech -F model=m
        holds '.data[0].b64_json'
        assert_equal 200 "$(post "$prefix/responses" '{"model":"m","input":"hi"}')"
        holds '.object == "response" and .status == "completed" and .model == "m" and
               (.output[0].content[0] | .type == "output_text" and .text == "one answers with") and
               .usage.total_tokens > 0'
    done
}

test_streams_a_response() {
    start_mock one --tokens 3 --event-interval 10ms
    assert_equal 200 "$(post /v1/responses '{"model":"m","stream":true,"input":"hi"}')"
    assert_match '^text/event-stream' "$(header content-type)"
    # Each event is two lines and a blank one, and its type is in both.
    assert_equal "" "$(grep -vE '^((event|data): .*)?$' body)"
    grep '^data: ' body | cut -c7- >events
    assert_equal "$(sed -n 's/^event: //p' body)" "$(jq -r .type events)"
    jq -es 'map(.sequence_number) == [range(length)] and .[0].type == "response.created" and
        ([.[] | select(.type == "response.output_text.delta")] | length == 3 and
         (map(.delta) | add) == "one answers with" and all(.spillway_mock.sent > 1700000000)) and
        (.[-1] | .type == "response.completed" and .response.output[0].content[0].text == "one answers with")' \
        events >json || fail "events: $(cat body)"
}

# Clients of the real ones take the nth embedding for the nth input.
test_embeddings_of_a_list() {
    start_mock one
    assert_equal 200 "$(post /v1/embeddings '{"model":"m","input":["a, \"b\"]","c","d"]}')"
    holds '(.data | map(.index)) == [0, 1, 2]'
}

test_streams() {
    start_mock one --tokens 5 --event-interval 10ms
    assert_equal 200 "$(post /v1/chat/completions '{"model":"gpt-4","stream":true,"messages":[]}')"
    assert_match '^text/event-stream' "$(header content-type)"
    assert_equal "data: [DONE]" "$(grep -v '^$' body | tail -1)"
    grep '^data: {' body | cut -c7- | jq -es 'length >= 5 and all(.object == "chat.completion.chunk") and
        all(.choices | type == "array") and (map(.choices[0].delta.content // "") | add | length > 0) and
        (map(.spillway_mock.sent) | . == sort and all(. > 1700000000))' >json || fail "events: $(cat body)"
    # Events are a line and a blank line each, and nothing else.
    assert_equal "" "$(grep -vE '^(data: .*)?$' body)"
}

test_a_limit_in_a_window() {
    local codes="" i
    start_mock one --limit 3/1s
    for i in {1..5}; do codes="$codes $(post /v1/chat/completions)"; done
    assert_equal " 200 200 200 429 429" "$codes"
    assert_equal 1 "$(header retry-after)"
    assert_match '^[1-9][0-9]{0,3}$' "$(header retry-after-ms)"
    holds '.error.code | tostring | test("429|rate_limit_exceeded")'
    assert_status 0 curl -sS -o body --retry 3 -w '%{http_code}' "$URL_one/v1/models"
    assert_equal 200 "$(cat out)" "after Retry-After"
    # Requests that were turned away have not prolonged it.
    jq -es '[.[] | select(.status == 200)] | .[3].time - .[0].time | . >= 1 and . < 2.5' one.log >json ||
        fail "$(cat one.log)"
}

test_the_script() {
    local codes="" i
    start_mock one --script '200*3,429:retry-after=5,500,reset,hang,200'
    for i in 1 2 3; do codes="$codes $(post /v1/chat/completions)"; done
    assert_equal " 200 200 200 429" "$codes $(post /v1/chat/completions)"
    assert_equal 5 "$(header retry-after)"
    assert_equal 500 "$(post /v1/chat/completions)"
    holds .error.message
    assert_status 56 curl -sS "$URL_one/v1/models"
    assert_match 'reset' "$(cat err)"
    assert_status 28 curl -sS --max-time 0.3 "$URL_one/v1/models"
    assert_equal 200200 "$(post /v1/chat/completions)$(post /v1/chat/completions)" "the last one goes on for ever"
    assert_equal "reply reply reply reply reply reset hang reply reply" \
        "$(jq -r .outcome one.log | tr '\n' ' ' | sed 's/ $//')"
    assert_equal "200 200 200 429 500 null null 200 200" "$(jq -r .status one.log | tr '\n' ' ' | sed 's/ $//')"
}

test_the_forms_of_a_429() {
    start_mock one --status 429 --retry-after 4
    assert_equal 429 "$(post /openai/deployments/gpt4/chat/completions?api-version=2024-10-21)"
    assert_equal 4 "$(header retry-after)"
    holds '.error.code == "429" and (.error.message | test("[Rr]etry after 4 seconds"))'
    assert_equal 429 "$(post /v1/chat/completions)"
    assert_equal 4 "$(header retry-after)"
    holds '.error.code == "rate_limit_exceeded"'
    start_mock azure --dialect azure --script '429:retry-after=7:x-a=b,429:quota,429:too-large,503'
    URL_one=$URL_azure
    assert_equal 429 "$(post /v1/chat/completions)"
    assert_equal "7 b" "$(header retry-after) $(header x-a)"
    assert_equal 429429 "$(post /v1/chat/completions)$(post /v1/chat/completions)"
    assert_equal 503 "$(post /v1/chat/completions)"
    holds .error
}

test_the_other_steps() {
    start_mock one --event-interval 1ms --script close,cut,slow,204,103,200:interim=103,200:body=plain,404:latency=300ms
    assert_status 52 curl -sS "$URL_one/v1/models"
    assert_status 18 curl -sS "$URL_one/v1/models"
    assert_status 0 curl -sS -o body "$URL_one/v1/models"
    holds .data
    assert_equal 204 "$(post /v1/chat/completions)"
    assert_equal 200 "$(post /v1/chat/completions)"
    assert_match '^HTTP/1.1 103' "$(head -1 head)"
    assert_equal 200 "$(post /v1/chat/completions)"
    assert_match '^HTTP/1.1 103' "$(head -1 head)"
    assert_equal "200 plain" "$(post /v1/chat/completions) $(cat body)"
    assert_status 0 curl -sS -o body -w '%{http_code} %{time_starttransfer}' "$URL_one/v1/models"
    awk '{ exit !($1 == 404 && $2 >= 0.3 && $2 < 2) }' out || fail "latency: $(cat out)"
}

test_steps_within_the_body() {
    local length
    start_mock one --event-interval 1ms \
        --script 'cut:after=20,cut:after=100000,stall:after=0,stall:after=20,trickle:interval=10ms,200'
    assert_status 18 curl -sS -o body "$URL_one/v1/models"
    assert_equal 20 "$(wc -c <body)"
    assert_status 18 curl -sS -D headers -o body "$URL_one/v1/models"
    length=$(tr -d '\r' <headers | sed -n 's/^Content-Length: //Ip')
    assert_equal $((length - 1)) "$(wc -c <body)" "never all of it"
    assert_status 28 curl -sS -m 0.5 -D headers -o none "$URL_one/v1/models"
    assert_match '^HTTP/1.1 200' "$(head -1 headers)"
    [ ! -s none ] || fail "a body: $(cat none)"
    assert_status 28 curl -sS -m 0.5 -o body "$URL_one/v1/models"
    assert_equal 20 "$(wc -c <body)"
    assert_status 0 curl -sS -o body -w '%{time_starttransfer} %{time_total}' "$URL_one/v1/models"
    holds .data
    awk -v n="$(wc -c <body)" '{ exit !($2 - $1 >= 0.01 * int((n - 1) / 16) * 0.9) }' out ||
        fail "a trickle of $(wc -c <body) bytes: $(cat out)"
    assert_equal "cut cut stall stall trickle" "$(jq -r .outcome one.log | tr '\n' ' ' | sed 's/ $//')"
}

test_one_that_hangs_holds_nobody_up() {
    start_mock one --script 'hang*2,200'
    curl -sS --max-time 20 "$URL_one/v1/models" >hung1 2>&1 &
    local first=$!
    curl -sS --max-time 20 "$URL_one/v1/models" >hung2 2>&1 &
    local second=$!
    local i
    for ((i = 0; i < 100 && $(requests one) < 2; i++)); do sleep 0.02; done
    assert_status 0 curl -sS --max-time 5 -o body "$URL_one/v1/models"
    holds .data
    kill -TERM "$PID_one"
    wait "$PID_one" || fail "exit status $?"
    wait "$first" "$second" # their connections are gone, so that they end as well
    assert_equal 2 "$(cat hung1 hung2 | wc -l)" "errors of the two that hung"
}

test_the_log() {
    local key=sk-very-secret-4711
    start_mock one
    head -c 100000 /dev/urandom >upload
    post "/v1/chat/completions?a=b&c=d" '{"model":"gpt-4o","stream":false,"messages":[]}' >code
    curl -sS -o body "$URL_one/v1/models" -H "api-key: $key" -H "Host: logical.test"
    curl -sS -o body "$URL_one/v1/models" -H "Authorization: Bearer $key"
    curl -sS -o body -T upload "$URL_one/v1/files"
    curl -sS -o body "$URL_one/v1/models" -H "X-Odd: \"quoted\\" -A $'\303\244'
    assert_equal 5 "$(wc -l <one.log)"
    jq -es 'all((.time | type) == "number") and map(.request) == [1, 2, 3, 4, 5]' one.log >json || fail "$(cat one.log)"
    assert_equal '["POST","/v1/chat/completions?a=b&c=d","gpt-4o",false,47,200]' \
        "$(jq -c '[.method, .path, .model, .stream, .body_length, .status]' one.log | head -1)"
    local hash
    hash=$(printf %s "$key" | sha256sum | cut -c1-16)
    assert_equal "logical.test api-key $hash" "$(log_field one 2 '"\(.host) \(.key_header) \(.key_hash)"')"
    assert_equal "authorization $hash" "$(log_field one 3 '"\(.key_header) \(.key_hash)"')"
    assert_equal "null null" "$(log_field one 1 '"\(.key_header) \(.key_hash)"')"
    assert_equal "100000 $(sha256sum upload | cut -c1-16)" "$(log_field one 4 '"\(.body_length) \(.body_hash)"')"
    assert_no_match "$key" "$(cat one.log)"
    # Time is in seconds since the epoch, and now.
    awk -v now="$EPOCHSECONDS" '{ exit !(now - $1 < 20 && now - $1 > -2) }' <<<"$(log_field one 1 .time)" ||
        fail "time: $(log_field one 1 .time)"
}

# fields N: what the log's line N has of the URL and the body
fields() {
    log_field one "$1" '"\(.operation) \(.deployment) \(.api_version) \(.model)"'
}

test_the_log_has_what_a_path_means() {
    local type='application/json; charset=utf-8'
    start_mock one
    curl -sS -o body "$URL_one/openai/deployments/gpt%204/chat/completions?api-version=2024-10-21" \
        -H "Content-Type: $type" -d "$CHAT"
    curl -sS -o body "$URL_one/openai/v1/responses?a=b&api-version=preview" -d '{"model":"gpt-4o"}'
    curl -sS -o body "$URL_one/v1/models"
    curl -sS -o body "$URL_one/elsewhere"
    assert_equal "chat/completions gpt 4 2024-10-21 gpt-4" "$(fields 1)"
    assert_equal "$type" "$(log_field one 1 .content_type)"
    assert_equal "responses null preview gpt-4o" "$(fields 2)"
    assert_equal "models null null null" "$(fields 3)"
    assert_equal "null null null null" "$(fields 4)"
    assert_equal null "$(log_field one 3 .content_type)"
}

test_finds_the_model_wherever_it_is() {
    start_mock one
    {
        printf '{"messages":[{"role":"user","content":"'
        head -c 3000000 /dev/zero | tr '\0' x
        printf '"}],"model":"far"}'
    } >long.json
    head -c 3000000 /dev/urandom >speech
    curl -sS -o body "$URL_one/v1/chat/completions" --data-binary @long.json
    curl -sS -o body "$URL_one/v1/audio/transcriptions" -F file=@speech -F model=whisper-1
    curl -sS -o body "$URL_one/v1/images/edits" -F model=dall-e-2 -F 'image=@speech;type=image/png'
    curl -sS -o body "$URL_one/v1/files" -F purpose=model -F file=@speech
    assert_equal "far whisper-1 dall-e-2 null" "$(jq -r .model one.log | tr '\n' ' ' | sed 's/ $//')"
    assert_match '^multipart/form-data; boundary=' "$(log_field one 2 .content_type)"
}

test_saves_bodies_byte_for_byte() {
    mkdir bodies
    start_mock one --save-bodies bodies --script 200,503,reset,200
    head -c 300000 /dev/urandom >upload
    curl -sS -o body -T upload "$URL_one/v1/files"
    printf ' {"model": "a"}\r\n' >odd.json
    curl -sS -o body "$URL_one/v1/chat/completions" --data-binary @odd.json
    assert_status 56 curl -sS -o body "$URL_one/v1/files" -T - -H 'Transfer-Encoding: chunked' <upload
    curl -sS -o body "$URL_one/v1/models"
    cmp upload bodies/one-1.body || fail "an upload"
    cmp odd.json bodies/one-2.body || fail "a body with white space"
    cmp upload bodies/one-3.body || fail "a chunked upload"
    assert_equal 0 "$(wc -c <bodies/one-4.body)"
    assert_equal "one-1.body one-2.body one-3.body one-4.body " "$(find bodies -type f -printf '%f\n' | sort | tr '\n' ' ')"
    assert_status 2 "$SPILLWAY" mock --save-bodies absent
    assert_match '^spillway mock: --save-bodies: absent: ' "$(cat err)"
    assert_status 2 "$SPILLWAY" mock --save-bodies odd.json
}

# asked STATUS FILTER CURL-ARGUMENT...: what the mock "one" answers, of which FILTER is true
asked() {
    local want=$1 filter=$2
    shift 2
    assert_equal "$want" "$(curl -sS -o body -w '%{http_code}' "$@")" "$* ($(cat body))"
    holds "$filter"
}

test_a_strict_azure() {
    local chat version='api-version=2024-10-21' missing='.error == {"code": "404", "message": "Resource not found"}'
    start_mock one --dialect azure --strict --deployment gpt4 --deployment whisper
    chat=$URL_one/openai/deployments/gpt4/chat/completions
    head -c 1000 /dev/urandom >speech
    asked 200 '.object == "chat.completion"' "$chat?$version" -H 'api-key: k' -d "$CHAT"
    asked 200 '.object == "chat.completion"' "$chat?$version" -H 'Authorization: Bearer k' -d "$CHAT"
    asked 200 . "$URL_one/openai/deployments/whisper/audio/transcriptions?$version" -H 'api-key: k' -F file=@speech
    asked 200 . "$URL_one/openai/v1/chat/completions" -H 'api-key: k' -d '{"model":"gpt4"}'
    asked 200 .data "$URL_one/openai/models?$version" -H 'api-key: k'
    asked 404 "$missing" "$chat" -H 'api-key: k' -d "$CHAT"
    asked 404 "$missing" "$chat?api-version=v1" -H 'api-key: k' -d "$CHAT"
    asked 404 "$missing" "$URL_one/openai/chat/completions?$version" -H 'api-key: k' -d "$CHAT"
    asked 404 "$missing" "$URL_one/v1/chat/completions" -H 'Authorization: Bearer k' -d "$CHAT"
    asked 404 "$missing" "$URL_one/openai/v1/chat/completions?$version" -H 'api-key: k' -d '{"model":"gpt4"}'
    asked 401 '.error.code == "401" and (.error.message | startswith("Access denied due to invalid subscription key"))' \
        "$chat?$version" -d "$CHAT"
    asked 404 '.error.code == "DeploymentNotFound"' "$URL_one/openai/deployments/gpt-4/chat/completions?$version" \
        -H 'api-key: k' -d "$CHAT"
    asked 404 '.error.code == "DeploymentNotFound"' "$URL_one/openai/v1/chat/completions" -H 'api-key: k' -d "$CHAT"
    asked 400 '.error.message | contains("invalid JSON")' "$chat?$version" -H 'api-key: k' -d '{"messages":[}'
}

test_a_strict_openai() {
    local bearer='Authorization: Bearer k'
    start_mock one --dialect openai --strict --deployment gpt-4 --deployment whisper-1
    head -c 1000 /dev/urandom >speech
    asked 200 '.object == "chat.completion"' "$URL_one/v1/chat/completions" -H "$bearer" -d "$CHAT"
    asked 200 . "$URL_one/v1/audio/transcriptions" -H "$bearer" -F file=@speech -F model=whisper-1
    asked 200 '[.data[].id] == ["gpt-4", "whisper-1"]' "$URL_one/v1/models" -H "$bearer"
    asked 401 '.error | .type == "invalid_request_error" and .param == null and .code == null and
        (.message | startswith("You didn'"'"'t provide an API key."))' "$URL_one/v1/chat/completions" -H 'api-key: k' -d "$CHAT"
    asked 404 '.error == {"message": "Invalid URL (POST /openai/deployments/gpt-4/chat/completions)",
        "type": "invalid_request_error", "param": null, "code": null}' \
        "$URL_one/openai/deployments/gpt-4/chat/completions" -H "$bearer" -d "$CHAT"
    asked 404 '.error.message == "Invalid URL (POST /v1/chat/completions)"' \
        "$URL_one/v1/chat/completions?api-version=2024-10-21" -H "$bearer" -d "$CHAT"
    asked 400 '.error == {"message": "you must provide a model parameter", "type": "invalid_request_error",
        "param": null, "code": null}' "$URL_one/v1/chat/completions" -H "$bearer" -d '{"messages":[]}'
    asked 400 '.error.message == "you must provide a model parameter"' "$URL_one/v1/audio/transcriptions" \
        -H "$bearer" -F file=@speech
    asked 404 '.error | .code == "model_not_found" and
        .message == "The model `gpt4` does not exist or you do not have access to it."' \
        "$URL_one/v1/chat/completions" -H "$bearer" -d '{"model":"gpt4"}'
    asked 404 '.error.message | startswith("The model `whisper` ")' "$URL_one/v1/audio/translations" \
        -H "$bearer" -F file=@speech -F model=whisper
    asked 400 '.error.message | contains("JSON")' "$URL_one/v1/chat/completions" -H "$bearer" -d 'model=gpt-4'
}

test_strict_overrules_success_alone() {
    start_mock one --strict --limit 1/60s --script '200:body=fine:x-a=b*2,429:retry-after=7,cut,reset,200*'
    assert_equal 404 "$(post /chat/completions)"
    assert_equal "" "$(header x-a)"
    holds '.error.message == "Invalid URL (POST /chat/completions)"'
    assert_equal 401 "$(post /v1/chat/completions)"
    assert_equal 429 "$(post /v1/chat/completions)"
    assert_equal 7 "$(header retry-after)"
    assert_equal 401 "$(post /v1/chat/completions)"
    holds .error
    assert_status 56 curl -sS "$URL_one/v1/chat/completions" -d "$CHAT"
    # What was refused has taken nothing of the limit.
    asked 200 .choices "$URL_one/v1/chat/completions" -H 'Authorization: Bearer k' -d "$CHAT"
    asked 429 .error "$URL_one/v1/chat/completions" -H 'Authorization: Bearer k' -d "$CHAT"
}

test_the_right_key() {
    local key=sk-very-secret-4711
    MOCK_KEY=$key start_mock one --key-env MOCK_KEY
    asked 200 .data "$URL_one/v1/models" -H "Authorization: Bearer $key"
    asked 200 .data "$URL_one/openai/models" -H "api-key: $key"
    asked 200 . "$URL_one/anything/goes" -H "api-key: $key" -d nonsense
    asked 401 '.error.code == "invalid_api_key"' "$URL_one/v1/models" -H 'Authorization: Bearer sk-other'
    asked 401 '.error.code == "401"' "$URL_one/openai/models" -H "api-key: $key"x
    asked 401 .error "$URL_one/v1/models"
    asked 401 .error "$URL_one/v1/models" -H "Authorization: Bearer $key" -H 'api-key: other'
    assert_no_match "$key" "$(cat one.log one.err body)"
    # Whoever gives the key itself, or no key, is told so without it.
    assert_status 2 "$SPILLWAY" mock --key-env "$key"
    assert_no_match "$key" "$(cat out err)"
    EMPTY_KEY='' assert_status 2 "$SPILLWAY" mock --key-env EMPTY_KEY
    assert_match '^spillway mock: --key-env: expected the name of an environment variable' "$(cat err)"
}

test_connections_are_kept() {
    start_mock one --script 429,500,200
    assert_status 0 curl -sS -o a -o b -o c "$URL_one/v1/models" "$URL_one/v1/models" "$URL_one/v1/models"
    assert_equal "1 1 1" "$(jq .connection one.log | tr '\n' ' ' | sed 's/ $//')"
}

test_https() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1 2>openssl.err || fail "openssl: $(cat openssl.err)"
    start_mock one --tls cert.pem key.pem
    assert_match '^https://' "$URL_one"
    assert_status 0 curl -sS --cacert cert.pem -o body "$URL_one/v1/models"
    holds .data
    echo nonsense >nonsense.pem
    assert_status 2 "$SPILLWAY" mock --listen 127.0.0.1:0 --tls cert.pem nonsense.pem
    assert_match nonsense.pem "$(cat err)"
    assert_status 2 "$SPILLWAY" mock --listen 127.0.0.1:0 --tls cert.pem absent.pem
    assert_match absent.pem "$(cat err)"
}

test_many_at_once() {
    local i pids=()
    start_mock one --latency 300ms
    local begin=${EPOCHREALTIME/./}
    for i in {1..20}; do
        curl -sS -o "body$i" -w '%{http_code}\n' "$URL_one/v1/models" >"code$i" &
        pids+=("$!")
    done
    wait "${pids[@]}"
    assert_equal "20 200" "$(cat code* | sort | uniq -c | sed 's/^ *//')"
    local ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    [ "$ms" -lt 3000 ] || fail "20 requests of 300 ms took $ms ms: one after another"
    assert_equal 20 "$(jq -c .request one.log | sort -u | wc -l)"
}

run_tests
