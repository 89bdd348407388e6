#include <stdio.h>
#include <string.h>

#include "config/loader.h"
#include "config/value.h"

#define HOST_MAX       260
#define PATH_MAX_BYTES 1024
#define KEY_MAX        8192
#define COMMAND_MAX    4096
#define VERSION_MAX    64
#define VARIABLE_MAX   64
#define MODEL_MAX      256
#define NAME_ROOM      64

static const char word_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789_";

static const struct schema_key *backend_key(const char *name) {
    return schema_find(SECTION_BACKEND, name);
}

/* Puts HOST and PATH, which is NULL or a path, together as the backend's URL. */
static bool join_host(struct loader *loader, const char *host, const char *path,
                      struct backend *backend) {
    size_t host_length = strlen(host), path_length = 0;
    if (path) {
        path += strspn(path, "/");
        path_length = strlen(path);
        while (path_length > 0 && path[path_length - 1] == '/')
            path_length--;
    }
    char *url = arena_take(loader->arena, host_length + path_length + 2);
    if (!url)
        return loader_no_memory(loader);
    memcpy(url, host, host_length);
    if (path_length > 0) {
        url[host_length] = '/';
        memcpy(url + host_length + 1, path, path_length);
    }
    backend->url = url;
    backend->any_scheme = true;
    return true;
}

static bool take_host(struct loader *loader, const struct fields *fields, struct backend *backend) {
    const struct schema_key *host_key = backend_key("host"), *path_key = backend_key("path");
    const struct node *host_node = fields->value[host_key - schema_keys];
    const struct node *path_node = fields->value[path_key - schema_keys];
    char *host, *path = NULL;
    struct url url;
    if (!loader_text(loader, host_key, host_node, HOST_MAX, &host))
        return false;
    if (strpbrk(host, "/?#@") || !url_parse(host, true, &url)) {
        return loader_unexpected(loader, host_key, host_node,
                                 "a host such as api.example.com or api.example.com:8443");
    }
    if (path_node && !loader_text(loader, path_key, path_node, PATH_MAX_BYTES, &path))
        return false;
    if (!join_host(loader, host, path, backend))
        return false;
    if (path &&
        (strpbrk(path, "?#") || !url_parse(backend->url, true, &url) || url_has_dots(url.path))) {
        return loader_unexpected(loader, path_key, path_node,
                                 "a path such as /openai/v1, without query, spaces or dot "
                                 "segments");
    }
    return true;
}

static bool take_url(struct loader *loader, const struct node *map, const struct fields *fields,
                     struct backend *backend) {
    const struct schema_key *url_key = backend_key("url"), *host_key = backend_key("host");
    const struct node *url = fields->value[url_key - schema_keys];
    const struct node *host = fields->value[host_key - schema_keys];
    struct url parts;
    if (url && host)
        return loader_fail_pair(loader, fields, url_key, host_key);
    if (!url && !host) {
        return loader_fail(loader, map,
                           "found a backend without a URL, expected 'url' or 'host' in it");
    }
    if (host)
        return take_host(loader, fields, backend);
    if (fields_value(fields, SECTION_BACKEND, "path")) {
        return loader_fail(loader, fields_key(fields, SECTION_BACKEND, "path"),
                           "found 'path' beside 'url', expected the path in the URL");
    }
    return loader_url(loader, url_key, url, &backend->url, &parts);
}

/* A key in the place of its variable's name would be shown as that name. */
static bool take_variable(struct loader *loader, const struct schema_key *key,
                          const struct node *value, struct backend *backend) {
    if (!loader_text(loader, key, value, KEY_MAX, &backend->key))
        return false;
    const char *name = backend->key;
    size_t length = strlen(name);
    bool looks_like_key = length > VARIABLE_MAX || (length >= 32 && !strchr(name, '_'));
    if (looks_like_key || (name[0] >= '0' && name[0] <= '9') ||
        name[strspn(name, word_characters)] != '\0') {
        return loader_unexpected(loader, key, value,
                                 "the name of an environment variable such as AZURE_KEY_EASTUS");
    }
    backend->key_source = KEY_ENVIRONMENT;
    return true;
}

static bool take_key(struct loader *loader, const struct fields *fields, struct backend *backend) {
    static const char *const names[] = {"key_env", "key_file", "key_command", "key", "api_key"};
    const struct schema_key *key = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct schema_key *other = backend_key(names[i]);
        if (!fields->value[other - schema_keys])
            continue;
        if (key)
            return loader_fail_pair(loader, fields, key, other);
        key = other;
    }
    if (!key)
        return true;
    const struct node *value = fields->value[key - schema_keys];
    if (key->type == SCHEMA_VARIABLE)
        return take_variable(loader, key, value, backend);
    if (key->type == SCHEMA_FILE) {
        backend->key_source = KEY_FILE;
        return true;
    }
    bool command = key->type == SCHEMA_TEXT;
    backend->key_source = command ? KEY_COMMAND : KEY_INLINE;
    return loader_text(loader, key, value, command ? COMMAND_MAX : KEY_MAX, &backend->key);
}

static bool take_version(struct loader *loader, const struct fields *fields,
                         struct backend *backend) {
    const struct schema_key *key = backend_key("api_version");
    const struct node *value = fields->value[key - schema_keys];
    if (!value)
        return true;
    if (!loader_text(loader, key, value, VERSION_MAX, &backend->api_version))
        return false;
    for (const char *p = backend->api_version; *p; p++) {
        if (!strchr(word_characters, *p) && *p != '-' && *p != '.') {
            return loader_unexpected(loader, key, value,
                                     "letters, digits, '-', '.' and '_' such as 2024-10-21");
        }
    }
    return true;
}

/* The names go into JSON and into paths. */
static bool take_model_name(struct loader *loader, const struct schema_key *key,
                            const struct node *value, char **out) {
    if (value->kind != NODE_TEXT || node_is_null(value))
        return loader_unexpected(loader, key, value, "a model's name and a deployment's name");
    if (!loader_text(loader, key, value, MODEL_MAX, out))
        return false;
    return !strpbrk(*out, "\"\\") ||
           loader_unexpected(loader, key, value, "a name without quotes and backslashes");
}

static bool take_models(struct loader *loader, const struct fields *fields,
                        struct backend *backend) {
    const struct schema_key *key = backend_key("models");
    const struct node *map = fields->value[key - schema_keys];
    if (!map)
        return true;
    if (map->kind != NODE_MAP)
        return loader_mismatch(loader, key, map);
    if (map->count > key->maximum) {
        return loader_fail(loader, map, "models: found %zu, expected %llu at most", map->count,
                           (unsigned long long)key->maximum);
    }
    backend->models = arena_take(loader->arena, (map->count + 1) * sizeof *backend->models);
    if (!backend->models)
        return loader_no_memory(loader);
    for (const struct entry *entry = map->entries; entry; entry = entry->next) {
        struct model *model = &backend->models[backend->model_count];
        if (!loader_count(loader, entry->key) ||
            !take_model_name(loader, key, entry->key, &model->name) ||
            !take_model_name(loader, key, entry->value, &model->deployment))
            return false;
        for (size_t i = 0; i < backend->model_count; i++)
            if (strcmp(backend->models[i].name, model->name) == 0)
                return loader_unexpected(loader, key, entry->key, "each model once");
        backend->model_count++;
    }
    return true;
}

static bool taken(const struct endpoint *endpoint, const char *name) {
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const char *other = endpoint->backends[i].name;
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static bool load_backend(struct loader *loader, const struct node *map, struct endpoint *endpoint,
                         struct backend *backend) {
    struct fields fields = {0};
    backend->dialect = endpoint->dialect;
    if (!loader_count(loader, map) || !loader_presets(loader, SECTION_BACKEND, backend) ||
        !loader_map(loader, map, SECTION_BACKEND, backend, &fields))
        return false;
    if (backend->name && taken(endpoint, backend->name)) {
        return loader_unexpected(loader, backend_key("name"),
                                 fields_value(&fields, SECTION_BACKEND, "name"),
                                 "each backend's name once in its endpoint");
    }
    return take_url(loader, map, &fields, backend) && take_key(loader, &fields, backend) &&
           take_version(loader, &fields, backend) && take_models(loader, &fields, backend);
}

/* A name from the host and port of BACKEND's URL; the brackets of IPv6 are left out. */
static size_t write_host_name(const struct backend *backend, char out[NAME_ROOM]) {
    struct url url;
    size_t length = 0;
    if (url_parse(backend->url, true, &url)) {
        const char *text = url.authority.text;
        /* room stays for "-64" */
        for (size_t i = 0; i < url.authority.length && length < NAME_ROOM - 4; i++) {
            bool allowed = strchr(word_characters, text[i]) || strchr(".:-", text[i]);
            if (text[i] != '[' && text[i] != ']')
                out[length++] = allowed ? text[i] : '-';
        }
    }
    while (length > 0 && out[length - 1] == ':')
        length--;
    if (length == 0)
        out[length++] = '-';
    out[length] = '\0';
    return length;
}

static bool name_backends(struct loader *loader, struct endpoint *endpoint) {
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        struct backend *backend = &endpoint->backends[i];
        char name[NAME_ROOM];
        if (backend->name)
            continue;
        size_t length = write_host_name(backend, name);
        for (unsigned more = 2; taken(endpoint, name); more++)
            snprintf(name + length, sizeof name - length, "-%u", more);
        backend->name = arena_text(loader->arena, name, strlen(name));
        if (!backend->name)
            return loader_no_memory(loader);
    }
    return true;
}

bool loader_backends(struct loader *loader, struct endpoint *endpoint, const struct node *node) {
    if (!loader_list(loader, schema_find(SECTION_ENDPOINT, "backends"), node))
        return false;
    endpoint->backends = arena_take(loader->arena, node->count * sizeof *endpoint->backends);
    if (!endpoint->backends)
        return loader_no_memory(loader);
    for (const struct entry *entry = node->entries; entry; entry = entry->next) {
        struct backend *backend = &endpoint->backends[endpoint->backend_count];
        if (!load_backend(loader, entry->value, endpoint, backend))
            return false;
        endpoint->backend_count++;
    }
    return name_backends(loader, endpoint);
}
