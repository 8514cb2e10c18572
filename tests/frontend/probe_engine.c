// A replacement for the engine, with the same header. Its commands show what a front end's callbacks give:
//
//   tm-read ADDRESS LENGTH      reads, and shows a checksum, or that it was refused
//   tm-symbol NAME              the symbol's address
//   tm-regions                  the regions, one a line
//   tm-address EXPRESSION       the operand's value
//   tm-both CORE ADDRESS        reads eight bytes of the core and of the current target, in turn
//   tm-core CORE ADDRESS        the same of the core only; needs no target
//   tm-source FILE LINE         the source line
//   tm-fail TEXT                fails with this message
//   tm-wait                     writes a line to $TM_READY, then works until it is asked to stop; reads nothing
//   tm-write FILE               writes "begun" to the file, then does what tm-wait does
//
// It knows no table.
#include "engine/tracemortem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tm_error {
    enum tm_error_code code;
    char message[256];
};

struct tm_session {
    struct tm_host_callbacks host;
    void *context;
};

struct tm_target {
    struct tm_target_callbacks callbacks;
    void *context;
};

struct tm_request {
    struct tm_session *session;
    const char *command;
    char words[2][256];
    uint64_t address;
    struct tm_target *target;
    tm_output_callback output;
    void *output_context;
};

static const char *const commands[] = {"tm-read",   "tm-symbol", "tm-regions", "tm-address", "tm-both", "tm-core",
                                       "tm-source", "tm-fail",   "tm-wait",    "tm-write",   NULL};

static struct tm_error *fail(enum tm_error_code code, const char *message)
{
    struct tm_error *error = calloc(1, sizeof(*error));
    if (!error)
        abort();
    error->code = code;
    snprintf(error->message, sizeof(error->message), "%s", message);
    return error;
}

const char *tm_error_message(const struct tm_error *error)
{
    return error->message;
}

enum tm_error_code tm_error_code(const struct tm_error *error)
{
    return error->code;
}

void tm_error_destroy(struct tm_error *error)
{
    free(error);
}

struct tm_error *tm_session_create(const struct tm_host_callbacks *host, void *context, struct tm_session **result)
{
    struct tm_session *session = calloc(1, sizeof(*session));
    if (!session)
        abort();
    session->host = *host;
    session->context = context;
    *result = session;
    return NULL;
}

void tm_session_destroy(struct tm_session *session)
{
    free(session);
}

struct tm_error *tm_target_create(const struct tm_target_callbacks *callbacks, void *context, struct tm_target **result)
{
    struct tm_target *target = calloc(1, sizeof(*target));
    if (!target)
        abort();
    target->callbacks = *callbacks;
    target->context = context;
    *result = target;
    return NULL;
}

struct tm_error *tm_target_create_file(const struct tm_target_callbacks *callbacks, void *context, uint64_t size,
                                       struct tm_target **result)
{
    (void)size;
    return tm_target_create(callbacks, context, result);
}

void tm_target_changed(struct tm_target *target)
{
    (void)target;
}

void tm_target_destroy(struct tm_target *target)
{
    free(target);
}

void tm_target_set_running(struct tm_target *target, bool running)
{
    (void)target, (void)running;
}

void tm_target_set_moving(struct tm_target *target, bool moving)
{
    (void)target, (void)moving;
}

uint64_t tm_target_started(const struct tm_target *target)
{
    (void)target;
    return 0;
}

uint64_t tm_target_bytes_read(const struct tm_target *target)
{
    (void)target;
    return 0;
}

const char *tm_command_name(size_t index)
{
    return index < sizeof(commands) / sizeof(commands[0]) ? commands[index] : NULL;
}

const char *tm_command_help(const char *command)
{
    (void)command;
    return "Probe.\n\nUsage: see probe_engine.c\n";
}

enum tm_word_kind tm_command_word(const char *command, const char *const *words, size_t index)
{
    (void)command, (void)words, (void)index;
    return (enum tm_word_kind)0;
}

const char *tm_complete(struct tm_session *session, const char *command, const char *line, struct tm_target *current)
{
    (void)current;
    (void)session, (void)line;
    return strcmp(command, "tm-symbol") == 0 ? "alpha\nalphabet\n--alpha=one\n" : "";
}

struct tm_error *tm_request_create(struct tm_session *session, const char *command, const char *line,
                                   struct tm_request **result)
{
    struct tm_request *request = calloc(1, sizeof(*request));
    if (!request)
        abort();
    request->session = session;
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i], command) == 0)
            request->command = commands[i];
    if (strcmp(command, "tm-address") == 0 || strcmp(command, "tm-fail") == 0)
        snprintf(request->words[0], sizeof(request->words[0]), "%s", line);
    else
        (void)!sscanf(line, "%255s %255s", request->words[0], request->words[1]);
    *result = request;
    return NULL;
}

static bool has_core(const struct tm_request *request)
{
    return strcmp(request->command, "tm-both") == 0 || strcmp(request->command, "tm-core") == 0;
}

static bool writes(const struct tm_request *request)
{
    return strcmp(request->command, "tm-write") == 0;
}

size_t tm_request_operands(const struct tm_request *request)
{
    return has_core(request) || writes(request) || strcmp(request->command, "tm-address") == 0;
}

enum tm_operand tm_request_operand_kind(const struct tm_request *request, size_t index)
{
    (void)index;
    if (writes(request))
        return TM_OPERAND_OUTPUT;
    return has_core(request) ? TM_OPERAND_CORE : TM_OPERAND_EXPRESSION;
}

const char *tm_request_operand_text(const struct tm_request *request, size_t index)
{
    return request->words[index];
}

void tm_request_set_address(struct tm_request *request, size_t index, uint64_t address)
{
    (void)index;
    request->address = address;
}

void tm_request_set_target(struct tm_request *request, size_t index, struct tm_target *target)
{
    (void)index;
    request->target = target;
}

void tm_request_set_output(struct tm_request *request, size_t index, tm_output_callback output, void *context)
{
    (void)index;
    request->output = output;
    request->output_context = context;
}

bool tm_request_needs_target(const struct tm_request *request)
{
    return strcmp(request->command, "tm-source") != 0 && strcmp(request->command, "tm-core") != 0;
}

__attribute__((format(printf, 2, 3))) static void say(const struct tm_request *request, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    request->session->host.write(request->session->context, text, strlen(text));
}

static void show_read(const struct tm_request *request, const struct tm_target *target, uint64_t address,
                      uint64_t length)
{
    // More room than the engine ever asks to fill: shows a front end that does not limit lengths.
    unsigned char *buffer = calloc(1, TM_READ_LIMIT * 2);
    if (!buffer)
        abort();
    if (target->callbacks.read(target->context, address, buffer, length) != 0) {
        say(request, "refused\n");
    } else {
        uint64_t sum = 0;
        for (uint64_t i = 0; i < length && i < TM_READ_LIMIT * 2; i++)
            sum = sum * 31 + buffer[i];
        say(request, "%016" PRIx64 "\n", sum);
    }
    free(buffer);
}

static void show_regions(const struct tm_request *request, const struct tm_target *target)
{
    size_t count = target->callbacks.regions(target->context, NULL, 0);
    struct tm_region *regions = calloc(count + 1, sizeof(*regions));
    if (!regions)
        abort();
    regions[count].start = 77;
    size_t half = target->callbacks.regions(target->context, regions, count / 2);
    size_t again = target->callbacks.regions(target->context, regions, count + 1);
    if (half != count || again != count || regions[count].start != 77)
        abort();
    for (size_t i = 0; i < count; i++)
        say(request, "%" PRIx64 "-%" PRIx64 " %u %s\n", regions[i].start, regions[i].end, regions[i].flags,
            regions[i].name);
    free(regions);
}

static struct tm_error *wait_for_the_stop(const struct tm_request *request)
{
    const struct tm_session *session = request->session;
    const char *ready = getenv("TM_READY");
    if (!ready || write(atoi(ready), "waiting\n", 8) != 8)
        abort();
    while (session->host.should_stop(session->context) == 0)
        for (volatile int i = 0; i < 100000; i++) {
        }
    return fail(TM_ERROR_INTERRUPTED, "interrupted");
}

struct tm_error *tm_request_run(struct tm_request *request, struct tm_target *current)
{
    const struct tm_session *session = request->session;
    const char *command = request->command;
    uint64_t first = strtoull(request->words[0], NULL, 0), second = strtoull(request->words[1], NULL, 0);
    if (!current && tm_request_needs_target(request))
        return fail(TM_ERROR_NO_TARGET, "no process and no core");
    if (strcmp(command, "tm-read") == 0) {
        show_read(request, current, first, second);
    } else if (strcmp(command, "tm-symbol") == 0) {
        say(request, "%" PRIx64 "\n", current->callbacks.symbol(current->context, request->words[0]));
    } else if (strcmp(command, "tm-regions") == 0) {
        show_regions(request, current);
    } else if (strcmp(command, "tm-address") == 0) {
        say(request, "%" PRIx64 "\n", request->address);
    } else if (has_core(request)) {
        for (int i = 0; i < 2; i++) {
            show_read(request, request->target, second, 8);
            if (strcmp(command, "tm-both") == 0)
                show_read(request, current, second, 8);
        }
    } else if (strcmp(command, "tm-source") == 0) {
        uint32_t may_differ = 0;
        const char *line =
            session->host.source_line(session->context, request->words[0], (uint32_t)second, &may_differ);
        say(request, "%s%s", may_differ ? "may differ: " : "", line ? line : "none\n");
    } else if (strcmp(command, "tm-wait") == 0 || writes(request)) {
        if (writes(request) && request->output(request->output_context, "begun", 5) != 0)
            return fail(TM_ERROR_OUTPUT, "not written");
        return wait_for_the_stop(request);
    } else {
        return fail(TM_ERROR_USAGE, request->words[0]);
    }
    return NULL;
}

void tm_request_destroy(struct tm_request *request)
{
    free(request);
}
