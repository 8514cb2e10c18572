// `tracemortem start` and `stop`: which processes, whether the user agrees, and what came of it.

#define _GNU_SOURCE

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/host.h"
#include "cli/plain_options.h"
#include "cli/preload.h"
#include "cli/select.h"
#include "cli/switch.h"
#include "cli/targets.h"
#include "cli/words.h"
#include "engine/base/grow.h"

#define SECOND UINT64_C(1000000000)

#define HELP_OF_PROCESSES                                                           \
    "      --children PID\n"                                                        \
    "        Instead of PID: the process and all processes that it started.\n"      \
    "      --name NAME\n"                                                           \
    "        Instead of PID: the processes with this name (as pgrep finds them).\n" \
    "      --cgroup PATH\n"                                                         \
    "        Instead of PID: the processes in this control group and below it.\n"

#define HELP_OF_WAITING                                                                  \
    "      --yes\n"                                                                      \
    "        Do not ask. Needed where standard input is no terminal.\n"                  \
    "      --timeout TIME\n"                                                             \
    "        Wait so long for each process (default 10s; also 500ms, 1m). After that,\n" \
    "        or after Ctrl-C, tracing is what it was before.\n"                          \
    "      --max-stop TIME\n"                                                            \
    "        Do nothing if its threads cannot be held still within TIME\n"               \
    "        (default 200ms).\n"

static const char start_help[] =
    "Begin to trace a running process. This changes it.\n"
    "\n"
    "Usage: tracemortem start PID... [OPTION]...\n"
    "\n"
    "The process may be any CPython 3.8 to 3.15 that exports its symbols, or one that\n"
    "runs with TRACEMORTEM=dormant. Its threads are held still for some milliseconds,\n"
    "and one of them is made to load the tracer. That waits for Python's lock as any\n"
    "thread does; then tracing begins. What was allocated before is not known. From\n"
    "CPython 3.14 on the process itself is asked to do so (as by sys.remote_exec()).\n"
    "\n"
    "Options:\n"
    "  -f, --frames NFRAME\n"
    "        Keep NFRAME frames for each traceback, 1 to 65535; the default is 1,\n"
    "        which costs least, and 25 where blocks are sampled.\n"
    "  -o, --output FILE\n"
    "        Keep the trace table in this file, as run -o does. The process must see\n"
    "        it under this name.\n"
    "      --detail DETAIL\n"
    "        lean, the default, records each block; full also counts the frames that\n"
    "        are not kept, and what was allocated and freed at each site. sampled\n"
    "        costs least: it records a few blocks, picked by chance. If a process is\n"
    "        sampled already, lean and full trace all its blocks from then on.\n" HELP_OF_WAITING HELP_OF_PROCESSES
    "      --tracer FILE\n"
    "        The tracer, _tracer.abi3.so, if it is not where this command was\n"
    "        installed or built, nor beside it.\n"
    "      --inside FILE\n"
    "        The tracer's path as the process sees it, if it has another file system\n"
    "        and you have put the tracer there. Otherwise it is copied there, and the\n"
    "        copy is removed once it is loaded.\n"
    "  -h, --help\n"
    "        Show this help and do nothing else.\n"
    "\n"
    "Examples:\n"
    "  tracemortem start 4711 -f 25\n"
    "  tracemortem start --children 4711 -f 25 --yes\n"
    "  tracemortem top 4711\n"
    "  tracemortem stop 4711\n";

static const char stop_help[] = "Stop tracing a running process, and forget its traces. This changes it.\n"
                                "\n"
                                "Usage: tracemortem stop PID... [OPTION]...\n"
                                "\n"
                                "To keep the traces, save them first: tracemortem save PID FILE. The tracer stays\n"
                                "loaded and costs nothing. How tracing had begun makes no difference.\n"
                                "\n"
                                "Options:\n" HELP_OF_WAITING HELP_OF_PROCESSES "      --tracer FILE\n"
                                "        The tracer that the process has loaded, if its file is gone and this\n"
                                "        command was installed with another.\n"
                                "  -h, --help\n"
                                "        Show this help and do nothing else.\n"
                                "\n"
                                "Examples:\n"
                                "  tracemortem stop 4711\n"
                                "  tracemortem stop --name gunicorn --yes\n";

struct line {
    const char *command, *help;
    struct tm_switch_wish wish;
    struct tm_processes processes;
    struct tm_own_options own;
    char *tracer;
    char file[sizeof(((struct tm_switch_request *)0)->file)];
    bool yes;
};

// ---------------------------------------------------------------------------------------------------------------
// The words

// Options that `stop` has too. -1: it is another; else the exit status, or TM_STATUS_DONE.
static int parse_common(struct line *line, int count, char **words, int *index)
{
    const char *word = words[*index], *value;
    if (strcmp(word, "--yes") == 0) {
        line->yes = true;
    } else if ((value = tm_option_value(NULL, "--timeout", count, words, index))) {
        if (!tm_parse_time(value, &line->wish.timeout))
            return tm_wrong_word(line->command, value, ": not a time, such as 500ms, 10s or 1m");
    } else if ((value = tm_option_value(NULL, "--max-stop", count, words, index))) {
        if (!tm_parse_time(value, &line->wish.max_stop))
            return tm_wrong_word(line->command, value, ": not a time, such as 200ms or 2s");
    } else if ((value = tm_option_value(NULL, "--children", count, words, index))) {
        line->own.children = value;
    } else if ((value = tm_option_value(NULL, "--name", count, words, index))) {
        line->own.name = value;
    } else if ((value = tm_option_value(NULL, "--cgroup", count, words, index))) {
        line->own.cgroup = value;
    } else if ((value = tm_option_value(NULL, "--tracer", count, words, index))) {
        free(line->tracer);
        line->tracer = realpath(value, NULL);
        if (!line->tracer)
            return tm_wrong_word(line->command, value, ": there is no such tracer");
    } else {
        return -1;
    }
    return TM_STATUS_DONE;
}

// A relative name begins in our folder, and not in that of the process.
static int parse_file(struct line *line, const char *value)
{
    char folder[PATH_MAX] = "";
    if (value[0] != '/' && !getcwd(folder, sizeof(folder)))
        folder[0] = '\0';
    int length = snprintf(line->file, sizeof(line->file), "%s%s%s", folder, folder[0] ? "/" : "", value);
    if (!value[0] || length >= (int)sizeof(line->file))
        return tm_wrong_word(line->command, value, ": not the name of a file");
    line->wish.file = line->file;
    return TM_STATUS_DONE;
}

static int parse_start(struct line *line, int count, char **words, int *index)
{
    const char *value;
    if (line->wish.order != TM_SWITCH_START)
        return -1;
    if ((value = tm_option_value("-f", "--frames", count, words, index))) {
        if (!tm_is_frames(value))
            return tm_wrong_word(line->command, value, TM_NOT_FRAMES);
        line->wish.frame_limit = (uint32_t)atoi(value);
    } else if ((value = tm_option_value(NULL, "--detail", count, words, index))) {
        if (!tm_is_detail(value))
            return tm_wrong_word(line->command, value, TM_NOT_DETAIL);
        line->wish.detail = value;
    } else if ((value = tm_option_value("-o", "--output", count, words, index))) {
        return parse_file(line, value);
    } else if ((value = tm_option_value(NULL, "--inside", count, words, index))) {
        if (value[0] != '/' || strlen(value) >= PATH_MAX)
            return tm_wrong_word(line->command, value, ": not an absolute path");
        line->wish.inside = value;
    } else {
        return -1;
    }
    return TM_STATUS_DONE;
}

static int add_process(struct line *line, const char *word)
{
    struct tm_processes *processes = &line->processes;
    pid_t pid;
    if (!tm_is_pid(word, &pid))
        return tm_wrong_word(line->command, word, ": not a process id");
    if (!TM_GROW(&processes->ids, processes->count + 1, &processes->capacity))
        return tm_cli_fail(tm_error_no_memory());
    processes->ids[processes->count++] = pid;
    return TM_STATUS_DONE;
}

// Returns -1, or the exit status.
static int parse(struct line *line, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        int status;
        if (strcmp(words[i], "-h") == 0 || strcmp(words[i], "--help") == 0)
            return tm_print_help(line->help);
        if (words[i][0] != '-') {
            status = add_process(line, words[i]);
        } else {
            int before = i;
            status = parse_common(line, count, words, &i);
            if (status < 0)
                status = parse_start(line, count, words, &i);
            if (status < 0)
                return tm_wrong_word(line->command, words[before], ": unknown option");
        }
        if (status != TM_STATUS_DONE)
            return status;
    }
    if (tm_selects(&line->own) == (line->processes.count != 0))
        return tm_wrong_word(line->command, "",
                             line->processes.count ? "process ids, and options instead of them" : "no process id");
    return -1;
}

// ---------------------------------------------------------------------------------------------------------------
// The question

static void list_processes(const struct line *line, struct tm_text *text)
{
    for (size_t i = 0; i < line->processes.count; i++) {
        tm_text_printf(text, "  %d  ", (int)line->processes.ids[i]);
        tm_process_title(line->processes.ids[i], text);
        tm_text_add(text, "\n");
    }
}

static bool is_yes(void)
{
    char answer[16] = "";
    if (!fgets(answer, sizeof(answer), stdin))
        return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

// Returns -1 if the user agrees, or the exit status.
static int ask(const struct line *line)
{
    struct tm_text text = TM_TEXT_EMPTY;
    bool starts = line->wish.order == TM_SWITCH_START, one = line->processes.count == 1;
    if (line->yes)
        return -1;
    tm_text_printf(&text, "tracemortem %s changes %s:\n", line->command, one ? "this process" : "these processes");
    list_processes(line, &text);
    if (starts)
        tm_text_printf(&text, "%s loads %s and traces from then on.\n", one ? "It" : "Each",
                       tm_printable(line->wish.tracer).text);
    else
        tm_text_printf(&text, "%s forgets its traces.\n", one ? "It" : "Each");
    fputs(tm_text_string(&text), stderr);
    tm_text_deinit(&text);
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "Standard input is no terminal, so nobody can be asked. To agree beforehand, add --yes\n");
        return TM_STATUS_USAGE;
    }
    fputs("Continue? [y/N] ", stderr);
    if (is_yes())
        return -1;
    fputs("Nothing was done.\n", stderr);
    return TM_STATUS_BAD_NEWS;
}

// ---------------------------------------------------------------------------------------------------------------
// The answer

static void add_standstill(struct tm_text *text, const struct tm_switch_outcome *outcome)
{
    if (outcome->stopped)
        tm_text_printf(text, "; it was held still for %.1f ms", (double)outcome->stopped / 1e6);
}

static void add_frames(struct tm_text *text, uint32_t frames)
{
    tm_text_printf(text, "%u frame%s of each traceback", frames, frames == 1 ? "" : "s");
}

static int report(const struct line *line, pid_t pid, const struct tm_switch_outcome *outcome)
{
    struct tm_text text = TM_TEXT_EMPTY;
    bool starts = line->wish.order == TM_SWITCH_START, done = outcome->state == TM_SWITCH_DONE;

    tm_text_printf(&text, "process %d: ", (int)pid);
    if (starts && done) {
        tm_text_add(&text, "traced from now on, with ");
        add_frames(&text, line->wish.frame_limit);
    } else if (starts) {
        tm_text_add(&text, "traced already, with ");
        add_frames(&text, outcome->frame_limit);
    } else {
        tm_text_add(&text, done ? "no longer traced" : "not traced");
    }
    add_standstill(&text, outcome);
    if (done && outcome->problem[0]) {
        tm_text_printf(&text, "; %s", outcome->problem);
        done = false;
    }
    tm_text_add(&text, "\n");
    bool written = fputs(tm_text_string(&text), stdout) != EOF && fflush(stdout) == 0;
    tm_text_deinit(&text);
    if (!written)
        return TM_STATUS_BAD_NEWS;
    return done ? TM_STATUS_DONE : starts ? TM_STATUS_BAD_NEWS : TM_STATUS_UNTRACED;
}

// A thread that has not stopped yet stops when it can, and goes on only when this command ends.
static void say_not_tried(const struct line *line, size_t last)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_printf(&text,
                   "a thread of the process %d may still stop, and goes on when this command ends: so it ends now",
                   (int)line->processes.ids[last]);
    for (size_t i = last + 1; i < line->processes.count; i++)
        tm_text_printf(&text, "%s%d", i == last + 1 ? "\nNot tried: " : " ", (int)line->processes.ids[i]);
    tm_cli_say(tm_text_string(&text));
    tm_text_deinit(&text);
}

// One after the other. The worst status counts.
static int switch_all(const struct line *line)
{
    int worst = TM_STATUS_DONE;
    for (size_t i = 0; i < line->processes.count && !tm_cli_interrupted(); i++) {
        struct tm_switch_outcome outcome;
        struct tm_error *error = tm_switch_process(line->processes.ids[i], &line->wish, &outcome);
        int status = error ? tm_cli_fail(error) : report(line, line->processes.ids[i], &outcome);
        worst = status > worst ? status : worst;
        if (!tm_stop_settle(2 * SECOND)) {
            say_not_tried(line, i);
            break;
        }
    }
    return worst;
}

static int run_line(struct line *line)
{
    struct tm_cli_host host;
    struct tm_error *error = tm_cli_host_init(&host);
    if (!error && tm_selects(&line->own))
        error = tm_select(&line->own, &line->processes);
    if (!error && !line->tracer)
        line->tracer = tm_preload_tracer();
    if (!error && !line->tracer)
        error = tm_error_no_memory();
    line->wish.tracer = line->tracer;
    if (!line->wish.frame_limit)
        line->wish.frame_limit = (uint32_t)atoi(tm_frames_for(line->wish.detail));
    int status = error ? tm_cli_fail(error) : ask(line);
    if (status < 0)
        status = switch_all(line);
    tm_cli_host_deinit(&host);
    return status;
}

static int run_command(const char *command, const char *help, enum tm_switch_order order, int count, char **words)
{
    struct line line = {.command = command,
                        .help = help,
                        .wish = {.order = order,
                                 .frame_limit = 0,
                                 .detail = "",
                                 .file = "",
                                 .timeout = 10 * SECOND,
                                 .max_stop = SECOND / 5}};
    int status = parse(&line, count, words);
    if (status < 0)
        status = run_line(&line);
    tm_processes_deinit(&line.processes);
    free(line.tracer);
    return status;
}

int tm_cli_start(int count, char **words)
{
    return run_command("start", start_help, TM_SWITCH_START, count, words);
}

int tm_cli_stop(int count, char **words)
{
    return run_command("stop", stop_help, TM_SWITCH_STOP, count, words);
}
