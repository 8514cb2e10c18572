// The order in which the signs of life are looked at is that of recorder_file.h.

#define _GNU_SOURCE

#include "process/recorder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "process/proc.h"

bool tm_recorder_note(const struct tm_notes *notes, struct tm_recorder_note *result)
{
    if (notes->own.type != TM_RECORDER_NOTE_TYPE || notes->own.length < sizeof(*result))
        return false;
    memcpy(result, notes->own.bytes, sizeof(*result));
    return result->version == TM_RECORDER_VERSION;
}

// ---------------------------------------------------------------------------------------------------------------
// The lock

// The lock of a process in another pid namespace is seen, too.
static bool is_locked(int file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TM_RECORDER_LOCK, .l_len = 1};
    return fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// ---------------------------------------------------------------------------------------------------------------
// The process

// The number in this text, of up to 16 bytes in hexadecimal digits with hyphens.
static bool is_this_boot(const uint8_t boot_id[16])
{
    char *text, digits[33] = "";
    size_t length, count = 0;
    uint8_t id[16];
    text = tm_proc_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &length);
    for (const char *at = text; at && *at && count < 32; at++)
        if (isxdigit((unsigned char)*at))
            digits[count++] = *at;
    free(text);
    for (size_t i = 0; count == 32 && i < sizeof(id); i++) {
        unsigned value;
        if (sscanf(&digits[2 * i], "%2x", &value) != 1)
            return false;
        id[i] = (uint8_t)value;
    }
    return count == 32 && memcmp(id, boot_id, sizeof(id)) == 0;
}

// What its stat says, which has the name in parentheses as field 2. All 0: it cannot be read.
struct process_state {
    bool ended;     // nothing but its exit status is left
    uint64_t start; // field 22
};

static struct process_state state_of(int folder)
{
    struct process_state state = {false, 0};
    size_t length;
    char *text = tm_proc_read(folder, "stat", &length), *at = text ? strrchr(text, ')') : NULL;
    bool dead = at && (at[1] == ' ' && (at[2] == 'Z' || at[2] == 'X'));
    for (unsigned field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (at && field + 1 == 20) // the first thread may end before the others
            state.ended = dead && strtoul(at, NULL, 10) <= 1;
    }
    state.start = at ? strtoull(at, NULL, 10) : 0;
    free(text);
    return state;
}

enum mapped { MAPPED, NOT_MAPPED, MAPS_UNREADABLE };

// Whether the process has this file mapped.
static enum mapped maps_file(int folder, const struct stat *status)
{
    size_t length;
    char *maps = tm_proc_read(folder, "maps", &length), *line = maps;
    enum mapped result = maps && maps[0] ? NOT_MAPPED : MAPS_UNREADABLE;
    while (line && *line && result == NOT_MAPPED) {
        unsigned major, minor;
        uint64_t inode;
        char *end = strchr(line, '\n');
        if (sscanf(line, "%*x-%*x %*s %*x %x:%x %" SCNu64, &major, &minor, &inode) == 3 && inode == status->st_ino &&
            makedev(major, minor) == status->st_dev)
            result = MAPPED;
        line = end ? end + 1 : NULL;
    }
    free(maps);
    return result;
}

static int open_process(uint32_t pid)
{
    char name[32];
    snprintf(name, sizeof(name), "/proc/%" PRIu32, pid);
    return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// The process with this id, in this pid namespace.
static enum tm_life life_of(uint32_t pid, uint64_t start, const struct stat *status)
{
    int folder = pid ? open_process(pid) : -1;
    if (folder < 0)
        return TM_LIFE_ENDED;
    enum tm_life life = TM_LIFE_ENDED;
    struct process_state state = state_of(folder);
    if (start != 0 && state.start == start && !state.ended) {
        enum mapped mapped = maps_file(folder, status);
        life = mapped == MAPPED ? TM_LIFE_LIVES : mapped == NOT_MAPPED ? TM_LIFE_ENDED : TM_LIFE_UNKNOWN;
    }
    close(folder);
    return life;
}

// Any process that can be seen and has the file: in another pid namespace the id says nothing.
static bool is_mapped_anywhere(const struct stat *status)
{
    DIR *list = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; list && !found && (entry = readdir(list));) {
        int folder = isdigit((unsigned char)entry->d_name[0]) ? open_process((uint32_t)atol(entry->d_name)) : -1;
        if (folder < 0)
            continue;
        found = maps_file(folder, status) == MAPPED;
        close(folder);
    }
    if (list)
        closedir(list);
    return found;
}

enum tm_life tm_recorder_life(int file, const struct tm_recorder_note *note)
{
    struct stat status, space;
    if (note->end != TM_RECORDER_END_NONE)
        return TM_LIFE_ENDED;
    if (is_locked(file))
        return TM_LIFE_LIVES;
    if (fstat(file, &status) != 0)
        return TM_LIFE_UNKNOWN;
    if (!is_this_boot(note->boot_id))
        return TM_LIFE_ENDED;
    if (stat("/proc/self/ns/pid", &space) != 0)
        return TM_LIFE_UNKNOWN;
    if (space.st_ino == note->pid_namespace)
        return life_of(note->pid, note->start_ticks, &status);
    if (life_of(note->outer_pid, note->start_ticks, &status) == TM_LIFE_LIVES)
        return TM_LIFE_LIVES;
    return is_mapped_anywhere(&status) ? TM_LIFE_LIVES : TM_LIFE_ENDED;
}
