// Preloaded before the tracer: makes the tracer's mmap() fail, and no other.
//
//     TM_FAIL_MMAP=N    the tracer's call number N fails, from 1 on
//     TM_FAIL_MMAP=N+   and all after it
//     TM_FAIL_MMAP=0    none does
//
// TM_FAIL_COUNT names a file which gets the number of the tracer's calls when the program ends. Programs that this one
// starts are not affected.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long calls, failing;
static bool from_there_on, ready;
int fail_large_ones; // a program may set this: the tracer's calls for 1 MiB and more fail from now on
static char count_path[4096];

static void begin(void)
{
    const char *wanted = getenv("TM_FAIL_MMAP"), *path = getenv("TM_FAIL_COUNT");
    ready = true;
    failing = wanted == NULL ? 0 : strtoul(wanted, NULL, 10);
    from_there_on = wanted != NULL && strchr(wanted, '+') != NULL;
    if (path != NULL)
        snprintf(count_path, sizeof count_path, "%s", path);
    unsetenv("TM_FAIL_MMAP");
    unsetenv("TM_FAIL_COUNT");
}

static bool is_tracers(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, "_tracer.abi3") != NULL;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    if (is_tracers(__builtin_return_address(0))) {
        if (!ready)
            begin();
        unsigned long call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
        if (fail_large_ones && length > (size_t)1 << 20) {
            errno = ENOMEM;
            return MAP_FAILED;
        }
        if (failing != 0 && (call == failing || (from_there_on && call > failing))) {
            errno = ENOMEM;
            return MAP_FAILED;
        }
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}

static __attribute__((destructor)) void end(void)
{
    FILE *file = count_path[0] == '\0' ? NULL : fopen(count_path, "w");
    if (file != NULL) {
        fprintf(file, "%lu\n", calls);
        fclose(file);
    }
}
