#!/usr/bin/env bash
# https through the relay: the user's authority, what it is good for, and who trusts it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SECURE=https://api.llm.test/v1
CA=.config/spillway/ca

# settings [LINE AT THE TOP]: a first tier that throttles, and one that answers
settings() {
    write_settings <<END
${1-relay: {tls: on\}}
endpoints:
  - name: llm
    urls: [$SECURE, $LOGICAL/v1]
    backends:
      - {name: first, url: $URL_first/v1, priority: 1}
      - {name: second, url: $URL_second/v1, priority: 2}
END
}

start_both() {
    start_mock first --status 429:retry-after=60
    start_mock second --tokens 3
    settings "$@"
}

# Starts a relay; sets TLS to its port for https.
start_relay() {
    assert_status 0 "$SPILLWAY" relay -c settings.yaml --idle 20s
    TLS=$(sed -n 's/.* tls=\([0-9]*\)$/\1/p' state/relay-*)
}

# ask HOST CURL_OPTION...: https to HOST at the relay's port, by a curl that trusts the authority
ask() {
    curl -sS --cacert "$CA/ca.pem" --connect-to "$1:443:127.0.0.1:$TLS" "${@:2}"
}

test_an_authority_is_made_once() {
    start_both
    assert_status 0 "$SPILLWAY" ca -c settings.yaml
    assert_match "^Made the certificate $T/$CA/ca.pem" "$(cat out)"
    assert_match "
  api.llm.test
" "$(cat out)"
    assert_no_match "  llm.test" "$(cat out)" "hosts"
    assert_equal "700 600 600" "$(stat -c %a "$CA" "$CA/ca.key" "$CA/ca.pem" | xargs)" modes
    cp "$CA/ca.pem" first.pem
    assert_status 0 "$SPILLWAY" ca -c settings.yaml
    assert_match "^The certificate is there" "$(cat out)"
    cmp -s first.pem "$CA/ca.pem" || fail "it was made again"
    assert_status 0 "$SPILLWAY" ca -c settings.yaml --force
    ! cmp -s first.pem "$CA/ca.pem" || fail "it was not made again"
    sed -i 's/api\.llm/new.llm/' settings.yaml
    cp "$CA/ca.pem" first.pem
    assert_status 0 "$SPILLWAY" ca -c settings.yaml
    assert_match "^Made" "$(cat out)" "for a new host"
    assert_match "Permitted:[[:space:]]*DNS:new.llm.test" "$(openssl x509 -in "$CA/ca.pem" -noout -text)"
}

test_what_is_wrong_is_said() {
    start_both
    assert_status 2 "$SPILLWAY" ca --farce
    assert_status 2 "$SPILLWAY" ca -c settings.yaml more
    assert_status 1 "$SPILLWAY" ca -c none.yaml
    assert_status 1 env -u HOME "$SPILLWAY" ca -c settings.yaml
    assert_match "HOME" "$(cat err)"
    sed -i 's/https:/http:/' settings.yaml
    assert_status 1 "$SPILLWAY" ca -c settings.yaml
    assert_match "no endpoint .* https" "$(cat err)"
    settings "# by default"
    assert_status 0 "$SPILLWAY" ca -c settings.yaml
    assert_match "not in use" "$(cat out)"
}

test_run_needs_it() {
    start_both
    assert_status 0 "$SPILLWAY" check -c settings.yaml
    assert_match "settings.yaml: warning: spillway run refuses it: .*spillway ca" "$(cat err)"
    assert_status 2 spill true
    assert_match "^spillway: run: .*'spillway ca' makes" "$(cat err)"
    assert_status 0 "$SPILLWAY" ca -c settings.yaml
    assert_status 0 spill true
    assert_equal "" "$(cat err)"
    chmod 644 "$CA/ca.key"
    assert_status 2 spill true
    assert_match "alone" "$(cat err)"
}

test_the_program_alone_trusts_it() {
    local name
    start_both
    "$SPILLWAY" ca -c settings.yaml >/dev/null
    printf 'own\n' >own.pem
    assert_status 0 env -u SSL_CERT_FILE -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS="$T/own.pem" \
        "$SPILLWAY" run -c settings.yaml -- env
    for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE; do
        sed -n "s/^$name=//p" out >"$name"
        grep -qxF "$(sed -n 2p "$CA/ca.pem")" "$(cat "$name")" || fail "$name has not the authority"
    done
    assert_equal own "$(head -1 "$(cat NODE_EXTRA_CA_CERTS)")" "what the program trusts anyway"
    [ "$(grep -c BEGIN "$(cat SSL_CERT_FILE)")" -gt 10 ] || fail "the system's certificates are not in it"
    settings "# by default"
    assert_status 0 env -u NODE_EXTRA_CA_CERTS "$SPILLWAY" run -c settings.yaml -- env
    assert_no_match "spillway/ca" "$(cat out)" "the variables without it"
}

test_requests_get_the_pool() {
    local status
    start_both
    "$SPILLWAY" ca -c settings.yaml >/dev/null
    start_relay
    status=$(ask api.llm.test -o body -w '%{http_code}' "$SECURE/chat/completions" -d '{"model":"m"}')
    assert_equal 200 "$status"
    assert_equal "1 1" "$(requests first) $(requests second)" "requests at first and second"
    ask api.llm.test -N -o body "$SECURE/chat/completions" -d '{"model":"m","stream":true}'
    assert_match 'data: \[DONE\]' "$(cat body)"
    assert_equal "1 2" "$(requests first) $(requests second)" "requests at first and second"
    assert_equal api.llm.test "$(openssl s_client -connect "127.0.0.1:$TLS" -servername api.llm.test </dev/null 2>/dev/null |
        openssl x509 -noout -ext subjectAltName | sed -n 's/.*DNS://p')" "the host of the certificate"
}

test_nobody_is_fooled() {
    start_both
    "$SPILLWAY" ca -c settings.yaml >/dev/null
    start_relay
    # by who doesn't trust the authority, for another host, and by plain http at that port
    assert_status 60 curl -sS --connect-to "api.llm.test:443:127.0.0.1:$TLS" "$SECURE/models"
    assert_status 35 ask llm.test https://llm.test/v1/models
    assert_status 35 ask example.org https://example.org/v1/models
    ! curl -sS -o body "http://127.0.0.1:$TLS/v1/models" 2>/dev/null || fail "an answer to plain http"
    assert_equal "0 0" "$(requests first) $(requests second)" "requests at first and second"
}

test_without_it_there_is_no_such_port() {
    start_both "# by default"
    start_relay
    assert_equal 0 "$TLS"
}

run_tests
