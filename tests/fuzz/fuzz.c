/**
 * The host of all fuzz targets.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t steps;

void fuzz_fail(const char *what)
{
    fprintf(stderr, "fuzz: this does not hold: %s\n", what);
    abort();
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->length == 0)
        return 0;
    input->length--;
    return *input->bytes++;
}

uint64_t fuzz_number(struct fuzz_input *input, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)fuzz_byte(input) << 8 * i;
    return number;
}

uint64_t fuzz_steps(void)
{
    return steps;
}

// ---------------------------------------------------------------------------------------------------------------
// Output

static bool continues(const unsigned char *text, size_t count)
{
    for (size_t i = 1; i <= count; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return false;
    }
    return true;
}

// The length of a character that a terminal only shows, or 0. `text` ends in NUL, so looking ahead never passes its end.
static size_t harmless(const unsigned char *text)
{
    if (text[0] < 0x80)
        return (text[0] >= ' ' && text[0] < 0x7f) || text[0] == '\n' || text[0] == '\t';
    if (text[0] >= 0xc2 && text[0] < 0xe0 && continues(text, 1))
        return text[0] == 0xc2 && text[1] < 0xa0 ? 0 : 2; // C1 controls
    if (text[0] >= 0xe0 && text[0] < 0xf0 && continues(text, 2)) {
        uint32_t character = (text[0] & 0xfu) << 12 | (text[1] & 0x3fu) << 6 | (text[2] & 0x3fu);
        bool bidirectional =
            (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
        bool separator = character == 0x2028 || character == 0x2029;
        return character < 0x800 || (character >= 0xd800 && character < 0xe000) || bidirectional || separator ? 0 : 3;
    }
    if (text[0] >= 0xf0 && text[0] < 0xf5 && continues(text, 3)) {
        uint32_t character =
            (text[0] & 7u) << 18 | (text[1] & 0x3fu) << 12 | (text[2] & 0x3fu) << 6 | (text[3] & 0x3fu);
        return character < 0x10000 || character > 0x10ffff ? 0 : 4;
    }
    return 0;
}

static bool styled; // the text of the latest request may have colours

static void check_text(const char *text, size_t length)
{
    fuzz_require(text[length] == '\0');
    for (size_t i = 0; i < length;) {
        if (styled && text[i] == '\x1b') { // the engine's own
            size_t digits = text[i + 1] == '[' ? strspn(text + i + 2, "0123456789") : 0;
            fuzz_require(text[i + 1] == '[' && text[i + 2 + digits] == 'm');
            i += 3 + digits;
            continue;
        }
        size_t size = harmless((const unsigned char *)text + i);
        fuzz_require(size > 0);
        i += size;
    }
}

static int should_stop(void *context)
{
    (void)context;
    steps++;
    return 0;
}

static void write_text(void *context, const char *text, size_t length)
{
    (void)context;
    check_text(text, length);
}

static void progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    (void)context;
    fuzz_require(what && done <= total);
}

// A line of source for each odd number, with characters that an editor would show.
static const char *source_line(void *context, const char *file_name, uint32_t line, uint32_t *may_differ)
{
    (void)context;
    fuzz_require(file_name && *may_differ == 0);
    *may_differ = line % 3 == 0;
    return line % 2 ? "    value = \x1b[31m\xc2\x9b"
                      "f(x)\t# \xe2\x80\xae\xed\xb2\x80\n"
                    : NULL;
}

// Every other time a terminal, narrow ones and those of any width among them.
static int screen(void *context, struct tm_screen *screen)
{
    static uint32_t asked;
    (void)context;
    asked++;
    styled = asked % 4 == 1;
    *screen = (struct tm_screen){asked % 7 * 25, styled};
    return asked % 2;
}

struct tm_session *fuzz_session_create(void)
{
    static const struct tm_host_callbacks callbacks = {should_stop, write_text, progress, source_line, screen};
    struct tm_session *session = NULL;
    steps = 0;
    fuzz_require(tm_session_create(&callbacks, NULL, &session) == NULL);
    return session;
}

// ---------------------------------------------------------------------------------------------------------------
// Commands

static int swallow(void *context, const void *bytes, size_t length)
{
    (void)context;
    return length > 0 && !bytes;
}

static void resolve(struct tm_request *request, size_t index, struct tm_target *other, uint64_t address)
{
    const char *text = tm_request_operand_text(request, index);
    fuzz_require(text && strlen(text) < SIZE_MAX);
    switch (tm_request_operand_kind(request, index)) {
    case TM_OPERAND_EXPRESSION:
        tm_request_set_address(request, index, address);
        break;
    case TM_OPERAND_CORE:
        tm_request_set_target(request, index, other);
        break;
    default:
        tm_request_set_output(request, index, swallow, NULL);
    }
}

bool fuzz_run(struct tm_session *session, const char *command, const char *line, struct tm_target *target,
              struct tm_target *other, uint64_t address)
{
    struct tm_request *request = NULL;
    struct tm_error *error = tm_request_create(session, command, line, &request);
    if (!error) {
        for (size_t i = 0; i < tm_request_operands(request); i++)
            resolve(request, i, other, address);
        error = tm_request_run(request, target);
        tm_request_destroy(request);
    }
    if (!error)
        return true;
    const char *message = tm_error_message(error);
    fuzz_require(message[0] != '\0');
    check_text(message, strlen(message));
    tm_error_destroy(error);
    return false;
}
