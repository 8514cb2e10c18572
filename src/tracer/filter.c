// The filter's memory, and counting in it. A byte that is full stays so: nobody knows then when it would be 0.

#include "filter.h"

#include "pages.h"
#include "table.h"

enum { FULL = UINT8_MAX };

uint8_t *filter_bytes;
static bool used;

bool filter_create(void)
{
    table_lock();
    if (filter_bytes == NULL)
        filter_bytes = table_map((size_t)1 << FILTER_BITS, TM_OWN_PRIVATE);
    table_unlock();
    return filter_bytes != NULL;
}

void filter_reset(void)
{
    if (filter_bytes != NULL && used)
        pages_discard(filter_bytes, (size_t)1 << FILTER_BITS);
    used = false;
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
