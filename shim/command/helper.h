/*
 * A process of ours that lives as long as the program that this one becomes.
 */
#ifndef SPILLWAY_SHIM_COMMAND_HELPER_H
#define SPILLWAY_SHIM_COMMAND_HELPER_H

#include <stdbool.h>

#include "shim/command/watch.h"

/* The helper's work, with a watch on the process that started it. It ends when this returns. */
typedef void helper_work(void *argument, const struct watch *watch);

/* What becomes of a helper besides its work. */
struct helper_options {
    const char *name;    /* what ps shows of it; at most 6 letters, "spillway-" comes before them */
    const int *keep;     /* file descriptors that stay open in it, under other numbers ... */
    int *kept;           /* ... which are written here, in the helper */
    unsigned keep_count; /* at most 8 */
};

/*
 * Starts a process that does WORK. It is in a session of its own, no child of this one that an
 * ordinary wait() could see, has /dev/null as its standard streams and no other open file but the
 * watch and those that OPTIONS keep (closed on exec), and is not ended by SIGHUP, SIGINT, SIGQUIT,
 * SIGTERM and SIGPIPE. The words of ARGV, as main got them, are replaced by others in the helper,
 * so that ps and pgrep don't take it for the program. Returns false with errno if there is none.
 * Not thread-safe.
 */
bool helper_start(helper_work *work, void *argument, const struct helper_options *options, int argc,
                  char **argv);

#endif
