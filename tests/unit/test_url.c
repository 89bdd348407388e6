/*
 * URLs: what is taken apart, what is refused, and that libcurl sees the same parts in all that
 * is accepted.
 */
#include <criterion/criterion.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/url.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool slice_is(struct slice slice, const char *text) {
    return slice.length == strlen(text) && memcmp(slice.text, text, slice.length) == 0;
}

static char *copy_of(struct slice slice) {
    char *text = strndup(slice.length ? slice.text : "", slice.length);
    cr_assert_not_null(text);
    return text;
}

#define EXPECT_SLICE(slice, expected, text)                                                        \
    cr_expect(slice_is(slice, expected), "%s: '%.*s' is not '%s'", text, (int)(slice).length,      \
              (slice).text, expected)

Test(url, takes_apart) {
    static const struct {
        const char *text;
        bool https;
        const char *userinfo, *host;
        uint16_t port;
        const char *path, *query;
    } cases[] = {
        {"https://api.openai.com/v1", true, NULL, "api.openai.com", 443, "/v1", ""},
        {"HTTPS://API.OpenAI.com", true, NULL, "API.OpenAI.com", 443, "", ""},
        {"hTTp://h:8080/a?b=c", false, NULL, "h", 8080, "/a", "?b=c"},
        {"http://h:/a", false, NULL, "h", 80, "/a", ""},
        {"https://h:00443", true, NULL, "h", 443, "", ""},
        {"https://h:65535/", true, NULL, "h", 65535, "/", ""},
        {"http://u:p@h/", false, "u:p", "h", 80, "/", ""},
        {"http://u@h:1", false, "u", "h", 1, "", ""},
        {"http://@h/", false, "", "h", 80, "/", ""},
        {"http://[::1]:8080/x", false, NULL, "[::1]", 8080, "/x", ""},
        {"https://[fe80::A]", true, NULL, "[fe80::A]", 443, "", ""},
        {"http://[::1]/a:b@c", false, NULL, "[::1]", 80, "/a:b@c", ""},
        {"http://h?q", false, NULL, "h", 80, "", "?q"},
        {"http://h?q/r?s@t", false, NULL, "h", 80, "", "?q/r?s@t"},
        {"http://h#f", false, NULL, "h", 80, "", ""},
        {"http://h/p#f?g", false, NULL, "h", 80, "/p", ""},
        {"http://h/p?q#f g\n", false, NULL, "h", 80, "/p", "?q"},
        {"http://h/?", false, NULL, "h", 80, "/", "?"},
        {"h/v1", false, NULL, "h", 80, "/v1", ""},
        {"h:8080/v1", false, NULL, "h", 8080, "/v1", ""},
        {"u:p@h/v1", false, "u:p", "h", 80, "/v1", ""},
        {"h/http://x", false, NULL, "h", 80, "/http://x", ""},
        {"h?http://x", false, NULL, "h", 80, "", "?http://x"},
        {"http://h//a//b", false, NULL, "h", 80, "//a//b", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url url;
        const char *text = cases[i].text;
        errno = EXDEV;
        cr_assert(url_parse(text, false, &url), "%s", text);
        cr_expect_eq(errno, EXDEV);
        cr_expect_eq(url.https, cases[i].https, "%s", text);
        cr_expect_eq(url.port, cases[i].port, "%s: port %u", text, url.port);
        cr_expect_eq(url.userinfo.text != NULL, cases[i].userinfo != NULL, "%s", text);
        if (cases[i].userinfo)
            EXPECT_SLICE(url.userinfo, cases[i].userinfo, text);
        EXPECT_SLICE(url.host, cases[i].host, text);
        EXPECT_SLICE(url.path, cases[i].path, text);
        EXPECT_SLICE(url.query, cases[i].query, text);
    }
}

Test(url, missing_scheme_is_the_default) {
    struct url url;
    cr_assert(url_parse("h/v1", true, &url));
    cr_expect(url.https);
    cr_expect_eq(url.port, 443);
    cr_assert(url_parse("http://h/v1", true, &url));
    cr_expect_not(url.https);
}

Test(url, refuses) {
    static const char *const cases[] = {
        "",
        "/",
        "//h/",
        "http://",
        "https:///v1",
        "http://:80/",
        "http://?q",
        "http://#f",
        "ftp://h/",
        "ws://h/",
        "wss://h",
        "file:///etc",
        "httpx://h",
        "htt://h",
        "https+x://h",
        "http://h:0/",
        "http://h:65536/",
        "http://h:4294967376/",
        "http://h:-1/",
        "http://h:80a/",
        "http://h:8 0/",
        "http://h:80:80/",
        "http://[::1/",
        "http://[::1]80/",
        "http://[::1]a",
        "http://[",
        "http://u@/",
        "http://a@b@h/",
        "http://h@i:1@j/",
        "http://h%2e/",
        "http://%68/",
        "http://[fe80::1%25eth0]/",
        "http://h\\i/",
        "http://h/\\..\\v1",
        "http://h/a b",
        "http://h/\t",
        "http://h/a\r\nX: y",
        "http:// h/",
        " http://h/",
        "http://h/\x7f",
        "http://h?\x01",
        "http://h\x1f/",
        "http://u p@h/",
        "http://h/?a b",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url url;
        cr_expect_not(url_parse(cases[i], false, &url), "accepted: '%s'", cases[i]);
    }
}

Test(url, removes_dot_segments) {
    static const char *const cases[][2] = {
        {"", ""},
        {"/", "/"},
        {"/a", "/a"},
        {"/.", "/"},
        {"/..", "/"},
        {"/../", "/"},
        {"/a/..", "/"},
        {"/a/.", "/a/"},
        {"/a/../", "/"},
        {"/a/./b", "/a/b"},
        {"/a/../../b", "/b"},
        {"/a/b/c/./../../g", "/a/g"},
        {"/mid/content=5/../6", "/mid/6"},
        {"/%2e", "/"},
        {"/%2E%2e/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/a/%2e./b", "/b"},
        {"/v1/%2e%2e/%2E%2E/x", "/x"},
        {"/...", "/..."},
        {"/a/.../b", "/a/.../b"},
        {"/.a/..b/c.", "/.a/..b/c."},
        {"/a//../b", "/a/b"},
        {"//..", "/"},
        {"/a//b", "/a//b"},
        {"/%2", "/%2"},
        {"/%2f..", "/%2f.."},
        {"/a/%2e%2e%2e", "/a/%2e%2e%2e"},
        {"/..%2f", "/..%2f"},
        {"/a/..;/b", "/a/..;/b"},
        {"/a/b/../", "/a/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t length = strlen(cases[i][0]);
        char *path = malloc(length ? length : 1); /* no byte more: ASan sees what is beyond */
        char *out = malloc(length + 1);
        memcpy(path, cases[i][0], length);
        size_t used = url_remove_dots((struct slice){path, length}, out);
        cr_expect_str_eq(out, cases[i][1], "%s: %s", cases[i][0], out);
        cr_expect_eq(used, strlen(out));
        cr_expect_eq(url_has_dots((struct slice){path, length}),
                     strcmp(cases[i][0], cases[i][1]) != 0, "%s", cases[i][0]);
        free(path);
        free(out);
    }
}

Test(url, random_paths_lose_all_their_dot_segments) {
    static const char *const pieces[] = {"/", ".", "..", "%2e", "%2E", "%2", "a", "/../", "/./"};
    uint64_t seed = 5;
    for (unsigned round = 0; round < 30000; round++) {
        char text[96] = "/", *out;
        for (uint64_t n = next_random(&seed) % 14; n; n--)
            strncat(text, pieces[next_random(&seed) % COUNT(pieces)], 8);
        struct slice path = {text, strlen(text)};
        out = malloc(path.length + 1);
        size_t used = url_remove_dots(path, out);
        cr_assert_leq(used, path.length, "%s", text);
        cr_assert_eq(out[used], '\0');
        cr_assert_eq(out[0], '/', "%s -> %s", text, out);
        cr_assert_not(url_has_dots((struct slice){out, used}), "%s -> %s", text, out);
        if (!url_has_dots(path))
            cr_assert_str_eq(out, text);
        free(out);
    }
}

Test(url, knows_the_same_origin) {
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"https://h", "https://H:443/x", true}, {"http://h", "h:80", true},
        {"https://h", "http://h", false},       {"https://h:80", "http://h:80", false},
        {"https://h", "https://h:444", false},  {"https://h", "https://hh", false},
        {"https://h", "https://u@h", true},     {"https://[::a]", "https://[::A]:443", true},
        {"https://h.", "https://h", false},     {"https://h@", "https://h", false},
        {"https://ab{", "https://AB[", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url a, b;
        if (!url_parse(cases[i].a, false, &a) || !url_parse(cases[i].b, false, &b))
            cr_expect_not(cases[i].same, "%s, %s", cases[i].a, cases[i].b);
        else
            cr_expect_eq(url_same_origin(&a, &b), cases[i].same, "%s, %s", cases[i].a, cases[i].b);
    }
}

/* A part as libcurl has it, "" for one that is missing. */
static char *part(CURLU *handle, CURLUPart which, unsigned flags) {
    char *text = NULL, *copy;
    curl_url_get(handle, which, &text, flags);
    copy = strdup(text ? text : "");
    curl_free(text);
    return copy;
}

/* HOST in the form that libcurl gives it: addresses are normalised. */
static char *normal_host(struct slice host) {
    char text[512];
    CURLU *handle = curl_url();
    snprintf(text, sizeof text, "http://%.*s/", (int)host.length, host.text);
    curl_url_set(handle, CURLUPART_URL, text, 0);
    char *normal = part(handle, CURLUPART_HOST, 0);
    curl_url_cleanup(handle);
    return normal;
}

static void expect_part(const char *text, const char *name, char *ours, char *theirs) {
    cr_expect(strcasecmp(ours, theirs) == 0, "'%s': %s is '%s' here and '%s' for libcurl", text,
              name, ours, theirs);
    free(ours);
    free(theirs);
}

/* What is accepted here, libcurl refuses or takes apart in the same way. */
static bool agrees_with_libcurl(const char *text) {
    struct url url;
    char port[8];
    if (!url_parse(text, false, &url))
        return false;
    CURLU *handle = curl_url();
    if (curl_url_set(handle, CURLUPART_URL, text,
                     CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS) != 0) {
        curl_url_cleanup(handle);
        return false;
    }
    snprintf(port, sizeof port, "%u", url.port);
    char *user = part(handle, CURLUPART_USER, 0), *password = part(handle, CURLUPART_PASSWORD, 0);
    char *userinfo = copy_of(url.userinfo), *colon = strchr(userinfo, ':');
    expect_part(text, "the password", strdup(colon ? colon + 1 : ""), password);
    if (colon)
        *colon = '\0';
    expect_part(text, "the user", userinfo, user);
    expect_part(text, "the scheme", strdup(url.https ? "https" : "http"),
                part(handle, CURLUPART_SCHEME, 0));
    expect_part(text, "the host", normal_host(url.host), part(handle, CURLUPART_HOST, 0));
    expect_part(text, "the port", strdup(port), part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT));
    expect_part(text, "the path", url.path.length ? copy_of(url.path) : strdup("/"),
                part(handle, CURLUPART_PATH, 0));
    struct slice query = url.query;
    if (query.length) {
        query.text++;
        query.length--;
    }
    expect_part(text, "the query", copy_of(query), part(handle, CURLUPART_QUERY, 0));
    curl_url_cleanup(handle);
    return true;
}

Test(url, libcurl_sees_the_same_parts) {
    static const char *const cases[] = {
        "https://api.openai.com/v1/chat?x=1#f",
        "http://u:p@h:81/a@b:c?d@e",
        "h:80",
        "h",
        "u:p@h",
        "http://[::1]:81/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://h./",
        "http://[::1]@h/",
        "http:x@h/",
        "http://u:p:q@h",
        "http://u;o@h/",
        "http://:p@h/",
        "http://h?a@b/c",
        "http://h#@i/",
        "http://h/;a=b",
        "http://h/%2e%2e/",
        "http://h/a?b?c",
        "http://h//",
        "http:80/",
        "https:443",
        "http:?",
        "h:?",
        "http://a.b:80?c:81@d",
        "h:80#x",
        "h:80?x",
        "http:/h/v1",
        "https:/h/v1",
        "http:/u@h/",
        "ftp.h/v1",
        "dict.h",
        "smtp.h:80/",
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        agrees_with_libcurl(cases[i]);
}

Test(url, libcurl_sees_the_same_parts_of_random_text) {
    static const char *const pieces[] = {
        "http", "https", ":", "/",      "//",   "://",      "http://", "https://", "@",
        "?",    "#",     "[", "]",      "::1",  ".",        "..",      "%2e",      "%2F",
        "%40",  "a",     "B", "h.test", "80",   "443",      "0",       "x",        "&",
        "=",    ";",     "-", "_",      "\x80", "\xc3\xa4", "'",       "\"",       "{",
        "|",    "^",     "~", "!",      "$",    ",",        "*",       "+",        "user",
    };
    uint64_t seed = 11;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 60000; round++) {
        char text[160] = "";
        if (round % 2)
            strncat(text, round % 4 == 1 ? "http://" : "https://h.test", 16);
        for (uint64_t n = next_random(&seed) % 9; n; n--)
            strncat(text, pieces[next_random(&seed) % COUNT(pieces)], 10);
        accepted += agrees_with_libcurl(text);
    }
    cr_expect_gt(accepted, 10000, "only %u said anything", accepted);
}
