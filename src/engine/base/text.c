// The growing text buffer, and the escaping of target strings. Every byte from tm_text_escape() is valid UTF-8.

#include "engine/base/text.h"

#include "engine/base/grow.h"
#include "engine/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_ESCAPE = 8 };

void tm_text_deinit(struct tm_text *text)
{
    free(text->bytes);
    *text = (struct tm_text)TM_TEXT_EMPTY;
}

struct tm_error *tm_text_check(const struct tm_text *text)
{
    return text->failed ? tm_error_no_memory() : NULL;
}

const char *tm_text_string(const struct tm_text *text)
{
    return text->bytes ? text->bytes : "";
}

void tm_text_clear(struct tm_text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->bytes)
        text->bytes[0] = '\0';
}

// Makes room for `more` bytes and a NUL.
static bool reserve(struct tm_text *text, size_t more)
{
    size_t needed;

    if (!text->failed)
        text->failed = __builtin_add_overflow(text->length, more, &needed) ||
                       __builtin_add_overflow(needed, 1, &needed) || !TM_GROW(&text->bytes, needed, &text->capacity);
    return !text->failed;
}

void tm_text_bytes(struct tm_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length))
        return;
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void tm_text_add(struct tm_text *text, const char *string)
{
    tm_text_bytes(text, string, strlen(string));
}

void tm_text_number(struct tm_text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    tm_text_bytes(text, digits + at, sizeof(digits) - at);
}

void tm_text_printf(struct tm_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);

    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        text->failed = true;
    } else if (reserve(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || (c >= 0xd800 && c <= 0xdfff);
}

// Writes the escape of an unsafe code point and returns its length.
static size_t write_escape(uint32_t code_point, char buffer[LONGEST_ESCAPE])
{
    if (code_point == '\n' || code_point == '\r' || code_point == '\t') {
        buffer[0] = '\\';
        buffer[1] = code_point == '\n' ? 'n' : code_point == '\r' ? 'r' : 't';
        return 2;
    }
    return (size_t)snprintf(buffer, LONGEST_ESCAPE, code_point < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code_point);
}

// Takes the next piece: as many safe bytes as possible, or one escape. Returns how many bytes it covers.
static size_t next_piece(const char *bytes, size_t length, bool keep_tabs, char escape[LONGEST_ESCAPE],
                         size_t *escape_length)
{
    size_t safe = 0;

    *escape_length = 0;
    while (safe < length) {
        uint32_t code_point;
        size_t size = tm_utf8_decode(bytes + safe, length - safe, &code_point);
        if (is_unsafe(code_point) && !(keep_tabs && code_point == '\t')) {
            if (safe > 0)
                return safe;
            *escape_length = write_escape(code_point, escape);
            return size;
        }
        safe += size;
    }
    return safe;
}

static void append_escaped(struct tm_text *text, const char *bytes, size_t length, bool keep_tabs)
{
    while (length > 0) {
        char escape[LONGEST_ESCAPE];
        size_t escape_length;
        size_t size = next_piece(bytes, length, keep_tabs, escape, &escape_length);
        if (escape_length > 0)
            tm_text_bytes(text, escape, escape_length);
        else
            tm_text_bytes(text, bytes, size);
        bytes += size;
        length -= size;
    }
}

void tm_text_escape(struct tm_text *text, const char *bytes, size_t length)
{
    append_escaped(text, bytes, length, false);
}

void tm_text_escape_line(struct tm_text *text, const char *bytes, size_t length)
{
    append_escaped(text, bytes, length, true);
}

void tm_escape_into(char *buffer, size_t capacity, const char *bytes, size_t length)
{
    size_t used = 0;

    while (length > 0) {
        char escape[LONGEST_ESCAPE];
        uint32_t code_point;
        size_t size = tm_utf8_decode(bytes, length, &code_point);
        const char *piece = bytes;
        size_t piece_length = size;
        if (is_unsafe(code_point)) {
            piece = escape;
            piece_length = write_escape(code_point, escape);
        }
        if (piece_length >= capacity - used)
            break;
        memcpy(buffer + used, piece, piece_length);
        used += piece_length;
        bytes += size;
        length -= size;
    }
    buffer[used] = '\0';
}
