// Which command it is, and what the shell gets.

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/host.h"

static int show(struct tm_text *text)
{
    int status =
        fputs(tm_text_string(text), stdout) == EOF || fflush(stdout) != 0 ? TM_STATUS_BAD_NEWS : TM_STATUS_DONE;
    tm_text_deinit(text);
    return status;
}

static int show_overview(void)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_help_add_overview(&text);
    return show(&text);
}

static int show_version(void)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_add(&text, "tracemortem " TRACEMORTEM_VERSION "\n");
    return show(&text);
}

static enum tm_status status_of(enum tm_error_code code)
{
    switch (code) {
    case TM_ERROR_USAGE:
        return TM_STATUS_USAGE;
    case TM_ERROR_NO_TABLE:
    case TM_ERROR_NOT_TRACING:
    case TM_ERROR_INCOMPLETE:
        return TM_STATUS_UNTRACED;
    case TM_ERROR_NO_TARGET:
    case TM_ERROR_FAULT:
        return TM_STATUS_NO_TARGET;
    default:
        return TM_STATUS_BAD_NEWS;
    }
}

int tm_cli_fail(struct tm_error *error)
{
    static const char name[] = "tracemortem ";
    struct tm_text text = TM_TEXT_EMPTY;

    if (!error)
        return TM_STATUS_DONE;
    enum tm_status status = status_of(tm_error_code(error));
    tm_help_add_message(&text, tm_error_message(error));
    tm_error_destroy(error);
    const char *message = tm_text_string(&text);
    fprintf(stderr, "%s%s\n", strncmp(message, name, strlen(name)) == 0 ? "" : "tracemortem: ", message);
    tm_text_deinit(&text);
    if (tm_cli_interrupted())
        tm_cli_end_interrupted();
    return status;
}

const struct tm_own_command tm_own_commands[] = {{"report", tm_cli_report, tm_report_help},
                                                 {"metrics", tm_cli_metrics, tm_metrics_help},
                                                 {"push", tm_cli_push, tm_push_help},
                                                 {NULL, NULL, NULL}};

static int unknown_command(const char *word)
{
    struct tm_text text = TM_TEXT_EMPTY;
    const char *name;
    bool skip;

    tm_text_add(&text, "unknown command \"");
    tm_text_escape(&text, word, strlen(word));
    tm_text_add(&text, "\"; the commands are: run start stop");
    for (size_t i = 0; (name = tm_help_name(i, &skip)); i++)
        if (!skip)
            tm_text_printf(&text, " %s", name);
    for (size_t i = 0; tm_own_commands[i].name; i++)
        tm_text_printf(&text, " %s", tm_own_commands[i].name);
    tm_text_add(&text, "\nType \"tracemortem --help\" for what they do.");
    tm_cli_say(tm_text_string(&text));
    tm_text_deinit(&text);
    return TM_STATUS_USAGE;
}

static bool is_one_of(const char *word, const char *one, const char *other)
{
    return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

// Commands that are not the engine's: what runs them, or NULL.
typedef int (*runner)(int count, char **words);
static runner own_command(const char *word)
{
    static const struct {
        const char *name;
        runner run;
    } others[] = {{"run", tm_cli_run}, {"start", tm_cli_start}, {"stop", tm_cli_stop}};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(others[i].name, word) == 0)
            return others[i].run;
    for (size_t i = 0; tm_own_commands[i].name; i++)
        if (strcmp(word, tm_own_commands[i].name) == 0)
            return tm_own_commands[i].run;
    return NULL;
}

int main(int count, char **words)
{
    const char *word = count > 1 ? words[1] : "";
    count -= 2;
    words += 2;

    if (!word[0]) {
        struct tm_text text = TM_TEXT_EMPTY;
        tm_help_add_overview(&text);
        fputs(tm_text_string(&text), stderr);
        tm_text_deinit(&text);
        return TM_STATUS_USAGE;
    }
    if (own_command(word))
        return own_command(word)(count, words);
    if (strcmp(word, "completion") == 0)
        return tm_cli_completion(count, words);
    if (strcmp(word, "--complete") == 0)
        return tm_cli_complete(count, words);
    if (is_one_of(word, "--version", "-V"))
        return show_version();
    if (is_one_of(word, "--help", "-h"))
        return show_overview();
    if (strcmp(word, "help") == 0 && count == 0)
        return show_overview();
    if (strcmp(word, "help") == 0 && tm_help_engine_name(words[0]))
        return tm_cli_fail(tm_help_print(tm_help_engine_name(words[0])));
    if (strcmp(word, "help") == 0 && own_command(words[0])) {
        char *help[] = {"--help", NULL};
        return own_command(words[0])(1, help);
    }
    const char *command = tm_help_engine_name(strcmp(word, "help") == 0 ? words[0] : word);
    return command ? tm_cli_ask(command, count, words) : unknown_command(strcmp(word, "help") == 0 ? words[0] : word);
}
