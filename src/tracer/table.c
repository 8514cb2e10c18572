// The root, the arrays, and their memory. Knows the layout and CPython's version text, no allocator hook.

#define _GNU_SOURCE
#include "table.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "environment.h"
#include "layout/hash.h"
#include "pages.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef TRACEMORTEM_VERSION
#define TRACEMORTEM_VERSION "0"
#endif

EXPORT uint64_t tracemortem_root;
struct tm_root *table;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread unsigned forking; // how many times this thread is inside fork(), between our handlers; it has the lock

// ---------------------------------------------------------------------------------------------------------------
// The lock
//
// In a forked child the table is the child's own; only the process id in it changes. The lock is held across the fork, so
// that the child never inherits it from a thread that it does not have. The program's handlers that were registered before
// ours run in between, in the thread that has the lock, and may allocate and free.

void table_lock(void)
{
    if (forking == 0)
        pthread_mutex_lock(&lock);
}

void table_unlock(void)
{
    if (forking == 0)
        pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
    table_lock();
    forking++;
}

static void after_fork_in_parent(void)
{
    forking--;
    table_unlock();
}

static void after_fork_in_child(void)
{
    table->pid = (uint32_t)getpid();
    after_fork_in_parent();
}

// ---------------------------------------------------------------------------------------------------------------
// Memory

// The root's mapping: the root itself, the directory, and room for the first of everything else. A small program needs no
// other mapping but its leaves.
#define ROOT_MAPPING ((size_t)1 << 20)
static char *spare, *spare_end;

void *table_allocate(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    if (size <= (size_t)(spare_end - spare)) {
        void *memory = spare;
        spare += size;
        return memory;
    }
    // Small pieces share a mapping. A large piece has its own, and the rest of the shared one stays for small ones.
    size_t mapping = size < ROOT_MAPPING / 4 ? ROOT_MAPPING : (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    char *memory = pages_map(mapping);
    if (memory == NULL)
        return NULL;
    table_account((int64_t)mapping);
    if (mapping == ROOT_MAPPING) {
        spare = memory + size;
        spare_end = memory + mapping;
    }
    return memory;
}

void table_account(int64_t bytes)
{
    __atomic_fetch_add(&table->mapped, (uint64_t)bytes, __ATOMIC_RELAXED);
}

// ---------------------------------------------------------------------------------------------------------------
// Arrays

/** The chunk of record `id`, which is made if there is none; NULL: no memory, or no room in the array. */
static char *chunk_for(struct tm_array *array, uint64_t id, uint64_t *index, uint64_t *room)
{
    uint64_t biased = id + (UINT64_C(1) << array->first_shift);
    unsigned log = 63 - (unsigned)__builtin_clzll(biased);
    unsigned k = log - array->first_shift;
    if (k >= TM_ARRAY_CHUNKS)
        return NULL;
    if (array->chunk[k] == 0) {
        void *memory = table_allocate(((size_t)1 << log) * array->record_size);
        if (memory == NULL)
            return NULL;
        __atomic_store_n(&array->chunk[k], (uint64_t)(uintptr_t)memory, __ATOMIC_RELEASE);
    }
    *index = biased - (UINT64_C(1) << log);
    *room = (UINT64_C(1) << log) - *index;
    return (char *)(uintptr_t)array->chunk[k];
}

void *table_append(struct tm_array *array)
{
    uint64_t index, room;
    char *chunk = array->count < UINT32_MAX ? chunk_for(array, array->count, &index, &room) : NULL;
    return chunk == NULL ? NULL : chunk + index * array->record_size;
}

uint32_t table_publish(struct tm_array *array)
{
    uint64_t id = array->count;
    __atomic_store_n(&array->count, id + 1, __ATOMIC_RELEASE);
    return (uint32_t)id;
}

bool table_append_bytes(const void *bytes, uint32_t length, tm_position *position)
{
    struct tm_array *array = &table->bytes;
    uint64_t start = array->count, index, room;
    for (;;) {
        char *chunk = chunk_for(array, start, &index, &room);
        if (chunk == NULL)
            return false;
        if (length <= room) {
            memcpy(chunk + index, bytes, length);
            *position = start;
            __atomic_store_n(&array->count, start + length, __ATOMIC_RELEASE);
            return true;
        }
        start += room; // on to the next chunk, which is at least as large as all before it
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The root

static bool array_create(struct tm_array *array, uint32_t record_size, uint32_t first_shift)
{
    array->record_size = record_size;
    array->first_shift = first_shift;
    if (table_append(array) == NULL)
        return false;
    array->count = 1; // the placeholder
    return true;
}

/** The records to which the layout gives a fixed id: the unknown string, code and node. */
static bool create_unknown(void)
{
    static const char unknown[] = "<unknown>";
    struct tm_string *string = table_append(&table->strings);
    struct tm_code *code = table_append(&table->codes);
    struct tm_node *node = table_append(&table->nodes);
    if (string == NULL || code == NULL || node == NULL)
        return false;
    string->length = sizeof unknown - 1;
    if (!table_append_bytes(unknown, string->length, &string->position))
        return false;
    string->hash = tm_string_hash(unknown, string->length);
    code->filename = code->qualname = TM_STRING_UNKNOWN;
    code->hash = tm_code_hash(code, "");
    node->code = TM_CODE_UNKNOWN;
    node->instruction = -1;
    node->depth = 1;
    node->hash = tm_node_hash(TM_NODE_UNKNOWN, node);
    return table_publish(&table->strings) == TM_STRING_UNKNOWN && table_publish(&table->codes) == TM_CODE_UNKNOWN &&
           table_publish(&table->nodes) == TM_NODE_UNKNOWN;
}

static void describe(struct tm_root *root)
{
    root->byte_order = TM_BYTE_ORDER;
    root->layout_major = TM_LAYOUT_MAJOR;
    root->layout_minor = TM_LAYOUT_MINOR;
    root->root_size = sizeof *root;
    root->pointer_size = sizeof(void *);
    root->address_bits = TM_ADDRESS_BITS;
    root->branch_shift = TM_BRANCH_SHIFT;
    root->leaf_shift = TM_LEAF_SHIFT;
    root->self = (uint64_t)(uintptr_t)root;
    root->pid = (uint32_t)getpid();
    root->flags =
        (cpython.debug_build ? TM_ROOT_DEBUG_BUILD : 0) | (cpython.facts->free_threaded ? TM_ROOT_FREE_THREADED : 0);
    root->python_version = cpython.version_hex;
    root->record_limit = environment_records();
    const char *text = Py_GetVersion();
    memcpy(root->python_text, text, strnlen(text, sizeof root->python_text - 1));
    char *space = memchr(root->python_text, ' ', sizeof root->python_text);
    if (space != NULL)
        memset(space, 0, (size_t)(root->python_text + sizeof root->python_text - space));
    memcpy(root->tracer_text, TRACEMORTEM_VERSION, sizeof TRACEMORTEM_VERSION);
}

static bool create_arrays(struct tm_root *root)
{
    return array_create(&root->bytes, 1, BYTES_SHIFT) &&
           array_create(&root->strings, sizeof(struct tm_string), STRINGS_SHIFT) &&
           array_create(&root->codes, sizeof(struct tm_code), CODES_SHIFT) &&
           array_create(&root->nodes, sizeof(struct tm_node), NODES_SHIFT) &&
           array_create(&root->sites, SITE_BYTES, SITES_SHIFT) &&
           array_create(&root->tracked, sizeof(struct tm_tracked), TRACKED_SHIFT) && create_unknown();
}

const char *table_create(void)
{
    if (table != NULL)
        return NULL;
    struct tm_root *root = pages_map_aligned(ROOT_MAPPING, TM_ROOT_ALIGN, TM_MAPPING_NAME);
    if (root == NULL)
        return "no memory for the trace table";
    table = root;
    size_t head = (sizeof *root + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    root->mapped = ROOT_MAPPING;
    root->directory = (uint64_t)(uintptr_t)root + head;
    spare = (char *)root + head + sizeof(tm_directory);
    spare_end = (char *)root + ROOT_MAPPING;
    describe(root);
    if (!create_arrays(root) || pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        pages_unmap(root, ROOT_MAPPING);
        table = NULL;
        return "no memory for the trace table";
    }
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(root->magic, TM_MAGIC, TM_MAGIC_SIZE);
    __atomic_store_n(&tracemortem_root, (uint64_t)(uintptr_t)root, __ATOMIC_RELEASE);
    return NULL;
}

uint64_t table_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
