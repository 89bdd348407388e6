/*
 * The gate: stands between libcurl and the program's callbacks until a response is accepted.
 *
 * Header lines are held until it is known whether the program shall see the response. If so they
 * are handed over in their order and the gate steps out of the way; if not the response is
 * swallowed, so that its connection stays usable. Blocks after which libcurl may go on by itself
 * (1xx, a followed redirect, a round of authentication, a proxy's answer to CONNECT) are held
 * until it is seen that it did or did not. So is, where it is asked for, the head of a response
 * until the first byte of its body.
 *
 * Knows nothing of libcurl's handles: what the owner decides and does comes through gate_owner.
 * Not thread-safe.
 */
#ifndef SPILLWAY_CURL_GATE_H
#define SPILLWAY_CURL_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/curl/options.h"
#include "shim/pool/cooldown.h"

#define GATE_HELD_LIMIT    (1024 * 1024) /* more header bytes than this are not held */
#define GATE_SWALLOW_LIMIT (1024 * 1024) /* more body bytes of a rejected response are not read */
#define GATE_ANSWER_LIMIT  (128 * 1024)  /* a larger rejected response is not kept */

enum gate_state {
    GATE_HOLDING,
    GATE_SWALLOWING, /* rejected */
    GATE_REPLAYING,  /* accepted; the program paused while it was given the held lines */
    GATE_REFUSED,    /* accepted; the program did not take them */
    GATE_PASSED      /* accepted; the program's callbacks are in place */
};

/* What a status means before its headers are known. */
enum gate_opinion {
    GATE_ACCEPT,      /* it is the answer */
    GATE_LATER,       /* decide at the end of its headers */
    GATE_AT_BODY,     /* decide when its body begins, or ends without a byte */
    GATE_PROXY,       /* a proxy's, on the way to the response */
    GATE_INTERMEDIATE /* libcurl may go on by itself after this one */
};

struct gate_owner {
    enum gate_opinion (*opinion)(void *context, int status);
    /* Whether the response with STATUS is accepted; its header block is complete. */
    bool (*judge)(void *context, int status);
    /* Puts the program's callbacks in place, for good. */
    void (*hand_back)(void *context);
    /* Body bytes are to come to gate_write from now on. */
    void (*divert_body)(void *context);
    /* A complete block that libcurl may follow; for redirects. */
    void (*intermediate)(void *context, int status);
};

struct gate {
    enum gate_state state;
    const struct options *options; /* the program's callbacks */
    const struct gate_owner *owner;
    void *context;
    bool keep;                 /* keep a rejected response whole, for gate_answer */
    int status;                /* of the block at hand, 0 if none began */
    enum gate_opinion opinion; /* of it */
    bool in_block;             /* between a status line and its blank line */
    bool undecided;            /* a complete block is to be judged when its body begins */
    bool answered;             /* something of a final response has come */
    bool cut;                  /* more came than is swallowed: the gate ended the transfer */
    bool lost;  /* `keep` was asked for, but the response is too large or memory ran out */
    char *held; /* records: struct held_head, then its bytes */
    size_t held_length, held_capacity;
    size_t block;  /* where the block at hand begins */
    size_t cursor; /* of a replay */
    size_t paused; /* bytes of the call that the program paused */
    size_t swallowed;
    size_t body_length;
    char body[COOLDOWN_BODY_LIMIT]; /* the beginning of a rejected body */
};

/* Prepares GATE for an attempt; its memory is kept from the one before. */
void gate_start(struct gate *gate, const struct options *options, const struct gate_owner *owner,
                void *context, bool keep);

/* Frees what GATE owns. */
void gate_clear(struct gate *gate);

/* For CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION, with the gate as their data. */
size_t gate_header(char *data, size_t size, size_t count, void *gate);
size_t gate_write(char *data, size_t size, size_t count, void *gate);

/*
 * The transfer ended well while lines were held: a block that might have been intermediate was
 * the final one. Judges it. Returns false if the program's callback refused what it was given.
 */
bool gate_conclude(struct gate *gate);

/* Hands over what is held, if any, as it is: the transfer ended in an error. */
void gate_flush(struct gate *gate);

/* Calls LINE for each header line of the block at hand. */
void gate_each_line(const struct gate *gate,
                    void (*line)(void *context, const char *text, size_t length), void *context);

/* Whether anything of a final response (not 1xx) has come. */
bool gate_has_response(const struct gate *gate);

/* Whether the gate holds a response, or what has come of it, since its body has not begun. */
bool gate_awaits_body(const struct gate *gate);

/*
 * The kept response, rejected, as bytes of HTTP/1.1 that end with the connection; *LENGTH bytes for
 * free(), or NULL if there is none. Transfer codings and the length are left out: libcurl has
 * taken them off; content codings too if DECODED is set.
 */
char *gate_answer(const struct gate *gate, bool decoded, size_t *length);

#endif
