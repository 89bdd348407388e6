#include "config/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t nearest_distance(const char *a, const char *b) {
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > NEAREST_LENGTH_MAX || columns > NEAREST_LENGTH_MAX)
        return SIZE_MAX;
    size_t lines[3][NEAREST_LENGTH_MAX + 1];
    for (size_t j = 0; j <= columns; j++)
        lines[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = lines[i % 3];
        const size_t *above = lines[(i - 1) % 3], *two_above = lines[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            size_t change = above[j - 1] + (x != y);
            now[j] = least(change, least(above[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y)
                now[j] = least(now[j], two_above[j - 2] + 1);
        }
    }
    return lines[rows % 3][columns];
}

void nearest_offer(struct nearest *nearest, const char *candidate) {
    size_t distance = nearest_distance(nearest->word, candidate);
    if (distance == SIZE_MAX)
        return;
    size_t length = strlen(nearest->word);
    size_t longer = length > strlen(candidate) ? length : strlen(candidate);
    bool beginning = length >= 3 && strncasecmp(nearest->word, candidate, length) == 0;
    if (distance > (longer * 2 + 4) / 5 && !beginning)
        return;
    if (!nearest->best || distance < nearest->distance) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}
