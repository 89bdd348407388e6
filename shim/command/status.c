#include "shim/command/status.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shim/command/live.h"
#include "shim/command/status_print.h"
#include "shim/command/status_watch.h"

static const char usage[] =
    "Usage: spillway status [-c FILE] [--json | --watch [SECONDS]]\n"
    "Show what all processes of this user know about each backend at this moment.\n"
    "\n"
    "  -c, --config FILE      the settings; else $SPILLWAY_SETTINGS, $SPILLWAY_CONFIG,\n"
    "                         $XDG_CONFIG_HOME/spillway/spillway.yaml or\n"
    "                         /etc/spillway/spillway.yaml\n"
    "      --json             one JSON object, as spillway(1) describes it\n"
    "      --watch [SECONDS]  on the whole screen, anew every second or every SECONDS\n"
    "                         (0.1 to 3600), until q or Ctrl-C\n"
    "  -h, --help             print this\n"
    "\n"
    "Columns: attempts that run now, answered requests, their part in per cent, responses\n"
    "429 and 5xx, failures of the network (connect, reset, timeout), the last status, and\n"
    "the time that 50, 90 and 99 % of the answers did not exceed.\n"
    "\n"
    "Example:\n"
    "  spillway status --json | jq '.endpoints[].backends[] | {name, state}'\n"
    "\n"
    "Exit status: 0; 1 if there are no settings, if they are bad, or if each process keeps\n"
    "its state to itself; 2 for wrong options, and for a terminal that can't show --watch.\n";

struct options {
    const char *config;
    bool json, watch, help;
    double interval; /* seconds */
};

static bool take_interval(const char *text, double *interval) {
    char *end;
    double value = strtod(text, &end);
    bool good = *text && !*end && isfinite(value) && value >= 0.1 && value <= 3600;
    if (good)
        *interval = value;
    else
        fprintf(stderr, "spillway status: --watch: found '%s', expected 0.1 to 3600 seconds\n",
                text);
    return good;
}

static bool parse(int argc, char **argv, struct options *options) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"watch", optional_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    optind = 0; /* glibc: begin anew */
    for (int option; (option = getopt_long(argc, argv, "+c:h", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            options->help = true;
            return true;
        case 'w':
            options->watch = true;
            if (!optarg && optind < argc && *argv[optind] != '-')
                optarg = argv[optind++];
            if (!optarg || take_interval(optarg, &options->interval))
                break;
            return false;
        default:
            fputs("Try 'spillway status --help'.\n", stderr);
            return false;
        }
    }
    if (optind < argc)
        fprintf(stderr,
                "spillway status: unexpected argument '%s'\nTry 'spillway status --help'.\n",
                argv[optind]);
    else if (options->json && options->watch)
        fputs("spillway status: found --json and --watch, expected one or the other\n", stderr);
    else
        return true;
    return false;
}

/* Of the terminal that is stdout; 0 if it is none. */
static size_t columns(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static bool has_colours(void) {
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && terminal &&
           strcmp(terminal, "dumb") != 0;
}

int command_status(int argc, char **argv) {
    struct options options = {.interval = 1};
    struct live live;
    if (!parse(argc, argv, &options))
        return 2;
    if (options.help) {
        fputs(usage, stdout);
        return live_finish_output("status");
    }
    if (!live_open_and_look(&live, "status", options.config))
        return 1;
    int status;
    if (options.watch) {
        status = status_watch(&live, options.interval);
    } else {
        if (options.json)
            status_print_json(&live, stdout);
        else
            status_print(&live, has_colours(), columns(), stdout);
        status = live_finish_output("status");
    }
    live_close(&live);
    return status;
}
