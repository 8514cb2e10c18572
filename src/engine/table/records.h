/**
 * Arrays: the records of a trace table's `struct tm_array`, one by one or in bulk, each doubted.
 *
 * Records which are not loaded are read from the target one at a time; tm_records_load() reads the whole array in
 * large pieces and keeps what can be read, so that memory and time are bounded by what the target really holds. Knows
 * chunks and ids, and nothing of what the records mean.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_RECORDS_H
#define TRACEMORTEM_ENGINE_TABLE_RECORDS_H

#include "engine/model/source.h"
#include "layout/trace_table.h"

/** Why something could not be used: at most one reason, the first met. */
struct tm_flaw {
    enum { TM_FLAW_NONE = 0, TM_FLAW_UNREADABLE, TM_FLAW_CORRUPT } kind;
    uint64_t address; // in the target, of the record which is not there or contradicts the layout
    uint64_t bytes;   // how much could not be read
};

/** Always false, for `return tm_flaw_corrupt(flaw, address);`. */
bool tm_flaw_corrupt(struct tm_flaw *flaw, uint64_t address);
bool tm_flaw_unreadable(struct tm_flaw *flaw, uint64_t address, uint64_t bytes);

/** Count `records` left out because of `flaw`. */
void tm_damage_add(struct tm_damage *damage, const struct tm_flaw *flaw, uint64_t records);

struct tm_records_chunk;

/** The records [1, count) of an array. */
struct tm_records {
    struct tm_target *target;
    struct tm_array array;  // as the root has it
    uint64_t count;         // at most array.count: as far as the layout allows, at least 1
    uint64_t array_address; // of the struct tm_array in the target, to point at when its count is absurd
    unsigned piece_shift;   // log2 of the records which are loaded at once
    bool loaded;
    struct tm_records_chunk *chunks; // of TM_ARRAY_CHUNKS, once loaded
    struct tm_damage claimed;        // what the array's count claims beyond all ids
    struct tm_damage damage;         // that, and once loaded the records which are not there
    uint64_t bytes_loaded;
};

/** Nothing is read yet. The array's record size and shift were checked: tm_array_check(). `limit` is one past the
 * greatest id. */
void tm_records_init(struct tm_records *records, struct tm_target *target, const struct tm_array *array,
                     uint64_t array_address, uint64_t limit);
void tm_records_deinit(struct tm_records *records);

/** NULL, or what is wrong with an array's head in a few words. `size` is what this reader knows of a record. */
const char *tm_array_check(const struct tm_array *array, uint32_t size);

/** Read all records that can be read; what cannot is counted in records->damage. Does nothing the second time. Fails
 * for want of memory or if interrupted; then nothing is loaded. `what` is for the progress. */
struct tm_error *tm_records_load(struct tm_records *records, const struct tm_host *host, const char *what);

/** Copy the first `size` bytes of record `id`, which is 0 < id < count. False with `flaw` set: it is not to be had. */
bool tm_records_get(const struct tm_records *records, uint64_t id, void *record, size_t size, struct tm_flaw *flaw);

/** The bytes of record `id` in a loaded array, good until it is freed; NULL: not loaded, not there, no such id. For
 * loops over many records; tm_records_get() then says why. */
const void *tm_records_peek(const struct tm_records *records, uint64_t id);

/**
 * The first id from `id` on whose record may be there, or the count: loops over a loaded array skip what is missing by
 * large steps, so that they take no longer than what was read.
 */
uint64_t tm_records_skip(const struct tm_records *records, uint64_t id);

/** Where record `id` stands in the target, 0 if nowhere. */
uint64_t tm_records_address(const struct tm_records *records, uint64_t id);

/** How many records from `id` on stand one behind the other and below the count; 0 if `id` stands nowhere. */
uint64_t tm_records_run(const struct tm_records *records, uint64_t id);

/**
 * Copy bytes [position, position + length) of an array of 1-byte records, at most TM_READ_LIMIT of them. They must lie
 * in one chunk and below the count.
 */
bool tm_records_bytes(const struct tm_records *records, uint64_t position, uint64_t length, void *buffer,
                      struct tm_flaw *flaw);
/** Whether they do; reads nothing, any length. */
bool tm_records_in_chunk(const struct tm_records *records, uint64_t position, uint64_t length);

/** The used part of chunk `index`: its address and length in bytes. False: nothing there. */
bool tm_records_extent(const struct tm_records *records, unsigned index, uint64_t *address, uint64_t *length);

#endif
