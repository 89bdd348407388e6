/*
 * What a drill's record says, and what it amounts to.
 */
#include "tests/unit/drill_sample.h"

#include "shim/command/drill_line.h"

static struct settings *settings;
static struct drill_record *record;
static struct drill_figures *figures;

static void set_up(void) {
    settings = sample_settings(sample_yaml);
}

static void tear_down(void) {
    drill_figures_free(figures);
    drill_record_free(record);
    settings_free(settings);
}

static void take(const char *text) {
    record = sample_read(settings, text);
    figures = drill_figures_new(record, &sample_facts);
    cr_assert_not_null(figures);
}

static void finish(char *text, size_t size, int pid, int number, double begin, double end,
                   const char *path, int status) {
    size_t length = strlen(text);
    snprintf(text + length, size - length,
             "time=2026-01-31T12:00:%06.3fZ level=info pid=%d event=intercepted endpoint=llm "
             "path=%s transfer=%d-%d\n"
             "time=2026-01-31T12:00:%06.3fZ level=info pid=%d event=finished endpoint=llm "
             "transfer=%d-%d status=%d result=0 ms=%.3f\n",
             begin, pid, path, pid, number, end, pid, pid, number, status, (end - begin) * 1000);
}

TestSuite(drill_record, .init = set_up, .fini = tear_down);

Test(drill_line, fields) {
    char text[] =
        "time=2026-01-31T12:00:00.250Z level=info pid=42 event=attempt backend=\"a \\\"b\\\\\" "
        "new=thing attempt=2 status=429 ms=12.345 path=\"/x\\x0ay\"";
    struct drill_line line;
    cr_assert(drill_line_read(text, &line));
    sample_near(line.time, SAMPLE_START + 0.25);
    sample_near(line.pid, 42);
    cr_expect_str_eq(line.event, "attempt");
    cr_expect_str_eq(line.backend, "a \"b\\");
    cr_expect_str_eq(line.path, "/x\\x0ay"); /* a control stays escaped */
    sample_near(line.status, 429);
    sample_near(line.ms, 12.345);
    sample_near(line.curl, -1);
    cr_expect_str_eq(line.transfer, "");
}

Test(drill_line, what_is_none) {
    static const char *const lines[] = {
        "",
        "hello",
        "time=2026-01-31T12:00:00.000Z pid=1",
        "time=2026-01-31T12:00:00.000Z event=x",
        "pid=1 event=x",
        "time=yesterday pid=1 event=x",
        "time=2026-01-31T12:00:00Z pid=1 event=x",
        "time=2026-01-31T12:00:00.000 pid=1 event=x",
        "time=2026-01-31T12:00:00.0x0Z pid=1 event=x",
        "time=2026-01-31T12:00:00.000Z pid=-1 event=x",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x ms=",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x ms=1e9",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x ms=nan",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x ms=1.2.3",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x path=\"open",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x path=\"a\"b",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x a=b=c",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x =",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x word",
        "time=2026-01-31T12:00:00.000Z pid=1 event=x\033[2J",
        "time=2026-01-31T12:00:00.000Z pid=1 event=\"\"",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[200];
        struct drill_line line;
        snprintf(text, sizeof text, "%s", lines[i]);
        cr_expect_not(drill_line_read(text, &line), "%s", lines[i]);
    }
}

Test(drill_record, of_nothing) {
    take("");
    cr_expect_eq(record->backend_count, 2);
    cr_expect_eq(record->attempt_count + record->transfer_count + record->cooldown_count, 0);
    sample_near(figures->answered_share, -1);
    sample_near(figures->attempts_per_answer, -1);
    sample_near(figures->p50, -1);
    cr_expect_eq(figures->processes, 0);
}

Test(drill_record, lists) {
    take(sample_record);
    cr_expect_eq(record->strange, 0);
    cr_assert_eq(record->transfer_count, 4);
    cr_assert_eq(record->attempt_count, 5);
    cr_assert_eq(record->cooldown_count, 2);
    const struct drill_transfer *second = &record->transfers[1];
    cr_expect_str_eq(second->id, "7-2");
    cr_expect_str_eq(second->path, "/chat");
    sample_near(second->begin, 2);
    sample_near(second->end, 3);
    cr_expect_eq(second->attempts, 2);
    cr_expect_eq(second->outcome, DRILL_ANSWERED);
    sample_near(record->transfers[0].first, 0.5);
    sample_near(second->first, -1);
    cr_expect(record->transfers[2].exhausted);
    cr_expect_eq(record->transfers[2].outcome, DRILL_THROTTLED);
    cr_expect_eq(record->transfers[3].outcome, DRILL_FAILED);
    const struct drill_attempt *attempts = record->attempts;
    cr_expect_str_eq(record->backends[attempts[1].backend].name, "ptu");
    cr_expect_str_eq(attempts[1].fault, "429");
    cr_expect_eq(attempts[1].outcome, DRILL_THROTTLED);
    sample_near(attempts[1].begin, 2);
    sample_near(attempts[1].end, 2.01);
    cr_expect(attempts[2].answer && !attempts[1].answer);
    cr_expect_eq(attempts[3].outcome, DRILL_FAILED);
    cr_expect_str_eq(attempts[3].error, "connect");
    cr_expect_eq(attempts[3].curl, 7);
    sample_near(record->cooldowns[0].end, 7.01);
    cr_expect_str_eq(record->cooldowns[0].reason, "429");
    cr_expect_eq(record->order[0], 1, "the tier that is preferred comes first");
}

/* Times are logged in milliseconds: what took less seems to begin before what came before it. */
Test(drill_record, attempts_of_a_transfer_follow_one_another) {
    take("time=2026-01-31T12:00:01.008Z level=info pid=7 event=intercepted endpoint=llm path=/a "
         "transfer=7-1\n"
         "time=2026-01-31T12:00:01.009Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 error=reset curl=56 ms=0.332 transfer=7-1\n"
         "time=2026-01-31T12:00:01.009Z level=info pid=7 event=attempt endpoint=llm backend=other "
         "attempt=2 status=200 ms=0.346 transfer=7-1\n"
         "time=2026-01-31T12:00:01.009Z level=info pid=7 event=finished endpoint=llm attempts=2 "
         "status=200 result=0 ms=1 transfer=7-1\n");
    cr_assert_eq(record->attempt_count, 2);
    const struct drill_attempt *first = &record->attempts[0], *second = &record->attempts[1];
    cr_expect_str_eq(record->backends[first->backend].name, "ptu");
    cr_expect(second->answer && !first->answer);
    cr_expect_geq(second->begin, first->end);
    cr_expect_geq(second->end, second->begin);
}

/* The response had begun with a 200: that is no answer. */
Test(drill_record, a_cut_stream_has_failed) {
    take(sample_record);
    const struct drill_attempt *last = &record->attempts[4];
    cr_expect_eq(last->outcome, DRILL_FAILED);
    cr_expect_str_eq(last->error, "cut");
    cr_expect_eq(last->curl, 18);
    cr_expect_not(last->answer);
    cr_expect_eq(figures->errors, 1);
    cr_expect_eq(figures->statuses[200], 2);
}

Test(drill_record, figures) {
    take(sample_record);
    cr_expect_eq(figures->transfers, 4);
    cr_expect_eq(figures->answered, 2);
    cr_expect_eq(figures->statuses[429], 1);
    cr_expect_eq(figures->exhausted, 1);
    cr_expect_eq(figures->retries, 1);
    cr_expect_eq(figures->processes, 1);
    cr_expect_eq(figures->attempts, 5);
    cr_expect_eq(figures->wasted, 3);
    cr_expect_eq(figures->faulted, 2);
    sample_near(figures->answered_share, 0.5);
    sample_near(figures->attempts_per_answer, 2.5);
    sample_near(figures->p50, 1);
    sample_near(figures->longest, 1);
    const struct drill_backend_figures *other = &figures->backends[0], *ptu = &figures->backends[1];
    cr_expect_eq(ptu->attempts, 3);
    cr_expect_eq(ptu->answers, 1);
    cr_expect_eq(ptu->statuses[429], 1);
    cr_expect_eq(ptu->outcomes[DRILL_FAILED], 1);
    sample_near(ptu->cooling, 5);
    cr_expect_eq(other->attempts, 2);
    cr_expect_eq(other->faulted, 1);
    sample_near(other->cooling, 1);
}

/* From 1 s to 7 s: the first answered transfer that begins in it ends at 3 s. What comes from the
 * backend afterwards is cut. */
Test(drill_record, outages) {
    take(sample_record);
    cr_assert_eq(figures->outage_count, 1);
    sample_near(figures->outages[0].after_begin, 2);
    cr_expect(figures->outages[0].ended);
    sample_near(figures->outages[0].after_end, -1);
    sample_near(figures->first_answer_after_begin, 2);
    sample_near(figures->first_answer_after_end, -1);
}

Test(drill_record, an_answer_after_the_outage) {
    take("time=2026-01-31T12:00:07.500Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
         "transfer=7-1\n"
         "time=2026-01-31T12:00:08.250Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=200 ms=750.000 transfer=7-1\n"
         "time=2026-01-31T12:00:09.000Z level=info pid=7 event=finished endpoint=llm transfer=7-1 "
         "attempts=1 status=200 result=0 ms=1500.000\n");
    sample_near(figures->first_answer_after_begin, -1); /* none began in it */
    sample_near(figures->first_answer_after_end, 1.25);
}

Test(drill_record, garbage_is_left_out) {
    char text[sizeof sample_record + 200];
    snprintf(text, sizeof text, "garbage\n\n%stime=2026-01-31T12:00:09.000Z event=torn pi",
             sample_record);
    take(text);
    cr_expect_eq(record->strange, 3);
    cr_expect_eq(record->transfer_count, 4);
}

/* Whatever a line says, what is shown lies within the drill. */
Test(drill_record, times_are_those_of_the_drill) {
    take("time=1999-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=200 ms=99999999999 transfer=7-1\n"
         "time=2999-01-31T12:00:02.000Z level=warn pid=7 event=cooldown endpoint=llm backend=ptu "
         "reason=429 seconds=99999999\n"
         "time=2999-01-31T12:00:02.000Z level=info pid=7 event=finished endpoint=llm transfer=7-1 "
         "status=99999999999999 result=999999999999 ms=99999999\n");
    sample_near(record->attempts[0].begin, 0);
    sample_near(record->attempts[0].end, 0);
    sample_near(record->cooldowns[0].begin, 10);
    sample_near(record->cooldowns[0].end, 10);
    sample_near(record->transfers[0].begin, 0);
    sample_near(record->transfers[0].end, 10);
    cr_expect_eq(figures->statuses[0], 0); /* it failed: it has no status */
}

Test(drill_record, a_killed_process_leaves_its_transfer_unfinished) {
    take("time=2026-01-31T12:00:01.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
         "transfer=7-1\n"
         "time=2026-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=200 ms=900.000 transfer=7-1\n");
    cr_expect_eq(record->transfers[0].outcome, DRILL_UNFINISHED);
    cr_expect_eq(record->attempts[0].outcome, DRILL_UNFINISHED);
    cr_expect_not(record->attempts[0].answer);
    cr_expect_eq(figures->unfinished, 1);
    sample_near(figures->p50, -1);
}

/* It has seen enough, and takes the handle away. */
Test(drill_record, what_the_program_gives_up_is_unfinished) {
    take("time=2026-01-31T12:00:01.000Z level=info pid=7 event=intercepted endpoint=llm path=/chat "
         "transfer=7-1\n"
         "time=2026-01-31T12:00:03.000Z level=info pid=7 event=finished endpoint=llm transfer=7-1 "
         "attempts=1 status=200 ms=2000.000\n");
    cr_expect_eq(record->transfers[0].outcome, DRILL_UNFINISHED);
    sample_near(record->transfers[0].end, 3);
    cr_expect_eq(figures->unfinished, 1);
    cr_expect_eq(drill_statuses(figures->statuses, 0, 599), 0);
}

Test(drill_record, a_process_with_the_number_of_another) {
    char text[2000] = "";
    finish(text, sizeof text, 7, 1, 0, 1, "/one", 200);
    finish(text, sizeof text, 7, 1, 2, 3, "/two", 429);
    take(text);
    cr_assert_eq(record->transfer_count, 2);
    cr_expect_str_eq(record->transfers[0].path, "/one");
    cr_expect_str_eq(record->transfers[1].path, "/two");
    cr_expect_eq(record->transfers[1].outcome, DRILL_THROTTLED);
}

Test(drill_record, how_often_a_fault_met) {
    take("time=2026-01-31T12:00:01.000Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=429 ms=1.000 fault=status fault_number=1\n"
         "time=2026-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=429 ms=1.000 fault=status fault_number=1\n"
         "time=2026-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=llm backend=ptu "
         "attempt=1 status=429 ms=1.000 fault=status fault_number=3\n");
    cr_expect_eq(figures->faulted, 3);
    cr_expect_eq(figures->met[0], 2);
    cr_expect_eq(figures->met[1], 0);
}

Test(drill_record, a_backend_that_the_settings_do_not_have) {
    take("time=2026-01-31T12:00:02.000Z level=info pid=7 event=attempt endpoint=llm backend=new "
         "attempt=1 status=200 ms=900.000\n");
    cr_assert_eq(record->backend_count, 3);
    cr_expect_str_eq(record->backends[2].name, "new");
    cr_expect_eq(record->backends[2].priority, DRILL_UNKNOWN);
    cr_expect_eq(record->order[2], 2);
    cr_expect(record->attempts[0].answer, "without a transfer the status is all that is known");
}

Test(drill_record, a_newer_cooldown_ends_an_older_one) {
    take("time=2026-01-31T12:00:01.000Z level=warn pid=7 event=cooldown endpoint=llm backend=ptu "
         "reason=429 seconds=5.000\n"
         "time=2026-01-31T12:00:02.000Z level=warn pid=7 event=cooldown endpoint=llm backend=other "
         "reason=503 seconds=1.000\n"
         "time=2026-01-31T12:00:03.000Z level=warn pid=7 event=cooldown endpoint=llm backend=ptu "
         "reason=429 seconds=1.000\n");
    sample_near(record->cooldowns[0].end, 3);
    sample_near(record->cooldowns[0].seconds, 5);
    sample_near(figures->backends[1].cooling, 3);
}

Test(drill_record, retries) {
    char text[4000] = "";
    finish(text, sizeof text, 7, 1, 0, 1, "/chat", 429);
    finish(text, sizeof text, 7, 2, 0.5, 1.5, "/chat", 200); /* it had begun before */
    finish(text, sizeof text, 7, 3, 2, 3, "/embeddings", 200);
    finish(text, sizeof text, 8, 1, 2, 3, "/chat", 200);
    finish(text, sizeof text, 7, 4, 4, 4, "/chat", 503); /* this one; and it takes no time */
    finish(text, sizeof text, 7, 5, 5, 6, "/chat", 200); /* and this one, of the one before */
    finish(text, sizeof text, 7, 6, 6, 7, "/chat", 200); /* but nothing is left for this one */
    take(text);
    cr_assert_eq(record->transfer_count, 7);
    for (size_t i = 0; i < 7; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        bool want = strcmp(t->id, "7-4") == 0 || strcmp(t->id, "7-5") == 0;
        cr_expect_eq(t->retry, want, "%s", t->id);
    }
    cr_expect_eq(figures->processes, 2);
}

Test(drill_figures, quantiles) {
    static const double values[] = {1, 2, 3, 4};
    sample_near(drill_quantile(values, 0, 0.5), -1);
    sample_near(drill_quantile(values, 4, 0), 1);
    sample_near(drill_quantile(values, 4, 0.5), 2);
    sample_near(drill_quantile(values, 4, 0.51), 3);
    sample_near(drill_quantile(values, 4, 0.99), 4);
    sample_near(drill_quantile(values, 4, 1), 4);
}
