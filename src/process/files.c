// Looks up each part of a name by itself.

#define _GNU_SOURCE

#include "process/files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

enum { MOST_LINKS = 40 }; // as in Linux
enum { LONGEST = 4 * PATH_MAX };

static const char unknown_folder[] = "the core does not say which folder this name is relative to\nIf you know it: "
                                     "--folder DIR";
static const char out_of_reach[] = "its folder cannot be reached from here";

static uint64_t when_changed(const struct stat *status)
{
    return (uint64_t)status->st_ctim.tv_sec * UINT64_C(1000000000) + (uint64_t)status->st_ctim.tv_nsec;
}

static bool is_same(const char *one, const char *other)
{
    struct stat first, second;
    return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

// ---------------------------------------------------------------------------------------------------------------
// A process's root and folder

static char *link_of(const char *path)
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    return strdup(target);
}

static bool has_our_mounts(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
    char *theirs = link_of(path), *ours = link_of("/proc/self/ns/mnt");
    bool same = theirs && ours && strcmp(theirs, ours) == 0;
    free(theirs);
    free(ours);
    return same;
}

// The working directory as a name below the root; NULL if it is not there.
static char *find_folder(const char *process, const char *root)
{
    char path[64], there[LONGEST];
    snprintf(path, sizeof(path), "%s/root", process);
    char *top = link_of(path);
    snprintf(path, sizeof(path), "%s/cwd", process);
    char *folder = link_of(path), *inner = NULL;
    size_t length = top ? strlen(top) : 0;

    while (length && top[length - 1] == '/')
        length--;
    if (top && folder && strncmp(folder, top, length) == 0 && (folder[length] == '/' || folder[length] == '\0')) {
        inner = strdup(folder + length);
        size_t end = inner ? strlen(inner) : 0;
        while (end && inner[end - 1] == '/')
            inner[--end] = '\0';
        if (inner)
            snprintf(there, sizeof(there), "%s%s/", root ? root : "", inner);
        if (inner && !is_same(there, path)) {
            free(inner);
            inner = NULL;
        }
    }
    free(top);
    free(folder);
    return inner;
}

struct tm_error *tm_files_of_process(pid_t pid, struct tm_files *result)
{
    char process[32], root[48];
    struct stat status;

    *result = (struct tm_files){.is_process = true};
    snprintf(process, sizeof(process), "/proc/%d", (int)pid);
    snprintf(root, sizeof(root), "%s/root", process);
    if (stat(root, &status) != 0) {
        result->out_of_reach = true;
        return NULL;
    }
    if (!is_same(root, "/") || !has_our_mounts(pid)) {
        result->root = strdup(root);
        if (!result->root)
            return tm_error_no_memory();
    }
    result->folder = find_folder(process, result->root);
    return NULL;
}

void tm_files_deinit(struct tm_files *files)
{
    free(files->root);
    free(files->folder);
}

// ---------------------------------------------------------------------------------------------------------------
// Names

// The name as the file system has it: the surrogates of "surrogateescape" become bytes. False: it cannot be a name.
static bool encode_name(const char *name, char *result, size_t capacity)
{
    const unsigned char *from = (const unsigned char *)name;
    size_t used = 0;
    while (*from && used + 1 < capacity) {
        if (from[0] == 0xed && from[1] >= 0xa0) { // a surrogate
            if ((from[1] != 0xb2 && from[1] != 0xb3) || from[2] < 0x80)
                return false;
            result[used++] = (char)(0x80 | (from[1] & 1u) << 6 | (from[2] & 0x3fu));
            from += 3;
        } else {
            result[used++] = (char)*from++;
        }
    }
    result[used] = '\0';
    return !*from;
}

// A look-up under way: what was passed already, below the root, and what is to come.
struct walk {
    const char *root;
    char done[LONGEST];
    char rest[LONGEST];
    uint64_t changed;
    unsigned links;
};

static bool put_before_rest(struct walk *walk, const char *target)
{
    char rest[LONGEST];
    int length = snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest);
    if (length < 0 || (size_t)length >= sizeof(rest))
        return false;
    memcpy(walk->rest, rest, (size_t)length + 1);
    return true;
}

// Takes the next part off the rest.
static bool next_part(struct walk *walk, char *part, size_t capacity)
{
    size_t skip = strspn(walk->rest, "/"), length = strcspn(walk->rest + skip, "/");
    if (length >= capacity)
        return false;
    memcpy(part, walk->rest + skip, length);
    part[length] = '\0';
    memmove(walk->rest, walk->rest + skip + length, strlen(walk->rest + skip + length) + 1);
    return true;
}

static void drop_last(char *done)
{
    char *slash = strrchr(done, '/');
    if (slash)
        *slash = '\0';
}

static bool is_in_proc(const char *done)
{
    return strcmp(done, "/proc") == 0 || strncmp(done, "/proc/", 6) == 0;
}

static bool follow(struct walk *walk, const char *path)
{
    char *target = link_of(path);
    // Links in /proc mean something else to each process that reads them.
    bool is_fine = target && ++walk->links <= MOST_LINKS && !is_in_proc(walk->done);
    if (is_fine && target[0] == '/')
        walk->done[0] = '\0';
    is_fine = is_fine && put_before_rest(walk, target);
    free(target);
    return is_fine;
}

// Passes one part of the name. False: there is no such file.
static bool pass(struct walk *walk, const char *part)
{
    char path[2 * LONGEST];
    struct stat status;
    size_t length = strlen(walk->done);

    if (part[0] == '\0' || strcmp(part, ".") == 0)
        return true;
    if (strcmp(part, "..") == 0) {
        drop_last(walk->done);
        return true;
    }
    snprintf(path, sizeof(path), "%s%s/%s", walk->root, walk->done, part);
    if (lstat(path, &status) != 0)
        return false;
    if (S_ISLNK(status.st_mode)) {
        walk->changed = when_changed(&status) > walk->changed ? when_changed(&status) : walk->changed;
        return follow(walk, path);
    }
    int count = snprintf(walk->done + length, sizeof(walk->done) - length, "/%s", part);
    return count > 0 && (size_t)count < sizeof(walk->done) - length;
}

static struct tm_found resolve(struct walk *walk)
{
    char part[NAME_MAX + 2], path[2 * LONGEST];
    struct stat status;

    while (walk->rest[0])
        if (!next_part(walk, part, sizeof(part)) || !pass(walk, part))
            return (struct tm_found){0};
    snprintf(path, sizeof(path), "%s%s", walk->root, walk->done);
    if (lstat(path, &status) != 0)
        return (struct tm_found){0};
    uint64_t changed = when_changed(&status);
    return (struct tm_found){strdup(path), NULL, changed > walk->changed ? changed : walk->changed};
}

struct tm_found tm_files_find(const struct tm_files *files, const char *name)
{
    struct walk walk = {.root = files->root ? files->root : ""};

    if (files->out_of_reach)
        return (struct tm_found){.why = out_of_reach};
    if (name[0] != '/' && !files->folder)
        return (struct tm_found){.why = files->is_process ? out_of_reach : unknown_folder};
    if (!encode_name(name, walk.rest, sizeof(walk.rest)))
        return (struct tm_found){0};
    if (name[0] != '/' && !put_before_rest(&walk, files->folder))
        return (struct tm_found){0};
    return resolve(&walk);
}
