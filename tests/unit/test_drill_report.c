/*
 * The three forms of a drill's report.
 */
#include "tests/unit/drill_sample.h"

#include <stdlib.h>

#include "shim/command/json.h"
#include "shim/command/mock_json.h"

static struct settings *settings;
static struct drill_record *record;
static struct drill_figures *figures;
static struct drill_expectations expectations;
static struct drill_report report;
static char *text;
static size_t length;

static void take(const char *yaml, const char *lines, const struct drill_facts *facts) {
    settings = sample_settings(yaml);
    record = sample_read(settings, lines);
    figures = drill_figures_new(record, facts);
    cr_assert_not_null(figures);
    report = (struct drill_report){record, figures, facts, &expectations};
}

static FILE *open_text(void) {
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    return out;
}

static void tear_down(void) {
    free(text);
    drill_expect_free(&expectations);
    drill_figures_free(figures);
    drill_record_free(record);
    settings_free(settings);
}

TestSuite(drill_report, .fini = tear_down);

static void print_text(unsigned columns) {
    FILE *out = open_text();
    drill_print_text(&report, false, columns, out);
    fclose(out);
}

static void expect_part(const char *part) {
    cr_expect_not_null(strstr(text, part), "no '%s' in: %s", part, text);
}

Test(drill_report, text) {
    char message[200];
    take(sample_yaml, sample_record, &sample_facts);
    cr_assert(drill_expect_parse("answered >= 50%, program_429 = 0", settings, &sample_facts,
                                 &expectations, message, sizeof message));
    drill_expect_check(&expectations, record, figures, &sample_facts);
    print_text(49);
    cr_expect_str_eq(
        text,
        "spillway drill: batch.sh ended with status 3 after 10.0 s (seed 9)\n"
        "\n"
        "         0 s                 5 s\n"
        "program  ....o   ....o   x               ....!\n"
        "1 ptu    ..o     x--------------------   ..!\n"
        "  fault      =========================\n"
        "2 other          ..o     !----\n"
        "  fault  ========================================\n"
        "o answered  x rejected  ! failed  % both  ? unfinished  . running  - cooldown  = fault\n"
        "\n"
        "What the program saw (1 process)\n"
        "  4 transfers, 2 answered (50%), 2 not: 429 x 1, error x 1\n"
        "  time each took: p50 1.00 s, p99 1.00 s, longest 1.00 s\n"
        "  1 retry of its own\n"
        "\n"
        "What it took\n"
        "  5 attempts, 2.5 per answer, 3 wasted, 2 met by a fault\n"
        "  TIER BACKEND ATTEMPTS ANSWERS   429   5XX FAILED FAULTS COOLDOWNS  COOLING\n"
        "     1 ptu            3       1     1     0      1      1         1   5.00 s\n"
        "     2 other          2       1     0     0      1      1         1   1.00 s\n"
        "\n"
        "Outages\n"
        "  ptu: 429 retry-after=5 for 6s after 1s\n"
        "    first answer 2.00 s after it began; no answer from that backend after it ended\n"
        "\n"
        "What was expected\n"
        "  met      answered >= 50%  is 50%\n"
        "  NOT MET  program_429 = 0  is 1\n");
}

Test(drill_report, text_of_nothing) {
    static const struct drill_facts facts = {.program = "true", .signal = 9, .exit_status = 137};
    take(sample_yaml, "", &facts);
    print_text(80);
    expect_part("true was ended by signal 9 after 10.0 s");
    expect_part("no transfer to an endpoint of the settings");
    expect_part("0 attempts, none per answer, 0 wasted");
    cr_expect_null(strstr(text, "Outages"));
    cr_expect_null(strstr(text, "expected"));
}

/* Whatever the terminal says of its width. */
Test(drill_report, widths) {
    take(sample_yaml, sample_record, &sample_facts);
    for (unsigned columns = 0; columns < 400; columns += 7) {
        print_text(columns);
        expect_part("program ");
    }
}

Test(drill_report, colours_add_nothing_else) {
    take(sample_yaml, sample_record, &sample_facts);
    print_text(80);
    char *plain = text;
    text = NULL;
    FILE *out = open_text();
    drill_print_text(&report, true, 80, out);
    fclose(out);
    char *to = text;
    cr_expect_not_null(strstr(text, "\33[33mx\33[0m"));
    for (const char *from = text; *from;)
        if (*from == '\33')
            from += strcspn(from, "m") + 1;
        else
            *to++ = *from++;
    *to = '\0';
    cr_expect_str_eq(text, plain);
    free(plain);
}

static void print_json(void) {
    FILE *out = open_text();
    drill_print_json(&report, out);
    fclose(out);
    cr_expect(mock_json_object(text, length), "%s", text);
}

Test(drill_report, json) {
    take(sample_yaml, sample_record, &sample_facts);
    print_json();
    expect_part("\"seconds\": 10.000000,");
    expect_part("\"program\": \"batch.sh\"");
    expect_part("\"signal\": null");
    expect_part("\"answered\": 0.500000");
    expect_part("\"exit_status\": 3");
    expect_part("\"first_answer_after_end\": null");
    expect_part("\"program_429\": 1");
    expect_part("\"program_statuses\": {\"200\": 2, \"429\": 1}");
    expect_part("\"begin\": 1.000000, \"end\": 7.000000");
    expect_part("\"begin\": 0.000000, \"end\": null");
    expect_part("\"error\": \"cut\", \"curl\": 18");
}

Test(drill_report, json_of_nothing) {
    static const struct drill_facts facts = {.program = "true"};
    take(sample_yaml, "", &facts);
    print_json();
    expect_part("\"answered\": null");
    expect_part("\"p99\": null");
    expect_part("\"attempt_list\": []");
}

/* Names, paths, errors and faults, all with what means something. */
static const char odd_record[] =
    "time=2026-01-31T12:00:01.000Z level=info pid=7 event=intercepted endpoint=<l> "
    "path=\"/<b>\\\"\\\\\xff\xc3\xa9\" transfer=<i>\n"
    "time=2026-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=<l> "
    "backend=\"<script>\\\"x'&\" attempt=1 error=<u> fault=<s> ms=900.000 transfer=<i>\n"
    "time=2026-01-31T12:00:02.000Z level=warn pid=7 event=cooldown endpoint=<l> "
    "backend=\"<script>\\\"x'&\" reason=<em> seconds=5.000\n";
static const struct drill_fault odd_faults[] = {{"<a>: 429", NULL, NULL, 0, INFINITY, true}};
static const struct drill_facts odd_facts = {
    .program = "<p onclick='x'>", .faults = odd_faults, .fault_count = 1};

Test(drill_report, nothing_of_the_record_is_markup) {
    static const char *const forms[] = {"<b>", "<i>",        "<u>",  "<s>",     "<em>",
                                        "<l>", "<a>",        "<p o", "<script", "\xff",
                                        "'x'", "onclick=\"", "'&\""};
    take(sample_yaml, odd_record, &odd_facts);
    FILE *out = open_text();
    drill_print_html(&report, out);
    fclose(out);
    const char *style = strstr(text, "</style>"), *body = style ? strstr(style, "<header>") : NULL;
    cr_assert_not_null(body);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        bool own = strcmp(forms[i], "<b>") == 0 || strcmp(forms[i], "<i>") == 0;
        if (!own)
            cr_expect_null(strstr(body, forms[i]), "%s", forms[i]);
    }
    expect_part("&lt;script&gt;&quot;x&#39;&amp;");
    expect_part("/&lt;b&gt;&quot;\\&#xfffd;\xc3\xa9");
    expect_part("<title>Fault drill: &lt;p onclick=&#39;x&#39;&gt;</title>");
    print_json();
}

/* A record whose bytes were changed at random is still one that can be shown. */
Test(drill_report, whatever_the_record_says) {
    static const char bytes[] = "\n \"=\\<&09.:-_axZ\xff\x01";
    unsigned short state[3] = {7, 8, 9};
    for (int round = 0; round < 300; round++) {
        char lines[sizeof sample_record];
        memcpy(lines, sample_record, sizeof lines);
        for (int i = 0; i < 1 + round / 10; i++)
            lines[(size_t)nrand48(state) % (sizeof lines - 1)] =
                bytes[(size_t)nrand48(state) % (sizeof bytes - 1)];
        take(sample_yaml, lines, &sample_facts);
        print_json();
        print_text(80);
        FILE *out = open_text();
        drill_print_html(&report, out);
        fclose(out);
        cr_assert_null(memchr(text, 0xff, length));
        cr_assert_null(memchr(text, 1, length));
        drill_figures_free(figures);
        drill_record_free(record);
        settings_free(settings);
        figures = NULL;
        record = NULL;
        settings = NULL;
    }
}

Test(drill_report, the_page_needs_nothing_else) {
    take(sample_yaml, sample_record, &sample_facts);
    FILE *out = open_text();
    drill_print_html(&report, out);
    fclose(out);
    static const char *const absent[] = {
        "<script", "http://", "https://", "src=", "@import", "<link", " onload", "<iframe"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        cr_expect_null(strstr(text, absent[i]), "%s", absent[i]);
    expect_part("prefers-color-scheme:dark");
    expect_part("name=\"viewport\"");
    expect_part("class=\"failed\" x=\"41.000%\"");
    expect_part("200, then cut");
}

/* However much happens, the picture is bounded, and the table says what it leaves out. */
Test(drill_report, a_page_of_many_attempts) {
    enum { COUNT = 5000 };
    char *lines = calloc(COUNT, 200);
    size_t used = 0;
    cr_assert_not_null(lines);
    for (int i = 0; i < COUNT; i++)
        used += (size_t)snprintf(lines + used, 200,
                                 "time=2026-01-31T12:00:%06.3fZ level=info pid=7 event=attempt "
                                 "endpoint=llm backend=ptu attempt=1 status=200 ms=1.000\n",
                                 i / 1000.0);
    take(sample_yaml, lines, &sample_facts);
    free(lines);
    FILE *out = open_text();
    drill_print_picture(&report, out);
    fclose(out);
    cr_expect_lt(length, 100000);
    expect_part("20 answered, ");
    out = open_text();
    drill_print_html(&report, out);
    fclose(out);
    expect_part("These are the first 2000 of 5000");
}

Test(drill_words, steps) {
    static const struct {
        double length;
        unsigned most;
        double want;
    } cases[] = {{10, 5, 2},      {10, 10, 1},   {60, 6, 10}, {61, 6, 20},    {0.5, 5, 0.1},
                 {3600, 6, 1000}, {0, 6, 0.001}, {1, 0, 1},   {0.07, 7, 0.01}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        sample_near(drill_step(cases[i].length, cases[i].most), cases[i].want);
}

Test(drill_words, times) {
    static const struct {
        double seconds;
        const char *want;
    } cases[] = {{-1, "-"},          {0, "0 s"},         {0.0012, "1.2 ms"}, {0.0123, "12 ms"},
                 {0.9994, "999 ms"}, {0.9996, "1.00 s"}, {1.234, "1.23 s"},  {9.996, "10.0 s"},
                 {61.26, "61.3 s"},  {99.96, "100 s"},   {3600, "3600 s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        drill_write_time(cases[i].seconds, out, sizeof out);
        cr_expect_str_eq(out, cases[i].want);
    }
}

Test(json, texts) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a\"b\\c\n\t", "\"a\\\"b\\\\c\\u000a\\u0009\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\x80|\xc0\xaf|\xc3|\xe0\x80\x80|",
         "\"\\ufffd|\\ufffd\\ufffd|\\ufffd|\\ufffd\\ufffd\\ufffd|\""},
        {"\xed\xa0\x80|\xf4\x90\x80\x80|\xf8",
         "\"\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\""},
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *written = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&written, &size);
        json_put_text(cases[i].text, out);
        fclose(out);
        cr_expect_str_eq(written, cases[i].want);
        free(written);
    }
}
