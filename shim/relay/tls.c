#include "shim/relay/tls.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shim/relay/authority.h"

#define NAME_SIZE 256

/* Written by tls_open and tls_close, before the first connection and after the last. */
static struct authority *authority;
static const struct settings *served;

bool tls_open(const struct settings *settings, settings_lookup *lookup, char *message,
              size_t size) {
    char directory[PATH_MAX];
    if (!authority_directory(lookup, directory)) {
        snprintf(message, size, "found neither XDG_CONFIG_HOME nor HOME");
        return false;
    }
    served = settings;
    authority = authority_open(directory, settings, time(NULL), message, size);
    return authority;
}

void tls_close(void) {
    authority_free(authority);
    authority = NULL;
}

/* The first numeric host of the settings, else the first: clients name no address (RFC 6066). */
static struct slice nameless(void) {
    struct slice host = {"", 0}, first = {"", 0};
    for (size_t i = 0; authority_host(served, i, &host); i++) {
        if (i == 0)
            first = host;
        if (host.length && (host.text[0] == '[' || (host.text[host.length - 1] >= '0' &&
                                                    host.text[host.length - 1] <= '9')))
            return host;
    }
    return first;
}

int tls_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **certificate, unsigned *length, gnutls_privkey_t *key) {
    char name[NAME_SIZE];
    size_t size = sizeof name;
    unsigned type = 0;
    struct slice host;
    (void)authorities, (void)count, (void)algorithms, (void)algorithm_count;
    int code = gnutls_server_name_get(session, name, &size, &type, 0);
    if (code == GNUTLS_E_SUCCESS)
        host = (struct slice){name, strnlen(name, sizeof name)};
    else if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        host = nameless();
    else
        return -1;
    *length = 1;
    return authority_leaf(authority, host.text, host.length, time(NULL), certificate, key) ? 0 : -1;
}
