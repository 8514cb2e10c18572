/**
 * Text: after escaping it is valid UTF-8 without anything a terminal acts on, and keeps its meaning; the buffer grows
 * and counts correctly. The strip is that of Python's str.
 */
#include "support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

static void check_escape(const char *bytes, size_t length, const char *expected)
{
    struct tm_text text = TM_TEXT_EMPTY;
    char buffer[256];

    tm_text_escape(&text, bytes, length);
    assert_null(tm_text_check(&text));
    assert_string_equal(tm_text_string(&text), expected);
    assert_int_equal(text.length, strlen(expected));
    tm_escape_into(buffer, sizeof(buffer), bytes, length);
    assert_string_equal(buffer, expected);
    tm_text_deinit(&text);
}
#define ESCAPE(literal, expected) check_escape(literal, sizeof(literal) - 1, expected)

static void test_printable_text_is_unchanged(void **state)
{
    (void)state;
    ESCAPE("", "");
    ESCAPE("plain ~!\\n \\x41", "plain ~!\\n \\x41");
    ESCAPE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d");
}

static void test_controls_are_escaped(void **state)
{
    (void)state;
    ESCAPE("a\nb\r\t", "a\\nb\\r\\t");
    ESCAPE("\x00\x01\x1b[31m\x7f", "\\x00\\x01\\x1b[31m\\x7f");
    ESCAPE("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\x80\\x9b\\x9f\xc2\xa0");
    ESCAPE("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
    ESCAPE("\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9", "\\u202a\\u202e\\u2066\\u2069");
    ESCAPE("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa");
}

static void test_surrogates_and_stray_bytes_are_escaped(void **state)
{
    (void)state;
    ESCAPE("\xed\xb2\x80", "\\udc80");
    ESCAPE("\xed\xa0\x80\xed\xbf\xbf", "\\ud800\\udfff");
    ESCAPE("\xed\x9f\xbf", "\xed\x9f\xbf");
    ESCAPE("\xff", "\\udcff");
    ESCAPE("\x80"
           "a",
           "\\udc80a");
    ESCAPE("\xc0\x80", "\\udcc0\\udc80");                       // too long for its code point
    ESCAPE("\xe0\x80\x80", "\\udce0\\udc80\\udc80");            // the same
    ESCAPE("\xf4\x90\x80\x80", "\\udcf4\\udc90\\udc80\\udc80"); // above U+10FFFF
    ESCAPE("\xe2\x82", "\\udce2\\udc82");                       // cut
    ESCAPE("\xe2\x82z", "\\udce2\\udc82z");
}

static void test_tabs_stay_in_source_lines(void **state)
{
    struct tm_text text = TM_TEXT_EMPTY;
    (void)state;
    tm_text_escape_line(&text, "a\tb\x1b", 4);
    assert_string_equal(tm_text_string(&text), "a\tb\\x1b");
    tm_text_deinit(&text);
}

static void test_escape_into_cuts_between_characters(void **state)
{
    char buffer[8];
    (void)state;
    tm_escape_into(buffer, 1, "abc", 3);
    assert_string_equal(buffer, "");
    tm_escape_into(buffer, 4, "abc", 3);
    assert_string_equal(buffer, "abc");
    tm_escape_into(buffer, 4, "ab\xc3\xa9", 4);
    assert_string_equal(buffer, "ab");
    tm_escape_into(buffer, 5, "ab\xc3\xa9", 4);
    assert_string_equal(buffer, "ab\xc3\xa9");
    tm_escape_into(buffer, 8, "abcd\x1b", 5);
    assert_string_equal(buffer, "abcd");
    tm_escape_into(buffer, 8, "abc\x1b", 4);
    assert_string_equal(buffer, "abc\\x1b");
}

// Any bytes give valid UTF-8 that decodes to itself without a surrogate or a control.
static void test_random_bytes_come_out_valid(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        char bytes[12];
        struct tm_text text = TM_TEXT_EMPTY;
        size_t length = (size_t)rand() % sizeof(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(rand() % 3 ? 0x80 | rand() : rand());
        tm_text_escape(&text, bytes, length);
        for (size_t at = 0; at < text.length;) {
            uint32_t code_point;
            at += tm_utf8_decode(text.bytes + at, text.length - at, &code_point);
            assert_false(code_point >= 0xd800 && code_point <= 0xdfff);
            assert_false(code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0));
        }
        tm_text_deinit(&text);
    }
}

static void test_text_grows(void **state)
{
    struct tm_text text = TM_TEXT_EMPTY;
    (void)state;
    assert_string_equal(tm_text_string(&text), "");
    tm_text_bytes(&text, "", 0);
    for (int i = 0; i < 1000; i++)
        tm_text_printf(&text, "%03d", i);
    assert_null(tm_text_check(&text));
    assert_int_equal(text.length, 3000);
    assert_int_equal(strlen(tm_text_string(&text)), 3000);
    assert_string_equal(tm_text_string(&text) + 2994, "998999");
    tm_text_clear(&text);
    assert_string_equal(tm_text_string(&text), "");
    tm_text_add(&text, "again");
    assert_string_equal(tm_text_string(&text), "again");
    tm_text_deinit(&text);
}

static void test_lack_of_memory_is_remembered(void **state)
{
    struct tm_text text = TM_TEXT_EMPTY;
    (void)state;
    tm_text_add(&text, "a");
    tm_text_bytes(&text, "b", SIZE_MAX - 1); // more than there is: nothing is read of it
    tm_text_add(&text, "c");
    struct tm_error *error = tm_text_check(&text);
    assert_int_equal(tm_error_code(error), TM_ERROR_NO_MEMORY);
    tm_error_destroy(error);
    assert_string_equal(tm_text_string(&text), "a");
    tm_text_deinit(&text);
}

static void check_strip(const char *bytes, const char *expected)
{
    size_t length = strlen(bytes);
    tm_utf8_strip(&bytes, &length);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(bytes, expected, length);
}

static void test_strip_is_that_of_python(void **state)
{
    (void)state;
    check_strip("", "");
    check_strip(" \t\n\x0b\x0c\r\x1c\x1f", "");
    check_strip("  x = 1  # y\r\n", "x = 1  # y");
    check_strip("\xc2\xa0\xe3\x80\x80"
                "a b\xe2\x80\xa9\xc2\x85\n",
                "a b");
    check_strip("\xe2\x80\x8b"
                "a\xe2\x80\x8b",
                "\xe2\x80\x8b"
                "a\xe2\x80\x8b"); // a zero width space is not a space
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_printable_text_is_unchanged),
        cmocka_unit_test(test_controls_are_escaped),
        cmocka_unit_test(test_surrogates_and_stray_bytes_are_escaped),
        cmocka_unit_test(test_tabs_stay_in_source_lines),
        cmocka_unit_test(test_escape_into_cuts_between_characters),
        cmocka_unit_test(test_random_bytes_come_out_valid),
        cmocka_unit_test(test_text_grows),
        cmocka_unit_test(test_lack_of_memory_is_remembered),
        cmocka_unit_test(test_strip_is_that_of_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
