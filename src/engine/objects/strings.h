/**
 * Text of the target: str objects, bytes objects and C strings, as UTF-8 with a budget. A str that lies about its length
 * is cut at the budget. Knows no type: the caller says what is at an address.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_STRINGS_H
#define TRACEMORTEM_ENGINE_OBJECTS_STRINGS_H

#include "engine/objects/objects.h"

/** The head of a str object. */
struct tm_str {
    uint64_t length;     // characters
    unsigned kind;       // bytes of each: 1, 2 or 4
    uint64_t characters; // their address
    bool compact, ascii; // compact: the characters are in the object itself
};
/** False: there is no str object at this address. */
bool tm_str_open(struct tm_objects *objects, uint64_t address, struct tm_str *str);

/** A whole str as a C string. False: it is no str, does not fit or has a NUL. */
bool tm_string_read(struct tm_objects *objects, uint64_t address, char *text, size_t capacity);
/** The same of a C string in the target. */
bool tm_string_read_c(struct tm_objects *objects, uint64_t address, char *text, size_t capacity);

/** One code point as UTF-8, a surrogate too; returns its bytes, at most 4. */
size_t tm_utf8_encode(uint32_t c, char *to);

#endif
