/*
 * The model in a multipart/form-data body: its boundary, its parts, and an edit of the field alone.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/model.h"

#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define TEXT(literal) (literal), sizeof(literal) - 1
#define SLICE(text)   ((struct slice){TEXT(text)})

#define FORM   "Content-Disposition: form-data; "
#define MODEL  "--B\r\n" FORM "name=\"model\"\r\n\r\n"
#define PROMPT "--B\r\n" FORM "name=\"prompt\"\r\n\r\nx\r\n"
#define END    "--B--\r\n"

TestSuite(model_multipart, .timeout = 60);

/* In memory of its own, so that ASan sees what is read beyond it. */
static bool find(const char *body, size_t length, struct slice boundary,
                 struct model_places *places) {
    char *copy = malloc(length ? length : 1);
    cr_assert_not_null(copy);
    memcpy(copy, body, length);
    memset(places, 'x', sizeof *places);
    errno = EXDEV;
    bool found = model_find_multipart(copy, length, boundary, places);
    cr_expect_eq(errno, EXDEV);
    free(copy);
    return found;
}

static bool is_multipart(const char *body, size_t length) {
    struct model_places places;
    return find(body, length, SLICE("B"), &places);
}

static void expect_edit(const char *body, size_t length, const char *const *names,
                        const char *expected, size_t expected_length) {
    struct model_places places;
    size_t edited_length = 0;
    cr_assert(find(body, length, SLICE("B"), &places), "%s", body);
    char *edited = model_edit(body, length, &places, names, &edited_length);
    cr_assert_not_null(edited, "%s", body);
    cr_expect(edited_length == expected_length && memcmp(edited, expected, edited_length) == 0,
              "'%.*s' is not '%s'", (int)edited_length, edited, expected);
    free(edited);
}

/* BODY has COUNT fields "model"; the first is named NAME, if that isn't NULL. */
static void expect(const char *body, unsigned count, const char *name) {
    struct model_places places;
    const char *none[MODEL_PLACES_MAX] = {NULL};
    cr_assert(find(body, strlen(body), SLICE("B"), &places), "%s", body);
    cr_assert_eq(places.count, count, "%s: %u", body, places.count);
    if (count) {
        const struct model_place *place = &places.at[0];
        cr_expect_eq(place->named, name != NULL, "%s", body);
        cr_expect_str_eq(place->name, name ? name : "", "%s", body);
        cr_expect(!name || (place->length == strlen(name) &&
                            memcmp(body + place->offset, name, place->length) == 0),
                  "%s: '%.*s'", body, (int)place->length, body + place->offset);
        cr_expect_eq(memcmp(body + place->offset - 4, "\r\n\r\n", 4), 0);
        cr_expect_eq(memcmp(body + place->offset + place->length, "\r\n--B", 5), 0);
    }
    expect_edit(body, strlen(body), none, body, strlen(body));
}

Test(model_multipart, finds_the_content) {
    static const struct {
        const char *content, *name;
    } cases[] = {
        {"whisper-1", "whisper-1"},
        {" whisper-1 \t", " whisper-1 \t"},
        {"", NULL},
        {"m\r\n", "m\r\n"},
        {"\r\n\r\nm", "\r\n\r\nm"},
        {"m\n--B\n", "m\n--B\n"},
        {"m\r--B", "m\r--B"},
        {"m--B\r\n", "m--B\r\n"},
        {"m\r\n--b\r\n", "m\r\n--b\r\n"},
        {"m\r\n-B\r\n- -B", "m\r\n-B\r\n- -B"},
        {"m\r\n --B--\r\n", "m\r\n --B--\r\n"},
        {"\xff\\\"é", "\xff\\\"é"},
        {"Content-Disposition: form-data; name=\"model\"\r\n\r\nx",
         "Content-Disposition: form-data; name=\"model\"\r\n\r\nx"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256];
        snprintf(body, sizeof body, "%s%s\r\n%s", MODEL, cases[i].content, END);
        expect(body, 1, cases[i].name);
        snprintf(body, sizeof body, "%s%s%s\r\n%s%s", PROMPT, MODEL, cases[i].content, PROMPT, END);
        expect(body, 1, cases[i].name);
    }
}

Test(model_multipart, reads_headers) {
    static const struct {
        const char *headers;
        unsigned count;
        bool named;
    } cases[] = {
        {FORM "name=\"model\"\r\n", 1, true},
        {FORM "name=model\r\n", 1, true},
        {FORM "name=\"m\\o\\del\"\r\n", 1, true},
        {"content-disposition:FORM-DATA;NAME=\"model\"\r\n", 1, true},
        {"CONTENT-DISPOSITION:\t form-data \t;;; Name = \"model\" ; \r\n", 1, true},
        {"Content-Disposition:\r\n form-data;\r\n\tname=\"model\"\r\n", 1, true},
        {"Content-Type: text/plain\r\n" FORM "name=model\r\nX-A:\r\n", 1, true},
        {FORM "x=\"name=a; name=b\"; name=\"model\"\r\n", 1, true},
        {FORM "name=\"model\"; x=a=b/c\r\n", 1, true},
        {FORM "name=\"model\"; name*=UTF-8''other\r\n", 1, true},
        {FORM "name=\"model\"; filename=\"a.txt\"\r\n", 1, false},
        {FORM "FileName=a; name=\"model\"\r\n", 1, false},
        {FORM "name=\"model\"; filename*=UTF-8''a\r\n", 1, false},
        {FORM "name=\"model\"; filename=\"\"\r\n", 1, false},
        {FORM "name=model\r\nContent-Transfer-Encoding: base64\r\n", 1, false},
        {"content-transfer-encoding:quoted-printable\r\n" FORM "name=model\r\n", 1, false},
        {FORM "name=model\r\nContent-Transfer-Encoding:\r\n", 1, false},
        {FORM "name=model\r\nContent-Transfer-Encoding: 8bit base64\r\n", 1, false},
        {"Content-Transfer-Encoding: a\r\n" FORM
         "name=model\r\nContent-Transfer-Encoding: 7bit\r\n",
         1, false},
        {FORM "name=model\r\nContent-Transfer-Encoding: 7bit\r\n", 1, true},
        {FORM "name=model\r\nContent-Transfer-Encoding:8BIT \r\n", 1, true},
        {FORM "name=model\r\nContent-Transfer-Encoding:\r\n Binary\r\n", 1, true},
        {FORM "name=\"Model\"\r\n", 0, false},
        {FORM "name=\"models\"\r\n", 0, false},
        {FORM "name=\"mode\"\r\n", 0, false},
        {FORM "name=\"model \"\r\n", 0, false},
        {FORM "name=\"model\\\\\"\r\n", 0, false},
        {FORM "name=\"\\\"model\"\r\n", 0, false},
        {FORM "name=m\\odel\r\n", 0, false},
        {FORM "name=\"model\r\n \"\r\n", 0, false},
        {FORM "name=\"\"\r\n", 0, false},
        {FORM "name=\"a\"; filename=\"; name=model\"\r\n", 0, false},
        {FORM "name=\"a\"; x=\"\\\"; name=model\"\r\n", 0, false},
        {FORM "name*=model\r\n", 0, false},
        {FORM "xname=model\r\n", 0, false},
        {"Content-Disposition: form-data\r\n", 0, false},
        {"Content-Disposition:\r\n", 0, false},
        {"Content-Disposition: attachment; name=model\r\n", 0, false},
        {"Content-Disposition: form-data-x; name=model\r\n", 0, false},
        {"X-Content-Disposition: form-data; name=model\r\n", 0, false},
        {"Content-Type: text/plain; name=model\r\n", 0, false},
        {"", 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256];
        snprintf(body, sizeof body, "--B\r\n%s\r\nm\r\n%s", cases[i].headers, END);
        expect(body, cases[i].count, cases[i].named ? "m" : NULL);
    }
}

Test(model_multipart, finds_fields_and_their_frame) {
    expect(END, 0, NULL);
    expect("--B--", 0, NULL);
    expect(PROMPT END, 0, NULL);
    expect(PROMPT MODEL "m\r\n" PROMPT "--B--", 1, "m");
    expect(MODEL "m\r\n" END "epilogue\r\n--B\r\n" MODEL "n\r\n", 1, "m");
    expect(MODEL "m\r\n--B-- \t", 1, "m");
    expect(MODEL "m\r\n--B--\t\r\n", 1, "m");
    expect("\r\n" MODEL "m\r\n" END, 1, "m");
    expect("pre --B\r\n\nx\r\n--b" MODEL "x\r\n" MODEL "m\r\n" END, 1, "m");
    expect("--B \t\r\n" FORM "name=model\r\n\r\nm\r\n--B\t\r\n\r\n\r\n--B--", 1, "m");
}

Test(model_multipart, finds_every_field_of_that_name) {
    static const char body[] = MODEL "a\r\n" PROMPT MODEL "\r\n" MODEL "c\r\n" END;
    static const char edited[] = MODEL "A1\r\n" PROMPT MODEL "B2\r\n" MODEL "c\r\n" END;
    const char *names[] = {"A1", "B2", NULL};
    struct model_places places;
    expect(body, 3, "a");
    expect_edit(TEXT(body), names, TEXT(edited));
    cr_assert(find(TEXT(edited), SLICE("B"), &places));
    cr_expect_str_eq(places.at[1].name, "B2");
    cr_expect_str_eq(model_said(&places), "c");
    for (unsigned count = 1; count <= MODEL_PLACES_MAX + 1; count++) {
        char many[1024] = "";
        for (unsigned i = 0; i <= count; i++) {
            size_t used = strlen(many);
            snprintf(many + used, sizeof many - used, "%s", i < count ? MODEL "m\r\n" : END);
        }
        cr_expect_eq(find(many, strlen(many), SLICE("B"), &places), count <= MODEL_PLACES_MAX);
        cr_expect(count > MODEL_PLACES_MAX || places.count == count);
    }
}

Test(model_multipart, refuses_what_is_malformed) {
    static const char *const bodies[] = {
        "", "B", "--", "--B", "--B\r\n", "x", "{\"model\":\"m\"}", "--b--", "--B-", "--B-\r\n",
        /* boundaries' lines */
        "--Bx\r\n\r\nm\r\n" END, MODEL "m\r\n--Bx\r\n" END, MODEL "m\r\n--B-\r\n" END,
        MODEL "m\r\n--B--x\r\n", MODEL "m\r\n--B--\n", MODEL "m\r\n--B--\r",
        MODEL "m\r\n--B -x\r\n", MODEL "m\r\n--B --\r\n", MODEL "m\r\n--B x\r\n" END,
        "x" MODEL "m\r\n", " --B--", "\n--B--", "x\r\n--Bx\r\n" END,
        "--B\n" FORM "name=model\r\n\r\nm\r\n" END, "--B\r" FORM "name=model\r\n\r\nm\r\n" END,
        MODEL "m\r\n--B\n" FORM "name=a\r\n\r\nm\r\n" END,
        /* no end */
        MODEL, MODEL "m", MODEL "m\r\n", MODEL "m\r\n--B", MODEL "m\r\n--B\r\n", MODEL "m\n--B--",
        MODEL "m" END, MODEL "m\r\n--b--\r\n", MODEL "m\r\n" PROMPT,
        /* no content */
        MODEL END, "--B\r\n" END, "--B\r\n\r\n" END, "--B\r\n" FORM "name=model\r\n" END,
        MODEL "m\r\n--B\r\n" END, "--B\r\n--B--: x\r\n\r\nm\r\n" END,
        /* lines of headers */
        "--B\r\n" FORM "name=model\n\nm\r\n" END, "--B\r\n" FORM "name=model\n\r\nm\r\n" END,
        "--B\r\n" FORM "name=model\r\r\nm\r\n" END, "--B\r\n" FORM "name=model\r\n\nm\r\n" END,
        "--B\r\nX: \n\r\n\r\nm\r\n" END, "--B\r\n X: y\r\n\r\nm\r\n" END,
        "--B\r\nX\r\n\r\nm\r\n" END, "--B\r\n: y\r\n\r\nm\r\n" END, "--B\r\nX : y\r\n\r\nm\r\n" END,
        "--B\r\nX y: z\r\n\r\nm\r\n" END, "--B\r\nX\x7f: z\r\n\r\nm\r\n" END,
        /* what they say */
        "--B\r\n" FORM "name=model\r\n" FORM "name=a\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "name=a; name=model\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "name\r\n\r\nm\r\n" END, "--B\r\n" FORM "name=\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "=model\r\n\r\nm\r\n" END, "--B\r\n" FORM "name=\"model\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "name=\"model\\\"\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "name=\"model\"x\r\n\r\nm\r\n" END,
        "--B\r\n" FORM "name=model x\r\n\r\nm\r\n" END,
        "--B\r\nContent-Disposition: form-data name=model\r\n\r\nm\r\n" END};
    for (size_t i = 0; i < COUNT(bodies); i++)
        cr_expect_not(is_multipart(bodies[i], strlen(bodies[i])), "%s", bodies[i]);
    struct model_places places;
    cr_expect_not(model_find_multipart(NULL, 0, SLICE("B"), &places));
}

Test(model_multipart, refuses_what_is_cut) {
    static const char body[] = "p\r\n" MODEL "m\r\n" PROMPT "--B--";
    cr_assert(is_multipart(TEXT(body)));
    for (size_t cut = 0; cut < sizeof body - 1; cut++)
        cr_expect_not(is_multipart(body, cut), "%zu", cut);
}

Test(model_multipart, names_are_texts) {
    struct model_places places;
    cr_assert(find(TEXT(MODEL "a\0b\r\n" END), SLICE("B"), &places));
    cr_expect_eq(places.count, 1);
    cr_expect_not(places.at[0].named);
    cr_expect_str_eq(places.at[0].name, "");
    cr_expect_eq(places.at[0].length, 3);
    for (size_t length = MODEL_NAME_MAX - 1; length <= MODEL_NAME_MAX + 1; length++) {
        char name[MODEL_NAME_MAX + 2] = "", body[sizeof name + 128];
        memset(name, 'n', length);
        snprintf(body, sizeof body, "%s%s\r\n%s", MODEL, name, END);
        expect(body, 1, length <= MODEL_NAME_MAX ? name : NULL);
    }
}

Test(model_multipart, edits_content_with_any_bytes) {
    static const char before[] = "--B\r\n" FORM "name=file; filename=a.wav\r\n\r\nRIFF\0\0\r\n--b"
                                 "\n--B\n\xff\r\n\r\n\r\n" MODEL;
    static const char after[] = "\r\n" PROMPT END "\0epilogue";
    char body[512], expected[512];
    size_t length = 0, expected_length = 0;
    const char *names[] = {"--x -- \"\\é"};
    memcpy(body, before, length = sizeof before - 1);
    memcpy(expected, before, expected_length = length);
    memcpy(expected + length, names[0], strlen(names[0]));
    memcpy(body + length, "old", 3);
    length += 3;
    expected_length += strlen(names[0]);
    memcpy(body + length, after, sizeof after - 1);
    memcpy(expected + expected_length, after, sizeof after - 1);
    expect_edit(body, length + sizeof after - 1, names, expected,
                expected_length + sizeof after - 1);
}

Test(model_multipart, adds_a_field) {
    static const struct {
        const char *body, *edited;
    } cases[] = {
        {PROMPT END, MODEL "m\r\n" PROMPT END},
        {"--B \r\n" FORM "name=a\r\n\r\n\r\n--B--",
         MODEL "m\r\n--B \r\n" FORM "name=a\r\n\r\n\r\n--B--"},
        {"preamble\r\n" PROMPT END, "preamble\r\n" MODEL "m\r\n" PROMPT END},
        {"\r\n" PROMPT END, "\r\n" MODEL "m\r\n" PROMPT END},
        {END, MODEL "m\r\n" END},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *names[] = {"m"};
        expect(cases[i].body, 0, NULL);
        expect_edit(cases[i].body, strlen(cases[i].body), names, cases[i].edited,
                    strlen(cases[i].edited));
        expect(cases[i].edited, 1, "m");
    }
}

Test(model_multipart, refuses_names_that_make_lines) {
    static const char *const names[] = {"a\nb", "a\r", "\n", "--B", "--B--", "--Bx"};
    static const char *const bodies[] = {PROMPT END, MODEL "m\r\n" END};
    static const char two[] = MODEL "m\r\n" MODEL "n\r\n" END;
    const char *good[] = {"xxB", "-B"}, *bad[] = {"m", "--B"};
    struct model_places places;
    size_t length = 0;
    expect_edit(TEXT(two), good, TEXT(MODEL "xxB\r\n" MODEL "-B\r\n" END));
    cr_assert(find(TEXT(two), SLICE("B"), &places));
    cr_expect_null(model_edit(TEXT(two), &places, bad, &length));
    for (size_t i = 0; i < COUNT(bodies) * COUNT(names); i++) {
        const char *body = bodies[i % COUNT(bodies)], *name = names[i / COUNT(bodies)];
        cr_assert(find(body, strlen(body), SLICE("B"), &places));
        errno = EXDEV;
        cr_expect_null(model_edit(body, strlen(body), &places, &name, &length), "%s", name);
        cr_expect_eq(errno, EXDEV);
    }
}

Test(model_multipart, takes_boundaries_as_the_rfc_has_them) {
    char boundary[80], body[256];
    struct model_places places;
    memset(boundary, '=', sizeof boundary);
    for (size_t length = 0; length <= 71; length++) {
        struct slice slice = {boundary, length};
        int used = snprintf(body, sizeof body, "--%.*s\r\n\r\nx\r\n--%.*s--\r\n", (int)length,
                            boundary, (int)length, boundary);
        cr_expect_eq(find(body, (size_t)used, slice, &places), length && length <= 70, "%zu",
                     length);
    }
    cr_expect(find(TEXT("--a b:c--"), SLICE("a b:c"), &places));
    cr_expect_not(find(TEXT("--a --"), SLICE("a "), &places));
    cr_expect_not(find(TEXT("--a\r\n--"), SLICE("a\r\n"), &places));
    cr_expect_not(find(TEXT("--a\0b--"), SLICE("a\0b"), &places));
}

Test(model_multipart, finds_the_boundary) {
#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"
    static const struct {
        const char *value, *boundary;
    } cases[] = {
        {"multipart/form-data; boundary=B", "B"},
        {"multipart/form-data;boundary=\"a b\"", "a b"},
        {" \tMultipart/FORM-Data ; charset=utf-8; BOUNDARY = ----=_a/b:c' ;", "----=_a/b:c'"},
        {"multipart/form-data; x=\"boundary=a\"; boundary=B; y=\"\\\"\"", "B"},
        {"multipart/form-data; boundary*=a; boundary=B", "B"},
        {"multipart/form-data; boundary=" SEVENTY, SEVENTY},
        {"multipart/form-data; boundary=" SEVENTY "0", NULL},
        {"multipart/form-data; boundary=\"a\\b\"", NULL},
        {"multipart/form-data; boundary=\"a ", NULL},
        {"multipart/form-data; boundary=\"a \"", NULL},
        {"multipart/form-data; boundary=\"\"", NULL},
        {"multipart/form-data; boundary=\"a\nb\"", NULL},
        {"multipart/form-data; boundary=\"a\x7f\"", NULL},
        {"multipart/form-data; boundary=a\"b\"", NULL},
        {"multipart/form-data; boundary=a\\b", "a\\b"},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=;", NULL},
        {"multipart/form-data; boundary=a b", NULL},
        {"multipart/form-data; boundary=a; boundary=b", NULL},
        {"multipart/form-data; boundary=a; x", NULL},
        {"multipart/form-data; boundary", NULL},
        {"multipart/form-data; xboundary=a", NULL},
        {"multipart/form-data boundary=a", NULL},
        {"multipart/form-data", NULL},
        {"multipart/form-datax; boundary=a", NULL},
        {"multipart/mixed; boundary=a", NULL},
        {"application/json; boundary=a", NULL},
        {"multipart; boundary=a", NULL},
        {"boundary=a", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *value = strdup(cases[i].value);
        struct slice boundary = {NULL, 0};
        cr_assert_not_null(value);
        errno = EXDEV;
        bool found = model_boundary(value, &boundary);
        cr_expect_eq(errno, EXDEV);
        cr_expect_eq(found, cases[i].boundary != NULL, "%s", value);
        if (found && cases[i].boundary)
            cr_expect(boundary.length == strlen(cases[i].boundary) &&
                          memcmp(boundary.text, cases[i].boundary, boundary.length) == 0,
                      "%s", value);
        free(value);
    }
}
