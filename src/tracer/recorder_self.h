/**
 * What the kernel says of this process, as the recorder's file tells it: by /proc, where there is one. Nothing here uses an
 * allocator.
 */
#ifndef TRACEMORTEM_TRACER_RECORDER_SELF_H
#define TRACEMORTEM_TRACER_RECORDER_SELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "layout/recorder_file.h"

/** The process's id, also in a child of vfork(). */
pid_t self_pid(void);

/** Read the beginning of a small file, and end it with a NUL. The bytes without it; 0: there is none. */
size_t self_read(const char *path, char *text, size_t size);

/** Fill in who this process is: pid, outer_pid, start_ticks, pid_namespace and boot_id. */
void self_describe(struct tm_recorder_note *note);
/** Field 22 of a process's /proc/PID/stat; 0: there is no such process, or it cannot be read. */
uint64_t self_start_ticks(pid_t process);
/** Field 28: where its stack begins, which a forked process has of its parent until it calls exec. 0: as above, or it ends. */
uint64_t self_stack_start(pid_t process);

struct stat;
/** What a name in a folder is (AT_FDCWD: in the working directory); `flags` as of fstatat(). False: errno. */
bool self_stat(int folder, const char *name, int flags, struct stat *status);
/** What an open file is. */
bool self_stat_open(int descriptor, struct stat *status);

/** Fill bytes at random. */
void self_random(uint8_t *bytes, size_t size);

#endif
