// Walks the table and makes tuples of it. The engine answers the same from outside, with the same line decoder; a test
// compares the two.

#include "traces.h"

#include <string.h>

#include "layout/lines.h"
#include "pages.h"
#include "recording.h"
#include "shadow.h"
#include "tracked.h"
#include "writers.h"

// ---------------------------------------------------------------------------------------------------------------
// Making tuples of sites, each once. Memory for this comes from pages and not from Python: a dict, for example, would go
// to a free list, and the next object to use it would have a block that was not recorded.

struct maker {
    PyObject **by_node; // owned; NULL: not made yet
    PyObject **by_string;
    uint32_t *same_as;     // by node: the first node with equal frames
    uint32_t *line;        // by node
    size_t nodes, strings; // their numbers at the beginning
    bool with_totals;
    bool failed; // an exception is set
};

static void *new_array(size_t count)
{
    return pages_map(count * sizeof(PyObject *));
}

static void delete_array(PyObject **array, size_t count)
{
    if (array == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        Py_DecRef(array[i]);
    pages_unmap(array, count * sizeof(PyObject *));
}

static uint32_t *new_numbers(size_t count)
{
    return pages_map(count * sizeof(uint32_t));
}

static void delete_numbers(uint32_t *numbers, size_t count)
{
    if (numbers != NULL)
        pages_unmap(numbers, count * sizeof(uint32_t));
}

static uint32_t line_of(const struct tm_node *node)
{
    const struct tm_code *code = TABLE_CODE(node->code);
    struct tm_lines lines = {.table = (const uint8_t *)table_bytes(code->line_table),
                             .length = code->line_table_length,
                             .kind = code->line_table_kind,
                             .first_line = code->first_line};
    int64_t line = tm_lines_at(&lines, node->instruction);
    return line < 0 ? 0 : (uint32_t)line;
}

static uint32_t file_of(const struct tm_node *node)
{
    return TABLE_CODE(node->code)->filename;
}

static bool frames_equal(const struct maker *maker, uint32_t a_id, uint32_t b_id)
{
    const struct tm_node *a = TABLE_NODE(a_id), *b = TABLE_NODE(b_id);
    return maker->same_as[a->parent] == maker->same_as[b->parent] && maker->line[a_id] == maker->line[b_id] &&
           file_of(a) == file_of(b);
}

static uint64_t hash_frames(const struct maker *maker, uint32_t id)
{
    const struct tm_node *node = TABLE_NODE(id);
    uint64_t hash = (uint64_t)maker->same_as[node->parent] << 32 | file_of(node);
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + maker->line[id];
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/** Fill in `line` and `same_as`. A parent's id is less than its child's, so one pass is enough. False: no memory. */
static bool compare_nodes(struct maker *maker)
{
    size_t mask = 63;
    while (mask < maker->nodes * 2)
        mask = mask * 2 + 1;
    uint32_t *first = new_numbers(mask + 1);
    for (uint32_t id = 1; first != NULL && id < maker->nodes; id++) {
        maker->line[id] = line_of(TABLE_NODE(id));
        uint64_t at = hash_frames(maker, id) & mask;
        while (first[at] != 0 && !frames_equal(maker, first[at], id))
            at = (at + 1) & mask;
        if (first[at] == 0)
            first[at] = id;
        maker->same_as[id] = first[at];
    }
    delete_numbers(first, mask + 1);
    return first != NULL;
}

/** For all nodes, or without `compare` for one. */
static bool maker_init(struct maker *maker, bool compare)
{
    *maker = (struct maker){
        .nodes = table->nodes.count, .strings = table->strings.count, .with_totals = cpython.facts->counts_frames};
    maker->by_string = new_array(maker->strings);
    bool ready = maker->by_string != NULL;
    if (ready && compare) {
        maker->by_node = new_array(maker->nodes);
        maker->same_as = new_numbers(maker->nodes);
        maker->line = new_numbers(maker->nodes);
        ready = maker->by_node != NULL && maker->same_as != NULL && maker->line != NULL && compare_nodes(maker);
    }
    if (!ready)
        PyErr_NoMemory();
    return ready;
}

static void maker_deinit(struct maker *maker)
{
    delete_array(maker->by_node, maker->nodes);
    delete_array(maker->by_string, maker->strings);
    delete_numbers(maker->same_as, maker->nodes);
    delete_numbers(maker->line, maker->nodes);
}

/** A borrowed str. It is not recorded, since CPython's own tracer would have it already. */
static PyObject *make_string(struct maker *maker, uint32_t id)
{
    PyObject **made = &maker->by_string[id];
    const struct tm_string *string = TABLE_STRING(id);
    if (*made != NULL)
        return *made;
    bool was_paused = tracing_pause();
    *made = PyUnicode_DecodeUTF8(table_bytes(string->position), (Py_ssize_t)string->length, "surrogatepass");
    tracing_resume(was_paused);
    return *made;
}

/** A new (file name, line). */
static PyObject *make_frame(struct maker *maker, uint32_t id)
{
    const struct tm_node *node = TABLE_NODE(id);
    PyObject *name = make_string(maker, file_of(node));
    uint32_t line = maker->line != NULL ? maker->line[id] : line_of(node);
    return name == NULL ? NULL : Py_BuildValue("Ok", name, (unsigned long)line);
}

/** A new tuple of the frames from `id` to the oldest. */
static PyObject *make_frames(struct maker *maker, uint32_t id)
{
    PyObject *frames = PyTuple_New((Py_ssize_t)TABLE_NODE(id)->depth);
    for (Py_ssize_t i = 0; frames != NULL && id != 0; i++, id = TABLE_NODE(id)->parent) {
        PyObject *frame = make_frame(maker, id);
        if (frame == NULL || PyTuple_SetItem(frames, i, frame) != 0) {
            Py_DecRef(frames);
            return NULL;
        }
    }
    return frames;
}

/** A borrowed traceback. Equal ones are the same object. */
static PyObject *make_traceback(struct maker *maker, uint32_t id)
{
    PyObject **made = &maker->by_node[maker->same_as[id]];
    if (*made == NULL)
        *made = make_frames(maker, maker->same_as[id]);
    return *made;
}

/** A new trace, in the form that the classes of tracemalloc need. */
static PyObject *make_trace(struct maker *maker, const struct tm_site *site, uint64_t size)
{
    PyObject *traceback = make_traceback(maker, site->node);
    if (traceback == NULL)
        return NULL;
    if (!maker->with_totals)
        return Py_BuildValue("IKO", site->domain, (unsigned long long)size, traceback);
    if (site->flags & TM_SITE_CUT && site->total_frames <= TABLE_NODE(site->node)->depth)
        return Py_BuildValue("IKOO", site->domain, (unsigned long long)size, traceback, Py_None);
    return Py_BuildValue("IKOI", site->domain, (unsigned long long)size, traceback, (unsigned)site->total_frames);
}

// ---------------------------------------------------------------------------------------------------------------
// All blocks. They are copied before any object is made: new objects may take blocks from free lists, and the garbage
// collector may run in between.

struct block {
    uint64_t size;
    uint32_t site;
};

struct blocks {
    struct block *items;
    size_t count, capacity;
    bool failed; // no memory
};

static void blocks_deinit(struct blocks *blocks)
{
    if (blocks->items != NULL)
        pages_unmap(blocks->items, blocks->capacity * sizeof *blocks->items);
}

static bool blocks_grow(struct blocks *blocks)
{
    size_t capacity = blocks->capacity == 0 ? 4096 : blocks->capacity * 2;
    struct block *items = pages_map(capacity * sizeof *items);
    if (items == NULL)
        return false;
    if (blocks->items != NULL)
        memcpy(items, blocks->items, blocks->count * sizeof *items);
    blocks_deinit(blocks);
    blocks->items = items;
    blocks->capacity = capacity;
    return true;
}

static void blocks_add(struct blocks *blocks, uint32_t site, uint64_t size)
{
    if (blocks->failed || (blocks->count == blocks->capacity && !blocks_grow(blocks))) {
        blocks->failed = true;
        return;
    }
    blocks->items[blocks->count++] = (struct block){.size = size, .site = site};
}

static void add_leaf(void *context, uintptr_t base, uint32_t *leaf, uint64_t *entry)
{
    (void)entry;
    for (uint32_t i = 0; i < TM_LEAF_SLOTS; i++) {
        uint32_t value = __atomic_load_n(&leaf[i], __ATOMIC_ACQUIRE);
        if (value & TM_SLOT_START)
            blocks_add(context, value & TM_SLOT_SITE_MASK,
                       shadow_size(&leaf[i], value, base + (uintptr_t)i * SLOT_BYTES));
    }
}

static bool blocks_copy(struct blocks *blocks)
{
    *blocks = (struct blocks){0};
    writers_lock();
    writers_hold();
    shadow_walk(add_leaf, blocks);
    for (uint32_t id = 1; id < table->tracked.count; id++) {
        const struct tm_tracked *record = TABLE_TRACKED(id);
        uint32_t site = __atomic_load_n(&record->site, __ATOMIC_ACQUIRE);
        if (site != 0)
            blocks_add(blocks, site, record->size);
    }
    writers_release();
    writers_unlock();
    if (blocks->failed)
        PyErr_NoMemory();
    return !blocks->failed;
}

static bool append_trace(PyObject *list, PyObject *trace)
{
    bool appended = trace != NULL && PyList_Append(list, trace) == 0;
    Py_DecRef(trace);
    return appended;
}

static bool append_traces(PyObject *list, const struct blocks *blocks)
{
    struct maker maker;
    bool good = maker_init(&maker, true);
    for (size_t i = 0; good && i < blocks->count; i++)
        good = append_trace(list, make_trace(&maker, TABLE_SITE(blocks->items[i].site), blocks->items[i].size));
    maker_deinit(&maker);
    return good;
}

PyObject *traces_list(void)
{
    bool unrecorded = cpython.facts->answers_unrecorded, was_paused = unrecorded && tracing_pause();
    PyObject *list = PyList_New(0);
    if (unrecorded)
        tracing_resume(was_paused);
    if (list == NULL || !tracing_on())
        return list;
    was_paused = tracing_pause();
    struct blocks blocks;
    bool good = blocks_copy(&blocks) && append_traces(list, &blocks);
    blocks_deinit(&blocks);
    tracing_resume(was_paused);
    if (good)
        return list;
    Py_DecRef(list);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// One block

/** The site of the block that holds the object at `address`, which is at most two slots into its block. 0: none. */
static uint32_t site_of_object(uintptr_t address)
{
    for (uintptr_t before = 0; before <= 2 * SLOT_BYTES; before += SLOT_BYTES) {
        uintptr_t start = address / SLOT_BYTES * SLOT_BYTES - before;
        const uint32_t *slot = shadow_slot(start);
        if (slot == NULL || !(*slot & TM_SLOT_START))
            continue;
        bool holds = start == address || address - start < shadow_size(slot, *slot, start);
        return holds ? *slot & TM_SLOT_SITE_MASK : 0;
    }
    return tracked_site(0, address);
}

// Recording each frame's tuple takes time with the depth of the stack: for very deep ones the total would be quadratic.
enum { RECORDED_DEPTH = 4096 };

/** A new reference to the frames of a site, or to None for site 0. They are recorded if CPython's own tracer would. */
static PyObject *frames_of_site(uint32_t site)
{
    PyObject *frames = NULL;
    struct maker maker;
    if (site == 0) {
        Py_IncRef(Py_None);
        return Py_None;
    }
    uint32_t node = TABLE_SITE(site)->node;
    bool paused = cpython.facts->answers_unrecorded || TABLE_NODE(node)->depth > RECORDED_DEPTH;
    bool was_paused = paused && tracing_pause();
    if (maker_init(&maker, false))
        frames = make_frames(&maker, node);
    maker_deinit(&maker);
    if (paused)
        tracing_resume(was_paused);
    return frames;
}

static uint32_t site_of_block(uint32_t domain, uintptr_t address)
{
    const uint32_t *slot = domain == 0 && address % SLOT_BYTES == 0 ? shadow_slot(address) : NULL;
    return slot != NULL && *slot & TM_SLOT_START ? *slot & TM_SLOT_SITE_MASK : tracked_site(domain, address);
}

PyObject *traces_of_object(const void *object)
{
    writers_lock();
    writers_hold();
    uint32_t site = tracing_on() ? site_of_object((uintptr_t)object) : 0;
    writers_release();
    writers_unlock();
    return frames_of_site(site);
}

PyObject *traces_of_block(uint32_t domain, uintptr_t address)
{
    writers_lock();
    writers_hold();
    uint32_t site = site_of_block(domain, address);
    writers_release();
    writers_unlock();
    return frames_of_site(site);
}
