#include "shim/state.h"

#include "shim/private.h"

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
