// The sampled profile's draws, looked at from inside: the logarithm is right, and each size is picked as often as it should.
//
// The random numbers of the first two checks are not random but all of equal distances, so that there is nothing to chance.

#include "tracer/sample.c"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define CHECK(condition, ...)       \
    do {                            \
        if (!(condition)) {         \
            printf("" __VA_ARGS__); \
            putchar('\n');          \
            exit(1);                \
        }                           \
    } while (0)

static void logarithms_are_libms(void)
{
    double worst = 0;
    for (int exponent = -53; exponent <= 0; exponent++)
        for (int i = 0; i < 5000; i++) {
            double number = ldexp(1 + i / 5000.0, exponent - (i > 0)), right = log(number);
            double off = fabs(logarithm(number) - right) / (right == 0 ? 1 : fabs(right));
            // Near 1 the difference of two numbers of the size of ln(2) has the rounding of these.
            double bound = right > -0.7 ? 4e-16 / fabs(right == 0 ? 1 : right) + 2e-15 : 2e-15;
            CHECK(off <= bound, "the logarithm of %a is off by %g of it", number, off);
            worst = off > worst && right <= -0.7 ? off : worst;
        }
    printf("logarithms: off by %.1e at most\n", worst);
}

/** Of a million equally distant random numbers, how many make a distance that a block of this size does not pass. */
static void sizes_are_picked_as_often_as_they_should(void)
{
    enum { NUMBERS = 1000000 };
    static const uint64_t periods[] = {1, 2, 100, 4096, SAMPLE_PERIOD_DEFAULT, SAMPLE_PERIOD_MOST};
    static const double multiples[] = {0, 0.001, 0.1, 0.5, 1, 3, 10};
    for (size_t p = 0; p < sizeof periods / sizeof *periods; p++)
        for (size_t m = 0; m < sizeof multiples / sizeof *multiples; m++) {
            int64_t size = (int64_t)(multiples[m] * (double)periods[p]), picked = 0;
            period = periods[p];
            size = size == 0 ? 1 : size;
            for (uint64_t i = 0; i < NUMBERS; i++)
                picked += distance_of(i * (UINT64_MAX / NUMBERS) + UINT64_MAX / NUMBERS / 2) < size;
            double chance = -expm1(-(double)size / (double)period);
            CHECK(fabs((double)picked - chance * NUMBERS) < 2,
                  "period %llu, size %lld: %lld picked of a million, not %f", (unsigned long long)period,
                  (long long)size, (long long)picked, chance * NUMBERS);
        }
    puts("sizes: each is picked with its chance");
}

/** How many blocks of a row of sizes are picked, counted down as the hooks do. */
static uint64_t count_picked(const size_t *sizes, size_t count, uint64_t rounds, uint64_t *picked)
{
    uint64_t all = 0;
    for (uint64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            if (!sample_passes(sizes[i]) && sample_picks(sizes[i])) {
                picked[i]++;
                all++;
            }
    return all;
}

static void blocks_in_a_row_are_picked_independently(void)
{
    enum { SIZES = 8 };
    static const size_t sizes[SIZES] = {0, 1, 16, 48, 500, 4096, 100000, 1 << 30};
    const uint64_t rounds = 2000000;
    uint64_t picked[SIZES] = {0};
    period = 4096;
    count_picked(sizes, SIZES, rounds, picked);
    for (size_t i = 0; i < SIZES; i++) {
        double chance = -expm1(-(double)(sizes[i] == 0 ? 1 : sizes[i]) / (double)period);
        double expected = chance * (double)rounds, error = sqrt(expected * (1 - chance));
        CHECK(fabs((double)picked[i] - expected) <= 4 * error + 1, "size %zu: %llu picked, not %.0f ±%.0f", sizes[i],
              (unsigned long long)picked[i], expected, error);
        printf("size %zu: %llu picked, expected %.0f ±%.0f\n", sizes[i], (unsigned long long)picked[i], expected,
               error);
    }
}

enum { WORDS = 1000 };

static void *draw(void *into)
{
    for (size_t i = 0; i < WORDS; i++)
        ((uint64_t *)into)[i] = next_random();
    return NULL;
}

/** No number of one thread or process is another's. */
static void check_different(const uint64_t (*drawn)[WORDS], size_t count)
{
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < a; b++)
            for (size_t i = 0; i < WORDS; i++)
                for (size_t j = 0; j < WORDS; j++)
                    CHECK(drawn[a][i] != drawn[b][j], "two of them draw the same");
}

static void threads_and_children_draw_their_own(void)
{
    enum { SOME = 4 };
    static uint64_t drawn[2 * SOME + 1][WORDS];
    for (size_t i = 0; i < SOME; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, draw, drawn[i]);
        pthread_join(thread, NULL);
    }
    for (size_t i = 0; i < SOME; i++) {
        int ends[2];
        CHECK(pipe(ends) == 0, "no pipe");
        sample_before_fork();
        if (fork() == 0) {
            sample_after_fork_in_child();
            draw(drawn[0]);
            _exit(write(ends[1], drawn[0], sizeof drawn[0]) != sizeof drawn[0]);
        }
        size_t got = 0;
        for (ssize_t n; got < sizeof drawn[0]; got += (size_t)n) {
            n = read(ends[0], (char *)drawn[SOME + i] + got, sizeof drawn[0] - got);
            CHECK(n > 0, "nothing from a child");
        }
        wait(NULL);
    }
    draw(drawn[2 * SOME]);
    check_different((const uint64_t(*)[WORDS])drawn, 2 * SOME + 1);
    puts("threads and children: each draws its own");
}

int main(int count, char **words)
{
    sample_begin(SAMPLE_PERIOD_DEFAULT, count > 1 ? strtoull(words[1], NULL, 10) : 1);
    logarithms_are_libms();
    sizes_are_picked_as_often_as_they_should();
    blocks_in_a_row_are_picked_independently();
    threads_and_children_draw_their_own();
    return 0;
}
