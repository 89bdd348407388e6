/*
 * interleave spawn|lines ROUNDS COMMAND... ::: COMMAND...
 *
 * Measures two commands in turns, so that whatever else happens on the machine meets both. Words
 * NAME=VALUE in front of a command are set in its environment.
 *
 *   spawn  a round is one run of each command: the time from its start to its end
 *   lines  each command is started once; a round is a line to its stdin, answered by a line with
 *          one or more numbers of nanoseconds
 *
 * Prints a line per number: medians of the first and of the second command, the median and the
 * quartiles of their ratio (second by first, of the same round), and of their difference.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS  10000
#define MAX_COLUMNS 4
#define WARM_UP     3 /* rounds that are not counted */

extern char **environ;

struct command {
    char **argv, **environment;
    FILE *to, *from; /* for lines */
    double values[MAX_COLUMNS][MAX_ROUNDS];
};

static struct command commands[2];

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* The environment with the leading NAME=VALUE words of WORDS; moves *WORDS past them. */
static char **take_environment(char ***words) {
    size_t count = 0, added = 0;
    while (environ[count])
        count++;
    while ((*words)[added] && strchr((*words)[added], '='))
        added++;
    char **out = calloc(count + added + 1, sizeof *out);
    if (!out)
        die("calloc");
    memcpy(out, *words, added * sizeof *out);
    memcpy(out + added, environ, count * sizeof *out);
    *words += added;
    return out;
}

static pid_t start(const struct command *c, int input, int output) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, c->environment) != 0)
        die(c->argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static double nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run_once(struct command *c, size_t round, int null) {
    int status;
    double begin = nanoseconds();
    pid_t pid = start(c, null, null);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "interleave: %s failed\n", c->argv[0]);
        exit(1);
    }
    c->values[0][round] = nanoseconds() - begin;
}

static void start_partner(struct command *c) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("pipe");
    start(c, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    c->to = fdopen(to[1], "w");
    c->from = fdopen(from[0], "r");
    if (!c->to || !c->from)
        die("fdopen");
}

/* Returns how many numbers came. */
static size_t ask(struct command *c, size_t round) {
    char line[256], *at = line, *end;
    size_t columns = 0;
    if (fputs("go\n", c->to) < 0 || fflush(c->to) != 0 || !fgets(line, sizeof line, c->from)) {
        fprintf(stderr, "interleave: %s ended\n", c->argv[0]);
        exit(1);
    }
    while (columns < MAX_COLUMNS) {
        double value = strtod(at, &end);
        if (end == at)
            break;
        c->values[columns++][round] = value;
        at = end;
    }
    return columns;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts VALUES. */
static double quantile(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)(share * (double)(count - 1) + 0.5)];
}

static void report(size_t column, size_t rounds) {
    static double ratios[MAX_ROUNDS], extras[MAX_ROUNDS];
    double *a = commands[0].values[column], *b = commands[1].values[column];
    for (size_t i = 0; i < rounds; i++) {
        ratios[i] = b[i] / a[i];
        extras[i] = b[i] - a[i];
    }
    printf("%.0f %.0f %.4f %.4f %.4f %.0f %.0f %.0f\n", quantile(a, rounds, 0.5),
           quantile(b, rounds, 0.5), quantile(ratios, rounds, 0.5), quantile(ratios, rounds, 0.25),
           quantile(ratios, rounds, 0.75), quantile(extras, rounds, 0.5),
           quantile(extras, rounds, 0.25), quantile(extras, rounds, 0.75));
}

static void measure(bool spawn, size_t rounds) {
    size_t columns = 1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        die("/dev/null");
    for (size_t i = 0; i < 2 && !spawn; i++)
        start_partner(&commands[i]);
    for (size_t i = 0; i < rounds + WARM_UP; i++)
        for (size_t turn = 0; turn < 2; turn++) {
            struct command *c = &commands[(i + turn) % 2]; /* neither is always the first */
            size_t round = i < WARM_UP ? 0 : i - WARM_UP;
            if (spawn)
                run_once(c, round, null);
            else
                columns = ask(c, round);
        }
    for (size_t i = 0; i < columns; i++)
        report(i, rounds);
}

int main(int argc, char **argv) {
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    char **second = argv + (argc > 3 ? 3 : argc);
    while (*second && strcmp(*second, ":::") != 0)
        second++;
    if (!*second || rounds < 1 || rounds > MAX_ROUNDS ||
        (strcmp(argv[1], "spawn") != 0 && strcmp(argv[1], "lines") != 0)) {
        fprintf(stderr, "usage: interleave spawn|lines ROUNDS COMMAND... ::: COMMAND...\n");
        return 2;
    }
    *second++ = NULL;
    char **words[2] = {argv + 3, second};
    for (size_t i = 0; i < 2; i++) {
        commands[i].environment = take_environment(&words[i]);
        commands[i].argv = words[i];
        if (!*words[i]) {
            fprintf(stderr, "interleave: a command is missing\n");
            return 2;
        }
    }
    measure(strcmp(argv[1], "spawn") == 0, rounds);
    for (size_t i = 0; i < 2 && commands[i].to; i++)
        fclose(commands[i].to);
    while (wait(NULL) > 0)
        ;
    return 0;
}
