/*
 * `spillway metrics`: the live state for Prometheus.
 */
#ifndef SPILLWAY_COMMAND_METRICS_H
#define SPILLWAY_COMMAND_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "shim/command/live.h"

/* Prints LIVE to OUT in Prometheus' text exposition format 0.0.4. */
void metrics_print(const struct live *live, FILE *out);

/*
 * Puts the LENGTH bytes of TEXT in the place of the regular file PATH, or makes it, with mode 0644:
 * whoever reads it meanwhile finds the old file or the new one. Returns true, or false with a
 * sentence in MESSAGE; nothing is left behind then.
 * errno is not preserved.
 */
bool metrics_replace(const char *path, const char *text, size_t length, char *message, size_t size);

/* The command; ARGV[0] is "metrics". Returns its exit status. Not thread-safe. */
int command_metrics(int argc, char **argv);

#endif
