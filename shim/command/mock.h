/*
 * `spillway mock`: a simulated OpenAI or Azure OpenAI deployment, for tests, demonstrations and
 * fault drills.
 */
#ifndef SPILLWAY_COMMAND_MOCK_H
#define SPILLWAY_COMMAND_MOCK_H

/*
 * Runs a mock until SIGTERM, SIGINT, --requests or --for end it. ARGV[0] is "mock".
 * Prints "mock NAME listening on URL" to standard output once it takes connections.
 * Returns the exit status: 0 after an ordinary end or --help, 1 if it could not start, 2 for
 * options that are wrong (with one line on standard error that says what was expected).
 * Blocks SIGTERM and SIGINT, ignores SIGPIPE and starts threads: for a process of its own.
 */
int command_mock(int argc, char **argv);

#endif
