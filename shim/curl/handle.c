#include "shim/curl/handle.h"

#include <stdlib.h>

#include "shim/curl/transfer.h"

static void free_handle(struct handle *handle) {
    transfer_free(handle->transfer);
    options_clear(&handle->options);
    free(handle);
}

struct handle *handle_add(CURL *easy, const struct libcurl *curl) {
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    struct record *stale;
    handle->record.address = easy;
    handle->record.kind = RECORD_EASY;
    handle->easy = easy;
    handle->curl = curl;
    options_init(&handle->options);
    bool added = registry_add(&handle->record, &stale);
    if (stale && stale->kind == RECORD_EASY)
        free_handle((struct handle *)stale);
    if (added)
        return handle;
    free_handle(handle);
    return NULL;
}

void handle_remove(struct handle *handle) {
    registry_remove(&handle->record);
    free_handle(handle);
}
