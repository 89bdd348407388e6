/* The grammar of faults: what is read, what is refused and where, and which backends are meant. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config/fault.h"
#include "config/settings.h"
#include "shim/command/mock_script.h"

#define SECOND UINT64_C(1000000000)

static struct fault parsed(const char *text) {
    struct fault fault;
    struct fault_error error;
    cr_assert(fault_parse(text, &fault, &error), "%s: column %zu: %s", text, error.column,
              error.message);
    return fault;
}

Test(fault, kinds_and_their_steps) {
    static const struct {
        const char *text;
        enum fault_kind kind;
        int status;
        const char *step;
    } table[] = {
        {"b: 429", FAULT_STATUS, 429, "429"},
        {"b: http 503", FAULT_STATUS, 503, "503"},
        {"b: status 200 latency=2s", FAULT_STATUS, 200, "200:latency=\"2s\""},
        {"b: 429 retry-after=5", FAULT_STATUS, 429, "429:retry-after=\"5\""},
        {"b: 429 with retry-after=5 and x-a=b", FAULT_STATUS, 429,
         "429:retry-after=\"5\":x-a=\"b\""},
        {"b: 429 retry-after=5, for 60s", FAULT_STATUS, 429, "429:retry-after=\"5\""},
        {"b: 503 retry-after=\"Wed, 21 Oct 2026 07:28:00 GMT\"", FAULT_STATUS, 503,
         "503:retry-after=\"Wed, 21 Oct 2026 07:28:00 GMT\""},
        {"b: 500 body='{\"a\": 1}'", FAULT_STATUS, 500, "500:body='{\"a\": 1}'"},
        {"b: 429 quota", FAULT_STATUS, 429, "429:quota"},
        {"b: 429 too-large", FAULT_STATUS, 429, "429:too-large"},
        {"b: 400 content-filter", FAULT_STATUS, 400, "400:content-filter"},
        {"b: 401 no-key", FAULT_STATUS, 401, "401:no-key"},
        {"b: 404 no-resource", FAULT_STATUS, 404, "404:no-resource"},
        {"b: refused", FAULT_REFUSED, 0, ""},
        {"b: connect refused", FAULT_REFUSED, 0, ""},
        {"b: Connection Refused", FAULT_REFUSED, 0, ""},
        {"b: dns", FAULT_DNS, 0, ""},
        {"b: dns failure", FAULT_DNS, 0, ""},
        {"b: tls", FAULT_TLS, 0, ""},
        {"b: tls failure for 3 attempts", FAULT_TLS, 0, ""},
        {"b: reset", FAULT_RESET, 0, "reset"},
        {"b: reset before headers", FAULT_RESET, 0, "reset"},
        {"b: silence", FAULT_SILENCE, 0, "hang"},
        {"b: silence before headers", FAULT_SILENCE, 0, "hang"},
        {"b: silence-body", FAULT_SILENCE_BODY, 200, "stall:after=0"},
        {"b: silence before body", FAULT_SILENCE_BODY, 200, "stall:after=0"},
        {"b: silence before the first body byte", FAULT_SILENCE_BODY, 200, "stall:after=0"},
        {"b: cut", FAULT_CUT, 200, "cut"},
        {"b: cut 200", FAULT_CUT, 200, "cut:after=200"},
        {"b: cut after 200", FAULT_CUT, 200, "cut:after=200"},
        {"b: stream cut after 200 bytes", FAULT_CUT, 200, "cut:after=200"},
        {"b: cut after 4KiB", FAULT_CUT, 200, "cut:after=4096"},
        {"b: stall", FAULT_STALL, 200, "stall"},
        {"b: stalled stream", FAULT_STALL, 200, "stall"},
        {"b: stall after 0", FAULT_STALL, 200, "stall:after=0"},
        {"b: trickle", FAULT_TRICKLE, 200, "trickle:interval=100ms"},
        {"b: trickle 50ms per piece", FAULT_TRICKLE, 200, "trickle:interval=50ms"},
        {"b: trickle 2s 10%", FAULT_TRICKLE, 200, "trickle:interval=2000ms"},
        {"  b :\treset", FAULT_RESET, 0, "reset"},
        {"b:reset", FAULT_RESET, 0, "reset"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fault fault = parsed(table[i].text);
        cr_expect_eq(fault.kind, table[i].kind, "%s: kind %d", table[i].text, (int)fault.kind);
        cr_expect_eq(fault.status, table[i].status, "%s: status %d", table[i].text, fault.status);
        cr_expect_str_eq(fault.step, table[i].step, "%s: %s", table[i].text, fault.step);
        cr_expect_str_eq(fault.backend, "b", "%s: %s", table[i].text, fault.backend);
        cr_expect_str_eq(fault.text, table[i].text);
    }
}

Test(fault, a_mock_understands_each_step) {
    static const char *const texts[] = {"b: 429 quota",
                                        "b: 429 too-large",
                                        "b: 400 content-filter",
                                        "b: 400 not-json",
                                        "b: 400 no-model",
                                        "b: 401 no-key",
                                        "b: 404 no-resource",
                                        "b: cut after 3",
                                        "b: stall after 3",
                                        "b: stall",
                                        "b: cut",
                                        "b: silence-body",
                                        "b: trickle 1ms",
                                        "b: silence",
                                        "b: reset",
                                        "b: 503 a=b:c,d*e",
                                        "b: 503 body='\"x'",
                                        "b: 200 latency=0.5s"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fault fault = parsed(texts[i]);
        struct mock_script script;
        char error[200];
        cr_assert(mock_script_parse(fault.step, &script, error, sizeof error), "%s: %s: %s",
                  texts[i], fault.step, error);
        cr_expect_eq(script.count, 1, "%s", texts[i]);
        cr_expect_eq(script.steps[0].status, fault.status, "%s", texts[i]);
        mock_script_free(&script);
    }
}

Test(fault, options) {
    static const struct {
        const char *text;
        uint32_t rate;
        uint64_t every, after_ns, for_ns, after_attempts, for_attempts;
    } table[] = {
        {"b: 429", 1000000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 for 60s", 1000000, 1, 0, 60 * SECOND, 0, UINT64_MAX},
        {"b: 429 for 60 s", 1000000, 1, 0, 60 * SECOND, 0, UINT64_MAX},
        {"b: 429 for a minute", 1000000, 1, 0, 60 * SECOND, 0, UINT64_MAX},
        {"b: 429 for 2 minutes", 1000000, 1, 0, 120 * SECOND, 0, UINT64_MAX},
        {"b: 429 after 10s for 1.5s", 1000000, 1, 10 * SECOND, 3 * SECOND / 2, 0, UINT64_MAX},
        {"b: 429 for 3 attempts", 1000000, 1, 0, UINT64_MAX, 0, 3},
        {"b: 429 after 2 attempts for 1 attempt", 1000000, 1, 0, UINT64_MAX, 2, 1},
        {"b: 429 for 5s after 2 attempts", 1000000, 1, 0, 5 * SECOND, 2, UINT64_MAX},
        {"b: 429 10%", 100000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 at 10 %", 100000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 0.5%", 5000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 100% of attempts", 1000000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 33 percent of the requests for 5s", 330000, 1, 0, 5 * SECOND, 0, UINT64_MAX},
        {"b: 429 0.0001%", 1, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 every 3", 1000000, 3, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: 429 every 3rd attempt after 10s", 1000000, 3, 10 * SECOND, UINT64_MAX, 0, UINT64_MAX},
        {"b: cut after 200 25%", 250000, 1, 0, UINT64_MAX, 0, UINT64_MAX},
        {"b: cut after 10s", 1000000, 1, 10 * SECOND, UINT64_MAX, 0, UINT64_MAX},
        {"b: cut after 10 attempts", 1000000, 1, 0, UINT64_MAX, 10, UINT64_MAX},
        {"b: cut after 200 after 10s", 1000000, 1, 10 * SECOND, UINT64_MAX, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fault fault = parsed(table[i].text);
        cr_expect_eq(fault.rate, table[i].rate, "%s: rate %u", table[i].text, fault.rate);
        cr_expect_eq(fault.every, table[i].every, "%s", table[i].text);
        cr_expect_eq(fault.after_ns, table[i].after_ns, "%s", table[i].text);
        cr_expect_eq(fault.for_ns, table[i].for_ns, "%s", table[i].text);
        cr_expect_eq(fault.after_attempts, table[i].after_attempts, "%s", table[i].text);
        cr_expect_eq(fault.for_attempts, table[i].for_attempts, "%s", table[i].text);
    }
}

Test(fault, where) {
    static const struct {
        const char *text, *endpoint, *backend;
    } table[] = {
        {"ptu: reset", "", "ptu"},
        {"*: reset", "", ""},
        {"llm/ptu: reset", "llm", "ptu"},
        {"llm/*: reset", "llm", ""},
        {"127.0.0.1:8080: reset", "", "127.0.0.1:8080"},
        {"llm/127.0.0.1:8080:  reset", "llm", "127.0.0.1:8080"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fault fault = parsed(table[i].text);
        cr_expect_str_eq(fault.endpoint, table[i].endpoint, "%s", table[i].text);
        cr_expect_str_eq(fault.backend, table[i].backend, "%s", table[i].text);
    }
    struct fault fault = parsed("llm/*: reset");
    cr_expect(fault_means(&fault, "llm", "any"));
    cr_expect_not(fault_means(&fault, "other", "any"));
    fault = parsed("ptu: reset");
    cr_expect(fault_means(&fault, "llm", "ptu"));
    cr_expect_not(fault_means(&fault, "llm", "PTU"));
}

#define KINDS                                                                                      \
    "a status from 200 to 599, refused, dns, tls, reset, silence, silence-body, cut, stall or "    \
    "trickle"
#define OPTIONS "10%, every N, for 60s, for N attempts, after 10s, after N attempts or header=value"

Test(fault, what_is_wrong_is_said_with_its_place) {
    static const struct {
        const char *text;
        size_t column;
        const char *message;
    } table[] = {
        {"", 1, "found the end, expected BACKEND: KIND, such as 'ptu: 429 for 60s'"},
        {"ptu", 1, "found 'ptu', expected BACKEND: KIND, such as 'ptu: 429 for 60s'"},
        {": reset", 1, "found ':', expected the name of a backend, ENDPOINT/BACKEND or '*'"},
        {"/b: reset", 1, "found '/b:', expected the name of a backend, ENDPOINT/BACKEND or '*'"},
        {"ptu:", 5, "found the end, expected " KINDS},
        {"ptu: resett", 6, "found 'resett', expected " KINDS "; did you mean 'reset'?"},
        {"ptu: silense 10%", 6, "found 'silense', expected " KINDS "; did you mean 'silence'?"},
        {"ptu: 42", 6, "found '42', expected a status from 200 to 599"},
        {"ptu: 100", 6, "found '100', expected a status from 200 to 599"},
        {"ptu: 429 fro 60s", 10, "found 'fro', expected " OPTIONS "; did you mean 'for'?"},
        {"ptu: 429 qouta", 10, "found 'qouta', expected " OPTIONS "; did you mean 'quota'?"},
        {"ptu: reset 10", 12, "found '10', expected " OPTIONS "; did you mean '10%'?"},
        {"ptu: 429 for", 13, "found the end, expected a time such as 60s, or a number of attempts"},
        {"ptu: 429 for 60", 14,
         "found '60', expected a time such as 60s, or a number of attempts; did you mean "
         "'for 60s'?"},
        {"ptu: 429 for 0s", 14, "found '0s', expected more than 0"},
        {"ptu: 429 for 0 attempts", 14, "found '0', expected more than 0"},
        {"ptu: 429 for 5s for 6s", 17, "found 'for', expected 'for' with a time once"},
        {"ptu: 429 1% 2%", 13, "found '2%', expected a rate once"},
        {"ptu: 429 0%", 10,
         "found '0%', expected a rate above 0% and up to 100%, such as 10% or 0.5%"},
        {"ptu: 429 101%", 10,
         "found '101%', expected a rate above 0% and up to 100%, such as 10% or 0.5%"},
        {"ptu: 429 every", 15,
         "found the end, expected a number from 1 to 1000000000, such as every 3"},
        {"ptu: 429 every 0", 16,
         "found '0', expected a number from 1 to 1000000000, such as every 3"},
        {"ptu: reset retry-after=5", 12,
         "found 'retry-after=5', expected no header, for this fault is no response"},
        {"ptu: 429 content-length=5", 10,
         "found 'content-length=5', expected a header that says nothing of the body's length"},
        {"ptu: 429 retry-after=", 22, "found the end, expected a value after '='"},
        {"ptu: 429 retry-after=\"5", 22, "found '\"5', expected a closing quote"},
        {"ptu: 429 latency=soon", 18, "found 'soon', expected a time such as 250ms, 2s or 1m"},
        {"ptu: 503 quota", 10, "found 'quota', expected quota with 429 alone"},
        {"ptu: 429 quota too-large", 16, "found 'too-large', expected a cause once"},
        {"ptu: trickle 2h", 14, "found '2h', expected a time from 1ms to 1h"},
        {"ptu: 429 every 3 for 2 attempts", 32,
         "found the end, expected as many attempts after 'for' as after 'every': it would never "
         "happen"},
        {"ptu: 429\nptu: 500", 9, "found '?ptu:', expected text without control characters"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fault fault;
        struct fault_error error;
        cr_assert_not(fault_parse(table[i].text, &fault, &error), "'%s'", table[i].text);
        cr_expect_eq(error.column, table[i].column, "'%s': column %zu", table[i].text,
                     error.column);
        cr_expect_str_eq(error.message, table[i].message, "'%s': %s", table[i].text, error.message);
    }
}

Test(fault, no_text_is_too_long_to_be_refused) {
    char text[2000];
    struct fault fault;
    struct fault_error error;
    memset(text, 'a', sizeof text);
    memcpy(text, "b: 429 x=", 9);
    for (size_t length = 10; length < sizeof text; length++) {
        char one = text[length];
        text[length] = '\0';
        bool fine = fault_parse(text, &fault, &error);
        cr_assert_eq(fine, length <= FAULT_TEXT_MAX, "length %zu: %s", length, error.message);
        text[length] = one;
    }
}

static struct settings *two_endpoints(void) {
    static const char text[] = "endpoints:\n"
                               "- {name: llm, url: https://a.example, backends: [{name: ptu, host: "
                               "p}, {name: paygo, host: q}]}\n"
                               "- {name: mail, url: https://m.example, backends: [{name: west, "
                               "host: w}]}\n";
    struct settings_error error;
    struct settings *settings = settings_load_text("text", text, sizeof text - 1, &error);
    cr_assert(settings, "%s", error.message);
    return settings;
}

Test(fault, backends_have_to_exist) {
    static const struct {
        const char *text;
        size_t column; /* 0: it exists */
        const char *message;
    } table[] = {
        {"ptu: reset", 0, ""},
        {"west: reset", 0, ""},
        {"*: reset", 0, ""},
        {"llm/ptu: reset", 0, ""},
        {"mail/*: reset", 0, ""},
        {"ptuu: reset", 1,
         "found 'ptuu', expected a backend of the settings: ptu, paygo, west; did you mean 'ptu'?"},
        {" xyz: reset", 2, "found 'xyz', expected a backend of the settings: ptu, paygo, west"},
        {"llm/wast: reset", 5, "found 'wast', expected a backend of the settings: ptu, paygo"},
        {"mail/wast: reset", 6,
         "found 'wast', expected a backend of the settings: west; did you mean 'west'?"},
        {"lm/ptu: reset", 1,
         "found 'lm', expected an endpoint of the settings: llm, mail; did you mean 'llm'?"},
    };
    struct settings *settings = two_endpoints();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fault fault = parsed(table[i].text);
        struct fault_error error;
        cr_expect_eq(fault_check(&fault, settings, &error), table[i].column == 0, "%s",
                     table[i].text);
        cr_expect_eq(error.column, table[i].column, "%s: %zu", table[i].text, error.column);
        cr_expect_str_eq(error.message, table[i].message, "%s: %s", table[i].text, error.message);
    }
    settings_free(settings);
}

#define ENDPOINT "endpoints: [{url: https://e.example, backends: [{name: ptu, host: b}]}]\n"

Test(fault, in_the_settings) {
    static const struct {
        const char *text;
        const char *error; /* LINE:COLUMN: message; NULL: it loads */
    } table[] = {
        {ENDPOINT "faults: ['ptu: 429 for 60s', \"*: reset 10%\"]\n", NULL},
        {ENDPOINT "faults:\n  - ptu: 429 for 60s\n  - '*': reset 10%\n", NULL}, /* without quotes */
        {ENDPOINT "faults: []\n", NULL},
        {ENDPOINT "faults: null\n", NULL},
        {ENDPOINT "faults: ['ptu: resett']\n",
         "2:16: faults: found 'resett', expected " KINDS "; did you mean 'reset'?"},
        {ENDPOINT "faults:\n  - ptu: 429 fro 60s\n",
         "3:14: faults: found 'fro', expected " OPTIONS "; did you mean 'for'?"},
        {ENDPOINT "faults:\n  - 'ptuu: 429'\n",
         "3:6: faults: found 'ptuu', expected a backend of the settings: ptu; did you mean "
         "'ptu'?"},
        {ENDPOINT "faults: 'ptu: 429'\n",
         "2:9: faults: found 'ptu:...', expected a list such as faults: ['*: 429 retry-after=5 for "
         "60s', '*: reset 10%']"},
        {ENDPOINT "faults: [[]]\n",
         "2:10: faults: found a list, expected a fault in quotes, such as 'ptu: 429 for 60s'"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct settings_error error;
        char message[sizeof error.message + 32];
        struct settings *settings =
            settings_load_text("t", table[i].text, strlen(table[i].text), &error);
        snprintf(message, sizeof message, "%u:%u: %s", error.line, error.column, error.message);
        if (table[i].error)
            cr_expect_str_eq(message, table[i].error, "%s: %s", table[i].text, message);
        cr_expect_eq(settings != NULL, table[i].error == NULL, "%s: %s", table[i].text, message);
        if (settings && i < 2) {
            cr_assert(settings->faults && settings->fault_count == 2);
            cr_expect_str_eq(settings->faults[0].text, "ptu: 429 for 60s");
            cr_expect_eq(settings->faults[1].kind, FAULT_RESET);
        }
        settings_free(settings);
    }
}
