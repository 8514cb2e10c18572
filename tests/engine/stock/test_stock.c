/**
 * The stock source on made-up images of CPython's own tracemalloc, of all versions: valid tables give the right
 * traces, and what is torn, changed or missing gives fewer, with a count of the others, and never a wrong trace.
 *
 * Every test makes a valid table, notes its answer, changes something, and compares.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/host.h"
#include "engine/open.h"
#include "support/stock_image.h"

#define HEAP UINT64_C(0x7f7000000000) // of the traced blocks, which are never read
#define TRACES 4096
#define BUCKETS 64
#define NUMPY 389047

static const struct {
    unsigned minor;
    bool free_threaded;
} kinds[] = {{8, false}, {9, false},  {10, false}, {11, false}, {12, false}, {13, false},
             {13, true}, {14, false}, {14, true},  {15, false}, {15, true}};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define EVERY_KIND(f)                              \
    for (size_t kind_ = 0; kind_ < KINDS; kind_++) \
        for (struct fixture *f = begin(kind_); f; f = end(f))

// An answer about all blocks, each as a line of text.
struct answer {
    char *lines[TRACES];
    size_t count;
    struct tm_damage damage;
};

struct fixture {
    struct image *image;
    struct stock_image stock;
    struct tm_target *target;
    struct tm_pool *pool;
    struct tm_host host;
    uint64_t stop_after; // how often should_stop may be asked before it says yes; 0: never
    uint64_t asked;
};

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static struct fixture *begin_with(size_t kind, uint64_t buckets)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->image = image_create();
    stock_image_create(&f->stock, f->image, kinds[kind].minor, kinds[kind].free_threaded, 7, buckets);
    f->target = image_target(f->image);
    f->host = (struct tm_host){.callbacks = {.should_stop = should_stop}, .context = f};
    struct tm_error *error = tm_pool_create(&f->pool);
    assert_null(error);
    return f;
}

static struct fixture *begin(size_t kind)
{
    return begin_with(kind, BUCKETS);
}

// NULL, so that it ends a loop.
static struct fixture *end(struct fixture *f)
{
    tm_pool_destroy(f->pool);
    assert_true(image_longest_read(f->image) <= TM_READ_LIMIT);
    image_destroy(f->image);
    free(f);
    return NULL;
}

static struct tm_source *open_source(struct fixture *f)
{
    struct tm_source *source = NULL;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    if (error)
        fail_msg("3.%u: %s", f->stock.minor, tm_error_message(error));
    return source;
}

static void assert_open_fails(struct fixture *f, enum tm_error_code code, const char *part)
{
    struct tm_source *source = NULL;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    if (!error)
        error = tm_source_require_tracing(source);
    assert_non_null(error);
    if (tm_error_code(error) != code || !strstr(tm_error_message(error), part))
        fail_msg("3.%u: expected error %d with \"%s\", got %d: %s", f->stock.minor, code, part, tm_error_code(error),
                 tm_error_message(error));
    tm_error_destroy(error);
}

static struct tm_info info(struct fixture *f)
{
    struct tm_info info;
    struct tm_error *error = tm_source_info(open_source(f), &f->host, &info);
    if (error)
        fail_msg("info: %s", tm_error_message(error));
    return info;
}

// ---------------------------------------------------------------------------------------------------------------
// Answers

static struct tm_error *take_line(void *context, const struct tm_trace *trace)
{
    struct answer *answer = context;
    const struct tm_traceback *traceback = trace->origin->traceback;
    size_t length = 100;
    const struct tm_frame **frames = tm_traceback_frames(traceback);
    for (uint32_t i = 0; i < traceback->count; i++)
        length += frames[i]->file_name->length + 20;
    assert_true(answer->count < TRACES);
    char *line = answer->lines[answer->count++] = calloc(length, 1), *to = line;
    to += sprintf(to, "%u %llx %llu of %u", trace->origin->domain, (unsigned long long)trace->address,
                  (unsigned long long)trace->size, traceback->total_frames);
    for (uint32_t i = 0; i < traceback->count; i++)
        to += sprintf(to, " %s:%u", frames[i]->file_name->bytes, frames[i]->line);
    free(frames);
    return NULL;
}

static struct tm_error *ask(struct fixture *f, struct answer *answer)
{
    struct tm_source *source = NULL;
    struct tm_traces traces;
    memset(answer, 0, sizeof(*answer));
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    if (!error)
        error = tm_source_traces(source, &f->host, f->pool, take_line, answer, &traces);
    if (!error)
        answer->damage = traces.damage;
    return error;
}

static void forget(struct answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        free(answer->lines[i]);
    answer->count = 0;
}

// The answer; there must be no error.
static struct answer all(struct fixture *f)
{
    struct answer answer;
    struct tm_error *error = ask(f, &answer);
    if (error)
        fail_msg("3.%u: %s", f->stock.minor, tm_error_message(error));
    return answer;
}

static uint64_t lost(const struct tm_damage *damage)
{
    return damage->unreadable_records + damage->corrupt_records + damage->torn_records;
}

static struct answer valid(struct fixture *f)
{
    struct answer answer = all(f);
    assert_int_equal(lost(&answer.damage), 0);
    assert_int_equal(answer.damage.first_address, 0);
    return answer;
}

// The answer now is a part of the answer before, and the rest is counted; `most` may be missing. Frees both; returns
// how many are missing.
static size_t assert_part(struct fixture *f, struct answer *whole, size_t most)
{
    struct answer part = all(f);
    size_t at = 0;
    for (size_t i = 0; i < part.count; i++, at++) {
        while (at < whole->count && strcmp(part.lines[i], whole->lines[at]) != 0)
            at++;
        if (at == whole->count)
            fail_msg("3.%u: \"%s\" was never there", f->stock.minor, part.lines[i]);
    }
    size_t missing = whole->count - part.count;
    if (missing > lost(&part.damage) || missing > most)
        fail_msg("3.%u: %zu are missing, %llu said to be, %zu may be", f->stock.minor, missing,
                 (unsigned long long)lost(&part.damage), most);
    forget(&part);
    return missing;
}

static void assert_line(const struct answer *answer, size_t index, const char *line)
{
    assert_true(index < answer->count);
    assert_string_equal(answer->lines[index], line);
}

static uint64_t one_traceback(struct fixture *f, const char *name, uint32_t line)
{
    const struct stock_image_frame frame = {stock_image_ascii(&f->stock, name), line};
    return stock_image_traceback(&f->stock, &frame, 1, 1);
}

// ---------------------------------------------------------------------------------------------------------------
// Valid tables

static void test_every_version_tells_what_is_there(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        struct stock_image *stock = &f->stock;
        const struct stock_image_frame frames[] = {{stock_image_ascii(stock, "inner.py"), 3},
                                                   {stock_image_ascii(stock, "outer.py"), 70000}};
        stock_image_trace(stock, 0, HEAP + 0x30, 100, stock_image_traceback(stock, frames, 2, 9));
        stock_image_trace(stock, 0, HEAP, UINT64_C(5) << 30, stock_image_traceback(stock, frames, 1, 1));
        stock_image_trace(stock, NUMPY, HEAP + 0x30, 0, stock_image_traceback(stock, frames + 1, 1, 1));
        stock_image_trace(stock, 5, UINT64_MAX, 1, stock_image_traceback(stock, frames + 1, 1, 1));
        struct answer answer = valid(f);
        assert_int_equal(answer.count, 4);
        assert_line(&answer, 0, "0 7f7000000000 5368709120 of 1 inner.py:3");
        // 3.8 does not record how many frames there were.
        assert_line(&answer, 1,
                    stock->minor == 8 ? "0 7f7000000030 100 of 2 outer.py:70000 inner.py:3"
                                      : "0 7f7000000030 100 of 9 outer.py:70000 inner.py:3");
        assert_line(&answer, 2, "389047 7f7000000030 0 of 1 outer.py:70000");
        assert_line(&answer, 3, "5 ffffffffffffffff 1 of 1 outer.py:70000");
        forget(&answer);
    }
}

static void test_facts_are_found_with_symbols_and_by_search(void **state)
{
    (void)state;
    for (int symbols = 0; symbols < 2; symbols++) {
        EVERY_KIND(f)
        {
            stock_image_fill(&f->stock);
            if (symbols)
                stock_image_tell_symbols(&f->stock);
            struct tm_info facts = info(f);
            char version[16];
            snprintf(version, sizeof(version), "3.%u.1", f->stock.minor);
            assert_string_equal(facts.source, "stock");
            assert_string_equal(facts.found_by, symbols ? "symbol" : "search");
            assert_string_equal(facts.python_version, version);
            assert_int_equal(facts.free_threaded, f->stock.layout->free_threaded);
            assert_int_equal(facts.table_address, f->stock.traces);
            assert_int_equal(facts.blocks, 24);
            assert_int_equal(facts.domains, 2);
            assert_int_equal(facts.sites_live, 24);
            assert_int_equal(facts.traced, 24 * 24 + 23 * 12);
            assert_int_equal(facts.lock, TM_LOCK_FREE);
            bool knows = symbols || f->stock.layout->in_runtime;
            assert_int_equal(facts.has_peak, knows);
            // Else by a traceback that was cut; 3.8 does not record that, and the made-up ones contradict each other.
            if (knows)
                assert_int_equal(facts.frame_limit, 7);
            assert_int_equal(facts.has_frame_limit, knows || f->stock.minor > 8);
            assert_int_equal(lost(&facts.damage), 0);
        }
    }
}

static void require_peak(struct fixture *f, bool known, uint64_t peak)
{
    tm_target_changed(f->target);
    struct tm_info facts = info(f);
    assert_int_equal(facts.has_peak, known);
    if (known)
        assert_int_equal(facts.peak, peak);
}

static void test_the_peak_is_known_without_symbols_if_its_place_is_certain(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        if (f->stock.layout->in_runtime)
            continue;
        const struct stock_image_frame frame = {stock_image_ascii(&f->stock, "a.py"), 1};
        stock_image_trace(&f->stock, 0, HEAP, 100000, stock_image_traceback(&f->stock, &frame, 1, 1));
        uint64_t *traced = stock_image_word(&f->stock, f->stock.traced_at);
        uint64_t *peak = stock_image_word(&f->stock, f->stock.peak_at);
        uint64_t *before = stock_image_word(&f->stock, f->stock.traced_at - 8);
        uint64_t *far = stock_image_word(&f->stock, f->stock.traced_at - 0x40);
        require_peak(f, true, 100000); // memory is at its peak
        *peak = 250000;
        require_peak(f, true, 250000);
        *before = 250000; // which of the two?
        require_peak(f, false, 0);
        *before = UINT64_C(0x7f0000000001); // no memory is there, but no peak is so large
        require_peak(f, true, 250000);
        *before = STOCK_IMAGE_MODULE; // an address
        require_peak(f, true, 250000);
        *far = 100000; // which of the two is the traced memory?
        require_peak(f, false, 0);
        *far = 0;
        *stock_image_word(&f->stock, f->stock.lock) = UINT64_C(0x0); // held
        require_peak(f, false, 0);
        *stock_image_word(&f->stock, f->stock.lock) = 1;
        *traced = 100001; // it is being changed
        require_peak(f, false, 0);
        *traced = 100000;
        *peak = *before = 99999;
        require_peak(f, false, 0);
    }
}

// As -flto does: the lock stays with the table of traces, the other tables are far from both.
static void scatter(struct stock_image *stock)
{
    for (uint64_t at = stock->traces_at + 8; at <= stock->traces_at + 32; at += 8) {
        uint64_t *word = stock_image_word(stock, at);
        if (at == stock->lock_at)
            continue;
        *stock_image_word(stock, at + 0x4000) = *word;
        *word = 0;
    }
}

static void test_tables_are_known_by_what_they_are(void **state)
{
    (void)state;
    for (int symbols = 0; symbols < 2; symbols++) {
        EVERY_KIND(f)
        {
            if (f->stock.layout->in_runtime)
                continue;
            stock_image_fill(&f->stock);
            scatter(&f->stock);
            if (symbols)
                image_set_symbol(f->image, "tracemalloc_traces.lto_priv.0", f->stock.traces_at);
            struct tm_info facts = info(f);
            assert_string_equal(facts.found_by, symbols ? "symbol" : "search");
            assert_int_equal(facts.table_address, f->stock.traces);
            assert_int_equal(facts.blocks, 24);
            assert_int_equal(facts.domains, 2);
            assert_int_equal(facts.lock, TM_LOCK_FREE);
            assert_int_equal(lost(&facts.damage), 0);
        }
    }
}

static void test_the_lock_is_read(void **state)
{
    (void)state;
    for (int symbols = 0; symbols < 2; symbols++) {
        EVERY_KIND(f)
        {
            stock_image_fill(&f->stock);
            if (symbols)
                stock_image_tell_symbols(&f->stock);
            *stock_image_word(&f->stock, f->stock.lock) ^= 1;
            assert_int_equal(info(f).lock, TM_LOCK_HELD);
            if (f->stock.layout->mutex)
                continue;
            *stock_image_word(&f->stock, f->stock.lock) = 2;
            assert_int_equal(info(f).lock, TM_LOCK_UNKNOWN);
        }
    }
}

// In each place where a str object keeps its characters, in each width, and without UTF-8 of its own.
static void test_names_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        unsigned string;
        uint32_t characters[4];
        size_t count;
        const char *utf8;
    } names[] = {
        {STOCK_IMAGE_ASCII, {'a', '.', 'p', 'y'}, 4, "a.py"},
        {STOCK_IMAGE_ASCII, {0}, 0, ""},
        {STOCK_IMAGE_LATIN_1, {'c', 0xe9, 0xff}, 3, "c\xc3\xa9\xc3\xbf"},
        {STOCK_IMAGE_UCS_2, {0x4e2d, 'x', 0x7ff, 0x800}, 4, "\xe4\xb8\xadx\xdf\xbf\xe0\xa0\x80"},
        {STOCK_IMAGE_UCS_2, {0xdc80, 0xd800}, 2, "\xed\xb2\x80\xed\xa0\x80"},
        {STOCK_IMAGE_UCS_4, {0x1f40d, 0x10ffff, 0xdfff}, 3, "\xf0\x9f\x90\x8d\xf4\x8f\xbf\xbf\xed\xbf\xbf"},
    };
    for (unsigned compact = 0; compact < 2; compact++) {
        EVERY_KIND(f)
        {
            for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                unsigned string = names[i].string | (compact ? 0 : STOCK_IMAGE_NOT_COMPACT);
                const struct stock_image_frame frame = {
                    stock_image_name(&f->stock, string, names[i].characters, names[i].count), 8};
                stock_image_trace(&f->stock, 0, HEAP + 16 * i, 1, stock_image_traceback(&f->stock, &frame, 1, 1));
            }
            struct answer answer = valid(f);
            for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char line[80];
                snprintf(line, sizeof(line), "0 %llx 1 of 1 %s:8", (unsigned long long)HEAP + 16 * i, names[i].utf8);
                assert_line(&answer, i, line);
            }
            forget(&answer);
        }
    }
}

static void test_blocks_are_found_by_an_address_inside(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        uint64_t traceback = one_traceback(f, "a.py", 1);
        stock_image_trace(&f->stock, 0, HEAP, 5000, traceback);
        stock_image_trace(&f->stock, 0, HEAP + 5008, 16, traceback);
        stock_image_trace(&f->stock, NUMPY, HEAP, 9, traceback);
        static const struct {
            uint64_t offset, start, size, count;
        } asked[] = {{0, 0, 5000, 2}, {8, 0, 5000, 2}, {4999, 0, 5000, 1}, {5000, 0, 0, 0}, {5023, 5008, 16, 1}};
        for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
            struct tm_block blocks[4];
            struct tm_damage damage;
            size_t count;
            struct tm_error *error =
                tm_source_find(open_source(f), &f->host, f->pool, HEAP + asked[i].offset, blocks, 4, &count, &damage);
            assert_null(error);
            // A small number of another domain is found with the address alone.
            assert_true(count == asked[i].count || (asked[i].offset == 8 && count == 1));
            if (count) {
                assert_int_equal(blocks[0].address, HEAP + asked[i].start);
                assert_int_equal(blocks[0].size, asked[i].size);
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Changed tables

static uint64_t head_of(const struct fixture *f, uint64_t bucket)
{
    uint64_t count, array = stock_image_buckets(&f->stock, f->stock.traces, &count);
    assert_true(bucket < count);
    return array + 8 * bucket;
}

// The first entry of a chain with a second one.
static uint64_t long_chain(const struct fixture *f)
{
    for (uint64_t bucket = 0; bucket < BUCKETS; bucket++) {
        uint64_t entry = *stock_image_word(&f->stock, head_of(f, bucket));
        if (entry && *stock_image_word(&f->stock, entry))
            return entry;
    }
    fail_msg("no chain has two entries");
    return 0;
}

static void test_chains_may_run_in_circles_and_into_each_other(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_fill(&f->stock);
        struct answer whole = valid(f);
        uint64_t first = long_chain(f), second = *stock_image_word(&f->stock, first), other = 0;
        for (uint64_t bucket = BUCKETS; bucket-- > 0 && !other;)
            other = *stock_image_word(&f->stock, head_of(f, bucket));
        const uint64_t nexts[] = {first, second, other, f->stock.traces, second + 4, 1, UINT64_MAX - 7, 0};
        uint64_t old = *stock_image_word(&f->stock, second);
        for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
            *stock_image_word(&f->stock, second) = nexts[i];
            assert_part(f, &whole, 2);
        }
        *stock_image_word(&f->stock, second) = old;
        for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
            *stock_image_word(&f->stock, first) = nexts[i];
            assert_part(f, &whole, 3);
        }
        forget(&whole);
    }
}

static void test_a_wrong_number_of_buckets_makes_no_trace_up(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_fill(&f->stock);
        stock_image_tell_symbols(&f->stock);
        struct answer whole = valid(f);
        uint64_t *count = stock_image_word(&f->stock, f->stock.traces + (f->stock.minor == 8 ? 0 : 8));
        static const uint64_t powers[] = {32, 128, 1024, UINT64_C(1) << 20, UINT64_C(1) << 33};
        for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
            *count = powers[i];
            size_t missing = assert_part(f, &whole, 24);
            assert_true(missing > 0 || powers[i] > BUCKETS);
        }
        static const uint64_t others[] = {0, 8, 63, 65, UINT64_MAX, UINT64_C(1) << 60};
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            *count = others[i];
            struct tm_source *source = NULL;
            tm_target_changed(f->target);
            struct tm_error *error = tm_source_open(f->target, &f->host, &source);
            assert_non_null(error);
            tm_error_destroy(error);
        }
        forget(&whole);
    }
}

// One block twice: the same both times, or not.
static void test_repeated_keys(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        uint64_t traceback = one_traceback(f, "a.py", 1), other = one_traceback(f, "b.py", 2);
        stock_image_trace(&f->stock, 0, HEAP, 10, traceback);
        stock_image_trace(&f->stock, 0, HEAP + 0x200, 11, traceback);
        stock_image_trace(&f->stock, 0, HEAP + 0x200, 11, traceback);
        struct answer answer = all(f);
        assert_int_equal(answer.count, 2);
        forget(&answer);
        stock_image_trace(&f->stock, 0, HEAP + 0x200, 11, other);
        answer = all(f);
        assert_int_equal(answer.count, 1);
        assert_line(&answer, 0, "0 7f7000000000 10 of 1 a.py:1");
        assert_true(answer.damage.corrupt_records > 0);
        forget(&answer);
    }
}

// A str whose state, length or characters are invalid.
static void test_an_invalid_name_takes_its_tracebacks_with_it(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        if (f->stock.layout->utf8_names)
            continue;
        const struct tm_stock_string *string = &f->stock.layout->string;
        static const uint32_t four[] = {0x1f40d, 'x'};
        uint64_t name = stock_image_name(&f->stock, STOCK_IMAGE_UCS_4, four, 2),
                 ascii = stock_image_ascii(&f->stock, "ab");
        const struct stock_image_frame frames[] = {{name, 1}, {ascii, 2}};
        stock_image_trace(&f->stock, 0, HEAP, 1, stock_image_traceback(&f->stock, frames, 1, 1));
        stock_image_trace(&f->stock, 0, HEAP + 16, 1, stock_image_traceback(&f->stock, frames + 1, 1, 1));
        struct answer whole = valid(f);
        const struct {
            uint64_t address;
            uint32_t value;
        } bent[] = {{name + string->state, 3u << string->kind_shift},
                    {name + string->state, 0},
                    {name + string->length, UINT32_MAX},
                    {name + string->length + 4, 0x80000000},
                    {name + string->compact, 0x110000},
                    {name + string->compact, UINT32_MAX},
                    {name + string->hash, 12345}, // not the name that the traceback was made of
                    {ascii + string->ascii, 0x8061}};
        for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
            uint32_t *word = image_at(f->image, bent[i].address, 4), old = *word;
            *word = bent[i].value;
            assert_int_equal(assert_part(f, &whole, 1), 1);
            *word = old;
        }
        forget(&whole);
    }
}

static void test_utf8_names_end_with_their_memory(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct fixture *f = begin(kind);
        if (!f->stock.layout->utf8_names) {
            end(f);
            continue;
        }
        uint64_t room = image_map_anywhere(f->image, 4096);
        const struct stock_image_frame frames[] = {{room + 4096 - 5, 1}, {room + 4096 - 4, 2}, {room, 3}};
        memset(image_at(f->image, room, 4096), 'y', 4096);
        memcpy(image_at(f->image, room + 4096 - 5, 5), "a.py", 5);
        for (size_t i = 0; i < 3; i++)
            stock_image_trace(&f->stock, 0, HEAP + 16 * i, 1, stock_image_traceback(&f->stock, frames + i, 1, 1));
        struct answer answer = valid(f);
        assert_line(&answer, 0, "0 7f7000000000 1 of 1 a.py:1");
        assert_line(&answer, 1, "0 7f7000000010 1 of 1 .py:2");
        *(char *)image_at(f->image, room + 4095, 1) = 'y'; // nothing ends them now
        struct answer none = all(f);
        assert_int_equal(none.count, 0);
        assert_int_equal(none.damage.unreadable_records, 3);
        forget(&answer);
        end(f);
    }
}

// The name of a block without frames is in the executable, which a core need not contain.
static void test_the_unknown_name_of_3_15_needs_no_memory(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct fixture *f = begin(kind);
        if (f->stock.minor >= 15) {
            const struct stock_image_frame frame = {UINT64_C(0x560000010000), 0};
            uint64_t empty = *stock_image_word(&f->stock, f->stock.state + TM_STOCK_EMPTY_TRACEBACK);
            memcpy(image_at(f->image, empty + TM_STOCK_FRAMES, 8), &frame.name, 8);
            stock_image_trace(&f->stock, 0, HEAP, 1, stock_image_traceback(&f->stock, &frame, 1, 1));
            struct answer answer = valid(f);
            assert_line(&answer, 0, "0 7f7000000000 1 of 1 <unknown>:0");
            forget(&answer);
        }
        end(f);
    }
}

// Each word of all that was made, changed in some ways: the answer stays a part.
static void test_any_word_may_be_wrong(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_fill(&f->stock);
        stock_image_tell_symbols(&f->stock);
        struct answer whole = valid(f);
        uint64_t step = 8 * 307; // tables, entries, traces, tracebacks and names all get their turn
        for (uint64_t at = STOCK_IMAGE_HEAP + kind_ * 8 * 29; at < f->stock.heap_end; at += step) {
            uint64_t *word = stock_image_word(&f->stock, at), old = *word;
            const uint64_t values[] = {0, 1, UINT64_MAX, old + 8, old ^ 0x100, at, f->stock.traces};
            for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                struct answer part;
                *word = values[i];
                tm_error_destroy(ask(f, &part));
                forget(&part);
            }
            *word = old;
        }
        forget(&whole);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Missing memory

static void test_each_page_may_be_missing(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct fixture *f = begin_with(kind, 512);
        for (uint32_t i = 0; i < 150; i++) {
            uint64_t traceback = one_traceback(f, "some name.py", i / 2);
            stock_image_trace(&f->stock, 0, HEAP + 48 * i, i, traceback);
        }
        stock_image_tell_symbols(&f->stock);
        image_set_why_missing(f->image, "it rained");
        struct answer whole = valid(f);
        size_t parts = 0, refused = 0;
        for (uint64_t page = STOCK_IMAGE_HEAP; page < f->stock.heap_end; page += 4096) {
            struct answer part;
            image_hide(f->image, page, 4096);
            struct tm_error *error = ask(f, &part);
            forget(&part);
            if (error) {
                refused++;
                tm_error_destroy(error);
            } else {
                size_t missing = assert_part(f, &whole, 400);
                struct tm_info facts = info(f);
                // While the lock is missing, what is read may be torn.
                assert_true(lost(&facts.damage) >= missing);
                if (missing && !facts.damage.torn_records)
                    assert_true(facts.damage.unreadable_records && facts.damage.first_address);
                if (facts.damage.unreadable_records)
                    assert_string_equal(facts.damage.why, "it rained");
                parts += missing > 0;
            }
            image_show_all(f->image);
        }
        assert_true(parts > 5);
        assert_true(refused > 0);
        forget(&whole);
        end(f);
    }
}

// Buckets after a hole in the array are read.
static void test_a_hole_in_the_buckets_hides_only_its_own(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct fixture *f = begin_with(kind, 8192);
        uint64_t traceback = one_traceback(f, "a.py", 1);
        for (uint32_t i = 0; i < 64; i++)
            stock_image_trace(&f->stock, 0, HEAP + i * 16 * 128, i, traceback);
        struct answer whole = valid(f);
        image_hide(f->image, (head_of(f, 0) + 4095) / 4096 * 4096, 8192);
        assert_int_equal(assert_part(f, &whole, 8), 8);
        forget(&whole);
        end(f);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Torn tables: CPython's rehash, step by step

static void move_one(struct fixture *f, uint64_t entry, uint64_t array, uint64_t buckets)
{
    uint64_t hash = *stock_image_word(&f->stock, entry + 8), bucket = array + (hash & (buckets - 1)) * 8;
    *stock_image_word(&f->stock, entry) = *stock_image_word(&f->stock, bucket);
    *stock_image_word(&f->stock, bucket) = entry;
}

static void test_every_state_of_a_rehash_tells_a_part(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        struct stock_image *stock = &f->stock;
        bool is_3_8 = stock->minor == 8;
        uint64_t traceback = one_traceback(f, "a.py", 1), other = one_traceback(f, "b.py", 2);
        for (uint32_t i = 0; i < 33; i++) // more than half: it grows
            stock_image_trace(stock, 0, HEAP + 16 * 12 * i, i, i % 2 ? traceback : other);
        struct answer whole = valid(f);
        uint64_t new = stock_image_allocate(stock, 8 * 2 * BUCKETS), old = head_of(f, 0), partial = 0;
        *stock_image_word(stock, stock->lock) ^= 1;
        if (is_3_8) { // the table has the new array already, which fills
            *stock_image_word(stock, stock->traces) = 2 * BUCKETS;
            *stock_image_word(stock, stock->traces + 16) = new;
        }
        for (uint64_t bucket = 0; bucket < BUCKETS; bucket++) {
            for (uint64_t entry = *stock_image_word(stock, old + 8 * bucket), next; entry; entry = next) {
                partial += assert_part(f, &whole, 33) > 0;
                next = *stock_image_word(stock, entry);
                move_one(f, entry, new, 2 * BUCKETS);
            }
        }
        assert_true(partial > 0);
        *stock_image_word(stock, stock->traces + (is_3_8 ? 0 : 8)) = 2 * BUCKETS;
        assert_part(f, &whole, 33);
        *stock_image_word(stock, stock->traces + 16) = new;
        assert_int_equal(assert_part(f, &whole, 33), 0);
        forget(&whole);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Ctrl-C, and why there is nothing

static void test_it_can_be_interrupted_anywhere(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct fixture *f = begin(kind);
        struct answer answer;
        stock_image_fill(&f->stock);
        struct tm_error *error = ask(f, &answer);
        assert_null(error);
        forget(&answer);
        uint64_t questions = f->asked;
        assert_true(questions > 4);
        for (f->stop_after = 1; f->stop_after <= questions; f->stop_after++) {
            f->asked = 0;
            error = ask(f, &answer);
            forget(&answer);
            assert_non_null(error);
            assert_int_equal(tm_error_code(error), TM_ERROR_INTERRUPTED);
            tm_error_destroy(error);
        }
        end(f);
    }
}

static void test_started_and_stopped(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_tell_symbols(&f->stock);
        *(uint32_t *)image_at(f->image, f->stock.config + 4, 4) = 0;
        assert_open_fails(f, TM_ERROR_NOT_TRACING, "stopped");
        assert_open_fails(f, TM_ERROR_NOT_TRACING, "tracemalloc.start()");
    }
}

// From 3.13 on there can be tables though tracing was never started; before, that looks like a stop.
static void test_loaded_and_not_started(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        *(uint32_t *)image_at(f->image, f->stock.config + 4, 4) = 0;
        stock_image_tell_symbols(&f->stock);
        if (f->stock.layout->in_runtime)
            *stock_image_word(&f->stock, f->stock.state + TM_STOCK_MEM_MALLOC) = 0;
        assert_open_fails(f, TM_ERROR_NOT_TRACING, "-X tracemalloc=25");
        assert_open_fails(f, TM_ERROR_NOT_TRACING, f->stock.layout->in_runtime ? "never started" : "not tracing");
    }
}

static void test_never_started(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_tell_symbols(&f->stock);
        *(uint32_t *)image_at(f->image, f->stock.config, 4) = 0;
        *stock_image_word(&f->stock, f->stock.traces_at) = 0;
        assert_open_fails(f, TM_ERROR_NOT_TRACING, "tracemalloc was never started");
        assert_open_fails(f, TM_ERROR_NOT_TRACING, "-X tracemalloc=25");
    }
}

// Memory that cannot be read does not mean that there was nothing.
static void test_missing_variables_are_not_called_never_started(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        stock_image_fill(&f->stock);
        stock_image_tell_symbols(&f->stock);
        image_hide(f->image, STOCK_IMAGE_MODULE, STOCK_IMAGE_MODULE_SIZE);
        assert_open_fails(f, TM_ERROR_FAULT, "cannot be read");
        assert_open_fails(f, TM_ERROR_FAULT, "gcore PID");
    }
}

static void test_without_symbols_and_tables_nothing_is_claimed(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        *stock_image_word(&f->stock, f->stock.traces_at) = 0;
        assert_open_fails(f, TM_ERROR_FAULT, "without symbols nothing shows which");
        assert_open_fails(f, TM_ERROR_FAULT, "file PATH");
        memset(image_at(f->image, STOCK_IMAGE_MODULE, STOCK_IMAGE_MODULE_SIZE), 0, STOCK_IMAGE_MODULE_SIZE);
        assert_open_fails(f, TM_ERROR_NO_TABLE, "not a Python process");
    }
}

static void test_an_unknown_version(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        if (f->stock.minor < 13)
            continue;
        *stock_image_word(&f->stock, f->stock.runtime + 8) = 0x031d00f0;
        assert_open_fails(f, TM_ERROR_UNSUPPORTED, "CPython 3.29.0");
        assert_open_fails(f, TM_ERROR_UNSUPPORTED, "later tracemortem");
    }
}

// Memory that may contain our tracer's table is missing: CPython's tables count if they have traces.
static void test_an_incomplete_core_has_the_tables_which_it_has(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        image_map(f->image, HEAP, 65536, "", TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_ABSENT);
        image_hide(f->image, HEAP, 65536);
        assert_open_fails(f, TM_ERROR_INCOMPLETE, "65536 bytes of the process's memory are missing");
        stock_image_fill(&f->stock);
        struct answer answer = valid(f);
        assert_int_equal(answer.count, 24);
        forget(&answer);
    }
}

// Our tracer learns of births (objects that CPython creates from a free list) by a table of CPython's that stays
// empty, and whose look-up function it replaces.
static void test_an_empty_table_which_serves_our_tracer_is_no_answer(void **state)
{
    (void)state;
    EVERY_KIND(f)
    {
        uint64_t lookup = f->stock.traces + (f->stock.minor == 8 ? 40 : 24);
        *stock_image_word(&f->stock, lookup) = UINT64_C(0x7f0000001000);
        assert_open_fails(f, TM_ERROR_FAULT, "traced by tracemortem's tracer");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version_tells_what_is_there),
        cmocka_unit_test(test_facts_are_found_with_symbols_and_by_search),
        cmocka_unit_test(test_the_peak_is_known_without_symbols_if_its_place_is_certain),
        cmocka_unit_test(test_tables_are_known_by_what_they_are),
        cmocka_unit_test(test_the_lock_is_read),
        cmocka_unit_test(test_names_of_every_kind),
        cmocka_unit_test(test_blocks_are_found_by_an_address_inside),
        cmocka_unit_test(test_chains_may_run_in_circles_and_into_each_other),
        cmocka_unit_test(test_a_wrong_number_of_buckets_makes_no_trace_up),
        cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_an_invalid_name_takes_its_tracebacks_with_it),
        cmocka_unit_test(test_utf8_names_end_with_their_memory),
        cmocka_unit_test(test_the_unknown_name_of_3_15_needs_no_memory),
        cmocka_unit_test(test_any_word_may_be_wrong),
        cmocka_unit_test(test_each_page_may_be_missing),
        cmocka_unit_test(test_a_hole_in_the_buckets_hides_only_its_own),
        cmocka_unit_test(test_every_state_of_a_rehash_tells_a_part),
        cmocka_unit_test(test_it_can_be_interrupted_anywhere),
        cmocka_unit_test(test_started_and_stopped),
        cmocka_unit_test(test_loaded_and_not_started),
        cmocka_unit_test(test_never_started),
        cmocka_unit_test(test_missing_variables_are_not_called_never_started),
        cmocka_unit_test(test_without_symbols_and_tables_nothing_is_claimed),
        cmocka_unit_test(test_an_unknown_version),
        cmocka_unit_test(test_an_incomplete_core_has_the_tables_which_it_has),
        cmocka_unit_test(test_an_empty_table_which_serves_our_tracer_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
