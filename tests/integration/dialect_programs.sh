#!/usr/bin/env bash
# Programs as people have them, written for one dialect, with backends of the other: a chat and a
# form of each. What arrives is what the program itself sends to a server of its own, but for path,
# key and model. The first backend is of the program's dialect and throttles, unless OWN, its
# priority, is lower than the other's.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# needs COMMAND PACKAGE: skips the test where the command fails
needs() {
    eval "$1" >/dev/null 2>&1 || skip "not installed: $2"
}

start() { # NAME OPTION...
    mkdir "$1-bodies"
    start_mock "$1" --save-bodies "$1-bodies" "${@:2}"
}

# Body N of a mock, with what its boundary is made plain
body() {
    sed -E 's/-{22,}[A-Za-z0-9]+/BOUNDARY/g' "$1-bodies/"*"-$2.body"
}

# A mock's requests without the path, and with what else a translation may not change
seen() {
    jq -c '[.method, .operation, .stream, .content_type | if type == "string" then sub("-{22,}[A-Za-z0-9]+"; "B") else . end]
        + (.headers | map(ascii_downcase) | map(select(. != "authorization" and . != "api-key")) | sort)' "$1.log"
}

# arrives OPERATION COMMAND...: '%%' is the URL, up to and with /v1. By way of a deployment, where the
# body stays, and by the version-less API, where it names the deployment.
arrives() {
    local operation=$1 edited
    shift
    start straight
    start throttles --status 429 --retry-after 30
    start other
    "${@//%%/$URL_straight/v1}" >want.out 2>want.err || fail "$* without the shim: $(cat want.err)"
    for edited in "url: \"$URL_other\", api_version: 2025-01-01" "url: \"$URL_other/openai/v1\""; do
        write_settings <<END2
state: {scope: process}
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - {name: own, url: "$URL_throttles/v1", priority: ${OWN:-1}}
      - {name: other, dialect: azure, key: the-key, $edited, models: {gpt-4: east}, priority: 2}
END2
        chmod 600 settings.yaml # it holds a key
        assert_status 0 spill "${@//%%/$LOGICAL/v1}"
        assert_match "$(<want.err)" "$(<err)" "stderr"
    done
    assert_equal "$(seen straight)
$(seen straight)" "$(seen other)" "requests of $*"
    [ "${OWN:-1}" != 1 ] || assert_equal "$(body straight 1)" "$(body throttles 1)" "first attempt of $*"
    assert_equal "$(body straight 1)" "$(body other 1)" "to a deployment, by $*"
    assert_equal "$(body straight 1 | sed 's/gpt-4/east/')" "$(body other 2)" "to the version-less API, by $*"
    assert_equal "/openai/deployments/east/$operation?api-version=2025-01-01 /openai/v1/$operation" \
        "$(jq -r .path other.log | paste -sd' ')" "paths"
    assert_equal "api-key $(printf the-key | sha256sum | cut -c1-16)" \
        "$(jq -r '"\(.key_header) \(.key_hash)"' other.log | sort -u)" "keys"
    assert_no_match "authorization" "$(jq -c '.headers | map(ascii_downcase)' other.log)"
}

JSON='{"model": "gpt-4", "messages": [{"role": "user", "content": "\u00e4"}]}'
CHAT=chat/completions
AUDIO=audio/transcriptions

CURL=(curl -sS -o got -H "Authorization: Bearer program-key")

make_files() {
    printf '%s\n' "$JSON" >chat.json
    head -c 70000 /dev/urandom >sound.mp3
}

test_curl_with_data() {
    arrives "$CHAT" "${CURL[@]}" -H "Content-Type: application/json" -d "$JSON" "%%/$CHAT"
}

test_curl_with_a_file() {
    make_files
    arrives "$CHAT" "${CURL[@]}" --data-binary @chat.json "%%/$CHAT"
}

test_curl_with_standard_input() {
    make_files
    arrives "$CHAT" bash -c 'curl -sS -o got -X POST -H "Authorization: Bearer k" -T - "$1" <chat.json' bash "%%/$CHAT"
}

test_curl_from_a_pipe() {
    make_files
    # shellcheck disable=SC2016
    arrives "$CHAT" bash -c 'cat chat.json | curl -sS -o got -X POST -H "Expect:" -T - "$1"' bash "%%/$CHAT"
}

test_curl_with_a_form() {
    make_files
    arrives "$AUDIO" bash -c 'curl -sS -o got -F file=@sound.mp3 -F model=gpt-4 -F "note=a;type=text/x-note" "$1"' \
        bash "%%/$AUDIO"
}

# curl gives libcurl the file's name, and that it is to be sent as if it were no file.
test_curl_with_a_model_from_a_file() {
    make_files
    printf gpt-4 >name
    arrives "$AUDIO" "${CURL[@]}" -F "model=<./name" -F file=@sound.mp3 "%%/$AUDIO"
}

form_from_standard_input() {
    make_files
    # shellcheck disable=SC2016
    arrives "$AUDIO" timeout 10 bash -c \
        'cat sound.mp3 | curl -sS -o got -F "file=@-;filename=a" -F model=gpt-4 "$1"' bash "%%/$AUDIO"
}

test_curl_with_a_form_from_standard_input_at_once() {
    OWN=3 form_from_standard_input
}

test_curl_with_a_form_from_standard_input() {
    form_from_standard_input
}

# AddressSanitizer ends a program that binds anything deeply; with the shim, curl.so is not.
PHP=(php)
[ -z "$SANITIZED" ] ||
    PHP=(php -n -d "extension=$(php -r 'echo ini_get("extension_dir");' 2>/dev/null)/curl.so")

test_php_chat() {
    needs "php -r 'exit(extension_loaded(\"curl\") ? 0 : 1);'" "php-cli php-curl"
    # shellcheck disable=SC2016
    arrives "$CHAT" "${PHP[@]}" -r '$c = curl_init($argv[1]);
        curl_setopt_array($c, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POSTFIELDS => $argv[2],
            CURLOPT_HTTPHEADER => ["Content-Type: application/json", "Authorization: Bearer k"]]);
        if (!strpos(curl_exec($c), "answers") || curl_getinfo($c, CURLINFO_EFFECTIVE_URL) !== $argv[1]) exit(1);' \
        -- "%%/$CHAT" "$JSON"
}

php_form() {
    needs "php -r 'exit(extension_loaded(\"curl\") ? 0 : 1);'" "php-cli php-curl"
    make_files
    # shellcheck disable=SC2016
    arrives "$AUDIO" timeout 10 "${PHP[@]}" -r '$c = curl_init($argv[1]);
        curl_setopt_array($c, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POSTFIELDS =>
            ["file" => new CURLFile("sound.mp3", "audio/mpeg", "a.mp3"), "model" => "gpt-4", "n" => "1"]]);
        if (!curl_exec($c) || curl_getinfo($c, CURLINFO_RESPONSE_CODE) !== 200) exit(1);' -- "%%/$AUDIO"
}

test_php_form_at_once() {
    OWN=3 php_form
}

test_php_form() {
    php_form
}

test_pycurl_chat() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    arrives "$CHAT" /usr/bin/python3 -c 'import io, pycurl, sys
body = io.BytesIO(sys.argv[2].encode())
c = pycurl.Curl()
c.setopt(pycurl.URL, sys.argv[1])
c.setopt(pycurl.POST, 1)
c.setopt(pycurl.READFUNCTION, body.read)
c.setopt(pycurl.POSTFIELDSIZE, len(body.getvalue()))
c.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json", "Authorization: Bearer k"])
assert b"answers" in c.perform_rb()' "%%/$CHAT" "$JSON"
}

test_pycurl_form() {
    needs "/usr/bin/python3 -c 'import pycurl'" python3-pycurl
    make_files
    arrives "$AUDIO" /usr/bin/python3 -c 'import pycurl, sys
c = pycurl.Curl()
c.setopt(pycurl.URL, sys.argv[1])
c.setopt(pycurl.HTTPPOST, [("model", "gpt-4"), ("file", (pycurl.FORM_FILE, "sound.mp3"))])
assert c.perform_rb() and c.getinfo(pycurl.RESPONSE_CODE) == 200' "%%/$AUDIO"
}

test_perl_chat() {
    needs "perl -MWWW::Curl -e 1" libwww-curl-perl
    # shellcheck disable=SC2016
    arrives "$CHAT" perl -MWWW::Curl::Easy -e 'my $c = WWW::Curl::Easy->new; my $got = "";
        $c->setopt(CURLOPT_URL, $ARGV[0]); $c->setopt(CURLOPT_POSTFIELDS, $ARGV[1]);
        $c->setopt(CURLOPT_HTTPHEADER, ["Content-Type: application/json", "Authorization: Bearer k"]);
        $c->setopt(CURLOPT_WRITEDATA, \$got);
        exit($c->perform == 0 && $got =~ /answers/ ? 0 : 1)' "%%/$CHAT" "$JSON"
}

test_perl_form() {
    needs "perl -MWWW::Curl -e 1" libwww-curl-perl
    make_files
    # shellcheck disable=SC2016
    arrives "$AUDIO" perl -MWWW::Curl::Easy -MWWW::Curl::Form -e 'my $c = WWW::Curl::Easy->new; my $got = "";
        my $form = WWW::Curl::Form->new; $form->formadd("model", "gpt-4");
        $form->formaddfile("sound.mp3", "file", "audio/mpeg");
        $c->setopt(CURLOPT_URL, $ARGV[0]); $c->setopt(CURLOPT_HTTPPOST, $form);
        $c->setopt(CURLOPT_WRITEDATA, \$got);
        exit($c->perform == 0 && $c->getinfo(CURLINFO_HTTP_CODE) == 200 ? 0 : 1)' "%%/$AUDIO"
}

run_tests
