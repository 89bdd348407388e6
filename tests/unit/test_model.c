/*
 * The model in a JSON body: what is found, what is no JSON, and that an edit changes the name
 * alone.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/model.h"

#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define TEXT(literal) (literal), sizeof(literal) - 1
#define MEGABYTE      ((size_t)1 << 20)
#define DEPTH_LIMIT   512

TestSuite(model, .timeout = 60);

/* In memory of its own, so that ASan sees what is read beyond it. */
static bool find(const char *body, size_t length, struct model_places *places) {
    char *copy = malloc(length ? length : 1);
    cr_assert_not_null(copy);
    memcpy(copy, body, length);
    memset(places, 'x', sizeof *places);
    errno = EXDEV;
    bool found = model_find_json(copy, length, places);
    cr_expect_eq(errno, EXDEV);
    free(copy);
    return found;
}

static bool is_json(const char *body, size_t length) {
    struct model_places places;
    return find(body, length, &places);
}

static void expect_edit(const char *body, const char *const *names, const char *expected) {
    struct model_places places;
    size_t length = 0;
    cr_assert(find(body, strlen(body), &places), "%s", body);
    errno = EXDEV;
    char *edited = model_edit(body, strlen(body), &places, names, &length);
    cr_expect_eq(errno, EXDEV);
    cr_assert_not_null(edited, "%s", body);
    cr_expect(length == strlen(expected) && memcmp(edited, expected, length) == 0,
              "'%.*s' is not '%s'", (int)length, edited, expected);
    free(edited);
}

/* BODY has a "model" that is found nowhere else than at VALUE and stands for NAME (NULL: none). */
static void expect_one(const char *body, const char *value, const char *name) {
    struct model_places places;
    const char *none[] = {NULL};
    cr_assert(find(body, strlen(body), &places), "%s", body);
    cr_assert_eq(places.count, 1, "%s: %u", body, places.count);
    const struct model_place *place = &places.at[0];
    cr_expect(place->length == strlen(value) &&
                  memcmp(body + place->offset, value, place->length) == 0,
              "%s: '%.*s'", body, (int)place->length, body + place->offset);
    cr_expect_eq(place->named, name != NULL, "%s", body);
    cr_expect_str_eq(place->name, name ? name : "", "%s", body);
    const char *said = model_said(&places);
    cr_expect(name ? said == place->name : !said, "%s", body);
    cr_expect_not(places.lonely);
    expect_edit(body, none, body);
}

Test(model, finds_the_value) {
    static const struct {
        const char *body, *value, *name;
    } cases[] = {
        {"{\"model\":\"gpt-4\"}", "\"gpt-4\"", "gpt-4"},
        {" \t\r\n{ \t\r\n\"model\" \t\r\n: \t\r\n\"m\" \t\r\n} \t\r\n", "\"m\"", "m"},
        {"{\"a\":1,\"model\":\"m\",\"b\":[]}", "\"m\"", "m"},
        {"{\"mod\\u0065l\":\"m\"}", "\"m\"", "m"},
        {"{\"\\u006d\\u006F\\u0064\\u0065\\u006C\":\"m\"}", "\"m\"", "m"},
        {"{\"messages\":[{\"model\":\"x\"}],\"model\":\"m\"}", "\"m\"", "m"},
        {"{\"model\":\"m\",\"metadata\":{\"model\":\"x\",\"a\":{\"model\":\"y\"}}}", "\"m\"", "m"},
        {"{\"a\":[\"model\",[{\"model\":\"x\"}]],\"model\":\"m\"}", "\"m\"", "m"},
        {"{\"a\":\"\\\"model\\\":\\\"x\\\"\",\"model\":\"m\"}", "\"m\"", "m"},
        {"{\"a\":\"\\\\\",\"model\":\"m\",\"b\":\"model\"}", "\"m\"", "m"},
        {"{\"Model\":\"x\",\"models\":\"x\",\"mode\":\"x\",\"\":\"x\",\"model\":\"m\"}", "\"m\"",
         "m"},
        {"{\"model\\u0000\":\"x\",\"model \":\"x\",\"model\":\"m\"}", "\"m\"", "m"},
        {"{\"model\":\"a\\/b\\\\c\\\"d\"}", "\"a\\/b\\\\c\\\"d\"", "a/b\\c\"d"},
        {"{\"model\":\"\\b\\f\\n\\r\\t\"}", "\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
        {"{\"model\":\"\\u0041\\u00e9\\u20AC\"}", "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9€"},
        {"{\"model\":\"\\u0001\\u007f\\u0080\\u07ff\\u0800\\uffff\"}",
         "\"\\u0001\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
         "\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"{\"model\":\"\\ud83d\\uDE00\"}", "\"\\ud83d\\uDE00\"", "😀"},
        {"{\"model\":\"\\uD800\\uDC00\\udbff\\udfff\"}", "\"\\uD800\\uDC00\\udbff\\udfff\"",
         "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"{\"model\":\"modèle 😀\"}", "\"modèle 😀\"", "modèle 😀"},
        {"{\"model\":\"\x7f\xff\x80\"}", "\"\x7f\xff\x80\"", "\x7f\xff\x80"},
        {"{\"model\":\" m \"}", "\" m \"", " m "},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_one(cases[i].body, cases[i].value, cases[i].name);
}

Test(model, finds_values_that_are_no_names) {
    static const char *const values[] = {
        "\"\"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"a\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\udfff\"",
        "\"\\ud800\\ue000\"",
        "\"\\udbff\\udbff\"",
        "\"\\ud800\\ndc00\"",
        "\"\\ud800xudc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\\\udc00\"",
        "null",
        "true",
        "false",
        "-0.5e+7",
        "12",
        "{}",
        "[ ]",
        "{\"model\" : \"m\"}",
        "[\"m\", {\"model\":[]}]",
    };
    static const char *const forms[] = {"{\"model\":%s}", "{\"model\":%s ,\"a\":1}",
                                        "{\"a\":{},\"model\": %s}"};
    for (size_t i = 0; i < COUNT(values); i++) {
        for (size_t k = 0; k < COUNT(forms); k++) {
            char body[128], expected[128];
            const char *names[] = {"new"};
            const char *value = strstr(forms[k], "%s");
            int before = (int)(value - forms[k]);
            snprintf(body, sizeof body, "%.*s%s%s", before, forms[k], values[i], value + 2);
            snprintf(expected, sizeof expected, "%.*s\"new\"%s", before, forms[k], value + 2);
            expect_one(body, values[i], NULL);
            expect_edit(body, names, expected);
        }
    }
}

Test(model, names_have_a_longest_length) {
    for (size_t length = MODEL_NAME_MAX - 3; length <= MODEL_NAME_MAX + 3; length++) {
        char name[MODEL_NAME_MAX + 8] = "", body[sizeof name + 32];
        memset(name, 'n', length);
        snprintf(body, sizeof body, "{\"model\":\"%s\"}", name);
        struct model_places places;
        cr_assert(find(body, strlen(body), &places));
        cr_expect_eq(places.count, 1);
        cr_expect_eq(places.at[0].named, length <= MODEL_NAME_MAX, "%zu", length);
        cr_expect_str_eq(places.at[0].name, length <= MODEL_NAME_MAX ? name : "");
        /* What is written with more bytes than it has, and with a last one that no longer fits. */
        snprintf(body, sizeof body, "{\"model\":\"%s\\u00e9\"}", name);
        cr_assert(find(body, strlen(body), &places));
        cr_expect_eq(places.at[0].named, length + 2 <= MODEL_NAME_MAX, "%zu", length);
    }
}

Test(model, finds_none) {
    static const struct {
        const char *body;
        bool lonely;
        const char *edited;
    } cases[] = {
        {"{}", true, "{\"model\":\"m\"}"},
        {" { } ", true, " {\"model\":\"m\" } "},
        {"{\"a\":1}", false, "{\"model\":\"m\",\"a\":1}"},
        {"\n{ \"a\" : { } }\n", false, "\n{\"model\":\"m\", \"a\" : { } }\n"},
        {"{\"a\":{\"model\":\"x\"}}", false, "{\"model\":\"m\",\"a\":{\"model\":\"x\"}}"},
        {"{\"a\":[{\"model\":\"x\"}]}", false, "{\"model\":\"m\",\"a\":[{\"model\":\"x\"}]}"},
        {"{\"a\":[{},[\"model\"],{}]}", false, "{\"model\":\"m\",\"a\":[{},[\"model\"],{}]}"},
        {"{\"\\\"model\":\"x\"}", false, "{\"model\":\"m\",\"\\\"model\":\"x\"}"},
        {"{\"mod\\u00e9l\":\"x\"}", false, "{\"model\":\"m\",\"mod\\u00e9l\":\"x\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct model_places places;
        const char *none[] = {NULL}, *names[] = {"m"};
        cr_assert(find(cases[i].body, strlen(cases[i].body), &places), "%s", cases[i].body);
        cr_expect_eq(places.count, 0, "%s", cases[i].body);
        cr_expect_null(model_said(&places));
        cr_expect_eq(places.lonely, cases[i].lonely, "%s", cases[i].body);
        expect_edit(cases[i].body, none, cases[i].body);
        expect_edit(cases[i].body, names, cases[i].edited);
        expect_one(cases[i].edited, "\"m\"", "m");
    }
}

Test(model, finds_every_member_of_that_name) {
    static const char body[] = "{\"model\":\"a\",\"x\":{\"model\":0},\"mod\\u0065l\": 1 ,\"model\":"
                               "\"c\"}";
    static const char *const edits[][3] = {
        {"A", "B", "C"}, {"A", NULL, NULL}, {NULL, "B", NULL}, {NULL, NULL, "C"}};
    static const char *const expected[] = {
        "{\"model\":\"A\",\"x\":{\"model\":0},\"mod\\u0065l\": \"B\" ,\"model\":\"C\"}",
        "{\"model\":\"A\",\"x\":{\"model\":0},\"mod\\u0065l\": 1 ,\"model\":\"c\"}",
        "{\"model\":\"a\",\"x\":{\"model\":0},\"mod\\u0065l\": \"B\" ,\"model\":\"c\"}",
        "{\"model\":\"a\",\"x\":{\"model\":0},\"mod\\u0065l\": 1 ,\"model\":\"C\"}"};
    struct model_places places;
    cr_assert(find(TEXT(body), &places));
    cr_assert_eq(places.count, 3);
    cr_expect_str_eq(places.at[0].name, "a");
    cr_expect_not(places.at[1].named);
    cr_expect_str_eq(model_said(&places), "c");
    for (size_t i = 0; i < COUNT(edits); i++)
        expect_edit(body, edits[i], expected[i]);
    cr_assert(find(TEXT("{\"model\":\"a\",\"model\":null}"), &places));
    cr_expect_null(model_said(&places));
}

Test(model, finds_at_most_eight) {
    for (unsigned count = 1; count <= MODEL_PLACES_MAX + 1; count++) {
        char body[256] = "{";
        for (unsigned i = 0; i < count; i++)
            strncat(body, i ? ",\"model\":\"m\"" : "\"model\":\"m\"",
                    sizeof body - strlen(body) - 1);
        strncat(body, "}", sizeof body - strlen(body) - 1);
        struct model_places places;
        cr_expect_eq(find(body, strlen(body), &places), count <= MODEL_PLACES_MAX, "%u", count);
        cr_expect(count > MODEL_PLACES_MAX || places.count == count);
    }
}

Test(model, takes_json) {
    static const char *const bodies[] = {
        "{\"a\":0}",
        "{\"a\":-0}",
        "{\"a\":10}",
        "{\"a\":-10.25}",
        "{\"a\":0.0}",
        "{\"a\":1e5}",
        "{\"a\":1E+05}",
        "{\"a\":0.5e-00}",
        "{\"a\":123456789012345678901234567890e999999}",
        "{\"a\":[],\"b\":{},\"c\":[[],{},[{}]]}",
        "{\"a\":[1,2 , 3]}",
        "{\"a\":true,\"b\":false,\"c\":null}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\\ud800\"}",
        "{\"a\":\"\x7f\x80\xff\"}",
        "{\"a\":1,\"a\":2}",
        "{\"\":\"\"}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++)
        cr_expect(is_json(bodies[i], strlen(bodies[i])), "%s", bodies[i]);
}

Test(model, refuses_what_is_no_object) {
    static const char *const bodies[] = {
        "", " ", "[]", "[{\"model\":\"m\"}]", "\"model\"", "1", "null", "model=gpt-4", "{", "}",
        /* around it */
        "{}x", "{}{}", "{} {}", "{},", "{}]", "{}}", "x{}", ",{}", "\xef\xbb\xbf{}", "{}\f", "\v{}",
        "{}//", "/**/{}", "\xc2\xa0{}",
        /* members */
        "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}",
        "{\"a\":1 \"b\":2}", "{\"a\":1;\"b\":2}", "{\"a\" 1}", "{\"a\"=1}", "{\"a\"::1}", "{a:1}",
        "{'a':1}", "{1:1}", "{null:1}", "{[]:1}", "{\"a\":1]", "{\"a\":'x'}", "{\"a\":1:2}",
        /* elements */
        "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1,,2]}", "{\"a\":[1 2]}", "{\"a\":[1}}",
        "{\"a\":[1:2]}", "{\"a\":[\"b\":1]}", "{\"a\":[}", "{\"a\":[[]}", "{\"a\":[]]}",
        /* words */
        "{\"a\":True}", "{\"a\":nul}", "{\"a\":nulll}", "{\"a\":truefalse}", "{\"a\":NaN}",
        "{\"a\":Infinity}", "{\"a\":-Infinity}", "{\"a\":undefined}", "{\"a\":x}", "{\"a\":tru}",
        /* numbers */
        "{\"a\":01}", "{\"a\":-01}", "{\"a\":00}", "{\"a\":+1}", "{\"a\":-}", "{\"a\":--1}",
        "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1.e5}", "{\"a\":-.5}", "{\"a\":1e}", "{\"a\":1e+}",
        "{\"a\":1e5.5}", "{\"a\":1e+-5}", "{\"a\":0x10}", "{\"a\":1_000}", "{\"a\":1a}",
        "{\"a\":1.2.3}", "{\"a\":e5}", "{\"a\":- 1}",
        /* strings */
        "{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"12345678\r12345678\"}",
        "{\"a\nb\":1}", "{\"a\":\"\\x41\"}", "{\"a\":\"\\'\"}", "{\"a\":\"\\0\"}",
        "{\"a\":\"\\\n\"}", "{\"a\":\"\\U0041\"}", "{\"a\":\"\\u\"}", "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u123\"}", "{\"a\":\"\\u123g\"}", "{\"a\":\"\\u 123\"}", "{\"a\":\"\\u-123\"}",
        "{\"a\":\"\\u0x12\"}", "{\"a\":\"\\\"}", "{\"a\":\"b}", "{\"a\":\"b\\", "{\"a\":\"b\\u",
        "{\"a\":\"b\\u123", "{\"a\":\"b\"\"c\"}", "{\"model\":\"\\ud800\\u\"}",
        "{\"model\":\"\\ud800\\udc0\"}"};
    for (size_t i = 0; i < COUNT(bodies); i++)
        cr_expect_not(is_json(bodies[i], strlen(bodies[i])), "%s", bodies[i]);
    cr_expect_not(is_json(TEXT("{}\0")));
    cr_expect_not(is_json(TEXT("\0{}")));
    cr_expect_not(is_json(TEXT("{\"a\":\"\0\"}")));
    cr_expect_not(is_json(TEXT("{\"a\":\"1234567\0\"}")));
    cr_expect_not(is_json(TEXT("{\"a\":\"\\\0\"}")));
    cr_expect_not(is_json(TEXT("{\"a\":\0}")));
    struct model_places places;
    cr_expect_not(model_find_json(NULL, 0, &places));
}

/* Each byte decides, wherever in a word of memory it stands. */
Test(model, sees_every_byte_of_a_string) {
    for (size_t at = 0; at < 40; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char body[64] = "{\"a\":\"0123456789012345678901234567890123456789\"}";
            size_t length = strlen(body);
            body[6 + at] = (char)byte;
            /* A quote ends it too early; behind the backslash stands a digit, or the quote. */
            bool valid = byte >= ' ' && byte != '"' && byte != '\\';
            cr_expect_eq(is_json(body, length), valid, "%zu, %d", at, byte);
        }
    }
}

static const char sample[] =
    "{\"model\" : \"gpt-4\\u00e9\\n\", \"temperature\": -1.50e+03, \"n\":1E5,\r\n\t\"x\":[0.10, "
    "[], "
    "true ,{\"model\":null}],\"stream\":false, \"user\" : \"\\ud83d\\ude00 a\\/b\" } ";

Test(model, refuses_what_is_cut) {
    size_t length = sizeof sample - 1;
    cr_assert(is_json(sample, length));
    cr_assert(is_json(sample, length - 1));
    for (size_t cut = 0; cut < length - 1; cut++)
        cr_expect_not(is_json(sample, cut), "%zu", cut);
}

Test(model, leaves_the_rest_as_it_is) {
    static const char edited[] = "{\"model\" : \"m\", \"temperature\": -1.50e+03, \"n\":1E5,\r\n\t"
                                 "\"x\":[0.10, [], true ,{\"model\":null}],\"stream\":false, "
                                 "\"user\" : \"\\ud83d\\ude00 a\\/b\" } ";
    const char *names[] = {"m"};
    expect_edit(sample, names, edited);
}

Test(model, escapes_the_name) {
    const char *names[] = {"\"\\/\x01\n\x1f\x7f é😀\xff"};
    expect_edit("{\"model\":0}", names,
                "{\"model\":\"\\\"\\\\/\\u0001\\u000a\\u001f\x7f é😀\xff\"}");
    expect_edit("{}", names, "{\"model\":\"\\\"\\\\/\\u0001\\u000a\\u001f\x7f é😀\xff\"}");
    expect_one("{\"model\":\"\\\"\\\\/\\u0001\\u000a\\u001f\x7f é😀\xff\"}",
               "\"\\\"\\\\/\\u0001\\u000a\\u001f\x7f é😀\xff\"", names[0]);
    const char *empty[] = {""};
    expect_edit("{\"model\":\"m\"}", empty, "{\"model\":\"\"}");
}

/* OPEN and CLOSE, so often that DEPTH containers are open; returns whether that is JSON. */
static bool nests(unsigned depth, const char *open, const char *inner, const char *close) {
    size_t size = depth * (strlen(open) + strlen(close)) + 64;
    char *body = malloc(size);
    cr_assert_not_null(body);
    FILE *stream = fmemopen(body, size, "w");
    fputs("{\"a\":", stream);
    for (unsigned i = 1; i < depth; i++)
        fputs(open, stream);
    fputs(inner, stream);
    for (unsigned i = 1; i < depth; i++)
        fputs(close, stream);
    fputs(",\"model\":\"m\"}", stream);
    size_t length = (size_t)ftell(stream);
    fclose(stream);
    struct model_places places;
    bool found = find(body, length, &places);
    cr_expect(!found || (places.count == 1 && places.at[0].named));
    free(body);
    return found;
}

Test(model, bounds_the_depth) {
    cr_expect(nests(DEPTH_LIMIT, "[", "1", "]"));
    cr_expect(nests(DEPTH_LIMIT, "{\"model\":", "1", "}"));
    /* With brothers, one or two levels deeper than what is nested. */
    cr_expect(nests(DEPTH_LIMIT - 1, "[{},[],", "1", "]"));
    cr_expect_not(nests(DEPTH_LIMIT, "[{},[],", "1", "]"));
    cr_expect(nests(DEPTH_LIMIT - 2, "[{\"model\":[1]},", "1", "]"));
    cr_expect_not(nests(DEPTH_LIMIT - 1, "[{\"model\":[1]},", "1", "]"));
    cr_expect_not(nests(DEPTH_LIMIT + 1, "[", "1", "]"));
    cr_expect_not(nests(DEPTH_LIMIT + 1, "{\"model\":", "1", "}"));
    cr_expect_not(nests(2000000, "[", "1", "]"));
}

Test(model, stands_behind_a_megabyte) {
    static const char message[] =
        "{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"x\\\" and\\n\","
        "\"model\":\"x\"},";
    static const char tail[] = "null],\"model\":\"m\"}";
    size_t size = MEGABYTE + 4096, used = 0, length = 0;
    char *body = malloc(size);
    cr_assert_not_null(body);
    used += (size_t)snprintf(body, size, "{\"messages\":[");
    while (used < MEGABYTE)
        used += (size_t)snprintf(body + used, size - used, "%s", message);
    used += (size_t)snprintf(body + used, size - used, "%s", tail);
    struct model_places places;
    const char *names[] = {"another"};
    cr_assert(find(body, used, &places));
    cr_assert_eq(places.count, 1);
    cr_expect_eq(places.at[0].offset, used - strlen("\"m\"}"));
    char *edited = model_edit(body, used, &places, names, &length);
    cr_assert_not_null(edited);
    cr_expect_eq(length, used + strlen("another") - strlen("m"));
    cr_expect_eq(memcmp(edited, body, places.at[0].offset), 0);
    cr_expect_eq(memcmp(edited + places.at[0].offset, TEXT("\"another\"}")), 0);
    free(edited);
    free(body);
}

Test(model, edit_refuses_lengths_beyond_memory) {
    struct model_places places = {.form = MODEL_JSON, .insert_at = 1};
    const char *names[] = {"m"};
    size_t length = 0;
    errno = EXDEV;
    cr_expect_null(model_edit("{}", SIZE_MAX - 3, &places, names, &length));
#ifndef __SANITIZE_ADDRESS__ /* which ends the program for that */
    cr_expect_null(model_edit("{}", SIZE_MAX / 2 + 1, &places, names, &length));
#endif
    cr_expect_eq(errno, EXDEV);
}
