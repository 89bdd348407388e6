#include "shim/command/check.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/schema.h"
#include "config/value.h"
#include "shim/command/keeper.h"
#include "shim/command/trust.h"
#include "shim/relay/authority.h"
#include "shim/request/keys.h"

static const char usage[] =
    "Usage: spillway check [-c FILE]\n"
    "Check the settings and print the routing table that they make.\n"
    "\n"
    "  -c, --config FILE  the settings; else $SPILLWAY_CONFIG,\n"
    "                     $XDG_CONFIG_HOME/spillway/spillway.yaml or\n"
    "                     /etc/spillway/spillway.yaml\n"
    "  -h, --help         print this\n"
    "\n"
    "Exit status: 0 if the settings are valid, 1 if they are not or there are none,\n"
    "2 for wrong options.\n";

/* The widths of the columns of one endpoint's backends. */
struct widths {
    int name, url, weight, dialect;
};

static const char *scheme_of(const struct backend *backend) {
    return backend->any_scheme ? "http(s)://" : "";
}

static int larger(int a, size_t b) {
    return b > INT_MAX / 4 || a > (int)b ? a : (int)b;
}

static struct widths measure(const struct endpoint *endpoint) {
    struct widths widths = {0};
    char weight[16];
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const struct backend *backend = &endpoint->backends[i];
        int length = snprintf(weight, sizeof weight, "%u", backend->weight);
        widths.name = larger(widths.name, strlen(backend->name));
        widths.url = larger(widths.url, strlen(scheme_of(backend)) + strlen(backend->url));
        widths.weight = larger(widths.weight, (size_t)length);
        widths.dialect = larger(widths.dialect, strlen(settings_dialect_name(backend->dialect)));
    }
    return widths;
}

static void print_key(const struct backend *backend, settings_lookup *lookup, FILE *out) {
    switch (backend->key_source) {
    case KEY_NONE:
        fputs("the program's own", out);
        break;
    case KEY_ENVIRONMENT: {
        const char *value = lookup(backend->key);
        fprintf(out, "env %s (%s)", backend->key, value && *value ? "set" : "not set");
        break;
    }
    case KEY_FILE:
        fprintf(out, "file %s", backend->key);
        break;
    case KEY_COMMAND:
        fputs("command (run by spillway run)", out);
        break;
    case KEY_INLINE:
        fputs("in the settings", out);
        break;
    }
}

static void print_backend(const struct backend *backend, const struct widths *widths,
                          settings_lookup *lookup, FILE *out) {
    const char *scheme = scheme_of(backend);
    fprintf(out, "    %-*s  %s%-*s  weight %-*u  %-*s  key: ", widths->name, backend->name, scheme,
            widths->url - (int)strlen(scheme), backend->url, widths->weight, backend->weight,
            widths->dialect, settings_dialect_name(backend->dialect));
    print_key(backend, lookup, out);
    fputc('\n', out);
    if (backend->api_version)
        fprintf(out, "    %*s  api-version %s\n", widths->name, "", backend->api_version);
    for (size_t i = 0; i < backend->model_count; i++) {
        fprintf(out, "    %*s  model %s is %s here\n", widths->name, "", backend->models[i].name,
                backend->models[i].deployment);
    }
}

/* The smallest priority of ENDPOINT above AFTER, or -1 if there is none. */
static int next_priority(const struct endpoint *endpoint, int after) {
    int next = -1;
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        int priority = endpoint->backends[i].priority;
        if (priority > after && (next < 0 || priority < next))
            next = priority;
    }
    return next;
}

static void print_tiers(const struct endpoint *endpoint, settings_lookup *lookup, FILE *out) {
    const struct widths widths = measure(endpoint);
    for (int priority = next_priority(endpoint, -1); priority >= 0;
         priority = next_priority(endpoint, priority)) {
        fprintf(out, "  priority %d\n", priority);
        for (size_t i = 0; i < endpoint->backend_count; i++)
            if (endpoint->backends[i].priority == priority)
                print_backend(&endpoint->backends[i], &widths, lookup, out);
    }
}

static void print_limit(const char *label, uint64_t ns, FILE *out) {
    char duration[40];
    value_write_duration(ns, duration, sizeof duration);
    fprintf(out, "%s %s", label, ns > 0 ? duration : "none");
}

static void print_rules(const struct endpoint *endpoint, FILE *out) {
    char text[40], longest[40], outcomes[4096];
    fprintf(out, "  %-10s  %s\n", "dialect", settings_dialect_name(endpoint->dialect));
    fprintf(out, "  %-10s  %s\n", "strategy", settings_strategy_name(endpoint->strategy));
    value_write_outcomes(&endpoint->retry_on, outcomes, sizeof outcomes);
    fprintf(out, "  %-10s  %s\n", "retry on", *outcomes ? outcomes : "nothing");
    value_write_duration(endpoint->cooldown_ns, text, sizeof text);
    value_write_duration(endpoint->max_cooldown_ns, longest, sizeof longest);
    fprintf(out, "  %-10s  %s if none is named, %s at most, after %u failure%s or a 429\n",
            "cooldown", text, longest, endpoint->failure_threshold,
            endpoint->failure_threshold == 1 ? "" : "s in a row");
    fprintf(out, "  %-10s  %s", "exhausted", settings_exhausted_name(endpoint->on_exhausted));
    if (endpoint->on_exhausted == EXHAUSTED_WAIT)
        print_limit(", at most", endpoint->max_wait_ns, out);
    fprintf(out, "\n  %-10s  ", "timeouts");
    print_limit("connect", endpoint->connect_timeout_ns, out);
    print_limit(", first byte", endpoint->first_byte_timeout_ns, out);
    if (endpoint->first_body_timeout_ns)
        print_limit(", first byte of a body", endpoint->first_body_timeout_ns, out);
    value_write_size(endpoint->replay_limit, text, sizeof text);
    fprintf(out, "\n  %-10s  bodies up to %s\n", "replay", text);
}

void check_print(const struct settings *settings, settings_lookup *lookup, FILE *out) {
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        fprintf(out, "%sendpoint %s\n", i > 0 ? "\n" : "", endpoint->name);
        for (size_t j = 0; j < endpoint->url_count; j++)
            fprintf(out, "  %-10s  %s\n", j == 0 ? "urls" : "", endpoint->urls[j]);
        print_rules(endpoint, out);
        print_tiers(endpoint, lookup, out);
    }
}

static bool has_inline_key(const struct settings *settings) {
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        for (size_t j = 0; j < settings->endpoints[i].backend_count; j++)
            if (settings->endpoints[i].backends[j].key_source == KEY_INLINE)
                return true;
    }
    return false;
}

bool check_exposes_keys(const struct settings *settings) {
    struct stat status;
    return has_inline_key(settings) && stat(settings->file, &status) == 0 &&
           (status.st_mode & (S_IRGRP | S_IROTH));
}

const char *check_key_file(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    const char *fault = NULL;
    if (fstat(fd, &status) != 0)
        fault = strerror(errno);
    else if (!S_ISREG(status.st_mode))
        fault = "it is no regular file";
    else
        fault = key_file_fault(path);
    close(fd);
    return fault;
}

const char *check_key_variable(const char *value) {
    if (!value || !*value)
        return "is not set";
    return value_has_control(value) ? "has a line break or another control character in it" : NULL;
}

/* What the dialects make senseless, or NULL. */
static const char *fault_of_dialect(const struct endpoint *endpoint,
                                    const struct backend *backend) {
    struct url url;
    const char *version = backend->api_version;
    size_t length = strlen(backend->url);
    bool azure = backend->dialect == DIALECT_AZURE, other = backend->dialect != endpoint->dialect;
    if (version && !azure)
        return "api_version is for dialect: azure, it is not sent";
    if (version && *version >= '0' && *version <= '9' && length >= 10 &&
        strcmp(backend->url + length - 10, "/openai/v1") == 0)
        return "/openai/v1 takes no dated api_version, it is not sent";
    if (other && !azure && url_parse(backend->url, true, &url) && !url.path.length)
        return "the URL has no path, most APIs of OpenAI's kind begin at /v1";
    if (other && backend->key_source == KEY_NONE)
        return "it has no key, and gets the program's own, which is one for the other dialect";
    return NULL;
}

static bool warn_dialect(const struct settings *settings, const struct endpoint *endpoint,
                         const struct backend *backend, FILE *out) {
    const char *fault = fault_of_dialect(endpoint, backend);
    if (fault)
        fprintf(out, "%s: warning: %s/%s: %s\n", settings->file, endpoint->name, backend->name,
                fault);
    return fault;
}

static bool warn_backend(const struct settings *settings, const struct endpoint *endpoint,
                         const struct backend *backend, settings_lookup *lookup, FILE *out) {
    const char *fault = NULL;
    switch (backend->key_source) {
    case KEY_ENVIRONMENT:
        fault = check_key_variable(lookup(backend->key));
        if (fault) {
            fprintf(out, "%s: warning: %s/%s: the variable %s %s\n", settings->file, endpoint->name,
                    backend->name, backend->key, fault);
        }
        return fault;
    case KEY_FILE:
        fault = check_key_file(backend->key);
        if (fault) {
            fprintf(out, "%s: warning: %s/%s: no key from %s: %s\n", settings->file, endpoint->name,
                    backend->name, backend->key, fault);
        }
        return fault;
    default:
        return false;
    }
}

unsigned check_warn_faults(const struct settings *settings, FILE *out) {
    if (settings->fault_count > 0)
        fprintf(out, "%s: warning: faults: %zu of them, without effect outside of spillway drill\n",
                settings->file, settings->fault_count);
    return settings->fault_count > 0;
}

static unsigned warn_trust(const struct settings *settings, settings_lookup *lookup, FILE *out) {
    char directory[PATH_MAX], message[1000] = "XDG_CONFIG_HOME and HOME are not set";
    if (!trust_needed(settings) || (authority_directory(lookup, directory) &&
                                    trust_check(directory, settings, message, sizeof message)))
        return 0;
    fprintf(out, "%s: warning: spillway run refuses it: %s\n", settings->file, message);
    return 1;
}

unsigned check_warn(const struct settings *settings, settings_lookup *lookup, FILE *out) {
    struct stat status;
    const char *distrust = NULL;
    unsigned count = 0;
    if (check_exposes_keys(settings)) {
        fprintf(out, "%s: warning: it holds keys and others can read it (chmod 600)\n",
                settings->file);
        count++;
    }
    if (keeper_needed(settings) && stat(settings->file, &status) == 0)
        distrust = keeper_distrusts(&status);
    if (distrust) {
        fprintf(out, "%s: warning: spillway run refuses its key_command: %s\n", settings->file,
                distrust);
        count++;
    }
    count += check_warn_faults(settings, out);
    count += warn_trust(settings, lookup, out);
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t j = 0; j < endpoint->backend_count; j++)
            count += warn_backend(settings, endpoint, &endpoint->backends[j], lookup, out) +
                     warn_dialect(settings, endpoint, &endpoint->backends[j], out);
    }
    return count;
}

static const char *environment(const char *name) {
    return getenv(name);
}

static int check_file(const char *path) {
    struct settings_error error;
    char message[PATH_MAX + sizeof error.message];
    struct settings *settings = settings_load_file(path, &error);
    if (!settings) {
        settings_describe_error(path, &error, message, sizeof message);
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    check_print(settings, environment, stdout);
    bool printed = fflush(stdout) == 0 && !ferror(stdout);
    if (!printed)
        fprintf(stderr, "spillway check: can't write: %s\n", strerror(errno));
    check_warn(settings, environment, stderr);
    settings_free(settings);
    return printed ? 0 : 1;
}

int command_check(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static char located[PATH_MAX];
    const char *path = NULL;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        }
        if (option != 'c') {
            fputs("Try 'spillway check --help'.\n", stderr);
            return 2;
        }
        path = optarg;
    }
    if (optind < argc) {
        fprintf(stderr, "check: unexpected argument '%s'\nTry 'spillway check --help'.\n",
                argv[optind]);
        return 2;
    }
    if (!path && !settings_locate(environment, located, sizeof located)) {
        fputs("spillway check: no settings found, expected SPILLWAY_CONFIG, "
              "$XDG_CONFIG_HOME/spillway/spillway.yaml or /etc/spillway/spillway.yaml\n",
              stderr);
        return 1;
    }
    return check_file(path ? path : located);
}
