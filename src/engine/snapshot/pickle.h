/**
 * Writing a pickle, protocol 4, opcode by opcode: bytes are written in frames of some 64 KiB. Knows the format and no
 * meaning.
 *
 * Errors are remembered and reported once: by tm_pickle_finish(), or earlier, in loops, by tm_pickle_check().
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_PICKLE_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_PICKLE_H

#include "engine/base/error.h"
#include "engine/snapshot/opcodes.h"

struct tm_pickler {
    tm_output_callback output;
    void *context;
    unsigned char *frame; // its opcodes; the first bytes are kept for the frame's head
    size_t length;
    size_t capacity;
    uint32_t memoized;
    uint64_t written;
    struct tm_error *error;
};

/** The callback is called for each frame; if it returns anything but 0, the writing ends with TM_ERROR_OUTPUT. */
void tm_pickle_start(struct tm_pickler *pickler, tm_output_callback output, void *context);
/** NULL, or the first error, which the caller then owns. Frees all else. */
struct tm_error *tm_pickle_finish(struct tm_pickler *pickler);
/** The same for a pickle that is given up: its end is not written. */
struct tm_error *tm_pickle_abandon(struct tm_pickler *pickler);
/** NULL, or the first error, which the caller then owns; the pickle is then to be given up. */
struct tm_error *tm_pickle_check(struct tm_pickler *pickler);

/** An opcode without an operand. */
void tm_pickle_opcode(struct tm_pickler *pickler, enum tm_pickle_opcode opcode);
void tm_pickle_number(struct tm_pickler *pickler, uint64_t number);
/** UTF-8 with surrogates as three bytes; stray bytes become the surrogates of "surrogateescape". */
void tm_pickle_string(struct tm_pickler *pickler, const char *bytes, size_t length);
void tm_pickle_word(struct tm_pickler *pickler, const char *word);
/** Keep what is on top of the stack under an index, and put it back on the stack. */
uint32_t tm_pickle_memoize(struct tm_pickler *pickler);
void tm_pickle_get(struct tm_pickler *pickler, uint32_t index);

#endif
