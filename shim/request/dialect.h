/*
 * Between OpenAI's and Azure OpenAI's way of asking for the same thing.
 *
 * OpenAI names the model in the body: POST {url}/chat/completions. Azure names a deployment in
 * the path and a version in the query: POST {url}/openai/deployments/NAME/chat/completions
 * ?api-version=V. What belongs to no model lies below {url}/openai there, and the version-less API
 * below {url}/openai/v1 takes OpenAI's paths, with the deployment as the model. Which paths Azure
 * has: "Azure OpenAI in Foundry Models REST API reference", 2024-10-21 and its previews.
 *
 * Here are the rules for paths, queries and names; the body itself is somebody else's. Pure
 * functions, thread-safe; nothing is allocated and errno is left alone.
 */
#ifndef SPILLWAY_REQUEST_DIALECT_H
#define SPILLWAY_REQUEST_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"
#include "shim/request/model.h"
#include "shim/request/route.h"

/* The api-version for requests that come without one to a backend that sets none: the latest
 * that is no preview and has dated deployments' paths. */
#define DIALECT_API_VERSION "2024-10-21"

struct dialect_operation;

/* What the program asks for, in its own dialect. */
struct dialect_request {
    enum dialect speaks;
    struct slice path;       /* below the API's root, without deployment: "/chat/completions" */
    struct slice deployment; /* as it stands in the path; text is NULL if there is none */
    char named[MODEL_NAME_MAX + 1]; /* the deployment decoded; "" if it is no name */
    bool versionless;               /* Azure's version-less API: the model is in the body */
    bool from_root; /* the endpoint's URL holds Azure's /openai already, the path has none */
    const struct dialect_operation *operation; /* NULL if it is none of the known ones */
};

/* Whether a request of the program may have to be changed for BACKEND of ENDPOINT. */
bool dialect_translates(const struct endpoint *endpoint, const struct backend *backend);

/* Reads the request from ROUTE; its slices are the route's. */
void dialect_read(const struct route *route, struct dialect_request *request);

/* Whether the plan for BACKEND depends on the model that the body names, or changes the body. */
bool dialect_asks_body(const struct dialect_request *request, const struct backend *backend);

enum dialect_fit {
    DIALECT_FITS,
    DIALECT_NO_API,  /* the backend's dialect has no such path */
    DIALECT_NO_MODEL /* it needs to know the model, and the request doesn't say */
};

enum dialect_body {
    DIALECT_KEEP, /* the body goes as it is */
    DIALECT_MAP,  /* each model in it by dialect_model, if there is any */
    DIALECT_NAME  /* its model is to be plan->model: it has to be there */
};

struct dialect_plan {
    bool same_target; /* path and query go as they are */
    enum dialect_body body;
    const char *model;      /* for DIALECT_NAME; lives as long as request and backend */
    const char *deployment; /* for the path; NULL if none; lives as long as SAID as well */
};

/*
 * How the request is to be put to BACKEND. SAID is the model that its body names, NULL if none is
 * known. Fills PLAN if it fits.
 */
enum dialect_fit dialect_plan(const struct dialect_request *request, const struct backend *backend,
                              const char *said, struct dialect_plan *plan);

/* The backend's name for the model NAME of the request: NAME itself if `models` has none. */
const char *dialect_model(const struct dialect_request *request, const struct backend *backend,
                          const char *name);

/*
 * Writes what PLAN puts behind the backend's URL, path and query, to OUT, terminated. Returns the
 * length, or 0 if it does not fit into SIZE.
 */
size_t dialect_target(const struct route *route, const struct dialect_request *request,
                      const struct backend *backend, const struct dialect_plan *plan, char *out,
                      size_t size);

/* An upper bound of what dialect_target needs for ROUTE, with the end. */
size_t dialect_target_size(const struct route *route, const struct backend *backend);

#endif
