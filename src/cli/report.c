// `tracemortem report`: the page of tm-export, by one word, and shown.

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/host.h"
#include "cli/words.h"
#include "process/core.h"

extern char **environ;

const char tm_report_help[] = "Make one page to look at or to mail: flame graph, treemap, tables.\n"
                              "\n"
                              "Usage: tracemortem report TARGET [--base OLD] [-o FILE] [OPTION]...\n"
                              "\n"
                              "Any browser shows the page, without a network. With --base it shows what grew\n"
                              "since OLD, which is a process id, a core or a snapshot file.\n"
                              "\n"
                              "Options:\n"
                              "  -o, --output FILE\n"
                              "        Write the page to FILE (default report.html).\n"
                              "      --open\n"
                              "        Then show it, with the program that this desktop has for it (xdg-open).\n"
                              "      --types\n"
                              "        Have the type of the objects below the newest frame.\n"
                              "Options of \"tracemortem export\" are taken, too.\n"
                              "\n"
                              "Examples:\n"
                              "  tracemortem report 4711 --open\n"
                              "  tracemortem report second.core --base first.core -o growth.html\n"
                              "  tracemortem report ./core.4711 -o page.html --mine /srv/shop --force\n";

struct report {
    const char *file;
    bool open, types, help;
    char **words; // of tm-export
    int count;
};

static struct tm_error *take_word(int count, char **words, int *index, struct report *report)
{
    static const char output[] = "--output=";
    char *word = words[*index];

    if (strcmp(word, "--open") == 0) {
        report->open = true;
    } else if (strcmp(word, "--types") == 0) {
        report->types = true;
    } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        report->help = true;
    } else if (strncmp(word, output, strlen(output)) == 0) {
        report->file = word + strlen(output);
    } else if (strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0) {
        if (*index + 1 == count)
            return tm_error_create(TM_ERROR_USAGE, "%s needs a value after it", word);
        report->file = words[++*index];
    } else {
        report->words[report->count++] = word;
    }
    return report->file && !report->file[0] ? tm_error_create(TM_ERROR_USAGE, "--output: \"\" is not a name") : NULL;
}

// The program may go on running: a browser that was not open yet.
static struct tm_error *show(const char *file)
{
    char program[] = "xdg-open", *path = realpath(file, NULL), *words[] = {program, path, NULL};
    pid_t pid;
    int status = 0;

    if (!path)
        return tm_error_no_memory();
    int number = posix_spawnp(&pid, program, NULL, NULL, words, environ);
    free(path);
    if (number)
        return tm_error_create(TM_ERROR_OUTPUT, "cannot run xdg-open: %s\nOpen %s in a browser", strerror(number),
                               tm_printable(file).text);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    return tm_error_create(TM_ERROR_OUTPUT, "xdg-open found no program that shows it\nOpen %s in a browser",
                           tm_printable(file).text);
}

int tm_cli_report(int count, char **words)
{
    static char html[] = "html", key[] = "type,traceback", name[] = "report.html";
    struct report report = {.file = name, .words = calloc((size_t)count + 4, sizeof(*report.words))};
    struct tm_error *error = report.words ? NULL : tm_error_no_memory();
    int status = TM_STATUS_DONE;

    for (int i = 0; i < count && !error; i++)
        error = take_word(count, words, &i, &report);
    if (!error && report.help)
        status = fputs(tm_report_help, stdout) == EOF || fflush(stdout) != 0 ? TM_STATUS_BAD_NEWS : TM_STATUS_DONE;
    if (!error && !report.help && report.count == 0)
        error = tm_error_create(TM_ERROR_USAGE, "report: missing target: give a process id, a core or a snapshot file\n"
                                                "Type \"tracemortem report --help\" for its options and examples.");
    if (!error && !report.help) {
        report.words[report.count++] = html;
        report.words[report.count++] = (char *)(uintptr_t)report.file;
        if (report.types)
            report.words[report.count++] = key;
        status = tm_cli_ask("tm-export", report.count, report.words);
        if (status == TM_STATUS_DONE && report.open)
            error = show(report.file);
    }
    free(report.words);
    return error ? tm_cli_fail(error) : status;
}
