#include "shim/curl/attempt_fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/attempt.h"
#include "shim/curl/detour.h"
#include "shim/curl/translate.h"

/* A name that no resolver takes, so that none asks anybody: a label has 63 characters at most
 * (RFC 1035, section 2.3.4). */
#define NO_SUCH_HOST                                                                               \
    "http://a-name-that-this-drill-says-can-not-be-looked-up-and-is-too-long-anyway.invalid"

#define STEP_OF_MOCK "200"

/* What stays with a transfer from its first such attempt on. */
struct attempt_fault {
    char *url;
    char step[sizeof DRILL_STEP_HEADER + 2 + FAULT_STEP_SIZE];
    char backend[sizeof DRILL_BACKEND_HEADER + 2 + FAULT_NAME_SIZE];
    struct sockaddr_un address;
    socklen_t address_length;
};

static const struct drill *drill_of(const struct transfer *t) {
    return t->handle->runtime->drill;
}

static bool is_kind(const struct transfer *t, enum fault_kind kind) {
    return t->fault && t->fault->kind == kind;
}

/* The socket of the drill's directory for the attempt at hand. */
static const char *socket_name(const struct transfer *t) {
    if (is_kind(t, FAULT_REFUSED))
        return DRILL_REFUSED;
    if (is_kind(t, FAULT_RESET))
        return DRILL_RESET;
    return is_kind(t, FAULT_TLS) ? DRILL_TLS : DRILL_MOCK;
}

/* A path that is too long is cut, and leads nowhere: the drill's server could not start there. */
static void set_address(struct attempt_fault *f, const char *directory, const char *name) {
    f->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(f->address.sun_path, sizeof f->address.sun_path, "%s/%s", directory, name);
    f->address_length = sizeof f->address;
}

bool attempt_fault_choose(struct transfer *t) {
    const struct drill *drill = drill_of(t);
    const struct endpoint *endpoint = pool_endpoint(t->live->pool);
    const char *backend = endpoint->backends[t->backend].name;
    t->fault = drill_choose(drill, endpoint->name, backend, t->attempt_started);
    t->detoured = t->fault || drill->against_mocks;
    if (!t->detoured)
        return true;
    if (!t->detour)
        t->detour = calloc(1, sizeof *t->detour);
    if (!t->detour) {
        t->detoured = false;
        return false;
    }
    struct attempt_fault *f = t->detour;
    set_address(f, drill->directory, socket_name(t));
    snprintf(f->step, sizeof f->step, "%s: %s", DRILL_STEP_HEADER,
             t->fault ? t->fault->step : STEP_OF_MOCK);
    snprintf(f->backend, sizeof f->backend, "%s: %s", DRILL_BACKEND_HEADER, backend);
    return true;
}

const char *attempt_fault_url(struct transfer *t, const struct backend *backend) {
    struct attempt_fault *f = t->detour;
    const char *origin = is_kind(t, FAULT_DNS)   ? NO_SUCH_HOST
                         : is_kind(t, FAULT_TLS) ? DETOUR_HTTPS
                                                 : DETOUR_HTTP;
    char *whole = translate_url(t, backend, (struct slice){NULL, 0});
    if (t->url == f->url)
        t->url = NULL;
    free(f->url);
    f->url = NULL;
    const char *authority = whole ? strstr(whole, "://") : NULL;
    const char *path = authority ? authority + 3 + strcspn(authority + 3, "/?#") : NULL;
    size_t size = path ? strlen(origin) + strlen(path) + 1 : 0;
    f->url = size ? malloc(size) : NULL;
    if (f->url)
        snprintf(f->url, size, "%s%s", origin, path);
    free(whole);
    return f->url;
}

size_t attempt_fault_lines(struct transfer *t, const char *lines[ATTEMPT_FAULT_LINES]) {
    lines[0] = t->detour->step;
    lines[1] = t->detour->backend;
    return 2;
}

static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    const struct attempt_fault *f = userdata;
    (void)purpose;
    return detour_socket(address, &f->address, f->address_length);
}

void attempt_fault_set(struct transfer *t) {
    detour_set(t->handle, open_socket, t->detour);
}

void attempt_fault_end(struct transfer *t) {
    if (!t->detoured)
        return;
    detour_unset(t->handle, t->handle->easy);
    attempt_restore(t);
    t->detoured = false;
    t->url = NULL;
}

void attempt_fault_free(struct transfer *t) {
    if (!t->detour)
        return;
    free(t->detour->url);
    free(t->detour);
    t->detour = NULL;
}
