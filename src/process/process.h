/**
 * libtracemortem-process: reads cores and processes of this host for the engine.
 *
 * It implements the engine's target callbacks (tracemortem.h) for both, so that the command line needs no debugger. It
 * also finds a target's source files and holds a process still. The engine does not need this library.
 *
 *     tm_process_open_core("core.4711", &process)  or  tm_process_open_live(4711, &process)
 *     tm_target_create(&tm_process_callbacks, process, &target)
 *     …                                                    // requests
 *     tm_target_destroy(target), tm_process_close(process)
 *
 * Lower files first: proc, notes < recorder < core, live < table_file, symbols; encoding < files < lines; stop < copy; process. None of them knows a
 * trace table or a command.
 */
#ifndef TRACEMORTEM_PROCESS_PROCESS_H
#define TRACEMORTEM_PROCESS_PROCESS_H

#include "process/copy.h"
#include "process/core.h"
#include "process/files.h"
#include "process/live.h"
#include "process/symbols.h"

/** A core or a live process that is open. */
struct tm_process {
    struct tm_core *core; // one of these two is NULL
    struct tm_live *live;
    bool may_run; // while it is read: it is a process, or the recorder's file of one that lives
    struct tm_symbols symbols;
    struct tm_files files; // where its source files are
    enum tm_reading {
        TM_READING_DIRECTLY,
        TM_READING_AND_NOTING, // what is read is also noted in `copy`
        TM_READING_THE_COPY,
    } reading;
    struct tm_copy copy;
};

struct tm_error *tm_process_open_core(const char *path, struct tm_process **result);
struct tm_error *tm_process_open_live(pid_t pid, struct tm_process **result);
void tm_process_close(struct tm_process *process);

/** While the process is held: copies what was noted, as tm_copy_fill() does. tm_copy_reserve() comes before. */
bool tm_process_copy(struct tm_process *process, const struct tm_stop *stop, uint64_t most);

/** Their context is a `struct tm_process`. */
extern const struct tm_target_callbacks tm_process_callbacks;

#endif
