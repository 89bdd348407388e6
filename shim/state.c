#include "shim/state.h"

#include <limits.h>
#include <stdlib.h>

#include "shim/absolute.h"
#include "shim/log.h"
#include "shim/private.h"

#define RETRY 10000000000u /* ns */

/* Written once, by state_open. NULL: the state is private, or there was no memory. */
static char *directory;

/* When a shared ledger is looked for again after one could not be had. For state_renew alone. */
static uint64_t retry_at;

const char *state_directory(const struct settings *settings, settings_lookup *lookup, char *path,
                            size_t size) {
    const char *given = lookup("SPILLWAY_STATE_DIR");
    if (settings->state_scope == STATE_PROCESS)
        return NULL;
    if (given && *given)
        return given;
    if (settings->state_directory)
        return settings->state_directory;
    return private_default_directory(lookup, path, size) ? path : NULL;
}

static void log_state(enum log_level level, const char *problem) {
    struct log_line line;
    log_begin(&line, level, "state");
    log_text(&line, "directory", directory);
    if (problem)
        log_text(&line, "error", problem);
    log_text(&line, "scope", problem ? "process" : "host");
    log_end(&line);
}

struct ledger *state_open(const struct settings *settings, settings_lookup *lookup) {
    char path[PATH_MAX];
    const char *found = state_directory(settings, lookup, path, sizeof path);
    directory = found ? absolute_path(found) : NULL;
    struct ledger *ledger = ledger_open(directory);
    if (ledger && ledger_problem(ledger))
        log_state(LOG_WARN, ledger_problem(ledger));
    return ledger;
}

struct ledger *state_renew(const struct ledger *held, uint64_t now) {
    if (!directory || now < retry_at || ledger_is_current(held, directory))
        return NULL;
    struct ledger *other = ledger_open(directory);
    if (other && !ledger_problem(other)) {
        log_state(LOG_INFO, NULL);
        return other;
    }
    ledger_close(other);
    retry_at = now + RETRY;
    return NULL;
}
