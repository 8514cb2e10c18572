// Finds the target and the command line's own options, and quotes the rest for the engine.

#include "cli/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)
#define DEFAULT_MAX_STOP (200 * MILLISECOND)
enum { DEFAULT_KEEP = 100 };

const char tm_own_options_help[] = "      --stop\n"
                                   "        Hold a running process still while it is read, and say for how long on\n"
                                   "        standard error. Without it the process runs on, and the answer says so if\n"
                                   "        the process never paused.\n"
                                   "      --max-stop TIME\n"
                                   "        Let the process go after TIME, with or without an answer (default 200ms;\n"
                                   "        also 2s, 1m).\n"
                                   "      --folder DIR\n"
                                   "        The folder that relative names of source files begin in, if the target\n"
                                   "        does not say it: a core never does.\n";

const char tm_many_options_help[] =
    "      --children PID\n"
    "        Instead of TARGET: the process and all processes that it started.\n"
    "      --name NAME\n"
    "        Instead of TARGET: the processes with this name (as pgrep finds them).\n"
    "      --cgroup PATH\n"
    "        Instead of TARGET: the processes in this control group and those below it.\n";

const char tm_every_options_help[] =
    "      --every TIME\n"
    "        Save a snapshot every TIME (60s, 5m), until Ctrl-C or the end of the\n"
    "        process. FILE is then a folder; each snapshot has a file of facts beside\n"
    "        it, as JSON: time, pid, title, resident, cgroup, cgroup_memory, notes,\n"
    "        info. TARGET is a process id, or --children, --name or --cgroup.\n"
    "      --keep N\n"
    "        With --every: keep the newest N snapshots of the folder (default 100).\n"
    "      --note KEY=VALUE\n"
    "        With --every: a fact of yours. May be repeated.\n";

const char *const tm_own_option_names[] = {"--stop",   "--max-stop", "--folder", "--children", "--name",
                                           "--cgroup", "--every",    "--keep",   "--note",     NULL};

// ---------------------------------------------------------------------------------------------------------------
// Values

bool tm_parse_time(const char *word, uint64_t *result)
{
    static const struct {
        const char *unit;
        double nanoseconds;
    } units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    char *unit;

    if (!isdigit((unsigned char)word[0]))
        return false;
    double number = strtod(word, &unit);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].unit) != 0)
            continue;
        double time = number * units[i].nanoseconds;
        *result = (uint64_t)time;
        return time >= 1 && time < 1e18;
    }
    return false;
}

static struct tm_error *bad_value(const char *option, const char *value, const char *wanted)
{
    return tm_error_create(TM_ERROR_USAGE, "%s: \"%s\" is not %s", option, value, wanted);
}

// ---------------------------------------------------------------------------------------------------------------
// The command line's own options

// The value of an option: after "=" or in the next word, past which *index moves.
static struct tm_error *take_value(const char *name, int count, char **words, int *index, const char **value)
{
    const char *equals = strchr(words[*index], '=');
    if (equals)
        *value = equals + 1;
    else if (*index + 1 < count)
        *value = words[++*index];
    else
        return tm_error_create(TM_ERROR_USAGE, "%s needs a value after it", name);
    return NULL;
}

static bool is_named(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && (word[length] == '\0' || word[length] == '=');
}

static struct tm_error *take_text(const char *name, int count, char **words, int *index, const char **result)
{
    struct tm_error *error = take_value(name, count, words, index, result);
    return !error && (*result)[0] == '\0' ? bad_value(name, "", "a name") : error;
}

static bool parse_count(const char *word, uint64_t *result)
{
    size_t length = strlen(word);
    *result = strtoull(word, NULL, 10);
    return length && length < 10 && strspn(word, "0123456789") == length && *result > 0;
}

static struct tm_error *take_note(struct tm_own_options *own, int count, char **words, int *index)
{
    const char *note;
    struct tm_error *error = take_value("--note", count, words, index, &note);
    if (error)
        return error;
    // "--note=KEY=VALUE" has an "=" of its own.
    if (note[0] == '=' || !strchr(note, '='))
        return bad_value("--note", note, "KEY=VALUE");
    if (own->note_count == TM_MOST_NOTES)
        return bad_value("--note", note, "taken: there are 16 already");
    own->notes[own->note_count++] = note;
    return NULL;
}

// If this word is an option of the command line's own, takes it, with its value.
static struct tm_error *take_own(struct tm_own_options *own, int count, char **words, int *index, bool *taken)
{
    const char *word = words[*index], *value = NULL;
    struct tm_error *error = NULL;

    *taken = true;
    if (strcmp(word, "--stop") == 0) {
        own->stop = true;
    } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        own->help = true;
    } else if (is_named(word, "--max-stop")) {
        error = take_value("--max-stop", count, words, index, &value);
        if (!error && !tm_parse_time(value, &own->max_stop))
            error = bad_value("--max-stop", value, "a time, such as 200ms or 2s");
    } else if (is_named(word, "--folder")) {
        error = take_text("--folder", count, words, index, &own->folder);
    } else if (is_named(word, "--children")) {
        error = take_text("--children", count, words, index, &own->children);
    } else if (is_named(word, "--name")) {
        error = take_text("--name", count, words, index, &own->name);
    } else if (is_named(word, "--cgroup")) {
        error = take_text("--cgroup", count, words, index, &own->cgroup);
    } else if (is_named(word, "--every")) {
        error = take_value("--every", count, words, index, &value);
        if (!error && !tm_parse_time(value, &own->every))
            error = bad_value("--every", value, "a time, such as 60s or 5m");
    } else if (is_named(word, "--keep")) {
        error = take_value("--keep", count, words, index, &value);
        if (!error && !parse_count(value, &own->keep))
            error = bad_value("--keep", value, "a number of snapshots, 1 or more");
    } else if (is_named(word, "--note")) {
        error = take_note(own, count, words, index);
    } else {
        *taken = false;
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Splitting

static bool selects(const struct tm_own_options *own)
{
    return own->children || own->name || own->cgroup;
}

// With an option that selects processes there is no target: what was taken for it is the engine's first operand.
static void give_back_target(struct tm_command_line *line, size_t index)
{
    memmove(line->words + index + 1, line->words + index, (line->count - index) * sizeof(line->words[0]));
    line->words[index] = line->target;
    line->count++;
    line->target = NULL;
}

struct tm_error *tm_command_line_parse(const char *command, bool takes_target, int count, char **words,
                                       struct tm_command_line *result)
{
    struct tm_error *error = NULL;
    bool ended = false;
    size_t target_index = 0;

    *result = (struct tm_command_line){.command = command, .own = {.max_stop = DEFAULT_MAX_STOP, .keep = DEFAULT_KEEP}};
    result->words = calloc((size_t)count + 1, sizeof(result->words[0]));
    if (!result->words)
        return tm_error_no_memory();
    for (int i = 0; i < count && !error; i++) {
        bool taken = false;
        // As the next of the engine's words.
        result->words[result->count] = words[i];
        enum tm_word_kind kind = tm_command_word(command, result->words, result->count);
        if (kind == TM_WORD_OPTION && !ended)
            error = take_own(&result->own, count, words, &i, &taken);
        ended |= kind == TM_WORD_OPTION && strcmp(words[i], "--") == 0;
        if (kind == TM_WORD_OPERAND && takes_target && !result->target) {
            result->target = words[i];
            target_index = result->count;
            taken = true;
        }
        result->count += !taken;
    }
    if (selects(&result->own) && result->target)
        give_back_target(result, target_index);
    return error;
}

void tm_command_line_deinit(struct tm_command_line *line)
{
    free(line->words);
}

void tm_add_quoted(struct tm_text *text, const char *word)
{
    bool plain = word[0] != '\0';
    for (const char *at = word; *at; at++)
        plain &= isalnum((unsigned char)*at) || strchr("-_./:=,+@%", *at) != NULL;
    if (plain) {
        tm_text_add(text, word);
        return;
    }
    tm_text_add(text, "'");
    for (const char *at = word; *at; at++) {
        if (*at == '\'')
            tm_text_add(text, "'\\''");
        else
            tm_text_bytes(text, at, 1);
    }
    tm_text_add(text, "'");
}

struct tm_error *tm_command_line_text(const struct tm_command_line *line, struct tm_text *text)
{
    for (int operands = 0; operands < 2; operands++) {
        for (size_t i = 0; i < line->count; i++) {
            bool is_operand = tm_command_word(line->command, line->words, i) == TM_WORD_OPERAND;
            if (strcmp(line->words[i], "--") == 0 || is_operand != operands)
                continue;
            if (text->length)
                tm_text_add(text, " ");
            if (is_operand && line->words[i][0] == '-' && line->words[i][1])
                tm_text_add(text, "-- ");
            tm_add_quoted(text, line->words[i]);
        }
    }
    return tm_text_check(text);
}
