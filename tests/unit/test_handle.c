/*
 * The records of easy handles: found by address, from any thread, after any fork.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/curl/handle.h"

#define MANY 2000

/* Addresses as an allocator gives them; nobody looks behind them. */
static CURL *address(uintptr_t number) {
    return (CURL *)(0x100000 + number * 64);
}

static const struct libcurl libcurl_one, libcurl_two;

static struct handle *added(uintptr_t number) {
    struct handle *handle = handle_add(address(number), &libcurl_one);
    cr_assert_not_null(handle);
    return handle;
}

Test(handle, is_unknown_before_and_after) {
    /* volatile: gcc's -fsanitize=null misjudges a thread-local address that it can work out */
    CURL *volatile nobody = NULL;
    cr_expect_null(handle_find(address(1)));
    cr_expect_null(handle_find(nobody));
    struct handle *handle = added(1);
    cr_expect_eq(handle->easy, address(1));
    cr_expect_eq(handle->curl, &libcurl_one);
    cr_expect_null(handle->transfer);
    cr_expect_not(handle->aimed || handle->routable);
    cr_expect_eq(handle->options.no_progress, 1, "options as a new handle has them");
    errno = EXDEV;
    cr_expect_eq(handle_find(address(1)), handle);
    cr_expect_eq(handle_find(address(1)), handle);
    cr_expect_null(handle_find(address(2)));
    cr_expect_null(handle_find(nobody));
    cr_expect_eq(errno, EXDEV);
    handle_remove(handle);
    cr_expect_null(handle_find(address(1)));
}

Test(handle, is_found_among_many) {
    static struct handle *handles[MANY];
    for (uintptr_t i = 0; i < MANY; i++)
        handles[i] = added(i);
    for (uintptr_t i = 0; i < MANY; i++)
        cr_assert_eq(handle_find(address(i)), handles[i]);
    for (uintptr_t i = 0; i < MANY; i += 2)
        handle_remove(handles[i]);
    for (uintptr_t i = 0; i < MANY; i++)
        cr_assert_eq(handle_find(address(i)), i % 2 ? handles[i] : NULL);
    for (uintptr_t i = 1; i < MANY; i += 2)
        handle_remove(handles[i]);
    for (uintptr_t i = 0; i < MANY; i++)
        cr_assert_null(handle_find(address(i)));
}

/* libcurl frees some handles behind our back; what the old one had set is gone with it. */
Test(handle, replaces_one_at_the_same_address) {
    struct handle *old = added(1), *other = added(2);
    char url[] = "http://old/";
    options_record(&old->options, CURLOPT_URL, options_note(CURLOPT_URL), url);
    old->aimed = true;
    cr_expect_eq(handle_find(address(1)), old);
    struct handle *handle = handle_add(address(1), &libcurl_two);
    cr_assert_not_null(handle);
    cr_expect_eq(handle_find(address(1)), handle);
    cr_expect_eq(handle->curl, &libcurl_two);
    cr_expect_null(handle->options.url.text);
    cr_expect_not(handle->aimed);
    cr_expect_eq(handle_find(address(2)), other);
    handle_remove(handle);
    cr_expect_null(handle_find(address(1)));
    handle_remove(other);
}

static _Atomic bool stop;

/* Adds, finds and removes handles of its own until it is told to stop. */
static void *work(void *argument) {
    uintptr_t first = (uintptr_t)argument * 1000;
    for (unsigned round = 0; !atomic_load(&stop); round++) {
        struct handle *handles[4];
        for (uintptr_t i = 0; i < 4; i++)
            handles[i] = handle_add(address(first + i), &libcurl_one);
        for (uintptr_t i = 0; i < 4; i++)
            if (!handles[i] || handle_find(address(first + i)) != handles[i])
                return "not found";
        for (uintptr_t i = 0; i < 4; i++)
            handle_remove(handles[i]);
        for (uintptr_t i = 0; i < 4; i++)
            if (handle_find(address(first + i)))
                return "found after its end";
    }
    return NULL;
}

/* What another thread removed is not remembered in this one. */
static void *remove_it(void *handle) {
    handle_remove(handle);
    return NULL;
}

Test(handle, removed_in_another_thread_is_gone_here) {
    pthread_t thread;
    for (int round = 0; round < 50; round++) {
        struct handle *handle = added(1);
        cr_assert_eq(handle_find(address(1)), handle);
        cr_assert_eq(pthread_create(&thread, NULL, remove_it, handle), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_null(handle_find(address(1)));
    }
}

Test(handle, works_in_threads_and_their_forks) {
    pthread_t threads[3];
    struct handle *own = added(1);
    for (uintptr_t i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int round = 0; round < 15; round++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a lock that nobody releases any more */
            struct handle *other = handle_add(address(2), &libcurl_one);
            bool found = handle_find(address(1)) == own && handle_find(address(2)) == other;
            handle_remove(other);
            handle_remove(own);
            _exit(!found || handle_find(address(1)));
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0);
        cr_assert_eq(handle_find(address(1)), own);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        void *problem;
        pthread_join(threads[i], &problem);
        cr_expect_null(problem, "%s", (const char *)problem);
    }
    handle_remove(own);
}
