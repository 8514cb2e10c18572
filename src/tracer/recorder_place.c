// Names, files and folders. A file's own notes say whose it is and whether its process lives.

#define _GNU_SOURCE
#include "recorder_place.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "pages.h"
#include "recorder_self.h"

// ---------------------------------------------------------------------------------------------------------------
// Names

void recorder_program(char name[16])
{
    // Another thread's name is its own.
    size_t length = self_read("/proc/self/comm", name, 16);
    if (length == 0)
        prctl(PR_GET_NAME, name);
    name[15] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

bool recorder_pattern_is_sound(const char *pattern)
{
    for (const char *at = strchr(pattern, '%'); at != NULL; at = strchr(at + 2, '%'))
        if (at[1] == '\0' || strchr("phte%", at[1]) == NULL)
            return false;
    return strlen(pattern) < PATH_MAX;
}

static bool is_folder(const char *path)
{
    struct stat status;
    size_t length = strlen(path);
    return (length > 0 && path[length - 1] == '/') ||
           (self_stat(AT_FDCWD, path, 0, &status) && S_ISDIR(status.st_mode));
}

/** False: it is too long. */
static bool expand(const char *pattern, char path[PATH_MAX]);

bool recorder_pattern_complete(char pattern[PATH_MAX])
{
    static char path[PATH_MAX];
    char whole[PATH_MAX + 1] = "";
    if (pattern[0] != '/') {
        if (getcwd(whole, sizeof whole - 1) == NULL || whole[0] != '/')
            return false;
        // A "%" of the folder's own name means itself.
        size_t length = strlen(whole);
        for (size_t i = 0; i < length; i++)
            if (whole[i] == '%') {
                if (length + 1 >= sizeof whole)
                    return false;
                memmove(whole + i + 1, whole + i, length - i + 1);
                length++;
                i++;
            }
        if (length + 1 >= sizeof whole)
            return false;
        strcpy(whole + length, "/");
    }
    const char *in_folder = !expand(pattern, path) || !is_folder(path) ? "" : "/%e-%p" TM_RECORDER_SUFFIX;
    if (strlen(whole) + strlen(pattern) + strlen(in_folder) >= PATH_MAX)
        return false;
    strcat(strcat(whole, pattern), in_folder);
    strcpy(pattern, whole);
    return true;
}

/** What a name may be in a path. */
static void put_name(char *to, size_t size, const char *name)
{
    snprintf(to, size, "%s", name);
    for (char *at = to; *at != '\0'; at++)
        if (*at == '/' || (unsigned char)*at < ' ')
            *at = '!';
    if (to[0] == '.')
        to[0] = '!';
}

static bool expand(const char *pattern, char path[PATH_MAX])
{
    size_t length = 0;
    for (const char *at = pattern; *at != '\0'; at++) {
        char text[80] = {*at};
        struct utsname host;
        if (*at == '%') {
            char name[16];
            switch (*++at) {
            case 'p':
                snprintf(text, sizeof text, "%d", (int)self_pid());
                break;
            case 't':
                snprintf(text, sizeof text, "%lld", (long long)time(NULL));
                break;
            case 'e':
                recorder_program(name);
                put_name(text, sizeof text, name);
                break;
            case 'h':
                put_name(text, sizeof text, uname(&host) == 0 ? host.nodename : "");
                break;
            }
        }
        size_t more = strlen(text);
        if (length + more >= PATH_MAX)
            return false;
        memcpy(path + length, text, more);
        length += more;
    }
    path[length] = '\0';
    return true;
}

/** The same name with a number in it. False: it is too long. */
static bool number_name(const char *path, unsigned number, char numbered[PATH_MAX])
{
    size_t length = strlen(path), suffix = strlen(TM_RECORDER_SUFFIX);
    bool ends_so = length > suffix && strcmp(path + length - suffix, TM_RECORDER_SUFFIX) == 0;
    int stem = (int)(ends_so ? length - suffix : length);
    return snprintf(numbered, PATH_MAX, "%.*s.%u%s", stem, path, number, path + stem) < PATH_MAX;
}

// ---------------------------------------------------------------------------------------------------------------
// Descriptors

int recorder_raise(int descriptor)
{
    enum { HIGH = 1000, BELOW_LIMIT = 24 };
    struct rlimit limit;
    int least = HIGH;
    // Not as high as possible: a fork copies the table of descriptors up to the highest.
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < HIGH + BELOW_LIMIT)
        least = limit.rlim_cur > 2 * BELOW_LIMIT ? (int)limit.rlim_cur - BELOW_LIMIT : (int)(limit.rlim_cur / 2);
    int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, least);
    if (raised < 0)
        return descriptor;
    close(descriptor);
    return raised;
}

static bool is_file(const struct recorder_file *file, int descriptor)
{
    struct stat status;
    return descriptor >= 0 && self_stat_open(descriptor, &status) && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

/** Whether the file's name is still its own. */
static bool has_name(const struct recorder_file *file)
{
    struct stat status;
    return self_stat(AT_FDCWD, file->path, AT_SYMLINK_NOFOLLOW, &status) && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

int recorder_descriptor(struct recorder_file *file)
{
    // A program that becomes a daemon closes all descriptors, and then the number may be another file's.
    if (is_file(file, file->descriptor))
        return file->descriptor;
    file->descriptor = -1;
    int found = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), opened = -1;
    if (found < 0)
        return -1;
    errno = ESTALE;
    if (is_file(file, found)) {
        // Not by the name, which may be another file's a moment later.
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", found);
        chmod(path, 0600);
        opened = open(path, O_RDWR | O_CLOEXEC);
    }
    int saved = errno;
    close(found);
    errno = saved;
    if (opened < 0)
        return -1;
    fchmod(opened, 0400);
    file->descriptor = recorder_raise(opened);
    recorder_lock(file);
    return file->descriptor;
}

void recorder_lock(const struct recorder_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TM_RECORDER_LOCK, .l_len = 1};
    fcntl(file->descriptor, F_SETLK, &lock);
}

void recorder_remove(const struct recorder_file *file)
{
    if (has_name(file))
        unlink(file->path);
}

// ---------------------------------------------------------------------------------------------------------------
// What a file says of itself

struct left {
    struct tm_recorder_note note;
    char program[16];
};

/** The notes of a file that is one of ours by its form. */
static bool read_notes(int descriptor, struct left *left)
{
    struct {
        Elf64_Nhdr own_head;
        char own_name[12];
        struct tm_recorder_note own;
        Elf64_Nhdr info_head;
        char info_name[8];
        struct elf_prpsinfo info;
    } __attribute__((packed)) notes;
    unsigned char ident[EI_NIDENT];
    if (pread(descriptor, ident, sizeof ident, 0) != sizeof ident || memcmp(ident, ELFMAG, SELFMAG) != 0 ||
        pread(descriptor, &notes, sizeof notes, TM_RECORDER_NOTES) != sizeof notes ||
        notes.own_head.n_type != TM_RECORDER_NOTE_TYPE || memcmp(notes.own_name, TM_RECORDER_NOTE, 12) != 0 ||
        notes.own.version != TM_RECORDER_VERSION || notes.info_head.n_type != NT_PRPSINFO)
        return false;
    left->note = notes.own;
    snprintf(left->program, sizeof left->program, "%.*s", (int)sizeof notes.info.pr_fname, notes.info.pr_fname);
    return true;
}

static bool is_locked(int descriptor)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TM_RECORDER_LOCK, .l_len = 1};
    return fcntl(descriptor, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/** Whether this process has made the file, before it called exec. */
static bool is_of_self(const struct tm_recorder_note *note, const struct tm_recorder_note *self)
{
    return note->pid == self->pid && note->start_ticks == self->start_ticks && self->start_ticks != 0 &&
           note->pid_namespace == self->pid_namespace &&
           memcmp(note->boot_id, self->boot_id, sizeof note->boot_id) == 0;
}

/** Whether its process may live although it has no lock. */
static bool may_live(const struct tm_recorder_note *note, const struct tm_recorder_note *self)
{
    return note->end == TM_RECORDER_END_NONE && note->pid_namespace == self->pid_namespace &&
           memcmp(note->boot_id, self->boot_id, sizeof note->boot_id) == 0 && !is_of_self(note, self) &&
           note->start_ticks != 0 && self_start_ticks((pid_t)note->pid) == note->start_ticks;
}

/** Open a file that a process of this user and program has left. -1: it is not such a file. */
static int open_left(int folder, const char *name, const struct tm_recorder_note *self, const char *program,
                     struct left *left, struct stat *status)
{
    // Never a file that this process has open: closing it would take our own lock away.
    int descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return -1;
    if (self_stat_open(descriptor, status) && S_ISREG(status->st_mode) && status->st_uid == geteuid() &&
        read_notes(descriptor, left) && strcmp(left->program, program) == 0 && !is_locked(descriptor) &&
        !may_live(&left->note, self))
        return descriptor;
    close(descriptor);
    return -1;
}

// ---------------------------------------------------------------------------------------------------------------
// Making

/** On file systems that write everything to new places, an overwritten page would need space, and might not get it. */
static void ask_for_writing_in_place(int descriptor)
{
    enum { BTRFS = (int)0x9123683e, NO_COPY_ON_WRITE = 0x00800000 };
    struct statfs system;
    int flags;
    if (fstatfs(descriptor, &system) != 0 || (int)system.f_type != BTRFS)
        return;
    // FS_IOC_GETFLAGS and FS_IOC_SETFLAGS
    if (ioctl(descriptor, _IOR('f', 1, long), &flags) == 0) {
        flags |= NO_COPY_ON_WRITE;
        ioctl(descriptor, _IOW('f', 2, long), &flags);
    }
}

/** Remove the file of this name if this process has made it before an exec. */
static bool make_room(const char *path)
{
    struct tm_recorder_note self = {0};
    struct left left;
    struct stat status;
    self_describe(&self);
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return false;
    bool ours = self_stat_open(descriptor, &status) && S_ISREG(status.st_mode) && read_notes(descriptor, &left) &&
                is_of_self(&left.note, &self) && !is_locked(descriptor);
    close(descriptor);
    return ours && unlink(path) == 0;
}

static int create_named(const char *path, struct recorder_file *file)
{
    struct stat status;
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (descriptor < 0)
        return errno;
    descriptor = recorder_raise(descriptor);
    ask_for_writing_in_place(descriptor);
    if (!self_stat_open(descriptor, &status)) {
        int error = errno;
        unlink(path);
        close(descriptor);
        return error;
    }
    file->descriptor = descriptor;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    strcpy(file->path, path);
    // We have it open for writing. To write to it is to write to the process's memory, and shall not happen by accident.
    fchmod(descriptor, 0400);
    recorder_lock(file);
    return 0;
}

int recorder_create(const char *pattern, const struct recorder_keep *keep, struct recorder_file *file)
{
    enum { NUMBERS = 1000 };
    static char path[PATH_MAX], numbered[PATH_MAX]; // of the one thread that makes a file
    if (!expand(pattern, path))
        return ENAMETOOLONG;
    int error = create_named(path, file);
    if (error == EEXIST && !keep->always && make_room(path))
        error = create_named(path, file);
    for (unsigned number = 1; error == EEXIST && number <= NUMBERS; number++) {
        if (!number_name(path, number, numbered))
            return ENAMETOOLONG;
        error = create_named(numbered, file);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Removing old ones

enum { LEFT_MOST = 512, ENTRIES_MOST = 1 << 16 };

struct candidate {
    char name[NAME_MAX + 1];
    uint64_t made, bytes;
};

struct folder {
    int descriptor;
    struct candidate *candidates;
    unsigned count;
    uint64_t bytes;
    const struct recorder_file *own;
    struct tm_recorder_note self;
    char program[16];
};

struct entry { // of getdents64()
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void add_candidate(struct folder *folder, const char *name)
{
    struct left left;
    struct stat status;
    if (folder->count == LEFT_MOST || strlen(name) > NAME_MAX ||
        !self_stat(folder->descriptor, name, AT_SYMLINK_NOFOLLOW, &status) || !S_ISREG(status.st_mode) ||
        (status.st_dev == folder->own->device && status.st_ino == folder->own->inode))
        return;
    int descriptor = open_left(folder->descriptor, name, &folder->self, folder->program, &left, &status);
    if (descriptor < 0)
        return;
    close(descriptor);
    struct candidate *candidate = &folder->candidates[folder->count++];
    strcpy(candidate->name, name);
    candidate->made = left.note.made;
    candidate->bytes = (uint64_t)status.st_blocks * 512;
    folder->bytes += candidate->bytes;
}

/** Call `visit` for each name. */
static unsigned list_folder(struct folder *folder, void (*visit)(struct folder *folder, const char *name))
{
    static _Alignas(struct entry) char buffer[8192]; // of the one thread that makes a file
    unsigned count = 0;
    long got;
    lseek(folder->descriptor, 0, SEEK_SET);
    while (count < ENTRIES_MOST && (got = syscall(SYS_getdents64, folder->descriptor, buffer, sizeof buffer)) > 0)
        for (long at = 0; at + (long)offsetof(struct entry, name) < got && count < ENTRIES_MOST;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            if (entry->length == 0)
                return count;
            if (entry->name[0] != '.') {
                count++;
                if (visit != NULL)
                    visit(folder, entry->name);
            }
            at += entry->length;
        }
    return count;
}

static void remove_oldest(struct folder *folder)
{
    struct candidate *oldest = folder->candidates, *last = folder->candidates + --folder->count;
    for (struct candidate *candidate = folder->candidates; candidate <= last; candidate++)
        if (candidate->made < oldest->made)
            oldest = candidate;
    unlinkat(folder->descriptor, oldest->name, 0);
    folder->bytes -= oldest->bytes;
    *oldest = *last;
}

void recorder_prune(const struct recorder_file *file, const struct recorder_keep *keep, bool always)
{
    int saved = errno;
    static char path[PATH_MAX];
    struct folder folder = {.own = file};
    strcpy(path, file->path);
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
    folder.descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.descriptor < 0)
        return (void)(errno = saved);
    if (always || list_folder(&folder, NULL) > keep->files + 1)
        folder.candidates = pages_map(LEFT_MOST * sizeof *folder.candidates);
    if (folder.candidates != NULL) {
        recorder_program(folder.program);
        self_describe(&folder.self);
        list_folder(&folder, add_candidate);
        while (folder.count > 0 && (folder.count > keep->files || folder.bytes > keep->bytes))
            remove_oldest(&folder);
        pages_unmap(folder.candidates, LEFT_MOST * sizeof *folder.candidates);
    }
    close(folder.descriptor);
    errno = saved;
}
