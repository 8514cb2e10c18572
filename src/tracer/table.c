// The root, the arrays, and their memory. Knows the layout and CPython's version text, no allocator hook.

#define _GNU_SOURCE
#include "table.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "environment.h"
#include "handoff.h"
#include "layout/hash.h"
#include "pages.h"
#include "recorder.h"

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
    recorder_check();
}

void table_unlock(void)
{
    if (forking == 0)
        pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
    handoff_announce_fork();
    table_lock();
    forking++;
    handoff_before_fork();
}

static void end_fork(void)
{
    forking--;
    table_unlock();
}

static void after_fork_in_parent(void)
{
    handoff_after_fork_in_parent();
    end_fork();
}

static void after_fork_in_child(void)
{
    handoff_after_fork_in_child();
    if (!handoff_is_due() && !recorder_is_cut())
        table->pid = (uint32_t)getpid();
    end_fork();
}

// ---------------------------------------------------------------------------------------------------------------
// Memory

// The root's mapping: the root itself, and room for the first of everything else. A small program needs no other mapping of
// the table's. Copies of records have mappings of their own, so that they are not on the same pages.
#define ROOT_MAPPING ((size_t)1 << 20)
#define SHARED_MAPPING ((size_t)1 << 18)

#define COPIES_MAPPING ((size_t)5 << 16) // enough for all

struct room {
    char *next, *end;
    size_t least; // bytes of its next mapping
};
static struct room records = {.least = ROOT_MAPPING}, copies = {.least = COPIES_MAPPING};

// All that is mapped in a file takes space there, touched or not. So rooms are smaller.
static size_t room_size(const struct room *room)
{
    return recorder_is_on() ? recorder_room() : room->least;
}

static size_t small_size(void)
{
    return recorder_is_on() ? SHARED_MAPPING / 4 : SHARED_MAPPING;
}

static void *allocate_from(struct room *room, size_t size)
{
    size = (size + 63) & ~(size_t)63;
    if (size <= (size_t)(room->end - room->next)) {
        void *memory = room->next;
        room->next += size;
        return memory;
    }
    // Small pieces share a mapping. A large piece has its own, and the rest of the shared one stays for small ones.
    bool is_small = size < small_size();
    size_t mapping = is_small ? room_size(room) : (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    char *memory = table_map(mapping, TM_OWN_TABLE);
    if (memory != NULL && is_small)
        *room = (struct room){memory + size, memory + mapping, room->least};
    return memory;
}

void *table_allocate(size_t size)
{
    return allocate_from(&records, size);
}

// ---------------------------------------------------------------------------------------------------------------
// Arrays

enum { COPIED_MOST = 1 << 15 }; // bytes: larger chunks have no copy

/** Where a record is. */
struct record_place {
    unsigned chunk;
    uint64_t index, room; // in the chunk; up to its end
};

static struct record_place place_of(const struct tm_array *array, uint64_t id)
{
    uint64_t biased = id + (UINT64_C(1) << array->first_shift), first;
    unsigned log = 63 - (unsigned)__builtin_clzll(biased);
    first = UINT64_C(1) << log;
    return (struct record_place){
        .chunk = log - array->first_shift, .index = biased - first, .room = first - (biased - first)};
}

static bool has_copies(const struct tm_array *array)
{
    return array != &table->counters && array != &table->tracked && array != &table->arenas && array != &table->own;
}

/** Make a chunk, if there is none. False: no memory, or no room in the array. */
static bool make_chunk(struct tm_array *array, unsigned k)
{
    if (k >= TM_ARRAY_CHUNKS)
        return false;
    if (array->chunk[k] != 0)
        return true;
    size_t bytes = ((size_t)array->record_size << array->first_shift) << k;
    void *memory = table_allocate(bytes);
    if (memory == NULL)
        return false;
    if (k < TM_ARRAY_COPIES && bytes <= COPIED_MOST && has_copies(array))
        array->copy[k] = (uint64_t)(uintptr_t)allocate_from(&copies, bytes);
    __atomic_store_n(&array->chunk[k], (uint64_t)(uintptr_t)memory, __ATOMIC_RELEASE);
    recorder_keep_root();
    return true;
}

/** Records [id, id + count) of one chunk, from the chunk into its copy. */
static void copy_records(struct tm_array *array, uint64_t id, uint64_t count)
{
    struct record_place place = place_of(array, id);
    if (place.chunk >= TM_ARRAY_COPIES || array->copy[place.chunk] == 0)
        return;
    uint64_t start = place.index * array->record_size;
    memcpy((char *)(uintptr_t)array->copy[place.chunk] + start, (char *)(uintptr_t)array->chunk[place.chunk] + start,
           count * array->record_size);
}

void *table_append(struct tm_array *array)
{
    struct record_place place = place_of(array, array->count);
    if (array->count >= UINT32_MAX || !make_chunk(array, place.chunk))
        return NULL;
    return (char *)(uintptr_t)array->chunk[place.chunk] + place.index * array->record_size;
}

uint32_t table_publish(struct tm_array *array)
{
    uint64_t id = array->count;
    copy_records(array, id, 1);
    __atomic_store_n(&array->count, id + 1, __ATOMIC_RELEASE);
    return (uint32_t)id;
}

void table_copy(struct tm_array *array, uint64_t id)
{
    copy_records(array, id, 1);
}

bool table_append_bytes(const void *bytes, uint32_t length, unsigned step, tm_position *position)
{
    struct tm_array *array = &table->bytes;
    uint64_t start = (array->count + step - 1) / step * step; // a chunk has a multiple of that
    for (;;) {
        struct record_place place = place_of(array, start);
        if (!make_chunk(array, place.chunk))
            return false;
        if (length <= place.room) {
            memcpy((char *)(uintptr_t)array->chunk[place.chunk] + place.index, bytes, length);
            copy_records(array, start, length);
            *position = start;
            __atomic_store_n(&array->count, (start + length + step - 1) / step * step, __ATOMIC_RELEASE);
            return true;
        }
        start += place.room; // on to the next chunk, which is at least as large as all before it
    }
}

void table_write_bytes(tm_position position, const void *bytes, uint32_t length)
{
    struct record_place place = place_of(&table->bytes, position);
    memcpy((char *)(uintptr_t)table->bytes.chunk[place.chunk] + place.index, bytes, length);
    copy_records(&table->bytes, position, length);
}

// ---------------------------------------------------------------------------------------------------------------
// The tracer's own mappings

static uint32_t free_own; // records of mappings that were unmapped, chained through `address`

static uint32_t new_own(void)
{
    static bool growing;
    struct tm_array *own = &table->own;
    // The memory for more records is a mapping that needs a record. So it comes while there is room for one more.
    if (!growing) {
        growing = true;
        make_chunk(own, place_of(own, own->count + 1).chunk);
        growing = false;
    }
    return table_append(own) == NULL ? 0 : table_publish(own);
}

static void add_own(void *memory, size_t size, enum tm_own_kind kind)
{
    uint32_t id = free_own;
    __atomic_fetch_add(&table->mapped, size, __ATOMIC_RELAXED);
    if (id != 0)
        free_own = (uint32_t)TABLE_OWN(id)->address;
    else if ((id = new_own()) == 0)
        return;
    struct tm_own *own = TABLE_OWN(id);
    own->address = (uint64_t)(uintptr_t)memory;
    own->kind = kind;
    own->hash = tm_own_hash(id, &(struct tm_own){.address = own->address, .size = size, .kind = kind});
    __atomic_store_n(&own->size, size, __ATOMIC_RELEASE);
}

void *table_map(size_t size, enum tm_own_kind kind)
{
    size = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    // What only the tracer needs is in no file.
    void *memory = kind == TM_OWN_TABLE && recorder_is_on() ? recorder_map(size) : pages_map(size);
    if (memory != NULL)
        add_own(memory, size, kind);
    return memory;
}

void table_unmap(void *memory, size_t size)
{
    bool in_file = false;
    size = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    for (uint32_t id = 1; id < table->own.count; id++) {
        struct tm_own *own = TABLE_OWN(id);
        if (own->size != size || own->address != (uint64_t)(uintptr_t)memory)
            continue;
        in_file = own->kind == TM_OWN_TABLE && recorder_is_on();
        __atomic_store_n(&own->size, 0, __ATOMIC_RELEASE);
        own->address = free_own;
        free_own = id;
        break;
    }
    __atomic_fetch_sub(&table->mapped, size, __ATOMIC_RELAXED);
    if (in_file)
        recorder_unmap(memory, size);
    else
        pages_unmap(memory, size);
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
    if (!table_append_bytes(unknown, string->length, 1, &string->position))
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
    root->unit_shift = cpython.facts->pool_shift;
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
    // The list of mappings comes first: all that follows may need one.
    if (!array_create(&root->own, sizeof(struct tm_own), OWN_SHIFT))
        return false;
    add_own(root, ROOT_MAPPING, TM_OWN_TABLE);
    return array_create(&root->bytes, 1, BYTES_SHIFT) &&
           array_create(&root->strings, sizeof(struct tm_string), STRINGS_SHIFT) &&
           array_create(&root->codes, sizeof(struct tm_code), CODES_SHIFT) &&
           array_create(&root->nodes, sizeof(struct tm_node), NODES_SHIFT) &&
           array_create(&root->sites, sizeof(struct tm_site), SITES_SHIFT) &&
           array_create(&root->counters, sizeof(struct tm_counters), COUNTERS_SHIFT) &&
           array_create(&root->leaves, sizeof(struct tm_leaf), LEAVES_SHIFT) &&
           array_create(&root->tracked, sizeof(struct tm_tracked), TRACKED_SHIFT) &&
           array_create(&root->arenas, sizeof(struct tm_python_arena), ARENAS_SHIFT) && create_unknown();
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
    records = (struct room){(char *)root + head, (char *)root + ROOT_MAPPING, ROOT_MAPPING};
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
