// Our functions in the interpreter's slots for a semaphore and the clock. Knows how to tell their caller; nothing of the table
// that the semaphore guards.
//
// A path is a call's return addresses, from ours up to the one in CPython's function. It is exact: the code at a return
// address always has the same stack frame, so the next return address is always the same number of words away.

#define _GNU_SOURCE
#include "tables_lock.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "interpreter.h"
#include "likely.h"
#include "modules.h"
#include "probe.h"

// ---------------------------------------------------------------------------------------------------------------
// Paths

/** Words on the stack that are as they were when the path was learned; how far each is from our return address. */
struct path {
    unsigned count;
    struct {
        ptrdiff_t distance;
        uintptr_t address;
    } steps[PROBE_STEPS];
};

enum { PATHS = 2 }; // CPython's function may call in two places

struct callers {
    unsigned count; // threads without the interpreter's lock read it: a path is complete before it counts
    struct path paths[PATHS];
};

static bool is_path(const struct path *path, const uintptr_t *own)
{
    for (unsigned i = 0; i < path->count; i++)
        if (own[path->steps[i].distance] != path->steps[i].address)
            return false;
    return true;
}

static ALWAYS_INLINE bool is_called_by(const struct callers *callers, const uintptr_t *own)
{
    for (unsigned i = __atomic_load_n(&callers->count, __ATOMIC_ACQUIRE); i-- > 0;)
        if (UNLIKELY(*own == callers->paths[i].steps[0].address) && is_path(&callers->paths[i], own))
            return true;
    return false;
}

/** Remember who calls, if it is the function that is being tried out. The newest step is ours, so that the others exist. */
static bool learn(struct callers *callers, const uintptr_t *own)
{
    struct probe_path probed;
    if (!probe_path(own, &probed))
        return false;
    if (is_called_by(callers, own))
        return true;
    if (callers->count == PATHS || probed.steps[probed.count - 1].word != own)
        return false;
    struct path *path = &callers->paths[callers->count];
    for (unsigned i = 0; i < probed.count; i++) {
        const struct probe_step *step = &probed.steps[probed.count - 1 - i];
        path->steps[i].distance = step->word - own;
        path->steps[i].address = step->address;
    }
    path->count = probed.count;
    __atomic_store_n(&callers->count, callers->count + 1, __ATOMIC_RELEASE);
    return true;
}

static void forget(struct callers *callers)
{
    __atomic_store_n(&callers->count, 0, __ATOMIC_RELEASE);
}

// ---------------------------------------------------------------------------------------------------------------
// In place of libc's functions

static int (*real_wait)(sem_t *);
static int (*real_post)(sem_t *);
static int (*real_clock)(clockid_t, struct timespec *);

static bool learning;          // changes with the interpreter's lock only
static struct callers reading; // CPython's function, where it reads the clock
static sem_t *lock;            // for which it waits next

// Where the calling thread is in CPython's function.
static __thread enum { OUTSIDE, BEFORE_LOCK, WITHOUT_LOCK } place;

static int own_clock(clockid_t clock, struct timespec *time)
{
    const uintptr_t *own = OWN_RETURN_ADDRESS;
    if (UNLIKELY(is_called_by(&reading, own))) {
        place = BEFORE_LOCK;
        *time = (struct timespec){0}; // only needed for waiting with a time limit
        return 0;
    }
    if (UNLIKELY(learning) && learn(&reading, own))
        place = BEFORE_LOCK;
    return real_clock(clock, time);
}

static int own_wait(sem_t *semaphore)
{
    if (LIKELY(place != BEFORE_LOCK))
        return real_wait(semaphore);
    place = OUTSIDE;
    if (UNLIKELY(learning)) {
        lock = semaphore;
        return real_wait(semaphore);
    }
    if (semaphore != lock)
        return real_wait(semaphore);
    place = WITHOUT_LOCK;
    return 0;
}

static int own_post(sem_t *semaphore)
{
    if (place != WITHOUT_LOCK || semaphore != lock)
        return real_post(semaphore);
    place = OUTSIDE;
    return 0;
}

void tables_lock_take(void)
{
    if (place != WITHOUT_LOCK)
        return;
    place = OUTSIDE;
    while (real_wait(lock) != 0)
        continue; // a signal
}

// ---------------------------------------------------------------------------------------------------------------
// The slots

struct replacement {
    const char *name;
    void *ours, **real;
};
static const struct replacement replacements[] = {
    {"sem_wait", (void *)own_wait, (void **)&real_wait},
    {"sem_post", (void *)own_post, (void **)&real_post},
    {"clock_gettime", (void *)own_clock, (void **)&real_clock},
};
enum { REPLACEMENTS = sizeof replacements / sizeof *replacements };

struct change {
    const struct module *module;
    bool put; // our functions, or libc's
};

static void *choose(void *context, const char *name, void *now)
{
    const struct change *change = context;
    for (const struct replacement *r = replacements; r < replacements + REPLACEMENTS; r++) {
        if (strcmp(name, r->name) != 0)
            continue;
        if (!change->put)
            return now == r->ours ? *r->real : NULL;
        // Before its first call a slot points to the linker's code in the module itself.
        if (now != r->ours && !module_contains(change->module, now))
            *r->real = now;
        return r->ours;
    }
    return NULL;
}

static int change_slots(struct dl_phdr_info *info, size_t size, void *context)
{
    struct change *change = context;
    struct module module;
    (void)size;
    if (!module_init(&module, info) || !interpreter_is(&module))
        return 0;
    change->module = &module;
    return module_change_slots(&module, choose, change) ? 1 : -1;
}

static bool put_slots(bool put)
{
    for (const struct replacement *r = replacements; r < replacements + REPLACEMENTS; r++)
        if (*r->real == NULL && (*r->real = dlsym(RTLD_DEFAULT, r->name)) == NULL)
            return false;
    return dl_iterate_phdr(change_slots, &(struct change){.put = put}) == 1;
}

// ---------------------------------------------------------------------------------------------------------------

bool tables_lock_skip(bool (*try_out)(void))
{
    lock = NULL;
    bool put = put_slots(true);
    learning = true;
    // When a slot is used for the first time, the linker's own calls are on the stack too. So the second time counts.
    bool tried = put && try_out();
    forget(&reading);
    tried = tried && try_out() && lock != NULL;
    learning = false;
    if (!tried)
        tables_lock_restore(true);
    return tried;
}

void tables_lock_restore(bool alone)
{
    forget(&reading);
    if (alone && real_wait != NULL)
        put_slots(false);
}
