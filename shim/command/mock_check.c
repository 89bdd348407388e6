#include "shim/command/mock_check.h"

#include <string.h>
#include <strings.h>

#include "shim/command/mock_json.h"

/* The first segment of all paths below the root of either provider. */
static const char *const resources[] = {"assistants",  "audio",       "batches",       "chat",
                                        "completions", "containers",  "conversations", "embeddings",
                                        "evals",       "files",       "fine_tuning",   "images",
                                        "models",      "moderations", "realtime",      "responses",
                                        "threads",     "uploads",     "vector_stores", "videos"};

static const struct mock_refusal none = {0, MOCK_USUAL};
static const struct mock_refusal no_resource = {404, MOCK_NO_RESOURCE};

/* Operations that name a model: in the body, or at Azure as the deployment in the path. */
static bool takes_model(enum mock_operation operation) {
    switch (operation) {
    case MOCK_CHAT:
    case MOCK_COMPLETIONS:
    case MOCK_EMBEDDINGS:
    case MOCK_RESPONSES:
    case MOCK_IMAGES:
    case MOCK_IMAGE_EDITS:
    case MOCK_TRANSCRIPTIONS:
    case MOCK_TRANSLATIONS:
    case MOCK_SPEECH:
        return true;
    default:
        return false;
    }
}

static bool takes_form(enum mock_operation operation) {
    return operation == MOCK_IMAGE_EDITS || operation == MOCK_TRANSCRIPTIONS ||
           operation == MOCK_TRANSLATIONS;
}

/* Azure's Responses API has its deployment in the body. */
static bool takes_deployment(enum mock_operation operation) {
    return takes_model(operation) && operation != MOCK_RESPONSES;
}

/* --- the URL ------------------------------------------------------------------------------- */

/* A date as in 2024-10-21 or 2024-10-01-preview. */
static bool is_version(const char *text) {
    static const char form[] = "0000-00-00";
    size_t i = 0;
    for (; form[i] != '\0'; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    int month = (text[5] - '0') * 10 + text[6] - '0', day = (text[8] - '0') * 10 + text[9] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
           (text[i] == '\0' || strcmp(text + i, "-preview") == 0);
}

static bool is_known_resource(const char *below) {
    size_t length = strcspn(below, "/");
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        if (strlen(resources[i]) == length && memcmp(resources[i], below, length) == 0)
            return true;
    return false;
}

/* Whether what follows the root is a path of the API, rather than one that only ends so. */
static bool is_path(const struct mock_route *route) {
    const char *below = mock_route_below(route);
    const char *own = mock_operation_path(route->operation);
    if (route->operation == MOCK_UNKNOWN || below == NULL || !is_known_resource(below) ||
        strstr(below, "//") != NULL || below[strlen(below) - 1] == '/')
        return false;
    if (route->operation == MOCK_MODEL)
        return strncmp(below, "models/", strlen("models/")) == 0;
    return own == NULL || strcmp(below, own) == 0;
}

static bool is_azure_url(const struct mock_route *route) {
    switch (route->root) {
    case MOCK_ROOT_AZURE_V1:
        return route->api_versions == 0 ||
               (route->api_versions == 1 && (strcmp(route->api_version, "preview") == 0 ||
                                             strcmp(route->api_version, "latest") == 0));
    case MOCK_ROOT_AZURE:
    case MOCK_ROOT_DEPLOYMENT:
        if (route->api_versions != 1 || !is_version(route->api_version))
            return false;
        return route->operation == MOCK_WRONG_METHOD ||
               takes_deployment(route->operation) == (route->root == MOCK_ROOT_DEPLOYMENT);
    default:
        return false;
    }
}

static bool is_url(const struct mock_route *route) {
    if (route->prefixed || !is_path(route))
        return false;
    if (route->dialect == MOCK_AZURE)
        return is_azure_url(route);
    return route->root == MOCK_ROOT_V1 && route->api_versions == 0;
}

/* --- keys ---------------------------------------------------------------------------------- */

void mock_keys_add(struct mock_keys *keys, const char *right, const char *name, const char *value) {
    static const char scheme[] = "Bearer ";
    if (strcasecmp(name, "authorization") == 0) {
        bool bearer = strncasecmp(value, scheme, sizeof scheme - 1) == 0;
        value += bearer ? sizeof scheme - 1 : 0;
        value += strspn(value, " ");
        keys->bearer |= bearer && *value != '\0';
        keys->wrong |= right != NULL && (!bearer || strcmp(value, right) != 0);
    } else if (strcasecmp(name, "api-key") == 0) {
        keys->api_key |= *value != '\0';
        keys->wrong |= right != NULL && strcmp(value, right) != 0;
    }
}

static struct mock_refusal check_keys(const struct mock_rules *rules,
                                      const struct mock_claim *claim) {
    const struct mock_keys *keys = &claim->keys;
    bool openai = claim->route->dialect == MOCK_OPENAI;
    bool given = keys->bearer || (keys->api_key && !(rules->strict && openai));
    if (!given && (rules->strict || rules->key != NULL))
        return (struct mock_refusal){401, openai && !keys->wrong ? MOCK_NO_KEY : MOCK_USUAL};
    return keys->wrong ? (struct mock_refusal){401, MOCK_USUAL} : none;
}

/* --- the deployment and the body ----------------------------------------------------------- */

/* Whether NAME exists, which is the text of a JSON string if ESCAPED. */
static bool exists(const struct mock_rules *rules, const char *name, bool escaped) {
    for (size_t i = 0; i < rules->name_count; i++)
        if (escaped ? mock_json_equals(name, rules->names[i]) : strcmp(name, rules->names[i]) == 0)
            return true;
    return rules->name_count == 0;
}

static struct mock_refusal check_body(const struct mock_rules *rules,
                                      const struct mock_claim *claim) {
    const struct mock_route *route = claim->route;
    bool form = takes_form(route->operation);
    const char *model = form && !claim->question->form ? "" : claim->question->model;
    if (route->root == MOCK_ROOT_DEPLOYMENT && !exists(rules, route->deployment, false))
        return (struct mock_refusal){404, MOCK_USUAL};
    if (route->operation == MOCK_MODEL && route->dialect == MOCK_OPENAI &&
        !exists(rules, route->name, false))
        return (struct mock_refusal){404, MOCK_USUAL};
    if (!takes_model(route->operation))
        return none;
    if (!form && claim->whole && !mock_json_object(claim->body, claim->length))
        return (struct mock_refusal){400, MOCK_NOT_JSON};
    if (route->root == MOCK_ROOT_DEPLOYMENT)
        return none;
    if (model[0] == '\0')
        return claim->whole ? (struct mock_refusal){400, MOCK_NO_MODEL} : none;
    return exists(rules, model, true) ? none : (struct mock_refusal){404, MOCK_USUAL};
}

struct mock_refusal mock_check(const struct mock_rules *rules, const struct mock_claim *claim) {
    if (rules->strict && !is_url(claim->route))
        return no_resource;
    struct mock_refusal refusal = check_keys(rules, claim);
    if (refusal.status != 0 || !rules->strict)
        return refusal;
    return check_body(rules, claim);
}
