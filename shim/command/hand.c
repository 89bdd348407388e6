#include "shim/command/hand.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"
#include "shim/command/live.h"

#define SETTINGS_OPTION                                                                            \
    "  -c, --config FILE  the settings; else $SPILLWAY_SETTINGS, $SPILLWAY_CONFIG,\n"              \
    "                     $XDG_CONFIG_HOME/spillway/spillway.yaml or\n"                            \
    "                     /etc/spillway/spillway.yaml\n"                                           \
    "  -h, --help         print this\n"                                                            \
    "\n"
#define EXIT_STATUS                                                                                \
    "\n"                                                                                           \
    "Exit status: 0; 1 if there are no settings, if they are bad, or if there is no shared "       \
    "state;\n"                                                                                     \
    "2 for wrong options and for names that the settings don't have.\n"

struct verb {
    const char *name, *usage;
    const char *done, *idle; /* said of a backend that was changed, and of one that needed none */
    bool needs_names;
    bool (*apply)(struct pool *pool, int backend, const struct pool_view *view);
};

static bool apply_reset(struct pool *pool, int backend, const struct pool_view *view) {
    pool_reset(pool, backend);
    return view->reason; /* also one whose cooldown is over, but that has not answered since */
}

static bool apply_drain(struct pool *pool, int backend, const struct pool_view *view) {
    pool_drain(pool, backend, true);
    return view->state != POOL_DRAINED;
}

static bool apply_undrain(struct pool *pool, int backend, const struct pool_view *view) {
    pool_drain(pool, backend, false);
    return view->state == POOL_DRAINED;
}

static const struct verb verb_reset = {
    "reset",
    "Usage: spillway reset [-c FILE] [[ENDPOINT/]BACKEND]...\n"
    "End the cooldowns of these backends, or of all if none is named: every process of this\n"
    "user may use them again at once.\n"
    "\n" SETTINGS_OPTION "Example:\n"
    "  spillway reset eastus-ptu\n" EXIT_STATUS,
    "cooldown ended",
    "has no cooldown",
    false,
    apply_reset};

static const struct verb verb_drain = {
    "drain",
    "Usage: spillway drain [-c FILE] [ENDPOINT/]BACKEND...\n"
    "Take backends out by hand: no process of this user sends a new request to them, until\n"
    "'spillway undrain' or the next boot. Requests that run are not touched.\n"
    "\n" SETTINGS_OPTION "Example:\n"
    "  spillway drain openai/eastus-ptu\n" EXIT_STATUS,
    "drained",
    "is drained already",
    true,
    apply_drain};

static const struct verb verb_undrain = {"undrain",
                                         "Usage: spillway undrain [-c FILE] [ENDPOINT/]BACKEND...\n"
                                         "Put backends back that 'spillway drain' has taken out.\n"
                                         "\n" SETTINGS_OPTION "Example:\n"
                                         "  spillway undrain openai/eastus-ptu\n" EXIT_STATUS,
                                         "undrained",
                                         "is not drained",
                                         true,
                                         apply_undrain};

static bool is_named(const char *name, const struct endpoint *endpoint,
                     const struct backend *backend) {
    size_t length = strlen(endpoint->name);
    return strcmp(name, backend->name) == 0 ||
           (strncmp(name, endpoint->name, length) == 0 && name[length] == '/' &&
            strcmp(name + length + 1, backend->name) == 0);
}

/* The nearest name that there is, as it would be written in place of NAME. */
static void write_nearest(const struct settings *settings, const char *name, char *out,
                          size_t size) {
    struct nearest nearest = {.word = name};
    char candidate[160];
    *out = '\0';
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t k = 0; k < endpoint->backend_count; k++) {
            bool whole = strchr(name, '/');
            size_t before = nearest.distance;
            snprintf(candidate, sizeof candidate, "%s%s%s", whole ? endpoint->name : "",
                     whole ? "/" : "", endpoint->backends[k].name);
            bool first = !nearest.best;
            nearest_offer(&nearest, candidate);
            if (nearest.best && (first || nearest.distance < before))
                snprintf(out, size, "%s", candidate);
        }
    }
}

bool hand_select(const struct settings *settings, const char *name, uint64_t *marks, char *message,
                 size_t size) {
    bool found = false;
    char nearest[160];
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t k = 0; k < endpoint->backend_count; k++)
            if (is_named(name, endpoint, &endpoint->backends[k])) {
                marks[i] |= UINT64_C(1) << k;
                found = true;
            }
    }
    if (found)
        return true;
    write_nearest(settings, name, nearest, sizeof nearest);
    snprintf(message, size,
             "found '%s', expected BACKEND or ENDPOINT/BACKEND of the settings%s%s%s", name,
             *nearest ? "; did you mean '" : "", nearest, *nearest ? "'?" : "");
    return false;
}

static bool apply_to(const struct verb *verb, const struct endpoint *endpoint,
                     struct ledger *ledger, uint64_t marks, bool named) {
    struct pool_view views[BACKENDS_MAX];
    struct pool *pool = pool_new(endpoint, ledger);
    if (!pool)
        return false;
    pool_view(pool, ledger_now(), views);
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        if (!(marks >> i & 1))
            continue;
        if (verb->apply(pool, (int)i, &views[i]))
            printf("%s/%s: %s\n", endpoint->name, endpoint->backends[i].name, verb->done);
        else if (named)
            fprintf(stderr, "spillway %s: %s/%s %s\n", verb->name, endpoint->name,
                    endpoint->backends[i].name, verb->idle);
    }
    pool_free(pool);
    return true;
}

static int apply(const struct verb *verb, const struct live *live, const uint64_t *marks,
                 bool named) {
    struct ledger *ledger = ledger_open(live->directory);
    const char *problem = ledger ? ledger_problem(ledger) : "out of memory";
    for (size_t i = 0; !problem && i < live->settings->endpoint_count; i++)
        if (marks[i] && !apply_to(verb, &live->settings->endpoints[i], ledger, marks[i], named))
            problem = "out of memory";
    ledger_close(ledger);
    if (problem)
        fprintf(stderr, "spillway %s: %s: %s\n", verb->name, live->directory, problem);
    return problem ? 1 : live_finish_output(verb->name);
}

static int act(const struct verb *verb, const char *config, char **names) {
    struct live live;
    char message[600];
    if (!live_open(&live, verb->name, config))
        return 1;
    int status = 0;
    bool named = *names;
    uint64_t *marks = calloc(live.settings->endpoint_count, sizeof *marks);
    for (size_t i = 0; marks && !named && i < live.settings->endpoint_count; i++)
        marks[i] = UINT64_MAX;
    for (; marks && *names; names++)
        if (!hand_select(live.settings, *names, marks, message, sizeof message)) {
            fprintf(stderr, "spillway %s: %s\n", verb->name, message);
            status = 2;
        }
    if (!marks) {
        fprintf(stderr, "spillway %s: out of memory\n", verb->name);
        status = 1;
    }
    if (!status)
        status = apply(verb, &live, marks, named);
    free(marks);
    live_close(&live);
    return status;
}

static int command(const struct verb *verb, int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL;
    optind = 0; /* glibc: begin anew */
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(verb->usage, stdout);
            return live_finish_output(verb->name);
        }
        if (option != 'c') {
            fprintf(stderr, "Try 'spillway %s --help'.\n", verb->name);
            return 2;
        }
        config = optarg;
    }
    if (verb->needs_names && optind == argc) {
        fprintf(stderr, "spillway %s: expected a backend; see 'spillway %s --help'\n", verb->name,
                verb->name);
        return 2;
    }
    return act(verb, config, argv + optind);
}

int command_reset(int argc, char **argv) {
    return command(&verb_reset, argc, argv);
}

int command_drain(int argc, char **argv) {
    return command(&verb_drain, argc, argv);
}

int command_undrain(int argc, char **argv) {
    return command(&verb_undrain, argc, argv);
}
