/*
 * The 429 of our own: its times, its lengths, and that its body is JSON whatever the names hold.
 */
#include <criterion/criterion.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/reply.h"
#include "shim/pool/pool.h"

#define SECOND       UINT64_C(1000000000)
#define NOW          (5000 * SECOND)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct world {
    struct endpoint endpoint;
    struct backend backends[BACKENDS_MAX];
    char names[BACKENDS_MAX][32];
    struct ledger *ledger;
    struct pool *pool;
    char *response, *body;
    size_t length;
};

static void start(struct world *w, char *name, unsigned count) {
    static char url[] = "https://secret-host.test/path";
    memset(w, 0, sizeof *w);
    w->endpoint = (struct endpoint){
        .name = name, .failure_threshold = 1, .backends = w->backends, .backend_count = count};
    for (unsigned i = 0; i < count; i++) {
        snprintf(w->names[i], sizeof w->names[i], "b%u", i);
        w->backends[i] = (struct backend){.name = w->names[i], .url = url, .weight = 1};
    }
    w->ledger = ledger_open(NULL);
    w->pool = pool_new(&w->endpoint, w->ledger);
}

static void cool(struct world *w, int backend, uint32_t reason, uint64_t ns) {
    struct pool_turn turn = {0};
    pool_failed(w->pool, &turn, backend, reason, true, ns, NOW);
}

static void take(struct world *w, char *raw) {
    cr_assert_not_null(raw);
    w->response = calloc(1, w->length + 1);
    memcpy(w->response, raw, w->length);
    free(raw);
    char *blank = strstr(w->response, "\r\n\r\n");
    cr_assert_not_null(blank);
    w->body = blank + 4;
}

static void make(struct world *w) {
    take(w, reply_exhausted(w->pool, 0, NOW, &w->length));
}

static void end(struct world *w) {
    free(w->response);
    pool_free(w->pool);
    ledger_close(w->ledger);
}

/* The number after NAME in the header, which must be there once; 0 without digits. */
static unsigned long long number_of(const struct world *w, const char *name) {
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *found = strcasestr(w->response, line);
    cr_assert(found && found < w->body, "no %s in %s", name, w->response);
    cr_expect_null(strcasestr(found + 2, line), "%s twice", name);
    return strtoull(found + strlen(line), NULL, 10);
}

static const char *json_value(const char *p);

static const char *json_text(const char *p) {
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < ' ')
            return NULL;
        if (*p == '\\') {
            p++;
            if (*p == 'u')
                for (int i = 0; i < 4; i++)
                    if (!isxdigit((unsigned char)*++p))
                        return NULL;
            if (!strchr("\"\\/bfnrt", *p) && !isxdigit((unsigned char)*p))
                return NULL;
        }
    }
    return p + 1;
}

static const char *json_object(const char *p) {
    do {
        p = json_text(p + 1 + strspn(p + 1, " "));
        if (!p || *p != ':')
            return NULL;
        p = json_value(p + 1 + strspn(p + 1, " "));
    } while (p && *p == ',');
    return p && *p == '}' ? p + 1 : NULL;
}

/* The end of a JSON value of the kinds that are in here, or NULL if it is none. */
static const char *json_value(const char *p) {
    if (*p == '{')
        return json_object(p);
    if (strncmp(p, "null", 4) == 0)
        return p + 4;
    return json_text(p);
}

static void expect_error(const struct world *w, const char *type, const char *code) {
    const char *after = json_value(w->body);
    cr_assert(after && strspn(after, " \r\n") == strlen(after), "no JSON: %s", w->body);
    cr_expect(strstr(w->body, "{\"error\": {\"message\": \""));
    cr_expect(strstr(w->body, type));
    cr_expect(strstr(w->body, code));
}

static void expect_json(const struct world *w) {
    expect_error(w, "\"type\": \"rate_limit_error\"", "\"code\": \"429\"");
}

static char name[] = "openai";

Test(reply, tells_the_time_rounded_up) {
    static const struct {
        uint64_t ns;
        unsigned long long seconds, ms;
    } cases[] = {
        {1, 1, 1},
        {1000000, 1, 1},
        {1000001, 1, 2},
        {SECOND - 1, 1, 1000},
        {SECOND, 1, 1000},
        {SECOND + 1, 2, 1001},
        {4200000000, 5, 4200},
        {86400 * SECOND, 86400, 86400000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        static struct world w;
        start(&w, name, 2);
        cool(&w, 0, 429, cases[i].ns);
        cool(&w, 1, 503, cases[i].ns + 77 * SECOND);
        make(&w);
        cr_expect_eq(strncmp(w.response, "HTTP/1.1 429 ", 13), 0);
        cr_expect_eq(number_of(&w, "Retry-After"), cases[i].seconds);
        cr_expect_eq(number_of(&w, "retry-after-ms"), cases[i].ms);
        cr_expect_eq(number_of(&w, "Content-Length"), strlen(w.body));
        cr_expect_eq(w.length, strlen(w.response));
        expect_json(&w);
        end(&w);
    }
}

Test(reply, is_at_least_a_second_after_failures_without_cooldown) {
    static struct world w;
    start(&w, name, 2);
    cool(&w, 0, 429, 10 * SECOND);
    make(&w);
    cr_expect_geq(number_of(&w, "Retry-After"), 1);
    cr_expect_geq(number_of(&w, "retry-after-ms"), 1);
    expect_json(&w);
    end(&w);
}

Test(reply, lists_each_backend_with_its_reason) {
    static const struct {
        uint32_t reason;
        const char *text;
    } cases[] = {
        {429, "b0 (429, 1.0 s)"},
        {REASON_CONNECT, "b1 (connect, 2.0 s)"},
        {REASON_TIMEOUT, "b2 (timeout, 3.0 s)"},
        {REASON_QUOTA, "b3 (quota, 4.0 s)"},
        {REASON_RESET, "b4 (reset, 5.0 s)"},
        {503, "b5 (503, 6.0 s)"},
    };
    static struct world w;
    start(&w, name, COUNT(cases) + 1);
    for (unsigned i = 0; i < COUNT(cases); i++)
        cool(&w, (int)i, cases[i].reason, (i + 1) * SECOND);
    make(&w);
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect(strstr(w.body, cases[i].text), "no '%s' in %s", cases[i].text, w.body);
    cr_expect(strstr(w.body, "b6"));
    cr_expect(strstr(w.body, "openai"));
    cr_expect_null(strstr(w.body, "secret-host"));
    expect_json(&w);
    end(&w);
}

Test(reply, is_json_whatever_the_names_are) {
    static struct world w;
    char odd[] = "q\"b\\c\x01\x1f\n\t\x7f\xc3\xa4%s%n";
    start(&w, odd, 3);
    snprintf(w.names[0], sizeof w.names[0], "\\");
    snprintf(w.names[1], sizeof w.names[1], "\"}, {\"x\": \"");
    snprintf(w.names[2], sizeof w.names[2], "\r\n\r\n");
    for (int i = 0; i < 3; i++)
        cool(&w, i, 500, SECOND);
    make(&w);
    cr_expect(strstr(w.body, "q\\\"b\\\\c\\u0001\\u001f\\u000a\\u0009"), "%s", w.body);
    cr_expect(strstr(w.body, "%s%n"));
    cr_expect_eq(number_of(&w, "Content-Length"), strlen(w.body));
    expect_json(&w);
    end(&w);
}

/* A path is bytes, JSON is UTF-8. */
Test(reply, refusal_is_json_whatever_the_path_is) {
    static struct world w;
    static const char path[] = "/a\"\\\x80\xff\xc3\xa9%41";
    const char *reasons[] = {"its API has no such path", "the request names no model"};
    struct slice slice = {path, sizeof path - 1};
    start(&w, name, 2);
    take(&w, reply_refused(&w.endpoint, reasons, slice, &w.length));
    cr_expect(strstr(w.response, "HTTP/1.1 400 Bad Request\r\n") == w.response);
    cr_expect(strstr(w.body, "'/a\\\"\\\\%80%FF%C3%A9%41'"), "%s", w.body);
    cr_expect(strstr(w.body, "b0 (its API has no such path), b1 (the request names no model)"));
    cr_expect_eq(number_of(&w, "Content-Length"), strlen(w.body));
    expect_error(&w, "\"type\": \"invalid_request_error\"", "\"code\": \"400\"");
    end(&w);
}

Test(reply, has_room_for_the_most_backends) {
    static struct world w;
    start(&w, name, BACKENDS_MAX);
    for (int i = 0; i < BACKENDS_MAX; i++) {
        memset(w.names[i], '"', sizeof w.names[i] - 1);
        cool(&w, i, 500, 3600 * SECOND);
    }
    make(&w);
    cr_expect_eq(number_of(&w, "Content-Length"), strlen(w.body));
    expect_json(&w);
    end(&w);
}
