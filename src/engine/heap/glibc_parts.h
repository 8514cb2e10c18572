/**
 * What the files of glibc's walker share: a chunk's head, and what is cached. For glibc*.c alone.
 */
#ifndef TRACEMORTEM_ENGINE_HEAP_GLIBC_PARTS_H
#define TRACEMORTEM_ENGINE_HEAP_GLIBC_PARTS_H

#include "engine/heap/glibc.h"

enum {
    TM_CHUNK_SIZE = 8, // where in a chunk its size is
    TM_CHUNK_HEAD = 16,
    TM_CHUNK_SMALLEST = 32,
    TM_CHUNK_ALIGNMENT = 16,
    TM_CHUNK_FLAGS = 7,
    TM_CHUNK_PREVIOUS_IN_USE = 1,
    TM_CHUNK_MAPPED = 2,
    TM_CHUNK_NOT_MAIN = 4,
    TM_ARENA_FASTBINS = 10,   // words before `top`
    TM_ARENA_AFTER_TOP = 2104 // bytes from `top` to the end of the arena's head
};

bool tm_glibc_word(struct tm_heap_cache *cache, uint64_t address, uint64_t *result);
/** A chunk's size as it is there, with its flags. */
bool tm_glibc_size(struct tm_heap_cache *cache, uint64_t chunk, uint64_t *size, uint64_t *flags);
/**
 * Of what may be a heap or a list of chunks, and may also be made to look like one: whether one more chunk may be looked at.
 * There are as many steps as all heaps can have chunks, so sound heaps have enough. Asks the host now and then.
 */
bool tm_glibc_step(struct tm_glibc *glibc);
/** NULL, or the error with which tm_glibc_step() stopped: the user asked for it. */
struct tm_error *tm_glibc_stopped(struct tm_glibc *glibc);
/** Goes through the chunks of a heap to set `known`. Notes what may be a thread's cache. */
struct tm_error *tm_glibc_check(struct tm_glibc *glibc, struct tm_glibc_heap *heap);
/** Whether an arena's head may have its `top` at this address. */
bool tm_glibc_is_state(struct tm_heap_cache *cache, uint64_t top);
/** Whether a chunk of this size can be a thread's cache. */
bool tm_glibc_may_be_cache(uint64_t size);
/** If the chunk with this memory is a thread's cache, note it and what is in it. */
struct tm_error *tm_glibc_add_cache(struct tm_glibc *glibc, uint64_t address);
/** Note what the fastbins of all arenas have. */
struct tm_error *tm_glibc_add_fastbins(struct tm_glibc *glibc);

#endif
