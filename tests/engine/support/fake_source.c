// The test double of the interface in source.h. Aborts where a test misuses it.

#include "support/fake_source.h"

#include <stdlib.h>
#include <string.h>

#include "engine/target/private.h"
#include "engine/target/target.h"

struct fake_frame {
    char *name;
    uint32_t length;
    uint32_t line;
    uint32_t first_line;  // of the function; 0: not known
    const char *function; // NULL: not known
};

struct fake_group {
    struct fake_frame *frames;
    uint32_t frame_count, total_frames;
    uint32_t domain;
    uint64_t size, count;
    struct tm_estimate estimate; // if there are samples, size and count are its
    struct tm_churn churn;
    bool not_recorded, shortened;
};

struct fake_block {
    struct tm_block block;
    size_t group;
};

struct fake {
    struct fake_group *groups;
    size_t group_count;
    struct fake_block *blocks;
    size_t block_count;
    struct tm_damage damage;
    struct tm_info info;
    int open_error;
    char *open_message;
    bool tracing;
    uint64_t started;
    uint32_t python_version;
    bool has_functions, has_churn, codes_full;
    uint32_t frame_limit;
    struct tm_private private;
    bool moving;
    uint64_t table_bytes;
    uint64_t sample_period;
};

// Room for one more item: the capacity of a list that is not empty doubles when it is full.
static void *grown(void *items, size_t count, size_t size)
{
    if (items && (count & (count - 1)))
        return items;
    void *result = reallocarray(items, items ? 2 * count : count + 1, size);
    if (!result)
        abort();
    return result;
}

struct fake *fake_create(void)
{
    struct fake *fake = grown(NULL, 0, sizeof(*fake));
    memset(fake, 0, sizeof(*fake));
    fake->tracing = true;
    fake->frame_limit = 25;
    fake->info = (struct tm_info){.source = "fake",
                                  .found_by = "the test",
                                  .python_version = "3.11.7",
                                  .state = 1,
                                  .has_tracer = true,
                                  .tracer = {.version = "0.1.0"}};
    return fake;
}

void fake_destroy(struct fake *fake)
{
    for (size_t i = 0; i < fake->group_count; i++) {
        for (uint32_t j = 0; j < fake->groups[i].frame_count; j++)
            free(fake->groups[i].frames[j].name);
        free(fake->groups[i].frames);
    }
    free(fake->groups);
    free(fake->blocks);
    free(fake->open_message);
    free(fake);
}

struct tm_target *fake_target(struct fake *fake)
{
    return (struct tm_target *)fake;
}

void fake_add_group(struct fake *fake, uint32_t domain, uint64_t size, uint64_t count, uint32_t total_frames,
                    uint32_t frames, const char *const *names, const uint32_t *lengths, const uint32_t *lines)
{
    fake->groups = grown(fake->groups, fake->group_count, sizeof(*fake->groups));
    struct fake_group *group = &fake->groups[fake->group_count++];
    *group = (struct fake_group){.frames = grown(NULL, frames, sizeof(*group->frames)),
                                 .frame_count = frames,
                                 .total_frames = total_frames,
                                 .domain = domain,
                                 .size = size,
                                 .count = count};
    for (uint32_t i = 0; i < frames; i++) {
        group->frames[i] = (struct fake_frame){grown(NULL, lengths[i], 1), lengths[i], lines[i], 0, NULL};
        memcpy(group->frames[i].name, names[i], lengths[i]);
    }
}

void fake_add(struct fake *fake, const char *name, uint32_t line, uint64_t size, uint64_t count)
{
    uint32_t length = (uint32_t)strlen(name);
    fake_add_group(fake, 0, size, count, 1, 1, &name, &length, &line);
}

void fake_set_functions(struct fake *fake, const char *const *functions)
{
    struct fake_group *group = &fake->groups[fake->group_count - 1];
    fake->has_functions = true;
    for (uint32_t i = 0; i < group->frame_count; i++)
        group->frames[i].function = functions[i];
}

void fake_set_first_lines(struct fake *fake, const uint32_t *lines)
{
    struct fake_group *group = &fake->groups[fake->group_count - 1];
    for (uint32_t i = 0; i < group->frame_count; i++)
        group->frames[i].first_line = lines[i];
}

void fake_set_churn(struct fake *fake, uint64_t allocated, uint64_t allocations, uint64_t freed, uint64_t frees)
{
    fake->has_churn = true;
    fake->groups[fake->group_count - 1].churn = (struct tm_churn){allocated, allocations, freed, frees};
}

void fake_set_lacks(struct fake *fake, bool not_recorded, bool shortened)
{
    fake->codes_full = fake->codes_full || not_recorded;
    fake->groups[fake->group_count - 1].not_recorded = not_recorded;
    fake->groups[fake->group_count - 1].shortened = shortened;
}

void fake_add_block(struct fake *fake, uint64_t address, uint64_t size, uint32_t domain, bool resizing)
{
    fake->blocks = grown(fake->blocks, fake->block_count, sizeof(*fake->blocks));
    fake->blocks[fake->block_count++] =
        (struct fake_block){{address, size, domain, resizing, NULL}, fake->group_count - 1};
}

void fake_set_damage(struct fake *fake, uint64_t unreadable_records, uint64_t unreadable_bytes,
                     uint64_t corrupt_records, uint64_t first_address)
{
    fake->damage = (struct tm_damage){unreadable_records, unreadable_bytes, corrupt_records, first_address, 0, 0, NULL};
    fake->info.damage = fake->damage;
}

void fake_set_open_error(struct fake *fake, int code, const char *message)
{
    free(fake->open_message);
    fake->open_error = code;
    fake->open_message = strdup(message);
}

void fake_set_sample_period(struct fake *fake, uint64_t period)
{
    fake->sample_period = period;
    fake->info.sample_period = period;
}

void fake_add_samples(struct fake *fake, uint64_t size, uint64_t count)
{
    struct fake_group *group = &fake->groups[fake->group_count - 1];
    const struct tm_estimate one = tm_estimate_of(fake->sample_period, size);
    for (uint64_t i = 0; i < count; i++) {
        tm_estimate_add(&group->estimate, &one);
        tm_estimate_add(&fake->info.estimate, &one);
    }
    group->size = tm_estimate_size(&group->estimate);
    group->count = tm_estimate_count(&group->estimate);
    fake->info.traced = tm_estimate_size(&fake->info.estimate);
    fake->info.blocks = tm_estimate_count(&fake->info.estimate);
}

void fake_set_tracing(struct fake *fake, bool tracing)
{
    fake->tracing = tracing;
}

void fake_set_started(struct fake *fake, uint64_t nanoseconds)
{
    fake->started = nanoseconds;
}

void fake_set_python_version(struct fake *fake, uint32_t version)
{
    fake->python_version = version;
}

void fake_set_frame_limit(struct fake *fake, uint32_t frame_limit)
{
    fake->frame_limit = frame_limit;
}

void fake_set_private(struct fake *fake, int kind, uint64_t size, uint64_t table_bytes)
{
    fake->private = (struct tm_private){(enum tm_private_kind)kind, size};
    fake->table_bytes = table_bytes;
    fake->info.tracer.own_bytes = table_bytes;
}

struct tm_info *fake_info(struct fake *fake)
{
    return &fake->info;
}

// ---------------------------------------------------------------------------------------------------------------
// The seam

struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct fake *fake = (struct fake *)target;
    (void)host;
    if (fake->open_error)
        return tm_error_create((enum tm_error_code)fake->open_error, "%s", fake->open_message);
    *result = (struct tm_source *)fake;
    return NULL;
}

void tm_source_want_samples(struct tm_target *target, bool wanted)
{
    (void)target, (void)wanted;
}

bool tm_source_has_samples_beside(const struct tm_target *target)
{
    (void)target;
    return false;
}

void fake_set_moving(struct fake *fake, bool moving)
{
    fake->moving = moving;
}

bool tm_target_is_moving(const struct tm_target *target)
{
    return ((const struct fake *)target)->moving;
}

void tm_target_backing(const struct tm_target *target, struct tm_backing *backing)
{
    (void)target;
    *backing = (struct tm_backing){.kind = TM_BACKING_UNKNOWN};
}

bool tm_target_program_was_read(const struct tm_target *target)
{
    (void)target;
    return false;
}

// A fake has no memory: the commands about objects refuse it as they do a snapshot file.
bool tm_target_is_file(const struct tm_target *target)
{
    (void)target;
    return true;
}

uint64_t tm_target_symbol(const struct tm_target *target, const char *name)
{
    (void)target;
    (void)name;
    return 0;
}

bool tm_target_try_read(struct tm_target *target, uint64_t address, void *buffer, uint64_t length)
{
    (void)target;
    (void)address;
    (void)buffer;
    return length == 0;
}

struct tm_error *tm_target_regions(const struct tm_target *target, struct tm_region **result, size_t *count)
{
    (void)target;
    *result = NULL;
    *count = 0;
    return NULL;
}

struct tm_error *tm_target_threads(const struct tm_target *target, struct tm_thread **result, size_t *count)
{
    (void)target;
    *result = NULL;
    *count = 0;
    return NULL;
}

struct tm_error *tm_target_modules(const struct tm_target *target, struct tm_module **result, size_t *count)
{
    (void)target;
    *result = NULL;
    *count = 0;
    return NULL;
}

const char *tm_target_why_missing(const struct tm_target *target, uint64_t address)
{
    (void)target, (void)address;
    return NULL;
}

struct tm_error *tm_target_private(const struct tm_target *target, struct tm_private *result)
{
    *result = ((const struct fake *)target)->private;
    return NULL;
}

struct tm_error *tm_source_require_tracing(const struct tm_source *source)
{
    const struct fake *fake = (const struct fake *)source;
    return fake->tracing ? NULL : tm_error_create(TM_ERROR_NOT_TRACING, "tracing is off");
}

struct tm_error *tm_source_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    (void)host;
    *result = ((struct fake *)source)->info;
    return NULL;
}

static struct tm_error *intern(const struct fake_group *group, struct tm_pool *pool, const struct tm_traceback **result)
{
    struct tm_frame *frames = grown(NULL, group->frame_count, sizeof(*frames));
    struct tm_error *error = NULL;

    for (uint32_t i = 0; i < group->frame_count && !error; i++) {
        const struct fake_frame *frame = &group->frames[i];
        frames[i] = (struct tm_frame){.line = frame->line,
                                      .first_line = frame->first_line,
                                      .not_recorded = group->not_recorded && i + 1 == group->frame_count};
        error = tm_pool_name(pool, frame->name, frame->length, &frames[i].file_name);
        if (!error && frame->function)
            error = tm_pool_name(pool, frame->function, (uint32_t)strlen(frame->function), &frames[i].function);
    }
    if (!error)
        error = tm_pool_traceback(pool, frames, group->frame_count, group->total_frames, result);
    free(frames);
    return error;
}

static struct tm_error *take_snapshot(struct tm_source *source, struct tm_pool *pool, bool ever,
                                      struct tm_snapshot *result)
{
    const struct fake *fake = (const struct fake *)source;
    *result = (struct tm_snapshot){.groups = grown(NULL, fake->group_count, sizeof(*result->groups)),
                                   .has_functions = fake->has_functions,
                                   .has_churn = fake->has_churn,
                                   .codes_full = fake->codes_full,
                                   .frame_limit = fake->frame_limit,
                                   .table_bytes = fake->table_bytes,
                                   .sample_period = fake->sample_period,
                                   .in_flight = fake->info.tracer.in_flight,
                                   .damage = fake->damage};
    for (size_t i = 0; i < fake->group_count; i++) {
        const struct fake_group *group = &fake->groups[i];
        if (!ever && group->count == 0 && group->churn.allocations)
            continue;
        struct tm_group *made = &result->groups[result->count++];
        *made = (struct tm_group){.domain = group->domain,
                                  .shortened = group->shortened,
                                  .size = group->size,
                                  .count = group->count,
                                  .estimate =
                                      tm_snapshot_estimate(result, group->estimate.samples ? &group->estimate : NULL),
                                  .churn = tm_snapshot_churn(result, &group->churn)};
        struct tm_error *error = intern(group, pool, &made->traceback);
        if (error) {
            tm_snapshot_deinit(result);
            return error;
        }
    }
    return NULL;
}

struct tm_error *tm_source_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    struct tm_snapshot *result)
{
    (void)host;
    return take_snapshot(source, pool, false, result);
}

struct tm_error *tm_source_history(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   struct tm_snapshot *result)
{
    (void)host;
    return take_snapshot(source, pool, true, result);
}

struct tm_error *tm_source_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                struct tm_damage *damage)
{
    const struct fake *fake = (const struct fake *)source;
    struct tm_error *error = NULL;

    (void)host;
    *damage = fake->damage;
    *count = 0;
    for (size_t i = 0; i < fake->block_count && !error; i++) {
        const struct fake_block *block = &fake->blocks[i];
        if (address - block->block.address >= block->block.size)
            continue;
        if (*count < capacity) {
            blocks[*count] = block->block;
            error = intern(&fake->groups[block->group], pool, &blocks[*count].traceback);
        }
        (*count)++;
    }
    return error;
}

// The block after `*last` by its address, or the first one; those of the same address in the order in which they were
// added.
static const struct fake_block *next_block(const struct fake *fake, const struct fake_block *last)
{
    const struct fake_block *best = NULL;
    for (size_t i = 0; i < fake->block_count; i++) {
        const struct fake_block *block = &fake->blocks[i];
        uint64_t address = block->block.address;
        if (last && (address < last->block.address || (address == last->block.address && block <= last)))
            continue;
        if (!best || address < best->block.address)
            best = block;
    }
    return best;
}

struct tm_error *tm_source_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                  tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    const struct fake *fake = (const struct fake *)source;
    struct tm_origin *origins = grown(NULL, fake->group_count, sizeof(*origins));
    struct tm_error *error = NULL;

    (void)host;
    memset(origins, 0, (fake->group_count + 1) * sizeof(*origins));
    *result = (struct tm_traces){fake->frame_limit, fake->python_version, fake->sample_period, fake->damage};
    for (const struct fake_block *block = next_block(fake, NULL); block && !error; block = next_block(fake, block)) {
        struct tm_origin *origin = &origins[block->group];
        origin->domain = block->block.domain;
        if (!origin->traceback)
            error = intern(&fake->groups[block->group], pool, &origin->traceback);
        const struct tm_trace trace = {block->block.address, block->block.size, origin, block->block.resizing};
        if (!error)
            error = visit(context, &trace);
    }
    free(origins);
    return error;
}

struct tm_error *tm_source_verify(struct tm_source *source, const struct tm_host *host,
                                  const struct tm_verify_request *request, struct tm_verification *result)
{
    (void)source, (void)host, (void)request, (void)result;
    return tm_error_create(TM_ERROR_UNSUPPORTED, "a fake has nothing to verify");
}

uint64_t tm_source_sample_period(const struct tm_source *source)
{
    return ((const struct fake *)source)->sample_period;
}

uint64_t tm_source_started(const struct tm_source *source)
{
    return ((const struct fake *)source)->started;
}

uint32_t tm_source_python(const struct tm_source *source, bool *free_threaded)
{
    (void)source;
    *free_threaded = false;
    return 0;
}
