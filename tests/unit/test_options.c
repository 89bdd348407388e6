/*
 * What is noted of a handle's options, and that nothing else is.
 */
#include <criterion/criterion.h>

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/options.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void record(struct options *options, CURLoption option, void *value) {
    options_record(options, option, options_note(option), value);
}

static void set_long(struct options *options, CURLoption option, long value) {
    record(options, option, (void *)(intptr_t)value);
}

#define FIELD(option, field)                                                                       \
    { CURLOPT_##option, offsetof(struct options, field) }

struct noted {
    CURLoption option;
    size_t where;
};

static const struct noted longs[] = {
    FIELD(TIMEOUT_MS, timeout_ms),
    FIELD(CONNECTTIMEOUT_MS, connect_timeout_ms),
    FIELD(PORT, port),
    FIELD(HTTPAUTH, http_auth),
    FIELD(HTTP_VERSION, http_version),
    FIELD(FOLLOWLOCATION, follow_location),
    FIELD(HEADER, include_headers),
    FIELD(HTTP09_ALLOWED, http09_allowed),
    FIELD(FRESH_CONNECT, fresh_connect),
    FIELD(FORBID_REUSE, forbid_reuse),
    FIELD(HTTPPROXYTUNNEL, http_proxy_tunnel),
    FIELD(TCP_FASTOPEN, tcp_fastopen),
    FIELD(KEEP_SENDING_ON_ERROR, keep_sending_on_error),
    FIELD(NOPROGRESS, no_progress),
    FIELD(VERBOSE, verbose),
};

static const struct noted pointers[] = {
    FIELD(HTTPHEADER, headers),
    FIELD(ACCEPT_ENCODING, accept_encoding),
    FIELD(WRITEFUNCTION, write_function),
    FIELD(WRITEDATA, write_data),
    FIELD(HEADERFUNCTION, header_function),
    FIELD(HEADERDATA, header_data),
    FIELD(READFUNCTION, read_function),
    FIELD(READDATA, read_data),
    FIELD(SEEKFUNCTION, seek_function),
    FIELD(SEEKDATA, seek_data),
    FIELD(IOCTLFUNCTION, ioctl_function),
    FIELD(IOCTLDATA, ioctl_data),
    FIELD(XFERINFOFUNCTION, xferinfo_function),
    FIELD(PROGRESSFUNCTION, progress_function),
    FIELD(XFERINFODATA, progress_data),
    FIELD(PROGRESSDATA, progress_data),
    FIELD(OPENSOCKETFUNCTION, open_function),
    FIELD(OPENSOCKETDATA, open_data),
    FIELD(CLOSESOCKETFUNCTION, close_function),
    FIELD(CLOSESOCKETDATA, close_data),
    FIELD(SOCKOPTFUNCTION, sockopt_function),
    FIELD(SOCKOPTDATA, sockopt_data),
    FIELD(PREREQFUNCTION, prereq_function),
    FIELD(PREREQDATA, prereq_data),
    FIELD(DEBUGFUNCTION, debug_function),
    FIELD(DEBUGDATA, debug_data),
    FIELD(STDERR, stderr_file),
    FIELD(LOW_SPEED_LIMIT, low_speed_limit),
    FIELD(LOW_SPEED_TIME, low_speed_time),
    FIELD(INFILESIZE, in_size),
    FIELD(INFILESIZE_LARGE, in_size),
    FIELD(IPRESOLVE, ip_resolve),
};

static const struct noted texts[] = {
    FIELD(URL, url.text),          FIELD(PROXY, proxy),
    FIELD(PRE_PROXY, pre_proxy),   FIELD(PROTOCOLS_STR, protocols_text),
    FIELD(NETRC_FILE, netrc_file),
};

static const struct {
    CURLoption option;
    unsigned unfit, auth;
} bits[] = {
    {CURLOPT_CONNECT_ONLY, UNFIT_CONNECT_ONLY, 0},
    {CURLOPT_CONNECT_TO, UNFIT_CONNECT_TO, 0},
    {CURLOPT_UNIX_SOCKET_PATH, UNFIT_UNIX_SOCKET, 0},
    {CURLOPT_ABSTRACT_UNIX_SOCKET, UNFIT_ABSTRACT_SOCKET, 0},
    {CURLOPT_PINNEDPUBLICKEY, UNFIT_PINNED_KEY, 0},
    {CURLOPT_AWS_SIGV4, UNFIT_SIGV4, 0},
    {CURLOPT_REQUEST_TARGET, UNFIT_REQUEST_TARGET, 0},
    {CURLOPT_USERPWD, 0, AUTH_USERPWD},
    {CURLOPT_USERNAME, 0, AUTH_USERNAME},
    {CURLOPT_PASSWORD, 0, AUTH_PASSWORD},
    {CURLOPT_XOAUTH2_BEARER, 0, AUTH_BEARER},
};

static const CURLoption by_rule[] = {
    CURLOPT_TIMEOUT,
    CURLOPT_CONNECTTIMEOUT,
    CURLOPT_PROTOCOLS,
    CURLOPT_HTTPGET,
    CURLOPT_NOBODY,
    CURLOPT_POST,
    CURLOPT_UPLOAD,
    CURLOPT_PUT,
    CURLOPT_HTTPPOST,
    CURLOPT_MIMEPOST,
    CURLOPT_POSTFIELDS,
    CURLOPT_COPYPOSTFIELDS,
    CURLOPT_DEFAULT_PROTOCOL,
    CURLOPT_CURLU,
    CURLOPT_NETRC,
    CURLOPT_POSTFIELDSIZE,
    CURLOPT_POSTFIELDSIZE_LARGE,
};

/* The bytes of OPTIONS must be those of BEFORE but for SIZE of them at WHERE. */
static void expect_same_but(const struct options *options, const struct options *before,
                            size_t where, size_t size, CURLoption option) {
    const char *a = (const char *)options, *b = (const char *)before;
    size_t after = where + size;
    cr_expect(memcmp(a, b, where) == 0 &&
                  memcmp(a + after, b + after, sizeof *options - after) == 0,
              "option %d changes what it should not", (int)option);
}

Test(options, longs_and_pointers_go_to_their_fields) {
    static const long values[] = {1, 0, -1, 4711, LONG_MAX};
    struct options options, before;
    options_init(&options);
    for (size_t v = 0; v < COUNT(values); v++)
        for (size_t i = 0; i < COUNT(longs) + COUNT(pointers); i++) {
            bool is_long = i < COUNT(longs);
            const struct noted *noted = is_long ? &longs[i] : &pointers[i - COUNT(longs)];
            memcpy(&before, &options, sizeof options);
            set_long(&options, noted->option, values[v]);
            cr_expect_eq(memcmp((char *)&options + noted->where, &values[v], sizeof values[v]), 0,
                         "option %d", (int)noted->option);
            expect_same_but(&options, &before, noted->where, sizeof(long), noted->option);
        }
    options_clear(&options);
}

Test(options, texts_are_copied) {
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < COUNT(texts); i++) {
        char **field = (char **)(void *)((char *)&options + texts[i].where), text[] = "http://a/b";
        record(&options, texts[i].option, text);
        memset(text, 'x', sizeof text - 1);
        cr_assert_str_eq(*field, "http://a/b");
        record(&options, texts[i].option, text);
        cr_assert_str_eq(*field, "xxxxxxxxxx");
        record(&options, texts[i].option, NULL);
        cr_assert_null(*field);
        record(&options, texts[i].option, text);
    }
    options_clear(&options);
}

Test(options, netrc_is_a_value_and_a_credential) {
    struct options options;
    options_init(&options);
    set_long(&options, CURLOPT_NETRC, CURL_NETRC_OPTIONAL);
    cr_expect_eq(options.netrc, CURL_NETRC_OPTIONAL);
    cr_expect_eq(options.auth, AUTH_NETRC);
    set_long(&options, CURLOPT_NETRC, CURL_NETRC_IGNORED);
    cr_expect_eq(options.netrc, CURL_NETRC_IGNORED);
    cr_expect_eq(options.auth, 0);
    options_clear(&options);
}

Test(options, bits_are_set_and_cleared) {
    struct options options, before;
    options_init(&options);
    for (size_t i = 0; i < COUNT(bits); i++)
        for (unsigned value = 0; value < 4; value++) { /* on, off, on, off */
            memcpy(&before, &options, sizeof options);
            set_long(&options, bits[i].option, value % 2 ? 0 : 0x100000000);
            cr_expect_eq(options.unfit, value % 2 ? 0 : bits[i].unfit, "%d", (int)bits[i].option);
            cr_expect_eq(options.auth, value % 2 ? 0 : bits[i].auth, "%d", (int)bits[i].option);
            options.unfit = before.unfit, options.auth = before.auth;
            expect_same_but(&options, &before, 0, 0, bits[i].option);
            options.unfit = value % 2 ? 0 : bits[i].unfit;
            options.auth = value % 2 ? 0 : bits[i].auth;
        }
    for (size_t i = 0; i < COUNT(bits); i++)
        set_long(&options, bits[i].option, 1);
    set_long(&options, CURLOPT_AWS_SIGV4, 0);
    cr_expect_eq(options.unfit, (UNFIT_REQUEST_TARGET << 1) - 1 - UNFIT_SIGV4);
    cr_expect_eq(options.auth, AUTH_NETRC - 1);
    options_clear(&options);
}

static bool is_noted(unsigned number) {
    for (size_t i = 0; i < COUNT(longs); i++)
        if ((unsigned)longs[i].option % 10000 == number)
            return true;
    for (size_t i = 0; i < COUNT(pointers); i++)
        if ((unsigned)pointers[i].option % 10000 == number)
            return true;
    for (size_t i = 0; i < COUNT(texts); i++)
        if ((unsigned)texts[i].option % 10000 == number)
            return true;
    for (size_t i = 0; i < COUNT(bits); i++)
        if ((unsigned)bits[i].option % 10000 == number)
            return true;
    for (size_t i = 0; i < COUNT(by_rule); i++)
        if ((unsigned)by_rule[i] % 10000 == number)
            return true;
    return false;
}

Test(options, others_change_nothing) {
    static const int odd[] = {-1, -2, -10002, INT_MIN, INT_MAX, 9999, 19999, 400, 1000000, 0};
    struct options options, before;
    options_init(&options);
    memcpy(&before, &options, sizeof options);
    for (unsigned number = 0; number < 10000; number++)
        for (unsigned base = 0; base <= 40000 && !is_noted(number); base += 10000) {
            record(&options, (CURLoption)(base + number), (void *)(intptr_t)0x5555);
            expect_same_but(&options, &before, 0, 0, (CURLoption)(base + number));
        }
    for (size_t i = 0; i < COUNT(odd); i++) {
        record(&options, (CURLoption)odd[i], (void *)(intptr_t)0x5555);
        expect_same_but(&options, &before, 0, 0, (CURLoption)odd[i]);
    }
    options_clear(&options);
}

Test(options, seconds_and_milliseconds_are_one_timeout) {
    struct options options;
    options_init(&options);
    set_long(&options, CURLOPT_TIMEOUT, 3);
    set_long(&options, CURLOPT_CONNECTTIMEOUT, 4);
    cr_expect_eq(options.timeout_ms, 3000);
    cr_expect_eq(options.connect_timeout_ms, 4000);
    set_long(&options, CURLOPT_TIMEOUT_MS, 5);
    set_long(&options, CURLOPT_CONNECTTIMEOUT_MS, 6);
    cr_expect_eq(options.timeout_ms, 5);
    cr_expect_eq(options.connect_timeout_ms, 6);
    set_long(&options, CURLOPT_TIMEOUT, LONG_MAX);
    cr_expect_gt(options.timeout_ms, 1000000000);
    set_long(&options, CURLOPT_TIMEOUT, 0);
    cr_expect_eq(options.timeout_ms, 0);
    options_clear(&options);
}

/* Steps through libcurl's own rules of what an option makes of the request. */
Test(options, methods_follow_libcurl) {
    static const struct {
        CURLoption option;
        long value;
        enum method method;
        bool reads;
    } steps[] = {
        {CURLOPT_HTTPGET, 1, METHOD_GET, false},
        {CURLOPT_POST, 1, METHOD_POST, true},
        {CURLOPT_POST, 0, METHOD_GET, false},
        {CURLOPT_UPLOAD, 1, METHOD_UPLOAD, true},
        {CURLOPT_HTTPGET, 0, METHOD_UPLOAD, true},
        {CURLOPT_UPLOAD, 0, METHOD_GET, false},
        {CURLOPT_PUT, 1, METHOD_UPLOAD, true},
        {CURLOPT_PUT, 0, METHOD_GET, false},
        {CURLOPT_POSTFIELDS, 1, METHOD_POST, false},
        {CURLOPT_UPLOAD, 1, METHOD_UPLOAD, true},
        {CURLOPT_POST, 1, METHOD_POST, false},
        {CURLOPT_POSTFIELDS, 0, METHOD_POST, true},
        {CURLOPT_NOBODY, 1, METHOD_GET, false},
        {CURLOPT_NOBODY, 0, METHOD_GET, false},
        {CURLOPT_MIMEPOST, 1, METHOD_MIME, false},
        {CURLOPT_HTTPPOST, 1, METHOD_MIME, false},
        {CURLOPT_HTTPGET, 1, METHOD_GET, false},
        {CURLOPT_COPYPOSTFIELDS, 1, METHOD_POST, false},
    };
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < COUNT(steps); i++) {
        set_long(&options, steps[i].option, steps[i].value);
        cr_expect_eq(options.method, steps[i].method, "step %zu", i);
        cr_expect_eq(options_reads_body(&options), steps[i].reads, "step %zu", i);
    }
    options_clear(&options);
}

Test(options, protocols_have_two_spellings) {
    struct options options;
    char text[] = "http,https";
    options_init(&options);
    cr_expect_not(options.protocols_set);
    set_long(&options, CURLOPT_PROTOCOLS, CURLPROTO_HTTPS);
    cr_expect(options.protocols_set && !options.protocols_text);
    cr_expect_eq(options.protocols, CURLPROTO_HTTPS);
    record(&options, CURLOPT_PROTOCOLS_STR, text);
    cr_expect_str_eq(options.protocols_text, "http,https");
    set_long(&options, CURLOPT_PROTOCOLS, CURLPROTO_HTTP);
    cr_expect_null(options.protocols_text, "the last one counts");
    options_clear(&options);
}

Test(options, default_protocols_are_fit_or_not) {
    static const struct {
        const char *text;
        bool https, unfit;
    } cases[] = {{"https", true, false}, {"HTTPS", true, false}, {"http", false, false},
                 {"ftp", false, true},   {NULL, false, false},   {"wss", false, true}};
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t before = options.url_changes;
        char text[16];
        snprintf(text, sizeof text, "%s", cases[i].text ? cases[i].text : "");
        record(&options, CURLOPT_DEFAULT_PROTOCOL, cases[i].text ? text : NULL);
        cr_expect_eq(options.default_https, cases[i].https);
        cr_expect_eq(options.unfit, cases[i].unfit ? UNFIT_PROTOCOL : 0);
        cr_expect_gt(options.url_changes, before, "the same URL may mean another place");
    }
    options_clear(&options);
}

/* The room behind `scratch` is written to its end: ASan sees if it is too small. */
static void use_scratch(const struct url_text *url) {
    size_t size = strlen(url->text) + 1;
    memset(url->scratch, 'y', size);
    cr_expect_eq(strlen(url->text), size - 1, "the scratch lies over the URL");
}

Test(options, changes_of_the_url_are_counted) {
    static const size_t lengths[] = {10, 1, 255, 256, 257, 100, 5000, 20, 5001, 0};
    static char url[6000];
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint64_t before = options.url_changes;
        memset(url, 'a', lengths[i]);
        url[lengths[i]] = '\0';
        record(&options, CURLOPT_URL, url);
        cr_expect_str_eq(options.url.text, url);
        cr_expect_gt(options.url_changes, before, "%zu", lengths[i]);
        use_scratch(&options.url);
        before = options.url_changes;
        record(&options, CURLOPT_URL, url);
        cr_expect_eq(options.url_changes, before, "the same text is no change");
        record(&options, CURLOPT_PROXY, url);
        cr_expect_eq(options.url_changes, before, "another option");
    }
    uint64_t before = options.url_changes;
    record(&options, CURLOPT_URL, NULL);
    cr_expect_null(options.url.text);
    cr_expect_gt(options.url_changes, before);
    record(&options, CURLOPT_URL, url);
    use_scratch(&options.url);
    options_clear(&options);
}

Test(options, copies_are_their_own) {
    struct options from, to;
    char url[] = "http://a/", other[] = "http://other/", data[] = "x";
    options_init(&from);
    options_copy(&to, &from);
    cr_expect_null(to.url.text);
    options_clear(&to);
    for (size_t i = 0; i < COUNT(texts); i++)
        record(&from, texts[i].option, url);
    set_long(&from, CURLOPT_TIMEOUT_MS, 7);
    set_long(&from, CURLOPT_NETRC, 1);
    record(&from, CURLOPT_WRITEDATA, data);
    options_copy(&to, &from);
    for (size_t i = 0; i < COUNT(texts); i++)
        record(&from, texts[i].option, other);
    options_clear(&from);
    for (size_t i = 0; i < COUNT(texts); i++)
        cr_expect_str_eq(*(char **)(void *)((char *)&to + texts[i].where), "http://a/");
    cr_expect_eq(to.timeout_ms, 7);
    cr_expect_eq(to.auth, AUTH_NETRC);
    cr_expect_eq(to.write_data, data);
    use_scratch(&to.url);
    record(&to, CURLOPT_URL, other);
    use_scratch(&to.url);
    options_clear(&to);
    options_clear(&to);
}

Test(options, begin_as_libcurl_has_them) {
    struct options options;
    memset(&options, 0x55, sizeof options);
    options_init(&options);
    cr_expect_eq(options.write_data, stdout);
    cr_expect_eq(options.read_data, stdin);
    cr_expect_eq(options.no_progress, 1);
    cr_expect_eq(options.http_auth, CURLAUTH_BASIC);
    cr_expect_eq(options.method, METHOD_GET);
    cr_expect_null(options.url.text);
    cr_expect_eq(options.unfit | options.auth, 0);
}

/* The declaration of curl_url_get got its `const` in 8.0. */
static CURLUcode url_get(const CURLU *parts, CURLUPart which, char **text, unsigned flags) {
    return curl_url_get((CURLU *)(uintptr_t)parts, which, text, flags);
}

static const struct libcurl curl = {.url_get = url_get, .free = curl_free};

/* The URL that OPTIONS say must be EXPECTED, and must count as CHANGED or not. */
static void expect_url(struct options *options, const char *expected, bool changed) {
    static uint64_t before;
    const struct url_text *url = options_url(options, &curl);
    cr_assert_eq(url != NULL, expected != NULL);
    if (expected) {
        cr_expect_str_eq(url->text, expected);
        use_scratch(url);
    }
    cr_expect_eq(options->url_changes != before, changed, "%s", expected ? expected : "none");
    before = options->url_changes;
}

Test(options, parts_of_a_url_win_over_it) {
    struct options options, copy;
    char url[] = "https://a.test/v1/x";
    CURLU *parts = curl_url();
    options_init(&options);
    expect_url(&options, NULL, false);
    record(&options, CURLOPT_URL, url);
    expect_url(&options, url, true);
    expect_url(&options, url, false);
    record(&options, CURLOPT_CURLU, parts);
    expect_url(&options, NULL, true);
    curl_url_set(parts, CURLUPART_URL, "http://b.test/v1/y", 0);
    expect_url(&options, "http://b.test/v1/y", true);
    expect_url(&options, "http://b.test/v1/y", false);
    curl_url_set(parts, CURLUPART_HOST, "c.test", 0); /* libcurl is not told of it */
    expect_url(&options, "http://c.test/v1/y", true);
    options_copy(&copy, &options);
    record(&options, CURLOPT_CURLU, NULL);
    expect_url(&options, url, true);
    record(&options, CURLOPT_CURLU, parts);
    expect_url(&options, "http://c.test/v1/y", true);
    options_clear(&options);
    cr_expect_str_eq(options_url(&copy, &curl)->text, "http://c.test/v1/y");
    options_clear(&copy);
    curl_url_cleanup(parts);
}

/* --- the body in memory -------------------------------------------------------------------- */

static void set_text(struct options *options, CURLoption option, const char *text) {
    union {
        const char *in;
        void *out;
    } value = {text};
    options_record(options, option, options_note(option), value.out);
}

Test(options, post_fields_are_the_programs_own) {
    static const char body[] = "{\"model\": \"gpt-4\"}";
    struct options options;
    options_init(&options);
    options.copies_posts = true;
    cr_expect_eq(options.post_size, -1);
    set_text(&options, CURLOPT_POSTFIELDS, body);
    cr_expect_eq(options.post_data, body);
    cr_expect(options.post_fields && !options.post_copied && !options.post_copy);
    cr_expect_eq(options_post_length(&options), strlen(body));
    set_long(&options, CURLOPT_POSTFIELDSIZE, 3);
    cr_expect_eq(options_post_length(&options), 3);
    set_text(&options, CURLOPT_POSTFIELDS, NULL);
    cr_expect(!options.post_fields && !options.post_data);
    options_clear(&options);
}

Test(options, a_copied_body_is_copied_by_its_size) {
    char body[] = "one\0two";
    struct options options, copy;
    options_init(&options);
    options.copies_posts = true;
    set_long(&options, CURLOPT_POSTFIELDSIZE_LARGE, 7);
    set_text(&options, CURLOPT_COPYPOSTFIELDS, body);
    memset(body, 'x', sizeof body);
    cr_expect(options.post_fields && options.post_copied);
    cr_assert_eq(options_post_length(&options), 7);
    cr_expect_eq(memcmp(options.post_data, "one\0two", 7), 0);
    options_copy(&copy, &options);
    cr_expect_neq(copy.post_data, options.post_data);
    cr_expect_eq(memcmp(copy.post_data, "one\0two", 7), 0);
    options_clear(&copy);
    options_clear(&options);
}

Test(options, a_larger_size_ends_a_copied_body) {
    struct options options;
    options_init(&options);
    options.copies_posts = true;
    set_text(&options, CURLOPT_COPYPOSTFIELDS, "body");
    cr_expect_eq(options_post_length(&options), 4);
    set_long(&options, CURLOPT_POSTFIELDSIZE, 9);
    cr_expect(!options.post_fields && !options.post_copied && !options.post_data);
    cr_expect(options_reads_body(&options), "libcurl asks the read function then");
    options_clear(&options);
}

Test(options, a_body_is_copied_only_if_it_may_be_looked_at) {
    struct options options;
    options_init(&options);
    set_text(&options, CURLOPT_COPYPOSTFIELDS, "body");
    cr_expect(options.post_fields && options.post_copied && !options.post_data);
    options_clear(&options);
}

Test(options, of_two_forms_the_last_one_counts) {
    static char mime, form;
    struct options options;
    options_init(&options);
    options_record(&options, CURLOPT_MIMEPOST, options_note(CURLOPT_MIMEPOST), &mime);
    cr_expect(options.method == METHOD_MIME && (void *)options.mime == &mime && !options.form);
    options_record(&options, CURLOPT_HTTPPOST, options_note(CURLOPT_HTTPPOST), &form);
    cr_expect(options.method == METHOD_MIME && (void *)options.form == &form && !options.mime);
    options_clear(&options);
}
