/**
 * The account: what all resident memory of a process is, in amounts that add up to it. What is traced, what each allocator has
 * in use beside that, what is free and not given back, and what is no allocator's. Knows no site and no text.
 *
 * An account needs no table: without one nothing is traced, and all the rest is the same.
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_ACCOUNT_H
#define TRACEMORTEM_ENGINE_ACCOUNT_ACCOUNT_H

#include "engine/account/survey.h"

enum tm_account_kind {
    // Live traced blocks, by where they are
    TM_ACCOUNT_TRACED_POOLS,
    TM_ACCOUNT_TRACED_HEAPS,
    TM_ACCOUNT_TRACED_MAPPED,
    TM_ACCOUNT_TRACED_ELSEWHERE,
    // The rest of CPython's object allocator
    TM_ACCOUNT_POOLS_UNTRACED, // in use
    TM_ACCOUNT_POOLS_FREE,     // free blocks of pools in use
    TM_ACCOUNT_POOLS_UNUSED,   // free pools
    TM_ACCOUNT_POOLS_ROUNDING, // heads of pools, and what blocks are larger than was asked for
    // The rest of glibc's heaps
    TM_ACCOUNT_HEAPS_UNTRACED, // in use
    TM_ACCOUNT_HEAPS_FREE,
    TM_ACCOUNT_HEAPS_CACHED, // free, kept by threads and in fastbins
    TM_ACCOUNT_HEAPS_TOP,    // free, at the end
    TM_ACCOUNT_HEAPS_ROUNDING,
    TM_ACCOUNT_HEAPS_UNKNOWN, // behind a chunk that makes no sense
    // Chunks of glibc with mappings of their own
    TM_ACCOUNT_MAPPED_UNTRACED,
    TM_ACCOUNT_MAPPED_ROUNDING,
    // What is no block
    TM_ACCOUNT_ALLOCATOR, // another allocator's, as a whole, without what is traced
    TM_ACCOUNT_STACKS,
    TM_ACCOUNT_FRAMES,
    TM_ACCOUNT_DATA,
    TM_ACCOUNT_FILES,
    TM_ACCOUNT_TRACER,
    TM_ACCOUNT_SHARED,
    TM_ACCOUNT_OTHER, // anonymous memory of which nothing is known
    TM_ACCOUNT_KINDS,
};

/** Resident bytes, how many of them are shared with other processes since a fork, and in how many pieces they are. */
struct tm_amount {
    uint64_t size;
    uint64_t shared;
    uint64_t count;
};

/** What one domain has: live bytes, how many of them are resident, and blocks. */
struct tm_account_domain {
    uint32_t domain;
    uint64_t size;
    uint64_t resident; // bytes that no other domain has, too
    uint64_t count;
};
#define TM_ACCOUNT_DOMAINS 64

struct tm_account {
    enum tm_residency_kind kind;
    uint64_t size; // of the process: what the system counts, if it is known; else the sum
    uint64_t mapped, swapped;
    uint64_t absent_files, absent; // mapped, but not in the core: files, and other memory
    struct tm_amount amounts[TM_ACCOUNT_KINDS];
    uint64_t not_accounted; // `size` without all amounts
    bool traced;            // there was a table with traces
    struct tm_account_domain domains[TM_ACCOUNT_DOMAINS];
    size_t domain_count;
    uint64_t no_memory; // bytes of traced blocks whose address is in no memory of the process
    uint64_t arenas, pools, unused_pools;
    uint64_t pool_room, pool_used; // bytes for blocks in pools in use, and of blocks in use there
    uint64_t heaps, damaged_heaps, caches;
    char allocator[48]; // the name of another allocator's library; "": there is none
    uint64_t largest_other, largest_other_size;
    struct tm_damage damage;
};

/** The survey gets the mmapped chunks, which are found by the traced blocks. */
struct tm_error *tm_account_take(struct tm_account *account, struct tm_survey *survey);

#endif
