/**
 * What is behind a target's memory: a process, a core, or a file that has the trace table alone. Knows the notes of such files
 * (src/layout/recorder_file.h, src/layout/saved_core.h) and what follows from them; no table.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_BACKING_H
#define TRACEMORTEM_ENGINE_TARGET_BACKING_H

#include "engine/target/target.h"
#include "layout/recorder_file.h"
#include "layout/saved_core.h"

/** Whether the target has the trace table and nothing else of its process. */
bool tm_backing_is_table_alone(const struct tm_backing *backing);

/** The note of the recorder's file, or of a saved table. False: there is none. */
bool tm_backing_recorder(const struct tm_backing *backing, struct tm_recorder_note *note);
bool tm_backing_saved(const struct tm_backing *backing, struct tm_saved_note *note);

/** Where such a note says that the root is; 0: there is no note. It may be wrong. */
uint64_t tm_backing_root(const struct tm_backing *backing);

/** Whether a core's table is read from a file to which the process may have written after the core was made. */
bool tm_backing_may_be_newer(const struct tm_backing *backing);

/** NULL, or for a target with the trace table alone an error: this needs the memory of the program. */
struct tm_error *tm_backing_require_program(const struct tm_target *target);

#endif
