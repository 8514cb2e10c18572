// Grouping and order of statistics: Snapshot._group_by() and Statistic._sort_key() of tracemalloc.

#include "engine/model/statistics.h"

#include <string.h>

#include "engine/base/order.h"

static const char *const key_names[TM_KEYS] = {"lineno", "filename",    "traceback",     "function",
                                               "type",   "type,lineno", "type,traceback"};

const char *tm_key_name(enum tm_key key)
{
    return key_names[key];
}

bool tm_key_has_type(enum tm_key key)
{
    return key == TM_KEY_TYPE || key == TM_KEY_TYPE_LINENO || key == TM_KEY_TYPE_TRACEBACK;
}

enum tm_key tm_key_place(enum tm_key key)
{
    return key == TM_KEY_TYPE_LINENO ? TM_KEY_LINENO : key == TM_KEY_TYPE_TRACEBACK ? TM_KEY_TRACEBACK : key;
}

bool tm_key_from_name(const char *name, enum tm_key *result)
{
    for (unsigned i = 0; i < TM_KEYS; i++) {
        if (strcmp(name, key_names[i]) == 0) {
            *result = (enum tm_key)i;
            return true;
        }
    }
    return false;
}

static const char *const order_names[TM_ORDERS] = {"size", "count", "allocated", "freed"};

const char *tm_order_name(enum tm_order order)
{
    return order_names[order];
}

// ---------------------------------------------------------------------------------------------------------------
// Places

const struct tm_frame *tm_place_newest(const struct tm_place *place)
{
    return place->traceback ? place->traceback->newest : &place->frame;
}

static uint64_t hash_frame(uint64_t hash, const struct tm_frame *frame)
{
    return tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->file_name ^ (uint64_t)frame->line << 40);
}

uint64_t tm_place_hash(const struct tm_place *place)
{
    uint64_t hash = 1;

    if (!place->traceback)
        hash = hash_frame(hash, &place->frame);
    for (const struct tm_traceback *rest = place->traceback; rest; rest = rest->older)
        hash = hash_frame(hash, rest->newest);
    if (place->by_function)
        hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)place->frame.function);
    if (place->type)
        hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)place->type);
    return hash;
}

// As Traceback.__eq__: by the frames, whatever the totals are.
bool tm_places_equal(const struct tm_place *a, const struct tm_place *b)
{
    if (a->type != b->type || !a->traceback != !b->traceback)
        return false;
    if (a->traceback)
        return tm_tracebacks_equal(a->traceback, b->traceback);
    return a->frame.file_name == b->frame.file_name && a->frame.line == b->frame.line &&
           (!a->by_function || a->frame.function == b->frame.function);
}

bool tm_places_same_functions(const struct tm_place *a, const struct tm_place *b)
{
    if (a->traceback && b->traceback)
        return tm_tracebacks_same_functions(a->traceback, b->traceback);
    return a->frame.function == b->frame.function;
}

int tm_places_compare(const struct tm_place *a, const struct tm_place *b)
{
    int order = tm_names_compare(a->type, b->type);
    if (order == 0)
        order = a->traceback && b->traceback ? tm_tracebacks_compare(a->traceback, b->traceback)
                                             : tm_frames_compare(tm_place_newest(a), tm_place_newest(b));
    return order == 0 && a->by_function ? tm_names_compare(a->frame.function, b->frame.function) : order;
}

// ---------------------------------------------------------------------------------------------------------------
// Grouping

// The entry of a place in a set with room, or the free entry where it belongs.
static struct tm_set_entry *find_entry(const struct tm_set *set, const struct tm_place *place, uint64_t hash)
{
    struct tm_set_entry *entry = tm_set_first(set, hash);
    while (entry->item &&
           !(entry->hash == hash && tm_places_equal(&((const struct tm_statistic *)entry->item)->place, place)))
        entry = tm_set_next(set, entry);
    return entry;
}

static bool lacks_record(const struct tm_place *place)
{
    return place->traceback ? place->traceback->lacks_record : place->frame.not_recorded;
}

static void add_lack(struct tm_lack *lack, const struct tm_group *group)
{
    lack->size = tm_add_saturating(lack->size, group->size);
    lack->count = tm_add_saturating(lack->count, group->count);
}

// A group counts once for each of its frames. Its error is then the same each time, so k times the blocks have k times the
// error, and k * k times the variance.
static const struct tm_estimate *estimate_again(struct tm_statistic *statistic, const struct tm_group *group,
                                                struct tm_estimate *again)
{
    *again = *group->estimate;
    statistic->times = statistic->last == group ? statistic->times + 1 : 1;
    statistic->last = group;
    if (statistic->times > 1)
        again->samples = 0;
    again->variance.size *= 2.0 * statistic->times - 1;
    again->variance.count *= 2.0 * statistic->times - 1;
    return again;
}

static struct tm_error *add(struct tm_statistics *statistics, const struct tm_place *place,
                            const struct tm_group *group)
{
    if (!tm_set_reserve(&statistics->set))
        return tm_error_no_memory();

    uint64_t hash = tm_place_hash(place);
    struct tm_set_entry *entry = find_entry(&statistics->set, place, hash);
    if (!entry->item) {
        struct tm_statistic *made = tm_arena_allocate(&statistics->arena, sizeof(*made));
        if (!made)
            return tm_error_no_memory();
        *made = (struct tm_statistic){.place = *place};
        tm_set_put(&statistics->set, entry, hash, made);
    }

    struct tm_statistic *statistic = entry->item;
    statistic->mixed = statistic->mixed || !tm_places_same_functions(&statistic->place, place);
    if (group->size > statistic->largest) {
        statistic->largest = group->size;
        statistic->place = *place;
    }
    const struct tm_estimate *estimate = group->estimate;
    struct tm_estimate again;
    if (estimate)
        estimate = estimate_again(statistic, group, &again);
    tm_estimate_sum(&statistic->size, &statistic->count, &statistic->estimate, group->size, group->count, estimate);
    if (group->churn)
        tm_churn_add(&statistic->churn, group->churn);
    if (lacks_record(place))
        add_lack(&statistic->not_recorded, group);
    if (place->traceback && group->shortened)
        add_lack(&statistic->shortened, group);
    return NULL;
}

// Groups without a type have the name of one that says so.
static struct tm_place type_place(const struct tm_name *type)
{
    return (struct tm_place){.frame.file_name = type, .type = type};
}

static struct tm_place frame_place(const struct tm_frame *frame, enum tm_key key)
{
    struct tm_place place = {.frame = *frame, .by_function = key == TM_KEY_FUNCTION};
    if (key != TM_KEY_LINENO)
        place.frame.line = 0;
    if (key == TM_KEY_FILENAME)
        place.frame.function = NULL;
    return place;
}

struct tm_place tm_place_of(const struct tm_traceback *traceback, const struct tm_name *type, enum tm_key key)
{
    struct tm_place place = {.traceback = traceback};
    if (key == TM_KEY_TYPE)
        return type_place(type);
    if (tm_key_place(key) != TM_KEY_TRACEBACK)
        place = frame_place(traceback->newest, tm_key_place(key));
    place.type = tm_key_has_type(key) ? type : NULL;
    return place;
}

// What concerns a group as a whole, however many places it counts for.
static void add_total(struct tm_statistics *statistics, const struct tm_group *group, enum tm_key key, bool cumulative)
{
    const struct tm_traceback *traceback = group->traceback;
    const struct tm_place newest = {.frame = *traceback->newest}, all = {.traceback = traceback};
    bool whole = cumulative || tm_key_place(key) == TM_KEY_TRACEBACK;

    tm_estimate_sum(&statistics->total_size, &statistics->total_count, &statistics->total_estimate, group->size,
                    group->count, group->estimate);
    if (group->churn)
        tm_churn_add(&statistics->total_churn, group->churn);
    if (lacks_record(whole ? &all : &newest))
        add_lack(&statistics->not_recorded, group);
    if (whole && group->shortened)
        add_lack(&statistics->shortened, group);
}

static struct tm_error *add_group(struct tm_statistics *statistics, const struct tm_group *group, enum tm_key key,
                                  bool cumulative)
{
    const struct tm_traceback *traceback = group->traceback;
    const struct tm_name *type = tm_key_has_type(key) ? group->type : NULL;

    if (key == TM_KEY_TYPE) {
        struct tm_place place = type_place(type);
        return add(statistics, &place, group);
    }
    key = tm_key_place(key);
    if (key == TM_KEY_TRACEBACK) {
        struct tm_place place = {.traceback = traceback, .type = type};
        return add(statistics, &place, group);
    }
    // Cumulative: each frame counts, a recursive one each time. Else only the most recent frame.
    for (; traceback; traceback = cumulative ? traceback->older : NULL) {
        struct tm_place place = frame_place(traceback->newest, key);
        place.type = type;
        struct tm_error *error = add(statistics, &place, group);
        if (error)
            return error;
    }
    return NULL;
}

static struct tm_error *add_groups(struct tm_statistics *statistics, const struct tm_host *host,
                                   const struct tm_snapshot *snapshot, enum tm_key key, bool cumulative)
{
    uint64_t frames = 0;

    for (size_t i = 0; i < snapshot->count; i++) {
        struct tm_error *error = NULL;
        frames += snapshot->groups[i].traceback->count;
        if (frames >= 4096) {
            frames = 0;
            error = tm_host_check(host);
        }
        if (!error) {
            add_total(statistics, &snapshot->groups[i], key, cumulative);
            error = add_group(statistics, &snapshot->groups[i], key, cumulative);
        }
        if (error)
            return error;
    }
    return NULL;
}

const struct tm_statistic *tm_statistics_find(const struct tm_statistics *statistics, const struct tm_place *place)
{
    if (statistics->set.count == 0)
        return NULL;
    return find_entry(&statistics->set, place, tm_place_hash(place))->item;
}

static void share(struct tm_estimate *estimate, const struct tm_pair *variance)
{
    estimate->shared.size += variance->size;
    estimate->shared.count += variance->count;
}

void tm_statistics_share(struct tm_statistics *statistics, const struct tm_traceback *traceback, enum tm_key key,
                         bool cumulative, const struct tm_pair *variance)
{
    share(&statistics->total_estimate, variance);
    if (!traceback || statistics->set.count == 0)
        return;
    for (; traceback; traceback = cumulative ? traceback->older : NULL) {
        struct tm_place place = {.traceback = traceback};
        if (key != TM_KEY_TRACEBACK)
            place = frame_place(traceback->newest, key);
        struct tm_set_entry *entry = find_entry(&statistics->set, &place, tm_place_hash(&place));
        if (entry->item)
            share(&((struct tm_statistic *)entry->item)->estimate, variance);
    }
}

static struct tm_error *list_items(struct tm_statistics *statistics)
{
    statistics->items = calloc(statistics->set.count + 1, sizeof(*statistics->items));
    if (!statistics->items)
        return tm_error_no_memory();
    for (size_t i = 0; i < statistics->set.capacity; i++)
        if (statistics->set.entries[i].item)
            statistics->items[statistics->count++] = statistics->set.entries[i].item;
    return NULL;
}

struct tm_error *tm_statistics_init(struct tm_statistics *statistics, const struct tm_host *host,
                                    const struct tm_snapshot *snapshot, enum tm_key key, bool cumulative)
{
    memset(statistics, 0, sizeof(*statistics));
    statistics->sample_period = snapshot->sample_period;
    struct tm_error *error = add_groups(statistics, host, snapshot, key, cumulative);
    if (!error)
        error = list_items(statistics);
    if (error)
        tm_statistics_deinit(statistics);
    return error;
}

void tm_statistics_deinit(struct tm_statistics *statistics)
{
    free(statistics->items);
    tm_set_deinit(&statistics->set);
    tm_arena_deinit(&statistics->arena);
    memset(statistics, 0, sizeof(*statistics));
}

// ---------------------------------------------------------------------------------------------------------------
// Order

int tm_statistics_compare(const void *left, const void *right)
{
    const struct tm_statistic *a = left, *b = right;

    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return tm_places_compare(&a->place, &b->place);
}

static int compare_counts(const void *left, const void *right)
{
    const struct tm_statistic *a = left, *b = right;
    return a->count != b->count ? tm_compare_numbers(a->count, b->count) : tm_statistics_compare(a, b);
}

static int compare_allocated(const void *left, const void *right)
{
    const struct tm_statistic *a = left, *b = right;
    int order = tm_compare_numbers(a->churn.allocated, b->churn.allocated);
    if (order == 0)
        order = tm_compare_numbers(a->churn.allocations, b->churn.allocations);
    return order == 0 ? tm_statistics_compare(a, b) : order;
}

static int compare_freed(const void *left, const void *right)
{
    const struct tm_statistic *a = left, *b = right;
    int order = tm_compare_numbers(a->churn.freed, b->churn.freed);
    if (order == 0)
        order = tm_compare_numbers(a->churn.frees, b->churn.frees);
    return order == 0 ? tm_statistics_compare(a, b) : order;
}

struct tm_error *tm_statistics_sort(struct tm_statistics *statistics, const struct tm_host *host, enum tm_order order,
                                    size_t limit)
{
    static int (*const comparisons[TM_ORDERS])(const void *, const void *) = {tm_statistics_compare, compare_counts,
                                                                              compare_allocated, compare_freed};
    return tm_order_greatest(statistics->items, statistics->count, limit, comparisons[order], host);
}
