/*
 * `spillway status`: the live state of the backends, once or continuously.
 */
#ifndef SPILLWAY_COMMAND_STATUS_H
#define SPILLWAY_COMMAND_STATUS_H

/* The command; ARGV[0] is "status". Returns its exit status. Not thread-safe. */
int command_status(int argc, char **argv);

#endif
