/**
 * Sink: where an export is written. It collects text, and passes it on in pieces, as it is or compressed. Knows no format
 * of an export.
 *
 * Errors are remembered and reported once: by tm_sink_finish(), or earlier, in loops, by tm_sink_pass().
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_SINK_H
#define TRACEMORTEM_ENGINE_EXPORT_SINK_H

#include "engine/base/text.h"

struct tm_gzip;

struct tm_sink {
    tm_output_callback output;
    void *context;
    struct tm_text text;  // what was not passed on yet: append to it
    struct tm_gzip *gzip; // NULL: not compressed
    uint64_t written;     // bytes passed to the callback
    struct tm_error *error;
};

/** If the callback returns anything but 0, the writing ends with TM_ERROR_OUTPUT. `compressed`: as a file of gzip. */
void tm_sink_init(struct tm_sink *sink, tm_output_callback output, void *context, bool compressed);
/** After each part, such as a row: pass the text on if there is much of it. The first error, which the sink keeps. */
const struct tm_error *tm_sink_pass(struct tm_sink *sink);
/**
 * Pass on the rest, unless there is an `error`; that one, or else the sink's first one, is returned. Frees all that the
 * sink has. *written is how many bytes were written.
 */
struct tm_error *tm_sink_finish(struct tm_sink *sink, struct tm_error *error, uint64_t *written);

#endif
