#include "shim/command/run.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/nearest.h"
#include "shim/command/check.h"
#include "shim/command/elf.h"
#include "shim/command/keeper.h"
#include "shim/command/launch.h"
#include "shim/command/trust.h"
#include "shim/relay/authority.h"

#define MESSAGE_SIZE 1000

static const char usage[] =
    "Usage: spillway run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "Runs PROGRAM with its OpenAI and Azure OpenAI requests spread over prioritized backends.\n"
    "Exit status, signals and the terminal are the program's.\n"
    "\n"
    "Settings from a file:\n"
    "  -c, --config FILE          the settings; without it SPILLWAY_CONFIG, then\n"
    "                             $XDG_CONFIG_HOME/spillway/spillway.yaml, then\n"
    "                             /etc/spillway/spillway.yaml\n"
    "Settings without a file:\n"
    "      --endpoint URL         what the program asks for\n"
    "      --backend PRIORITY=URL[,NAME=VALUE]...\n"
    "                             a backend of the last --endpoint; the lowest PRIORITY is\n"
    "                             used first. NAME is key_env (the variable with its key),\n"
    "                             key_file, weight, name, dialect or api_version\n"
    "      --strategy WORD        inside a priority: round_robin, random, least_busy, first\n"
    "      --on-exhausted WORD    when no backend is left: reply, last, wait\n"
    "With both:\n"
    "      --log FILE             where events are logged\n"
    "      --log-level LEVEL      off, error, warn, info, debug\n"
    "  -h, --help                 this text\n"
    "\n"
    "A key_command of the settings is run before the program starts, and again before its token\n"
    "expires, by a process that ends with the program.\n"
    "\n"
    "Examples:\n"
    "  spillway run -c spillway.yaml -- curl -sS https://api.openai.com/v1/models\n"
    "  spillway run --endpoint https://api.openai.com/v1 \\\n"
    "      --backend 1=https://ptu.example/v1,key_env=PTU_KEY \\\n"
    "      --backend 2=https://api.openai.com/v1,key_env=OPENAI_API_KEY \\\n"
    "      --log run.log --log-level info -- ./legacy-batch.sh\n"
    "\n"
    "Exit status: the program's; 2 if the command line or the settings are wrong, 127 if the\n"
    "program is not found, 126 if it cannot be executed.\n";

enum {
    OPTION_ENDPOINT = 256,
    OPTION_BACKEND,
    OPTION_STRATEGY,
    OPTION_EXHAUSTED,
    OPTION_LOG,
    OPTION_LEVEL
};

static const struct option known_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"endpoint", required_argument, NULL, OPTION_ENDPOINT},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"strategy", required_argument, NULL, OPTION_STRATEGY},
    {"on-exhausted", required_argument, NULL, OPTION_EXHAUSTED},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void take_option(struct run_options *options, int option, const char *value) {
    struct flags *flags = &options->flags;
    switch (option) {
    case 'c':
        options->config = value;
        break;
    case 'h':
        options->help = true;
        break;
    case OPTION_ENDPOINT:
    case OPTION_BACKEND:
        flags->list[flags->count++] = (struct flag){option == OPTION_ENDPOINT, value};
        break;
    case OPTION_STRATEGY:
        flags->strategy = value;
        break;
    case OPTION_EXHAUSTED:
        flags->on_exhausted = value;
        break;
    case OPTION_LOG:
        options->log_file = value;
        break;
    default:
        options->log_level = value;
        break;
    }
}

/* What belongs together. Returns NULL, or what is wrong. */
static const char *check_options(const struct run_options *options) {
    const struct flags *flags = &options->flags;
    enum log_level level;
    if (options->config && flags->count > 0)
        return "found -c and --endpoint or --backend, expected one or the other";
    if (flags->count == 0 && (flags->strategy || flags->on_exhausted))
        return "--strategy and --on-exhausted go with --endpoint; a settings file has its own";
    if (options->log_level && !settings_parse_log_level(options->log_level, &level))
        return "--log-level: expected off, error, warn, info or debug";
    if (!options->program[0])
        return "expected the program to run behind the options";
    return NULL;
}

void run_describe_bad_option(const struct option *all, bool known, const char *found, char *message,
                             size_t size) {
    struct nearest nearest = {0};
    char word[NEAREST_LENGTH_MAX + 1];
    if (strncmp(found, "--", 2) != 0) { /* a cluster of letters: getopt tells which */
        snprintf(message, size, "found -%c %s", optopt,
                 known ? "without a value" : "which is no option");
        return;
    }
    snprintf(word, sizeof word, "%.*s", (int)strcspn(found, "="), found);
    if (known) {
        snprintf(message, size, "found %s without a value", word);
        return;
    }
    nearest.word = word + 2;
    for (const struct option *each = all; each->name; each++)
        nearest_offer(&nearest, each->name);
    snprintf(message, size, "found %s which is no option%s%s%s", word,
             nearest.best ? "; did you mean --" : "", nearest.best ? nearest.best : "",
             nearest.best ? "?" : "");
}

bool run_parse(int argc, char **argv, struct run_options *options, char *message, size_t size) {
    int option;
    *options = (struct run_options){0};
    options->flags.list = calloc((size_t)argc + 1, sizeof *options->flags.list);
    if (!options->flags.list) {
        snprintf(message, size, "out of memory");
        return false;
    }
    optind = 0; /* glibc: begin anew, also after an earlier call */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:c:h", known_options, NULL)) != -1) {
        if (option == ':' || option == '?') {
            run_describe_bad_option(known_options, option == ':', argv[optind - 1], message, size);
            run_options_free(options);
            return false;
        }
        take_option(options, option, optarg);
    }
    options->program = argv + optind;
    const char *wrong = options->help ? NULL : check_options(options);
    if (wrong) {
        snprintf(message, size, "%s", wrong);
        run_options_free(options);
    }
    return !wrong;
}

void run_options_free(struct run_options *options) {
    free(options->flags.list);
    options->flags.list = NULL;
}

static bool warn_key(const struct endpoint *endpoint, const struct backend *backend,
                     settings_lookup *lookup, FILE *out) {
    const char *fault = NULL;
    if (backend->key_source == KEY_ENVIRONMENT)
        fault = check_key_variable(lookup(backend->key));
    else if (backend->key_source == KEY_FILE)
        fault = check_key_file(backend->key);
    if (!fault)
        return false;
    fprintf(out, "spillway: %s%s %s: backend %s of endpoint %s has no key\n", backend->key,
            backend->key_source == KEY_FILE ? ":" : "", fault, backend->name, endpoint->name);
    return true;
}

unsigned run_warn_keys(const struct settings *settings, settings_lookup *lookup, FILE *out) {
    unsigned missing = 0;
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t j = 0; j < endpoint->backend_count; j++)
            missing += warn_key(endpoint, &endpoint->backends[j], lookup, out);
    }
    return missing;
}

/* Who complains. Written by run_use_settings. */
static const char *speaker = "run";

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "spillway: %s: ", speaker);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return false;
}

static const char *environment(const char *name) {
    return getenv(name);
}

static bool export_variable(const char *name, const char *value) {
    if ((value ? setenv(name, value, 1) : unsetenv(name)) == 0)
        return true;
    return refuse("cannot set %s: %s", name, strerror(errno));
}

/* A key_command is run as the user: nobody else may have written it. */
static bool trust_file(const struct settings *settings, const char *path) {
    struct stat status;
    if (!keeper_needed(settings))
        return true;
    if (stat(path, &status) != 0)
        return refuse("%s: %s", path, strerror(errno));
    const char *distrust = keeper_distrusts(&status);
    return !distrust || refuse("%s has a key_command, which is not run: %s", path, distrust);
}

static struct settings *load_file(const char *path) {
    char message[MESSAGE_SIZE];
    struct settings_error error;
    struct settings *settings = settings_load_file(path, &error);
    if (!settings) {
        settings_describe_error(path, &error, message, sizeof message);
        fprintf(stderr, "%s\n", message);
    } else if (!trust_file(settings, path)) {
        settings_free(settings);
        settings = NULL;
    }
    return settings;
}

static struct settings *use_file(const char *path) {
    char absolute[PATH_MAX];
    if (!launch_absolute(path, absolute, sizeof absolute)) {
        refuse("'%s' is too long a path", path);
        return NULL;
    }
    struct settings *settings = load_file(path);
    if (settings && check_exposes_keys(settings))
        fprintf(stderr, "spillway: %s holds keys and others can read it (chmod 600)\n", path);
    if (settings && export_variable("SPILLWAY_CONFIG", absolute) &&
        export_variable("SPILLWAY_SETTINGS", NULL))
        return settings;
    settings_free(settings);
    return NULL;
}

static struct settings *use_flags(const struct flags *flags) {
    char message[MESSAGE_SIZE];
    char *text = flags_text(flags, message, sizeof message);
    struct settings *settings = text ? flags_load(flags, text, message, sizeof message) : NULL;
    bool good = settings ? export_variable("SPILLWAY_SETTINGS", text) &&
                               export_variable("SPILLWAY_CONFIG", NULL)
                         : refuse("%s", message);
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

struct settings *run_use_settings(const char *command, const struct run_options *options) {
    char path[PATH_MAX];
    const char *inherited = getenv("SPILLWAY_SETTINGS");
    speaker = command;
    if (options->config)
        return use_file(options->config);
    if (options->flags.count > 0)
        return use_flags(&options->flags);
    if (inherited && *inherited)
        return use_inherited(inherited);
    if (settings_locate(environment, path, sizeof path))
        return use_file(path);
    refuse("found no settings, expected -c FILE, or --endpoint URL with --backend PRIORITY=URL");
    return NULL;
}

/* The shim says nothing when it cannot write its log, so say it here. */
static bool use_log(const struct run_options *options) {
    char path[PATH_MAX], copy[PATH_MAX];
    if (options->log_level && !export_variable("SPILLWAY_LOG", options->log_level))
        return false;
    if (!options->log_file)
        return true;
    if (!launch_absolute(options->log_file, path, sizeof path))
        return refuse("--log: '%s' is too long a path", options->log_file);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    memcpy(copy, path, sizeof copy);
    if (error == ENOENT && access(dirname(copy), W_OK | X_OK) == 0)
        error = 0; /* the first event makes it */
    if (error)
        return refuse("--log: cannot write '%s': %s", path, strerror(error));
    return export_variable("SPILLWAY_LOG_FILE", path);
}

/* Says so when the program in FOUND cannot be reached; sets what is loaded into it. */
static bool use_library(const char *library, const char *program, const char *found) {
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
        return refuse("out of memory");
    bool good = export_variable("LD_PRELOAD", *list ? list : NULL);
    free(list);
    return good;
}

/* Fetches the keys of key_commands. False after a complaint; else *KEEPER is NULL if there are
 * none. */
static bool use_keys(const struct settings *settings, int argc, char **argv,
                     struct keeper **keeper) {
    char message[MESSAGE_SIZE];
    *keeper = NULL;
    if (!keeper_needed(settings)) /* those of a `run` around this one are not for these settings */
        return export_variable("SPILLWAY_KEYS", NULL);
    *keeper = keeper_new(settings, message, sizeof message);
    if (!*keeper)
        return refuse("%s", message);
    int number = keeper_fetch(*keeper, stderr);
    if (number) {
        keeper_end(*keeper);
        *keeper = NULL;
        raise(number);
        return false; /* not reached, unless it is blocked */
    }
    if (!keeper_start(*keeper, argc, argv))
        return refuse("cannot start the process that keeps keys fresh: %s", strerror(errno));
    return export_variable("SPILLWAY_KEYS", keeper_directory(*keeper));
}

/* Makes the program trust the relay's certificates, besides those that it would trust anyway. */
static bool use_trust(const struct settings *settings) {
    char directory[PATH_MAX], bundle[PATH_MAX], message[MESSAGE_SIZE];
    if (!trust_needed(settings))
        return true;
    if (!authority_directory(environment, directory))
        return refuse("relay: {tls: on} needs XDG_CONFIG_HOME or HOME, where its authority lies");
    if (!trust_check(directory, settings, message, sizeof message))
        return refuse("%s", message);
    for (const char *const *name = trust_variables; *name; name++)
        if (!trust_bundle(directory, getenv(*name), bundle, message, sizeof message))
            return refuse("%s", message);
        else if (!export_variable(*name, bundle))
            return false;
    return true;
}

int run_make_ready(struct run_ready *ready, const char *program, const char *library,
                   const struct settings *settings, bool keys, int argc, char **argv) {
    const char *search = getenv("PATH");
    ready->keeper = NULL;
    int error = launch_find_program(program, search ? search : "/bin:/usr/bin", ready->found,
                                    sizeof ready->found);
    if (error)
        return launch_failed(program, NULL, error);
    bool good = use_trust(settings) && (keys ? use_keys(settings, argc, argv, &ready->keeper)
                                             : export_variable("SPILLWAY_KEYS", NULL));
    if (good && use_library(library, program, ready->found))
        return 0;
    keeper_end(ready->keeper);
    return 2;
}

static int become(char **program, const char *library, const struct settings *settings, int argc,
                  char **argv) {
    struct run_ready ready;
    int status = run_make_ready(&ready, program[0], library, settings, true, argc, argv);
    if (status)
        return status;
    /* FOUND has a slash: no second search, but /bin/sh for a script without "#!". */
    execvp(ready.found, program);
    status = launch_failed(program[0], ready.found, errno);
    keeper_end(ready.keeper);
    return status;
}

int command_run(int argc, char **argv) {
    struct run_options options;
    char message[MESSAGE_SIZE], library[PATH_MAX];
    if (!run_parse(argc, argv, &options, message, sizeof message)) {
        refuse("%s; see 'spillway run --help'", message);
        return 2;
    }
    if (options.help) {
        run_options_free(&options);
        return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? 2 : 0;
    }
    struct settings *settings = run_use_settings("run", &options);
    bool good = settings && use_log(&options);
    char **program = options.program;
    run_options_free(&options);
    if (good && !launch_find_library(library, sizeof library, message, sizeof message))
        good = refuse("%s", message);
    int status = 2;
    if (good) {
        run_warn_keys(settings, environment, stderr);
        check_warn_faults(settings, stderr);
        status = become(program, library, settings, argc, argv);
    }
    settings_free(settings);
    return status;
}
