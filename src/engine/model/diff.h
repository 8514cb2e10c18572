/**
 * Differences between two statistics, as Snapshot.compare_to() of tracemalloc has them. Knows no target and no text.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_DIFF_H
#define TRACEMORTEM_ENGINE_MODEL_DIFF_H

#include "engine/model/statistics.h"

/** A StatisticDiff; its size_diff is size - old_size, its count_diff is count - old_count. */
struct tm_difference {
    struct tm_place place;
    uint64_t size, old_size;
    uint64_t count, old_count;
    struct tm_estimate estimate, old_estimate; // where blocks are sampled
    struct tm_pair variance;                   // of both changes, if so
    struct tm_churn churn, old_churn;
    struct tm_lack not_recorded, shortened; // as NEW's statistic has it
    bool mixed;                             // as a statistic's, over both sides
};

/**
 * Set the variance of the changes. The periods are those of both sides, 0 where all blocks are recorded. Where one side is
 * exact, it is at least what samples of an unchanged place would have: the other side may have had no luck.
 */
void tm_difference_find_variance(struct tm_difference *difference, uint64_t old_period, uint64_t period);

/** Whether the change of the size is more than two of its standard errors. Without samples every change is. */
bool tm_difference_exceeds_noise(const struct tm_difference *difference);

struct tm_differences {
    struct tm_arena arena; // of the differences
    void **items;          // struct tm_difference *
    size_t count;
    struct tm_difference total;  // of all items; its place means nothing
    uint64_t old_period, period; // of both sides' samples; 0: all blocks are recorded
};

/** In no order. Both must be of the same pool, which must outlive the result. */
struct tm_error *tm_differences_init(struct tm_differences *differences, const struct tm_host *host,
                                     const struct tm_statistics *before, const struct tm_statistics *after);
void tm_differences_deinit(struct tm_differences *differences);

/**
 * The greatest `limit` first, in tracemalloc's order (|size_diff|, size, |count_diff|, count, traceback), or by the
 * difference of what else is asked for. Where blocks are sampled, what exceeds the noise comes before what does not.
 */
struct tm_error *tm_differences_sort(struct tm_differences *differences, const struct tm_host *host,
                                     enum tm_order order, size_t limit);

#endif
