// `tracemortem metrics`: the OpenMetrics text of several processes. Each one's text has the same families; here they are put
// together, and each sample gets the labels that say whose it is.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet.h"
#include "cli/output.h"
#include "engine/base/grow.h"
#include "process/core.h"

const char tm_metrics_help[] = "Print how much memory Python programs hold, and where, for Prometheus.\n"
                               "\n"
                               "Usage: tracemortem metrics TARGET... [OPTION]...\n"
                               "\n"
                               "The text is OpenMetrics, which node_exporter's textfile collector reads, too. It\n"
                               "has the bytes in live blocks and the most there were, the blocks, what was lost\n"
                               "or could not be read, and the largest lines. A target is a process id, a core, a\n"
                               "recorder's file or a snapshot. Processes have the labels pid and process.\n"
                               "\n"
                               "Options:\n"
                               "  -o, --output FILE\n"
                               "        Write to FILE, which appears when all of it is there. An existing one\n"
                               "        is replaced then. Without it the text goes to standard output.\n"
                               "  -n, --limit N\n"
                               "        Have the N largest lines of each (default 10; 0: only the totals).\n"
                               "      --label NAME=VALUE\n"
                               "        A label for each sample. May be repeated.\n"
                               "      --children PID, --name NAME, --cgroup PATH\n"
                               "        The processes that \"tracemortem top\" takes with them.\n"
                               "Options of \"tracemortem export\" are taken, too, such as --stop and --mine.\n"
                               "\n"
                               "Examples:\n"
                               "  tracemortem metrics 4711\n"
                               "  tracemortem metrics --name gunicorn -o /var/lib/node_exporter/python.prom\n"
                               "  tracemortem metrics 4711 4712 -n 3 --label service=shop\n";

struct family {
    const char *name; // in its head
    struct tm_text head, samples;
};

struct metrics {
    const struct tm_fleet *fleet;
    struct family *families;
    size_t count, capacity;
};

// ---------------------------------------------------------------------------------------------------------------
// Lines

static void add_label(struct tm_text *text, const char *name, size_t name_length, const char *value)
{
    tm_text_printf(text, "%s%.*s=\"", text->length ? "," : "", (int)name_length, name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            tm_text_add(text, "\\");
        if (*value == '\n')
            tm_text_add(text, "\\n");
        else
            tm_text_bytes(text, value, 1);
    }
    tm_text_add(text, "\"");
}

// The labels come first, before those that the sample has.
static void add_sample(struct tm_text *text, const char *line, size_t length, const struct tm_text *labels)
{
    size_t name = strcspn(line, "{ ");
    const char *rest = line + name;
    tm_text_bytes(text, line, name);
    tm_text_add(text, labels->length || *rest == '{' ? "{" : "");
    tm_text_bytes(text, tm_text_string(labels), labels->length);
    if (*rest == '{')
        tm_text_add(text, labels->length ? "," : "");
    else
        tm_text_add(text, labels->length ? "}" : "");
    rest += *rest == '{';
    tm_text_bytes(text, rest, (size_t)(line + length - rest));
    tm_text_add(text, "\n");
}

static bool is_name(const char *name, const char *word)
{
    size_t length = strcspn(word, " \n");
    return strncmp(name, word, length) == 0 && (name[length] == ' ' || name[length] == '\0');
}

// The family that "# TYPE name …" begins; made if it is new.
static struct family *find_family(struct metrics *metrics, const char *name, bool *is_new)
{
    *is_new = false;
    for (size_t i = 0; i < metrics->count; i++)
        if (is_name(metrics->families[i].name, name))
            return &metrics->families[i];
    char *copy = TM_GROW(&metrics->families, metrics->count + 1, &metrics->capacity)
                     ? strndup(name, strcspn(name, " \n"))
                     : NULL;
    if (!copy)
        return NULL;
    *is_new = true;
    metrics->families[metrics->count] = (struct family){.name = copy};
    return &metrics->families[metrics->count++];
}

static struct tm_error *take(void *context, const struct tm_fleet_target *target, const struct tm_text *exported)
{
    static const char type[] = "# TYPE ", end[] = "# EOF";
    struct metrics *metrics = context;
    struct family *family = NULL;
    struct tm_text labels = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;
    bool is_new = false;
    char pid[16] = "";

    if (target->pid)
        snprintf(pid, sizeof(pid), "%d", (int)target->pid);
    const char *const ours[][2] = {
        {"pid", pid},
        {target->pid ? "process" : "target", target->pid ? target->name : tm_printable(target->text).text}};
    tm_fleet_add_labels(metrics->fleet, ours, 2, add_label, &labels);
    for (const char *line = tm_text_string(exported); *line && !error;) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, type, strlen(type)) == 0)
            family = find_family(metrics, line + strlen(type), &is_new);
        if (!family)
            error = tm_error_no_memory();
        else if (line[0] != '#')
            add_sample(&family->samples, line, length, &labels);
        else if (is_new && strncmp(line, end, strlen(end)) != 0)
            tm_text_printf(&family->head, "%.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (!error)
        error = tm_text_check(&labels);
    tm_text_deinit(&labels);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *write_text(const struct tm_fleet *fleet, const struct tm_text *text)
{
    struct tm_output output;

    if (!fleet->output)
        return fputs(tm_text_string(text), stdout) == EOF || fflush(stdout) != 0
                   ? tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output")
                   : NULL;
    struct tm_error *error = tm_output_open_beside(fleet->output, &output);
    if (error)
        return error;
    tm_output_write(&output, tm_text_string(text), text->length);
    error = tm_output_check(&output);
    if (!error)
        error = tm_output_commit(&output);
    tm_output_close(&output);
    return error;
}

static struct tm_error *join(const struct metrics *metrics)
{
    struct tm_text text = TM_TEXT_EMPTY;
    for (size_t i = 0; i < metrics->count; i++) {
        const struct family *family = &metrics->families[i];
        tm_text_bytes(&text, tm_text_string(&family->head), family->head.length);
        tm_text_bytes(&text, tm_text_string(&family->samples), family->samples.length);
        text.failed = text.failed || family->head.failed || family->samples.failed;
    }
    tm_text_add(&text, "# EOF\n");
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = write_text(metrics->fleet, &text);
    tm_text_deinit(&text);
    return error;
}

// A name that samples have already would be there twice.
static struct tm_error *check_labels(const struct tm_fleet *fleet)
{
    static const char *const taken[] = {"type=", "filename=", "lineno=", "function="};
    for (size_t i = 0; i < fleet->labels.count; i++)
        for (size_t j = 0; j < sizeof(taken) / sizeof(taken[0]); j++)
            if (strncmp(fleet->labels.items[i], taken[j], strlen(taken[j])) == 0)
                return tm_error_create(TM_ERROR_USAGE,
                                       "--label: \"%.*s\" is a label that samples have already; take another name",
                                       (int)strlen(taken[j]) - 1, taken[j]);
    return NULL;
}

int tm_cli_metrics(int count, char **words)
{
    struct tm_fleet fleet;
    struct metrics metrics = {.fleet = &fleet};

    struct tm_error *error = tm_fleet_parse(false, count, words, &fleet);
    bool help = !error && fleet.line.own.help;
    if (!error)
        error = check_labels(&fleet);
    if (help && (fputs(tm_metrics_help, stdout) == EOF || fflush(stdout) != 0))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output");
    if (!error && !help)
        error = tm_fleet_each(&fleet, "openmetrics", take, &metrics);
    if (!error && !help)
        error = join(&metrics);
    for (size_t i = 0; i < metrics.count; i++) {
        free((char *)(uintptr_t)metrics.families[i].name);
        tm_text_deinit(&metrics.families[i].head);
        tm_text_deinit(&metrics.families[i].samples);
    }
    free(metrics.families);
    tm_fleet_deinit(&fleet);
    return tm_cli_fail(error);
}
