/*
 * Requests from one dialect to the other: paths, queries, names, and what fits nowhere.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "shim/request/dialect.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* One endpoint with one backend, from what a settings file would say of them. */
static struct settings *load(const char *endpoint, const char *backend) {
    char text[2048];
    struct settings_error error;
    snprintf(text, sizeof text, "endpoints: [{%s, backends: [{%s}]}]\n", endpoint, backend);
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%s: %s", text, error.message);
    return settings;
}

struct outcome {
    enum dialect_fit fit;
    struct dialect_plan plan;
    char target[2048]; /* "" if nothing changes */
    bool asks, translates;
};

static void ask(const struct settings *settings, const char *url, const char *said,
                struct outcome *outcome) {
    char scratch[2048];
    struct route route;
    struct dialect_request request;
    const struct backend *backend = &settings->endpoints[0].backends[0];
    cr_assert(strlen(url) < sizeof scratch);
    cr_assert(route_find(settings, url, false, scratch, &route), "%s", url);
    dialect_read(&route, &request);
    memset(outcome, 0, sizeof *outcome);
    outcome->translates = dialect_translates(&settings->endpoints[0], backend);
    outcome->asks = dialect_asks_body(&request, backend);
    outcome->fit = dialect_plan(&request, backend, said, &outcome->plan);
    if (outcome->fit != DIALECT_FITS || outcome->plan.same_target)
        return;
    size_t room = dialect_target_size(&route, backend);
    cr_assert(room <= sizeof outcome->target);
    size_t length =
        dialect_target(&route, &request, backend, &outcome->plan, outcome->target, room);
    cr_assert_eq(length, strlen(outcome->target));
    cr_assert_neq(length, 0);
}

#define OPENAI "url: https://api.openai.com/v1"
#define AZURE  "dialect: azure, url: https://logical.openai.azure.com"
#define EAST                                                                                       \
    "dialect: azure, url: https://east.example, api_version: 2025-01-01, models: {gpt-4: gpt4}"
#define ONE "dialect: azure, url: https://e.example/p/openai/deployments/d"

struct row {
    const char *endpoint, *backend, *url, *said;
    enum dialect_fit fit;
    const char *target; /* NULL: as it is */
    enum dialect_body body;
    const char *model;
};

#define O "https://api.openai.com/v1"
#define A "https://logical.openai.azure.com"

static const struct row rows[] = {
    /* openai -> azure */
    {OPENAI, EAST, O "/chat/completions", "gpt-4", DIALECT_FITS,
     "/openai/deployments/gpt4/chat/completions?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/chat/completions", "gpt-4o", DIALECT_FITS,
     "/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/completions", "gpt-4", DIALECT_FITS,
     "/openai/deployments/gpt4/completions?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/embeddings?a=1&b=%20", "gpt-4", DIALECT_FITS,
     "/openai/deployments/gpt4/embeddings?a=1&b=%20&api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/embeddings?api-version=x&a", "gpt-4", DIALECT_FITS,
     "/openai/deployments/gpt4/embeddings?api-version=2025-01-01&a", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/images/generations", "gpt-4", DIALECT_FITS,
     "/openai/deployments/gpt4/images/generations?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/audio/transcriptions", "whisper", DIALECT_FITS,
     "/openai/deployments/whisper/audio/transcriptions?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/responses", "gpt-4", DIALECT_FITS,
     "/openai/responses?api-version=2025-01-01", DIALECT_MAP, NULL},
    {OPENAI, EAST, O "/responses/resp_1", NULL, DIALECT_FITS,
     "/openai/responses/resp_1?api-version=2025-01-01", DIALECT_MAP, NULL},
    {OPENAI, EAST, O "/models", NULL, DIALECT_FITS, "/openai/models?api-version=2025-01-01",
     DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/models/gpt-4", NULL, DIALECT_FITS,
     "/openai/models/gpt-4?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/files/file-1/content", NULL, DIALECT_FITS,
     "/openai/files/file-1/content?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/chat/completions", NULL, DIALECT_NO_MODEL, NULL, DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/chat/completions/chatcmpl-1", "gpt-4", DIALECT_NO_API, NULL, DIALECT_KEEP,
     NULL},
    {OPENAI, EAST, O "/moderations", "gpt-4", DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/filesystem", "gpt-4", DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    {OPENAI, EAST, O, "gpt-4", DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    /* names that would be other paths */
    {OPENAI, EAST, O "/embeddings", "a/../b?c#d e\xc3\xa9", DIALECT_FITS,
     "/openai/deployments/a%2F..%2Fb%3Fc%23d%20e%C3%A9/embeddings?api-version=2025-01-01",
     DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/embeddings", "ft:gpt-4:me::x_~@1", DIALECT_FITS,
     "/openai/deployments/ft:gpt-4:me::x_~@1/embeddings?api-version=2025-01-01", DIALECT_KEEP,
     NULL},
    {OPENAI, EAST, O "/embeddings", "..", DIALECT_NO_MODEL, NULL, DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/embeddings", ".", DIALECT_NO_MODEL, NULL, DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/embeddings", "", DIALECT_NO_MODEL, NULL, DIALECT_KEEP, NULL},
    /* without a version of its own; with the API's root in the URL; the endpoint at the root */
    {OPENAI, "dialect: azure, url: https://e.example/openai", O "/embeddings", "m", DIALECT_FITS,
     "/deployments/m/embeddings?api-version=" DIALECT_API_VERSION, DIALECT_KEEP, NULL},
    {"url: https://api.openai.com", EAST, O "/embeddings", "m", DIALECT_FITS,
     "/openai/deployments/m/embeddings?api-version=2025-01-01", DIALECT_KEEP, NULL},
    /* openai -> Azure's version-less API */
    {OPENAI, "dialect: azure, url: https://e.example/openai/v1, models: {gpt-4: gpt4}",
     O "/chat/completions?x=1", "gpt-4", DIALECT_FITS, NULL, DIALECT_MAP, NULL},
    {OPENAI, "dialect: azure, url: https://e.example/openai/v1, api_version: preview",
     O "/moderations", NULL, DIALECT_FITS, "/moderations?api-version=preview", DIALECT_KEEP, NULL},
    {OPENAI, "dialect: azure, url: https://e.example/openai/v1, api_version: 2024-10-21",
     O "/chat/completions", NULL, DIALECT_FITS, NULL, DIALECT_KEEP, NULL},
    /* openai -> openai */
    {OPENAI, "url: https://e.example/v1, models: {gpt-4: llama}", O "/chat/completions", "gpt-4",
     DIALECT_FITS, NULL, DIALECT_MAP, NULL},
    {OPENAI, "url: https://e.example/v1, models: {gpt-4: llama}", O "/rerank", NULL, DIALECT_FITS,
     NULL, DIALECT_MAP, NULL},
    {OPENAI, "url: https://e.example/v1, models: {gpt-4: llama}", O "/files", NULL, DIALECT_FITS,
     NULL, DIALECT_KEEP, NULL},
    /* azure -> openai */
    {AZURE, "dialect: openai, url: https://e.example/v1, models: {gpt-4: gpt4}",
     A "/openai/deployments/gpt4/chat/completions?api-version=2024-02-01", NULL, DIALECT_FITS,
     "/chat/completions", DIALECT_NAME, "gpt-4"},
    {AZURE, "dialect: openai, url: https://e.example/v1, models: {gpt4: gpt-4}",
     A "/openai/deployments/gpt4/embeddings?a=1&api-version=2024-02-01&b=2", NULL, DIALECT_FITS,
     "/embeddings?a=1&b=2", DIALECT_NAME, "gpt-4"},
    {AZURE, "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/my%20model/audio/transcriptions?API-Version=2024-02-01", NULL,
     DIALECT_FITS, "/audio/transcriptions", DIALECT_NAME, "my model"},
    {AZURE, "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/d/extensions/chat/completions?api-version=1", NULL, DIALECT_NO_API,
     NULL, DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1", A "/openai/deployments?api-version=1",
     NULL, DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/a%zz/embeddings?api-version=1", NULL, DIALECT_NO_MODEL, NULL,
     DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/a%00b/embeddings?api-version=1", NULL, DIALECT_NO_MODEL, NULL,
     DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/a%4/embeddings?api-version=1", NULL, DIALECT_NO_MODEL, NULL,
     DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1", A "/openai/files?api-version=1&after=x",
     NULL, DIALECT_FITS, "/files?after=x", DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1, models: {gpt-4: gpt4}",
     A "/openai/responses?api-version=preview", "gpt4", DIALECT_FITS, "/responses", DIALECT_MAP,
     NULL},
    {AZURE, "dialect: openai, url: https://e.example/v1", A "/openai/v1/chat/completions", "gpt4",
     DIALECT_FITS, "/chat/completions", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai",
     "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/d/embeddings?api-version=1", NULL, DIALECT_FITS, "/embeddings",
     DIALECT_NAME, "d"},
    {"dialect: azure, url: https://logical.openai.azure.com/openai/v1",
     "dialect: openai, url: https://e.example/v1", A "/openai/v1/embeddings", "d", DIALECT_FITS,
     "/embeddings", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai/deployments/d",
     "dialect: openai, url: https://e.example/v1",
     A "/openai/deployments/d/embeddings?api-version=1", NULL, DIALECT_FITS, "/embeddings",
     DIALECT_NAME, "d"},
    /* a gateway's own path may hold the word, too */
    {"dialect: azure, url: https://gateway.example/openai/team",
     "dialect: openai, url: https://e.example/v1",
     "https://gateway.example/openai/team/openai/deployments/d/embeddings?api-version=1", NULL,
     DIALECT_FITS, "/embeddings", DIALECT_NAME, "d"},
    {"dialect: azure, url: https://gateway.example/openai",
     "dialect: openai, url: https://e.example/v1",
     "https://gateway.example/openai/openai/v1/embeddings", "d", DIALECT_FITS, "/embeddings",
     DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://gateway.example/openai",
     "url: https://e.example/p, models: {a: b}",
     "https://gateway.example/openai/openai/deployments/a/embeddings?api-version=1", NULL,
     DIALECT_FITS, "/openai/deployments/b/embeddings?api-version=1", DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/models?", NULL, DIALECT_FITS, "/openai/models?api-version=2025-01-01",
     DIALECT_KEEP, NULL},
    {OPENAI, EAST, O "/models?&a=1&", NULL, DIALECT_FITS,
     "/openai/models?a=1&api-version=2025-01-01", DIALECT_KEEP, NULL},
    /* azure -> azure */
    {AZURE, EAST, A "/openai/deployments/gpt-4/chat/completions?api-version=2024-02-01", NULL,
     DIALECT_FITS, "/openai/deployments/gpt4/chat/completions?api-version=2025-01-01", DIALECT_KEEP,
     NULL},
    {AZURE, EAST, A "/openai/deployments/oth%65r/embeddings?api-version=2024-02-01&x", NULL,
     DIALECT_FITS, "/openai/deployments/oth%65r/embeddings?api-version=2025-01-01&x", DIALECT_KEEP,
     NULL},
    {AZURE, "url: https://e.example, models: {a: b}",
     A "/openai/deployments/a/chat/completions?api-version=2024-02-01", NULL, DIALECT_FITS,
     "/openai/deployments/b/chat/completions?api-version=2024-02-01", DIALECT_KEEP, NULL},
    {AZURE, "url: https://e.example, models: {a: b}",
     A "/openai/deployments/c/extensions/x?api-version=2024-02-01", NULL, DIALECT_FITS, NULL,
     DIALECT_KEEP, NULL},
    {AZURE, "url: https://e.example, models: {a: b}", A "/openai/responses?api-version=1", "a",
     DIALECT_FITS, NULL, DIALECT_MAP, NULL},
    {AZURE, "url: https://e.example, api_version: 2025-01-01", A "/openai/v1/responses", "a",
     DIALECT_FITS, NULL, DIALECT_KEEP, NULL},
    {AZURE, "url: https://e.example, api_version: 2025-01-01", A "/openai/files", NULL,
     DIALECT_FITS, "/openai/files?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai",
     "url: https://e.example/openai, models: {a: b}",
     A "/openai/deployments/a/embeddings?api-version=1", NULL, DIALECT_FITS,
     "/deployments/b/embeddings?api-version=1", DIALECT_KEEP, NULL},
    /* a resource by its host alone, asked through an endpoint that holds the API's root */
    {"dialect: azure, url: https://logical.openai.azure.com/openai", "url: https://e.example",
     A "/openai/deployments/gpt-4/embeddings?api-version=1", NULL, DIALECT_FITS,
     "/openai/deployments/gpt-4/embeddings?api-version=1", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai",
     "url: https://e.example, models: {gpt-4: d}, api_version: x",
     A "/openai/deployments/gpt-4/embeddings?api-version=1", NULL, DIALECT_FITS,
     "/openai/deployments/d/embeddings?api-version=x", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai", "url: https://e.example",
     A "/openai/v1/chat/completions", NULL, DIALECT_FITS, "/openai/v1/chat/completions",
     DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai", "url: https://gw.example/own",
     A "/openai/models?api-version=1", NULL, DIALECT_FITS, NULL, DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai/deployments/a",
     "url: https://e.example/openai/deployments/b, models: {a: b}",
     A "/openai/deployments/a/embeddings?api-version=1", NULL, DIALECT_FITS,
     "/embeddings?api-version=1", DIALECT_KEEP, NULL},
    /* a backend that is one deployment */
    {OPENAI, ONE, O "/chat/completions?x", NULL, DIALECT_FITS,
     "/chat/completions?x&api-version=" DIALECT_API_VERSION, DIALECT_KEEP, NULL},
    {OPENAI, ONE ", models: {a: b}, api_version: 2025-01-01", O "/embeddings", "a", DIALECT_FITS,
     "/embeddings?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {OPENAI, ONE, O "/models", NULL, DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    {OPENAI, ONE, O "/responses", "a", DIALECT_NO_API, NULL, DIALECT_KEEP, NULL},
    {OPENAI, "dialect: azure, url: https://e.example/openai/deployments/d/more", O "/embeddings",
     "m", DIALECT_FITS, "/openai/deployments/m/embeddings?api-version=" DIALECT_API_VERSION,
     DIALECT_KEEP, NULL},
    {AZURE, ONE, A "/openai/deployments/x/embeddings?api-version=1&y", NULL, DIALECT_FITS,
     "/embeddings?api-version=1&y", DIALECT_KEEP, NULL},
    {AZURE, ONE ", models: {a: b}, api_version: 2025-01-01",
     A "/openai/deployments/a/extensions/y?api-version=1", NULL, DIALECT_FITS,
     "/extensions/y?api-version=2025-01-01", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/openai/deployments/a", ONE,
     A "/openai/deployments/a/embeddings?api-version=1", NULL, DIALECT_FITS,
     "/embeddings?api-version=1", DIALECT_KEEP, NULL},
    {"dialect: azure, url: https://logical.openai.azure.com/own", ONE,
     A "/own/embeddings?api-version=1", NULL, DIALECT_FITS, NULL, DIALECT_KEEP, NULL},
    {AZURE, "host: e.example, models: {a: b}", A "/openai/deployments/a/embeddings?api-version=1",
     NULL, DIALECT_FITS, "/openai/deployments/b/embeddings?api-version=1", DIALECT_KEEP, NULL},
    {AZURE, "dialect: openai, url: https://e.example/openai/deployments/d",
     A "/openai/deployments/a/embeddings?api-version=1", NULL, DIALECT_FITS, "/embeddings",
     DIALECT_NAME, "a"},
    /* azure -> Azure's version-less API */
    {AZURE, "url: https://e.example/openai/v1, models: {a: b}",
     A "/openai/deployments/a/chat/completions?api-version=2024-02-01", NULL, DIALECT_FITS,
     "/chat/completions", DIALECT_NAME, "b"},
    {AZURE, "url: https://e.example/openai/v1", A "/openai/v1/responses?api-version=preview", "a",
     DIALECT_FITS, "/responses?api-version=preview", DIALECT_KEEP, NULL},
};

Test(dialect, table) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct settings *settings = load(row->endpoint, row->backend);
        struct outcome outcome;
        ask(settings, row->url, row->said, &outcome);
        cr_expect_eq(outcome.fit, row->fit, "row %zu: %s", i, row->url);
        if (outcome.fit == DIALECT_FITS && row->fit == DIALECT_FITS) {
            cr_expect_str_eq(outcome.target, row->target ? row->target : "", "row %zu", i);
            cr_expect_eq(outcome.plan.body, row->body, "row %zu: body", i);
            cr_expect((row->model == NULL) == (outcome.plan.model == NULL) &&
                          (!row->model || strcmp(row->model, outcome.plan.model) == 0),
                      "row %zu: model %s", i, outcome.plan.model ? outcome.plan.model : "none");
        }
        bool changes = outcome.fit != DIALECT_FITS || *outcome.target || outcome.plan.body;
        cr_expect(outcome.translates || !changes, "row %zu: a change that was not foreseen", i);
        cr_expect(outcome.asks || outcome.plan.body == DIALECT_KEEP, "row %zu: asks", i);
        settings_free(settings);
    }
}

Test(dialect, the_body_is_asked_for_only_where_it_matters) {
    static const struct {
        const char *endpoint, *backend, *url;
        bool asks;
    } cases[] = {
        {OPENAI, EAST, O "/chat/completions", true},
        {OPENAI, EAST, O "/models", false},
        {OPENAI, EAST, O "/moderations", false},
        {OPENAI, ONE, O "/chat/completions", false},
        {OPENAI, "url: https://e.example/v1", O "/chat/completions", false},
        {OPENAI, "url: https://e.example/v1, models: {a: b}", O "/chat/completions", true},
        {OPENAI, "url: https://e.example/v1, models: {a: b}", O "/files", false},
        {AZURE, EAST, A "/openai/deployments/d/chat/completions", false},
        {AZURE, "dialect: openai, url: https://e.example/v1",
         A "/openai/deployments/d/chat/completions", true},
        {AZURE, "dialect: openai, url: https://e.example/v1", A "/openai/files", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings *settings = load(cases[i].endpoint, cases[i].backend);
        struct outcome outcome;
        ask(settings, cases[i].url, NULL, &outcome);
        cr_expect_eq(outcome.asks, cases[i].asks, "case %zu", i);
        settings_free(settings);
    }
}

Test(dialect, backends_that_need_nothing_are_known) {
    static const struct {
        const char *endpoint, *backend;
        bool translates;
    } cases[] = {
        {OPENAI, "url: https://e.example/v1", false},
        {OPENAI, "url: https://e.example/v1, models: {a: b}", true},
        {OPENAI, "url: https://e.example, dialect: azure", true},
        {OPENAI, "url: https://e.example/openai/v1, dialect: azure", false},
        {OPENAI, "url: https://e.example/openai/v1, dialect: azure, api_version: 2024-10-21",
         false},
        {OPENAI, "url: https://e.example/openai/v1, dialect: azure, api_version: preview", true},
        {OPENAI, "url: https://e.example/openai/v1, dialect: azure, models: {a: b}", true},
        {AZURE, "url: https://e.example", false},
        {AZURE, "url: https://e.example, api_version: 2024-10-21", true},
        {AZURE, "url: https://e.example/openai/v1", true},
        {AZURE, ONE, true},
        {AZURE, "url: https://e.example/v1, dialect: openai", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings *settings = load(cases[i].endpoint, cases[i].backend);
        cr_expect_eq(
            dialect_translates(&settings->endpoints[0], &settings->endpoints[0].backends[0]),
            cases[i].translates, "case %zu", i);
        settings_free(settings);
    }
}

Test(dialect, a_target_that_does_not_fit_is_none) {
    struct settings *settings = load(OPENAI, EAST);
    const struct backend *backend = &settings->endpoints[0].backends[0];
    char scratch[64], out[256];
    struct route route;
    struct dialect_request request;
    struct dialect_plan plan;
    cr_assert(route_find(settings, O "/embeddings", false, scratch, &route));
    dialect_read(&route, &request);
    cr_assert_eq(dialect_plan(&request, backend, "m", &plan), DIALECT_FITS);
    size_t length = dialect_target(&route, &request, backend, &plan, out, sizeof out);
    cr_assert_gt(length, 0);
    for (size_t size = 0; size <= length; size++) {
        char *exact = malloc(size ? size : 1);
        cr_expect_eq(dialect_target(&route, &request, backend, &plan, exact, size), 0);
        free(exact);
    }
    settings_free(settings);
}
