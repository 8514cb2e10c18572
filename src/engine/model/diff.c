// Differences: _compare_grouped_stats() and StatisticDiff._sort_key() of tracemalloc.

#include "engine/model/diff.h"

#include <string.h>

#include "engine/base/order.h"

// A change of so many standard errors is no chance: of unchanged rows one in twenty seems to change as much.
#define NOISE 2

// `before` or `after` may be NULL, but not both.
static struct tm_error *add(struct tm_differences *differences, const struct tm_statistic *before,
                            const struct tm_statistic *after)
{
    static const struct tm_statistic none;
    struct tm_difference *difference = tm_arena_allocate(&differences->arena, sizeof(*difference));
    if (!difference)
        return tm_error_no_memory();

    bool mixed = before && after && !tm_places_same_functions(&after->place, &before->place);
    const struct tm_statistic *old = before ? before : &none, *now = after ? after : &none;
    *difference = (struct tm_difference){.place = after ? now->place : old->place,
                                         .size = now->size,
                                         .old_size = old->size,
                                         .count = now->count,
                                         .old_count = old->count,
                                         .estimate = now->estimate,
                                         .old_estimate = old->estimate,
                                         .churn = now->churn,
                                         .old_churn = old->churn,
                                         .not_recorded = now->not_recorded,
                                         .shortened = now->shortened,
                                         .mixed = mixed || now->mixed || old->mixed};
    tm_difference_find_variance(difference, differences->old_period, differences->period);
    differences->items[differences->count++] = difference;
    return NULL;
}

static struct tm_error *add_all(struct tm_differences *differences, const struct tm_host *host,
                                const struct tm_statistics *before, const struct tm_statistics *after)
{
    struct tm_error *error = NULL;

    for (size_t i = 0; i < after->count && !error; i++) {
        const struct tm_statistic *statistic = after->items[i];
        error = add(differences, tm_statistics_find(before, &statistic->place), statistic);
        if (!error && i % 1024 == 1023)
            error = tm_host_check(host);
    }
    for (size_t i = 0; i < before->count && !error; i++) {
        const struct tm_statistic *statistic = before->items[i];
        if (!tm_statistics_find(after, &statistic->place))
            error = add(differences, statistic, NULL);
        if (!error && i % 1024 == 1023)
            error = tm_host_check(host);
    }
    return error;
}

struct tm_error *tm_differences_init(struct tm_differences *differences, const struct tm_host *host,
                                     const struct tm_statistics *before, const struct tm_statistics *after)
{
    memset(differences, 0, sizeof(*differences));
    differences->total.size = after->total_size;
    differences->total.count = after->total_count;
    differences->total.old_size = before->total_size;
    differences->total.old_count = before->total_count;
    differences->total.estimate = after->total_estimate;
    differences->total.old_estimate = before->total_estimate;
    differences->total.churn = after->total_churn;
    differences->total.old_churn = before->total_churn;
    differences->total.not_recorded = after->not_recorded;
    differences->total.shortened = after->shortened;
    differences->old_period = before->sample_period;
    differences->period = after->sample_period;
    differences->total.variance =
        tm_estimate_change_variance(&differences->total.old_estimate, &differences->total.estimate);

    differences->items = calloc(before->count + after->count + 1, sizeof(*differences->items));
    struct tm_error *error = differences->items ? add_all(differences, host, before, after) : tm_error_no_memory();
    if (error)
        tm_differences_deinit(differences);
    return error;
}

void tm_differences_deinit(struct tm_differences *differences)
{
    free(differences->items);
    tm_arena_deinit(&differences->arena);
    memset(differences, 0, sizeof(*differences));
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

void tm_difference_find_variance(struct tm_difference *difference, uint64_t old_period, uint64_t period)
{
    struct tm_pair *variance = &difference->variance, unchanged = {0, 0};
    *variance = tm_estimate_change_variance(&difference->old_estimate, &difference->estimate);
    if (old_period && !period)
        unchanged = tm_estimate_variance_of(old_period, difference->size, difference->count);
    else if (period && !old_period)
        unchanged = tm_estimate_variance_of(period, difference->old_size, difference->old_count);
    variance->size = greater(variance->size, unchanged.size);
    variance->count = greater(variance->count, unchanged.count);
}

// A change that is there at all exceeds the noise of exact numbers, which have none.
static bool exceeds(uint64_t distance, double variance)
{
    return (double)distance * (double)distance > NOISE * NOISE * variance;
}

static bool count_exceeds_noise(const struct tm_difference *difference)
{
    return exceeds(tm_distance(difference->old_count, difference->count), difference->variance.count);
}

bool tm_difference_exceeds_noise(const struct tm_difference *difference)
{
    return exceeds(tm_distance(difference->old_size, difference->size), difference->variance.size);
}

static int compare(const void *left, const void *right)
{
    const struct tm_difference *a = left, *b = right;

    int order = tm_difference_exceeds_noise(a) - tm_difference_exceeds_noise(b);
    if (order == 0)
        order = tm_compare_numbers(tm_distance(a->old_size, a->size), tm_distance(b->old_size, b->size));
    if (order == 0)
        order = tm_compare_numbers(a->size, b->size);
    if (order == 0)
        order = tm_compare_numbers(tm_distance(a->old_count, a->count), tm_distance(b->old_count, b->count));
    if (order == 0)
        order = tm_compare_numbers(a->count, b->count);
    if (order == 0)
        order = tm_places_compare(&a->place, &b->place);
    return order;
}

static int compare_counts(const void *left, const void *right)
{
    const struct tm_difference *a = left, *b = right;
    int order = count_exceeds_noise(a) - count_exceeds_noise(b);
    if (order == 0)
        order = tm_compare_numbers(tm_distance(a->old_count, a->count), tm_distance(b->old_count, b->count));
    return order == 0 ? compare(a, b) : order;
}

static int compare_allocated(const void *left, const void *right)
{
    const struct tm_difference *a = left, *b = right;
    int order = tm_compare_numbers(tm_distance(a->old_churn.allocated, a->churn.allocated),
                                   tm_distance(b->old_churn.allocated, b->churn.allocated));
    return order == 0 ? compare(a, b) : order;
}

static int compare_freed(const void *left, const void *right)
{
    const struct tm_difference *a = left, *b = right;
    int order = tm_compare_numbers(tm_distance(a->old_churn.freed, a->churn.freed),
                                   tm_distance(b->old_churn.freed, b->churn.freed));
    return order == 0 ? compare(a, b) : order;
}

struct tm_error *tm_differences_sort(struct tm_differences *differences, const struct tm_host *host,
                                     enum tm_order order, size_t limit)
{
    static int (*const comparisons[TM_ORDERS])(const void *, const void *) = {compare, compare_counts,
                                                                              compare_allocated, compare_freed};
    return tm_order_greatest(differences->items, differences->count, limit, comparisons[order], host);
}
