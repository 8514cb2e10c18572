/**
 * Which file on this host a file name of the target means, if any.
 *
 * A name in a trace is what the program saw: relative to its working directory, below its root, in its mount namespace.
 * The same name can be another file here. So each part of a name is looked up where the process sees it, and a link on
 * the way leads where it leads there. Names come from the target and can be anything. Reads no file.
 */
#ifndef TRACEMORTEM_PROCESS_FILES_H
#define TRACEMORTEM_PROCESS_FILES_H

#include <sys/types.h>

#include "engine/tracemortem.h"

/** The files of a target. All zero: of this host, and relative names mean nothing. */
struct tm_files {
    bool out_of_reach; // nothing of the process's root can be seen
    char *root;        // what its names begin with here; NULL: nothing
    char *folder;      // its working directory, as a name below its root; NULL: not known
    bool is_process;
    uint64_t latest; // nanoseconds since 1970 after which the process did not run; 0: it still may
};

/** Files as a process of this host sees them. */
struct tm_error *tm_files_of_process(pid_t pid, struct tm_files *result);
void tm_files_deinit(struct tm_files *files);

struct tm_found {
    char *path;       // in memory of malloc; NULL: there is none
    const char *why;  // why there is none; NULL: the file is simply not there
    uint64_t changed; // nanoseconds since 1970: when the file, or a link on the way to it, last changed
};

/** `name` is UTF-8; a lone surrogate in it takes three bytes. */
struct tm_found tm_files_find(const struct tm_files *files, const char *name);

#endif
