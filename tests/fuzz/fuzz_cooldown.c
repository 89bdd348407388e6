/*
 * Any bytes as the header lines and the body of a response: nothing is read beyond them, the
 * time stays within its bound, and what one header line says doesn't hang on how it ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/cooldown.h"

#define MAX_NS     600000000000ULL
#define DEFAULT_NS 10000000000ULL
#define WALL       784111777

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* Memory of its own, so that the sanitizer sees each byte that is read beyond it. */
static char *copy(const char *text, size_t length) {
    char *bytes = malloc(length > 0 ? length : 1);
    if (length > 0)
        memcpy(bytes, text, length);
    return bytes;
}

static uint64_t duration(const struct cooldown_hints *hints, const char *body, size_t length) {
    uint64_t time = cooldown_duration(hints, body, length, WALL, DEFAULT_NS, MAX_NS);
    require(time <= MAX_NS);
    require(cooldown_duration(hints, body, length, WALL, DEFAULT_NS, time) == time);
    return time;
}

static void take_line(struct cooldown_hints *hints, const char *text, size_t length) {
    char *line = copy(text, length);
    struct cooldown_hints with, without;
    cooldown_reset(&with);
    cooldown_reset(&without);
    cooldown_header(&with, line, length);
    size_t bare = length - (length > 0 && line[length - 1] == '\n');
    cooldown_header(&without, line, bare);
    require(cooldown_has_time(&with) == cooldown_has_time(&without));
    require(duration(&with, NULL, 0) == duration(&without, NULL, 0));

    cooldown_header(hints, line, length);
    require(!cooldown_has_time(&with) || cooldown_has_time(hints));
    free(line);
}

/* The first lines are header lines; an empty one ends them, and the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data, *end = at + size;
    struct cooldown_hints hints;
    cooldown_reset(&hints);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        bool last = newline == at;
        take_line(&hints, at, (size_t)(next - at));
        at = next;
        if (last)
            break;
    }
    size_t length = (size_t)(end - at);
    char *body = copy(at, length);
    duration(&hints, body, length);
    require(cooldown_kind(body, length) <= COOLDOWN_TOO_LARGE);

    struct cooldown_hints none;
    cooldown_reset(&none);
    duration(&none, body, length);
    free(body);
    return 0;
}
