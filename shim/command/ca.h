/*
 * `spillway ca`: the user's certificate authority for https through the relay.
 */
#ifndef SPILLWAY_COMMAND_CA_H
#define SPILLWAY_COMMAND_CA_H

/*
 * `ca [-c FILE] [--directory DIR] [--force]`, with ARGV[0] being "ca": makes the authority for the
 * https hosts of the settings, unless there is one that is good for them, and says on standard
 * output where it is and what it means. Returns the exit status: 0, 1 if it can't be made or there
 * are no good settings, 2 for wrong options.
 */
int command_ca(int argc, char **argv);

#endif
