#!/usr/bin/env bash
# Requests in the other dialect: what arrives at a backend is what the program would have sent, had
# it been written for that one, whatever way it gives its body to libcurl. The oracle is the same
# program, without the shim, with the model edited in its body.
TIME_LIMIT=${TIME_LIMIT:-120}
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
ASK=$ROOT/build/programs/ask

# What a program asks for in its own dialect, and with which header.
own_path() { # DIALECT OPERATION
    case $1 in
    openai) echo "/v1/$2" ;;
    azure) echo "/openai/deployments/gpt-4/$2?api-version=2024-02-01" ;;
    esac
}

key_line() { # DIALECT KEY
    case $1 in
    openai) echo "Authorization: Bearer $2" ;;
    azure) echo "api-key: $2" ;;
    esac
}

key_name() { # DIALECT
    case $1 in
    openai) echo authorization ;;
    azure) echo api-key ;;
    esac
}

hash_of() {
    sha256sum | cut -c1-16
}

# make_body API MODEL: a file API.MODEL with the raw bytes
make_body() {
    local file=$1.$2
    [ ! -e "$file" ] || return 0
    case $1 in
    chat) printf '{"messages":[{"role":"user","content":"model"}],\n "model" : "%s" ,"n":1.0e0}' "$2" ;;
    stream) printf '{"model":"%s","stream":true,"messages":[]}' "$2" ;;
    embeddings) printf ' {"input":["\\u00e4",{"model":"x"}],"model":"%s"}\n' "$2" ;;
    audio)
        printf -- '--own\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
        printf 'model\1\377\0--own\r\n--own\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s' "$2"
        printf -- '\r\n--own\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n--own--\r\n'
        ;;
    esac >"$file"
}

# body_arguments API HOW MODEL: for ask, one per line
body_arguments() {
    case $2 in
    mime) printf '%s\n' part=model:data:"$3" part=file:file:sound part=language:data:en mime ;;
    form) printf '%s\n' field=file:file:sound field=model:data:"$3" field=language:data:en form ;;
    *)
        case $1 in
        audio) echo "header=Content-Type: multipart/form-data; boundary=own" ;;
        *) echo "header=Content-Type: application/json" ;;
        esac
        echo "body=$2:$1.$3"
        ;;
    esac
}

operation_of() { # API
    case $1 in
    stream) echo chat/completions ;;
    audio) echo audio/transcriptions ;;
    chat) echo chat/completions ;;
    *) echo "$1" ;;
    esac
}

# What differs between any two answers to the same question.
plain() {
    sed -E 's/"(created|created_at|sent)": ?[0-9.]+/"\1":0/g; s/"id": ?"[^"]*"/"id":"X"/g
        s/"model":"[^"]*"/"model":"X"/g; s/connects=[1-9]/connects=N/'
}

# seen NAME: a mock's requests, a line for each: path, key, then what is of the body
seen() {
    local number=0 path key hash rest form
    while read -r path key hash form rest; do
        number=$((number + 1))
        [ "$form" = "-" ] || # a form's boundary is another one each time
            rest="$(sed -E 's/-{22,}[A-Za-z0-9]+/BOUNDARY/g' "$1-bodies/"*"-$number.body" | hash_of) $rest"
        echo "$path $key $hash $rest"
    done < <(jq -r '
        [.headers[] | ascii_downcase] as $h |
        ((.content_type // "") | contains("------")) as $form |
        [.path, .key_header // "-", .key_hash // "-", (if $form then "form" else "-" end),
         (if $form then empty else .body_hash end), .body_length, .model // "-", .stream, .status // "-",
         ([$h[] | select(. == "authorization" or . == "api-key")] | length),
         ([$h[] | select(. == "content-length" or . == "transfer-encoding")] | join("+"))]
        | join(" ")' "$1.log" 2>/dev/null)
}

start() { # NAME OPTION...
    mkdir "$1-bodies"
    start_mock "$1" --save-bodies "$1-bodies" --event-interval 1ms "${@:2}"
}

# oracle own|theirs API HOW: the program without the shim, with that backend's path and key. Sets
# ORACLE to the file of its answers, and ORACLE_SEEN to what the mock saw.
declare -A ORACLES
oracle() {
    local arguments name=$1.$2.$3 dialect=$SPEAKS model=gpt-4 path
    path=$(own_path "$SPEAKS" "$(operation_of "$2")")
    if [ "$1" = theirs ]; then
        dialect=$THEIRS model=$MODEL path=${TARGET/OPERATION/$(operation_of "$2")}
    fi
    ORACLE=oracle.$name
    if [ -z "${ORACLES[$name]-}" ]; then
        make_body "$2" "$model"
        mapfile -t arguments < <(body_arguments "$2" "$3" "$model")
        "$ASK" "url=$URL_straight$path" "header=$(key_line "$dialect" "$1-key")" "${arguments[@]}" \
            perform perform >"$ORACLE.raw" || fail "plain ask: $2 $3"
        plain <"$ORACLE.raw" | sed 's/ url=[^ ]*//' >"$ORACLE"
        ORACLES[$name]=$(seen straight | tail -1)
    fi
    ORACLE_SEEN=${ORACLES[$name]}
}

# expect MOCK TIMES STATUS own|theirs API HOW
expect() {
    local i
    oracle "$4" "$5" "$6"
    for ((i = 0; i < $2; i++)); do
        echo "${ORACLE_SEEN/ 200 1 / $3 1 }" >>"$1.want"
    done
}

# one_case ORDER API HOW: sets what is to be expected, and asks twice
one_case() {
    local order=$1 api=$2 how=$3 own arguments
    own=$(own_path "$SPEAKS" "$(operation_of "$api")")
    make_body "$api" gpt-4
    mapfile -t arguments < <(body_arguments "$api" "$how" gpt-4)
    case $order in
    throttles) expect throttles 1 429 own "$api" "$how" ;;
    closes) expect closes 1 - own "$api" "$how" ;;
    back) expect throttles 1 429 theirs "$api" "$how" ;;
    esac
    expect answers 2 200 "$([ "$order" = back ] && echo own || echo theirs)" "$api" "$how"
    echo "== $order $api $how" | tee -a got >>want
    sed "s#^result.*#& url=$LOGICAL$own#" "$ORACLE" >>want
    timeout 20 env LD_PRELOAD="$PRELOAD" "$ASK" "url=$LOGICAL$own" \
        "header=$(key_line "$SPEAKS" program-key)" ${MULTI:+"multi=$MULTI"} "${arguments[@]}" \
        perform perform >>got 2>&1 || fail "ask $order $api $how ends with $?: $(tail -3 got)"
}

settings() { # ORDER
    local own their
    own="key: own-key, url: \"$1$([ "$SPEAKS" = azure ] || echo /v1)\""
    their="key: theirs-key, ${BACKEND/URL/$2}"
    cat <<END2
state: {scope: process}
endpoints:
  - name: llm
    urls: ["$LOGICAL$([ "$SPEAKS" = azure ] || echo /v1)"]
    dialect: $SPEAKS
    backends:
      - {name: own, priority: $3, $own}
      - {name: theirs, priority: $4, $their}
END2
}

choose_settings() { # ORDER
    case $1 in
    direct) settings "$URL_answers" "$URL_answers" 2 1 ;;
    throttles) settings "$URL_throttles" "$URL_answers" 1 2 ;;
    closes) settings "$URL_closes" "$URL_answers" 1 2 ;;
    back) settings "$URL_answers" "$URL_throttles" 2 1 ;;
    esac | write_settings
    chmod 600 settings.yaml # it holds keys
}

assert_same() { # WANT GOT WHAT: files
    local difference
    difference=$(diff -a "$1" "$2") || fail "$3: $(wc -l <<<"$difference") lines of difference (expected <, got >):
$(head -c 3000 <<<"$difference")"
}

# matrix SPEAKS THEIRS MODEL TARGET BACKEND: all of them
matrix() {
    local order api how
    SPEAKS=$1 THEIRS=$2 MODEL=$3 TARGET=$4 BACKEND=$5
    head -c 3000 /dev/zero | tr '\0' '\377' >sound
    start straight --name twin
    start answers --name twin
    start throttles --status 429 --retry-after 30
    start closes --status close
    export SPILLWAY_CONFIG=$T/settings.yaml
    for order in ${ORDERS:-direct throttles closes back}; do
        choose_settings "$order"
        for api in ${APIS:-chat stream embeddings audio}; do
            for how in fields copied sized chunked mime form; do
                case $api:$how in
                audio:copied) ;;
                audio:* | *:fields | *:copied | *:sized | *:chunked) one_case "$order" "$api" "$how" ;;
                esac
            done
        done
    done
    unset SPILLWAY_CONFIG
    plain <got >got.plain
    assert_same want got.plain "what the program sees"
    for how in answers throttles closes; do
        seen "$how" >"$how.got"
        touch "$how.want"
        assert_same "$how.want" "$how.got" "requests at $how"
    done
}

test_openai_to_azure() {
    matrix openai azure gpt-4 '/openai/deployments/east/OPERATION?api-version=2025-01-01' \
        'dialect: azure, url: "URL", api_version: 2025-01-01, models: {gpt-4: east}'
}

test_openai_to_azure_without_versions() {
    matrix openai azure east '/openai/v1/OPERATION' \
        'dialect: azure, url: "URL/openai/v1", models: {gpt-4: east}'
}

test_openai_to_openai_with_another_name() {
    matrix openai openai llama-3.1 '/v1/OPERATION' 'url: "URL/v1", models: {gpt-4: llama-3.1}'
}

test_azure_to_openai() {
    matrix azure openai llama-3.1 '/v1/OPERATION' \
        'dialect: openai, url: "URL/v1", models: {llama-3.1: gpt-4}'
}

test_azure_to_azure_with_another_name() {
    matrix azure azure gpt-4 '/openai/deployments/east/OPERATION?api-version=2025-01-01' \
        'url: "URL", api_version: 2025-01-01, models: {gpt-4: east}'
}

test_azure_to_azure_without_versions() {
    matrix azure azure east '/openai/v1/OPERATION' 'url: "URL/openai/v1", models: {gpt-4: east}'
}

test_in_a_multi_handle() {
    MULTI=epoll test_openai_to_azure_without_versions
}

test_in_a_multi_handle_that_is_polled() {
    MULTI=perform test_azure_to_openai
}

run_tests
