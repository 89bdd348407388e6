/* What a mock reads in a request: its path, and its body of either form. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_form.h"
#include "shim/command/mock_question.h"
#include "shim/command/mock_route.h"

/* --- paths --------------------------------------------------------------------------------- */

Test(mock_route, finds_the_operation_by_the_end_of_the_path) {
    static const struct {
        const char *method, *target;
        enum mock_operation operation;
        enum mock_dialect dialect;
        const char *name;
    } cases[] = {
        {"POST", "/v1/chat/completions", MOCK_CHAT, MOCK_OPENAI, ""},
        {"POST", "/chat/completions", MOCK_CHAT, MOCK_OPENAI, ""},
        {"POST", "/openai/v1/chat/completions", MOCK_CHAT, MOCK_AZURE, ""},
        {"POST", "/openai/deployments/gpt4/chat/completions?api-version=2024-10-21", MOCK_CHAT,
         MOCK_AZURE, "gpt4"},
        {"POST", "/a/prefix/openai/deployments/gpt4/completions?api-version=1", MOCK_COMPLETIONS,
         MOCK_AZURE, "gpt4"},
        {"POST", "/v1/completions", MOCK_COMPLETIONS, MOCK_OPENAI, ""},
        {"POST", "/team/v1/embeddings", MOCK_EMBEDDINGS, MOCK_OPENAI, ""},
        {"GET", "/v1/models", MOCK_MODELS, MOCK_OPENAI, ""},
        {"HEAD", "/v1/models", MOCK_MODELS, MOCK_OPENAI, ""},
        {"GET", "/v1/models/gpt-4", MOCK_MODEL, MOCK_OPENAI, "gpt-4"},
        {"GET", "/openai/models?api-version=1", MOCK_MODELS, MOCK_AZURE, ""},
        {"POST", "http://api.example/v1/chat/completions", MOCK_CHAT, MOCK_OPENAI, ""},
        {"GET", "/v1/chat/completions", MOCK_WRONG_METHOD, MOCK_OPENAI, ""},
        {"POST", "/v1/models", MOCK_WRONG_METHOD, MOCK_OPENAI, ""},
        {"POST", "/v1/files", MOCK_UPLOAD, MOCK_OPENAI, ""},
        {"PUT", "/v1/files/a.bin", MOCK_UPLOAD, MOCK_OPENAI, ""},
        {"POST", "/openai/deployments/whisper/audio/transcriptions", MOCK_TRANSCRIPTIONS,
         MOCK_AZURE, "whisper"},
        {"POST", "/v1/audio/translations", MOCK_TRANSLATIONS, MOCK_OPENAI, ""},
        {"POST", "/v1/audio/speech", MOCK_SPEECH, MOCK_OPENAI, ""},
        {"POST", "/v1/audio/else", MOCK_UPLOAD, MOCK_OPENAI, ""},
        {"POST", "/openai/v1/images/generations", MOCK_IMAGES, MOCK_AZURE, ""},
        {"POST", "/v1/images/edits", MOCK_IMAGE_EDITS, MOCK_OPENAI, ""},
        {"POST", "/openai/responses?api-version=1", MOCK_RESPONSES, MOCK_AZURE, ""},
        {"GET", "/v1/audio/speech", MOCK_WRONG_METHOD, MOCK_OPENAI, ""},
        {"POST", "/", MOCK_UNKNOWN, MOCK_OPENAI, ""},
        {"GET", "/", MOCK_UNKNOWN, MOCK_OPENAI, ""},
        {"GET", "/v1/nothing", MOCK_UNKNOWN, MOCK_OPENAI, ""},
        {"GET", "/v1/models/a/b", MOCK_UNKNOWN, MOCK_OPENAI, ""},
        {"POST", "/v1/files?path=/chat/completions", MOCK_UPLOAD, MOCK_OPENAI, ""},
        {"POST", "/v1/xchat/completions", MOCK_COMPLETIONS, MOCK_OPENAI, ""},
        {"POST", "/openai/deployments/a\"b\\c/embeddings", MOCK_EMBEDDINGS, MOCK_AZURE, "a_b_c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_route route;
        mock_route_parse(cases[i].method, cases[i].target, MOCK_ANY, &route);
        cr_expect_eq(route.operation, cases[i].operation, "%s %s", cases[i].method,
                     cases[i].target);
        cr_expect_eq(route.dialect, cases[i].dialect, "%s", cases[i].target);
        cr_expect_str_eq(route.name, cases[i].name, "%s", cases[i].target);
    }
}

Test(mock_route, a_dialect_that_is_set_wins_over_the_path) {
    struct mock_route route;
    mock_route_parse("POST", "/v1/chat/completions", MOCK_AZURE, &route);
    cr_expect_eq(route.dialect, MOCK_AZURE);
    mock_route_parse("POST", "/openai/v1/chat/completions", MOCK_OPENAI, &route);
    cr_expect_eq(route.dialect, MOCK_OPENAI);
}

Test(mock_route, takes_paths_of_any_length) {
    char target[5000];
    struct mock_route route;
    memset(target, 'a', sizeof target);
    target[0] = '/';
    memcpy(target + sizeof target - 15, "/v1/embeddings", 15);
    mock_route_parse("POST", target, MOCK_ANY, &route);
    cr_expect_eq(route.operation, MOCK_EMBEDDINGS);
}

/* TEXT, or "null" for NULL */
static const char *shown(const char *text) {
    return text != NULL ? text : "null";
}

Test(mock_route, finds_root_deployment_and_operation) {
    static const struct {
        const char *target, *deployment, *below;
        enum mock_root root;
        bool prefixed;
    } cases[] = {
        {"/v1/chat/completions", "", "chat/completions", MOCK_ROOT_V1, false},
        {"/openai/v1/responses", "", "responses", MOCK_ROOT_AZURE_V1, false},
        {"/openai/v1/models/gpt-4", "", "models/gpt-4", MOCK_ROOT_AZURE_V1, false},
        {"/openai/files/file-1/content?a=b", "", "files/file-1/content", MOCK_ROOT_AZURE, false},
        {"/openai/deployments/gpt%204%2Eo/chat/completions?api-version=1", "gpt 4.o",
         "chat/completions", MOCK_ROOT_DEPLOYMENT, false},
        {"/openai/deployments/a%00%zz%4/embeddings", "a%00%zz%4", "embeddings",
         MOCK_ROOT_DEPLOYMENT, false},
        {"/openai/deployments/caf%c3%A9/embeddings", "caf\xc3\xa9", "embeddings",
         MOCK_ROOT_DEPLOYMENT, false},
        {"/openai/deployments/gpt4", "gpt4", "deployments/gpt4", MOCK_ROOT_AZURE, false},
        {"/openai/deployments//embeddings", "", "deployments//embeddings", MOCK_ROOT_AZURE, false},
        {"/team/openai/deployments/m/audio/speech", "m", "audio/speech", MOCK_ROOT_DEPLOYMENT,
         true},
        {"/v1/v1/embeddings", "", "v1/embeddings", MOCK_ROOT_V1, false},
        {"/team/v1/images/generations", "", "images/generations", MOCK_ROOT_V1, true},
        {"http://api.example/v1/files", "", "files", MOCK_ROOT_V1, false},
        {"/deployments/m/chat/completions", "m", "chat/completions", MOCK_ROOT_NONE, false},
        {"/chat/completions", "", "chat/completions", MOCK_ROOT_NONE, false},
        {"/elsewhere", "", NULL, MOCK_ROOT_NONE, false},
        {"/v1/", "", NULL, MOCK_ROOT_V1, false},
        {"/", "", NULL, MOCK_ROOT_NONE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_route route;
        mock_route_parse("POST", cases[i].target, MOCK_ANY, &route);
        cr_expect_str_eq(route.deployment, cases[i].deployment, "%s: %s", cases[i].target,
                         route.deployment);
        cr_expect_str_eq(shown(mock_route_below(&route)), shown(cases[i].below), "%s: %s",
                         cases[i].target, shown(mock_route_below(&route)));
        cr_expect_eq(route.root, cases[i].root, "%s", cases[i].target);
        cr_expect_eq(route.prefixed, cases[i].prefixed, "%s", cases[i].target);
    }
}

Test(mock_route, finds_the_api_version_in_the_query_alone) {
    static const struct {
        const char *query, *version;
        unsigned count;
    } cases[] = {
        {"", "", 0},
        {"?api-version=2024-10-21", "2024-10-21", 1},
        {"?a=b&api-version=2024%2d10-21&c", "2024-10-21", 1},
        {"?api-version=", "", 1},
        {"?api-version", "", 1},
        {"?api-version=1&api-version=2", "1", 2},
        {"?api-versions=1&xapi-version=2&api_version=3&api-version2=4", "", 0},
        {"?q=api-version=1", "", 0},
        {"#?api-version=1", "", 0},
        {"?a#&api-version=1", "", 0},
        {"?&&api-version=1&", "1", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_route route;
        char target[200];
        snprintf(target, sizeof target, "/api-version=0/v1/models%s", cases[i].query);
        mock_route_parse("GET", target, MOCK_ANY, &route);
        cr_expect_eq(route.api_versions, cases[i].count, "%s", cases[i].query);
        cr_expect_str_eq(route.api_version, cases[i].version, "%s: %s", cases[i].query,
                         route.api_version);
    }
}

/* --- JSON ---------------------------------------------------------------------------------- */

Test(mock_question, finds_model_and_stream_at_the_top_alone) {
    static const struct {
        const char *body, *model;
        bool stream;
    } cases[] = {
        {"{\"model\":\"gpt-4\"}", "gpt-4", false},
        {"{ \"stream\" : true , \"model\" : \"gpt-4\" }", "gpt-4", true},
        {"{\"messages\":[{\"model\":\"no\",\"stream\":true}],\"model\":\"yes\"}", "yes", false},
        {"{\"a\":{\"model\":\"no\"},\"stream\":false}", "", false},
        {"{\"x\":\"model\",\"y\":\"stream\"}", "", false},
        {"{\"model\":4,\"stream\":\"true\"}", "", false},
        {"{\"model\":\"a\\\"b\"}", "a\\\"b", false},
        {"{\"model\":\"\"}", "", false},
        {"{\"model\":\"cut\",\"stream\":true,\"messages\":[{\"content\":\"abc", "cut", true},
        {"{\"model\":\"cu", "", false},
        {"[{\"model\":\"no\"}]", "", false},
        {"--boundary\r\nmodel", "", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_question question;
        size_t length = strlen(cases[i].body);
        /* Without the terminator, so that a sanitizer sees a read beyond the end. */
        char *body = malloc(length + (length == 0));
        cr_assert_not_null(body);
        memcpy(body, cases[i].body, length);
        mock_question_parse(body, length, NULL, &question);
        cr_expect_str_eq(question.model, cases[i].model, "%s", cases[i].body);
        cr_expect_eq(question.stream, cases[i].stream, "%s", cases[i].body);
        free(body);
    }
}

/* --- multipart/form-data ------------------------------------------------------------------- */

#define PART(name, text) "--b\r\nContent-Disposition: form-data; " name "\r\n\r\n" text "\r\n"

Test(mock_form, finds_the_boundary) {
    static const struct {
        const char *type, *boundary; /* NULL: none */
    } cases[] = {
        {"multipart/form-data; boundary=abc", "abc"},
        {"Multipart/Form-Data;charset=utf-8; Boundary=\"a b;c\"; x=y", "a b;c"},
        {"multipart/form-data;x=\"boundary=no\";boundary=yes", "yes"},
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary", NULL},
        {"multipart/mixed; boundary=abc", NULL},
        {"multipart/form-database; boundary=abc", NULL},
        {"application/json", NULL},
        {"", NULL},
        {"multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678"
         "9012345678901",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char boundary[MOCK_BOUNDARY_MAX + 1] = "";
        bool found = mock_form_boundary(cases[i].type, boundary);
        cr_expect_eq(found, cases[i].boundary != NULL, "%s", cases[i].type);
        if (found && cases[i].boundary != NULL)
            cr_expect_str_eq(boundary, cases[i].boundary, "%s", boundary);
    }
}

Test(mock_question, finds_the_model_of_a_form) {
    static const struct {
        const char *body, *model;
    } cases[] = {
        {PART("name=\"model\"", "whisper-1") "--b--\r\n", "whisper-1"},
        {PART("name=model", "whisper-1") "--b--", "whisper-1"},
        {PART("name=\"file\"; filename=\"a;name=model\"", "\r\n--\r\n\r\n")
             PART("name=\"model\"", "m") "--b--\r\n",
         "m"},
        {"preamble\r\n" PART("name=\"model\"", "m") "--b--\r\n", "m"},
        {PART("name=\"model\"", "first") PART("name=\"model\"", "last") "--b--", "last"},
        {"--b\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=\"model\""
         "\r\n\r\nm\r\n--b--",
         "m"},
        {PART("name=\"model\"", "a\"b\\c\n") "--b--", "a\\\"b\\\\c?"},
        {PART("name=\"model\"; filename=\"f\"", "no") "--b--", ""},
        {PART("name=\"xmodel\"", "no") PART("name=\"model2\"", "no") "--b--", ""},
        {PART("name=\"prompt\"", "Content-Disposition: form-data; name=\"model\"") "--b--", ""},
        {"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncut", ""},
        {"--b\r\n\r\nno header\r\n--b--", ""},
        {"--c\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nno\r\n--c--", ""},
        {"{\"model\":\"no\"}", ""},
        {"--b", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mock_question question;
        size_t length = strlen(cases[i].body);
        char *body = malloc(length + (length == 0));
        cr_assert_not_null(body);
        memcpy(body, cases[i].body, length);
        mock_question_parse(body, length, "multipart/form-data; boundary=b", &question);
        cr_expect_str_eq(question.model, cases[i].model, "case %zu: %s", i, question.model);
        free(body);
    }
}

/* A backend's model may come after all that is long. */
Test(mock_question, finds_a_model_behind_megabytes) {
    static const char head[] = "{\"messages\":[\"", tail[] = "\"],\"model\":\"far\"}";
    size_t length = 3u << 20;
    char *body = malloc(length);
    struct mock_question question;
    cr_assert_not_null(body);
    memset(body, 'a', length);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + length - (sizeof tail - 1), tail, sizeof tail - 1);
    mock_question_parse(body, length, "application/json", &question);
    cr_expect_str_eq(question.model, "far");
    free(body);
}
