/**
 * The line decoder on tables that no compiler makes: it ends, reads only the table, and its ranges join.
 *
 * test_lines.py shows with real CPythons that it is right on real tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layout/lines.h"
#include "layout/trace_table.h"

static struct tm_lines lines_of(uint32_t kind, const void *table, uint32_t length, int32_t first_line)
{
    return (struct tm_lines){.table = table, .length = length, .kind = kind, .first_line = first_line};
}

static void test_no_table_gives_the_first_line(void **state)
{
    (void)state;
    for (uint32_t kind = TM_LINES_NONE; kind <= TM_LINES_LNOTAB; kind++) {
        struct tm_lines lines = lines_of(kind, NULL, 0, 42);
        assert_int_equal(tm_lines_at(&lines, 0), 42);
        assert_int_equal(tm_lines_at(&lines, INT32_MAX), 42);
    }
    for (uint32_t kind = TM_LINES_3_10; kind <= TM_LINES_LOCATIONS; kind++) {
        struct tm_lines lines = lines_of(kind, NULL, 0, 42);
        assert_int_equal(tm_lines_at(&lines, 0), TM_LINE_NONE);
        assert_int_equal(tm_lines_at(&lines, INT32_MAX), TM_LINE_NONE);
        assert_int_equal(tm_lines_at(&lines, -1), 42);
        assert_int_equal(tm_lines_at(&lines, INT32_MIN), 42);
    }
}

static void test_unknown_kind_gives_no_line(void **state)
{
    (void)state;
    struct tm_lines lines = lines_of(77, "\x80\x80\x80\x80", 4, 42);
    assert_int_equal(tm_lines_at(&lines, 0), TM_LINE_NONE);
}

static void test_cut_entries(void **state)
{
    (void)state;
    // Half a pair is ignored.
    struct tm_lines lines = lines_of(TM_LINES_LNOTAB, "\x02\x01\x02", 3, 10);
    assert_int_equal(tm_lines_at(&lines, 1), 10);
    assert_int_equal(tm_lines_at(&lines, 50), 11);
    lines = lines_of(TM_LINES_3_10, "\x02\x01\x02", 3, 10);
    assert_int_equal(tm_lines_at(&lines, 1), 11);
    assert_int_equal(tm_lines_at(&lines, 2), TM_LINE_NONE);
    // A number that continues past the table's end is cut there: here it is 13 lines.
    lines = lines_of(TM_LINES_LOCATIONS, "\xe8\x5a", 2, 10);
    assert_int_equal(tm_lines_at(&lines, 0), 23);
}

static void test_lines_far_away_do_not_overflow(void **state)
{
    (void)state;
    // Each entry moves the line by the largest number. There are enough entries to overflow 32 bits many times.
    enum { ENTRIES = 1000 };
    static uint8_t table[ENTRIES * 7];
    for (int negative = 0; negative < 2; negative++) {
        for (int i = 0; i < ENTRIES; i++) {
            const uint8_t entry[7] = {0xe8, 0x7e | negative, 0x7f, 0x7f, 0x7f, 0x7f, 0x03};
            memcpy(table + i * 7, entry, sizeof(entry));
        }
        struct tm_lines lines = lines_of(TM_LINES_LOCATIONS, table, sizeof(table), 1);
        int64_t line = tm_lines_at(&lines, (ENTRIES - 1) * 2);
        assert_int_equal(line, 1 + (negative ? -1 : 1) * INT64_C(0x7fffffff) * ENTRIES);
    }
}

static void walk(const struct tm_lines *lines)
{
    struct tm_line_cursor cursor;
    uint64_t steps = 0;
    tm_line_cursor_init(&cursor, lines);
    for (uint64_t end = cursor.end; tm_line_cursor_next(&cursor, lines); end = cursor.end, steps++) {
        assert_int_equal(cursor.start, end);
        assert_true(cursor.end >= cursor.start);
        assert_true(cursor.position <= lines->length);
        assert_true(steps <= lines->length);
    }
    // Seeking forward by offset gives the same as looking up.
    tm_line_cursor_init(&cursor, lines);
    for (int32_t offset = 0; offset < 600; offset++) {
        bool found = tm_line_cursor_seek(&cursor, lines, (uint64_t)offset);
        assert_int_equal(tm_lines_at(lines, offset), found ? cursor.line : TM_LINE_NONE);
        if (!found)
            break;
        assert_true(cursor.start <= (uint64_t)offset && (uint64_t)offset < cursor.end);
    }
}

static void test_random_tables(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 4000; seed++) {
        srandom(seed);
        uint32_t length = (uint32_t)(random() % 40);
        uint8_t *table = malloc(length ? length : 1); // of exactly this size, so that a read past the end is noticed
        for (uint32_t i = 0; i < length; i++)
            table[i] = random() % 3 ? (uint8_t)random() : (uint8_t)(random() % 2 ? 0 : 0xff);
        for (uint32_t kind = TM_LINES_NONE; kind <= TM_LINES_LOCATIONS; kind++) {
            struct tm_lines lines = lines_of(kind, table, length, (int32_t)random() - INT32_MAX / 2);
            walk(&lines);
        }
        free(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_table_gives_the_first_line),
        cmocka_unit_test(test_unknown_kind_gives_no_line),
        cmocka_unit_test(test_cut_entries),
        cmocka_unit_test(test_lines_far_away_do_not_overflow),
        cmocka_unit_test(test_random_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
