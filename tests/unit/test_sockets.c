/* The logical hosts that programs without libcurl are served for, and how they are known again. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "shim/socket/directory.h"
#include "shim/socket/spot.h"
#include "shim/socket/table.h"

static struct settings *settings_of(const char *lines) {
    char text[2000];
    struct settings_error error;
    snprintf(text, sizeof text, "%s", lines);
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%u:%u: %s", error.line, error.column, error.message);
    return settings;
}

static const char several[] =
    "endpoints:\n"
    "  - {urls: [http://LLM.internal/v1, http://llm.internal:8080/v1, https://llm.internal/v1],\n"
    "     backends: [{url: http://a.example}]}\n"
    "  - {urls: [http://other.test/a, 'http://[::1]:81/v1', http://10.0.0.5/v1], sockets: "
    "address,\n"
    "     backends: [{url: https://b.example}, {host: c.example, priority: 2}]}\n"
    "  - {url: http://other.test/b, backends: [{url: http://a.example}]}\n"
    "  - {url: http://off.test/v1, sockets: off, backends: [{url: http://a.example}]}\n";

static struct in6_addr address_of(const char *text) {
    struct in6_addr address;
    cr_assert_eq(inet_pton(AF_INET6, text, &address), 1);
    return address;
}

static enum way way_at(const struct table *table, const char *name, uint16_t port) {
    const struct host *host = table_find(table, name);
    cr_assert_not_null(host, "%s", name);
    const struct service *service = table_service(host, port);
    cr_assert_not_null(service, "%s:%u", name, port);
    return service->way;
}

Test(sockets, table_has_the_hosts_of_the_settings) {
    struct settings *settings = settings_of(several);
    struct table *table = table_new(settings);
    cr_assert_not_null(table);
    cr_expect_eq(table->count, 4);
    cr_expect(table->has_numeric);
    cr_expect(table->has_addresses);
    cr_expect_eq(way_at(table, "llm.INTERNAL.", 80), WAY_RELAY);
    cr_expect_eq(way_at(table, "llm.internal", 8080), WAY_RELAY);
    cr_expect_eq(way_at(table, "llm.internal", 443), WAY_ALONE);
    cr_expect_eq(way_at(table, "other.test", 80), WAY_RELAY, "it tells requests apart");
    cr_expect_eq(way_at(table, "10.0.0.5", 80), WAY_ADDRESS);
    cr_expect_null(table_find(table, "off.test"));
    cr_expect_null(table_find(table, "llm.interna"));
    cr_expect_null(table_find(table, "llm.internal.x"));
    cr_expect_null(table_find(table, ""));
    cr_expect_null(table_service(table_find(table, "llm.internal"), 81));
    struct in6_addr numeric = address_of("::ffff:10.0.0.5"), six = address_of("::1");
    cr_expect_eq(table_at(table, &numeric), table_find(table, "10.0.0.5"));
    cr_expect_eq(table_at(table, &six), table_find(table, "::1"));
    const struct service *service = table_service(table_find(table, "10.0.0.5"), 80);
    cr_assert_eq(service->place_count, 2);
    cr_expect_eq(service->places[0].port, 443);
    cr_expect_eq(service->places[1].port, 80, "the scheme that the program asks with");
    table_free(table);
    settings_free(settings);
}

Test(sockets, literals_are_the_same_everywhere_and_lead_back) {
    struct settings *settings = settings_of(several);
    struct table *a = table_new(settings), *b = table_new(settings);
    char text[TABLE_LITERAL_SIZE], again[TABLE_LITERAL_SIZE];
    struct host *host = table_find(a, "llm.internal");
    table_literal(host, false, text);
    table_literal(table_find(b, "llm.internal"), false, again);
    cr_expect_str_eq(text, again);
    struct in_addr v4;
    cr_assert_eq(inet_pton(AF_INET, text, &v4), 1, "%s", text);
    cr_expect_eq(ntohl(v4.s_addr) & TABLE_MASK, TABLE_NET);
    table_literal(host, true, text);
    struct in6_addr mapped = address_of(text);
    cr_expect_eq(table_at(a, &mapped), host);
    table_free(a);
    table_free(b);
    settings_free(settings);
}

/* More hosts than a hash has room to keep apart without help. */
Test(sockets, no_two_hosts_have_one_literal) {
    char text[20000] = "endpoints:\n";
    for (int i = 0; i < 200; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used,
                 "  - {url: http://host-%d.test/v1, backends: [{url: http://a}]}\n", i);
    }
    struct settings_error error;
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%s", error.message);
    struct table *table = table_new(settings);
    cr_assert_eq(table->count, 200);
    for (size_t i = 0; i < table->count; i++)
        cr_expect_eq(table_at(table, &table->hosts[i].address), &table->hosts[i]);
    table_free(table);
    settings_free(settings);
}

Test(sockets, tables_that_serve_alike_are_the_same) {
    static const char one[] = "endpoints: [{url: http://a/v1, backends: [{url: http://x}]}]";
    static const char two[] = "endpoints: [{url: http://a/v2, backends: [{url: http://y}]}]";
    static const char port[] = "endpoints: [{url: http://a:81/v1, backends: [{url: http://x}]}]";
    static const char *const texts[] = {one, two, port};
    struct settings *settings[3];
    struct table *tables[3];
    for (int i = 0; i < 3; i++) {
        settings[i] = settings_of(texts[i]);
        tables[i] = table_new(settings[i]);
    }
    cr_expect(table_same(tables[0], tables[1]));
    cr_expect_not(table_same(tables[0], tables[2]));
    for (int i = 0; i < 3; i++) {
        table_free(tables[i]);
        settings_free(settings[i]);
    }
}

Test(sockets, announcements_are_read_as_they_are_meant) {
    static const struct {
        const char *text, *address;
        uint16_t port;
        bool found;
    } rows[] = {
        {"10.0.0.5:80=r", "::ffff:10.0.0.5", 80, true},
        {"10.0.0.5:80=r", "::ffff:10.0.0.5", 81, false},
        {"10.0.0.5:80=r", "::ffff:10.0.0.6", 80, false},
        {"10.0.0.5:80=r [::1]:8080=r", "::1", 8080, true},
        {"x  10.0.0.5:80=r", "::ffff:10.0.0.5", 80, true},
        {"10.0.0.5:80=a", "::ffff:10.0.0.5", 80, false},
        {"10.0.0.5:80", "::ffff:10.0.0.5", 80, false},
        {"10.0.0.5:65616=r", "::ffff:10.0.0.5", 80, false},
        {"10.0.0.5:=r", "::ffff:10.0.0.5", 80, false},
        {"10.0.0.5:80=rr", "::ffff:10.0.0.5", 80, false},
        {"[::1:8080=r", "::1", 8080, false},
        {"::1:8080=r", "::1", 8080, false},
        {"[]:80=r : =r", "::", 80, false},
        {"", "::", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct in6_addr address = address_of(rows[i].address);
        cr_expect_eq(directory_announces(rows[i].text, &address, rows[i].port), rows[i].found, "%s",
                     rows[i].text);
    }
}

Test(sockets, spots_are_read_as_they_were_written) {
    struct spot spot = {0};
    struct spot_addresses in = {.has_v4 = true}, out;
    cr_expect_not(spot_read(&spot, &out), "nothing is known");
    in.v4.s_addr = htonl(0x0a000005);
    cr_expect(spot_write(&spot, &in));
    cr_assert(spot_read(&spot, &out));
    cr_expect(out.has_v4 && !out.has_v6 && out.v4.s_addr == in.v4.s_addr);
    in = (struct spot_addresses){.has_v6 = true, .v6 = address_of("2001:db8::1")};
    cr_expect(spot_write(&spot, &in));
    cr_assert(spot_read(&spot, &out));
    cr_expect(!out.has_v4 && out.has_v6 && IN6_ARE_ADDR_EQUAL(&out.v6, &in.v6));
    spot.version++; /* a writer that was interrupted, by this very thread perhaps */
    cr_expect_not(spot_read(&spot, &out));
    cr_expect_not(spot_write(&spot, &in));
}
