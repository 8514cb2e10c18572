/**
 * The user's side as the engine sees it: Ctrl-C, progress, output, source lines.
 *
 * Any callback may be missing, and so may the host: then nothing stops the work, and output goes nowhere. Knows no
 * target and no table.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_HOST_H
#define TRACEMORTEM_ENGINE_BASE_HOST_H

#include "engine/base/error.h"

struct tm_host {
    struct tm_host_callbacks callbacks;
    void *context;
    bool hides_source;         // no source line is shown
    const char *source_folder; // where relative names of source files begin; NULL: the host finds out
};

/** Whether the user asked to stop. Ask at least every few milliseconds of work. */
static inline bool tm_host_should_stop(const struct tm_host *host)
{
    return host && host->callbacks.should_stop && host->callbacks.should_stop(host->context) != 0;
}

/** The error of work which stopped because the user asked for it. */
static inline struct tm_error *tm_host_stopped(void)
{
    return tm_error_create(TM_ERROR_INTERRUPTED, "interrupted");
}

/** NULL, or TM_ERROR_INTERRUPTED if the user asked to stop. */
static inline struct tm_error *tm_host_check(const struct tm_host *host)
{
    return tm_host_should_stop(host) ? tm_host_stopped() : NULL;
}

static inline void tm_host_progress(const struct tm_host *host, const char *what, uint64_t done, uint64_t total)
{
    if (host && host->callbacks.progress)
        host->callbacks.progress(host->context, what, done, total);
}

static inline void tm_host_write(const struct tm_host *host, const char *text, size_t length)
{
    if (host && host->callbacks.write)
        host->callbacks.write(host->context, text, length);
}

/** Whether text goes to a terminal, and what it is like. */
static inline bool tm_host_screen(const struct tm_host *host, struct tm_screen *screen)
{
    *screen = (struct tm_screen){0, 0};
    return host && host->callbacks.screen && host->callbacks.screen(host->context, screen) != 0;
}

/** A source line; NULL if it does not exist or cannot be read. Valid until the next call. */
static inline const char *tm_host_source_line(const struct tm_host *host, const char *file_name, uint32_t line,
                                              bool *may_differ)
{
    uint32_t doubt = 0;
    bool asks = host && !host->hides_source && host->callbacks.source_line;
    const char *text = asks ? host->callbacks.source_line(host->context, file_name, line, &doubt) : NULL;
    *may_differ = doubt != 0;
    return text;
}

#endif
