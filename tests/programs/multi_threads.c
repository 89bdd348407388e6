/*
 * Threads that make, use and give up multi handles, each its own, all at the same time.
 *
 *   multi_threads THREADS ROUNDS URL
 *
 * In each round a thread has a new multi handle with four transfers. Every third round it gives it
 * up in the middle of them. Allocations of all threads come from one heap, so that the address of
 * what one thread frees is the next one's at once. Exit status 3 if something is not as it should
 * be.
 */
#include <malloc.h>
#include <pthread.h>

#include "multi_request.h"

#define GROUP       4
#define THREADS_MAX 64

static struct {
    const char *url;
    int rounds;
} setup;

static void use(int number, bool give_up) {
    struct request *requests = calloc(GROUP, sizeof *requests);
    struct loop loop;
    if (!requests)
        loop_broken("memory");
    loop_begin(&loop, "perform");
    for (int i = 0; i < GROUP; i++) {
        request_begin(&requests[i], number + i, setup.url);
        curl_easy_setopt(requests[i].easy, CURLOPT_NOSIGNAL, 1L);
        loop_check(curl_multi_add_handle(loop.multi, requests[i].easy), "add");
    }
    if (give_up) {
        loop_turn(&loop, 0);
        loop_check(curl_multi_cleanup(loop.multi), "curl_multi_cleanup");
    }
    for (int i = 0; i < GROUP; i++) {
        if (!give_up) {
            request_finish(&loop, &requests[i], 20, "a thread's request");
            request_check(&requests[i], 200, "a thread's request");
            loop_check(curl_multi_remove_handle(loop.multi, requests[i].easy), "remove");
        }
        request_end(&requests[i]);
    }
    if (!give_up)
        loop_end(&loop);
    free(requests);
}

static void *run(void *argument) {
    const int *thread = argument;
    for (int i = 0; i < setup.rounds; i++)
        use(*thread * 100000 + i * GROUP, i % 3 == 2);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS_MAX];
    int numbers[THREADS_MAX];
    int count = argc == 4 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: multi_threads THREADS ROUNDS URL\n");
        return 2;
    }
    mallopt(M_ARENA_MAX, 1);
    setup.rounds = (int)strtol(argv[2], NULL, 10);
    setup.url = argv[3];
    curl_global_init(CURL_GLOBAL_ALL);
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, run, &numbers[i]) != 0)
            return 2;
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    curl_global_cleanup();
    return 0;
}
