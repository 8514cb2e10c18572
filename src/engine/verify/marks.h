/**
 * Marks: which ids of an array were marked, a bit for each. Knows nothing of what a mark means.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_MARKS_H
#define TRACEMORTEM_ENGINE_VERIFY_MARKS_H

#include <stdbool.h>
#include <stdint.h>

/** Marks on the ids below `limit`. Memory is taken page by page, as ids are marked. All zero but the limit: no mark. */
struct tm_marks {
    uint64_t limit;
    uint8_t **pages; // NULL: no id is marked
};

/** `id` is below the limit. False: no memory. */
bool tm_marks_set(struct tm_marks *marks, uint32_t id);
/** Any id; false for one at or above the limit. */
bool tm_marks_has(const struct tm_marks *marks, uint64_t id);
void tm_marks_deinit(struct tm_marks *marks);

#endif
