// `tracemortem run`: becomes the program, with the tracer preloaded into it and into all that it starts.

#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/host.h"
#include "cli/plain_options.h"
#include "cli/preload.h"
#include "process/core.h"

static const char help[] = "Run a program with its memory allocations traced.\n"
                           "\n"
                           "Usage: tracemortem run [OPTION]... PROGRAM [ARGUMENT]...\n"
                           "\n"
                           "PROGRAM is anything that starts Python: python3 itself, a script, a server, a\n"
                           "shell. The Python programs that it starts are traced, too. For them LD_PRELOAD\n"
                           "and TRACEMORTEM stay in the environment; what starts with an empty environment\n"
                           "cannot be traced. If the tracer cannot be loaded, one line on standard error\n"
                           "says why, and the program runs untraced.\n"
                           "\n"
                           "Options:\n"
                           "  -f, --frames NFRAME\n"
                           "        Keep NFRAME frames for each traceback, 1 to 65535; the default is 1,\n"
                           "        which costs least, and 25 where blocks are sampled.\n"
                           "      --detail DETAIL\n"
                           "        lean, the default, records each block; full also counts the frames that\n"
                           "        are not kept, and what was allocated and freed at each site. sampled\n"
                           "        costs least: it records a few blocks, picked by chance, from which sizes\n"
                           "        are estimated (TRACEMORTEM_SAMPLE=BYTES: one in so many bytes).\n"
                           "  -o, --output FILE\n"
                           "        Keep the trace table in this file, which is there also after the program\n"
                           "        is killed: open it like a core. In the name, %p is the process id, %e\n"
                           "        the program's name, %h the host's, and %t the time in seconds. A folder\n"
                           "        means FOLDER/%e-%p.tm-core. A clean exit removes the file;\n"
                           "        TRACEMORTEM_KEEP=always in the environment keeps it.\n"
                           "      --tracer FILE\n"
                           "        The tracer, _tracer.abi3.so, if it is not where this command was\n"
                           "        installed or built, nor beside it.\n"
                           "  -h, --help\n"
                           "        Show this help and do nothing else.\n"
                           "\n"
                           "Examples:\n"
                           "  tracemortem run -f 25 python3 service.py --port 8000\n"
                           "  tracemortem run -o /var/tmp/tables/ python3 service.py\n"
                           "  tracemortem run gunicorn --workers 4 application\n"
                           "  tracemortem run --detail sampled gunicorn --workers 4 application\n"
                           "  tracemortem run -f 10 sh -c 'celery -A jobs worker'\n";

struct options {
    const char *frames; // NULL: the default for the detail
    const char *detail; // NULL: the tracer's default
    const char *output; // NULL: no file
    char *tracer;
};

static int wrong(const char *what, const char *word)
{
    return tm_wrong_word("run", word, what);
}

static bool is_pattern(const char *text)
{
    for (const char *at = strchr(text, '%'); at; at = strchr(at + 2, '%'))
        if (!at[1] || !strchr("phte%", at[1]))
            return false;
    return *text && strlen(text) < PATH_MAX;
}

// Returns -1, or the exit status. *index becomes that of the program.
static int parse(int count, char **words, int *index, struct options *options)
{
    for (; *index < count && words[*index][0] == '-' && words[*index][1]; ++*index) {
        const char *word = words[*index], *value;
        if (strcmp(word, "--") == 0) {
            ++*index;
            break;
        }
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
            return tm_print_help(help);
        if ((value = tm_option_value("-f", "--frames", count, words, index))) {
            if (!tm_is_frames(value))
                return wrong(TM_NOT_FRAMES, value);
            options->frames = value;
        } else if ((value = tm_option_value(NULL, "--detail", count, words, index))) {
            if (!tm_is_detail(value))
                return wrong(TM_NOT_DETAIL, value);
            options->detail = value;
        } else if ((value = tm_option_value("-o", "--output", count, words, index))) {
            if (!is_pattern(value))
                return wrong(": not a file's name in which each % is %p, %h, %t, %e or %%", value);
            options->output = value;
        } else if ((value = tm_option_value(NULL, "--tracer", count, words, index))) {
            free(options->tracer);
            options->tracer = realpath(value, NULL);
            if (!options->tracer)
                return wrong(": there is no such tracer", value);
        } else {
            return wrong(": unknown option", word);
        }
    }
    return *index < count ? -1 : wrong("no program to run", "");
}

// The file that execvp() would find; NULL: none.
static char *find_program(const char *name)
{
    if (strchr(name, '/'))
        return access(name, F_OK) == 0 ? strdup(name) : NULL;
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    for (const char *at = path ? path : "/bin:/usr/bin"; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        size_t length = strcspn(at, ":");
        snprintf(file, sizeof(file), "%.*s/%s", length ? (int)length : 1, length ? at : ".", name);
        if (access(file, X_OK) == 0)
            return strdup(file);
    }
    return NULL;
}

// Sets what the loader and the tracer look for. The link's path, or NULL.
static char *set_environment(const struct options *options)
{
    const char *before = getenv("LD_PRELOAD");
    bool is_link;
    char *name = tm_preload_name(options->tracer, &is_link), *value = NULL;

    // Whatever LD_PRELOAD was comes behind the first colon.
    if (name && asprintf(&value, before ? "%s:%s" : "%s", name, before) >= 0) {
        setenv("LD_PRELOAD", value, 1);
        setenv("TRACEMORTEM", options->frames ? options->frames : tm_frames_for(options->detail), 1);
        if (options->detail)
            setenv("TRACEMORTEM_DETAIL", options->detail, 1);
        if (options->output)
            setenv("TRACEMORTEM_FILE", options->output, 1);
        free(value);
    } else {
        tm_cli_say(
            "there is no folder for a link to the tracer in whose path LD_PRELOAD would not be split; continuing "
            "without tracing");
    }
    if (name && is_link)
        return name;
    free(name);
    return NULL;
}

static int start(char **words, const struct options *options)
{
    struct tm_text why = TM_TEXT_EMPTY;
    char *program = find_program(words[0]), *link = NULL;

    if (program)
        tm_preload_why_not(program, options->tracer, &why);
    free(program);
    if (why.length) {
        tm_text_add(&why, "; continuing without tracing");
        tm_cli_say(tm_text_string(&why));
    } else {
        link = set_environment(options);
    }
    tm_text_deinit(&why);
    execvp(words[0], words);
    int number = errno;
    fprintf(stderr, "tracemortem run: cannot start %s: %s\n", tm_printable(words[0]).text, strerror(number));
    if (link)
        tm_preload_remove_link(link);
    free(link);
    return number == ENOENT ? TM_STATUS_NOT_FOUND : TM_STATUS_CANNOT_RUN;
}

int tm_cli_run(int count, char **words)
{
    struct options options = {0};
    int index = 0;

    int status = parse(count, words, &index, &options);
    if (status < 0 && !options.tracer)
        options.tracer = tm_preload_tracer();
    if (status < 0)
        status = options.tracer ? start(words + index, &options)
                                : tm_cli_fail(tm_error_create(TM_ERROR_NO_MEMORY, "no memory"));
    free(options.tracer);
    return status;
}
