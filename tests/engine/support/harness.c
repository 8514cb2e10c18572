// The session of the tests.

#include "support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int should_stop(void *context)
{
    struct harness *harness = context;
    harness->asked++;
    return harness->stop_after != 0 && harness->asked >= harness->stop_after;
}

static void keep_output(void *context, const char *text, size_t length)
{
    struct harness *harness = context;
    assert_int_equal(strlen(text), length);
    tm_text_bytes(&harness->output, text, length);
}

// Lines below 100 can be read, of every file but "gone.py". "changed.py" may have changed.
static const char *source_line(void *context, const char *file_name, uint32_t line, uint32_t *may_differ)
{
    static char text[64];
    struct harness *harness = context;
    snprintf(harness->asked_file, sizeof(harness->asked_file), "%s", file_name);
    assert_int_equal(*may_differ, 0);
    *may_differ = strcmp(file_name, "changed.py") == 0;
    if (strcmp(file_name, "gone.py") == 0 || line >= 100)
        return NULL;
    if (line == 99)
        return "  \t \n";
    snprintf(text, sizeof(text), "    line\t%u \xc2\xa0\n", line);
    return text;
}

static int screen(void *context, struct tm_screen *screen)
{
    struct harness *harness = context;
    *screen = harness->screen;
    return harness->terminal;
}

int harness_setup(void **state)
{
    static const struct tm_host_callbacks callbacks = {should_stop, keep_output, NULL, source_line, screen};
    struct harness *harness = calloc(1, sizeof(*harness));
    assert_non_null(harness);
    assert_null(tm_session_create(&callbacks, harness, &harness->session));
    harness->fake = fake_create();
    harness->other = fake_create();
    *state = harness;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *harness = *state;
    tm_session_destroy(harness->session);
    fake_destroy(harness->fake);
    fake_destroy(harness->other);
    tm_text_deinit(&harness->output);
    tm_text_deinit(&harness->written);
    free(harness->message);
    free(harness);
    return 0;
}

static int keep_written(void *context, const void *bytes, size_t length)
{
    struct harness *harness = context;
    tm_text_bytes(&harness->written, bytes, length);
    return harness->write_limit != 0 && harness->written.length > harness->write_limit;
}

static struct tm_error *run(struct harness *harness, const char *command, const char *line, uint64_t address)
{
    struct tm_request *request;
    size_t cores = 0;

    struct tm_error *error = tm_request_create(harness->session, command, line, &request);
    if (error)
        return error;
    for (size_t i = 0; i < tm_request_operands(request); i++) {
        if (tm_request_operand_kind(request, i) == TM_OPERAND_EXPRESSION)
            tm_request_set_address(request, i, address);
        else if (tm_request_operand_kind(request, i) != TM_OPERAND_CORE)
            tm_request_set_output(request, i, keep_written, harness);
        else
            tm_request_set_target(request, i, fake_target(cores++ == 0 ? harness->other : harness->fake));
    }
    error = tm_request_run(request, harness->no_target ? NULL : fake_target(harness->fake));
    tm_request_destroy(request);
    return error;
}

const char *harness_run_with(struct harness *harness, const char *command, const char *line, uint64_t address)
{
    free(harness->message);
    harness->message = NULL;
    harness->code = (enum tm_error_code)0;
    harness->asked = 0;
    tm_text_clear(&harness->output);
    tm_text_clear(&harness->written);

    struct tm_error *error = run(harness, command, line, address);
    if (!error)
        return tm_text_string(&harness->output);
    harness->message = strdup(tm_error_message(error));
    harness->code = tm_error_code(error);
    tm_error_destroy(error);
    assert_int_equal(harness->output.length, 0);
    return NULL;
}

const char *harness_run(struct harness *harness, const char *command, const char *line)
{
    return harness_run_with(harness, command, line, 0);
}
