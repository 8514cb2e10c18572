// Records as they are taken, published and freed.

#include "kind.h"

#include "pages.h"
#include "profile.h"

bool collection_is_due;

enum { LEAST_WORTH = 1 << 14 }; // records: below that a collection is not worth its time

// When a collection has not made room, the next one waits for twice as many that found none.
static uint64_t patience, refused;

void collection_wanted(void)
{
    if (++refused > patience)
        collection_is_due = true;
}

void collection_made(bool freed)
{
    collection_is_due = false;
    refused = 0;
    patience = freed ? 0 : 2 * patience + LEAST_WORTH / 16;
}

static uint64_t live_count(const struct kind *kind)
{
    return kind_array(kind)->count - *kind_free_count(kind);
}

/** Whether the records have doubled since the last collection. */
static bool is_worth_it(const struct kind *kind, uint64_t live)
{
    return live >= 2 * kind->live_then + LEAST_WORTH && !profile_now->counts_sites;
}

/** Whether little room is left: an eighth of all, and half of what there was after the last collection. */
static bool is_short(const struct kind *kind, uint64_t live, uint64_t limit)
{
    return live >= limit - limit / 8 && live - kind->live_then >= limit - live;
}

uint32_t kind_take(struct kind *kind, uint64_t limit)
{
    struct tm_array *array = kind_array(kind);
    uint64_t live = live_count(kind);
    if (live >= limit)
        return collection_wanted(), 0;
    if (is_worth_it(kind, live) || is_short(kind, live, limit))
        collection_is_due = true;
    if (!index_reserve(&kind->index))
        return 0;
    uint32_t id = kind->free;
    if (id == 0)
        return table_append(array) == NULL ? 0 : (uint32_t)array->count;
    kind->free = kind->next_free(id);
    --*kind_free_count(kind);
    return id;
}

static void free_record(struct kind *kind, uint32_t id)
{
    kind->make_free(id, kind->free);
    table_copy(kind_array(kind), id);
    kind->free = id;
    ++*kind_free_count(kind);
}

void kind_give_back(struct kind *kind, uint32_t id)
{
    if (id == kind_array(kind)->count)
        return; // the place behind the last record
    free_record(kind, id);
}

uint32_t kind_publish(struct kind *kind, uint32_t id, uint64_t hash)
{
    struct tm_array *array = kind_array(kind);
    if (id == array->count)
        table_publish(array);
    else
        table_copy(array, id);
    index_add(&kind->index, hash, id);
    return id;
}

// ---------------------------------------------------------------------------------------------------------------
// Sweeping

bool marks_init(struct marks *marks, const struct kind *kind)
{
    marks->count = kind_array(kind)->count;
    marks->words = pages_map((marks->count / 64 + 1) * sizeof *marks->words);
    return marks->words != NULL;
}

void marks_deinit(struct marks *marks)
{
    if (marks->words != NULL)
        pages_unmap(marks->words, (marks->count / 64 + 1) * sizeof *marks->words);
}

void kind_sweep(struct kind *kind, const struct marks *marks, uint32_t fixed)
{
    struct tm_array *array = kind_array(kind);
    index_clear(&kind->index);
    for (uint32_t id = 1; id < array->count; id++) {
        if (kind->is_free(id))
            continue;
        if (id <= fixed || marks_get(marks, id)) {
            index_add(&kind->index, kind->index.hash_of(id), id);
            continue;
        }
        free_record(kind, id);
    }
    kind->live_then = live_count(kind);
}
