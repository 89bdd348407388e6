#include "shim/command/mock_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"

#define NAME_MAX_ 64

const char mock_command_help[] =
    "Usage: spillway mock [OPTION]...\n"
    "A simulated OpenAI or Azure OpenAI deployment. It prints \"mock NAME listening on URL\" once\n"
    "it takes connections, and ends with status 0 on SIGTERM or SIGINT.\n"
    "\n"
    "  --listen HOST:PORT     where to listen; port 0 takes a free one (127.0.0.1:0)\n"
    "  --name NAME            sent as x-spillway-mock and in each answer (mock)\n"
    "  --tls CERT KEY         speak https, with these PEM files\n"
    "  --dialect WORD         form of errors: openai, azure, or any: by the path (any)\n"
    "  --strict               refuse what the provider would: URL, key, model, JSON, see below\n"
    "  --deployment NAME      with --strict: this deployment or model exists, no other "
    "(repeatable)\n"
    "  --key-env VARIABLE     the right key is in this environment variable; 401 for another one\n"
    "  --limit COUNT/WINDOW   so many requests in a sliding window, 429 for more: 3/10s\n"
    "  --status STEP          answer every request with this status, or step of a script\n"
    "  --script STEP,...      a step per request, see below\n"
    "  --retry-after SECONDS  Retry-After of a 429 (with --limit: until the window frees)\n"
    "  --latency TIME         wait before each response: 50ms (0)\n"
    "  --tokens N             words of an answer, events of a stream (8)\n"
    "  --event-interval TIME  from one event of a stream to the next (100ms)\n"
    "  --log FILE             append a JSON line per request\n"
    "  --save-bodies DIR      write each request's body to DIR/NAME-N.body, N from 1\n"
    "  --requests N           end after N requests\n"
    "  --for TIME             end after this time (1h)\n"
    "  --help                 show this\n"
    "\n"
    "Steps of a script, separated by commas; after the last one, the last one goes on for ever:\n"
    "  200, 429, 503 ...      answer with this status (1xx: send it, then 200)\n"
    "  reset, close, hang     TCP reset; close without a byte; no answer until the client goes\n"
    "  cut, stall             200, but half of the body; the same, and then no end\n"
    "  slow, trickle          200 with the body in ten pieces; in pieces of 16 bytes\n"
    "  STEP*N, STEP*          N times; for ever (the last step alone, where it is the default)\n"
    "  STEP:name=value:...    with these headers; quote a value that holds , : or *\n"
    "  STEP:body=TEXT         with this body\n"
    "  STEP:latency=TIME      instead of --latency\n"
    "  STEP:interim=103       send this informational response first\n"
    "  cut:after=N, stall:after=N   after N bytes of the body\n"
    "  slow:interval=TIME     and trickle: instead of --event-interval\n"
    "  429:quota, 429:too-large   429 for insufficient quota, or for a request that never fits\n"
    "Every request uses a step up. --limit turns a step that would succeed into a 429.\n"
    "A 429 says how long to wait if --retry-after, --limit or its own headers know it.\n"
    "\n"
    "--strict, for a step that would succeed: azure wants /openai/deployments/NAME/OPERATION or\n"
    "/openai/RESOURCE with an api-version, or /openai/v1/..., and api-key or Authorization: "
    "Bearer;\n"
    "openai wants /v1/... without api-version, Authorization: Bearer, and a model in the body.\n"
    "\n"
    "Examples:\n"
    "  spillway mock --listen 127.0.0.1:9001 --name ptu --limit 3/10s\n"
    "  spillway mock --status 429 --retry-after 4 --dialect azure\n"
    "  spillway mock --script '200*3,429:retry-after=5,500,reset,hang,200' --log requests.json\n"
    "  spillway mock --dialect azure --strict --deployment gpt4 --key-env AZURE_KEY\n"
    "  spillway mock --script \"429:retry-after='Wed, 21 Oct 2026 07:28:00 GMT',200\"\n";

int mock_refuse(const char *option, const char *found, const char *expected) {
    if (found == NULL)
        fprintf(stderr, "spillway mock: %s: found nothing, expected %s\n", option, expected);
    else
        fprintf(stderr, "spillway mock: %s: found '%s', expected %s\n", option, found, expected);
    return MOCK_EXIT_WRONG;
}

static int take_number(const char *option, const char *text, uint64_t most, uint64_t *out) {
    char expected[64], *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value >= 1 && value <= most) {
        *out = value;
        return 0;
    }
    snprintf(expected, sizeof expected, "a number from 1 to %llu", (unsigned long long)most);
    return mock_refuse(option, text, expected);
}

static int take_duration(const char *option, const char *text, uint64_t *ns) {
    if (settings_parse_duration(text, ns))
        return 0;
    return mock_refuse(option, text, "a time such as 50ms, 10s, 5m or 1h");
}

static int take_name(struct mock_options *options, const char *text) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(text);
    if (length == 0 || length > NAME_MAX_ || strspn(text, allowed) != length)
        return mock_refuse("--name", text, "1 to 64 letters, digits, '.', '_' or '-'");
    options->name = text;
    return 0;
}

static int take_dialect(struct mock_options *options, const char *text) {
    static const char *const words[] = {
        [MOCK_ANY] = "any", [MOCK_OPENAI] = "openai", [MOCK_AZURE] = "azure"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0) {
            options->dialect = (enum mock_dialect)i;
            return 0;
        }
    return mock_refuse("--dialect", text, "openai, azure or any");
}

static int take_deployment(struct mock_rules *rules, const char *text) {
    bool safe = *text != '\0' && strpbrk(text, "\"\\") == NULL;
    for (const char *c = text; *c != '\0'; c++)
        safe = safe && (unsigned char)*c >= ' ';
    if (!safe)
        return mock_refuse("--deployment", text, "a name without quotes, backslashes or controls");
    const char **more = realloc(rules->names, (rules->name_count + 1) * sizeof *more);
    if (more == NULL)
        return mock_refuse("--deployment", text, "memory for its name");
    rules->names = more;
    rules->names[rules->name_count++] = text;
    return 0;
}

/* The word is not shown: it may be the key itself, by mistake. */
static int take_key(struct mock_rules *rules, const char *variable) {
    rules->key = getenv(variable);
    if (rules->key != NULL && rules->key[0] != '\0')
        return 0;
    fprintf(stderr, "spillway mock: --key-env: expected the name of an environment variable that "
                    "has a key\n");
    return MOCK_EXIT_WRONG;
}

static int take_limit(struct mock_options *options, const char *text) {
    mock_limit_free(&options->limit);
    if (mock_limit_parse(text, &options->limit))
        return 0;
    return mock_refuse("--limit", text, "COUNT/WINDOW such as 3/10s or 60/m");
}

static int take_retry_after(struct mock_options *options, const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (strspn(text, "0123456789.") != strlen(text) || end == text || *end != '\0' ||
        strlen(text) > 20 || seconds > 1e9)
        return mock_refuse(
            "--retry-after", text,
            "seconds such as 4 or 0.5 (for other forms: --script '429:retry-after=...')");
    options->retry_after = text;
    options->retry_after_ns = (uint64_t)(seconds * 1e9);
    return 0;
}

static int take_script(struct mock_command *command, const char *option, const char *text) {
    char error[200];
    bool status = strcmp(option, "--status") == 0;
    *(status ? &command->has_status : &command->has_script) = true;
    if (command->has_status && command->has_script)
        return mock_refuse(option, text, "one of --status and --script, not both");
    mock_script_free(&command->options.script);
    if (!mock_script_parse(text, &command->options.script, error, sizeof error)) {
        fprintf(stderr, "spillway mock: %s: %s\n", option, error);
        return MOCK_EXIT_WRONG;
    }
    if (status &&
        (command->options.script.count > 1 || command->options.script.steps[0].repeat > 1))
        return mock_refuse(option, text, "one status or step (several: --script)");
    return 0;
}

/* getopt gives one argument to an option; the second is the next word. */
static int take_tls(struct mock_command *command, const char *text, int argc, char **argv) {
    if (optind >= argc || argv[optind][0] == '-')
        return mock_refuse("--tls", text, "two PEM files: CERT KEY");
    command->certificate = text;
    command->key = argv[optind++];
    return 0;
}

enum {
    OPTION_LISTEN = 256,
    OPTION_NAME,
    OPTION_TLS,
    OPTION_DIALECT,
    OPTION_STRICT,
    OPTION_DEPLOYMENT,
    OPTION_KEY_ENV,
    OPTION_LIMIT,
    OPTION_STATUS,
    OPTION_SCRIPT,
    OPTION_RETRY_AFTER,
    OPTION_LATENCY,
    OPTION_TOKENS,
    OPTION_EVENT_INTERVAL,
    OPTION_LOG,
    OPTION_SAVE_BODIES,
    OPTION_REQUESTS,
    OPTION_FOR,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"name", required_argument, NULL, OPTION_NAME},
    {"tls", required_argument, NULL, OPTION_TLS},
    {"dialect", required_argument, NULL, OPTION_DIALECT},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"deployment", required_argument, NULL, OPTION_DEPLOYMENT},
    {"key-env", required_argument, NULL, OPTION_KEY_ENV},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"status", required_argument, NULL, OPTION_STATUS},
    {"script", required_argument, NULL, OPTION_SCRIPT},
    {"retry-after", required_argument, NULL, OPTION_RETRY_AFTER},
    {"latency", required_argument, NULL, OPTION_LATENCY},
    {"tokens", required_argument, NULL, OPTION_TOKENS},
    {"event-interval", required_argument, NULL, OPTION_EVENT_INTERVAL},
    {"log", required_argument, NULL, OPTION_LOG},
    {"save-bodies", required_argument, NULL, OPTION_SAVE_BODIES},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"for", required_argument, NULL, OPTION_FOR},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static int take_tokens(struct mock_options *options, const char *text) {
    uint64_t tokens = 0;
    int status = take_number("--tokens", text, 1000000, &tokens);
    options->tokens = (unsigned)tokens;
    return status;
}

static int take_option(struct mock_command *command, int option, int argc, char **argv) {
    struct mock_options *options = &command->options;
    switch (option) {
    case OPTION_LISTEN:
        command->listen = optarg;
        return 0;
    case OPTION_NAME:
        return take_name(options, optarg);
    case OPTION_TLS:
        return take_tls(command, optarg, argc, argv);
    case OPTION_DIALECT:
        return take_dialect(options, optarg);
    case OPTION_STRICT:
        options->rules.strict = true;
        return 0;
    case OPTION_DEPLOYMENT:
        return take_deployment(&options->rules, optarg);
    case OPTION_KEY_ENV:
        return take_key(&options->rules, optarg);
    case OPTION_LIMIT:
        return take_limit(options, optarg);
    case OPTION_STATUS:
        return take_script(command, "--status", optarg);
    case OPTION_SCRIPT:
        return take_script(command, "--script", optarg);
    case OPTION_RETRY_AFTER:
        return take_retry_after(options, optarg);
    case OPTION_LATENCY:
        return take_duration("--latency", optarg, &options->latency_ns);
    case OPTION_TOKENS:
        return take_tokens(options, optarg);
    case OPTION_EVENT_INTERVAL:
        return take_duration("--event-interval", optarg, &options->event_interval_ns);
    case OPTION_LOG:
        command->log = optarg;
        return 0;
    case OPTION_SAVE_BODIES:
        command->bodies = optarg;
        return 0;
    case OPTION_REQUESTS:
        return take_number("--requests", optarg, UINT32_MAX, &options->requests);
    case OPTION_FOR:
        return take_duration("--for", optarg, &command->for_ns);
    case OPTION_HELP:
        command->helped = true;
        return 0;
    case ':':
        return mock_refuse(argv[optind - 1], NULL, "a value (see spillway mock --help)");
    default:
        return mock_refuse("option", argv[optind - 1], "one of those in spillway mock --help");
    }
}

/* What the options have to have in common. */
static int check_together(const struct mock_command *command) {
    const struct mock_rules *rules = &command->options.rules;
    const struct mock_script *script = &command->options.script;
    if (rules->name_count > 0 && !rules->strict)
        return mock_refuse("--deployment", rules->names[0], "--strict together with it");
    for (size_t i = 0; command->key != NULL && i < script->count; i++)
        if (script->steps[i].interim != 0)
            return mock_refuse("--script", "an informational response", "none together with --tls");
    return 0;
}

int mock_command_parse(struct mock_command *command, int argc, char **argv) {
    int option, status = 0;
    optind = 0;
    while (status == 0 && !command->helped &&
           (option = getopt_long(argc, argv, "+:", long_options, NULL)) != -1)
        status = take_option(command, option, argc, argv);
    if (status != 0 || command->helped)
        return status;
    if (optind < argc)
        return mock_refuse("argument", argv[optind], "an option (see spillway mock --help)");
    return check_together(command);
}
