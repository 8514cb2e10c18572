/**
 * Growing arrays: the one way to make an array larger. Knows nothing of what the items are.
 *
 *     if (!TM_GROW(&list->items, list->count + 1, &list->capacity))
 *         return tm_error_no_memory();
 *     list->items[list->count++] = item;
 */
#ifndef TRACEMORTEM_ENGINE_BASE_GROW_H
#define TRACEMORTEM_ENGINE_BASE_GROW_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Have room for `needed` items. `items` is the address of the pointer to the array (malloc's, or NULL with capacity 0),
 * which may move; *capacity grows at least twofold. False: no memory; then nothing has changed.
 */
#define TM_GROW(items, needed, capacity) \
    ((needed) <= *(capacity) || tm_grow((items), (needed), (capacity), sizeof(**(items))))

/** TM_GROW()'s other half: `needed` is more than *capacity, and an item has `size` bytes. */
bool tm_grow(void *items, size_t needed, size_t *capacity, size_t size);

#endif
