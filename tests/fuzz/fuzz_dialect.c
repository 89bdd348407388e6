/*
 * Any path, query and model through the rules between the dialects: what comes out is a URL of
 * the backend that was asked for, below its own path, with the one api-version that it wants.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/settings.h"
#include "shim/request/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "endpoints:\n"
    "  - &o {name: o, url: http://o.test/v1, backends: &all [\n"
    "      {name: east, dialect: azure, url: http://b.test/p, api_version: 2025-01-01,\n"
    "       models: {gpt-4: gpt4, a: b, b: c}},\n"
    "      {name: root, dialect: azure, url: http://b.test/p/openai},\n"
    "      {name: v1, dialect: azure, url: http://b.test/p/openai/v1, api_version: preview},\n"
    "      {name: one, dialect: azure, url: http://b.test/p/openai/deployments/d},\n"
    "      {name: plain, dialect: openai, url: http://b.test/p, models: {gpt-4: gpt4}}]}\n"
    "  - {name: r, url: http://r.test, backends: *all}\n"
    "  - {name: a, dialect: azure, url: http://a.test, backends: *all}\n"
    "  - {name: b, dialect: azure, url: http://b.test/openai, backends: *all}\n"
    "  - {name: c, dialect: azure, url: http://c.test/openai/deployments/d, backends: *all}\n"
    "  - {name: d, dialect: azure, url: http://d.test/openai/team, backends: *all}\n";

static const struct settings *settings;

static void require(bool holds) {
    if (!holds)
        abort();
}

static const struct settings *load(void) {
    struct settings_error error;
    struct settings *loaded = settings_load_text("fuzz", text, strlen(text), &error);
    if (!loaded) {
        fprintf(stderr, "%u:%u: %s\n", error.line, error.column, error.message);
        abort();
    }
    return loaded;
}

/* How many api-versions the query of TARGET has, a path and its query. */
static unsigned count_versions(struct slice target) {
    unsigned count = 0;
    const char *query = target.length ? memchr(target.text, '?', target.length) : NULL;
    const char *end = target.text + target.length;
    for (const char *at = query; at && end - at > 12; at++)
        count += (at == query || *at == '&') && strncasecmp(at + 1, "api-version=", 12) == 0;
    return count;
}

/* URL is what an attempt on BACKEND asks for. */
static void check_url(const char *full, const struct backend *backend) {
    struct url url, base;
    require(url_parse(full, false, &url) && url_parse(backend->url, false, &base));
    require(url_same_origin(&url, &base));
    require(url.path.length >= base.path.length &&
            memcmp(url.path.text, base.path.text, base.path.length) == 0);
    require(url.path.length == base.path.length || url.path.text[base.path.length] == '/');
    require(!url_has_dots(url.path));
}

static void ask(const struct route *route, const struct backend *backend, const char *said) {
    struct dialect_request request;
    struct dialect_plan plan;
    dialect_read(route, &request);
    enum dialect_fit fit = dialect_plan(&request, backend, said, &plan);
    require(dialect_asks_body(&request, backend) ||
            (dialect_plan(&request, backend, NULL, &plan) == fit && plan.body == DIALECT_KEEP));
    if (dialect_plan(&request, backend, said, &plan) != DIALECT_FITS)
        return;
    require((plan.body == DIALECT_NAME) == (plan.model != NULL));
    require(dialect_translates(route->endpoint, backend) ||
            (plan.same_target && plan.body == DIALECT_KEEP));
    struct slice target = {NULL, 0};
    char *composed = NULL;
    if (!plan.same_target) {
        size_t room = dialect_target_size(route, backend);
        composed = malloc(room);
        target.text = composed;
        target.length = dialect_target(route, &request, backend, &plan, composed, room);
        require(target.length == strlen(composed) && target.length < room);
        if (backend->dialect == DIALECT_OPENAI && request.speaks == DIALECT_AZURE)
            require(count_versions(target) == 0);
    }
    size_t size =
        strlen(backend->url) + target.length + route->below.length + route->query.length + 16;
    char *url = malloc(size);
    struct slice nobody = {NULL, 0};
    if (target.length || plan.same_target) {
        require(route_url(route, backend, nobody, target, url, size) > 0);
        check_url(url, backend);
    }
    free(url);
    free(composed);
}

/* "URL PATH AND QUERY\nMODEL" */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const origins[] = {"http://o.test/v1",
                                          "http://r.test",
                                          "http://a.test",
                                          "http://b.test/openai",
                                          "http://c.test/openai/deployments/d",
                                          "http://d.test/openai/team"};
    if (!settings)
        settings = load();
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t path = newline ? (size_t)(newline - data) : size;
    size_t left = newline ? size - path - 1 : 0;
    char said[MODEL_NAME_MAX + 1];
    left = left > MODEL_NAME_MAX ? MODEL_NAME_MAX : left;
    if (left)
        memcpy(said, newline + 1, left);
    said[left] = '\0';
    for (size_t o = 0; o < sizeof origins / sizeof *origins; o++) {
        size_t room = strlen(origins[o]) + path + 1;
        char *url = malloc(room), *scratch = malloc(room);
        memcpy(url, origins[o], strlen(origins[o]));
        if (path)
            memcpy(url + strlen(origins[o]), data, path);
        url[room - 1] = '\0';
        struct route route;
        if (route_find(settings, url, false, scratch, &route))
            for (size_t b = 0; b < route.endpoint->backend_count; b++)
                ask(&route, &route.endpoint->backends[b], newline ? said : NULL);
        free(url);
        free(scratch);
    }
    return 0;
}
