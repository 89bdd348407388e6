#include "shim/command/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/settings.h"
#include "shim/command/keeper.h"
#include "shim/command/launch.h"
#include "shim/command/prepare.h"
#include "shim/command/relay_start.h"
#include "shim/command/trust.h"
#include "shim/place.h"
#include "shim/relay/serve.h"

#define COMMAND      "relay"
#define MESSAGE_SIZE 1000
#define IDLE_DEFAULT UINT64_C(60000000000)

static const char usage[] =
    "Usage: spillway relay [OPTION]...\n"
    "Serves programs that don't use libcurl: takes their requests for the endpoints' http:// URLs\n"
    "and spreads them over the backends. 'spillway run' leads programs there, and starts a relay "
    "by\n"
    "itself when one of them needs it; this command is for service managers, and for programs "
    "that\n"
    "can't be led (statically linked ones, Go). It returns once the relay takes connections.\n"
    "\n"
    "  -c, --config FILE          the settings; without it SPILLWAY_CONFIG, then\n"
    "                             $XDG_CONFIG_HOME/spillway/spillway.yaml, then\n"
    "                             /etc/spillway/spillway.yaml\n"
    "      --foreground           stay in the foreground, and run until a signal comes\n"
    "      --idle TIME            end after so long without a request, if no program needs the\n"
    "                             relay (60s; never with --foreground or --listen)\n"
    "      --listen HOST:PORT     take connections there, too, as a reverse proxy: the path of a\n"
    "                             request chooses the endpoint\n"
    "      --token-env VARIABLE   requests there have to carry the token that this environment\n"
    "                             variable holds, as Authorization: Bearer or api-key. Without it\n"
    "                             HOST has to be 127.0.0.1 or ::1, and other users are refused.\n"
    "      --log FILE             where events are logged\n"
    "      --log-level LEVEL      off, error, warn, info, debug\n"
    "  -h, --help                 this text\n"
    "\n"
    "SIGTERM and SIGINT end it: requests that run are answered first, for up to 30 seconds; a\n"
    "second signal ends it at once.\n"
    "\n"
    "Examples:\n"
    "  spillway relay --foreground -c spillway.yaml\n"
    "  RELAY_TOKEN=... spillway relay --listen 127.0.0.1:4000 --token-env RELAY_TOKEN\n"
    "\n"
    "Exit status: 0 if a relay serves, or has served; 1 if it can't; 2 if the command line or the\n"
    "settings are wrong.\n";

enum {
    OPTION_FOREGROUND = 256,
    OPTION_IDLE,
    OPTION_LISTEN,
    OPTION_TOKEN,
    OPTION_LOG,
    OPTION_LEVEL
};

static const struct option known_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"token-env", required_argument, NULL, OPTION_TOKEN},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* --- the command line ---------------------------------------------------------------------- */

static const char *take_idle(struct relay_options *options, const char *value) {
    options->idle_set = true;
    if (settings_parse_duration(value, &options->idle_ns) && options->idle_ns > 0)
        return NULL;
    return "--idle: expected a time such as 30s, 5m or 1h";
}

/* Returns NULL, or what is wrong. */
static const char *take_option(struct relay_options *options, int option, const char *value) {
    enum log_level level;
    switch (option) {
    case 'c':
        options->config = value;
        return NULL;
    case 'h':
        options->help = true;
        return NULL;
    case OPTION_FOREGROUND:
        options->foreground = true;
        return NULL;
    case OPTION_IDLE:
        return take_idle(options, value);
    case OPTION_LISTEN:
        options->listen = value;
        return NULL;
    case OPTION_TOKEN:
        options->token_env = value;
        return NULL;
    case OPTION_LOG:
        options->log_file = value;
        return NULL;
    default:
        options->log_level = value;
        return settings_parse_log_level(value, &level)
                   ? NULL
                   : "--log-level: expected off, error, warn, info or debug";
    }
}

bool relay_parse(int argc, char **argv, struct relay_options *options, char *message, size_t size) {
    int option;
    const char *wrong = NULL;
    *options = (struct relay_options){0};
    optind = 0; /* glibc: begin anew, also after an earlier call */
    opterr = 0;
    while (!wrong && (option = getopt_long(argc, argv, "+:c:h", known_options, NULL)) != -1) {
        if (option == ':' || option == '?') {
            snprintf(message, size, "found %s %s", argv[optind - 1],
                     option == ':' ? "without a value" : "which is no option");
            return false;
        }
        wrong = take_option(options, option, optarg);
    }
    if (!wrong && !options->help && optind < argc)
        wrong = "found an argument that belongs to no option";
    if (!wrong && options->token_env && !options->listen)
        wrong = "--token-env goes with --listen";
    if (wrong)
        snprintf(message, size, "%s", wrong);
    if (!options->idle_set)
        options->idle_ns = options->foreground || options->listen ? UINT64_MAX : IDLE_DEFAULT;
    return !wrong;
}

__attribute__((format(printf, 2, 3))) static int refuse(int status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("spillway: relay: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return status;
}

/* --- the last stage: the relay itself ------------------------------------------------------ */

static void leave_streams(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

static int be_relay(const struct relay_options *options, const char *text) {
    struct relay_files files;
    char place[PATH_MAX];
    prctl(PR_SET_NAME, "spillway-relay");
    if (!relay_files_parse(text, &files))
        return refuse(2, "SPILLWAY_RELAY is set, which only a relay itself does");
    unsetenv("SPILLWAY_RELAY");
    unsetenv("LD_PRELOAD");
    struct settings *settings = prepare_settings(COMMAND, NULL, NULL);
    if (!settings)
        return 2;
    bool placed = relay_place(settings, place);
    if (!options->foreground)
        leave_streams();
    struct serve_options serving = {.settings = settings,
                                    .listen = files.listen,
                                    .tls = files.tls,
                                    .claim = files.claim,
                                    .place = placed ? place : NULL,
                                    .open = files.open,
                                    .token = options->token_env ? getenv(options->token_env) : NULL,
                                    .ready = files.ready,
                                    .idle_ns = options->idle_ns};
    int status = serve(&serving);
    settings_free(settings);
    return status;
}

/* --- the stages before --------------------------------------------------------------------- */

/* The port of a relay that runs, 0 if none is announced. */
static unsigned running_port(const char *path) {
    struct place place = {0};
    return place_find(path, &place) ? place.port : 0;
}

/* Takes the place, and the sockets. Returns 0; or the exit status, -1 if a relay runs already. */
static int take_all(const struct relay_options *options, const struct settings *settings,
                    struct relay_files *files) {
    char path[PATH_MAX], message[MESSAGE_SIZE];
    int status;
    if (options->token_env) {
        const char *token = getenv(options->token_env);
        if (!token || !*token)
            return refuse(2, "--token-env: the environment variable has no token");
    }
    if (options->listen) {
        files->open = relay_listen(options->listen, options->token_env != NULL, message,
                                   sizeof message, &status);
        if (files->open < 0)
            return refuse(status, "%s", message);
    }
    if (!relay_place(settings, path))
        return refuse(1, "found no directory for the shared state");
    if (files->claim >= 0 || relay_take(path, trust_needed(settings), files) ||
        (errno == EWOULDBLOCK && options->listen))
        return 0;
    if (errno != EWOULDBLOCK)
        return refuse(1, "cannot take '%s': %s", path, strerror(errno));
    if (options->foreground)
        return refuse(1, "a relay for these settings runs already, at 127.0.0.1:%u",
                      running_port(path));
    printf("a relay for these settings runs already, at 127.0.0.1:%u\n", running_port(path));
    return -1;
}

/* Says where connections are taken from now on. */
static void say_where(const struct relay_files *files) {
    char led[80] = "", open[80] = "";
    if (files->listen >= 0)
        relay_address(files->listen, led, sizeof led);
    if (files->open >= 0)
        relay_address(files->open, open, sizeof open);
    printf("relay listening on %s%s%s\n", led, *led && *open ? " and " : "", open);
    fflush(stdout);
}

/* Fetches keys, and becomes the relay. Returns only after a message. */
static int prepare_and_become(const struct settings *settings, const struct relay_files *files,
                              int argc, char **argv) {
    char library[PATH_MAX], message[MESSAGE_SIZE];
    struct keeper *keeper = NULL;
    if (!launch_find_library(library, sizeof library, message, sizeof message))
        return refuse(2, "%s", message);
    if (!prepare_keys(COMMAND, settings, argc, argv, &keeper))
        return 2;
    relay_become(library, files, argv - 1);
    refuse(1, "cannot start: %s", strerror(errno));
    keeper_end(keeper);
    return 1;
}

/* Waits until the child serves. */
static int await_ready(pid_t child, int ready) {
    char byte;
    int status = 0;
    ssize_t got;
    do
        got = read(ready, &byte, 1);
    while (got < 0 && errno == EINTR);
    close(ready);
    if (got == 1)
        return 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status)
                                                    : refuse(1, "it ended before it served");
}

static int start_in_background(const struct settings *settings, struct relay_files *files, int argc,
                               char **argv) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return refuse(1, "cannot start: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return refuse(1, "cannot start: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        files->ready = ends[1];
        setsid();
        _exit(prepare_and_become(settings, files, argc, argv));
    }
    close(ends[1]);
    int status = await_ready(child, ends[0]);
    if (!status)
        say_where(files);
    return status;
}

/* FILES are those of a `run` that has waited for the first connection, or none. */
static int start(const struct relay_options *options, struct relay_files *files, int argc,
                 char **argv) {
    bool waited = files->claim >= 0;
    struct settings *settings = prepare_settings(COMMAND, options->config, NULL);
    int status = settings && prepare_log(COMMAND, options->log_file, options->log_level) ? 0 : 2;
    if (!status)
        status = take_all(options, settings, files);
    if (!status && options->foreground)
        say_where(files);
    if (!status)
        status = options->foreground || waited ? prepare_and_become(settings, files, argc, argv)
                                               : start_in_background(settings, files, argc, argv);
    settings_free(settings);
    return status < 0 ? 0 : status;
}

int command_relay(int argc, char **argv) {
    struct relay_options options;
    struct relay_files files = RELAY_NO_FILES;
    char message[MESSAGE_SIZE];
    const char *serves = getenv("SPILLWAY_RELAY"), *waited = getenv("SPILLWAY_RELAY_FILES");
    if (!relay_parse(argc, argv, &options, message, sizeof message))
        return refuse(2, "%s; see 'spillway relay --help'", message);
    if (options.help)
        return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? 2 : 0;
    if (serves && *serves)
        return be_relay(&options, serves);
    if (waited && *waited && !relay_files_parse(waited, &files))
        return refuse(2, "SPILLWAY_RELAY_FILES is set, which only 'spillway run' does");
    unsetenv("SPILLWAY_RELAY_FILES");
    return start(&options, &files, argc, argv);
}
