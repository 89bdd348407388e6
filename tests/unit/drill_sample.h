/*
 * A small drill for the tests of its report: two backends of the endpoint llm, of one tier each,
 * and a record of four transfers.
 */
#ifndef SPILLWAY_TESTS_DRILL_SAMPLE_H
#define SPILLWAY_TESTS_DRILL_SAMPLE_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "shim/command/drill_report.h"

/* 2026-01-31T12:00:00Z */
#define SAMPLE_START 1769860800.0

static const char sample_yaml[] = "endpoints:\n"
                                  "  - {name: llm, url: http://llm.test, backends: [\n"
                                  "     {name: other, url: http://b.test, priority: 2},\n"
                                  "     {name: ptu, url: http://a.test, priority: 1}]}\n";

/* The second transfer is rescued by the second backend, the third is not answered, the program asks
 * again, and that response is cut. */
static const char sample_record[] =
    "time=2026-01-31T12:00:00.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
    "transfer=7-1\n"
    "time=2026-01-31T12:00:00.500Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
    "attempt=1 status=200 ms=500.000 transfer=7-1\n"
    "time=2026-01-31T12:00:01.000Z level=info pid=7 event=finished endpoint=llm transfer=7-1 "
    "attempts=1 status=200 result=0 ms=1000.000 first_ms=500.000\n"
    "time=2026-01-31T12:00:02.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
    "transfer=7-2\n"
    "time=2026-01-31T12:00:02.010Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
    "attempt=1 status=429 ms=10.000 fault=429 transfer=7-2\n"
    "time=2026-01-31T12:00:02.010Z level=warn pid=7 event=cooldown endpoint=llm backend=ptu "
    "reason=429 seconds=5.000 transfer=7-2\n"
    "time=2026-01-31T12:00:02.500Z level=info pid=7 event=attempt endpoint=llm backend=other "
    "attempt=2 status=200 ms=490.000 transfer=7-2\n"
    "time=2026-01-31T12:00:03.000Z level=info pid=7 event=finished endpoint=llm transfer=7-2 "
    "attempts=2 status=200 result=0 ms=1000.000\n"
    "time=2026-01-31T12:00:04.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
    "transfer=7-3\n"
    "time=2026-01-31T12:00:04.100Z level=info pid=7 event=attempt endpoint=llm backend=other "
    "attempt=1 error=connect curl=7 ms=100.000 fault=refused transfer=7-3\n"
    "time=2026-01-31T12:00:04.100Z level=warn pid=7 event=cooldown endpoint=llm backend=other "
    "reason=connect seconds=1.000 transfer=7-3\n"
    "time=2026-01-31T12:00:04.100Z level=warn pid=7 event=exhausted endpoint=llm attempts=1 "
    "seconds=0.500 transfer=7-3\n"
    "time=2026-01-31T12:00:04.200Z level=info pid=7 event=finished endpoint=llm transfer=7-3 "
    "attempts=1 status=429 result=0 ms=200.000\n"
    "time=2026-01-31T12:00:08.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
    "transfer=7-4\n"
    "time=2026-01-31T12:00:08.500Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
    "attempt=1 status=200 ms=500.000 transfer=7-4\n"
    "time=2026-01-31T12:00:09.000Z level=info pid=7 event=finished endpoint=llm transfer=7-4 "
    "attempts=1 status=200 result=18 ms=1000.000\n";

static const struct drill_fault sample_faults[] = {
    {"ptu: 429 retry-after=5 for 6s after 1s", NULL, "ptu", 1, 7, true},
    {"other: refused every 2", NULL, "other", 0, INFINITY, false},
};

static const struct drill_facts sample_facts = {
    .program = "batch.sh", .exit_status = 3, .seed = 9, .faults = sample_faults, .fault_count = 2};

static inline struct settings *sample_settings(const char *yaml) {
    struct settings_error error;
    struct settings *settings = settings_load_text("t", yaml, strlen(yaml), &error);
    cr_assert_not_null(settings, "%u: %s", error.line, error.message);
    return settings;
}

/* A record of TEXT, for a drill of ten seconds. */
static inline struct drill_record *sample_read(const struct settings *settings, const char *text) {
    struct drill_record *record = drill_record_new(settings, SAMPLE_START, 10);
    FILE *in = tmpfile();
    cr_assert(record && in && fputs(text, in) >= 0);
    rewind(in);
    cr_assert(drill_record_read(record, in));
    fclose(in);
    return record;
}

static inline void sample_near(double got, double want) {
    cr_expect(fabs(got - want) < 1e-6, "%.9g instead of %.9g", got, want);
}

#endif
