#include "shim/command/elf.h"

#include <ctype.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* No linker writes more program headers than this. */
#define PROGRAM_HEADERS_MAX 512

const char *reach_describe(enum reach reach) {
    switch (reach) {
    case REACH_STATIC:
        return "statically linked";
    case REACH_FOREIGN:
        return "a program for another kind of machine than Spillway";
    case REACH_MUSL:
        return "linked with musl instead of glibc";
    case REACH_SETUID:
        return "setuid";
    case REACH_SETGID:
        return "setgid";
    case REACH_CAPABILITIES:
        return "privileged by file capabilities";
    case REACH_YES:
    case REACH_UNKNOWN:
        break;
    }
    return NULL;
}

bool reach_tolerates_preload(enum reach reach) {
    return reach != REACH_FOREIGN && reach != REACH_MUSL;
}

enum reach reach_by_privilege(mode_t mode, uid_t owner, gid_t group, bool capabilities, uid_t uid,
                              gid_t gid) {
    if ((mode & S_ISUID) && owner != uid)
        return REACH_SETUID;
    /* Without the group's x bit, S_ISGID means mandatory locking (inode(7)). */
    if ((mode & S_ISGID) && (mode & S_IXGRP) && group != gid)
        return REACH_SETGID;
    return capabilities && uid != 0 ? REACH_CAPABILITIES : REACH_YES;
}

static enum reach privilege_of(int fd) {
    struct stat status;
    struct statvfs mount;
    if (fstat(fd, &status) != 0)
        return REACH_UNKNOWN;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return REACH_YES;
    if (fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID))
        return REACH_YES;
    bool capabilities = fgetxattr(fd, "security.capability", NULL, 0) > 0;
    return reach_by_privilege(status.st_mode, status.st_uid, status.st_gid, capabilities, getuid(),
                              getgid());
}

static bool read_at(int fd, void *buffer, size_t size, off_t offset) {
    return offset >= 0 && pread(fd, buffer, size, offset) == (ssize_t)size;
}

static bool is_elf(const unsigned char *head, size_t length) {
    return length >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

/* Whether programs with HEADER are of the kind that this very program is. */
static bool is_ours(const ElfW(Ehdr) * header) {
    ElfW(Ehdr) own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* without /proc there is nothing to compare with */
    bool known = read_at(fd, &own, sizeof own, 0);
    close(fd);
    return !known ||
           (header->e_ident[EI_CLASS] == own.e_ident[EI_CLASS] &&
            header->e_ident[EI_DATA] == own.e_ident[EI_DATA] && header->e_machine == own.e_machine);
}

/* Finds PT_INTERP. Returns 1 with the path in INTERPRETER, 0 if there is none, -1 if broken. */
static int find_interpreter(int fd, const ElfW(Ehdr) * header, char *interpreter, size_t size) {
    if (header->e_phnum > PROGRAM_HEADERS_MAX || header->e_phentsize != sizeof(ElfW(Phdr)))
        return -1;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        off_t place = (off_t)(header->e_phoff + i * sizeof segment);
        if (!read_at(fd, &segment, sizeof segment, place))
            return -1;
        if (segment.p_type != PT_INTERP)
            continue;
        if (segment.p_filesz == 0 || segment.p_filesz >= size)
            return -1;
        if (!read_at(fd, interpreter, segment.p_filesz, (off_t)segment.p_offset))
            return -1;
        interpreter[segment.p_filesz] = '\0';
        return 1;
    }
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum reach reach_of_elf(int fd, const char *path) {
    ElfW(Ehdr) header;
    char interpreter[PATH_MAX];
    if (!read_at(fd, &header, sizeof header, 0))
        return REACH_UNKNOWN;
    if (!is_ours(&header))
        return REACH_FOREIGN;
    int found = find_interpreter(fd, &header, interpreter, sizeof interpreter);
    if (found < 0)
        return REACH_UNKNOWN;
    if (found == 0) {
        /* The loader, called as a program, has no loader but reads LD_PRELOAD itself. */
        bool loader = strncmp(base_name(path), "ld-linux", strlen("ld-linux")) == 0 ||
                      strcmp(base_name(path), "ld.so") == 0;
        return loader ? REACH_YES : REACH_STATIC;
    }
    if (strncmp(base_name(interpreter), "ld-musl", strlen("ld-musl")) == 0)
        return REACH_MUSL;
    return privilege_of(fd);
}

const char *reach_read_script(const char *head, size_t length, char *out, size_t size) {
    if (length < 2 || head[0] != '#' || head[1] != '!')
        return snprintf(out, size, "/bin/sh") < (int)size ? head + length : NULL;
    const char *start = head + 2, *end = head + length;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    const char *stop = start;
    while (stop < end && *stop && !isspace((unsigned char)*stop))
        stop++;
    size_t count = (size_t)(stop - start);
    if (count == 0 || count >= size)
        return NULL;
    memcpy(out, start, count);
    out[count] = '\0';
    return stop;
}

enum reach reach_of_program(const char *path, char *file, size_t size) {
    char current[PATH_MAX];
    snprintf(file, size, "%s", path);
    if (snprintf(current, sizeof current, "%s", path) >= (int)sizeof current)
        return REACH_UNKNOWN;
    for (int level = 0; level <= SCRIPT_LEVELS; level++) {
        char head[256]; /* BINPRM_BUF_SIZE: Linux looks no further either */
        int fd = open(current, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            return REACH_UNKNOWN;
        ssize_t length = pread(fd, head, sizeof head, 0);
        if (length >= 0 && is_elf((const unsigned char *)head, (size_t)length)) {
            enum reach reach = reach_of_elf(fd, current);
            close(fd);
            return reach;
        }
        close(fd);
        if (length < 0 || !reach_read_script(head, (size_t)length, current, sizeof current))
            return REACH_UNKNOWN;
        snprintf(file, size, "%s", current);
    }
    return REACH_UNKNOWN;
}
