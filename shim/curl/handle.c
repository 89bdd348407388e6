#include "shim/curl/handle.h"

#include <stdlib.h>

#include "shim/curl/transfer.h"
#include "shim/runtime.h"

static void free_handle(struct handle *handle) {
    transfer_free(handle->transfer);
    options_clear(&handle->options);
    runtime_release(handle->runtime);
    free(handle);
}

static void discard(struct record *record) {
    free_handle((struct handle *)record); /* its first member */
}

struct handle *handle_add(CURL *easy, const struct libcurl *curl) {
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    handle->record.address = easy;
    handle->record.kind = RECORD_EASY;
    handle->record.discard = discard;
    handle->easy = easy;
    handle->curl = curl;
    options_init(&handle->options);
    if (registry_add(&handle->record))
        return handle;
    free_handle(handle);
    return NULL;
}

void handle_remove(struct handle *handle) {
    registry_remove(&handle->record);
    free_handle(handle);
}
