/**
 * Snapshot files: what dump.h writes is read back, the opcodes of all protocols mean what pickle says, and anything
 * else is refused with a reason; nothing is run, read past its end, or made larger than the file allows.
 */
#define _GNU_SOURCE // for memmem()
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/host.h"
#include "engine/base/text.h"
#include "engine/open.h"
#include "engine/snapshot/dump.h"

struct fixture {
    struct tm_text file; // its bytes
    struct tm_pool *pool;
    struct tm_host host;
    uint64_t stop_after;
    uint64_t asked;
    uint64_t unreadable_from; // 0: all can be read
    struct tm_snapshot snapshot;
    char *message; // of the last error
};

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static int read_file(void *context, uint64_t offset, void *buffer, uint64_t length)
{
    const struct fixture *f = context;
    assert_true(length <= TM_READ_LIMIT);
    assert_true(offset + length <= f->file.length); // it never asks for more than the file has
    if (f->unreadable_from && offset + length > f->unreadable_from)
        return -1;
    memcpy(buffer, f->file.bytes + offset, length);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->host = (struct tm_host){.callbacks = {.should_stop = should_stop}, .context = f};
    *state = f;
    return tm_pool_create(&f->pool) != NULL;
}

static void forget(struct fixture *f)
{
    tm_snapshot_deinit(&f->snapshot);
    free(f->message);
    f->message = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    forget(f);
    tm_pool_destroy(f->pool);
    tm_text_deinit(&f->file);
    free(f);
    return 0;
}

// 0 and f->snapshot, or the error's code and f->message.
static enum tm_error_code load(struct fixture *f)
{
    const struct tm_target_callbacks callbacks = {.read = read_file};
    struct tm_target *target;
    struct tm_source *source;
    enum tm_error_code code = (enum tm_error_code)0;
    forget(f);
    f->asked = 0;
    assert_null(tm_target_create_file(&callbacks, f, f->file.length, &target));
    assert_null(tm_source_open(target, &f->host, &source));
    struct tm_error *error = tm_source_snapshot(source, &f->host, f->pool, &f->snapshot);
    if (error) {
        code = tm_error_code(error);
        f->message = strdup(tm_error_message(error));
        tm_error_destroy(error);
        assert_null(f->snapshot.groups);
    }
    tm_target_destroy(target);
    return code;
}

static void set_file(struct fixture *f, const void *bytes, size_t length)
{
    tm_text_clear(&f->file);
    tm_text_bytes(&f->file, bytes, length);
}

#define FILE_OF(f, literal) set_file((f), (literal), sizeof(literal) - 1)

static void assert_refused(struct fixture *f, enum tm_error_code code, const char *part)
{
    enum tm_error_code got = load(f);
    if (got != code || !strstr(f->message, part))
        fail_msg("expected error %d with \"%s\", got %d: %s", code, part, got, f->message ? f->message : "none");
    if (code == TM_ERROR_CORRUPT || code == TM_ERROR_UNSUPPORTED)
        assert_non_null(strstr(f->message, "this is not a snapshot of tracemalloc: "));
}

// ---------------------------------------------------------------------------------------------------------------
// What is written is read

static int keep(void *context, const void *bytes, size_t length)
{
    tm_text_bytes(context, bytes, length);
    return 0;
}

static const struct tm_traceback *make_traceback(struct fixture *f, uint32_t total, uint32_t count,
                                                 const char *const *names, const uint32_t *lines)
{
    struct tm_frame *frames = calloc(count, sizeof(*frames));
    const struct tm_traceback *result;
    for (uint32_t i = 0; i < count; i++) {
        assert_null(tm_pool_name(f->pool, names[i], (uint32_t)strlen(names[i]), &frames[i].file_name));
        frames[i].line = lines[i];
    }
    assert_null(tm_pool_traceback(f->pool, frames, count, total, &result));
    free(frames);
    return result;
}

static const struct tm_traceback *one_frame(struct fixture *f, const char *name, uint32_t line)
{
    return make_traceback(f, 1, 1, &name, &line);
}

static void start_dump(struct fixture *f, struct tm_dump *dump, enum tm_dump_form form)
{
    tm_text_clear(&f->file);
    tm_dump_start(dump, form, 0, keep, &f->file);
}

static void finish_dump(struct fixture *f, struct tm_dump *dump, uint32_t frame_limit)
{
    uint64_t written;
    assert_null(tm_dump_finish(dump, NULL, frame_limit, &written));
    assert_int_equal(written, f->file.length);
}

static void assert_group(const struct fixture *f, size_t index, const struct tm_traceback *traceback, uint32_t domain,
                         uint64_t size, uint64_t count)
{
    const struct tm_group *group = &f->snapshot.groups[index];
    assert_true(index < f->snapshot.count);
    assert_ptr_equal(group->traceback, traceback); // interned in one pool
    assert_int_equal(group->domain, domain);
    assert_int_equal(group->size, size);
    assert_int_equal(group->count, count);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"main.py", "\xed\xb2\x80/\xc3\xa9.py", "", "main.py"};
    static const uint32_t lines[] = {1, 300, 70000, UINT32_MAX};
    const struct tm_traceback *deep = make_traceback(f, 65535, 4, names, lines), *flat = one_frame(f, "a.py", 0);
    static const uint64_t sizes[] = {0,
                                     1,
                                     255,
                                     256,
                                     65535,
                                     65536,
                                     0x7fffffff,
                                     0x80000000,
                                     UINT32_MAX,
                                     1ULL << 32,
                                     (1ULL << 60) - 1,
                                     1ULL << 60,
                                     1ULL << 62,
                                     INT64_MAX / 2,
                                     3ULL << 55};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    struct tm_dump dump;
    uint64_t total = 0;
    start_dump(f, &dump, TM_DUMP_3_9);
    for (size_t i = 0; i < count; i++) {
        assert_null(tm_dump_trace(&dump, 0, sizes[i], deep));
        total += sizes[i];
    }
    assert_null(tm_dump_trace(&dump, UINT32_MAX, UINT64_MAX, deep));
    assert_null(tm_dump_trace(&dump, 0, 7, flat));
    assert_null(tm_dump_trace(&dump, 0, 8, flat));
    finish_dump(f, &dump, 70000);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.frame_limit, 70000);
    assert_int_equal(f->snapshot.count, 3);
    assert_group(f, 0, deep, 0, total, count);
    assert_group(f, 1, deep, UINT32_MAX, UINT64_MAX, 1);
    assert_group(f, 2, flat, 0, 15, 2);
}

static void test_round_trip_of_3_8(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"main.py", "work.py"};
    static const uint32_t lines[] = {1, 2};
    struct tm_dump dump;
    start_dump(f, &dump, TM_DUMP_3_8);
    assert_null(tm_dump_trace(&dump, 3, 10, make_traceback(f, 77, 2, names, lines)));
    finish_dump(f, &dump, 1);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.count, 1);
    assert_group(f, 0, make_traceback(f, 2, 2, names, lines), 3, 10, 1); // the file has no total
}

// tracemalloc sees what samples stand for, and we see the samples: estimates of a file are those of its process.
static void test_round_trip_of_samples(void **state)
{
    struct fixture *f = *state;
    const struct tm_traceback *first = one_frame(f, "a.py", 1), *second = one_frame(f, "b.py", 2);
    struct tm_estimate sum = {0};
    struct tm_dump dump;
    tm_dump_start(&dump, TM_DUMP_3_9, 524288, keep, &f->file);
    for (uint32_t i = 0; i < 2500; i++) { // more than two batches
        struct tm_estimate one = tm_estimate_of(524288, i);
        tm_estimate_add(&sum, &one);
        assert_null(tm_dump_trace(&dump, 0, i, first));
    }
    assert_null(tm_dump_trace(&dump, 0, UINT64_C(1) << 30, second));
    finish_dump(f, &dump, 25);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.sample_period, 524288);
    assert_group(f, 0, first, 0, tm_estimate_size(&sum), tm_estimate_count(&sum));
    assert_int_equal(f->snapshot.groups[0].estimate->samples, 2500);
    assert_true(f->snapshot.groups[0].estimate->variance.size == sum.variance.size);
    assert_group(f, 1, second, 0, UINT64_C(1) << 30, 1);
}

static void test_no_samples(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    tm_dump_start(&dump, TM_DUMP_3_8, 524288, keep, &f->file);
    finish_dump(f, &dump, 25);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.count, 0);
    assert_int_equal(f->snapshot.sample_period, 524288);
}

// Replaces bytes of the file. The pickle's frames have lengths, so the new ones are as many.
static void replace(struct fixture *f, const char *old, const char *new, size_t length)
{
    char *found = memmem(f->file.bytes, f->file.length, old, length);
    assert_non_null(found);
    memcpy(found, new, length);
}

static void test_samples_that_make_no_sense(void **state)
{
    static const struct {
        const char *old, *new;
        size_t length;
        const char *part;
    } changes[] = {
        // A number of one byte is after "K". "N" is None, "\x85" makes a tuple of what was last.
        {"sample_periodK\x08", "sample_periodK\x00", 15, "its sample_period is a number, and must be"},
        {"sample_sizes", "sample_sizez", 12, "it contains no list of the samples' sizes"},
        {"K\x05K\x06"
         "e",
         "K\x05\x85\x85"
         "e",
         5, "it has 2 traces, and sizes of 1 samples"},
        {"K\x05K\x06"
         "e",
         "K\x05N\x85"
         "e",
         5, "sample's size"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct tm_dump dump;
        tm_text_clear(&f->file);
        tm_dump_start(&dump, TM_DUMP_3_9, 8, keep, &f->file);
        assert_null(tm_dump_trace(&dump, 0, 5, one_frame(f, "a.py", 1)));
        assert_null(tm_dump_trace(&dump, 0, 6, one_frame(f, "a.py", 1)));
        finish_dump(f, &dump, 25);
        replace(f, changes[i].old, changes[i].new, changes[i].length);
        assert_refused(f, TM_ERROR_CORRUPT, changes[i].part);
    }
}

static void test_nothing_traced(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    start_dump(f, &dump, TM_DUMP_3_9);
    finish_dump(f, &dump, 1);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.count, 0);
}

// Many batches, many frames of the pickle, names longer than one frame and than what is read at once.
static void test_large_round_trip(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    char *name = malloc(400001);
    memset(name, 'x', 400000);
    start_dump(f, &dump, TM_DUMP_3_9);
    for (uint32_t i = 0; i < 30000; i++) {
        name[400000 - (i % 10 == 0 ? 0 : 399000)] = '\0';
        name[0] = (char)('a' + i % 3);
        assert_null(tm_dump_trace(&dump, i % 2, i, one_frame(f, name, i % 1000)));
        name[1000] = 'x';
    }
    finish_dump(f, &dump, 25);
    free(name);
    assert_true(f->file.length > 3 * 400000 && f->file.length < 3000000);
    assert_int_equal(load(f), 0);
    uint64_t size = 0, blocks = 0;
    for (size_t i = 0; i < f->snapshot.count; i++) {
        size += f->snapshot.groups[i].size;
        blocks += f->snapshot.groups[i].count;
    }
    assert_int_equal(size, UINT64_C(30000) * 29999 / 2);
    assert_int_equal(blocks, 30000);
    assert_int_equal(f->snapshot.count, 3000);
}

// Stray bytes, which only a corrupt table has, become surrogates: else a reader would refuse the file.
static void test_stray_bytes_are_made_surrogates(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    start_dump(f, &dump, TM_DUMP_3_9);
    assert_null(tm_dump_trace(&dump, 0, 1, one_frame(f, "\xff/\xc3", 1)));
    finish_dump(f, &dump, 25);
    assert_int_equal(load(f), 0);
    assert_group(f, 0, one_frame(f, "\xed\xb3\xbf/\xed\xb3\x83", 1), 0, 1, 1);
}

static int refuse_bytes(void *context, const void *bytes, size_t length)
{
    size_t *left = context;
    (void)bytes;
    if (length > *left)
        return -1;
    *left -= length;
    return 0;
}

static void test_an_output_which_fails_ends_the_dump(void **state)
{
    struct fixture *f = *state;
    for (size_t limit = 0; limit < 200000; limit = limit * 3 + 1) {
        struct tm_dump dump;
        struct tm_error *error = NULL;
        uint64_t written;
        size_t left = limit;
        tm_dump_start(&dump, TM_DUMP_3_9, 0, refuse_bytes, &left);
        for (uint32_t i = 0; i < 60000 && !error; i++)
            error = tm_dump_trace(&dump, 0, i, one_frame(f, "a.py", i));
        error = tm_dump_finish(&dump, error, 1, &written);
        assert_non_null(error);
        assert_int_equal(tm_error_code(error), TM_ERROR_OUTPUT);
        assert_true(written <= limit);
        tm_error_destroy(error);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Files of other writers

#define SNAPSHOT "\x8c\x0btracemalloc\x94\x8c\x08Snapshot\x94\x93\x94)\x81\x94"
#define TRACES "h\x00\x8c\x07_Traces\x94\x93\x94)\x81\x94"
// The list's items follow, then END.
#define START "\x80\x04" SNAPSHOT "}\x94(\x8c\x06traces\x94" TRACES "}\x94\x8c\x07_traces\x94]\x94("
#define END "esb\x8c\x0ftraceback_limit\x94K\x05ub."
#define FRAMES \
    "\x8c\x04" \
    "a.py"     \
    "K\x07\x86\x85"
#define TRACE "(K\x00K\x0a" FRAMES "K\x01t"
#define FILE_WITH(f, item) FILE_OF(f, START item END)

static void assert_one_trace(struct fixture *f)
{
    if (load(f) != 0)
        fail_msg("%s", f->message);
    assert_int_equal(f->snapshot.count, 1);
    assert_group(f, 0, one_frame(f, "a.py", 7), 0, 10, 1);
    assert_int_equal(f->snapshot.frame_limit, 5);
}

static void test_protocols(void **state)
{
    struct fixture *f = *state;
    FILE_WITH(f, TRACE);
    assert_one_trace(f);
    // 2: GLOBAL, BINPUT, BINUNICODE; 3 is the same.
    FILE_OF(f, "\x80\x02"
               "ctracemalloc\nSnapshot\nq\x00)\x81q\x01}q\x02(X\x06\x00\x00\x00tracesq\x03"
               "ctracemalloc\n_Traces\nq\x04)\x81q\x05}q\x06X\x07\x00\x00\x00_tracesq\x07]q\x08"
               "(K\x00K\nX\x04\x00\x00\x00"
               "a.pyq\x09K\x07\x86q\x0a\x85q\x0bK\x01tq\x0c"
               "asbX\x0f\x00\x00\x00traceback_limitq\x0dK\x05ub.");
    assert_one_trace(f);
    f->file.bytes[1] = 3;
    assert_one_trace(f);
    f->file.bytes[1] = 5;
    assert_one_trace(f);
    f->file.bytes[1] = 6;
    assert_refused(f, TM_ERROR_UNSUPPORTED, "its pickle protocol is 6, and only 2 to 5 are read");
    f->file.bytes[1] = 1;
    assert_refused(f, TM_ERROR_UNSUPPORTED, "its pickle protocol is 1");
}

static void test_variants(void **state)
{
    struct fixture *f = *state;
    FILE_WITH(f, "K\x00K\n" FRAMES "\x87"); // CPython 3.8
    assert_one_trace(f);
    FILE_WITH(f, "(K\x00K\n" FRAMES "Nt"); // no total
    assert_int_equal(load(f), 0);
    assert_int_equal(f->snapshot.count, 1);
    assert_int_equal(f->snapshot.groups[0].traceback->total_frames, TM_TOTAL_UNKNOWN);
    // Every way to write a number, and a string.
    FILE_WITH(f, "(M\x00\x00\x8a\x01\x0a\x8c\x04"
                 "a.pyJ\x07\x00\x00\x00\x86\x85\x8b\x01\x00\x00\x00\x01t");
    assert_one_trace(f);
    FILE_WITH(f, "(\x8a\x00\x8a\x09\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x8d\x04\x00\x00\x00\x00\x00\x00\x00"
                 "a.pyK\x07\x86\x85K\x01t");
    assert_one_trace(f);
    // The memo: a name kept under a high index, and used again.
    FILE_WITH(f, "X\x04\x00\x00\x00"
                 "a.pyr\x50\x00\x00\x00K\x07\x86r\x51\x00\x00\x00\x85(K\x00K\nh\x50K\x07\x86\x85K\x01t");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has 1 parts, not 3 or 4"); // what was before the mark is an item
    FILE_WITH(f, "(K\x00K\nX\x04\x00\x00\x00"
                 "a.pyr\x50\x00\x00\x00K\x07\x86r\x51\x00\x00\x00\x85K\x01t");
    assert_one_trace(f);
    FILE_WITH(f, "(K\x00K\x05" FRAMES "\x94K\x01t(K\x00K\x05h\x0cK\x01t");
    if (load(f) != 0)
        fail_msg("%s", f->message);
    assert_group(f, 0, one_frame(f, "a.py", 7), 0, 10, 2);
    // The traces as a tuple, frames of the pickle around, and bytes after its end.
    FILE_OF(f, "\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00" SNAPSHOT "}(\x8c\x06traces" TRACES
               "}\x8c\x07_traces" TRACE "\x85sb\x8c\x0ftraceback_limitK\x05ub.what follows");
    assert_one_trace(f);
    // One attribute after the other, one given twice, and one more than there is in CPython.
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x0ftraceback_limitK\x04s\x8c\x0ftraceback_limitK\x05s\x8c\x04moreNs"
               "\x8c\x06traces" TRACES "}\x8c\x07_traces]" TRACE "asbsb.");
    assert_one_trace(f);
}

static void test_groups(void **state)
{
    struct fixture *f = *state;
    // The same frames in two tuples are one traceback; other domains and totals are other groups.
    FILE_WITH(f, TRACE TRACE "(K\x02K\x0a" FRAMES "K\x01t(K\x00K\x0a" FRAMES "K\x09t(K\x00K\x0a" FRAMES "Nt");
    assert_int_equal(load(f), 0);
    uint64_t size = 0;
    for (size_t i = 0; i < f->snapshot.count; i++)
        size += f->snapshot.groups[i].size;
    assert_int_equal(size, 50);
    assert_ptr_equal(f->snapshot.groups[0].traceback, f->snapshot.groups[1].traceback);
    assert_int_equal(f->snapshot.groups[3].traceback->total_frames, 9);
    // A lean tracer does not know how many frames there were, and tracemalloc allows None.
    assert_int_equal(f->snapshot.groups[4].traceback->total_frames, TM_TOTAL_UNKNOWN);
}

// ---------------------------------------------------------------------------------------------------------------
// Files that are not snapshots

static void test_refused_opcodes(void **state)
{
    struct fixture *f = *state;
    FILE_OF(f, "\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "at byte 14: the class os.system, but a snapshot contains only");
    FILE_OF(f, "\x80\x02"
               "cbuiltins\neval\n.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "the class builtins.eval");
    FILE_OF(f, "\x80\x02"
               "ctracemalloc\nSnapshot.load\n.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "the class tracemalloc.Snapshot.load");
    FILE_OF(f, "\x80\x02"
               "ctrace\x1b[1mmalloc\nS\n.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "the class trace\\x1b[1mmalloc.S");
    FILE_OF(f, "\x80\x04" SNAPSHOT ")R.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "at byte 33: the pickle opcode REDUCE");
    FILE_OF(f, "\x80\x04\x88.");
    assert_refused(f, TM_ERROR_UNSUPPORTED, "at byte 2: the pickle opcode NEWTRUE");
    FILE_OF(f, "\x80\x04\x00");
    assert_refused(f, TM_ERROR_CORRUPT, "at byte 2: this is not an opcode of a pickle");
    static const char *const names[] = {"INST", "OBJ",  "NEWOBJ_EX",  "PERSID", "BINPERSID", "EXT1",
                                        "EXT4", "LONG", "BINUNICODE", "DUP",    "POP",       "NEXT_BUFFER"};
    static const char opcodes[] = "io\x92PQ\x82\x84LX2"
                                  "0\x97";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char bytes[] = {'\x80', 4, opcodes[i], 0, 0, 0, 0, '.'};
        set_file(f, bytes, sizeof(bytes));
        enum tm_error_code code = load(f);
        if (opcodes[i] == 'X')
            assert_int_equal(code, TM_ERROR_CORRUPT); // an empty string, which is not a Snapshot
        else if (code != TM_ERROR_UNSUPPORTED || !strstr(f->message, names[i]))
            fail_msg("%s: %d, %s", names[i], code, f->message);
    }
}

static void test_other_values(void **state)
{
    struct fixture *f = *state;
    FILE_OF(f, "\x80\x04N.");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no object of the class Snapshot with traces");
    FILE_OF(f, "\x80\x04" SNAPSHOT ".");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no object of the class Snapshot with traces");
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x06tracesNsb.");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no object of the class _Traces");
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x06traces" SNAPSHOT "}\x8c\x07_traces]sbsb.");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no object of the class _Traces");
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x06traces" TRACES "}\x8c\x07_tracesK\x01sbsb.");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no list of traces");
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x06traces" TRACES "}\x8c\x07_traces]sbsb.");
    assert_refused(f, TM_ERROR_CORRUPT, "it contains no frame limit");
}

static void test_other_traces(void **state)
{
    struct fixture *f = *state;
    FILE_WITH(f, TRACE "K\x05");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 1 is a number");
    FILE_WITH(f, "K\x00K\x0a\x86");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has 2 parts, not 3 or 4");
    FILE_WITH(f, "(K\x00K\x0a" FRAMES "K\x01K\x01t");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has 5 parts, not 3 or 4");
    FILE_WITH(f, "NK\x0a" FRAMES "\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has None for its domain");
    FILE_WITH(f, "\x8a\x05\x00\x00\x00\x00\x01K\x0a" FRAMES "\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a number too large for its domain");
    FILE_WITH(f, "K\x00J\xff\xff\xff\xff" FRAMES "\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a negative number for its size");
    FILE_WITH(f, "K\x00\x8a\x01\xff" FRAMES "\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a negative number for its size");
    FILE_WITH(f, "K\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01" FRAMES "\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "a number is too large");
    FILE_WITH(f, "K\x00K\x0a]\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a list for its traceback");
    FILE_WITH(f, "K\x00K\x0a)\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has no frames");
    FILE_WITH(f, "K\x00K\x0a}\x85\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a dict for its frame");
    FILE_WITH(f, "K\x00K\x0aNNN\x87\x85\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a frame of 3 parts, not 2");
    FILE_WITH(f, "K\x00K\x0aK\x01K\x02\x86\x85\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a number for its file name");
    FILE_WITH(f, "K\x00K\x0a\x8c\x01xN\x86\x85\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has None for its line number");
    FILE_WITH(f, "(K\x00K\x0a" FRAMES "K\x00t");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has an impossible total of frames: 0");
    FILE_WITH(f, "(K\x00K\x0a" FRAMES "J\x00\x00\x01\x00t");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has an impossible total of frames: 65536");
}

static void test_misused_opcodes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        const char *part;
    } cases[] = {
        {".", "finds too little on the stack"},
        {"(.", "finds too little on the stack"},
        {"N(.", "finds too little on the stack"}, // what is below a mark is out of reach
        {"\x85", "finds too little on the stack"},
        {"N(\x85", "finds too little on the stack"},
        {")", "no object of the class Snapshot"}, // a tuple of nothing, on a stack of nothing
        {"(t", "no object of the class Snapshot"},
        {"t", "finds no mark"},
        {"e", "finds no mark"},
        {"u", "finds no mark"},
        {"(e", "finds too little on the stack"},
        {"N(Ne", "what is not a list"},
        {"}Na", "what is not a list"},
        {"]NNs", "what is not a dict"},
        {"}(Nu", "a key has no value"},
        {"\x8c\x01xN\x93", "the name of a class is not a string"},
        {"NN\x81", "made of what is not a class"},
        {SNAPSHOT ")\x81", "made of what is not a class"}, // of an object
        {"ctracemalloc\nSnapshot\nN\x85\x81", "made with arguments"},
        {"N}b", "what is not an object"},
        {SNAPSHOT "Nb", "a state is not a dict"},
        {"h\x05", "nothing under this index"},
        {"Nr\x05\x01\x02\x03", "impossible index"},
        {"\x94", "finds too little on the stack"},
        {"h\x05", "nothing under this index"},
        {"Nq\x02h\x01", "nothing under this index"},
        {"\x8c\x01\xff", "not UTF-8"},
        {"\x8c\x02\xc3(", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char bytes[256] = "\x80\x04";
        size_t length = strlen(cases[i].bytes);
        memcpy(bytes + 2, cases[i].bytes, length);
        memset(bytes + 2 + length, '.', 4);
        set_file(f, bytes, length + 6);
        enum tm_error_code code = load(f);
        if (code != TM_ERROR_CORRUPT || !strstr(f->message, cases[i].part))
            fail_msg("case %zu: \"%s\" is not in %d: %s", i, cases[i].part, code, f->message ? f->message : "");
    }
}

static void test_huge_lengths(void **state)
{
    struct fixture *f = *state;
    FILE_OF(f, "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff...");
    assert_refused(f, TM_ERROR_CORRUPT, "ends too early");
    FILE_OF(f, "\x80\x04X\xff\xff\xff\xff...");
    assert_refused(f, TM_ERROR_CORRUPT, "ends too early");
    FILE_OF(f, "\x80\x04\x8b\xff\xff\xff\x7f...");
    assert_refused(f, TM_ERROR_CORRUPT, "a number is too large");
    FILE_OF(f, "\x80\x04\x8b\xff\xff\x00\x00...");
    assert_refused(f, TM_ERROR_CORRUPT, "ends too early");
    FILE_OF(f, "\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff...");
    assert_refused(f, TM_ERROR_CORRUPT, "a frame is cut short");
    FILE_OF(f, "\x80\x04Nr\xff\xff\xff\xff.");
    assert_refused(f, TM_ERROR_CORRUPT, "impossible index");
    // A string larger than any file name, though it is there.
    FILE_OF(f, "\x80\x04X\x01\x00\x20\x00");
    char *filling = calloc(1, 0x200002);
    tm_text_bytes(&f->file, filling, 0x200002);
    free(filling);
    assert_refused(f, TM_ERROR_CORRUPT, "a string is too long");
    FILE_OF(f, "\x80\x02"
               "c");
    for (int i = 0; i < 1000; i++)
        tm_text_add(&f->file, "x");
    assert_refused(f, TM_ERROR_CORRUPT, "a name is too long");
}

static void test_cycles_and_depth(void **state)
{
    struct fixture *f = *state;
    // A list that contains itself, a trace that is its own list, a frame that is its own traceback's list.
    FILE_OF(f, "\x80\x04]\x94h\x00"
               "a.");
    assert_refused(f, TM_ERROR_CORRUPT, "no object of the class Snapshot");
    FILE_WITH(f, "h\x0b");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 is a list");
    FILE_WITH(f, "K\x00K\x01h\x0b\x85\x87");
    assert_refused(f, TM_ERROR_CORRUPT, "trace 0 has a list for its frame");
    FILE_OF(f, "\x80\x04" SNAPSHOT "}\x8c\x06tracesh\x03sb.");
    assert_refused(f, TM_ERROR_CORRUPT, "no object of the class _Traces");
    // A million nested tuples, and marks without end.
    for (int kind = 0; kind < 2; kind++) {
        FILE_OF(f, "\x80\x04N");
        char *deep = malloc(1000000);
        memset(deep, kind ? '(' : '\x85', 1000000);
        tm_text_bytes(&f->file, deep, 1000000);
        tm_text_add(&f->file, ".");
        free(deep);
        assert_refused(f, TM_ERROR_CORRUPT, kind ? "too little on the stack" : "no object of the class Snapshot");
    }
}

// One tuple of many frames, with another total each time: more tracebacks than the file has bytes for.
static void test_frames_are_not_multiplied(void **state)
{
    struct fixture *f = *state;
    FILE_OF(f, START "(K\x00K\x01(");
    tm_text_bytes(&f->file, "\x8c\x01x\x94K\x01\x86\x94", 8);
    for (int i = 0; i < 20000; i++)
        tm_text_bytes(&f->file, "h\x0d", 2); // the frame
    tm_text_bytes(&f->file, "t\x94M\xff\xfft", 6);
    for (int i = 0; i < 20000; i++) {
        char trace[] = "(K\x00K\x01h\x0eM  t";
        trace[8] = (char)(i & 0xff);
        trace[9] = (char)(0x80 | i >> 8);
        tm_text_bytes(&f->file, trace, sizeof(trace) - 1);
    }
    tm_text_bytes(&f->file, END, sizeof(END) - 1);
    assert_refused(f, TM_ERROR_CORRUPT, "its tracebacks have more frames than the file can contain");
}

// A file cut at any byte is refused: STOP is its last one.
static void test_truncated_at_every_byte(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    start_dump(f, &dump, TM_DUMP_3_9);
    for (uint32_t i = 0; i < 20; i++)
        assert_null(tm_dump_trace(&dump, i % 2, i * 1000, one_frame(f, i % 3 ? "a.py" : "b.py", i * 100)));
    finish_dump(f, &dump, 25);
    size_t whole = f->file.length;
    for (f->file.length = 0; f->file.length < whole; f->file.length++)
        assert_refused(f, TM_ERROR_CORRUPT, "at byte ");
    f->file.length = whole;
    assert_int_equal(load(f), 0);
}

static void test_every_byte_bent(void **state)
{
    struct fixture *f = *state;
    FILE_WITH(f, TRACE TRACE "K\x02K\n" FRAMES "\x87");
    for (size_t at = 0; at < f->file.length; at++) {
        char good = f->file.bytes[at];
        for (int bend = 1; bend < 256; bend++) {
            f->file.bytes[at] = (char)(good ^ bend);
            (void)load(f); // an answer or a reason, and no complaint of the sanitizers
            assert_true(f->message || f->snapshot.count <= 3);
        }
        f->file.bytes[at] = good;
    }
}

static void test_random_programs(void **state)
{
    struct fixture *f = *state;
    // Opcodes that work, so that machines get far.
    static const char *const words[] = {"(",
                                        ")",
                                        "]",
                                        "}",
                                        "N",
                                        "K\x05",
                                        "M\x01\x02",
                                        "t",
                                        "\x85",
                                        "\x86",
                                        "\x87",
                                        "a",
                                        "e",
                                        "s",
                                        "u",
                                        "b",
                                        "\x81",
                                        "\x93",
                                        "\x94",
                                        "h\x02",
                                        "h\x05",
                                        "q\x03",
                                        "\x8a\x01\x05",
                                        "\x8c\x01x",
                                        SNAPSHOT,
                                        "h\x08",
                                        "j\x02\x01\x01\x01",
                                        "\x8c\x06traces"};
    uint64_t random = 2463534242u;
    for (int round = 0; round < 20000; round++) {
        FILE_OF(f, "\x80\x04");
        for (int i = 0; i < 40; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            const char *word = words[random % (sizeof(words) / sizeof(words[0]))];
            tm_text_bytes(&f->file, word, strlen(word));
        }
        tm_text_add(&f->file, ".");
        (void)load(f);
        assert_true(f->message || f->snapshot.count == 0);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The rest

static void test_what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    FILE_WITH(f, TRACE);
    f->unreadable_from = 20;
    assert_refused(f, TM_ERROR_FAULT, "cannot read");
}

static void test_stop(void **state)
{
    struct fixture *f = *state;
    struct tm_dump dump;
    start_dump(f, &dump, TM_DUMP_3_9);
    for (uint32_t i = 0; i < 40000; i++)
        assert_null(tm_dump_trace(&dump, 0, i, one_frame(f, "a.py", i)));
    finish_dump(f, &dump, 25);
    assert_int_equal(load(f), 0);
    uint64_t questions = f->asked;
    assert_true(questions >= 5);
    for (f->stop_after = 1; f->stop_after <= questions; f->stop_after++) {
        assert_int_equal(load(f), TM_ERROR_INTERRUPTED);
        assert_int_equal(f->asked, f->stop_after);
    }
}

static void test_what_a_file_does_not_tell(void **state)
{
    struct fixture *f = *state;
    const struct tm_target_callbacks callbacks = {.read = read_file};
    struct tm_target *target;
    struct tm_source *source;
    struct tm_info info;
    struct tm_block block;
    struct tm_traces traces;
    struct tm_damage damage;
    size_t count;
    FILE_WITH(f, TRACE);
    assert_null(tm_target_create_file(&callbacks, f, f->file.length, &target));
    assert_null(tm_source_open(target, &f->host, &source));
    assert_null(tm_source_require_tracing(source));
    assert_int_equal(tm_source_started(source), 0);
    struct tm_error *errors[] = {
        tm_source_info(source, &f->host, &info),
        tm_source_find(source, &f->host, f->pool, 1, &block, 1, &count, &damage),
        tm_source_traces(source, &f->host, f->pool, NULL, NULL, &traces),
    };
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(errors[i]);
        assert_int_equal(tm_error_code(errors[i]), TM_ERROR_UNSUPPORTED);
        assert_non_null(strstr(tm_error_message(errors[i]), "a snapshot file does not say"));
        tm_error_destroy(errors[i]);
    }
    tm_target_destroy(target);
}

int main(void)
{
#define FILE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_round_trip),
        FILE_TEST(test_round_trip_of_3_8),
        FILE_TEST(test_round_trip_of_samples),
        FILE_TEST(test_no_samples),
        FILE_TEST(test_samples_that_make_no_sense),
        FILE_TEST(test_nothing_traced),
        FILE_TEST(test_large_round_trip),
        FILE_TEST(test_stray_bytes_are_made_surrogates),
        FILE_TEST(test_an_output_which_fails_ends_the_dump),
        FILE_TEST(test_protocols),
        FILE_TEST(test_variants),
        FILE_TEST(test_groups),
        FILE_TEST(test_refused_opcodes),
        FILE_TEST(test_other_values),
        FILE_TEST(test_other_traces),
        FILE_TEST(test_misused_opcodes),
        FILE_TEST(test_huge_lengths),
        FILE_TEST(test_cycles_and_depth),
        FILE_TEST(test_frames_are_not_multiplied),
        FILE_TEST(test_truncated_at_every_byte),
        FILE_TEST(test_every_byte_bent),
        FILE_TEST(test_random_programs),
        FILE_TEST(test_what_cannot_be_read),
        FILE_TEST(test_stop),
        FILE_TEST(test_what_a_file_does_not_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
