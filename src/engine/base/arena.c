/**
 * Arena: blocks which double up to a limit; a piece that is too large gets a block of its own.
 */
#include "engine/base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define ALIGNMENT 16u
#define FIRST_BLOCK ((size_t)4096)
#define LARGEST_BLOCK ((size_t)1 << 20)

struct tm_arena_block {
    struct tm_arena_block *next;
    size_t capacity;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

static struct tm_arena_block *new_block(size_t capacity)
{
    struct tm_arena_block *block = malloc(sizeof(*block) + capacity);
    if (block)
        block->capacity = capacity;
    return block;
}

// The block of a large piece goes behind the block being filled, so that the rest of that one stays in use.
static void *allocate_large(struct tm_arena *arena, size_t size)
{
    struct tm_arena_block *block = new_block(size);
    if (!block)
        return NULL;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = NULL;
        arena->blocks = block;
        arena->used = size;
    }
    return block->bytes;
}

void *tm_arena_allocate(struct tm_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (arena->blocks && size <= arena->blocks->capacity - arena->used) {
        void *piece = arena->blocks->bytes + arena->used;
        arena->used += size;
        return piece;
    }
    size_t capacity = arena->blocks ? arena->blocks->capacity * 2 : FIRST_BLOCK;
    if (capacity > LARGEST_BLOCK)
        capacity = LARGEST_BLOCK;
    if (size > capacity / 2)
        return allocate_large(arena, size);
    struct tm_arena_block *block = new_block(capacity);
    if (!block)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = size;
    return block->bytes;
}

void tm_arena_deinit(struct tm_arena *arena)
{
    while (arena->blocks) {
        struct tm_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
