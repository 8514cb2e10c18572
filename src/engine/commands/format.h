/**
 * tracemalloc's texts, byte for byte: str(Statistic), str(StatisticDiff), Traceback.format(); and the functions that
 * tracemalloc does not have. Control characters in names and source lines are escaped (text.h). Independent of the
 * locale. Knows no target.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_FORMAT_H
#define TRACEMORTEM_ENGINE_COMMANDS_FORMAT_H

#include "engine/base/text.h"
#include "engine/model/diff.h"

/** a / b, correctly rounded, as Python divides two ints. b must not be 0. */
double tm_divide(uint64_t a, uint64_t b);

/** tracemalloc's _format_size(-magnitude or magnitude, sign). */
void tm_format_size(struct tm_text *text, bool negative, uint64_t magnitude, bool sign);
/** A size in the unit that tm_format_size() chooses for `other`, or in its own if that says more. */
void tm_format_size_like(struct tm_text *text, uint64_t size, uint64_t other);
/** "%.1f KiB" of the same value; "%+.1f KiB" with `sign`. */
void tm_format_kib(struct tm_text *text, bool negative, uint64_t magnitude, bool sign);

/** str(Traceback), which is its oldest frame; for the key function "FILE in FUNCTION". */
void tm_format_place(struct tm_text *text, const struct tm_place *place);
/** ": size=531 KiB, count=9, average=59 B" */
void tm_format_amount(struct tm_text *text, uint64_t size, uint64_t count);
/** ": size=531 KiB (+12 KiB), count=9 (+1), average=59 B"; the place is not used. */
void tm_format_growth(struct tm_text *text, const struct tm_difference *difference);
void tm_format_statistic(struct tm_text *text, const struct tm_statistic *statistic);
void tm_format_difference(struct tm_text *text, const struct tm_difference *difference);

/** ", allocated=SIZE (COUNT), freed=SIZE (COUNT)": tracemalloc has no such thing. */
void tm_format_churn(struct tm_text *text, const struct tm_churn *churn);
/** The same with the differences of two. */
void tm_format_churn_difference(struct tm_text *text, const struct tm_churn *old, const struct tm_churn *now);

/** The average size of a block, or nothing if there is none. */
void tm_format_average(struct tm_text *text, uint64_t size, uint64_t count);

/** ", in FUNCTION", or nothing if the function is not known; or that the code object is not recorded. */
void tm_format_function(struct tm_text *text, const struct tm_frame *frame);
/** The lines of Traceback.format() for frames [first, end). Not `plain`: with their functions, where known. */
void tm_format_frames(struct tm_text *text, const struct tm_host *host, const struct tm_traceback *traceback,
                      uint32_t first, uint32_t end, bool plain);
/**
 * The frames [*first, *end) of `count` that Traceback.format(limit) shows: the most recent `limit` if it is positive,
 * otherwise Python's frames[:limit].
 */
void tm_format_limit(uint32_t count, int64_t limit, uint32_t *first, uint32_t *end);

#endif
