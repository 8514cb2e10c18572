// Reads a process, and says why it cannot be read.

#define _GNU_SOURCE

#include "process/live.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/text.h"
#include "process/proc.h"

#define YAMA "/proc/sys/kernel/yama/ptrace_scope"

// ---------------------------------------------------------------------------------------------------------------
// Why not

static struct tm_error *has_ended(pid_t pid)
{
    return tm_error_create(TM_ERROR_NO_TARGET, "the process %d has ended\nGive another, or its core", (int)pid);
}

static struct tm_error *is_not_there(pid_t pid)
{
    if (access("/proc/self/stat", R_OK) != 0)
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "cannot look for the process %d: /proc is not mounted here\n"
                               "Mount it: mount -t proc proc /proc",
                               (int)pid);
    return tm_error_create(TM_ERROR_NO_TARGET,
                           "there is no process %d in this pid namespace\n"
                           "Look for it: pgrep -a python. A file of this name: ./%d",
                           (int)pid, (int)pid);
}

// What Yama allows: 0 any process of the same user, 1 descendants, 2 with CAP_SYS_PTRACE, 3 none; -1: there is no Yama.
static int yama_scope(void)
{
    char digit = 0;
    int file = open(YAMA, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t count = read(file, &digit, 1);
    close(file);
    return count == 1 && isdigit((unsigned char)digit) ? digit - '0' : -1;
}

static void say_whose(struct tm_text *text, int folder)
{
    size_t length;
    char *status = tm_proc_read(folder, "status", &length);
    const char *users = status ? tm_proc_field(status, "Uid") : NULL;
    long real = users ? strtol(users, NULL, 10) : -1;

    if (real >= 0 && (uid_t)real != geteuid())
        tm_text_printf(text, "\nIt is of user %ld, and you are %u: become root (sudo) or that user", real,
                       (unsigned)geteuid());
    free(status);
}

// Whether this process may trace others, as the kernel has it.
static bool has_capability(void)
{
    enum { CAP_SYS_PTRACE = 19 };
    size_t length;
    char *status = tm_proc_read(AT_FDCWD, "/proc/self/status", &length);
    const char *effective = status ? tm_proc_field(status, "CapEff") : NULL;
    bool has = effective && strtoull(effective, NULL, 16) >> CAP_SYS_PTRACE & 1;
    free(status);
    return has;
}

static void say_what_to_do(struct tm_text *text, int folder)
{
    int scope = yama_scope();
    say_whose(text, folder);
    if (has_capability())
        tm_text_add(text,
                    "\nYou have CAP_SYS_PTRACE, so it is in another user namespace, or a security module forbids it");
    else if (geteuid() == 0)
        tm_text_add(text, "\nYou are root without CAP_SYS_PTRACE. In a container, run it with --cap-add SYS_PTRACE");
    else if (scope == 1 || scope == 2)
        tm_text_printf(text,
                       "\nYama forbids it to other users than root (ptrace_scope is %d): use sudo, or\n"
                       "    echo 0 | sudo tee " YAMA,
                       scope);
    if (scope == 3)
        tm_text_add(text, "\nYama forbids it to everybody until the next boot (ptrace_scope is 3)");
}

// The kernel refused.
static struct tm_error *is_refused(pid_t pid, int folder, int number)
{
    struct tm_text text = TM_TEXT_EMPTY;

    tm_text_printf(&text, "cannot read the memory of the process %d: %s", (int)pid, strerror(number));
    say_what_to_do(&text, folder);
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_error_create(TM_ERROR_NO_TARGET, "%s", tm_text_string(&text));
    tm_text_deinit(&text);
    return error;
}

// Z: only the exit status is left. The main thread may have ended before others, so all are looked at.
static bool is_dead(const char *status)
{
    const char *state = tm_proc_field(status, "State");
    return !state || *state == 'Z' || *state == 'X';
}

static bool all_threads_dead(int folder)
{
    int tasks = openat(folder, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = tasks < 0 ? NULL : fdopendir(tasks);
    bool dead = true;
    if (!list) {
        if (tasks >= 0)
            close(tasks);
        return errno == ENOENT || errno == ESRCH;
    }
    for (struct dirent *entry; dead && (entry = readdir(list));) {
        char name[sizeof(entry->d_name) + 16];
        size_t length;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(name, sizeof(name), "%s/status", entry->d_name);
        char *status = tm_proc_read(tasks, name, &length);
        dead = !status || is_dead(status);
        free(status);
    }
    closedir(list);
    return dead;
}

struct tm_error *tm_live_check(const struct tm_live *live)
{
    return all_threads_dead(live->folder) ? has_ended(live->pid) : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Opening

static struct tm_error *open_memory(struct tm_live *live)
{
    live->memory = openat(live->folder, "mem", O_RDONLY | O_CLOEXEC);
    if (live->memory >= 0)
        return tm_live_check(live);
    int number = errno;
    if (number == ENOENT || number == ESRCH || all_threads_dead(live->folder))
        return has_ended(live->pid);
    return is_refused(live->pid, live->folder, number);
}

struct tm_error *tm_live_open(pid_t pid, struct tm_live **result)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return is_not_there(pid);
    struct tm_live *live = calloc(1, sizeof(*live));
    if (!live) {
        close(folder);
        return tm_error_no_memory();
    }
    *live = (struct tm_live){pid, folder, -1, -1};
    struct tm_error *error = open_memory(live);
    if (error)
        tm_live_close(live);
    else
        *result = live;
    return error;
}

void tm_live_close(struct tm_live *live)
{
    if (!live)
        return;
    if (live->memory >= 0)
        close(live->memory);
    if (live->pages >= 0)
        close(live->pages);
    close(live->folder);
    free(live);
}

// ---------------------------------------------------------------------------------------------------------------
// The engine's callbacks

// All of it, or -1.
static int read_all(int file, uint64_t offset, void *buffer, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        if (offset + done > INT64_MAX)
            return -1;
        ssize_t count = pread(file, (char *)buffer + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -1;
        done += (uint64_t)count;
    }
    return 0;
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    const struct tm_live *live = context;
    return read_all(live->memory, address, buffer, length);
}

static size_t list_regions(void *context, struct tm_region *regions, size_t capacity)
{
    const struct tm_live *live = context;
    size_t length, count = 0;
    struct tm_region region;
    char *maps = tm_proc_read(live->folder, "maps", &length);

    if (!maps)
        return 0;
    for (const char *line = maps; tm_proc_next_region(&line, &region);)
        if (count++ < capacity)
            regions[count - 1] = region;
    free(maps);
    return count;
}

static size_t list_modules(void *context, struct tm_module *modules, size_t capacity)
{
    const struct tm_live *live = context;
    size_t length, count = 0;
    struct tm_module module;
    char *maps = tm_proc_read(live->folder, "maps", &length);

    if (!maps)
        return 0;
    for (const char *line = maps; tm_proc_next_module(&line, &module);)
        if (count++ < capacity)
            modules[count - 1] = module;
    free(maps);
    return count;
}

// As the process sees itself: the last number of NSpid, which an old kernel does not have.
static uint32_t process_id(void *context)
{
    const struct tm_live *live = context;
    size_t length;
    char *status = tm_proc_read(live->folder, "status", &length);
    const char *ids = status ? tm_proc_field(status, "NSpid") : NULL;
    uint32_t id = (uint32_t)live->pid;

    while (ids && isdigit((unsigned char)*ids)) {
        char *end;
        id = (uint32_t)strtoul(ids, &end, 10);
        ids = end + strspn(end, " \t");
    }
    free(status);
    return id;
}

// What is resident or swapped out, and of shared memory this process's part.
static uint64_t private_memory(void *context, uint32_t *kind)
{
    static const char *const exact[] = {"Anonymous", "Pss_Shmem", "Swap", NULL};
    static const char *const nearly[] = {"RssAnon", "RssShmem", "VmSwap", NULL};
    const struct tm_live *live = context;
    size_t length;
    uint64_t sum = 0;

    char *text = tm_proc_read(live->folder, "smaps_rollup", &length);
    bool known = text && tm_proc_sum_sizes(text, exact, &sum);
    free(text);
    if (!known) {
        text = tm_proc_read(live->folder, "status", &length);
        known = text && tm_proc_sum_sizes(text, nearly, &sum);
        free(text);
    }
    *kind = known ? TM_PRIVATE_RESIDENT : TM_PRIVATE_UNKNOWN;
    return known ? sum : 0;
}

static void tell_backing(void *context, struct tm_backing *backing)
{
    struct timespec now;
    (void)context;
    backing->kind = TM_BACKING_PROCESS;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        backing->now = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    backing->moment = backing->now;
}

static int page_map(void *context, uint64_t address, uint64_t *entries, uint64_t count)
{
    enum { PAGE = 4096 };
    struct tm_live *live = context;
    if (sysconf(_SC_PAGESIZE) != PAGE)
        return -1;
    if (live->pages < 0)
        live->pages = openat(live->folder, "pagemap", O_RDONLY | O_CLOEXEC);
    return read_all(live->pages, address / PAGE * sizeof(*entries), entries, count * sizeof(*entries));
}

static uint64_t resident(void *context)
{
    static const char *const exact[] = {"Rss", NULL}, *const nearly[] = {"VmRSS", NULL};
    const struct tm_live *live = context;
    size_t length;
    uint64_t sum = 0;

    char *text = tm_proc_read(live->folder, "smaps_rollup", &length);
    bool known = text && tm_proc_sum_sizes(text, exact, &sum);
    free(text);
    if (known)
        return sum;
    text = tm_proc_read(live->folder, "status", &length);
    known = text && tm_proc_sum_sizes(text, nearly, &sum);
    free(text);
    return known ? sum : 0;
}

const struct tm_target_callbacks tm_live_callbacks = {
    .read = read_memory,
    .regions = list_regions,
    .process = process_id,
    .private_memory = private_memory,
    .modules = list_modules,
    .backing = tell_backing,
    .page_map = page_map,
    .resident = resident,
};
