#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/loader.h"
#include "config/value.h"

#define URL_MAX 2048

static bool has_scheme(const char *text) {
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

/* What is wrong with URL, as what was expected instead; NULL if nothing is. */
static const char *fault_of_url(const char *text, struct url *url) {
    if (!has_scheme(text))
        return "a URL that starts with https:// or http://";
    if (!url_parse(text, true, url))
        return "a URL such as https://api.openai.com/v1";
    if (url->userinfo.text)
        return "a URL without user name and password";
    if (url->query.length > 0)
        return "a URL without a query";
    if (strchr(text, '#'))
        return "a URL without a fragment";
    if (url_has_dots(url->path))
        return "a URL without . and .. segments";
    return NULL;
}

bool loader_url(struct loader *loader, const struct schema_key *key, const struct node *value,
                char **out, struct url *url) {
    if (!loader_text(loader, key, value, URL_MAX, out))
        return false;
    const char *expected = fault_of_url(*out, url);
    if (expected)
        return loader_unexpected(loader, key, value, expected);
    size_t length = strlen(*out);
    while (url->path.length > 0 && (*out)[length - 1] == '/') {
        (*out)[--length] = '\0';
        url->path.length--;
    }
    /* the parts are to end where the text does */
    return url_parse(*out, true, url) || loader_unexpected(loader, key, value, "a URL");
}

static bool same_prefix(const struct url *a, const struct url *b) {
    return url_same_origin(a, b) && a->path.length == b->path.length &&
           memcmp(a->path.text, b->path.text, a->path.length) == 0;
}

/* The endpoint that has PREFIX already, or NULL. */
static const struct endpoint *owner_of_prefix(const struct settings *settings,
                                              const struct url *prefix) {
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t j = 0; j < endpoint->url_count; j++)
            if (same_prefix(&endpoint->prefixes[j], prefix))
                return endpoint;
    }
    return NULL;
}

static bool add_url(struct loader *loader, const struct schema_key *key, const struct node *value,
                    struct endpoint *endpoint) {
    size_t place = endpoint->url_count;
    struct url *prefix = &endpoint->prefixes[place];
    if (!loader_count(loader, value) ||
        !loader_url(loader, key, value, &endpoint->urls[place], prefix))
        return false;
    const struct endpoint *owner = owner_of_prefix(loader->settings, prefix);
    if (owner) {
        return loader_fail(loader, value,
                           "%s: found a URL that endpoint %zu has already, "
                           "expected each URL once",
                           key->name, (size_t)(owner - loader->settings->endpoints) + 1);
    }
    endpoint->url_count++;
    return true;
}

static bool take_urls(struct loader *loader, const struct node *map, const struct fields *fields,
                      struct endpoint *endpoint) {
    const struct schema_key *one = schema_find(SECTION_ENDPOINT, "url");
    const struct schema_key *several = schema_find(SECTION_ENDPOINT, "urls");
    const struct node *url = fields->value[one - schema_keys];
    const struct node *urls = fields->value[several - schema_keys];
    if (url && urls)
        return loader_fail_pair(loader, fields, one, several);
    if (!url && !urls) {
        return loader_fail(loader, map,
                           "found an endpoint without a URL, expected 'url' or "
                           "'urls' in it");
    }
    if (urls && !loader_list(loader, several, urls))
        return false;
    size_t count = urls ? urls->count : 1;
    endpoint->urls = arena_take(loader->arena, count * sizeof *endpoint->urls);
    endpoint->prefixes = arena_take(loader->arena, count * sizeof *endpoint->prefixes);
    if (!endpoint->urls || !endpoint->prefixes)
        return loader_no_memory(loader);
    if (url)
        return add_url(loader, one, url, endpoint);
    for (const struct entry *entry = urls->entries; entry; entry = entry->next)
        if (!add_url(loader, several, entry->value, endpoint))
            return false;
    return true;
}

static bool load_endpoint(struct loader *loader, const struct node *map,
                          struct endpoint *endpoint) {
    struct fields fields = {0};
    if (!loader_count(loader, map) || !loader_presets(loader, SECTION_ENDPOINT, endpoint) ||
        !loader_map(loader, map, SECTION_ENDPOINT, endpoint, &fields))
        return false;
    for (const struct endpoint *other = loader->settings->endpoints; other < endpoint; other++) {
        if (endpoint->name && other->name && strcmp(endpoint->name, other->name) == 0) {
            return loader_unexpected(loader, schema_find(SECTION_ENDPOINT, "name"),
                                     fields_value(&fields, SECTION_ENDPOINT, "name"),
                                     "each endpoint's name once");
        }
    }
    if (!take_urls(loader, map, &fields, endpoint))
        return false;
    const struct node *backends = fields_value(&fields, SECTION_ENDPOINT, "backends");
    if (!backends) {
        return loader_fail(loader, map,
                           "found an endpoint without backends, expected 'backends' "
                           "in it");
    }
    return loader_backends(loader, endpoint, backends);
}

static bool taken(const struct settings *settings, const char *name) {
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const char *other = settings->endpoints[i].name;
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static bool name_endpoints(struct loader *loader) {
    struct settings *settings = loader->settings;
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        char name[64];
        if (settings->endpoints[i].name)
            continue;
        snprintf(name, sizeof name, "endpoint-%zu", i + 1);
        for (size_t more = 2; taken(settings, name); more++)
            snprintf(name, sizeof name, "endpoint-%zu-%zu", i + 1, more);
        settings->endpoints[i].name = arena_text(loader->arena, name, strlen(name));
        if (!settings->endpoints[i].name)
            return loader_no_memory(loader);
    }
    return true;
}

bool loader_endpoints(struct loader *loader, const struct node *node) {
    struct settings *settings = loader->settings;
    if (!loader_list(loader, schema_find(SECTION_ROOT, "endpoints"), node))
        return false;
    settings->endpoints = arena_take(loader->arena, node->count * sizeof *settings->endpoints);
    if (!settings->endpoints)
        return loader_no_memory(loader);
    for (const struct entry *entry = node->entries; entry; entry = entry->next) {
        struct endpoint *endpoint = &settings->endpoints[settings->endpoint_count];
        settings->endpoint_count++;
        if (!load_endpoint(loader, entry->value, endpoint))
            return false;
    }
    return name_endpoints(loader);
}
