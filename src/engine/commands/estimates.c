// An error has the unit of what it belongs to, so that both are compared at a glance; a small one its own.

#include "engine/commands/estimates.h"

#include <inttypes.h>
#include <stdio.h>

#define ERROR "\xc2\xb1" // ±

// ---------------------------------------------------------------------------------------------------------------
// Numbers

static void add_error(struct tm_text *text, uint64_t size, double error)
{
    if (error <= 0)
        return;
    tm_text_add(text, " " ERROR);
    tm_format_size_like(text, tm_estimate_round_error(error), size);
}

void tm_estimate_write_size(struct tm_text *text, uint64_t size, double error)
{
    tm_text_add(text, TM_ABOUT);
    tm_format_size(text, false, size, false);
    add_error(text, size, error);
}

void tm_estimate_write_kib(struct tm_text *text, uint64_t size, const struct tm_estimate *estimate)
{
    tm_text_add(text, TM_ABOUT);
    tm_format_kib(text, false, size, false);
    tm_text_add(text, " " ERROR);
    tm_format_kib(text, false, tm_estimate_round_error(tm_errors_of(&estimate->variance).size), false);
}

static void add_count_error(struct tm_text *text, double error)
{
    if (error > 0)
        tm_text_printf(text, " " ERROR "%" PRIu64, tm_estimate_round_error(error));
}

void tm_estimate_write_count(struct tm_text *text, uint64_t count, double error)
{
    tm_text_printf(text, TM_ABOUT "%" PRIu64, count);
    add_count_error(text, error);
}

void tm_estimate_write_size_change(struct tm_text *text, uint64_t old, uint64_t now, double error)
{
    uint64_t distance = tm_distance(old, now);
    tm_format_size(text, now < old, distance, true);
    add_error(text, distance, error);
}

void tm_estimate_write_count_change(struct tm_text *text, uint64_t old, uint64_t now, double error)
{
    tm_text_printf(text, "%s%" PRIu64, now < old ? "-" : "+", tm_distance(old, now));
    add_count_error(text, error);
}

// ---------------------------------------------------------------------------------------------------------------
// Rows and sums

static void add_average(struct tm_text *text, uint64_t size, uint64_t count, bool sampled)
{
    if (count == 0)
        return;
    tm_text_add(text, sampled ? ", average" TM_ABOUT : ", average=");
    tm_format_average(text, size, count);
}

void tm_estimate_write_amount(struct tm_text *text, uint64_t size, uint64_t count, const struct tm_estimate *estimate)
{
    struct tm_pair errors = tm_errors_of(&estimate->variance);
    tm_text_add(text, ": size");
    tm_estimate_write_size(text, size, errors.size);
    tm_text_add(text, ", count");
    tm_estimate_write_count(text, count, errors.count);
    add_average(text, size, count, true);
    tm_text_printf(text, ", samples=%" PRIu64, estimate->samples);
}

void tm_estimate_write_growth(struct tm_text *text, const struct tm_difference *difference, bool sampled)
{
    const struct tm_estimate *now = &difference->estimate, *old = &difference->old_estimate;
    struct tm_pair errors = tm_errors_of(&now->variance), changes = tm_errors_of(&difference->variance);

    tm_text_add(text, ": size");
    if (sampled) {
        tm_estimate_write_size(text, difference->size, errors.size);
    } else {
        tm_text_add(text, "=");
        tm_format_size(text, false, difference->size, false);
    }
    tm_text_add(text, " (");
    tm_estimate_write_size_change(text, difference->old_size, difference->size, changes.size);
    tm_text_add(text, "), count");
    if (sampled)
        tm_estimate_write_count(text, difference->count, errors.count);
    else
        tm_text_printf(text, "=%" PRIu64, difference->count);
    tm_text_add(text, " (");
    tm_estimate_write_count_change(text, difference->old_count, difference->count, changes.count);
    tm_text_add(text, ")");
    add_average(text, difference->size, difference->count, sampled);
    tm_text_printf(text, ", samples=%" PRIu64 " (%s%" PRIu64 ")", now->samples, now->samples < old->samples ? "-" : "+",
                   tm_distance(now->samples, old->samples));
    if (difference->size != difference->old_size && !tm_difference_exceeds_noise(difference))
        tm_text_add(text, ", within the noise");
}

void tm_estimate_write_sum(struct tm_text *text, const struct tm_difference *difference, bool sampled)
{
    uint64_t size = difference->size, old_size = difference->old_size;

    if (sampled)
        tm_estimate_write_kib(text, size, &difference->estimate);
    else
        tm_format_kib(text, false, size, false);
    tm_text_add(text, " (");
    tm_format_kib(text, size < old_size, tm_distance(old_size, size), true);
    tm_text_add(text, " " ERROR);
    tm_format_kib(text, false, tm_estimate_round_error(tm_errors_of(&difference->variance).size), false);
    tm_text_add(text, ")");
}

// ---------------------------------------------------------------------------------------------------------------
// Notes

static void add_samples(struct tm_text *text, uint64_t period, uint64_t samples)
{
    tm_text_printf(text, "%" PRIu64 " sample%s, one in ", samples, samples == 1 ? "" : "s");
    tm_format_size(text, false, period, false);
}

void tm_estimate_write_note(struct tm_text *text, const char *who, uint64_t period, uint64_t samples)
{
    tm_text_printf(text, "%sestimated from ", who);
    add_samples(text, period, samples);
    tm_text_add(text, "; " ERROR " is one standard error. TRACEMORTEM_DETAIL=lean records every block\n");
}

void tm_estimate_write_plain_note(struct tm_text *text, const char *who, uint64_t period, uint64_t samples)
{
    tm_text_printf(text, "%sestimates, and not counted: from ", who);
    add_samples(text, period, samples);
    tm_text_add(text, "\n");
}

void tm_estimate_write_few(struct tm_text *text, size_t rows)
{
    if (rows == 0)
        return;
    tm_text_printf(text, "%zu row%s on fewer than %u samples: %s more than the error says\n", rows,
                   rows == 1 ? " rests" : "s rest", TM_FEW_SAMPLES,
                   rows == 1 ? "it may be off by" : "they may be off by");
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

void tm_estimate_write_period_json(struct tm_json *json, uint64_t period)
{
    tm_json_bool(json, "estimated", true);
    tm_json_number(json, "sample_period", period);
}

static const char *prefixed(char *buffer, size_t capacity, const char *prefix, const char *name)
{
    snprintf(buffer, capacity, "%s%s", prefix, name);
    return buffer;
}

void tm_estimate_write_json(struct tm_json *json, const char *prefix, const struct tm_estimate *estimate)
{
    struct tm_pair errors = tm_errors_of(&estimate->variance);
    char name[40];
    tm_json_begin_object(json, prefixed(name, sizeof(name), prefix, "standard_error"));
    tm_json_number(json, "size", tm_estimate_round_error(errors.size));
    tm_json_number(json, "count", tm_estimate_round_error(errors.count));
    tm_json_end_object(json);
    tm_json_number(json, prefixed(name, sizeof(name), prefix, "samples"), estimate->samples);
}

void tm_estimate_write_samples_json(struct tm_json *json, uint64_t period, const struct tm_estimate *estimate)
{
    tm_json_number(json, "sample_period", period);
    tm_json_begin_object(json, "estimate");
    tm_json_number(json, "size", tm_estimate_size(estimate));
    tm_json_number(json, "count", tm_estimate_count(estimate));
    tm_estimate_write_json(json, "", estimate);
    tm_json_end_object(json);
}

void tm_estimate_write_change_json(struct tm_json *json, const char *prefix, const struct tm_difference *difference,
                                   const bool *exceeds)
{
    const struct tm_estimate *now = &difference->estimate, *old = &difference->old_estimate;
    struct tm_pair errors = tm_errors_of(&now->variance), changes = tm_errors_of(&difference->variance);
    char name[40];
    tm_json_begin_object(json, prefixed(name, sizeof(name), prefix, "standard_error"));
    tm_json_number(json, "size", tm_estimate_round_error(errors.size));
    tm_json_number(json, "size_diff", tm_estimate_round_error(changes.size));
    tm_json_number(json, "count", tm_estimate_round_error(errors.count));
    tm_json_number(json, "count_diff", tm_estimate_round_error(changes.count));
    tm_json_end_object(json);
    tm_json_number(json, prefixed(name, sizeof(name), prefix, "samples"), now->samples);
    tm_json_signed(json, prefixed(name, sizeof(name), prefix, "samples_diff"), now->samples < old->samples,
                   tm_distance(old->samples, now->samples));
    if (exceeds)
        tm_json_bool(json, prefixed(name, sizeof(name), prefix, "exceeds_noise"), *exceeds);
}
