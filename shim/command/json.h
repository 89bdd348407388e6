/*
 * Writing JSON (RFC 8259) to a stream. Thread-safe, as long as LC_NUMERIC is "C".
 */
#ifndef SPILLWAY_COMMAND_JSON_H
#define SPILLWAY_COMMAND_JSON_H

#include <stdio.h>

/* TEXT as a string; bytes that are no UTF-8 become U+FFFD. */
void json_put_text(const char *text, FILE *out);

/* VALUE with six decimals, or null if it is negative or no number. */
void json_put_number(double value, FILE *out);

/*
 * The length of the UTF-8 sequence (RFC 3629) that TEXT begins with, 1 to 4; 0 if it begins with
 * none. TEXT ends with a zero byte.
 */
unsigned json_sequence(const char *text);

#endif
