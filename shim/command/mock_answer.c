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

static void write_text(FILE *out, const struct mock_answer *answer) {
    fputs("{\"text\":\"", out);
    write_words(out, answer);
    fputs("\"}\n", out);
}

/* A PNG of one pixel. */
static void write_image(FILE *out, const struct mock_answer *answer) {
    fprintf(out, "{\"created\":%lld,\"data\":[{\"revised_prompt\":\"", (long long)time(NULL));
    write_words(out, answer);
    fputs("\",\"b64_json\":\"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
          "hgGAWjR9awAAAABJRU5ErkJggg==\"}]}\n",
          out);
}

/* An ID3v2.4 tag whose title is the name of the mock, at most 64 characters, and one silent frame
 * of MPEG-1 layer III: 32 kbit/s, 44.1 kHz, mono, so 104 bytes. */
static void write_speech(FILE *out, const struct mock_answer *answer) {
    static const unsigned char frame[104] = {0xff, 0xfb, 0x10, 0xc4};
    int length = (int)strlen(answer->mock);
    fprintf(out, "ID3%c%c%c%c%c%c%c", 4, 0, 0, 0, 0, 0, 11 + length);
    fprintf(out, "TIT2%c%c%c%c%c%c%c%s", 0, 0, 0, 1 + length, 0, 0, 3, answer->mock);
    fwrite(frame, 1, sizeof frame, out);
}

/* --- the Responses API --------------------------------------------------------------------- */

static void write_part(FILE *out, const struct mock_answer *answer, bool complete) {
    fputs("{\"type\":\"output_text\",\"text\":\"", out);
    if (complete)
        write_words(out, answer);
    fputs("\",\"annotations\":[],\"logprobs\":[]}", out);
}

static void write_item(FILE *out, const struct mock_answer *answer, bool complete) {
    fprintf(out,
            "{\"id\":\"msg_%s-%llu\",\"type\":\"message\",\"status\":\"%s\","
            "\"role\":\"assistant\",\"content\":[",
            answer->mock, (unsigned long long)answer->number,
            complete ? "completed" : "in_progress");
    if (complete)
        write_part(out, answer, true);
    fputs("]}", out);
}

static void write_response(FILE *out, const struct mock_answer *answer, bool complete) {
    unsigned long long input = answer->body_length / 4 + 1;
    fprintf(out,
            "{\"id\":\"resp_%s-%llu\",\"object\":\"response\",\"created_at\":%lld,"
            "\"status\":\"%s\",\"error\":null,\"incomplete_details\":null,"
            "\"instructions\":null,\"metadata\":{},\"model\":\"%s\","
            "\"parallel_tool_calls\":true,\"temperature\":1.0,\"tool_choice\":\"auto\","
            "\"tools\":[],\"top_p\":1.0,\"output\":[",
            answer->mock, (unsigned long long)answer->number, (long long)time(NULL),
            complete ? "completed" : "in_progress", answer->model);
    if (!complete) {
        fputs("],\"usage\":null}", out);
        return;
    }
    write_item(out, answer, true);
    fprintf(out,
            "],\"usage\":{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":0},"
            "\"output_tokens\":%u,\"output_tokens_details\":{\"reasoning_tokens\":0},"
            "\"total_tokens\":%llu}}",
            input, answer->tokens, input + answer->tokens);
}

/* An event up to what is its own; NUMBER counts the stream's events. */
static void write_event_head(FILE *out, const char *type, unsigned number) {
    fprintf(out, "event: response.%s\ndata: {\"type\":\"response.%s\",\"sequence_number\":%u,",
            type, type, number);
}

/* Which text an event is about, the first part of the first item. */
static void write_place(FILE *out, const struct mock_answer *answer) {
    fprintf(out, "\"item_id\":\"msg_%s-%llu\",\"output_index\":0,\"content_index\":0,",
            answer->mock, (unsigned long long)answer->number);
}

static void write_beginning(FILE *out, const struct mock_answer *answer) {
    write_event_head(out, "created", 0);
    fputs("\"response\":", out);
    write_response(out, answer, false);
    fputs("}\n\n", out);
    write_event_head(out, "output_item.added", 1);
    fputs("\"output_index\":0,\"item\":", out);
    write_item(out, answer, false);
    fputs("}\n\n", out);
    write_event_head(out, "content_part.added", 2);
    write_place(out, answer);
    fputs("\"part\":", out);
    write_part(out, answer, false);
    fputs("}\n\n", out);
}

static void write_end(FILE *out, const struct mock_answer *answer) {
    unsigned number = 3 + answer->tokens;
    write_event_head(out, "output_text.done", number);
    write_place(out, answer);
    fputs("\"text\":\"", out);
    write_words(out, answer);
    fputs("\",\"logprobs\":[]}\n\n", out);
    write_event_head(out, "content_part.done", number + 1);
    write_place(out, answer);
    fputs("\"part\":", out);
    write_part(out, answer, true);
    fputs("}\n\n", out);
    write_event_head(out, "output_item.done", number + 2);
    fputs("\"output_index\":0,\"item\":", out);
    write_item(out, answer, true);
    fputs("}\n\n", out);
    write_event_head(out, "completed", number + 3);
    fputs("\"response\":", out);
    write_response(out, answer, true);
    fputs("}\n\n", out);
}

static void write_response_event(FILE *out, const struct mock_answer *answer, unsigned index,
                                 double sent) {
    if (index == 0) {
        write_beginning(out, answer);
    } else if (index > answer->tokens) {
        write_end(out, answer);
    } else {
        write_event_head(out, "output_text.delta", 2 + index);
        write_place(out, answer);
        fprintf(out,
                "\"delta\":\"%s%s\",\"logprobs\":[],"
                "\"spillway_mock\":{\"name\":\"%s\",\"sent\":%.6f}}\n\n",
                index == 1 ? "" : " ", word_at(answer, index - 1), answer->mock, sent);
    }
}

/* --- all of them --------------------------------------------------------------------------- */

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
    case MOCK_RESPONSES:
        write_response(out, answer, true);
        fputc('\n', out);
        break;
    case MOCK_IMAGES:
    case MOCK_IMAGE_EDITS:
        write_image(out, answer);
        break;
    case MOCK_TRANSCRIPTIONS:
    case MOCK_TRANSLATIONS:
        write_text(out, answer);
        break;
    case MOCK_SPEECH:
        write_speech(out, answer);
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

const char *mock_answer_type(enum mock_operation operation) {
    return operation == MOCK_SPEECH ? "audio/mpeg" : "application/json";
}

unsigned mock_answer_events(const struct mock_answer *answer) {
    return answer->tokens + (answer->operation == MOCK_RESPONSES ? 2 : 1);
}

char *mock_answer_event(const struct mock_answer *answer, unsigned index, double sent,
                        size_t *length) {
    bool chat = answer->operation == MOCK_CHAT;
    const char *space = index == 0 ? "" : " ";
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    if (answer->operation == MOCK_RESPONSES) {
        write_response_event(out, answer, index, sent);
        return finish(out, &text);
    }
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
