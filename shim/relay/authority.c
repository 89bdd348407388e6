#include "shim/relay/authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/private.h"

#define DAY       86400
#define HOST_MAX  256
#define FILE_SIZE 65536

/* A leaf that was made; they go with the authority, since a handshake may still use the one before.
 */
struct leaf {
    char host[HOST_MAX];
    time_t made;
    gnutls_pcert_st certificate;
    gnutls_privkey_t key;
    struct leaf *next;
};

struct authority {
    const struct settings *settings;
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
    struct leaf *leaves; /* the newest first */
};

bool authority_directory(settings_lookup *lookup, char path[PATH_MAX]) {
    const char *base = lookup("XDG_CONFIG_HOME"), *home = lookup("HOME");
    int length = 0;
    if (base && *base == '/')
        length = snprintf(path, PATH_MAX, "%s/spillway/ca", base);
    else if (home && *home == '/')
        length = snprintf(path, PATH_MAX, "%s/.config/spillway/ca", home);
    return length > 0 && length < PATH_MAX;
}

bool authority_host(const struct settings *settings, size_t n, struct slice *host) {
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t j = 0; endpoint->sockets == SOCKETS_RELAY && j < endpoint->url_count; j++)
            if (endpoint->prefixes[j].https && n-- == 0) {
                *host = endpoint->prefixes[j].host;
                return true;
            }
    }
    return false;
}

/* A host as certificates name it. */
struct name {
    gnutls_x509_subject_alt_name_t type;
    char text[HOST_MAX];       /* lower case, without brackets */
    unsigned char address[32]; /* of GNUTLS_SAN_IPADDRESS; behind it all ones, as its mask */
    unsigned length;           /* of the address, without the mask */
};

static bool name_of(struct slice host, struct name *name) {
    memset(name, 0, sizeof *name);
    if (host.length > 2 && host.text[0] == '[')
        host = (struct slice){host.text + 1, host.length - 2};
    if (host.length > 1 && host.text[host.length - 1] == '.')
        host.length--;
    if (host.length == 0 || host.length >= sizeof name->text)
        return false;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.text[i];
        name->text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    name->type = GNUTLS_SAN_IPADDRESS;
    memset(name->address, 0xff, sizeof name->address);
    if (inet_pton(AF_INET, name->text, name->address) == 1) {
        name->length = 4;
    } else if (inet_pton(AF_INET6, name->text, name->address) == 1) {
        name->length = 16;
    } else {
        name->type = GNUTLS_SAN_DNSNAME;
    }
    return true;
}

/* What a name constraint says of it: an address has its mask with it. */
static gnutls_datum_t constraint_of(struct name *name) {
    if (name->type == GNUTLS_SAN_IPADDRESS)
        return (gnutls_datum_t){name->address, name->length * 2};
    return (gnutls_datum_t){(unsigned char *)name->text, (unsigned)strlen(name->text)};
}

static bool fail(char *message, size_t size, const char *what, int code) {
    snprintf(message, size, "%s: %s", what, gnutls_strerror(code));
    return false;
}

/* Addresses that no settings name are excluded: else a constraint on names leaves them open. */
static int exclude_addresses(gnutls_x509_name_constraints_t constraints, bool four, bool six) {
    unsigned char nothing[32] = {0};
    gnutls_datum_t all = {nothing, 8};
    int code = 0;
    if (!four)
        code = gnutls_x509_name_constraints_add_excluded(constraints, GNUTLS_SAN_IPADDRESS, &all);
    all.size = 32;
    if (!six && code >= 0)
        code = gnutls_x509_name_constraints_add_excluded(constraints, GNUTLS_SAN_IPADDRESS, &all);
    return code;
}

static int constrain(gnutls_x509_crt_t certificate, const struct settings *settings) {
    gnutls_x509_name_constraints_t constraints;
    struct slice host;
    struct name name;
    bool four = false, six = false;
    int code = gnutls_x509_name_constraints_init(&constraints);
    if (code < 0)
        return code;
    for (size_t i = 0; code >= 0 && authority_host(settings, i, &host); i++) {
        if (!name_of(host, &name)) {
            code = GNUTLS_E_INVALID_REQUEST;
            break;
        }
        gnutls_datum_t datum = constraint_of(&name);
        four |= name.length == 4;
        six |= name.length == 16;
        code = gnutls_x509_name_constraints_add_permitted(constraints, name.type, &datum);
    }
    if (code >= 0)
        code = exclude_addresses(constraints, four, six);
    if (code >= 0)
        code = gnutls_x509_crt_set_name_constraints(certificate, constraints, 1);
    gnutls_x509_name_constraints_deinit(constraints);
    return code;
}

static int make_key(gnutls_x509_privkey_t *key) {
    int code = gnutls_x509_privkey_init(key);
    if (code < 0) {
        *key = NULL;
        return code;
    }
    return gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
                                        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

/* A certificate with KEY, from an hour before NOW (clocks differ) until LIFE after it. */
static int begin_certificate(gnutls_x509_crt_t *certificate, gnutls_x509_privkey_t key, time_t now,
                             time_t life) {
    unsigned char serial[16], id[32];
    size_t size = sizeof id;
    int code = gnutls_x509_crt_init(certificate);
    if (code < 0) {
        *certificate = NULL;
        return code;
    }
    if ((code = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial)) < 0)
        return code;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and 16 bytes */
    if ((code = gnutls_x509_crt_set_version(*certificate, 3)) < 0 ||
        (code = gnutls_x509_crt_set_key(*certificate, key)) < 0 ||
        (code = gnutls_x509_crt_set_serial(*certificate, serial, sizeof serial)) < 0 ||
        (code = gnutls_x509_crt_set_activation_time(*certificate, now - 3600)) < 0 ||
        (code = gnutls_x509_crt_set_expiration_time(*certificate, now + life)) < 0 ||
        (code = gnutls_x509_crt_set_key_purpose_oid(*certificate, GNUTLS_KP_TLS_WWW_SERVER, 0)) <
            0 ||
        (code = gnutls_x509_crt_get_key_id(*certificate, 0, id, &size)) < 0)
        return code;
    return gnutls_x509_crt_set_subject_key_id(*certificate, id, size);
}

static int fill_authority(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
                          const struct settings *settings) {
    char host[64] = "", name[160];
    const char *error;
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++) /* what a name may hold without being quoted */
        if (!((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') && !(*c >= '0' && *c <= '9') && *c != '.')
            *c = '-';
    snprintf(name, sizeof name, "CN=Spillway of user %u on %s,O=Spillway", (unsigned)geteuid(),
             *host ? host : "this host");
    int code = gnutls_x509_crt_set_dn(certificate, name, &error);
    if (code < 0 || (code = gnutls_x509_crt_set_basic_constraints(certificate, 1, 0)) < 0 ||
        (code = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN)) < 0 ||
        (code = constrain(certificate, settings)) < 0)
        return code;
    return gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
}

/* Writes NAME in DIRECTORY, in one step. */
static bool write_file(int directory, const char *name, const gnutls_datum_t *data) {
    char fresh[64];
    snprintf(fresh, sizeof fresh, "%s.new", name);
    unlinkat(directory, fresh, 0);
    int fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write(fd, data->data, data->size) == (ssize_t)data->size && fsync(fd) == 0;
    written = close(fd) == 0 && written;
    return written && renameat(directory, fresh, directory, name) == 0;
}

/* Like mkdir -p, with mode 0700. */
static bool make_directories(const char *path) {
    char part[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        size_t length = slash ? (size_t)(slash - path) : strlen(path);
        if (length >= sizeof part)
            return false;
        memcpy(part, path, length);
        part[length] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
        if (!slash)
            return true;
    }
}

static bool save(const char *directory, gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
                 char *message, size_t size) {
    gnutls_datum_t texts[2] = {{NULL, 0}, {NULL, 0}};
    int code = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &texts[0]);
    if (code >= 0)
        code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &texts[1]);
    int fd = make_directories(directory) ? private_open_directory(directory, false) : -1;
    /* the key first: with the old certificate it is seen not to fit */
    bool saved = code >= 0 && fd >= 0 && write_file(fd, AUTHORITY_KEY, &texts[1]) &&
                 write_file(fd, AUTHORITY_CERTIFICATE, &texts[0]);
    if (code < 0)
        fail(message, size, "the authority can't be written down", code);
    else if (!saved)
        snprintf(message, size, "%s: %s", directory,
                 errno == EPERM && fd < 0 ? "is not this user's alone (mode 0700)"
                                          : strerror(errno));
    if (fd >= 0)
        close(fd);
    if (texts[1].data)
        explicit_bzero(texts[1].data, texts[1].size);
    gnutls_free(texts[0].data);
    gnutls_free(texts[1].data);
    return saved;
}

bool authority_create(const char *directory, const struct settings *settings, time_t now,
                      char *message, size_t size) {
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t certificate = NULL;
    struct slice host;
    bool created = false;
    if (!authority_host(settings, 0, &host)) {
        snprintf(message, size,
                 "no endpoint with sockets: relay has an https URL: there is nothing "
                 "that an authority would be good for");
        return false;
    }
    int code = make_key(&key);
    if (code >= 0)
        code = begin_certificate(&certificate, key, now, AUTHORITY_LIFE);
    if (code >= 0)
        code = fill_authority(certificate, key, settings);
    if (code >= 0)
        created = save(directory, certificate, key, message, size);
    else
        fail(message, size, "the authority can't be made", code);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return created;
}

/* Reads NAME into DATA, which has room for FILE_SIZE; it must be this user's alone. */
static bool read_file(int directory, const char *name, gnutls_datum_t *data) {
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = -1;
    if (fstat(fd, &status) != 0 || !private_is(&status, S_IFREG))
        errno = EPERM;
    else
        length = read(fd, data->data, FILE_SIZE);
    int saved = errno;
    close(fd);
    errno = saved;
    data->size = length > 0 ? (unsigned)length : 0;
    return length > 0;
}

static bool read_both(struct authority *authority, const char *directory, char *message,
                      size_t size) {
    unsigned char *room = malloc(FILE_SIZE);
    gnutls_datum_t data = {room, 0};
    const char *name = AUTHORITY_CERTIFICATE;
    int code = room ? 0 : GNUTLS_E_MEMORY_ERROR;
    int fd = private_open_directory(directory, false);
    bool read = room && fd >= 0 && read_file(fd, name, &data);
    if (read)
        code = gnutls_x509_crt_import(authority->certificate, &data, GNUTLS_X509_FMT_PEM);
    if (read && code >= 0) {
        name = AUTHORITY_KEY;
        read = read_file(fd, name, &data);
        if (read)
            code = gnutls_x509_privkey_import(authority->key, &data, GNUTLS_X509_FMT_PEM);
    }
    if (!read)
        snprintf(message, size, "%s/%s: %s", directory, name,
                 errno == EPERM ? "is not this user's alone (mode 0600 in 0700)" : strerror(errno));
    else if (code < 0)
        snprintf(message, size, "%s/%s: %s", directory, name, gnutls_strerror(code));
    if (fd >= 0)
        close(fd);
    if (room)
        explicit_bzero(room, FILE_SIZE);
    free(room);
    return read && code >= 0;
}

/* Whether the key is the certificate's. */
static bool fits(const struct authority *authority) {
    unsigned char ids[2][32];
    size_t sizes[2] = {sizeof ids[0], sizeof ids[1]};
    return gnutls_x509_crt_get_key_id(authority->certificate, 0, ids[0], &sizes[0]) >= 0 &&
           gnutls_x509_privkey_get_key_id(authority->key, 0, ids[1], &sizes[1]) >= 0 &&
           sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0;
}

/* The first host of the settings that the authority is not good for. */
static bool find_uncovered(const struct authority *authority, struct slice *host) {
    gnutls_x509_name_constraints_t constraints;
    unsigned critical;
    struct name name;
    bool found = true;
    if (gnutls_x509_name_constraints_init(&constraints) < 0)
        return authority_host(authority->settings, 0, host);
    bool readable = gnutls_x509_crt_get_name_constraints(authority->certificate, constraints, 0,
                                                         &critical) >= 0;
    for (size_t i = 0; (found = authority_host(authority->settings, i, host)); i++) {
        if (!readable || !name_of(*host, &name))
            break;
        gnutls_datum_t datum = constraint_of(&name);
        if (name.type == GNUTLS_SAN_IPADDRESS)
            datum.size = name.length;
        if (!gnutls_x509_name_constraints_check(constraints, name.type, &datum))
            break;
    }
    gnutls_x509_name_constraints_deinit(constraints);
    return found;
}

static bool is_good(const struct authority *authority, time_t now, char *message, size_t size) {
    struct slice host;
    if (!fits(authority))
        snprintf(message, size, "key and certificate don't belong together");
    else if (gnutls_x509_crt_get_expiration_time(authority->certificate) - DAY < now ||
             gnutls_x509_crt_get_activation_time(authority->certificate) > now)
        snprintf(message, size, "its time is over");
    else if (find_uncovered(authority, &host))
        snprintf(message, size, "it is not for %.*s", (int)host.length, host.text);
    else
        return true;
    return false;
}

struct authority *authority_open(const char *directory, const struct settings *settings, time_t now,
                                 char *message, size_t size) {
    struct authority *authority = calloc(1, sizeof *authority);
    if (!authority || gnutls_x509_crt_init(&authority->certificate) < 0 ||
        gnutls_x509_privkey_init(&authority->key) < 0) {
        snprintf(message, size, "out of memory");
        authority_free(authority);
        return NULL;
    }
    authority->settings = settings;
    if (read_both(authority, directory, message, size) && is_good(authority, now, message, size))
        return authority;
    authority_free(authority);
    return NULL;
}

static void free_leaf(struct leaf *leaf) {
    gnutls_pcert_deinit(&leaf->certificate);
    if (leaf->key)
        gnutls_privkey_deinit(leaf->key);
    free(leaf);
}

void authority_free(struct authority *authority) {
    if (!authority)
        return;
    for (struct leaf *leaf = authority->leaves, *next; leaf; leaf = next) {
        next = leaf->next;
        free_leaf(leaf);
    }
    if (authority->certificate)
        gnutls_x509_crt_deinit(authority->certificate);
    if (authority->key)
        gnutls_x509_privkey_deinit(authority->key);
    free(authority);
}

static bool is_of_settings(const struct settings *settings, const struct name *name) {
    struct slice host;
    struct name each;
    for (size_t i = 0; authority_host(settings, i, &host); i++)
        if (name_of(host, &each) && strcmp(each.text, name->text) == 0)
            return true;
    return false;
}

static int sign_leaf(const struct authority *authority, const struct name *name,
                     gnutls_x509_crt_t certificate) {
    const void *data =
        name->type == GNUTLS_SAN_IPADDRESS ? (const void *)name->address : name->text;
    unsigned length = name->length ? name->length : (unsigned)strlen(name->text);
    unsigned char id[32];
    size_t size = sizeof id;
    const char *error;
    /* no CN: where a certificate names no host but an address, some take that for one */
    int code = gnutls_x509_crt_set_dn(certificate, "O=Spillway relay", &error);
    if (code >= 0)
        code = gnutls_x509_crt_set_subject_alt_name(certificate, name->type, data, length, 0);
    if (code >= 0)
        code = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
    if (code >= 0)
        code = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (code >= 0)
        code = gnutls_x509_crt_get_subject_key_id(authority->certificate, id, &size, NULL);
    if (code >= 0)
        code = gnutls_x509_crt_set_authority_key_id(certificate, id, size);
    if (code < 0)
        return code;
    return gnutls_x509_crt_sign2(certificate, authority->certificate, authority->key,
                                 GNUTLS_DIG_SHA256, 0);
}

/* Fills LEAF. It takes KEY over. */
static int make_leaf(const struct authority *authority, const struct name *name, time_t now,
                     struct leaf *leaf) {
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t certificate = NULL;
    int code = make_key(&key);
    if (code >= 0)
        code = begin_certificate(&certificate, key, now, LEAF_LIFE);
    if (code >= 0)
        code = sign_leaf(authority, name, certificate);
    if (code >= 0)
        code = gnutls_pcert_import_x509(&leaf->certificate, certificate, 0);
    if (code >= 0)
        code = gnutls_privkey_init(&leaf->key);
    if (code >= 0)
        code = gnutls_privkey_import_x509(leaf->key, key, GNUTLS_PRIVKEY_IMPORT_COPY);
    if (certificate)
        gnutls_x509_crt_deinit(certificate);
    if (key)
        gnutls_x509_privkey_deinit(key);
    leaf->made = now;
    memcpy(leaf->host, name->text, sizeof leaf->host);
    return code;
}

bool authority_leaf(struct authority *authority, const char *host, size_t length, time_t now,
                    gnutls_pcert_st **certificate, gnutls_privkey_t *key) {
    struct name name;
    if (!name_of((struct slice){host, length}, &name) ||
        !is_of_settings(authority->settings, &name))
        return false;
    struct leaf *leaf = authority->leaves;
    while (leaf && strcmp(leaf->host, name.text) != 0)
        leaf = leaf->next;
    if (!leaf || now - leaf->made > LEAF_LIFE / 2 || now < leaf->made) {
        leaf = calloc(1, sizeof *leaf);
        if (!leaf || make_leaf(authority, &name, now, leaf) < 0) {
            if (leaf)
                free_leaf(leaf);
            return false;
        }
        leaf->next = authority->leaves;
        authority->leaves = leaf;
    }
    *certificate = &leaf->certificate;
    *key = leaf->key;
    return true;
}
