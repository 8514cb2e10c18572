// Asks processes one after the other. What the rows need of each is in its answer to tm-info.

#include "cli/many.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/host.h"
#include "cli/select.h"
#include "engine/base/json.h"
#include "engine/base/number.h"

// What many processes can be asked. The others need a target of their own, or write files.
static const char *const askable[] = {"tm-info", "tm-top", "tm-traces", "tm-verify"};

struct row {
    pid_t pid;
    struct tm_text title;
    struct tm_text info;   // the JSON of tm-info
    struct tm_text answer; // of the command, if it is another one
    struct tm_error *error;
    uint64_t traced, peak, blocks, private_size;
};

struct table {
    const struct tm_command_line *line;
    bool is_json;
    struct row *rows;
    size_t count;
};

// ---------------------------------------------------------------------------------------------------------------
// Asking

static bool has_option(const struct tm_command_line *line, const char *option)
{
    for (size_t i = 0; i < line->count; i++) {
        size_t length = strlen(option);
        if (tm_command_word(line->command, line->words, i) == TM_WORD_OPTION &&
            strncmp(line->words[i], option, length) == 0 &&
            (line->words[i][length] == '\0' || line->words[i][length] == '='))
            return true;
    }
    return false;
}

bool tm_many_can_ask(const char *command)
{
    for (size_t i = 0; i < sizeof(askable) / sizeof(askable[0]); i++)
        if (strcmp(command, askable[i]) == 0)
            return true;
    return false;
}

static struct tm_error *check(const struct tm_command_line *line)
{
    if (has_option(line, "--output"))
        return tm_error_create(TM_ERROR_USAGE, "%s: --output is for one target; use your shell's > for many",
                               line->command);
    if (tm_many_can_ask(line->command))
        return NULL;
    return tm_error_create(TM_ERROR_USAGE,
                           "%s: needs one target; --children, --name and --cgroup are for info, top, traces and verify",
                           line->command);
}

// The number behind this key in an answer of the engine; 0: it is not there.
static uint64_t number_of(const struct tm_text *json, const char *after, const char *key)
{
    const char *from = strstr(tm_text_string(json), after);
    const char *found = from ? strstr(from, key) : NULL;
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

static void ask_row(const struct tm_command_line *line, struct row *row)
{
    static const char *const as_json[] = {"--json"};
    struct tm_command_line info = {.command = "tm-info", .own = line->own, .words = (const char **)as_json, .count = 1};
    char target[16];

    snprintf(target, sizeof(target), "%d", (int)row->pid);
    tm_process_title(row->pid, &row->title);
    row->error = tm_ask_target(&info, target, &row->info);
    if (row->error)
        return;
    row->traced = number_of(&row->info, "", "\"traced_memory\": ");
    row->peak = number_of(&row->info, "", "\"peak_traced_memory\": ");
    row->blocks = number_of(&row->info, "", "\"blocks\": ");
    row->private_size = number_of(&row->info, "\"private\": {", "\"size\": ");
    if (strcmp(line->command, "tm-info") != 0)
        row->error = tm_ask_target(line, target, &row->answer);
}

// ---------------------------------------------------------------------------------------------------------------
// Text

// As tracemalloc shows sizes.
static const char *size_text(uint64_t bytes, char *buffer, size_t capacity)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    unsigned unit = 0;
    while (unit < 4 && size >= 10 * 1024) {
        size /= 1024;
        unit++;
    }
    snprintf(buffer, capacity, unit && size < 100 ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return buffer;
}

// The peaks of processes are not of one moment: they have no sum.
static void add_row(struct tm_text *out, const char *first, const struct row *row, const char *title)
{
    char traced[32], peak[32], private_size[32];
    tm_text_printf(out, "%9s %10s %10s %10" PRIu64 " %10s  %s\n", first, size_text(row->traced, traced, sizeof(traced)),
                   row->pid ? size_text(row->peak, peak, sizeof(peak)) : "", row->blocks,
                   size_text(row->private_size, private_size, sizeof(private_size)), title);
}

// The first line of why a process is not among the sums.
static void add_failure(struct tm_text *out, const struct row *row)
{
    const char *message = tm_error_message(row->error);
    tm_text_printf(out, "%9d  %s: %.*s\n", (int)row->pid, tm_text_string(&row->title), (int)strcspn(message, "\n"),
                   message);
}

static struct row sum_of(const struct table *table, size_t *answered)
{
    struct row sum = {0};
    *answered = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (!row->info.length)
            continue;
        sum.traced = tm_add_saturating(sum.traced, row->traced);
        sum.blocks = tm_add_saturating(sum.blocks, row->blocks);
        sum.private_size = tm_add_saturating(sum.private_size, row->private_size);
        ++*answered;
    }
    return sum;
}

static void add_text(const struct table *table, struct tm_text *out)
{
    char title[64], first[16];
    size_t answered;
    const struct row sum = sum_of(table, &answered);

    tm_text_printf(out, "%9s %10s %10s %10s %10s  %s\n", "process", "traced", "peak", "blocks", "private",
                   "command line");
    for (size_t i = 0; i < table->count; i++) {
        snprintf(first, sizeof(first), "%d", (int)table->rows[i].pid);
        if (table->rows[i].info.length)
            add_row(out, first, &table->rows[i], tm_text_string(&table->rows[i].title));
    }
    snprintf(title, sizeof(title), "%zu of %zu processes are traced", answered, table->count);
    add_row(out, "sum", &sum, title);
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].error)
            add_failure(out, &table->rows[i]);
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].answer.length)
            tm_text_printf(out, "\nprocess %d: %s\n%s", (int)table->rows[i].pid, tm_text_string(&table->rows[i].title),
                           tm_text_string(&table->rows[i].answer));
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

// An answer of the engine, which is an object and a newline, as a member.
static void add_answer(struct tm_text *out, const char *key, const struct tm_text *answer)
{
    if (answer->length > 1)
        tm_text_printf(out, ", \"%s\": %.*s", key, (int)(answer->length - 1), answer->bytes);
}

static void add_json(const struct table *table, struct tm_text *out)
{
    struct tm_json json = {out, false};
    size_t answered;
    const struct row sum = sum_of(table, &answered);

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", table->line->command);
    tm_json_begin_array(&json, "processes");
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        tm_json_begin_object(&json, NULL);
        tm_json_number(&json, "pid", (uint64_t)row->pid);
        tm_json_word(&json, "title", tm_text_string(&row->title));
        if (row->error)
            tm_json_word(&json, "error", tm_error_message(row->error));
        add_answer(out, "info", &row->info);
        add_answer(out, "answer", &row->answer);
        tm_json_end_object(&json);
    }
    tm_json_end_array(&json);
    tm_json_begin_object(&json, "sum");
    tm_json_number(&json, "processes", answered);
    tm_json_number(&json, "traced_memory", sum.traced);
    tm_json_number(&json, "blocks", sum.blocks);
    tm_json_number(&json, "private", sum.private_size);
    tm_json_end_object(&json);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *print(const struct table *table)
{
    struct tm_text out = TM_TEXT_EMPTY;
    if (table->is_json)
        add_json(table, &out);
    else
        add_text(table, &out);
    struct tm_error *error = tm_text_check(&out);
    if (!error && (fputs(tm_text_string(&out), stdout) == EOF || fflush(stdout) != 0))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output");
    tm_text_deinit(&out);
    return error;
}

static struct tm_error *none_traced(const struct table *table)
{
    size_t answered;
    sum_of(table, &answered);
    return answered ? NULL : tm_error_create(TM_ERROR_NO_TABLE, "none of the %zu processes is traced", table->count);
}

static void destroy(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        tm_text_deinit(&table->rows[i].title);
        tm_text_deinit(&table->rows[i].info);
        tm_text_deinit(&table->rows[i].answer);
        tm_error_destroy(table->rows[i].error);
    }
    free(table->rows);
}

// Ctrl-C, or a thread that can be let go only by ending this process, ends all.
static struct tm_error *take_interruption(struct row *row)
{
    struct tm_error *error = row->error;
    if (!error || tm_error_code(error) != TM_ERROR_INTERRUPTED)
        return NULL;
    row->error = NULL;
    return error;
}

struct tm_error *tm_many_ask(const struct tm_command_line *line)
{
    struct tm_processes processes = {0};
    struct table table = {.line = line, .is_json = has_option(line, "--json")};

    struct tm_error *error = check(line);
    if (!error)
        error = tm_select(&line->own, &processes);
    if (!error) {
        table.rows = calloc(processes.count, sizeof(table.rows[0]));
        error = table.rows ? NULL : tm_error_no_memory();
    }
    for (size_t i = 0; !error && i < processes.count && !tm_cli_interrupted(); i++) {
        table.rows[i].pid = processes.ids[i];
        ask_row(line, &table.rows[i]);
        table.count++;
        error = take_interruption(&table.rows[i]);
    }
    if (!error && tm_cli_interrupted())
        error = tm_error_create(TM_ERROR_INTERRUPTED, "interrupted");
    if (!error)
        error = print(&table);
    if (!error)
        error = none_traced(&table);
    destroy(&table);
    tm_processes_deinit(&processes);
    return error;
}
