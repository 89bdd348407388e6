#include "shim/command/doctor.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <link.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/launch.h"
#include "shim/object.h"

static const char usage[] =
    "Usage: spillway doctor PROGRAM...\n"
    "Says what Spillway can reach in each PROGRAM, and how: what kind of file it is, which "
    "libcurl\n"
    "it needs and through which library, and what to expect. A script is judged by what runs it.\n"
    "The files are read; nothing is executed.\n"
    "\n"
    "  -h, --help  this text\n"
    "\n"
    "Example:\n"
    "  spillway doctor curl php ./legacy-batch.sh\n"
    "\n"
    "Exit status: 0 if all are programs, reached or not; 1 if one is none, for instance is not\n"
    "found; 2 if the command line is wrong.\n";

/* Linux looks no further into a script (BINPRM_BUF_SIZE). */
#define HEAD_SIZE 256

struct head {
    unsigned char bytes[HEAD_SIZE];
    size_t length;
};

__attribute__((format(printf, 3, 4))) static bool refuse(char *message, size_t size,
                                                         const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, size, format, values);
    va_end(values);
    return false;
}

/* Why launch_find_program() found nothing, in a shell's words. */
static const char *fault_of(const char *program, int error) {
    return error == ENOENT && !strchr(program, '/') ? "command not found" : strerror(error);
}

static bool read_head(const char *path, struct head *head) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t length = pread(fd, head->bytes, sizeof head->bytes, 0);
    int error = errno;
    close(fd);
    errno = error;
    head->length = length > 0 ? (size_t)length : 0;
    return length >= 0;
}

static bool is_elf(const struct head *head) {
    return head->length >= SELFMAG && memcmp(head->bytes, ELFMAG, SELFMAG) == 0;
}

/* Whether an execvp() would give it to /bin/sh, and sh would take it: as POSIX has it, the first
 * line has no NUL. */
static bool is_text(const struct head *head) {
    const void *line = memchr(head->bytes, '\n', head->length);
    const void *nul = memchr(head->bytes, '\0', head->length);
    return !nul || (line && line < nul);
}

/* Takes the program from REST, what follows "env" in a script's first line: the whole, or, after
 * options such as -S, the first word that is no option and no assignment. */
static void read_env(const char *rest, const char *end, char *program, size_t size) {
    const char *stop = memchr(rest, '\n', (size_t)(end - rest));
    char line[HEAD_SIZE + 1];
    stop = stop ? stop : end;
    while (rest < stop && strchr(" \t\r", *rest))
        rest++;
    while (stop > rest && strchr(" \t\r", stop[-1]))
        stop--;
    snprintf(line, sizeof line, "%.*s", (int)(stop - rest), rest);
    char *word = line, *saved = NULL;
    if (*line == '-')
        for (word = strtok_r(line, " \t", &saved); word; word = strtok_r(NULL, " \t", &saved)) {
            if (strncmp(word, "-S", 2) == 0 && word[2])
                word += 2;
            if (*word != '-' && !strchr(word, '='))
                break;
        }
    snprintf(program, size, "%s", word ? word : "");
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_runner(struct diagnosis *diagnosis) {
    size_t used = strlen(diagnosis->runners);
    snprintf(diagnosis->runners + used, sizeof diagnosis->runners - used, "%s%s",
             used > 0 ? ", " : "", diagnosis->file);
    if (!diagnosis->language)
        diagnosis->language = language_of(diagnosis->file);
}

/* Goes from the script in HEAD, FILE of DIAGNOSIS, to what runs it. */
static bool step(struct diagnosis *diagnosis, const struct head *head, const char *search,
                 char *message, size_t size) {
    const char *text = (const char *)head->bytes, *end = text + head->length;
    char script[PATH_MAX], wanted[HEAD_SIZE + 1];
    snprintf(script, sizeof script, "%s", diagnosis->file);
    if (!is_text(head))
        return refuse(message, size, "%s is neither an ELF file nor a script", script);
    const char *rest =
        reach_read_script(text, head->length, diagnosis->file, sizeof diagnosis->file);
    if (!rest)
        return refuse(message, size, "the first line of %s names no interpreter", script);
    if (access(diagnosis->file, X_OK) != 0)
        return refuse(message, size, "%s, which is to run %s: %s", diagnosis->file, script,
                      strerror(errno));
    add_runner(diagnosis);
    if (strcmp(base_name(diagnosis->file), "env") != 0)
        return true;
    read_env(rest, end, wanted, sizeof wanted);
    if (!*wanted)
        return true;
    int error = launch_find_program(wanted, search, diagnosis->file, sizeof diagnosis->file);
    if (error)
        return refuse(message, size, "%s, which is to run %s: %s", wanted, script,
                      fault_of(wanted, error));
    add_runner(diagnosis);
    return true;
}

/* The names of elf.h's numbers that a reader may have. */
static void describe_machine(const struct head *head, char *out, size_t size) {
    static const struct {
        unsigned number;
        const char *name;
    } machines[] = {{EM_386, "i386"},      {EM_X86_64, "x86-64"}, {EM_ARM, "arm"},
                    {EM_AARCH64, "arm64"}, {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},
                    {EM_S390, "s390"},     {EM_MIPS, "mips"},     {EM_LOONGARCH, "loongarch"}};
    const unsigned char *place = head->bytes + offsetof(ElfW(Ehdr), e_machine);
    bool big = head->bytes[EI_DATA] == ELFDATA2MSB;
    unsigned number = big ? place[0] * 256U + place[1] : place[1] * 256U + place[0];
    const char *bits = head->bytes[EI_CLASS] == ELFCLASS32 ? "32-bit" : "64-bit";
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (machines[i].number == number) {
            snprintf(out, size, "%s %s", bits, machines[i].name);
            return;
        }
    snprintf(out, size, "%s machine %u", bits, number);
}

struct library_signs {
    bool needs, named;
};

static void note_sign(void *context, long tag, const char *value) {
    struct library_signs *signs = context;
    (void)value;
    signs->needs |= tag == DT_NEEDED;
    signs->named |= tag == DT_SONAME;
}

/* A static program names no library and itself neither; a shared library does. */
static bool is_program(const struct diagnosis *diagnosis, const struct head *head) {
    struct library_signs signs = {false, false};
    const unsigned char *place = head->bytes + offsetof(ElfW(Ehdr), e_type);
    unsigned type = place[0] | place[1]; /* all types that count are below 256 */
    if (head->length < sizeof(Elf32_Ehdr) || (type != ET_EXEC && type != ET_DYN))
        return false;
    if (diagnosis->reach == REACH_STATIC)
        object_each_string(diagnosis->file, note_sign, &signs);
    return diagnosis->reach != REACH_UNKNOWN && !signs.needs && !signs.named;
}

static bool is_privileged(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && ((status.st_mode & S_ISUID) ||
                                        ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP)));
}

static bool has_libcurl(const struct libraries *libraries) {
    for (size_t i = 1; i < libraries->count; i++)
        if (object_is_libcurl(base_name(libraries->list[i].name)))
            return true;
    return false;
}

/* Looks for libcurl, in what the loader would bring and then in the files. */
static bool examine_libcurl(struct diagnosis *diagnosis, const char *library_path) {
    char own[PATH_MAX];
    bool secure = diagnosis->reach != REACH_YES;
    if (diagnosis->reach != REACH_STATIC && diagnosis->reach != REACH_FOREIGN &&
        diagnosis->reach != REACH_MUSL &&
        !libraries_load(&diagnosis->libraries, diagnosis->file, secure ? NULL : library_path))
        return false;
    struct libraries *libraries = &diagnosis->libraries;
    if (!has_libcurl(libraries) && !marks_read(diagnosis->file, &diagnosis->marks)) {
        libraries_free(libraries);
        return false;
    }
    for (size_t i = 1; i < libraries->count && !has_libcurl(libraries); i++) {
        struct marks marks;
        if (libraries->list[i].path && marks_read(libraries->list[i].path, &marks) &&
            marks.contains)
            diagnosis->container = libraries->list[i].name;
    }
    if (!diagnosis->language && realpath(diagnosis->file, own))
        diagnosis->language = language_of(own);
    return true;
}

bool doctor_examine(const char *program, const char *search, const char *library_path,
                    struct diagnosis *diagnosis, char *message, size_t size) {
    struct head head;
    char decided[PATH_MAX];
    *diagnosis = (struct diagnosis){.reach = REACH_UNKNOWN};
    int error = launch_find_program(program, search, diagnosis->program, sizeof diagnosis->program);
    if (error)
        return refuse(message, size, "%s", fault_of(program, error));
    memcpy(diagnosis->file, diagnosis->program, sizeof diagnosis->file);
    diagnosis->language = language_of(program);
    for (int level = 0;; level++) {
        if (!read_head(diagnosis->file, &head))
            return refuse(message, size, "%s: %s", diagnosis->file, strerror(errno));
        if (is_elf(&head))
            break;
        if (level == DOCTOR_RUNNERS_MAX)
            return refuse(message, size, "too many scripts run each other");
        if (!step(diagnosis, &head, search, message, size))
            return false;
    }
    diagnosis->reach = reach_of_program(diagnosis->file, decided, sizeof decided);
    if (!is_program(diagnosis, &head))
        return refuse(message, size, "%s is an ELF file, but no program: a library, or damaged",
                      diagnosis->file);
    describe_machine(&head, diagnosis->machine, sizeof diagnosis->machine);
    diagnosis->privileged = diagnosis->reach == REACH_YES && is_privileged(diagnosis->file);
    return examine_libcurl(diagnosis, library_path) ||
           refuse(message, size, "%s: cannot be read as an ELF file", diagnosis->file);
}

void doctor_free(struct diagnosis *diagnosis) {
    libraries_free(&diagnosis->libraries);
}

static int examine_all(char **programs) {
    const char *search = getenv("PATH");
    char message[3 * PATH_MAX];
    const char *between = "";
    int status = 0;
    for (; *programs; programs++) {
        struct diagnosis diagnosis;
        if (!doctor_examine(*programs, search ? search : "/bin:/usr/bin", getenv("LD_LIBRARY_PATH"),
                            &diagnosis, message, sizeof message)) {
            fflush(stdout);
            fprintf(stderr, "spillway: doctor: %s is no program: %s\n", *programs, message);
            status = 1;
            continue;
        }
        fputs(between, stdout);
        between = "\n";
        doctor_print(&diagnosis, stdout);
        doctor_free(&diagnosis);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "spillway: doctor: can't write: %s\n", strerror(errno));
    return 1;
}

int command_doctor(int argc, char **argv) {
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    optind = 0; /* glibc: begin anew */
    for (int option; (option = getopt_long(argc, argv, "+h", options, NULL)) != -1;) {
        if (option == 'h')
            return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? 1 : 0;
        fputs("Try 'spillway doctor --help'.\n", stderr);
        return 2;
    }
    if (optind == argc) {
        fputs("spillway: doctor: expected a program; see 'spillway doctor --help'\n", stderr);
        return 2;
    }
    return examine_all(argv + optind);
}
