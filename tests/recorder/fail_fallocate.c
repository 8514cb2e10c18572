// A library to be preloaded. TM_FAIL_FALLOCATE=N:ERRNO: from call N on, fallocate() fails with this error.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int fallocate(int descriptor, int mode, off_t offset, off_t length)
{
    static int calls;
    const char *asked = getenv("TM_FAIL_FALLOCATE");
    int (*real)(int, int, off_t, off_t) = (int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate");
    if (asked != NULL && ++calls >= atoi(asked)) {
        errno = atoi(strchr(asked, ':') + 1);
        return -1;
    }
    return real(descriptor, mode, offset, length);
}
