#include "shim/command/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/pool/ledger.h"
#include "shim/private.h"
#include "shim/relay/authority.h"

const char *const trust_variables[] = {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
                                       "CURL_CA_BUNDLE", NULL};

bool trust_needed(const struct settings *settings) {
    struct slice host;
    return settings->relay_tls == SWITCH_ON && authority_host(settings, 0, &host);
}

bool trust_check(const char *directory, const struct settings *settings, char *message,
                 size_t size) {
    char why[500];
    struct authority *authority = authority_open(directory, settings, time(NULL), why, sizeof why);
    if (!authority)
        snprintf(message, size,
                 "relay: {tls: on} needs an authority, which 'spillway ca' makes: %s", why);
    authority_free(authority);
    return authority;
}

/* Where distributions keep the system's certificates as one file. */
static const char *system_bundle(void) {
    static const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    return NULL;
}

static bool is_older(const struct stat *a, const struct stat *b) {
    return a->st_mtim.tv_sec < b->st_mtim.tv_sec ||
           (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec <= b->st_mtim.tv_nsec);
}

/* Whether the bundle was made after both that it is made of. */
static bool is_fresh(int directory, const char *name, const char *base) {
    struct stat bundle, ours, theirs;
    return fstatat(directory, name, &bundle, AT_SYMLINK_NOFOLLOW) == 0 &&
           private_is(&bundle, S_IFREG) &&
           fstatat(directory, AUTHORITY_CERTIFICATE, &ours, AT_SYMLINK_NOFOLLOW) == 0 &&
           !is_older(&bundle, &ours) &&
           (!base || (stat(base, &theirs) == 0 && !is_older(&bundle, &theirs)));
}

/* Appends the file FROM to TO, and an end of line. */
static bool append(int to, int from) {
    char part[16384];
    ssize_t length;
    if (from < 0)
        return false;
    while ((length = read(from, part, sizeof part)) > 0)
        if (write(to, part, (size_t)length) != length)
            return false;
    return length == 0 && write(to, "\n", 1) == 1;
}

static bool make(int directory, const char *name, const char *base) {
    char fresh[64];
    snprintf(fresh, sizeof fresh, "%s.%ld", name, (long)getpid());
    unlinkat(directory, fresh, 0);
    int to = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int theirs = base ? open(base, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    int ours = openat(directory, AUTHORITY_CERTIFICATE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool made = to >= 0 && (!base || append(to, theirs)) && append(to, ours);
    int error = errno;
    if (theirs >= 0)
        close(theirs);
    if (ours >= 0)
        close(ours);
    if (to >= 0)
        made = close(to) == 0 && made;
    made = made && renameat(directory, fresh, directory, name) == 0;
    if (!made)
        unlinkat(directory, fresh, 0);
    errno = error;
    return made;
}

bool trust_bundle(const char *directory, const char *value, char out[PATH_MAX], char *message,
                  size_t size) {
    char name[40];
    size_t length = strlen(directory);
    const char *base = value && *value ? value : system_bundle();
    if (base && strncmp(base, directory, length) == 0 && base[length] == '/') {
        snprintf(out, PATH_MAX, "%s", base); /* a `run` around this one has made it */
        return true;
    }
    snprintf(name, sizeof name, "bundle-%016llx.pem",
             (unsigned long long)ledger_key("bundle", base ? base : "", NULL));
    int fd = private_open_directory(directory, false);
    bool good = fd >= 0 && (is_fresh(fd, name, base) || make(fd, name, base));
    if (!good)
        snprintf(message, size, "can't make a bundle of %s and the authority in %s: %s",
                 base ? base : "nothing", directory, strerror(errno));
    if (fd >= 0)
        close(fd);
    int written = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    return good && written > 0 && written < PATH_MAX;
}
