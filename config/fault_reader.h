/*
 * The words of a fault's text, one after the other. Private to config/.
 *
 * A word ends at a blank or a comma. What is taken moves reader->at; what is not there leaves it,
 * but for blanks. Case does not count.
 */
#ifndef SPILLWAY_CONFIG_FAULT_READER_H
#define SPILLWAY_CONFIG_FAULT_READER_H

#include "config/fault.h"

#define FAULT_BYTES_MAX (UINT64_C(1) << 30)

struct fault_reader {
    const char *start; /* of the text */
    const char *at;
    struct fault_error *error;
    struct { /* what may come once */
        bool rate, every, cause, for_time, for_attempts, after_time, after_attempts;
    } given;
};

/* Fills reader->error with what stands at PLACE, EXPECTED and, unless it is NULL, what may have
 * been MEANT. Returns false. */
bool fault_fail(struct fault_reader *reader, const char *place, const char *expected,
                const char *meant);

/* The same, where NAME is what was found. */
bool fault_fail_name(struct fault_reader *reader, const char *place, const char *name,
                     const char *expected, const char *meant);

/* Moves to the next word, and gives its length: 0 at the end. */
void fault_skip_blanks(struct fault_reader *reader);
size_t fault_peek(struct fault_reader *reader);

/* Whether the next word is WORD. */
bool fault_sees(struct fault_reader *reader, const char *word);

/* Takes the words of WORDS, with one blank between them, if they are the next ones. */
bool fault_take_words(struct fault_reader *reader, const char *words);

/* Takes decimal digits, up to 1000000000. */
bool fault_take_number(struct fault_reader *reader, uint64_t *number);

/* Takes a number that may end like "3rd", and a word for attempts after it. */
bool fault_take_ordinal(struct fault_reader *reader, uint64_t *number);

/* Takes "200", "200 bytes" or "4KiB"; not "200 attempts" or "200 seconds". */
bool fault_take_bytes(struct fault_reader *reader, uint64_t *bytes);

/* Takes "60s", "60 s", "2 minutes" or "a minute"; out of 64 bits of ns counts as not there. */
bool fault_take_duration(struct fault_reader *reader, uint64_t *ns);

struct fault_amount {
    bool is_time; /* in ns; else attempts */
    uint64_t value;
};

/* Takes a duration or "3 attempts". */
bool fault_take_amount(struct fault_reader *reader, struct fault_amount *amount);

/* Whether the next word looks like a rate; takes it, "10%" or "10 %" or "10 percent" and perhaps
 * "of attempts" after it, as parts per million. */
bool fault_sees_rate(struct fault_reader *reader);
bool fault_take_rate(struct fault_reader *reader, uint32_t *ppm);

/* name=value; without its quotes. */
struct fault_pair {
    const char *name, *value;
    size_t name_length, value_length;
};
enum fault_pair_result { FAULT_PAIR, FAULT_NO_PAIR, FAULT_PAIR_WRONG /* reader->error says why */ };
enum fault_pair_result fault_take_pair(struct fault_reader *reader, struct fault_pair *pair);

#endif
