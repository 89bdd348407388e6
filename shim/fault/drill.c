#include "shim/fault/drill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- making ---------------------------------------------------------------------------------- */

/* Reads the faults of TEXT, one per line. False with a message. */
static bool read_faults(struct drill *drill, const char *text, char *error, size_t size) {
    struct fault_error wrong;
    char line[FAULT_TEXT_MAX + 2];
    while (*text) {
        size_t length = strcspn(text, "\n"), kept = length < sizeof line ? length : sizeof line - 1;
        memcpy(line, text, kept);
        line[kept] = '\0';
        text += length + (text[length] == '\n');
        if (length == 0)
            continue;
        if (drill->fault_count == FAULTS_MAX) {
            snprintf(error, size, "found more than %d faults", FAULTS_MAX);
            return false;
        }
        if (!fault_parse(line, &drill->faults[drill->fault_count], &wrong)) {
            snprintf(error, size, "fault %zu, column %zu: %s", drill->fault_count + 1, wrong.column,
                     wrong.message);
            return false;
        }
        drill->fault_count++;
    }
    return true;
}

static bool fill(struct drill *drill, const char *directory, const char *faults, char *error,
                 size_t size) {
    drill->directory = strdup(directory);
    drill->faults = calloc(FAULTS_MAX, sizeof *drill->faults);
    if (!drill->directory || !drill->faults) {
        snprintf(error, size, "out of memory");
        return false;
    }
    drill->page = drill_page_open(directory);
    if (!drill->page) {
        snprintf(error, size, "no page in '%s': %s", directory, strerror(errno));
        return false;
    }
    drill->start = drill->page->start;
    drill->seed = drill->page->seed;
    drill->against_mocks = drill->page->flags & DRILL_AGAINST_MOCKS;
    return read_faults(drill, faults ? faults : "", error, size);
}

struct drill *drill_open(settings_lookup *lookup, char *error, size_t size) {
    struct drill *drill = calloc(1, sizeof *drill);
    const char *directory = lookup("SPILLWAY_DRILL");
    if (!drill)
        snprintf(error, size, "out of memory");
    else if (fill(drill, directory ? directory : "", lookup("SPILLWAY_FAULTS"), error, size))
        return drill;
    drill_close(drill);
    return NULL;
}

void drill_close(struct drill *drill) {
    if (!drill)
        return;
    drill_page_close(drill->page);
    free(drill->faults);
    free(drill->directory);
    free(drill);
}

/* --- choosing -------------------------------------------------------------------------------- */

/* 0 to 999999, uniform: splitmix64's finalizer over the three, as published by Steele, Lea and
 * Flood, 2014. */
static uint32_t lot(uint64_t seed, uint64_t place, uint64_t count) {
    uint64_t z = seed + 0x9e3779b97f4a7c15u * (place + 1) + 0xd1342543de82ef95u * count;
    for (int round = 0; round < 2; round++) {
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return (uint32_t)(z % 1000000);
}

static bool is_time(const struct fault *fault, uint64_t since) {
    return since >= fault->after_ns && since - fault->after_ns < fault->for_ns;
}

/* Whether FAULT, the PLACEth, meets the COUNTth attempt (from 1) that it is a matter of. */
static bool meets(const struct drill *drill, size_t place, const struct fault *fault,
                  uint64_t count) {
    if (count <= fault->after_attempts || count - fault->after_attempts > fault->for_attempts)
        return false;
    return (count - fault->after_attempts) % fault->every == 0 &&
           lot(drill->seed, place, count) < fault->rate;
}

const struct fault *drill_choose(const struct drill *drill, const char *endpoint,
                                 const char *backend, uint64_t now) {
    uint64_t since = now > drill->start ? now - drill->start : 0;
    for (size_t i = 0; i < drill->fault_count; i++) {
        const struct fault *fault = &drill->faults[i];
        if (!fault_means(fault, endpoint, backend) || !is_time(fault, since))
            continue;
        uint64_t count =
            atomic_fetch_add_explicit(&drill->page->passed[i], 1, memory_order_relaxed) + 1;
        if (meets(drill, i, fault, count))
            return fault;
    }
    return NULL;
}
