/*
 * Routes: which endpoint a URL belongs to, and the URL of an attempt.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/route.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char text_of_settings[] =
    "endpoints:\n"
    "  - name: openai\n"
    "    urls: [https://api.openai.com/v1, http://llm.internal:8080/v1, http://root.test]\n"
    "    backends: [{url: https://a.test}]\n"
    "  - name: beta\n"
    "    urls: [https://api.openai.com/v1/beta, https://api.openai.com/v1/beta/deep]\n"
    "    backends: [{url: https://b.test}]\n"
    "  - name: six\n"
    "    url: https://[::1]/openai\n"
    "    backends: [{url: https://c.test}]\n";

static struct settings *settings;

static void set_up(void) {
    struct settings_error error;
    settings = settings_load_text("t", text_of_settings, strlen(text_of_settings), &error);
    cr_assert_not_null(settings, "%u:%u %s", error.line, error.column, error.message);
}

static void tear_down(void) {
    settings_free(settings);
}

TestSuite(route, .init = set_up, .fini = tear_down);

/* The route of a copy of TEXT, in memory that is just large enough; *MEMORY is to be freed. */
static bool find(const char *text, bool https, struct route *route, char **memory) {
    size_t size = strlen(text) + 1;
    *memory = malloc(2 * size);
    memcpy(*memory, text, size);
    errno = EXDEV;
    bool found = route_find(settings, *memory, https, *memory + size, route);
    cr_expect_eq(errno, EXDEV);
    return found;
}

static void expect_slice(const char *url, struct slice slice, const char *expected) {
    cr_expect(slice.length == strlen(expected) && memcmp(slice.text, expected, slice.length) == 0,
              "%s: '%.*s' instead of '%s'", url, (int)slice.length, slice.text, expected);
}

Test(route, finds_the_endpoint) {
    static const struct {
        const char *url, *endpoint, *below, *query;
    } cases[] = {
        {"https://api.openai.com/v1", "openai", "", ""},
        {"https://api.openai.com/v1/", "openai", "/", ""},
        {"https://api.openai.com/v1/chat/completions", "openai", "/chat/completions", ""},
        {"HTTPS://API.OPENAI.COM:443/v1/models?a=b", "openai", "/models", "?a=b"},
        {"https://api.openai.com:/v1/models", "openai", "/models", ""},
        {"https://api.openai.com:0443/v1/models", "openai", "/models", ""},
        {"https://api.openai.com/v1?a", "openai", "", "?a"},
        {"https://api.openai.com/v1/models#fragment", "openai", "/models", ""},
        {"https://user:pass@api.openai.com/v1/models", "openai", "/models", ""},
        {"https://api.openai.com/v1/beta", "beta", "", ""},
        {"https://api.openai.com/v1/beta/x", "beta", "/x", ""},
        {"https://api.openai.com/v1/beta/deep/x", "beta", "/x", ""},
        {"https://api.openai.com/v1/beta/deeper", "beta", "/deeper", ""},
        {"https://api.openai.com/v1/betaX", "openai", "/betaX", ""},
        {"https://api.openai.com/v1/beta/../models", "openai", "/models", ""},
        {"https://api.openai.com/v1/beta/%2e%2E/models?%2e%2e", "openai", "/models", "?%2e%2e"},
        {"https://api.openai.com/other/../v1/models", "openai", "/models", ""},
        {"https://api.openai.com/../v1/./models/.", "openai", "/models/", ""},
        {"https://api.openai.com/v1//models", "openai", "//models", ""},
        {"https://api.openai.com/v1/a%2fb", "openai", "/a%2fb", ""},
        {"http://llm.internal:8080/v1/x", "openai", "/x", ""},
        {"http://root.test", "openai", "", ""},
        {"http://root.test?q", "openai", "", "?q"},
        {"http://root.test/v1/x", "openai", "/v1/x", ""},
        {"root.test/x", "openai", "/x", ""},
        {"https://[::1]:443/openai/x", "six", "/x", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct route route;
        char *memory;
        cr_assert(find(cases[i].url, false, &route, &memory), "%s", cases[i].url);
        cr_expect_str_eq(route.endpoint->name, cases[i].endpoint, "%s", cases[i].url);
        expect_slice(cases[i].url, route.below, cases[i].below);
        expect_slice(cases[i].url, route.query, cases[i].query);
        free(memory);
    }
}

Test(route, leaves_others_alone) {
    static const char *const cases[] = {
        "http://api.openai.com/v1/models",
        "https://api.openai.com:80/v1",
        "https://api.openai.com/",
        "https://api.openai.com",
        "https://api.openai.com/v1x",
        "https://api.openai.com/V1/models",
        "https://api.openai.com/v",
        "https://api.openai.com//v1",
        "https://api.openai.com/v1/../x",
        "https://api.openai.com/v1/%2e%2e/x",
        "https://api.openai.com/v1/..",
        "https://api.openai.com/v1/a/../../v2",
        "https://api.openai.com/v%31/x",
        "https://api.openai.com./v1/x",
        "https://api.openai.com.evil.test/v1",
        "https://evil.test/api.openai.com/v1",
        "https://api.openai.com@evil.test/v1/x",
        "https://evil.test#@api.openai.com/v1/x",
        "https://evil.test?@api.openai.com/v1/x",
        "https://evil.test\\@api.openai.com/v1/x",
        "https://a@evil.test@api.openai.com/v1/x",
        "api.openai.com/v1",
        "http://llm.internal/v1",
        "https://llm.internal:8080/v1",
        "https://xapi.openai.com/v1",
        "https://[::2]/openai",
        "ftp://api.openai.com/v1",
        "wss://api.openai.com/v1",
        "https:api.openai.com/v1",
        "https:/api.openai.com/v1",
        "https:///api.openai.com/v1",
        "",
        "/v1",
        "//root.test/x",
        "https://api.openai.com/v1/a b",
        "https://api.openai.com/v1\n",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct route route;
        char *memory;
        cr_expect_not(find(cases[i], false, &route, &memory), "%s", cases[i]);
        free(memory);
    }
}

Test(route, scheme_of_a_bare_host_is_the_default_one) {
    struct route route;
    char *memory;
    cr_expect(find("api.openai.com/v1/models", true, &route, &memory));
    cr_expect(route.https);
    free(memory);
    cr_expect_not(find("root.test/v1", true, &route, &memory));
    free(memory);
}

/* What an attempt on BASE asks for when the program asks for URL; "" if it does not fit. */
static const char *attempt(const char *url, const char *base, bool any_scheme, bool userinfo) {
    static char out[256];
    char copy[128];
    struct route route;
    char *memory;
    struct backend backend = {.url = copy, .any_scheme = any_scheme};
    snprintf(copy, sizeof copy, "%s", base);
    cr_assert(find(url, false, &route, &memory), "%s", url);
    size_t length = route_url(&route, &backend, userinfo ? route.userinfo : (struct slice){NULL, 0},
                              (struct slice){NULL, 0}, out, sizeof out);
    cr_assert_eq(length, strlen(out));
    free(memory);
    return out;
}

Test(route, makes_the_url_of_an_attempt) {
    static const struct {
        const char *url, *base;
        bool any_scheme, userinfo;
        const char *expected;
    } cases[] = {
        {"https://api.openai.com/v1", "https://b.test", false, false, "https://b.test"},
        {"https://api.openai.com/v1/", "https://b.test", false, false, "https://b.test/"},
        {"https://api.openai.com/v1/x?q=1&r", "https://b.test", false, false,
         "https://b.test/x?q=1&r"},
        {"https://api.openai.com/v1/x#f", "http://b.test:81/base/v9", false, false,
         "http://b.test:81/base/v9/x"},
        {"https://api.openai.com/v1?q", "https://b.test/base", false, false,
         "https://b.test/base?q"},
        {"https://api.openai.com/v1/v1/x", "https://b.test/v1", false, false,
         "https://b.test/v1/v1/x"},
        {"https://api.openai.com/v1/../v1/./x", "https://b.test/v1", false, false,
         "https://b.test/v1/x"},
        {"https://api.openai.com/v1/x", "b.test:8443/base", true, false,
         "https://b.test:8443/base/x"},
        {"http://root.test/x", "b.test", true, false, "http://b.test/x"},
        {"https://u:p@api.openai.com/v1/x", "https://b.test/a", false, false, "https://b.test/a/x"},
        {"https://u:p@api.openai.com/v1/x", "https://b.test/a", false, true,
         "https://u:p@b.test/a/x"},
        {"https://u:p@api.openai.com/v1/x", "b.test/a", true, true, "https://u:p@b.test/a/x"},
        {"https://@api.openai.com/v1/x", "https://b.test", false, true, "https://b.test/x"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int again = 0; again < 2; again++) { /* nothing is left of the attempt before */
            const char *made =
                attempt(cases[i].url, cases[i].base, cases[i].any_scheme, cases[i].userinfo);
            cr_expect_str_eq(made, cases[i].expected, "%s: %s", cases[i].url, made);
        }
}

Test(route, never_writes_beyond_its_room) {
    struct route route;
    char *memory, base[] = "https://b.test/base";
    struct backend backend = {.url = base};
    static const char expected[] = "https://u:p@b.test/base/chat?a=b";
    cr_assert(find("https://u:p@api.openai.com/v1/chat?a=b", false, &route, &memory));
    for (size_t size = 0; size <= sizeof expected + 3; size++) {
        char *out = malloc(size ? size : 1);
        size_t length =
            route_url(&route, &backend, route.userinfo, (struct slice){NULL, 0}, out, size);
        cr_assert_eq(length, size >= sizeof expected ? sizeof expected - 1 : 0, "%zu", size);
        if (length)
            cr_assert_str_eq(out, expected);
        free(out);
    }
    free(memory);
}
