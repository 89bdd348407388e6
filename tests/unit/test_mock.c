/* The mock's script grammar, its limit window and its request log. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_log.h"
#include "shim/command/mock_script.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

/* --- script -------------------------------------------------------------------------------- */

static struct mock_script parsed(const char *text) {
    struct mock_script script;
    char error[200] = "";
    cr_assert(mock_script_parse(text, &script, error, sizeof error), "%s: %s", text, error);
    return script;
}

Test(mock_script, gives_a_step_per_request) {
    static const struct {
        const char *text;
        const char *served; /* per request: the status, or the first letter of the action */
    } cases[] = {
        {"200", "200 200 200"},
        {"429,200", "429 200 200 200"},
        {"200*3,429:retry-after=5,500,reset,hang,200", "200 200 200 429 500 r h 200 200"},
        {"200*2,503*", "200 200 503 503 503"},
        {"429*2:retry-after=5,200", "429 429 200"},
        {"429:retry-after=5*2,200", "429 429 200"},
        {" 429 , close ,\n204", "429 x 204 204"},
        {"cut,slow,hang*2", "c s h h h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_script script = parsed(cases[i].text);
        char served[100] = "";
        static const char letters[] = {[MOCK_CUT] = 'c',
                                       [MOCK_SLOW] = 's',
                                       [MOCK_RESET] = 'r',
                                       [MOCK_CLOSE] = 'x',
                                       [MOCK_HANG] = 'h'};
        while (strlen(served) < strlen(cases[i].served)) {
            const struct mock_step *step = mock_script_next(&script);
            size_t at = strlen(served);
            if (step->action == MOCK_REPLY)
                snprintf(served + at, sizeof served - at, "%s%d", at > 0 ? " " : "", step->status);
            else
                snprintf(served + at, sizeof served - at, "%s%c", at > 0 ? " " : "",
                         letters[step->action]);
        }
        cr_expect_str_eq(served, cases[i].served, "%s: %s", cases[i].text, served);
        mock_script_free(&script);
    }
}

Test(mock_script, serves_nothing_without_steps) {
    struct mock_script script = {0};
    cr_expect_null(mock_script_next(&script));
}

Test(mock_script, reads_headers_as_they_are_written) {
    static const struct {
        const char *text, *name, *value;
    } cases[] = {
        {"429:retry-after=5", "Retry-After", "5"},
        {"429:retry-after=5:retry-after-ms=4500", "retry-after-ms", "4500"},
        {"429:Retry-After='Wed, 21 Oct 2026 07:28:00 GMT',200", "retry-after",
         "Wed, 21 Oct 2026 07:28:00 GMT"},
        {"429:x=\"it's: a, b*c\":y=2", "x", "it's: a, b*c"},
        {"429:x=\"it's\":y=2", "y", "2"},
        {"429:x=two words :y=2", "x", "two words"},
        {"429:x-ratelimit-reset-requests=6m0s", "x-ratelimit-reset-requests", "6m0s"},
        {"429:retry-after=-1", "retry-after", "-1"},
        {"429:retry-after=5", "retry-after-ms", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_script script = parsed(cases[i].text);
        const char *value = mock_step_header(&script.steps[0], cases[i].name);
        if (cases[i].value == NULL)
            cr_expect_null(value, "%s", cases[i].text);
        else
            cr_expect(value != NULL && strcmp(value, cases[i].value) == 0, "%s: %s", cases[i].text,
                      value != NULL ? value : "none");
        mock_script_free(&script);
    }
}

Test(mock_script, keeps_duplicated_headers_in_their_order) {
    struct mock_script script = parsed("429:retry-after=5:retry-after=7");
    cr_assert_eq(script.steps[0].header_count, 2);
    cr_expect_str_eq(script.steps[0].headers[0].value, "5");
    cr_expect_str_eq(script.steps[0].headers[1].value, "7");
    mock_script_free(&script);
}

Test(mock_script, reads_the_other_options) {
    struct mock_script script =
        parsed("429:quota,429:too-large,500:body='{\"a\": [1,2]}',200:latency=250ms,103,"
               "503:interim=102,hang:latency=0,200:body=''");
    const struct mock_step *steps = script.steps;
    cr_assert_eq(script.count, 8);
    cr_expect_eq(steps[0].cause, MOCK_QUOTA);
    cr_expect_eq(steps[1].cause, MOCK_TOO_LARGE);
    cr_expect_str_eq(steps[2].body, "{\"a\": [1,2]}");
    cr_expect(!steps[2].has_latency);
    cr_expect(steps[3].has_latency && steps[3].latency_ns == 250 * MS);
    cr_expect(steps[4].status == 200 && steps[4].interim == 103);
    cr_expect(steps[5].status == 503 && steps[5].interim == 102);
    cr_expect(steps[6].has_latency && steps[6].latency_ns == 0);
    cr_expect_str_eq(steps[7].body, "");
    mock_script_free(&script);
}

Test(mock_script, reads_where_a_body_breaks) {
    struct mock_script script =
        parsed("cut:after=200,stall:after=0,stall,trickle:interval=5ms,slow:"
               "interval=1s,400:content-filter,401:no-key,404:no-resource");
    const struct mock_step *steps = script.steps;
    cr_assert_eq(script.count, 8);
    cr_expect(steps[0].action == MOCK_CUT && steps[0].has_after && steps[0].after == 200);
    cr_expect(steps[1].action == MOCK_STALL && steps[1].has_after && steps[1].after == 0);
    cr_expect(steps[2].action == MOCK_STALL && !steps[2].has_after && steps[2].status == 200);
    cr_expect(steps[3].action == MOCK_TRICKLE && steps[3].interval_ns == 5 * MS);
    cr_expect(steps[4].action == MOCK_SLOW && steps[4].interval_ns == 1000 * MS);
    cr_expect_eq(steps[5].cause, MOCK_USUAL);
    cr_expect_eq(steps[6].cause, MOCK_NO_KEY);
    cr_expect_eq(steps[7].cause, MOCK_NO_RESOURCE);
    mock_script_free(&script);
}

Test(mock_script, knows_steps_that_say_how_long_to_wait) {
    static const struct {
        const char *text;
        bool waits;
    } cases[] = {
        {"429", false},
        {"429:x-request-id=retry-after", false},
        {"429:x-ratelimit-remaining-requests=0", false},
        {"429:Retry-After=5", true},
        {"429:retry-after-ms=5", true},
        {"429:x-ms-retry-after-ms=5", true},
        {"429:x-ratelimit-reset-tokens=6m0s", true},
        {"429:x-rate-limit-reset-tokens=55", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_script script = parsed(cases[i].text);
        cr_expect_eq(mock_step_has_wait(&script.steps[0]), cases[i].waits, "%s", cases[i].text);
        mock_script_free(&script);
    }
}

Test(mock_script, says_where_and_what_is_wrong) {
    static const struct {
        const char *text, *place, *message;
    } cases[] = {
        {"", "character 1:", "found the end, expected a status"},
        {"200,", "character 5:", "found the end, expected a status"},
        {"200,,500", "character 5:", "expected a status"},
        {"99", "character 1:", "100 to 599"},
        {"600", "character 1:", "100 to 599"},
        {"101", "character 1:", "not 101"},
        {"2000000000000000000000", "character 1:", "expected a status"},
        {"-200", "character 1:", "expected a status"},
        {"200,boom", "character 5:", "found 'boom'"},
        {"200*0", "character 5:", "from 1 to 1000000"},
        {"200*x", "character 5:", "from 1 to 1000000"},
        {"200*2:a=b*3", "character 10:", "one repeat"},
        {"200,429*,500", "character 5:", "only the last step"},
        {"429:retry-after", "character 5:", "header=value"},
        {"429:retry-after=", "character 5:", "printable"},
        {"429:a='b", "character 7:", "closing quote"},
        {"429:a='b'c", "character 10:", "','"},
        {"429:a=b\tc", "character 5:", "printable"},
        {"429:=b", "character 5:", "the name of a header"},
        {"429:a b=c", "character 5:", "the name of a header"},
        {"200:quota", "character 5:", "with 429 alone"},
        {"200:Content-Length=5", "character 5:", "content-length"},
        {"reset:retry-after=5", "character 7:", "no response"},
        {"200:latency=soon", "character 5:", "latency=DURATION"},
        {"200:interim=101", "character 5:", "interim=STATUS"},
        {"200:interim=200", "character 5:", "interim=STATUS"},
        {"200:after=5", "character 5:", "with cut and stall alone"},
        {"cut:after=-1", "character 5:", "after=BYTES"},
        {"cut:interval=1s", "character 5:", "with slow and trickle alone"},
        {"slow:interval=0", "character 6:", "interval=DURATION above 0"},
        {"400:no-key", "character 5:", "no-key with 401 alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_script script;
        char error[200] = "";
        cr_expect(!mock_script_parse(cases[i].text, &script, error, sizeof error), "%s",
                  cases[i].text);
        cr_expect(strstr(error, cases[i].place) != NULL, "%s: %s", cases[i].text, error);
        cr_expect(strstr(error, cases[i].message) != NULL, "%s: %s", cases[i].text, error);
        cr_expect(script.steps == NULL && script.count == 0, "%s", cases[i].text);
    }
}

/* --- limit --------------------------------------------------------------------------------- */

Test(mock_limit, reads_count_and_window) {
    static const struct {
        const char *text;
        unsigned count; /* 0: refused */
        uint64_t window;
    } cases[] = {
        {"3/10s", 3, 10 * S}, {"1/250ms", 1, 250 * MS}, {"60/m", 60, 60 * S},
        {"5/s", 5, S},        {"0/10s", 0, 0},          {"3", 0, 0},
        {"3/", 0, 0},         {"/10s", 0, 0},           {"3/0s", 0, 0},
        {"x/10s", 0, 0},      {"-3/10s", 0, 0},         {"3/10", 0, 0},
        {"3/10s/2", 0, 0},    {"100001/s", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_limit limit;
        cr_expect_eq(mock_limit_parse(cases[i].text, &limit), cases[i].count != 0, "%s",
                     cases[i].text);
        cr_expect_eq(limit.count, cases[i].count, "%s", cases[i].text);
        if (cases[i].count != 0)
            cr_expect_eq(limit.window_ns, cases[i].window, "%s", cases[i].text);
        mock_limit_free(&limit);
    }
}

Test(mock_limit, slides) {
    static const struct {
        uint64_t now;
        uint64_t wait; /* 0: passes */
    } cases[] = {
        {100 * S, 0},     {101 * S, 0}, {104 * S, 0}, {104 * S, 6 * S},       {109 * S, S},
        {110 * S - 1, 1}, {110 * S, 0}, {110 * S, S}, {110 * S + MS, S - MS}, {111 * S, 0},
        {112 * S, 2 * S}, {500 * S, 0}, {500 * S, 0}, {500 * S, 0},           {500 * S, 10 * S},
    };
    struct mock_limit limit;
    cr_assert(mock_limit_parse("3/10s", &limit));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t wait = 0;
        cr_expect_eq(mock_limit_take(&limit, cases[i].now, &wait), cases[i].wait == 0, "case %zu",
                     i);
        cr_expect_eq(wait, cases[i].wait, "case %zu: %llu", i, (unsigned long long)wait);
    }
    mock_limit_free(&limit);
}

Test(mock_limit, lets_everything_pass_without_one) {
    struct mock_limit limit = {0};
    uint64_t wait;
    for (unsigned i = 0; i < 10; i++)
        cr_expect(mock_limit_take(&limit, 5, &wait));
}

static bool holds(const char *text, const char *part) {
    return strstr(text, part) != NULL;
}

/* --- log ----------------------------------------------------------------------------------- */

Test(mock_log, hashes_as_sha256) {
    struct mock_hash hash;
    char out[MOCK_HASH_SIZE], bare[MOCK_HASH_SIZE];
    mock_hash_start(&hash);
    mock_hash_add(&hash, "a", 1);
    mock_hash_add(&hash, "bc", 2);
    mock_hash_finish(&hash, out);
    cr_expect_str_eq(out, "ba7816bf8f01cfea"); /* FIPS 180-4, "abc" */
    mock_hash_key("abc", bare);
    cr_expect_str_eq(bare, out);
    mock_hash_key("Bearer abc", bare);
    cr_expect_str_eq(bare, out);
    mock_hash_key("bearer  abc", bare);
    cr_expect_str_eq(bare, out);
    mock_hash_key("Basic abc", bare);
    cr_expect_str_neq(bare, out);
}

Test(mock_log, writes_one_line_of_json) {
    static const char *const names[] = {"Host", "api-key"};
    struct mock_entry entry = {.time = {.tv_sec = 1700000000, .tv_nsec = 1002000},
                               .mock = "east",
                               .connection = 2,
                               .request = 3,
                               .method = "POST",
                               .path = "/v1/\"a\\b\n\xc3?x=1",
                               .host = "api.example",
                               .key_header = "api-key",
                               .key_hash = "0123456789abcdef",
                               .body_length = 5,
                               .body_hash = "fedcba9876543210",
                               .model = "gpt-4",
                               .deployment = "gpt 4\"",
                               .api_version = "2024-10-21",
                               .operation = "chat/completions",
                               .content_type = "application/json",
                               .headers = names,
                               .header_count = 2,
                               .outcome = "reply",
                               .status = 200};
    size_t length = 0;
    char *line = mock_log_line(&entry, &length);
    cr_assert_not_null(line);
    cr_expect_str_eq(line,
                     "{\"time\":1700000000.001002,\"name\":\"east\",\"connection\":2,"
                     "\"request\":3,\"method\":\"POST\","
                     "\"path\":\"/v1/\\\"a\\\\b\\u000a\\u00c3?x=1\","
                     "\"host\":\"api.example\",\"key_header\":\"api-key\","
                     "\"key_hash\":\"0123456789abcdef\",\"body_length\":5,"
                     "\"body_hash\":\"fedcba9876543210\",\"model\":\"gpt-4\","
                     "\"stream\":false,\"deployment\":\"gpt 4\\\"\","
                     "\"api_version\":\"2024-10-21\","
                     "\"operation\":\"chat/completions\","
                     "\"content_type\":\"application/json\",\"headers\":[\"Host\",\"api-key\"],"
                     "\"outcome\":\"reply\",\"status\":200}\n");
    cr_expect_eq(strlen(line), length);
    free(line);
}

Test(mock_log, writes_null_for_what_is_not_there) {
    struct mock_entry entry = {.mock = "east", .method = "GET", .path = "/", .outcome = "hang"};
    size_t length = 0;
    char *line = mock_log_line(&entry, &length);
    cr_assert_not_null(line);
    cr_expect(holds(line, "\"host\":null,\"key_header\":null,\"key_hash\":null,"));
    cr_expect(holds(line, "\"model\":null,"));
    cr_expect(holds(line, "\"deployment\":null,\"api_version\":null,\"operation\":null,"
                          "\"content_type\":null,"));
    cr_expect(holds(line, "\"status\":null}"));
    free(line);
}
