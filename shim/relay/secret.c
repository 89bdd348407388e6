#include "shim/relay/secret.h"

#include <string.h>

#include <nettle/memops.h>

bool secret_same(const char *secret, const char *given) {
    size_t length = strlen(secret);
    return given && strlen(given) == length && memeql_sec(secret, given, length);
}
