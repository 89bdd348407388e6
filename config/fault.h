/*
 * A fault: what a drill lets happen to attempts on a backend instead of asking it.
 *
 *   fault   = where ":" kind *option
 *   where   = [ ENDPOINT "/" ] ( BACKEND | "*" )
 *   kind    = STATUS [cause] *( header "=" value )
 *           | "refused" | "dns" | "tls" | "reset" | "silence" | "silence-body"
 *           | "cut" [["after"] BYTES] | "stall" [["after"] BYTES] | "trickle" [DURATION]
 *   cause   = "quota" | "too-large" | "content-filter" | "no-key" | "no-resource"
 *           | "not-json" | "no-model"
 *   option  = NUMBER "%" | "every" N | "for" DURATION | "for" N "attempts"
 *           | "after" DURATION | "after" N "attempts"
 *   value   = text without blanks | "'" text "'" | '"' text '"'
 *
 * Plain words for these are read as well: "connection refused", "dns failure", "reset before
 * headers", "silence before the first body byte", "stream cut after 200 bytes", "429 with
 * retry-after=5", "for 2 minutes". Options may come in any order, each once; case counts in names
 * and values alone. `body=TEXT` and `latency=DURATION` may stand among the headers.
 *
 * Pure functions, thread-safe, independent of the locale.
 */
#ifndef SPILLWAY_CONFIG_FAULT_H
#define SPILLWAY_CONFIG_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

#define FAULTS_MAX      64  /* in one drill */
#define FAULT_TEXT_MAX  500 /* bytes of one fault */
#define FAULT_NAME_SIZE 64
#define FAULT_STEP_SIZE 600

enum fault_kind {
    FAULT_STATUS,       /* a whole response, mostly of a status that fails */
    FAULT_REFUSED,      /* nobody takes the connection */
    FAULT_DNS,          /* the backend's name can't be looked up */
    FAULT_TLS,          /* the handshake fails */
    FAULT_RESET,        /* the connection is reset after the request, before a header */
    FAULT_SILENCE,      /* the request is taken, and nothing comes */
    FAULT_SILENCE_BODY, /* the headers come, and then nothing */
    FAULT_CUT,          /* the connection ends within the body */
    FAULT_STALL,        /* the body begins, and goes on no more */
    FAULT_TRICKLE,      /* the body comes in pieces of 16 bytes, DURATION (100 ms) apart */
    FAULT_KINDS
};

/* A struct of plain values: nothing to free. */
struct fault {
    enum fault_kind kind;
    int status;                     /* what the attempt sees: 200 to 599; 0: no response */
    char text[FAULT_TEXT_MAX + 1];  /* as it was written */
    char endpoint[FAULT_NAME_SIZE]; /* "": any */
    char backend[FAULT_NAME_SIZE];  /* "": all */
    char step[FAULT_STEP_SIZE];     /* of a mock's script, that acts it out; "" for FAULT_REFUSED,
                                       FAULT_DNS and FAULT_TLS */
    uint32_t rate;                  /* parts per million, 1 to 1000000 */
    uint64_t every;                 /* the Nth, 2Nth ... attempt; 1: all */
    uint64_t after_ns, for_ns;      /* since the drill began; UINT64_MAX: for ever */
    uint64_t after_attempts;        /* so many pass first ... */
    uint64_t for_attempts;          /* ... and of so many after them it is a matter at all;
                                       UINT64_MAX: of all */
};

struct fault_error {
    size_t column;     /* of the text, in bytes from 1 */
    char message[400]; /* "found X, expected Y" and perhaps "; did you mean 'Z'?" */
};

/* Reads TEXT into *FAULT. Returns false with *ERROR filled if it is none. */
bool fault_parse(const char *text, struct fault *fault, struct fault_error *error);

/* Whether SETTINGS have a backend that FAULT means. Returns false with *ERROR filled if not. */
bool fault_check(const struct fault *fault, const struct settings *settings,
                 struct fault_error *error);

/* Whether FAULT means BACKEND of ENDPOINT, by their names. */
bool fault_means(const struct fault *fault, const char *endpoint, const char *backend);

/* The kind's word in the grammar, such as "silence-body"; "status" for FAULT_STATUS. */
const char *fault_kind_name(enum fault_kind kind);

#endif
