#include "shim/command/mock_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *common_models[] = {"gpt-4", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small"};

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
    bool own = answer->model_count > 0;
    size_t count = own ? answer->model_count : sizeof common_models / sizeof *common_models;
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "" : ",", out);
        write_model(out, answer, own ? answer->models[i] : common_models[i]);
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
    default:
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
