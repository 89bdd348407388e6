#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/doctor.h"
#include "shim/object.h"

/* What the files say, in one word more than `enum reach` has. */
enum outcome {
    OUTCOME_REACHED,
    OUTCOME_MODULES,
    OUTCOME_STARTED,
    OUTCOME_MISSED_MODULES,
    OUTCOME_BUILT_IN,
    OUTCOME_LATE,
    OUTCOME_NONE,
    OUTCOME_ASAN,
    OUTCOME_MISSING,
    OUTCOME_OUTSIDE, /* no preload can work */
};

/* What holds for requests that no libcurl makes. */
#define BY_SOCKETS                                                                                 \
    "Other requests to endpoints' http:// URLs go through the relay (not with sockets: off); "     \
    "https:// ones go where they went before, unless the settings say relay: {tls: on}. "          \
    "Programs that it starts are reached or not on their own."

static const struct {
    const char *verdict, *expect;
} outcomes[] = {
    [OUTCOME_REACHED] = {"reached",
                         "Its requests to configured endpoints are spread over their backends."},
    [OUTCOME_MODULES] = {"reached in some modules",
                         "Requests by those modules are spread over the backends. " BY_SOCKETS},
    [OUTCOME_STARTED] = {"reached in what it starts",
                         "Each program that it starts is reached or not on its own: ask about that "
                         "program, curl say."},
    [OUTCOME_MISSED_MODULES] = {"reached through the relay", BY_SOCKETS},
    [OUTCOME_BUILT_IN] = {"reached through the relay",
                          "Its calls to that libcurl can't be seen. " BY_SOCKETS},
    [OUTCOME_LATE] = {"reached through the relay, as far as its file tells",
                      "If it fetches libcurl's functions by dlsym, its calls can't be "
                      "seen. " BY_SOCKETS},
    [OUTCOME_NONE] = {"reached through the relay", BY_SOCKETS},
    [OUTCOME_ASAN] = {"refuses preloads",
                      "It ends at its start, unless ASAN_OPTIONS has verify_asan_link_order=0 or "
                      "it is linked with -static-libasan."},
    [OUTCOME_MISSING] =
        {"can't start as it is",
         "It starts when the missing libraries are there, or LD_LIBRARY_PATH leads to them."},
};

/* A line of the report. Names come from files that nobody vouches for. */
__attribute__((format(printf, 3, 4))) static void put(FILE *out, const char *label,
                                                      const char *format, ...) {
    char *text = NULL;
    va_list values;
    va_start(values, format);
    int length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0)
        return;
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    fprintf(out, "%-8s %s\n", label, text);
    free(text);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* gcc's and clang's shared AddressSanitizer, which has to be the first library of all. */
static bool is_asan(const char *name) {
    return strncmp(name, "libasan.so", 10) == 0 ||
           (strncmp(name, "libclang_rt.asan", 16) == 0 && strstr(name, ".so"));
}

static enum outcome judge(const struct diagnosis *diagnosis) {
    bool needs = false, missing = false, asan = false;
    const struct language *language = diagnosis->language;
    if (diagnosis->reach != REACH_YES)
        return OUTCOME_OUTSIDE;
    for (size_t i = 1; i < diagnosis->libraries.count; i++) {
        const struct library *library = &diagnosis->libraries.list[i];
        needs |= object_is_libcurl(base_name(library->name));
        asan |= is_asan(library->name);
        missing |= !library->path;
    }
    if (missing)
        return OUTCOME_MISSING;
    if (asan)
        return OUTCOME_ASAN;
    if (needs)
        return OUTCOME_REACHED;
    if (language)
        return language->modules == MODULES_REACHED   ? OUTCOME_MODULES
               : language->modules == MODULES_STARTED ? OUTCOME_STARTED
                                                      : OUTCOME_MISSED_MODULES;
    if (diagnosis->marks.contains || diagnosis->container)
        return OUTCOME_BUILT_IN;
    return *diagnosis->marks.loads ? OUTCOME_LATE : OUTCOME_NONE;
}

static void print_kind(const struct diagnosis *diagnosis, FILE *out) {
    const char *reason = reach_describe(diagnosis->reach);
    if (diagnosis->reach == REACH_FOREIGN)
        put(out, "kind", "%s", diagnosis->machine);
    else if (reason)
        put(out, "kind", "%s, %s", diagnosis->machine, reason);
    else
        put(out, "kind", "%s, dynamically linked%s", diagnosis->machine,
            diagnosis->privileged ? ", setuid or setgid (not reached for other users)" : "");
}

/* A libcurl that the loader brings. */
static void print_needed(const struct diagnosis *diagnosis, const struct library *library,
                         const char *label, FILE *out) {
    const struct library *parent = &diagnosis->libraries.list[library->parent];
    struct marks marks = {0};
    if (library->path)
        marks_read(library->path, &marks);
    put(out, label, "%s%s%s, needed %s%s, %s", base_name(library->name), *marks.version ? " " : "",
        marks.version, library->parent > 0 ? "by " : "directly",
        library->parent > 0 ? base_name(parent->name) : "",
        library->path ? library->path : "not found");
}

static void print_libcurl(const struct diagnosis *diagnosis, FILE *out) {
    const struct marks *marks = &diagnosis->marks;
    const char *label = "libcurl";
    for (size_t i = 1; i < diagnosis->libraries.count; i++) {
        if (!object_is_libcurl(base_name(diagnosis->libraries.list[i].name)))
            continue;
        print_needed(diagnosis, &diagnosis->libraries.list[i], label, out);
        label = "";
    }
    if (!*label)
        return;
    if (marks->contains)
        put(out, label, "seems to be linked into it%s%s", *marks->version ? ": " : "",
            marks->version);
    else if (diagnosis->container)
        put(out, label, "seems to be linked into %s", diagnosis->container);
    else if (*marks->loads)
        put(out, label, "none needed at the start; the file names %s", marks->loads);
    else
        put(out, label, "none needed at the start");
}

static void print_missing(const struct diagnosis *diagnosis, FILE *out) {
    const char *label = "missing";
    for (size_t i = 1; i < diagnosis->libraries.count; i++) {
        const struct library *library = &diagnosis->libraries.list[i];
        if (library->path)
            continue;
        put(out, label, "%s, needed by %s", library->name,
            diagnosis->libraries.list[library->parent].name);
        label = "";
    }
}

void doctor_print(const struct diagnosis *diagnosis, FILE *out) {
    enum outcome outcome = judge(diagnosis);
    put(out, "program", "%s", diagnosis->program);
    if (*diagnosis->runners)
        put(out, "run by", "%s", diagnosis->runners);
    print_kind(diagnosis, out);
    print_libcurl(diagnosis, out);
    print_missing(diagnosis, out);
    for (size_t i = 0; outcome != OUTCOME_OUTSIDE && diagnosis->language && i < LANGUAGE_LINES &&
                       diagnosis->language->lines[i];
         i++)
        put(out, i == 0 ? "modules" : "", "%s", diagnosis->language->lines[i]);
    if (outcome != OUTCOME_OUTSIDE) {
        put(out, "verdict", "%s", outcomes[outcome].verdict);
        put(out, "expect", "%s", outcomes[outcome].expect);
        return;
    }
    put(out, "verdict", "not reached");
    put(out, "expect",
        "It is %s: it runs as it is, and its requests go where they went before%s 'spillway relay "
        "--listen' serves it as its base URL.",
        reach_describe(diagnosis->reach),
        reach_tolerates_preload(diagnosis->reach)
            ? "."
            : "; programs that it starts aren't reached either.");
}
