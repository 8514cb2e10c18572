/**
 * Lines of a target's source files, with the bytes of Python's linecache, and why some are not shown.
 */
#ifndef TRACEMORTEM_PROCESS_LINES_H
#define TRACEMORTEM_PROCESS_LINES_H

#include "process/files.h"

struct tm_lines;

/** The lines of these files, which must outlive the result. NULL: no memory. */
struct tm_lines *tm_lines_create(const struct tm_files *files);
void tm_lines_destroy(struct tm_lines *lines);

/**
 * Line `number` (from 1) with its newline; NULL if it cannot be shown. Valid until the next call. `started`: when tracing
 * began, in nanoseconds since 1970, or 0. *may_differ: the file changed since, so the line may not be the one that ran.
 */
const char *tm_lines_get(struct tm_lines *lines, const char *file_name, uint32_t number, uint64_t started,
                         bool *may_differ);

/** Calls `say` once for each reason for which lines are missing or marked, with a line for the user. */
void tm_lines_notes(const struct tm_lines *lines, void (*say)(const char *note));

#endif
