/*
 * The API of a mock by its paths: the operation that a request names, the root that it stands
 * below, and what else is in its URL. Pure functions, thread-safe.
 */
#ifndef SPILLWAY_COMMAND_MOCK_ROUTE_H
#define SPILLWAY_COMMAND_MOCK_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/command/mock_error.h"

enum mock_operation {
    MOCK_CHAT,
    MOCK_COMPLETIONS,
    MOCK_EMBEDDINGS,
    MOCK_RESPONSES,
    MOCK_IMAGES,
    MOCK_IMAGE_EDITS,
    MOCK_TRANSCRIPTIONS,
    MOCK_TRANSLATIONS,
    MOCK_SPEECH,
    MOCK_MODELS,
    MOCK_MODEL,        /* one of them */
    MOCK_UPLOAD,       /* a POST, PUT or PATCH anywhere else: files, batches */
    MOCK_WRONG_METHOD, /* of an operation above */
    MOCK_UNKNOWN
};

/* Where an API begins in a path. */
enum mock_root {
    MOCK_ROOT_NONE,
    MOCK_ROOT_V1,        /* /v1/ */
    MOCK_ROOT_AZURE,     /* /openai/ */
    MOCK_ROOT_AZURE_V1,  /* /openai/v1/ */
    MOCK_ROOT_DEPLOYMENT /* /openai/deployments/NAME/ */
};

#define MOCK_NAME_MAX    256
#define MOCK_PATH_MAX    2048
#define MOCK_VERSION_MAX 64

struct mock_route {
    enum mock_operation operation;
    enum mock_dialect dialect;      /* MOCK_OPENAI or MOCK_AZURE */
    char name[MOCK_NAME_MAX];       /* the deployment or model in the path, safe in JSON; or "" */
    char deployment[MOCK_NAME_MAX]; /* the segment after "deployments", decoded; or "" */
    unsigned api_versions;          /* how many query parameters have this name */
    char api_version[MOCK_VERSION_MAX]; /* the first of them, decoded and cut to fit; or "" */
    enum mock_root root;
    bool prefixed;            /* something stands before the root */
    size_t below;             /* where in PATH the operation begins; 0: not known */
    char path[MOCK_PATH_MAX]; /* without authority and query; of an overlong one the end */
};

/*
 * Finds the operation of METHOD and TARGET (a path, or an absolute URL as proxies get it, with
 * its query). The end of the path decides, so that any prefix may stand before it. DIALECT
 * MOCK_ANY becomes MOCK_AZURE below a segment "openai", else MOCK_OPENAI.
 */
void mock_route_parse(const char *method, const char *target, enum mock_dialect dialect,
                      struct mock_route *route);

/* The path below the API's root, such as "chat/completions" or "files/file-1"; NULL if there is
 * neither a root nor an operation in the path. Lives in ROUTE. */
const char *mock_route_below(const struct mock_route *route);

/* The path of OPERATION below the API's root, such as "chat/completions"; NULL if it has none of
 * its own (a model, an upload, no operation). */
const char *mock_operation_path(enum mock_operation operation);

/* Azure's word for an operation, such as "ChatCompletions_Create". */
const char *mock_operation_name(enum mock_operation operation);

/* Whether OPERATION can answer as a stream. */
bool mock_operation_streams(enum mock_operation operation);

#endif
