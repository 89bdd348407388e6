#include "shim/socket/table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length of NAME without a trailing dot. */
static size_t bare_length(const char *name) {
    size_t length = strlen(name);
    return length > 1 && name[length - 1] == '.' ? length - 1 : length;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* FNV-1a, as published by Fowler, Noll and Vo, of the name in lower case. */
static uint32_t hash_of(const char *name, size_t length) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)lower(name[i])) * 16777619u;
    return hash;
}

static struct in6_addr mapped(uint32_t v4) {
    struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    v4 = htonl(v4);
    memcpy(&address.s6_addr[12], &v4, sizeof v4);
    return address;
}

static uint32_t literal_of(const struct host *host) {
    uint32_t v4;
    memcpy(&v4, &host->address.s6_addr[12], sizeof v4);
    return ntohl(v4);
}

/* Whether NAME is an address, as resolvers read it. */
static bool read_address(const char *name, struct in6_addr *address) {
    struct in_addr v4;
    if (inet_pton(AF_INET6, name, address) == 1)
        return true;
    if (!inet_aton(name, &v4))
        return false;
    *address = mapped(ntohl(v4.s_addr));
    return true;
}

static bool is_unreal(const char *name) {
    static const char *const tops[] = {".test", ".invalid", ".example"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        size_t size = strlen(tops[i]);
        if (length > size && strcmp(name + length - size, tops[i]) == 0)
            return true;
    }
    return false;
}

/* A literal that no host before has. */
static struct in6_addr free_literal(const struct table *table, uint32_t hash) {
    for (uint32_t number = hash;; number++) {
        struct in6_addr address = mapped(TABLE_NET | ((number ^ number >> 22) & ~TABLE_MASK));
        if (!table_at(table, &address))
            return address;
    }
}

/* Adds the host NAME, which it takes over. */
static struct host *add_host(struct table *table, char *name) {
    struct host *host = &table->hosts[table->count];
    host->name = name;
    host->hash = hash_of(name, strlen(name));
    host->numeric = read_address(name, &host->address);
    if (!host->numeric)
        host->address = free_literal(table, host->hash);
    host->unreal = is_unreal(name);
    table->has_numeric |= host->numeric;
    table->count++;
    return host;
}

/* The name of a URL's host, as the table has it; NULL without memory. */
static char *name_of(struct slice text) {
    bool bracketed = text.length > 2 && text.text[0] == '[';
    char *name = strndup(text.text + bracketed, text.length - 2 * bracketed);
    if (!name)
        return NULL;
    name[bare_length(name)] = '\0';
    for (char *at = name; *at; at++)
        *at = lower(*at);
    return name;
}

static enum way way_of(const struct settings *settings, const struct endpoint *endpoint,
                       const struct url *url) {
    if (endpoint->sockets == SOCKETS_ADDRESS)
        return WAY_ADDRESS;
    if (!url->https)
        return WAY_RELAY;
    return settings->relay_tls == SWITCH_ON ? WAY_RELAY_TLS : WAY_ALONE;
}

/* Which of two ways goes before on one port. */
static unsigned rank(enum way way) {
    return way == WAY_RELAY || way == WAY_RELAY_TLS ? 0 : way == WAY_ADDRESS ? 1 : 2;
}

/* Where the backends of ENDPOINT are, as far as its settings say. */
static bool add_places(struct service *service, const struct endpoint *endpoint) {
    service->places = calloc(endpoint->backend_count, sizeof *service->places);
    service->place_count = endpoint->backend_count;
    for (size_t i = 0; service->places && i < endpoint->backend_count; i++) {
        struct url url;
        if (url_parse(endpoint->backends[i].url, service->https, &url))
            service->places[i].port = url.port;
    }
    return service->places;
}

static bool add_service(struct host *host, struct service service) {
    for (size_t i = 0; i < host->service_count; i++)
        if (host->services[i].port == service.port) {
            struct service unused = service;
            if (rank(service.way) < rank(host->services[i].way)) {
                unused = host->services[i];
                host->services[i] = service;
            }
            free(unused.places);
            return true;
        }
    struct service *more = reallocarray(host->services, host->service_count + 1, sizeof *more);
    if (!more) {
        free(service.places);
        return false;
    }
    more[host->service_count++] = service;
    host->services = more;
    return true;
}

static bool add_url(struct table *table, const struct settings *settings, size_t e, size_t u) {
    const struct endpoint *endpoint = &settings->endpoints[e];
    const struct url *url = &endpoint->prefixes[u];
    if (endpoint->sockets == SOCKETS_OFF)
        return true;
    char *name = name_of(url->host);
    if (!name)
        return false;
    struct host *host = table_find(table, name);
    if (host)
        free(name);
    else
        host = add_host(table, name);
    struct service service = {.port = url->port,
                              .way = way_of(settings, endpoint, url),
                              .endpoint = e,
                              .https = url->https,
                              .table = table};
    if (service.way == WAY_ADDRESS && !add_places(&service, endpoint))
        return false;
    table->has_addresses |= service.way == WAY_ADDRESS;
    return add_service(host, service);
}

struct table *table_new(const struct settings *settings) {
    struct table *table = calloc(1, sizeof *table);
    size_t urls = 0;
    bool good = table != NULL;
    for (size_t e = 0; e < settings->endpoint_count; e++)
        urls += settings->endpoints[e].url_count;
    if (good)
        good = (table->hosts = calloc(urls + 1, sizeof *table->hosts)) != NULL;
    for (size_t e = 0; good && e < settings->endpoint_count; e++)
        for (size_t u = 0; good && u < settings->endpoints[e].url_count; u++)
            good = add_url(table, settings, e, u);
    if (good)
        return table;
    table_free(table);
    return NULL;
}

void table_free(struct table *table) {
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++) {
        free((void *)(uintptr_t)table->hosts[i].name);
        for (size_t k = 0; k < table->hosts[i].service_count; k++)
            free(table->hosts[i].services[k].places);
        free(table->hosts[i].services);
    }
    free(table->hosts);
    free(table);
}

static bool same_host(const struct host *a, const struct host *b) {
    if (strcmp(a->name, b->name) != 0 || !IN6_ARE_ADDR_EQUAL(&a->address, &b->address) ||
        a->service_count != b->service_count)
        return false;
    for (size_t i = 0; i < a->service_count; i++)
        if (a->services[i].port != b->services[i].port ||
            a->services[i].way != b->services[i].way || a->services[i].way == WAY_ADDRESS)
            return false;
    return true;
}

bool table_same(const struct table *a, const struct table *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = same_host(&a->hosts[i], &b->hosts[i]);
    return same;
}

/* By ASCII letters without case, whatever the locale. */
static bool is_called(const struct host *host, const char *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (host->name[i] != lower(name[i])) /* also where it ends */
            return false;
    return host->name[length] == '\0';
}

struct host *table_find(const struct table *table, const char *name) {
    size_t length = bare_length(name);
    uint32_t hash = hash_of(name, length);
    for (size_t i = 0; i < table->count; i++) {
        struct host *host = &table->hosts[i];
        if (host->hash == hash && is_called(host, name, length))
            return host;
    }
    return NULL;
}

struct host *table_at(const struct table *table, const struct in6_addr *address) {
    for (size_t i = 0; i < table->count; i++)
        if (IN6_ARE_ADDR_EQUAL(&table->hosts[i].address, address))
            return &table->hosts[i];
    return NULL;
}

const struct service *table_service(const struct host *host, uint16_t port) {
    for (size_t i = 0; i < host->service_count; i++)
        if (host->services[i].port == port)
            return &host->services[i];
    return NULL;
}

void table_literal(const struct host *host, bool as_mapped, char text[TABLE_LITERAL_SIZE]) {
    uint32_t v4 = literal_of(host);
    snprintf(text, TABLE_LITERAL_SIZE, "%s%u.%u.%u.%u", as_mapped ? "::ffff:" : "", v4 >> 24,
             v4 >> 16 & 255, v4 >> 8 & 255, v4 & 255);
}
