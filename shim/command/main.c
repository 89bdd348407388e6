/* The command `spillway`: hands over to one of its subcommands. */
#include <stdio.h>
#include <string.h>

#include "config/nearest.h"
#include "shim/command/ca.h"
#include "shim/command/check.h"
#include "shim/command/doctor.h"
#include "shim/command/drill.h"
#include "shim/command/hand.h"
#include "shim/command/metrics.h"
#include "shim/command/mock.h"
#include "shim/command/relay.h"
#include "shim/command/run.h"
#include "shim/command/status.h"

#define VERSION "0.1.0"

static const struct {
    const char *name;
    int (*call)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", command_run, "run a program with its requests spread over backends"},
    {"drill", command_drill, "run a program while backends fail, and report what came of it"},
    {"check", command_check, "check the settings and show where requests would go"},
    {"status", command_status, "show the live state of the backends"},
    {"metrics", command_metrics, "print the live state for Prometheus"},
    {"reset", command_reset, "end cooldowns"},
    {"drain", command_drain, "take backends out by hand"},
    {"undrain", command_undrain, "put drained backends back"},
    {"ca", command_ca, "make the certificate authority for https through the relay"},
    {"relay", command_relay, "serve programs without libcurl"},
    {"doctor", command_doctor, "say what can be reached in a program"},
    {"mock", command_mock, "simulate a deployment, to try things without a key"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(FILE *out) {
    fputs("Usage: spillway COMMAND [ARGUMENT]...\n"
          "Spreads the OpenAI and Azure OpenAI requests of unmodified programs over prioritized\n"
          "backends.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].summary);
    fputs("\nOptions:\n"
          "  --help     this text; 'spillway COMMAND --help' tells about one command\n"
          "  --version  the version\n"
          "\nExample:\n"
          "  spillway run -c spillway.yaml -- curl -sS https://api.openai.com/v1/models\n",
          out);
}

static int refuse_command(const char *name) {
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        nearest_offer(&nearest, commands[i].name);
    fprintf(stderr, "spillway: found '%s', expected a command", name);
    if (nearest.best)
        fprintf(stderr, "; did you mean '%s'?", nearest.best);
    fputs(" (see 'spillway --help')\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return fflush(stdout) == 0 ? 0 : 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("spillway " VERSION);
        return fflush(stdout) == 0 ? 0 : 2;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].call(argc - 1, argv + 1);
    return refuse_command(argv[1]);
}
