// Limits and what is used of them, as the kernel tells. Knows the table's root; nothing of hooks. No memory is allocated here:
// there may be none.

#define _GNU_SOURCE
#include "moments.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "counters.h"
#include "environment.h"
#include "recorder_self.h"
#include "table.h"

int64_t moments_left = INT64_MAX;

/** What is compared with the limit. */
enum measure {
    PROCESS, // its resident memory, or the traced memory if that is more
    GROUP,   // what its control group uses, without the files' pages that the kernel can drop
    ADDRESSES,
};

static struct {
    struct moment_wish wish;
    enum measure measure;
    uint64_t limit;        // bytes; 0: there is none
    char folder[PATH_MAX]; // of the control group
    bool is_old;           // of its first version
    bool begun, looking, reached;
} moments;

// ---------------------------------------------------------------------------------------------------------------
// Control groups

/** A number in a file of the group's folder. False: there is none. */
static bool read_number(const char *folder, const char *name, uint64_t *number)
{
    static char path[PATH_MAX + 64]; // of the one thread that looks: the program's stack may be small
    char text[64], *end;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (self_read(path, text, sizeof text) == 0)
        return false;
    *number = strtoull(text, &end, 10);
    return end != text;
}

/** The number behind a word that begins a line of a file. 0: there is none. */
static uint64_t read_row(const char *folder, const char *name, const char *word)
{
    static char path[PATH_MAX + 64], text[8192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    self_read(path, text, sizeof text);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n'), at = at == NULL ? NULL : at + 1)
        if (strncmp(at, word, strlen(word)) == 0 && at[strlen(word)] == ' ')
            return strtoull(at + strlen(word), NULL, 10);
    return 0;
}

static const char *limit_name(bool is_old)
{
    return is_old ? "memory.limit_in_bytes" : "memory.max";
}

/** The folder, of the group or of one around it, whose limit is the least. */
static void find_least(const char *root, const char *path, bool is_old)
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s%s", root, path) >= (int)sizeof folder)
        return;
    for (size_t length = strlen(folder); length >= strlen(root); length = strlen(folder)) {
        uint64_t limit;
        // An unlimited group of the first version has a limit near the greatest number.
        if (read_number(folder, limit_name(is_old), &limit) && limit > 0 && limit < UINT64_C(1) << 60 &&
            (moments.limit == 0 || limit < moments.limit)) {
            moments.limit = limit;
            moments.measure = GROUP;
            moments.is_old = is_old;
            strcpy(moments.folder, folder);
        }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + strlen(root))
            return;
        *slash = '\0';
    }
}

/** Whether a list of words between commas has this one. */
static bool lists(const char *list, size_t length, const char *word)
{
    for (const char *at = list; at < list + length; at += strcspn(at, ",:") + 1)
        if (strncmp(at, word, strlen(word)) == 0 && (at[strlen(word)] == ',' || at[strlen(word)] == ':'))
            return true;
    return false;
}

/** A row of /proc/self/cgroup: a number, the controllers, the path. */
static void look_at_group(char *row)
{
    char *controllers = strchr(row, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return;
    controllers++;
    path++;
    if (strcmp(path, "/") == 0)
        path = "";
    if (controllers + 1 == path)
        find_least("/sys/fs/cgroup", path, false);
    else if (lists(controllers, (size_t)(path - 1 - controllers), "memory"))
        find_least("/sys/fs/cgroup/memory", path, true);
}

static void find_group(void)
{
    char text[8192];
    self_read("/proc/self/cgroup", text, sizeof text);
    for (char *row = text; *row != '\0';) {
        char *end = row + strcspn(row, "\n");
        bool more = *end != '\0';
        *end = '\0';
        look_at_group(row);
        row = more ? end + 1 : end;
    }
    // In a container the path may be that of the host, and the container's own group is at the root.
    if (moments.limit == 0) {
        find_least("/sys/fs/cgroup", "", false);
        find_least("/sys/fs/cgroup/memory", "", true);
    }
}

static uint64_t used_by_group(void)
{
    uint64_t used = 0;
    read_number(moments.folder, moments.is_old ? "memory.usage_in_bytes" : "memory.current", &used);
    uint64_t files = read_row(moments.folder, "memory.stat", moments.is_old ? "total_inactive_file" : "inactive_file");
    return used > files ? used - files : 0;
}

// ---------------------------------------------------------------------------------------------------------------
// The process

/** Column `index` of /proc/self/statm, in bytes. */
static uint64_t used_by_process(unsigned index)
{
    char text[128];
    const char *at = text;
    self_read("/proc/self/statm", text, sizeof text);
    for (; index > 0 && at != NULL; index--) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void find_address_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        (moments.limit != 0 && moments.limit <= limit.rlim_cur))
        return;
    moments.limit = limit.rlim_cur;
    moments.measure = ADDRESSES;
}

static uint64_t traced(void)
{
    return counter_read(&table->owned.traced) + counter_read(&table->shared.traced);
}

static uint64_t used(void)
{
    if (moments.measure == GROUP)
        return used_by_group();
    uint64_t bytes = used_by_process(moments.measure == ADDRESSES ? 0 : 1);
    return moments.measure == PROCESS && (int64_t)traced() > (int64_t)bytes ? traced() : bytes;
}

// ---------------------------------------------------------------------------------------------------------------
// The moment

void moments_begin(void)
{
    if (moments.begun)
        return;
    moments.begun = true;
    environment_moment(&moments.wish);
    if (moments.wish.percent != 0) {
        find_group();
        find_address_limit();
        moments.limit = moments.limit / 100 * moments.wish.percent;
    } else {
        moments.limit = moments.wish.bytes;
    }
    table->recorder.limit = moments.limit;
    if (moments.limit != 0)
        moments_left = 0;
}

static void reach(uint64_t bytes)
{
    table->recorder.reached_used = bytes;
    table->recorder.reached_traced = traced();
    __atomic_store_n(&table->recorder.reached, table_now(), __ATOMIC_RELEASE);
    moments.reached = true;
    if (moments.wish.signal != 0)
        kill(self_pid(), moments.wish.signal);
}

void moments_look(void)
{
    enum { LEAST = 1 << 18, MOST = 1 << 26 };
    if (__atomic_exchange_n(&moments.looking, true, __ATOMIC_ACQUIRE))
        return;
    int saved = errno;
    uint64_t bytes = moments.reached || moments.limit == 0 ? 0 : used();
    int64_t left = INT64_MAX;
    if (!moments.reached && moments.limit != 0 && bytes >= moments.limit)
        reach(bytes);
    else if (!moments.reached && moments.limit != 0)
        left = (int64_t)((moments.limit - bytes) / 4);
    __atomic_store_n(&moments_left,
                     left < LEAST                       ? LEAST
                     : left != INT64_MAX && left > MOST ? MOST
                                                        : left,
                     __ATOMIC_RELAXED);
    errno = saved;
    __atomic_store_n(&moments.looking, false, __ATOMIC_RELEASE);
}

void moments_after_fork(void)
{
    __atomic_store_n(&moments.looking, false, __ATOMIC_RELEASE);
}

void moments_allocation_failed(size_t size)
{
    int saved = errno;
    table->recorder.failed_size = size;
    table->recorder.failed_at = table_now();
    __atomic_fetch_add(&table->recorder.failed, 1, __ATOMIC_RELEASE);
    errno = saved;
}
