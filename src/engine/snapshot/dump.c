// A Snapshot is an object with the attributes `traces`, an object of the class _Traces, and `traceback_limit`.
// _Traces has `_traces`, the list of tuples that _tracemalloc makes. Names, frames and tracebacks are written once
// each.

#include "engine/snapshot/dump.h"

#include "engine/base/grow.h"
#include "engine/model/estimate.h"

// As pickle does, a list is filled in batches.
#define BATCH 1000u

struct written_frame {
    struct tm_frame frame;
    uint32_t memo;
};

// ---------------------------------------------------------------------------------------------------------------
// The ends

static void put_object(struct tm_pickler *pickler, const char *class_name)
{
    tm_pickle_word(pickler, "tracemalloc");
    tm_pickle_word(pickler, class_name);
    tm_pickle_opcode(pickler, TM_PICKLE_STACK_GLOBAL);
    tm_pickle_opcode(pickler, TM_PICKLE_EMPTY_TUPLE);
    tm_pickle_opcode(pickler, TM_PICKLE_NEWOBJ);
}

void tm_dump_start(struct tm_dump *dump, enum tm_dump_form form, uint64_t sample_period, tm_output_callback output,
                   void *context)
{
    *dump = (struct tm_dump){.form = form, .sample_period = sample_period};
    struct tm_pickler *pickler = &dump->pickler;
    tm_pickle_start(pickler, output, context);
    put_object(pickler, "Snapshot");
    tm_pickle_opcode(pickler, TM_PICKLE_EMPTY_DICT);
    tm_pickle_word(pickler, "traces");
    put_object(pickler, "_Traces");
    tm_pickle_opcode(pickler, TM_PICKLE_EMPTY_DICT);
    tm_pickle_word(pickler, "_traces");
    tm_pickle_opcode(pickler, TM_PICKLE_EMPTY_LIST);
}

static void put_samples(struct tm_dump *dump)
{
    struct tm_pickler *pickler = &dump->pickler;
    tm_pickle_word(pickler, "sample_period");
    tm_pickle_number(pickler, dump->sample_period);
    tm_pickle_opcode(pickler, TM_PICKLE_SETITEM);
    tm_pickle_word(pickler, "sample_sizes");
    tm_pickle_opcode(pickler, TM_PICKLE_EMPTY_LIST);
    for (size_t i = 0; i < dump->size_count; i++) {
        if (i % BATCH == 0)
            tm_pickle_opcode(pickler, TM_PICKLE_MARK);
        tm_pickle_number(pickler, dump->sizes[i]);
        if (i % BATCH == BATCH - 1 || i + 1 == dump->size_count)
            tm_pickle_opcode(pickler, TM_PICKLE_APPENDS);
    }
    tm_pickle_opcode(pickler, TM_PICKLE_SETITEM);
}

static void put_end(struct tm_dump *dump, uint32_t frame_limit)
{
    struct tm_pickler *pickler = &dump->pickler;
    if (dump->batched)
        tm_pickle_opcode(pickler, TM_PICKLE_APPENDS);
    tm_pickle_opcode(pickler, TM_PICKLE_SETITEM);
    tm_pickle_opcode(pickler, TM_PICKLE_BUILD);
    tm_pickle_opcode(pickler, TM_PICKLE_SETITEM);
    tm_pickle_word(pickler, "traceback_limit");
    tm_pickle_number(pickler, frame_limit);
    tm_pickle_opcode(pickler, TM_PICKLE_SETITEM);
    if (dump->sample_period)
        put_samples(dump);
    tm_pickle_opcode(pickler, TM_PICKLE_BUILD);
}

struct tm_error *tm_dump_finish(struct tm_dump *dump, struct tm_error *error, uint32_t frame_limit, uint64_t *written)
{
    if (!error)
        put_end(dump, frame_limit);
    struct tm_error *own = error ? tm_pickle_abandon(&dump->pickler) : tm_pickle_finish(&dump->pickler);
    *written = dump->pickler.written;
    tm_set_deinit(&dump->names);
    tm_set_deinit(&dump->frames);
    tm_set_deinit(&dump->tracebacks);
    tm_arena_deinit(&dump->arena);
    free(dump->sizes);
    if (!error)
        return own;
    tm_error_destroy(own);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Traces

// Pointers as keys of a set; the item is the index in the memo, plus 1.
static uint64_t key_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static void *memo_item(struct tm_pickler *pickler)
{
    return (void *)((uintptr_t)tm_pickle_memoize(pickler) + 1);
}

static uint32_t memo_index(const struct tm_set_entry *entry)
{
    return (uint32_t)((uintptr_t)entry->item - 1);
}

static struct tm_error *put_name(struct tm_dump *dump, const struct tm_name *name)
{
    if (!tm_set_reserve(&dump->names))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&dump->names, key_of(name));
    if (entry->item) {
        tm_pickle_get(&dump->pickler, memo_index(entry));
        return NULL;
    }
    tm_pickle_string(&dump->pickler, name->bytes, name->length);
    tm_set_put_number(&dump->names, entry, key_of(name), memo_item(&dump->pickler));
    return NULL;
}

static bool is_frame(const struct written_frame *written, const struct tm_frame *frame)
{
    return written->frame.file_name == frame->file_name && written->frame.line == frame->line;
}

static struct tm_error *put_frame(struct tm_dump *dump, const struct tm_frame *frame)
{
    if (!tm_set_reserve(&dump->frames))
        return tm_error_no_memory();
    uint64_t hash = tm_hash_number(tm_hash_number(frame->line) ^ (uint64_t)(uintptr_t)frame->file_name);
    struct tm_set_entry *entry = tm_set_first(&dump->frames, hash);
    while (entry->item && !(entry->hash == hash && is_frame(entry->item, frame)))
        entry = tm_set_next(&dump->frames, entry);
    if (entry->item) {
        tm_pickle_get(&dump->pickler, ((const struct written_frame *)entry->item)->memo);
        return NULL;
    }
    struct written_frame *written = tm_arena_allocate(&dump->arena, sizeof(*written));
    struct tm_error *error = written ? put_name(dump, frame->file_name) : tm_error_no_memory();
    if (error)
        return error;
    tm_pickle_number(&dump->pickler, frame->line);
    tm_pickle_opcode(&dump->pickler, TM_PICKLE_TUPLE2);
    *written = (struct written_frame){*frame, tm_pickle_memoize(&dump->pickler)};
    tm_set_put(&dump->frames, entry, hash, written);
    return NULL;
}

// The tuple of frames, the most recent one first.
static struct tm_error *put_frames(struct tm_dump *dump, const struct tm_traceback *traceback)
{
    if (!tm_set_reserve(&dump->tracebacks))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&dump->tracebacks, key_of(traceback));
    if (entry->item) {
        tm_pickle_get(&dump->pickler, memo_index(entry));
        return NULL;
    }
    struct tm_error *error = NULL;
    tm_pickle_opcode(&dump->pickler, TM_PICKLE_MARK);
    for (const struct tm_traceback *rest = traceback; rest && !error; rest = rest->older)
        error = put_frame(dump, rest->newest);
    if (error)
        return error;
    tm_pickle_opcode(&dump->pickler, TM_PICKLE_TUPLE);
    tm_set_put_number(&dump->tracebacks, entry, key_of(traceback), memo_item(&dump->pickler));
    return NULL;
}

struct tm_error *tm_dump_trace(struct tm_dump *dump, uint32_t domain, uint64_t size,
                               const struct tm_traceback *traceback)
{
    struct tm_pickler *pickler = &dump->pickler;
    if (dump->sample_period) {
        const struct tm_estimate estimate = tm_estimate_of(dump->sample_period, size);
        if (!TM_GROW(&dump->sizes, dump->size_count + 1, &dump->size_capacity))
            return tm_error_no_memory();
        dump->sizes[dump->size_count++] = size;
        size = tm_estimate_size(&estimate);
    }
    if (dump->batched == 0)
        tm_pickle_opcode(pickler, TM_PICKLE_MARK);
    if (dump->form == TM_DUMP_3_9)
        tm_pickle_opcode(pickler, TM_PICKLE_MARK);
    tm_pickle_number(pickler, domain);
    tm_pickle_number(pickler, size);
    struct tm_error *error = put_frames(dump, traceback);
    if (error)
        return error;
    if (dump->form == TM_DUMP_3_9) {
        if (traceback->total_frames == TM_TOTAL_UNKNOWN)
            tm_pickle_opcode(pickler, TM_PICKLE_NONE);
        else
            tm_pickle_number(pickler, traceback->total_frames);
        tm_pickle_opcode(pickler, TM_PICKLE_TUPLE);
    } else {
        tm_pickle_opcode(pickler, TM_PICKLE_TUPLE3);
    }
    if (++dump->batched == BATCH) {
        tm_pickle_opcode(pickler, TM_PICKLE_APPENDS);
        dump->batched = 0;
    }
    return tm_pickle_check(pickler);
}
