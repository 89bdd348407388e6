#include "shim/socket/directory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/log.h"
#include "shim/place.h"
#include "shim/runtime.h"

#define RENEW_INTERVAL 1000000000u /* ns between two looks at the runtime */

/* Written by the thread that renews it. */
struct table *_Atomic directory_table;

/* Written by any lookup. */
_Atomic uint16_t directory_relay_port;
_Atomic uint16_t directory_relay_tls_port;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t renewed; /* CLOCK_BOOTTIME in ns */
static _Atomic pid_t renewer;    /* the process of the thread that is at it; 0: none */

/* What the table was made from. Written under `once`, then by the renewer. */
static const struct runtime *held;

/* Where the relay is found; empty if nowhere. Written once, under `once`. */
static char place_file[PATH_MAX];
static atomic_bool missed; /* that there is none was logged */

/* The port that is announced at this moment, for those who connect; else 0. */
static uint16_t find_relay(bool tls) {
    struct place place;
    if (!*place_file || !place_find(place_file, &place))
        return 0;
    if (place.port)
        atomic_store_explicit(&directory_relay_port, place.port, memory_order_release);
    if (place.tls_port)
        atomic_store_explicit(&directory_relay_tls_port, place.tls_port, memory_order_release);
    return tls ? place.tls_port : place.port;
}

static void log_no_memory(void) {
    struct log_line line;
    log_begin(&line, LOG_ERROR, "sockets");
    log_text(&line, "error", "out of memory");
    log_end(&line);
}

/* Takes NEXT for what is held from now on. */
static void take(const struct runtime *next) {
    struct table *last = atomic_load_explicit(&directory_table, memory_order_relaxed);
    struct table *table = table_new(next->settings);
    if (!table)
        log_no_memory();
    if (table && last && table_same(last, table)) {
        table_free(table);
        table = NULL;
    }
    if (table && table->has_addresses)
        table->runtime = next;
    if (table)
        atomic_store_explicit(&directory_table, table, memory_order_release);
    if (table && table->has_numeric)
        find_relay(false); /* nobody may ever look these up */
    const struct runtime *before = held;
    held = next;
    if (!last || last->runtime != before)
        runtime_release(before);
}

static void make(void) {
    int saved = errno;
    uint64_t now = ledger_now();
    const struct runtime *first =
        runtime_environment("SPILLWAY_RELAY") ? NULL : runtime_renew(NULL, now);
    if (first) {
        if (!place_path(first->settings, runtime_environment, place_file))
            *place_file = '\0';
        take(first);
        atomic_store_explicit(&renewed, now, memory_order_relaxed);
    }
    errno = saved;
}

/* Makes the calling thread the one that renews. A thread of a process that forked this one does
 * not do so here. */
static bool claim(void) {
    pid_t me = getpid(), other = atomic_load_explicit(&renewer, memory_order_relaxed);
    return other != me && atomic_compare_exchange_strong(&renewer, &other, me);
}

static void renew(uint64_t now) {
    uint64_t last = atomic_load_explicit(&renewed, memory_order_relaxed);
    if (now - last < RENEW_INTERVAL || now < last || !claim())
        return;
    int saved = errno;
    const struct runtime *next = runtime_renew(held, now);
    if (next && next != held)
        take(next);
    atomic_store_explicit(&renewed, now, memory_order_relaxed);
    atomic_store_explicit(&renewer, 0, memory_order_release);
    errno = saved;
}

struct table *directory_renew(void) {
    pthread_once(&once, make);
    struct table *table = atomic_load_explicit(&directory_table, memory_order_acquire);
    if (!table)
        return NULL;
    renew(ledger_now());
    return atomic_load_explicit(&directory_table, memory_order_acquire);
}

static void log_missing(void) {
    struct log_line line;
    if (!log_wanted(LOG_WARN) || atomic_exchange(&missed, true))
        return;
    log_begin(&line, LOG_WARN, "relay");
    log_text(&line, "error", "no relay is running");
    log_text(&line, "place", place_file);
    log_end(&line);
}

uint16_t directory_find_relay(bool tls) {
    int saved = errno;
    uint16_t port = find_relay(tls);
    if (!port)
        log_missing();
    errno = saved;
    return port;
}

/* Reads "ADDRESS:PORT=MODE", the LENGTH bytes of WORD. */
static bool read_word(const char *word, size_t length, struct in6_addr *address, uint16_t *port,
                      char *mode) {
    char text[INET6_ADDRSTRLEN + 1];
    bool bracketed = *word == '[';
    const char *end = memchr(word, bracketed ? ']' : ':', length);
    size_t size = end ? (size_t)(end - word) - bracketed : 0;
    uint32_t number = 0;
    struct in_addr v4;
    if (!size || size >= sizeof text)
        return false;
    memcpy(text, word + bracketed, size);
    text[size] = '\0';
    *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    if (inet_pton(bracketed ? AF_INET6 : AF_INET, text,
                  bracketed ? (void *)address : (void *)&v4) != 1)
        return false;
    if (!bracketed)
        memcpy(&address->s6_addr[12], &v4, sizeof v4);
    const char *at = end + bracketed, *behind = word + length;
    if (at == behind || *at++ != ':')
        return false;
    for (; at < behind && *at >= '0' && *at <= '9' && number <= UINT16_MAX; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    *port = (uint16_t)number;
    *mode = behind - at == 2 && *at == '=' ? at[1] : '\0';
    return number && number <= UINT16_MAX;
}

bool directory_announces(const char *text, const struct in6_addr *address, uint16_t port) {
    while (*text) {
        size_t length = strcspn(text, " ");
        struct in6_addr found;
        uint16_t found_port;
        char mode;
        if (read_word(text, length, &found, &found_port, &mode) && mode == 'r' &&
            found_port == port && IN6_ARE_ADDR_EQUAL(&found, address))
            return true;
        text += length + (text[length] == ' ');
    }
    return false;
}

/* Written by the constructor below alone. */
const char *directory_announcements;

/* Behind the one that copies our environment. Mostly it writes nothing: a page that is written to
 * costs a program's start. */
__attribute__((constructor)) static void read_announced(void) {
    const char *value = runtime_environment("SPILLWAY_SOCKETS");
    if (value && !runtime_environment("SPILLWAY_RELAY"))
        directory_announcements = value;
}

/* The number that TEXT is, 0 if it is no port. */
static uint16_t read_port(const char *text) {
    uint32_t number = 0;
    for (; text && *text >= '0' && *text <= '9' && number <= UINT16_MAX; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return text && !*text && number <= UINT16_MAX ? (uint16_t)number : 0;
}

uint16_t directory_announced_port(void) {
    return directory_announcements ? read_port(runtime_environment("SPILLWAY_RELAY_PORT")) : 0;
}

uint16_t directory_announced(const struct in6_addr *address, uint16_t port) {
    if (!directory_announcements || !directory_announces(directory_announcements, address, port))
        return 0;
    return directory_announced_port();
}
