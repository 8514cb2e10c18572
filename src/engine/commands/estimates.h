/**
 * The texts of estimates: rows, sums, notes and JSON of a target whose blocks are sampled. Where they are not, the texts of
 * format.h apply. tracemalloc has no such thing.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_ESTIMATES_H
#define TRACEMORTEM_ENGINE_COMMANDS_ESTIMATES_H

#include "engine/base/json.h"
#include "engine/commands/format.h"

/** Before an estimate. */
#define TM_ABOUT "\xe2\x89\x88" // ≈

/** "≈12.3 MiB ±0.9 MiB": a size with its standard error. */
void tm_estimate_write_size(struct tm_text *text, uint64_t size, double error);
/** "≈14760.6 KiB ±120.3 KiB". */
void tm_estimate_write_kib(struct tm_text *text, uint64_t size, const struct tm_estimate *estimate);
/** "≈205000 ±15000" */
void tm_estimate_write_count(struct tm_text *text, uint64_t count, double error);
/** "+38.6 MiB ±2.9 MiB", "-12000 ±800": a difference with its standard error; without one where that is 0. */
void tm_estimate_write_size_change(struct tm_text *text, uint64_t old, uint64_t now, double error);
void tm_estimate_write_count_change(struct tm_text *text, uint64_t old, uint64_t now, double error);

/** ": size≈12.3 MiB ±0.9 MiB, count≈205000 ±15000, average≈63 B, samples=188" */
void tm_estimate_write_amount(struct tm_text *text, uint64_t size, uint64_t count, const struct tm_estimate *estimate);
/**
 * ": size≈12.3 MiB ±0.9 MiB (+4.0 MiB ±1.1 MiB), count≈…, samples=188 (+61)", and ", within the noise" where it is. The
 * place is not used. `sampled`: NEW is; else its numbers are exact and only what they are compared with is not.
 */
void tm_estimate_write_growth(struct tm_text *text, const struct tm_difference *difference, bool sampled);
/** "≈531.5 KiB ±12.0 KiB (+12.3 KiB ±2.0 KiB)", as the sums of tm-diff. */
void tm_estimate_write_sum(struct tm_text *text, const struct tm_difference *difference, bool sampled);

/** A line that says what the answer rests on. It begins with `who`: "", "OLD: ". */
void tm_estimate_write_note(struct tm_text *text, const char *who, uint64_t period, uint64_t samples);
/** The same for the top of an answer in tracemalloc's form. */
void tm_estimate_write_plain_note(struct tm_text *text, const char *who, uint64_t period, uint64_t samples);
/** A line for rows that rest on few samples. */
void tm_estimate_write_few(struct tm_text *text, size_t rows);

/** Members "estimated" and "sample_period". */
void tm_estimate_write_period_json(struct tm_json *json, uint64_t period);
/** Members "standard_error", with size and count, and "samples", each name after `prefix`. */
void tm_estimate_write_json(struct tm_json *json, const char *prefix, const struct tm_estimate *estimate);
/** Of an answer that is about the samples themselves: members "sample_period" and "estimate", which is of all blocks. */
void tm_estimate_write_samples_json(struct tm_json *json, uint64_t period, const struct tm_estimate *estimate);
/** The same with size_diff, count_diff and samples_diff; and "exceeds_noise", if `exceeds` is not NULL. */
void tm_estimate_write_change_json(struct tm_json *json, const char *prefix, const struct tm_difference *difference,
                                   const bool *exceeds);

#endif
