"""client.py LIBRARY MODE URL: a program as people write it with a client of Python.

LIBRARY: urllib; asyncio, by its streams; requests; httpx; httpx-async; ctypes, by libcurl, whose
         functions it looks up itself
URL: up to and with /v1
MODE: ask     the models and a chat; each status and body
      stream  a chat as it is made: for each event how late it is here, in seconds
      again   a chat; after a 429 once more, when Retry-After says so
"""
import asyncio
import ctypes
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HEADERS = {"Authorization": "Bearer programs-own", "Content-Type": "application/json"}
QUESTION = {"model": "gpt-4", "messages": [{"role": "user", "content": "h\u00e9llo"}]}

# Each of these sends a request, gives ON_DATA the body as it comes, and returns the status and
# Retry-After.


def by_urllib(method, url, body, on_data):
    request = urllib.request.Request(url, body, HEADERS, method=method)
    try:
        response = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        while chunk := response.read1(65536):
            on_data(chunk)
        return response.status, response.headers.get("Retry-After")


async def talk(reader, writer, head, body, on_data):
    writer.write(head.encode() + b"\r\n" + (body or b""))
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            on_data(await reader.readexactly(size))
            await reader.readline()
    else:
        on_data(await reader.readexactly(int(fields["content-length"])))
    writer.close()
    await writer.wait_closed()
    return int(lines[0].split()[1]), fields.get("retry-after")


async def connect_and_talk(method, url, body, on_data):
    parts = urllib.parse.urlsplit(url)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=secure)
    fields = {"Host": parts.netloc, **HEADERS}
    if body:
        fields["Content-Length"] = len(body)
    head = f"{method} {parts.path} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items())
    return await talk(reader, writer, head, body, on_data)


def by_asyncio(*what):
    return asyncio.run(asyncio.wait_for(connect_and_talk(*what), 20))


def by_requests(method, url, body, on_data):
    import requests
    with requests.request(method, url, data=body, headers=HEADERS, stream=True, timeout=20) as response:
        for chunk in response.iter_content(None):
            on_data(chunk)
        return response.status_code, response.headers.get("Retry-After")


def by_httpx(method, url, body, on_data):
    import httpx
    with httpx.stream(method, url, content=body, headers=HEADERS, timeout=20) as response:
        for chunk in response.iter_bytes():
            on_data(chunk)
        return response.status_code, response.headers.get("Retry-After")


async def stream_httpx(method, url, body, on_data):
    import httpx
    async with httpx.AsyncClient(timeout=20) as client:
        async with client.stream(method, url, content=body, headers=HEADERS) as response:
            async for chunk in response.aiter_bytes():
                on_data(chunk)
            return response.status_code, response.headers.get("Retry-After")


def by_httpx_async(*what):
    return asyncio.run(stream_httpx(*what))


# As bindings by a foreign function interface do it.
URL, WRITEFUNCTION, HTTPHEADER, CUSTOMREQUEST, CAINFO, HEADERFUNCTION, COPYPOSTFIELDS = (
    10002, 20011, 10023, 10036, 10065, 20079, 10165)
RESPONSE_CODE = 0x200002
SINK = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t,
                        ctypes.c_size_t, ctypes.c_void_p)


def sink(take):
    def receive(data, size, count, _):
        take(data[:size * count])
        return size * count
    return SINK(receive)


def by_ctypes(method, url, body, on_data):
    curl = ctypes.CDLL("libcurl.so.4")
    curl.curl_easy_init.restype = curl.curl_slist_append.restype = ctypes.c_void_p
    easy, fields, list_, status = ctypes.c_void_p(curl.curl_easy_init()), {}, None, ctypes.c_long()
    for name, value in HEADERS.items():
        list_ = ctypes.c_void_p(curl.curl_slist_append(list_, f"{name}: {value}".encode()))
    on_field = sink(lambda line: fields.update([line.decode().strip().lower().partition(": ")[::2]]))
    on_body = sink(on_data)
    for option, value in ((URL, url.encode()), (CUSTOMREQUEST, method.encode()),
                          (COPYPOSTFIELDS, body), (HTTPHEADER, list_), (WRITEFUNCTION, on_body),
                          (HEADERFUNCTION, on_field), (CAINFO, os.environ.get("CAINFO", "").encode())):
        if value:
            curl.curl_easy_setopt(easy, option, value)
    error = curl.curl_easy_perform(easy)
    curl.curl_easy_getinfo(easy, RESPONSE_CODE, ctypes.byref(status))
    curl.curl_easy_cleanup(easy)
    curl.curl_slist_free_all(list_)
    if error:
        sys.exit(f"libcurl: error {error}")
    return status.value, fields.get("retry-after")


SEND = {"urllib": by_urllib, "asyncio": by_asyncio, "requests": by_requests, "httpx": by_httpx,
        "httpx-async": by_httpx_async, "ctypes": by_ctypes}


class Program:
    def __init__(self, library, url):
        self.send = SEND[library]
        self.url = url

    def fetch(self, method, path, question=None):
        chunks = []
        body = json.dumps(question).encode() if question else None
        status, retry_after = self.send(method, self.url + path, body, chunks.append)
        return status, retry_after, b"".join(chunks).decode()

    def chat(self):
        return self.fetch("POST", "/chat/completions", QUESTION)

    def ask(self):
        for status, _, body in (self.fetch("GET", "/models"), self.chat()):
            print(status, body)

    def stream(self):
        rest = b""

        def take(chunk):
            nonlocal rest
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: {"):
                    sent = json.loads(line[6:])["spillway_mock"]["sent"]
                    print("late", time.time() - sent)
        question = json.dumps({**QUESTION, "stream": True}).encode()
        print(self.send("POST", self.url + "/chat/completions", question, take)[0])

    def again(self):
        status, retry_after, body = self.chat()
        if status == 429:
            print(429, retry_after, json.loads(body)["error"]["type"])
            time.sleep(int(retry_after))
            status, _, body = self.chat()
        print(status, json.loads(body)["object"])


getattr(Program(sys.argv[1], sys.argv[3]), sys.argv[2])()
