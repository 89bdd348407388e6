"""fetch.py MODE URL: pycurl as programs use it. MODE: get, post, upload, multi."""
import io
import sys

import pycurl


class Fetch:
    """A transfer that prints the header lines it gets and keeps the body."""

    def __init__(self, url):
        self.body = io.BytesIO()
        self.lines = []
        self.curl = pycurl.Curl()
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.WRITEFUNCTION, self.body.write)
        self.curl.setopt(pycurl.HEADERFUNCTION, self.lines.append)

    def show(self):
        for line in self.lines:
            print("header", line.decode("latin-1").strip())
        print("body", self.body.getvalue().decode())
        print("code", self.curl.getinfo(pycurl.RESPONSE_CODE),
              self.curl.getinfo(pycurl.REDIRECT_COUNT))
        self.curl.close()


def run_multi(url):
    multi = pycurl.CurlMulti()
    fetches = [Fetch(f"{url}?{i}") for i in range(8)]
    for fetch in fetches:
        multi.add_handle(fetch.curl)
    running = len(fetches)
    while running:
        result, running = multi.perform()
        while result == pycurl.E_CALL_MULTI_PERFORM:
            result, running = multi.perform()
        if running:
            multi.select(1.0)
    left, done, failed = multi.info_read()
    print("done", len(done), "failed", len(failed), "left", left)
    for fetch in fetches:
        multi.remove_handle(fetch.curl)
        fetch.show()
    multi.close()


def main(mode, url):
    if mode == "multi":
        run_multi(url)
        return
    fetch = Fetch(url)
    if mode == "post":
        fetch.curl.setopt(pycurl.POSTFIELDS, '{"model": "gpt-4"}')
        fetch.curl.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json"])
    elif mode == "upload":
        body = io.BytesIO(b'{"model": "gpt-4"}')
        fetch.curl.setopt(pycurl.POST, 1)
        fetch.curl.setopt(pycurl.POSTFIELDSIZE, 18)
        fetch.curl.setopt(pycurl.READFUNCTION, body.read)
    fetch.curl.perform()
    fetch.show()


main(sys.argv[1], sys.argv[2])
