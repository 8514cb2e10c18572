/**
 * Places: how much the stacks have at each line, function or file, exactly, however many stacks there are. Knows no format
 * of an export.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_PLACES_H
#define TRACEMORTEM_ENGINE_EXPORT_PLACES_H

#include "engine/export/stacks.h"
#include "engine/model/statistics.h"

struct tm_spot {
    uint32_t frame;         // the first frame there, by its number
    struct tm_amount own;   // of the stacks that end there
    struct tm_amount below; // of the stacks that pass there, each once
};

struct tm_spots {
    struct tm_spot *items; // all; the chosen ones are first, the largest of them first
    size_t all;
    size_t count;           // of those chosen
    struct tm_amount other; // what the others have of their own
};

/** For the keys lineno, function and filename. None is chosen yet. */
struct tm_error *tm_spots_init(struct tm_spots *spots, const struct tm_host *host, const struct tm_stacks *stacks,
                               enum tm_key key);
void tm_spots_deinit(struct tm_spots *spots);
/** Choose the `limit` that have the most bytes of their own, and of the others the `limit` with the most below them. */
void tm_spots_choose(struct tm_spots *spots, size_t limit);

#endif
