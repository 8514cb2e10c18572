/**
 * The tracer's own memory, from the system: nothing here uses an allocator that could be traced.
 */
#ifndef TRACEMORTEM_TRACER_PAGES_H
#define TRACEMORTEM_TRACER_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES ((size_t)4096)

/** Zeroed, private, page-aligned memory, committed as it is touched, in small pages. NULL: there is none. */
void *pages_map(size_t size);
/** The same at a multiple of `alignment` (a power of two). The mapping gets the name, if the kernel can name mappings. */
void *pages_map_aligned(size_t size, size_t alignment, const char *name);
/** One small piece of such memory at or near an address; nobody's memory is replaced. */
void *pages_map_at(uintptr_t address, size_t size);
void pages_unmap(void *pages, size_t size);
/** Leave the addresses behind the last mapping to somebody who lets it grow. */
void pages_leave_gap(void);
/** An address behind which so many are free, probably. */
void *pages_gap(void);
/** Give the memory of whole pages back. They read as zeros from now on. */
void pages_discard(void *pages, size_t size);

#endif
