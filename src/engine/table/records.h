/**
 * Records: those of one `struct tm_array` of a trace table, one by one or all at once, each checked.
 *
 * Records that are not loaded are read from the target one at a time. tm_records_load() reads the whole array in
 * large pieces and keeps what can be read, so the memory and the time it takes are bounded by what the target really
 * has. Where a record is missing or damaged and its chunk has a copy, the copy's record is taken. Knows chunks and ids,
 * and nothing of what the records mean.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_RECORDS_H
#define TRACEMORTEM_ENGINE_TABLE_RECORDS_H

#include "engine/model/source.h"
#include "layout/trace_table.h"

/** Why something could not be used: the first reason. */
struct tm_flaw {
    enum { TM_FLAW_NONE = 0, TM_FLAW_UNREADABLE, TM_FLAW_CORRUPT } kind;
    uint64_t address; // in the target, of the record that is missing or contradicts the layout
    uint64_t bytes;   // how much could not be read
};

/** Both keep the first flaw and return false, for `return tm_flaw_corrupt(flaw, address);`. */
bool tm_flaw_corrupt(struct tm_flaw *flaw, uint64_t address);
bool tm_flaw_unreadable(struct tm_flaw *flaw, uint64_t address, uint64_t bytes);

/** Count `records` left out because of `flaw`. */
void tm_damage_add(struct tm_damage *damage, const struct tm_flaw *flaw, uint64_t records);

struct tm_records_chunk;

enum tm_record_state {
    TM_RECORD_GOOD, // in use, and as it was written: its hash is right
    TM_RECORD_FREE,
    TM_RECORD_BAD,
};
typedef enum tm_record_state (*tm_record_judge)(uint64_t id, const void *record);

/** The records [1, count) of an array. */
struct tm_records {
    struct tm_target *target;
    struct tm_array array;  // as the root has it
    uint64_t count;         // at most array.count: as far as the layout allows, at least 1
    uint64_t array_address; // of the struct tm_array in the target, for errors about the array
    tm_record_judge judge;  // NULL: what is read has to be judged by the reader
    unsigned piece_shift;   // log2 of the records that are loaded at once
    bool loaded;
    struct tm_records_chunk *chunks; // of TM_ARRAY_CHUNKS, once loaded
    struct tm_damage claimed;        // records that the array's count claims beyond all possible ids
    struct tm_damage damage;         // `claimed`, and once loaded the records that are missing
    uint64_t bytes_loaded;
};

/**
 * Reads nothing yet. tm_array_check() must have accepted the array. `limit` is one past the greatest id. Where a record
 * is not good and its copy is, the copy is used. `judge` may be NULL.
 */
void tm_records_init(struct tm_records *records, struct tm_target *target, const struct tm_array *array,
                     uint64_t array_address, uint64_t limit, tm_record_judge judge);
void tm_records_deinit(struct tm_records *records);

/** NULL, or in a few words what is wrong with an array's head. `size` is what this reader knows of a record. */
const char *tm_array_check(const struct tm_array *array, uint32_t size);

/**
 * Read all records that can be read, and count the others in records->damage. Does nothing the second time. Fails
 * only if interrupted or if there is no memory; then nothing is loaded. `what` is for the progress.
 */
struct tm_error *tm_records_load(struct tm_records *records, const struct tm_host *host, const char *what);

/**
 * Of a running process: read a loaded array again. Records that are not what they were, or have gone, become zeros: what was
 * read meanwhile of what they lead to may be another record's. *changed: how many.
 */
struct tm_error *tm_records_confirm(struct tm_records *records, const struct tm_host *host, uint64_t *changed);

/**
 * Of a running process, where the fields of a record only grow: each record becomes one that was read twice with the same
 * bytes, so that its fields are of one moment. Records that never pause stay as they are; there are few.
 */
struct tm_error *tm_records_settle(struct tm_records *records, const struct tm_host *host);

/** Copy the first `size` bytes of record `id`, which is 0 < id < count. False with `flaw` set: it cannot be used. */
bool tm_records_get(const struct tm_records *records, uint64_t id, void *record, size_t size, struct tm_flaw *flaw);

/**
 * The bytes of record `id` in a loaded array, valid until it is freed. NULL: not loaded, missing, or no such id;
 * tm_records_get() says which. For loops over many records.
 */
const void *tm_records_peek(const struct tm_records *records, uint64_t id);

/**
 * The first id from `id` on whose record may be there, or the count. Loops over a loaded array skip missing records
 * by large steps, so that they take no longer than the loading did.
 */
uint64_t tm_records_skip(const struct tm_records *records, uint64_t id);

/** One past the last id whose record may be there, of a loaded array: at least 1. */
uint64_t tm_records_end(const struct tm_records *records);

/** The address of record `id` in the target, 0 if it has none. */
uint64_t tm_records_address(const struct tm_records *records, uint64_t id);

/** How many records from `id` on are contiguous and below the count; 0 if `id` has no address. */
uint64_t tm_records_run(const struct tm_records *records, uint64_t id);

/**
 * Copy bytes [position, position + length) of an array of 1-byte records, at most TM_READ_LIMIT of them. They must be
 * in one chunk and below the count.
 */
bool tm_records_bytes(const struct tm_records *records, uint64_t position, uint64_t length, void *buffer,
                      struct tm_flaw *flaw);
/** Whether they are. Reads nothing; any length. */
bool tm_records_in_chunk(const struct tm_records *records, uint64_t position, uint64_t length);

/** The used part of chunk `index`: its address and its length in bytes. False: it has none. */
bool tm_records_extent(const struct tm_records *records, unsigned index, uint64_t *address, uint64_t *length);
/** The same of its copy. */
bool tm_records_copy_extent(const struct tm_records *records, unsigned index, uint64_t *address, uint64_t *length);

/** As tm_records_get() and tm_records_bytes(), from the copy alone. False: there is none, or it cannot be read. */
bool tm_records_get_copy(const struct tm_records *records, uint64_t id, void *record, size_t size);
bool tm_records_bytes_copy(const struct tm_records *records, uint64_t position, uint64_t length, void *buffer);

#endif
