/**
 * Estimates: what sampled blocks say of all blocks, and how far that may be off. Knows no source and no text.
 *
 * Each allocated byte is picked with the same chance, one in `period`, and a block is recorded if one of its bytes is
 * picked. So a block of s bytes is recorded with the chance 1 - e^(-s/period), independently of all others, and stands for
 * the reciprocal of that, its weight w. The sum of the weights estimates how many blocks there are, the sum of s*w their
 * bytes (Horvitz and Thompson). Both are unbiased, and the sums of w*(w-1) and s^2*w*(w-1) are unbiased for their variances.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_ESTIMATE_H
#define TRACEMORTEM_ENGINE_MODEL_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/** Of blocks and of bytes. */
struct tm_pair {
    double size, count;
};

/** Sums over samples. All zero: nothing was estimated. */
struct tm_estimate {
    uint64_t samples;
    struct tm_pair sum;
    struct tm_pair variance;
    struct tm_pair shared; // the part of the variance that the other side of a comparison has too (model/shared.h)
};

/** What one sample adds. `period` is not 0. */
struct tm_estimate tm_estimate_of(uint64_t period, uint64_t size);
void tm_estimate_add(struct tm_estimate *sum, const struct tm_estimate *more);
/** The estimates as whole numbers. */
uint64_t tm_estimate_size(const struct tm_estimate *estimate);
uint64_t tm_estimate_count(const struct tm_estimate *estimate);

/**
 * Add bytes and blocks to sums of such. Where they are estimated (`more` has samples), the sums are those of the estimates, rounded once: many
 * estimates of a block or two would else be off together.
 */
void tm_estimate_sum(uint64_t *size, uint64_t *count, struct tm_estimate *sum, uint64_t more_size, uint64_t more_count,
                     const struct tm_estimate *more);

/** The standard errors: roots of variances. */
struct tm_pair tm_errors_of(const struct tm_pair *variance);
/** The variance of NEW - OLD: what both sides have in common is off by the same on both. */
struct tm_pair tm_estimate_change_variance(const struct tm_estimate *old, const struct tm_estimate *now);
/** The variance that estimates of so many blocks of so many bytes would have, if they were sampled. */
struct tm_pair tm_estimate_variance_of(uint64_t period, uint64_t size, uint64_t count);
/** An error as a whole number: rounded up, since it must not seem to be none. */
uint64_t tm_estimate_round_error(double error);

/** Fewer samples than this say little: their standard error is an estimate of few samples itself. */
#define TM_FEW_SAMPLES 10u

#endif
