#include "shim/command/mock_route.h"

#include <string.h>

static const struct {
    const char *ending;
    const char *method;
    enum mock_operation operation;
} operations[] = {
    /* The longer ending first. */
    {"/chat/completions", "POST", MOCK_CHAT},
    {"/completions", "POST", MOCK_COMPLETIONS},
    {"/embeddings", "POST", MOCK_EMBEDDINGS},
    {"/responses", "POST", MOCK_RESPONSES},
    {"/images/generations", "POST", MOCK_IMAGES},
    {"/images/edits", "POST", MOCK_IMAGE_EDITS},
    {"/audio/transcriptions", "POST", MOCK_TRANSCRIPTIONS},
    {"/audio/translations", "POST", MOCK_TRANSLATIONS},
    {"/audio/speech", "POST", MOCK_SPEECH},
    {"/models", "GET", MOCK_MODELS},
};
#define OPERATION_COUNT (sizeof operations / sizeof *operations)

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static bool begins_with(const char *text, const char *beginning) {
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Copies the path segment at TEXT, so that it may stand in a JSON string. */
static void copy_segment(const char *text, char out[MOCK_NAME_MAX]) {
    size_t length = strcspn(text, "/");
    if (length >= MOCK_NAME_MAX)
        length = MOCK_NAME_MAX - 1;
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)text[i] < ' ' || strchr("\"\\", text[i]) != NULL ||
                         (unsigned char)text[i] > '~'
                     ? '_'
                     : text[i];
    out[length] = '\0';
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c | (c >= 'A' ? 0x20 : 0)) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* Decodes LENGTH characters of a URL, as many as fit. What is no escape of a byte other than NUL
 * stays as it is. */
static void decode(const char *text, size_t length, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        int high = text[i] == '%' && length - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0 && high + low > 0) {
            out[used++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[used++] = text[i];
        }
    }
    out[used] = '\0';
}

/* The text after the last "/WORD/" of PATH, or NULL. */
static const char *after_segment(const char *path, const char *word) {
    const char *found = NULL;
    for (const char *at = path; (at = strstr(at, word)) != NULL; at++)
        found = at + strlen(word);
    return found;
}

static bool carries_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static bool allows(const char *wanted, const char *method) {
    return strcmp(method, wanted) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static enum mock_operation find_operation(const char *method, struct mock_route *route) {
    const char *path = route->path;
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (ends_with(path, operations[i].ending)) {
            if (route->below == 0)
                route->below = strlen(path) - strlen(operations[i].ending) + 1;
            return allows(operations[i].method, method) ? operations[i].operation
                                                        : MOCK_WRONG_METHOD;
        }
    const char *model = after_segment(path, "/models/");
    if (model != NULL && *model != '\0' && strchr(model, '/') == NULL) {
        copy_segment(model, route->name);
        return allows("GET", method) ? MOCK_MODEL : MOCK_WRONG_METHOD;
    }
    return carries_body(method) && strlen(path) > 1 ? MOCK_UPLOAD : MOCK_UNKNOWN;
}

static void find_root(struct mock_route *route) {
    const char *path = route->path;
    const char *root = strstr(path, "/openai/");
    const char *below;
    if (root != NULL) {
        below = root + strlen("/openai/");
        size_t name = begins_with(below, "deployments/") ? strcspn(below + 12, "/") : 0;
        route->root = MOCK_ROOT_AZURE;
        if (begins_with(below, "v1/")) {
            route->root = MOCK_ROOT_AZURE_V1;
            below += strlen("v1/");
        } else if (name > 0 && below[12 + name] == '/') {
            route->root = MOCK_ROOT_DEPLOYMENT;
            below += 12 + name + 1;
        }
    } else if ((root = strstr(path, "/v1/")) != NULL) {
        route->root = MOCK_ROOT_V1;
        below = root + strlen("/v1/");
    } else {
        return;
    }
    route->prefixed = root != path;
    route->below = *below != '\0' ? (size_t)(below - path) : 0;
}

static void find_version(const char *query, struct mock_route *route) {
    static const char name[] = "api-version";
    while (*query == '?' || *query == '&') {
        const char *value = ++query;
        size_t length = strcspn(query, "&#");
        query += length;
        if (length < sizeof name - 1 || strncmp(value, name, sizeof name - 1) != 0)
            continue;
        value += sizeof name - 1;
        if (value < query && *value != '=')
            continue;
        value += value < query;
        if (route->api_versions++ == 0)
            decode(value, (size_t)(query - value), route->api_version, sizeof route->api_version);
    }
}

void mock_route_parse(const char *method, const char *target, enum mock_dialect dialect,
                      struct mock_route *route) {
    const char *authority = strstr(target, "://");
    memset(route, 0, sizeof *route);
    if (*target != '/' && authority != NULL)
        target = authority + 3 + strcspn(authority + 3, "/?");
    /* Of an overlong path the end counts. */
    size_t length = strcspn(target, "?#");
    size_t skip = length < sizeof route->path ? 0 : length - sizeof route->path + 1;
    memcpy(route->path, target + skip, length - skip);
    route->path[length - skip] = '\0';

    route->dialect = dialect;
    if (dialect == MOCK_ANY)
        route->dialect = strstr(route->path, "/openai/") != NULL ? MOCK_AZURE : MOCK_OPENAI;
    const char *deployment = after_segment(route->path, "/deployments/");
    if (deployment != NULL) {
        copy_segment(deployment, route->name);
        decode(deployment, strcspn(deployment, "/"), route->deployment, sizeof route->deployment);
    }
    find_root(route);
    find_version(target + length, route);
    route->operation = find_operation(method, route);
}

const char *mock_route_below(const struct mock_route *route) {
    return route->below != 0 ? route->path + route->below : NULL;
}

const char *mock_operation_path(enum mock_operation operation) {
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (operations[i].operation == operation)
            return operations[i].ending + 1;
    return NULL;
}

const char *mock_operation_name(enum mock_operation operation) {
    switch (operation) {
    case MOCK_CHAT:
        return "ChatCompletions_Create";
    case MOCK_COMPLETIONS:
        return "Completions_Create";
    case MOCK_EMBEDDINGS:
        return "Embeddings_Create";
    case MOCK_RESPONSES:
        return "Responses_Create";
    case MOCK_IMAGES:
        return "ImageGenerations_Create";
    case MOCK_IMAGE_EDITS:
        return "ImageEdits_Create";
    case MOCK_TRANSCRIPTIONS:
        return "Transcriptions_Create";
    case MOCK_TRANSLATIONS:
        return "Translations_Create";
    case MOCK_SPEECH:
        return "Speech_Create";
    case MOCK_MODELS:
    case MOCK_MODEL:
        return "Models_List";
    case MOCK_UPLOAD:
        return "Files_Upload";
    case MOCK_WRONG_METHOD:
    case MOCK_UNKNOWN:
        break;
    }
    return "Unknown";
}

bool mock_operation_streams(enum mock_operation operation) {
    return operation == MOCK_CHAT || operation == MOCK_COMPLETIONS || operation == MOCK_RESPONSES;
}
