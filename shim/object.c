#include "shim/object.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* More than any linker writes: a bound for damaged files. */
#define SEGMENTS_MAX 128
#define ENTRIES_MAX  4096

struct file {
    int fd;
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[SEGMENTS_MAX];
};

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset) {
    return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

static bool read_headers(struct file *file) {
    const ElfW(Ehdr) *header = &file->header;
    const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    return read_at(file->fd, &file->header, sizeof file->header, 0) &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == class &&
           header->e_phentsize == sizeof(ElfW(Phdr)) && header->e_phnum <= SEGMENTS_MAX &&
           read_at(file->fd, file->segments, header->e_phnum * sizeof(ElfW(Phdr)), header->e_phoff);
}

/* Where the byte that is to be loaded at ADDRESS lies in the file; 0 if nowhere. */
static uint64_t offset_of(const struct file *file, uint64_t address) {
    for (unsigned i = 0; i < file->header.e_phnum; i++) {
        const ElfW(Phdr) *segment = &file->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz)
            return segment->p_offset + (address - segment->p_vaddr);
    }
    return 0;
}

static const ElfW(Phdr) * find_dynamic(const struct file *file) {
    for (unsigned i = 0; i < file->header.e_phnum; i++)
        if (file->segments[i].p_type == PT_DYNAMIC)
            return &file->segments[i];
    return NULL;
}

/* The entry number INDEX of the dynamic section; false after its end. */
static bool read_entry(const struct file *file, const ElfW(Phdr) * dynamic, unsigned index,
                       ElfW(Dyn) * entry) {
    size_t at = index * sizeof *entry;
    return index < ENTRIES_MAX && at + sizeof *entry <= dynamic->p_filesz &&
           read_at(file->fd, entry, sizeof *entry, dynamic->p_offset + at) &&
           entry->d_tag != DT_NULL;
}

typedef void each_string(void *context, long tag, const char *value);

static bool is_string(const ElfW(Dyn) * entry) {
    return entry->d_tag == DT_NEEDED || entry->d_tag == DT_SONAME || entry->d_tag == DT_RPATH ||
           entry->d_tag == DT_RUNPATH;
}

static void read_strings(const struct file *file, each_string *each, void *context) {
    const ElfW(Phdr) *dynamic = find_dynamic(file);
    uint64_t strings = 0;
    ElfW(Dyn) entry;
    for (unsigned i = 0; dynamic && read_entry(file, dynamic, i, &entry); i++)
        if (entry.d_tag == DT_STRTAB)
            strings = offset_of(file, entry.d_un.d_ptr);
    for (unsigned i = 0; strings && read_entry(file, dynamic, i, &entry); i++) {
        char value[OBJECT_STRING_MAX];
        if (!is_string(&entry))
            continue;
        ssize_t length = pread(file->fd, value, sizeof value, (off_t)(strings + entry.d_un.d_val));
        if (length > 0 && memchr(value, '\0', (size_t)length))
            each(context, (long)entry.d_tag, value);
    }
}

bool object_each_string(const char *path, each_string *each, void *context) {
    int saved = errno;
    struct file file = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    bool readable = file.fd >= 0 && read_headers(&file);
    if (readable)
        read_strings(&file, each, context);
    if (file.fd >= 0)
        close(file.fd);
    errno = saved;
    return readable;
}

struct needed {
    void (*each)(void *, const char *);
    void *context;
};

static void pass_needed(void *context, long tag, const char *value) {
    const struct needed *needed = context;
    if (tag == DT_NEEDED)
        needed->each(needed->context, value);
}

bool object_each_needed(const char *path, void (*each)(void *context, const char *name),
                        void *context) {
    struct needed needed = {each, context};
    return object_each_string(path, pass_needed, &needed);
}

bool object_is_libcurl(const char *name) {
    const char *rest = strncmp(name, "libcurl", 7) == 0 ? name + 7 : "";
    return (*rest == '.' || *rest == '-') && strstr(rest, ".so") != NULL;
}

static void note_libcurl(void *context, const char *name) {
    if (object_is_libcurl(name))
        *(bool *)context = true;
}

bool object_needs_libcurl(const char *path) {
    bool needs = false;
    object_each_needed(path, note_libcurl, &needs);
    return needs;
}
