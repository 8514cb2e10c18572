/**
 * A source reads one kind of table from a target: `native` (our tracer's), `stock` (those of CPython's own tracemalloc),
 * `snapshot_file` (what tracemalloc's Snapshot.dump() or tm-save wrote). Behind this seam all are the same: what comes out
 * is tracemalloc's meaning, not a layout.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SOURCE_H
#define TRACEMORTEM_ENGINE_MODEL_SOURCE_H

#include "engine/model/pool.h"

struct tm_host; // the user's side, for Ctrl-C and progress: host.h

/** What was left out of an answer, and why. All zero: nothing. */
struct tm_damage {
    uint64_t unreadable_records; // the target's memory there could not be read (pages missing from a core)
    uint64_t unreadable_bytes;   // how much memory that is
    uint64_t corrupt_records;    // read, but contradicting the layout: a link out of range, a count too large
    uint64_t first_address;      // of the first such record; 0: none
    uint64_t torn_records;       // out of reach: the process was stopped in the middle of a change of the table
    const char *why;             // why memory is missing, as the front end knows; NULL: not known. The target's
};

/** Live blocks with the same traceback, domain and allocator: what one allocation site has. */
struct tm_group {
    const struct tm_traceback *traceback;
    uint32_t domain;
    uint64_t size;  // bytes live, greater than 0 or count is
    uint64_t count; // blocks live
};

struct tm_snapshot {
    struct tm_group *groups;
    size_t count;
    uint32_t frame_limit;
    uint64_t in_flight; // bytes of blocks which were being stored, freed or moved: sizes and counts may be off by them
    struct tm_damage damage;
};
void tm_snapshot_deinit(struct tm_snapshot *snapshot);

struct tm_block {
    uint64_t address; // where the block starts
    uint64_t size;
    uint32_t domain;
    bool resizing; // it is inside realloc(): this is what it was before
    const struct tm_traceback *traceback;
};

/** Where blocks come from. The same object stands for all blocks of an origin while they are visited. */
struct tm_origin {
    const struct tm_traceback *traceback;
    uint32_t domain;
    unsigned verdict; // these two are the visitors' own, of the filters and of the command: 0 and NULL at first
    const void *mark;
};

/** A live block, as it is visited. */
struct tm_trace {
    uint64_t address; // where it starts
    uint64_t size;
    struct tm_origin *origin;
    bool resizing; // it is inside realloc(): this is what it was before
};
/** Called for each trace; an error ends the visit and is passed on. */
typedef struct tm_error *(*tm_trace_visitor)(void *context, const struct tm_trace *trace);

/** What else a visit tells; all but the damage is there before the first trace is. */
struct tm_traces {
    uint32_t frame_limit;
    uint32_t python_version; // PY_VERSION_HEX of the target's interpreter; 0: not known
    struct tm_damage damage;
};

/** Of a table which is changed under a lock. */
enum tm_lock {
    TM_LOCK_UNKNOWN = 0,
    TM_LOCK_FREE,
    TM_LOCK_HELD, // somebody was changing the table, or just about to
};

/** Facts for tm-info which only our tracer records. */
struct tm_tracer_info {
    uint32_t layout_major, layout_minor;
    char version[32];
    bool debug_build, reuse_exact;
    uint32_t pid;
    uint64_t started, cleared;       // nanoseconds since 1970, 0: never
    uint64_t sites;                  // that ever had a block
    uint64_t allocations, allocated; // ever since started or cleared
    uint64_t strings, codes, nodes;
    uint64_t table_bytes; // used by the arrays
    uint64_t leaves;      // of the shadow map, tm_leaf each
    uint64_t mapped;      // address space mapped by the tracer
    uint64_t lost_blocks, lost_frames;
    uint64_t shortened;    // live blocks whose traceback lacks frames which there was no room for
    uint64_t record_limit; // sites which the tracer makes at most
    uint64_t resizing;     // blocks inside realloc()
    uint64_t in_flight; // bytes of blocks which are being stored, freed or moved: sites count them, `traced` does not
};

/** Facts for tm-info. A fact which a source cannot give has its `has_` false. */
struct tm_info {
    const char *source;   // "native", "stock"
    const char *found_by; // "symbol", "mapping name", "search"
    uint64_t table_address;
    char python_version[64]; // "3.11.7", escaped
    bool free_threaded;
    uint32_t state; // enum tm_state
    bool has_frame_limit;
    uint32_t frame_limit;
    uint64_t traced; // bytes
    bool has_peak;
    uint64_t peak;
    uint64_t blocks;     // live
    uint64_t sites_live; // places in the program which have live blocks: tracebacks, in each domain
    uint64_t domains;    // distinct ones with live blocks
    bool has_lock;
    enum tm_lock lock;
    bool has_tracer;
    struct tm_tracer_info tracer;
    struct tm_damage damage;
};

/**
 * A table which was found and whose head makes sense; owned by the target, found anew after tm_target_changed(). Our
 * tracer's comes first, then those of CPython's own tracemalloc; where memory is missing in which ours may be, they
 * count only if there are traces in them. tm_source_open() fails with TM_ERROR_NO_TABLE, _INCOMPLETE, _UNSUPPORTED,
 * _CORRUPT, _FAULT or _INTERRUPTED, and with _NOT_TRACING where the tracer is there but never made a table. A table whose tracing is off opens (tm-info tells of it), and
 * tm_source_require_tracing() then gives the error for the other commands.
 */
struct tm_source;
struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);
struct tm_error *tm_source_require_tracing(const struct tm_source *source);
struct tm_error *tm_source_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result);
/** Costs by sites, not by blocks. */
struct tm_error *tm_source_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    struct tm_snapshot *result);
/**
 * The live blocks which hold `address`: at most one in domain 0 and one in each other domain (or, for domains whose
 * "addresses" are mere numbers, the one with exactly this number). `capacity` is room for blocks; *count, at most
 * that, is how many were found. A block whose traceback cannot be told is left out and counted in `damage`. Reads only
 * what it needs: well under 64 KiB, but up to a quarter of the distance from a block's start to an address far inside
 * it.
 * (CPython's own tables know only where blocks start: for an address far inside of one all are looked at.) Fails
 * with _INTERRUPTED, or with _NOT_FOUND where it gave up.
 */
struct tm_error *tm_source_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                struct tm_damage *damage);
/**
 * Visit all live blocks, in ascending order of their addresses. Costs by blocks, but allocates by sites. Fails with
 * TM_ERROR_UNSUPPORTED where traces have no addresses.
 */
struct tm_error *tm_source_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                  tm_trace_visitor visit, void *context, struct tm_traces *result);
/**
 * Check the whole table: verify.h. Fails with TM_ERROR_UNSUPPORTED where the source keeps no table of its own making.
 */
struct tm_verify_request;
struct tm_verification;
struct tm_error *tm_source_verify(struct tm_source *source, const struct tm_host *host,
                                  const struct tm_verify_request *request, struct tm_verification *result);
/** When tracing began, for "not traced, tracing began at …": nanoseconds since 1970, 0 if unknown. */
uint64_t tm_source_started(const struct tm_source *source);

#endif
