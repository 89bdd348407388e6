# shellcheck shell=bash disable=SC2034,SC2154  # a part of scripts/bench, whose names it uses
# The relay beside nginx and HAProxy as the proxies that people would use: each passes requests on to
# the same backend, in turns, alone on its CPU; the client (wrk) and the backend are on the other one.
#
#   added latency   p50 and p99 of wrk, less those of the same requests without a proxy in the same turn
#   requests per s  per second of CPU time that the proxy's process has used
#   memory          VmRSS of 1,000 connections that have had a request and wait, for each

RELAY_TURNS=${RELAY_TURNS:-9}
RELAY_SECONDS=${RELAY_SECONDS:-1}
RELAY_CONNECTIONS="1 16 64"

relay_settings() {
    local answer
    answer='{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
    answer+='"content":"an answer of a few words, with some more of them so that it has about the usual length"},'
    answer+='"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":8,"total_tokens":16}}'
    relay_nginx backend <<END
    server {
        listen unix:$WORK/free.socket;
        listen 127.0.0.1:$RELAY_backend backlog=4096;
        location / { default_type application/json; return 200 '$answer'; }
    }
END
    # as its documentation has it for upstreams that are kept and failed over
    relay_nginx nginx <<END
    upstream backends {
        server 127.0.0.1:$RELAY_backend;
        server 127.0.0.1:9 backup;
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:$RELAY_nginx backlog=4096;
        client_max_body_size 8m;
        location / {
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_next_upstream error timeout http_429 http_500 http_503 non_idempotent;
        }
    }
END
    cat >"$WORK/haproxy.cfg" <<END
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    http-reuse always
frontend front
    bind 127.0.0.1:$RELAY_haproxy
    default_backend back
backend back
    retry-on conn-failure 500 503
    server first 127.0.0.1:$RELAY_backend
    server second 127.0.0.1:9 backup
END
    cat >"$WORK/relay.yaml" <<END
state: {directory: $WORK/relay-state}
endpoints:
  - url: http://llm.internal/v1
    retry_on: [429, 5xx, connect]
    backends:
      - {name: first, priority: 1, url: "http://127.0.0.1:$RELAY_backend/v1"}
      - {name: second, priority: 2, url: "http://127.0.0.1:9/v1"}
END
    cat >"$WORK/wrk.lua" <<'END'
wrk.method = "POST"
wrk.body = '{"model":"gpt-4","messages":[{"role":"user","content":"' .. string.rep("word ", 200) .. '"}]}'
wrk.headers["Host"] = "llm.internal"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer 0123456789abcdef0123456789abcdef"
done = function(summary, latency)
  io.write(string.format("figures %d %d %d %d\n", latency:percentile(50), latency:percentile(99),
    summary.requests, summary.errors.status + summary.errors.read + summary.errors.timeout))
end
END
}

# relay_nginx NAME: stdin is what stands in http {}
relay_nginx() {
    cat >"$WORK/$1.conf" <<END
worker_processes 1;
daemon off;
pid $WORK/$1.pid;
error_log $WORK/$1.error;
events { worker_connections 8192; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_body_temp_path $WORK/$1.body;
    proxy_temp_path $WORK/$1.proxy;
    fastcgi_temp_path $WORK/$1.fastcgi;
    uwsgi_temp_path $WORK/$1.uwsgi;
    scgi_temp_path $WORK/$1.scgi;
$(cat)
}
END
}

# A free port each; that somebody else takes it meanwhile is seen when nothing listens there.
relay_ports() {
    read -r RELAY_backend RELAY_nginx RELAY_haproxy < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in sockets))')
}

relay_await() {
    local tries
    for ((tries = 0; tries < 250; tries++)); do
        (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.02
    done
    fail "nothing listens on port $1"
}

relay_start() {
    relay_ports
    relay_settings
    taskset -c "$RELAY_CLIENT_CPU" nginx -c "$WORK/backend.conf" &
    RELAY_PIDS=("$!")
    nginx -c "$WORK/nginx.conf" &
    RELAY_PIDS+=("$!")
    haproxy -f "$WORK/haproxy.cfg" >/dev/null 2>&1 &
    RELAY_PIDS+=("$!")
    RELAY_PID_haproxy=$!
    relay_await "$RELAY_backend"
    relay_await "$RELAY_nginx"
    relay_await "$RELAY_haproxy"
    RELAY_PID_nginx=$(pgrep -P "${RELAY_PIDS[1]}")
    env -u SPILLWAY_STATE_DIR build/spillway relay --foreground -c "$WORK/relay.yaml" >"$WORK/relay.said" &
    RELAY_PID_relay=$!
    RELAY_PIDS+=("$!")
    for ((tries = 0; tries < 250; tries++)); do
        [[ $(cat "$WORK/relay.said") =~ :([0-9]+)$ ]] && break
        sleep 0.02
    done
    RELAY_relay=${BASH_REMATCH[1]:-}
    [ -n "$RELAY_relay" ] || fail "the relay does not start"
}

# ticks PID: its CPU time in hundredths of a second
relay_ticks() {
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# relay_turn NAME CONNECTIONS: "p50 p99 requests ticks"
relay_turn() {
    local port=RELAY_$1 pid=RELAY_PID_$1 before=0 after=0 line
    [ -z "${!pid:-}" ] || before=$(relay_ticks "${!pid}")
    line=$(taskset -c "$RELAY_CLIENT_CPU" wrk -t1 -c"$2" -d"${RELAY_SECONDS}s" -s "$WORK/wrk.lua" \
        "http://127.0.0.1:${!port}/v1/chat/completions" | sed -n 's/^figures //p')
    [ -z "${!pid:-}" ] || after=$(relay_ticks "${!pid}")
    [[ $line == *" 0" ]] || fail "$1 with $2 connections: errors ($line)"
    echo "${line% *} $((after - before))"
}

# One line per turn of each: connections name p50 p99 requests ticks, and those of no proxy.
relay_measure() {
    local turn connections name
    for ((turn = 0; turn <= RELAY_TURNS; turn++)); do
        for connections in $RELAY_CONNECTIONS; do
            for name in backend nginx haproxy relay; do
                printf '%d %d %s ' "$turn" "$connections" "$name"
                relay_turn "$name" "$connections"
            done
        done
    done | awk '$1 > 0' >"$WORK/relay.turns" # the first one warms up
}

# Medians and quartiles of what was measured: a line per number of connections and proxy.
relay_table() {
    awk '
        function sorted(text, out,    n, i, j, t) {
            n = split(text, out, " ")
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && out[j] + 0 < out[j - 1] + 0; j--) {
                    t = out[j]; out[j] = out[j - 1]; out[j - 1] = t
                }
            return n
        }
        function quantile(text, q,    v, n) { n = sorted(text, v); return v[int(q * (n - 1) + 1.5)] }
        { key = $1 " " $2; p50[key " " $3] = $4; p99[key " " $3] = $5
          if ($3 != "backend" && $7 > 0) rate[$2 " " $3] = rate[$2 " " $3] " " $6 / ($7 / 100)
          connections[$2]; turns[$1] }
        END {
            for (c in connections)
                for (i = split("nginx haproxy relay", name, " "); i > 0; i--) {
                    a = b = r = ""
                    for (t in turns) {
                        base = t " " c " "
                        a = a " " p50[base name[i]] - p50[base "backend"]
                        b = b " " p99[base name[i]] - p99[base "backend"]
                        d = p50[base "nginx"] - p50[base "backend"]
                        if (d > 0) r = r " " (p50[base name[i]] - p50[base "backend"]) / d
                    }
                    printf "%d %s %d %d %d %.2f %.2f %.2f\n", c, name[i], quantile(a, .5),
                        quantile(b, .5), quantile(rate[c " " name[i]], .5), quantile(r, .5),
                        quantile(r, .25), quantile(r, .75)
                }
        }' "$WORK/relay.turns" | sort -k1n -k2
}

# relay_idle NAME: bytes per idle connection
relay_idle() {
    local port=RELAY_$1 pid=RELAY_PID_$1
    python3 tests/bench/idle.py "${!port}" "${!pid}" 1000
}

bench_relay() {
    local c name p50 p99 rate ratio low high memory=()
    RELAY_CLIENT_CPU=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/1/status)
    if [ "$RELAY_CLIENT_CPU" = "$cpu" ]; then
        note "one CPU: client, backend and proxy share it"
    fi
    relay_start
    for name in nginx haproxy relay; do # before there is memory left from anything else
        memory+=("$(relay_idle "$name")")
    done
    relay_measure
    while read -r c name p50 p99 rate ratio low high; do
        row "$name, $c connection(s): added p50, p99" "$p50 us" "$p99 us" "x$ratio of nginx [$low-$high]" \
            "$([ "$name" = relay ] && echo "<= nginx")" "$([ "$name" != relay ] || verdict "$ratio" 1)"
        row "    requests per second of its CPU" - "$rate" - "" ""
    done < <(relay_table)
    for name in nginx haproxy relay; do
        row "$name: memory of an idle connection" - "${memory[0]} B" - "" ""
        memory=("${memory[@]:1}")
    done
    kill "${RELAY_PIDS[@]}" 2>/dev/null || true
    wait "${RELAY_PIDS[@]}" 2>/dev/null || true
    RELAY_PIDS=()
}
