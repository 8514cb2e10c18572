// Drawing distances: a generator of random numbers for each thread, and the logarithm that makes distances of them.

#include "sample.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

__thread int64_t sample_left;

static uint64_t period;       // 0: not set
static uint64_t process_seed; // a forked child has another one
static uint64_t threads;      // that have drawn in this process

static __thread uint64_t state; // of the thread's generator
static __thread bool seeded;
static __thread uint64_t childs_seed; // while this thread forks

// ---------------------------------------------------------------------------------------------------------------
// Random numbers: splitmix64, which needs one word for each thread, and passes the tests of its kind

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void seed_thread(void)
{
    uint64_t number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    state = mix(process_seed + mix(number * GOLDEN));
    seeded = true;
}

static uint64_t next_random(void)
{
    if (!seeded)
        seed_thread();
    return mix(state += GOLDEN);
}

/** What differs from one start of a program to the next. No system call: a sandbox might end the program for it. */
static uint64_t seed_by_chance(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t time = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    return mix(time ^ mix((uintptr_t)&now) ^ mix((uintptr_t)&period + GOLDEN) ^ mix((uint64_t)getpid()));
}

// ---------------------------------------------------------------------------------------------------------------
// Distances

/**
 * The natural logarithm of a normal number, without libm, which the tracer would bring into every program. With m between
 * sqrt(1/2) and sqrt(2) and s = (m - 1) / (m + 1), ln(m) is 2 (s + s^3/3 + s^5/5 + ...), and |s| < 0.1716. So what
 * follows the term of s^17 is less than 1e-15.
 */
static double logarithm(double number)
{
    enum { MANTISSA_BITS = 52, BIAS = 1023, TERMS = 9 };
    const uint64_t mantissa_mask = (UINT64_C(1) << MANTISSA_BITS) - 1;
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    int exponent = (int)(bits >> MANTISSA_BITS) - BIAS;
    bits = (bits & mantissa_mask) | (uint64_t)BIAS << MANTISSA_BITS;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m /= 2;
        exponent++;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int term = TERMS; term-- > 0;)
        sum = sum * square + 1.0 / (2 * term + 1);
    return exponent * 0.693147180559945309 + 2 * s * sum;
}

/**
 * The number of bytes before the next picked one. If X has an exponential distribution, so that P(X < s) is
 * 1 - e^(-s/period), its whole part is less than a whole number s with just that probability.
 */
static int64_t distance_of(uint64_t random)
{
    double uniform = (double)((random >> 11) + 1) * 0x1p-53; // above 0, and at most 1
    return (int64_t)(-logarithm(uniform) * (double)period);
}

bool sample_picks(size_t size)
{
    if (sample_left >= 0)
        return false;
    if (period == 0) {
        sample_left = 0;
        return false;
    }
    // The thread's first block: it had no distance yet.
    if (!seeded) {
        sample_left = distance_of(next_random());
        if (sample_passes(size))
            return false;
    }
    sample_left = distance_of(next_random());
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// A process, and its children

void sample_begin(uint64_t mean, uint64_t seed)
{
    if (period != 0)
        return;
    process_seed = seed != 0 ? seed : seed_by_chance();
    period = mean;
}

uint64_t sample_period(void)
{
    return period;
}

void sample_before_fork(void)
{
    if (period != 0)
        childs_seed = next_random();
}

void sample_after_fork_in_child(void)
{
    if (period == 0)
        return;
    process_seed = childs_seed;
    threads = 0;
    seed_thread();
    sample_left = distance_of(next_random());
}
