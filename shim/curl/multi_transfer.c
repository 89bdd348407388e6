#include "shim/curl/multi_transfer.h"

#include <stdlib.h>

#include "shim/curl/transfer.h"
#include "shim/runtime.h"

struct multi *multi_find(CURLM *multi) {
    return (struct multi *)registry_find(multi, RECORD_MULTI); /* the record is its first member */
}

static void free_multi(struct multi *multi) {
    for (struct handle *h = multi->handles; h; h = h->next)
        h->multi = NULL;
    free(multi->messages);
    free(multi);
}

static void discard(struct record *record) {
    free_multi((struct multi *)record); /* its first member */
}

struct multi *multi_watch(CURLM *address, const struct libcurl *curl) {
    struct multi *multi = multi_find(address);
    if (multi || !runtime_exists())
        return multi;
    multi = calloc(1, sizeof *multi);
    if (!multi)
        return NULL;
    multi->record.address = address;
    multi->record.kind = RECORD_MULTI;
    multi->record.discard = discard;
    multi->multi = address;
    multi->curl = curl;
    if (!registry_add(&multi->record)) {
        free(multi);
        return NULL;
    }
    return multi;
}

/* Room for the messages of one more handle, so that no message is ever lost. */
static bool reserve(struct multi *multi) {
    if (multi->added < multi->capacity)
        return true;
    size_t capacity = multi->capacity ? multi->capacity * 2 : 16;
    CURLMsg **messages = malloc(capacity * sizeof(CURLMsg *)); /* NOLINT: an array of pointers */
    if (!messages)
        return false;
    for (size_t i = 0; multi->capacity && i < multi->count; i++)
        messages[i] = multi->messages[(multi->first + i) % multi->capacity];
    free(multi->messages);
    multi->messages = messages;
    multi->capacity = capacity;
    multi->first = 0;
    return true;
}

static void drop_message(struct multi *multi, const CURL *easy) {
    size_t kept = 0;
    for (size_t i = 0; i < multi->count; i++) {
        CURLMsg *message = multi->messages[(multi->first + i) % multi->capacity];
        if (message->easy_handle != easy)
            multi->messages[(multi->first + kept++) % multi->capacity] = message;
    }
    multi->count = kept;
}

static void link_handle(struct multi *multi, struct handle *handle) {
    handle->multi = multi;
    handle->previous = NULL;
    handle->next = multi->handles;
    if (handle->next)
        handle->next->previous = handle;
    multi->handles = handle;
}

static void unlink_handle(struct multi *multi, struct handle *handle) {
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        multi->handles = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
    handle->multi = NULL;
    handle->previous = handle->next = NULL;
}

CURLMcode multi_add(struct multi *multi, CURL *easy, struct handle *handle) {
    bool routed = false;
    if (handle && handle->multi) /* libcurl says what is wrong with that */
        return multi->curl->multi_add_handle(multi->multi, easy);
    if (!reserve(multi))
        return CURLM_OUT_OF_MEMORY;
    if (handle && handle->curl == multi->curl && !multi->untouched && !multi->inside)
        routed = transfer_begin(handle);
    else if (handle)
        transfer_release(handle);
    if (routed) {
        handle->transfer->in_multi = true;
        transfer_aim(handle->transfer);
    }
    multi->inside++;
    CURLMcode result = multi->curl->multi_add_handle(multi->multi, easy);
    multi->inside--;
    if (result != CURLM_OK) {
        if (routed)
            transfer_end(handle->transfer);
        return result;
    }
    multi->added++;
    if (handle)
        link_handle(multi, handle);
    return CURLM_OK;
}

CURLMcode multi_remove(struct multi *multi, CURL *easy, struct handle *handle) {
    multi->inside++;
    CURLMcode result = multi->curl->multi_remove_handle(multi->multi, easy);
    multi->inside--;
    if (result != CURLM_OK)
        return result;
    drop_message(multi, easy);
    if (multi->added > 0)
        multi->added--;
    if (handle && handle->multi == multi) {
        unlink_handle(multi, handle);
        if (handle->aimed)
            transfer_end(handle->transfer);
    }
    return CURLM_OK;
}

/*
 * Takes the handle out and puts it in again, aimed at what comes next. Returns false if libcurl
 * doesn't take it back: its transfer has ended, then, with what libcurl said of it.
 */
static bool start_again(struct multi *multi, struct handle *handle) {
    multi->curl->multi_remove_handle(multi->multi, handle->easy);
    transfer_aim(handle->transfer);
    return multi->curl->multi_add_handle(multi->multi, handle->easy) == CURLM_OK;
}

/* A transfer has ended: tells whether the program shall know. */
static bool settle(struct multi *multi, CURLMsg *message, int *again) {
    struct handle *handle = handle_find(message->easy_handle);
    if (!handle || handle->multi != multi || !handle->aimed)
        return true;
    if (transfer_continue(handle->transfer, &message->data.result) == TRANSFER_RUN) {
        if (start_again(multi, handle)) {
            ++*again;
            return false;
        }
        /* the message is libcurl's own, in its handle, and still there */
        message->data.result = CURLE_OUT_OF_MEMORY;
    }
    transfer_end(handle->transfer);
    return true;
}

void multi_enter(struct multi *multi) {
    multi->inside++;
}

int multi_leave(struct multi *multi) {
    int again = 0, left;
    CURLMsg *message;
    if (multi->inside > 1 || multi->untouched) {
        multi->inside--;
        return 0;
    }
    /* inside still: taking handles out and in makes callbacks, and these may call us */
    while (multi->count < multi->capacity &&
           (message = multi->curl->multi_info_read(multi->multi, &left)))
        if (message->msg != CURLMSG_DONE || settle(multi, message, &again))
            multi->messages[(multi->first + multi->count++) % multi->capacity] = message;
    multi->inside--;
    return again;
}

CURLMsg *multi_read(struct multi *multi, int *left) {
    if (multi->untouched)
        return multi->curl->multi_info_read(multi->multi, left);
    if (!multi->inside) {
        multi_enter(multi);
        multi_leave(multi);
    }
    CURLMsg *message = NULL;
    if (multi->count > 0) {
        message = multi->messages[multi->first];
        multi->first = (multi->first + 1) % multi->capacity;
        multi->count--;
    }
    *left = (int)multi->count;
    return message;
}

CURLMcode multi_close(struct multi *multi) {
    CURLM *address = multi->multi;
    const struct libcurl *curl = multi->curl;
    multi->inside++;
    registry_remove(&multi->record);
    CURLMcode result = curl->multi_cleanup(address);
    multi->inside--;
    if (result != CURLM_OK) {
        if (!registry_add(&multi->record))
            free_multi(multi);
        return result;
    }
    for (struct handle *h = multi->handles, *next; h; h = next) {
        next = h->next;
        unlink_handle(multi, h);
        if (h->aimed)
            transfer_end(h->transfer);
    }
    free_multi(multi);
    return result;
}
