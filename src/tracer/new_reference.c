// Finding CPython's function that reports new objects, making sure that it is the one, and putting a jump at its entry. Knows
// the stock tracer's table, and nothing of our own.

#include "new_reference.h"

#include <string.h>

#include "entry.h"
#include "interpreter.h"
#include "probe.h"
#include "stock.h"
#include "tables_lock.h"

// ---------------------------------------------------------------------------------------------------------------
// A made-up object, for trying the function out

enum { OBJECT_WORDS = 32, OBJECT_REFERENCES = 0, TABLE_GET_ENTRY = 3 };

static struct {
    uintptr_t header[2]; // where objects of collected types have the collector's data
    uintptr_t object[OBJECT_WORDS];
} made_up;

static uintptr_t seen_block;  // that the stock tracer looked up; 0: it did not
static uintptr_t seen_caller; // the return address into the function that was tried

static void see(uintptr_t block)
{
    struct probe_path path;
    seen_block = block;
    seen_caller = probe_path(OWN_RETURN_ADDRESS, &path) ? path.steps[0].address : 0;
}

/** If the function is one that takes a table and not an object, it calls this. */
static void *see_no_object(void)
{
    seen_block = 0;
    return NULL;
}

/** Call the function with an object of this type. False: it looked up another block than the object's, or changed it. */
static bool try_out(void *tried, const PyTypeObject *type, const void *block)
{
    const birth_callback callback = stock_callback;
    memset(&made_up, 0, sizeof made_up);
    made_up.object[OBJECT_REFERENCES] = 2;
    made_up.object[cpython.facts->object_type / sizeof(uintptr_t)] = (uintptr_t)type;
    made_up.object[TABLE_GET_ENTRY] = (uintptr_t)see_no_object;
    seen_block = seen_caller = 0;
    stock_callback = see;
    bool ran = probe_run(tried, made_up.object);
    stock_callback = callback;
    return ran && seen_block == (uintptr_t)block;
}

// ---------------------------------------------------------------------------------------------------------------
// Finding it

/**
 * _Py_NewReference() sets the object's references to 1 and, of what leads to the table, calls our function only. In a build
 * without link-time optimization that one calls _Py_hashtable_get(), which may also be what we find, if the compiler has put
 * our function into its caller.
 */
static void *called_by_outer(void)
{
    void *outer = interpreter_function("_Py_NewReference");
    if (outer == NULL)
        return NULL;
    bool seen = try_out(outer, &PyUnicode_Type, made_up.object) && seen_caller != 0;
    if (cpython.debug_build) {
        // It counted a reference, which Py_DecRef() takes back. The object has two, so that it stays.
        made_up.object[OBJECT_REFERENCES] = 2;
        Py_DecRef((PyObject *)made_up.object);
    }
    void *called = seen ? probe_called(seen_caller) : NULL;
    return called == interpreter_function("_Py_hashtable_get") ? NULL : called;
}

static bool leaves_objects_alone(void)
{
    return made_up.object[OBJECT_REFERENCES] == 2;
}

/** Only our function turns an object into its block: _Py_NewReference() changes the object, a look-up takes the block. */
static bool is_it(void *found)
{
    return try_out(found, &PyUnicode_Type, made_up.object) && leaves_objects_alone() &&
           try_out(found, &PyFrame_Type, made_up.header) && leaves_objects_alone();
}

/** NULL: the compiler has left no such function, or we are not sure. */
static void *find_function(void)
{
    void *found = interpreter_function("_PyTraceMalloc_NewReference"); // exported up to 3.9
    if (found == NULL)
        found = called_by_outer();
    return found != NULL && is_it(found) ? found : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The jump at its entry

static void *function;     // NULL: not found yet
static struct entry entry; // its jump
static unsigned entries;   // the word of the stock table with the number of entries

enum { NO_TRACE = -1 }; // what the function answers if the table has no such block

/** The program uses the stock tracer itself. */
static __attribute__((noinline)) int pass_on(uintptr_t object)
{
    new_reference_give_back();
    return entry.at == NULL ? ((int (*)(uintptr_t))function)(object) : NO_TRACE;
}

static int on_new_reference(uintptr_t object)
{
    if (UNLIKELY((*stock_table)[entries] != 0))
        return pass_on(object);
    stock_callback(object);
    return NO_TRACE;
}

static bool try_out_again(void)
{
    return is_it(function);
}

enum birth_way new_reference_take(void)
{
    if (entry.at != NULL && (cpython_others_may_run() || !entry_restore(&entry))) // it could not be undone before
        return BIRTHS_BY_ENTRY;
    entries = cpython.facts->stock_table == STOCK_TABLE_3_8 ? STOCK_ENTRIES_3_8 : STOCK_ENTRIES_3_9;
    function = find_function();
    if (function == NULL)
        return BIRTHS_BY_TABLE;
    if (!cpython_others_may_run() && entry_redirect(&entry, function, (void *)on_new_reference))
        return BIRTHS_BY_ENTRY;
    return tables_lock_skip(try_out_again) ? BIRTHS_BY_SLOTS : BIRTHS_BY_TABLE;
}

void new_reference_give_back(void)
{
    if (function == NULL)
        return;
    bool alone = !cpython_others_may_run();
    tables_lock_restore(alone);
    if (alone)
        entry_restore(&entry);
}
