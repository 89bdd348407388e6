/*
 * Handles of the multi interface that go, in the middle of whatever libcurl does with them.
 *
 *   multi_leave ACTION LOOP URL
 *
 * Does ACTION after no turn of the loop, then with new handles after one, and so on until the
 * transfers have ended by themselves before it; each time checks what the handles do afterwards.
 *
 *   remove    takes a handle out; the others go on, and it can do another transfer
 *   readd     takes it out and puts it in again
 *   move      takes it out: an easy transfer, another multi handle, back
 *   easy      curl_easy_cleanup of a handle that is still added
 *   multi     curl_multi_cleanup with all of them still added; then a transfer with one of them
 *   unread    takes it out when it has ended and its message is not read
 *   fast      takes it out and adds it again, many times, with and without turns
 *
 * Prints the number of turns. Exit status 3 if something is not as it should be.
 */
#include "multi_request.h"

#define GROUP     3 /* requests at a time; the first of them goes */
#define TURNS_MAX 60
#define SECONDS   10

static struct { const char *kind, *url; } setup;

struct group {
    struct loop loop;
    struct request requests[GROUP];
};

static void begin(struct group *group, int turns) {
    loop_begin(&group->loop, setup.kind);
    for (int i = 0; i < GROUP; i++) {
        request_begin(&group->requests[i], i, setup.url);
        loop_check(curl_multi_add_handle(group->loop.multi, group->requests[i].easy), "add");
    }
    for (int i = 0; i < turns; i++)
        loop_turn(&group->loop, 1000);
}

/* The others are not touched by what became of the first. */
static void finish_others(struct group *group, const char *when) {
    for (int i = 1; i < GROUP; i++) {
        request_finish(&group->loop, &group->requests[i], SECONDS, when);
        request_check(&group->requests[i], 200, when);
        loop_check(curl_multi_remove_handle(group->loop.multi, group->requests[i].easy), when);
    }
}

static void end(struct group *group) {
    loop_end(&group->loop);
    for (int i = 0; i < GROUP; i++)
        request_end(&group->requests[i]);
}

static void take_out(struct loop *loop, const struct request *request) {
    loop_check(curl_multi_remove_handle(loop->multi, request->easy), "remove");
}

static void perform(struct request *request, const char *when) {
    request_again(request);
    request->result = curl_easy_perform(request->easy);
    request_check(request, 200, when);
}

static void add_and_finish(struct loop *loop, struct request *request, const char *when) {
    request_again(request);
    loop_check(curl_multi_add_handle(loop->multi, request->easy), when);
    request_finish(loop, request, SECONDS, when);
    request_check(request, 200, when);
    take_out(loop, request);
}

static void act_remove(struct group *group) {
    take_out(&group->loop, &group->requests[0]);
    finish_others(group, "the others");
    if (group->requests[0].messages)
        loop_broken("a message of a handle that is not there any more");
    perform(&group->requests[0], "after its removal");
}

static void act_readd(struct group *group) {
    take_out(&group->loop, &group->requests[0]);
    add_and_finish(&group->loop, &group->requests[0], "added again");
    finish_others(group, "the others");
}

static void act_move(struct group *group) {
    struct loop other;
    struct request *request = &group->requests[0];
    take_out(&group->loop, request);
    perform(request, "easy");
    loop_begin(&other, setup.kind);
    add_and_finish(&other, request, "in another multi handle");
    loop_end(&other);
    perform(request, "easy again");
    add_and_finish(&group->loop, request, "back");
    finish_others(group, "the others");
}

static void act_easy(struct group *group) {
    curl_easy_cleanup(group->requests[0].easy);
    group->requests[0].easy = NULL;
    finish_others(group, "the others");
    if (group->requests[0].messages)
        loop_broken("a message of a handle that is freed");
}

static void act_multi(struct group *group) {
    loop_abandon(&group->loop);
    perform(&group->requests[0], "after the end of its multi handle");
    loop_begin(&group->loop, setup.kind);
}

static void act_unread(struct group *group) {
    while (group->loop.running)
        loop_turn(&group->loop, 1000);
    for (int i = 0; i < GROUP; i++)
        take_out(&group->loop, &group->requests[i]);
    if (request_read_all(&group->loop))
        loop_broken("messages of handles that are not there any more");
    add_and_finish(&group->loop, &group->requests[0], "after unread messages");
}

static void act_fast(struct group *group) {
    struct request *request = &group->requests[0];
    for (int i = 0; i < 30; i++) {
        take_out(&group->loop, request);
        loop_check(curl_multi_add_handle(group->loop.multi, request->easy), "add");
        if (curl_multi_add_handle(group->loop.multi, request->easy) != CURLM_ADDED_ALREADY)
            loop_broken("added twice");
        for (int turn = 0; turn < i % 4; turn++)
            loop_turn(&group->loop, 20);
    }
    take_out(&group->loop, request);
    if (request_read_all(&group->loop) && request->messages > 1)
        loop_broken("too many messages");
    add_and_finish(&group->loop, request, "at last");
    finish_others(group, "the others");
}

static const struct {
    const char *name;
    void (*act)(struct group *);
} actions[] = {
    {"remove", act_remove}, {"readd", act_readd},   {"move", act_move}, {"easy", act_easy},
    {"multi", act_multi},   {"unread", act_unread}, {"fast", act_fast},
};

static void try_after(int turns, void (*act)(struct group *), bool *ended) {
    static struct group group;
    begin(&group, turns);
    *ended = turns > 0 && group.loop.running == 0;
    if (group.loop.running != GROUP && !*ended && turns > TURNS_MAX)
        loop_broken("the transfers don't end");
    act(&group);
    end(&group);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc == 4 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[1], actions[i].name) != 0)
            continue;
        int turns = 0;
        setup.kind = argv[2];
        setup.url = argv[3];
        curl_global_init(CURL_GLOBAL_ALL);
        for (bool ended = false; !ended && turns <= TURNS_MAX; turns++)
            try_after(turns, actions[i].act, &ended);
        printf("turns=%d\n", turns);
        curl_global_cleanup();
        return 0;
    }
    fprintf(stderr, "usage: multi_leave ACTION LOOP URL\n");
    return 2;
}
