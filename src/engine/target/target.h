/**
 * The target as the engine sees it: bounded reads, symbols, regions, and what was learned of it.
 *
 * The public part (create, changed, destroy, bytes_read) is in tracemortem.h. Knows no table.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_TARGET_H
#define TRACEMORTEM_ENGINE_TARGET_TARGET_H

#include "engine/base/error.h"
#include "engine/base/host.h"

/**
 * Read at most TM_READ_LIMIT bytes by one call of the front end. False: not all of them can be read, and `buffer` may
 * hold anything. Length 0 always succeeds.
 */
bool tm_target_try_read(struct tm_target *target, uint64_t address, void *buffer, uint64_t length);

/**
 * Read any number of bytes, in pieces of at most TM_READ_LIMIT; the host may stop it between two of them. Fails with
 * TM_ERROR_FAULT and the bad piece's address, or with TM_ERROR_INTERRUPTED. A `length` from the target must be
 * bounded by the caller.
 */
struct tm_error *tm_target_read(struct tm_target *target, const struct tm_host *host, uint64_t address, void *buffer,
                                uint64_t length);

/** The address of a global variable; 0: not known. May be wrong. */
uint64_t tm_target_symbol(const struct tm_target *target, const char *name);

/** Why this memory cannot be read, in words for the user, or NULL. Valid as long as the target. */
const char *tm_target_why_missing(const struct tm_target *target, uint64_t address);

/** The process's id as it sees itself, 0 if it is not known. */
uint32_t tm_target_process(const struct tm_target *target);

/** What the front end says of private memory: bytes, and the kind of them, of which 0 is unknown. */
uint64_t tm_target_private_memory(const struct tm_target *target, uint32_t *kind);

/** What the target is, as the front end says; texts are terminated, lengths possible. */
void tm_target_backing(const struct tm_target *target, struct tm_backing *backing);

/**
 * All regions, in a new array that the caller frees; *count 0: not known. Names are terminated; the order may be
 * wrong.
 */
struct tm_error *tm_target_regions(const struct tm_target *target, struct tm_region **result, size_t *count);

/** All threads, in a new array that the caller frees; *count 0: not known. */
struct tm_error *tm_target_threads(const struct tm_target *target, struct tm_thread **result, size_t *count);

/** All mapped parts of files, likewise. Paths are terminated; the order may be wrong. */
struct tm_error *tm_target_modules(const struct tm_target *target, struct tm_module **result, size_t *count);

/** What the system says of pages, as the callback. False: not known. */
bool tm_target_page_map(const struct tm_target *target, uint64_t address, uint64_t *entries, uint64_t count);

/** The process's memory as the system counts it; 0: not known. */
uint64_t tm_target_resident(const struct tm_target *target);

/** How much memory is missing from a dump in regions of the kind that hold tables, and where the first of it begins. */
uint64_t tm_regions_absent(const struct tm_region *regions, size_t count, uint64_t *first);

/** Whether it is a file and no memory; then addresses are offsets below its size. */
bool tm_target_is_file(const struct tm_target *target);
uint64_t tm_target_file_size(const struct tm_target *target);

/** Whether the process may run while it is read, and whether it did, as the front end says. */
bool tm_target_is_running(const struct tm_target *target);
bool tm_target_is_moving(const struct tm_target *target);

/** The program's own memory is read for an answer, which is more than the trace table. Until the target changes. */
void tm_target_note_program(struct tm_target *target);
bool tm_target_program_was_read(const struct tm_target *target);

/** What was learned of the target since it last changed, as its user left it here; NULL: nothing. */
void *tm_target_owned(const struct tm_target *target);
/** Leave `owned` here, in the place of what was there. The target calls `destroy` when it changes or is destroyed. */
void tm_target_own(struct tm_target *target, void *owned, void (*destroy)(void *owned));

#endif
