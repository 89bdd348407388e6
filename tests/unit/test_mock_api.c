/* The forms of a mock's answers and errors. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_answer.h"
#include "shim/command/mock_error.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

/* --- answers ------------------------------------------------------------------------------- */

static bool holds(const char *text, const char *part) {
    return strstr(text, part) != NULL;
}

Test(mock_api, names_mock_and_model_in_each_answer) {
    static const struct {
        enum mock_operation operation;
        const char *parts[3];
    } cases[] = {
        {MOCK_CHAT, {"\"object\":\"chat.completion\"", "\"content\":\"east answers\"", "usage"}},
        {MOCK_COMPLETIONS, {"\"text_completion\"", "\"text\":\"east answers\"", "usage"}},
        {MOCK_EMBEDDINGS, {"\"embedding\":[", "\"model\":\"gpt-4\"", "usage"}},
        {MOCK_MODELS, {"\"object\":\"list\"", "\"owned_by\":\"east\"", "gpt-4"}},
        {MOCK_MODEL, {"\"object\":\"model\"", "\"owned_by\":\"east\"", "\"id\":\"gpt-4\""}},
        {MOCK_RESPONSES,
         {"\"object\":\"response\"", "\"type\":\"output_text\",\"text\":\"east answers\"",
          "\"model\":\"gpt-4\""}},
        {MOCK_IMAGES, {"\"data\":[{", "\"b64_json\":\"iVBOR", "east answers"}},
        {MOCK_IMAGE_EDITS, {"\"data\":[{", "\"b64_json\":\"iVBOR", "east answers"}},
        {MOCK_TRANSCRIPTIONS, {"{\"text\":\"", "east answers", "\"}"}},
        {MOCK_TRANSLATIONS, {"{\"text\":\"", "east answers", "\"}"}},
        {MOCK_UPLOAD, {"\"object\":\"file\"", "\"bytes\":40", "east"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_answer answer = {.operation = cases[i].operation,
                                     .dialect = MOCK_OPENAI,
                                     .mock = "east",
                                     .model = "gpt-4",
                                     .number = 1,
                                     .body_length = 40,
                                     .tokens = 2};
        size_t length = 0;
        char *body = mock_answer_body(&answer, &length);
        cr_assert_not_null(body);
        cr_expect_eq(strlen(body), length);
        for (size_t j = 0; j < 3; j++)
            cr_expect(holds(body, cases[i].parts[j]), "%s in %s", cases[i].parts[j], body);
        free(body);
    }
}

Test(mock_api, streams_a_word_per_event_and_done) {
    static const char *const parts[] = {"\"content\":\"east\"}", "\"content\":\" answers\"}",
                                        "data: [DONE]\n\n"};
    struct mock_answer answer = {
        .operation = MOCK_CHAT, .mock = "east", .model = "gpt-4", .number = 1, .tokens = 2};
    for (unsigned i = 0; i < 3; i++) {
        size_t length = 0;
        char *event = mock_answer_event(&answer, i, 1700000000.25, &length);
        cr_assert_not_null(event);
        cr_expect_eq(strlen(event), length);
        cr_expect(strncmp(event, "data: ", 6) == 0 && holds(event, "\n\n"));
        cr_expect(holds(event, parts[i]), "%s in %s", parts[i], event);
        cr_expect_eq(holds(event, "\"finish_reason\":\"stop\""), i == 1);
        cr_expect_eq(holds(event, "\"sent\":1700000000.250000"), i < 2);
        free(event);
    }
}

Test(mock_api, streams_a_response_by_named_events) {
    static const char *const parts[][4] = {
        {"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,",
         "event: response.output_item.added\n", "event: response.content_part.added\n",
         "\"status\":\"in_progress\""},
        {"event: response.output_text.delta\n", "\"delta\":\"east\"", "\"sequence_number\":3,",
         "\"sent\":1700000000.250000"},
        {"event: response.output_text.delta\n", "\"delta\":\" answers\"", "\"sequence_number\":4,",
         "\"sent\":1700000000.250000"},
        {"event: response.output_text.done\n", "event: response.completed\n",
         "\"text\":\"east answers\"", "\"sequence_number\":8,"},
    };
    struct mock_answer answer = {
        .operation = MOCK_RESPONSES, .mock = "east", .model = "gpt-4", .number = 1, .tokens = 2};
    cr_expect(mock_operation_streams(MOCK_RESPONSES));
    cr_assert_eq(mock_answer_events(&answer), 4);
    for (unsigned i = 0; i < 4; i++) {
        size_t length = 0;
        char *event = mock_answer_event(&answer, i, 1700000000.25, &length);
        cr_assert_not_null(event);
        cr_expect_eq(strlen(event), length);
        for (unsigned j = 0; j < 4; j++)
            cr_expect(holds(event, parts[i][j]), "%s in %s", parts[i][j], event);
        cr_expect(!holds(event, "[DONE]"));
        free(event);
    }
    answer.operation = MOCK_CHAT;
    cr_expect_eq(mock_answer_events(&answer), 3);
}

Test(mock_api, speaks_in_mpeg) {
    struct mock_answer answer = {.operation = MOCK_SPEECH, .mock = "east", .model = "tts-1"};
    size_t length = 0;
    char *body = mock_answer_body(&answer, &length);
    cr_assert_not_null(body);
    cr_assert_eq(length, 10 + 10 + 5 + 104);
    cr_expect(memcmp(body,
                     "ID3\x04\0\0\0\0\0\x0fTIT2\0\0\0\x05\0\0\x03"
                     "east\xff\xfb",
                     27) == 0);
    cr_expect_str_eq(mock_answer_type(MOCK_SPEECH), "audio/mpeg");
    cr_expect_str_eq(mock_answer_type(MOCK_TRANSCRIPTIONS), "application/json");
    free(body);
}

Test(mock_error, has_the_forms_of_the_providers) {
    static const struct {
        enum mock_dialect dialect;
        int status;
        enum mock_cause cause;
        uint64_t wait;
        const char *part;
    } cases[] = {
        {MOCK_AZURE, 429, MOCK_USUAL, 6 * S, "\"code\":\"429\""},
        {MOCK_AZURE, 429, MOCK_USUAL, 6 * S, "Please retry after 6 seconds."},
        {MOCK_AZURE, 429, MOCK_USUAL, 300 * MS, "Please retry after 1 second."},
        {MOCK_AZURE, 429, MOCK_USUAL, 0, "Please retry after 0 seconds."},
        {MOCK_OPENAI, 429, MOCK_USUAL, 20 * MS, "Please try again in 20ms."},
        {MOCK_OPENAI, 429, MOCK_USUAL, 4 * S, "\"code\":\"rate_limit_exceeded\""},
        {MOCK_OPENAI, 429, MOCK_QUOTA, 0, "\"type\":\"insufficient_quota\""},
        {MOCK_AZURE, 429, MOCK_QUOTA, 0, "\"code\":\"insufficient_quota\""},
        {MOCK_OPENAI, 429, MOCK_TOO_LARGE, 0, "Request too large for gpt-4"},
        {MOCK_AZURE, 404, MOCK_USUAL, 0, "\"code\":\"DeploymentNotFound\""},
        {MOCK_AZURE, 404, MOCK_NO_RESOURCE, 0, "Resource not found"},
        {MOCK_OPENAI, 404, MOCK_USUAL, 0, "The model `gpt-4` does not exist"},
        {MOCK_OPENAI, 404, MOCK_NO_RESOURCE, 0, "\"Invalid URL (POST /v1/a_b)\",\"type\""},
        {MOCK_OPENAI, 401, MOCK_NO_KEY, 0, "You didn't provide an API key."},
        {MOCK_OPENAI, 400, MOCK_NO_MODEL, 0, "\"you must provide a model parameter\""},
        {MOCK_AZURE, 400, MOCK_NO_MODEL, 0, "\"you must provide a model parameter\""},
        {MOCK_OPENAI, 400, MOCK_NOT_JSON, 0, "could not parse the JSON body"},
        {MOCK_AZURE, 400, MOCK_NOT_JSON, 0, "invalid JSON"},
        {MOCK_AZURE, 400, MOCK_USUAL, 0, "ResponsibleAIPolicyViolation"},
        {MOCK_OPENAI, 401, MOCK_USUAL, 0, "\"code\":\"invalid_api_key\""},
        {MOCK_OPENAI, 500, MOCK_USUAL, 0, "\"type\":\"server_error\""},
        {MOCK_AZURE, 503, MOCK_USUAL, 0, "temporarily unable"},
        {MOCK_AZURE, 418, MOCK_USUAL, 0, "\"code\":\"418\""},
        {MOCK_OPENAI, 599, MOCK_USUAL, 0, "\"type\":\"server_error\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_error error = {.dialect = cases[i].dialect,
                                   .status = cases[i].status,
                                   .cause = cases[i].cause,
                                   .model = "gpt-4",
                                   .operation = "ChatCompletions_Create",
                                   .method = "POST",
                                   .path = "/v1/a\"b",
                                   .wait_ns = cases[i].wait};
        size_t length = 0;
        char *body = mock_error_body(&error, &length);
        cr_assert_not_null(body);
        cr_expect_eq(strlen(body), length);
        cr_expect(holds(body, cases[i].part), "%s in %s", cases[i].part, body);
        free(body);
    }
}

Test(mock_error, is_silent_about_a_time_that_it_does_not_know) {
    for (enum mock_dialect dialect = MOCK_OPENAI; dialect <= MOCK_AZURE; dialect++) {
        struct mock_error error = {.dialect = dialect,
                                   .status = 429,
                                   .model = "m",
                                   .operation = "o",
                                   .wait_ns = MOCK_NO_WAIT};
        struct mock_hint hints[MOCK_HINTS_MAX];
        size_t length = 0;
        char *body = mock_error_body(&error, &length);
        cr_assert_not_null(body);
        cr_expect(!holds(body, "retry after") && !holds(body, "again in"), "%s", body);
        size_t count = mock_error_hints(dialect, 3, MOCK_NO_WAIT, NULL, hints);
        for (size_t i = 0; i < count; i++)
            cr_expect(!holds(hints[i].name, "retry") && !holds(hints[i].name, "reset"), "%s",
                      hints[i].name);
        free(body);
    }
}

Test(mock_error, hints_in_the_words_of_the_dialect) {
    static const struct {
        enum mock_dialect dialect;
        uint64_t wait;
        const char *retry_after; /* as given */
        const char *seconds, *ms, *reset;
    } cases[] = {
        {MOCK_AZURE, 4 * S, NULL, "4", "4000", "4"},
        {MOCK_AZURE, 3500 * MS, NULL, "4", "3500", "4"},
        {MOCK_OPENAI, 4 * S, NULL, "4", "4000", "4s"},
        {MOCK_OPENAI, 20 * MS, NULL, "1", "20", "20ms"},
        {MOCK_OPENAI, 500 * MS, "0.5", "0.5", "500", "500ms"},
        {MOCK_OPENAI, 360 * S, NULL, "360", "360000", "6m0s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_hint hints[MOCK_HINTS_MAX];
        size_t count =
            mock_error_hints(cases[i].dialect, 3, cases[i].wait, cases[i].retry_after, hints);
        cr_assert_leq(count, MOCK_HINTS_MAX);
        for (size_t j = 0; j < count; j++) {
            const char *expected = strcmp(hints[j].name, "retry-after") == 0      ? cases[i].seconds
                                   : strcmp(hints[j].name, "retry-after-ms") == 0 ? cases[i].ms
                                   : holds(hints[j].name, "reset")                ? cases[i].reset
                                                                                  : NULL;
            if (expected != NULL)
                cr_expect_str_eq(hints[j].value, expected, "case %zu: %s: %s", i, hints[j].name,
                                 hints[j].value);
        }
        cr_expect_eq(count, 7);
    }
}

Test(mock_error, writes_durations_as_openai_does) {
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "0ms"},
                 {1, "1ms"},
                 {999 * MS, "999ms"},
                 {S, "1s"},
                 {4500 * MS, "4.5s"},
                 {59999 * MS, "59.999s"},
                 {60 * S, "1m0s"},
                 {64 * S, "1m4s"},
                 {179560 * MS, "2m59.56s"},
                 {3600 * S, "1h0m0s"},
                 {10 * S, "10s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[48];
        mock_error_duration(cases[i].ns, text, sizeof text);
        cr_expect_str_eq(text, cases[i].text, "%s", text);
    }
}
