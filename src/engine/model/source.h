/**
 * A source reads one kind of table from a target: `table` (our tracer's), `stock` (those of CPython's own tracemalloc),
 * `snapshot` (a file which Snapshot.dump() of tracemalloc or tm-save wrote). Behind this interface all are the same: what
 * they answer has tracemalloc's meaning and no layout. Knows no kind of source; open.h finds the one of a target.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SOURCE_H
#define TRACEMORTEM_ENGINE_MODEL_SOURCE_H

#include "engine/model/damage.h"
#include "engine/model/pool.h"
#include "engine/model/snapshot.h"
#include "engine/model/verification.h"
#include "layout/trace_table.h"

/** A live block with its traceback: the answer to a question about an address. */
struct tm_block {
    uint64_t address; // where the block starts
    uint64_t size;
    uint32_t domain;
    bool resizing; // it is inside realloc(): this is what it was before
    const struct tm_traceback *traceback;
};

/** Which of CPython's allocators gave a block, as far as that says what may be in it. */
enum tm_giver {
    TM_GIVER_UNKNOWN = 0,
    TM_GIVER_OBJECT, // it gives memory for objects
    TM_GIVER_MEM,    // for what belongs to objects, and now and then for a type
    TM_GIVER_RAW,    // for what is no object
};

/** Where blocks come from. One object serves all blocks of an origin while they are visited. */
struct tm_origin {
    const struct tm_traceback *traceback;
    uint32_t domain;
    enum tm_giver giver;
    unsigned verdict; // these are the visitors' own, of the filters and of the command: 0 and NULL at first
    const struct tm_traceback *mine;
    const void *mark;
};

/** A live block of a visit to all of them: it shares its origin with others, so that visitors judge an origin once. */
struct tm_trace {
    uint64_t address; // where it starts
    uint64_t size;
    struct tm_origin *origin;
    bool resizing; // it is inside realloc(): this is what it was before
};
/** Called for each trace; an error ends the visit and is passed on. */
typedef struct tm_error *(*tm_trace_visitor)(void *context, const struct tm_trace *trace);

/** What a visit says of all traces; all but the damage is set before the first trace is visited. */
struct tm_traces {
    uint32_t frame_limit;
    uint32_t python_version; // PY_VERSION_HEX of the target's interpreter; 0: not known
    uint64_t sample_period;  // only samples are visited (model/estimate.h); 0: all blocks
    struct tm_damage damage;
};

/** Whether the target was tracing. */
enum tm_tracing {
    TM_TRACING_NEVER,    // never started; or of CPython's own: not started, or stopped
    TM_TRACING_ON,       // blocks are recorded
    TM_TRACING_STOPPED,  // which cleared what was recorded
    TM_TRACING_CLEARING, // on, and traces were just being cleared
};

/** Of a table which is changed under a lock. */
enum tm_lock {
    TM_LOCK_UNKNOWN = 0,
    TM_LOCK_FREE,
    TM_LOCK_HELD, // a thread was changing the table, or was just about to
};

/** Arrays of the tracer's table that are full, as bits. Without room for code objects new functions are "<unknown>". */
#define TM_FULL_CODES 1u
#define TM_FULL_STRINGS 2u // no room for code objects either
#define TM_FULL_BYTES 4u   // likewise
#define TM_FULL_NODES 8u   // new tracebacks keep their newest frame only
#define TM_FULL_SITES 16u  // likewise

/** How CPython reports to the tracer that it creates an object in memory from one of its free lists. */
enum tm_reuse_way {
    TM_REUSE_BY_EVENTS, // from 3.13 on: its reference tracer
    TM_REUSE_BY_ENTRY,  // a jump in its code
    TM_REUSE_BY_SLOTS,  // its table of traces, without the lock
    TM_REUSE_BY_TABLE,  // the same with the lock, which is slow
};

/** Facts for tm-info which only our tracer records. */
struct tm_tracer_info {
    uint32_t layout_major, layout_minor;
    char version[32];
    bool debug_build, reuse_exact;
    enum tm_reuse_way reuse_way; // where reuse is exact
    bool lean; // nothing is counted but what is live: no `allocations`, and no frames that were cut off
    uint32_t pid;
    uint64_t started, cleared;       // nanoseconds since 1970, 0: never
    uint64_t sites;                  // that ever had a block; if lean: that are recorded
    uint64_t allocations, allocated; // ever since started or cleared
    uint64_t strings, codes, nodes, bytes, site_records;
    uint64_t string_limit, code_limit, node_limit, byte_limit; // the most of them; 0: not known
    uint32_t full;                                             // TM_FULL_*
    uint64_t table_bytes;                                      // used by the arrays
    uint64_t own_bytes;                                        // used by all of the table, at most
    uint64_t leaves;                                           // of the map
    uint64_t mapped;                                           // address space mapped by the tracer
    uint64_t lost_blocks, lost_frames;
    uint64_t shortened;    // live blocks whose traceback lacks frames which the table had no room for
    uint64_t record_limit; // sites which the tracer makes at most
    uint64_t resizing;     // blocks inside realloc()
    uint64_t reuses;       // how often dead records were collected
    struct tm_recorder recorder;
    uint64_t in_flight; // bytes of blocks which are being stored, freed or moved: `traced` does not count them
};

/** Facts for tm-info. A fact which a source cannot give has its `has_` false. */
struct tm_info {
    const char *source;   // "tracemortem", "stock"
    const char *found_by; // "symbol", "mapping name", "search"
    uint64_t table_address;
    char python_version[64]; // "3.11.7", escaped
    bool free_threaded;
    enum tm_tracing state;
    bool has_frame_limit;
    uint32_t frame_limit;
    uint64_t traced;             // bytes
    uint64_t sample_period;      // blocks are sampled: `traced` and `blocks` are estimates; 0: all are recorded
    struct tm_estimate estimate; // if so, of these two
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

/** A table which was found and whose head makes sense. The target owns it: it is gone after tm_target_changed(). */
struct tm_source;

/** NULL, or the error for commands which need traces: TM_ERROR_NOT_TRACING. */
struct tm_error *tm_source_require_tracing(const struct tm_source *source);
struct tm_error *tm_source_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result);
/**
 * The caller frees the result by tm_snapshot_deinit(). The time it takes depends on the sites; on the blocks where nothing
 * counts them.
 */
struct tm_error *tm_source_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    struct tm_snapshot *result);
/** The same, with the groups that have no live block any more but had some, where the source counts them. */
struct tm_error *tm_source_history(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   struct tm_snapshot *result);
/**
 * The live blocks which contain `address`: at most one in domain 0 and one in each other domain (or, for domains whose
 * "addresses" are not addresses, the one with exactly this number). `capacity` is room for blocks; *count, at most
 * that, is how many were found. A block whose traceback cannot be read is left out and counted in `damage`. Reads only
 * what it needs: well under 64 KiB, and a thousandth of the distance from a block's start to an address far inside
 * it. (CPython's own tables know only where blocks start: for an address far inside one all blocks are read.)
 * Fails with TM_ERROR_INTERRUPTED, or with TM_ERROR_NOT_FOUND where it gave up.
 */
struct tm_error *tm_source_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                struct tm_damage *damage);
/**
 * Visit all live blocks, in ascending order of their addresses. The time it takes depends on the blocks, the memory on
 * the sites. Fails with TM_ERROR_UNSUPPORTED where traces have no addresses.
 */
struct tm_error *tm_source_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                  tm_trace_visitor visit, void *context, struct tm_traces *result);
/** Check the whole table. Fails with TM_ERROR_UNSUPPORTED where the table is not our tracer's. */
struct tm_error *tm_source_verify(struct tm_source *source, const struct tm_host *host,
                                  const struct tm_verify_request *request, struct tm_verification *result);
/** What a saved table says of its target beside the table's memory, and where it is written to. */
struct tm_save {
    uint32_t process; // 0: not known
    uint32_t private_kind;
    uint64_t private_bytes;
    uint64_t moment; // after which the process did not run
    uint64_t now;
    tm_output_callback output;
    void *context;
};
struct tm_saved {
    uint64_t size;         // of the file
    uint64_t bytes;        // of the table's memory
    uint64_t missing;      // of these, what could not be read
    uint64_t bad_mappings; // records of the table's list of mappings that cannot be used
};
/**
 * Write the table's memory as a small core, which reads as the target does. Fails with TM_ERROR_UNSUPPORTED where it is not
 * known what memory the table has; with TM_ERROR_CORRUPT where it changed meanwhile.
 */
struct tm_error *tm_source_save(struct tm_source *source, const struct tm_host *host, const struct tm_save *save,
                                struct tm_saved *result);

/** What a source knows of memory beside blocks. */
enum tm_memory_kind {
    TM_MEMORY_TRACER, // the tracer has it for itself
    TM_MEMORY_ARENA,  // CPython's object allocator has it, or its frames
};
typedef struct tm_error *(*tm_memory_visitor)(void *context, enum tm_memory_kind kind, uint64_t start, uint64_t end);
/** Visit all such memory, in no order: nothing, where a source does not know it. */
struct tm_error *tm_source_memory(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                                  void *context);
/** When tracing began, for "not traced, tracing began at …": nanoseconds since 1970, 0 if unknown. */
uint64_t tm_source_started(const struct tm_source *source);
/** Where only samples of the blocks are recorded, the mean distance of picked bytes (model/estimate.h); 0: all are. */
uint64_t tm_source_sample_period(const struct tm_source *source);
/** PY_VERSION_HEX of the target's interpreter, or of the oldest that it may be; 0: not known. */
uint32_t tm_source_python(const struct tm_source *source, bool *free_threaded);

#endif
