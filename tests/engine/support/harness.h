/**
 * What the tests of the engine's upper half share: a session that keeps its output, and a function to run a command
 * line.
 */
#ifndef TRACEMORTEM_TESTS_HARNESS_H
#define TRACEMORTEM_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/text.h"
#include "support/fake_source.h"

struct harness {
    struct tm_session *session;
    struct fake *fake; // the current target
    struct fake *other;
    bool no_target;
    bool terminal; // the output goes to one
    struct tm_screen screen;
    struct tm_text output; // of the last run
    char *message;         // of the last error, or NULL
    enum tm_error_code code;
    struct tm_text written; // to the file of the last run
    size_t write_limit;     // bytes after which writing fails; 0: it does not
    int stop_after;         // which question for Ctrl-C is answered with yes; 0: none
    int asked;
    char asked_file[64]; // of which a line was last asked for
};

/** For cmocka_unit_test_setup_teardown(); *state is the harness. */
int harness_setup(void **state);
int harness_teardown(void **state);

/**
 * Run a command line with the current target and return its output, or NULL after an error. The first core is
 * `other`, a second one the current target; an expression's value is `address`. A file that is written is kept in
 * `written`.
 */
const char *harness_run_with(struct harness *harness, const char *command, const char *line, uint64_t address);
const char *harness_run(struct harness *harness, const char *command, const char *line);

#define assert_contains(text, part)                                                  \
    do {                                                                             \
        if (!(text) || !strstr((text), (part)))                                      \
            fail_msg("\"%s\" is not in \"%s\"", (part), (text) ? (text) : "(null)"); \
    } while (0)

/** The command line fails with this code and a message that contains this. */
#define assert_fails(harness, command, line, expected_code, part) \
    do {                                                          \
        assert_null(harness_run(harness, command, line));         \
        assert_int_equal((harness)->code, expected_code);         \
        assert_contains((harness)->message, part);                \
    } while (0)

#define TEST(function) cmocka_unit_test_setup_teardown(function, harness_setup, harness_teardown)

#endif
