#include "shim/curl/translate.h"

#include <stdlib.h>
#include <string.h>

enum misfit { FITS, NO_API, NO_MODEL, BAD_BODY, UNSEEN_BODY };

static const struct backend *backend_at(const struct transfer *t, int backend) {
    return &pool_endpoint(t->live->pool)->backends[backend];
}

static bool is_translated(const struct transfer *t, int backend) {
    return t->live->translates >> backend & 1;
}

void translate_begin(struct transfer *t) {
    t->plan = (struct dialect_plan){.same_target = true};
    t->unfit = 0;
    if (t->live->translates)
        dialect_read(&t->route, &t->request);
}

/* Why a model that the backend needs is not known. */
static enum misfit without_model(const struct content *content) {
    switch (content->state) {
    case CONTENT_MALFORMED:
        return BAD_BODY;
    case CONTENT_UNSEEN:
        return UNSEEN_BODY;
    default:
        return NO_MODEL;
    }
}

static enum misfit plan(struct transfer *t, const struct backend *backend) {
    const char *said = NULL;
    if (dialect_asks_body(&t->request, backend)) {
        content_read(&t->content, &t->handle->options, &t->body);
        if (t->content.state == CONTENT_READ)
            said = model_said(t->content.places);
    }
    switch (dialect_plan(&t->request, backend, said, &t->plan)) {
    case DIALECT_NO_API:
        return NO_API;
    case DIALECT_NO_MODEL:
        return without_model(&t->content);
    case DIALECT_FITS:
        break;
    }
    if (t->plan.body == DIALECT_NAME && t->content.state != CONTENT_READ)
        return without_model(&t->content);
    if (t->plan.body == DIALECT_MAP && t->content.state != CONTENT_READ)
        t->plan.body = DIALECT_KEEP; /* whatever it is, the backend speaks as the program does */
    return FITS;
}

bool translate_plan(struct transfer *t, int backend) {
    if (!is_translated(t, backend)) {
        t->plan = (struct dialect_plan){.same_target = true};
        return true;
    }
    enum misfit misfit = plan(t, backend_at(t, backend));
    t->misfits[backend] = (uint8_t)misfit;
    if (misfit)
        t->unfit |= 1ull << backend;
    return !misfit;
}

char *translate_url(const struct transfer *t, const struct backend *backend,
                    struct slice userinfo) {
    const struct route *route = &t->route;
    struct slice target = {NULL, 0};
    /* an upper bound: the scheme and the '@' come to less than 16 */
    size_t size =
        strlen(backend->url) + userinfo.length + route->below.length + route->query.length + 16;
    char *composed = NULL;
    if (!t->plan.same_target) {
        size_t room = dialect_target_size(route, backend);
        composed = malloc(room);
        target.text = composed;
        if (composed)
            target.length = dialect_target(route, &t->request, backend, &t->plan, composed, room);
        if (!target.length) {
            free(composed);
            return NULL;
        }
        size += target.length;
    }
    char *url = malloc(size);
    if (url && !route_url(route, backend, userinfo, target, url, size)) {
        free(url);
        url = NULL;
    }
    if (composed)
        explicit_bzero(composed, target.length); /* a query may hold a secret */
    free(composed);
    return url;
}

bool translate_body(struct transfer *t, bool *changed) {
    const struct model_places *places = t->content.places;
    const char *names[MODEL_PLACES_MAX] = {NULL};
    *changed = false;
    if (t->plan.body == DIALECT_KEEP)
        return true;
    for (unsigned i = 0; i < places->count; i++) {
        const char *said = places->at[i].name, *wanted = t->plan.model;
        if (t->plan.body == DIALECT_MAP)
            wanted = dialect_model(&t->request, backend_at(t, t->backend), said);
        if (strcmp(said, wanted) != 0)
            names[i] = wanted;
        *changed |= names[i] != NULL;
    }
    if (!places->count && t->plan.body == DIALECT_NAME) {
        names[0] = t->plan.model;
        *changed = true;
    }
    return !*changed ||
           content_edit(&t->content, &t->handle->options, t->handle->curl, t->handle->easy, names);
}

const char *translate_reason(const struct transfer *t, int backend) {
    switch ((enum misfit)t->misfits[backend]) {
    case NO_API:
        return "its API has no such path";
    case NO_MODEL:
        return "the request names no model";
    case BAD_BODY:
        return "the body is no JSON object and no form";
    case UNSEEN_BODY:
        return "the body can't be searched for the model";
    case FITS:
        break;
    }
    return "it can serve the request";
}

void translate_plan_rest(struct transfer *t) {
    uint64_t rest = t->live->translates & ~t->unfit;
    for (; rest; rest &= rest - 1)
        translate_plan(t, __builtin_ctzll(rest));
}

bool translate_refused(const struct transfer *t) {
    size_t count = pool_endpoint(t->live->pool)->backend_count;
    return t->unfit == UINT64_MAX >> (64 - count); /* 1 to 64 */
}

void translate_reasons(const struct transfer *t, const char *reasons[BACKENDS_MAX]) {
    for (int i = 0; i < (int)pool_endpoint(t->live->pool)->backend_count; i++)
        reasons[i] = translate_reason(t, i);
}
