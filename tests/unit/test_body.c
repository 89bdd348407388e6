/*
 * Bodies that are read twice: what the next attempt is given, and when it can't be.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/body.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SIZE         5000

static char content[SIZE];

/* The program with its source of bytes. */
struct source {
    size_t at, length, piece; /* at most so much for each call */
    size_t answer_once;       /* a value to return instead, if not 0 */
    int seek_result;
    unsigned reads, seeks;
};

static size_t source_read(char *out, size_t size, size_t count, void *userdata) {
    struct source *source = userdata;
    size_t room = size * count, left = source->length - source->at;
    size_t answer = source->answer_once;
    source->reads++;
    source->answer_once = 0;
    if (answer)
        return answer;
    if (source->piece && room > source->piece)
        room = source->piece;
    if (room > left)
        room = left;
    memcpy(out, content + source->at, room);
    source->at += room;
    return room;
}

static int source_seek(void *userdata, curl_off_t offset, int origin) {
    struct source *source = userdata;
    source->seeks++;
    cr_expect_eq(origin, SEEK_SET);
    if (source->seek_result == CURL_SEEKFUNC_OK)
        source->at = (size_t)offset;
    return source->seek_result;
}

static void start(struct body *body, struct options *options, struct source *source,
                  uint64_t limit) {
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (char)(i * 7 + i / 251);
    options_init(options);
    options->read_function = source_read;
    options->read_data = source;
    body_start(body, options, NULL, limit);
}

/* Reads up to LIMIT bytes by ROOM bytes; what comes must be the content from FROM on. */
static size_t read_some(struct body *body, size_t from, size_t limit, size_t room) {
    char *out = malloc(room);
    size_t used = 0, got = 1;
    while (used < limit && got) {
        size_t want = limit - used < room ? limit - used : room;
        got = body_read(out, 1, want, body);
        cr_assert_leq(got, want);
        cr_assert_eq(memcmp(out, content + from + used, got), 0, "other bytes at %zu", from + used);
        used += got;
    }
    free(out);
    return used;
}

Test(body, comes_again_from_any_point) {
    static const size_t rooms[] = {1, 7, 1000, SIZE, 2 * SIZE};
    for (size_t at = 0; at <= SIZE; at += 250)
        for (size_t r = 0; r < COUNT(rooms); r++) {
            struct source source = {.length = SIZE, .piece = 600};
            struct options options;
            struct body body;
            start(&body, &options, &source, SIZE);
            cr_assert_eq(read_some(&body, 0, at, rooms[r]), at);
            cr_assert(body_rewind(&body));
            cr_assert_eq(read_some(&body, 0, at / 2, 64), at / 2);
            cr_assert(body_rewind(&body));
            cr_assert_eq(read_some(&body, 0, 2 * SIZE, rooms[r]), SIZE);
            unsigned reads = source.reads;
            for (int again = 0; again < 3; again++) {
                cr_assert(body_rewind(&body));
                cr_assert_eq(read_some(&body, 0, 2 * SIZE, 999), SIZE);
            }
            cr_expect_eq(source.reads, reads, "the program was asked beyond its end");
            cr_expect_eq(source.seeks, 0);
            body_clear(&body);
            body_clear(&body);
        }
}

Test(body, that_nobody_read_needs_nothing) {
    struct source source = {.length = 10};
    struct options options;
    struct body body;
    start(&body, &options, &source, 0);
    cr_expect(body_rewind(&body));
    cr_expect_null(body.copy);
    cr_expect_eq(source.reads, 0);
    body_clear(&body);
}

Test(body, over_the_limit_needs_the_programs_seek) {
    static const struct {
        uint64_t limit;
        bool seek;
        int result;
        bool expected;
    } cases[] = {
        {SIZE, false, 0, true},
        {SIZE - 1, false, 0, false},
        {0, false, 0, false},
        {SIZE - 1, true, CURL_SEEKFUNC_OK, true},
        {0, true, CURL_SEEKFUNC_OK, true},
        {SIZE - 1, true, CURL_SEEKFUNC_FAIL, false},
        {SIZE - 1, true, CURL_SEEKFUNC_CANTSEEK, false},
        {SIZE, true, CURL_SEEKFUNC_FAIL, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct source source = {.length = SIZE, .seek_result = cases[i].result};
        struct options options;
        struct body body;
        start(&body, &options, &source, cases[i].limit);
        if (cases[i].seek)
            options.seek_function = source_seek;
        options.seek_data = &source;
        cr_expect_eq(read_some(&body, 0, 2 * SIZE, 512), SIZE);
        for (int again = 0; again < 3; again++) {
            cr_assert_eq(body_rewind(&body), cases[i].expected, "%zu", i);
            if (cases[i].expected)
                cr_assert_eq(read_some(&body, 0, again ? 2 * SIZE : 1234, 512),
                             again ? SIZE : 1234);
        }
        body_clear(&body);
    }
}

Test(body, over_the_limit_in_the_second_attempt) {
    struct source source = {.length = SIZE};
    struct options options;
    struct body body;
    start(&body, &options, &source, 2000);
    cr_expect_eq(read_some(&body, 0, 1500, 500), 1500);
    cr_expect(body_rewind(&body));
    cr_expect_eq(read_some(&body, 0, 2 * SIZE, 700), SIZE);
    cr_expect_not(body_rewind(&body));
    body_clear(&body);
}

Test(body, of_a_file_is_read_and_sought) {
    for (uint64_t limit = 0; limit <= SIZE; limit += SIZE) {
        struct source unused = {0};
        struct options options;
        struct body body;
        start(&body, &options, &unused, limit);
        options.read_function = NULL;
        options.read_data = fmemopen(content, SIZE, "rb");
        cr_expect_eq(read_some(&body, 0, 4321, 100), 4321);
        cr_expect(body_rewind(&body));
        cr_expect_eq(read_some(&body, 0, 2 * SIZE, 300), SIZE);
        cr_expect(body_rewind(&body));
        fclose(options.read_data);
        body_clear(&body);
    }
}

Test(body, of_a_pipe_cannot_be_sought) {
    struct source unused = {0};
    struct options options;
    struct body body;
    start(&body, &options, &unused, 4);
    FILE *pipe = popen("printf 123456", "r");
    options.read_function = NULL;
    options.read_data = pipe;
    char out[16];
    cr_expect_eq(body_read(out, 1, sizeof out, &body), 6);
    cr_expect_not(body_rewind(&body));
    pclose(pipe);
    body_clear(&body);
}

static curlioerr restart(CURL *easy, int command, void *userdata) {
    struct source *source = userdata;
    (void)easy;
    cr_expect_eq(command, CURLIOCMD_RESTARTREAD);
    if (source->seek_result)
        return CURLIOE_FAILRESTART;
    source->at = 0;
    return CURLIOE_OK;
}

Test(body, goes_back_by_the_old_function) {
    for (int fails = 0; fails < 2; fails++) {
        struct source source = {.length = SIZE, .seek_result = fails};
        struct options options;
        struct body body;
        start(&body, &options, &source, 10);
        options.ioctl_function = restart;
        options.ioctl_data = &source;
        cr_expect_eq(read_some(&body, 0, 3000, 512), 3000);
        cr_assert_eq(body_rewind(&body), !fails);
        if (!fails)
            cr_expect_eq(read_some(&body, 0, 2 * SIZE, 512), SIZE);
        body_clear(&body);
    }
}

Test(body, passes_pause_and_abort_on) {
    static const size_t answers[] = {CURL_READFUNC_PAUSE, CURL_READFUNC_ABORT, 1000000};
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct source source = {.length = SIZE, .answer_once = answers[i]};
        struct options options;
        struct body body;
        char out[100];
        start(&body, &options, &source, SIZE);
        cr_expect_eq(body_read(out, 1, sizeof out, &body), answers[i]);
        cr_expect_eq(read_some(&body, 0, 100, 100), 100);
        source.answer_once = answers[i];
        cr_expect_eq(body_read(out, 1, sizeof out, &body), answers[i]);
        cr_expect_eq(read_some(&body, 100, SIZE, 100), SIZE - 100);
        cr_expect(body_rewind(&body));
        cr_expect_eq(read_some(&body, 0, 2 * SIZE, 100), SIZE);
        body_clear(&body);
    }
}

Test(body, is_sought_within_its_copy) {
    struct source source = {.length = SIZE, .seek_result = CURL_SEEKFUNC_FAIL};
    struct options options;
    struct body body;
    start(&body, &options, &source, SIZE);
    options.seek_function = source_seek;
    options.seek_data = &source;
    cr_expect_eq(read_some(&body, 0, 3000, 512), 3000);
    static const curl_off_t places[] = {0, 1, 1500, 2999, 3000};
    for (size_t i = 0; i < COUNT(places); i++) {
        cr_expect_eq(body_seek(&body, places[i], SEEK_SET), CURL_SEEKFUNC_OK);
        cr_expect_eq(read_some(&body, (size_t)places[i], 3000 - (size_t)places[i], 64),
                     3000 - (size_t)places[i]);
    }
    cr_expect_eq(source.seeks, 0);
    cr_expect_neq(body_seek(&body, 3001, SEEK_SET), CURL_SEEKFUNC_OK);
    cr_expect_neq(body_seek(&body, -1, SEEK_SET), CURL_SEEKFUNC_OK);
    body_seek(&body, 0, SEEK_SET);
    cr_expect_eq(read_some(&body, 0, 2 * SIZE, 512), SIZE);
    body_clear(&body);
}

/* libcurl goes back by itself between two rounds of authentication. */
Test(body, is_sought_after_it_ended_over_the_limit) {
    struct source source = {.length = SIZE};
    struct options options;
    struct body body;
    start(&body, &options, &source, 100);
    options.seek_function = source_seek;
    options.seek_data = &source;
    cr_expect_eq(read_some(&body, 0, 2 * SIZE, 512), SIZE);
    cr_expect_eq(body_seek(&body, 0, SEEK_SET), CURL_SEEKFUNC_OK);
    cr_expect_eq(read_some(&body, 0, 2 * SIZE, 512), SIZE);
    body_clear(&body);
}

/* CURLOPT_RESUME_FROM: libcurl seeks forward before it reads, in each attempt. */
Test(body, is_sought_forward_in_each_attempt) {
    struct source source = {.length = SIZE};
    struct options options;
    struct body body;
    char out[1500];
    start(&body, &options, &source, SIZE);
    options.seek_function = source_seek;
    options.seek_data = &source;
    for (int attempt = 0; attempt < 3; attempt++) {
        cr_expect(body_rewind(&body));
        cr_expect_eq(body_seek(&body, 1000, SEEK_SET), CURL_SEEKFUNC_OK);
        size_t used = 0;
        while (used < sizeof out)
            used += body_read(out + used, 1, sizeof out - used, &body);
        cr_expect_eq(memcmp(out, content + 1000, used), 0, "other bytes in attempt %d", attempt);
    }
    body_clear(&body);
}

/* --- bodies that have to be seen ----------------------------------------------------------- */

static void expect_read(struct body *body, const char *want, size_t length) {
    static char got[SIZE * 2];
    size_t used = 0, piece;
    while ((piece = body_read(got + used, 1, 97, body)) > 0 && piece <= 97)
        used += piece;
    cr_assert_eq(used, length, "%zu bytes, expected %zu", used, length);
    cr_expect_eq(memcmp(got, want, length), 0);
}

Test(body, a_loaded_body_is_given_from_its_beginning) {
    static const curl_off_t expected[] = {-1, SIZE};
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct body body;
        struct options options;
        struct source source = {.length = SIZE, .piece = 611};
        start(&body, &options, &source, SIZE);
        cr_assert(body_load(&body, expected[i]));
        cr_expect(body.length == SIZE && memcmp(body.copy, content, SIZE) == 0);
        unsigned reads = source.reads;
        expect_read(&body, content, SIZE);
        cr_expect_eq(source.reads, reads + (expected[i] >= 0), "nothing is asked for twice");
        cr_expect(body_rewind(&body));
        expect_read(&body, content, SIZE);
        body_clear(&body);
    }
}

Test(body, the_rest_of_a_body_is_loaded_after_an_attempt_took_some) {
    struct body body;
    struct options options;
    struct source source = {.length = SIZE, .piece = 100};
    char some[250];
    start(&body, &options, &source, SIZE + 1);
    body_read(some, 1, sizeof some, &body);
    body_read(some, 1, sizeof some, &body);
    cr_assert(body_rewind(&body));
    cr_assert(body_load(&body, -1));
    expect_read(&body, content, SIZE);
    body_clear(&body);
}

Test(body, no_more_is_loaded_than_the_size_says) {
    struct body body;
    struct options options;
    struct source source = {.length = SIZE};
    start(&body, &options, &source, SIZE);
    cr_assert(body_load(&body, 1234));
    cr_expect_eq(body.length, 1234);
    cr_expect_eq(source.at, 1234);
    body_clear(&body);
}

Test(body, a_body_that_is_not_loaded_whole_is_given_whole) {
    static const struct {
        uint64_t limit;
        curl_off_t expected;
        size_t answer;
    } cases[] = {{SIZE - 1, -1, 0}, {SIZE - 1, SIZE, 0}, {SIZE * 2, -1, CURL_READFUNC_PAUSE}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct body body;
        struct options options;
        struct source source = {.length = SIZE, .piece = 1000, .answer_once = cases[i].answer};
        start(&body, &options, &source, cases[i].limit);
        cr_expect_not(body_load(&body, cases[i].expected), "case %zu", i);
        expect_read(&body, content, SIZE);
        body_clear(&body);
    }
}

Test(body, an_abort_while_loading_is_told_by_the_next_read) {
    struct body body;
    struct options options;
    char out[16];
    struct source source = {.length = SIZE, .answer_once = CURL_READFUNC_ABORT};
    start(&body, &options, &source, SIZE);
    cr_expect_not(body_load(&body, -1));
    cr_expect_eq(body_read(out, 1, sizeof out, &body), CURL_READFUNC_ABORT);
    cr_expect_eq(source.reads, 1);
    body_clear(&body);
}

Test(body, another_body_in_its_place) {
    struct body body;
    struct options options;
    struct source source = {.length = SIZE};
    start(&body, &options, &source, SIZE + 1);
    cr_assert(body_load(&body, -1));
    body_replace(&body, "instead", 7);
    expect_read(&body, "instead", 7);
    cr_expect_eq(body_seek(&body, 2, SEEK_SET), CURL_SEEKFUNC_OK);
    expect_read(&body, "stead", 5);
    cr_expect_eq(body_seek(&body, 8, SEEK_SET), CURL_SEEKFUNC_CANTSEEK);
    cr_expect_eq(source.seeks, 0);
    body_replace(&body, NULL, 0);
    cr_expect(body_rewind(&body));
    expect_read(&body, content, SIZE);
    body_clear(&body);
}
