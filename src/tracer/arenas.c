// Records of arenas, which are used again. An arena has a MiB (up to 3.9 a quarter of one), so there are few.

#include "arenas.h"

#include "layout/hash.h"
#include "recorder.h"

static uint32_t free_records; // chained through `address`

static uint32_t take_record(void)
{
    if (free_records == 0)
        return table_append(&table->arenas) == NULL ? 0 : table_publish(&table->arenas);
    uint32_t id = free_records;
    free_records = (uint32_t)TABLE_ARENA(id)->address;
    return id;
}

void arena_add(uintptr_t address, size_t size)
{
    table_lock();
    uint32_t id = recorder_is_cut() ? 0 : take_record();
    if (id != 0) {
        struct tm_python_arena *arena = TABLE_ARENA(id);
        arena->address = address;
        arena->hash = tm_python_arena_hash(id, &(struct tm_python_arena){.address = address, .size = size});
        __atomic_store_n(&arena->size, size, __ATOMIC_RELEASE);
    }
    table_unlock();
}

void arena_remove(uintptr_t address)
{
    table_lock();
    for (uint32_t id = 1; id < table->arenas.count && !recorder_is_cut(); id++) {
        struct tm_python_arena *arena = TABLE_ARENA(id);
        if (arena->address != address || arena->size == 0)
            continue;
        __atomic_store_n(&arena->size, 0, __ATOMIC_RELEASE);
        arena->address = free_records;
        free_records = id;
        break;
    }
    table_unlock();
}
