// The parent's side and the child's. Knows the recorder and the switch of tracing; nothing of hooks.
//
// Parent and child share one page with the state of the copy, and a pipe. Nothing is written to the pipe: the child's end is
// closed when the child has its table, when it calls exec, and when it ends. A child that closes all its descriptors closes it,
// too. So after that the parent looks whether the child is still there.

#define _GNU_SOURCE
#include "handoff.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "fork.h"
#include "pages.h"
#include "recorder.h"
#include "recorder_place.h"
#include "recorder_self.h"
#include "recording.h"
#include "table.h"

enum state {
    DUE,           // nobody has begun
    CHILD_COPIES,  // from the parent's pages, while the parent waits
    DONE,          // by the child
    PARENT_COPIES, // into memory that both share
    PARENT_DONE,
    TOO_LATE, // the parent has gone on, and the child's copy is not of one moment
};

/** What parent and child share; behind it, on the next page, is room for the parent's copy. */
struct shared {
    uint32_t state; // enum state
    int32_t child;  // its process id; 0: it has not come to our handler yet
};

static struct {
    struct shared *shared;
    size_t size;     // of its mapping
    int parents_end; // of the pipe; -1: there is none
    int childs_end;
    dev_t device; // of the pipe; the program may have closed it, and opened others of the same numbers
    ino_t inode;
    pid_t parent;
    bool alone;   // the parent had one thread only
    int recorded; // what the switch was at the fork
    bool due;     // in a child
} handoff = {.parents_end = -1, .childs_end = -1};

static __thread unsigned forking; // as in table.c
static __thread bool moving; // this thread moves the table; a signal's handler that comes meanwhile records nothing

// ---------------------------------------------------------------------------------------------------------------
// The switch

static void wait_a_little(void)
{
    int saved = errno;
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    errno = saved;
}

static void hold(void)
{
    int now = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST);
    if (now > 0)
        __atomic_store_n(&recording_switch, -now, __ATOMIC_SEQ_CST);
    // A thread without the interpreter's lock may be inside an update. It has a few hundred instructions to go, or is inside
    // realloc(); then a child counts again what it finds.
    for (unsigned i = 0; i < 500 && now > 0 && counter_any_in_flight(); i++)
        wait_a_little();
}

static void release(void)
{
    int now = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST);
    if (now < 0)
        __atomic_store_n(&recording_switch, -now, __ATOMIC_SEQ_CST);
}

void handoff_hold(void)
{
    moving = true;
    hold();
}

void handoff_release(void)
{
    release();
    moving = false;
}

bool recording_pass(int number)
{
    enum { PATIENCE = 10 * 50000 }; // of 20 microseconds: nobody waits for ever
    if (moving)
        return false;
    if (handoff_is_due())
        handoff_take();
    // Another thread of a child may be taking the table.
    if (forking == 0)
        for (unsigned i = 0; i < PATIENCE && __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST) < 0; i++)
            wait_a_little();
    int now = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST);
    return number == 0 ? now != 0 : now == number || now == -number;
}

// ---------------------------------------------------------------------------------------------------------------
// Before

/** Whether this process certainly has one thread only. */
static bool is_alone(void)
{
    // glibc has it from 2.32 on.
    static const char *single;
    static bool looked;
    if (!looked)
        single = dlsym(RTLD_DEFAULT, "__libc_single_threaded");
    looked = true;
    return single != NULL && *single != 0;
}

static bool map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    handoff.shared = memory == MAP_FAILED ? NULL : memory;
    handoff.size = size;
    return handoff.shared != NULL;
}

static void unmap_shared(void)
{
    if (handoff.shared != NULL)
        munmap(handoff.shared, handoff.size);
    handoff.shared = NULL;
}

static bool is_end(int end)
{
    struct stat status;
    return end >= 0 && self_stat_open(end, &status) && status.st_dev == handoff.device &&
           status.st_ino == handoff.inode;
}

static void close_end(int *end)
{
    if (is_end(*end))
        close(*end);
    *end = -1;
}

static void open_pipe(void)
{
    int ends[2];
    struct stat status;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    if (!self_stat_open(ends[0], &status)) {
        close(ends[0]);
        close(ends[1]);
        return;
    }
    handoff.device = status.st_dev;
    handoff.inode = status.st_ino;
    handoff.parents_end = recorder_raise(ends[0]);
    handoff.childs_end = recorder_raise(ends[1]);
}

void handoff_announce_fork(void)
{
    if (forking == 0 && recorder_is_on() && !recorder_is_cut() && !handoff_is_due())
        hold();
}

void handoff_before_fork(void)
{
    if (handoff_is_due())
        handoff_take();
    if (forking++ > 0)
        return;
    handoff.recorded = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST);
    if (!recorder_is_on() || recorder_is_cut())
        return;
    int saved = errno;
    // Where memory is short, the parent makes no copy.
    if (!map_shared(PAGE_BYTES + recorder_size()))
        map_shared(PAGE_BYTES);
    if (handoff.shared != NULL)
        open_pipe();
    handoff.parent = self_pid();
    handoff.alone = is_alone();
    hold(); // another thread's fork may have ended since ours was announced
    handoff.recorded = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST);
    errno = saved;
}

// ---------------------------------------------------------------------------------------------------------------
// In the parent

static bool change_state(enum state from, enum state to)
{
    uint32_t expected = from;
    return __atomic_compare_exchange_n(&handoff.shared->state, &expected, (uint32_t)to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/** Whether the child is still there, and has called no exec: then its stack begins where ours does. */
static bool child_is_there(void)
{
    pid_t child = __atomic_load_n(&handoff.shared->child, __ATOMIC_SEQ_CST);
    uint64_t stack = child == 0 ? 0 : self_stack_start(child);
    return stack != 0 && stack == self_stack_start(self_pid());
}

/** Whether the child has closed its end, within some milliseconds. */
static bool wait_for_end(int most)
{
    struct pollfd pipe = {.fd = handoff.parents_end};
    int ready = poll(&pipe, 1, handoff.parents_end < 0 || most < 1 ? 1 : most);
    if (ready > 0 && !(pipe.revents & POLLHUP))
        handoff.parents_end = -1; // the program has closed it
    return ready > 0 && (pipe.revents & POLLHUP);
}

/** Wait until the child needs nothing any more. False: that takes longer than this, or the child cannot say so. */
static bool wait_for_child(int64_t most)
{
    int64_t end = milliseconds() + most, left;
    bool closed = false;
    while ((left = end - milliseconds()) > 0) {
        if (closed)
            poll(NULL, 0, 1);
        else
            closed = wait_for_end((int)left);
        uint32_t state = __atomic_load_n(&handoff.shared->state, __ATOMIC_SEQ_CST);
        if (state == DONE || (closed && !child_is_there()))
            return true;
        if (closed && state == DUE)
            return false;
    }
    return false;
}

static void serve_child(void)
{
    enum { FOR_EXEC = 100, WHILE_OFF = 5, FOR_COPY = 10000 }; // milliseconds
    // While nothing is recorded, most children need no table.
    bool off = __atomic_load_n(&recording_switch, __ATOMIC_SEQ_CST) == 0;
    close_end(&handoff.childs_end);
    if (!is_end(handoff.parents_end))
        handoff.parents_end = -1;
    bool has_room = handoff.size > PAGE_BYTES;
    if (!wait_for_child(off ? WHILE_OFF : FOR_EXEC)) {
        if (has_room && change_state(DUE, PARENT_COPIES)) {
            recorder_copy((char *)handoff.shared + PAGE_BYTES);
            change_state(PARENT_COPIES, PARENT_DONE);
            return;
        }
        wait_for_child(FOR_COPY);
    }
    // From here on the parent changes what the child would copy.
    if (!change_state(DUE, TOO_LATE))
        change_state(CHILD_COPIES, TOO_LATE);
}

void handoff_after_fork_in_parent(void)
{
    if (--forking > 0 || !recorder_is_on())
        return;
    int saved = errno;
    if (handoff.shared != NULL)
        serve_child();
    close_end(&handoff.parents_end);
    unmap_shared();
    release();
    errno = saved;
}

// ---------------------------------------------------------------------------------------------------------------
// In the child

bool handoff_is_due(void)
{
    // A child's own handlers may come before ours.
    return recorder_is_on() && handoff.parent != 0 &&
           (__atomic_load_n(&handoff.due, __ATOMIC_SEQ_CST) || (forking > 0 && self_pid() != handoff.parent));
}

/** Whose copy it is: the parent's, or, at NULL, what is in the parent's pages. False: there is none. */
static bool find_copy(const char **copy)
{
    enum { PATIENCE = 10 * 50000 };
    *copy = NULL;
    if (handoff.shared == NULL)
        return false;
    if (change_state(DUE, CHILD_COPIES))
        return true;
    *copy = (const char *)handoff.shared + PAGE_BYTES;
    for (unsigned i = 0; i < PATIENCE; i++) {
        uint32_t state = __atomic_load_n(&handoff.shared->state, __ATOMIC_SEQ_CST);
        if (state != PARENT_COPIES)
            return state == PARENT_DONE;
        wait_a_little();
    }
    return false;
}

/** Whether taking the table is up to the calling thread. Before our handler no other thread is there. */
static bool claim(void)
{
    bool due = __atomic_exchange_n(&handoff.due, false, __ATOMIC_SEQ_CST);
    bool claimed = due || (forking > 0 && handoff.parent != 0 && self_pid() != handoff.parent);
    if (claimed)
        handoff.parent = 0;
    return claimed;
}

/** Holding the table's lock. */
static void move_table(void)
{
    const char *copy;
    if (!find_copy(&copy)) {
        recorder_give_up();
        return;
    }
    recorder_renew(copy);
    if (copy == NULL && !change_state(CHILD_COPIES, DONE))
        recorder_give_up();
}

void handoff_take(void)
{
    int saved = errno;
    if (!claim())
        return;
    moving = true;
    table_lock();
    move_table();
    table_unlock();
    close_end(&handoff.parents_end);
    close_end(&handoff.childs_end);
    unmap_shared();
    recorder_tidy();
    if (!recorder_is_cut()) {
        table->pid = (uint32_t)self_pid();
        fork_repair(!handoff.alone);
    }
    handoff_release();
    errno = saved;
}

void handoff_after_fork_in_child(void)
{
    if (--forking > 0)
        return;
    // The page of the switch may be zeros in a child.
    int off = 0;
    if (!recorder_is_cut())
        __atomic_compare_exchange_n(&recording_switch, &off, handoff.recorded, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    if (handoff.parent == 0)
        release(); // a handler before ours has had the table taken
    if (!recorder_is_on() || recorder_is_cut() || handoff.parent == 0)
        return;
    handoff.due = true;
    if (handoff.shared != NULL)
        __atomic_store_n(&handoff.shared->child, (int32_t)self_pid(), __ATOMIC_SEQ_CST);
    close_end(&handoff.parents_end);
}
