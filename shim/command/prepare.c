#include "shim/command/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/check.h"
#include "shim/command/elf.h"
#include "shim/command/keeper.h"
#include "shim/command/launch.h"
#include "shim/command/trust.h"
#include "shim/relay/authority.h"

#define MESSAGE_SIZE 1000

__attribute__((format(printf, 2, 3))) static bool refuse(const char *command, const char *format,
                                                         ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "spillway: %s: ", command);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return false;
}

static const char *environment(const char *name) {
    return getenv(name);
}

bool prepare_variable(const char *command, const char *name, const char *value) {
    if ((value ? setenv(name, value, 1) : unsetenv(name)) == 0)
        return true;
    return refuse(command, "cannot set %s: %s", name, strerror(errno));
}

/* A key_command is run as the user: nobody else may have written it. */
static bool trust_file(const char *command, const struct settings *settings, const char *path) {
    struct stat status;
    if (!keeper_needed(settings))
        return true;
    if (stat(path, &status) != 0)
        return refuse(command, "%s: %s", path, strerror(errno));
    const char *distrust = keeper_distrusts(&status);
    return !distrust ||
           refuse(command, "%s has a key_command, which is not run: %s", path, distrust);
}

static struct settings *load_file(const char *command, const char *path) {
    char message[MESSAGE_SIZE];
    struct settings_error error;
    struct settings *settings = settings_load_file(path, &error);
    if (!settings) {
        settings_describe_error(path, &error, message, sizeof message);
        fprintf(stderr, "%s\n", message);
    } else if (!trust_file(command, settings, path)) {
        settings_free(settings);
        settings = NULL;
    }
    return settings;
}

static struct settings *use_file(const char *command, const char *path) {
    char absolute[PATH_MAX];
    if (!launch_absolute(path, absolute, sizeof absolute)) {
        refuse(command, "'%s' is too long a path", path);
        return NULL;
    }
    struct settings *settings = load_file(command, path);
    if (settings && check_exposes_keys(settings))
        fprintf(stderr, "spillway: %s holds keys and others can read it (chmod 600)\n", path);
    if (settings && prepare_variable(command, "SPILLWAY_CONFIG", absolute) &&
        prepare_variable(command, "SPILLWAY_SETTINGS", NULL))
        return settings;
    settings_free(settings);
    return NULL;
}

static struct settings *use_flags(const char *command, const struct flags *flags) {
    char message[MESSAGE_SIZE];
    char *text = flags_text(flags, message, sizeof message);
    struct settings *settings = text ? flags_load(flags, text, message, sizeof message) : NULL;
    bool good = settings ? prepare_variable(command, "SPILLWAY_SETTINGS", text) &&
                               prepare_variable(command, "SPILLWAY_CONFIG", NULL)
                         : refuse(command, "%s", message);
    free(text);
    if (good)
        return settings;
    settings_free(settings);
    return NULL;
}

/* The settings of a `run` around this one, or of the user: they win over a file. */
static struct settings *use_inherited(const char *text) {
    struct settings_error error;
    char message[MESSAGE_SIZE];
    struct settings *settings = settings_load_text("SPILLWAY_SETTINGS", text, strlen(text), &error);
    if (!settings) {
        settings_describe_error("SPILLWAY_SETTINGS", &error, message, sizeof message);
        fprintf(stderr, "%s\n", message);
    }
    return settings;
}

struct settings *prepare_settings(const char *command, const char *config,
                                  const struct flags *flags) {
    char path[PATH_MAX];
    const char *inherited = getenv("SPILLWAY_SETTINGS");
    if (config)
        return use_file(command, config);
    if (flags && flags->count > 0)
        return use_flags(command, flags);
    if (inherited && *inherited)
        return use_inherited(inherited);
    if (settings_locate(environment, path, sizeof path))
        return use_file(command, path);
    refuse(
        command, "%s",
        flags ? "found no settings, expected -c FILE, or --endpoint URL with --backend PRIORITY=URL"
              : "found no settings, expected -c FILE");
    return NULL;
}

bool prepare_log(const char *command, const char *file, const char *level) {
    char path[PATH_MAX], copy[PATH_MAX];
    if (level && !prepare_variable(command, "SPILLWAY_LOG", level))
        return false;
    if (!file)
        return true;
    if (!launch_absolute(file, path, sizeof path))
        return refuse(command, "--log: '%s' is too long a path", file);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    memcpy(copy, path, sizeof copy);
    if (error == ENOENT && access(dirname(copy), W_OK | X_OK) == 0)
        error = 0; /* the first event makes it */
    if (error)
        return refuse(command, "--log: cannot write '%s': %s", path, strerror(error));
    return prepare_variable(command, "SPILLWAY_LOG_FILE", path);
}

bool prepare_keys(const char *command, const struct settings *settings, int argc, char **argv,
                  struct keeper **keeper) {
    char message[MESSAGE_SIZE];
    *keeper = NULL;
    if (!keeper_needed(settings)) /* those of a `run` around this one are not for these settings */
        return prepare_variable(command, "SPILLWAY_KEYS", NULL);
    *keeper = keeper_new(settings, message, sizeof message);
    if (!*keeper)
        return refuse(command, "%s", message);
    int number = keeper_fetch(*keeper, stderr);
    if (number) {
        keeper_end(*keeper);
        *keeper = NULL;
        raise(number);
        return false; /* not reached, unless it is blocked */
    }
    if (!keeper_start(*keeper, argc, argv))
        return refuse(command, "cannot start the process that keeps keys fresh: %s",
                      strerror(errno));
    return prepare_variable(command, "SPILLWAY_KEYS", keeper_directory(*keeper));
}

bool prepare_trust(const char *command, const struct settings *settings) {
    char directory[PATH_MAX], bundle[PATH_MAX], message[MESSAGE_SIZE];
    if (!trust_needed(settings))
        return true;
    if (!authority_directory(environment, directory))
        return refuse(command,
                      "relay: {tls: on} needs XDG_CONFIG_HOME or HOME, where its authority lies");
    if (!trust_check(directory, settings, message, sizeof message))
        return refuse(command, "%s", message);
    for (const char *const *name = trust_variables; *name; name++)
        if (!trust_bundle(directory, getenv(*name), bundle, message, sizeof message))
            return refuse(command, "%s", message);
        else if (!prepare_variable(command, *name, bundle))
            return false;
    return true;
}

bool prepare_library(const char *command, const char *library, const char *program,
                     const char *found) {
    char file[PATH_MAX];
    enum reach reach = reach_of_program(found, file, sizeof file);
    const char *kind = reach_describe(reach);
    if (kind && strcmp(file, found) == 0)
        fprintf(stderr, "spillway: %s is %s: its requests can't be reached, it runs as it is\n",
                program, kind);
    else if (kind)
        fprintf(stderr,
                "spillway: %s is run by %s, which is %s: its requests can't be reached, it runs as "
                "it is\n",
                program, file, kind);
    char *list =
        launch_preload(reach_tolerates_preload(reach) ? library : NULL, getenv("LD_PRELOAD"));
    if (!list)
        return refuse(command, "out of memory");
    bool good = prepare_variable(command, "LD_PRELOAD", *list ? list : NULL);
    free(list);
    return good;
}
