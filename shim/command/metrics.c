#include "shim/command/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/figures.h"

static const char usage[] =
    "Usage: spillway metrics [-c FILE] [--textfile FILE]\n"
    "Print what all processes of this user know about each backend, in the text format of\n"
    "Prometheus.\n"
    "\n"
    "  -c, --config FILE    the settings; else $SPILLWAY_SETTINGS, $SPILLWAY_CONFIG,\n"
    "                       $XDG_CONFIG_HOME/spillway/spillway.yaml or\n"
    "                       /etc/spillway/spillway.yaml\n"
    "      --textfile FILE  replace FILE at a stroke instead, as the textfile collector of\n"
    "                       node_exporter wants it\n"
    "  -h, --help           print this\n"
    "\n"
    "Example, for cron:\n"
    "  spillway metrics --textfile /var/lib/node_exporter/spillway.prom\n"
    "\n"
    "Exit status: 0; 1 if there are no settings, if they are bad, if each process keeps its\n"
    "state to itself, or if FILE can't be written; 2 for wrong options.\n";

/* Text in quotes, escaped as the format has it: backslash, quote and line feed. */
static void put_label(const char *before, const char *value, FILE *out) {
    fputs(before, out);
    for (fputs("=\"", out); *value; value++)
        if (*value == '\n')
            fputs("\\n", out);
        else
            fprintf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    fputc('"', out);
}

/* A backend of one endpoint, and the metric that it is asked for. */
struct subject {
    const struct endpoint *endpoint;
    const struct backend *backend;
    const struct pool_view *view;
};

/* Begins a line: NAME{endpoint="...",backend="..." */
static void begin(const char *name, const struct subject *of, FILE *out) {
    fputs(name, out);
    put_label("{endpoint", of->endpoint->name, out);
    put_label(",backend", of->backend->name, out);
}

static void put_info(const char *name, const struct subject *of, FILE *out) {
    char priority[16], weight[16];
    snprintf(priority, sizeof priority, "%d", of->backend->priority);
    snprintf(weight, sizeof weight, "%u", of->backend->weight);
    begin(name, of, out);
    put_label(",url", of->backend->url, out);
    put_label(",priority", priority, out);
    put_label(",weight", weight, out);
    put_label(",dialect", settings_dialect_name(of->backend->dialect), out);
    fputs("} 1\n", out);
}

static void put_requests(const char *name, const struct subject *of, FILE *out) {
    static const char *const outcomes[LEDGER_OUTCOMES] = {[LEDGER_ANSWERED] = "answered",
                                                          [LEDGER_THROTTLED] = "throttled",
                                                          [LEDGER_SERVER_ERROR] = "server_error",
                                                          [LEDGER_CONNECT] = "connect",
                                                          [LEDGER_RESET] = "reset",
                                                          [LEDGER_TIMEOUT] = "timeout",
                                                          [LEDGER_REJECTED] = "rejected"};
    for (unsigned i = 0; i < LEDGER_OUTCOMES; i++) {
        begin(name, of, out);
        fprintf(out, ",outcome=\"%s\"} %" PRIu64 "\n", outcomes[i], of->view->outcomes[i]);
    }
}

static void put_in_flight(const char *name, const struct subject *of, FILE *out) {
    begin(name, of, out);
    fprintf(out, "} %u\n", of->view->in_flight);
}

static void put_available(const char *name, const struct subject *of, FILE *out) {
    begin(name, of, out);
    fprintf(out, "} %d\n", of->view->state == POOL_AVAILABLE);
}

static void put_states(const char *name, const struct subject *of, FILE *out) {
    for (enum pool_state state = POOL_AVAILABLE; state <= POOL_DRAINED; state++) {
        begin(name, of, out);
        fprintf(out, ",state=\"%s\"} %d\n", figures_state_name(state), of->view->state == state);
    }
}

static void put_cooldown(const char *name, const struct subject *of, FILE *out) {
    begin(name, of, out);
    fprintf(out, "} %.6f\n", (double)of->view->left_ns / 1e9);
}

static void put_drained(const char *name, const struct subject *of, FILE *out) {
    begin(name, of, out);
    fprintf(out, "} %d\n", of->view->state == POOL_DRAINED);
}

/* Of ten classes per decade those are shown that end at 1, 2.5 and 5. */
static void put_durations(const char *name, const struct subject *of, FILE *out) {
    char bucket[64], rest[64];
    uint64_t sum = 0;
    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    for (unsigned i = 0; i < LEDGER_CLASSES - 1; i++) {
        sum += of->view->classes[i];
        if (i % 10 != 0 && i % 10 != 4 && i % 10 != 7)
            continue;
        begin(bucket, of, out);
        fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", (double)ledger_class_bound(i) / 1e6, sum);
    }
    sum += of->view->classes[LEDGER_CLASSES - 1];
    begin(bucket, of, out);
    fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
    snprintf(rest, sizeof rest, "%s_sum", name);
    begin(rest, of, out);
    fprintf(out, "} %.6f\n", (double)of->view->duration_us / 1e6);
    snprintf(rest, sizeof rest, "%s_count", name);
    begin(rest, of, out);
    fprintf(out, "} %" PRIu64 "\n", sum);
}

static const struct {
    const char *name, *type, *help;
    void (*put)(const char *name, const struct subject *of, FILE *out);
} families[] = {
    {"spillway_backend_info", "gauge", "What the settings say about a backend; always 1.",
     put_info},
    {"spillway_requests_total", "counter", "Attempts, by what became of them.", put_requests},
    {"spillway_requests_in_flight", "gauge", "Attempts that run now, of all processes.",
     put_in_flight},
    {"spillway_backend_available", "gauge", "Whether requests may go to a backend now.",
     put_available},
    {"spillway_backend_state", "gauge", "1 for the state that a backend is in, 0 for the others.",
     put_states},
    {"spillway_backend_cooldown_seconds", "gauge", "How long a backend still cools.", put_cooldown},
    {"spillway_backend_drained", "gauge", "Whether a backend was taken out by hand.", put_drained},
    {"spillway_request_duration_seconds", "histogram",
     "How long answered attempts took, to the end of the response.", put_durations},
};

void metrics_print(const struct live *live, FILE *out) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        const char *name = families[f].name;
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, families[f].help, name,
                families[f].type);
        for (size_t i = 0; i < live->settings->endpoint_count; i++) {
            const struct endpoint *endpoint = &live->settings->endpoints[i];
            for (size_t k = 0; k < endpoint->backend_count; k++)
                families[f].put(
                    name, &(struct subject){endpoint, &endpoint->backends[k], &live->views[i][k]},
                    out);
        }
    }
}

static bool write_all(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
    return true;
}

bool metrics_replace(const char *path, const char *text, size_t length, char *message,
                     size_t size) {
    /* no name that a collector of *.prom would read */
    static const char name[] = ".spillway-XXXXXX";
    const char *slash = strrchr(path, '/');
    size_t directory = slash ? (size_t)(slash - path) + 1 : 0;
    struct stat status;
    char temporary[PATH_MAX];
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        snprintf(message, size, "'%s' is no regular file", path);
        return false;
    }
    if (directory + sizeof name > sizeof temporary) {
        snprintf(message, size, "'%s' is too long a path", path);
        return false;
    }
    memcpy(temporary, path, directory);
    memcpy(temporary + directory, name, sizeof name);
    int fd = mkostemp(temporary, O_CLOEXEC);
    bool good = fd >= 0 && write_all(fd, text, length) && fchmod(fd, 0644) == 0;
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        error = errno;
        good = false;
    }
    if (good && rename(temporary, path) != 0) {
        error = errno;
        good = false;
    }
    if (!good && fd >= 0)
        unlink(temporary);
    if (!good)
        snprintf(message, size, "can't write '%s': %s", path, strerror(error));
    return good;
}

static int write_textfile(const struct live *live, const char *path) {
    char *text = NULL, message[PATH_MAX + 200] = "out of memory";
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out)
        metrics_print(live, out);
    bool good = out && !ferror(out);
    if (out && fclose(out) != 0)
        good = false;
    good = good && metrics_replace(path, text, length, message, sizeof message);
    free(text);
    if (!good)
        fprintf(stderr, "spillway metrics: %s\n", message);
    return good ? 0 : 1;
}

int command_metrics(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"textfile", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL, *textfile = NULL;
    struct live live;
    optind = 0; /* glibc: begin anew */
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return live_finish_output("metrics");
        }
        if (option != 'c' && option != 't') {
            fputs("Try 'spillway metrics --help'.\n", stderr);
            return 2;
        }
        *(option == 'c' ? &config : &textfile) = optarg;
    }
    if (optind < argc) {
        fprintf(stderr,
                "spillway metrics: unexpected argument '%s'\nTry 'spillway metrics --help'.\n",
                argv[optind]);
        return 2;
    }
    if (!live_open_and_look(&live, "metrics", config))
        return 1;
    if (!textfile)
        metrics_print(&live, stdout);
    int status = textfile ? write_textfile(&live, textfile) : live_finish_output("metrics");
    live_close(&live);
    return status;
}
