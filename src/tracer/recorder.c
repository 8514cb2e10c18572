// The file as the table's memory: moving the table there, growing, and the end. Knows the table's root and its own mappings,
// and files by recorder_place.h; no hook.

#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "environment.h"
#include "pages.h"
#include "recorder_head.h"
#include "recorder_place.h"
#include "recorder_self.h"
#include "recording.h"
#include "say.h"
#include "table.h"

/** What the file has of the table, at its addresses in memory. */
struct segment {
    char *address;
    size_t size;
    uint64_t offset;
};

static struct {
    struct recorder_wish wish;
    char before[sizeof(((struct recorder_wish *)0)->pattern)]; // recorder_want()
    struct recorder_file file;
    struct segment segments[TM_RECORDER_SEGMENTS];
    unsigned count;
    char *head;      // the first TM_RECORDER_HEADER bytes of the file, mapped
    uint64_t length; // of the file
    pid_t process;   // that made it
    time_t refused;  // when the file could not be made longer; 0: it could
    bool asked, begun, on, cut, guarded;
} recorder = {.file.descriptor = -1};

__attribute__((visibility("default"))) uint8_t tracemortem_file_identity[16];

// The root as it was when it last changed where it leads to.
static struct tm_root kept_root;

bool recorder_is_on(void)
{
    return recorder.on;
}

bool recorder_is_cut(void)
{
    return recorder.cut;
}

bool recorder_may_write(void)
{
    return !recorder.cut && (!recorder.on || self_pid() == recorder.process);
}

void recorder_keep_root(void)
{
    if (recorder.on)
        kept_root = *table;
}

// ---------------------------------------------------------------------------------------------------------------
// Space

/** A file's limit is not to cost the program its life: SIGXFSZ is taken back. */
static int reserve_quietly(int descriptor, uint64_t offset, uint64_t size)
{
    enum { TRIES = 1000 };
    sigset_t too_large, before, pending;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && offset + size > limit.rlim_cur)
        return EFBIG;
    sigemptyset(&too_large);
    sigaddset(&too_large, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &too_large, &before);
    int error = EINTR;
    for (int i = 0; i < TRIES && error == EINTR; i++)
        error = fallocate(descriptor, 0, (off_t)offset, (off_t)size) == 0 ? 0 : errno;
    if (error == EFBIG && !sigismember(&pending, SIGXFSZ))
        sigtimedwait(&too_large, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/** Reserve `size` bytes behind the file's end. They are the table's when they are mapped. 0, or errno. */
static int reserve(size_t size)
{
    int descriptor = recorder_descriptor(&recorder.file);
    return descriptor < 0 ? errno : reserve_quietly(descriptor, recorder.length, size);
}

static void *map_file(void *address, size_t size, int more_flags, uint64_t offset)
{
    void *memory =
        mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | more_flags, recorder.file.descriptor, (off_t)offset);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_NOHUGEPAGE);
    return memory;
}

// ---------------------------------------------------------------------------------------------------------------
// Segments

/** The file has memory at an address from an offset on: behind the last segment, or in a new one. False: too many. */
static bool add_segment(char *address, size_t size, uint64_t offset)
{
    struct segment *last = recorder.count == 0 ? NULL : &recorder.segments[recorder.count - 1];
    if (last != NULL && last->address + last->size == address && last->offset + last->size == offset) {
        last->size += size;
    } else {
        if (recorder.count == TM_RECORDER_SEGMENTS)
            return false;
        recorder.segments[recorder.count++] = (struct segment){address, size, offset};
    }
    return true;
}

/** The headers say what a segment is. */
static void show_segment(unsigned index)
{
    const struct segment *segment = &recorder.segments[index];
    recorder_head_segment(recorder.head, index, (uint64_t)(uintptr_t)segment->address, segment->offset, segment->size);
}

static void show_segments(void)
{
    for (unsigned i = 0; i < recorder.count; i++)
        show_segment(i);
}

static bool is_in_table(const char *address)
{
    for (unsigned i = 0; i < recorder.count; i++)
        if ((uintptr_t)(address - recorder.segments[i].address) < recorder.segments[i].size)
            return true;
    return recorder.head != NULL && (uintptr_t)(address - recorder.head) < TM_RECORDER_HEADER;
}

// ---------------------------------------------------------------------------------------------------------------
// Growing

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18 // from Linux 4.14 on
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 // an older kernel takes the address for a hint
#endif

/** Map the file's last `size` bytes, behind the last segment if the addresses are free. */
static char *map_end(size_t size, uint64_t offset)
{
    const struct segment *last = &recorder.segments[recorder.count - 1];
    char *behind = last->address + last->size, *memory = map_file(behind, size, MAP_FIXED_NOREPLACE, offset);
    if (memory == behind)
        return memory;
    if (memory != NULL)
        munmap(memory, size);
    // Addresses with room behind them, which are asked for until they are used.
    static void *gap;
    if (gap == NULL)
        gap = pages_gap();
    memory = recorder.count == TM_RECORDER_SEGMENTS ? NULL : map_file(gap, size, 0, offset);
    if (memory != NULL)
        gap = NULL;
    return memory;
}

static void *refuse(int error)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    recorder.refused = now.tv_sec + 1; // and not 0
    table->recorder.error = (uint32_t)error;
    table->recorder.refused++;
    return NULL;
}

/** Where there is no space, asking at each allocation would cost the program its time. */
static bool was_just_refused(void)
{
    struct timespec now;
    if (recorder.refused == 0)
        return false;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec + 1 == recorder.refused;
}

void *recorder_map(size_t size)
{
    int saved = errno;
    if (recorder.cut)
        return NULL;
    if (was_just_refused()) {
        table->recorder.refused++;
        return NULL;
    }
    uint64_t offset = recorder.length;
    int error = reserve(size);
    char *memory = error == 0 ? map_end(size, offset) : NULL;
    if (memory == NULL) {
        refuse(error == 0 ? ENOMEM : error);
    } else {
        recorder.length += size;
        recorder.refused = 0;
        if (add_segment(memory, size, offset))
            show_segment(recorder.count - 1);
    }
    errno = saved;
    return memory;
}

void recorder_unmap(void *memory, size_t size)
{
    // The addresses stay the file's. Its space goes back to the system.
    int saved = errno;
    if (madvise(memory, size, MADV_REMOVE) != 0)
        madvise(memory, size, MADV_DONTNEED);
    errno = saved;
}

size_t recorder_room(void)
{
    // A larger table grows in larger steps.
    enum { LEAST = 1 << 18, MOST = 1 << 22, STEP = 1 << 16 };
    size_t room = recorder.length / 16 / STEP * STEP;
    return room < LEAST ? LEAST : room > MOST ? MOST : room;
}

// ---------------------------------------------------------------------------------------------------------------
// Moving into a file

static int write_all(const char *from, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t written = pwrite(recorder.file.descriptor, from, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written == 0 ? EIO : errno;
        from += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

/** Make a file with room for the segments, and map its head. 0, or errno. */
static int create_file(uint64_t length)
{
    int error = recorder_create(recorder.wish.pattern, &recorder.wish.keep, &recorder.file);
    if (error != 0)
        return error;
    recorder.length = 0;
    error = reserve(length);
    recorder.length = length;
    recorder.head = error != 0 ? NULL : map_file(NULL, TM_RECORDER_HEADER, 0, 0);
    if (error == 0 && recorder.head == NULL)
        error = errno;
    recorder.process = self_pid();
    return error;
}

static void delete_file(void)
{
    if (recorder.head != NULL)
        munmap(recorder.head, TM_RECORDER_HEADER);
    recorder.head = NULL;
    if (recorder.file.descriptor >= 0) {
        recorder_remove(&recorder.file);
        close(recorder.file.descriptor);
    }
    recorder.file.descriptor = -1;
}

/** Private memory with the same contents, in place of what is at a segment's addresses. */
static bool make_private(const struct segment *segment, const char *contents)
{
    char *memory =
        mmap(NULL, segment->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    madvise(memory, segment->size, MADV_NOHUGEPAGE);
    memcpy(memory, contents, segment->size);
    if (mremap(memory, segment->size, segment->size, MREMAP_MAYMOVE | MREMAP_FIXED, segment->address) != MAP_FAILED)
        return true;
    munmap(memory, segment->size);
    return false;
}

/** Fill the file with the segments' contents, and then map it at their addresses. 0, or errno. */
static int fill_file(const char *copy)
{
    int error = 0;
    for (unsigned i = 0; i < recorder.count && error == 0; i++) {
        const struct segment *segment = &recorder.segments[i];
        const char *from = copy == NULL ? segment->address : copy + (segment->offset - TM_RECORDER_HEADER);
        error = write_all(from, segment->size, segment->offset);
    }
    return error;
}

/** False: a part of the table is in the file and a part is not, or it is nowhere. */
static bool map_segments(void)
{
    for (unsigned i = 0; i < recorder.count; i++) {
        const struct segment *segment = &recorder.segments[i];
        if (map_file(segment->address, segment->size, MAP_FIXED, segment->offset) == NULL)
            return false;
    }
    return true;
}

/** The table is in the file now. */
static void say_where(void)
{
    struct tm_recorder_note *note = recorder_head_note(recorder.head);
    self_random(note->identity, sizeof note->identity);
    note->root = (uint64_t)(uintptr_t)table;
    note->made = table_now();
    memcpy(table->recorder.identity, note->identity, sizeof note->identity);
    memcpy(tracemortem_file_identity, note->identity, sizeof note->identity);
    table->recorder.state = TM_RECORDER_FILE;
    table->recorder.error = 0;
    recorder.on = true;
    recorder_keep_root();
}

/** The switch is 0 in each child, until our handler puts it there. Recording is off. */
static void switch_off_in_children(void)
{
    void *page = &recording_page;
    // The kernel does that for anonymous memory only. If the addresses were not replaced, the page is the library's as before.
    if (mmap(page, sizeof recording_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        page)
        madvise(page, sizeof recording_page, MADV_WIPEONFORK);
}

static const char *why_no_file(int error)
{
    if (error == EOPNOTSUPP || error == ENODEV || error == ENOSYS)
        return "its file system cannot reserve space for a file that is mapped";
    return error == ENOTBLK ? "this system's pages do not have 4096 bytes" : strerror(error);
}

static void complain(int error)
{
    char shown[256];
    snprintf(shown, sizeof shown, "%.255s", recorder.wish.pattern);
    for (char *at = shown; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            *at = '?';
    say("TRACEMORTEM_FILE=%s: %s; continuing with the trace table in memory alone", shown, why_no_file(error));
}

/** The segments are what the table has mapped until now. */
static void find_segments(void)
{
    uint64_t offset = TM_RECORDER_HEADER;
    for (uint32_t id = 1; id < table->own.count; id++) {
        const struct tm_own *own = TABLE_OWN(id);
        if (own->size == 0 || own->kind != TM_OWN_TABLE)
            continue;
        add_segment((char *)(uintptr_t)own->address, own->size, offset);
        offset += own->size;
    }
    recorder.length = offset;
}

static int begin(void)
{
    if (sysconf(_SC_PAGESIZE) != (long)PAGE_BYTES)
        return ENOTBLK;
    if (!recorder_pattern_complete(recorder.wish.pattern))
        return errno == 0 ? ENAMETOOLONG : errno;
    find_segments();
    int error = create_file(recorder.length);
    if (error == 0)
        error = fill_file(NULL);
    if (error == 0) {
        recorder_head_init(recorder.head, recorder.wish.arguments);
        show_segments();
        if (!map_segments())
            error = ENOMEM;
    }
    return error;
}

void recorder_ask(void)
{
    if (!recorder.asked)
        environment_recorder(&recorder.wish);
    recorder.asked = true;
}

bool recorder_want(const char *pattern)
{
    if (recorder.begun || !recorder_pattern_is_sound(pattern) || strlen(pattern) >= sizeof recorder.wish.pattern)
        return false;
    recorder_ask();
    strcpy(recorder.before, recorder.wish.pattern);
    strcpy(recorder.wish.pattern, pattern);
    return true;
}

void recorder_unwant(void)
{
    if (!recorder.begun)
        strcpy(recorder.wish.pattern, recorder.before);
}

void recorder_begin(void)
{
    int saved = errno;
    if (recorder.begun)
        return;
    recorder.begun = true;
    recorder_ask();
    if (recorder.wish.pattern[0] == '\0')
        return;
    errno = 0;
    int error = begin();
    if (error == 0) {
        pages_leave_gap();
        switch_off_in_children();
        say_where();
        ends_watch();
        recorder_prune(&recorder.file, &recorder.wish.keep, true);
    } else {
        table->recorder.error = (uint32_t)error;
        delete_file();
        complain(error);
    }
    errno = saved;
}

// ---------------------------------------------------------------------------------------------------------------
// A forked child

size_t recorder_size(void)
{
    return recorder.length - TM_RECORDER_HEADER;
}

void recorder_copy(char *to)
{
    for (unsigned i = 0; i < recorder.count; i++)
        memcpy(to + (recorder.segments[i].offset - TM_RECORDER_HEADER), recorder.segments[i].address,
               recorder.segments[i].size);
}

static void forget_identity(void)
{
    memset(tracemortem_file_identity, 0, sizeof tracemortem_file_identity);
}

/** Zeros in place of all that the table was, and the root as it led there. False: a part of it is still the file's. */
static bool clear_segments(void)
{
    bool cleared = true;
    for (unsigned i = 0; i < recorder.count; i++)
        cleared &= mmap(recorder.segments[i].address, recorder.segments[i].size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
    if (cleared)
        *table = kept_root;
    return cleared;
}

void recorder_give_up(void)
{
    __atomic_store_n(&recording_switch, 0, __ATOMIC_SEQ_CST);
    recorder.on = false;
    recorder.cut = true;
    forget_identity();
    // A file of its own may be torn.
    if (self_pid() == recorder.process)
        delete_file();
    // What is left of the parent's pages is never written: the recorder is cut.
    if (!clear_segments())
        return;
    memset(table->recorder.identity, 0, sizeof table->recorder.identity);
    table->recorder.state = TM_RECORDER_PRIVATE;
    table->recorder.error = ENOMEM;
    table->pid = (uint32_t)self_pid();
    table->started = 0;
    table->state = TM_STATE_STOPPED;
}

/** The child's table goes on in memory of its own. */
static void renew_in_memory(const char *copy, int error)
{
    for (unsigned i = 0; i < recorder.count; i++) {
        const struct segment *segment = &recorder.segments[i];
        const char *from = copy == NULL ? segment->address : copy + (segment->offset - TM_RECORDER_HEADER);
        if (!make_private(segment, from))
            return recorder_give_up();
    }
    recorder.on = false;
    forget_identity();
    memset(table->recorder.identity, 0, sizeof table->recorder.identity);
    table->recorder.state = TM_RECORDER_PRIVATE;
    table->recorder.error = (uint32_t)error;
}

void recorder_renew(const char *copy)
{
    int saved = errno;
    char *old_head = recorder.head;
    int old_descriptor = recorder.file.descriptor;
    uint64_t length = recorder.length;
    dev_t device = recorder.file.device;
    ino_t inode = recorder.file.inode;
    recorder.file.descriptor = -1;
    recorder.head = NULL;
    recorder.refused = 0;
    int error = create_file(length);
    if (error == 0)
        error = fill_file(copy);
    if (error == 0) {
        memcpy(recorder.head, old_head, TM_RECORDER_HEADER);
        recorder_head_renew(recorder.head, recorder.wish.arguments);
        show_segments();
        if (map_segments())
            say_where();
        else
            recorder_give_up();
    } else {
        delete_file();
        renew_in_memory(copy, error);
    }
    munmap(old_head, TM_RECORDER_HEADER);
    struct stat status;
    if (old_descriptor >= 0 && self_stat_open(old_descriptor, &status) && status.st_ino == inode &&
        status.st_dev == device)
        close(old_descriptor);
    errno = saved;
}

void recorder_tidy(void)
{
    if (recorder.on)
        recorder_prune(&recorder.file, &recorder.wish.keep, false);
}

// ---------------------------------------------------------------------------------------------------------------
// The end

static bool is_maker(void)
{
    return recorder.on && self_pid() == recorder.process;
}

static void store_end(enum tm_recorder_end end, int status)
{
    struct tm_recorder_note *note = recorder_head_note(recorder.head);
    note->status = status;
    note->ended = end == TM_RECORDER_END_NONE ? 0 : table_now();
    __atomic_store_n(&note->end, (uint32_t)end, __ATOMIC_RELEASE);
}

void recorder_end(int status)
{
    if (!is_maker())
        return;
    // What the parent of the process will see.
    status &= 0xff;
    store_end(status == 0 ? TM_RECORDER_END_CLEAN : TM_RECORDER_END_EXIT, status);
    if (status == 0 && !recorder.wish.keep.always)
        recorder_remove(&recorder.file);
}

bool recorder_end_by_exec(void)
{
    if (!is_maker())
        return false;
    store_end(TM_RECORDER_END_EXEC, 0);
    if (!recorder.wish.keep.always)
        recorder_remove(&recorder.file);
    return true;
}

void recorder_go_on(void)
{
    struct stat status;
    store_end(TM_RECORDER_END_NONE, 0);
    if (self_stat(AT_FDCWD, recorder.file.path, AT_SYMLINK_NOFOLLOW, &status) && status.st_ino == recorder.file.inode)
        return;
    recorder_renew(NULL);
    recorder_tidy();
}

// ---------------------------------------------------------------------------------------------------------------
// A file that somebody else has cut

static struct sigaction before_us;

/** The page at an address is gone with the file's end. Its zeros are all that is left, and of the root the copy. */
static bool put_page(char *address)
{
    char *page = (char *)((uintptr_t)address & ~(uintptr_t)(PAGE_BYTES - 1)), *root = (char *)table;
    if (mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    if (page >= root && page < root + sizeof kept_root) {
        size_t from = (size_t)(page - root), left = sizeof kept_root - from;
        memcpy(page, (const char *)&kept_root + from, left < PAGE_BYTES ? left : PAGE_BYTES);
    }
    return true;
}

/** Call the program's handler as the kernel would have called it. */
static void call_programs(int number, siginfo_t *info, void *context)
{
    struct sigaction programs = before_us;
    sigset_t blocked = programs.sa_mask, before;
    if (!(programs.sa_flags & SA_NODEFER))
        sigaddset(&blocked, number);
    if (programs.sa_flags & SA_RESETHAND)
        before_us = (struct sigaction){.sa_handler = SIG_DFL};
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (programs.sa_flags & SA_SIGINFO)
        programs.sa_sigaction(number, info, context);
    else
        programs.sa_handler(number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((before_us.sa_flags & SA_SIGINFO) || before_us.sa_handler != SIG_DFL) {
        call_programs(number, info, context);
    } else {
        // The faulting instruction runs again, or the signal comes again, without us.
        sigaction(number, &before_us, NULL);
        if (info->si_code <= 0)
            raise(number);
    }
}

static void end_recording(void)
{
    __atomic_store_n(&recording_switch, 0, __ATOMIC_SEQ_CST);
    recorder.cut = true;
    table->started = 0;
    table->state = TM_STATE_STOPPED;
    table->recorder.state = TM_RECORDER_CUT;
}

static void lose_table(void)
{
    if (!clear_segments())
        *table = kept_root;
    end_recording();
}

void recorder_check(void)
{
    // No signal comes for a page that was cut in the middle, nor for a file that is as long as before.
    if (recorder.on && !recorder.cut &&
        memcmp(table->recorder.identity, tracemortem_file_identity, sizeof tracemortem_file_identity) != 0)
        lose_table();
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code <= 0 || !is_in_table(info->si_addr) || !put_page(info->si_addr)) {
        pass_on(number, info, context);
        errno = saved;
        return;
    }
    end_recording();
    errno = saved;
}

void recorder_guard(void)
{
    if (!recorder.on || recorder.guarded)
        return;
    if (sigaction(SIGBUS, NULL, &before_us) != 0)
        return;
    bool has_handler = (before_us.sa_flags & SA_SIGINFO) || before_us.sa_handler != SIG_DFL;
    // Programs that this one becomes ignore the signal, too: a handler would be lost on exec, and with it that they do.
    if (has_handler && !(before_us.sa_flags & SA_SIGINFO) && before_us.sa_handler == SIG_IGN)
        return;
    // On the stack that the program's handler is on, or the alternate one; and again inside itself: the root's own page may be
    // gone, too.
    int flags = has_handler ? before_us.sa_flags & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER | flags};
    sigemptyset(&action.sa_mask);
    recorder.guarded = sigaction(SIGBUS, &action, NULL) == 0;
}
