#include "shim/request/dialect.h"

#include <string.h>
#include <strings.h>

#include "shim/request/writer.h"

enum place {
    AT_DEPLOYMENT, /* Azure has it below a deployment; the model is in OpenAI's body */
    AT_RESOURCE,   /* Azure has it below /openai; a model in the body is a deployment */
    WITHOUT_MODEL  /* the same, and no body names a deployment */
};

struct dialect_operation {
    const char *path;
    enum place place; /* at a deployment this path alone, else all below it as well */
};

static const struct dialect_operation operations[] = {
    {"/chat/completions", AT_DEPLOYMENT},
    {"/completions", AT_DEPLOYMENT},
    {"/embeddings", AT_DEPLOYMENT},
    {"/images/generations", AT_DEPLOYMENT},
    {"/images/edits", AT_DEPLOYMENT},
    {"/audio/transcriptions", AT_DEPLOYMENT},
    {"/audio/translations", AT_DEPLOYMENT},
    {"/audio/speech", AT_DEPLOYMENT},
    {"/responses", AT_RESOURCE},
    {"/assistants", AT_RESOURCE},
    {"/threads", AT_RESOURCE},
    {"/models", WITHOUT_MODEL},
    {"/files", WITHOUT_MODEL},
    {"/uploads", WITHOUT_MODEL},
    {"/batches", WITHOUT_MODEL},
    {"/fine_tuning", WITHOUT_MODEL},
    {"/vector_stores", WITHOUT_MODEL},
    {"/evals", WITHOUT_MODEL},
};

static const struct slice none = {NULL, 0};

static struct slice from(struct slice slice, size_t offset) {
    return (struct slice){slice.text + offset, slice.length - offset};
}

/* Whether PATH begins with the whole segments of PREFIX, such as "/openai". */
static bool begins(struct slice path, const char *prefix) {
    size_t length = strlen(prefix);
    return path.length >= length && memcmp(path.text, prefix, length) == 0 &&
           (path.length == length || path.text[length] == '/');
}

static bool ends(const char *url, const char *suffix) {
    size_t length = strlen(url), tail = strlen(suffix);
    return length >= tail && memcmp(url + length - tail, suffix, tail) == 0;
}

static bool has_no_versions(const struct backend *backend) {
    return ends(backend->url, "/openai/v1");
}

/* Whether the backend wants deployments in its paths. */
static bool wants_deployment(const struct backend *backend) {
    return backend->dialect == DIALECT_AZURE && !has_no_versions(backend);
}

/* Whether the backend's URL names its deployment: .../openai/deployments/NAME. */
static bool is_one_deployment(const struct backend *backend) {
    static const char parent[] = "/openai/deployments/";
    size_t length = sizeof parent - 1;
    const char *slash = strrchr(backend->url, '/'); /* NULL: a host alone */
    size_t before = slash ? (size_t)(slash + 1 - backend->url) : 0;
    return backend->dialect == DIALECT_AZURE && before > length && slash[1] &&
           memcmp(slash + 1 - length, parent, length) == 0;
}

/* Whether the backend is a resource of Azure's by its host alone: its API begins at /openai. */
static bool is_bare(const struct backend *backend) {
    const char *scheme = strstr(backend->url, "://");
    return backend->dialect == DIALECT_AZURE && !strchr(scheme ? scheme + 3 : backend->url, '/');
}

/* Whether the endpoint's URL ends where Azure's API begins. */
static bool ends_at_root(struct slice path) {
    static const char root[] = "/openai";
    size_t length = sizeof root - 1;
    return path.length >= length && memcmp(path.text + path.length - length, root, length) == 0;
}

/* The version that the backend's settings ask for; the version-less API refuses dates. */
static const char *own_version(const struct backend *backend, bool versionless) {
    const char *version = backend->dialect == DIALECT_AZURE ? backend->api_version : NULL;
    bool date = version && version[0] >= '0' && version[0] <= '9';
    return date && versionless ? NULL : version;
}

bool dialect_translates(const struct endpoint *endpoint, const struct backend *backend) {
    bool versionless = has_no_versions(backend);
    if (backend->model_count || own_version(backend, versionless))
        return true;
    if (endpoint->dialect == DIALECT_OPENAI)
        return backend->dialect == DIALECT_AZURE && !versionless;
    for (size_t i = 0; i < endpoint->url_count; i++)
        if (is_bare(backend) && ends_at_root(endpoint->prefixes[i].path))
            return true;
    return backend->dialect == DIALECT_OPENAI || versionless || is_one_deployment(backend);
}

static const struct dialect_operation *find_operation(struct slice path) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const struct dialect_operation *operation = &operations[i];
        if (begins(path, operation->path) &&
            (operation->place != AT_DEPLOYMENT || path.length == strlen(operation->path)))
            return operation;
    }
    return NULL;
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at *I of a path segment, which moves to its last character; 0 if it is malformed. */
static char decode_byte(struct slice segment, size_t *i) {
    if (segment.text[*i] != '%')
        return segment.text[*i];
    if (segment.length - *i < 3)
        return '\0';
    int high = hex(segment.text[*i + 1]), low = hex(segment.text[*i + 2]);
    *i += 2;
    return high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
}

/* Decodes a path segment; "" if it is none that could be a name. */
static void decode(struct slice segment, char out[MODEL_NAME_MAX + 1]) {
    size_t used = 0;
    for (size_t i = 0; i < segment.length; i++) {
        char c = decode_byte(segment, &i);
        if (!c || used == MODEL_NAME_MAX) {
            used = 0;
            break;
        }
        out[used++] = c;
    }
    out[used] = '\0';
}

/* Takes "/deployments/NAME" off the front of an Azure path. */
static void take_deployment(struct slice path, struct dialect_request *request) {
    static const char word[] = "/deployments/";
    size_t start = sizeof word - 1;
    if (path.length <= start || memcmp(path.text, word, start) != 0)
        return;
    const char *end = memchr(path.text + start, '/', path.length - start);
    if (!end)
        return; /* the list of deployments, or one of them: nothing is asked of a model */
    request->deployment = (struct slice){path.text + start, (size_t)(end - path.text) - start};
    request->path = from(path, (size_t)(end - path.text));
    decode(request->deployment, request->named);
}

/* Where Azure's API begins in a path: behind the "openai" that follows the endpoint's URL, else
 * behind the last one in that; a gateway's own path may hold the word, too. */
static struct slice below_openai(const struct route *route) {
    struct slice prefix = route->prefix;
    if (begins(route->below, "/openai"))
        return from(route->below, strlen("/openai"));
    for (size_t i = prefix.length; i-- > 0;) {
        struct slice rest = from(prefix, i);
        if (begins(rest, "/openai")) {
            size_t skip = i + strlen("/openai");
            return (struct slice){prefix.text + skip, prefix.length - skip + route->below.length};
        }
    }
    return route->below;
}

void dialect_read(const struct route *route, struct dialect_request *request) {
    bool azure = route->endpoint->dialect == DIALECT_AZURE;
    request->speaks = route->endpoint->dialect;
    request->deployment = none;
    request->named[0] = '\0';
    request->path = azure ? below_openai(route) : route->below;
    request->from_root =
        azure && ends_at_root(route->prefix) && request->path.text == route->below.text;
    if (azure)
        take_deployment(request->path, request);
    bool v1 = !request->deployment.text && begins(request->path, "/v1");
    if (v1)
        request->path = from(request->path, strlen("/v1"));
    request->versionless = azure && v1;
    request->operation = find_operation(request->path);
}

const char *dialect_model(const struct dialect_request *request, const struct backend *backend,
                          const char *name) {
    /* the program's word is a deployment's, the backend's a model's: the map read backwards */
    bool inverse = request->speaks == DIALECT_AZURE && backend->dialect == DIALECT_OPENAI;
    for (size_t i = 0; inverse && i < backend->model_count; i++)
        if (strcmp(backend->models[i].deployment, name) == 0)
            return backend->models[i].name;
    for (size_t i = 0; i < backend->model_count; i++)
        if (strcmp(backend->models[i].name, name) == 0)
            return backend->models[i].deployment;
    return name;
}

/* A segment that would lead elsewhere can't be a deployment. */
static bool can_be_segment(const char *name) {
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static enum dialect_body mapped(const struct dialect_request *request,
                                const struct backend *backend) {
    bool none_there = request->operation && request->operation->place == WITHOUT_MODEL;
    return backend->model_count && !none_there ? DIALECT_MAP : DIALECT_KEEP;
}

/* From OpenAI's form to a backend with deployments in its paths. */
static enum dialect_fit plan_deployment(const struct dialect_request *request,
                                        const struct backend *backend, const char *said,
                                        struct dialect_plan *plan) {
    if (!request->operation)
        return DIALECT_NO_API;
    if (is_one_deployment(backend))
        return request->operation->place == AT_DEPLOYMENT ? DIALECT_FITS : DIALECT_NO_API;
    if (request->operation->place != AT_DEPLOYMENT) {
        plan->body = mapped(request, backend);
        return DIALECT_FITS;
    }
    plan->deployment = said ? dialect_model(request, backend, said) : NULL;
    return plan->deployment && can_be_segment(plan->deployment) ? DIALECT_FITS : DIALECT_NO_MODEL;
}

/* From a deployment in the path to a backend that wants the model in the body. */
static enum dialect_fit plan_model(const struct dialect_request *request,
                                   const struct backend *backend, struct dialect_plan *plan) {
    if (!request->operation || request->operation->place != AT_DEPLOYMENT)
        return DIALECT_NO_API;
    if (!*request->named)
        return DIALECT_NO_MODEL;
    plan->body = DIALECT_NAME;
    plan->model = dialect_model(request, backend, request->named);
    return DIALECT_FITS;
}

/* Azure to Azure: another deployment, another version. */
static enum dialect_fit plan_azure(const struct dialect_request *request,
                                   const struct backend *backend, struct dialect_plan *plan) {
    bool one = request->deployment.text && is_one_deployment(backend);
    if (request->deployment.text && !one) {
        const char *name = dialect_model(request, backend, request->named);
        plan->deployment = name != request->named ? name : NULL;
    } else if (!one) {
        plan->body = mapped(request, backend);
    }
    plan->same_target = !one && !plan->deployment && !own_version(backend, request->versionless) &&
                        !(request->from_root && is_bare(backend));
    return DIALECT_FITS;
}

enum dialect_fit dialect_plan(const struct dialect_request *request, const struct backend *backend,
                              const char *said, struct dialect_plan *plan) {
    *plan = (struct dialect_plan){.body = DIALECT_KEEP};
    if (wants_deployment(backend))
        return request->speaks == DIALECT_AZURE ? plan_azure(request, backend, plan)
                                                : plan_deployment(request, backend, said, plan);
    if (request->deployment.text)
        return plan_model(request, backend, plan);
    /* what OpenAI has of Azure's dated API is known; the version-less one is OpenAI's own */
    if (request->speaks == DIALECT_AZURE && !request->versionless && !request->operation)
        return DIALECT_NO_API;
    plan->body = mapped(request, backend);
    plan->same_target = request->speaks == DIALECT_OPENAI && !own_version(backend, true);
    return DIALECT_FITS;
}

bool dialect_asks_body(const struct dialect_request *request, const struct backend *backend) {
    struct dialect_plan plan;
    enum dialect_fit fit = dialect_plan(request, backend, NULL, &plan);
    return fit == DIALECT_NO_MODEL || (fit == DIALECT_FITS && plan.body != DIALECT_KEEP);
}

static void put_encoded(struct writer *writer, const char *name) {
    static const char digits[] = "0123456789ABCDEF";
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        char code[] = {'%', digits[c >> 4], digits[c & 15]};
        /* RFC 3986: unreserved, and of what else a segment may have the signs that names have */
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     strchr("-._~:@", c);
        writer_put(writer, plain ? name : code, plain ? 1 : sizeof code);
    }
}

static bool is_version(struct slice parameter) {
    static const char name[] = "api-version";
    size_t length = sizeof name - 1;
    return parameter.length >= length && strncasecmp(parameter.text, name, length) == 0 &&
           (parameter.length == length || parameter.text[length] == '=');
}

static void put_parameter(struct writer *writer, char *separator, struct slice parameter) {
    writer_put(writer, separator, 1);
    writer_slice(writer, parameter);
    *separator = '&';
}

static void put_version(struct writer *writer, char *separator, const char *version) {
    put_parameter(writer, separator, (struct slice){"api-version=", 12});
    writer_text(writer, version);
}

/* Writes QUERY with VERSION in the place of its api-version, at the end if it has none; without
 * any if VERSION is NULL. */
static void put_query(struct writer *writer, struct slice query, const char *version) {
    char separator = '?';
    while (query.length) {
        struct slice rest = from(query, 1); /* the '?' or '&' */
        const char *end = memchr(rest.text, '&', rest.length);
        struct slice parameter = {rest.text, end ? (size_t)(end - rest.text) : rest.length};
        query = from(rest, parameter.length);
        bool versions = is_version(parameter);
        if (versions && version) {
            put_version(writer, &separator, version);
            version = NULL;
        } else if (!versions && parameter.length) {
            put_parameter(writer, &separator, parameter);
        }
    }
    if (version)
        put_version(writer, &separator, version);
}

/* Where the program's own path goes on below a backend of the same form. */
static void put_azure_path(struct writer *writer, const struct route *route,
                           const struct dialect_request *request, const char *deployment) {
    const char *start = route->below.text, *name = request->deployment.text;
    /* a deployment in the endpoint's own URL is one in the backend's, too */
    if (!deployment || !name || name < start) {
        writer_slice(writer, route->below);
        return;
    }
    writer_put(writer, start, (size_t)(name - start));
    put_encoded(writer, deployment);
    writer_slice(writer, request->path);
}

size_t dialect_target(const struct route *route, const struct dialect_request *request,
                      const struct backend *backend, const struct dialect_plan *plan, char *out,
                      size_t size) {
    struct writer writer = {out, size, 0};
    bool deployments = wants_deployment(backend), azure = request->speaks == DIALECT_AZURE;
    const char *version = own_version(backend, !deployments || request->versionless);
    bool keeps_version =
        !version &&
        (azure ? deployments || (request->versionless && backend->dialect == DIALECT_AZURE)
               : !deployments);
    if (deployments && !azure && !version)
        version = DIALECT_API_VERSION;
    if (is_one_deployment(backend) && (request->deployment.text || !azure)) {
        writer_slice(&writer, request->path);
    } else if (deployments && azure) {
        writer_text(&writer, request->from_root && is_bare(backend) ? "/openai" : "");
        put_azure_path(&writer, route, request, plan->deployment);
    } else if (deployments) {
        writer_text(&writer, ends(backend->url, "/openai") ? "" : "/openai");
        if (plan->deployment) {
            writer_text(&writer, "/deployments/");
            put_encoded(&writer, plan->deployment);
        }
        writer_slice(&writer, request->path);
    } else {
        writer_slice(&writer, azure ? request->path : route->below);
    }
    if (keeps_version)
        writer_slice(&writer, route->query);
    else
        put_query(&writer, route->query, version);
    return writer_end(&writer);
}

size_t dialect_target_size(const struct route *route, const struct backend *backend) {
    size_t version =
        backend->api_version ? strlen(backend->api_version) : sizeof DIALECT_API_VERSION;
    return route->prefix.length + route->below.length + route->query.length + version +
           MODEL_NAME_MAX * 3 + 64;
}
