/*
 * The logical hosts that programs without libcurl are served for, and the address by which each is
 * known again when a program connects.
 *
 * A host with a name gets a literal of ours in 127.64.0.0/10, by a hash of its name, so that all
 * processes with the same settings agree. A numeric host is known by the address that it is.
 *
 * A table is constant once made, but for the addresses in its spots. Functions that only look
 * are thread-safe, take no lock, allocate nothing and leave errno alone.
 */
#ifndef SPILLWAY_SOCKET_TABLE_H
#define SPILLWAY_SOCKET_TABLE_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"
#include "shim/socket/spot.h"

/* The net of the literals, in host byte order. */
#define TABLE_NET  0x7f400000u
#define TABLE_MASK 0xffc00000u

/* The longest literal, "::ffff:127.127.255.255", with its end. */
#define TABLE_LITERAL_SIZE 23

struct runtime;
struct table;

enum way {
    WAY_RELAY,     /* to the relay */
    WAY_RELAY_TLS, /* to the relay's port for https */
    WAY_ADDRESS,   /* to a backend of `endpoint` */
    WAY_ALONE,     /* https that would need the relay to be trusted: left alone */
};

/* What is served on one port of a host. Of several endpoints there the relay, which tells them
 * apart by their URLs, goes before `address`, and of these the first of the settings. */
struct service {
    uint16_t port;
    enum way way;
    size_t endpoint; /* its index in the settings */
    bool https;
    const struct table *table;
    struct backend_place *places; /* of WAY_ADDRESS: one per backend of the endpoint; else NULL */
    size_t place_count;
};

/* Where a backend is, by its address alone. */
struct backend_place {
    struct spot spot;
    uint16_t port;
    _Atomic uint64_t until; /* CLOCK_BOOTTIME in ns: not to be looked up before */
};

struct host {
    const char *name; /* in lower case, without a trailing dot or brackets */
    uint32_t hash;    /* of the name */
    bool numeric;
    bool unreal;             /* no such name can exist (RFC 2606, RFC 6761) */
    struct in6_addr address; /* an IPv4 one as v4-mapped */
    struct service *services;
    size_t service_count;
    struct spot real;            /* where the name leads without us */
    _Atomic uint64_t real_until; /* CLOCK_BOOTTIME in ns: not to be asked before */
};

struct table {
    struct host *hosts;
    size_t count;
    bool has_numeric;
    bool has_addresses; /* some service is WAY_ADDRESS */
    /* What it was made from, if it has addresses: held for ever then, as its readers need the
     * pools. Written before the table is published. */
    const struct runtime *runtime;
};

/* The table for SETTINGS, for table_free; without hosts if there is nothing to serve. NULL if
 * memory ran out. It does not point into SETTINGS. */
struct table *table_new(const struct settings *settings);
void table_free(struct table *table);

/* Whether A and B serve the same hosts in the same way, and by addresses only the relay's. */
bool table_same(const struct table *a, const struct table *b);

/* The host that is called NAME, by letters without case and with or without a trailing dot, or
 * NULL. */
struct host *table_find(const struct table *table, const char *name);

/* The host at ADDRESS, or NULL; of several numeric ones at the same address the first. */
struct host *table_at(const struct table *table, const struct in6_addr *address);

/* What is served on PORT of HOST, or NULL. */
const struct service *table_service(const struct host *host, uint16_t port);

/* Writes the literal of HOST, in its v4-mapped form if MAPPED. */
void table_literal(const struct host *host, bool mapped, char text[TABLE_LITERAL_SIZE]);

#endif
