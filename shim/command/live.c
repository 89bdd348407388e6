#include "shim/command/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/state.h"

static const char no_memory[] = "out of memory";

static const char *environment(const char *name) {
    return getenv(name);
}

struct settings *live_settings(const char *command, const char *config) {
    struct settings_error error;
    struct settings *settings;
    char path[PATH_MAX], message[PATH_MAX + sizeof error.message];
    const char *text = getenv("SPILLWAY_SETTINGS"), *name = config;
    if (!config && text && *text) {
        name = "SPILLWAY_SETTINGS";
        settings = settings_load_text(name, text, strlen(text), &error);
    } else if (config || settings_locate(environment, path, sizeof path)) {
        name = config ? config : path;
        settings = settings_load_file(name, &error);
    } else {
        fprintf(stderr,
                "spillway %s: no settings found, expected SPILLWAY_CONFIG, "
                "$XDG_CONFIG_HOME/spillway/spillway.yaml or /etc/spillway/spillway.yaml\n",
                command);
        return NULL;
    }
    if (!settings) {
        settings_describe_error(name, &error, message, sizeof message);
        fprintf(stderr, "%s\n", message);
    }
    return settings;
}

static bool make_views(struct live *live) {
    size_t count = live->settings->endpoint_count;
    live->views = calloc(count, sizeof(struct pool_view *));
    for (size_t i = 0; live->views && i < count; i++) {
        live->views[i] = calloc(live->settings->endpoints[i].backend_count, sizeof *live->views[i]);
        if (!live->views[i])
            return false;
    }
    return live->views;
}

bool live_open(struct live *live, const char *command, const char *config) {
    *live = (struct live){.settings = live_settings(command, config)};
    if (!live->settings)
        return false;
    const char *problem = make_views(live) ? NULL : no_memory;
    live->directory = state_directory(live->settings, environment, live->path, sizeof live->path);
    if (live->settings->state_scope == STATE_PROCESS)
        problem = "each process keeps its state to itself (state.scope: process)";
    else if (!live->directory)
        problem = "the path of the state directory is too long";
    if (!problem)
        return true;
    fprintf(stderr, "spillway %s: %s\n", command, problem);
    live_close(live);
    return false;
}

const char *live_look(struct live *live) {
    struct timespec time;
    struct ledger *ledger = ledger_peek(live->directory);
    const char *problem = ledger ? ledger_problem(ledger) : no_memory;
    clock_gettime(CLOCK_REALTIME, &time);
    live->time = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    live->now = ledger_now();
    for (size_t i = 0; !problem && i < live->settings->endpoint_count; i++) {
        struct pool *pool = pool_new(&live->settings->endpoints[i], ledger);
        if (pool)
            pool_view(pool, live->now, live->views[i]);
        else
            problem = no_memory;
        pool_free(pool);
    }
    ledger_close(ledger);
    return problem;
}

bool live_open_and_look(struct live *live, const char *command, const char *config) {
    if (!live_open(live, command, config))
        return false;
    const char *problem = live_look(live);
    if (!problem)
        return true;
    if (problem == no_memory)
        fprintf(stderr, "spillway %s: %s\n", command, problem);
    else
        fprintf(stderr, "spillway %s: %s: %s\n", command, live->directory, problem);
    live_close(live);
    return false;
}

void live_close(struct live *live) {
    for (size_t i = 0; live->views && i < live->settings->endpoint_count; i++)
        free(live->views[i]);
    free(live->views);
    settings_free(live->settings);
    *live = (struct live){0};
}

int live_finish_output(const char *command) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "spillway %s: can't write: %s\n", command, strerror(errno));
    return 1;
}
