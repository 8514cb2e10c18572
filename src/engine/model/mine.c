// Cutting tracebacks at the most recent frame of the user's own files.

#include "engine/model/mine.h"

#include <string.h>

#include "engine/base/number.h"

// ---------------------------------------------------------------------------------------------------------------
// Patterns

// What is below the folder that the pattern names: "src" and "src/" are "src/*".
static struct tm_error *below(const struct tm_filter *filter, struct tm_filter *result)
{
    struct tm_text text = TM_TEXT_EMPTY;
    size_t length = filter->pattern_length;

    while (length > 0 && filter->pattern_text[length - 1] == '/')
        length--;
    tm_text_bytes(&text, filter->pattern_text, length);
    tm_text_add(&text, "/*");
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_filter_init(result, true, tm_text_string(&text), text.length);
    tm_text_deinit(&text);
    result->has_line = filter->has_line;
    result->line = filter->line;
    return error;
}

struct tm_error *tm_mine_add(struct tm_mine *mine, struct tm_filter *filter)
{
    struct tm_filter folder = {0};

    struct tm_error *error = below(filter, &folder);
    if (!error)
        error = tm_filter_list_add(&mine->filters, filter);
    if (!error) {
        error = tm_filter_list_add(&mine->filters, &folder);
        if (error)
            tm_filter_list_remove(&mine->filters, mine->filters.count - 1);
    }
    tm_filter_deinit(&folder);
    return error;
}

void tm_mine_deinit(struct tm_mine *mine)
{
    tm_filter_list_deinit(&mine->filters);
}

size_t tm_mine_count(const struct tm_mine *mine)
{
    return mine->filters.count / 2;
}

const struct tm_filter *tm_mine_get(const struct tm_mine *mine, size_t index)
{
    return &mine->filters.items[2 * index];
}

// ---------------------------------------------------------------------------------------------------------------
// Cutting

struct tm_error *tm_cutter_init(struct tm_cutter *cutter, const struct tm_mine *mine, struct tm_pool *pool)
{
    cutter->pool = pool;
    return tm_sieve_init(&cutter->sieve, &mine->filters);
}

void tm_cutter_deinit(struct tm_cutter *cutter)
{
    tm_sieve_deinit(&cutter->sieve);
}

struct tm_error *tm_cutter_cut(struct tm_cutter *cutter, const struct tm_traceback *traceback,
                               const struct tm_traceback **result)
{
    const struct tm_traceback *kept = traceback;

    *result = NULL;
    for (; kept; kept = kept->older) {
        bool own;
        struct tm_error *error = tm_sieve_names(&cutter->sieve, kept->newest, &own);
        if (error)
            return error;
        if (own)
            break;
    }
    if (!kept)
        return NULL;
    if (kept == traceback) {
        *result = traceback;
        return NULL;
    }
    uint32_t total = traceback->total_frames;
    if (total != TM_TOTAL_UNKNOWN)
        total -= traceback->count - kept->count;
    return tm_pool_newest(cutter->pool, kept->older, kept->newest, total, traceback->older_missing, result);
}

// CPython 3.8 does not count the frames that it leaves out. There a traceback with as many frames as it may have is
// taken for a cut one.
static bool totals_are_known(const struct tm_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        if (tm_traceback_is_cut(snapshot->groups[i].traceback))
            return true;
    return false;
}

static void count_unmatched(struct tm_unmatched *unmatched, const struct tm_group *group, bool cut)
{
    tm_estimate_sum(&unmatched->size, &unmatched->count, &unmatched->estimate, group->size, group->count,
                    group->estimate);
    if (!cut)
        return;
    unmatched->cut_size = tm_add_saturating(unmatched->cut_size, group->size);
    unmatched->cut_count = tm_add_saturating(unmatched->cut_count, group->count);
}

static struct tm_error *cut_groups(struct tm_cutter *cutter, const struct tm_host *host, struct tm_snapshot *snapshot,
                                   struct tm_unmatched *unmatched)
{
    bool known = totals_are_known(snapshot);
    size_t kept = 0;
    uint64_t frames = 0;

    for (size_t i = 0; i < snapshot->count; i++) {
        struct tm_group group = snapshot->groups[i];
        const struct tm_traceback *whole = group.traceback;
        struct tm_error *error = NULL;
        frames += whole->count;
        if (frames >= 4096) {
            frames = 0;
            error = tm_host_check(host);
        }
        if (!error)
            error = tm_cutter_cut(cutter, whole, &group.traceback);
        if (error)
            return error;
        if (group.traceback)
            snapshot->groups[kept++] = group;
        else
            count_unmatched(unmatched, &group,
                            known ? tm_traceback_is_cut(whole) : whole->count >= snapshot->frame_limit);
    }
    snapshot->count = kept;
    return NULL;
}

struct tm_error *tm_mine_apply(const struct tm_mine *mine, const struct tm_host *host, struct tm_pool *pool,
                               struct tm_snapshot *snapshot, struct tm_unmatched *unmatched)
{
    struct tm_cutter cutter;

    *unmatched = (struct tm_unmatched){0};
    if (tm_mine_count(mine) == 0)
        return NULL;
    struct tm_error *error = tm_cutter_init(&cutter, mine, pool);
    if (!error)
        error = cut_groups(&cutter, host, snapshot, unmatched);
    tm_cutter_deinit(&cutter);
    return error;
}
