/*
 * A worker of a fleet: it does nothing but ask.
 *
 *   fleet loop COUNT PAUSE_MS URL     COUNT requests (0: for ever), one after the other
 *   fleet gate COUNT PAUSE_MS URL     the same once for each line of stdin, "end" after each
 *   fleet threads THREADS MS URL      threads that ask for MS milliseconds
 *   fleet fork THREADS CHILDREN URL   the same, and children of the process that ask once each
 *   fleet vfork THREADS TIMES URL COMMAND...   the same, and vfork and exec of COMMAND
 *   fleet inherit URL                 a child cleans up what its parent is in the middle of
 *
 * loop and gate print a line per request as it ends: the status (0: none), the mock's name (-:
 * none) and the time in ms since the epoch. The others print "answered=N other=N" for their
 * threads; they end with status 1 if a child or a command does not do well, or hangs.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX   256
#define CHILD_SECONDS 20 /* after which a child counts as hanging */

struct answer {
    long status;
    char name[64];
};

static struct {
    const char *url;
    atomic_bool over;
    atomic_ulong answered, other;
} work;

static uint64_t milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_for(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static size_t discard(char *data, size_t size, size_t count, void *unused) {
    (void)data, (void)unused;
    return size * count;
}

static size_t note_name(char *data, size_t size, size_t count, void *userdata) {
    static const char header[] = "x-spillway-mock: ";
    struct answer *answer = userdata;
    size_t length = size * count, skip = sizeof header - 1;
    if (length > skip && memcmp(data, header, skip) == 0) {
        size_t name = strcspn(data + skip, "\r\n");
        if (name >= sizeof answer->name)
            name = sizeof answer->name - 1;
        memcpy(answer->name, data + skip, name);
        answer->name[name] = '\0';
    }
    return length;
}

static CURL *prepare(struct answer *answer) {
    CURL *easy = curl_easy_init();
    if (!easy)
        exit(2);
    curl_easy_setopt(easy, CURLOPT_URL, work.url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, note_name);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer);
    return easy;
}

static void ask(CURL *easy, struct answer *answer) {
    *answer = (struct answer){.name = "-"};
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
}

static void loop(CURL *easy, struct answer *answer, long count, long pause_ms) {
    for (long i = 0; i < count || count == 0; i++) {
        if (i > 0 && pause_ms > 0)
            pause_for(pause_ms);
        ask(easy, answer);
        printf("%ld %s %llu\n", answer->status, answer->name,
               (unsigned long long)milliseconds(CLOCK_REALTIME));
        fflush(stdout);
    }
}

static int run_loop(long count, long pause_ms) {
    struct answer answer;
    CURL *easy = prepare(&answer);
    loop(easy, &answer, count, pause_ms);
    curl_easy_cleanup(easy);
    return 0;
}

static int run_gate(long count, long pause_ms) {
    char line[64];
    struct answer answer;
    CURL *easy = prepare(&answer);
    while (fgets(line, sizeof line, stdin)) {
        loop(easy, &answer, count, pause_ms);
        puts("end");
        fflush(stdout);
    }
    curl_easy_cleanup(easy);
    return 0;
}

/* A handle per ten requests, so that handles come and go. */
static void *keep_asking(void *unused) {
    struct answer answer;
    while (!atomic_load(&work.over)) {
        CURL *easy = prepare(&answer);
        for (int i = 0; i < 10 && !atomic_load(&work.over); i++) {
            ask(easy, &answer);
            atomic_fetch_add(answer.status == 200 ? &work.answered : &work.other, 1);
        }
        curl_easy_cleanup(easy);
    }
    return unused;
}

/* Runs FUNCTION with ARGUMENT while THREADS threads ask. Returns what it returns. */
static int beside_threads(long threads, int (*function)(void *argument), void *argument) {
    pthread_t ids[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, keep_asking, NULL) != 0)
            return 2;
    int result = function(argument);
    atomic_store(&work.over, true);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("answered=%lu other=%lu\n", atomic_load(&work.answered), atomic_load(&work.other));
    return result;
}

static int wait_a_while(void *argument) {
    pause_for(*(const long *)argument);
    return 0;
}

static int ended_well(pid_t child) {
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "child: status %#x\n", (unsigned)status);
        return 1;
    }
    return 0;
}

static int fork_often(void *argument) {
    int result = 0;
    for (long i = *(const long *)argument; i > 0 && result == 0; i--) {
        pid_t child = fork();
        if (child == 0) {
            struct answer answer;
            alarm(CHILD_SECONDS);
            CURL *easy = prepare(&answer);
            ask(easy, &answer);
            curl_easy_cleanup(easy);
            _exit(answer.status == 200 ? 0 : 1);
        }
        result = ended_well(child);
    }
    return result;
}

struct command {
    long times;
    char **argv;
};

static pid_t start_by_vfork(char **argv) {
    pid_t child = vfork(); /* NOLINT: as programs do */
    if (child == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    return child;
}

static int vfork_often(void *argument) {
    const struct command *command = argument;
    int result = 0;
    for (long i = command->times; i > 0 && result == 0; i--)
        result = ended_well(start_by_vfork(command->argv));
    return result;
}

/* The parent's transfer runs when the child is made; the child takes its copy of it apart. */
static int inherit(void) {
    struct answer answer = {0};
    int running = 1;
    CURLM *multi = curl_multi_init();
    CURL *easy = prepare(&answer);
    curl_multi_add_handle(multi, easy);
    for (int i = 0; i < 5; i++) { /* it takes some turns to send the request */
        curl_multi_perform(multi, &running);
        curl_multi_poll(multi, NULL, 0, 50, NULL);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        curl_multi_remove_handle(multi, easy);
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
        _exit(0);
    }
    int result = ended_well(child);
    puts("child=done");
    fflush(stdout);
    while (running) {
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            result = 1;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
    printf("%ld %s\n", answer.status, answer.name);
    curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    return result;
}

static int usage(void) {
    fprintf(stderr, "usage: fleet loop|gate|threads|fork|vfork|inherit ...\n");
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return usage();
    const char *mode = argv[1];
    long first = strtol(argv[2], NULL, 10), second = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    struct command command = {second, argv + 5};
    curl_global_init(CURL_GLOBAL_ALL);
    work.url = argc > 4 ? argv[4] : argv[2];
    if (strcmp(mode, "inherit") == 0)
        return inherit();
    if (argc < 5)
        return usage();
    if (strcmp(mode, "loop") == 0)
        return run_loop(first, second);
    if (strcmp(mode, "gate") == 0)
        return run_gate(first, second);
    if (strcmp(mode, "threads") == 0)
        return beside_threads(first, wait_a_while, &second);
    if (strcmp(mode, "fork") == 0)
        return beside_threads(first, fork_often, &second);
    if (strcmp(mode, "vfork") == 0 && argc > 5)
        return beside_threads(first, vfork_often, &command);
    return usage();
}
