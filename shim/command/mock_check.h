/*
 * What a deployment demands of a request before it answers: the rules of `spillway mock
 * --strict` and `--key-env`. Pure functions, thread-safe.
 *
 * Sources: Azure OpenAI's pages on its API's versions (the version-less v1 too) and on image
 * generation; the list of deployment operations in openai-python's lib/azure.py, in which responses
 * is missing; errors quoted in issue trackers, "Invalid URL (POST //v1/chat/completions)" and "You
 * didn't provide an API key". The order of the rules is an assumption, and so is that a wrong key
 * beside the right one is refused: that one finds keys that have leaked.
 */
#ifndef SPILLWAY_COMMAND_MOCK_CHECK_H
#define SPILLWAY_COMMAND_MOCK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/command/mock_error.h"
#include "shim/command/mock_question.h"
#include "shim/command/mock_route.h"

struct mock_rules {
    bool strict;        /* all rules; without it that of the key alone */
    const char **names; /* of the deployments or models that exist, safe in JSON */
    size_t name_count;  /* 0: all exist */
    const char *key;    /* the right one; NULL: each is */
};

/* The keys that a request brings. Starts as zeros. */
struct mock_keys {
    bool api_key; /* in a header "api-key" */
    bool bearer;  /* in "Authorization: Bearer" */
    bool wrong;   /* there is one, or another Authorization, that is not the right key */
};

/* Notes a header of the request, any one. RIGHT is the right key, or NULL. */
void mock_keys_add(struct mock_keys *keys, const char *right, const char *name, const char *value);

/* What of a request the rules are about. */
struct mock_claim {
    const struct mock_route *route;
    const struct mock_question *question;
    struct mock_keys keys;
    const char *body;
    size_t length;
    bool whole; /* the body is there up to its end; else nothing is said of what may be missing */
};

struct mock_refusal {
    int status; /* 0: none */
    enum mock_cause cause;
};

/*
 * The refusal that CLAIM meets by RULES: of the URL first, then of the key, then of the
 * deployment or the body, as the providers' gateways do. A method that an operation lacks is no
 * matter of these rules.
 */
struct mock_refusal mock_check(const struct mock_rules *rules, const struct mock_claim *claim);

#endif
