/*
 * A module with one function, built against one libcurl or another. It prints which one made its
 * transfer, which is the one that calls its write function.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *caller;

static size_t count_body(char *data, size_t size, size_t count, void *total) {
    Dl_info info;
    (void)data;
    *(size_t *)total += size * count;
    if (dladdr(__builtin_return_address(0), &info))
        caller = strrchr(info.dli_fname, '/') + 1;
    return size * count;
}

/* Makes a transfer and prints how it ended. MULTI: by the multi interface. */
int fetch(const char *url, int multi);

int fetch(const char *url, int multi) {
    CURLcode result = CURLE_OK;
    size_t total = 0;
    long code = 0;
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, curl_version());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &total);
    if (multi) {
        CURLM *loop = curl_multi_init();
        CURLMsg *message;
        int running = 0, left;
        curl_multi_add_handle(loop, easy);
        do {
            curl_multi_perform(loop, &running);
            if (running)
                curl_multi_poll(loop, NULL, 0, 1000, NULL);
        } while (running);
        if ((message = curl_multi_info_read(loop, &left)))
            result = message->data.result;
        curl_multi_remove_handle(loop, easy);
        curl_multi_cleanup(loop);
    } else {
        result = curl_easy_perform(easy);
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(easy);
    printf("%d %ld %zu by %s, built for %s\n", result, code, total, caller ? caller : "none",
           strstr(curl_version(), "GnuTLS") ? "libcurl-gnutls" : "libcurl");
    return result == CURLE_OK ? 0 : 1;
}
