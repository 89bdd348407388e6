/* The body of a request to a mock as it arrives, in memory and in a file. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/command/mock_body.h"

/* The names in the directory FD, hidden ones too, how many there are. */
static unsigned entries(int fd) {
    DIR *directory = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY));
    unsigned count = 0;
    cr_assert_not_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}

static int make_directory(char path[]) {
    cr_assert_not_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(mock_body, goes_byte_for_byte_into_a_file_with_its_number) {
    char path[] = "/tmp/mock-body.XXXXXX", text[16];
    int directory = make_directory(path);
    struct mock_body body;
    for (int again = 0; again < 2; again++) {
        mock_body_begin(&body, directory, 7);
        cr_expect(mock_body_add(&body, "a\0b", 3));
        cr_expect(mock_body_add(&body, "\r\n", 2));
        cr_expect(mock_body_save(&body, "east", 3));
        cr_expect(mock_body_whole(&body) && body.length == 5);
        cr_expect(memcmp(body.kept, "a\0b\r\n", 5) == 0);
        mock_body_end(&body);
    }
    int fd = openat(directory, "east-3.body", O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_expect_eq(read(fd, text, sizeof text), 5);
    cr_expect(memcmp(text, "a\0b\r\n", 5) == 0);
    close(fd);
    cr_expect_eq(entries(directory), 1);
    unlinkat(directory, "east-3.body", 0);
    close(directory);
    rmdir(path);
}

Test(mock_body, of_an_unfinished_request_leaves_no_file) {
    char path[] = "/tmp/mock-body.XXXXXX";
    int directory = make_directory(path);
    struct mock_body body;
    mock_body_begin(&body, directory, 1);
    cr_expect(mock_body_add(&body, "abc", 3));
    mock_body_end(&body);
    cr_expect_eq(entries(directory), 0);
    close(directory);
    rmdir(path);
}

Test(mock_body, tells_of_a_file_that_cannot_be) {
    char path[] = "/tmp/mock-body.XXXXXX";
    int directory = make_directory(path);
    struct mock_body body;
    rmdir(path);
    mock_body_begin(&body, directory, 1);
    cr_expect(mock_body_add(&body, "abc", 3));
    cr_expect(!mock_body_save(&body, "east", 1));
    cr_expect(body.length == 3 && mock_body_whole(&body));
    mock_body_end(&body);
    close(directory);
}

Test(mock_body, keeps_the_beginning_of_what_is_too_long) {
    size_t size = 1u << 20;
    char *piece = malloc(size), hash[MOCK_HASH_SIZE], expected[MOCK_HASH_SIZE];
    struct mock_hash whole;
    struct mock_body body;
    cr_assert_not_null(piece);
    mock_hash_start(&whole);
    mock_body_begin(&body, -1, 1);
    for (unsigned i = 0; i <= MOCK_BODY_KEPT / size; i++) {
        memset(piece, (int)('a' + i % 26), size);
        cr_expect_eq(mock_body_whole(&body), true);
        cr_expect(mock_body_add(&body, piece, size));
        mock_hash_add(&whole, piece, size);
    }
    cr_expect(!mock_body_whole(&body));
    cr_expect_eq(body.kept_length, MOCK_BODY_KEPT);
    cr_expect_eq(body.length, MOCK_BODY_KEPT + size);
    cr_expect_eq(body.kept[MOCK_BODY_KEPT - 1], 'a' + (MOCK_BODY_KEPT / (1 << 20) - 1) % 26);
    cr_expect(mock_body_save(&body, "east", 1), "without a directory there is nothing to tell");
    mock_hash_finish(&whole, expected);
    mock_hash_finish(&body.hash, hash);
    cr_expect_str_eq(hash, expected);
    mock_body_end(&body);
    free(piece);
}
