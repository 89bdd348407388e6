#include "shim/command/mock_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* In a message, '@' stands for the model, '#' for method and path. */
struct form {
    int status;
    enum mock_cause cause;
    enum mock_dialect dialect;
    const char *code; /* as JSON */
    const char *type; /* as JSON; NULL: the form has neither type nor param */
    const char *message;
    const char *extra; /* more members of the error object, or NULL */
};

#define CONTENT_FILTER                                                                             \
    "\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\","                    \
    "\"content_filter_result\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},"              \
    "\"jailbreak\":{\"filtered\":true,\"detected\":true},"                                         \
    "\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},"                                    \
    "\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},"                                       \
    "\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}"
#define INVALID "\"invalid_request_error\""
#define SERVER  "\"server_error\""

static const struct form forms[] = {
    {400, MOCK_USUAL, MOCK_AZURE, "\"content_filter\"", "null",
     "The response was filtered due to the prompt triggering Azure OpenAI's content management "
     "policy. Please modify your prompt and retry.",
     CONTENT_FILTER},
    {400, MOCK_USUAL, MOCK_OPENAI, "\"content_policy_violation\"", INVALID,
     "Your request was rejected as a result of our safety system.", NULL},
    {400, MOCK_NOT_JSON, MOCK_AZURE, "null", INVALID, "Your request contained invalid JSON.", NULL},
    {400, MOCK_NOT_JSON, MOCK_OPENAI, "null", INVALID,
     "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
     "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was "
     "not valid JSON.)",
     NULL},
    {400, MOCK_NO_MODEL, MOCK_ANY, "null", INVALID, "you must provide a model parameter", NULL},
    {401, MOCK_NO_KEY, MOCK_OPENAI, "null", INVALID,
     "You didn't provide an API key. You need to provide your API key in an Authorization header "
     "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
     NULL},
    {401, MOCK_USUAL, MOCK_AZURE, "\"401\"", NULL,
     "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
     "valid key for an active subscription and use a correct regional API endpoint for your "
     "resource.",
     NULL},
    {401, MOCK_USUAL, MOCK_OPENAI, "\"invalid_api_key\"", INVALID,
     "Incorrect API key provided. You can find your API key at "
     "https://platform.openai.com/account/api-keys.",
     NULL},
    {403, MOCK_USUAL, MOCK_AZURE, "\"403\"", NULL,
     "Access denied due to Virtual Network/Firewall rules.", NULL},
    {403, MOCK_USUAL, MOCK_OPENAI, "\"unsupported_country_region_territory\"",
     "\"request_forbidden\"", "Country, region, or territory not supported", NULL},
    {404, MOCK_USUAL, MOCK_AZURE, "\"DeploymentNotFound\"", NULL,
     "The API deployment for this resource does not exist. If you created the deployment within "
     "the last 5 minutes, please wait a moment and try again.",
     NULL},
    {404, MOCK_USUAL, MOCK_OPENAI, "\"model_not_found\"", INVALID,
     "The model `@` does not exist or you do not have access to it.", NULL},
    {404, MOCK_NO_RESOURCE, MOCK_AZURE, "\"404\"", NULL, "Resource not found", NULL},
    {404, MOCK_NO_RESOURCE, MOCK_OPENAI, "null", INVALID, "Invalid URL#", NULL},
    {405, MOCK_USUAL, MOCK_AZURE, "\"405\"", NULL, "Method not allowed", NULL},
    {405, MOCK_USUAL, MOCK_OPENAI, "\"method_not_supported\"", INVALID,
     "Not allowed with this method.", NULL},
    {408, MOCK_USUAL, MOCK_AZURE, "\"Timeout\"", NULL, "The operation was timeout.", NULL},
    {413, MOCK_USUAL, MOCK_ANY, "\"413\"", INVALID, "Maximum content size limit exceeded", NULL},
    {429, MOCK_QUOTA, MOCK_ANY, "\"insufficient_quota\"", "\"insufficient_quota\"",
     "You exceeded your current quota, please check your plan and billing details. For more "
     "information on this error, read the docs: "
     "https://platform.openai.com/docs/guides/error-codes/api-errors.",
     NULL},
    {429, MOCK_TOO_LARGE, MOCK_ANY, "\"rate_limit_exceeded\"", "\"tokens\"",
     "Request too large for @ in organization org-spillway on tokens per min (TPM): Limit 30000, "
     "Requested 30601. The input or output tokens must be reduced in order to run successfully.",
     NULL},
    {500, MOCK_USUAL, MOCK_AZURE, "null", SERVER,
     "The server had an error processing your request. Sorry about that! You can retry your "
     "request, or contact us through an Azure support request at: "
     "https://go.microsoft.com/fwlink/?linkid=2213926 if you keep seeing this error.",
     NULL},
    {500, MOCK_USUAL, MOCK_OPENAI, "null", SERVER,
     "The server had an error while processing your request. Sorry about that!", NULL},
    {502, MOCK_USUAL, MOCK_OPENAI, "502", "\"cf_bad_gateway\"", "Bad gateway.", NULL},
    {503, MOCK_USUAL, MOCK_AZURE, "\"ServiceUnavailable\"", NULL,
     "The service is temporarily unable to process your request. Please try again later.", NULL},
    {503, MOCK_USUAL, MOCK_OPENAI, "\"server_is_overloaded\"", "\"service_unavailable_error\"",
     "That model is currently overloaded with other requests. You can retry your request.", NULL},
    {504, MOCK_USUAL, MOCK_OPENAI, "504", "\"cf_gateway_timeout\"", "Gateway timeout.", NULL},
};

static void write_url(FILE *out, const struct mock_error *error) {
    if (error->method == NULL)
        return;
    fprintf(out, " (%s ", error->method);
    for (const char *c = error->path; *c != '\0'; c++)
        fputc((unsigned char)*c < ' ' || (unsigned char)*c > '~' || strchr("\"\\", *c) ? '_' : *c,
              out);
    fputc(')', out);
}

static void write_message(FILE *out, const char *message, const struct mock_error *error) {
    for (; *message != '\0'; message++)
        if (*message == '@')
            fputs(error->model, out);
        else if (*message == '#')
            write_url(out, error);
        else
            fputc(*message, out);
}

static void write_form(FILE *out, const struct form *form, const struct mock_error *error) {
    fputs("{\"error\":{\"message\":\"", out);
    write_message(out, form->message, error);
    if (form->type != NULL)
        fprintf(out, "\",\"type\":%s,\"param\":%s,\"code\":%s", form->type,
                form->extra != NULL ? "\"prompt\"" : "null", form->code);
    else
        fprintf(out, "\",\"code\":%s", form->code);
    if (form->extra != NULL)
        fprintf(out, ",%s", form->extra);
    fputs("}}\n", out);
}

static uint64_t ceil_of(uint64_t ns, uint64_t unit) {
    return ns / unit + (ns % unit != 0);
}

static void write_azure_limit(FILE *out, const struct mock_error *error) {
    fprintf(out,
            "{\"error\":{\"code\":\"429\",\"message\":\"Requests to the %s Operation under Azure "
            "OpenAI API have exceeded call rate limit of your current OpenAI S0 pricing tier. ",
            error->operation);
    if (error->wait_ns != MOCK_NO_WAIT) {
        uint64_t seconds = ceil_of(error->wait_ns, NS_PER_S);
        fprintf(out, "Please retry after %llu second%s. ", (unsigned long long)seconds,
                seconds == 1 ? "" : "s");
    }
    fputs("Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase "
          "the default rate limit.\"}}\n",
          out);
}

static void write_openai_limit(FILE *out, const struct mock_error *error) {
    unsigned limit = error->limit != 0 ? error->limit : 60;
    fprintf(out,
            "{\"error\":{\"message\":\"Rate limit reached for %s in organization org-spillway on "
            "requests per min (RPM): Limit %u, Used %u, Requested 1. ",
            error->model, limit, limit);
    if (error->wait_ns != MOCK_NO_WAIT) {
        char wait[48];
        mock_error_duration(error->wait_ns, wait, sizeof wait);
        fprintf(out, "Please try again in %s. ", wait);
    }
    fputs("Visit https://platform.openai.com/account/rate-limits to learn more.\","
          "\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}\n",
          out);
}

/* A status that no provider sends in a form of its own. */
static void write_plain(FILE *out, const struct mock_error *error) {
    if (error->dialect == MOCK_AZURE)
        fprintf(out, "{\"error\":{\"code\":\"%d\",\"message\":\"Status %d\"}}\n", error->status,
                error->status);
    else
        fprintf(out,
                "{\"error\":{\"message\":\"Status %d\",\"type\":\"%s\",\"param\":null,"
                "\"code\":null}}\n",
                error->status, error->status < 500 ? "invalid_request_error" : "server_error");
}

char *mock_error_body(const struct mock_error *error, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    const struct form *form = NULL;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms && form == NULL; i++)
        if (forms[i].status == error->status && forms[i].cause == error->cause &&
            (forms[i].dialect == error->dialect || forms[i].dialect == MOCK_ANY))
            form = &forms[i];
    if (form != NULL)
        write_form(out, form, error);
    else if (error->status != 429)
        write_plain(out, error);
    else if (error->dialect == MOCK_AZURE)
        write_azure_limit(out, error);
    else
        write_openai_limit(out, error);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

void mock_error_duration(uint64_t ns, char *out, size_t size) {
    uint64_t ms = ceil_of(ns, NS_PER_MS);
    unsigned long long minutes = ms / 60000;
    char seconds[24];
    if (ms < 1000) {
        snprintf(out, size, "%llums", (unsigned long long)ms);
        return;
    }
    snprintf(seconds, sizeof seconds, "%llu.%03llu", (unsigned long long)(ms % 60000 / 1000),
             (unsigned long long)(ms % 1000));
    size_t length = strlen(seconds);
    while (seconds[length - 1] == '0')
        length--;
    seconds[seconds[length - 1] == '.' ? length - 1 : length] = '\0';
    if (minutes >= 60)
        snprintf(out, size, "%lluh%llum%ss", minutes / 60, minutes % 60, seconds);
    else if (minutes > 0)
        snprintf(out, size, "%llum%ss", minutes, seconds);
    else
        snprintf(out, size, "%ss", seconds);
}

static void add_number(struct mock_hint *hint, const char *name, uint64_t value) {
    hint->name = name;
    snprintf(hint->value, sizeof hint->value, "%llu", (unsigned long long)value);
}

size_t mock_error_hints(enum mock_dialect dialect, unsigned limit, uint64_t wait_ns,
                        const char *retry_after, struct mock_hint hints[MOCK_HINTS_MAX]) {
    size_t count = 0;
    add_number(&hints[count++], "x-ratelimit-limit-requests", limit != 0 ? limit : 60);
    add_number(&hints[count++], "x-ratelimit-remaining-requests", 0);
    add_number(&hints[count++], "x-ratelimit-limit-tokens", 150000);
    add_number(&hints[count++], "x-ratelimit-remaining-tokens", 149984);
    if (wait_ns == MOCK_NO_WAIT)
        return count;
    add_number(&hints[count], "retry-after", ceil_of(wait_ns, NS_PER_S));
    if (retry_after != NULL)
        snprintf(hints[count].value, sizeof hints[count].value, "%s", retry_after);
    count++;
    add_number(&hints[count++], "retry-after-ms", ceil_of(wait_ns, NS_PER_MS));
    add_number(&hints[count], "x-ratelimit-reset-requests", ceil_of(wait_ns, NS_PER_S));
    if (dialect == MOCK_OPENAI)
        mock_error_duration(wait_ns, hints[count].value, sizeof hints[count].value);
    count++;
    return count;
}
