/**
 * Estimates: weights, sums, their errors as often right as they promise, and how commands show them. The draws have a fixed
 * seed: a run is the same each time.
 */
#include "support/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/statistics.h"

#define PERIOD UINT64_C(524288)

// ---------------------------------------------------------------------------------------------------------------
// Numbers

static void assert_near(double value, double expected, double relative)
{
    if (fabs(value - expected) > relative * fabs(expected))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void test_weights(void **state)
{
    (void)state;
    struct tm_estimate whole = tm_estimate_of(PERIOD, PERIOD), small = tm_estimate_of(PERIOD, 64);
    double y = 64.0 / (double)PERIOD;
    assert_near(whole.sum.count, 1 / (1 - exp(-1)), 1e-12);
    assert_near(whole.sum.size, (double)PERIOD / (1 - exp(-1)), 1e-12);
    assert_near(whole.variance.count, whole.sum.count * (whole.sum.count - 1), 1e-12);
    // A small block: 1 / (1 - e^-y) = 1/y + 1/2 + y/12 - ..., which a difference of 1 and e^-y would not give exactly.
    assert_near(small.sum.count, 1 / y + 0.5 + y / 12, 1e-14);
    assert_near(small.variance.size, 64 * 64 * (1 / y + 0.5 + y / 12) * (1 / y - 0.5 + y / 12), 1e-12);
    assert_int_equal(small.samples, 1);
    // A block of no bytes counts as one byte, and has none.
    struct tm_estimate empty = tm_estimate_of(PERIOD, 0), one = tm_estimate_of(PERIOD, 1);
    assert_true(empty.sum.count == one.sum.count);
    assert_true(empty.sum.size == 0 && empty.variance.size == 0);
    // A large one stands for itself.
    struct tm_estimate large = tm_estimate_of(PERIOD, UINT64_C(1) << 30);
    assert_true(large.sum.count == 1 && large.variance.count == 0 && large.variance.size == 0);
}

static void test_any_period_gives_numbers(void **state)
{
    static const uint64_t numbers[] = {1, 2, 4096, PERIOD, UINT64_C(1) << 40, UINT64_MAX};
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        for (unsigned j = 0; j < 6; j++) {
            struct tm_estimate estimate = tm_estimate_of(numbers[i], numbers[j]);
            struct tm_pair expected = tm_estimate_variance_of(numbers[i], numbers[j], 1);
            assert_true(isfinite(estimate.sum.size) && isfinite(estimate.variance.size) && estimate.sum.count >= 1);
            assert_true(isfinite(expected.size) && estimate.variance.count >= 0);
            for (unsigned k = 0; k < 100; k++)
                tm_estimate_add(&estimate, &estimate);
            assert_true(tm_estimate_size(&estimate) && tm_estimate_count(&estimate));
        }
    assert_int_equal(tm_estimate_round_error(HUGE_VAL), UINT64_MAX);
    assert_int_equal(tm_estimate_round_error(0.01), 1);
    assert_int_equal(tm_estimate_round_error(0), 0);
}

// Half blocks must not be rounded one by one: of 1000 blocks of one period, some 632 are picked, each for 1.58 blocks.
static void test_sums_are_rounded_once(void **state)
{
    uint64_t size = 0, count = 0;
    struct tm_estimate sum = {0};
    (void)state;
    for (unsigned i = 0; i < 632; i++) {
        struct tm_estimate more = tm_estimate_of(PERIOD, PERIOD);
        tm_estimate_sum(&size, &count, &sum, tm_estimate_size(&more), tm_estimate_count(&more), &more);
    }
    assert_in_range(count, 999, 1001);
    assert_in_range(size, 999 * PERIOD, 1001 * PERIOD);
    const struct tm_estimate none = {0};
    size = count = 0;
    tm_estimate_sum(&size, &count, &sum, 5, 6, &none);
    assert_int_equal(size, 5);
    assert_int_equal(count, 6);
}

// ---------------------------------------------------------------------------------------------------------------
// Coverage

static uint64_t draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    return *random ^= *random << 17;
}

static bool is_picked(uint64_t *random, double chance)
{
    return (double)(draw(random) >> 11) * 0x1p-53 < chance;
}

struct coverage {
    double mean;          // of the estimates, as a part of the truth
    double within[3];     // parts of the runs in which the truth was within 1, 2, 3 standard errors
    double mean_variance; // of the variances that were estimated, as a part of the real one
};

// The same heap, sampled again and again.
static struct coverage measure(const uint64_t *sizes, const unsigned *counts, unsigned kinds, bool by_count)
{
    enum { RUNS = 3000 };
    struct coverage coverage = {0};
    uint64_t random = 20261130;
    double truth = 0, variance = 0, sum_of_variances = 0;
    for (unsigned k = 0; k < kinds; k++)
        truth += by_count ? counts[k] : (double)sizes[k] * counts[k];
    for (unsigned run = 0; run < RUNS; run++) {
        struct tm_estimate sum = {0};
        for (unsigned k = 0; k < kinds; k++) {
            const struct tm_estimate one = tm_estimate_of(PERIOD, sizes[k]);
            double chance = -expm1(-(double)sizes[k] / (double)PERIOD);
            for (unsigned i = 0; i < counts[k]; i++)
                if (is_picked(&random, chance))
                    tm_estimate_add(&sum, &one);
        }
        struct tm_pair errors = tm_errors_of(&sum.variance);
        double estimate = by_count ? sum.sum.count : sum.sum.size, error = by_count ? errors.count : errors.size;
        for (unsigned i = 0; i < 3; i++)
            coverage.within[i] += fabs(estimate - truth) <= (i + 1) * error;
        coverage.mean += estimate / truth;
        variance += (estimate - truth) * (estimate - truth);
        sum_of_variances += error * error;
    }
    coverage.mean /= RUNS;
    coverage.mean_variance = sum_of_variances / variance;
    for (unsigned i = 0; i < 3; i++)
        coverage.within[i] /= RUNS;
    return coverage;
}

static void assert_between(double value, double least, double most)
{
    if (value < least || value > most)
        fail_msg("%g is not between %g and %g", value, least, most);
}

// A normal distribution has 68.3, 95.4 and 99.7 % there.
static void assert_covers(const struct coverage *coverage)
{
    assert_between(coverage->mean, 0.99, 1.01);
    assert_between(coverage->mean_variance, 0.9, 1.1);
    assert_between(coverage->within[0], 0.64, 0.73);
    assert_between(coverage->within[1], 0.93, 0.97);
    assert_between(coverage->within[2], 0.985, 1);
}

static void test_errors_are_right_as_often_as_they_should(void **state)
{
    static const uint64_t sizes[] = {16384, 65536, 524288, 3000000};
    static const unsigned counts[] = {2000, 300, 40, 3};
    (void)state;
    for (int by_count = 0; by_count < 2; by_count++) {
        struct coverage coverage = measure(sizes, counts, 4, by_count);
        assert_covers(&coverage);
    }
}

// Few samples: the estimates are as right on average, but their errors are estimates of few samples, and too small where
// these are fewer than they should be. Rows of them say how few they are.
static void test_few_samples_say_less(void **state)
{
    static const uint64_t sizes[] = {4096};
    static const unsigned counts[] = {256}; // two samples
    (void)state;
    struct coverage coverage = measure(sizes, counts, 1, false);
    assert_between(coverage.mean, 0.95, 1.05);
    assert_between(coverage.mean_variance, 0.9, 1.1);
    assert_between(coverage.within[1], 0.7, 0.93);
}

// ---------------------------------------------------------------------------------------------------------------
// Rows

static void add_samples(struct fake *fake, uint32_t line, uint64_t size, uint64_t count)
{
    fake_add(fake, "gone.py", line, 0, 0);
    fake_add_samples(fake, size, count);
}

static void test_top(void **state)
{
    struct harness *harness = *state;
    fake_set_sample_period(harness->fake, PERIOD);
    add_samples(harness->fake, 1, 64, 100);
    add_samples(harness->fake, 2, 4194304, 1);
    add_samples(harness->fake, 3, 512, 1);
    assert_string_equal(
        harness_run(harness, "tm-top", ""),
        "gone.py:1: size≈50.0 MiB ±5.0 MiB, count≈819250 ±81920, average≈64 B, samples=100\n"
        "gone.py:2: size≈4097 KiB ±75.0 KiB, count≈1 ±1, average≈4097 KiB, samples=1\n"
        "gone.py:3: size≈512 KiB ±512 KiB, count≈1025 ±1024, average≈512 B, samples=1\n"
        "Total allocated size: ≈55812.8 KiB ±5146.1 KiB\n"
        "estimated from 102 samples, one in 512 KiB; ± is one standard error. TRACEMORTEM_DETAIL=lean records every "
        "block\n"
        "2 rows rest on fewer than 10 samples: they may be off by more than the error says\n");
    assert_contains(harness_run(harness, "tm-top", "-n 1"), "\n2 other: ≈4609.6 KiB ±517.5 KiB\nTotal");
    assert_string_equal(harness_run(harness, "tm-top", "--plain -n 1"),
                        "estimates, and not counted: from 102 samples, one in 512 KiB\n"
                        "gone.py:1: size=50.0 MiB, count=819250, average=64 B\n"
                        "2 other: 4609.6 KiB\n"
                        "Total allocated size: 55812.8 KiB\n");
    const char *text = harness_run(harness, "tm-top", "--json -n 1");
    assert_contains(text, "\"estimated\": true, \"sample_period\": 524288");
    assert_contains(text, "\"size\": 52432000, \"count\": 819250, \"standard_error\": {\"size\": 5242880, \"count\": "
                          "81920}, \"samples\": 100}");
    assert_contains(text, "\"total_standard_error\": {");
    assert_contains(text, "\"total_samples\": 102");
    fake_set_sample_period(harness->fake, 0);
}

static void test_what_the_sampled_profile_does_not_know(void **state)
{
    struct harness *harness = *state;
    fake_set_sample_period(harness->fake, PERIOD);
    add_samples(harness->fake, 1, 64, 100);
    assert_fails(harness, "tm-top", "--sort freed", TM_ERROR_UNSUPPORTED, "TRACEMORTEM_DETAIL=full");
    assert_fails(harness, "tm-traceback", "0x123450", TM_ERROR_NOT_FOUND,
                 "no sample contains 0x123450: this program runs in the sampled profile, which records a block for "
                 "every 512 KiB");
    const char *text = harness_run(harness, "tm-info", "");
    assert_contains(text, "traced memory:     ≈50.0 MiB ±5.0 MiB\n");
    assert_contains(text, "peak:              not known: ");
    assert_contains(text, "blocks:            ≈819250 ±81920 live, in");
    text = harness_run(harness, "tm-info", "--json");
    assert_contains(text, "\"detail\": \"sampled\"");
    assert_contains(text, "\"sample_period\": 524288, \"standard_error\": {");
    assert_null(strstr(text, "peak_traced_memory"));
}

static void test_traces_are_the_samples(void **state)
{
    struct harness *harness = *state;
    fake_set_sample_period(harness->fake, PERIOD);
    add_samples(harness->fake, 1, 64, 1);
    fake_add_block(harness->fake, 0x1000, 64, 0, false);
    assert_string_equal(harness_run(harness, "tm-traces", ""),
                        "0x1000: size=64 B, domain 0, gone.py:1\n"
                        "Total allocated size: ≈512.0 KiB ±512.0 KiB\n"
                        "These blocks are the samples, and others are not recorded: 1 sample of 0.1 KiB, one in 512 "
                        "KiB. TRACEMORTEM_DETAIL=lean records every block\n");
    assert_contains(harness_run(harness, "tm-traces", "--json"),
                    "\"total_size\": 64, \"total_count\": 1, \"sample_period\": 524288, \"estimate\": {\"size\": "
                    "524320, \"count\": 8193, ");
}

// k times the same blocks: the estimate is k times as large, and so is its error.
static void test_a_recursive_frame_counts_its_error_each_time(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"r.py", "r.py", "r.py"};
    const uint32_t lengths[] = {4, 4, 4}, lines[] = {7, 7, 7};
    fake_set_sample_period(harness->fake, PERIOD);
    fake_add_group(harness->fake, 0, 0, 0, 3, 3, names, lengths, lines);
    fake_add_samples(harness->fake, 64, 100);
    assert_contains(harness_run(harness, "tm-top", "-c"), "r.py:7: size≈150 MiB ±15.0 MiB, count≈2457750 ±245760");
    assert_contains(harness_run(harness, "tm-top", "-c"), "samples=100\n");
}

static void test_mine_and_filters_keep_the_errors(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"app.py", "lib.py"};
    const uint32_t lengths[] = {6, 6}, lines[] = {1, 2};
    fake_set_sample_period(harness->fake, PERIOD);
    fake_add_group(harness->fake, 0, 0, 0, 2, 2, names, lengths, lines);
    fake_add_samples(harness->fake, 64, 100);
    add_samples(harness->fake, 9, 64, 25);
    const char *text = harness_run(harness, "tm-top", "--mine app.py");
    assert_contains(text, "app.py:1: size≈50.0 MiB ±5.0 MiB");
    assert_contains(text, "no frame matches: size≈12.5 MiB ±2.5 MiB, count≈204813 ±40960, average≈64 B, samples=25\n");
    text = harness_run(harness, "tm-top", "--include gone.py");
    assert_contains(text, "Total allocated size: ≈12800.8 KiB ±2560.0 KiB\nestimated from 25 samples");
}

// ---------------------------------------------------------------------------------------------------------------
// Differences

static void test_what_exceeds_the_noise_comes_first(void **state)
{
    struct harness *harness = *state;
    fake_set_sample_period(harness->fake, PERIOD);
    fake_set_sample_period(harness->other, PERIOD);
    add_samples(harness->other, 1, 64, 400); // 200 MiB: 20 more samples are noise
    add_samples(harness->fake, 1, 64, 420);
    add_samples(harness->fake, 2, 64, 16); // 8 MiB that are new
    add_samples(harness->other, 3, 64, 3); // 1.5 MiB that may be there still
    const char *text = harness_run(harness, "tm-diff", "old");
    assert_string_equal(
        text,
        "gone.py:2: size≈8192 KiB ±2048 KiB (+8192 KiB ±2048 KiB), count≈131080 ±32768 (+131080 ±32768), "
        "average≈64 B, samples=16 (+16)\n"
        "gone.py:1: size≈210 MiB ±10.2 MiB (+10.0 MiB ±14.3 MiB), count≈3440850 ±167887 (+163850 ±234584), average≈64 "
        "B, samples=420 (+20), within the noise\n"
        "gone.py:3: size≈0 B (-1536 KiB ±887 KiB), count≈0 (-24578 ±14189), samples=0 (-3), within the noise\n"
        "Total allocated size: ≈223245.6 KiB ±10690.9 KiB (+16897.0 KiB ±14830.3 KiB)\n"
        "OLD: estimated from 403 samples, one in 512 KiB; ± is one standard error. TRACEMORTEM_DETAIL=lean records "
        "every block\n"
        "NEW: estimated from 436 samples, one in 512 KiB; ± is one standard error. TRACEMORTEM_DETAIL=lean records "
        "every block\n"
        "1 row rests on fewer than 10 samples: it may be off by more than the error says\n");
    text = harness_run(harness, "tm-diff", "old --json");
    assert_contains(text, "\"samples\": 16, \"samples_diff\": 16, \"exceeds_noise\": true}");
    assert_contains(text, "\"samples\": 420, \"samples_diff\": 20, \"exceeds_noise\": false}");
    assert_contains(text, "\"sample_period\": 524288, \"sample_period_old\": 524288");
    assert_contains(text, "\"size_diff\": 2097152");
    text = harness_run(harness, "tm-diff", "old --plain");
    assert_contains(text, "OLD: estimates, and not counted: from 403 samples, one in 512 KiB\nNEW: ");
    assert_contains(text, "\ngone.py:2: size=8192 KiB (+8192 KiB), count=131080 (+131080), average=64 B\n");
}

// The samples of blocks that live on are the same on both sides: they cancel out.
static void test_samples_that_both_sides_have_are_no_noise(void **state)
{
    struct harness *harness = *state;
    struct fake *const sides[] = {harness->other, harness->fake};
    for (unsigned i = 0; i < 2; i++) {
        fake_set_sample_period(sides[i], PERIOD);
        fake_set_started(sides[i], 4711);
        add_samples(sides[i], 1, 64, i == 0 ? 400 : 420);
        for (uint64_t j = 0; j < (i == 0 ? 400 : 420); j++)
            fake_add_block(sides[i], 0x10000 + 64 * j, 64, 0, false);
    }
    const char *text = harness_run(harness, "tm-diff", "old");
    assert_contains(text, "gone.py:1: size≈210 MiB ±10.2 MiB (+10.0 MiB ±2.2 MiB), ");
    assert_null(strstr(text, "noise"));
    assert_contains(harness_run(harness, "tm-diff", "old traceback"), "(+10.0 MiB ±2.2 MiB)");
    assert_contains(harness_run(harness, "tm-diff", "old -c filename"), "(+10.0 MiB ±2.2 MiB)");
    assert_contains(harness_run(harness, "tm-diff", "old"), "(+10240.6 KiB ±2289.7 KiB)\n"); // the total
    assert_contains(harness_run(harness, "tm-diff", "old --mine x.py"), "no frame matches: size≈210 MiB ±10.2 MiB "
                                                                        "(+10.0 MiB ±2.2 MiB)");
    fake_set_started(harness->fake, 4712); // of another start: what is alike is so by chance
    text = harness_run(harness, "tm-diff", "old");
    assert_contains(text, "(+10.0 MiB ±14.3 MiB)");
    assert_contains(text, "within the noise");
}

// Where OLD is exact and NEW is not, or the other way round, a place without samples may be unchanged.
static void test_one_exact_side(void **state)
{
    struct harness *harness = *state;
    fake_set_sample_period(harness->other, PERIOD);
    add_samples(harness->other, 1, 64, 100);
    fake_add(harness->fake, "gone.py", 1, 200 << 20, 200 << 14);
    fake_add(harness->fake, "gone.py", 2, 65536, 1024); // of which no sample is to be expected
    fake_add(harness->fake, "gone.py", 3, 32 << 20, 1 << 19);
    const char *text = harness_run(harness, "tm-diff", "old");
    assert_contains(text,
                    "gone.py:1: size=200 MiB (+150 MiB ±10.0 MiB), count=3276800 (+2457550 ±163836), average=64 B, "
                    "samples=0 (-100)\n"
                    "gone.py:3: size=32.0 MiB (+32.0 MiB ±4.0 MiB), count=524288 (+524288 ±65535), average=64 B, "
                    "samples=0 (+0)\n"
                    "gone.py:2: size=64.0 KiB (+64.0 KiB ±181 KiB), count=1024 (+1024 ±2897), average=64 B, "
                    "samples=0 (+0), within the noise\n");
    text = harness_run(harness, "tm-diff", "old --json");
    assert_contains(text, "\"sample_period\": null, \"sample_period_old\": 524288");
}

static void test_columns(void **state)
{
    struct harness *harness = *state;
    harness->terminal = true;
    harness->screen = (struct tm_screen){.width = 100};
    fake_set_sample_period(harness->fake, PERIOD);
    fake_set_sample_period(harness->other, PERIOD);
    add_samples(harness->fake, 1, 64, 400);
    add_samples(harness->fake, 2, 64, 1);
    assert_contains(harness_run(harness, "tm-top", ""),
                    "              size      %             count  average  samples  place\n"
                    "≈200 MiB ±10.0 MiB  99.8%  ≈3277000 ±163840     64 B      400  gone.py:1\n");
    assert_contains(harness_run(harness, "tm-diff", "old"),
                    "    size                  +/-      %     count       +/-  samples  place\n"
                    "≈200 MiB   +200 MiB ±10.0 MiB  99.8%  ≈3277000  +3277000      400  gone.py:1\n"
                    "≈512 KiB  (+512 KiB ±512 KiB)   0.2%     ≈8193     +8193        1  gone.py:2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_any_period_gives_numbers),
        cmocka_unit_test(test_sums_are_rounded_once),
        cmocka_unit_test(test_errors_are_right_as_often_as_they_should),
        cmocka_unit_test(test_few_samples_say_less),
        TEST(test_top),
        TEST(test_what_the_sampled_profile_does_not_know),
        TEST(test_traces_are_the_samples),
        TEST(test_a_recursive_frame_counts_its_error_each_time),
        TEST(test_mine_and_filters_keep_the_errors),
        TEST(test_what_exceeds_the_noise_comes_first),
        TEST(test_samples_that_both_sides_have_are_no_noise),
        TEST(test_one_exact_side),
        TEST(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
