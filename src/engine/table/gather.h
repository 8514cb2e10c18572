/**
 * Gather: many small pieces of memory, read by few large reads.
 *
 * Pieces that are near each other are read together. Where pages are missing, the others are read, and the missing bytes
 * become zeros. Knows addresses and sizes, and nothing of what the pieces are.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_GATHER_H
#define TRACEMORTEM_ENGINE_TABLE_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/host.h"
#include "engine/base/set.h"

struct tm_target;

/** The unit in which memory is claimed; pieces begin at a multiple of it. */
#define TM_GATHER_CELL ((uint64_t)64)
/** No piece is larger. */
#define TM_GATHER_LARGEST ((uint64_t)65536)

/** The caller sets the first three; the rest is the answer. */
struct tm_piece {
    uint64_t address; // a multiple of TM_GATHER_CELL
    uint32_t size;
    uint32_t owner; // the caller's own
    const unsigned char *bytes;
    uint32_t missing; // how many of its bytes could not be read, and are zeros
    bool claimed;     // by another piece, or no memory can be there: it was not read
};

struct tm_gather {
    struct tm_target *target;
    const struct tm_host *host;
    unsigned char **buffers;
    size_t buffer_count, buffer_capacity;
    unsigned failures; // reads that failed
    struct tm_set claims;
    uint64_t bytes; // of all pieces that were claimed, in whole cells
};

/** So many reads have failed that no more are tried: a table is there, or it is not. */
bool tm_gather_gave_up(const struct tm_gather *gather);
/** All zero but the target and the host is an empty one. */
void tm_gather_deinit(struct tm_gather *gather);
/** Free what was read; the claims stay. */
void tm_gather_clear(struct tm_gather *gather);

/**
 * Read the pieces, and sort them by address. A piece of which some part was claimed before, by an earlier piece or an
 * earlier call, is marked as claimed and not read. Fails only if interrupted or if there is no memory.
 */
struct tm_error *tm_gather_read(struct tm_gather *gather, struct tm_piece *pieces, size_t count);

#endif
