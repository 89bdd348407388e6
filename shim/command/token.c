#include "shim/command/token.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/credentials.h"

#define JSMN_STATIC
#define JSMN_PARENT_LINKS /* tells the object's own members from those further down */
/* it is not written for these warnings */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

#define MEMBERS_MAX  512  /* JSON tokens that are looked at */
#define PAYLOAD_MAX  8192 /* of a JSON web token, decoded */
#define YEAR_LENGTH  19   /* of "2026-11-20 15:04:05" */
#define UNKNOWN_MS   300000
#define EARLY_MS     300000
#define RETRY_MS     5000
#define RETRY_MAX_MS 60000

/* A JSON object, taken apart. */
struct object {
    const char *text;
    jsmntok_t tokens[MEMBERS_MAX];
    int count;
};

static bool parse_object(struct object *object, const char *text, size_t length) {
    jsmn_parser parser;
    jsmn_init(&parser);
    object->text = text;
    object->count = jsmn_parse(&parser, text, length, object->tokens, MEMBERS_MAX);
    return object->count > 0 && object->tokens[0].type == JSMN_OBJECT;
}

/* The value of the member NAME of OBJECT, or NULL. */
static const jsmntok_t *member(const struct object *object, const char *name) {
    size_t length = strlen(name);
    for (int i = 1; i + 1 < object->count; i++) {
        const jsmntok_t *key = &object->tokens[i], *value = key + 1;
        if (key->parent == 0 && key->type == JSMN_STRING && value->parent == i &&
            (size_t)(key->end - key->start) == length &&
            memcmp(object->text + key->start, name, length) == 0)
            return value;
    }
    return NULL;
}

/* VALUE's text in OUT; false if it is a map, a list, or too long. */
static bool copy_value(const struct object *object, const jsmntok_t *value, char *out,
                       size_t size) {
    if (!value || (value->type != JSMN_STRING && value->type != JSMN_PRIMITIVE))
        return false;
    size_t length = (size_t)(value->end - value->start);
    if (length >= size)
        return false;
    memcpy(out, object->text + value->start, length);
    out[length] = '\0';
    return true;
}

/* Seconds since the epoch in TEXT, perhaps with a fraction; 0 if it is none. */
static time_t read_seconds(const char *text) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12)
        return 0;
    const char *rest = text + digits;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    return *rest ? 0 : (time_t)strtoll(text, NULL, 10);
}

/* The same for local time as az writes it. */
static time_t read_local_time(const char *text) {
    struct tm time = {.tm_isdst = -1};
    if (strlen(text) < YEAR_LENGTH)
        return 0;
    const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &time);
    if (!rest || (*rest && *rest != '.'))
        return 0;
    time_t seconds = mktime(&time);
    return seconds > 0 ? seconds : 0;
}

static int sextet(char c) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_";
    const char *found = memchr(letters, c, sizeof letters - 1);
    return found ? (int)(found - letters) : -1;
}

/* Decodes base64url without padding (RFC 4648, section 5). Returns how many bytes, 0 if none. */
static size_t decode(const char *text, size_t length, char *out, size_t size) {
    unsigned bits = 0, held = 0;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int value = sextet(text[i]);
        if (value < 0 || used == size)
            return 0;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[used++] = (char)(bits >> held & 0xff);
        }
    }
    return used;
}

/* `exp` of a JSON web token, 0 if TEXT is none or has none. */
static time_t expiry_within(const char *text) {
    char payload[PAYLOAD_MAX], value[32];
    struct object object;
    time_t expires = 0;
    if (!credentials_is_token(text))
        return 0;
    const char *start = strchr(text, '.') + 1;
    size_t length = decode(start, strcspn(start, "."), payload, sizeof payload);
    if (parse_object(&object, payload, length) &&
        copy_value(&object, member(&object, "exp"), value, sizeof value))
        expires = read_seconds(value);
    explicit_bzero(payload, sizeof payload);
    return expires;
}

static time_t expiry_beside(const struct object *object) {
    char value[64];
    time_t expires = 0;
    if (copy_value(object, member(object, "expires_on"), value, sizeof value))
        expires = read_seconds(value);
    if (!expires && copy_value(object, member(object, "expiresOn"), value, sizeof value))
        expires = read_local_time(value);
    return expires;
}

static const char *find_in_object(char *output, size_t length, struct token *token) {
    static const char *const names[] = {"accessToken", "access_token", "token"};
    struct object object;
    const jsmntok_t *value = NULL;
    if (!parse_object(&object, output, length))
        return "printed JSON that is none";
    for (size_t i = 0; !value && i < sizeof names / sizeof *names; i++)
        value = member(&object, names[i]);
    if (!value || value->type != JSMN_STRING)
        return "printed JSON without accessToken, access_token or token";
    token->expires = expiry_beside(&object);
    token->text = output + value->start;
    output[value->end] = '\0';
    return NULL;
}

/* Letters, digits and signs: white space means that there is more than a token. */
static bool is_token_text(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
            return false;
    return true;
}

const char *token_find(char *output, size_t length, struct token *token) {
    *token = (struct token){0};
    if (strlen(output) != length)
        return "printed a zero byte";
    while (length > 0 && isspace((unsigned char)output[length - 1]))
        output[--length] = '\0';
    while (isspace((unsigned char)*output)) {
        output++;
        length--;
    }
    if (*output == '{') {
        const char *fault = find_in_object(output, length, token);
        if (fault)
            return fault;
    } else {
        bool quoted = length >= 2 && *output == '"' && output[length - 1] == '"';
        output[length - quoted] = '\0';
        token->text = output + quoted;
    }
    if (!*token->text)
        return "printed nothing";
    if (!is_token_text(token->text))
        return "printed something that is no token";
    if (strlen(token->text) > CREDENTIALS_KEY_MAX)
        return "printed a token of more than 16 KiB";
    if (!token->expires)
        token->expires = expiry_within(token->text);
    return NULL;
}

int64_t token_wait_ms(time_t expires, time_t now) {
    if (!expires)
        return UNKNOWN_MS;
    int64_t life = ((int64_t)expires - now) * 1000;
    int64_t most = life / 5 * 4, early = life - EARLY_MS;
    int64_t wait = most > early ? most : early;
    return wait < 1000 ? 1000 : wait;
}

int64_t token_retry_ms(unsigned failures) {
    int64_t wait = RETRY_MS;
    while (--failures > 0 && wait < RETRY_MAX_MS)
        wait *= 2;
    return wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
}
