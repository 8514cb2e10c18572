/**
 * Fit: what a pattern fits among the tracebacks of a snapshot; if none, what is near to it. Knows no target and no text.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_FIT_H
#define TRACEMORTEM_ENGINE_MODEL_FIT_H

#include "engine/model/mine.h"

enum tm_fit {
    TM_FIT_SOME,       // some traceback
    TM_FIT_OLDER,      // none as the filter asks for it, but frames that are not the most recent ones
    TM_FIT_OTHER_LINE, // none at the filter's line, but the file is there
    TM_FIT_IN_FOLDER,  // none, but it would with "*/" before it
    TM_FIT_NONE,
};

/** One for each pattern of some lists. All zero: none. */
struct tm_fits {
    enum tm_fit *items;
    size_t count;
    size_t capacity;
};
void tm_fits_deinit(struct tm_fits *fits);
/** Append the fits of a list's filters. Those without a pattern fit. */
struct tm_error *tm_fits_add_filters(struct tm_fits *fits, const struct tm_filter_list *list,
                                     const struct tm_host *host, const struct tm_snapshot *snapshot);
/** Append those of the patterns of own files. */
struct tm_error *tm_fits_add_mine(struct tm_fits *fits, const struct tm_mine *mine, const struct tm_host *host,
                                  const struct tm_snapshot *snapshot);
/** The better of each two, of the same patterns in two snapshots. */
void tm_fits_merge(struct tm_fits *fits, const struct tm_fits *more);

#endif
