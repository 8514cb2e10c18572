/**
 * The recorder: the table's memory is a file that outlives the process. layout/recorder_file.h is the file's form.
 *
 * While it is off, memory of the table comes from pages.h, and everything here does nothing.
 *
 * No store to the table goes to a page of the file for which there is no space, since the space is reserved first. Another
 * process may cut the file all the same. Then the kernel sends SIGBUS; our handler puts memory of zeros there, for the
 * table's addresses only, and recording ends. It needs the root as it was, of which there is a copy (recorder_keep_root).
 */
#ifndef TRACEMORTEM_TRACER_RECORDER_H
#define TRACEMORTEM_TRACER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Read what the environment asks for. Once a process, before anybody changes it. */
void recorder_ask(void);
/** Ask for a file in the place of the environment's. False: it is no name of one, or the table has its place already. */
bool recorder_want(const char *pattern);
/** Tracing could not begin: what was asked for before is wanted again, unless the table has its place already. */
void recorder_unwant(void);
/** Move the table into a file, if the environment asks for one. If that cannot be, one line says why, and the table stays
 * where it is. Nobody records. */
void recorder_begin(void);
/** Watch for SIGBUS from now on. Once the interpreter has looked at the signals' handlers, which `signal` then shows. */
void recorder_guard(void);

/** Whether the table is in a file. */
bool recorder_is_on(void);
/** Whether the file was cut: the table is lost, and nothing may be recorded. */
bool recorder_is_cut(void);
/** Whether the table is this process's. False: it was lost, or it is the parent's still: fork()'s handlers did not run. */
bool recorder_may_write(void);

/** Bytes that a mapping for small pieces should have. */
size_t recorder_room(void);
/** Zeroed memory of the table's, of whole pages, with its space reserved. NULL: there is none. Holding the table's lock. */
void *recorder_map(size_t size);
void recorder_unmap(void *memory, size_t size);

/** Whether the root is still the one that was put there; else the table is lost, as if the file was cut. Holding the
 * table's lock. */
void recorder_check(void);
/** The root leads elsewhere now. Holding the table's lock. */
void recorder_keep_root(void);

/** Bytes of the table that are in the file. */
size_t recorder_size(void);
/** Copy those bytes to `to`, in the order of the file. */
void recorder_copy(char *to);

/**
 * In a forked child, whose memory shows the parent's file: have a file of its own with the same contents, or else private
 * memory. `copy`: the bytes as recorder_copy() made them; NULL: take them from where they are. Where there is no memory either,
 * this ends in recorder_give_up().
 */
void recorder_renew(const char *copy);
/** The child gives the table up: nothing is recorded any more, and nothing shows the parent's file. */
void recorder_give_up(void);
/** Remove old files from the folder of a file that was made, if there are too many. */
void recorder_tidy(void);

/** The process ends, with this status: say so in the file, and remove it after a clean end. Only in the process that made
 * it: a child of vfork() shares our memory. */
void recorder_end(int status);
/** The process is about to become another program. False: it has no file. */
bool recorder_end_by_exec(void);
/** It has not. Nobody records. */
void recorder_go_on(void);

#endif
