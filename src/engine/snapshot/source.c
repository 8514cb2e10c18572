// The values of a snapshot file in tracemalloc's meaning: Snapshot -> _Traces -> trace tuples -> groups. Each tuple
// of frames becomes a traceback once, however many traces share it.

#include "engine/snapshot/source.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/grow.h"
#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/base/set.h"
#include "engine/model/source_ops.h"
#include "engine/snapshot/unpickle.h"
#include "engine/target/target.h"

#define FRAMES_FACTOR 4u // so many frames may be made for each byte of the file
#define TRACES_BETWEEN_CHECKS 16384u
#define TOTAL_FRAMES_LIMIT 65535u // of a stack that is longer than its frames

struct snapshot_file {
    struct tm_source source; // first
    struct tm_target *target;
};

// ---------------------------------------------------------------------------------------------------------------
// Traces

// What a group is made of, by the addresses of the file's own objects.
struct group_key {
    const tm_pickled *frames; // of the tuple of frames
    uint32_t domain;
    uint32_t total_frames;
    size_t group; // index
};

struct collector {
    struct tm_pool *pool;
    const struct tm_host *host;
    struct tm_snapshot *snapshot;
    struct tm_set keys;
    struct tm_arena arena;
    struct tm_frame *frames; // of the tuple being made into a traceback
    size_t frame_capacity;
    uint64_t frames_left;           // in tracebacks that may still be made
    uint64_t number;                // of the trace
    const tm_pickled *sample_sizes; // by the number of the trace; NULL: traces are no samples
};

static struct tm_error *bad_trace(const struct collector *collector, const char *what, tm_pickled value)
{
    return tm_not_a_snapshot("trace %" PRIu64 " has %s for its %s", collector->number, tm_pickled_describe(value),
                             what);
}

// A number of 32 bits.
static struct tm_error *get_number(const struct collector *collector, tm_pickled value, const char *what,
                                   uint32_t *result)
{
    uint64_t number;
    if (!tm_pickled_number(value, &number))
        return bad_trace(collector, what, value);
    *result = (uint32_t)number;
    if (number > UINT32_MAX)
        return tm_not_a_snapshot("trace %" PRIu64 " has a number too large for its %s", collector->number, what);
    return NULL;
}

static struct tm_error *get_frame(const struct collector *collector, tm_pickled value, struct tm_frame *frame)
{
    const tm_pickled *items;
    uint64_t count;
    if (!tm_pickled_tuple(value, &items, &count))
        return bad_trace(collector, "frame", value);
    if (count != 2)
        return tm_not_a_snapshot("trace %" PRIu64 " has a frame of %" PRIu64 " parts, not 2", collector->number, count);
    *frame = (struct tm_frame){.file_name = tm_pickled_string(items[0])};
    if (!frame->file_name)
        return bad_trace(collector, "file name", items[0]);
    return get_number(collector, items[1], "line number", &frame->line);
}

static struct tm_error *reserve_frames(struct collector *collector, uint64_t count)
{
    // Each frame of a tuple takes at least two bytes of the file, and a tuple serves one domain or a few.
    if (count > collector->frames_left)
        return tm_not_a_snapshot("its tracebacks have more frames than the file can contain");
    collector->frames_left -= count;
    return TM_GROW(&collector->frames, (size_t)count, &collector->frame_capacity) ? NULL : tm_error_no_memory();
}

// The frames in the file begin with the most recent one.
static struct tm_error *make_traceback(struct collector *collector, const tm_pickled *frames, uint64_t count,
                                       uint32_t total_frames, const struct tm_traceback **result)
{
    struct tm_error *error = reserve_frames(collector, count);
    for (uint64_t i = 0; i < count && !error; i++)
        error = get_frame(collector, frames[i], &collector->frames[count - 1 - i]);
    if (error)
        return error;
    return tm_pool_traceback(collector->pool, collector->frames, (uint32_t)count, total_frames, result);
}

static bool is_key(const struct group_key *key, const struct group_key *wanted)
{
    return key->frames == wanted->frames && key->domain == wanted->domain && key->total_frames == wanted->total_frames;
}

// The group of this key; made if it is new.
static struct tm_error *get_group(struct collector *collector, const struct group_key *wanted, uint64_t count,
                                  struct tm_group **result)
{
    if (!tm_set_reserve(&collector->keys))
        return tm_error_no_memory();
    uint64_t hash = tm_hash_number((uint64_t)wanted->domain << 32 | wanted->total_frames);
    hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)wanted->frames);
    struct tm_set_entry *entry = tm_set_first(&collector->keys, hash);
    while (entry->item && !(entry->hash == hash && is_key(entry->item, wanted)))
        entry = tm_set_next(&collector->keys, entry);
    if (!entry->item) {
        struct tm_group group = {.domain = wanted->domain};
        struct group_key *key = tm_arena_allocate(&collector->arena, sizeof(*key));
        if (!key)
            return tm_error_no_memory();
        struct tm_error *error =
            make_traceback(collector, wanted->frames, count, wanted->total_frames, &group.traceback);
        if (!error)
            error = tm_snapshot_add(collector->snapshot, &group);
        if (error)
            return error;
        *key = *wanted;
        key->group = collector->snapshot->count - 1;
        tm_set_put(&collector->keys, entry, hash, key);
    }
    *result = &collector->snapshot->groups[((const struct group_key *)entry->item)->group];
    return NULL;
}

// How many frames the whole stack had: CPython 3.8 does not say, and a tracer may not know.
static struct tm_error *get_total(const struct collector *collector, const tm_pickled *parts, uint64_t count,
                                  uint64_t frames, uint32_t *result)
{
    *result = count == 3 ? (uint32_t)frames : TM_TOTAL_UNKNOWN;
    if (count == 3 || tm_pickled_kind(parts[3]) == TM_PICKLED_NONE)
        return NULL;
    struct tm_error *error = get_number(collector, parts[3], "total of frames", result);
    if (!error && (*result < frames || *result > TOTAL_FRAMES_LIMIT))
        return tm_not_a_snapshot("trace %" PRIu64 " has an impossible total of frames: %" PRIu32, collector->number,
                                 *result);
    return error;
}

// Of a sample the file has two sizes: what it stands for, for tracemalloc, and its own.
static struct tm_error *count_trace(const struct collector *collector, struct tm_group *group, uint64_t size)
{
    if (!collector->sample_sizes) {
        group->size = tm_add_saturating(group->size, size);
        group->count++;
        return NULL;
    }
    if (!tm_pickled_number(collector->sample_sizes[collector->number], &size))
        return bad_trace(collector, "sample's size", collector->sample_sizes[collector->number]);
    const struct tm_estimate estimate = tm_estimate_of(collector->snapshot->sample_period, size);
    if (!group->estimate)
        group->estimate = tm_snapshot_estimate(collector->snapshot, NULL);
    if (!group->estimate)
        return tm_error_no_memory();
    tm_estimate_sum(&group->size, &group->count, group->estimate, size, 1, &estimate);
    return NULL;
}

// (domain, size, frames) of CPython 3.8, (domain, size, frames, total) since.
static struct tm_error *add_trace(struct collector *collector, tm_pickled trace)
{
    const tm_pickled *parts, *frames;
    uint64_t count, frame_count, size;
    struct group_key key = {.group = 0};
    struct tm_group *group = NULL;
    if (!tm_pickled_tuple(trace, &parts, &count))
        return tm_not_a_snapshot("trace %" PRIu64 " is %s", collector->number, tm_pickled_describe(trace));
    if (count != 3 && count != 4)
        return tm_not_a_snapshot("trace %" PRIu64 " has %" PRIu64 " parts, not 3 or 4", collector->number, count);
    struct tm_error *error = get_number(collector, parts[0], "domain", &key.domain);
    if (error)
        return error;
    if (!tm_pickled_number(parts[1], &size))
        return bad_trace(collector, "size", parts[1]);
    if (!tm_pickled_tuple(parts[2], &frames, &frame_count))
        return bad_trace(collector, "traceback", parts[2]);
    if (frame_count == 0 || frame_count > UINT32_MAX)
        return tm_not_a_snapshot("trace %" PRIu64 " has no frames", collector->number);
    key.frames = frames;
    error = get_total(collector, parts, count, frame_count, &key.total_frames);
    if (!error)
        error = get_group(collector, &key, frame_count, &group);
    if (error)
        return error;
    return count_trace(collector, group, size);
}

static struct tm_error *add_traces(struct collector *collector, const tm_pickled *traces, uint64_t count)
{
    struct tm_error *error = NULL;
    for (; collector->number < count && !error; collector->number++) {
        if (collector->number % TRACES_BETWEEN_CHECKS == 0)
            error = tm_host_check(collector->host);
        if (!error)
            error = add_trace(collector, traces[collector->number]);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

static struct tm_error *missing_attribute(const char *what)
{
    return tm_not_a_snapshot("it contains no %s", what);
}

// What tm-save adds where blocks are sampled.
static struct tm_error *find_samples(struct collector *collector, tm_pickled snapshot, uint64_t count)
{
    tm_pickled period, sizes;
    const tm_pickled *items;
    uint64_t number, size_count;
    if (!tm_pickled_attribute(snapshot, TM_CLASS_SNAPSHOT, "sample_period", &period))
        return NULL;
    if (!tm_pickled_number(period, &number) || number == 0)
        return tm_not_a_snapshot("its sample_period is %s, and must be a number above 0", tm_pickled_describe(period));
    if (!tm_pickled_attribute(snapshot, TM_CLASS_SNAPSHOT, "sample_sizes", &sizes) ||
        (!tm_pickled_list(sizes, &items, &size_count) && !tm_pickled_tuple(sizes, &items, &size_count)))
        return missing_attribute("list of the samples' sizes");
    if (size_count != count)
        return tm_not_a_snapshot("it has %" PRIu64 " traces, and sizes of %" PRIu64 " samples", count, size_count);
    collector->snapshot->sample_period = number;
    collector->sample_sizes = items;
    return NULL;
}

static struct tm_error *collect(struct collector *collector, tm_pickled snapshot)
{
    tm_pickled traces, list, limit;
    const tm_pickled *items;
    uint64_t count, number;
    if (!tm_pickled_attribute(snapshot, TM_CLASS_SNAPSHOT, "traces", &traces))
        return missing_attribute("object of the class Snapshot with traces");
    if (!tm_pickled_attribute(traces, TM_CLASS_TRACES, "_traces", &list))
        return missing_attribute("object of the class _Traces");
    if (!tm_pickled_list(list, &items, &count) && !tm_pickled_tuple(list, &items, &count))
        return missing_attribute("list of traces");
    if (!tm_pickled_attribute(snapshot, TM_CLASS_SNAPSHOT, "traceback_limit", &limit) ||
        !tm_pickled_number(limit, &number) || number > UINT32_MAX)
        return missing_attribute("frame limit");
    collector->snapshot->frame_limit = (uint32_t)number;
    struct tm_error *error = find_samples(collector, snapshot, count);
    return error ? error : add_traces(collector, items, count);
}

static struct tm_error *file_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                      bool ever, struct tm_snapshot *result)
{
    (void)ever; // a file has live blocks only
    struct tm_target *target = ((struct snapshot_file *)source)->target;
    struct tm_unpickled *unpickled;
    struct tm_error *error = tm_unpickle(target, host, pool, &unpickled);
    if (error)
        return error;
    struct collector collector = {
        .pool = pool, .host = host, .snapshot = result, .frames_left = FRAMES_FACTOR * tm_target_file_size(target)};
    error = collect(&collector, tm_unpickled_value(unpickled));
    tm_set_deinit(&collector.keys);
    tm_arena_deinit(&collector.arena);
    free(collector.frames);
    tm_unpickled_destroy(unpickled);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// What a snapshot file does not say

static struct tm_error *not_in_file(const char *what)
{
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "a snapshot file does not say %s\nAsk the process or a core; tm-diff compares snapshots.",
                           what);
}

static struct tm_error *file_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    (void)source, (void)host, (void)result;
    return not_in_file("how its process was traced");
}

static struct tm_error *file_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                  uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                  struct tm_damage *damage)
{
    (void)source, (void)host, (void)pool, (void)address, (void)blocks, (void)capacity, (void)count, (void)damage;
    return not_in_file("where blocks were");
}

static struct tm_error *file_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    (void)source, (void)host, (void)pool, (void)visit, (void)context, (void)result;
    return not_in_file("where blocks were");
}

static struct tm_error *file_require_tracing(const struct tm_source *source)
{
    (void)source; // the file would not exist
    return NULL;
}

static uint64_t file_started(const struct tm_source *source)
{
    (void)source;
    return 0;
}

static void file_destroy(struct tm_source *source)
{
    free(source);
}

static const struct tm_source_ops file_ops = {
    .destroy = file_destroy,
    .require_tracing = file_require_tracing,
    .info = file_info,
    .snapshot = file_snapshot,
    .find = file_find,
    .traces = file_traces,
    .started = file_started,
};

struct tm_error *tm_snapshot_file_open(struct tm_target *target, struct tm_source **result)
{
    struct snapshot_file *file = calloc(1, sizeof(*file));
    if (!file)
        return tm_error_no_memory();
    file->source.ops = &file_ops;
    file->target = target;
    *result = &file->source;
    return NULL;
}
