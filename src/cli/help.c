// Turns the engine's help into that of the command line. What is not the same there is in one table.

#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/many.h"
#include "cli/words.h"

#define PREFIX "tm-"
enum { COLUMNS = 80 };

// Commands that set something for the rest of a debugger's session: a command line has none.
static const char *const of_sessions[] = {"tm-filter", "tm-set"};

// Where the command line differs from the rule: the target comes first, and everything else is the same.
static const struct difference {
    const char *command;
    bool no_target;       // its first operand is not a target
    const char *usage;    // NULL: the engine's, with TARGET
    const char *examples; // NULL: the engine's, with a target
} differences[] = {
    {.command = "tm-traceback",
     .usage = "tracemortem traceback TARGET ADDRESS [OPTION]...",
     .examples = "  tracemortem traceback 4711 0x7f3a5c0e4d30\n"
                 "  tracemortem traceback 4711 0x7f3a5c0e4d30 -n 5\n"
                 "  tracemortem traceback ./core.4711 0x7f3a5c0e4d30 --json\n"},
    {.command = "tm-object",
     .usage = "tracemortem object TARGET ADDRESS [OPTION]...",
     .examples = "  tracemortem object 4711 0x7f3a5c0e4d30\n"
                 "  tracemortem object 4711 0x7f3a5c0e4d30 -n 100\n"
                 "  tracemortem find 4711 --type 'shop.Basket'        for addresses to ask about\n"},
    {.command = "tm-holders", .usage = "tracemortem holders TARGET ADDRESS [OPTION]..."},
    {.command = "tm-memory",
     .examples = "  tracemortem memory 4711\n"
                 "  tracemortem memory ./core.4711 --json\n"
                 "  tracemortem memory 4711 pools -n 5\n"
                 "  tracemortem memory 4711 pools traceback -n 1\n"
                 "  tracemortem diff before.core 4711 --memory        what grew\n"},
    {.command = "tm-save",
     .examples = "  tracemortem save 4711 now.snapshot\n"
                 "  tracemortem save 4711 views.snapshot --force --include '*/views.py' --all-frames\n"
                 "  tracemortem save --name gunicorn /var/tmp/snapshots --every 5m --keep 50\n"},
    {.command = "tm-diff",
     .no_target = true,
     .usage = "tracemortem diff OLD NEW [KEY] [OPTION]...",
     .examples = "  tracemortem diff before.snapshot 4711\n"
                 "  tracemortem diff before.core after.core -n 5\n"
                 "  tracemortem diff 4700 4711\n"
                 "  tracemortem diff before.snapshot after.core filename\n"
                 "  tracemortem diff before.core 4711 traceback --include '*/views.py' --all-frames\n"},
};

// Sentences of the engine's help that are about debuggers, and what is true here.
static const struct {
    const char *command; // NULL: any
    const char *debugger, *here;
} sentences[] = {
    {"tm-traceback",
     "A plain number is used as it is. Anything else is an\n"
     "expression in the debugger's language. Options come before it, and \"--\" ends\n"
     "the options. Filters do not apply.\n",
     "Filters do not apply.\n"},
    {"tm-object",
     "The address may be anywhere inside an object's block. A plain number is used as\n"
     "it is. Anything else is an expression in the debugger's language. Options come\n"
     "before it, and \"--\" ends the options.\n",
     "The address may be anywhere inside an object's block.\n"},
    {"tm-diff",
     "tracemalloc's Snapshot.dump(). Without NEW, the current target is compared with\n"
     "OLD. OLD and NEW may be of different processes: places are compared by file name\n"
     "and line. ",
     "tracemalloc's Snapshot.dump(), or process ids. They may be of different\n"
     "processes, such as a worker and its master: places are compared by file name and\n"
     "line. "},
    {NULL, "The opposite, after \"tm-set plain on\".\n", "The opposite, which is the default.\n"},
    {NULL, "number (of tm-filter, or null), inclusive,\n", "number (null), inclusive,\n"},
    {NULL,
     "exclusive filter. The session's filters (tm-filter) are applied first, then the\n"
     "command's filters to the rest. In PATTERN, \".pyc\" means \".py\".\n",
     "exclusive filter. In PATTERN, \".pyc\" means \".py\".\n"},
};

// Phrases of the engine's messages that are about debuggers, and what is true here.
static const struct {
    const char *debugger, *here;
} phrases[] = {
    {"not enough memory in the debugger", "not enough memory"},
    {"or the debugger does not know its executable", "or its executable is not found here"},
    {"The debugger reports no memory regions", "No memory regions are known"},
    {"Load the program's executable (in gdb: file PATH; in lldb: target create PATH --core CORE),\n",
     "Open the core in gdb or lldb with its executable,\n"},
    {"Give the debugger the files the process ran\n", "Open the core in a debugger with the files the process ran\n"},
};

static const struct difference *difference_of(const char *command)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++)
        if (strcmp(command, differences[i].command) == 0)
            return &differences[i];
    return NULL;
}

static bool is_of_sessions(const char *command)
{
    for (size_t i = 0; i < sizeof(of_sessions) / sizeof(of_sessions[0]); i++)
        if (strcmp(command, of_sessions[i]) == 0)
            return true;
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// Names

const char *tm_help_name(size_t index, bool *skip)
{
    const char *name = tm_command_name(index);
    *skip = name && (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || is_of_sessions(name));
    return name ? name + strlen(PREFIX) : NULL;
}

const char *tm_help_engine_name(const char *word)
{
    bool skip;
    const char *name;
    for (size_t i = 0; (name = tm_help_name(i, &skip)); i++)
        if (!skip && strcmp(name, word) == 0)
            return tm_command_name(i);
    return NULL;
}

bool tm_help_takes_target(const char *command)
{
    const struct difference *difference = difference_of(command);
    return !difference || !difference->no_target;
}

// ---------------------------------------------------------------------------------------------------------------
// Texts

// The length of a command's name at the beginning of a text; 0: there is no name of a command of the command line.
static size_t name_length(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
    for (size_t i = 0; tm_command_name(i); i++) {
        const char *name = tm_command_name(i);
        if (strlen(name) == length && strncmp(text, name, length) == 0 && !is_of_sessions(name))
            return length;
    }
    return 0;
}

static void add_name(struct tm_text *text, const char *name, size_t length)
{
    tm_text_add(text, "tracemortem ");
    tm_text_bytes(text, name + strlen(PREFIX), length - strlen(PREFIX));
}

// Whether a call in "Usage: tm-top [KEY]" begins at `at`.
static bool is_usage(const char *message, const char *at)
{
    static const char usage[] = "Usage: ";
    size_t length = strlen(usage);
    return (size_t)(at - message) >= length && strncmp(at - length, usage, length) == 0;
}

// Copies a text with the names of the commands as they are here.
static void add_names(struct tm_text *text, const char *message)
{
    static const char help[] = "help ";
    for (const char *at = message; *at;) {
        bool asks_help = strncmp(at, help, strlen(help)) == 0 && name_length(at + strlen(help));
        const char *name = asks_help ? at + strlen(help) : at;
        bool is_begin = at == message || !strchr("abcdefghijklmnopqrstuvwxyz/-_.", at[-1]);
        size_t length = is_begin ? name_length(name) : 0;
        if (!length) {
            tm_text_bytes(text, at++, 1);
            continue;
        }
        add_name(text, name, length);
        if (is_usage(message, at))
            tm_text_add(text, " TARGET");
        if (asks_help)
            tm_text_add(text, " --help");
        at = name + length;
    }
}

// Replaces a part of a text, if it is there.
static void replace(struct tm_text *text, const char *part, const char *by)
{
    const char *begin = tm_text_string(text), *found = strstr(begin, part);
    struct tm_text changed = TM_TEXT_EMPTY;
    if (!found)
        return;
    tm_text_bytes(&changed, begin, (size_t)(found - begin));
    tm_text_add(&changed, by);
    tm_text_add(&changed, found + strlen(part));
    tm_text_deinit(text);
    *text = changed;
}

void tm_help_add_message(struct tm_text *text, const char *message)
{
    struct tm_text copy = TM_TEXT_EMPTY;
    tm_text_add(&copy, message);
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        replace(&copy, phrases[i].debugger, phrases[i].here);
    add_names(text, tm_text_string(&copy));
    tm_text_deinit(&copy);
}

// Copies a part of the help, with the sentences that are true here.
static void add_part(struct tm_text *text, const char *command, const char *part, size_t length)
{
    struct tm_text copy = TM_TEXT_EMPTY;
    tm_text_bytes(&copy, part, length);
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
        if (!sentences[i].command || strcmp(sentences[i].command, command) == 0)
            replace(&copy, sentences[i].debugger, sentences[i].here);
    add_names(text, tm_text_string(&copy));
    tm_text_deinit(&copy);
}

// "tm-top [KEY]" -> "tracemortem top TARGET [KEY]", to the end of the line. Returns what follows.
static const char *add_call(struct tm_text *text, const char *call, const char *target)
{
    size_t length = name_length(call), end = strcspn(call, "\n");
    add_name(text, call, length);
    tm_text_printf(text, " %s%.*s\n", target, (int)(end - length), call + length);
    return call + end + (call[end] == '\n');
}

static const char *add_examples(struct tm_text *text, const char *command, const char *at)
{
    const struct difference *difference = difference_of(command);
    if (difference && difference->examples)
        tm_text_add(text, difference->examples);
    while (strncmp(at, "  " PREFIX, 2 + strlen(PREFIX)) == 0) {
        if (difference && difference->examples) {
            at += strcspn(at, "\n");
            at += *at == '\n';
            continue;
        }
        tm_text_add(text, "  ");
        at = add_call(text, at + 2, "4711");
    }
    return at;
}

static void add_help(struct tm_text *text, const char *command)
{
    static const char usage[] = "Usage: ", options[] = "\nOptions:\n", examples[] = "Examples:\n";
    const struct difference *difference = difference_of(command);
    const char *at = tm_command_help(command);
    const char *call = strstr(at, usage);
    const char *begin_options = strstr(at, options), *begin_examples = strstr(at, examples);

    if (!call || !begin_options || !begin_examples) { // no text of ours: as it is
        tm_help_add_message(text, at);
        return;
    }
    tm_text_bytes(text, at, (size_t)(call - at));
    tm_text_add(text, usage);
    call += strlen(usage);
    if (difference && difference->usage)
        tm_text_printf(text, "%s\n", difference->usage);
    else
        add_call(text, call, "TARGET");
    tm_text_add(text, "\nA target is a process id, a core, a recorder's file (.tm-core) or a snapshot\n"
                      "file. Digits are a process id: the file of this name is ./4711. A process runs\n"
                      "on while it is read. If it never paused, the last line of the answer says so,\n"
                      "and JSON has read_while_running.\n");
    at = call + strcspn(call, "\n") + 1;
    add_part(text, command, at, (size_t)(begin_options + strlen(options) - at));
    tm_text_add(text, tm_own_options_help);
    if (strcmp(command, "tm-save") == 0)
        tm_text_add(text, tm_every_options_help);
    if (tm_many_can_ask(command))
        tm_text_add(text, tm_many_options_help);
    at = begin_options + strlen(options);
    add_part(text, command, at, (size_t)(begin_examples + strlen(examples) - at));
    at = add_examples(text, command, begin_examples + strlen(examples));
    add_part(text, command, at, strlen(at));
}

// Where the text of a line goes on below: at the text of the next line, of its own list item, or at its beginning.
static size_t indent_of(const char *line, const char *next)
{
    size_t own = strspn(line, " "), below = strspn(next, " ");
    if (below > own && next[below] != '\n')
        return below;
    const char *gap = own ? strstr(line + own, "  ") : NULL;
    return gap && gap < next ? (size_t)(gap - line) + strspn(gap, " ") : own;
}

// A text that is wrapped.
struct wrapping {
    const char *at;       // the next line
    struct tm_text line;  // this line
    struct tm_text *text; // what is done
};

static size_t blanks(const char *line)
{
    return strspn(line, " ");
}

// Moves the next line behind what was broken off, if it goes on with the same paragraph.
static void join_next(struct wrapping *wrapping, size_t indent, bool is_paragraph)
{
    const char *next = wrapping->at + blanks(wrapping->at);
    size_t length = strcspn(next, "\n");
    if (!is_paragraph || length == 0 || blanks(wrapping->at) != indent)
        return;
    tm_text_add(&wrapping->line, " ");
    tm_text_bytes(&wrapping->line, next, length);
    wrapping->at = next + length + (next[length] == '\n');
}

// Writes the line as far as it fits, and keeps the rest of it. False: it cannot be broken.
static bool break_line(struct wrapping *wrapping, size_t indent, bool is_example)
{
    struct tm_text rest = TM_TEXT_EMPTY;
    size_t end = is_example ? COLUMNS - 2 : COLUMNS;
    while (end > indent && wrapping->line.bytes[end] != ' ')
        end--;
    if (end <= indent)
        return false;
    tm_text_bytes(wrapping->text, wrapping->line.bytes, end);
    tm_text_add(wrapping->text, is_example ? " \\\n" : "\n");
    tm_text_printf(&rest, "%*s%s", (int)indent, "", wrapping->line.bytes + end + 1);
    tm_text_deinit(&wrapping->line);
    wrapping->line = rest;
    return true;
}

// Breaks lines that the longer names made too long. What does not fit begins the next line of the paragraph.
static void wrap(const struct tm_text *from, struct tm_text *text)
{
    struct wrapping wrapping = {.at = tm_text_string(from), .text = text};
    while (*wrapping.at) {
        const char *line = wrapping.at;
        size_t length = strcspn(line, "\n"), own = blanks(line);
        bool is_example = strncmp(line, "  tracemortem ", strlen("  tracemortem ")) == 0;
        wrapping.at = line + length + (line[length] == '\n');
        size_t indent = is_example ? 6 : indent_of(line, wrapping.at);
        bool is_paragraph = !is_example && (own == 0 || own >= 8 || indent > own);
        tm_text_bytes(&wrapping.line, line, length);
        while (wrapping.line.length > COLUMNS && break_line(&wrapping, indent, is_example))
            join_next(&wrapping, indent, is_paragraph);
        tm_text_bytes(text, tm_text_string(&wrapping.line), wrapping.line.length);
        tm_text_add(text, "\n");
        text->failed |= wrapping.line.failed;
        tm_text_clear(&wrapping.line);
    }
    tm_text_deinit(&wrapping.line);
}

static struct tm_error *print(struct tm_text *text)
{
    struct tm_error *error = tm_text_check(text);
    if (!error && (fputs(tm_text_string(text), stdout) == EOF || fflush(stdout) != 0))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output");
    tm_text_deinit(text);
    return error;
}

struct tm_error *tm_help_print(const char *command)
{
    struct tm_text text = TM_TEXT_EMPTY, wrapped = TM_TEXT_EMPTY;
    add_help(&text, command);
    wrap(&text, &wrapped);
    wrapped.failed |= text.failed;
    tm_text_deinit(&text);
    return print(&wrapped);
}

// ---------------------------------------------------------------------------------------------------------------
// The overview

static void add_commands(struct tm_text *text)
{
    const char *name;
    bool skip;
    for (size_t i = 0; (name = tm_help_name(i, &skip)); i++) {
        const char *help = tm_command_help(tm_command_name(i));
        if (!skip)
            tm_text_printf(text, "  %-9s  %.*s\n", name, (int)strcspn(help, "\n"), help);
    }
}

void tm_help_add_overview(struct tm_text *result)
{
    struct tm_text overview = TM_TEXT_EMPTY, *text = &overview;
    tm_text_add(text, "Find out which Python lines hold a process's memory.\n"
                      "\n"
                      "Usage: tracemortem run [OPTION]... PROGRAM [ARGUMENT]...\n"
                      "       tracemortem start|stop PID... [OPTION]...\n"
                      "       tracemortem COMMAND TARGET [ARGUMENT]... [OPTION]...\n"
                      "\n"
                      "A target is a process id, a core, a recorder's file (.tm-core) or a snapshot\n"
                      "file. Digits are a process id: the file of this name is ./4711. Nothing runs in\n"
                      "the target, and nothing is written to it, but by start and stop. The commands are\n"
                      "those of gdb and lldb, where they are called tm-info and so on, and their\n"
                      "answers are the same.\n"
                      "\n"
                      "Commands:\n"
                      "  run        Run a program with its memory allocations traced.\n"
                      "  start      Begin to trace a running process. This changes it.\n"
                      "  stop       Stop tracing a running process. This changes it.\n");
    add_commands(text);
    for (size_t i = 0; tm_own_commands[i].name; i++)
        tm_text_printf(text, "  %-9s  %.*s\n", tm_own_commands[i].name, (int)strcspn(tm_own_commands[i].help, "\n"),
                       tm_own_commands[i].help);
    tm_text_add(text, "  completion SHELL\n"
                      "             Print the completion for bash, zsh or fish.\n"
                      "\n"
                      "Options:\n"
                      "  -h, --help\n"
                      "        Show this help. COMMAND --help shows that of a command.\n"
                      "  -V, --version\n"
                      "        Show the version.\n"
                      "\n"
                      "Exit status:\n"
                      "  0    answered\n"
                      "  1    no answer, or an answer that is bad news\n"
                      "  2    wrong command line\n"
                      "  3    the target is not traced\n"
                      "  4    the target cannot be opened or read\n"
                      "  130  interrupted\n"
                      "Of run: that of the program; 126: it cannot be started; 127: it is not there.\n"
                      "\n"
                      "Examples:\n"
                      "  tracemortem run -f 25 gunicorn application\n"
                      "  tracemortem top 4711\n"
                      "  tracemortem top ./core.4711 filename -n 5\n"
                      "  tracemortem save 4711 before.snapshot\n"
                      "  tracemortem diff before.snapshot 4711\n");
    wrap(text, result);
    result->failed |= text->failed;
    tm_text_deinit(text);
}
