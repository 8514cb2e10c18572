// All of the operating system's memory calls. Knows nothing of tables.

#define _GNU_SOURCE
#include "pages.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

void *pages_map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    // The table is sparse: a huge page for its first touched byte would waste what the small ones save.
    madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void *pages_map_aligned(size_t size, size_t alignment, const char *name)
{
    size_t room = size + alignment;
    char *pages = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)pages & (alignment - 1);
    char *aligned = pages + before;
    if (before > 0)
        munmap(pages, before);
    if (room - before > size)
        munmap(aligned + size, room - before - size);
    madvise(aligned, size, MADV_NOHUGEPAGE);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, aligned, size, name);
    return aligned;
}

void pages_unmap(void *pages, size_t size)
{
    munmap(pages, size);
}

void pages_discard(void *pages, size_t size)
{
    madvise(pages, size, MADV_DONTNEED);
}
