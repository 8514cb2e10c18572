/**
 * A copy of those pages of a process that an answer needs, so that the process is held still for the copying alone and
 * not for the answer. A first answer, of the running process, says which pages these are.
 *
 *     tm_copy_want() for each read of the first answer  ▶  hold the process, tm_copy_fill()  ▶  tm_copy_read()
 *
 * Knows no table.
 */
#ifndef TRACEMORTEM_PROCESS_COPY_H
#define TRACEMORTEM_PROCESS_COPY_H

#include "engine/base/set.h"
#include "process/stop.h"

/** All zero: nothing is wanted. */
struct tm_copy {
    struct tm_set wanted; // numbers of pages
    uint64_t *pages;      // numbers of the pages that were copied, ascending
    unsigned char *bytes; // of these pages
    size_t count;
    bool failed; // there is no memory for it, or it would be too large
    bool missed; // a read asked for a page that was not copied
};

void tm_copy_want(struct tm_copy *copy, uint64_t address, uint64_t length);
/** Makes room for the pages. False: there is no memory. To be called before the process is held. */
bool tm_copy_reserve(struct tm_copy *copy);
/**
 * Copies the pages. Pages that cannot be read are left out. False: the process is held for longer than `most`
 * nanoseconds; a `stop` of NULL has no limit.
 */
bool tm_copy_fill(struct tm_copy *copy, const struct tm_target_callbacks *callbacks, void *context,
                  const struct tm_stop *stop, uint64_t most);
/** False: not all of these bytes were copied. */
bool tm_copy_read(struct tm_copy *copy, uint64_t address, void *buffer, uint64_t length);
void tm_copy_deinit(struct tm_copy *copy);

#endif
