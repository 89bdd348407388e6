# shellcheck shell=bash
# What the tests share that compare curl with and without the shim. Read it after lib.sh.

# logged CURL...: through Spillway, with its log in $T/log
logged() {
    "$SPILLWAY" run -c "$T/settings.yaml" --log "$T/log" --log-level debug -- "$@"
}

# Two mocks that behave and are called the same: `straight` for curl alone, `behind` for the shim.
start_twins() {
    start_mock straight "$@" --name twin
    start_mock behind "$@" --name twin
}

# What differs between any two runs: time, ports, and the host that was asked.
plain() {
    tr -d '\0' <"$1" | sed -E 's/^([Dd]ate: ).*/\1X/; s/"date":\["[^"]*"\]/"date":[]/; s/(127\.0\.0\.1|llm\.test)(:[0-9]+)?/HOST/g
        s/"(created|created_at|sent)":[0-9.]+/"\1":0/g
        s/port [0-9]+ after [0-9]+ ms/port N/; s/[0-9]+ milliseconds/N milliseconds/'
}

# assert_as_straight CURL_OPTION...: curl with and without the shim, '@' is the URL above /v1,
# first at URL_straight
assert_as_straight() {
    local straight=("${@//@/${URL_straight:?}/v1}") behind=("${@//@/$LOGICAL/v1}") want=0 got=0
    curl -sS "${straight[@]}" >want.out 2>want.err || want=$?
    logged curl -sS "${behind[@]}" >got.out 2>got.err || got=$?
    assert_equal "$want" "$got" "exit status of curl $*, stderr $(cat got.err)"
    assert_equal "$(plain want.out)" "$(plain got.out)" "output of curl $*"
    assert_equal "$(plain want.err)" "$(plain got.err)" "stderr of curl $*"
    [ ! -e straight.log ] || assert_equal "$(jq -c 'del(.time, .host)' straight.log)" \
        "$(jq -c 'del(.time, .host)' behind.log)" "what the mock saw of curl $*"
    export LAST_STATUS=$got
}
