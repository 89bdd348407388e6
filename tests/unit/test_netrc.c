/*
 * netrc: every form that libcurl reads, files that mean harm, and what reaches the URL.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/request/netrc.h"

#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define TEXT(literal) (literal), sizeof(literal) - 1
#define FILE_LIMIT    ((size_t)1 << 20)
#define ENTRY         "machine h login u password p\n"

static char file[64];

static void make_file(void) {
    snprintf(file, sizeof file, "/tmp/spillway-netrc.XXXXXX");
    int fd = mkstemp(file);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_file(void) {
    unlink(file);
}

/* A test that blocks has failed. */
TestSuite(netrc, .init = make_file, .fini = remove_file, .timeout = 30);

static void write_file(const char *bytes, size_t length) {
    FILE *stream = fopen(file, "wb");
    cr_assert_not_null(stream);
    cr_assert_eq(fwrite(bytes, 1, length, stream), length);
    cr_assert_eq(fclose(stream), 0);
}

/* The host as in a URL: in memory of its own, so that ASan sees what is read beyond it. */
static bool find_in(const char *path, const char *host, const char *login, char *out, size_t size) {
    struct slice slice = {NULL, strlen(host)};
    char *copy = malloc(slice.length ? slice.length : 1);
    cr_assert_not_null(copy);
    memcpy(copy, host, slice.length);
    slice.text = copy;
    errno = EXDEV;
    bool found = netrc_find(path, slice, login, out, size);
    cr_expect_eq(errno, EXDEV);
    free(copy);
    return found;
}

static bool is_wiped(const char *out, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (out[i])
            return false;
    return true;
}

/* The file must give EXPECTED, or nothing if that is NULL. */
static void expect(const char *host, const char *login, const char *expected, const char *what) {
    char out[256];
    memset(out, 'x', sizeof out);
    bool found = find_in(file, host, login, out, sizeof out);
    if (!expected) {
        cr_expect_not(found, "%s", what);
        cr_expect(is_wiped(out, sizeof out), "%s", what);
        return;
    }
    cr_expect(found, "%s", what);
    cr_expect_str_eq(out, expected, "%s", what);
}

static void expect_text(const char *text, const char *expected) {
    write_file(text, strlen(text));
    expect("h", NULL, expected, text);
}

struct form {
    const char *text;
    const char *expected; /* for the host "h" */
};

static void expect_forms(const struct form *forms, size_t count) {
    for (size_t i = 0; i < count; i++)
        expect_text(forms[i].text, forms[i].expected);
}

Test(netrc, layout) {
    static const struct form forms[] = {
        {"machine h login u password p\n", "u:p"},
        {"machine h\nlogin u\npassword p\n", "u:p"},
        {"machine h\r\nlogin u\r\npassword p\r\n", "u:p"},
        {"\r\n\n \t\nmachine\n\n\th\n\nlogin\n \t u\npassword\n\np\n", "u:p"},
        {"machine h password p login u\n", "u:p"},
        {"MACHINE h Login u pASSWORD p\n", "u:p"},
        {"machine h login login password password\n", "login:password"},
        {"machine h login machine password default\n", "machine:default"},
        {"machine h account password login u password p\n", "u:p"},
        {"machine h ACCOUNT a login u account machine password p account", "u:p"},
        {"machine h login u port 5 password p\n", "u:p"},
        {"junk machine h junk login u junk password p junk\n", "u:p"},
        {"login x password y machine h login u password p\n", "u:p"},
        {"machine h login u login v password p password q\n", "v:q"},
        {"machine h login u password\n", "u:"},
        {"machine h login\n", NULL},
        {"machine h login u\n", "u:"},
        {"machine h password p\n", ":p"},
        {"machine h\n", NULL},
        {"machine", NULL},
        {"machines h login u password p\n", NULL},
        {"h login u password p\n", NULL},
        {"machine machine h login u password p\n", NULL},
        {"", NULL},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, quotes) {
    static const struct form forms[] = {
        {"machine h login \"a b\" password \"c\td\"\n", "a%20b:c%09d"},
        {"machine \"h\" login u password p\n", "u:p"},
        {"machine \"\\h\" login u password p\n", "u:p"},
        {"machine h login \"\\\"\\\\\" password \"\\n\\r\\t\\x\"\n", "%22%5C:%0A%0D%09x"},
        {"machine h login \"machine x\" password \"password q\"\n", "machine%20x:password%20q"},
        {"machine h login \"a\nb\" password p\n", "a%0Ab:p"},
        {"machine h login \"#\" password \" #\"\n", "%23:%20%23"},
        {"machine h login \"\" password p\n", ":p"},
        {"machine h login u password \"\"\n", "u:"},
        {"machine h login \"u\"password p\n", "u:p"},
        {"machine h login \"u\"\"x\" password p\n", "u:p"},
        {"machine h login a\"b password c\"d\n", "a%22b:c%22d"},
        {"machine h login a\\b password \\n\n", "a%5Cb:%5Cn"},
        {"\"machine\" h login u password p\n", NULL},
        {"machine h \"login\" u password p\n", ":p"},
        {"machine \"H \" login u password p\n", NULL},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, quotes_that_never_end) {
    static const struct form forms[] = {
        {"machine h login \"u password p\n", NULL},
        {"machine h login u password \"p\n", NULL},
        {"machine h login u password \"p\\\"\n", NULL},
        {"machine h login u password \"p\\", NULL},
        {"machine h login u password \"", NULL},
        {"machine h login u password p \"\n", NULL},
        {"machine \"h login u password p\n", NULL},
        {"machine x login \"y\n" ENTRY, NULL},
        {"\"", NULL},
        {ENTRY "machine x login \"y\n", "u:p"},
        {"default login u password p\nmachine x login \"y\n" ENTRY, "u:p"},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, comments) {
    static const struct form forms[] = {
        {"# machine h login x password y\n" ENTRY, "u:p"},
        {" \t# \"\n" ENTRY "#", "u:p"},
        {"#\n" ENTRY, "u:p"},
        {"machine h # login x\nlogin u #password y\npassword p#\n", "u:p%23"},
        {"machine h\n#login x\n login u\n# password y\n password p\n", "u:p"},
        {"machine h login\n# x\nu password\n#y\np\n", "u:p"},
        {"machine h login #u password #p\n", "%23u:%23p"},
        {"machine h login u password #\n", "u:%23"},
        {"machine h#x login u password p\n", NULL},
        {"# machine h login u password p", NULL},
        {"# \r machine h login u password p\r\n", NULL},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, macros) {
    static const struct form forms[] = {
        {"macdef m\nmachine h login x password y\n\n" ENTRY, "u:p"},
        {"macdef m\r\nmachine h login x password y\r\n\r\n" ENTRY, "u:p"},
        {"MACDEF m\n \"\n\n" ENTRY, "u:p"},
        {"macdef m\n\n" ENTRY, "u:p"},
        {"macdef\n\n" ENTRY, "u:p"},
        {"macdef m\nput\n \n" ENTRY "\n", NULL},
        {"macdef m\nput\n#\n" ENTRY "\n", NULL},
        {"macdef m\n" ENTRY, NULL},
        {"macdef m\n" ENTRY "\n\n", NULL},
        {"macdef m", NULL},
        {"macdef", NULL},
        {"machine h login u password p\nmacdef init\nlogin x\npassword y\n\n", "u:p"},
        {"machine h login u\nmacdef init\nput\n\npassword x\n", "u:"},
        {"machine h\nmacdef init\nput\n\nlogin x password y\n" ENTRY, "u:p"},
        {"machine x login y\nmacdef m\nmachine h login x\n\n" ENTRY, "u:p"},
        {"macdef a\nx\n\nmacdef b\nmachine h login x\n\n" ENTRY, "u:p"},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, several_machines) {
    static const struct form forms[] = {
        {"machine a login x password y\n" ENTRY "machine b login z\n", "u:p"},
        {"machine a machine h login u password p machine b login z", "u:p"},
        {"machine h1 login x\nmachine xh login y\nmachine h. login z\n", NULL},
        {ENTRY "machine h login x password y\n", "u:p"},
        {"machine h\n" ENTRY, "u:p"},
        {"machine h login u\nmachine a login x password y\n", "u:"},
        {"machine \"\" login x password y\n", NULL},
        {"default login u password p\n", "u:p"},
        {"DEFAULT login u password p\n", "u:p"},
        {"default\n", NULL},
        {"default password p\n", ":p"},
        {"machine a login x password y\ndefault login u password p\n", "u:p"},
        {ENTRY "default login x password y\n", "u:p"},
        {"default login x password y\n" ENTRY, "u:p"},
        {"machine h\ndefault login u password p\n", "u:p"},
        {"default login u password p\ndefault login x password y\n", "u:p"},
        {"machine default login u password p\n", NULL},
    };
    expect_forms(forms, COUNT(forms));
}

Test(netrc, names_of_hosts) {
    static const struct {
        const char *name;
        const char *host;
        bool same;
    } cases[] = {
        {"API.Example.com", "api.eXAMPLE.COM", true},
        {"api.example.com", "api.example.co", false},
        {"api.example.com", "example.com", false},
        {"h[", "h{", false},
        {"h@", "h`", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"::1", "[::1]", true},
        {"2001:DB8::1", "[2001:db8::1]", true},
        {"[::1]", "[::1]", false},
        {"h.", "h.", true},
        {"h.", "h", false},
        {"h", "", false},
        {"h", "[", false},
        {"\xc3\x89", "\xc3\xa9", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128];
        int length = snprintf(text, sizeof text, "machine %s login u password p\n", cases[i].name);
        write_file(text, (size_t)length);
        expect(cases[i].host, NULL, cases[i].same ? "u:p" : NULL, text);
    }
}

Test(netrc, of_a_login) {
    static const struct {
        const char *text;
        const char *login;
        const char *expected;
    } cases[] = {
        {"machine h login a password 1\nmachine h login u password 2\n", "u", "u:2"},
        {"machine h login a password 1\nmachine h login u password 2\n", "a", "a:1"},
        {"machine h login a password 1\nmachine h login u password 2\n", NULL, "a:1"},
        {"machine h login a password 1\nmachine h login u password 2\n", "", "a:1"},
        {"machine h login a password 1\nmachine h login u password 2\n", "b", NULL},
        {"machine h password 1 login u\n", "u", "u:1"},
        {"machine h login U password 1\nmachine h login u password 2\n", "u", "u:2"},
        {"machine h login uu password 1\n", "u", NULL},
        {"machine h login u password 1\n", "uu", NULL},
        {"machine h login \"a \\\"b\" password 1\n", "a \"b", "a%20%22b:1"},
        {"machine h login u\n", "u", "u:"},
        {"machine h password p\n", "u", NULL},
        {"machine x login u password p\n", "u", NULL},
        {"machine h login a password 1\ndefault login u password 2\n", "u", "u:2"},
        {"default login u password 2\nmachine h login u password 1\n", "u", "u:1"},
        {"default login a password 2\n", "u", NULL},
        {"default password 2\n", "u", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(cases[i].text, strlen(cases[i].text));
        expect("h", cases[i].login, cases[i].expected, cases[i].text);
    }
}

/*
 * Each byte in values with and without quotes, as itself only if RFC 3986 calls it unreserved.
 * Without quotes, four characters end a value and no other one does.
 */
Test(netrc, is_percent_encoded) {
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (int c = 1; c < 256; c++) {
        char text[64], expected[16];
        const char *escape = c == '"' || c == '\\' ? "\\" : "";
        const char *quote = strchr(" \t\r\n", c) ? "\"" : "";
        snprintf(text, sizeof text, "machine h login \"%s%c\" password %sp%c%s\n", escape, c, quote,
                 c, quote);
        if (strchr(unreserved, c))
            snprintf(expected, sizeof expected, "%c:p%c", c, c);
        else
            snprintf(expected, sizeof expected, "%%%02X:p%%%02X", (unsigned)c, (unsigned)c);
        expect_text(text, expected);
    }
}

/* Whatever SIZE is: all of it or nothing, and no byte beyond, which ASan sees. */
Test(netrc, fits_or_is_wiped) {
    static const struct form forms[] = {
        {"machine h login a/b password c@\n", "a%2Fb:c%40"},
        {"machine h login u password p\n", "u:p"},
        {"machine h login u\n", "u:"},
        {"machine h password p\n", ":p"},
        {"machine h password \"\"\n", ":"},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        size_t needed = strlen(forms[i].expected) + 1;
        write_file(forms[i].text, strlen(forms[i].text));
        for (size_t size = 0; size <= needed + 3; size++) {
            char *out = malloc(size + 1);
            cr_assert_not_null(out);
            memset(out, 'x', size + 1);
            bool found = find_in(file, "h", NULL, out, size);
            cr_expect_eq(found, size >= needed, "%s %zu", forms[i].text, size);
            cr_expect(found ? strcmp(out, forms[i].expected) == 0 : is_wiped(out, size), "%zu",
                      size);
            cr_expect_eq(out[size], 'x');
            free(out);
        }
    }
}

Test(netrc, nul_bytes_make_a_file_unreadable) {
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {TEXT(ENTRY "\0")},
        {TEXT("\0" ENTRY)},
        {TEXT("machine h\0login u password p\n")},
        {TEXT("machine h login u password p\0q\n")},
        {TEXT("machine h login u password \"p\0\"\n")},
        {TEXT("machine h\0x login u password p\n")},
        {TEXT("# \0\n" ENTRY)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(cases[i].bytes, cases[i].length);
        expect("h", NULL, NULL, cases[i].bytes);
    }
}

/* BEGIN, then as much of FILL as is needed, then END: LENGTH bytes in all. */
static void write_filled(const char *begin, char fill, const char *end, size_t length) {
    char *bytes = malloc(length);
    cr_assert_not_null(bytes);
    memset(bytes, fill, length);
    memcpy(bytes, begin, strlen(begin));
    memcpy(bytes + length - strlen(end), end, strlen(end));
    write_file(bytes, length);
    free(bytes);
}

Test(netrc, of_1_mib_is_read_and_no_larger_one) {
    write_filled("#", 'x', "\n" ENTRY, FILE_LIMIT);
    expect("h", NULL, "u:p", "1 MiB");
    write_filled("#", 'x', "\n" ENTRY, FILE_LIMIT + 1);
    expect("h", NULL, NULL, "a byte more");
    write_filled(ENTRY, '\n', "\n", FILE_LIMIT + 1);
    expect("h", NULL, NULL, "a byte more, after the entry");
    cr_assert_eq(truncate(file, (off_t)1 << 40), 0);
    expect("h", NULL, NULL, "a hole of 1 TiB");
}

Test(netrc, huge_tokens) {
    static const struct {
        const char *begin;
        char fill;
        const char *end;
        const char *expected;
    } cases[] = {
        {"", 'a', "\n" ENTRY, "u:p"},
        {"\"", '"', "\n" ENTRY, "u:p"},
        {"\"", '\\', "\n" ENTRY, NULL},
        {"machine ", 'a', "\n" ENTRY, "u:p"},
        {"machine h login ", 'a', " password p\n", NULL},
        {"machine h login u password ", 'a', "\n", NULL},
        {"machine h login u password \"", '\n', "\"\n", NULL},
        {"machine x login ", 'a', "\n" ENTRY, "u:p"},
        {"macdef m\n", 'a', "\n\n" ENTRY, "u:p"},
        {"macdef m\n", '\r', "\n" ENTRY, "u:p"},
        {"", ' ', ENTRY, "u:p"},
        {"", '\n', ENTRY, "u:p"},
        {"", '#', "\n" ENTRY, "u:p"},
        {"", '"', "", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char what[64];
        /* An odd number of bytes between two quotes keeps what follows out of them. */
        size_t rest = strlen(cases[i].begin) + strlen(cases[i].end);
        write_filled(cases[i].begin, cases[i].fill, cases[i].end, FILE_LIMIT - 1001 + rest % 2);
        snprintf(what, sizeof what, "%zu: a megabyte of 0x%02x", i, (unsigned)cases[i].fill);
        expect("h", NULL, cases[i].expected, what);
    }
}

/* Every beginning of a file with all forms, each in memory that ends where the text does. */
Test(netrc, cut_anywhere) {
    static const char text[] = "# c\nmacdef m\nmachine h\n\nmachine \"a\\tb\" login x account y\n"
                               "default login d\nmachine h login \"u\\\"\" password p # c\r\n";
    for (size_t length = 0; length < sizeof text; length++) {
        char out[64];
        write_file(text, length);
        bool found = find_in(file, "h", NULL, out, sizeof out);
        cr_expect(found || is_wiped(out, sizeof out), "%zu", length);
    }
    expect("h", NULL, "u%22:p", "whole");
}

static size_t open_descriptors(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    cr_assert_not_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

Test(netrc, leaves_no_descriptor) {
    static const char nul[] = ENTRY; /* with the NUL byte that ends it */
    size_t before = open_descriptors();
    expect_text(ENTRY, "u:p");
    expect_text("", NULL);
    write_file(nul, sizeof nul);
    expect("h", NULL, NULL, "a NUL byte");
    cr_expect_eq(open_descriptors(), before);
}

Test(netrc, nothing_but_regular_files_is_opened) {
    char out[8] = "xxxxxxx", link[80];
    static const char *const paths[] = {"/tmp/spillway-netrc.none/x", "/tmp", "/dev/null",
                                        "/dev/zero", ""};
    for (size_t i = 0; i < COUNT(paths); i++) {
        memset(out, 'x', sizeof out);
        cr_expect_not(find_in(paths[i], "h", NULL, out, sizeof out), "%s", paths[i]);
        cr_expect(is_wiped(out, sizeof out));
    }
    write_file(ENTRY, strlen(ENTRY));
    snprintf(link, sizeof link, "%s.link", file);
    cr_assert_eq(symlink(file, link), 0);
    cr_expect(find_in(link, "h", NULL, out, sizeof out), "a link to a file");
    unlink(link);
    unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    cr_assert_geq(inotify_add_watch(watch, file, IN_OPEN), 0);
    expect("h", NULL, NULL, "a fifo");
    char event[512];
    cr_expect_lt(read(watch, event, sizeof event), 0, "it was opened, which a writer would notice");
    close(open(file, O_RDONLY | O_NONBLOCK));
    cr_expect_gt(read(watch, event, sizeof event), 0);
    close(watch);
}

static const char *home; /* the value of HOME */

static const char *lookup(const char *name) {
    errno = ENOENT;
    return strcmp(name, "HOME") == 0 ? home : "/other";
}

Test(netrc, default_path) {
    static const struct form cases[] = {
        {"/home/u", "/home/u/.netrc"},
        {"/", "//.netrc"},
        {"relative", "relative/.netrc"},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        home = cases[i].text;
        size_t needed = cases[i].expected ? strlen(cases[i].expected) + 1 : 0;
        for (size_t size = 0; size < 20; size++) {
            char *out = malloc(size + 1);
            cr_assert_not_null(out);
            memset(out, 'x', size + 1);
            errno = EXDEV;
            bool fits = netrc_default_path(lookup, out, size);
            cr_expect_eq(errno, EXDEV);
            cr_expect_eq(fits, needed && size >= needed, "%zu: %zu", i, size);
            if (size)
                cr_expect_str_eq(out, fits ? cases[i].expected : "");
            cr_expect_eq(out[size], 'x');
            free(out);
        }
    }
}
