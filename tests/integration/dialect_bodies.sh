#!/usr/bin/env bash
# Bodies that go to a backend of another dialect, or with other names: nothing but the model's value
# is another one, whatever the body looks like; handles are the program's own again afterwards; and
# what becomes of requests that a backend can't serve.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
ASK=$ROOT/build/programs/ask
CHAT=$LOGICAL/v1/chat/completions
AUDIO=$LOGICAL/v1/audio/transcriptions

# backends LINE...: an endpoint for OpenAI's dialect; EXTRA is a line of its own
backends() {
    {
        printf 'state: {scope: %s}\n' "${SCOPE:-process}"
        printf 'endpoints:\n  - name: llm\n    url: %s/v1\n    %s\n    backends:\n' "$LOGICAL" "${EXTRA-}"
        printf '      - {%s}\n' "$@"
    } | write_settings
}

# ask ARGUMENT...: with the shim; what it prints goes to $T/out
ask() {
    timeout 20 env SPILLWAY_CONFIG="$T/settings.yaml" SPILLWAY_LOG=info SPILLWAY_LOG_FILE="$T/log" \
        LD_PRELOAD="$PRELOAD" "$ASK" "$@" >"$T/out" 2>"$T/err" || fail "ask ends with $?: $(cat "$T/err")"
}

# asks NUMBER ARGUMENT...: each of NUMBER transfers ends with a 200
asks() {
    local number=$1
    shift
    ask "$@"
    assert_equal "$number" "$(grep -ac '^result=0 status=200 ' out)" "transfers of $* that are well: $(
        grep -a ^result= out)"
}

start() { # NAME OPTION...
    mkdir "$1-bodies"
    start_mock "$1" --save-bodies "$1-bodies" "${@:2}"
}

# body NAME N: the mock's Nth, with its boundary made plain
body() {
    sed -E 's/-{22,}[A-Za-z0-9]+/BOUNDARY/g' "$1-bodies/"*"-$2.body"
}

assert_body() { # NAME N FILE_OR_TEXT
    local want=$3
    [ -e "$want" ] || printf '%s' "$3" >want
    [ -e "$want" ] || want=want
    cmp "$want" <(body "$1" "$2") >difference 2>&1 ||
        fail "body $2 at $1: $(cat difference): expected '$(head -c 600 "$want" | tr -d '\0')', got '$(
            body "$1" "$2" | head -c 600 | tr -d '\0')'"
}

# What of a body is the model's: GIVEN, what arrives where gpt-4 is east, and where the model has to
# be gpt-4 (the deployment in the program's path); '-' where that backend can't serve it
json_cases() {
    cat <<'END2'
{"model":"gpt-4"}|{"model":"east"}|{"model":"gpt-4"}
{"model":"gpt-5","n":1}|{"model":"gpt-5","n":1}|{"model":"gpt-4","n":1}
 {	"model" :   "gpt-4" , "n":1.0E+2,"x":-0.0,"y":10000000000000000000001 }  | {	"model" :   "east" , "n":1.0E+2,"x":-0.0,"y":10000000000000000000001 }  | {	"model" :   "gpt-4" , "n":1.0E+2,"x":-0.0,"y":10000000000000000000001 }  
{"mod\u0065l":"gpt\u002d4","\u006dodel ":"gpt-4"}|{"mod\u0065l":"east","\u006dodel ":"gpt-4"}|{"mod\u0065l":"gpt\u002d4","\u006dodel ":"gpt-4"}
{"model":"gpt-4","model":"gpt-4"}|{"model":"east","model":"east"}|{"model":"gpt-4","model":"gpt-4"}
{"model":"a","model":"gpt-4"}|{"model":"a","model":"east"}|{"model":"gpt-4","model":"gpt-4"}
{"a":{"model":"gpt-4"},"model":"gpt-4","b":[{"model":"gpt-4"},"model","gpt-4"]}|{"a":{"model":"gpt-4"},"model":"east","b":[{"model":"gpt-4"},"model","gpt-4"]}|{"a":{"model":"gpt-4"},"model":"gpt-4","b":[{"model":"gpt-4"},"model","gpt-4"]}
{"a":"\\","b":"\"model\":\"gpt-4\"","model":"gpt-4"}|{"a":"\\","b":"\"model\":\"gpt-4\"","model":"east"}|{"a":"\\","b":"\"model\":\"gpt-4\"","model":"gpt-4"}
{"Model":"gpt-4"}|{"Model":"gpt-4"}|{"model":"gpt-4","Model":"gpt-4"}
{"messages":[]}|{"messages":[]}|{"model":"gpt-4","messages":[]}
{}|{}|{"model":"gpt-4"}
{"model":null}|{"model":null}|{"model":"gpt-4"}
{"model":["gpt-4"],"a":1}|{"model":["gpt-4"],"a":1}|{"model":"gpt-4","a":1}
{"model":"gpt-4"|{"model":"gpt-4"|-
{"model":"gpt-4"} x|{"model":"gpt-4"} x|-
[{"model":"gpt-4"}]|[{"model":"gpt-4"}]|-
model=gpt-4|model=gpt-4|-
END2
}

# each_json HOW: all of them through one handle; the files are made by make_json
each_json() {
    local file arguments=()
    for file in $(seq "$COUNT"); do
        arguments+=("body=$1:given.$file" perform)
    done
    ask "url=$2" "${arguments[@]}"
}

make_json() {
    local given east named
    COUNT=0
    while IFS='|' read -r given east named; do
        COUNT=$((COUNT + 1))
        printf %s "$given" >"given.$COUNT"
        printf %s "$east" >"east.$COUNT"
        printf %s "$named" >"named.$COUNT"
    done < <(json_cases)
}

# to_openai URL: an endpoint for Azure's dialect, over a backend of the other one
to_openai() {
    write_settings <<END2
state: {scope: process}
endpoints:
  - {name: llm, dialect: azure, url: $LOGICAL, backends: [{name: b, dialect: openai, url: "$1/v1"}]}
END2
}

test_only_the_models_value_is_changed() {
    local how i at=0
    make_json
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    for how in fields copied chunked sized; do
        each_json "$how" "$CHAT"
        for ((i = 1; i <= COUNT; i++)); do
            assert_body other $((at + i)) "east.$i"
        done
        at=$((at + COUNT))
    done
}

test_the_model_is_added_or_set() {
    local how i at=0
    make_json
    start other
    to_openai "$URL_other"
    for how in fields copied chunked sized; do
        each_json "$how" "$LOGICAL/openai/deployments/gpt-4/chat/completions?api-version=2024-10-21"
        for ((i = 1; i <= COUNT; i++)); do
            [ "$(cat "named.$i")" != - ] || continue
            at=$((at + 1))
            assert_body other "$at" "named.$i"
        done
        assert_equal $((COUNT - $(grep -l '^-$' named.* | wc -l))) \
            "$(grep -ac '^result=0 status=200 ' out)" "requests that are served"
        assert_equal "$(grep -l '^-$' named.* | wc -l)" "$(grep -ac '^result=0 status=400 ' out)" \
            "requests that are refused"
    done
    assert_equal "$at" "$(requests other)"
}

# The name is text to JSON, a path segment to Azure.
test_names_are_escaped() {
    start other
    printf '%s' '{"model":"gpt-4"}' >given
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: 'c é/..?#'}"
    asks 1 "url=$CHAT" body=fields:given perform
    assert_body other 1 '{"model":"c é/..?#"}'
    backends "name: b, dialect: azure, url: \"$URL_other\", models: {gpt-4: 'a/b é?c'}"
    asks 1 "url=$CHAT" body=fields:given perform
    assert_equal "/openai/deployments/a%2Fb%20%C3%A9%3Fc/chat/completions?api-version=2024-10-21" \
        "$(log_field other 2 .path)"
    to_openai "$URL_other"
    asks 1 "url=$LOGICAL/openai/deployments/a%22%5C%0a%c3%a9%2f/chat/completions?api-version=1" \
        body=fields:given perform
    assert_body other 3 '{"model":"a\"\\\u000aé/"}'
}

# One handle, and each time another model: of two in a body the last one counts.
test_the_deployment_follows_the_body() {
    start other
    printf '{"model":"a"}' >a
    printf '{"model":"gpt-4","model":"b"}' >b
    backends "name: b, dialect: azure, url: \"$URL_other\", models: {b: east}"
    asks 3 "url=$CHAT" body=fields:a perform body=fields:b perform body=chunked:a perform
    assert_equal "a east a" "$(jq -r .deployment other.log | paste -sd' ')"
}

test_model_behind_a_megabyte() {
    local how at=0
    start other
    for model in gpt-4 east; do
        {
            printf '{"messages":[{"role":"user","content":"'
            head -c 1000000 /dev/zero | tr '\0' '{'
            printf '"}],"model":"%s"}' "$model"
        } >"$model"
    done
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    for how in fields text copied sized chunked put; do
        asks 2 "url=$CHAT" method=POST "body=$how:gpt-4" perform perform
        assert_body other $((at += 1)) east
        assert_body other $((at += 1)) east
    done
}

# What can't be looked at goes as it is to a backend of the program's own dialect alone.
test_body_over_the_limit() {
    start azure
    start own
    {
        printf '{"model":"gpt-4","a":"'
        head -c 3000 /dev/zero | tr '\0' x
        printf '"}'
    } >large
    EXTRA="replay_limit: 2KiB" backends "name: azure, dialect: azure, url: \"$URL_azure\", priority: 1" \
        "name: own, url: \"$URL_own/v1\", priority: 2"
    asks 2 "url=$CHAT" body=sized:large perform body=chunked:large perform
    assert_equal "0 2" "$(requests azure) $(requests own)" "requests"
    assert_body own 1 large
    assert_body own 2 large
    assert_match 'event=skipped endpoint=llm backend=azure reason="the body can.t be searched' "$(cat log)"
    # in memory there is no limit
    asks 1 "url=$CHAT" body=fields:large perform
    assert_equal "1 2" "$(requests azure) $(requests own)" "requests"
}

test_invalid_json_passes_over_a_deployment() {
    start azure
    start own
    printf '{"model":"gpt-4"' >broken
    printf '{"model":"gpt-4"}' >whole
    backends "name: azure, dialect: azure, url: \"$URL_azure\", priority: 1" \
        "name: own, url: \"$URL_own/v1\", models: {gpt-4: east}, priority: 2"
    asks 2 "url=$CHAT" body=fields:broken perform body=fields:whole perform
    assert_equal "1 1" "$(requests azure) $(requests own)" "requests"
    assert_body own 1 broken
    assert_body azure 1 whole
    assert_match 'event=skipped endpoint=llm backend=azure reason="the body is no JSON' "$(cat log)"
    assert_no_match "event=cooldown" "$(cat log)"
}

# A length of the program's own would be wrong for another body.
test_length_and_encoding_by_header() {
    local how at=0 header
    start throttles --status 429 --retry-after 30
    start other
    printf '{"model":"gpt-4","a":[]}' >given
    printf '{"model":"much-longer","a":[]}' >want
    backends "name: a, url: \"$URL_throttles/v1\", priority: 1" \
        "name: b, url: \"$URL_other/v1\", models: {gpt-4: much-longer}, priority: 2"
    for header in "Content-Length: 24" "content-length:24" "Transfer-Encoding: chunked"; do
        for how in fields text copied sized chunked put; do
            asks 2 "url=$CHAT" method=POST "header=$header" "body=$how:given" perform perform
            assert_body throttles $((at / 2 + 1)) given
            assert_body other $((at += 1)) want
            assert_body other $((at += 1)) want
        done
    done
    assert_equal "1" "$(jq -s '[.[].headers | map(ascii_downcase) |
        map(select(. == "content-length" or . == "transfer-encoding")) | length] | max' other.log)"
}

# The handle's next transfer is for somebody else, then for the endpoint again, then a duplicate's.
test_handle_is_the_programs_own_afterwards() {
    local body i at=0
    start straight
    start other
    printf '{"model":"gpt-4"}' >gpt-4
    printf '{"model":"east"}' >east
    printf sound >sound
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    for body in fields text copied sized chunked put; do
        asks 5 "url=$CHAT" method=POST "body=$body:gpt-4" perform "url=$URL_straight/v1/chat/completions" \
            perform "url=$CHAT" perform duplicate free perform \
            "url=$URL_straight/v1/chat/completions" perform
        assert_body straight $((at * 2 + 1)) gpt-4
        assert_body straight $((at * 2 + 2)) gpt-4
        for i in 1 2 3; do
            assert_body other $((at * 3 + i)) east
        done
        at=$((at + 1))
    done
    assert_equal 3 "$(grep -c " url=$CHAT\$" out)" "effective URLs: $(grep -a ^result out)"
}

# form_stays ARGUMENT...: one that is edited and then the program's own, in turns
form_stays() {
    : >straight.log
    : >other.log
    asks 3 "url=$AUDIO" "$@" perform "url=$URL_straight/v1/audio/transcriptions" perform \
        "url=$AUDIO" perform
    local direct edited again
    direct=$(latest straight 0)
    edited=$(latest other 1)
    again=$(latest other 0)
    assert_equal "$(body straight "$direct" | sed 's/gpt-4/east/')" "$(body other "$edited")"
    assert_equal "$(body other "$edited")" "$(body other "$again")"
}

# latest NAME BACK: the number of the mock's last request, or of one that many before it
latest() {
    echo $(($(tail -1 "$1.log" | jq .request) - $2))
}

test_forms_are_the_programs_own_afterwards() {
    start straight
    start other
    printf sound >sound
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    form_stays part=model:data:gpt-4 part=file:source:sound mime
    form_stays field=file:file:sound field=model:data:gpt-4 form
}

test_bodies_changed_between_transfers() {
    local i
    start other
    printf '{"model":"gpt-4"}' >one
    printf '{"a":"b","model":"gpt-4"}' >two
    printf '{"model":"east"}' >one.want
    printf '{"a":"b","model":"east"}' >two.want
    printf sound >sound
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    asks 7 "url=$CHAT" body=fields:one perform body=fields:two perform body=copied:one perform \
        reset "url=$CHAT" body=chunked:two perform body=text:one perform \
        part=model:data:gpt-4 part=file:file:sound mime perform body=copied:two perform
    for i in 1 3 5; do
        assert_body other "$i" one.want
    done
    assert_body other 2 two.want
    assert_body other 4 two.want
    assert_equal east "$(log_field other 6 .model)"
    assert_body other 7 two.want
}

# form_arrives ARGUMENT...: with '@' where the model is; as it is sent without the shim, edited to a
# backend that throttles, then as it is to another one
form_arrives() {
    local model
    for model in east gpt-4; do
        "$ASK" "url=$URL_straight/v1/audio/transcriptions" "${@//@/$model}" perform >out ||
            fail "without the shim"
        body straight "$(latest straight 0)" >"$model"
    done
    asks 2 "url=$AUDIO" "${@//@/gpt-4}" perform multi=epoll perform
    assert_body throttles "$(latest throttles 0)" east
    assert_body other "$(latest other 1)" gpt-4
    assert_body other "$(latest other 0)" gpt-4
    assert_equal "$(tail -1 straight.log | jq .body_length)" "$(tail -1 other.log | jq .body_length)"
}

test_forms_of_all_kinds() {
    head -c 100000 /dev/urandom >sound
    printf 'small\0one\r\n--x' >small
    start straight
    start throttles --status 429 --retry-after 30
    start other
    backends "name: a, url: \"$URL_throttles/v1\", models: {gpt-4: east}, priority: 1" \
        "name: b, url: \"$URL_other/v1\", priority: 2"
    form_arrives part=language:data:en type=text/x-a part=a:file:sound type=audio/x-b encoder=base64 \
        "partheader=X-Part: 1" part=b:file:sound filename= part=c:data:text filename=named.bin \
        part=:data:nameless part=model:data:@ part=d:source:sound filename=stream.mp3 \
        part=e:parts: part=model:data:gpt-4 part=f:file:small type=x/y close \
        part=last:data:ä=1 encoder=quoted-printable part=sub:data:model mime
    form_arrives part=model:data:a type=text/plain part=model:data:@ type=text/plain \
        "partheader=X-Part: 2" part=f:file:small mime
    form_arrives field=f:file:sound field=g:content:small field=model:data:@ field=h:buffer:sound \
        field=model2:data:gpt-4 form
}

# The field that a form lacks comes first; one that is there stays where it is.
test_model_is_added_to_forms() {
    local how url="$LOGICAL/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21" at=0
    printf sound >sound
    start straight
    start other
    to_openai "$URL_other"
    "$ASK" "url=$URL_straight/v1/audio/transcriptions" part=model:data:whisper part=f:file:sound mime \
        perform field=model:data:whisper field=f:file:sound form perform >out || fail "without the shim"
    body straight 1 >mime
    body straight 2 >form
    asks 3 "url=$url" part=f:file:sound mime perform field=f:file:sound form perform perform
    assert_body other 1 mime
    assert_body other 2 form
    assert_body other 3 form
    printf -- '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n' >added
    printf -- '--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\0\r\n--b--\r\n' >given
    cat added given >want
    for how in fields copied sized chunked; do
        asks 1 "url=$url" "header=Content-Type: multipart/form-data; boundary=b" "body=$how:given" perform
        at=$((at + 1))
        assert_body other $((at + 3)) want
    done
}

# A handle that was duplicated, and one whose form is freed, before or after.
test_duplicates_send_the_programs_form() {
    printf sound >sound
    start straight
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    asks 2 "url=$AUDIO" part=model:data:gpt-4 part=f:source:sound mime perform duplicate free \
        "url=$URL_straight/v1/audio/transcriptions" perform
    assert_equal "$(body other 1)" "$(body straight 1 | sed 's/gpt-4/east/')"
    asks 2 "url=$AUDIO" field=model:data:gpt-4 field=f:file:sound form perform duplicate perform
    assert_equal "$(body other 2)" "$(body other 3)"
}

# A program that ends before it has given all, or asks for something else from within a callback.
test_duplicate_made_in_the_middle() {
    local how
    printf '{"model":"gpt-4"}' >given
    start straight
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    for how in fields copied sized; do
        asks 2 "url=$CHAT" "body=$how:given" inside=duplicate perform duplicate free \
            "url=$URL_straight/v1/chat/completions" perform
        assert_body straight "$(requests straight)" given
    done
}

# A form whose part comes from a function that can go back: by the time of the second attempt the
# first one has read it. The first sends the program's own form, the second an edited one.
test_form_from_a_function_after_the_programs_own() {
    local loop
    printf sound >sound
    start throttles --status 429 --retry-after 30
    start other
    backends "name: a, url: \"$URL_throttles/v1\", priority: 1" \
        "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}, priority: 2"
    for loop in "" perform; do
        asks 1 "url=$AUDIO" timeout_ms=3000 part=model:data:gpt-4 part=f:source:sound mime \
            ${loop:+"multi=$loop"} perform
        body throttles "$(latest throttles 0)" | sed 's/gpt-4/east/' >want
        assert_body other "$(latest other 0)" want
    done
}

# One that can't go back: there is no second attempt, the program gets the answer of the first.
test_form_that_can_be_read_once_after_the_programs_own() {
    local arguments
    printf sound >sound
    start throttles --status 429 --retry-after 30
    start other
    backends "name: a, url: \"$URL_throttles/v1\", priority: 1" \
        "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}, priority: 2"
    for arguments in part=f:once:sound\ mime field=f:stream:sound\ form; do
        # shellcheck disable=SC2086  # two words
        ask "url=$AUDIO" timeout_ms=3000 $arguments perform
        assert_match "^result=0 status=429 responses=1 " "$(cat out)" "transfer with $arguments"
    done
    assert_equal "2 0" "$(requests throttles) $(requests other)" "requests"
}

# The edited form is ours alone: a duplicate has the program's, and the program keeps it.
test_duplicate_of_a_form_made_in_the_middle() {
    printf sound >sound
    start straight
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    local arguments=("url=$AUDIO" part=model:data:gpt-4 part=f:source:sound mime inside=duplicate perform)
    asks 2 "${arguments[@]}" "url=$URL_straight/v1/audio/transcriptions" perform
    assert_equal "$(body other 1)" "$(body straight 1 | sed 's/gpt-4/east/')" "the handle's own"
    asks 2 "${arguments[@]}" duplicate free "url=$URL_straight/v1/audio/transcriptions" perform
    assert_equal "$(body other 2)" "$(body straight 2 | sed 's/gpt-4/east/')" "the duplicate's"
}

# The program's next method holds, though its body is put back after the transfer.
test_another_method_set_in_the_middle() {
    local how
    printf '{"model":"gpt-4"}' >given
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: east}"
    for how in fields text copied sized; do
        asks 2 "url=$CHAT" "body=$how:given" inside=get perform "url=$LOGICAL/v1/models" perform
        assert_equal "GET 0" "$(tail -1 other.log | jq -r '"\(.method) \(.body_length)"')" "after $how"
    done
}

# Programs put several headers into one line.
test_length_behind_another_header() {
    printf '{"model":"gpt-4"}' >given
    start other
    backends "name: b, url: \"$URL_other/v1\", models: {gpt-4: much-longer}"
    asks 2 "url=$CHAT" "header=X-First: 1"$'\r\n'"Content-Length: 17" body=fields:given perform perform
    assert_body other 1 '{"model":"much-longer"}'
    assert_body other 2 '{"model":"much-longer"}'
}

test_body_of_the_limit_itself() {
    start azure
    start own
    {
        printf '{"model":"gpt-4","a":"'
        head -c 2024 /dev/zero | tr '\0' x
        printf '"}'
    } >limit
    assert_equal 2048 "$(wc -c <limit)"
    EXTRA="replay_limit: 2KiB" backends "name: azure, dialect: azure, url: \"$URL_azure\", priority: 1" \
        "name: own, url: \"$URL_own/v1\", priority: 2"
    asks 2 "url=$CHAT" body=sized:limit perform body=chunked:limit perform
    assert_equal "2 0" "$(requests azure) $(requests own)" "requests"
}

# curl_mime_filedata names the file, and what replaces its content leaves the name.
test_file_replaced_by_data() {
    printf sound >sound
    start straight
    start throttles --status 429 --retry-after 30
    start other
    backends "name: a, url: \"$URL_throttles/v1\", models: {gpt-4: east}, priority: 1" \
        "name: b, url: \"$URL_other/v1\", priority: 2"
    form_arrives part=model:data:@ part=f:file:sound data=other mime
}

run_tests
