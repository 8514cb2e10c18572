// Samples: a table of the sampled profile gives estimates, from all places where blocks are, and no wrong ones when damaged.

#include <math.h>

#include "support/table_fixture.h"

#define PERIOD UINT64_C(524288)

static void make_sampled(struct fixture *f)
{
    f->root->flags |= TM_ROOT_LEAN | TM_ROOT_SAMPLED;
    f->root->sample_period = PERIOD;
    f->root->counters.count = 1; // no counters
}

static double weight_of(uint64_t size)
{
    return 1 / -expm1(-(double)(size ? size : 1) / (double)PERIOD);
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > expected * 1e-9)
        fail_msg("%.17g is not %.17g", value, expected);
}

static void test_groups_are_estimates(void **state)
{
    struct fixture *f = *state;
    make_sampled(f);
    image_block(&f->table, HEAP, 96, f->first_site);
    image_block(&f->table, HEAP + 4096, 96, f->first_site);
    image_block(&f->table, HEAP + MIB, 3000000, f->first_site); // in a list
    image_track(&f->table, 0, HEAP + GIB + 8, 0, f->second_site);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(undamaged(&snapshot.damage));
    assert_int_equal(snapshot.sample_period, PERIOD);
    assert_true(snapshot.lean && !snapshot.has_churn);
    assert_int_equal(snapshot.count, 2);
    const struct tm_group *first = &snapshot.groups[0], *second = &snapshot.groups[1];
    assert_int_equal(first->estimate->samples, 3);
    assert_near(first->estimate->sum.count, 2 * weight_of(96) + weight_of(3000000));
    assert_near(first->estimate->sum.size, 2 * 96 * weight_of(96) + 3000000 * weight_of(3000000));
    assert_near(first->estimate->variance.count,
                2 * weight_of(96) * (weight_of(96) - 1) + weight_of(3000000) * (weight_of(3000000) - 1));
    assert_int_equal(first->size, (uint64_t)(first->estimate->sum.size + 0.5));
    assert_int_equal(first->count, (uint64_t)(first->estimate->sum.count + 0.5));
    assert_int_equal(second->estimate->samples, 1);
    assert_int_equal(second->size, 0);
    assert_near(second->estimate->sum.count, weight_of(1));
    tm_snapshot_deinit(&snapshot);
}

static void test_info_is_an_estimate(void **state)
{
    struct fixture *f = *state;
    make_sampled(f);
    f->root->owned.peak = 5000;
    image_block(&f->table, HEAP, 96, f->first_site);
    image_block(&f->table, HEAP + 4096, 96, f->second_site);
    struct tm_info facts = take_info(f);
    assert_true(undamaged(&facts.damage));
    assert_int_equal(facts.sample_period, PERIOD);
    assert_int_equal(facts.estimate.samples, 2);
    assert_near((double)facts.blocks, floor(2 * weight_of(96) + 0.5));
    assert_int_equal(facts.traced, (uint64_t)(2 * 96 * weight_of(96) + 0.5));
    assert_false(facts.has_peak);
    assert_int_equal(facts.tracer.in_flight, 0);
}

// The one inside realloc() stands for as many as it did before.
static void test_a_block_inside_realloc_counts(void **state)
{
    struct fixture *f = *state;
    make_sampled(f);
    f->root->resize[3] =
        (struct tm_resize){.address = HEAP + 64, .size = 96, .site = f->first_site, .state = TM_RESIZE_BUSY};
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_near(snapshot.groups[0].estimate->sum.count, weight_of(96));
    tm_snapshot_deinit(&snapshot);
}

static struct tm_error *count_trace(void *context, const struct tm_trace *trace)
{
    uint64_t *bytes = context;
    *bytes += trace->size;
    return NULL;
}

static void test_traces_are_the_samples_themselves(void **state)
{
    struct fixture *f = *state;
    struct tm_traces traces;
    uint64_t bytes = 0;
    make_sampled(f);
    image_block(&f->table, HEAP, 96, f->first_site);
    image_block(&f->table, HEAP + 4096, 100, f->second_site);
    assert_null(tm_source_traces(open_source(f), &f->host, f->pool, count_trace, &bytes, &traces));
    assert_int_equal(bytes, 196);
    assert_int_equal(traces.sample_period, PERIOD);
    assert_true(undamaged(&traces.damage));
    assert_int_equal(tm_source_sample_period(open_source(f)), PERIOD);
    // Far from any sample the search gives up, which is the usual case and no error.
    assert_not_found(f, HEAP + 40 * GIB);
    assert_found(f, HEAP + 4096 + 50, HEAP + 4096, 100);
}

static void test_samples_without_a_period_are_refused(void **state)
{
    struct fixture *f = *state;
    struct tm_snapshot snapshot;
    struct tm_info info;
    struct tm_traces traces;
    uint64_t bytes = 0;
    make_sampled(f);
    f->root->sample_period = 0;
    const char *part = "does not say how many blocks one stands for";
    assert_error(tm_source_snapshot(open_source(f), &f->host, f->pool, &snapshot), TM_ERROR_CORRUPT, part);
    assert_error(tm_source_info(open_source(f), &f->host, &info), TM_ERROR_CORRUPT, part);
    assert_error(tm_source_traces(open_source(f), &f->host, f->pool, count_trace, &bytes, &traces), TM_ERROR_CORRUPT,
                 part);
}

static void test_missing_and_corrupt_samples_are_counted(void **state)
{
    struct fixture *f = *state;
    make_sampled(f);
    image_block(&f->table, HEAP, 96, f->first_site);
    image_block(&f->table, HEAP + 4096, 100, f->second_site);
    site_record(f, f->second_site)->hash++;
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.damage.corrupt_records, 1);
    assert_near(snapshot.groups[0].estimate->sum.count, weight_of(96));
    tm_snapshot_deinit(&snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups_are_estimates),
        TEST(test_info_is_an_estimate),
        TEST(test_a_block_inside_realloc_counts),
        TEST(test_traces_are_the_samples_themselves),
        TEST(test_samples_without_a_period_are_refused),
        TEST(test_missing_and_corrupt_samples_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
