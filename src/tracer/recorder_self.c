// Reads /proc. A program may have no /proc, and then what it would say is not known.

#define _GNU_SOURCE
#include "recorder_self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

pid_t self_pid(void)
{
    return (pid_t)syscall(SYS_getpid);
}

size_t self_read(const char *path, char *text, size_t size)
{
    int saved = errno, descriptor = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    while (descriptor >= 0 && length < size - 1) {
        ssize_t more = read(descriptor, text + length, size - 1 - length);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            break;
        length += (size_t)more;
    }
    if (descriptor >= 0)
        close(descriptor);
    text[length] = '\0';
    errno = saved;
    return length;
}

/** A number in /proc/PID/stat. 0: it is not known. */
static uint64_t read_field(pid_t process, unsigned wanted)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    self_read(path, text, sizeof text);
    // The name is in parentheses and may have some itself. Behind it is field 3.
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at != NULL && field < wanted; field++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

uint64_t self_start_ticks(pid_t process)
{
    return read_field(process, 22);
}

uint64_t self_stack_start(pid_t process)
{
    return read_field(process, 28);
}

// Not by libc's functions, whose symbols are new ones from glibc 2.33 on. The kernel's struct is libc's.
bool self_stat(int folder, const char *name, int flags, struct stat *status)
{
    return syscall(SYS_newfstatat, folder, name, status, flags) == 0;
}

bool self_stat_open(int descriptor, struct stat *status)
{
    return self_stat(descriptor, "", AT_EMPTY_PATH, status);
}

static uint32_t outer_pid(void)
{
    static char text[4096]; // of the one thread that makes a file
    self_read("/proc/self/status", text, sizeof text);
    const char *at = strstr(text, "\nNSpid:");
    return at == NULL ? 0 : (uint32_t)strtoul(at + strlen("\nNSpid:"), NULL, 10);
}

static void read_boot_id(uint8_t id[16])
{
    char text[64];
    unsigned digits = 0;
    self_read("/proc/sys/kernel/random/boot_id", text, sizeof text);
    for (const char *at = text; *at != '\0' && digits < 32; at++) {
        const char *hex = "0123456789abcdef", *digit = strchr(hex, *at);
        if (digit == NULL)
            continue;
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    if (digits < 32)
        memset(id, 0, 16);
}

void self_describe(struct tm_recorder_note *note)
{
    struct stat names;
    note->pid = (uint32_t)self_pid();
    note->outer_pid = outer_pid();
    note->start_ticks = self_start_ticks((pid_t)note->pid);
    note->pid_namespace = self_stat(AT_FDCWD, "/proc/self/ns/pid", 0, &names) ? names.st_ino : 0;
    memset(note->boot_id, 0, sizeof note->boot_id);
    read_boot_id(note->boot_id);
}

void self_random(uint8_t *bytes, size_t size)
{
    int saved = errno;
    long got = syscall(SYS_getrandom, bytes, size, 1 /* GRND_NONBLOCK */);
    if (got != (long)size) {
        // Early at boot, or in a sandbox. Two processes must not have the same, and that is all.
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t state = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)self_pid() << 48;
        for (size_t i = 0; i < size; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = (uint8_t)(state >> 56);
        }
    }
    errno = saved;
}
