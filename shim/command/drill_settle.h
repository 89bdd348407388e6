/*
 * The second look at a record: what can only be told when all of it is known.
 */
#ifndef SPILLWAY_COMMAND_DRILL_SETTLE_H
#define SPILLWAY_COMMAND_DRILL_SETTLE_H

#include <stdbool.h>

#include "shim/command/drill_record.h"

/*
 * Brings all lists of RECORD into the order of their begin, and fills in outcomes, answers, the end
 * of cooldowns that a newer one replaced, and which transfers are the program's own retries: those
 * for the same path, begun in the same process after one that was not answered, each of which
 * counts for one retry. Returns false without memory.
 */
bool drill_settle(struct drill_record *record);

#endif
