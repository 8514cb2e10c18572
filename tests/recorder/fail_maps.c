// A library to be preloaded. After fail_maps(1), no file can be mapped shared. The coarse clock, by which the tracer sees that it
// was refused a moment ago, goes fast then.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

static int failing;
static time_t skipped;

void fail_maps(int fail)
{
    failing = fail;
}

void *mmap(void *address, size_t size, int access, int flags, int descriptor, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (real == NULL)
        real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    if (failing && descriptor >= 0 && (flags & MAP_SHARED)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real(address, size, access, flags, descriptor, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int error = real(clock, now);
    if (failing && error == 0 && clock == CLOCK_MONOTONIC_COARSE)
        now->tv_sec += skipped += 2;
    return error;
}
