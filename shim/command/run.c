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
#include "shim/command/keeper.h"
#include "shim/command/launch.h"
#include "shim/command/prepare.h"
#include "shim/command/relay_wait.h"

#define MESSAGE_SIZE 1000
#define COMMAND      "run"

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

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("spillway: " COMMAND ": ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return false;
}

static const char *environment(const char *name) {
    return getenv(name);
}

static int become(char **program, const char *library, const struct settings *settings, int argc,
                  char **argv) {
    char found[PATH_MAX];
    struct keeper *keeper = NULL;
    int status = 2;
    const char *search = getenv("PATH");
    int error =
        launch_find_program(program[0], search ? search : "/bin:/usr/bin", found, sizeof found);
    if (error)
        return launch_failed(program[0], NULL, error);
    if (!prepare_trust(COMMAND, settings) || !relay_arrange(COMMAND, settings, found, argc, argv))
        return 2;
    if (prepare_keys(COMMAND, settings, argc, argv, &keeper) &&
        prepare_library(COMMAND, library, program[0], found)) {
        /* FOUND has a slash: no second search, but /bin/sh for a script without "#!". */
        execvp(found, program);
        status = launch_failed(program[0], found, errno);
    }
    keeper_end(keeper);
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
    struct settings *settings = prepare_settings(COMMAND, options.config, &options.flags);
    bool good = settings && prepare_log(COMMAND, options.log_file, options.log_level);
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
