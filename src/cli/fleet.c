// An export is written to a file of a folder of its own, and read back: the engine's commands write files.

#define _GNU_SOURCE

#include "cli/fleet.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/host.h"
#include "cli/select.h"
#include "cli/targets.h"
#include "process/core.h"
#include "process/proc.h"

// ---------------------------------------------------------------------------------------------------------------
// Words

static bool is_named(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && (word[length] == '\0' || (word[1] == '-' && word[length] == '='));
}

static struct tm_error *take_value(const char *name, int count, char **words, int *index, const char **value)
{
    const char *equals = words[*index][1] == '-' ? strchr(words[*index], '=') : NULL;
    if (!equals && *index + 1 >= count)
        return tm_error_create(TM_ERROR_USAGE, "%s needs a value after it", name);
    *value = equals ? equals + 1 : words[++*index];
    return NULL;
}

// A label of Prometheus: letters, digits and underscores before the "=". A header has a ":" there.
static bool is_pair(const char *word, bool is_header)
{
    size_t length = 0;
    while (isalnum((unsigned char)word[length]) || word[length] == '_' || (is_header && word[length] == '-'))
        length++;
    return length > 0 && !isdigit((unsigned char)word[0]) && word[length] == (is_header ? ':' : '=') &&
           !(is_header && strpbrk(word, "\r\n"));
}

static struct tm_error *take_pair(const char *name, int count, char **words, int *index, struct tm_fleet_values *values)
{
    const char *value;
    bool is_header = strcmp(name, "--header") == 0;
    struct tm_error *error = take_value(name, count, words, index, &value);
    if (error)
        return error;
    if (!is_pair(value, is_header))
        return tm_error_create(TM_ERROR_USAGE, "%s: \"%s\" is not %s", name, tm_printable(value).text,
                               is_header ? "a header, such as 'X-Scope-OrgID: shop'" : "NAME=VALUE, such as env=prod");
    if (values->count == TM_MOST_LABELS)
        return tm_error_create(TM_ERROR_USAGE, "%s: there are %d already", name, TM_MOST_LABELS);
    values->items[values->count++] = value;
    return NULL;
}

static struct tm_error *take_word(bool is_push, int count, char **words, int *index, struct tm_fleet *fleet)
{
    const char *word = words[*index];
    if (is_named(word, "--label"))
        return take_pair("--label", count, words, index, &fleet->labels);
    if (is_push && is_named(word, "--header"))
        return take_pair("--header", count, words, index, &fleet->headers);
    if (is_push && is_named(word, "--to"))
        return take_value("--to", count, words, index, &fleet->to);
    if (!is_push && (is_named(word, "--output") || is_named(word, "-o")))
        return take_value("--output", count, words, index, &fleet->output);
    if (is_push && !fleet->url && strstr(word, "://") && word[0] != '-')
        fleet->url = word;
    else
        fleet->rest[fleet->rest_count++] = word;
    return NULL;
}

struct tm_error *tm_fleet_parse(bool is_push, int count, char **words, struct tm_fleet *result)
{
    struct tm_error *error = NULL;

    *result = (struct tm_fleet){.rest = calloc((size_t)count + 1, sizeof(*result->rest))};
    if (!result->rest)
        return tm_error_no_memory();
    for (int i = 0; i < count && !error; i++)
        error = take_word(is_push, count, words, &i, result);
    if (error)
        return error;
    return tm_command_line_parse("tm-export", false, result->rest_count, (char **)(uintptr_t)result->rest,
                                 &result->line);
}

void tm_fleet_deinit(struct tm_fleet *fleet)
{
    tm_command_line_deinit(&fleet->line);
    free(fleet->rest);
    *fleet = (struct tm_fleet){0};
}

// ---------------------------------------------------------------------------------------------------------------
// One target

struct visit {
    const struct tm_fleet *fleet;
    const char *format;
    tm_fleet_visitor call;
    void *context;
    char *folder; // of the file
    char *path;
    size_t asked, failed;
    enum tm_error_code reported; // of the last error; what to type next is said once for errors of one kind in a row
};

static struct tm_error *read_file(const char *path, struct tm_text *text)
{
    char buffer[65536];
    ssize_t length = -1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && (length = read(file, buffer, sizeof(buffer))) > 0)
        tm_text_bytes(text, buffer, (size_t)length);
    int number = errno;
    if (file >= 0)
        close(file);
    if (length < 0)
        return tm_error_create(TM_ERROR_OUTPUT, "cannot read %s: %s", tm_printable(path).text, strerror(number));
    return tm_text_check(text);
}

static void describe(const char *text, struct tm_fleet_target *target)
{
    struct timespec now;
    struct stat status;

    *target = (struct tm_fleet_target){.text = text};
    clock_gettime(CLOCK_REALTIME, &now);
    if (tm_is_pid(text, &target->pid)) {
        char path[64];
        size_t length;
        snprintf(path, sizeof(path), "/proc/%d/comm", (int)target->pid);
        char *name = tm_proc_read(AT_FDCWD, path, &length);
        if (name)
            name[strcspn(name, "\n")] = '\0';
        snprintf(target->name, sizeof(target->name), "%s", tm_printable(name ? name : "").text);
        free(name);
    } else {
        const char *slash = strrchr(text, '/');
        snprintf(target->name, sizeof(target->name), "%s", tm_printable(slash ? slash + 1 : text).text);
        if (stat(text, &status) == 0)
            now = status.st_mtim;
    }
    target->time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// The engine's options, then the operands of the export.
static struct tm_error *export(struct visit *visit, const char *text)
{
    const struct tm_command_line *given = &visit->fleet->line;
    const char **words = calloc(given->count + 4, sizeof(*words));
    struct tm_command_line line = {.command = "tm-export", .own = given->own, .words = words};
    struct tm_text answer = TM_TEXT_EMPTY;

    if (!words)
        return tm_error_no_memory();
    line.own.children = line.own.name = line.own.cgroup = NULL;
    for (size_t i = 0; i < given->count; i++)
        if (tm_command_word(given->command, given->words, i) != TM_WORD_OPERAND)
            words[line.count++] = given->words[i];
    words[line.count++] = "--force";
    words[line.count++] = visit->format;
    words[line.count++] = visit->path;
    struct tm_error *error = tm_ask_target(&line, text, &answer);
    tm_text_deinit(&answer);
    free(words);
    return error;
}

static struct tm_error *visit_target(struct visit *visit, const char *text)
{
    struct tm_text exported = TM_TEXT_EMPTY;
    struct tm_fleet_target target;

    describe(text, &target);
    struct tm_error *error = export(visit, text);
    if (!error)
        error = read_file(visit->path, &exported);
    if (!error)
        error = visit->call(visit->context, &target, &exported);
    tm_text_deinit(&exported);
    unlink(visit->path);
    // cppcheck-suppress returnDanglingLifetime
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All targets

static void report(struct visit *visit, const char *text, struct tm_error *error)
{
    struct tm_text line = TM_TEXT_EMPTY;
    const char *message = tm_error_message(error);
    bool is_new = visit->failed == 1 || tm_error_code(error) != visit->reported;
    size_t length = is_new ? strlen(message) : strcspn(message, "\n");
    visit->reported = tm_error_code(error);
    tm_text_printf(&line, "%s: %.*s", tm_printable(text).text, (int)length, message);
    tm_cli_say(tm_text_string(&line));
    tm_text_deinit(&line);
}

// `is_only`: there is no other one, so its error is that of all.
static struct tm_error *ask(struct visit *visit, const char *text, bool is_only)
{
    struct tm_error *error = visit_target(visit, text);

    visit->asked++;
    if (!error)
        return NULL;
    visit->failed++;
    if (is_only || tm_error_code(error) == TM_ERROR_INTERRUPTED)
        return error;
    report(visit, text, error);
    tm_error_destroy(error);
    return NULL;
}

static struct tm_error *ask_selected(struct visit *visit)
{
    struct tm_processes processes = {0};
    struct tm_error *error = tm_select(&visit->fleet->line.own, &processes);
    for (size_t i = 0; i < processes.count && !error; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", (int)processes.ids[i]);
        error = ask(visit, text, processes.count == 1);
    }
    tm_processes_deinit(&processes);
    return error;
}

static struct tm_error *ask_operands(struct visit *visit)
{
    const struct tm_command_line *line = &visit->fleet->line;
    struct tm_error *error = NULL;
    size_t count = 0;

    for (size_t i = 0; i < line->count; i++)
        count += tm_command_word(line->command, line->words, i) == TM_WORD_OPERAND;
    for (size_t i = 0; i < line->count && !error; i++)
        if (tm_command_word(line->command, line->words, i) == TM_WORD_OPERAND)
            error = ask(visit, line->words[i], count == 1);
    return error;
}

static struct tm_error *make_folder(struct visit *visit)
{
    const char *parent = getenv("TMPDIR");
    if (asprintf(&visit->folder, "%s/tracemortem.XXXXXX", parent && parent[0] ? parent : "/tmp") < 0) {
        visit->folder = NULL;
        return tm_error_no_memory();
    }
    if (!mkdtemp(visit->folder)) {
        struct tm_error *error = tm_error_create(TM_ERROR_OUTPUT, "cannot make the folder %s: %s",
                                                 tm_printable(visit->folder).text, strerror(errno));
        free(visit->folder);
        visit->folder = NULL;
        return error;
    }
    if (asprintf(&visit->path, "%s/export", visit->folder) < 0) {
        visit->path = NULL;
        return tm_error_no_memory();
    }
    return NULL;
}

struct tm_error *tm_fleet_each(struct tm_fleet *fleet, const char *format, tm_fleet_visitor call, void *context)
{
    struct visit visit = {.fleet = fleet, .format = format, .call = call, .context = context};

    struct tm_error *error = make_folder(&visit);
    if (!error && tm_selects(&fleet->line.own))
        error = ask_selected(&visit);
    if (!error)
        error = ask_operands(&visit);
    if (visit.folder)
        rmdir(visit.folder);
    free(visit.folder);
    free(visit.path);
    if (!error && visit.asked == 0)
        error =
            tm_error_create(TM_ERROR_USAGE, "missing target: give process ids, cores, snapshot files, or --children, "
                                            "--name or --cgroup");
    if (!error && visit.failed == visit.asked)
        error = tm_error_create(TM_ERROR_NO_TABLE, "none of the %zu targets could be read", visit.asked);
    return error;
}

void tm_fleet_add_labels(const struct tm_fleet *fleet, const char *const ours[][2], size_t count, tm_label_adder add,
                         struct tm_text *text)
{
    for (size_t i = 0; i < count; i++) {
        bool is_replaced = !ours[i][1][0];
        for (size_t j = 0; j < fleet->labels.count; j++)
            is_replaced |= strncmp(fleet->labels.items[j], ours[i][0], strlen(ours[i][0])) == 0 &&
                           fleet->labels.items[j][strlen(ours[i][0])] == '=';
        if (!is_replaced)
            add(text, ours[i][0], strlen(ours[i][0]), ours[i][1]);
    }
    for (size_t i = 0; i < fleet->labels.count; i++) {
        const char *label = fleet->labels.items[i], *value = strchr(label, '=');
        bool is_last = true; // the last one of a name counts
        for (size_t j = i + 1; j < fleet->labels.count; j++)
            is_last &= strncmp(fleet->labels.items[j], label, (size_t)(value - label) + 1) != 0;
        if (is_last)
            add(text, label, (size_t)(value - label), value + 1);
    }
}
