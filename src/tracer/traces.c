// Walks the table and makes tuples of it. The same meaning as the engine gives it from outside, by the same line
// decoder; a test compares the two.

#include "traces.h"

#include <string.h>

#include "../layout/lines.h"
#include "hooks.h"
#include "pages.h"
#include "shadow.h"
#include "tracked.h"

// ---------------------------------------------------------------------------------------------------------------
// Sites to tuples, each made once

struct maker {
    PyObject *list;
    PyObject *tracebacks; // dict: a tuple of frames to itself
    PyObject **by_node;   // owned; NULL: not made yet
    PyObject **by_string;
    size_t nodes, strings; // how many there were at the beginning
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
        Py_XDECREF(array[i]);
    pages_unmap(array, count * sizeof(PyObject *));
}

static bool maker_init(struct maker *maker)
{
    *maker = (struct maker){
        .nodes = table->nodes.count, .strings = table->strings.count, .with_totals = cpython.version_hex >= 0x03090000};
    maker->by_node = new_array(maker->nodes);
    maker->by_string = new_array(maker->strings);
    maker->tracebacks = PyDict_New();
    if (maker->by_node != NULL && maker->by_string != NULL && maker->tracebacks != NULL)
        return true;
    PyErr_NoMemory();
    return false;
}

static void maker_deinit(struct maker *maker)
{
    delete_array(maker->by_node, maker->nodes);
    delete_array(maker->by_string, maker->strings);
    Py_XDECREF(maker->tracebacks);
}

/** A borrowed str. */
static PyObject *make_string(struct maker *maker, uint32_t id)
{
    PyObject **made = &maker->by_string[id];
    const struct tm_string *string = TABLE_STRING(id);
    if (*made == NULL)
        *made = PyUnicode_DecodeUTF8(table_bytes(string->position), (Py_ssize_t)string->length, "surrogatepass");
    return *made;
}

static unsigned long line_of(const struct tm_code *code, int32_t instruction)
{
    struct tm_lines lines = {.table = (const uint8_t *)table_bytes(code->line_table),
                             .length = code->line_table_length,
                             .kind = code->line_table_kind,
                             .first_line = code->first_line};
    int64_t line = tm_lines_at(&lines, instruction);
    return line < 0 ? 0 : (unsigned long)line;
}

/** A new (file name, line). */
static PyObject *make_frame(struct maker *maker, const struct tm_node *node)
{
    const struct tm_code *code = TABLE_CODE(node->code);
    PyObject *name = make_string(maker, code->filename);
    return name == NULL ? NULL : Py_BuildValue("Ok", name, line_of(code, node->instruction));
}

/** A new tuple of the frames from `id` on up to the oldest. */
static PyObject *make_frames(struct maker *maker, uint32_t id)
{
    PyObject *frames = PyTuple_New((Py_ssize_t)TABLE_NODE(id)->depth);
    for (Py_ssize_t i = 0; frames != NULL && id != 0; i++, id = TABLE_NODE(id)->parent) {
        PyObject *frame = make_frame(maker, TABLE_NODE(id));
        if (frame == NULL || PyTuple_SetItem(frames, i, frame) != 0) {
            Py_DECREF(frames);
            return NULL;
        }
    }
    return frames;
}

/** A borrowed traceback: nodes whose frames are equal, being of one line, give the same object. */
static PyObject *make_traceback(struct maker *maker, uint32_t id)
{
    PyObject **made = &maker->by_node[id];
    if (*made != NULL)
        return *made;
    PyObject *frames = make_frames(maker, id);
    if (frames == NULL)
        return NULL;
    PyObject *same = PyDict_GetItemWithError(maker->tracebacks, frames);
    if (same != NULL) {
        Py_INCREF(same);
        Py_DECREF(frames);
        frames = same;
    } else if (PyErr_Occurred() || PyDict_SetItem(maker->tracebacks, frames, frames) != 0) {
        Py_DECREF(frames);
        return NULL;
    }
    return *made = frames;
}

static void add_block(struct maker *maker, uint32_t site_id, uint64_t size)
{
    const struct tm_site *site = TABLE_SITE(site_id);
    // What was interned since we began, by threads without the lock, is not ours to show.
    if (maker->failed || site->node >= maker->nodes)
        return;
    PyObject *traceback = make_traceback(maker, site->node), *trace = NULL;
    if (traceback != NULL && maker->with_totals)
        trace = Py_BuildValue("IKOI", site->domain, (unsigned long long)size, traceback, (unsigned)site->total_frames);
    else if (traceback != NULL)
        trace = Py_BuildValue("IKO", site->domain, (unsigned long long)size, traceback);
    maker->failed = trace == NULL || PyList_Append(maker->list, trace) != 0;
    Py_XDECREF(trace);
}

// ---------------------------------------------------------------------------------------------------------------
// All blocks, and one

static void add_leaf(void *context, uintptr_t base, uint32_t *leaf, uint64_t *entry)
{
    (void)entry;
    for (uint32_t i = 0; i < TM_LEAF_SLOTS; i++) {
        uint32_t value = __atomic_load_n(&leaf[i], __ATOMIC_ACQUIRE);
        if (value & TM_SLOT_START)
            add_block(context, value & TM_SLOT_SITE_MASK,
                      shadow_size(&leaf[i], value, base + (uintptr_t)i * SLOT_BYTES));
    }
}

PyObject *traces_list(void)
{
    PyObject *list = PyList_New(0);
    struct maker maker;
    if (list == NULL || !tracing_on())
        return list;
    bool was_paused = tracing_pause();
    if (maker_init(&maker)) {
        maker.list = list;
        shadow_walk(add_leaf, &maker);
        for (uint32_t id = 1; id < table->tracked.count; id++) {
            const struct tm_tracked *record = TABLE_TRACKED(id);
            uint32_t site = __atomic_load_n(&record->site, __ATOMIC_ACQUIRE);
            if (site != 0)
                add_block(&maker, site, record->size);
        }
    } else {
        maker.failed = true;
    }
    maker_deinit(&maker);
    tracing_resume(was_paused);
    if (!maker.failed)
        return list;
    Py_DECREF(list);
    return NULL;
}

/** The site of the block which holds `address`: an object begins at most two slots into its block. 0: none. */
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

/** A new reference to the frames of a site, or to None for site 0. */
static PyObject *frames_of_site(uint32_t site)
{
    PyObject *frames = NULL;
    struct maker maker;
    if (site == 0) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    bool was_paused = tracing_pause();
    if (maker_init(&maker) && TABLE_SITE(site)->node < maker.nodes) {
        frames = make_traceback(&maker, TABLE_SITE(site)->node);
        Py_XINCREF(frames);
    }
    maker_deinit(&maker);
    tracing_resume(was_paused);
    return frames;
}

PyObject *traces_of_object(const void *object)
{
    return frames_of_site(tracing_on() ? site_of_object((uintptr_t)object) : 0);
}

PyObject *traces_of_block(uint32_t domain, uintptr_t address)
{
    const uint32_t *slot = domain == 0 && address % SLOT_BYTES == 0 ? shadow_slot(address) : NULL;
    if (slot != NULL && *slot & TM_SLOT_START)
        return frames_of_site(*slot & TM_SLOT_SITE_MASK);
    return frames_of_site(tracked_site(domain, address));
}
