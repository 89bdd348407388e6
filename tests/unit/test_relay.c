/* The relay's parts that need no server: bytes, fields, URLs, faults. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "shim/relay/buffer.h"
#include "shim/relay/fault.h"
#include "shim/relay/head.h"
#include "shim/relay/headers.h"
#include "shim/relay/secret.h"
#include "shim/relay/target.h"

static struct slice slice(const char *text) {
    return (struct slice){text, strlen(text)};
}

/* --- buffer -------------------------------------------------------------------------------- */

Test(buffer, gives_what_it_got_in_order) {
    struct buffer buffer = {0};
    char out[64] = "";
    cr_expect(buffer_add(&buffer, "hello ", 6));
    cr_expect(buffer_add(&buffer, "world", 5));
    cr_expect_eq(buffer_take(&buffer, out, 3), 3);
    cr_expect(buffer_add(&buffer, "!", 1));
    cr_expect_eq(buffer_take(&buffer, out + 3, sizeof out - 3), 9);
    cr_expect_str_eq(out, "hello world!");
    cr_expect_eq(buffer_take(&buffer, out, sizeof out), 0);
    buffer_free(&buffer);
}

Test(buffer, is_the_same_after_many_rounds) {
    struct buffer buffer = {0};
    unsigned written = 0, got = 0;
    srand(4711);
    for (int round = 0; round < 5000; round++) {
        unsigned char bytes[700];
        size_t count = (size_t)rand() % sizeof bytes; // NOLINT(cert-msc30-c,cert-msc50-cpp)
        for (size_t i = 0; i < count; i++)
            bytes[i] = (unsigned char)(written++ % 251);
        cr_assert(buffer_add(&buffer, (char *)bytes, count));
        count = buffer_take(&buffer, (char *)bytes,
                            (size_t)rand() % sizeof bytes); // NOLINT(cert-msc30-c,cert-msc50-cpp)
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(bytes[i], (unsigned char)(got++ % 251));
    }
    cr_expect_eq(buffer.length, written - got);
    buffer_clear(&buffer);
    cr_expect_eq(buffer.length, 0);
    buffer_free(&buffer);
}

Test(buffer, refuses_what_no_memory_holds) {
    struct buffer buffer = {0};
    cr_expect_not(buffer_reserve(&buffer, SIZE_MAX - 10));
    cr_expect(buffer_add(&buffer, "x", 1));
    cr_expect_not(buffer_reserve(&buffer, SIZE_MAX - 10));
    cr_expect_eq(buffer.length, 1);
    buffer_free(&buffer);
}

/* --- fields -------------------------------------------------------------------------------- */

Test(headers, of_one_connection_stay) {
    static const char *const stay[] = {"Connection",       "keep-alive",        "TE",
                                       "Trailer",          "Transfer-Encoding", "Upgrade",
                                       "Proxy-Connection", "Content-Length"};
    static const char *const go[] = {"Host", "Authorization", "Content-Type", "T", "TEE", "Via"};
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        cr_expect(headers_stays(slice(stay[i])), "%s", stay[i]);
    for (size_t i = 0; i < sizeof go / sizeof *go; i++)
        cr_expect_not(headers_stays(slice(go[i])), "%s", go[i]);
}

Test(headers, named_by_connection) {
    cr_expect(headers_names(slice("close, X-Hop"), slice("x-hop")));
    cr_expect(headers_names(slice(" X-Hop ,close"), slice("X-Hop")));
    cr_expect_not(headers_names(slice("close, X-Hop"), slice("x-ho")));
    cr_expect_not(headers_names(slice("close, X-Hop"), slice("hop")));
    cr_expect_not(headers_names(slice(""), slice("x")));
    cr_expect_not(headers_names(slice(",,"), slice("x")));
}

Test(headers, lengths) {
    cr_expect_eq(headers_length(slice("0")), 0);
    cr_expect_eq(headers_length(slice("123456789012345678")), 123456789012345678);
    static const char *const wrong[] = {
        "", "-1", "+1", "1 2", "0x10", "1,1", "1234567890123456789"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(headers_length(slice(wrong[i])), -1, "%s", wrong[i]);
}

static bool collect(void *context, const char *name, const char *value) {
    char *text = context;
    size_t length = strlen(text);
    snprintf(text + length, 200 - length, "%s=%s;", name, value);
    return true;
}

static void take(struct head *head, const char *lines) {
    for (const char *end; *lines; lines = end) {
        end = strchr(lines, '\n') + 1;
        cr_assert(head_take(head, (struct slice){lines, (size_t)(end - lines)}));
    }
}

Test(head, of_the_final_response_alone) {
    struct head head = {.length = -1, .retry_ms = -1};
    char text[200] = "";
    take(&head, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    cr_expect_not(head.complete);
    take(&head, "HTTP/2 200 \r\nX-A: 1\r\nx-a:2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                "Content-Length: 42\r\nEmpty:\r\n\r\n");
    cr_expect(head.complete);
    cr_expect_eq(head.status, 200);
    cr_expect_eq(head.length, 42);
    take(&head, "X-Trailer: late\r\n\r\n");
    cr_expect(head_each(&head, collect, text));
    cr_expect_str_eq(text, "X-A=1;x-a=2;Empty=;");
    buffer_free(&head.fields);
}

Test(head, without_sense) {
    struct head head = {.length = -1, .retry_ms = -1};
    char text[200] = "";
    take(&head, "HTTP/1.1 abc\r\nno field\r\n: none\r\nretry-after-ms: 1500\r\n"
                "Content-Length: many\r\n\r\n");
    cr_expect_not(head.complete); /* there is no status */
    take(&head, "HTTP/1.1 429\r\nretry-after-ms: 1500\r\nTransfer-Encoding: chunked\r\n\r\n");
    cr_expect(head.complete);
    cr_expect_eq(head.retry_ms, 1500);
    cr_expect(head.chunked);
    cr_expect_eq(head.length, -1);
    cr_expect(head_each(&head, collect, text));
    cr_expect_str_eq(text, "retry-after-ms=1500;");
    buffer_free(&head.fields);
}

/* --- URLs ---------------------------------------------------------------------------------- */

struct url_case {
    const char *host, *target;
    bool https;
    const char *url; /* NULL: refused */
};

Test(target, by_host) {
    static const struct url_case cases[] = {
        {"llm.test", "/v1/a?b=c%20d", false, "http://llm.test/v1/a?b=c%20d"},
        {"llm.test:8080", "/", false, "http://llm.test:8080/"},
        {"[::1]:8080", "/", false, "http://[::1]:8080/"},
        {"llm.test", "/v1", true, "https://llm.test/v1"},
        {"other", "http://llm.test/v1", false, "http://llm.test/v1"},
        {NULL, "http://llm.test/v1", false, "http://llm.test/v1"},
        {"other", "https://llm.test/v1", false, NULL},
        {"other", "http://llm.test/v1", true, NULL},
        {"other", "http://user@llm.test/v1", false, NULL},
        {NULL, "/v1", false, NULL},
        {"", "/v1", false, NULL},
        {"a@b", "/v1", false, NULL},
        {"a/b", "/v1", false, NULL},
        {"a?b", "/v1", false, NULL},
        {"a#b", "/v1", false, NULL},
        {"a b", "/v1", false, NULL},
        {"a\\b", "/v1", false, NULL},
        {"a%40b", "/v1", false, NULL},
        {"llm.test:0", "/v1", false, NULL},
        {"llm.test:99999", "/v1", false, NULL},
        {":80", "/v1", false, NULL},
        {"llm.test", "*", false, NULL},
        {"llm.test", "v1", false, NULL},
        {"llm.test", "/v1#x", false, NULL},
        {"llm.test", "/v1\\x", false, NULL},
        {"llm.test", "/v1\x7f", false, NULL},
        {"llm.test", "@evil.test/", false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[100] = "";
        const char *wrong =
            target_url(cases[i].host, cases[i].target, cases[i].https, out, sizeof out);
        cr_expect_eq(wrong == NULL, cases[i].url != NULL, "case %zu: %s %s", i, wrong, out);
        if (cases[i].url && !wrong)
            cr_expect_str_eq(out, cases[i].url);
    }
    char small[20];
    cr_expect_not_null(target_url("llm.test", "/0123456789", false, small, sizeof small));
}

Test(target, by_path) {
    static const char text[] =
        "endpoints:\n"
        "  - urls: [https://api.openai.com/v1, http://llm.internal/proxy/v1]\n"
        "    backends: [{url: \"https://a.example\"}]\n"
        "  - url: https://oai.example/openai/deployments\n"
        "    backends: [{url: \"https://b.example\"}]\n"
        "  - url: https://twice.example/v1\n"
        "    backends: [{url: \"https://c.example\"}]\n";
    static const struct {
        const char *target, *url; /* NULL: no endpoint; "!": refused */
    } cases[] = {
        {"/v1/models?x=1", "https://api.openai.com/v1/models?x=1"},
        {"/v1", "https://api.openai.com/v1"},
        {"/v1?x", "https://api.openai.com/v1?x"},
        {"/proxy/v1/models", "https://api.openai.com/v1/models"},
        {"/openai/deployments/gpt/chat", "https://oai.example/openai/deployments/gpt/chat"},
        {"/v1beta/models", NULL},
        {"/", NULL},
        {"/other", NULL},
        {"/v1/../other", "!"},
        {"/v1/%2e%2e/other", "!"},
        {"http://api.openai.com/v1", "!"},
        {"/v1/a\\b", "!"},
    };
    struct settings_error error;
    struct settings *settings = settings_load_text("test", text, sizeof text - 1, &error);
    cr_assert_not_null(settings, "%s", error.message);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[200] = "";
        const char *wrong = target_by_path(settings, cases[i].target, out, sizeof out);
        if (!cases[i].url)
            cr_expect_str_eq(wrong ? wrong : "none", "", "%s", cases[i].target);
        else if (*cases[i].url == '!')
            cr_expect(wrong && *wrong, "%s", cases[i].target);
        else
            cr_expect_str_eq(out, cases[i].url);
    }
    settings_free(settings);
}

/* --- faults and secrets -------------------------------------------------------------------- */

Test(fault, is_json_whatever_the_message) {
    char out[200];
    size_t length = fault_body(502, "a \"b\" \\ \x01", out, sizeof out);
    cr_expect_eq(length, strlen(out));
    cr_expect_str_eq(out, "{\"error\": {\"message\": \"a \\\"b\\\" \\\\ \\u0001\", \"type\": "
                          "\"spillway_error\", \"param\": null, \"code\": \"502\"}}\n");
    char message[500];
    memset(message, '"', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    length = fault_body(504, message, out, sizeof out);
    cr_expect_lt(length, sizeof out);
    cr_expect_eq(out[length - 1], '\n');
    cr_expect_not_null(strstr(out, "\\\"\", \"type\": \"spillway_error\""));
}

Test(fault, tells_a_timeout_from_the_rest) {
    char message[200];
    cr_expect_eq(fault_of_transfer(CURLE_OPERATION_TIMEDOUT, "h", message, sizeof message), 504);
    cr_expect_eq(fault_of_transfer(CURLE_COULDNT_CONNECT, "h:1", message, sizeof message), 502);
    cr_expect_eq(strncmp(message, "h:1 did not answer: ", 20), 0);
    cr_expect_eq(fault_of_transfer(CURLE_OK, "h", message, sizeof message), 502);
}

Test(secret, is_the_same_or_not) {
    cr_expect(secret_same("sesame", "sesame"));
    cr_expect_not(secret_same("sesame", "sesamE"));
    cr_expect_not(secret_same("sesame", "sesam"));
    cr_expect_not(secret_same("sesame", "sesamee"));
    cr_expect_not(secret_same("sesame", ""));
    cr_expect_not(secret_same("sesame", NULL));
}
