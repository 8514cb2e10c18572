/**
 * Many real threads write the table at once, and none holds a lock of CPython's: a double for interpreters without one. It
 * is built with the tracer's own sources and ThreadSanitizer. This file simulates the CPython around them: allocators,
 * thread states, frames, code objects.
 *
 * Each thread belongs to an interpreter of its own, so all its blocks are counted as shared. In the end the table must have
 * exactly what the threads hold. Then all is freed, while another thread keeps clearing, and nothing may be left.
 *
 * With FREE_THREADED the double is CPython 3.13t, and tracing is also stopped and started meanwhile. An argument names the
 * profile to begin with.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracer/counters.h"
#include "tracer/map.h"
#include "tracer/tracing.h"

enum { THREADS = 8, BLOCKS = 400, CODES = 5, DEPTH = 6, MAIN_INTERPRETER = 1 };

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.12, or 3.13t, as far as the tracer reads it: see facts/3.12.h and facts/3.13t.h

#ifdef FREE_THREADED
#define VERSION "3.13.99 experimental free-threading build (a double)"
enum { HEAD = 32, CODE_SIZE = 216, FIRST_LINE = 84, FILENAME = 128, QUALNAME = 144, FIRST_TRACEABLE = 200 };
#else
#define VERSION "3.12.99 (a double)"
enum { HEAD = 16, CODE_SIZE = 192, FIRST_LINE = 68, FILENAME = 112, QUALNAME = 128, FIRST_TRACEABLE = 176 };
#endif

struct object {
    char gap[HEAD - sizeof(void *)];
    const void *type;
};

struct text {
    struct object head;
    const char *characters;
};

struct code {
    struct object head;
    long size; // code units
    char gap1[FIRST_LINE - HEAD - 8];
    int first_line;
    char gap2[FILENAME - FIRST_LINE - 4];
    void *filename;
    char gap3[QUALNAME - FILENAME - 8];
    void *qualname;
    void *lines;
    char gap4[FIRST_TRACEABLE - QUALNAME - 16];
    int first_traceable;
    char gap5[CODE_SIZE - FIRST_TRACEABLE - 4];
    unsigned char bytecode[256];
};

struct frame {
    struct code *code;
    struct frame *previous;
    char gap1[40]; // to 56
    unsigned char *instruction;
    char gap2[6]; // to 70
    char owner;
};

struct thread_state {
    char gap1[16];
    uintptr_t interpreter;
    char gap2[32];         // to 56
    struct frame **cframe; // 3.12
    char gap3[8];          // to 72
    struct frame *current; // 3.13
};

_Static_assert(__builtin_offsetof(struct code, first_line) == FIRST_LINE &&
                   __builtin_offsetof(struct code, filename) == FILENAME &&
                   __builtin_offsetof(struct code, qualname) == QUALNAME &&
                   __builtin_offsetof(struct code, lines) == QUALNAME + 8 &&
                   __builtin_offsetof(struct code, first_traceable) == FIRST_TRACEABLE &&
                   __builtin_offsetof(struct code, bytecode) == CODE_SIZE &&
                   __builtin_offsetof(struct frame, owner) == 70 &&
                   __builtin_offsetof(struct thread_state, cframe) == 56 &&
                   __builtin_offsetof(struct thread_state, current) == 72,
               "not where CPython has them");

#define FAKE __attribute__((visibility("default"), used))

struct type {
    char bytes[512];
};
// The tracer knows the types by their addresses, and asks PyCode_Type for the size of a code object's head.
FAKE struct type fake_code_type __asm__("PyCode_Type") = {.bytes = {[HEAD + 16] = (char)CODE_SIZE}};
FAKE struct type fake_str_type __asm__("PyUnicode_Type");
FAKE struct type fake_bytes_type __asm__("PyBytes_Type");
FAKE struct type fake_frame_type __asm__("PyFrame_Type");
#ifdef FREE_THREADED
// Its description of itself: it is free-threaded, and here are the fields of threads, frames and code objects.
FAKE uint64_t fake_runtime[64] __asm__("_PyRuntime") = {
    [2] = 1,  [22] = 16,    72,         [29] = 8,        0, 56, 0, 70, [35] = FILENAME, 0,
    QUALNAME, QUALNAME + 8, FIRST_LINE, [43] = CODE_SIZE};
#endif
static struct inittab no_modules[1];
FAKE struct inittab *fake_inittab __asm__("PyImport_Inittab") = no_modules;

static PyMemAllocatorEx allocators[3];
static PyObjectArenaAllocator arenas;
static __thread struct thread_state *own_state;
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

FAKE const char *fake_version(void) __asm__("Py_GetVersion");
const char *fake_version(void)
{
    return VERSION;
}
// CPython sets its allocators while other threads call them. That is its affair, so here each word is set and read at once,
// and in no order that our hooks could rely on.
enum { ALLOCATOR_WORDS = sizeof(PyMemAllocatorEx) / sizeof(uintptr_t) };
static void copy_allocator(PyMemAllocatorEx *to, const PyMemAllocatorEx *from)
{
    for (int i = 0; i < ALLOCATOR_WORDS; i++)
        __atomic_store_n((uintptr_t *)to + i, __atomic_load_n((const uintptr_t *)from + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}
FAKE void fake_get(int domain, PyMemAllocatorEx *allocator) __asm__("PyMem_GetAllocator");
void fake_get(int domain, PyMemAllocatorEx *allocator)
{
    copy_allocator(allocator, &allocators[domain]);
}
FAKE void fake_set(int domain, PyMemAllocatorEx *allocator) __asm__("PyMem_SetAllocator");
void fake_set(int domain, PyMemAllocatorEx *allocator)
{
    copy_allocator(&allocators[domain], allocator);
}
FAKE void fake_get_arenas(PyObjectArenaAllocator *allocator) __asm__("PyObject_GetArenaAllocator");
void fake_get_arenas(PyObjectArenaAllocator *allocator)
{
    *allocator = arenas;
}
FAKE void fake_set_arenas(PyObjectArenaAllocator *allocator) __asm__("PyObject_SetArenaAllocator");
void fake_set_arenas(PyObjectArenaAllocator *allocator)
{
    arenas = *allocator;
}
FAKE void *fake_current(void) __asm__("_PyThreadState_UncheckedGet");
void *fake_current(void)
{
    return own_state;
}
FAKE void *fake_own(void) __asm__("PyGILState_GetThisThreadState");
void *fake_own(void)
{
    return own_state;
}
FAKE void *fake_main(void) __asm__("PyInterpreterState_Main");
void *fake_main(void)
{
    return (void *)(uintptr_t)MAIN_INTERPRETER;
}
FAKE int fake_initialized(void) __asm__("Py_IsInitialized");
int fake_initialized(void)
{
    return 1;
}
FAKE long fake_length(const struct text *text) __asm__("PyUnicode_GetLength");
long fake_length(const struct text *text)
{
    return (long)strlen(text->characters);
}
FAKE uint32_t fake_character(const struct text *text, long index) __asm__("PyUnicode_ReadChar");
uint32_t fake_character(const struct text *text, long index)
{
    return (unsigned char)text->characters[index];
}
FAKE const char *fake_bytes(const struct text *text) __asm__("PyBytes_AsString");
const char *fake_bytes(const struct text *text)
{
    return text->characters;
}
FAKE long fake_size(const struct text *text) __asm__("PyBytes_Size");
long fake_size(const struct text *text)
{
    return (long)strlen(text->characters);
}

// A heap under a lock: the new owner of a block has seen all that its last owner did. Some blocks are not at multiples of 16.
static void *heap_malloc(void *context, size_t size)
{
    (void)context;
    pthread_mutex_lock(&heap_lock);
    char *block = malloc(size + 16);
    pthread_mutex_unlock(&heap_lock);
    return size % 7 == 3 ? block + 8 : block;
}
static void heap_free(void *context, void *block)
{
    (void)context;
    pthread_mutex_lock(&heap_lock);
    free((char *)block - (uintptr_t)block % 16);
    pthread_mutex_unlock(&heap_lock);
}
static void *heap_realloc(void *context, void *block, size_t size)
{
    void *resized = heap_malloc(context, size);
    heap_free(context, block);
    return resized;
}
static void *heap_calloc(void *context, size_t count, size_t size)
{
    return heap_malloc(context, count * size);
}

// ---------------------------------------------------------------------------------------------------------------
// The threads

static struct text names[CODES], lines = {{.type = &fake_bytes_type}, "\x81\x01\x82\x02"};
static struct code codes[CODES];

struct worker {
    pthread_t thread;
    unsigned random;
    struct thread_state state;
    struct frame frames[DEPTH];
    struct {
        void *block;
        size_t size;
        int domain;
    } held[BLOCKS];
};
static struct worker workers[THREADS];
static bool freeing; // the last phase: only free
static bool cleared_enough;

static unsigned draw(struct worker *worker, unsigned below)
{
    worker->random = worker->random * 1103515245u + 12345u;
    return (worker->random >> 8) % below;
}

/** Change to another stack. */
static void move_on(struct worker *worker)
{
    unsigned depth = 1 + draw(worker, DEPTH);
    for (unsigned i = 0; i < depth; i++) {
        struct code *code = &codes[draw(worker, CODES)];
        worker->frames[i].code = code;
        worker->frames[i].previous = i + 1 < depth ? &worker->frames[i + 1] : NULL;
        worker->frames[i].instruction = code->bytecode + 2 * draw(worker, 100);
    }
    worker->state.current = &worker->frames[0];
}

static void step(struct worker *worker)
{
    unsigned at = draw(worker, BLOCKS);
    int domain = worker->held[at].block != NULL ? worker->held[at].domain : (int)draw(worker, 3);
    PyMemAllocatorEx allocator;
    fake_get(domain, &allocator);
    size_t size = draw(worker, 4) == 0 ? draw(worker, 300000) : draw(worker, 600);
    if (worker->held[at].block == NULL) {
        worker->held[at].block = allocator.malloc(allocator.ctx, size);
    } else if (draw(worker, 2) == 0) {
        worker->held[at].block = allocator.realloc(allocator.ctx, worker->held[at].block, size);
    } else {
        allocator.free(allocator.ctx, worker->held[at].block);
        worker->held[at].block = NULL;
    }
    worker->held[at].size = size;
    worker->held[at].domain = domain;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    own_state = &worker->state;
    for (int i = 0; !freeing && i < 4000; i++) {
        if (i % 5 == 0)
            move_on(worker);
        step(worker);
    }
    for (int i = 0; freeing && i < BLOCKS; i++) {
        PyMemAllocatorEx allocator;
        fake_get(worker->held[i].domain, &allocator);
        if (worker->held[i].block != NULL)
            allocator.free(allocator.ctx, worker->held[i].block);
    }
    return NULL;
}

static void *clear(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&cleared_enough, __ATOMIC_ACQUIRE)) {
        tracing_clear();
#ifdef FREE_THREADED
        tracing_stop();
        static const profile_t next[] = {
            [PROFILE_LEAN] = &profile_full, [PROFILE_FULL] = &profile_sampled, [PROFILE_SAMPLED] = &profile_lean};
        tracing_start(4, next[profile_now->number]);
#endif
    }
    return NULL;
}

static void run_all(void)
{
    for (int i = 0; i < THREADS; i++)
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

// ---------------------------------------------------------------------------------------------------------------
// What the table has

struct sum {
    uint64_t blocks, bytes;
};

/** Smaller blocks are not counted: of samples, where each byte is picked with 63 %, it is chance whether they are there. */
static size_t least;

static void add(struct sum *sum, uint64_t size)
{
    if (size >= least) {
        sum->blocks++;
        sum->bytes += size;
    }
}

static struct sum held_by_workers(void)
{
    struct sum sum = {0};
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < BLOCKS; j++)
            if (workers[i].held[j].block != NULL)
                add(&sum, workers[i].held[j].size);
    return sum;
}

static struct sum counted_by_sites(void)
{
    struct sum sum = {0};
    for (uint32_t id = 1; id < table->sites.count; id++) {
        sum.blocks += TABLE_COUNTERS(id)->allocations - TABLE_COUNTERS(id)->frees;
        sum.bytes += TABLE_COUNTERS(id)->allocated - TABLE_COUNTERS(id)->freed;
    }
    return sum;
}

static void add_block(void *context, const struct map_place *place)
{
    add(context, place->block.size);
}

static struct sum stored_in_the_map(void)
{
    struct sum sum = {0};
    map_walk(add_block, &sum);
    for (uint32_t id = 1; id < table->tracked.count; id++)
        if (TABLE_TRACKED(id)->site != 0)
            add(&sum, TABLE_TRACKED(id)->size);
    return sum;
}

static void require_same(const char *what, struct sum a, struct sum b)
{
    printf("%s: %llu blocks of %llu bytes, and %llu of %llu\n", what, (unsigned long long)a.blocks,
           (unsigned long long)a.bytes, (unsigned long long)b.blocks, (unsigned long long)b.bytes);
    if (a.blocks != b.blocks || a.bytes != b.bytes)
        exit(1);
}

int main(int count, char **words)
{
    profile_t profile = count > 1 ? profile_called(words[1]) : &profile_full;
    static char letters[CODES][8];
    for (int i = 0; i < 3; i++)
        allocators[i] = (PyMemAllocatorEx){NULL, heap_malloc, heap_calloc, heap_realloc, heap_free};
    for (int i = 0; i < CODES; i++) {
        snprintf(letters[i], sizeof letters[i], "f%d.py", i);
        names[i] = (struct text){{.type = &fake_str_type}, letters[i]};
        codes[i].head.type = &fake_code_type;
        codes[i].size = 100;
        codes[i].first_line = 10 * i + 1;
        codes[i].filename = codes[i].qualname = &names[i];
        codes[i].lines = &lines;
    }
    for (int i = 0; i < THREADS; i++) {
        workers[i].random = (unsigned)i * 7919u + 1;
        workers[i].state.interpreter = MAIN_INTERPRETER + 1u + (unsigned)i;
        workers[i].state.cframe = &workers[i].state.current;
    }
#ifdef FREE_THREADED
    memcpy(fake_runtime, "xdebugpy", 8);
#endif
    setenv("TRACEMORTEM_SAMPLE", "1", 1);
    least = profile->picks ? 37 : 0; // a distance is less than 37 mean ones
    const char *problem = cpython_attach();
    if (problem == NULL)
        problem = tracing_start(4, profile);
    if (problem != NULL) {
        puts(problem);
        return 1;
    }
    run_all();
    if (profile_now->counts_sites)
        require_same("held, and counted by the sites", held_by_workers(), counted_by_sites());
    require_same("held, and stored in the map", held_by_workers(), stored_in_the_map());
    uint64_t traced, peak;
    tracing_memory(&traced, &peak);
    if (least == 0)
        require_same("held, and traced memory", held_by_workers(), (struct sum){held_by_workers().blocks, traced});
    least = 0;

    pthread_t clearer;
    pthread_create(&clearer, NULL, clear, NULL);
#ifdef FREE_THREADED
    run_all();
#endif
    freeing = true;
    run_all();
    __atomic_store_n(&cleared_enough, true, __ATOMIC_RELEASE);
    pthread_join(clearer, NULL);
    if (profile_now->counts_sites)
        require_same("nothing, and counted by the sites", (struct sum){0}, counted_by_sites());
    require_same("nothing, and stored in the map", (struct sum){0}, stored_in_the_map());
    printf("%llu blocks lost\n", (unsigned long long)table->lost_blocks);
    return table->lost_blocks != 0;
}
