/**
 * Text for the user: a buffer that grows, and the escaping of what came from the target.
 *
 * Appending never fails at once: the text remembers that memory ran out, and tm_text_check() reports it. Knows
 * nothing of what the text says.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_TEXT_H
#define TRACEMORTEM_ENGINE_BASE_TEXT_H

#include "engine/base/error.h"

/** All zero is an empty text. */
struct tm_text {
    char *bytes; // NUL-terminated; NULL while nothing was appended
    size_t length;
    size_t capacity;
    bool failed; // something is missing: there was no memory for it
};

#define TM_TEXT_EMPTY     \
    {                     \
        NULL, 0, 0, false \
    }

void tm_text_deinit(struct tm_text *text);
/** NULL, or the error if an append found no memory since the text was last empty. */
struct tm_error *tm_text_check(const struct tm_text *text);
/** Never NULL. */
const char *tm_text_string(const struct tm_text *text);
/** Empty again; the memory is kept. */
void tm_text_clear(struct tm_text *text);

/** Append what is valid UTF-8 and safe already: the engine's own words, or text that was escaped before. */
void tm_text_bytes(struct tm_text *text, const char *bytes, size_t length);
void tm_text_add(struct tm_text *text, const char *string);
void tm_text_number(struct tm_text *text, uint64_t number);
void tm_text_printf(struct tm_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Append a string of the target: UTF-8 with surrogates, or any bytes. What a terminal could act on, or what is not
 * valid UTF-8, appears as in Python's repr(): control characters (\n, \x1b, \x9b), line and paragraph separators and
 * bidirectional controls (\u2028, \u202e), lone surrogates (\udc80), and stray bytes as the surrogates that
 * "surrogateescape" makes of them. Everything else, a backslash too, stays as it is.
 */
void tm_text_escape(struct tm_text *text, const char *bytes, size_t length);
/** The same for a line of source text, where tabs stay as they are. */
void tm_text_escape_line(struct tm_text *text, const char *bytes, size_t length);
/** As tm_text_escape(), into `capacity` (at least 1) bytes; what does not fit is cut off. NUL-terminated. */
void tm_escape_into(char *buffer, size_t capacity, const char *bytes, size_t length);

#endif
