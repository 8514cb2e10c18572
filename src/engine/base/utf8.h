/**
 * Code points of a string as Python has them: UTF-8 in which lone surrogates are their own three bytes
 * ("surrogatepass"). A byte which is part of nothing valid counts as the surrogate U+DC80..U+DCFF that Python's
 * "surrogateescape" makes of it, so every string of bytes has exactly one reading. Knows nothing of what strings
 * mean.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_UTF8_H
#define TRACEMORTEM_ENGINE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Reads one code point from `length` (at least 1) bytes; returns how many bytes it takes: 1 to 4. */
size_t tm_utf8_decode(const char *bytes, size_t length, uint32_t *code_point);

/** Whether str.strip() of Python removes it. */
bool tm_utf8_is_space(uint32_t code_point);

/** Removes from both ends what str.strip() removes. */
void tm_utf8_strip(const char **bytes, size_t *length);

#endif
