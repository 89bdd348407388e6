#include "shim/command/ca.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/command/live.h"
#include "shim/relay/authority.h"

#define MESSAGE_SIZE 1000

static const char usage[] =
    "Usage: spillway ca [OPTION]...\n"
    "Makes a certificate authority of your own, with which the relay can take https requests of\n"
    "programs that don't use libcurl (relay: {tls: on} in the settings). It is good for the https\n"
    "hosts of the settings' endpoints alone, for a year, and only programs that 'spillway run'\n"
    "starts are told to trust it. Does nothing if there is one that is good for these hosts.\n"
    "\n"
    "The risk: whoever can read its key can read and change what these programs send to these\n"
    "hosts. The key is in a file that only you can read, and never leaves it.\n"
    "\n"
    "  -c, --config FILE   the settings; else $SPILLWAY_SETTINGS, $SPILLWAY_CONFIG,\n"
    "                      $XDG_CONFIG_HOME/spillway/spillway.yaml or\n"
    "                      /etc/spillway/spillway.yaml\n"
    "      --force         make a new one in any case\n"
    "  -h, --help          this text\n"
    "\n"
    "It lies in spillway/ca below $XDG_CONFIG_HOME or ~/.config; to be rid of it remove that.\n"
    "\n"
    "Example:\n"
    "  spillway ca -c spillway.yaml && spillway run -c spillway.yaml -- node job.js\n"
    "\n"
    "Exit status: 0; 1 if it can't be made, or if there are no good settings; 2 for wrong "
    "options.\n";

struct ca_options {
    const char *config;
    bool force, help;
};

static bool parse(int argc, char **argv, struct ca_options *options) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"force", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    *options = (struct ca_options){0};
    optind = 0; /* glibc: begin anew */
    while ((option = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 'f')
            options->force = true;
        else if (option == 'h')
            options->help = true;
        else
            return false;
    }
    if (optind < argc)
        fprintf(stderr, "spillway ca: found '%s', expected options only\n", argv[optind]);
    return optind == argc;
}

static void print_hosts(const struct settings *settings) {
    struct slice host, before;
    for (size_t i = 0; authority_host(settings, i, &host); i++) {
        size_t k = 0;
        while (k < i && authority_host(settings, k, &before) && !url_same_host(before, host))
            k++;
        if (k == i)
            printf("  %.*s\n", (int)host.length, host.text);
    }
}

static int explain(const struct settings *settings, const char *directory, const char *what) {
    printf("%s %s/%s, its key %s/%s (yours alone)\n", what, directory, AUTHORITY_CERTIFICATE,
           directory, AUTHORITY_KEY);
    puts("It is good for these hosts and no other:");
    print_hosts(settings);
    puts("Whoever can read its key can read and change what programs under 'spillway run' send to "
         "them.");
    if (settings->relay_tls == SWITCH_OFF)
        puts("It is not in use: the settings don't say 'relay: {tls: on}'.");
    return live_finish_output("ca");
}

static const char *environment(const char *name) {
    return getenv(name);
}

static int make(const struct settings *settings, bool force) {
    char directory[PATH_MAX], message[MESSAGE_SIZE];
    if (!authority_directory(environment, directory)) {
        fputs("spillway ca: found neither XDG_CONFIG_HOME nor HOME, expected a directory for it\n",
              stderr);
        return 1;
    }
    struct authority *there =
        force ? NULL : authority_open(directory, settings, time(NULL), message, sizeof message);
    if (there && authority_host(settings, 0, &(struct slice){0})) {
        authority_free(there);
        return explain(settings, directory, "The certificate is there:");
    }
    authority_free(there);
    if (!authority_create(directory, settings, time(NULL), message, sizeof message)) {
        fprintf(stderr, "spillway ca: %s\n", message);
        return 1;
    }
    return explain(settings, directory, "Made the certificate");
}

int command_ca(int argc, char **argv) {
    struct ca_options options;
    if (!parse(argc, argv, &options))
        return 2;
    if (options.help)
        return fputs(usage, stdout) < 0 ? 1 : live_finish_output("ca");
    struct settings *settings = live_settings("ca", options.config);
    if (!settings)
        return 1;
    int status = make(settings, options.force);
    settings_free(settings);
    return status;
}
