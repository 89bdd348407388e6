#include "shim/command/mock_script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/settings.h"

#define REPEAT_MAX  1000000
#define LIMIT_MAX   100000
#define FOUND_SHOWN 20
#define AFTER_MAX   (UINT64_C(1) << 30)

struct cursor {
    const char *start;
    const char *at;
    char *error;
    size_t size;
};

static bool fail_at(const struct cursor *cursor, const char *place, const char *expected) {
    size_t left = strcspn(place, "\n");
    int shown = left > FOUND_SHOWN ? FOUND_SHOWN : (int)left;
    if (*place == '\0')
        snprintf(cursor->error, cursor->size, "at character %zu: found the end, expected %s",
                 (size_t)(place - cursor->start) + 1, expected);
    else
        snprintf(cursor->error, cursor->size, "at character %zu: found '%.*s%s', expected %s",
                 (size_t)(place - cursor->start) + 1, shown, place, left > FOUND_SHOWN ? "..." : "",
                 expected);
    return false;
}

static void skip_spaces(struct cursor *cursor) {
    while (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\n')
        cursor->at++;
}

/* Decimal digits alone; LENGTH may be 0, which is no number. */
static bool number(const char *text, size_t length, uint64_t most, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
        if (value > most)
            return false;
    }
    *out = value;
    return length > 0;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static bool parse_outcome(struct cursor *cursor, struct mock_step *step) {
    static const struct {
        const char *word;
        enum mock_action action;
        int status;
    } actions[] = {{"cut", MOCK_CUT, 200},   {"stall", MOCK_STALL, 200},
                   {"slow", MOCK_SLOW, 200}, {"trickle", MOCK_TRICKLE, 200},
                   {"reset", MOCK_RESET, 0}, {"close", MOCK_CLOSE, 0},
                   {"hang", MOCK_HANG, 0}};
    const char *text = cursor->at;
    size_t length = strcspn(text, ",:* \t\n");
    uint64_t status = 0;
    cursor->at += length;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (is_word(text, length, actions[i].word)) {
            step->action = actions[i].action;
            step->status = actions[i].status;
            return true;
        }
    if (!number(text, length, 599, &status) || status < 100 || status == 101)
        return fail_at(
            cursor, text,
            "a status from 100 to 599 (not 101), reset, close, hang, cut, stall, slow or "
            "trickle");
    step->action = MOCK_REPLY;
    step->status = status < 200 ? 200 : (int)status;
    step->interim = status < 200 ? (int)status : 0;
    return true;
}

/* At a '*', or at anything else, which is no repeat. */
static bool parse_repeat(struct cursor *cursor, struct mock_step *step, bool *given) {
    if (*cursor->at != '*')
        return true;
    if (*given)
        return fail_at(cursor, cursor->at, "one repeat in a step");
    *given = true;
    const char *text = ++cursor->at;
    size_t length = strcspn(text, ",:* \t\n");
    cursor->at += length;
    step->repeat = 0;
    if (length == 0)
        return true;
    if (!number(text, length, REPEAT_MAX, &step->repeat) || step->repeat == 0)
        return fail_at(cursor, text, "a number from 1 to 1000000 after '*'");
    return true;
}

/* Gives the value at the cursor in *VALUE, for free(). */
static bool parse_value(struct cursor *cursor, char **value) {
    const char *text = cursor->at;
    size_t length;
    if (*text == '"' || *text == '\'') {
        const char *end = strchr(text + 1, *text);
        if (end == NULL)
            return fail_at(cursor, text, "a closing quote");
        length = (size_t)(end - ++text);
        cursor->at = end + 1;
    } else {
        length = strcspn(text, ",:*");
        cursor->at += length;
        while (length > 0 && text[length - 1] == ' ')
            length--;
    }
    *value = strndup(text, length);
    return *value != NULL;
}

static bool is_token(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("!#$%&+-.^_`|~", text[i]) == NULL)
            return false;
    return length > 0;
}

/* Headers that say where the body ends: theirs is the server's job. */
static bool is_framing(const char *name, size_t length) {
    static const char *const names[] = {"content-length", "transfer-encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == length && strncasecmp(name, names[i], length) == 0)
            return true;
    return false;
}

/* Takes VALUE over, also when it fails. */
static bool add_header(struct cursor *cursor, struct mock_step *step, const char *name,
                       size_t length, char *value) {
    struct mock_header *more;
    bool printable = *value != '\0';
    for (const char *c = value; *c != '\0'; c++)
        printable = printable && (unsigned char)*c >= ' ' && *c != 0x7f;
    if (!printable || is_framing(name, length)) {
        free(value);
        return fail_at(cursor, name,
                       printable ? "a header other than content-length and transfer-encoding"
                                 : "a header with a value in printable characters");
    }
    more = realloc(step->headers, (step->header_count + 1) * sizeof *more);
    if (more != NULL) {
        step->headers = more;
        more[step->header_count].value = value;
        more[step->header_count++].name = strndup(name, length);
        return more[step->header_count - 1].name != NULL;
    }
    free(value);
    return false;
}

static bool set_latency(struct cursor *cursor, struct mock_step *step, const char *name,
                        const char *value) {
    step->has_latency = true;
    return settings_parse_duration(value, &step->latency_ns) ||
           fail_at(cursor, name, "latency=DURATION such as 50ms, 2s or 1m");
}

static bool set_interim(struct cursor *cursor, struct mock_step *step, const char *name,
                        const char *value) {
    uint64_t status = 0;
    if (!number(value, strlen(value), 199, &status) || status < 100 || status == 101)
        return fail_at(cursor, name, "interim=STATUS from 100 to 199 (not 101)");
    step->interim = (int)status;
    return true;
}

static bool set_after(struct cursor *cursor, struct mock_step *step, const char *name,
                      const char *value) {
    if (step->action != MOCK_CUT && step->action != MOCK_STALL)
        return fail_at(cursor, name, "after= with cut and stall alone");
    step->has_after = true;
    return number(value, strlen(value), AFTER_MAX, &step->after) ||
           fail_at(cursor, name, "after=BYTES up to 1073741824");
}

static bool set_interval(struct cursor *cursor, struct mock_step *step, const char *name,
                         const char *value) {
    if (step->action != MOCK_SLOW && step->action != MOCK_TRICKLE)
        return fail_at(cursor, name, "interval= with slow and trickle alone");
    return (settings_parse_duration(value, &step->interval_ns) && step->interval_ns > 0) ||
           fail_at(cursor, name, "interval=DURATION above 0 such as 50ms or 2s");
}

/* A name and the value after its '='. Takes VALUE over. */
static bool set_option(struct cursor *cursor, struct mock_step *step, const char *name,
                       size_t length, char *value) {
    bool fine;
    if (is_word(name, length, "latency")) {
        fine = set_latency(cursor, step, name, value);
    } else if (step->status == 0) {
        fine = fail_at(cursor, name, "no option but latency=, for this step has no response");
    } else if (is_word(name, length, "interim")) {
        fine = set_interim(cursor, step, name, value);
    } else if (is_word(name, length, "after")) {
        fine = set_after(cursor, step, name, value);
    } else if (is_word(name, length, "interval")) {
        fine = set_interval(cursor, step, name, value);
    } else if (is_word(name, length, "body")) {
        free(step->body);
        step->body = value;
        return true;
    } else {
        return add_header(cursor, step, name, length, value);
    }
    free(value);
    return fine;
}

static bool set_flag(struct cursor *cursor, struct mock_step *step, const char *name,
                     size_t length) {
    static const struct {
        const char *word;
        int status;
        enum mock_cause cause;
    } flags[] = {{"quota", 429, MOCK_QUOTA},
                 {"too-large", 429, MOCK_TOO_LARGE},
                 {"content-filter", 400, MOCK_USUAL},
                 {"not-json", 400, MOCK_NOT_JSON},
                 {"no-model", 400, MOCK_NO_MODEL},
                 {"no-key", 401, MOCK_NO_KEY},
                 {"no-resource", 404, MOCK_NO_RESOURCE}};
    char expected[64];
    size_t i = 0;
    while (i < sizeof flags / sizeof *flags && !is_word(name, length, flags[i].word))
        i++;
    if (i == sizeof flags / sizeof *flags)
        return fail_at(cursor, name,
                       "header=value, body=, latency=, interim=, after=, interval=, quota, "
                       "too-large, content-filter, not-json, no-model, no-key or no-resource");
    step->cause = flags[i].cause;
    snprintf(expected, sizeof expected, "%s with %d alone", flags[i].word, flags[i].status);
    return step->status == flags[i].status || fail_at(cursor, name, expected);
}

static bool parse_option(struct cursor *cursor, struct mock_step *step) {
    const char *name = ++cursor->at;
    size_t length = strcspn(name, ",:*=\"'");
    char *value = NULL;
    cursor->at += length;
    if (*cursor->at != '=')
        return set_flag(cursor, step, name, length);
    if (!is_token(name, length))
        return fail_at(cursor, name, "the name of a header before '='");
    cursor->at++;
    return parse_value(cursor, &value) && set_option(cursor, step, name, length, value);
}

static bool parse_step(struct cursor *cursor, struct mock_step *step) {
    bool repeated = false;
    step->repeat = 1;
    skip_spaces(cursor);
    const char *start = cursor->at;
    if (!parse_outcome(cursor, step) || !parse_repeat(cursor, step, &repeated))
        return false;
    while (*cursor->at == ':')
        if (!parse_option(cursor, step))
            return false;
    if (!parse_repeat(cursor, step, &repeated))
        return false;
    skip_spaces(cursor);
    if (*cursor->at != ',' && *cursor->at != '\0')
        return fail_at(cursor, cursor->at, "',' and the next step, or the end");
    if (*cursor->at == ',' && step->repeat == 0)
        return fail_at(cursor, start,
                       "a number after '*', for only the last step goes on for ever");
    return true;
}

bool mock_script_parse(const char *text, struct mock_script *script, char *error, size_t size) {
    struct cursor cursor = {.start = text, .at = text, .error = error, .size = size};
    memset(script, 0, sizeof *script);
    snprintf(error, size, "no memory left");
    for (;;) {
        struct mock_step *more = realloc(script->steps, (script->count + 1) * sizeof *more);
        if (more == NULL) {
            mock_script_free(script);
            return false;
        }
        script->steps = more;
        memset(&more[script->count], 0, sizeof *more);
        if (!parse_step(&cursor, &more[script->count++])) {
            mock_script_free(script);
            return false;
        }
        if (*cursor.at++ == '\0')
            return true;
    }
}

const struct mock_step *mock_script_next(struct mock_script *script) {
    if (script->count == 0)
        return NULL;
    const struct mock_step *step = &script->steps[script->position];
    if (step->repeat != 0 && script->used >= step->repeat && script->position + 1 < script->count) {
        step = &script->steps[++script->position];
        script->used = 0;
    }
    script->used++;
    return step;
}

const char *mock_step_header(const struct mock_step *step, const char *name) {
    for (size_t i = 0; i < step->header_count; i++)
        if (strcasecmp(step->headers[i].name, name) == 0)
            return step->headers[i].value;
    return NULL;
}

bool mock_step_has_wait(const struct mock_step *step) {
    static const char *const starts[] = {"retry-after", "x-ms-retry-after", "x-ratelimit-reset",
                                         "x-rate-limit-reset"};
    for (size_t i = 0; i < step->header_count; i++)
        for (size_t j = 0; j < sizeof starts / sizeof *starts; j++)
            if (strncasecmp(step->headers[i].name, starts[j], strlen(starts[j])) == 0)
                return true;
    return false;
}

void mock_script_free(struct mock_script *script) {
    for (size_t i = 0; i < script->count; i++) {
        struct mock_step *step = &script->steps[i];
        for (size_t j = 0; j < step->header_count; j++) {
            free(step->headers[j].name);
            free(step->headers[j].value);
        }
        free(step->headers);
        free(step->body);
    }
    free(script->steps);
    memset(script, 0, sizeof *script);
}

bool mock_limit_parse(const char *text, struct mock_limit *limit) {
    char window[32];
    size_t length = strcspn(text, "/");
    uint64_t count = 0;
    memset(limit, 0, sizeof *limit);
    if (text[length] != '/' || !number(text, length, LIMIT_MAX, &count) || count == 0)
        return false;
    const char *unit = text + length + 1;
    int written =
        snprintf(window, sizeof window, "%s%s", isalpha((unsigned char)*unit) ? "1" : "", unit);
    if (written < 0 || (size_t)written >= sizeof window ||
        !settings_parse_duration(window, &limit->window_ns) || limit->window_ns == 0)
        return false;
    limit->times = calloc(count, sizeof *limit->times);
    limit->count = limit->times == NULL ? 0 : (unsigned)count;
    return limit->times != NULL;
}

bool mock_limit_take(struct mock_limit *limit, uint64_t now_ns, uint64_t *wait_ns) {
    if (limit->count == 0)
        return true;
    while (limit->used > 0 && now_ns - limit->times[limit->oldest] >= limit->window_ns) {
        limit->oldest = (limit->oldest + 1) % limit->count;
        limit->used--;
    }
    if (limit->used == limit->count) {
        *wait_ns = limit->window_ns - (now_ns - limit->times[limit->oldest]);
        return false;
    }
    limit->times[(limit->oldest + limit->used++) % limit->count] = now_ns;
    return true;
}

void mock_limit_free(struct mock_limit *limit) {
    free(limit->times);
    memset(limit, 0, sizeof *limit);
}
