/*
 * TLS in front of the relay: the certificate of the host that a client names (RFC 6066, section 3).
 */
#ifndef SPILLWAY_RELAY_TLS_H
#define SPILLWAY_RELAY_TLS_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/*
 * Opens the user's authority, by LOOKUP, for SETTINGS, which must stay until tls_close. There is
 * one for the process: libgnutls hands no context to its callbacks. Returns false with a sentence
 * in MESSAGE. Not thread-safe; errno is not preserved.
 */
bool tls_open(const struct settings *settings, settings_lookup *lookup, char *message, size_t size);
void tls_close(void);

/*
 * For MHD_OPTION_HTTPS_CERT_CALLBACK, a gnutls_certificate_retrieve_function2: gives the
 * certificate for the host that the client of SESSION names, or for the first of the settings if it
 * names none, as clients do that ask for an address. Returns 0, or -1, which ends the handshake,
 * for a host that is none of the settings'.
 */
int tls_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **certificate, unsigned *length, gnutls_privkey_t *key);

#endif
