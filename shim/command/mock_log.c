#include "shim/command/mock_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void mock_hash_start(struct mock_hash *hash) {
    sha256_init(&hash->state);
}

void mock_hash_add(struct mock_hash *hash, const void *bytes, size_t length) {
    sha256_update(&hash->state, length, bytes);
}

void mock_hash_finish(struct mock_hash *hash, char out[MOCK_HASH_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[(MOCK_HASH_SIZE - 1) / 2];
    sha256_digest(&hash->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[MOCK_HASH_SIZE - 1] = '\0';
}

void mock_hash_key(const char *value, char out[MOCK_HASH_SIZE]) {
    static const char scheme[] = "Bearer ";
    struct mock_hash hash;
    if (strncasecmp(value, scheme, sizeof scheme - 1) == 0)
        value += sizeof scheme - 1;
    value += strspn(value, " ");
    mock_hash_start(&hash);
    mock_hash_add(&hash, value, strlen(value));
    mock_hash_finish(&hash, out);
}

static void write_string(FILE *out, const char *text) {
    if (text == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void write_member(FILE *out, const char *name, const char *value) {
    fprintf(out, ",\"%s\":", name);
    write_string(out, value);
}

static void write_headers(FILE *out, const struct mock_entry *entry) {
    fputs(",\"headers\":[", out);
    for (size_t i = 0; i < entry->header_count; i++) {
        fputs(i == 0 ? "" : ",", out);
        write_string(out, entry->headers[i]);
    }
    fputs("]", out);
}

char *mock_log_line(const struct mock_entry *entry, size_t *length) {
    char *line = NULL;
    FILE *out = open_memstream(&line, length);
    if (out == NULL)
        return NULL;
    fprintf(out, "{\"time\":%lld.%06ld", (long long)entry->time.tv_sec, entry->time.tv_nsec / 1000);
    write_member(out, "name", entry->mock);
    fprintf(out, ",\"connection\":%llu,\"request\":%llu", (unsigned long long)entry->connection,
            (unsigned long long)entry->request);
    write_member(out, "method", entry->method);
    write_member(out, "path", entry->path);
    write_member(out, "host", entry->host);
    write_member(out, "key_header", entry->key_header);
    write_member(out, "key_hash", entry->key_hash);
    fprintf(out, ",\"body_length\":%llu", (unsigned long long)entry->body_length);
    write_member(out, "body_hash", entry->body_hash);
    if (entry->model != NULL)
        fprintf(out, ",\"model\":\"%s\"", entry->model);
    else
        fputs(",\"model\":null", out);
    fprintf(out, ",\"stream\":%s", entry->stream ? "true" : "false");
    write_member(out, "deployment", entry->deployment);
    write_member(out, "api_version", entry->api_version);
    write_member(out, "operation", entry->operation);
    write_member(out, "content_type", entry->content_type);
    write_headers(out, entry);
    write_member(out, "outcome", entry->outcome);
    if (entry->status != 0)
        fprintf(out, ",\"status\":%d}\n", entry->status);
    else
        fputs(",\"status\":null}\n", out);
    if (fclose(out) == 0)
        return line;
    free(line);
    return NULL;
}

bool mock_log_write(int fd, const struct mock_entry *entry) {
    size_t length = 0;
    if (fd < 0)
        return true;
    char *line = mock_log_line(entry, &length);
    bool written = line != NULL && write(fd, line, length) == (ssize_t)length;
    free(line);
    return written;
}
