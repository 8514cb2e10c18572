// Standard output and error, signals and the terminal.

#include "cli/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

// Nanoseconds that a command may be silent, and between two looks of its progress.
#define SILENT UINT64_C(500000000)
#define BETWEEN UINT64_C(100000000)

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

bool tm_cli_interrupted(void)
{
    return interrupted;
}

void tm_cli_end_interrupted(void)
{
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
    _exit(130);
}

uint64_t tm_cli_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

void tm_cli_say(const char *text)
{
    fprintf(stderr, "tracemortem: %s\n", text);
}

void tm_cli_warn(const char *text)
{
    fprintf(stderr, "warning: %s\n", text);
}

// ---------------------------------------------------------------------------------------------------------------
// The engine's callbacks

static int should_stop(void *context)
{
    struct tm_cli_host *host = context;
    if (host->deadline && tm_cli_now() > host->deadline)
        host->is_late = true;
    return interrupted || host->is_late;
}

static void hold(void *context, const char *text, size_t length)
{
    tm_text_bytes(&((struct tm_cli_host *)context)->answer, text, length);
}

static void show_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct tm_cli_host *host = context;
    uint64_t now = tm_cli_now();

    if (now < host->silent_until || !isatty(STDERR_FILENO))
        return;
    char line[80];
    int percent = total && done < total ? (int)((double)done / (double)total * 100) : total ? 100 : 0;
    int length = snprintf(line, sizeof(line), "%.60s: %d%%", what, percent);
    fprintf(stderr, "\r%-*s", (int)host->shown, line);
    host->shown = (size_t)length;
    host->silent_until = now + BETWEEN;
}

static const char *get_line(void *context, const char *file_name, uint32_t number, uint32_t *may_differ)
{
    struct tm_cli_host *host = context;
    bool differs = false;
    if (!host->lines)
        return NULL;
    uint64_t started = host->target ? tm_target_started(host->target) : 0;
    const char *line = tm_lines_get(host->lines, file_name, number, started, &differs);
    *may_differ = differs;
    return line;
}

static bool wants_styles(void)
{
    const char *terminal = getenv("TERM"), *plain = getenv("NO_COLOR");
    return (!plain || !plain[0]) && terminal && strcmp(terminal, "dumb") != 0;
}

static int describe_screen(void *context, struct tm_screen *screen)
{
    struct winsize size;
    if (((struct tm_cli_host *)context)->to_file || !isatty(STDOUT_FILENO))
        return 0;
    screen->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    screen->styled = wants_styles();
    return 1;
}

// ---------------------------------------------------------------------------------------------------------------
// The host

struct tm_error *tm_cli_host_init(struct tm_cli_host *host)
{
    static const struct tm_host_callbacks callbacks = {should_stop, hold, show_progress, get_line, describe_screen};
    // A second Ctrl-C ends the command at once.
    const struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESETHAND};

    *host = (struct tm_cli_host){.silent_until = tm_cli_now() + SILENT};
    sigaction(SIGINT, &action, NULL);
    return tm_session_create(&callbacks, host, &host->session);
}

void tm_cli_host_deinit(struct tm_cli_host *host)
{
    tm_cli_host_clear(host);
    tm_session_destroy(host->session);
    tm_lines_destroy(host->lines);
    tm_text_deinit(&host->answer);
}

void tm_cli_host_clear(struct tm_cli_host *host)
{
    if (host->shown)
        fprintf(stderr, "\r%*s\r", (int)host->shown, "");
    host->shown = 0;
}

struct tm_error *tm_cli_host_flush(struct tm_cli_host *host)
{
    struct tm_error *error = tm_text_check(&host->answer);
    tm_cli_host_clear(host);
    if (error)
        return error;
    size_t length = host->answer.length;
    if (fwrite(tm_text_string(&host->answer), 1, length, stdout) == length && fflush(stdout) == 0) {
        tm_text_clear(&host->answer);
        return NULL;
    }
    return tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output: %s", strerror(errno));
}
