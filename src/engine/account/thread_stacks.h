/**
 * Thread stacks: in which memory threads have their stacks. A stack begins where its region does, and glibc has the thread's
 * own record (struct pthread) at its end, which has its own address twice.
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_THREAD_STACKS_H
#define TRACEMORTEM_ENGINE_ACCOUNT_THREAD_STACKS_H

#include "engine/account/map.h"
#include "engine/target/heap_cache.h"
#include "engine/target/residency.h"

/** Add them to the map, which is settled before. */
struct tm_error *tm_thread_stacks_add(struct tm_memory_map *map, struct tm_target *target, struct tm_heap_cache *cache,
                                      const struct tm_residency *residency, const struct tm_host *host);

#endif
