// Writing threads, and holding them. Knows no allocator, and of the table only its lock and its memory.
//
// A thread first notes that it is busy, and then looks whether the writers are held. A thread that holds them first notes
// that, and then looks which are busy. Both are sequentially consistent, so one of the two sees the other.

#define _GNU_SOURCE
#include "writers.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "pages.h"
#include "table.h"

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static bool held;

// Shared by the threads for which there is no memory.
static struct writer shared_writer = {.taken = true};
static struct writer *writers = &shared_writer;

static __thread struct writer *own;
static __thread unsigned depth; // of updates inside updates
static __thread unsigned
    forking; // how many times this thread is inside fork(), between our handlers; it holds the writers
static pthread_key_t at_thread_end;

/** Whether neither the interpreter's lock nor a fork() of this thread keeps the other threads away. */
static bool lock_is_missing(void)
{
    return cpython.facts->free_threaded && forking == 0;
}

/** The other thread has a few hundred instructions to go. */
static void wait_a_little(void)
{
    int saved = errno;
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    errno = saved;
}

static void give_back(void *writer)
{
    table_lock();
    ((struct writer *)writer)->taken = false;
    table_unlock();
    own = NULL;
}

bool writers_create(void)
{
    return !cpython.facts->free_threaded || pthread_key_create(&at_thread_end, give_back) == 0;
}

static struct writer *find_writer(void)
{
    for (struct writer *writer = writers; writer != NULL; writer = writer->next)
        if (!writer->taken)
            return writer;
    // Not in the table's memory, which a forked child may lose.
    static struct writer *next, *end;
    if (next == end) {
        enum { BYTES = 1 << 14 };
        next = pages_map(BYTES);
        end = next == NULL ? NULL : next + BYTES / sizeof *next;
    }
    if (next == NULL)
        return NULL;
    struct writer *writer = next++;
    writer->next = writers;
    __atomic_store_n(&writers, writer, __ATOMIC_SEQ_CST);
    return writer;
}

static __attribute__((noinline)) void become_writer(void)
{
    table_lock();
    struct writer *writer = find_writer();
    if (writer != NULL)
        writer->taken = true;
    table_unlock();
    if (writer == NULL || pthread_setspecific(at_thread_end, writer) != 0)
        writer = &shared_writer;
    own = writer;
}

void writer_begin(void)
{
    if (depth++ > 0)
        return;
    if (UNLIKELY(own == NULL))
        become_writer();
    __atomic_fetch_add(&own->busy, 1, __ATOMIC_SEQ_CST);
    while (UNLIKELY(__atomic_load_n(&held, __ATOMIC_SEQ_CST))) {
        __atomic_fetch_sub(&own->busy, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&held, __ATOMIC_ACQUIRE))
            wait_a_little();
        __atomic_fetch_add(&own->busy, 1, __ATOMIC_SEQ_CST);
    }
}

void writer_end(void)
{
    if (--depth == 0)
        __atomic_fetch_sub(&own->busy, 1, __ATOMIC_RELEASE);
}

void writers_lock(void)
{
    if (!lock_is_missing())
        return;
    while (pthread_mutex_trylock(&one_at_a_time) != 0) {
        // The thread that has the lock may wait for the interpreter, and the interpreter for us: so release our thread
        // state. The interpreter may end a thread that restores its state, so it must not have the lock then.
        PyThreadState *thread = cpython_current_thread() == NULL ? NULL : PyEval_SaveThread();
        pthread_mutex_lock(&one_at_a_time);
        pthread_mutex_unlock(&one_at_a_time);
        if (thread != NULL)
            PyEval_RestoreThread(thread);
    }
}

void writers_unlock(void)
{
    if (lock_is_missing())
        pthread_mutex_unlock(&one_at_a_time);
}

void writers_hold(void)
{
    if (!lock_is_missing())
        return;
    __atomic_store_n(&held, true, __ATOMIC_SEQ_CST);
    for (struct writer *writer = __atomic_load_n(&writers, __ATOMIC_SEQ_CST); writer != NULL; writer = writer->next)
        while (__atomic_load_n(&writer->busy, __ATOMIC_SEQ_CST) != 0)
            wait_a_little();
}

void writers_release(void)
{
    if (lock_is_missing())
        __atomic_store_n(&held, false, __ATOMIC_RELEASE);
}

void writers_before_fork(void)
{
    if (lock_is_missing()) {
        pthread_mutex_lock(&one_at_a_time);
        writers_hold();
    }
    // The whole fork is one update, together with what the program's handlers change in this thread.
    depth++;
    forking++;
}

void writers_after_fork_in_parent(void)
{
    depth--;
    forking--;
    writers_release();
    writers_unlock();
}

void writers_after_fork_in_child(void)
{
    for (struct writer *writer = writers; writer != NULL; writer = writer->next)
        writer->taken = writer == own || writer == &shared_writer;
    writers_after_fork_in_parent();
}
