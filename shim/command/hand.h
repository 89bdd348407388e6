/*
 * `spillway reset`, `drain` and `undrain`: what people do to the live state by hand, for all
 * processes of the user at once.
 */
#ifndef SPILLWAY_COMMAND_HAND_H
#define SPILLWAY_COMMAND_HAND_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/*
 * Sets in MARKS, which has a bit per backend for each endpoint of SETTINGS, those that NAME means:
 * BACKEND in every endpoint that has it, or ENDPOINT/BACKEND. Returns true, or false with
 * "found ..., expected ..." in MESSAGE if there is none.
 */
bool hand_select(const struct settings *settings, const char *name, uint64_t *marks, char *message,
                 size_t size);

/*
 * The commands; ARGV[0] is the command's name. Each prints a line per backend that it changed, and
 * on stderr one per named backend that was that way already. They return their exit status: 0, 1 if
 * there are no good settings or no shared state, 2 if the command line is wrong; nothing has been
 * changed then. Not thread-safe.
 */
int command_reset(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_undrain(int argc, char **argv);

#endif
