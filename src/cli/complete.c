// Completion: the shells ask `tracemortem --complete WORD...` for what the last word can become. An empty answer lets
// the shell complete file names.

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/host.h"
#include "cli/plain_options.h"
#include "cli/words.h"

static const char bash[] = "# Completion of tracemortem for bash.\n"
                           "_tracemortem() {\n"
                           "    local IFS=$'\\n' word=${COMP_WORDS[COMP_CWORD]}\n"
                           "    COMPREPLY=($(tracemortem --complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
                           "    # bash takes the \"=\" of --sort=size for a word of its own.\n"
                           "    if [[ $word == = || ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then\n"
                           "        COMPREPLY=(\"${COMPREPLY[@]#*=}\")\n"
                           "    fi\n"
                           "}\n"
                           "complete -o default -F _tracemortem tracemortem\n";

static const char zsh[] =
    "#compdef tracemortem\n"
    "# Completion of tracemortem for zsh.\n"
    "_tracemortem() {\n"
    "    local -a found\n"
    "    found=(${(f)\"$(tracemortem --complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "    if (( $#found )); then compadd -- $found; else _files; fi\n"
    "}\n"
    "if [[ $funcstack[1] == _tracemortem ]]; then _tracemortem; else compdef _tracemortem tracemortem; "
    "fi\n";

static const char fish[] =
    "# Completion of tracemortem for fish.\n"
    "complete -c tracemortem -a '(tracemortem --complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'\n";

#define EACH_SHELL                                                                       \
    "    tracemortem completion bash >/etc/bash_completion.d/tracemortem\n"              \
    "    tracemortem completion zsh >/usr/local/share/zsh/site-functions/_tracemortem\n" \
    "    tracemortem completion fish >~/.config/fish/completions/tracemortem.fish"

static const char help[] = "Print what makes a shell complete commands, options and targets.\n"
                           "\n"
                           "Usage: tracemortem completion bash|zsh|fish\n"
                           "\n" EACH_SHELL "\n";

int tm_cli_completion(int count, char **words)
{
    const char *shell = count == 1 ? words[0] : "", *text = NULL;
    if (strcmp(shell, "bash") == 0)
        text = bash;
    else if (strcmp(shell, "zsh") == 0)
        text = zsh;
    else if (strcmp(shell, "fish") == 0)
        text = fish;
    if (text)
        return fputs(text, stdout) == EOF || fflush(stdout) != 0 ? TM_STATUS_BAD_NEWS : TM_STATUS_DONE;
    if (strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0)
        return tm_print_help(help);
    tm_cli_say("completion of which shell? Type one of:\n" EACH_SHELL);
    return TM_STATUS_USAGE;
}

// ---------------------------------------------------------------------------------------------------------------
// Candidates

static void offer(const char *candidate, const char *begun)
{
    if (strncmp(candidate, begun, strlen(begun)) == 0)
        puts(candidate);
}

static void offer_commands(const char *begun)
{
    const char *name;
    bool skip;
    for (size_t i = 0; (name = tm_help_name(i, &skip)); i++)
        if (!skip)
            offer(name, begun);
    for (size_t i = 0; tm_own_commands[i].name; i++)
        offer(tm_own_commands[i].name, begun);
    static const char *const own[] = {"run", "start", "stop", "completion", "help", "--help", "--version"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        offer(own[i], begun);
}

// Whether a process's program is called python.
static bool is_python(const char *pid)
{
    char path[64], program[4096];
    snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
    ssize_t length = readlink(path, program, sizeof(program) - 1);
    if (length <= 0)
        return false;
    program[length] = '\0';
    const char *name = strrchr(program, '/');
    return name && strncmp(name + 1, "python", strlen("python")) == 0;
}

static void offer_processes(const char *begun)
{
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (isdigit((unsigned char)entry->d_name[0]) && is_python(entry->d_name))
            offer(entry->d_name, begun);
    if (folder)
        closedir(folder);
}

static bool is_switch(const char *word)
{
    return strcmp(word, "start") == 0 || strcmp(word, "stop") == 0;
}

// What `start` and `stop` take.
static void offer_switch_options(const char *command, const char *begun)
{
    static const char *const both[] = {"--yes",  "--timeout", "--max-stop", "--children",
                                       "--name", "--cgroup",  "--tracer"};
    static const char *const of_start[] = {"--frames", "--output", "--detail", "--inside"};
    if (begun[0] != '-') {
        offer_processes(begun);
        return;
    }
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        offer(both[i], begun);
    for (size_t i = 0; strcmp(command, "start") == 0 && i < sizeof(of_start) / sizeof(of_start[0]); i++)
        offer(of_start[i], begun);
}

// What the engine knows of a command's words.
static void offer_words(const char *command, const struct tm_command_line *line)
{
    static const struct tm_host_callbacks callbacks;
    struct tm_session *session = NULL;
    struct tm_text text = TM_TEXT_EMPTY;

    struct tm_error *error = tm_session_create(&callbacks, NULL, &session);
    for (size_t i = 0; !error && i < line->count; i++)
        tm_text_printf(&text, "%s%s", i ? " " : "", line->words[i]);
    if (!error && !text.failed)
        fputs(tm_complete(session, command, tm_text_string(&text), NULL), stdout);
    tm_text_deinit(&text);
    tm_session_destroy(session);
    tm_error_destroy(error);
}

// bash has "--sort" "=" "si" for --sort=si: joins the last words to one.
static int join_equals(int count, char **words, struct tm_text *joined)
{
    int option = count >= 2 && strcmp(words[count - 1], "=") == 0   ? count - 2
                 : count >= 3 && strcmp(words[count - 2], "=") == 0 ? count - 3
                                                                    : -1;
    if (option < 0 || strncmp(words[option], "--", 2) != 0)
        return count;
    for (int i = option; i < count; i++)
        tm_text_add(joined, words[i]);
    words[option] = joined->bytes;
    return joined->failed ? count : option + 1;
}

// The options are those that the help lists.
static void offer_own_command(const char *word, const char *begun)
{
    for (size_t i = 0; tm_own_commands[i].name; i++) {
        if (strcmp(word, tm_own_commands[i].name) != 0)
            continue;
        for (const char *at = tm_own_commands[i].help; begun[0] == '-' && (at = strstr(at, " --")); at++) {
            char option[32];
            snprintf(option, sizeof(option), "%.*s", (int)strspn(at + 1, "-abcdefghijklmnopqrstuvwxyz"), at + 1);
            offer(option, begun);
        }
        if (begun[0] != '-')
            offer_processes(begun);
    }
}

int tm_cli_complete(int count, char **words)
{
    struct tm_text joined = TM_TEXT_EMPTY;
    struct tm_command_line line;

    count = join_equals(count, words, &joined);
    const char *last = count ? words[count - 1] : "";
    const char *command = count > 1 ? tm_help_engine_name(words[0]) : NULL;
    if (count <= 1) {
        offer_commands(last);
    } else if (is_switch(words[0])) {
        offer_switch_options(words[0], last);
    } else if (!command) {
        offer_own_command(words[0], last);
    } else {
        bool takes_target = tm_help_takes_target(command);
        struct tm_error *error = tm_command_line_parse(command, takes_target, count - 1, words + 1, &line);
        bool is_target = !error && line.target == last;
        if (!error && !is_target)
            offer_words(command, &line);
        if (last[0] == '-')
            for (size_t i = 0; tm_own_option_names[i]; i++)
                offer(tm_own_option_names[i], last);
        if (is_target || (!takes_target && (last[0] == '\0' || isdigit((unsigned char)last[0]))))
            offer_processes(last);
        tm_error_destroy(error);
        tm_command_line_deinit(&line);
    }
    tm_text_deinit(&joined);
    return TM_STATUS_DONE;
}
