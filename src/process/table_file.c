// Every file that a core names is looked at, but no more than its first bytes, unless it is a core.

#define _GNU_SOURCE

#include "process/table_file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/set.h"

#define DELETED " (deleted)"
// How the tracer's file is called, whatever version it is for.
#define TRACER_NAME "_tracer"
// Of the tracer's memory behind what is mapped from its file: variables that begin as zeros.
#define BEHIND (UINT64_C(16) << 20)
// More than any tracer's file has.
#define MAPPED_MOST (UINT64_C(64) << 20)
enum { PIECE = 65536, IDENTITY = 16 };
// A hostile core may name any number of files, and cores that take long to read. No process maps so many files, nor so many
// cores.
enum { MOST_NAMES = 1 << 16, MOST_CORES = 64 };

// What was looked at.
struct looked {
    struct tm_set names; // hashes of them
    unsigned cores;      // files that are cores
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

// Opens the file if it is an ELF core; opening a device or a pipe could do harm.
static int open_core_file(const char *path)
{
    struct stat status;
    Elf64_Ehdr head;
    int file = stat(path, &status) == 0 && S_ISREG(status.st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (file >= 0 && pread(file, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
        memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_type == ET_CORE)
        return file;
    if (file >= 0)
        close(file);
    return -1;
}

// The recorder's file of this name, or NULL.
static struct tm_core *open_recorder(const char *path, struct looked *looked)
{
    struct tm_core *file = NULL;
    struct tm_recorder_note note;
    int descriptor = looked->cores < MOST_CORES ? open_core_file(path) : -1;
    if (descriptor < 0)
        return NULL;
    looked->cores++;
    tm_error_destroy(tm_core_open_file(descriptor, path, &file));
    if (file && !tm_core_is_recorder(file, &note)) {
        tm_core_close(file);
        file = NULL;
    }
    return file;
}

// ---------------------------------------------------------------------------------------------------------------
// Whose file it is

// Whether these bytes are anywhere in the memory [start, end) that the core holds.
static bool has_bytes(const struct tm_core *core, uint64_t start, uint64_t end, const uint8_t *bytes)
{
    unsigned char piece[PIECE + IDENTITY];
    while (start < end) {
        size_t most = end - start < sizeof(piece) ? (size_t)(end - start) : sizeof(piece);
        size_t length = tm_core_read_held(core, start, piece, most);
        if (length >= IDENTITY && memmem(piece, length, bytes, IDENTITY))
            return true;
        uint64_t step = length > IDENTITY ? length - IDENTITY + 1 : 4096 - start % 4096;
        start = step > UINT64_MAX - start ? end : start + step;
    }
    return false;
}

// Whether the tracer in the core has this identity.
static bool has_identity(const struct tm_core *core, const uint8_t *identity)
{
    static const uint8_t none[IDENTITY];
    uint64_t start = UINT64_MAX, end = 0;
    for (size_t i = 0; i < core->notes.count; i++) {
        const struct tm_mapped_file *file = &core->notes.files[i];
        if (strncmp(base_name(file->path), TRACER_NAME, strlen(TRACER_NAME)) != 0)
            continue;
        start = file->start < start ? file->start : start;
        end = file->end > end ? file->end : end;
    }
    // A hostile core may name ranges without end.
    if (start >= end || end - start > MAPPED_MOST || memcmp(identity, none, IDENTITY) == 0)
        return false;
    return has_bytes(core, start, end + BEHIND, identity);
}

// NULL: the file is that of the process; else why not.
static const char *check(const struct tm_core *core, const struct tm_core *file)
{
    struct tm_recorder_note note;
    tm_core_is_recorder(file, &note);
    if (core->process && note.pid && core->process != note.pid)
        return "is that of another process";
    return has_identity(core, note.identity) ? NULL : "is not the one that the process had: their identities differ";
}

// ---------------------------------------------------------------------------------------------------------------
// Finding it

static void say_why(struct tm_core *core, const char *path, const char *why)
{
    if (!core->table_path[0])
        snprintf(core->table_path, sizeof(core->table_path), "%s", path);
    snprintf(core->table_why, sizeof(core->table_why), "%s", why);
}

static bool try_file(struct tm_core *core, const char *named, const char *path, struct looked *looked)
{
    struct tm_core *file = open_recorder(path, looked);
    const char *why = file ? check(core, file) : NULL;
    if (!file)
        return false;
    if (why) {
        say_why(core, named, why);
        tm_core_close(file);
        return false;
    }
    core->table = file;
    return true;
}

// Whether the core itself has the beginning of this range.
static bool is_held(const struct tm_core *core, uint64_t address)
{
    unsigned char byte;
    return tm_core_read_held(core, address, &byte, 1) == 1;
}

static bool try_named(struct tm_core *core, const struct tm_mapped_file *mapped, struct looked *looked)
{
    char path[sizeof(mapped->path)], *beside = NULL;
    const char *slash = strrchr(core->path, '/');

    snprintf(path, sizeof(path), "%s", mapped->path);
    if (ends_with(path, DELETED))
        path[strlen(path) - strlen(DELETED)] = '\0';
    bool found = try_file(core, path, path, looked);
    if (!found &&
        asprintf(&beside, "%.*s%s", slash ? (int)(slash + 1 - core->path) : 0, core->path, base_name(path)) >= 0)
        found = try_file(core, path, beside, looked);
    free(beside);
    if (!found && !core->table_why[0] && ends_with(path, TM_RECORDER_SUFFIX))
        say_why(core, path,
                looked->cores >= MOST_CORES ? "was not read: the core names too many other cores"
                : access(path, F_OK) == 0   ? "is not a recorder's file any more"
                                            : "is not here");
    return found;
}

void tm_core_find_table(struct tm_core *core)
{
    const struct tm_notes *notes = &core->notes;
    struct looked looked = {.cores = 0};
    if (notes->own.type != 0)
        return; // it is one
    for (size_t i = 0; i < notes->count && !core->table && looked.names.count < MOST_NAMES; i++) {
        const struct tm_mapped_file *mapped = &notes->files[i];
        size_t before = looked.names.count;
        if (mapped->path[0] != '/' || is_held(core, mapped->start))
            continue;
        if (!tm_set_add_number(&looked.names, tm_hash_bytes(mapped->path, strlen(mapped->path))))
            break;
        if (looked.names.count > before)
            try_named(core, mapped, &looked);
    }
    tm_set_deinit(&looked.names);
}
