#include <criterion/criterion.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/elf.h"

static char directory[] = "/tmp/spillway-elf.XXXXXX";

static void setup(void) {
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

static void teardown(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(elf, .init = setup, .fini = teardown);

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

/* A program with the header of this one, changed by the caller, and one segment. */
struct made {
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    char interpreter[64];
};

static struct made make_program(const char *interpreter) {
    struct made made;
    memset(&made, 0, sizeof made);
    FILE *own = fopen("/proc/self/exe", "r");
    cr_assert_not_null(own);
    cr_assert_eq(fread(&made.header, sizeof made.header, 1, own), 1);
    fclose(own);
    made.header.e_phoff = offsetof(struct made, segment);
    made.header.e_phnum = 1;
    made.header.e_phentsize = sizeof made.segment;
    made.segment.p_type = interpreter ? PT_INTERP : PT_LOAD;
    made.segment.p_offset = offsetof(struct made, interpreter);
    made.segment.p_filesz = sizeof made.interpreter;
    snprintf(made.interpreter, sizeof made.interpreter, "%s", interpreter ? interpreter : "");
    return made;
}

static enum reach look(const char *path) {
    char file[PATH_MAX];
    return reach_of_program(path, file, sizeof file);
}

static enum reach look_at(const struct made *made) {
    write_file("program", made, sizeof *made);
    return look("program");
}

Test(elf, a_dynamic_program_is_reached) {
    struct made made = make_program("/lib64/ld-linux-x86-64.so.2");
    cr_expect_eq(look_at(&made), REACH_YES);
    cr_expect_eq(look("/proc/self/exe"), REACH_YES);
}

Test(elf, without_an_interpreter_it_is_static) {
    struct made made = make_program(NULL);
    cr_expect_eq(look_at(&made), REACH_STATIC);
    made.header.e_phnum = 0;
    cr_expect_eq(look_at(&made), REACH_STATIC);
}

Test(elf, the_loader_itself_is_reached) {
    struct made made = make_program(NULL);
    write_file("ld-linux-x86-64.so.2", &made, sizeof made);
    cr_expect_eq(look("ld-linux-x86-64.so.2"), REACH_YES);
}

Test(elf, musl_is_known_by_its_loader) {
    struct made made = make_program("/lib/ld-musl-x86_64.so.1");
    cr_expect_eq(look_at(&made), REACH_MUSL);
    cr_expect_not(reach_tolerates_preload(REACH_MUSL));
}

Test(elf, other_machines_are_foreign) {
    struct made made = make_program("/lib/ld.so");
    made.header.e_machine = EM_68K;
    cr_expect_eq(look_at(&made), REACH_FOREIGN);
    made = make_program("/lib/ld.so");
    made.header.e_ident[EI_CLASS] =
        made.header.e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
    cr_expect_eq(look_at(&made), REACH_FOREIGN);
    made = make_program("/lib/ld.so");
    made.header.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
    cr_expect_eq(look_at(&made), REACH_FOREIGN);
    cr_expect_not(reach_tolerates_preload(REACH_FOREIGN));
}

Test(elf, broken_files_are_unknown) {
    struct made made = make_program("/lib/ld.so");
    made.header.e_phoff = (ElfW(Off)) - 8;
    cr_expect_eq(look_at(&made), REACH_UNKNOWN);
    made = make_program("/lib/ld.so");
    made.header.e_phnum = 0xffff;
    cr_expect_eq(look_at(&made), REACH_UNKNOWN);
    made = make_program("/lib/ld.so");
    made.segment.p_filesz = (ElfW(Xword)) - 1;
    cr_expect_eq(look_at(&made), REACH_UNKNOWN);
    made = make_program("/lib/ld.so");
    made.segment.p_offset = 1 << 20;
    cr_expect_eq(look_at(&made), REACH_UNKNOWN);
    for (size_t size = SELFMAG; size < offsetof(struct made, interpreter); size += 7) {
        made = make_program("/lib/ld.so");
        write_file("cut", &made, size);
        cr_expect_eq(look("cut"), REACH_UNKNOWN, "%zu bytes", size);
    }
    cr_expect_eq(look("absent"), REACH_UNKNOWN);
    cr_expect_eq(look("."), REACH_UNKNOWN);
}

Test(elf, a_script_is_what_runs_it) {
    char file[PATH_MAX], script[PATH_MAX + 20], program[PATH_MAX];
    struct made made = make_program(NULL);
    write_file("program", &made, sizeof made);
    snprintf(program, sizeof program, "%s/program", directory);
    snprintf(script, sizeof script, "#! \t%s -x y\nbody\n", program);
    write_text("script", script);
    cr_expect_eq(reach_of_program("script", file, sizeof file), REACH_STATIC);
    cr_expect_str_eq(file, program);
    write_text("shell", "echo no interpreter named\n");
    cr_expect_eq(reach_of_program("shell", file, sizeof file), look("/bin/sh"));
    cr_expect_str_eq(file, "/bin/sh");
    write_text("empty", "#!");
    cr_expect_eq(look("empty"), REACH_UNKNOWN);
}

Test(elf, four_levels_of_scripts_are_followed) {
    char name[20], text[100];
    struct made made = make_program(NULL);
    write_file("level0", &made, sizeof made);
    for (int level = 1; level <= 5; level++) {
        snprintf(text, sizeof text, "#!%s/level%d", directory, level - 1);
        snprintf(name, sizeof name, "level%d", level);
        write_text(name, text);
    }
    cr_expect_eq(look("level4"), REACH_STATIC);
    cr_expect_eq(look("level5"), REACH_UNKNOWN);
    write_text("loop", "#!loop");
    cr_expect_eq(look("loop"), REACH_UNKNOWN);
}

Test(elf, privilege_counts_if_it_changes_something) {
    static const struct {
        mode_t mode;
        uid_t owner;
        gid_t group;
        bool capabilities;
        uid_t uid;
        gid_t gid;
        enum reach want;
    } cases[] = {
        {0755, 0, 0, false, 1000, 1000, REACH_YES},
        {04755, 0, 0, false, 1000, 1000, REACH_SETUID},
        {04755, 1000, 0, false, 1000, 1000, REACH_YES},
        {04755, 0, 0, false, 0, 0, REACH_YES},
        {04755, 1000, 0, false, 0, 0, REACH_SETUID},
        {02755, 0, 42, false, 1000, 1000, REACH_SETGID},
        {02755, 0, 1000, false, 1000, 1000, REACH_YES},
        {02745, 0, 42, false, 1000, 1000, REACH_YES},
        {0755, 0, 0, true, 1000, 1000, REACH_CAPABILITIES},
        {0755, 0, 0, true, 0, 0, REACH_YES},
        {06755, 1000, 42, true, 1000, 1000, REACH_SETGID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(reach_by_privilege(cases[i].mode, cases[i].owner, cases[i].group,
                                        cases[i].capabilities, cases[i].uid, cases[i].gid),
                     cases[i].want, "case %zu", i);
}

Test(elf, what_cannot_be_reached_has_words) {
    for (enum reach reach = REACH_STATIC; reach <= REACH_CAPABILITIES; reach++)
        cr_expect_not_null(reach_describe(reach));
    cr_expect_null(reach_describe(REACH_YES));
    cr_expect_null(reach_describe(REACH_UNKNOWN));
}
