#!/usr/bin/env python3
"""idle.py PORT PID COUNT: the memory, in bytes, that COUNT connections to PORT that have had a request
and wait for another one cost the process PID, for each of them."""
import socket
import sys

REQUEST = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: llm.internal\r\nContent-Type: application/json\r\n"
           b"Content-Length: 16\r\n\r\n" + b'{"model":"gpt4"}')


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise SystemExit(f"no memory of {pid}")


def ask(connection):
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise SystemExit(f"answered with {answer[:100]!r}")


def main():
    port, pid, count = map(int, sys.argv[1:4])
    with socket.create_connection(("127.0.0.1", port), 10) as first:
        ask(first)
        before = resident(pid)
        connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
        for connection in connections:
            ask(connection)
        print((resident(pid) - before) // count)


main()
