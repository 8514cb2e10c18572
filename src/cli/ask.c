// One of the engine's commands: parses the line, opens the targets, runs the request, shows the answer.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/every.h"
#include "cli/help.h"
#include "cli/many.h"
#include "cli/moment.h"
#include "cli/select.h"

enum { MOST_OPERANDS = 4 };

struct asking {
    const struct tm_command_line *line;
    struct tm_text *answer; // NULL: standard output
    struct tm_cli_host host;
    struct tm_request *request;
    struct tm_cli_target current;
    struct tm_cli_target operands[MOST_OPERANDS]; // cores and snapshots
    size_t operand_count;
    struct tm_output outputs[MOST_OPERANDS];
    enum tm_operand output_kinds[MOST_OPERANDS];
    size_t output_count;
};

static struct tm_error *create_request(struct asking *asking)
{
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_error *error = tm_command_line_text(asking->line, &text);
    if (!error)
        error = tm_request_create(asking->host.session, asking->line->command, tm_text_string(&text), &asking->request);
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *missing_target(const char *command)
{
    if (!tm_help_takes_target(command))
        return tm_error_create(TM_ERROR_USAGE,
                               "%s: missing file name: give OLD and NEW, each a process id, a core or a "
                               "snapshot file\nType \"help %s\" for its options and examples.",
                               command, command);
    return tm_error_create(TM_ERROR_USAGE,
                           "%s: missing target: give a process id, a core or a snapshot file\n"
                           "Type \"help %s\" for its options and examples.",
                           command, command);
}

// ---------------------------------------------------------------------------------------------------------------
// Operands

static struct tm_error *no_expressions(const char *text)
{
    struct tm_text escaped = TM_TEXT_EMPTY;
    tm_text_escape(&escaped, text, strlen(text));
    struct tm_error *error = tm_error_create(
        TM_ERROR_USAGE,
        "\"%s\" is not an address, such as 0x7f0123456780\nOnly a debugger evaluates expressions: gdb, then "
        "source tm_gdb.py, then tm-traceback EXPRESSION",
        tm_text_string(&escaped));
    tm_text_deinit(&escaped);
    return error;
}

static struct tm_error *open_side(struct asking *asking, size_t index, const char *text)
{
    struct tm_cli_target *target = &asking->operands[asking->operand_count];
    struct tm_error *error = tm_cli_target_open(text, target);
    if (error)
        return error;
    asking->operand_count++;
    tm_request_set_target(asking->request, index, target->target);
    return NULL;
}

static bool is_written_already(const struct asking *asking, const struct tm_output *output)
{
    for (size_t i = 0; i < asking->output_count; i++)
        if (strcmp(asking->outputs[i].path, output->path) == 0)
            return true;
    return false;
}

static struct tm_error *open_output(struct asking *asking, size_t index, enum tm_operand kind, const char *text)
{
    struct tm_output *output = &asking->outputs[asking->output_count];
    struct tm_error *error = tm_output_open(text, kind, output);
    if (error)
        return error;
    if (is_written_already(asking, output)) {
        tm_output_close(output);
        return tm_error_create(TM_ERROR_OUTPUT,
                               "%s cannot hold both the snapshot and the answer\nGive --output another "
                               "name",
                               tm_printable(text).text);
    }
    asking->output_kinds[asking->output_count++] = kind;
    asking->host.to_file |= kind == TM_OPERAND_ANSWER;
    tm_request_set_output(asking->request, index, tm_output_write, output);
    return NULL;
}

static struct tm_error *resolve(struct asking *asking)
{
    struct tm_error *error = NULL;
    size_t count = tm_request_operands(asking->request);

    for (size_t i = 0; i < count && i < MOST_OPERANDS && !error; i++) {
        enum tm_operand kind = tm_request_operand_kind(asking->request, i);
        const char *text = tm_request_operand_text(asking->request, i);
        if (kind == TM_OPERAND_EXPRESSION)
            error = no_expressions(text);
        else if (kind == TM_OPERAND_CORE)
            error = open_side(asking, i, text);
        else
            error = open_output(asking, i, kind, text);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Running

// Whose source files are shown: the target's, or of a comparison those of a process that runs.
static struct tm_error *use_source_lines(struct asking *asking)
{
    static const struct tm_files of_this_host;
    const struct tm_files *files = &of_this_host;
    struct tm_cli_target *shown = asking->current.target ? &asking->current : NULL;

    if (!shown && asking->operand_count && asking->operands[asking->operand_count - 1].kind == TM_TARGET_PROCESS)
        shown = &asking->operands[asking->operand_count - 1];
    if (shown) {
        files = tm_cli_target_files(shown);
        asking->host.target = shown->target;
    }
    asking->host.lines = tm_lines_create(files);
    return asking->host.lines ? NULL : tm_error_no_memory();
}

static struct tm_error *check_outputs(const struct asking *asking)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; i < asking->output_count && !error; i++)
        error = tm_output_check(&asking->outputs[i]);
    return error;
}

// Bad news is written to the file of an answer; a snapshot appears only if all went well.
static struct tm_error *commit_outputs(struct asking *asking, bool is_fine)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; i < asking->output_count && !error; i++) {
        struct tm_output *output = &asking->outputs[i];
        if (is_fine || (asking->output_kinds[i] == TM_OPERAND_ANSWER && output->written))
            error = tm_output_commit(output);
    }
    return error;
}

static struct tm_error *show(struct asking *asking)
{
    if (!asking->answer)
        return tm_cli_host_flush(&asking->host);
    tm_cli_host_clear(&asking->host);
    tm_text_bytes(asking->answer, tm_text_string(&asking->host.answer), asking->host.answer.length);
    return tm_text_check(asking->answer);
}

static struct tm_error *run(struct asking *asking)
{
    struct tm_moment moment = {.host = &asking->host,
                               .line = asking->line,
                               .request = asking->request,
                               .current = asking->current.target,
                               .outputs = asking->outputs,
                               .output_count = asking->output_count};
    if (asking->current.target)
        moment.targets[moment.target_count++] = &asking->current;
    for (size_t i = 0; i < asking->operand_count && moment.target_count < TM_MOMENT_TARGETS; i++)
        moment.targets[moment.target_count++] = &asking->operands[i];

    struct tm_error *error = tm_moment_run(&moment);
    struct tm_error *unwritten = check_outputs(asking);
    if (unwritten) {
        tm_error_destroy(error);
        return unwritten;
    }
    struct tm_error *uncommitted = commit_outputs(asking, !error);
    // An answer that is bad news is shown, too.
    struct tm_error *unshown = show(asking);
    struct tm_error *const others[] = {uncommitted, unshown};
    for (size_t i = 0; i < 2; i++) {
        if (!error)
            error = others[i];
        else
            tm_error_destroy(others[i]);
    }
    tm_lines_notes(asking->host.lines, tm_cli_warn);
    return error;
}

// --folder is a setting of a session.
static struct tm_error *set_folder(struct asking *asking)
{
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_request *request;
    char *folder = asking->line->own.folder ? realpath(asking->line->own.folder, NULL) : NULL;

    if (!asking->line->own.folder)
        return NULL;
    if (!folder)
        return tm_error_create(TM_ERROR_USAGE, "--folder: there is no folder %s",
                               tm_printable(asking->line->own.folder).text);
    tm_text_add(&text, "folder ");
    tm_add_quoted(&text, folder);
    free(folder);
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_request_create(asking->host.session, "tm-set", tm_text_string(&text), &request);
    tm_text_deinit(&text);
    if (error)
        return error;
    error = tm_request_run(request, NULL);
    tm_request_destroy(request);
    tm_text_clear(&asking->host.answer);
    return error;
}

// A process that is a Python and not traced could be traced from now on.
static struct tm_error *advise_start(const struct asking *asking, struct tm_error *error)
{
    if (!error || asking->current.kind != TM_TARGET_PROCESS || !asking->current.process)
        return error;
    const char *message = tm_error_message(error);
    enum tm_error_code code = tm_error_code(error);
    if (code != TM_ERROR_NOT_TRACING && (code != TM_ERROR_NO_TABLE || !strstr(message, "Start the program with")))
        return error;
    struct tm_error *longer = tm_error_create(code, "%s\nOr trace it as it runs, from now on: tracemortem start %d",
                                              message, (int)asking->current.pid);
    tm_error_destroy(error);
    return longer;
}

static struct tm_error *ask(struct asking *asking, const char *target)
{
    struct tm_error *error = set_folder(asking);
    if (!error)
        error = create_request(asking);
    if (!error && tm_request_needs_target(asking->request))
        error = target ? tm_cli_target_open(target, &asking->current) : missing_target(asking->line->command);
    if (!error)
        error = resolve(asking);
    if (!error)
        error = use_source_lines(asking);
    if (!error)
        error = run(asking);
    return advise_start(asking, error);
}

static void close_all(struct asking *asking)
{
    tm_request_destroy(asking->request);
    for (size_t i = 0; i < asking->output_count; i++)
        tm_output_close(&asking->outputs[i]);
    for (size_t i = 0; i < asking->operand_count; i++)
        tm_cli_target_close(&asking->operands[i]);
    tm_cli_target_close(&asking->current);
    tm_cli_host_deinit(&asking->host);
}

static struct tm_error *ask_one(const struct tm_command_line *line, const char *target, struct tm_text *answer)
{
    struct asking asking = {.line = line, .answer = answer, .current.file = -1};
    struct tm_error *error = tm_cli_host_init(&asking.host);
    asking.host.to_file = answer;
    if (!error)
        error = ask(&asking, target);
    close_all(&asking);
    return error;
}

struct tm_error *tm_ask_target(const struct tm_command_line *line, const char *target, struct tm_text *answer)
{
    return ask_one(line, target, answer);
}

int tm_cli_ask(const char *command, int count, char **words)
{
    struct tm_command_line line;
    struct tm_error *error = tm_command_line_parse(command, tm_help_takes_target(command), count, words, &line);

    if (!error && line.own.help)
        error = tm_help_print(command);
    else if (!error && line.own.every)
        error = tm_every_save(&line);
    else if (!error && tm_selects(&line.own))
        error = tm_many_ask(&line);
    else if (!error)
        error = ask_one(&line, line.target, NULL);
    tm_command_line_deinit(&line);
    return tm_cli_fail(error);
}
