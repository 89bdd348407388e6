/*
 * What the server of the transparency tests answers: a table of paths and raw HTTP.
 *
 * In a text, @HOST@ is the request's Host header, @OTHER@ the server's second port; \1 waits for
 * 20 ms, so that what follows comes as a piece of its own.
 */
#ifndef TESTS_TRANSPARENCY_ANSWERS_H
#define TESTS_TRANSPARENCY_ANSWERS_H

#include <stddef.h>

enum {
    CLOSE = 1 << 0,     /* end the connection after it */
    HANG = 1 << 1,      /* then say nothing more until the client goes */
    RESET = 1 << 2,     /* end the connection with a TCP reset */
    EARLY = 1 << 3,     /* before the request's body is read; then read it, no 100 Continue */
    UNREAD = 1 << 4,    /* the same, but the body is not read */
    PADDED = 1 << 5,    /* @PAD@ stands for 60 header lines of 1 KB */
    HUGE_LINE = 1 << 6, /* @PAD@ stands for 90 KB in one line */
    BULK = 1 << 7,      /* @PAD@ stands for 300 KB of body */
    GZIP = 1 << 8       /* @PAD@ stands for the pangram, compressed, of 63 bytes */
};

struct answer {
    const char *path;
    const char *when; /* a beginning of a header line; `text` is for requests with it */
    const char *otherwise;
    const char *text;
    int flags;
};

#define OK_BODY   "the quick brown fox jumps over the lazy dog\n"
#define LENGTH(n) "Content-Length: " #n "\r\n\r\n"
#define OK        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" LENGTH(44) OK_BODY
#define SMALL     LENGTH(5) "small"
#define ERROR(line)                                                                                \
    "HTTP/1.1 " line "\r\nContent-Type: application/json\r\n" LENGTH(17) "{\"error\": \"none\"}"
#define TO(line, to) "HTTP/1.1 " line "\r\nLocation: " to "\r\n" LENGTH(8) "go there"
#define ASK(line)    "HTTP/1.1 401 Unauthorized\r\n" line LENGTH(11) "who is it?\n"
#define BASIC        "WWW-Authenticate: Basic realm=\"here\"\r\n"
#define DIGEST       "WWW-Authenticate: Digest realm=\"here\", nonce=\"0123456789\"\r\n"
#define CHUNKS       "Transfer-Encoding: chunked\r\n\r\n"

static const struct answer answers[] = {
    {"/ok", NULL, NULL, OK, 0},
    {"/ok2", NULL, NULL, "HTTP/1.1 200 OK\r\nX-Page: 2\r\n" SMALL, 0},
    {"/headers", NULL, NULL,
     "HTTP/1.1 200 All  right \r\nServer:none\r\nX-Twice: 1\r\nx-twice:   2  \r\nX-Empty:\r\n"
     "X-Folded: one\r\n  two\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n"
     "ETag: \"abc\"\r\nContent-Disposition: attachment; filename=named.txt\r\n"
     "Content-Type: text/html; charset=utf-8\r\nRetry-After: 7\r\n" SMALL,
     0},
    {"/empty", NULL, NULL, "HTTP/1.1 200 OK\r\n" LENGTH(0), 0},
    {"/204", NULL, NULL, "HTTP/1.1 204 No Content\r\nX-Nothing: 1\r\n\r\n", 0},
    {"/205", NULL, NULL, "HTTP/1.1 205 Reset Content\r\n" LENGTH(0), 0},
    {"/304", NULL, NULL, "HTTP/1.1 304 Not Modified\r\nETag: \"abc\"\r\n\r\n", 0},
    {"/big", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 307200\r\n\r\n@PAD@", BULK},
    {"/drip", NULL, NULL, "HTTP/1.1 200 OK\r\n" LENGTH(6) "a\1b\1c\1d\1e\1f", 0},
    {"/drip-headers", NULL, NULL,
     "HTTP/1.1 2\1"
     "00 OK\r\1\nX-A: \1"
     "1\r\n\1" LENGTH(3) "\1"
                         "abc",
     0},

    {"/chunked", NULL, NULL,
     "HTTP/1.1 200 OK\r\n" CHUNKS "5\r\nfirst\r\n\1"
     "7;x=y\r\n, later\r\n0\r\n\r\n",
     0},
    {"/trailers", NULL, NULL,
     "HTTP/1.1 200 OK\r\nTrailer: X-After\r\n" CHUNKS
     "5\r\nfirst\r\n0\r\nX-After: 1\r\nX-B: 2\r\n\r\n",
     0},
    {"/cut-chunk", NULL, NULL, "HTTP/1.1 200 OK\r\n" CHUNKS "5\r\nfirst\r\n9\r\nhal", CLOSE},
    {"/bad-chunk", NULL, NULL, "HTTP/1.1 200 OK\r\n" CHUNKS "5\r\nfirst\r\nzz\r\n", CLOSE},
    {"/cut", NULL, NULL, "HTTP/1.1 200 OK\r\n" LENGTH(100) "short", CLOSE},
    {"/reset-body", NULL, NULL, "HTTP/1.1 200 OK\r\n" LENGTH(100) "short\1", RESET},
    {"/cut-headers", NULL, NULL, "HTTP/1.1 200 OK\r\nX-One: 1\r\nX-Tw", CLOSE},
    {"/cut-status", NULL, NULL, "HTTP/1.1 20", CLOSE},
    {"/reset-headers", NULL, NULL, "HTTP/1.1 200 OK\r\nX-One: 1\r\n\1", RESET},
    {"/nothing", NULL, NULL, "", CLOSE},
    {"/hang", NULL, NULL, "", HANG},
    {"/hang-headers", NULL, NULL, "HTTP/1.1 200 OK\r\nX-One: 1\r\n", HANG},
    {"/hang-body", NULL, NULL, "HTTP/1.1 200 OK\r\n" LENGTH(100) "short", HANG},
    {"/until-close", NULL, NULL, "HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\nas long as it lasts", CLOSE},
    {"/close", NULL, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\n" SMALL, CLOSE},
    {"/http10", NULL, NULL, "HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nas long as it lasts", CLOSE},
    {"/http10-keep", NULL, NULL, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" SMALL, 0},
    {"/http09", NULL, NULL, "no headers at all\n", CLOSE},
    {"/bare", NULL, NULL, "HTTP/1.1 200 OK\nX-One: 1\nContent-Length: 5\n\nsmall", 0},
    {"/no-headers", NULL, NULL, "HTTP/1.1 200 OK\r\n\r\nsmall", CLOSE},
    {"/no-reason", NULL, NULL, "HTTP/1.1 200\r\n" SMALL, 0},
    {"/garbage", NULL, NULL, "HTTP/1.1 abc def\r\n" SMALL, CLOSE},
    {"/version-7", NULL, NULL, "HTTP/7.3 200 OK\r\n" SMALL, CLOSE},
    {"/two-lengths", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" SMALL, CLOSE},
    {"/bad-length", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nsmall", CLOSE},
    {"/large-headers", NULL, NULL, "HTTP/1.1 200 OK\r\n@PAD@" SMALL, PADDED},
    {"/large-line", NULL, NULL, "HTTP/1.1 200 OK\r\nX-Large: @PAD@\r\n" SMALL, HUGE_LINE},
    {"/too-large-line", NULL, NULL, "HTTP/1.1 200 OK\r\nX-Large: @PAD@@PAD@\r\n" SMALL,
     HUGE_LINE | CLOSE},
    {"/large-redirect", NULL, NULL, "HTTP/1.1 302 Found\r\nLocation: /v1/ok\r\n@PAD@" SMALL,
     PADDED},

    {"/gzip", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" LENGTH(63) "@PAD@", GZIP},
    {"/gzip-bad", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" SMALL, 0},
    {"/encoding-unknown", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Encoding: lzma\r\n" SMALL, 0},

    {"/100", NULL, NULL, "HTTP/1.1 100 Continue\r\n\r\n" OK, 0},
    {"/103", NULL, NULL, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\1" OK, 0},
    {"/103-many", NULL, NULL,
     "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
     "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n\1" OK,
     0},
    {"/103-redirect", NULL, NULL,
     "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" TO("302 Found", "/v1/103"), 0},
    {"/103-cut", NULL, NULL, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\1", CLOSE},
    {"/101", NULL, NULL, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello", CLOSE},

    {"/400", NULL, NULL, ERROR("400 Bad Request"), 0},
    {"/401", NULL, NULL, ASK(BASIC), 0},
    {"/403", NULL, NULL, ERROR("403 Forbidden"), 0},
    {"/404", NULL, NULL, ERROR("404 Not Found"), 0},
    {"/416", NULL, NULL, ERROR("416 Range Not Satisfiable"), 0},
    {"/599", NULL, NULL, ERROR("599 Odd"), 0},
    {"/429", NULL, NULL, ERROR("429 Too Many Requests"), 0},
    {"/503", NULL, NULL, ERROR("503 Service Unavailable"), 0},
    {"/700", NULL, NULL, ERROR("700 Odd"), 0},

    {"/301", NULL, NULL, TO("301 Moved Permanently", "/v1/ok"), 0},
    {"/302", NULL, NULL, TO("302 Found", "ok2?from=302#fragment"), 0},
    {"/303", NULL, NULL, TO("303 See Other", "/v1/ok"), 0},
    {"/307", NULL, NULL, TO("307 Temporary Redirect", "/v1/ok"), 0},
    {"/308", NULL, NULL, TO("308 Permanent Redirect", "/v1/ok"), 0},
    {"/chain", NULL, NULL, TO("302 Found", "/v1/301"), 0},
    {"/loop", NULL, NULL, TO("302 Found", "/v1/loop"), 0},
    {"/absolute", NULL, NULL, TO("302 Found", "http://@HOST@/v1/ok"), 0},
    {"/outside", NULL, NULL, TO("302 Found", "/elsewhere/ok"), 0},
    {"/other", NULL, NULL, TO("302 Found", "http://127.0.0.1:@OTHER@/v1/ok"), 0},
    {"/to-ftp", NULL, NULL, TO("302 Found", "ftp://127.0.0.1:1/x"), 0},
    {"/to-nothing", NULL, NULL, TO("302 Found", "/v1/nothing"), 0},
    {"/to-404", NULL, NULL, TO("302 Found", "/v1/404"), 0},
    {"/to-401", NULL, NULL, TO("302 Found", "/v1/basic"), 0},
    {"/to-103", NULL, NULL, TO("302 Found", "/v1/103"), 0},
    {"/302-close", NULL, NULL,
     "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /v1/ok\r\n" SMALL, CLOSE},
    {"/302-chunked", NULL, NULL,
     "HTTP/1.1 302 Found\r\nLocation: /v1/ok\r\n" CHUNKS "5\r\nfirst\r\n0\r\n\r\n", 0},
    {"/302-empty", NULL, NULL, "HTTP/1.1 302 Found\r\nLocation: /v1/ok\r\n" LENGTH(0), 0},
    {"/no-location", NULL, NULL, "HTTP/1.1 302 Found\r\nX-Lost: 1\r\n" SMALL, 0},
    {"/no-location-empty", NULL, NULL, "HTTP/1.1 302 Found\r\nX-Lost: 1\r\n" LENGTH(0), 0},
    {"/no-location-cut", NULL, NULL, "HTTP/1.1 302 Found\r\nX-Lost: 1\r\n" LENGTH(100) "short",
     CLOSE},
    {"/300", NULL, NULL,
     "HTTP/1.1 300 Multiple Choices\r\n" CHUNKS "5\r\nfirst\r\n\1"
     "0\r\nX-After: 1\r\n\r\n",
     0},
    {"/302-hang", NULL, NULL, "HTTP/1.1 302 Found\r\nLocation: /v1/hang\r\n" SMALL, 0},

    {"/basic", "Authorization: Basic ", ASK(BASIC), OK, 0},
    {"/digest", "Authorization: Digest ", ASK(DIGEST), OK, 0},
    {"/both", "Authorization: Digest ", ASK(BASIC DIGEST), OK, 0},
    {"/auth-close", "Authorization: Basic ",
     "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n" BASIC LENGTH(0), OK, 0},
    {"/bearer", "Authorization: Bearer ", ASK("WWW-Authenticate: Bearer\r\n"), OK, 0},
    {"/proxied", "Proxy-Authorization: Basic ",
     "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
     "realm=\"there\"\r\n" SMALL,
     OK, 0},
    {"/range", "Range: bytes=4-8", OK,
     "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-8/44\r\n" LENGTH(5) "quick", 0},
    {"/resume", "Range: bytes=4-", OK,
     "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-43/44\r\n" LENGTH(
         40) "quick brown fox jumps over the lazy dog\n",
     0},
    {"/modified", "If-Modified-Since: ", OK, "HTTP/1.1 304 Not Modified\r\n\r\n", 0},

    {"/cookies", NULL, NULL,
     "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/v1\r\n"
     "Set-Cookie: c=3; Max-Age=0\r\n" SMALL,
     0},
    {"/cookie-redirect", NULL, NULL,
     "HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\nLocation: /v1/ok\r\n" LENGTH(0), 0},

    {"/refuses", "Expect: ", OK, "HTTP/1.1 417 Expectation Failed\r\n" SMALL, EARLY},
    {"/early-403", NULL, NULL, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" SMALL,
     UNREAD | CLOSE},
    {"/early-ok", NULL, NULL, OK, EARLY},
    {"/early-302", NULL, NULL, TO("302 Found", "/v1/ok"), EARLY},
};

#endif
