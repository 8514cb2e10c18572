/**
 * Texts of tracemalloc, byte for byte: str(Statistic), str(StatisticDiff), Traceback.format(). What a file name or a
 * source line holds that a terminal could act on is escaped (text.h). Independent of the locale. Knows no target.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_FORMAT_H
#define TRACEMORTEM_ENGINE_COMMANDS_FORMAT_H

#include "engine/base/text.h"
#include "engine/model/diff.h"

/** a / b as Python divides two int: correctly rounded. b is not 0. */
double tm_divide(uint64_t a, uint64_t b);

/** tracemalloc's _format_size(-magnitude or magnitude, sign). */
void tm_format_size(struct tm_text *text, bool negative, uint64_t magnitude, bool sign);
/** "%.1f KiB" of it, with `sign` "%+.1f KiB". */
void tm_format_kib(struct tm_text *text, bool negative, uint64_t magnitude, bool sign);

/** str(Traceback): the oldest frame. */
void tm_format_place(struct tm_text *text, const struct tm_place *place);
void tm_format_statistic(struct tm_text *text, const struct tm_statistic *statistic);
void tm_format_difference(struct tm_text *text, const struct tm_difference *difference);

/** The source line of a frame, stripped and indented by `indent`, as a line of its own; nothing if there is none. */
void tm_format_source_line(struct tm_text *text, const struct tm_host *host, const struct tm_frame *frame,
                           const char *indent);
/** The lines of Traceback.format(), of frames [first, end) of those given. */
void tm_format_frames(struct tm_text *text, const struct tm_host *host, const struct tm_frame *frames, uint32_t first,
                      uint32_t end);
/**
 * The frames [*first, *end) of `count` which Traceback.format(limit) shows: the most recent `limit` if it is positive,
 * else frames[:limit] of Python.
 */
void tm_format_limit(uint32_t count, int64_t limit, uint32_t *first, uint32_t *end);

#endif
