#include "shim/command/drill_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char drill_usage[] =
    "Usage: spillway drill [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "Runs PROGRAM as 'spillway run' does, makes its backends fail in the ways that --fault\n"
    "says, without a packet to them, and reports on standard error what came of it.\n"
    "\n"
    "  -c, --config FILE      the settings; without it they are found as by 'spillway run'\n"
    "      --endpoint URL, --backend PRIORITY=URL[,NAME=VALUE]..., --strategy WORD,\n"
    "      --on-exhausted WORD\n"
    "                         settings without a file, as for 'spillway run'\n"
    "  -f, --fault FAULT      what happens to a backend (repeatable), behind those that the\n"
    "                         settings have as faults:, see below\n"
    "  -m, --against-mocks    answer what no fault meets, too: no provider, no key is needed\n"
    "  -s, --seed N           another choice of the attempts that a rate meets (1)\n"
    "      --expect LIST      what must be so in the end, such as\n"
    "                         'answered >= 99%, program_429 = 0, p99 < 2s'\n"
    "      --html FILE        the report as a page with the picture of the timeline\n"
    "      --json FILE        the report as one JSON object\n"
    "  -q, --quiet            no report on standard error\n"
    "  -h, --help             this text\n"
    "\n"
    "FAULT is BACKEND: KIND [OPTION]...; BACKEND is a name, ENDPOINT/NAME, or * for all.\n"
    "  KIND:   a status (429 retry-after=5, 429 quota, 503), refused, dns, tls, reset,\n"
    "          silence, silence-body, cut after N, stall after N, trickle [TIME]\n"
    "  OPTION: 10% | every 3 | for TIME | for N attempts | after TIME | after N attempts\n"
    "Times count from the start. Of several faults the first that meets an attempt counts.\n"
    "\n"
    "LIST is METRIC RELATION VALUE, separated by commas: answered, transfers, program_429,\n"
    "program_5xx, program_errors, retries, p50, p99, attempts, attempts_per_answer, wasted,\n"
    "first_answer_after_begin, first_answer_after_end, exit_status ...; of one backend\n"
    "attempts@NAME, status_429@NAME, cooldowns@NAME ...; see spillway(1) for all.\n"
    "\n"
    "Examples:\n"
    "  spillway drill -c spillway.yaml --against-mocks \\\n"
    "      --fault 'eastus-ptu: 429 retry-after=5 for 60s' --fault 'westus: reset 10%' \\\n"
    "      --expect 'answered >= 99%, p99 < 2s' --html drill.html -- ./nightly-batch.sh\n"
    "\n"
    "Exit status: the program's; with --expect 0 if all is met, else 1; 2 if the command line\n"
    "or the settings are wrong; 127 and 126 if the program can't be started; 128 + N if it\n"
    "was ended by signal N.\n";

enum {
    OPTION_ENDPOINT = 256,
    OPTION_BACKEND,
    OPTION_STRATEGY,
    OPTION_EXHAUSTED,
    OPTION_EXPECT,
    OPTION_HTML,
    OPTION_JSON
};

static const struct option known_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"endpoint", required_argument, NULL, OPTION_ENDPOINT},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"strategy", required_argument, NULL, OPTION_STRATEGY},
    {"on-exhausted", required_argument, NULL, OPTION_EXHAUSTED},
    {"fault", required_argument, NULL, 'f'},
    {"against-mocks", no_argument, NULL, 'm'},
    {"seed", required_argument, NULL, 's'},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"html", required_argument, NULL, OPTION_HTML},
    {"json", required_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Returns NULL, or what is wrong. */
static const char *take_seed(struct drill_options *options, const char *text) {
    char *end;
    errno = 0;
    options->seed = strtoull(text, &end, 10);
    bool good = *text >= '0' && *text <= '9' && !*end && errno == 0;
    return good ? NULL : "--seed: expected a whole number from 0 to 18446744073709551615";
}

static void take_settings(struct run_options *run, int option, const char *value) {
    if (option == OPTION_STRATEGY)
        run->flags.strategy = value;
    else if (option == OPTION_EXHAUSTED)
        run->flags.on_exhausted = value;
    else
        run->flags.list[run->flags.count++] = (struct flag){option == OPTION_ENDPOINT, value};
}

static const char *take_option(struct drill_options *options, int option, const char *value) {
    switch (option) {
    case 'c':
        options->run.config = value;
        break;
    case 'f':
        options->faults[options->fault_count++] = value;
        break;
    case 'm':
        options->against_mocks = true;
        break;
    case 's':
        return take_seed(options, value);
    case 'q':
        options->quiet = true;
        break;
    case 'h':
        options->help = true;
        break;
    case OPTION_EXPECT:
        options->expect = value;
        break;
    case OPTION_HTML:
        options->html = value;
        break;
    case OPTION_JSON:
        options->json = value;
        break;
    default:
        take_settings(&options->run, option, value);
    }
    return NULL;
}

/* What belongs together. Returns NULL, or what is wrong. */
static const char *check_options(const struct drill_options *options) {
    const struct flags *flags = &options->run.flags;
    if (options->run.config && flags->count > 0)
        return "found -c and --endpoint or --backend, expected one or the other";
    if (flags->count == 0 && (flags->strategy || flags->on_exhausted))
        return "--strategy and --on-exhausted go with --endpoint; a settings file has its own";
    if (options->html && options->json && strcmp(options->html, options->json) == 0)
        return "found the same file for --html and --json, expected two";
    if (!options->run.program[0])
        return "expected the program to run behind the options";
    return NULL;
}

bool drill_options_parse(int argc, char **argv, struct drill_options *options, char *message,
                         size_t size) {
    const char *wrong = NULL;
    int option;
    *options = (struct drill_options){.seed = DRILL_SEED};
    options->run.flags.list = calloc((size_t)argc + 1, sizeof *options->run.flags.list);
    options->faults = calloc((size_t)argc + 1, sizeof *options->faults);
    if (!options->run.flags.list || !options->faults)
        wrong = "out of memory";
    message[0] = '\0';
    optind = 0; /* glibc: begin anew, also after an earlier call */
    opterr = 0;
    while (!wrong && !options->help &&
           (option = getopt_long(argc, argv, "+:c:f:ms:qh", known_options, NULL)) != -1) {
        if (option == ':' || option == '?') {
            run_describe_bad_option(known_options, option == ':', argv[optind - 1], message, size);
            wrong = message;
        } else {
            wrong = take_option(options, option, optarg);
        }
    }
    options->run.program = argv + optind;
    if (!wrong && !options->help)
        wrong = check_options(options);
    if (!wrong)
        return true;
    if (wrong != message)
        snprintf(message, size, "%s", wrong);
    drill_options_free(options);
    return false;
}

void drill_options_free(struct drill_options *options) {
    run_options_free(&options->run);
    free(options->faults);
    options->faults = NULL;
}
