#include "report.h"

#include <stdio.h>

#define SHOWN 200 /* of a run of bytes, or of a line */

/* What comes in a row is one event: how it is cut depends on timing. */
static struct {
    const char *name;
    size_t length;
    char text[SHOWN + 1];
} row;

void end_row(void) {
    if (row.name)
        printf("%s %zu %s\n", row.name, row.length, row.text);
    row.name = NULL;
    row.length = 0;
    row.text[0] = '\0';
}

void add_to_row(const char *name, const char *data, size_t length) {
    if (row.name != name)
        end_row();
    row.name = name;
    for (size_t i = 0; i < length && row.length + i < SHOWN; i++) {
        row.text[row.length + i] = data[i] >= ' ' ? data[i] : '.';
        row.text[row.length + i + 1] = '\0';
    }
    row.length += length;
}

void show_line(const char *name, const char *line, size_t length) {
    end_row();
    printf("%s ", name);
    for (size_t i = 0; i < length && i < SHOWN; i++)
        if (line[i] == '\r' || line[i] == '\n')
            printf(line[i] == '\r' ? "\\r" : "\\n");
        else
            putchar(line[i]);
    printf(length > SHOWN ? "... %zu\n" : "\n", length);
}

#define INFO(name)                                                                                 \
    { #name, CURLINFO_##name }
static const struct {
    const char *name;
    CURLINFO info;
} infos[] = {
    INFO(RESPONSE_CODE),
    INFO(EFFECTIVE_URL),
    INFO(EFFECTIVE_METHOD),
    INFO(CONTENT_TYPE),
    INFO(HTTP_CONNECTCODE),
    INFO(REDIRECT_URL),
    INFO(REDIRECT_COUNT),
    INFO(NUM_CONNECTS),
    INFO(HEADER_SIZE),
    INFO(REQUEST_SIZE),
    INFO(SIZE_UPLOAD_T),
    INFO(SIZE_DOWNLOAD_T),
    INFO(CONTENT_LENGTH_DOWNLOAD_T),
    INFO(CONTENT_LENGTH_UPLOAD_T),
    INFO(FILETIME_T),
    INFO(HTTPAUTH_AVAIL),
    INFO(PROXYAUTH_AVAIL),
    INFO(OS_ERRNO),
    INFO(PRIMARY_IP),
    INFO(PRIMARY_PORT),
    INFO(LOCAL_IP),
    INFO(HTTP_VERSION),
    INFO(SCHEME),
    INFO(RETRY_AFTER),
    INFO(CONDITION_UNMET),
    INFO(PROXY_ERROR),
    INFO(REFERER),
    INFO(PRIVATE),
    INFO(COOKIELIST),
};
/* Times are not the same twice, but whether there is one is. */
static const struct {
    const char *name;
    CURLINFO info;
} times[] = {INFO(STARTTRANSFER_TIME_T), INFO(REDIRECT_TIME_T)};

static void show_info(CURL *easy, const char *name, CURLINFO info) {
    char *text = NULL;
    long number = 0;
    curl_off_t large = 0;
    struct curl_slist *list = NULL;
    switch ((int)info & CURLINFO_TYPEMASK) {
    case CURLINFO_STRING:
        curl_easy_getinfo(easy, info, &text);
        printf("%s=%s\n", name, text ? text : "(none)");
        break;
    case CURLINFO_LONG:
        curl_easy_getinfo(easy, info, &number);
        printf("%s=%ld\n", name, number);
        break;
    case CURLINFO_OFF_T:
        curl_easy_getinfo(easy, info, &large);
        printf("%s=%ld\n", name, (long)large);
        break;
    default:
        curl_easy_getinfo(easy, info, &list);
        for (struct curl_slist *l = list; l; l = l->next)
            printf("%s=%s\n", name, l->data);
        curl_slist_free_all(list);
    }
}

void show_result(CURL *easy, CURLcode result, const char *error) {
    struct curl_header *header = NULL;
    end_row();
    printf("result %d\nerror %s\n", result, error);
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++)
        show_info(easy, infos[i].name, infos[i].info);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        curl_off_t time = 0;
        curl_easy_getinfo(easy, times[i].info, &time);
        printf("%s%s\n", times[i].name, time ? " is set" : "=0");
    }
    /* also those of the requests before the last one, as the header API counts them */
    for (int request = 0; request < 3; request++)
        while ((header = curl_easy_nextheader(easy, CURLH_HEADER | CURLH_TRAILER | CURLH_1XX,
                                              request, header)))
            printf("headers %d %u %s: %.60s\n", request, header->origin & 31, header->name,
                   header->value);
}
