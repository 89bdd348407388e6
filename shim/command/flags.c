#include "shim/command/flags.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/launch.h"

/* The name under which the text goes to the loader. */
#define TEXT_NAME "command line"

/* Where a complaint goes. */
struct complaint {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static bool complain(const struct complaint *to,
                                                           const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(to->text, to->size, format, values);
    va_end(values);
    return false;
}

/* What may follow the URL of a backend, and how its value is written in the settings. */
enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_PATH, VALUE_VARIABLE };
static const struct {
    const char *name;
    enum value_kind kind;
} attributes[] = {{"key_env", VALUE_VARIABLE}, {"key_file", VALUE_PATH},
                  {"weight", VALUE_NUMBER},    {"name", VALUE_TEXT},
                  {"dialect", VALUE_TEXT},     {"api_version", VALUE_TEXT}};
#define ATTRIBUTE_COUNT  (sizeof attributes / sizeof *attributes)
#define ATTRIBUTES_KNOWN "key_env, key_file, weight, name, dialect or api_version"

/* Writes a double-quoted scalar (YAML 1.1, section 5.6): nothing in it means anything else. */
static void write_quoted(FILE *out, const char *text, size_t length) {
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static bool is_number(const char *text, size_t length) {
    return length > 0 && length <= 9 && strspn(text, "0123456789") >= length;
}

static bool write_path(FILE *out, const char *text, size_t length, const struct complaint *to) {
    char path[PATH_MAX], absolute[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%.*s", (int)length, text) >= sizeof path ||
        !launch_absolute(path, absolute, sizeof absolute))
        return complain(to, "--backend: key_file= names too long a path");
    write_quoted(out, absolute, strlen(absolute));
    return true;
}

/* As POSIX has it; what is none may well be a key in the wrong place. */
static bool is_variable(const char *text, size_t length) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz0123456789";
    return length > 0 && strspn(text, letters) >= length && !(*text >= '0' && *text <= '9');
}

static bool write_value(FILE *out, size_t attribute, const char *value, size_t length,
                        const struct complaint *to) {
    const char *name = attributes[attribute].name;
    if (length == 0)
        return complain(to, "--backend: found %s= without a value", name);
    fprintf(out, ", %s: ", name);
    switch (attributes[attribute].kind) {
    case VALUE_PATH:
        return write_path(out, value, length, to);
    case VALUE_NUMBER:
        if (!is_number(value, length))
            return complain(to, "--backend: found %s=%.*s, expected a whole number", name,
                            (int)length, value);
        fprintf(out, "%.*s", (int)length, value);
        return true;
    case VALUE_VARIABLE:
        if (!is_variable(value, length))
            return complain(
                to, "--backend: expected the name of an environment variable after %s=", name);
        break;
    case VALUE_TEXT:
        break;
    }
    write_quoted(out, value, length);
    return true;
}

static bool same_word(const char *word, const char *text, size_t length) {
    return strlen(word) == length && memcmp(word, text, length) == 0;
}

/* ITEM of LENGTH bytes is NAME=VALUE. No complaint may quote the value: it may be a key. */
static bool write_attribute(FILE *out, const char *item, size_t length, bool *seen,
                            const struct complaint *to) {
    const char *equals = memchr(item, '=', length);
    if (!equals)
        return complain(to, "--backend: found a ',' without NAME=VALUE behind it, expected "
                            "NAME=VALUE (a comma in a URL is written %%2C)");
    size_t name_length = (size_t)(equals - item);
    if (same_word("key", item, name_length) || same_word("api_key", item, name_length))
        return complain(to,
                        "--backend: found %.*s=, but a key on the command line is visible to "
                        "everyone; expected key_env=VARIABLE or key_file=PATH",
                        (int)name_length, item);
    size_t i = 0;
    while (i < ATTRIBUTE_COUNT && !same_word(attributes[i].name, item, name_length))
        i++;
    if (i == ATTRIBUTE_COUNT)
        return complain(to, "--backend: found '%.*s=', expected " ATTRIBUTES_KNOWN,
                        (int)name_length, item);
    if (seen[i])
        return complain(to, "--backend: found %s= twice, expected it once", attributes[i].name);
    seen[i] = true;
    return write_value(out, i, equals + 1, length - name_length - 1, to);
}

/* VALUE is PRIORITY=URL[,NAME=VALUE...]. */
static bool write_backend(FILE *out, const char *value, const struct complaint *to) {
    const char *equals = strchr(value, '=');
    if (!equals || !is_number(value, (size_t)(equals - value)))
        return complain(to, "--backend: expected PRIORITY=URL with a whole number as PRIORITY, as "
                            "in 1=https://host.example");
    const char *url = equals + 1;
    size_t length = strcspn(url, ",");
    if (length == 0)
        return complain(to, "--backend: found no URL after '%.*s=', expected PRIORITY=URL",
                        (int)(equals - value), value);
    fprintf(out, "{priority: %.*s, url: ", (int)(equals - value), value);
    write_quoted(out, url, length);
    bool seen[ATTRIBUTE_COUNT] = {false};
    for (const char *item = url + length; *item == ',';) {
        length = strcspn(++item, ",");
        if (!write_attribute(out, item, length, seen, to))
            return false;
        item += length;
    }
    fputs("},\n", out);
    return true;
}

static void write_endpoint(FILE *out, const struct flags *flags, const char *url, bool first) {
    fputs(first ? "{url: " : "]}, {url: ", out);
    write_quoted(out, url, strlen(url));
    if (flags->strategy)
        fprintf(out, ", strategy: %s", flags->strategy);
    if (flags->on_exhausted)
        fprintf(out, ", on_exhausted: %s", flags->on_exhausted);
    fputs(", backends: [\n", out);
}

static bool write_flags(FILE *out, const struct flags *flags, const struct complaint *to) {
    fputs("endpoints: [\n", out);
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->list[i];
        if (!flag->endpoint) {
            if (i == 0)
                return complain(to, "--backend: expected an --endpoint before it");
            if (!write_backend(out, flag->value, to))
                return false;
            continue;
        }
        if (i + 1 == flags->count || flags->list[i + 1].endpoint)
            return complain(to, "--endpoint: expected at least one --backend after it");
        write_endpoint(out, flags, flag->value, i == 0);
    }
    fputs("]}]\n", out);
    return true;
}

static const char *strategy_word(unsigned i) {
    return i <= STRATEGY_FIRST ? settings_strategy_name((enum strategy)i) : NULL;
}

static const char *exhausted_word(unsigned i) {
    return i <= EXHAUSTED_WAIT ? settings_exhausted_name((enum exhausted_policy)i) : NULL;
}

/* Whether VALUE is one of the words that WORD gives for 0, 1, ... up to NULL. */
static bool check_word(const char *option, const char *value, const char *(*word)(unsigned),
                       const struct complaint *to) {
    char known[100];
    size_t length = 0;
    if (!value)
        return true;
    known[0] = '\0';
    for (unsigned i = 0; word(i); i++) {
        if (strcmp(value, word(i)) == 0)
            return true;
        const char *between = i == 0 ? "" : word(i + 1) ? ", " : " or ";
        int count = snprintf(known + length, sizeof known - length, "%s%s", between, word(i));
        length += count > 0 ? (size_t)count : 0;
        if (length >= sizeof known)
            break;
    }
    return complain(to, "%s: found '%s', expected %s", option, value, known);
}

char *flags_text(const struct flags *flags, char *message, size_t size) {
    const struct complaint to = {message, size};
    char *text = NULL;
    size_t length = 0;
    if (!check_word("--strategy", flags->strategy, strategy_word, &to) ||
        !check_word("--on-exhausted", flags->on_exhausted, exhausted_word, &to))
        return NULL;
    FILE *out = open_memstream(&text, &length);
    bool good = out && write_flags(out, flags, &to);
    if (!out || (fclose(out) != 0 && good)) {
        complain(&to, "out of memory");
        good = false;
    }
    if (good)
        return text;
    free(text);
    return NULL;
}

struct settings *flags_load(const struct flags *flags, const char *text, char *message,
                            size_t size) {
    struct settings_error error;
    struct settings *settings = settings_load_text(TEXT_NAME, text, strlen(text), &error);
    if (settings)
        return settings;
    unsigned nth = 0;
    bool endpoint = false;
    for (size_t i = 0; error.line >= 2 && i < flags->count && i <= error.line - 2; i++)
        endpoint = flags->list[i].endpoint;
    for (size_t i = 0; error.line >= 2 && i < flags->count && i <= error.line - 2; i++)
        nth += flags->list[i].endpoint == endpoint;
    if (nth > 0)
        snprintf(message, size, "%s %u: %s", endpoint ? "--endpoint" : "--backend", nth,
                 error.message);
    else
        snprintf(message, size, "--endpoint and --backend: %s", error.message);
    return NULL;
}
