/* What a strict mock refuses, and the JSON that it takes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_check.h"
#include "shim/command/mock_json.h"

#define CHAT  "{\"model\":\"gpt-4\",\"messages\":[]}"
#define AZURE "/openai/deployments/gpt4"
#define V     "?api-version=2024-10-21"

/* A request with the right key in HEADER: "method target". */
static struct mock_refusal asked(const struct mock_rules *rules, enum mock_dialect dialect,
                                 const char *header, const char *method, const char *target,
                                 const char *body) {
    struct mock_route route;
    struct mock_question question;
    struct mock_claim claim = {.route = &route,
                               .question = &question,
                               .body = body,
                               .length = strlen(body),
                               .whole = true};
    bool form = strncmp(body, "--b", 3) == 0;
    mock_route_parse(method, target, dialect, &route);
    mock_question_parse(body, strlen(body), form ? "multipart/form-data; boundary=b" : NULL,
                        &question);
    if (header != NULL)
        mock_keys_add(&claim.keys, rules->key, header,
                      strcmp(header, "api-key") == 0 ? "right" : "Bearer right");
    return mock_check(rules, &claim);
}

/* The names that exist. */
static const char *names[] = {"gpt4", "caf\xc3\xa9"};

struct url_case {
    const char *method, *target;
    int status;
    enum mock_cause cause;
};

static void expect_urls(enum mock_dialect dialect, const char *header, const struct url_case *cases,
                        size_t count) {
    static const char form[] =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt4\r\n--b--\r\n";
    struct mock_rules rules = {.strict = true};
    for (size_t i = 0; i < count; i++) {
        bool audio = strstr(cases[i].target, "/audio/tr") != NULL ||
                     strstr(cases[i].target, "/images/edits") != NULL;
        struct mock_refusal refusal =
            asked(&rules, dialect, header, cases[i].method, cases[i].target, audio ? form : CHAT);
        cr_expect_eq(refusal.status, cases[i].status, "%s %s: %d", cases[i].method, cases[i].target,
                     refusal.status);
        cr_expect_eq(refusal.cause, cases[i].cause, "%s %s", cases[i].method, cases[i].target);
    }
}

#define GONE 404, MOCK_NO_RESOURCE
#define FINE 0, MOCK_USUAL

Test(mock_check, azure_has_its_own_urls) {
    static const struct url_case cases[] = {
        {"POST", AZURE "/chat/completions" V, FINE},
        {"POST", AZURE "/completions?a=b&api-version=2024-10-01-preview", FINE},
        {"POST", AZURE "/embeddings" V, FINE},
        {"POST", AZURE "/images/generations" V, FINE},
        {"POST", AZURE "/images/edits" V, FINE},
        {"POST", AZURE "/audio/transcriptions" V, FINE},
        {"POST", AZURE "/audio/translations" V, FINE},
        {"POST", AZURE "/audio/speech" V, FINE},
        {"GET", "/openai/models" V, FINE},
        {"GET", "/openai/models/gpt-4" V, FINE},
        {"POST", "/openai/files" V, FINE},
        {"POST", "/openai/responses" V, FINE},
        {"GET", AZURE "/chat/completions" V, FINE}, /* 405 is another's matter */
        /* the version */
        {"POST", AZURE "/chat/completions", GONE},
        {"POST", AZURE "/chat/completions?api-version=", GONE},
        {"POST", AZURE "/chat/completions?api-version", GONE},
        {"POST", AZURE "/chat/completions?api-version=latest", GONE},
        {"POST", AZURE "/chat/completions?api-version=2024-10-2", GONE},
        {"POST", AZURE "/chat/completions?api-version=2024-13-21", GONE},
        {"POST", AZURE "/chat/completions?api-version=2024-10-32", GONE},
        {"POST", AZURE "/chat/completions?api-version=2024-10-21-", GONE},
        {"POST", AZURE "/chat/completions?api-version=2024-10-21x", GONE},
        {"POST", AZURE "/chat/completions?api_version=2024-10-21", GONE},
        {"POST", AZURE "/chat/completions" V "&api-version=2024-10-21", GONE},
        {"GET", "/openai/models", GONE},
        {"POST", "/openai/files?api-version=1", GONE},
        /* model operations belong to a deployment, and no others do */
        {"POST", "/openai/chat/completions" V, GONE},
        {"POST", "/openai/completions" V, GONE},
        {"POST", "/openai/embeddings" V, GONE},
        {"POST", "/openai/images/generations" V, GONE},
        {"POST", "/openai/images/edits" V, GONE},
        {"POST", "/openai/audio/transcriptions" V, GONE},
        {"POST", "/openai/audio/speech" V, GONE},
        {"POST", AZURE "/responses" V, GONE},
        {"POST", AZURE "/files" V, GONE},
        {"GET", AZURE "/models" V, GONE},
        {"POST", "/openai/deployments//chat/completions" V, GONE},
        {"POST", "/openai/deployments/chat/completions" V, GONE},
        /* the version-less API */
        {"POST", "/openai/v1/chat/completions", FINE},
        {"POST", "/openai/v1/responses?api-version=preview", FINE},
        {"POST", "/openai/v1/audio/transcriptions?api-version=latest", FINE},
        {"GET", "/openai/v1/models", FINE},
        {"POST", "/openai/v1/chat/completions" V, GONE},
        {"POST", "/openai/v1/chat/completions?api-version=", GONE},
        {"POST", "/openai/v1/chat/completions?api-version=preview&api-version=preview", GONE},
        {"POST", "/openai/v1/deployments/gpt4/chat/completions", GONE},
        /* what only ends like a path of the API */
        {"POST", "/v1/chat/completions", GONE},
        {"POST", "/v1/chat/completions" V, GONE},
        {"POST", "/team" AZURE "/chat/completions" V, GONE},
        {"POST", "/" AZURE "/chat/completions" V, GONE},
        {"POST", AZURE AZURE "/chat/completions" V, GONE},
        {"POST", AZURE "/v1/chat/completions" V, GONE},
        {"POST", AZURE "/chat/completions/" V, GONE},
        {"POST", AZURE "/xchat/completions" V, GONE},
        {"POST", "/openai/openai/files" V, GONE},
        {"POST", "/openai/nothing" V, GONE},
        {"GET", "/openai/deployments/gpt4" V, GONE},
        {"GET", "/openai/" V, GONE},
        {"GET", "/", GONE},
    };
    expect_urls(MOCK_AZURE, "api-key", cases, sizeof cases / sizeof *cases);
}

Test(mock_check, openai_has_its_own_urls) {
    static const struct url_case cases[] = {
        {"POST", "/v1/chat/completions", FINE},
        {"POST", "/v1/completions?a=b", FINE},
        {"POST", "/v1/responses", FINE},
        {"POST", "/v1/images/edits", FINE},
        {"POST", "/v1/audio/translations", FINE},
        {"POST", "/v1/audio/speech", FINE},
        {"GET", "/v1/models", FINE},
        {"GET", "/v1/models/gpt-4", FINE},
        {"POST", "/v1/files", FINE},
        {"POST", "/v1/uploads/upload-1/parts", FINE},
        {"GET", "/v1/embeddings", FINE}, /* 405 is another's matter */
        {"POST", "/v1/chat/completions" V, GONE},
        {"POST", "/v1/chat/completions?api-version=", GONE},
        {"POST", AZURE "/chat/completions", GONE},
        {"POST", AZURE "/chat/completions" V, GONE},
        {"POST", "/v1/deployments/gpt4/chat/completions", GONE},
        {"POST", "/openai/v1/chat/completions", GONE},
        {"POST", "/chat/completions", GONE},
        {"POST", "/v1/v1/chat/completions", GONE},
        {"POST", "/v1//chat/completions", GONE},
        {"POST", "/team/v1/chat/completions", GONE},
        {"POST", "/v1/files/", GONE},
        {"POST", "/v1/nothing", GONE},
        {"GET", "/v1/files/models/x", GONE},
        {"GET", "/v1/", GONE},
    };
    expect_urls(MOCK_OPENAI, "Authorization", cases, sizeof cases / sizeof *cases);
}

Test(mock_check, the_path_decides_on_the_dialect_without_one) {
    static const struct url_case cases[] = {
        {"POST", "/v1/chat/completions", FINE},        {"POST", AZURE "/chat/completions" V, FINE},
        {"POST", "/openai/v1/chat/completions", FINE}, {"POST", "/v1/chat/completions" V, GONE},
        {"POST", AZURE "/chat/completions", GONE},
    };
    expect_urls(MOCK_ANY, "authorization", cases, sizeof cases / sizeof *cases);
}

Test(mock_check, wants_the_key_where_the_provider_looks_for_it) {
    static const struct {
        enum mock_dialect dialect;
        const char *names[2], *values[2]; /* of headers */
        int free, strict, keyed, both; /* status without a rule, with --strict, --key-env, both */
        enum mock_cause cause;         /* with both */
    } cases[] = {
        {MOCK_AZURE, {NULL}, {NULL}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"api-key"}, {"right"}, 0, 0, 0, 0, MOCK_USUAL},
        {MOCK_AZURE, {"Api-Key"}, {"wrong"}, 0, 0, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"api-key"}, {""}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"authorization"}, {"Bearer right"}, 0, 0, 0, 0, MOCK_USUAL},
        {MOCK_AZURE, {"AUTHORIZATION"}, {"bearer  right"}, 0, 0, 0, 0, MOCK_USUAL},
        {MOCK_AZURE, {"authorization"}, {"Bearer wrong"}, 0, 0, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"authorization"}, {"Basic right"}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"authorization"}, {"right"}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_AZURE, {"x-key"}, {"right"}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_AZURE,
         {"api-key", "authorization"},
         {"right", "Bearer wrong"},
         0,
         0,
         401,
         401,
         MOCK_USUAL},
        {MOCK_AZURE, {"api-key", "api-key"}, {"right", "wrong"}, 0, 0, 401, 401, MOCK_USUAL},
        {MOCK_OPENAI, {NULL}, {NULL}, 0, 401, 401, 401, MOCK_NO_KEY},
        {MOCK_OPENAI, {"api-key"}, {"right"}, 0, 401, 0, 401, MOCK_NO_KEY},
        {MOCK_OPENAI, {"authorization"}, {"Bearer "}, 0, 401, 401, 401, MOCK_USUAL},
        {MOCK_OPENAI, {"authorization"}, {"Bearer right"}, 0, 0, 0, 0, MOCK_USUAL},
        {MOCK_OPENAI, {"authorization"}, {"Bearer right2"}, 0, 0, 401, 401, MOCK_USUAL},
        {MOCK_OPENAI,
         {"authorization", "api-key"},
         {"Bearer right", "wrong"},
         0,
         0,
         401,
         401,
         MOCK_USUAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int expected[] = {cases[i].free, cases[i].strict, cases[i].keyed, cases[i].both};
        struct mock_question question = {.model = "m"};
        struct mock_route route;
        mock_route_parse("POST",
                         cases[i].dialect == MOCK_AZURE ? AZURE "/embeddings" V : "/v1/embeddings",
                         cases[i].dialect, &route);
        for (unsigned j = 0; j < 4; j++) {
            struct mock_rules rules = {.strict = j & 1, .key = j & 2 ? "right" : NULL};
            struct mock_claim claim = {
                .route = &route, .question = &question, .body = "{}", .length = 2, .whole = true};
            for (size_t k = 0; k < 2 && cases[i].names[k] != NULL; k++)
                mock_keys_add(&claim.keys, rules.key, cases[i].names[k], cases[i].values[k]);
            struct mock_refusal refusal = mock_check(&rules, &claim);
            cr_expect_eq(refusal.status, expected[j], "case %zu, rules %u: %d", i, j,
                         refusal.status);
            if (j == 3)
                cr_expect_eq(refusal.cause, cases[i].cause, "case %zu", i);
        }
    }
}

Test(mock_check, wants_json_and_a_model_that_exists) {
    static const struct {
        enum mock_dialect dialect;
        const char *target, *body;
        int status;
        enum mock_cause cause;
    } cases[] = {
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"gpt4\"}", FINE},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"\\u0067pt4\"}", FINE},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"caf\\u00e9\"}", FINE},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"caf\xc3\xa9\"}", FINE},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"gpt\"}", 404, MOCK_USUAL},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"gpt45\"}", 404, MOCK_USUAL},
        {MOCK_OPENAI, "/v1/chat/completions", "{\"model\":\"GPT4\"}", 404, MOCK_USUAL},
        {MOCK_OPENAI, "/v1/embeddings", "{\"input\":\"a\"}", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/responses", "{\"model\":4}", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/images/generations", "{\"model\":\"\"}", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/audio/speech", "{\"a\":{\"model\":\"gpt4\"}}", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/completions", "{\"model\":\"gpt4\",}", 400, MOCK_NOT_JSON},
        {MOCK_OPENAI, "/v1/completions", "[\"gpt4\"]", 400, MOCK_NOT_JSON},
        {MOCK_OPENAI, "/v1/completions", "", 400, MOCK_NOT_JSON},
        {MOCK_OPENAI, "/v1/audio/transcriptions",
         "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt4\r\n--b--", FINE},
        {MOCK_OPENAI, "/v1/audio/translations",
         "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nno\r\n--b--", 404,
         MOCK_USUAL},
        {MOCK_OPENAI, "/v1/images/edits",
         "--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n--b--", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/audio/transcriptions", "{\"model\":\"gpt4\"}", 400, MOCK_NO_MODEL},
        {MOCK_OPENAI, "/v1/embeddings",
         "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt4\r\n--b--", 400,
         MOCK_NOT_JSON},
        {MOCK_OPENAI, "/v1/files", "anything", FINE},
        {MOCK_OPENAI, "/v1/moderations", "{}", FINE},
        {MOCK_AZURE, AZURE "/chat/completions" V, "{\"model\":\"else\"}", FINE},
        {MOCK_AZURE, AZURE "/chat/completions" V, "{}", FINE},
        {MOCK_AZURE, AZURE "/chat/completions" V, "{", 400, MOCK_NOT_JSON},
        {MOCK_AZURE, AZURE "/audio/transcriptions" V, "--b--", FINE},
        {MOCK_AZURE, "/openai/deployments/caf%C3%A9/embeddings" V, "{}", FINE},
        {MOCK_AZURE, "/openai/deployments/gpt-4/embeddings" V, "{}", 404, MOCK_USUAL},
        {MOCK_AZURE, "/openai/deployments/gpt-4/embeddings" V, "{", 404, MOCK_USUAL},
        {MOCK_AZURE, "/openai/v1/embeddings", "{\"model\":\"gpt4\"}", FINE},
        {MOCK_AZURE, "/openai/v1/embeddings", "{\"model\":\"gpt-4\"}", 404, MOCK_USUAL},
        {MOCK_AZURE, "/openai/v1/embeddings", "{}", 400, MOCK_NO_MODEL},
        {MOCK_AZURE, "/openai/v1/embeddings", "", 400, MOCK_NOT_JSON},
        {MOCK_AZURE, "/openai/responses" V, "{\"model\":\"gpt-4\"}", 404, MOCK_USUAL},
        {MOCK_AZURE, "/openai/responses" V, "{\"model\":\"gpt4\"}", FINE},
    };
    struct mock_rules rules = {.strict = true, .names = names, .name_count = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_refusal refusal = asked(&rules, cases[i].dialect, "authorization", "POST",
                                            cases[i].target, cases[i].body);
        cr_expect_eq(refusal.status, cases[i].status, "%s %s: %d", cases[i].target, cases[i].body,
                     refusal.status);
        cr_expect_eq(refusal.cause, cases[i].cause, "%s %s", cases[i].target, cases[i].body);
    }
}

Test(mock_check, knows_its_models_by_name) {
    struct mock_rules rules = {.strict = true, .names = names, .name_count = 2};
    cr_expect_eq(asked(&rules, MOCK_OPENAI, "authorization", "GET", "/v1/models/gpt4", "").status,
                 0);
    cr_expect_eq(asked(&rules, MOCK_OPENAI, "authorization", "GET", "/v1/models/gpt5", "").status,
                 404);
    cr_expect_eq(asked(&rules, MOCK_AZURE, "api-key", "GET", "/openai/models/gpt5" V, "").status, 0,
                 "Azure lists models, which are no deployments");
}

Test(mock_check, says_nothing_of_what_a_cut_body_may_have) {
    struct mock_rules rules = {.strict = true, .names = names, .name_count = 2};
    struct mock_question question = {.model = ""};
    struct mock_keys keys = {.bearer = true};
    struct mock_route route;
    struct mock_claim claim = {
        .route = &route, .question = &question, .keys = keys, .body = "{\"a\":", .length = 5};
    mock_route_parse("POST", "/v1/embeddings", MOCK_OPENAI, &route);
    cr_expect_eq(mock_check(&rules, &claim).status, 0);
    snprintf(question.model, sizeof question.model, "no");
    cr_expect_eq(mock_check(&rules, &claim).status, 404);
}

/* --- JSON ---------------------------------------------------------------------------------- */

Test(mock_json, takes_objects_of_rfc_8259_alone) {
    static const char *const valid[] = {
        "{}",
        " \t\r\n{ } \n",
        "{\"a\":1,\"b\":[true,false,null,{}],\"c\":\"\"}",
        "{\"a\" : -0 , \"b\":0.5, \"c\":1e5, \"d\":1.25E-10, \"e\":12e+3}",
        "{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00Ff\":\"\x7f\xc3\xa9\xff\"}",
        "{\"a\":[[],[[]]]}",
        "{\"a\":1,\"a\":2}",
    };
    static const char *const wrong[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "\"a\"",
        "1",
        "null",
        "{}{}",
        "{} x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{'a':1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12",
        "{\"a\":\"\\",
        "{\"a\":1 /* no */}",
        "\xef\xbb\xbf{}",
        "--b\r\n",
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        cr_expect(mock_json_object(valid[i], strlen(valid[i])), "%s", valid[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t length = strlen(wrong[i]);
        /* Without the terminator, so that a sanitizer sees a read beyond the end. */
        char *text = malloc(length + (length == 0));
        cr_assert_not_null(text);
        memcpy(text, wrong[i], length);
        cr_expect(!mock_json_object(text, length), "%s", wrong[i]);
        free(text);
    }
    cr_expect(!mock_json_object("{\"a\":1}\0", 8), "a NUL");
}

Test(mock_json, bounds_the_depth) {
    enum { LENGTH = 4 + 2 * MOCK_JSON_DEPTH };
    char text[LENGTH + 3];
    for (size_t depth = MOCK_JSON_DEPTH - 1; depth <= MOCK_JSON_DEPTH; depth++) {
        size_t length = 5;
        memcpy(text, "{\"a\":", length);
        memset(text + length, '[', depth);
        memset(text + length + depth, ']', depth);
        length += 2 * depth;
        text[length++] = '}';
        cr_assert_leq(length, sizeof text);
        cr_expect_eq(mock_json_object(text, length), depth < MOCK_JSON_DEPTH, "%zu", depth);
    }
}

Test(mock_json, compares_what_an_escaped_text_means) {
    static const struct {
        const char *escaped, *text;
        bool equal;
    } cases[] = {
        {"", "", true},
        {"gpt-4", "gpt-4", true},
        {"gpt-4", "gpt-4o", false},
        {"gpt-4o", "gpt-4", false},
        {"\\u0067pt", "gpt", true},
        {"a\\/b\\\\c\\\"", "a/b\\c\"", true},
        {"\\b\\f\\n\\r\\t", "\b\f\n\r\t", true},
        {"\\u00e9", "\xc3\xa9", true},
        {"\\u20AC", "\xe2\x82\xac", true},
        {"\\uD83D\\ude00", "\xf0\x9f\x98\x80", true},
        {"\\ud83d\\ude00x", "\xf0\x9f\x98\x80", false},
        {"\\u0000", "", false},
        {"a\\u0000", "a", false},
        {"\\u12", "u12", false},
        {"\\", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(mock_json_equals(cases[i].escaped, cases[i].text), cases[i].equal, "%s",
                     cases[i].escaped);
}
