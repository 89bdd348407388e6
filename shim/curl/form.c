#include "shim/curl/form.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/curl/registry.h"

enum content { CONTENT_EMPTY, CONTENT_DATA, CONTENT_FILE, CONTENT_SOURCE, CONTENT_SUBPARTS };

struct form_part {
    struct record record;
    struct form_part *next;
    char *texts[FORM_TEXTS]; /* NULL: not set */
    bool filename_set;       /* by the program, also to none: curl_mime_filedata sets one itself */
    enum content content;
    char *data; /* or the file's path */
    size_t size;
    struct form_source source;
    curl_mime *subparts;
    struct curl_slist *headers;
    bool unknown; /* memory ran out */
};

struct form_mime {
    struct record record;
    struct form_part *first, *last;
    bool unknown; /* memory ran out: it has parts of which nothing is known */
    bool used;    /* an attempt has read it */
};

static struct form_mime *find_mime(curl_mime *mime) {
    return (struct form_mime *)registry_find(mime,
                                             RECORD_MIME); /* the record is its first member */
}

static struct form_part *find_part(curl_mimepart *part) {
    return (struct form_part *)registry_find(part, RECORD_PART);
}

static void free_text(char **text, size_t length) {
    if (*text)
        explicit_bzero(*text, length); /* contents may be anybody's secrets */
    free(*text);
    *text = NULL;
}

static void free_part(struct form_part *part) {
    for (int i = 0; i < FORM_TEXTS; i++)
        free(part->texts[i]);
    free_text(&part->data, part->size);
    free(part);
}

static void discard_part(struct record *record) {
    free_part((struct form_part *)record);
}

/* The parts have records of their own. */
static void discard_mime(struct record *record) {
    free(record);
}

void form_note_mime(curl_mime *address) {
    struct form_mime *mime = calloc(1, sizeof *mime);
    if (!mime)
        return;
    mime->record = (struct record){.address = address, .kind = RECORD_MIME};
    mime->record.discard = discard_mime;
    if (!registry_add(&mime->record))
        free(mime);
}

void form_note_part(curl_mime *address, curl_mimepart *part_address) {
    struct form_mime *mime = find_mime(address);
    if (!mime)
        return;
    struct form_part *part = calloc(1, sizeof *part);
    if (part) {
        part->record = (struct record){.address = part_address, .kind = RECORD_PART};
        part->record.discard = discard_part;
        if (!registry_add(&part->record)) {
            free(part);
            part = NULL;
        }
    }
    if (!part) {
        mime->unknown = true;
        return;
    }
    if (mime->last)
        mime->last->next = part;
    else
        mime->first = part;
    mime->last = part;
}

void form_note_text(curl_mimepart *address, enum form_text which, const char *text) {
    struct form_part *part = find_part(address);
    if (!part)
        return;
    free(part->texts[which]);
    part->texts[which] = text ? strdup(text) : NULL;
    part->unknown |= text && !part->texts[which];
    part->filename_set |= which == FORM_FILENAME;
}

void form_forget_content(curl_mimepart *address, const curl_mime *next) {
    struct form_part *part = find_part(address);
    if (!part || (part->content == CONTENT_SUBPARTS && part->subparts == next))
        return;
    if (part->content == CONTENT_SUBPARTS)
        form_forget_mime(part->subparts);
    free_text(&part->data, part->size);
    part->size = 0;
    part->content = CONTENT_EMPTY;
}

void form_note_data(curl_mimepart *address, const char *data, size_t size) {
    struct form_part *part = find_part(address);
    if (!part || !data)
        return;
    size = size == CURL_ZERO_TERMINATED ? strlen(data) : size;
    part->data = malloc(size + 1);
    if (!part->data) {
        part->unknown = true;
        return;
    }
    memcpy(part->data, data, size);
    part->data[size] = '\0';
    part->size = size;
    part->content = CONTENT_DATA;
}

void form_note_file(curl_mimepart *address, const char *path) {
    struct form_part *part = find_part(address);
    if (!part || !path)
        return;
    form_note_data(address, path, CURL_ZERO_TERMINATED);
    part->content = CONTENT_FILE;
    /* libcurl names the part after the file, and that stays whatever its content becomes */
    char *name = strdup(path);
    form_note_text(address, FORM_FILENAME, name ? basename(name) : NULL);
    part->unknown |= !name;
    free(name);
}

void form_note_source(curl_mimepart *address, const struct form_source *source) {
    struct form_part *part = find_part(address);
    if (!part || !source->read)
        return;
    part->source = *source;
    part->content = CONTENT_SOURCE;
}

void form_note_subparts(curl_mimepart *address, curl_mime *subparts) {
    struct form_part *part = find_part(address);
    if (!part || !subparts)
        return;
    part->subparts = subparts;
    part->content = CONTENT_SUBPARTS;
}

void form_note_headers(curl_mimepart *address, struct curl_slist *headers) {
    struct form_part *part = find_part(address);
    if (part)
        part->headers = headers;
}

void form_forget_mime(curl_mime *address) {
    struct form_mime *mime = find_mime(address);
    if (!mime)
        return;
    registry_remove(&mime->record);
    for (struct form_part *part = mime->first, *next; part; part = next) {
        next = part->next;
        if (part->content == CONTENT_SUBPARTS)
            form_forget_mime(part->subparts);
        registry_remove(&part->record);
        free_part(part);
    }
    free(mime);
}

struct form_mime *form_mime_find(curl_mime *mime) {
    return mime ? find_mime(mime) : NULL;
}

/* Takes note of a field "model" with CONTENT; NULL: what it says is out of sight. */
static bool add_place(struct model_places *places, const char *content, size_t size) {
    if (places->count == MODEL_PLACES_MAX)
        return false;
    struct model_place *place = &places->at[places->count++];
    *place = (struct model_place){0};
    if (!content || !size || size > MODEL_NAME_MAX || memchr(content, '\0', size))
        return true;
    memcpy(place->name, content, size);
    place->named = true;
    return true;
}

static bool is_model(const struct form_part *part) {
    const char *name = part->texts[FORM_NAME];
    return name && strcmp(name, "model") == 0;
}

/* A content that goes out as it is, and not as a file. */
static bool is_plain(const struct form_part *part) {
    const char *encoder = part->texts[FORM_ENCODER];
    return !part->texts[FORM_FILENAME] &&
           (!encoder || strcasecmp(encoder, "binary") == 0 || strcasecmp(encoder, "8bit") == 0 ||
            strcasecmp(encoder, "7bit") == 0);
}

/* The first SIZE bytes of a regular file; returns how many it has of them, 0 if it can't be read.
 */
static size_t read_start(const char *path, char *out, size_t size) {
    int saved = errno;
    struct stat status;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        got = read(fd, out, size);
    if (fd >= 0)
        close(fd);
    errno = saved;
    return got > 0 ? (size_t)got : 0;
}

/* The same for PART, a field "model". The content of a file counts if that is sent as a text, as
 * curl's -F model=<FILE is; not where libcurl takes a type from an extension, which another content
 * would not have. */
static bool add_part(struct model_places *places, const struct form_part *part) {
    char name[MODEL_NAME_MAX + 1];
    size_t size = 0;
    if (part->content == CONTENT_DATA)
        return add_place(places, is_plain(part) ? part->data : NULL, part->size);
    const char *path = part->content == CONTENT_FILE ? part->data : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (path && is_plain(part) && !strchr(slash ? slash + 1 : path, '.'))
        size = read_start(path, name, sizeof name);
    return add_place(places, name, size);
}

bool form_mime_places(const struct form_mime *mime, struct model_places *places) {
    *places = (struct model_places){.form = MODEL_MULTIPART};
    for (const struct form_part *part = mime->first; part; part = part->next)
        if (part->unknown || (is_model(part) && !add_part(places, part)))
            return false;
    return !mime->unknown;
}

static bool fill_copy(const struct libcurl *curl, CURL *easy, curl_mime *copy,
                      const struct form_mime *mime, const char *const *names);

static curl_mime *copy_subparts(const struct libcurl *curl, CURL *easy, curl_mime *subparts) {
    const struct form_mime *mime = form_mime_find(subparts);
    curl_mime *copy = mime && !mime->unknown ? curl->mime_init(easy) : NULL;
    if (copy && !fill_copy(curl, easy, copy, mime, NULL)) {
        curl->mime_free(copy);
        copy = NULL;
    }
    return copy;
}

static bool copy_content(const struct libcurl *curl, CURL *easy, curl_mimepart *to,
                         const struct form_part *from) {
    curl_mime *subparts;
    CURLcode result = CURLE_OK;
    switch (from->content) {
    case CONTENT_EMPTY:
        break;
    case CONTENT_DATA:
        result = curl->mime_data(to, from->data, from->size);
        break;
    case CONTENT_FILE:
        result = curl->mime_filedata(to, from->data);
        if (result == CURLE_READ_ERROR) /* the transfer will say so, as it would have */
            result = CURLE_OK;
        break;
    case CONTENT_SOURCE:
        result = curl->mime_data_cb(to, from->source.size, from->source.read, from->source.seek,
                                    NULL, from->source.userdata);
        break;
    case CONTENT_SUBPARTS:
        subparts = copy_subparts(curl, easy, from->subparts);
        if (!subparts)
            return false;
        result = curl->mime_subparts(to, subparts);
        if (result != CURLE_OK)
            curl->mime_free(subparts);
        break;
    }
    return result == CURLE_OK;
}

/* The filename comes last: some contents set one. */
static bool copy_part(const struct libcurl *curl, CURL *easy, curl_mimepart *to,
                      const struct form_part *from, const char *model) {
    char *const *texts = from->texts;
    bool done = model ? curl->mime_data(to, model, CURL_ZERO_TERMINATED) == CURLE_OK
                      : copy_content(curl, easy, to, from);
    if (texts[FORM_NAME])
        done = done && curl->mime_name(to, texts[FORM_NAME]) == CURLE_OK;
    if (texts[FORM_TYPE])
        done = done && curl->mime_type(to, texts[FORM_TYPE]) == CURLE_OK;
    if (texts[FORM_ENCODER])
        done = done && curl->mime_encoder(to, texts[FORM_ENCODER]) == CURLE_OK;
    if (from->filename_set)
        done = done && curl->mime_filename(to, texts[FORM_FILENAME]) == CURLE_OK;
    if (from->headers)
        done = done && curl->mime_headers(to, from->headers, 0) == CURLE_OK;
    return done;
}

/* NAMES are for the fields "model" in their order; NULL: none is another. */
static bool fill_copy(const struct libcurl *curl, CURL *easy, curl_mime *copy,
                      const struct form_mime *mime, const char *const *names) {
    for (const struct form_part *part = mime->first; part; part = part->next) {
        const char *model = names && is_model(part) ? *names++ : NULL;
        curl_mimepart *to = part->unknown ? NULL : curl->mime_addpart(copy);
        if (!to || !copy_part(curl, easy, to, part, model))
            return false;
    }
    return true;
}

static bool add_model(const struct libcurl *curl, curl_mime *mime, const char *name) {
    curl_mimepart *part = curl->mime_addpart(mime);
    return part && curl->mime_name(part, "model") == CURLE_OK &&
           curl->mime_data(part, name, CURL_ZERO_TERMINATED) == CURLE_OK;
}

static bool can_copy(const struct libcurl *curl) {
    return curl->mime_init && curl->mime_free && curl->mime_addpart && curl->mime_name &&
           curl->mime_filename && curl->mime_type && curl->mime_encoder && curl->mime_data &&
           curl->mime_filedata && curl->mime_data_cb && curl->mime_subparts && curl->mime_headers;
}

curl_mime *form_mime_copy(const struct form_mime *mime, const struct libcurl *curl, CURL *easy,
                          const struct model_places *places, const char *const *names) {
    curl_mime *copy = can_copy(curl) ? curl->mime_init(easy) : NULL;
    if (!copy)
        return NULL;
    bool same = !names || places->count, done = same || add_model(curl, copy, names[0]);
    if (done && fill_copy(curl, easy, copy, mime, same ? names : NULL))
        return copy;
    curl->mime_free(copy);
    return NULL;
}

bool form_mime_use(struct form_mime *mime) {
    bool before = mime->used;
    mime->used = true;
    return before;
}

bool form_list_rewindable(const struct curl_httppost *list) {
    for (; list; list = list->next)
        if (list->flags & CURL_HTTPPOST_CALLBACK)
            return false;
    return true;
}

bool form_mime_rewind(const struct form_mime *mime) {
    for (const struct form_part *part = mime->first; part; part = part->next) {
        const struct form_mime *subparts =
            part->content == CONTENT_SUBPARTS ? form_mime_find(part->subparts) : NULL;
        if (subparts && !form_mime_rewind(subparts))
            return false;
        const struct form_source *source = &part->source;
        if (part->content == CONTENT_SOURCE &&
            (!source->seek || source->seek(source->userdata, 0, SEEK_SET) != CURL_SEEKFUNC_OK))
            return false;
    }
    return true;
}

/* The length of a text in a list's node; 0 there means up to its end. */
static size_t length_of(const char *text, curl_off_t length) {
    return length > 0 ? (size_t)length : text ? strlen(text) : 0;
}

static bool is_model_node(const struct curl_httppost *node) {
    return node->name && length_of(node->name, node->namelength) == 5 &&
           memcmp(node->name, "model", 5) == 0;
}

static bool is_plain_node(const struct curl_httppost *node) {
    return !(node->flags & (CURL_HTTPPOST_FILENAME | CURL_HTTPPOST_READFILE | CURL_HTTPPOST_BUFFER |
                            CURL_HTTPPOST_PTRBUFFER | CURL_HTTPPOST_CALLBACK)) &&
           !node->showfilename && !node->more;
}

bool form_list_places(const struct curl_httppost *list, struct model_places *places) {
    *places = (struct model_places){.form = MODEL_MULTIPART};
    for (const struct curl_httppost *node = list; node; node = node->next) {
        curl_off_t length =
            node->flags & CURL_HTTPPOST_LARGE ? node->contentlen : node->contentslength;
        bool plain = is_plain_node(node);
        if (is_model_node(node) && !add_place(places, plain ? node->contents : NULL,
                                              plain ? length_of(node->contents, length) : 0))
            return false;
    }
    return true;
}

/* libcurl's types want texts that can be written to; nobody does. */
static char *writable(const char *text) {
    union {
        const char *in;
        char *out;
    } pointer = {text};
    return pointer.out;
}

static void set_node(struct curl_httppost *node, const char *name) {
    static const char model[] = "model";
    node->name = writable(model);
    node->namelength = sizeof model - 1;
    node->contents = writable(name);
    node->contentlen = (curl_off_t)strlen(name);
    node->contentslength = (long)strlen(name);
    node->flags = CURL_HTTPPOST_PTRNAME | CURL_HTTPPOST_PTRCONTENTS | CURL_HTTPPOST_LARGE;
    node->showfilename = NULL;
    node->buffer = NULL;
    node->more = NULL;
}

struct curl_httppost *form_list_copy(const struct curl_httppost *list,
                                     const struct model_places *places, const char *const *names) {
    size_t count = 1;
    for (const struct curl_httppost *node = list; node; node = node->next)
        count++;
    struct curl_httppost *copy = calloc(count, sizeof *copy), *to = copy;
    if (!copy)
        return NULL;
    if (!places->count)
        set_node(to++, names[0]);
    for (const struct curl_httppost *node = list; node; node = node->next, to++) {
        *to = *node;
        const char *name = places->count && is_model_node(node) ? *names++ : NULL;
        if (name)
            set_node(to, name);
    }
    for (struct curl_httppost *node = copy; node + 1 < to; node++)
        node->next = node + 1;
    to[-1].next = NULL;
    return copy;
}
