/*
 * `spillway drill`: runs a program while its backends fail as they are told to, and reports.
 */
#ifndef SPILLWAY_COMMAND_DRILL_H
#define SPILLWAY_COMMAND_DRILL_H

/* The command; ARGV[0] is "drill". Returns its exit status: the program's (128 + N after signal N),
 * or, with --expect, 0 or 1; 2 for an error of the command line, the settings or the report's
 * files; 127 and 126 if the program can't be started. Not thread-safe. */
int command_drill(int argc, char **argv);

#endif
