// Parsing and running of requests, as far as all commands share it. Knows the meaning of no option and no operand.

#include "engine/commands/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/commands/command.h"
#include "engine/commands/words.h"
#include "engine/open.h"
#include "engine/target/backing.h"

// ---------------------------------------------------------------------------------------------------------------
// Words

struct tm_error *tm_words_add(struct tm_words *words, const char *word)
{
    if (!TM_GROW(&words->items, words->count + 1, &words->capacity))
        return tm_error_no_memory();
    char *copy = strdup(word);
    if (!copy)
        return tm_error_no_memory();
    words->items[words->count++] = copy;
    return NULL;
}

void tm_words_deinit(struct tm_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct tm_words){0};
}

// ---------------------------------------------------------------------------------------------------------------
// For the commands' prepare()

void tm_request_add_unresolved(struct tm_request *request, enum tm_operand kind, const char *text)
{
    if (request->unresolved_count < TM_UNRESOLVED_LIMIT)
        request->unresolved[request->unresolved_count++] = (struct tm_unresolved){.kind = kind, .text = text};
}

struct tm_error *tm_request_take_address(struct tm_request *request)
{
    const char *name = request->command->name;
    if (request->words.count == 0)
        return tm_usage_error(name, "missing address. Usage: ", name, " ADDRESS|EXPRESSION");
    const char *text = request->words.items[0];
    // Most debuggers read 010 as 8, so the debugger evaluates it. It also evaluates numbers that are too large.
    bool octal = text[0] == '0' && text[1] >= '0' && text[1] <= '9';
    request->has_address = !octal && tm_word_number(text, &request->address);
    if (!request->has_address)
        tm_request_add_unresolved(request, TM_OPERAND_EXPRESSION, text);
    return NULL;
}

static const char number_as_key[] = "\": -n takes the number of rows, as in -n 5";

struct tm_error *tm_request_set_key(struct tm_request *request, const char *word)
{
    const char *names[TM_KEYS];
    char after[192];

    if (tm_key_from_name(word, &request->key))
        return NULL;
    for (unsigned i = 0; i < TM_KEYS; i++)
        names[i] = tm_key_name((enum tm_key)i);
    uint64_t number;
    if (tm_word_number(word, &number))
        return tm_usage_error(request->command->name, "unknown key \"", word, number_as_key);
    const char *nearest = tm_nearest(word, names, TM_KEYS);
    size_t length = (size_t)snprintf(after, sizeof(after), "\": the keys are ");
    for (unsigned i = 0; i < TM_KEYS; i++)
        length += (size_t)snprintf(after + length, sizeof(after) - length, "%s%s", i > 0 ? ", " : "", names[i]);
    if (nearest)
        snprintf(after + length, sizeof(after) - length, "; did you mean %s?", nearest);
    return tm_usage_error(request->command->name, "unknown key \"", word, after);
}

struct tm_error *tm_request_check_cumulative(const struct tm_request *request)
{
    if (request->settings.cumulative && (request->key == TM_KEY_TRACEBACK || tm_key_has_type(request->key)))
        return tm_usage_error(request->command->name, "cumulative mode cannot be used with key ",
                              tm_key_name(request->key), "; it is for lineno, filename and function");
    if (request->settings.cumulative && tm_mine_count(&request->settings.mine) > 0)
        return tm_usage_error(request->command->name, "cumulative mode cannot be used with ", "--mine",
                              ": the one counts a block for each of its frames, the other for one of them");
    return NULL;
}

struct tm_error *tm_request_check_words(const struct tm_request *request, size_t most)
{
    if (request->words.count <= most)
        return NULL;
    return tm_usage_error(request->command->name, "unexpected operand \"", request->words.items[most], "\"");
}

bool tm_request_wants_history(const struct tm_request *request)
{
    return request->settings.order == TM_ORDER_ALLOCATED || request->settings.order == TM_ORDER_FREED;
}

size_t tm_request_limit(const struct tm_request *request)
{
    return request->settings.has_limit ? (size_t)request->settings.limit : request->session->defaults.limit;
}

// ---------------------------------------------------------------------------------------------------------------
// Parsing

// The length of an option at the end of a line of this length, which is applied; 0: there is none.
static size_t take_last_option(struct tm_request *request, const char *line, size_t length)
{
    static const char *const names[] = {"--json", "--plain", "--no-plain"};
    bool *const settings[] = {&request->settings.json, &request->settings.plain, &request->settings.plain};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t name_length = strlen(names[i]);
        if (length <= name_length || !strchr(" \t", line[length - name_length - 1]) ||
            memcmp(line + length - name_length, names[i], name_length) != 0)
            continue;
        *settings[i] = i != 2;
        return name_length;
    }
    return 0;
}

// Takes the rest of the line, without trailing blanks, as an expression. No language has an expression that ends in
// " --json", " --plain" or " --no-plain": people put options at the end, so there they are options.
static struct tm_error *take_expression(struct tm_request *request, const char *line, bool options_ended)
{
    struct tm_text text = TM_TEXT_EMPTY;
    size_t length = strlen(line);

    for (;;) {
        while (length > 0 && strchr(" \t\r\n", line[length - 1]))
            length--;
        size_t option_length = options_ended ? 0 : take_last_option(request, line, length);
        if (option_length == 0)
            break;
        length -= option_length;
    }
    tm_text_bytes(&text, line, length);
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_words_add(&request->words, tm_text_string(&text));
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *parse_line(struct tm_request *request, const char *line, struct tm_text *word)
{
    const struct tm_command *command = request->command;
    bool options_ended = false;
    struct tm_error *error = NULL;

    while (!error) {
        line = tm_word_skip_blanks(line);
        if (!*line)
            break;
        if (command->takes_expression && (options_ended || *line != '-'))
            return take_expression(request, line, options_ended);

        enum tm_word_end end = tm_word_next(&line, word);
        const char *text = tm_text_string(word);
        error = tm_text_check(word);
        if (error)
            break;
        if (end == TM_WORD_OPEN)
            error = tm_usage_error(command->name, "unclosed quote in: ", text, "");
        else if (!options_ended && strcmp(text, "--") == 0)
            options_ended = true;
        else if (!options_ended && tm_option_is(text))
            error = tm_option_parse(command->name, &command->options, text, &line, &request->settings);
        else
            error = tm_words_add(&request->words, text);
    }
    return error;
}

static struct tm_error *unknown_command(const char *name)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_add(&text, "unknown command \"");
    tm_text_escape(&text, name, strlen(name));
    tm_text_add(&text, "\"; the commands are:");
    for (size_t i = 0; tm_command_name(i); i++)
        tm_text_printf(&text, " %s", tm_command_name(i));
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_error_create(TM_ERROR_USAGE, "%s", tm_text_string(&text));
    tm_text_deinit(&text);
    return error;
}

struct tm_error *tm_request_create(struct tm_session *session, const char *name, const char *line,
                                   struct tm_request **result)
{
    const struct tm_command *command = tm_command_find(name);
    if (!command)
        return unknown_command(name ? name : "");

    struct tm_request *request = calloc(1, sizeof(*request));
    if (!request)
        return tm_error_no_memory();
    request->session = session;
    request->command = command;
    request->needs_target = command->needs_target;
    request->settings.plain = session->defaults.plain;

    struct tm_text word = TM_TEXT_EMPTY;
    struct tm_error *error = parse_line(request, line ? line : "", &word);
    tm_text_deinit(&word);
    if (!error) {
        tm_settings_finish(&request->settings);
        if (request->settings.help)
            request->needs_target = false;
        else
            error = command->prepare(request);
        if (!error && !request->settings.help && request->settings.output)
            tm_request_add_unresolved(request, TM_OPERAND_ANSWER, request->settings.output);
    }
    if (error) {
        tm_request_destroy(request);
        return error;
    }
    *result = request;
    return NULL;
}

void tm_request_destroy(struct tm_request *request)
{
    if (!request)
        return;
    tm_settings_deinit(&request->settings);
    tm_words_deinit(&request->words);
    tm_error_destroy(request->verdict);
    free(request);
}

// ---------------------------------------------------------------------------------------------------------------
// Operands

size_t tm_request_operands(const struct tm_request *request)
{
    return request->unresolved_count;
}

enum tm_operand tm_request_operand_kind(const struct tm_request *request, size_t index)
{
    return index < request->unresolved_count ? request->unresolved[index].kind : (enum tm_operand)0;
}

const char *tm_request_operand_text(const struct tm_request *request, size_t index)
{
    return index < request->unresolved_count ? request->unresolved[index].text : "";
}

void tm_request_set_address(struct tm_request *request, size_t index, uint64_t address)
{
    if (index >= request->unresolved_count || request->unresolved[index].kind != TM_OPERAND_EXPRESSION)
        return;
    request->unresolved[index].address = address;
    request->unresolved[index].resolved = true;
}

void tm_request_set_target(struct tm_request *request, size_t index, struct tm_target *target)
{
    if (index >= request->unresolved_count || request->unresolved[index].kind != TM_OPERAND_CORE)
        return;
    request->unresolved[index].target = target;
    request->unresolved[index].resolved = target;
}

static bool is_output(enum tm_operand kind)
{
    return kind == TM_OPERAND_OUTPUT || kind == TM_OPERAND_REPLACE || kind == TM_OPERAND_ANSWER;
}

void tm_request_set_output(struct tm_request *request, size_t index, tm_output_callback output, void *context)
{
    if (index >= request->unresolved_count || !is_output(request->unresolved[index].kind))
        return;
    request->unresolved[index].output = output;
    request->unresolved[index].output_context = context;
    request->unresolved[index].resolved = output;
}

bool tm_request_needs_target(const struct tm_request *request)
{
    return request->needs_target;
}

// ---------------------------------------------------------------------------------------------------------------
// Running

static const char *why_unresolved(enum tm_operand kind)
{
    if (kind == TM_OPERAND_EXPRESSION)
        return "this expression has no value: ";
    return is_output(kind) ? "this file could not be opened for writing: " : "this file could not be opened: ";
}

static struct tm_error *check_operands(const struct tm_request *request, const struct tm_target *current)
{
    for (size_t i = 0; i < request->unresolved_count; i++) {
        const struct tm_unresolved *operand = &request->unresolved[i];
        if (!operand->resolved)
            return tm_usage_error(request->command->name, why_unresolved(operand->kind), operand->text, "");
    }
    if (request->needs_target && !current)
        return tm_error_create(
            TM_ERROR_NO_TARGET,
            "no process and no core: %s reads the trace table of a stopped process or of a core\n"
            "Attach to a process: attach PID. If that is refused, become root or the process's user. A "
            "container needs\n    --cap-add SYS_PTRACE. If Yama forbids it: "
            "echo 0 > /proc/sys/kernel/yama/ptrace_scope\n"
            "Or open a core: core-file FILE in gdb, target create --core FILE in lldb. If the debugger does "
            "not\n    recognize it, it may be compressed: zstd -d FILE.zst (or lz4, xz), or "
            "coredumpctl dump PID -o FILE",
            request->command->name);
    return NULL;
}

// Writes the answer to the file of --output, else to the user.
static struct tm_error *write_answer(const struct tm_request *request, const struct tm_text *out)
{
    const struct tm_unresolved *last = &request->unresolved[request->unresolved_count];

    if (request->unresolved_count == 0 || (--last)->kind != TM_OPERAND_ANSWER)
        tm_host_write(&request->session->host, tm_text_string(out), out->length);
    else if (last->output(last->output_context, tm_text_string(out), out->length) != 0)
        return tm_error_create(TM_ERROR_OUTPUT, "the answer could not be written to the file");
    return NULL;
}

struct motion {
    bool moving;  // one of the processes ran while it was read
    bool program; // and not only its trace table was read
};

static void add_motion(const struct tm_target *target, struct motion *motion)
{
    if (!target || !tm_target_is_moving(target))
        return;
    motion->moving = true;
    motion->program = motion->program || tm_target_program_was_read(target);
}

static struct motion motion_of(const struct tm_request *request, const struct tm_target *current)
{
    struct motion motion = {false, false};
    if (request->needs_target)
        add_motion(current, &motion);
    for (size_t i = 0; i < request->unresolved_count; i++)
        add_motion(request->unresolved[i].target, &motion);
    return motion;
}

// Adds a line to the answer, or a member that is true. JSON is one object and a newline.
static void add_fact(const struct tm_request *request, const char *line, const char *member, struct tm_text *out)
{
    if (!request->settings.json) {
        tm_text_add(out, line);
    } else if (!out->failed && out->length > 2) {
        out->length -= 2;
        tm_text_printf(out, ", \"%s\": true}\n", member);
    }
}

static bool may_be_newer(const struct tm_target *target, struct tm_backing *backing)
{
    if (!target)
        return false;
    tm_target_backing(target, backing);
    return tm_backing_may_be_newer(backing);
}

// Says of a core whose table is in a recorder's file that this went on.
static void add_newer(const struct tm_request *request, const struct tm_target *current, struct tm_text *out)
{
    struct tm_backing backing;
    bool newer = request->needs_target && may_be_newer(current, &backing);
    for (size_t i = 0; i < request->unresolved_count && !newer; i++)
        newer = may_be_newer(request->unresolved[i].target, &backing);
    if (!newer)
        return;
    struct tm_text line = TM_TEXT_EMPTY;
    tm_text_printf(&line, "The table may be newer than the core: it comes from %s, and the process may have gone on\n",
                   backing.file);
    add_fact(request, tm_text_string(&line), "table_may_be_newer", out);
    out->failed = out->failed || line.failed;
    tm_text_deinit(&line);
}

// Says which source the answer is from, where there are two.
static bool has_samples_beside(const struct tm_request *request, const struct tm_target *current)
{
    bool beside = request->needs_target && tm_source_has_samples_beside(current);
    if (!tm_option_is_in(&request->command->options, TM_OPTION_SAMPLES))
        return false;
    for (size_t i = 0; i < request->unresolved_count && !beside; i++)
        beside = request->unresolved[i].target && tm_source_has_samples_beside(request->unresolved[i].target);
    return beside;
}

static void add_facts(const struct tm_request *request, const struct tm_target *current, struct tm_text *out)
{
    if (has_samples_beside(request, current))
        add_fact(request,
                 "Read from the program's own tracemalloc, which is on; --samples reads the tracer's samples instead\n",
                 "samples_beside", out);
    const struct motion motion = motion_of(request, current);
    if (motion.moving)
        add_fact(request,
                 motion.program
                     ? "Read while the process ran: what it allocated or freed meanwhile may be missing or wrong\n"
                     : "Read while the process ran: lines and sizes are right, but counts and totals may be off by "
                       "what it allocated or freed meanwhile\n",
                 "read_while_running", out);
    add_newer(request, current, out);
}

static void want_samples(const struct tm_request *request, struct tm_target *current)
{
    if (request->needs_target)
        tm_source_want_samples(current, request->settings.samples);
    for (size_t i = 0; i < request->unresolved_count; i++)
        if (request->unresolved[i].target)
            tm_source_want_samples(request->unresolved[i].target, request->settings.samples);
}

struct tm_error *tm_request_run(struct tm_request *request, struct tm_target *current)
{
    struct tm_text out = TM_TEXT_EMPTY;

    struct tm_error *error = check_operands(request, current);
    if (!error && request->settings.help)
        tm_text_add(&out, request->command->help);
    else if (!error)
        want_samples(request, current);
    if (!error && !request->settings.help)
        error = request->command->run(request, current, &out);
    if (!error && !request->settings.help)
        add_facts(request, current, &out);
    if (!error)
        error = tm_text_check(&out);
    // All or nothing: an interrupted command prints no partial answer.
    if (!error && out.length > 0)
        error = write_answer(request, &out);
    tm_text_deinit(&out);
    if (!error) {
        error = request->verdict;
        request->verdict = NULL;
    }
    return error;
}
