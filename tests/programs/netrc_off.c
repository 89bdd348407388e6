/*
 * Two requests on one handle: with the netrc file, then with netrc off.
 *
 *     netrc_off URL FILE
 */
#include <curl/curl.h>

static size_t discard(char *data, size_t size, size_t count, void *unused) {
    (void)data, (void)unused;
    return size * count;
}

int main(int argc, char **argv) {
    CURL *easy = curl_easy_init();
    if (argc != 3 || !easy)
        return 2;
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(easy, CURLOPT_NETRC_FILE, argv[2]);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    CURLcode first = curl_easy_perform(easy);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    CURLcode second = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    return first != CURLE_OK || second != CURLE_OK;
}
