// Capacities double, so that adding one item after the other costs a constant time each.

#include "engine/base/grow.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What a new array has room for at least.
#define FIRST_BYTES 256u
#define FIRST_ITEMS 16u

bool tm_grow(void *items, size_t needed, size_t *capacity, size_t size)
{
    size_t grown = *capacity;
    if (grown == 0)
        grown = size < FIRST_BYTES / FIRST_ITEMS ? FIRST_BYTES / size : FIRST_ITEMS;
    while (grown < needed) {
        if (__builtin_mul_overflow(grown, 2, &grown))
            grown = needed;
    }
    void *array, *larger; // copied: `items` points to a pointer of some other type
    memcpy(&array, items, sizeof(array));
    larger = reallocarray(array, grown, size);
    if (!larger)
        return false;
    memcpy(items, &larger, sizeof(larger));
    *capacity = grown;
    return true;
}
