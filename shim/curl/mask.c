#include "shim/curl/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mask_key_of(const char *line) {
    const char *value = line ? strstr(line, ": ") : NULL;
    if (!value)
        return NULL;
    value += 2;
    return strncmp(value, "Bearer ", 7) == 0 ? value + 7 : value;
}

/* As libcurl does without a debug function: texts and headers with two letters in front. */
static int print(const struct options *options, curl_infotype type, const char *data, size_t size) {
    static const char *const fronts[] = {"* ", "< ", "> "};
    FILE *out = options->stderr_file ? options->stderr_file : stderr;
    if (type <= CURLINFO_HEADER_OUT) {
        fwrite(fronts[type], 2, 1, out);
        fwrite(data, size, 1, out);
    }
    return 0;
}

static int pass_on(CURL *easy, const struct options *o, curl_infotype type, char *data,
                   size_t size) {
    return o->debug_function ? o->debug_function(easy, type, data, size, o->debug_data)
                             : print(o, type, data, size);
}

int mask_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *userdata) {
    const struct mask *mask = userdata;
    size_t length = mask->key ? strlen(mask->key) : 0;
    const char *found = length ? memmem(data, size, mask->key, length) : NULL;
    if (!found)
        return pass_on(easy, mask->options, type, data, size);
    char *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    for (char *at = copy; (at = memmem(at, size - (size_t)(at - copy), mask->key, length));)
        memset(at, '*', length);
    int result = pass_on(easy, mask->options, type, copy, size);
    free(copy);
    return result;
}
