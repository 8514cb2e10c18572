/**
 * The text of a Python source file, as Python's tokenize.open() reads it: by its coding line or byte order mark, strictly,
 * with every kind of line end as "\n". Knows no file.
 */
#ifndef TRACEMORTEM_PROCESS_ENCODING_H
#define TRACEMORTEM_PROCESS_ENCODING_H

#include "engine/base/text.h"

/**
 * Appends the text in UTF-8. NULL: done. Else why there is no text, in a few words: it is not valid in its encoding, or
 * the encoding is not one of UTF-8, ASCII, Latin-1, Latin-9 and Windows-1252.
 */
const char *tm_source_decode(const unsigned char *bytes, size_t length, struct tm_text *text);

#endif
