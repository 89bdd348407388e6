#include "shim/command/drill.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/command/child.h"
#include "shim/command/drill_faults.h"
#include "shim/command/drill_options.h"
#include "shim/command/drill_report.h"
#include "shim/command/drill_stage.h"
#include "shim/command/keeper.h"
#include "shim/command/launch.h"
#include "shim/command/metrics.h"
#include "shim/command/prepare.h"
#include "shim/command/relay_wait.h"

#define COMMAND      "drill"
#define MESSAGE_SIZE 1000

/* What a drill has until its end. */
struct drill {
    struct drill_options options;
    struct settings *settings;
    struct drill_faults faults;
    struct drill_facts facts;
    struct drill_expectations expectations;
    char found[PATH_MAX]; /* the program's file, with a slash */
    struct keeper *keeper;
};

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

/* ---- before the program ------------------------------------------------------------------- */

/* It would be a pity to learn at the end that nobody can have the report. */
static bool check_file(const char *option, const char *path) {
    char copy[PATH_MAX];
    if (!path)
        return true;
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return refuse("%s: '%s' is too long a path", option, path);
    const char *directory = dirname(copy);
    if (access(directory, W_OK | X_OK) == 0)
        return true;
    return refuse("%s: cannot write into '%s': %s", option, directory, strerror(errno));
}

static bool take_faults(struct drill *drill) {
    char message[MESSAGE_SIZE];
    const struct drill_options *options = &drill->options;
    if (!drill_faults_make(&drill->faults, drill->settings, options->faults, options->fault_count,
                           message, sizeof message))
        return refuse("%s", message);
    drill->facts = (struct drill_facts){.program = drill->options.run.program[0],
                                        .seed = options->seed,
                                        .against_mocks = options->against_mocks,
                                        .faults = drill->faults.list,
                                        .fault_count = drill->faults.count};
    const char *slash = strrchr(drill->facts.program, '/');
    if (slash && slash[1])
        drill->facts.program = slash + 1;
    if (options->expect && !drill_expect_parse(options->expect, drill->settings, &drill->facts,
                                               &drill->expectations, message, sizeof message))
        return refuse("--expect, %s", message);
    if (!drill->faults.count && !options->against_mocks)
        fputs("spillway: drill: no fault: the backends are asked, and nothing happens to them\n",
              stderr);
    return true;
}

/* Returns 0 or an exit status. */
static int prepare_program(struct drill *drill, const char *library, int argc, char **argv) {
    const char *program = drill->options.run.program[0], *search = getenv("PATH");
    int error = launch_find_program(program, search ? search : "/bin:/usr/bin", drill->found,
                                    sizeof drill->found);
    if (error)
        return launch_failed(program, NULL, error);
    bool keys = drill->options.against_mocks /* which need none */
                    ? prepare_variable(COMMAND, "SPILLWAY_KEYS", NULL)
                    : prepare_keys(COMMAND, drill->settings, argc, argv, &drill->keeper);
    bool good = keys && prepare_trust(COMMAND, drill->settings) &&
                prepare_library(COMMAND, library, program, drill->found);
    return good ? 0 : 2;
}

/* Everything that can be wrong is found before the program starts. Returns 0 or an exit status. */
static int prepare(struct drill *drill, int argc, char **argv) {
    const struct drill_options *options = &drill->options;
    char library[PATH_MAX], message[MESSAGE_SIZE];
    drill->settings = prepare_settings(COMMAND, options->run.config, &options->run.flags);
    if (!drill->settings || !take_faults(drill) || !check_file("--html", options->html) ||
        !check_file("--json", options->json))
        return 2;
    if (!launch_find_library(library, sizeof library, message, sizeof message)) {
        refuse("%s", message);
        return 2;
    }
    if (!options->against_mocks)
        run_warn_keys(drill->settings, environment, stderr);
    return prepare_program(drill, library, argc, argv);
}

/* ---- the report --------------------------------------------------------------------------- */

static unsigned terminal_columns(void) {
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40)
        return 80;
    return size.ws_col;
}

static void print_text(const struct drill_report *report) {
    const char *plain = getenv("NO_COLOR");
    bool terminal = isatty(STDERR_FILENO);
    /* one write, not one for each letter */
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out) {
        drill_print_text(report, terminal && !(plain && *plain), terminal_columns(), out);
        fclose(out);
    }
    if (text)
        fputs(text, stderr);
    free(text);
}

static bool write_file(const struct drill_report *report, const char *path,
                       void (*print)(const struct drill_report *, FILE *)) {
    char *text = NULL, message[PATH_MAX + 200] = "out of memory";
    size_t length = 0;
    if (!path)
        return true;
    FILE *out = open_memstream(&text, &length);
    if (out)
        print(report, out);
    bool good = out && !ferror(out);
    if (out && fclose(out) != 0)
        good = false;
    good = good && metrics_replace(path, text, length, message, sizeof message);
    free(text);
    return good || refuse("%s", message);
}

/* Returns the exit status. */
static int report(struct drill *drill, const struct drill_record *record,
                  const struct drill_figures *figures) {
    const struct drill_options *options = &drill->options;
    const struct drill_report all = {record, figures, &drill->facts, &drill->expectations};
    bool met = drill_expect_check(&drill->expectations, record, figures, &drill->facts);
    if (!options->quiet)
        print_text(&all);
    bool html = write_file(&all, options->html, drill_print_html);
    if (!write_file(&all, options->json, drill_print_json) || !html)
        return 2;
    return options->expect ? !met : drill->facts.exit_status;
}

static int read_and_report(struct drill *drill, const struct drill_stage *stage, double length) {
    FILE *in = fopen(stage->record, "re");
    if (!in && errno == ENOENT) /* there was nothing to log */
        in = fopen("/dev/null", "re");
    struct drill_record *record = drill_record_new(drill->settings, stage->start, length);
    struct drill_figures *figures = NULL;
    int status = 2;
    if (in && record && drill_record_read(record, in))
        figures = drill_figures_new(record, &drill->facts);
    if (figures)
        status = report(drill, record, figures);
    else
        refuse("cannot read the record: %s", strerror(errno));
    drill_figures_free(figures);
    drill_record_free(record);
    if (in)
        fclose(in);
    return status;
}

/* ---- the program -------------------------------------------------------------------------- */

/* Runs the program on STAGE. Returns the exit status. */
static int run_program(struct drill *drill, struct drill_stage *stage,
                       const struct child_signals *before) {
    char **program = drill->options.run.program;
    int ended = 0, error = child_run(drill->found, program, before, &ended);
    double length = drill_stage_seconds(stage);
    if (error)
        return launch_failed(program[0], drill->found, error);
    drill->facts.signal = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    drill->facts.exit_status = WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
    return read_and_report(drill, stage, length);
}

static int perform(struct drill *drill, const struct child_signals *before, int argc, char **argv) {
    const struct drill_facts *facts = &drill->facts;
    struct drill_stage stage;
    char message[MESSAGE_SIZE] = "";
    int status = 2;
    if (!drill_stage_make(&stage, &drill->faults, message, sizeof message)) {
        refuse("%s", message);
        return 2;
    }
    /* what this starts has no threads of ours: they come after it */
    if (relay_arrange(COMMAND, drill->settings, drill->found, argc, argv)) {
        if (drill_stage_start(&stage, facts->seed, facts->against_mocks, message, sizeof message))
            status = run_program(drill, &stage, before);
        else
            refuse("%s", message);
    }
    drill_stage_clear(&stage);
    return status;
}

static int run_drill(struct drill *drill, int argc, char **argv) {
    struct child_signals before;
    int status = prepare(drill, argc, argv);
    if (status == 0) {
        child_block(&before);
        status = perform(drill, &before, argc, argv);
        child_unblock(&before);
    }
    keeper_end(drill->keeper);
    drill_expect_free(&drill->expectations);
    drill_faults_free(&drill->faults);
    settings_free(drill->settings);
    return status;
}

int command_drill(int argc, char **argv) {
    struct drill drill = {0};
    char message[MESSAGE_SIZE];
    if (!drill_options_parse(argc, argv, &drill.options, message, sizeof message)) {
        refuse("%s; see 'spillway drill --help'", message);
        return 2;
    }
    int status = drill.options.help
                     ? (fputs(drill_usage, stdout) < 0 || fflush(stdout) != 0 ? 2 : 0)
                     : run_drill(&drill, argc, argv);
    drill_options_free(&drill.options);
    return status;
}
