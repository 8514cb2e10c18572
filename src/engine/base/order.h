/**
 * Order: the greatest few of many. Knows nothing of what it orders.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_ORDER_H
#define TRACEMORTEM_ENGINE_BASE_ORDER_H

#include "engine/base/host.h"

/**
 * Bring the `limit` greatest of `count` items to the front, greatest first; the others follow in no order. This takes
 * `count` plus `limit` times log `count` comparisons. Fails only if interrupted.
 */
struct tm_error *tm_order_greatest(void **items, size_t count, size_t limit,
                                   int (*compare)(const void *a, const void *b), const struct tm_host *host);

#endif
