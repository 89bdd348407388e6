#include "shim/command/mock_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS /* else a body of many small arrays takes time squared */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

#define PATH_SHOWN 2048

static const struct {
    const char *ending;
    const char *method;
    enum mock_operation operation;
} operations[] = {
    /* The longer ending first. */
    {"/chat/completions", "POST", MOCK_CHAT},
    {"/completions", "POST", MOCK_COMPLETIONS},
    {"/embeddings", "POST", MOCK_EMBEDDINGS},
    {"/models", "GET", MOCK_MODELS},
};

static const char *const models[] = {"gpt-4", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small"};

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

/* Copies the path segment at TEXT, so that it may stand in a JSON string. */
static void copy_segment(const char *text, char out[MOCK_NAME_MAX]) {
    size_t length = strcspn(text, "/");
    if (length >= MOCK_NAME_MAX)
        length = MOCK_NAME_MAX - 1;
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)text[i] < ' ' || strchr("\"\\", text[i]) != NULL ||
                         (unsigned char)text[i] > '~'
                     ? '_'
                     : text[i];
    out[length] = '\0';
}

/* The text after the last "/WORD/" of PATH, or NULL. */
static const char *after_segment(const char *path, const char *word) {
    const char *found = NULL;
    for (const char *at = path; (at = strstr(at, word)) != NULL; at++)
        found = at + strlen(word);
    return found;
}

static bool carries_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static bool allows(const char *wanted, const char *method) {
    return strcmp(method, wanted) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static enum mock_operation find_operation(const char *method, const char *path,
                                          struct mock_route *route) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (ends_with(path, operations[i].ending))
            return allows(operations[i].method, method) ? operations[i].operation
                                                        : MOCK_WRONG_METHOD;
    const char *model = after_segment(path, "/models/");
    if (model != NULL && *model != '\0' && strchr(model, '/') == NULL) {
        copy_segment(model, route->name);
        return allows("GET", method) ? MOCK_MODEL : MOCK_WRONG_METHOD;
    }
    return carries_body(method) && strlen(path) > 1 ? MOCK_UPLOAD : MOCK_UNKNOWN;
}

void mock_route_parse(const char *method, const char *target, enum mock_dialect dialect,
                      struct mock_route *route) {
    char path[PATH_SHOWN];
    const char *authority = strstr(target, "://");
    memset(route, 0, sizeof *route);
    if (*target != '/' && authority != NULL)
        target = authority + 3 + strcspn(authority + 3, "/?");
    /* Of an overlong path the end counts. */
    size_t length = strcspn(target, "?#");
    size_t skip = length < sizeof path ? 0 : length - sizeof path + 1;
    memcpy(path, target + skip, length - skip);
    path[length - skip] = '\0';

    route->dialect = dialect;
    if (dialect == MOCK_ANY)
        route->dialect = strstr(path, "/openai/") != NULL ? MOCK_AZURE : MOCK_OPENAI;
    const char *deployment = after_segment(path, "/deployments/");
    if (deployment != NULL)
        copy_segment(deployment, route->name);
    route->operation = find_operation(method, path, route);
}

const char *mock_operation_name(enum mock_operation operation) {
    switch (operation) {
    case MOCK_CHAT:
        return "ChatCompletions_Create";
    case MOCK_COMPLETIONS:
        return "Completions_Create";
    case MOCK_EMBEDDINGS:
        return "Embeddings_Create";
    case MOCK_MODELS:
    case MOCK_MODEL:
        return "Models_List";
    case MOCK_UPLOAD:
        return "Files_Upload";
    case MOCK_WRONG_METHOD:
    case MOCK_UNKNOWN:
        break;
    }
    return "Unknown";
}

bool mock_operation_streams(enum mock_operation operation) {
    return operation == MOCK_CHAT || operation == MOCK_COMPLETIONS;
}

/* Tokens of BODY up to its end or its first fault, for free(); their number goes to *COUNT. */
static jsmntok_t *tokenize(const char *body, size_t length, unsigned *count) {
    jsmn_parser parser;
    jsmntok_t *tokens = NULL;
    unsigned room = 256;
    jsmn_init(&parser);
    for (;; room *= 2) {
        jsmntok_t *more = realloc(tokens, room * sizeof *more);
        if (more == NULL) {
            free(tokens);
            *count = 0;
            return NULL;
        }
        tokens = more;
        if (jsmn_parse(&parser, body, length, tokens, room) != JSMN_ERROR_NOMEM)
            break;
    }
    *count = parser.toknext;
    return tokens;
}

static bool token_is(const char *body, const jsmntok_t *token, const char *word) {
    size_t length = strlen(word);
    return (size_t)(token->end - token->start) == length &&
           memcmp(body + token->start, word, length) == 0;
}

void mock_question_parse(const char *body, size_t length, struct mock_question *question) {
    unsigned count;
    memset(question, 0, sizeof *question);
    jsmntok_t *tokens = tokenize(body, length, &count);
    bool object = count > 0 && tokens[0].type == JSMN_OBJECT;
    for (unsigned i = 1; object && i + 1 < count; i++) {
        const jsmntok_t *key = &tokens[i], *value = &tokens[i + 1];
        if (key->parent != 0 || key->type != JSMN_STRING || value->parent != (int)i)
            continue;
        size_t size = value->end > value->start ? (size_t)(value->end - value->start) : 0;
        if (token_is(body, key, "stream")) {
            question->stream = value->type == JSMN_PRIMITIVE && token_is(body, value, "true");
        } else if (token_is(body, key, "input")) {
            /* a list of texts, or of lists of tokens; a list of numbers is one text's tokens */
            bool list = value->type == JSMN_ARRAY && value->size > 0 && i + 2 < count &&
                        value[1].type != JSMN_PRIMITIVE;
            question->inputs = list ? (unsigned)value->size : 1;
        } else if (token_is(body, key, "model") && value->type == JSMN_STRING && size > 0 &&
                   size < sizeof question->model) {
            memcpy(question->model, body + value->start, size);
            question->model[size] = '\0';
            for (char *c = question->model; *c != '\0'; c++)
                if ((unsigned char)*c < ' ')
                    *c = '?';
        }
    }
    free(tokens);
}

/* Word INDEX of an answer: the name of the mock, then words that mean nothing. */
static const char *word_at(const struct mock_answer *answer, unsigned index) {
    static const char *const words[] = {"answers", "with",  "a",    "few", "plausible",
                                        "words",   "which", "mean", "not", "much"};
    return index == 0 ? answer->mock : words[(index - 1) % (sizeof words / sizeof *words)];
}

static void write_words(FILE *out, const struct mock_answer *answer) {
    for (unsigned i = 0; i < answer->tokens; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", word_at(answer, i));
}

static void write_usage(FILE *out, const struct mock_answer *answer, unsigned completion) {
    unsigned long long prompt = answer->body_length / 4 + 1;
    fprintf(out, "\"usage\":{\"prompt_tokens\":%llu,", prompt);
    if (completion > 0)
        fprintf(out, "\"completion_tokens\":%u,", completion);
    fprintf(out, "\"total_tokens\":%llu}", prompt + completion);
}

static void write_head(FILE *out, const struct mock_answer *answer, const char *object) {
    fprintf(out,
            "{\"id\":\"%s-%s-%llu\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\","
            "\"choices\":[{\"index\":0,",
            answer->operation == MOCK_CHAT ? "chatcmpl" : "cmpl", answer->mock,
            (unsigned long long)answer->number, object, (long long)time(NULL), answer->model);
}

static void write_completion(FILE *out, const struct mock_answer *answer) {
    bool chat = answer->operation == MOCK_CHAT;
    write_head(out, answer, chat ? "chat.completion" : "text_completion");
    fputs(chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"" : "\"text\":\"", out);
    write_words(out, answer);
    fputs(chat ? "\"}" : "\"", out);
    fputs(",\"logprobs\":null,\"finish_reason\":\"stop\"}],", out);
    if (answer->dialect == MOCK_AZURE)
        fputs("\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{"
              "\"hate\":{\"filtered\":false,\"severity\":\"safe\"},"
              "\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},"
              "\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},"
              "\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}],",
              out);
    write_usage(out, answer, answer->tokens);
    fputs("}\n", out);
}

static void write_embedding(FILE *out, const struct mock_answer *answer) {
    fputs("{\"object\":\"list\",\"data\":[", out);
    for (unsigned i = 0; i < answer->inputs || i == 0; i++)
        fprintf(out,
                "%s{\"object\":\"embedding\",\"index\":%u,"
                "\"embedding\":[0.0023,-0.0093,0.0154,-0.0071,0.0268,-0.0012,0.0337,-0.0246]}",
                i ? "," : "", i);
    fprintf(out, "],\"model\":\"%s\",", answer->model);
    write_usage(out, answer, 0);
    fputs("}\n", out);
}

static void write_model(FILE *out, const struct mock_answer *answer, const char *model) {
    fprintf(out, "{\"id\":\"%s\",\"object\":\"model\",\"created\":1715367049,\"owned_by\":\"%s\"}",
            model, answer->mock);
}

static void write_models(FILE *out, const struct mock_answer *answer) {
    fputs("{\"object\":\"list\",\"data\":[", out);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        fputs(i == 0 ? "" : ",", out);
        write_model(out, answer, models[i]);
    }
    fputs("]}\n", out);
}

static void write_upload(FILE *out, const struct mock_answer *answer) {
    fprintf(out,
            "{\"id\":\"file-%s-%llu\",\"object\":\"file\",\"bytes\":%llu,\"created_at\":%lld,"
            "\"status\":\"processed\"}\n",
            answer->mock, (unsigned long long)answer->number,
            (unsigned long long)answer->body_length, (long long)time(NULL));
}

static char *finish(FILE *out, char **text) {
    if (fclose(out) == 0)
        return *text;
    free(*text);
    return NULL;
}

char *mock_answer_body(const struct mock_answer *answer, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    switch (answer->operation) {
    case MOCK_CHAT:
    case MOCK_COMPLETIONS:
        write_completion(out, answer);
        break;
    case MOCK_EMBEDDINGS:
        write_embedding(out, answer);
        break;
    case MOCK_MODELS:
        write_models(out, answer);
        break;
    case MOCK_MODEL:
        write_model(out, answer, answer->model);
        fputc('\n', out);
        break;
    case MOCK_UPLOAD:
    case MOCK_WRONG_METHOD:
    case MOCK_UNKNOWN:
        write_upload(out, answer);
        break;
    }
    return finish(out, &text);
}

char *mock_answer_event(const struct mock_answer *answer, unsigned index, double sent,
                        size_t *length) {
    bool chat = answer->operation == MOCK_CHAT;
    const char *space = index == 0 ? "" : " ";
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    if (index >= answer->tokens) {
        fputs("data: [DONE]\n\n", out);
        return finish(out, &text);
    }
    fputs("data: ", out);
    write_head(out, answer, chat ? "chat.completion.chunk" : "text_completion");
    if (chat)
        fprintf(out, "\"delta\":{%s\"content\":\"%s%s\"}",
                index == 0 ? "\"role\":\"assistant\"," : "", space, word_at(answer, index));
    else
        fprintf(out, "\"text\":\"%s%s\"", space, word_at(answer, index));
    fprintf(out,
            ",\"logprobs\":null,\"finish_reason\":%s}],"
            "\"spillway_mock\":{\"name\":\"%s\",\"sent\":%.6f}}\n\n",
            index + 1 == answer->tokens ? "\"stop\"" : "null", answer->mock, sent);
    return finish(out, &text);
}
