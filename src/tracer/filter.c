// Counting in the filter. A byte that is full stays so: nobody knows then when it would be 0.

#include "filter.h"

#include "pages.h"

enum { FULL = UINT8_MAX };

uint8_t filter_bytes[1u << FILTER_BITS] __attribute__((aligned(4096)));
static bool used;

void filter_reset(void)
{
    // A page that was never written to is not there, and stays so.
    if (__atomic_exchange_n(&used, false, __ATOMIC_RELAXED))
        pages_discard(filter_bytes, sizeof filter_bytes);
}

static void change(uintptr_t address, int by)
{
    uint8_t *byte = filter_byte(address), old = __atomic_load_n(byte, __ATOMIC_RELAXED);
    while (old != FULL &&
           !__atomic_compare_exchange_n(byte, &old, (uint8_t)(old + by), true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
}

void filter_add(uintptr_t address)
{
    if (!__atomic_load_n(&used, __ATOMIC_RELAXED))
        __atomic_store_n(&used, true, __ATOMIC_RELAXED);
    change(address, 1);
}

void filter_remove(uintptr_t address)
{
    change(address, -1);
}
