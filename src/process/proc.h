/**
 * Files of /proc/PID. They are opened through a descriptor of that folder, which never means another process, even if
 * its number is given to one. Knows only text.
 */
#ifndef TRACEMORTEM_PROCESS_PROC_H
#define TRACEMORTEM_PROCESS_PROC_H

#include <sys/types.h>

#include "engine/tracemortem.h"

/** The whole of a file below `folder`, NUL-terminated, in memory of malloc; NULL and errno if it cannot be read. */
char *tm_proc_read(int folder, const char *name, size_t *length);
/** The target of a link below `folder`, in memory of malloc; NULL and errno. */
char *tm_proc_link(int folder, const char *name);
/** The line "NAME:\tVALUE" of a file such as status: where VALUE begins, or NULL. */
const char *tm_proc_field(const char *text, const char *name);
/** The sum, in bytes, of the lines "NAME:  123 kB" with one of these names; false: there is no such line. */
bool tm_proc_sum_sizes(const char *text, const char *const *names, uint64_t *result);

/** The next line of /proc/PID/maps as a region; *line moves past it. False: there are no more. */
bool tm_proc_next_region(const char **line, struct tm_region *region);
/** The next line that is about a file, as a module. */
bool tm_proc_next_module(const char **line, struct tm_module *module);

#endif
