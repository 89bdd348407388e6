/*
 * The gate between a libcurl and a program that are both played here: what the program sees, in
 * which order, wherever it pauses or refuses.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/gate.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The program, its owner of the gate, and the libcurl that feeds it. */
struct bench {
    struct gate gate;
    struct options options;
    bool follows;         /* 3xx, 401 and 407 may be followed by another response */
    bool accepts_failure; /* how 429 and 5xx are judged */
    bool keep;
    bool passed, diverted;               /* whose callbacks libcurl has */
    int judged;                          /* the status that was */
    unsigned calls, pause_at, refuse_at; /* of the program's callbacks, from 1 */
    unsigned calls_after_refusal;
    bool refused;
    char seen[4096]; /* what the program saw */
    size_t seen_length;
};

static void see(struct bench *bench, const char *text, size_t length) {
    if (length > 100) { /* of long ones the length */
        char number[32];
        length = (size_t)snprintf(number, sizeof number, "%zu bytes", length);
        see(bench, number, length);
        return;
    }
    for (size_t i = 0; i < length && bench->seen_length < sizeof bench->seen - 1; i++)
        if (text[i] != '\r' && text[i] != '\n')
            bench->seen[bench->seen_length++] = text[i];
    bench->seen[bench->seen_length] = '\0';
}

static size_t program_sees(struct bench *bench, const char *kind, const char *data, size_t length) {
    bench->calls++;
    bench->calls_after_refusal += bench->refused;
    if (bench->calls == bench->pause_at)
        return CURL_WRITEFUNC_PAUSE;
    if (bench->calls == bench->refuse_at) {
        bench->refused = true;
        return length - 1;
    }
    see(bench, kind, 1);
    see(bench, data, length);
    see(bench, "|", 1);
    return length;
}

static size_t program_header(char *data, size_t size, size_t count, void *bench) {
    return program_sees(bench, "H", data, size * count);
}

static size_t program_write(char *data, size_t size, size_t count, void *bench) {
    return program_sees(bench, "B", data, size * count);
}

static enum gate_opinion opinion(void *context, int status) {
    const struct bench *bench = context;
    if (status < 200 || (bench->follows && (status == 302 || status == 401 || status == 407)))
        return GATE_INTERMEDIATE;
    if (status == 206)
        return GATE_AT_BODY;
    return status == 429 || status >= 500 ? GATE_LATER : GATE_ACCEPT;
}

static bool judge(void *context, int status) {
    struct bench *bench = context;
    bench->judged = status;
    return (status != 429 && status < 500) || bench->accepts_failure;
}

static void hand_back(void *context) {
    struct bench *bench = context;
    cr_assert_not(bench->passed, "handed back twice");
    bench->passed = true;
}

static void divert_body(void *context) {
    ((struct bench *)context)->diverted = true;
}

static void intermediate(void *context, int status) {
    (void)context, (void)status;
}

static const struct gate_owner owner = {opinion, judge, hand_back, divert_body, intermediate};

static void start(struct bench *bench) {
    options_init(&bench->options);
    bench->options.header_function = program_header;
    bench->options.write_function = program_write;
    bench->options.header_data = bench->options.write_data = bench;
    gate_start(&bench->gate, &bench->options, &owner, bench, bench->keep);
}

static bool body(struct bench *bench, const char *text, size_t length) {
    bool ours = !bench->passed && (bench->diverted || bench->options.include_headers);
    char *data = malloc(length ? length : 1);
    memcpy(data, text, length);
    size_t taken;
    do /* what a callback paused at is given to it again */
        taken = ours ? gate_write(data, 1, length, &bench->gate)
                     : program_write(data, 1, length, bench);
    while (taken == CURL_WRITEFUNC_PAUSE);
    free(data);
    return taken == length;
}

static bool header(struct bench *bench, const char *text, size_t length) {
    if (bench->options.include_headers && !body(bench, text, length))
        return false;
    bool ours = !bench->passed;
    char *data = malloc(length);
    memcpy(data, text, length);
    size_t taken;
    do
        taken = ours ? gate_header(data, 1, length, &bench->gate)
                     : program_header(data, 1, length, bench);
    while (taken == CURL_WRITEFUNC_PAUSE);
    free(data);
    return taken == length;
}

/* Feeds a script of lines, each with its line end taken as "\r\n"; ">" begins a piece of body. */
static bool feed(struct bench *bench, const char *script) {
    while (*script) {
        char line[256];
        size_t length = strcspn(script, "\n");
        int size = snprintf(line, sizeof line, "%.*s\r\n", (int)length, script);
        if (*script == '>' ? !body(bench, script + 1, length - 1)
                           : !header(bench, line, (size_t)size))
            return false;
        script += length + (script[length] == '\n');
    }
    return true;
}

/* A whole transfer that ends well, for libcurl at least. */
static bool transfer(struct bench *bench, const char *script) {
    return feed(bench, script) && gate_conclude(&bench->gate);
}

#define OK_200  "HTTP/1.1 200 OK\nA: b\n\n"
#define ROUND   "HTTP/1.1 401 Unauthorized\nW: x\n\n"
#define BUSY    "HTTP/1.1 429 Too Many\nR: 1\n\n"
#define EARLY   "HTTP/1.1 100 Continue\n\n"
#define MOVED   "HTTP/1.1 302 Found\nL: /\n\n"
#define SAW_200 "HHTTP/1.1 200 OK|HA: b|H|"
#define PART    "HTTP/1.1 206 Part\nA: b\n\n" /* held until its body begins */
#define SAW_206 "HHTTP/1.1 206 Part|HA: b|H|"

static const struct script {
    const char *lines;
    bool follows, accepts_failure, include_headers;
    const char *seen;
    enum gate_state state;
} scripts[] = {
    {OK_200 ">1\n>2\n", false, false, false, SAW_200 "B1|B2|", GATE_PASSED},
    {OK_200, false, false, false, SAW_200, GATE_PASSED},
    {"HTTP/2 200 \n\n>x\n", false, false, false, "HHTTP/2 200 |H|Bx|", GATE_PASSED},
    {"HTTP/1.1 404 No\n\n>x\n", false, false, false, "HHTTP/1.1 404 No|H|Bx|", GATE_PASSED},
    {EARLY OK_200 ">x\n", false, false, false, "HHTTP/1.1 100 Continue|H|" SAW_200 "Bx|",
     GATE_PASSED},
    {BUSY ">x\n>y\n", false, false, false, "", GATE_SWALLOWING},
    {BUSY, false, false, false, "", GATE_SWALLOWING},
    {BUSY ">x\nT: trailer\n\n", false, false, false, "", GATE_SWALLOWING},
    {EARLY EARLY BUSY ">x\n", false, false, false, "", GATE_SWALLOWING},
    {EARLY ROUND BUSY ">x\n", true, false, false, "", GATE_SWALLOWING},
    {BUSY ">x\n>y\n", false, true, false, "HHTTP/1.1 429 Too Many|HR: 1|H|Bx|By|", GATE_PASSED},
    {MOVED OK_200 ">x\n", true, false, false, "HHTTP/1.1 302 Found|HL: /|H|" SAW_200 "Bx|",
     GATE_PASSED},
    {MOVED BUSY ">x\n", true, false, false, "", GATE_SWALLOWING},
    {MOVED ">x\n", true, false, false, "HHTTP/1.1 302 Found|HL: /|H|Bx|", GATE_PASSED},
    {MOVED ">x\n", false, false, false, "HHTTP/1.1 302 Found|HL: /|H|Bx|", GATE_PASSED},
    {ROUND OK_200 ">x\n", true, false, false, "HHTTP/1.1 401 Unauthorized|HW: x|H|" SAW_200 "Bx|",
     GATE_PASSED},
    {ROUND ">x\n>y\n", true, false, false, "HHTTP/1.1 401 Unauthorized|HW: x|H|Bx|By|",
     GATE_PASSED},
    {ROUND, true, false, false, "HHTTP/1.1 401 Unauthorized|HW: x|H|", GATE_PASSED},
    {ROUND ROUND, true, false, false,
     "HHTTP/1.1 401 Unauthorized|HW: x|H|HHTTP/1.1 401 Unauthorized|HW: x|H|", GATE_PASSED},
    {OK_200 ">x\n", false, false, true, "BHTTP/1.1 200 OK|HHTTP/1.1 200 OK|BA: b|HA: b|B|H|Bx|",
     GATE_PASSED},
    {BUSY ">x\n", false, false, true, "", GATE_SWALLOWING},
    {BUSY ">x\n", false, true, true,
     "BHTTP/1.1 429 Too Many|HHTTP/1.1 429 Too Many|BR: 1|HR: 1|B|H|Bx|", GATE_PASSED},
    {ROUND ">HTTP/ is no header\n", true, false, true,
     "BHTTP/1.1 401 Unauthorized|HHTTP/1.1 401 Unauthorized|BW: x|HW: x|B|H|BHTTP/ is no header|",
     GATE_PASSED},
    {PART ">1\n>2\n", false, false, false, SAW_206 "B1|B2|", GATE_PASSED},
    {PART, false, false, false, SAW_206, GATE_PASSED},
    {EARLY PART ">x\n", false, false, false, "HHTTP/1.1 100 Continue|H|" SAW_206 "Bx|",
     GATE_PASSED},
    {ROUND PART ">x\n", true, false, false, "HHTTP/1.1 401 Unauthorized|HW: x|H|" SAW_206 "Bx|",
     GATE_PASSED},
    {PART ">x\nT: trailer\n\n", false, false, false, SAW_206 "Bx|HT: trailer|H|", GATE_PASSED},
    {PART ">x\n", false, false, true, "BHTTP/1.1 206 Part|HHTTP/1.1 206 Part|BA: b|HA: b|B|H|Bx|",
     GATE_PASSED},
    {"HTTP/1.1\nA: b\n\n", false, false, false, "HHTTP/1.1|HA: b|H|", GATE_PASSED},
    {"HTTP/1.1 abc\n\n", false, false, false, "HHTTP/1.1 abc|H|", GATE_PASSED},
    {"HTTP/1.1 \n\n", false, false, false, "HHTTP/1.1 |H|", GATE_PASSED},
    {"HTTP/2 429 \n\n", false, false, false, "", GATE_SWALLOWING},
    {"HTTP/3 503\n\n", false, false, false, "", GATE_SWALLOWING},
    {"A: b\nC: d\n\n", false, false, false, "HA: b|HC: d|H|", GATE_PASSED},
    {"HTTP/1.1 200 OK\nHTTP/1.1 429 x\n\n", false, false, false,
     "HHTTP/1.1 200 OK|HHTTP/1.1 429 x|H|", GATE_PASSED},
    {"HTTP/1.1 503 x\nHTTP/1.1 200 OK\n\n", false, false, false, "", GATE_SWALLOWING},
    {"", false, false, false, "", GATE_PASSED},
};

static struct bench *bench_for(const struct script *script) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->follows = script->follows;
    bench->accepts_failure = script->accepts_failure;
    start(bench);
    bench->options.include_headers = script->include_headers;
    return bench;
}

static void end(struct bench *bench) {
    gate_clear(&bench->gate);
    free(bench);
}

Test(gate, shows_one_response) {
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct bench *bench = bench_for(&scripts[i]);
        cr_expect(transfer(bench, scripts[i].lines), "%zu: %s", i, scripts[i].lines);
        cr_expect_str_eq(bench->seen, scripts[i].seen, "%zu: %s", i, bench->seen);
        cr_expect_eq(bench->gate.state, scripts[i].state, "%zu", i);
        cr_expect_eq(bench->passed, scripts[i].state == GATE_PASSED, "%zu", i);
        end(bench);
    }
}

/* A pause is not an end: wherever the program makes it, it sees the same in the end. */
Test(gate, can_be_paused_anywhere) {
    for (size_t i = 0; i < COUNT(scripts); i++)
        for (unsigned at = 1; at < 20; at++) {
            struct bench *bench = bench_for(&scripts[i]);
            bench->pause_at = at;
            cr_expect(feed(bench, scripts[i].lines));
            unsigned before_end = bench->calls;
            cr_expect(gate_conclude(&bench->gate) || at > before_end);
            cr_expect_str_eq(bench->seen, scripts[i].seen, "%zu, paused at %u: %s", i, at,
                             bench->seen);
            bool paused = bench->calls >= at;
            end(bench);
            if (!paused)
                break;
        }
}

/* A program that refuses its data is never called again. */
Test(gate, ends_where_the_program_refuses) {
    for (size_t i = 0; i < COUNT(scripts); i++) {
        unsigned calls_too_many = 0;
        bool refused = true;
        for (unsigned at = 1; refused; at++) {
            struct bench *bench = bench_for(&scripts[i]);
            bench->refuse_at = at;
            bool well = transfer(bench, scripts[i].lines);
            gate_flush(&bench->gate);
            refused = bench->refused;
            cr_expect_neq(well, refused, "%zu, refused at %u", i, at);
            calls_too_many += bench->calls_after_refusal;
            end(bench);
        }
        cr_expect_eq(calls_too_many, 0, "%zu: called %u times after a refusal", i, calls_too_many);
    }
}

Test(gate, hands_over_what_it_holds_when_a_transfer_breaks) {
    static const struct {
        const char *lines, *seen;
    } cases[] = {
        {"", ""},
        {"HTTP/1.1 503 x\n", "HHTTP/1.1 503 x|"},
        {"HTTP/1.1 503 x\nA: b\n", "HHTTP/1.1 503 x|HA: b|"},
        {"HTTP/1.1 100 Continue\n", "HHTTP/1.1 100 Continue|"},
        {EARLY "HTTP/1.1 429 x\n", "HHTTP/1.1 100 Continue|H|HHTTP/1.1 429 x|"},
        {"HTTP/1.1 200 x\nA: b\n", "HHTTP/1.1 200 x|HA: b|"},
        {BUSY ">x", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench bench = {.follows = true};
        start(&bench);
        cr_expect(feed(&bench, cases[i].lines));
        gate_flush(&bench.gate);
        gate_flush(&bench.gate);
        cr_expect_str_eq(bench.seen, cases[i].seen, "%zu: %s", i, bench.seen);
        gate_clear(&bench.gate);
    }
}

Test(gate, knows_whether_a_response_has_come) {
    static const struct {
        const char *lines;
        bool expected;
    } cases[] = {
        {"", false},
        {"HTTP/1.1 100 Continue\n", false},
        {EARLY, false},
        {EARLY "HTTP/1.1 429 x\n", true},
        {"HTTP/1.1 503 x\n", true},
        {"HTTP/1.1 abc\n", true},
        {BUSY, true},
        {OK_200, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench bench = {0};
        start(&bench);
        feed(&bench, cases[i].lines);
        cr_expect_eq(gate_has_response(&bench.gate), cases[i].expected, "%zu", i);
        gate_clear(&bench.gate);
    }
}

/* A libcurl before 7.83 gives the lines that came while it was paused together with that one. */
Test(gate, loses_no_line_that_comes_with_the_paused_one) {
    struct bench bench = {.pause_at = 1};
    char first[] = "HTTP/1.1 200 OK\r\n", all[] = "HTTP/1.1 200 OK\r\nA: b\r\n";
    start(&bench);
    cr_expect_eq(gate_header(first, 1, strlen(first), &bench.gate), CURL_WRITEFUNC_PAUSE);
    cr_expect_eq(gate_header(all, 1, strlen(all), &bench.gate), strlen(all));
    cr_expect_str_eq(bench.seen, "HHTTP/1.1 200 OKA: b|", "as it came");
    gate_clear(&bench.gate);
}

/* The same where lines were held: these come one by one, as they were, and then the rest. */
Test(gate, loses_no_line_that_comes_with_a_paused_replay) {
    struct bench bench = {.pause_at = 2};
    char early[] = "HTTP/1.1 103 Early\r\n", blank[] = "\r\n", first[] = "HTTP/1.1 200 OK\r\n",
         all[] = "HTTP/1.1 200 OK\r\nA: b\r\n";
    start(&bench);
    gate_header(early, 1, strlen(early), &bench.gate);
    gate_header(blank, 1, strlen(blank), &bench.gate);
    cr_expect_eq(gate_header(first, 1, strlen(first), &bench.gate), CURL_WRITEFUNC_PAUSE);
    cr_expect_eq(gate_header(all, 1, strlen(all), &bench.gate), strlen(all));
    cr_expect_str_eq(bench.seen, "HHTTP/1.1 103 Early|H|HHTTP/1.1 200 OK|HA: b|");
    gate_clear(&bench.gate);
}

static bool long_header(struct bench *bench, size_t length) {
    char *line = malloc(length);
    memset(line, 'x', length);
    bool taken = header(bench, line, length);
    free(line);
    return taken;
}

Test(gate, holds_long_headers) {
    struct bench bench = {.accepts_failure = true};
    start(&bench);
    cr_expect(feed(&bench, "HTTP/1.1 503 x\n"));
    cr_expect(long_header(&bench, 200 * 1024));
    cr_expect_str_eq(bench.seen, "");
    cr_expect(feed(&bench, "\n>body\n"));
    cr_expect_str_eq(bench.seen, "HHTTP/1.1 503 x|H204800 bytes|H|Bbody|");
    gate_clear(&bench.gate);
}

/* More headers than can be held are the program's, all of them, also if it pauses. */
static void overrun(unsigned pause_at, bool include_headers) {
    struct bench bench = {.pause_at = pause_at};
    char expected[256] = "";
    start(&bench);
    bench.options.include_headers = include_headers;
    cr_expect(feed(&bench, "HTTP/1.1 503 x\n"));
    for (unsigned i = 0; i < 7; i++)
        cr_expect(long_header(&bench, 200 * 1024 + i));
    cr_expect(feed(&bench, "\n>body\n"));
    strncat(expected, include_headers ? "BHTTP/1.1 503 x|HHTTP/1.1 503 x|" : "HHTTP/1.1 503 x|",
            64);
    for (unsigned i = 0; i < 7; i++)
        for (unsigned twice = !include_headers; twice < 2; twice++)
            snprintf(expected + strlen(expected), 32, "%c%u bytes|", twice ? 'H' : 'B',
                     200 * 1024 + i);
    strncat(expected, include_headers ? "B|H|Bbody|" : "H|Bbody|", 16);
    cr_expect_str_eq(bench.seen, expected, "paused at %u: %s", pause_at, bench.seen);
    gate_clear(&bench.gate);
}

Test(gate, gives_up_on_endless_headers) {
    for (unsigned pause_at = 0; pause_at < 12; pause_at++) {
        overrun(pause_at, false);
        overrun(pause_at, true);
    }
}

Test(gate, swallows_up_to_a_limit) {
    static char block[GATE_SWALLOW_LIMIT / 4];
    struct bench bench = {0};
    start(&bench);
    cr_expect(feed(&bench, BUSY));
    for (int i = 0; i < 4; i++)
        cr_expect(body(&bench, block, sizeof block));
    cr_expect_not(bench.gate.cut);
    cr_expect_not(body(&bench, "x", 1));
    cr_expect(bench.gate.cut);
    cr_expect_eq(bench.calls, 0);
    cr_expect_eq(bench.gate.body_length, COOLDOWN_BODY_LIMIT);
    gate_clear(&bench.gate);
}

static void note_line(void *context, const char *text, size_t length) {
    see(context, "L", 1);
    see(context, text, length);
    see(context, "|", 1);
}

Test(gate, shows_the_lines_of_the_block_at_hand) {
    for (long include = 0; include < 2; include++) {
        struct bench bench = {.follows = true};
        start(&bench);
        bench.options.include_headers = include;
        cr_expect(feed(&bench, EARLY ROUND BUSY ">x\n"));
        gate_each_line(&bench.gate, note_line, &bench);
        cr_expect_str_eq(bench.seen, "LHTTP/1.1 429 Too Many|LR: 1|L|");
        cr_expect_eq(bench.judged, 429);
        gate_clear(&bench.gate);
    }
}

/* Without functions libcurl writes to files, header lines to one only if it is set. */
Test(gate, writes_to_files_where_there_is_no_function) {
    char *texts[2];
    size_t sizes[2];
    for (int header_file = 0; header_file < 2; header_file++) {
        struct bench bench = {.accepts_failure = true};
        start(&bench);
        FILE *files[] = {open_memstream(&texts[0], &sizes[0]),
                         open_memstream(&texts[1], &sizes[1])};
        bench.options.header_function = bench.options.write_function = NULL;
        bench.options.write_data = files[0];
        bench.options.header_data = header_file ? files[1] : NULL;
        bench.options.include_headers = 1;
        for (const char *line = "HTTP/1.1 503 x\r\n"; line; line = *line == '\r' ? NULL : "\r\n") {
            char copy[32];
            size_t length = (size_t)snprintf(copy, sizeof copy, "%s", line);
            cr_expect_eq(gate_write(copy, length, 1, &bench.gate), length);
            cr_expect_eq(gate_header(copy, length, 1, &bench.gate), length);
        }
        cr_expect(bench.passed);
        fclose(files[0]);
        fclose(files[1]);
        cr_expect_str_eq(texts[0], "HTTP/1.1 503 x\r\n\r\n");
        cr_expect_str_eq(texts[1], header_file ? "HTTP/1.1 503 x\r\n\r\n" : "");
        free(texts[0]);
        free(texts[1]);
        gate_clear(&bench.gate);
    }
}

static void expect_answer(const char *lines, bool decoded, bool include, const char *expected) {
    struct bench bench = {.follows = true, .keep = true};
    size_t length;
    start(&bench);
    bench.options.include_headers = include;
    cr_expect(transfer(&bench, lines));
    char *answer = gate_answer(&bench.gate, decoded, &length);
    if (!expected)
        cr_expect_null(answer, "%s", lines);
    else
        cr_expect(answer && length == strlen(expected) && memcmp(answer, expected, length) == 0,
                  "%s: %.*s", lines, answer ? (int)length : 0, answer);
    free(answer);
    gate_clear(&bench.gate);
}

Test(gate, keeps_an_answer) {
    static const char wrapped[] =
        "HTTP/2 503 \nA: b\ntransfer-ENCODING: chunked\nContent-Length: 9\n"
        "Connection: keep-alive\nContent-Encoding: gzip\nX: y\n\n>bo\n>dy\n";
    for (int include = 0; include < 2; include++) {
        expect_answer(wrapped, true, include, "HTTP/1.1 503 \r\nA: b\r\nX: y\r\n\r\nbody");
        expect_answer(wrapped, false, include,
                      "HTTP/1.1 503 \r\nA: b\r\nContent-Encoding: gzip\r\nX: y\r\n\r\nbody");
        expect_answer(EARLY ROUND BUSY ">x\n", false, include,
                      "HTTP/1.1 429 Too Many\r\nR: 1\r\n\r\nx");
        expect_answer("HTTP/3 503\n\n", false, include, "HTTP/1.1 503\r\n\r\n");
        expect_answer(OK_200 ">x\n", false, include, NULL);
        expect_answer("HTTP/1.1 503 x\nA: b\n", false, include, NULL);
    }
}

/* With pieces as small as libcurl may give them. */
Test(gate, keeps_answers_up_to_a_limit) {
    static const size_t lengths[] = {GATE_ANSWER_LIMIT - 1024, GATE_ANSWER_LIMIT + 1};
    for (size_t piece = 16; piece <= 16384; piece *= 32)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            struct bench bench = {.keep = true};
            static char block[16384];
            size_t length = 0;
            start(&bench);
            cr_expect(feed(&bench, BUSY));
            for (size_t sent = 0; sent < lengths[i]; sent += piece)
                cr_expect(
                    body(&bench, block, lengths[i] - sent < piece ? lengths[i] - sent : piece));
            char *answer = gate_answer(&bench.gate, false, &length);
            cr_expect_eq(answer != NULL, i == 0, "%zu bytes by %zu", lengths[i], piece);
            free(answer);
            gate_clear(&bench.gate);
        }
}

Test(gate, holds_a_response_until_its_body_begins) {
    struct bench bench = {.follows = true};
    start(&bench);
    cr_expect_not(gate_awaits_body(&bench.gate), "nothing has come");
    cr_assert(feed(&bench, EARLY));
    cr_expect_not(gate_awaits_body(&bench.gate), "a 1xx is no response");
    cr_assert(feed(&bench, ROUND));
    cr_expect_not(gate_awaits_body(&bench.gate), "another one may follow by itself");
    cr_assert(feed(&bench, PART));
    cr_expect(gate_awaits_body(&bench.gate));
    cr_expect_str_eq(bench.seen, "");
    cr_assert(feed(&bench, ">x\n"));
    cr_expect_not(gate_awaits_body(&bench.gate));
    cr_expect_eq(bench.judged, 206);
    gate_clear(&bench.gate);
}
