#include "shim/command/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/command/fetch.h"
#include "shim/command/helper.h"
#include "shim/command/interrupt.h"
#include "shim/command/room.h"
#include "shim/command/token.h"
#include "shim/log.h"
#include "shim/pool/ledger.h"
#include "shim/request/keys.h"

#define MILLISECOND UINT64_C(1000000)
#define FAULT_SIZE  200

/* A backend whose key is a command's. */
struct place {
    const struct endpoint *endpoint;
    const struct backend *backend;
    size_t command; /* its place among the commands */
    char name[KEY_FILE_NAME_SIZE];
};

struct command {
    const char *text;
    uint64_t due; /* ledger_now(): when it is run next */
    unsigned failures;
    char fault[FAULT_SIZE]; /* of the last time; empty if there was none */
};

struct keeper {
    const struct settings *settings;
    struct place *places;
    size_t place_count;
    struct command *commands; /* each text once */
    size_t command_count;
    char directory[PATH_MAX];
    char output[FETCH_OUTPUT_MAX + 1];
};

static size_t count_commands(const struct settings *settings) {
    size_t count = 0;
    for (size_t i = 0; i < settings->endpoint_count; i++)
        for (size_t j = 0; j < settings->endpoints[i].backend_count; j++)
            count += settings->endpoints[i].backends[j].key_source == KEY_COMMAND;
    return count;
}

bool keeper_needed(const struct settings *settings) {
    return count_commands(settings) > 0;
}

const char *keeper_distrusts(const struct stat *status) {
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return "it belongs to another user (chown it)";
    return status->st_mode & (S_IWGRP | S_IWOTH) ? "others can write it (chmod go-w)" : NULL;
}

static size_t command_of(struct keeper *keeper, const char *text) {
    for (size_t i = 0; i < keeper->command_count; i++)
        if (strcmp(keeper->commands[i].text, text) == 0)
            return i;
    keeper->commands[keeper->command_count].text = text;
    return keeper->command_count++;
}

static void add_places(struct keeper *keeper, const struct endpoint *endpoint) {
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const struct backend *backend = &endpoint->backends[i];
        if (backend->key_source != KEY_COMMAND)
            continue;
        struct place *place = &keeper->places[keeper->place_count++];
        *place = (struct place){endpoint, backend, command_of(keeper, backend->key), {0}};
        key_file_name(endpoint, backend, place->name);
    }
}

struct keeper *keeper_new(const struct settings *settings, char *message, size_t size) {
    size_t count = count_commands(settings);
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper) {
        keeper->settings = settings;
        keeper->places = calloc(count + 1, sizeof *keeper->places);
        keeper->commands = calloc(count + 1, sizeof *keeper->commands);
    }
    if (!keeper || !keeper->places || !keeper->commands) {
        snprintf(message, size, "out of memory");
        keeper_end(keeper);
        return NULL;
    }
    for (size_t i = 0; i < settings->endpoint_count; i++)
        add_places(keeper, &settings->endpoints[i]);
    if (room_make("keys-", keeper->directory, sizeof keeper->directory))
        return keeper;
    snprintf(message, size,
             "cannot make a directory for the keys of key_command: neither "
             "$XDG_RUNTIME_DIR/spillway nor /tmp/spillway-%u is this user's alone (mode 0700)",
             (unsigned)geteuid());
    keeper->directory[0] = '\0';
    keeper_end(keeper);
    return NULL;
}

const char *keeper_directory(const struct keeper *keeper) {
    return keeper->directory;
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

/* Puts a new file with TEXT in the place of the one at PLACE: nobody sees half of it. */
static bool write_key(const struct keeper *keeper, const struct place *place, const char *text) {
    char path[PATH_MAX + KEY_FILE_NAME_SIZE + 1], fresh[sizeof path + 4];
    snprintf(path, sizeof path, "%s/%s", keeper->directory, place->name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = fchmod(fd, 0600) == 0 && write_all(fd, text, strlen(text));
    good = close(fd) == 0 && good;
    return good && rename(fresh, path) == 0;
}

/* Notes when COMMAND is to be run again, after what became of it now. */
static void set_due(struct command *command, time_t expires) {
    time_t now = time(NULL);
    bool expired = expires && expires <= now; /* or this clock is wrong: no reason to hurry */
    command->failures = *command->fault || expired ? command->failures + 1 : 0;
    int64_t wait =
        command->failures ? token_retry_ms(command->failures) : token_wait_ms(expires, now);
    command->due = ledger_now() + (uint64_t)wait * MILLISECOND;
}

/* Writes TEXT to the files of the Nth command's backends. */
static void hand_over(struct keeper *keeper, size_t n, const char *text) {
    struct command *command = &keeper->commands[n];
    for (size_t i = 0; i < keeper->place_count; i++)
        if (keeper->places[i].command == n && !write_key(keeper, &keeper->places[i], text))
            snprintf(command->fault, sizeof command->fault, "its token cannot be written: %s",
                     strerror(errno));
}

/* Runs the Nth command. */
static void fetch(struct keeper *keeper, size_t n, int stop) {
    struct command *command = &keeper->commands[n];
    struct token token = {0};
    size_t length;
    command->fault[0] = '\0';
    if (fetch_run(command->text, FETCH_LIMIT_MS, stop, keeper->output, &length, command->fault,
                  sizeof command->fault)) {
        const char *fault = token_find(keeper->output, length, &token);
        if (fault)
            snprintf(command->fault, sizeof command->fault, "%s", fault);
        else
            hand_over(keeper, n, token.text);
    }
    explicit_bzero(keeper->output, sizeof keeper->output);
    set_due(command, token.expires);
}

int keeper_fetch(struct keeper *keeper, FILE *out) {
    int stop = interrupt_catch();
    struct pollfd came = {.fd = stop, .events = POLLIN};
    for (size_t i = 0; i < keeper->command_count && poll(&came, 1, 0) <= 0; i++)
        fetch(keeper, i, stop);
    int number = interrupt_release();
    if (number)
        return number;
    for (size_t i = 0; i < keeper->place_count; i++) {
        const struct place *place = &keeper->places[i];
        const char *fault = keeper->commands[place->command].fault;
        if (*fault)
            fprintf(out, "spillway: key_command of backend %s of endpoint %s failed: %s\n",
                    place->backend->name, place->endpoint->name, fault);
    }
    return 0;
}

static void log_faults(const struct keeper *keeper, size_t command) {
    struct log_line line;
    for (size_t i = 0; i < keeper->place_count; i++) {
        const struct place *place = &keeper->places[i];
        if (place->command != command)
            continue;
        log_begin(&line, LOG_WARN, "credentials");
        log_text(&line, "endpoint", place->endpoint->name);
        log_text(&line, "backend", place->backend->name);
        log_text(&line, "key_command", keeper->commands[command].fault);
        log_end(&line);
    }
}

static void open_log(const struct settings *settings) {
    const char *file = getenv("SPILLWAY_LOG_FILE"), *word = getenv("SPILLWAY_LOG");
    enum log_level level = settings->log_level;
    if (word && *word)
        settings_parse_log_level(word, &level);
    log_open(file && *file ? file : settings->log_file, level);
}

static void remove_directory(const struct keeper *keeper) {
    char path[PATH_MAX + KEY_FILE_NAME_SIZE + 1 + 4];
    for (size_t i = 0; i < keeper->place_count; i++) {
        snprintf(path, sizeof path, "%s/%s", keeper->directory, keeper->places[i].name);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s.new", keeper->directory, keeper->places[i].name);
        unlink(path);
    }
    rmdir(keeper->directory);
}

/* What the helper does, until it returns. */
static void keep(void *argument, const struct watch *watch) {
    struct keeper *keeper = argument;
    open_log(keeper->settings);
    for (;;) {
        struct command *next = &keeper->commands[0];
        for (size_t i = 1; i < keeper->command_count; i++)
            if (keeper->commands[i].due < next->due)
                next = &keeper->commands[i];
        uint64_t now = ledger_now();
        uint64_t wait = next->due > now ? next->due - now : 0;
        if (wait > 60000 * MILLISECOND) /* poll's clock stands still while the host sleeps */
            wait = 60000 * MILLISECOND;
        if (watch_ended(watch, (int64_t)((wait + MILLISECOND - 1) / MILLISECOND)))
            break;
        if (ledger_now() < next->due)
            continue;
        size_t n = (size_t)(next - keeper->commands);
        fetch(keeper, n, watch->pidfd ? watch->fd : -1);
        if (*next->fault && !watch_ended(watch, 0))
            log_faults(keeper, n);
    }
    remove_directory(keeper);
}

bool keeper_start(struct keeper *keeper, int argc, char **argv) {
    static const struct helper_options options = {.name = "keys"};
    return helper_start(keep, keeper, &options, argc, argv);
}

void keeper_end(struct keeper *keeper) {
    if (!keeper)
        return;
    if (*keeper->directory)
        remove_directory(keeper);
    free(keeper->places);
    free(keeper->commands);
    free(keeper);
}
