/**
 * Tracebacks: from a node of the trace table to the traceback it represents.
 *
 * Each string, each code object and each instruction of a code object is decoded once and remembered for the request.
 * Whatever contradicts the layout or cannot be read makes a flaw, never a wrong traceback. If that is an older frame, the
 * traceback has the frames that are newer, and a mark. Knows nodes, code objects and strings; knows no sites and no blocks.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TRACEBACKS_H
#define TRACEMORTEM_ENGINE_TABLE_TRACEBACKS_H

#include "engine/base/arena.h"
#include "engine/base/set.h"
#include "engine/table/records.h"

/** The arrays of a table that tracebacks are made of; loaded or not. */
struct tm_traceback_records {
    const struct tm_records *bytes;
    const struct tm_records *strings;
    const struct tm_records *codes;
    const struct tm_records *nodes;
};

/** Frames of a traceback: tracemalloc's limit. */
#define TM_TRACEBACK_LIMIT 65535u

struct tm_known_frame;

struct tm_tracebacks {
    struct tm_traceback_records records;
    struct tm_pool *pool;
    const struct tm_host *host;
    struct tm_arena arena;
    struct tm_set names;          // by string id
    struct tm_set codes;          // by code id
    struct tm_known_frame *known; // by code id and instruction: a hash table of its own, since it is asked most
    size_t known_count;
    size_t known_capacity;
    const struct tm_name *unknown;
    const struct tm_frame *unrecorded; // of a code object that is not in the table
    const struct tm_traceback **paths; // by node id, of loaded nodes that are the callers of others: down to the node
    uint64_t path_count;
    const struct tm_frame **new_frames; // of the traceback that is being made, by their depth less one
    uint32_t *new_nodes;                // the nodes of these frames
    uint64_t bytes_left;                // of names and line tables that may still be copied
    uint64_t frames_left;               // in tracebacks that may still be made
};

/** Everything passed must outlive the tracebacks, and the records must not be loaded in the meantime. */
struct tm_error *tm_tracebacks_init(struct tm_tracebacks *tracebacks, const struct tm_traceback_records *records,
                                    struct tm_pool *pool, const struct tm_host *host);
void tm_tracebacks_deinit(struct tm_tracebacks *tracebacks);

/**
 * The traceback of a node, or NULL in *result and a flaw; or its newest frames and a flaw. `total_frames` is the site's,
 * and `cut` whether older frames were cut off. Fails only if interrupted or if there is no memory.
 */
struct tm_error *tm_tracebacks_get(struct tm_tracebacks *tracebacks, uint32_t node, uint32_t total_frames, bool cut,
                                   const struct tm_traceback **result, struct tm_flaw *flaw);

#endif
