/*
 * The request log of a mock: one JSON object per line, one write per line, and the hashes in it.
 * Keys appear as hashes alone.
 */
#ifndef SPILLWAY_COMMAND_MOCK_LOG_H
#define SPILLWAY_COMMAND_MOCK_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <nettle/sha2.h>

/* 16 hex digits: the first 64 bits of a SHA-256. */
#define MOCK_HASH_SIZE 17

/* A hash over bytes that arrive in pieces: start, add any number of times, finish once. */
struct mock_hash {
    struct sha256_ctx state;
};
void mock_hash_start(struct mock_hash *hash);
void mock_hash_add(struct mock_hash *hash, const void *bytes, size_t length);
void mock_hash_finish(struct mock_hash *hash, char out[MOCK_HASH_SIZE]);

/* The hash of the key in a header's VALUE, without "Bearer " before it. */
void mock_hash_key(const char *value, char out[MOCK_HASH_SIZE]);

struct mock_entry {
    struct timespec time; /* CLOCK_REALTIME, when the head of the request had arrived */
    const char *mock;     /* name of the mock */
    uint64_t connection;  /* number of the TCP connection, from 1 */
    uint64_t request;     /* number of the request, from 1 */
    const char *method;
    const char *path; /* with its query, as it came */
    const char *host; /* NULL: null in the log */
    const char *key_header;
    const char *key_hash;
    uint64_t body_length;
    const char *body_hash;
    const char *model; /* text of a JSON string, escaped; NULL: null */
    bool stream;
    const char *deployment;     /* in the path, decoded; this and the next three: NULL: null */
    const char *api_version;    /* in the query, decoded */
    const char *operation;      /* the path below the API's root */
    const char *content_type;   /* of the body */
    const char *const *headers; /* names of the request's headers in their order */
    size_t header_count;
    const char *outcome; /* reply, cut, stall, slow, trickle, reset, close, hang */
    int status;          /* 0: null */
};

/* The line for ENTRY with its newline, for free(); its length goes to *LENGTH. NULL without
 * memory. Bytes that are not ASCII become \u00XX, but for those of the model. */
char *mock_log_line(const struct mock_entry *entry, size_t *length);

/* Appends the line to FD in one write. FD -1: does nothing. Returns false if that failed. */
bool mock_log_write(int fd, const struct mock_entry *entry);

#endif
