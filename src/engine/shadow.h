/**
 * The shadow map: which block holds an address.
 *
 * Knows the radix tree and its slots; a site is a mere number here.
 */
#ifndef TRACEMORTEM_ENGINE_SHADOW_H
#define TRACEMORTEM_ENGINE_SHADOW_H

#include "array.h"
#include "host.h"

/** A live block as its slots tell it. */
struct tm_shadow_block {
    uint64_t address;
    uint64_t size;
    uint32_t site; // not checked
};

struct tm_shadow_answer {
    bool found;
    bool gave_up;    // no block's start was met in all that may be searched: see `searched`
    uint64_t lowest; // address down to which it was searched
    struct tm_shadow_block block;
};

/**
 * The block which holds `address`: the nearest start at or before it, if that block reaches so far. No block is larger
 * than `largest` bytes, as far as the caller knows. Pages that cannot be read are skipped and counted in `damage`, as
 * are slots which contradict themselves. Fails only if interrupted.
 */
struct tm_error *tm_shadow_find(struct tm_target *target, const struct tm_host *host, uint64_t directory,
                                uint64_t address, uint64_t largest, struct tm_shadow_answer *answer,
                                struct tm_damage *damage);

#endif
