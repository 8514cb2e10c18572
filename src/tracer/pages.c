// All memory calls of the operating system. Knows nothing of tables. Hooks come here, so errno stays as it is.

#define _GNU_SOURCE
#include "pages.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

// Cores are written in the order of addresses, and a limit or a full disk cuts off their end. So we ask for addresses below
// those of libraries, arenas, stacks and position-independent programs: then the beginning of a core holds the whole table.
// The addresses are as random as our own. Where something else is already, the kernel chooses.
#define FIRST_ADDRESS UINT64_C(0x400000000000)
#define RANDOM_BITS ((UINT64_C(1) << 40) - ((uint64_t)PAGE_BYTES))
static uint64_t next_address; // 0: nothing was mapped yet

static uint64_t take_addresses(uint64_t size)
{
    uint64_t none = 0, first = FIRST_ADDRESS | ((uintptr_t)&next_address & RANDOM_BITS);
    __atomic_compare_exchange_n(&next_address, &none, first, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    uint64_t whole = (size + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    return __atomic_fetch_add(&next_address, whole, __ATOMIC_RELAXED);
}

static char *map_low(size_t size)
{
    uint64_t hint = take_addresses(size);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    return mmap((void *)(uintptr_t)hint, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

void *pages_map(size_t size)
{
    int saved = errno;
    char *pages = map_low(size);
    // The table is sparse: a huge page for its first touched byte would waste what small pages save.
    if (pages != MAP_FAILED)
        madvise(pages, size, MADV_NOHUGEPAGE);
    errno = saved;
    return pages == MAP_FAILED ? NULL : pages;
}

void *pages_map_aligned(size_t size, size_t alignment, const char *name)
{
    size_t room = size + alignment;
    char *pages = map_low(room);
    if (pages == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)pages & (alignment - 1);
    char *aligned = pages + before;
    if (before > 0)
        munmap(pages, before);
    if (room - before > size)
        munmap(aligned + size, room - before - size);
    madvise(aligned, size, MADV_NOHUGEPAGE);
    // Only the root's mapping has a name: a sandbox that the program enters later may kill it for this call.
    if (name != NULL)
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, aligned, size, name);
    return aligned;
}

void *pages_map_at(uintptr_t address, size_t size)
{
    void *pages = mmap((void *)address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_unmap(void *pages, size_t size)
{
    int saved = errno;
    munmap(pages, size);
    errno = saved;
}

#define GAP (UINT64_C(1) << 36)

void pages_leave_gap(void)
{
    take_addresses(GAP);
}

void *pages_gap(void)
{
    return (void *)(uintptr_t)take_addresses(GAP);
}

void pages_discard(void *pages, size_t size)
{
    int saved = errno;
    // Locked memory (mlockall) is not given back.
    if (madvise(pages, size, MADV_DONTNEED) != 0)
        memset(pages, 0, size);
    errno = saved;
}
