#include "shim/relay/fields.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shim/relay/headers.h"

#define CONNECTION_FIELDS 8

/* libcurl asks a server for its leave before it sends a body larger than this (7.88: 1 MiB; before
 * that 1 KiB). */
#define EXPECT_THRESHOLD 1024

/* --- looking ------------------------------------------------------------------------------- */

static void refuse(struct fields_seen *seen, unsigned status, const char *sentence) {
    if (seen->wrong)
        return;
    seen->wrong = sentence;
    seen->status = status;
}

static void see_length(struct fields_seen *seen, struct slice value) {
    long long length = headers_length(value);
    if (length < 0)
        refuse(seen, 400, "The request's Content-Length is none.");
    else if (seen->length > 0 && seen->length != length)
        refuse(seen, 400, "The request has more than one Content-Length.");
    else
        seen->length = length;
}

static void see_token(struct fields_seen *seen, struct slice name, struct slice value) {
    static const char bearer[] = "bearer ";
    size_t length = sizeof bearer - 1;
    if (headers_is(name, "api-key"))
        seen->token = value.text;
    else if (value.length > length && strncasecmp(value.text, bearer, length) == 0)
        seen->token = value.text + length + strspn(value.text + length, " ");
}

static enum MHD_Result see(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                           const char *text, size_t size) {
    struct fields_seen *seen = context;
    struct slice name = {key, key_size}, value = {text ? text : "", text ? size : 0};
    (void)kind;
    if (memchr(name.text, '\0', name.length) || memchr(value.text, '\0', value.length))
        refuse(seen, 400, "The request has a field with a zero byte.");
    if (headers_is(name, "host")) {
        if (seen->host)
            refuse(seen, 400, "The request has more than one Host.");
        seen->host = value.text;
    } else if (headers_is(name, "content-length")) {
        see_length(seen, value);
    } else if (headers_is(name, "transfer-encoding")) {
        if (!headers_is(headers_trim(value), "chunked"))
            refuse(seen, 501, "The request's Transfer-Encoding is not chunked.");
        seen->chunked = true;
    } else if (headers_is(name, "authorization") || headers_is(name, "api-key")) {
        see_token(seen, name, value);
    }
    return MHD_YES;
}

void fields_look(struct MHD_Connection *connection, struct fields_seen *seen) {
    *seen = (struct fields_seen){0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see, seen);
}

/* --- making -------------------------------------------------------------------------------- */

struct making {
    struct slice connection[CONNECTION_FIELDS]; /* values of Connection */
    size_t connection_count;
    bool without_token;
    bool measuring; /* the first time: nothing is written */
    bool has_accept, has_type;
    size_t count, size; /* nodes, and bytes of text */
    struct curl_slist *node;
    char *text;
};

static enum MHD_Result find_connection(void *context, enum MHD_ValueKind kind, const char *key,
                                       size_t key_size, const char *text, size_t size) {
    struct making *making = context;
    (void)kind;
    if (text && making->connection_count < CONNECTION_FIELDS &&
        headers_is((struct slice){key, key_size}, "connection"))
        making->connection[making->connection_count++] = (struct slice){text, size};
    return MHD_YES;
}

static bool goes_through(const struct making *making, struct slice name) {
    if (headers_stays(name) || headers_is(name, "host") || headers_is(name, "expect"))
        return false;
    if (making->without_token && (headers_is(name, "authorization") || headers_is(name, "api-key")))
        return false;
    for (size_t i = 0; i < making->connection_count; i++)
        if (headers_names(making->connection[i], name))
            return false;
    return true;
}

static void put(struct making *making, const char *text, size_t length) {
    memcpy(making->text, text, length);
    making->text += length;
}

/* Adds a line: with BETWEEN ": " and the value, or ":", which tells libcurl to leave the field out,
 * or ";", which tells it to send one without a value. */
static void add_line(struct making *making, struct slice name, const char *between,
                     struct slice value) {
    size_t length = strlen(between);
    making->count++;
    making->size += name.length + length + value.length + 1;
    if (making->measuring)
        return;
    *making->node = (struct curl_slist){making->text, making->node + 1};
    making->node++;
    put(making, name.text, name.length);
    put(making, between, length);
    put(making, value.text, value.length);
    *making->text++ = '\0';
}

static enum MHD_Result add(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                           const char *text, size_t size) {
    struct making *making = context;
    struct slice name = {key, key_size}, value = {text ? text : "", text ? size : 0};
    (void)kind;
    if (!goes_through(making, name))
        return MHD_YES;
    making->has_accept |= headers_is(name, "accept");
    making->has_type |= headers_is(name, "content-type");
    add_line(making, name, value.length ? ": " : ";", value);
    return MHD_YES;
}

static void add_own(struct making *making, const char *name, const char *between,
                    const char *value) {
    add_line(making, (struct slice){name, strlen(name)}, between,
             (struct slice){value, strlen(value)});
}

static void add_all(struct making *making, const struct exchange *exchange) {
    bool streams = exchange->upload_streams;
    making->count = making->size = 0;
    making->has_accept = making->has_type = false;
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, add, making);
    /* what libcurl would add itself, if it is not told to leave it out; each line costs it time */
    if (!making->has_accept)
        add_own(making, "Accept", ":", "");
    if (!making->has_type && exchange_sends_body(exchange))
        add_own(making, "Content-Type", ":", "");
    if (streams || exchange->upload.length > EXPECT_THRESHOLD)
        add_own(making, "Expect", ":", "");
    if (streams && exchange->upload_length < 0)
        add_own(making, "Transfer-Encoding", ": ", "chunked");
}

bool fields_make(struct exchange *exchange, bool without_token) {
    struct making making = {.without_token = without_token, .measuring = true};
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, find_connection, &making);
    add_all(&making, exchange);
    size_t nodes = making.count * sizeof *exchange->fields;
    exchange->fields_size = nodes + making.size;
    exchange->fields = malloc(exchange->fields_size);
    if (!exchange->fields)
        return false;
    if (!making.count) {
        free(exchange->fields);
        exchange->fields = NULL;
        return true;
    }
    making.measuring = false;
    making.node = exchange->fields;
    making.text = (char *)exchange->fields + nodes;
    add_all(&making, exchange);
    making.node[-1].next = NULL;
    return true;
}
