// A heap whose greatest item is at the *end* of the array: what is taken from it goes to the front.

#include "engine/base/order.h"

struct heap {
    void **last; // item 0 of the heap; item i is last[-i]
    size_t count;
    int (*compare)(const void *a, const void *b);
};

static void sink(const struct heap *heap, size_t at)
{
    void *item = heap->last[-(ptrdiff_t)at];

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->compare(heap->last[-(ptrdiff_t)child], heap->last[-(ptrdiff_t)(child + 1)]) < 0)
            child++;
        if (heap->compare(item, heap->last[-(ptrdiff_t)child]) >= 0)
            break;
        heap->last[-(ptrdiff_t)at] = heap->last[-(ptrdiff_t)child];
        at = child;
    }
    heap->last[-(ptrdiff_t)at] = item;
}

struct tm_error *tm_order_greatest(void **items, size_t count, size_t limit,
                                   int (*compare)(const void *a, const void *b), const struct tm_host *host)
{
    if (count == 0 || limit == 0)
        return NULL;

    struct heap heap = {items + count - 1, count, compare};
    for (size_t i = count / 2; i-- > 0;) {
        sink(&heap, i);
        struct tm_error *error = i % 1024 == 0 ? tm_host_check(host) : NULL;
        if (error)
            return error;
    }
    for (size_t i = 0; i < limit && heap.count > 0; i++) {
        // The first item of the array is the heap's last: swap it with the greatest.
        void *greatest = *heap.last;
        *heap.last = items[i];
        items[i] = greatest;
        heap.count--;
        sink(&heap, 0);
        struct tm_error *error = i % 1024 == 1023 ? tm_host_check(host) : NULL;
        if (error)
            return error;
    }
    return NULL;
}
