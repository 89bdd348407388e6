# shellcheck shell=bash
# What more than one test file does with curl. Read it after lib.sh.

# each_setting COMMAND...: runs it with the settings of curl that could lead a detour, or curl itself,
# astray: what spares the backends goes to a socket of this machine.
each_setting() {
    local options
    set -f # an asterisk is no file
    while read -r options; do
        # shellcheck disable=SC2086  # several words
        "$@" $options
    done <<'END'
-x http://127.0.0.1:9
-x https://127.0.0.1:9
--proxytunnel -x http://127.0.0.1:9
--socks5 127.0.0.1:9
--socks5-hostname user:pass@127.0.0.1:9
--preproxy socks4://127.0.0.1:9
--preproxy socks4://127.0.0.1:9 -x http://127.0.0.1:9
-x http://127.0.0.1:9 --noproxy *
--interface lo
--interface 127.0.0.1
--interface no-such-interface
--local-port 40100-40400
--tcp-fastopen
--http2-prior-knowledge
--http2
--http1.0
--http0.9
--http1.1
-4
--resolve llm.test:80:127.0.0.1
--haproxy-protocol
--compressed
--tr-encoding
--raw
-u user:pass
-u user:pass --digest
-u user:pass --anyauth
--oauth2-bearer token
-L
--max-time 9
--connect-timeout 3
-r 0-5
--no-keepalive
--limit-rate 100000
-Y 1 -y 3
--ignore-content-length
--path-as-is
-b a=b -c jar
-z 2020-01-01
--alt-svc services
--hsts transports
-X DELETE
-X PUT -d x
-G -d a=b
-d {}
-d {} -H Expect:
-d {} -H Expect:100-continue
-T settings.yaml
-F file=@settings.yaml
-H Host:other.test
-H Connection:close
-e http://referer.test
--max-filesize 100000
-N
END
}
