#!/usr/bin/env python3
"""relay_load.py PORT SECONDS THREADS SEED: mixed load for a relay, by clients that know nothing of it.

Each thread makes one request after the other, of a kind chosen at random: small ones, streams, uploads
of known and unknown length, readers that are slow, clients that hang up at any moment, connections that
are kept and others that are not. Prints a line of JSON: how many of each kind ended how. What is an error
is for the caller to say: with backends that cut streams some answers have to end early."""
import collections
import json
import random
import socket
import sys
import threading
import time

HOST = "llm.test"
results = collections.Counter()
lock = threading.Lock()


class Broken(Exception):
    """The connection ended before the response did."""


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, method, path, fields="", body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"
        self.socket.sendall(head.encode() + body)

    def line(self):
        line = self.file.readline(65536)
        if not line.endswith(b"\n"):
            raise Broken("a line")
        return line.rstrip()

    def read(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise Broken("a body")
        return data

    def head(self):
        status, fields = int(self.line().split()[1]), {}
        while True:
            line = self.line()
            if not line:
                return status, fields
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()

    def pieces(self, fields):
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            while True:
                size = int(self.line(), 16)
                if size:
                    yield self.read(size)
                self.line()
                if not size:
                    return
        left = int(fields.get(b"content-length", b"0"))
        while left:
            piece = self.read(min(left, 4096))
            left -= len(piece)
            yield piece

    def answer(self, pause=0.0, most=None):
        status, fields = self.head()
        for count, _ in enumerate(self.pieces(fields)):
            if most is not None and count >= most:
                return status, False
            if pause:
                time.sleep(pause)
        return status, fields.get(b"connection", b"").lower() != b"close"


CHAT = "/v1/chat/completions"
JSON = "Content-Type: application/json\r\n"


def length(body):
    return f"Content-Length: {len(body)}\r\n"


def small(connection, chance):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * chance.randrange(3000)}]})
    connection.send("POST", CHAT, JSON + length(body), body.encode())
    return connection.answer()


def get(connection, chance):
    connection.send(chance.choice(["GET", "DELETE"]), "/v1/models")
    return connection.answer()


def stream(connection, _):
    body = b'{"model":"m","stream":true}'
    connection.send("POST", CHAT, JSON + length(body), body)
    return connection.answer()


def upload(connection, chance):
    body = b"x" * chance.randrange(200000, 1500000)
    connection.send("POST", "/v1/files", length(body), body)
    return connection.answer()


def chunked(connection, chance):
    connection.send("POST", "/v1/files", "Transfer-Encoding: chunked\r\n")
    for _ in range(chance.randrange(1, 30)):
        piece = b"y" * chance.randrange(1, 40000)
        connection.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.socket.sendall(b"0\r\n\r\n")
    return connection.answer()


def slow(connection, _):
    body = b'{"model":"m","n":1}'
    connection.send("POST", CHAT, JSON + length(body), body)
    return connection.answer(pause=0.02)


def hang_up(connection, chance):
    kind = chance.randrange(4)
    body = b'{"model":"m","stream":true}'
    if kind == 0:
        connection.send("POST", CHAT, JSON + "Content-Length: 500000\r\n", b"z" * 1000)
    else:
        connection.send("POST", CHAT, JSON + length(body), body)
    if kind == 2:
        time.sleep(chance.random() / 20)
    if kind == 3:
        connection.answer(most=chance.randrange(3))
    return 0, False


KINDS = [(small, 30), (get, 15), (stream, 15), (upload, 6), (chunked, 6), (slow, 6), (hang_up, 22)]


def count(kind, what):
    with lock:
        results[f"{kind} {what}"] += 1


def work(port, end, seed):
    chance = random.Random(seed)
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    connection = None
    while time.monotonic() < end:
        kind = chance.choice(kinds)
        keep = False
        try:
            connection = connection or Connection(port)
            status, keep = kind(connection, chance)
            count(kind.__name__, status)
        except (Broken, OSError, ValueError, IndexError) as error:
            count(kind.__name__, type(error).__name__)
        if connection and (not keep or chance.random() < 0.1):
            connection.close()
            connection = None
    if connection:
        connection.close()


def main():
    port, seconds, threads, seed = (int(word) for word in sys.argv[1:5])
    end = time.monotonic() + seconds
    crew = [threading.Thread(target=work, args=(port, end, seed + i)) for i in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps(results, sort_keys=True))


main()
