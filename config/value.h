/*
 * Single values of the settings: from their spelling and back to it.
 *
 * Nothing in here allocates or locks; all of it is thread-safe and independent of the locale.
 */
#ifndef SPILLWAY_CONFIG_VALUE_H
#define SPILLWAY_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

/* Decimal digits alone, without a sign or leading zeros. False for anything else. */
bool value_parse_number(const char *text, uint64_t *number);

/* Bytes: 8MiB, 512KiB, 1GiB, 100B or bare digits. False for anything else or over 64 bits. */
bool value_parse_size(const char *text, uint64_t *bytes);

/* The place of TEXT in the NULL-terminated WORDS. False if it is none of them. */
bool value_parse_word(const char *const *words, const char *text, unsigned *place);

/* Adds what TEXT says (429, 5xx, connect, ...) to OUTCOMES. False if it says nothing. */
bool value_parse_outcome(const char *text, struct retry_on *outcomes);

/* Write the value to OUT as the settings would spell it, truncated to SIZE. */
void value_write_duration(uint64_t ns, char *out, size_t size);
void value_write_size(uint64_t bytes, char *out, size_t size);
void value_write_outcomes(const struct retry_on *outcomes, char *out, size_t size);

/* Writes "a, b or c". */
void value_write_words(const char *const *words, char *out, size_t size);

/* Whether TEXT has an ASCII control character, which could end a header or a log line early. */
bool value_has_control(const char *text);

#endif
