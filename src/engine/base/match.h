/**
 * Shell patterns, exactly as fnmatch.fnmatchcase() of Python 3.11 matches them, on code points: `*`, `?`, `[seq]`,
 * `[!seq]`. Matching takes time proportional to the pattern's length times the name's at most. Knows nothing of
 * files.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_MATCH_H
#define TRACEMORTEM_ENGINE_BASE_MATCH_H

#include "engine/base/error.h"

struct tm_pattern;

/** Every string is a pattern. */
struct tm_error *tm_pattern_create(const char *bytes, size_t length, struct tm_pattern **result);
void tm_pattern_destroy(struct tm_pattern *pattern);
/** Whether the whole name matches. */
bool tm_pattern_matches(const struct tm_pattern *pattern, const char *name, size_t length);

#endif
