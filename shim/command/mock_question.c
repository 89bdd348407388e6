#include "shim/command/mock_question.h"

#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_form.h"

#define JSMN_STATIC
#define JSMN_PARENT_LINKS /* else a body of many small arrays takes time squared */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

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

static void parse_json(const char *body, size_t length, struct mock_question *question) {
    unsigned count;
    size_t space = 0;
    while (space < length && body[space] != '\0' && strchr(" \t\r\n", body[space]) != NULL)
        space++;
    /* To jsmn any text is many tokens. */
    if (space == length || body[space] != '{')
        return;
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

/* Writes TEXT as the text of a JSON string; nothing if it is too long. */
static void copy_escaped(const char *text, size_t length, char out[MOCK_NAME_MAX]) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (used + 3 > MOCK_NAME_MAX) {
            out[0] = '\0';
            return;
        }
        if (text[i] == '"' || text[i] == '\\')
            out[used++] = '\\';
        out[used++] = (unsigned char)text[i] < ' ' ? '?' : text[i];
    }
    out[used] = '\0';
}

void mock_question_parse(const char *body, size_t length, const char *content_type,
                         struct mock_question *question) {
    char boundary[MOCK_BOUNDARY_MAX + 1];
    size_t size = 0;
    memset(question, 0, sizeof *question);
    question->form = content_type != NULL && mock_form_boundary(content_type, boundary);
    if (!question->form) {
        parse_json(body, length, question);
        return;
    }
    const char *model = mock_form_field(body, length, boundary, "model", &size);
    if (model != NULL)
        copy_escaped(model, size, question->model);
}
