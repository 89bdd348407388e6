#!/usr/bin/env bash
# Clients without libcurl through the sockets and the relay: those of wget, Java, Perl and Ruby; and
# a program that can't be preloaded, by a port of the relay's own. Node's and Python's are in files
# of their own.
# shellcheck disable=SC2031  # what in_test sets is for its own subshell
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"

test_wget() {
    needs "wget --version" wget
    CLIENT=(bash "$CLIENTS/client.sh")
    is_served
}

# Built with GnuTLS it takes no variable, so that it has to be told.
test_wget_by_https() {
    needs "wget --version" wget
    CLIENT=(bash "$CLIENTS/client.sh")
    is_served_securely
}

java_client() {
    needs "javac -version" "a JDK"
    [ -e "$WORK/java/Client.class" ] || javac -encoding UTF-8 -d "$WORK/java" "$CLIENTS/Client.java" ||
        fail "it does not compile"
    CLIENT=(java -XX:TieredStopAtLevel=1 -Xshare:auto -cp "$WORK/java" Client "$1")
}

test_java_client() {
    java_client client
    is_served
}

test_java_connection() {
    java_client connection
    is_served
}

# Java has a trust store of its own, in another form, and takes no variable: it has to be told.
java_trusts() {
    needs "keytool -help" keytool
    write_settings <<END
relay: {tls: on}
endpoints: [{url: "$SECURE/v1", backends: [{name: any, url: "http://127.0.0.1:9"}]}]
END
    "$SPILLWAY" ca -c settings.yaml >/dev/null || fail "no authority"
    keytool -importcert -noprompt -alias spillway -file .config/spillway/ca/ca.pem -keystore trust.p12 \
        -storetype PKCS12 -storepass any-pass >keytool.out 2>&1 || fail "$(<keytool.out)"
    CLIENT=("${CLIENT[0]}" -Djavax.net.ssl.trustStore="$T/trust.p12" -Djavax.net.ssl.trustStorePassword=any-pass
        "${CLIENT[@]:1}")
}

test_java_client_by_https() {
    java_client client
    java_trusts
    is_served_securely
}

test_java_connection_by_https() {
    java_client connection
    java_trusts
    is_served_securely
}

test_perl() {
    needs "perl -MHTTP::Tiny -MJSON::PP -e 1" perl
    CLIENT=(perl "$CLIENTS/client.pl")
    is_served
}

test_perl_by_https() {
    needs "perl -MHTTP::Tiny -MJSON::PP -MIO::Socket::SSL -MNet::SSLeay -e 1" libio-socket-ssl-perl
    CLIENT=(perl "$CLIENTS/client.pl")
    is_served_securely
}

test_ruby() {
    needs "ruby -rjson -rnet/http -e 1" ruby
    CLIENT=(ruby "$CLIENTS/client.rb")
    is_served
}

test_ruby_by_https() {
    needs "ruby -rjson -rnet/https -e 1" ruby
    CLIENT=(ruby "$CLIENTS/client.rb")
    is_served_securely
}

# A program that can't be preloaded: its URL is set to the relay.
test_static_program() {
    local pipe line
    mkfifo relay.pipe
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -static -o alone "$CLIENTS/alone.c" 2>compile.err ||
        skip "not linked statically: $(tail -1 compile.err)"
    tiers
    export RELAY_TOKEN=sesame
    exec {pipe}<>relay.pipe
    "$SPILLWAY" relay --foreground -c settings.yaml --listen 127.0.0.1:0 --token-env RELAY_TOKEN \
        >relay.pipe 2>relay.err &
    read -r -t 20 -u "$pipe" line || fail "no relay: $(<relay.err)"
    for _ in 1 2 3; do
        assert_status 0 spill ./alone "${line##* }" sesame
        assert_match '^HTTP/1.1 200 .*"object":"chat.completion"' "$(<out)"
    done
    assert_equal "1 3 null" "$(requests first) $(requests second) $(jq -r .key_hash second.log | sort -u)" \
        "requests at first and second, and the token there"
    assert_status 0 ./alone "${line##* }" sesam
    assert_match '^HTTP/1.1 401 ' "$(<out)"
}

run_tests
