/* The authority for https through the relay: what it is good for, and what is not taken for one. */
#include <criterion/criterion.h>

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/trust.h"
#include "shim/relay/authority.h"

#define NOW ((time_t)1800000000)

static char directory[PATH_MAX], message[500];

static void begin(void) {
    char base[] = "/tmp/spillway-authority-XXXXXX";
    cr_assert_not_null(mkdtemp(base));
    snprintf(directory, sizeof directory, "%s/a/b/ca", base);
}

static void end(void) {
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "rm -rf '%.32s'", directory);
    cr_expect_eq(system(command), 0); // NOLINT(cert-env33-c)
}

TestSuite(authority, .init = begin, .fini = end);

static struct settings *settings_for(const char *urls) {
    char text[1000];
    struct settings_error error;
    snprintf(text, sizeof text,
             "relay: {tls: on}\nendpoints:\n"
             "  - {urls: [%s], backends: [{url: http://a.example}]}\n"
             "  - {url: https://not.relayed/v1, sockets: address, backends: [{url: http://a}]}\n",
             urls);
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%s", error.message);
    return settings;
}

static struct authority *made(const struct settings *settings) {
    cr_assert(authority_create(directory, settings, NOW, message, sizeof message), "%s", message);
    struct authority *authority = authority_open(directory, settings, NOW, message, sizeof message);
    cr_assert_not_null(authority, "%s", message);
    return authority;
}

/* Whether who trusts the authority takes LEAF for HOST at TIME. */
static bool is_trusted(const gnutls_pcert_st *leaf, const char *host, time_t time) {
    char path[PATH_MAX + 16];
    unsigned status = 0;
    gnutls_x509_trust_list_t list;
    gnutls_x509_crt_t certificate;
    gnutls_typed_vdata_st name = {GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)(uintptr_t)host, 0};
    snprintf(path, sizeof path, "%s/%s", directory, AUTHORITY_CERTIFICATE);
    cr_assert_geq(gnutls_x509_trust_list_init(&list, 0), 0);
    cr_assert_eq(gnutls_x509_trust_list_add_trust_file(list, path, NULL, GNUTLS_X509_FMT_PEM, 0, 0),
                 1);
    cr_assert_geq(gnutls_x509_crt_init(&certificate), 0);
    cr_assert_geq(gnutls_x509_crt_import(certificate, &leaf->cert, GNUTLS_X509_FMT_DER), 0);
    cr_assert_geq(gnutls_x509_trust_list_verify_crt2(list, &certificate, 1, &name, 1,
                                                     GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status,
                                                     NULL),
                  0);
    bool timely = gnutls_x509_crt_get_activation_time(certificate) <= time &&
                  time < gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_trust_list_deinit(list, 1);
    return status == 0 && timely;
}

Test(authority, signs_for_the_hosts_of_the_settings_alone) {
    struct settings *settings =
        settings_for("https://API.openai.com/v1, http://plain/v1, 'https://[::1]:8443/v1', "
                     "https://10.0.0.7/v1");
    struct authority *authority = made(settings);
    gnutls_pcert_st *leaf, *again;
    gnutls_privkey_t key;
    static const char *const others[] = {
        "plain", "not.relayed", "openai.com", "example.org", "10.0.0.8", "", "api.openai.com.evil"};
    cr_assert(authority_leaf(authority, "Api.OpenAI.com", 14, NOW, &leaf, &key));
    cr_expect(is_trusted(leaf, "api.openai.com", NOW));
    cr_expect_not(is_trusted(leaf, "example.org", NOW));
    cr_expect_not(is_trusted(leaf, "api.openai.com", NOW + LEAF_LIFE + 1), "it is short-lived");
    cr_assert(authority_leaf(authority, "api.openai.com", 14, NOW + LEAF_LIFE / 2, &again, &key));
    cr_expect_eq(again, leaf, "one for half a day");
    cr_assert(authority_leaf(authority, "api.openai.com", 14, NOW + LEAF_LIFE, &again, &key));
    cr_expect_neq(again, leaf);
    cr_expect(is_trusted(again, "api.openai.com", NOW + LEAF_LIFE));
    cr_assert(authority_leaf(authority, "::1", 3, NOW, &leaf, &key));
    cr_expect(is_trusted(leaf, "::1", NOW));
    cr_assert(authority_leaf(authority, "10.0.0.7", 8, NOW, &leaf, &key));
    cr_expect(is_trusted(leaf, "10.0.0.7", NOW));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_not(authority_leaf(authority, others[i], strlen(others[i]), NOW, &leaf, &key),
                      "%s", others[i]);
    authority_free(authority);
    settings_free(settings);
}

/* The constraint holds whoever has got the key, and whatever he signs. */
Test(authority, is_constrained) {
    struct settings *narrow = settings_for("https://a.test/v1"),
                    *wide = settings_for("https://a.test/v1, https://b.test/v1, "
                                         "'https://[::1]/v1', https://10.0.0.7/v1");
    static const char *const outside[] = {"b.test", "10.0.0.7", "::1"};
    gnutls_pcert_st *leaf;
    gnutls_privkey_t key;
    authority_free(made(narrow));
    cr_expect_null(authority_open(directory, wide, NOW, message, sizeof message));
    cr_expect_not_null(strstr(message, "b.test"), "%s", message);
    struct authority *authority = made(wide);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        cr_assert(authority_leaf(authority, outside[i], strlen(outside[i]), NOW, &leaf, &key));
        cr_expect(is_trusted(leaf, outside[i], NOW), "%s", outside[i]);
    }
    authority_free(authority);
    settings_free(wide);
    settings_free(narrow);
}

Test(authority, is_checked_before_it_is_used) {
    struct settings *settings = settings_for("https://a.test/v1");
    char key[PATH_MAX + 16], other[PATH_MAX + 16];
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    authority_free(made(settings));
    snprintf(key, sizeof key, "%s/%s", directory, AUTHORITY_KEY);
    snprintf(other, sizeof other, "%s/other", directory);
    cr_expect_null(
        authority_open(directory, settings, NOW + AUTHORITY_LIFE, message, sizeof message));
    cr_expect_not_null(strstr(message, "time"), "%s", message);
    cr_expect_null(authority_open(directory, settings, NOW - 7200, message, sizeof message));
    cr_assert_eq(chmod(key, 0640), 0);
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    cr_expect_not_null(strstr(message, "alone"), "%s", message);
    cr_assert_eq(chmod(key, 0600), 0);
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    cr_assert_eq(chmod(directory, 0700), 0);
    cr_assert_eq(rename(key, other), 0);
    cr_assert_eq(symlink("other", key), 0);
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    cr_assert_eq(rename(other, key), 0);
    authority_free(authority_open(directory, settings, NOW, message, sizeof message));
    cr_assert_eq(rename(key, other), 0);
    authority_free(made(settings));
    cr_assert_eq(rename(other, key), 0);
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    cr_expect_not_null(strstr(message, "belong"), "%s", message);
    cr_assert_eq(truncate(key, 10), 0);
    cr_expect_null(authority_open(directory, settings, NOW, message, sizeof message));
    settings_free(settings);
}

Test(authority, needs_an_https_url) {
    struct settings *settings = settings_for("http://a.test/v1");
    cr_expect_not(authority_create(directory, settings, NOW, message, sizeof message));
    cr_expect_eq(access(directory, F_OK), -1);
    cr_expect_not(trust_needed(settings));
    settings_free(settings);
}

static size_t size_of(const char *path) {
    struct stat status;
    cr_assert_eq(stat(path, &status), 0, "%s", path);
    return (size_t)status.st_size;
}

Test(authority, joins_what_the_program_would_trust) {
    struct settings *settings = settings_for("https://a.test/v1");
    char own[PATH_MAX], base[PATH_MAX], first[PATH_MAX], second[PATH_MAX], third[PATH_MAX];
    authority_free(made(settings));
    cr_expect(trust_needed(settings));
    snprintf(base, sizeof base, "%.1000s/base", directory);
    base[strlen(base) - 8] = '\0'; /* beside the directory: ".../a/b/" */
    strncat(base, "base.pem", 9);
    FILE *file = fopen(base, "w");
    cr_assert_not_null(file);
    fputs("theirs", file);
    fclose(file);
    snprintf(own, sizeof own, "%.1000s/%s", directory, AUTHORITY_CERTIFICATE);
    cr_assert(trust_bundle(directory, base, first, message, sizeof message), "%s", message);
    cr_expect_eq(size_of(first), 6 + 1 + size_of(own) + 1);
    cr_assert(trust_bundle(directory, NULL, second, message, sizeof message), "%s", message);
    cr_expect_str_neq(second, first, "that of the system");
    cr_assert(trust_bundle(directory, first, third, message, sizeof message));
    cr_expect_str_eq(third, first, "it is in there already");
    file = fopen(base, "a");
    cr_assert_not_null(file);
    fputs(" and more", file);
    fclose(file);
    cr_assert(trust_bundle(directory, base, third, message, sizeof message));
    cr_expect_str_eq(third, first);
    cr_expect_eq(size_of(first), 15 + 1 + size_of(own) + 1, "it follows");
    cr_expect_not(trust_bundle(directory, "/nonexistent", third, message, sizeof message));
    settings_free(settings);
}
