#include "shim/fault/page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/private.h"

#define MAGIC  UINT64_C(0x6c6c697264777073) /* "spwdrill" */
#define LAYOUT 1

/* Writes PAGE to the file NAME in DIRECTORY, a descriptor. False with errno. */
static bool write_page(int directory, const struct drill_page *page) {
    int fd =
        openat(directory, DRILL_PAGE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    ssize_t written = write(fd, page, sizeof *page);
    int error = written < 0 ? errno : EIO;
    close(fd);
    errno = error;
    return written == (ssize_t)sizeof *page;
}

bool drill_page_make(const char *directory, uint64_t start, uint64_t seed, uint32_t flags) {
    struct drill_page page = {.magic = MAGIC,
                              .layout = LAYOUT,
                              .size = sizeof page,
                              .start = start,
                              .seed = seed,
                              .flags = flags};
    int fd = private_open_directory(directory, false);
    if (fd < 0)
        return false;
    bool made = write_page(fd, &page);
    int error = errno;
    close(fd);
    errno = error;
    return made;
}

/* The page of FD, or NULL with errno. */
static struct drill_page *map(int fd) {
    struct stat status;
    struct drill_page *page;
    if (fstat(fd, &status) < 0)
        return NULL;
    if (!private_is(&status, S_IFREG)) {
        errno = EPERM;
        return NULL;
    }
    if (status.st_size != sizeof *page) {
        errno = EPROTO;
        return NULL;
    }
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (page->magic == MAGIC && page->layout == LAYOUT && page->size == sizeof *page)
        return page;
    munmap(page, sizeof *page);
    errno = EPROTO;
    return NULL;
}

struct drill_page *drill_page_open(const char *directory) {
    struct drill_page *page = NULL;
    int at = private_open_directory(directory, false);
    /* O_NONBLOCK: of a fifo nothing is expected */
    int fd = at < 0 ? -1 : openat(at, DRILL_PAGE, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        page = map(fd);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (at >= 0)
        close(at);
    errno = error;
    return page;
}

void drill_page_close(struct drill_page *page) {
    if (page)
        munmap(page, sizeof *page);
}
