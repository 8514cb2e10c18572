// Sums of weights. A period comes from the target: any number but 0 gives finite sums.

#include "engine/model/estimate.h"

#include <math.h>

#include "engine/base/number.h"

struct tm_estimate tm_estimate_of(uint64_t period, uint64_t size)
{
    // With y = s / period: w = 1 / (1 - e^-y), and w - 1 = 1 / (e^y - 1). expm1() is exact where y is small; where it is
    // large, e^y is infinite and w is 1.
    double y = (double)(size ? size : 1) / (double)period;
    double weight = -1 / expm1(-y), rest = 1 / expm1(y);
    double bytes = (double)size;
    return (struct tm_estimate){
        .samples = 1,
        .sum = {bytes * weight, weight},
        .variance = {bytes * bytes * weight * rest, weight * rest},
    };
}

static void add_pair(struct tm_pair *sum, const struct tm_pair *more)
{
    sum->size += more->size;
    sum->count += more->count;
}

void tm_estimate_add(struct tm_estimate *sum, const struct tm_estimate *more)
{
    sum->samples = tm_add_saturating(sum->samples, more->samples);
    add_pair(&sum->sum, &more->sum);
    add_pair(&sum->variance, &more->variance);
    add_pair(&sum->shared, &more->shared);
}

static uint64_t to_number(double value)
{
    return value < 0x1p64 ? (uint64_t)value : UINT64_MAX;
}

uint64_t tm_estimate_size(const struct tm_estimate *estimate)
{
    return to_number(estimate->sum.size + 0.5);
}

uint64_t tm_estimate_count(const struct tm_estimate *estimate)
{
    return to_number(estimate->sum.count + 0.5);
}

void tm_estimate_sum(uint64_t *size, uint64_t *count, struct tm_estimate *sum, uint64_t more_size, uint64_t more_count,
                     const struct tm_estimate *more)
{
    if (!more || more->sum.count <= 0) { // a sample stands for one block or more
        *size = tm_add_saturating(*size, more_size);
        *count = tm_add_saturating(*count, more_count);
        return;
    }
    tm_estimate_add(sum, more);
    *size = tm_estimate_size(sum);
    *count = tm_estimate_count(sum);
}

// The root; 0 where nothing is left but the rounding of sums.
static double error_of(double variance)
{
    return variance > 0 ? sqrt(variance) : 0;
}

struct tm_pair tm_errors_of(const struct tm_pair *variance)
{
    return (struct tm_pair){error_of(variance->size), error_of(variance->count)};
}

// Sums in another order differ in their last bits.
static double without(double variance, double shared)
{
    double rest = variance - shared;
    return rest > variance * 1e-9 ? rest : 0;
}

struct tm_pair tm_estimate_change_variance(const struct tm_estimate *old, const struct tm_estimate *now)
{
    const struct tm_pair *a = &old->variance, *b = &now->variance;
    return (struct tm_pair){
        without(a->size, old->shared.size) + without(b->size, now->shared.size),
        without(a->count, old->shared.count) + without(b->count, now->shared.count),
    };
}

struct tm_pair tm_estimate_variance_of(uint64_t period, uint64_t size, uint64_t count)
{
    if (count == 0)
        return (struct tm_pair){0, 0};
    double bytes = (double)size / (double)count, blocks = (double)count;
    double rest = 1 / expm1((bytes > 1 ? bytes : 1) / (double)period);
    return (struct tm_pair){blocks * bytes * bytes * rest, blocks * rest};
}

uint64_t tm_estimate_round_error(double error)
{
    return to_number(ceil(error));
}
