/*
 * A client that asks with a body, in any of the ways in which libcurl takes one. Its arguments are
 * done in their order, on one handle:
 *
 *   url=URL, header=LINE, timeout_ms=N, method=WORD (CURLOPT_CUSTOMREQUEST)
 *   body=HOW:FILE      the bytes of FILE. HOW is fields (CURLOPT_POSTFIELDS and its size), text (no
 *                      size), copied (CURLOPT_COPYPOSTFIELDS, overwritten at once), sized and
 * chunked (CURLOPT_POST with a read function), put (CURLOPT_UPLOAD), late (as chunked, but the read
 * function pauses once in the middle) seek=1             gives the read function a seek function
 *   part=NAME:KIND:VALUE    begins a part of a curl_mime; KIND is data, file, source
 * (curl_mime_data_cb with the file's bytes), once (the same without a seek function), or parts
 * (what follows goes into a curl_mime of its own, up to `close`) type=, filename=, encoder=,
 * partheader=    of the last part mime               CURLOPT_MIMEPOST, of the parts so far
 *   field=NAME:KIND:VALUE   the same with curl_formadd; KIND is data, file, content, buffer, stream
 *   form               CURLOPT_HTTPPOST
 *   get=1              CURLOPT_HTTPGET
 *   inside=WHAT        at the next transfer's first body byte: duplicate, or get=1
 *   multi=LOOP         the transfers from here on are a multi handle's, see multi_loop.h
 *   perform            a transfer; prints what came of it, and the body
 *   duplicate, reset, free    go on with a duplicate, reset the handle, free all others and the
 * forms
 */
#include "multi_loop.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct bytes {
    char *text;
    size_t length, at;
    bool pauses;
};

static struct {
    CURL *easy, *duplicate;
    struct loop loop;
    bool in_multi;
    struct curl_slist *headers, *part_headers;
    curl_mime *mime, *outer;
    curl_mimepart *part;
    struct curl_httppost *form, *form_end;
    CURL *old[8];
    int old_count, responses;
    const char *inside;
    struct bytes body, sources[8], answer;
    int source_count;
} state;

static void complain(const char *what, const char *value) {
    fprintf(stderr, "ask: %s: %s\n", what, value);
    exit(99);
}

static void expect(bool done, const char *what) {
    if (!done)
        complain("libcurl refused it", what);
}

static void slurp(const char *path, struct bytes *bytes) {
    FILE *file = fopen(path, "r");
    if (!file)
        complain("can't be read", path);
    *bytes = (struct bytes){.text = malloc(1)};
    for (size_t got = 1; got && bytes->text; bytes->length += got) {
        bytes->text = realloc(bytes->text, bytes->length + 65537);
        got = bytes->text ? fread(bytes->text + bytes->length, 1, 65536, file) : 0;
    }
    if (!bytes->text)
        complain("memory", "none left");
    bytes->text[bytes->length] = '\0';
    fclose(file);
}

static size_t on_read(char *out, size_t size, size_t count, void *userdata) {
    struct bytes *bytes = userdata;
    size_t left = bytes->length - bytes->at, room = size * count;
    if (bytes->pauses && bytes->at >= bytes->length / 2) {
        bytes->pauses = false;
        return CURL_READFUNC_PAUSE;
    }
    size_t given = left < room ? left : room;
    if (bytes->pauses && given > bytes->length / 2)
        given = bytes->length / 2;
    memcpy(out, bytes->text + bytes->at, given);
    bytes->at += given;
    return given;
}

static int on_seek(void *userdata, curl_off_t offset, int origin) {
    struct bytes *bytes = userdata;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > bytes->length)
        return CURL_SEEKFUNC_CANTSEEK;
    bytes->at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void act_inside(void) {
    if (state.inside && strcmp(state.inside, "duplicate") == 0)
        state.duplicate = curl_easy_duphandle(state.easy);
    else if (state.inside)
        curl_easy_setopt(state.easy, CURLOPT_HTTPGET, 1L);
    state.inside = NULL;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
    struct bytes *answer = userdata;
    char *text = realloc(answer->text, answer->length + size * count + 1);
    if (!text)
        complain("memory", "none left");
    act_inside();
    memcpy(text + answer->length, data, size * count);
    answer->text = text;
    answer->length += size * count;
    text[answer->length] = '\0';
    return size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *userdata) {
    (void)userdata;
    state.responses += size * count > 5 && memcmp(data, "HTTP/", 5) == 0;
    return size * count;
}

static int on_progress(void *userdata, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    (void)userdata, (void)down_total, (void)down, (void)up_total, (void)up;
    if (state.body.at && !state.body.pauses)
        curl_easy_pause(state.easy, CURLPAUSE_CONT);
    return 0;
}

static void set_callbacks(void) {
    curl_easy_setopt(state.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(state.easy, CURLOPT_WRITEDATA, &state.answer);
    curl_easy_setopt(state.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(state.easy, CURLOPT_TIMEOUT_MS, 15000L);
}

static void set_reading(const char *how) {
    bool put = strcmp(how, "put") == 0, sized = put || strcmp(how, "sized") == 0;
    curl_off_t size = sized ? (curl_off_t)state.body.length : -1;
    curl_easy_setopt(state.easy, CURLOPT_POSTFIELDS, NULL); /* else that wins over a function */
    curl_easy_setopt(state.easy, put ? CURLOPT_UPLOAD : CURLOPT_POST, 1L);
    curl_easy_setopt(state.easy, put ? CURLOPT_INFILESIZE_LARGE : CURLOPT_POSTFIELDSIZE_LARGE,
                     size);
    curl_easy_setopt(state.easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(state.easy, CURLOPT_READDATA, &state.body);
    state.body.pauses = strcmp(how, "late") == 0;
    if (state.body.pauses) {
        curl_easy_setopt(state.easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(state.easy, CURLOPT_NOPROGRESS, 0L);
    }
}

static void set_body(const char *value) {
    char how[16] = "";
    const char *colon = strchr(value, ':');
    if (!colon || (size_t)(colon - value) >= sizeof how)
        complain("HOW:FILE is missing", value);
    memcpy(how, value, (size_t)(colon - value));
    free(state.body.text);
    slurp(colon + 1, &state.body);
    curl_off_t size = strcmp(how, "fields") == 0 ? (curl_off_t)state.body.length : -1;
    if (strcmp(how, "fields") == 0 || strcmp(how, "text") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
        curl_easy_setopt(state.easy, CURLOPT_POSTFIELDS, state.body.text);
    } else if (strcmp(how, "copied") == 0) {
        size = (curl_off_t)state.body.length;
        curl_easy_setopt(state.easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
        curl_easy_setopt(state.easy, CURLOPT_COPYPOSTFIELDS, state.body.text);
        memset(state.body.text, 'x', state.body.length);
    } else {
        set_reading(how);
    }
}

/* NAME:KIND:VALUE in its parts; the first two are cut off where they stand. */
static char *split(char *spec, char **kind) {
    *kind = strchr(spec, ':');
    char *value = *kind ? strchr(*kind + 1, ':') : NULL;
    if (!value)
        complain("NAME:KIND:VALUE is missing", spec);
    *(*kind)++ = *value++ = '\0';
    return value;
}

static struct bytes *open_source(const char *path) {
    if (state.source_count == COUNT(state.sources))
        complain("too many sources", path);
    struct bytes *source = &state.sources[state.source_count++];
    slurp(path, source);
    return source;
}

static void add_part(char *spec) {
    char *kind, *value = split(spec, &kind);
    if (!state.mime)
        state.mime = curl_mime_init(state.easy);
    state.part = curl_mime_addpart(state.mime);
    expect(curl_mime_name(state.part, *spec ? spec : NULL) == CURLE_OK, spec);
    if (strcmp(kind, "data") == 0) {
        expect(curl_mime_data(state.part, value, CURL_ZERO_TERMINATED) == CURLE_OK, value);
    } else if (strcmp(kind, "file") == 0) {
        expect(curl_mime_filedata(state.part, value) == CURLE_OK, value);
    } else if (strcmp(kind, "parts") == 0) {
        curl_mime *inner = curl_mime_init(state.easy);
        expect(curl_mime_subparts(state.part, inner) == CURLE_OK, value);
        state.outer = state.mime;
        state.mime = inner;
    } else {
        struct bytes *source = open_source(value);
        curl_seek_callback seek = strcmp(kind, "once") == 0 ? NULL : on_seek;
        expect(curl_mime_data_cb(state.part, (curl_off_t)source->length, on_read, seek, NULL,
                                 source) == CURLE_OK,
               value);
    }
}

static void add_field(char *spec) {
    char *kind, *value = split(spec, &kind);
    CURLFORMcode code = CURL_FORMADD_OK;
    if (strcmp(kind, "data") == 0) {
        code = curl_formadd(&state.form, &state.form_end, CURLFORM_COPYNAME, spec,
                            CURLFORM_COPYCONTENTS, value, CURLFORM_END);
    } else if (strcmp(kind, "file") == 0) {
        code = curl_formadd(&state.form, &state.form_end, CURLFORM_COPYNAME, spec, CURLFORM_FILE,
                            value, CURLFORM_CONTENTTYPE, "text/x-test", CURLFORM_END);
    } else if (strcmp(kind, "content") == 0) {
        code = curl_formadd(&state.form, &state.form_end, CURLFORM_COPYNAME, spec,
                            CURLFORM_FILECONTENT, value, CURLFORM_END);
    } else {
        struct bytes *source = open_source(value);
        if (strcmp(kind, "buffer") == 0)
            code = curl_formadd(&state.form, &state.form_end, CURLFORM_COPYNAME, spec,
                                CURLFORM_BUFFER, "buffered", CURLFORM_BUFFERPTR, source->text,
                                CURLFORM_BUFFERLENGTH, (long)source->length, CURLFORM_END);
        else
            code =
                curl_formadd(&state.form, &state.form_end, CURLFORM_COPYNAME, spec, CURLFORM_STREAM,
                             source, CURLFORM_CONTENTLEN, (curl_off_t)source->length, CURLFORM_END);
        curl_easy_setopt(state.easy, CURLOPT_READFUNCTION, on_read);
    }
    expect(code == CURL_FORMADD_OK, value);
}

static bool set_part(const char *name, const char *value) {
    if (strcmp(name, "type") == 0)
        return curl_mime_type(state.part, value) == CURLE_OK;
    if (strcmp(name, "filename") == 0)
        return curl_mime_filename(state.part, *value ? value : NULL) == CURLE_OK;
    if (strcmp(name, "encoder") == 0)
        return curl_mime_encoder(state.part, value) == CURLE_OK;
    if (strcmp(name, "data") == 0)
        return curl_mime_data(state.part, value, CURL_ZERO_TERMINATED) == CURLE_OK;
    if (strcmp(name, "partheader") != 0)
        return false;
    state.part_headers = curl_slist_append(NULL, value);
    return curl_mime_headers(state.part, state.part_headers, 1) == CURLE_OK;
}

static bool set_option(const char *name, char *value) {
    if (strcmp(name, "url") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_URL, value);
    } else if (strcmp(name, "header") == 0) {
        state.headers = curl_slist_append(state.headers, value);
        curl_easy_setopt(state.easy, CURLOPT_HTTPHEADER, state.headers);
    } else if (strcmp(name, "timeout_ms") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_TIMEOUT_MS, strtol(value, NULL, 10));
    } else if (strcmp(name, "method") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_CUSTOMREQUEST, *value ? value : NULL);
    } else if (strcmp(name, "body") == 0) {
        set_body(value);
    } else if (strcmp(name, "seek") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(state.easy, CURLOPT_SEEKDATA, &state.body);
    } else if (strcmp(name, "part") == 0) {
        add_part(value);
    } else if (strcmp(name, "field") == 0) {
        add_field(value);
    } else if (strcmp(name, "get") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_HTTPGET, 1L);
    } else if (strcmp(name, "inside") == 0) {
        state.inside = value;
    } else if (strcmp(name, "multi") == 0) {
        loop_begin(&state.loop, value);
        state.in_multi = true;
    } else {
        return set_part(name, value);
    }
    return true;
}

static CURLcode transfer_in_multi(void) {
    const CURLMsg *message;
    int left;
    loop_check(curl_multi_add_handle(state.loop.multi, state.easy), "curl_multi_add_handle");
    while (!(message = curl_multi_info_read(state.loop.multi, &left)))
        loop_turn(&state.loop, 1000);
    CURLcode result = message->data.result;
    loop_check(curl_multi_remove_handle(state.loop.multi, state.easy), "curl_multi_remove_handle");
    return result;
}

static void perform(void) {
    long status = 0, connects = 0;
    curl_off_t uploaded = 0;
    char *url = NULL;
    state.responses = 0;
    state.answer.length = state.body.at = 0;
    for (int i = 0; i < state.source_count; i++)
        state.sources[i].at = 0;
    CURLcode result = state.in_multi ? transfer_in_multi() : curl_easy_perform(state.easy);
    curl_easy_getinfo(state.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(state.easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(state.easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(state.easy, CURLINFO_EFFECTIVE_URL, &url);
    printf("result=%d status=%ld responses=%d connects=%ld uploaded=%lld url=%s\n", (int)result,
           status, state.responses, connects, (long long)uploaded, url ? url : "");
    printf("%.*s\n", (int)state.answer.length, state.answer.length ? state.answer.text : "");
    fflush(stdout);
}

static void free_others(void) {
    while (state.old_count)
        curl_easy_cleanup(state.old[--state.old_count]);
    curl_mime_free(state.mime);
    curl_formfree(state.form);
    state.mime = NULL;
    state.form = state.form_end = NULL;
}

static void go_on_with(CURL *easy) {
    if (!easy || state.old_count == COUNT(state.old))
        complain("duplicate", "there is none");
    state.old[state.old_count++] = state.easy;
    state.easy = easy;
    state.duplicate = NULL;
}

static bool act(const char *word) {
    if (strcmp(word, "perform") == 0)
        perform();
    else if (strcmp(word, "mime") == 0)
        expect(curl_easy_setopt(state.easy, CURLOPT_MIMEPOST, state.mime) == CURLE_OK, word);
    else if (strcmp(word, "form") == 0)
        expect(curl_easy_setopt(state.easy, CURLOPT_HTTPPOST, state.form) == CURLE_OK, word);
    else if (strcmp(word, "close") == 0)
        state.mime = state.outer;
    else if (strcmp(word, "duplicate") == 0)
        go_on_with(state.duplicate ? state.duplicate : curl_easy_duphandle(state.easy));
    else if (strcmp(word, "free") == 0)
        free_others();
    else if (strcmp(word, "reset") == 0)
        curl_easy_reset(state.easy), set_callbacks();
    else
        return false;
    return true;
}

int main(int argc, char **argv) {
    curl_global_init(CURL_GLOBAL_ALL);
    state.easy = curl_easy_init();
    set_callbacks();
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (act(argv[i]))
            continue;
        if (!equals)
            complain("unknown", argv[i]);
        *equals = '\0';
        if (!set_option(argv[i], equals + 1))
            complain("unknown, or refused", argv[i]);
    }
    free_others();
    if (state.in_multi)
        loop_end(&state.loop);
    curl_easy_cleanup(state.easy);
    curl_slist_free_all(state.headers);
    for (int i = 0; i < state.source_count; i++)
        free(state.sources[i].text);
    free(state.body.text);
    free(state.answer.text);
    curl_global_cleanup();
    return 0;
}
