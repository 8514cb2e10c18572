// All names of the process are looked up below its own root, and no link in it leads out of that.

#define _GNU_SOURCE

#include "cli/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/core.h"
#include "process/proc.h"

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
// A folder

// The process may have another user than we: it is to write there.
static void give_to_user(const struct tm_live *live, int folder)
{
    size_t length;
    char *status = tm_proc_read(live->folder, "status", &length);
    const char *users = status ? tm_proc_field(status, "Uid") : NULL;
    unsigned real, effective;
    if (users && sscanf(users, "%u %u", &real, &effective) == 2 && effective != geteuid() &&
        fchown(folder, effective, (gid_t)-1) != 0)
        fchmod(folder, 0755); // then it cannot write there, and this is noticed
    free(status);
}

// A folder that nobody else could have made.
static bool make_folder(const struct tm_live *live, const char *parent, struct tm_place *place)
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return false;
    snprintf(place->folder, sizeof(place->folder), "/%s/tracemortem-%016llx", parent, (unsigned long long)number);
    place->name = strrchr(place->folder, '/') + 1;
    if (mkdirat(place->parent, place->name, 0755) != 0)
        return false;
    place->descriptor = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place->descriptor < 0 || fchmod(place->descriptor, 0755) != 0)
        return false;
    give_to_user(live, place->descriptor);
    return true;
}

static bool may_hold_programs(int folder)
{
    struct statvfs status;
    return fstatvfs(folder, &status) == 0 && !(status.f_flag & (ST_NOEXEC | ST_RDONLY));
}

// False: not in this parent.
static bool make_in(const struct tm_live *live, const char *parent, struct tm_place *place)
{
    place->parent = open_inside(live, parent, O_RDONLY | O_DIRECTORY);
    if (place->parent >= 0 && may_hold_programs(place->parent) && make_folder(live, parent, place))
        return true;
    tm_place_remove(place);
    return false;
}

struct tm_error *tm_place_folder(const struct tm_live *live, struct tm_place *place)
{
    static const char *const parents[] = {"tmp", "var/tmp", "dev/shm", "run"};
    for (size_t i = 0; place->descriptor < 0 && i < sizeof(parents) / sizeof(parents[0]); i++)
        if (make_in(live, parents[i], place))
            return NULL;
    if (place->descriptor >= 0)
        return NULL;
    return tm_error_create(TM_ERROR_NO_TARGET,
                           "no files can be made for the process %d: of /tmp, /var/tmp, /dev/shm and /run, as it sees\n"
                           "them, none can be written to and have programs",
                           (int)live->pid);
}

void tm_place_leave(struct tm_place *place)
{
    if (place->descriptor >= 0)
        close(place->descriptor);
    if (place->parent >= 0)
        close(place->parent);
    place->descriptor = place->parent = -1;
}

void tm_place_remove(struct tm_place *place)
{
    static const char *const files[] = {TM_PLACE_SCRIPT, TM_PLACE_OUTCOME, TM_PLACE_UNFINISHED, COPY};
    for (size_t i = 0; place->descriptor >= 0 && i < sizeof(files) / sizeof(files[0]); i++)
        unlinkat(place->descriptor, files[i], 0);
    if (place->descriptor >= 0) {
        close(place->descriptor);
        unlinkat(place->parent, place->name, AT_REMOVEDIR);
    }
    if (place->parent >= 0)
        close(place->parent);
    place->descriptor = place->parent = -1;
}

// ---------------------------------------------------------------------------------------------------------------
// The tracer

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

static bool copy_into(struct tm_place *place, const char *file)
{
    int copy = openat(place->descriptor, COPY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
    bool done = copy >= 0 && fchmod(copy, 0755) == 0 && copy_bytes(file, copy);
    if (copy >= 0)
        done &= close(copy) == 0;
    return done;
}

struct tm_error *tm_place_tracer(const struct tm_live *live, const char *file, struct tm_place *place)
{
    if (is_there(live, file)) {
        snprintf(place->tracer, sizeof(place->tracer), "%s", file);
        return NULL;
    }
    struct tm_error *error = tm_place_folder(live, place);
    if (!error && copy_into(place, file)) {
        snprintf(place->tracer, sizeof(place->tracer), "%s/" COPY, place->folder);
        return NULL;
    }
    tm_error_destroy(error);
    return tm_error_create(TM_ERROR_NO_TARGET,
                           "the process %d has another file system, and the tracer cannot be copied into it: of /tmp,\n"
                           "/var/tmp, /dev/shm and /run there, none can be written to and have programs\n"
                           "Copy %s to a folder that it sees, and say which: --inside FOLDER/" COPY,
                           (int)live->pid, tm_printable(file).text);
}
