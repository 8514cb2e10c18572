// All names of the process are looked up below its own root, and no link in it leads out of that.

#define _GNU_SOURCE

#include "cli/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/core.h"

#define COPY "_tracer.abi3.so"

// Opens a path as the process means it; -1 and errno.
static int open_inside(const struct tm_live *live, const char *path, uint64_t flags)
{
    const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int root = openat(live->folder, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -1;
    int file = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    int number = errno;
    close(root);
    errno = number;
    return file;
}

static bool is_same(int file, const char *here)
{
    struct stat inside, outside;
    return fstat(file, &inside) == 0 && stat(here, &outside) == 0 && inside.st_dev == outside.st_dev &&
           inside.st_ino == outside.st_ino;
}

// Whether the process finds this very file by the name that it has here.
static bool is_there(const struct tm_live *live, const char *file)
{
    int inside = open_inside(live, file, O_PATH);
    if (inside < 0)
        return false;
    bool same = is_same(inside, file);
    close(inside);
    return same;
}

// ---------------------------------------------------------------------------------------------------------------
// A copy

static bool copy_bytes(const char *from, int to)
{
    struct stat status;
    int source = open(from, O_RDONLY | O_CLOEXEC);
    bool done = source >= 0 && fstat(source, &status) == 0;
    for (off_t left = done ? status.st_size : 0; done && left > 0;) {
        ssize_t count = sendfile(to, source, NULL, (size_t)left);
        done = count > 0;
        left -= count;
    }
    if (source >= 0)
        close(source);
    return done;
}

// A folder in `parent` that nobody else could have made. False: errno.
static bool make_folder(struct tm_place *place)
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return false;
    snprintf(place->name, sizeof(place->name), "tracemortem-%016llx", (unsigned long long)number);
    if (mkdirat(place->parent, place->name, 0755) != 0)
        return false;
    place->folder = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return place->folder >= 0 && fchmod(place->folder, 0755) == 0;
}

static bool copy_into(struct tm_place *place, const char *file, const char *parent)
{
    if (!make_folder(place))
        return false;
    int copy = openat(place->folder, COPY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
    bool done = copy >= 0 && fchmod(copy, 0755) == 0 && copy_bytes(file, copy);
    if (copy >= 0)
        done &= close(copy) == 0;
    return done &&
           snprintf(place->path, sizeof(place->path), "/%s/%s/" COPY, parent, place->name) < (int)sizeof(place->path);
}

static bool may_hold_programs(int folder)
{
    struct statvfs status;
    return fstatvfs(folder, &status) == 0 && !(status.f_flag & (ST_NOEXEC | ST_RDONLY));
}

// False: not in this folder.
static bool copy_to(const struct tm_live *live, const char *file, const char *parent, struct tm_place *place)
{
    place->parent = open_inside(live, parent, O_RDONLY | O_DIRECTORY);
    if (place->parent < 0)
        return false;
    if (may_hold_programs(place->parent) && copy_into(place, file, parent))
        return true;
    tm_place_remove(place);
    return false;
}

struct tm_error *tm_place_file(const struct tm_live *live, const char *file, struct tm_place *place)
{
    static const char *const parents[] = {"tmp", "var/tmp", "dev/shm", "run"};
    *place = (struct tm_place){.folder = -1, .parent = -1};
    if (is_there(live, file)) {
        snprintf(place->path, sizeof(place->path), "%s", file);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
        if (copy_to(live, file, parents[i], place))
            return NULL;
    return tm_error_create(TM_ERROR_NO_TARGET,
                           "the process %d has another file system, and the tracer cannot be copied into it: none of\n"
                           "/tmp, /var/tmp, /dev/shm and /run there can be written to and have programs\n"
                           "Copy %s to a folder that it sees, and say which: --inside FOLDER/" COPY,
                           (int)live->pid, tm_printable(file).text);
}

void tm_place_remove(struct tm_place *place)
{
    if (place->folder >= 0) {
        unlinkat(place->folder, COPY, 0);
        close(place->folder);
        unlinkat(place->parent, place->name, AT_REMOVEDIR);
    }
    if (place->parent >= 0)
        close(place->parent);
    place->folder = place->parent = -1;
}
