/*
 * Tidying up before a signal ends the process.
 */
#ifndef SPILLWAY_SHIM_COMMAND_INTERRUPT_H
#define SPILLWAY_SHIM_COMMAND_INTERRUPT_H

/*
 * From now on SIGHUP, SIGINT, SIGQUIT and SIGTERM, as far as they are not ignored, end nothing, but
 * make the file descriptor that is returned readable. -1: it can't be done, and nothing has
 * changed. Not thread-safe, and not to be nested.
 */
int interrupt_catch(void);

/* Puts back what interrupt_catch has changed, if anything. Returns the signal that came, or 0. */
int interrupt_release(void);

#endif
