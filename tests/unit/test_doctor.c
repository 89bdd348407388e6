#include <criterion/criterion.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/doctor.h"

static char directory[] = "/tmp/spillway-doctor.XXXXXX";

static void setup(void) {
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

static void teardown(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(doctor, .init = setup, .fini = teardown);

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0755), 0);
}

static void write_text(const char *path, const char *text) {
    write_file(path, text, strlen(text));
}

/* An ELF file of our machine's kind, as far as anybody looks into it without running it. */
struct wanted {
    const char *interpreter, *soname, *rpath, *runpath;
    const char *needed[4];
    int type, machine; /* 0: ET_DYN, ours */
};

struct made {
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[3];
    ElfW(Dyn) dynamic[12];
    char strings[1024];
};

static size_t add_string(struct made *made, size_t *used, const char *text) {
    size_t place = *used;
    *used += (size_t)snprintf(made->strings + place, sizeof made->strings - place, "%s", text) + 1;
    cr_assert_leq(*used, sizeof made->strings);
    return place;
}

static ElfW(Dyn) *
    add_entry(struct made *made, ElfW(Dyn) * entry, size_t *used, int tag, const char *text) {
    if (!text)
        return entry;
    entry->d_tag = tag;
    entry->d_un.d_val = add_string(made, used, text);
    return entry + 1;
}

static void make_object(const char *path, struct wanted wanted) {
    struct made made;
    memset(&made, 0, sizeof made);
    FILE *own = fopen("/proc/self/exe", "r");
    cr_assert_not_null(own);
    cr_assert_eq(fread(&made.header, sizeof made.header, 1, own), 1);
    fclose(own);
    size_t used = 1;
    ElfW(Dyn) *entry = made.dynamic;
    entry->d_tag = DT_STRTAB;
    entry++->d_un.d_ptr = offsetof(struct made, strings);
    for (size_t i = 0; i < 4; i++)
        entry = add_entry(&made, entry, &used, DT_NEEDED, wanted.needed[i]);
    entry = add_entry(&made, entry, &used, DT_SONAME, wanted.soname);
    entry = add_entry(&made, entry, &used, DT_RPATH, wanted.rpath);
    add_entry(&made, entry, &used, DT_RUNPATH, wanted.runpath);
    made.header.e_type = (ElfW(Half))(wanted.type ? wanted.type : ET_DYN);
    if (wanted.machine)
        made.header.e_machine = (ElfW(Half))wanted.machine;
    made.header.e_phoff = offsetof(struct made, segments);
    made.header.e_phentsize = sizeof(ElfW(Phdr));
    made.header.e_phnum = wanted.interpreter ? 3 : 2;
    made.segments[0] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_filesz = sizeof made};
    made.segments[1] = (ElfW(Phdr)){.p_type = PT_DYNAMIC,
                                    .p_offset = offsetof(struct made, dynamic),
                                    .p_filesz = sizeof made.dynamic};
    if (wanted.interpreter) {
        size_t place = add_string(&made, &used, wanted.interpreter);
        made.segments[2] = (ElfW(Phdr)){.p_type = PT_INTERP,
                                        .p_offset = offsetof(struct made, strings) + place,
                                        .p_filesz = strlen(wanted.interpreter) + 1};
    }
    write_file(path, &made, sizeof made);
}

#define LOADER "/lib64/ld-linux-x86-64.so.2"

static void make_library(const char *path) {
    make_object(path, (struct wanted){.soname = "lib"});
}

static void append(const char *path, const char *text) {
    FILE *file = fopen(path, "a");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* Where LIBRARIES has NAME, without the directory of the test; "-" if nowhere. */
static const char *found(const struct libraries *libraries, const char *name) {
    for (size_t i = 1; i < libraries->count; i++) {
        const char *path = libraries->list[i].path;
        if (strcmp(libraries->list[i].name, name) != 0)
            continue;
        if (!path)
            return "-";
        size_t length = strlen(directory);
        return strncmp(path, directory, length) == 0 ? path + length + 1 : path;
    }
    return "absent";
}

static struct libraries load(const char *path, const char *environment) {
    struct libraries libraries;
    char absolute[PATH_MAX];
    snprintf(absolute, sizeof absolute, "%s/%s", directory, path);
    cr_assert(libraries_load(&libraries, absolute, environment));
    return libraries;
}

static void make_directories(void) {
    cr_assert_eq(mkdir("a", 0755), 0);
    cr_assert_eq(mkdir("b", 0755), 0);
    cr_assert_eq(mkdir("c", 0755), 0);
}

Test(doctor, libraries_come_in_the_loaders_order_once_each) {
    make_directories();
    make_object("program", (struct wanted){.runpath = "$ORIGIN/a", .needed = {"x.so", "y.so"}});
    make_object("a/x.so", (struct wanted){.runpath = "${ORIGIN}", .needed = {"z.so", "x.so"}});
    make_object("a/y.so", (struct wanted){.needed = {"z.so", "x.so"}});
    make_library("a/z.so");
    struct libraries libraries = load("program", NULL);
    cr_assert_eq(libraries.count, 4);
    cr_expect_str_eq(libraries.list[1].name, "x.so");
    cr_expect_str_eq(libraries.list[2].name, "y.so");
    cr_expect_str_eq(libraries.list[3].name, "z.so");
    cr_expect_eq(libraries.list[3].parent, 1);
    cr_expect_str_eq(found(&libraries, "z.so"), "a/z.so");
    libraries_free(&libraries);
}

Test(doctor, rpath_holds_for_what_a_library_needs_and_runpath_does_not) {
    make_directories();
    make_object("a/x.so", (struct wanted){.needed = {"y.so"}});
    make_library("a/y.so");
    make_object("rpath", (struct wanted){.rpath = "$ORIGIN/a", .needed = {"x.so"}});
    struct libraries libraries = load("rpath", NULL);
    cr_expect_str_eq(found(&libraries, "y.so"), "a/y.so");
    libraries_free(&libraries);
    make_object("runpath", (struct wanted){.runpath = "$ORIGIN/a", .needed = {"x.so"}});
    libraries = load("runpath", NULL);
    cr_expect_str_eq(found(&libraries, "x.so"), "a/x.so");
    cr_expect_str_eq(found(&libraries, "y.so"), "-");
    libraries_free(&libraries);
    /* A DT_RUNPATH of the one that needs it switches off every DT_RPATH. */
    make_object("a/x.so", (struct wanted){.runpath = "/nowhere", .needed = {"y.so"}});
    libraries = load("rpath", NULL);
    cr_expect_str_eq(found(&libraries, "y.so"), "-");
    libraries_free(&libraries);
}

Test(doctor, the_environment_comes_between_rpath_and_runpath) {
    char environment[200];
    make_directories();
    make_library("a/x.so");
    make_library("b/x.so");
    snprintf(environment, sizeof environment, "/nowhere:%s/b", directory);
    make_object("rpath", (struct wanted){.rpath = "$ORIGIN/c:$ORIGIN/a", .needed = {"x.so"}});
    make_object("runpath", (struct wanted){.runpath = "$ORIGIN/a", .needed = {"x.so"}});
    struct libraries libraries = load("rpath", environment);
    cr_expect_str_eq(found(&libraries, "x.so"), "a/x.so");
    libraries_free(&libraries);
    libraries = load("runpath", environment);
    cr_expect_str_eq(found(&libraries, "x.so"), "b/x.so");
    libraries_free(&libraries);
}

Test(doctor, files_of_another_kind_are_passed_by) {
    char needed[200];
    make_directories();
    write_text("a/x.so", "/* GNU ld script */ INPUT(x)\n");
    cr_assert_eq(mkdir("b/x.so", 0755), 0);
    make_library("c/x.so");
    make_object("program",
                (struct wanted){.runpath = "$ORIGIN/a:$ORIGIN/b:$ORIGIN/c", .needed = {"x.so"}});
    struct libraries libraries = load("program", NULL);
    cr_expect_str_eq(found(&libraries, "x.so"), "c/x.so");
    libraries_free(&libraries);
    snprintf(needed, sizeof needed, "%s/c/x.so", directory);
    make_object("program", (struct wanted){.needed = {needed, "$ORIGIN/c/x.so", "c/none.so"}});
    libraries = load("program", NULL);
    cr_expect_str_eq(found(&libraries, needed), "c/x.so");
    cr_expect_str_eq(found(&libraries, "$ORIGIN/c/x.so"), "c/x.so");
    cr_expect_str_eq(found(&libraries, "c/none.so"), "-");
    libraries_free(&libraries);
    cr_expect_not(libraries_load(&libraries, "a/x.so", NULL));
}

Test(doctor, the_systems_directories_are_searched_last) {
    make_object("program", (struct wanted){.needed = {"libc.so.6"}});
    struct libraries libraries = load("program", NULL);
    cr_expect_neq(found(&libraries, "libc.so.6")[0], '-');
    libraries_free(&libraries);
    /* Too long for any path, and not only for ours. */
    char list[900];
    memset(list, '/', sizeof list - 1);
    memcpy(list + sizeof list - 8, "$ORIGIN", 8);
    make_object("program", (struct wanted){.runpath = list, .needed = {"none.so"}});
    libraries = load("program", list);
    cr_expect_str_eq(found(&libraries, "none.so"), "-");
    libraries_free(&libraries);
}

struct cache {
    char magic[20];
    uint32_t count, strings, unused[5];
    struct {
        int32_t flags;
        uint32_t name, path, os;
        uint64_t processor;
    } entries[3];
    char text[64];
};

static bool count_entry(void *context, const char *path) {
    int *count = context;
    ++*count;
    return strcmp(path, "/second/x.so") == 0;
}

static int look_up(const void *cache, size_t size, const char *name) {
    int count = 0;
    bool found_it = libraries_each_cached(cache, size, name, count_entry, &count);
    return found_it ? count : -count;
}

Test(doctor, the_loaders_cache_is_read) {
    static const char old[] = "ld.so-1.7.0\0whatever";
    struct cache cache = {.count = 3};
    memcpy(cache.magic, "glibc-ld.so.cache1.1", sizeof cache.magic);
    memcpy(cache.text, "y.so\0x.so\0/first/x.so\0/second/x.so", 35);
    size_t text = offsetof(struct cache, text);
    for (uint32_t i = 0; i < 3; i++) {
        cache.entries[i].name = (uint32_t)text + (i == 0 ? 0 : 5);
        cache.entries[i].path = (uint32_t)text + (i == 2 ? 22 : 10);
    }
    cr_expect_eq(look_up(&cache, sizeof cache, "x.so"), 2);
    cr_expect_eq(look_up(&cache, sizeof cache, "y.so"), -1);
    cr_expect_eq(look_up(&cache, sizeof cache, "z.so"), 0);
    cr_expect_eq(look_up(NULL, 0, "x.so"), 0);
    char both[sizeof old + sizeof cache];
    memcpy(both, old, sizeof old);
    memcpy(both + sizeof old, &cache, sizeof cache);
    cr_expect_eq(look_up(both, sizeof both, "x.so"), 2);
    for (size_t size = 0; size < sizeof cache; size++) {
        char *cut = malloc(size + 1); /* of its own, so that reading behind its end is seen */
        cr_assert_not_null(cut);
        char *begin = cut + 1;
        memcpy(begin, &cache, size);
        cr_expect_leq(abs(look_up(begin, size, "x.so")), 2);
        free(cut);
    }
    cache.count = UINT32_MAX;
    cache.entries[1].path = UINT32_MAX;
    cache.entries[2].name = (uint32_t)sizeof cache - 1;
    cache.text[sizeof cache.text - 1] = 'x';
    cr_expect_eq(look_up(&cache, sizeof cache, "x.so"), 0);
}

static struct marks marks_of(const char *text, size_t size) {
    struct marks marks;
    write_file("marked", text, size);
    cr_assert(marks_read("marked", &marks));
    return marks;
}

#define BAD_ARGUMENT "A libcurl function was given a bad argument"
#define COOKIES      "# This file was generated by libcurl! Edit at your own risk."

Test(doctor, libcurl_is_known_by_two_of_its_sentences) {
    static const char none[] = "User-Agent: libcurl-agent/1.0\0libcurl/ libcurl/7 CURLOPT_URL";
    cr_expect_not(marks_of(none, sizeof none).contains);
    static const char agent[] = "libcurl/7.88.1 curl_easy_perform CURLOPT_URL";
    cr_expect_not(marks_of(agent, sizeof agent).contains);
    static const char message[] = BAD_ARGUMENT "\0An unknown option was passed in to libcurl";
    cr_expect_not(marks_of(message, sizeof message).contains);
    static const char whole[] = "\1libcurl/8.14.1\0" BAD_ARGUMENT;
    struct marks marks = marks_of(whole, sizeof whole);
    cr_expect(marks.contains);
    cr_expect_str_eq(marks.version, "8.14.1");
    static const char unversioned[] = BAD_ARGUMENT "\0" COOKIES;
    marks = marks_of(unversioned, sizeof unversioned);
    cr_expect(marks.contains);
    cr_expect_str_eq(marks.version, "");
    struct marks unread;
    cr_expect_not(marks_read("absent", &unread));
}

Test(doctor, marks_are_found_wherever_they_lie) {
    static const char text[] = BAD_ARGUMENT "\0" COOKIES "\0/opt/libcurl-nss.so.4\0";
    size_t middle = 1 << 20, size = middle + sizeof text;
    char *data = calloc(1, size);
    cr_assert_not_null(data);
    for (size_t place = middle - sizeof text; place <= middle; place++) {
        memset(data, 'x', size);
        memcpy(data + place, text, sizeof text);
        struct marks marks = marks_of(data, size);
        cr_expect(marks.contains, "at %zu", place);
        cr_expect_str_eq(marks.loads, "libcurl-nss.so.4", "at %zu", place);
    }
    free(data);
}

Test(doctor, a_library_to_load_is_a_string_of_its_own) {
    static const char loads[] = "x\0libcurl.so.4\0y";
    cr_expect_str_eq(marks_of(loads, sizeof loads).loads, "libcurl.so.4");
    static const char talks[] =
        "x\0get libcurl.so.4 and\0libcurl.so.4: none\0libcurl-x\0libcurl.so";
    cr_expect_str_eq(marks_of(talks, sizeof talks - 1).loads, "");
}

Test(doctor, interpreters_are_known_by_their_names) {
    static const char *const names[] = {"php8.2",     "php-fpm8.2", "/usr/bin/python3.11",
                                        "perl5.36.0", "Rscript",    "/x/lua5.1",
                                        "ruby3.1",    "nodejs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_not_null(language_of(names[i]), "%s", names[i]);
    static const char *const others[] = {"phpunit", "python3-config", "perldoc", "Rx",    "rubyish",
                                         "javac",   "shfmt",          "",        "/php/", "nodes"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_null(language_of(others[i]), "%s", others[i]);
    cr_expect_eq(language_of("node")->modules, MODULES_MISSED);
    cr_expect_eq(language_of("bash")->modules, MODULES_STARTED);
}

/* The report on PROGRAM, or "no: " and why it is none; for free(). */
static char *report(const char *program) {
    struct diagnosis diagnosis;
    char message[3 * PATH_MAX], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    if (doctor_examine(program, directory, NULL, &diagnosis, message, sizeof message)) {
        doctor_print(&diagnosis, out);
        doctor_free(&diagnosis);
    } else {
        fprintf(out, "no: %s\n", message);
    }
    fclose(out);
    return text;
}

static void expect_report(const char *program, const char *part, int line) {
    char *text = report(program);
    cr_expect_not_null(strstr(text, part), "line %d: no '%s' in the report:\n%s", line, part, text);
    free(text);
}
#define EXPECT(program, part) expect_report(program, part, __LINE__)

static void make_program(const char *path, const char *needed) {
    make_object(path, (struct wanted){.interpreter = LOADER,
                                      .runpath = "$ORIGIN",
                                      .needed = {needed, "libc.so.6"}});
}

Test(doctor, a_needed_libcurl_is_reached) {
    make_library("libcurl-1a2b.so.4");
    append("libcurl-1a2b.so.4", "libcurl/8.5.0 ");
    make_program("direct", "libcurl-1a2b.so.4");
    EXPECT("direct", "\nlibcurl  libcurl-1a2b.so.4 8.5.0, needed directly, ");
    EXPECT("direct", "\nverdict  reached\nexpect   Its requests to configured");
    make_object("libnet.so",
                (struct wanted){.runpath = "$ORIGIN", .needed = {"libcurl-1a2b.so.4"}});
    make_program("indirect", "libnet.so");
    EXPECT("indirect", "\nlibcurl  libcurl-1a2b.so.4 8.5.0, needed by libnet.so, ");
    EXPECT("indirect", "\nverdict  reached\n");
    make_program("lacking", "libcurl-none.so.4");
    EXPECT("lacking", "\nlibcurl  libcurl-none.so.4, needed directly, not found\nmissing  ");
    EXPECT("lacking", "\nverdict  can't start");
}

Test(doctor, a_libcurl_inside_is_not_reached) {
    make_program("inside", NULL);
    append("inside", "libcurl/8.5.0 " BAD_ARGUMENT);
    EXPECT("inside",
           "\nlibcurl  seems to be linked into it: 8.5.0\nverdict  reached through the relay\n");
    make_library("libnet.so");
    append("libnet.so", COOKIES BAD_ARGUMENT);
    make_program("beside", "libnet.so");
    EXPECT("beside",
           "\nlibcurl  seems to be linked into libnet.so\nverdict  reached through the relay\n");
    make_program("late", NULL);
    FILE *file = fopen("late", "a");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite("\0libcurl.so.4", 14, 1, file), 1);
    fclose(file);
    EXPECT("late", "the file names libcurl.so.4\nverdict  reached through the relay, as far as its "
                   "file tells\n");
    make_program("plain", NULL);
    EXPECT(
        "plain",
        "\nlibcurl  none needed at the start\nverdict  reached through the relay\nexpect   Other");
}

Test(doctor, what_no_preload_reaches_is_told) {
    make_object("still", (struct wanted){.type = ET_EXEC});
    EXPECT("still", "statically linked\n");
    EXPECT("still", "\nverdict  not reached\nexpect   It is statically linked: ");
    append("still", "libcurl/8.5.0 " BAD_ARGUMENT);
    EXPECT("still", "\nlibcurl  seems to be linked into it: 8.5.0\n");
    make_object("musl", (struct wanted){.interpreter = "/lib/ld-musl-x86_64.so.1"});
    EXPECT("musl", "musl instead of glibc: it runs as it is");
    make_object("foreign", (struct wanted){.interpreter = LOADER, .machine = EM_S390});
    EXPECT("foreign", "\nkind     64-bit s390\n");
    EXPECT("foreign", "programs that it starts aren't reached either.");
    make_library("libasan.so.8");
    make_library("libcurl.so.4");
    make_object("asan", (struct wanted){.interpreter = LOADER,
                                        .runpath = "$ORIGIN",
                                        .needed = {"libasan.so.8", "libcurl.so.4"}});
    EXPECT("asan", "\nverdict  refuses preloads\n");
}

Test(doctor, scripts_are_judged_by_what_runs_them) {
    char line[PATH_MAX];
    make_program("php8.2", NULL);
    write_text("tool", "#!/usr/bin/env php8.2\n<?php\n");
    EXPECT("tool", "\nrun by   /usr/bin/env, ");
    EXPECT("tool", "/php8.2\nkind     ");
    EXPECT("tool", "\nmodules  curl extension: reached");
    EXPECT("tool", "\nverdict  reached in some modules\n");
    write_text("split", "#!/usr/bin/env -S -i A=b php8.2 -n\n");
    EXPECT("split", "\nmodules  curl extension: reached");
    write_text("glued", "#!/usr/bin/env -Sphp8.2 -n\r\n");
    EXPECT("glued", "\nmodules  curl extension: reached");
    write_text("spaced", "#!/usr/bin/env php8.2 -n\n");
    EXPECT("spaced", "no: php8.2 -n, which is to run ");
    write_text("chain", "#!/usr/bin/env tool\n");
    EXPECT("chain", "/tool, /usr/bin/env, ");
    snprintf(line, sizeof line, "#!%s/loop\n", directory);
    write_text("loop", line);
    EXPECT("loop", "no: too many scripts run each other");
    write_text("shell", "echo hello\n");
    EXPECT("shell", "\nrun by   /bin/sh\n");
    EXPECT("shell", "\nverdict  reached in what it starts\n");
    write_text("python3", "#!/bin/sh\n");
    EXPECT("python3", "\nmodules  pycurl: reached");
}

Test(doctor, what_is_no_program_is_told) {
    EXPECT("absent", "no: command not found\n");
    EXPECT("./absent", "no: No such file or directory\n");
    EXPECT("/", "no: Is a directory\n");
    write_text("orphan", "#!/no/such/interpreter\n");
    EXPECT("orphan", "no: /no/such/interpreter, which is to run ");
    write_text("nameless", "#!\n");
    EXPECT("nameless", "names no interpreter");
    write_file("picture", "\x89PNG\r\0\n\0", 8);
    EXPECT("picture", "is neither an ELF file nor a script\n");
    make_object("libx.so", (struct wanted){.soname = "libx.so"});
    EXPECT("libx.so", "is an ELF file, but no program");
    make_object("plugin.so", (struct wanted){.needed = {"libc.so.6"}});
    EXPECT("plugin.so", "is an ELF file, but no program");
    make_object("part.o", (struct wanted){.type = ET_REL});
    EXPECT("part.o", "is an ELF file, but no program");
    for (size_t size = SELFMAG; size < sizeof(ElfW(Ehdr)); size += 3) {
        char bytes[sizeof(struct made)];
        make_program("whole", NULL);
        FILE *file = fopen("whole", "r");
        cr_assert_not_null(file);
        cr_assert_eq(fread(bytes, 1, size, file), size);
        fclose(file);
        write_file("cut", bytes, size);
        EXPECT("cut", "is an ELF file, but no program");
    }
}

Test(doctor, names_cannot_speak_to_the_terminal) {
    make_program("loud", "lib\x1b[2Jx.so");
    char *text = report("loud");
    cr_expect_not_null(strstr(text, "lib?[2Jx.so"), "%s", text);
    cr_expect_null(strchr(text, '\x1b'));
    free(text);
}
