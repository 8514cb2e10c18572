/**
 * JSON: commas, nesting and escapes. test_against_tracemalloc.py proves that Python reads the same back.
 */
#include "support/harness.h"

#include "engine/base/json.h"

static void test_nesting_and_commas(void **state)
{
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_json json = {&text, false};
    (void)state;

    tm_json_begin_object(&json, NULL);
    tm_json_begin_array(&json, "empty");
    tm_json_end_array(&json);
    tm_json_begin_array(&json, "items");
    tm_json_number(&json, NULL, UINT64_MAX);
    tm_json_begin_object(&json, NULL);
    tm_json_end_object(&json);
    tm_json_begin_object(&json, NULL);
    tm_json_signed(&json, "minus", true, UINT64_MAX);
    tm_json_signed(&json, "zero", true, 0);
    tm_json_end_object(&json);
    tm_json_end_array(&json);
    tm_json_bool(&json, "yes", true);
    tm_json_null(&json, "none");
    tm_json_word(&json, "word", "w");
    tm_json_end_object(&json);
    assert_string_equal(tm_text_string(&text),
                        "{\"empty\": [], \"items\": [18446744073709551615, {}, {\"minus\": -18446744073709551615, "
                        "\"zero\": 0}], \"yes\": true, \"none\": null, \"word\": \"w\"}");
    tm_text_deinit(&text);
}

static void test_strings_are_ascii(void **state)
{
    static const char bytes[] = "a\"\\\n\t\x01\x7f\0\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\x8d\xed\xb2\x80\xff";
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_json json = {&text, false};
    (void)state;

    tm_json_string(&json, NULL, bytes, sizeof(bytes) - 1);
    assert_string_equal(tm_text_string(&text), "\"a\\\"\\\\\\n\\t\\u0001\\u007f\\u0000\\u00e9\\u2028\\ud83d\\udc0d"
                                               "\\udc80\\udcff\"");
    tm_text_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_and_commas),
        cmocka_unit_test(test_strings_are_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
