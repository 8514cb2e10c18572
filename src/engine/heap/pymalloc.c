// Pools: a head of 48 bytes, then blocks of one size. Free ones are a chain through their first words.

#include "engine/heap/pymalloc.h"

#include <string.h>

#include "engine/base/number.h"

enum {
    HEAD_SIZE = 48,
    COUNT = 0,
    FREE_BLOCK = 8,
    ARENA = 32,
    SIZE_INDEX = 36,
    NEXT_OFFSET = 40,
    LARGEST_NEXT_OFFSET = 44,
    ALIGNMENT = 16,
    SIZE_INDEXES = 32,
    MOST_BLOCKS = 16384 / ALIGNMENT,
};

void tm_pymalloc_init(struct tm_pymalloc *pymalloc, struct tm_heap_cache *heap, unsigned minor)
{
    *pymalloc = (struct tm_pymalloc){
        .heap = heap,
        .pool_size = minor >= 10 ? UINT64_C(16384) : UINT64_C(4096),
        .arena_size = minor >= 10 ? UINT64_C(1) << 20 : UINT64_C(1) << 18,
    };
}

bool tm_pymalloc_pool_read(const struct tm_pymalloc *pymalloc, uint64_t address, struct tm_pymalloc_pool *pool)
{
    unsigned char head[HEAD_SIZE];
    if (!tm_heap_cache_read(pymalloc->heap, address, head, sizeof(head)))
        return false;
    uint32_t index = tm_load_u32(head + SIZE_INDEX);
    if (index >= SIZE_INDEXES)
        return false;
    *pool = (struct tm_pymalloc_pool){
        .address = address,
        .block_size = (index + 1) * ALIGNMENT,
        .count = tm_load_u32(head + COUNT),
        .next_offset = tm_load_u32(head + NEXT_OFFSET),
        .arena = tm_load_u32(head + ARENA),
        .free_block = tm_load_u64(head + FREE_BLOCK),
    };
    uint32_t most = (uint32_t)(pymalloc->pool_size - HEAD_SIZE) / pool->block_size;
    return tm_load_u32(head + LARGEST_NEXT_OFFSET) == pymalloc->pool_size - pool->block_size && pool->count <= most &&
           pool->next_offset >= HEAD_SIZE && pool->next_offset <= pymalloc->pool_size &&
           (pool->next_offset - HEAD_SIZE) % pool->block_size == 0 &&
           pool->count <= (pool->next_offset - HEAD_SIZE) / pool->block_size;
}

bool tm_pymalloc_pool_of(const struct tm_pymalloc *pymalloc, uint64_t block, uint64_t size,
                         struct tm_pymalloc_pool *pool)
{
    uint64_t address = block & ~(pymalloc->pool_size - 1);
    return size <= TM_PYMALLOC_LARGEST && block - address >= HEAD_SIZE &&
           tm_pymalloc_pool_read(pymalloc, address, pool) && size <= pool->block_size &&
           (block - address - HEAD_SIZE) % pool->block_size == 0 && block - address < pool->next_offset;
}

struct tm_error *tm_pymalloc_pool_visit(const struct tm_pymalloc *pymalloc, const struct tm_pymalloc_pool *pool,
                                        tm_pymalloc_visitor visit, void *context, bool *sound)
{
    unsigned char bytes[8];
    uint64_t is_free[MOST_BLOCKS / 64] = {0};
    uint32_t made = (pool->next_offset - HEAD_SIZE) / pool->block_size, free_count = 0;
    uint64_t block = pool->free_block;

    *sound = false;
    while (block != 0) {
        uint64_t offset = block - pool->address - HEAD_SIZE;
        if (block < pool->address + HEAD_SIZE || offset % pool->block_size != 0 || offset / pool->block_size >= made)
            return NULL;
        uint32_t index = (uint32_t)(offset / pool->block_size);
        if (is_free[index / 64] >> index % 64 & 1)
            return NULL; // the chain is a circle
        is_free[index / 64] |= UINT64_C(1) << index % 64;
        free_count++;
        if (!tm_heap_cache_read(pymalloc->heap, block, bytes, sizeof(bytes)))
            return NULL;
        block = tm_load_u64(bytes);
    }
    if (made - free_count != pool->count)
        return NULL;
    *sound = true;
    for (uint32_t i = 0; i < made; i++) {
        struct tm_error *error =
            is_free[i / 64] >> i % 64 & 1
                ? NULL
                : visit(context, pool->address + HEAD_SIZE + (uint64_t)i * pool->block_size, pool->block_size);
        if (error)
            return error;
    }
    return NULL;
}
