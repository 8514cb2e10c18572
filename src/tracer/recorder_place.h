/**
 * Where the recorder's file goes: its name, making it, and removing those that dead processes have left. Knows folders and
 * files; nothing of the table. Nothing here uses an allocator.
 */
#ifndef TRACEMORTEM_TRACER_RECORDER_PLACE_H
#define TRACEMORTEM_TRACER_RECORDER_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "layout/recorder_file.h"

/** Of files that were left behind, those of this program and user, in one folder. */
struct recorder_keep {
    bool always;    // a clean end leaves its file, too
    unsigned files; // at most so many
    uint64_t bytes; // that take at most so much of the disk
};

/** A file of ours. */
struct recorder_file {
    int descriptor; // of a high number; -1: none
    dev_t device;
    ino_t inode;
    char path[PATH_MAX];
};

/** The program's name as the kernel has it, at most 15 bytes and a NUL. */
void recorder_program(char name[16]);

/** Whether a pattern is one: "%" is followed by p, h, t, e or "%". */
bool recorder_pattern_is_sound(const char *pattern);

/** Make a relative pattern absolute, and a folder's name one for files in it. False: it is too long, or there is no working
 * directory. */
bool recorder_pattern_complete(char pattern[PATH_MAX]);

/**
 * Make a new file, with the name that the pattern gives now; if there is one already, with another number before its end. A
 * file that this process has left by calling exec makes room. 0, or errno.
 */
int recorder_create(const char *pattern, const struct recorder_keep *keep, struct recorder_file *file);

/** Move a descriptor to a number that programs do not expect to get. The number, which may be the same. */
int recorder_raise(int descriptor);

/** The file's descriptor, opened again if the program has closed it; -1, and errno: it cannot be. */
int recorder_descriptor(struct recorder_file *file);
/** Hold the lock that says that this process lives. */
void recorder_lock(const struct recorder_file *file);
/** Remove the file, unless its name is another file's now. */
void recorder_remove(const struct recorder_file *file);

/** Remove the oldest files that are too many in the folder of `file`. `always`: also if hardly any are there, for their bytes. */
void recorder_prune(const struct recorder_file *file, const struct recorder_keep *keep, bool always);

#endif
