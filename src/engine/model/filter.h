/**
 * Filters, with the meaning of tracemalloc.Filter, tracemalloc.DomainFilter and Snapshot.filter_traces(). Knows no
 * target and no command line.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_FILTER_H
#define TRACEMORTEM_ENGINE_MODEL_FILTER_H

#include "engine/base/host.h"
#include "engine/base/json.h"
#include "engine/base/match.h"
#include "engine/base/set.h"
#include "engine/model/source.h"

/** With a pattern a tracemalloc.Filter, without one a DomainFilter. */
struct tm_filter {
    bool inclusive;
    struct tm_pattern *pattern; // NULL: none
    char *pattern_text;         // as Filter.filename_pattern has it (.pyc is .py)
    size_t pattern_length;
    bool has_line;
    uint32_t line;
    bool all_frames; // match any frame, not only the most recent one
    bool has_domain; // always where there is no pattern
    uint32_t domain;
    uint32_t number; // the user's number for it in the session; 0: none
};

/** All zero is an empty list. */
struct tm_filter_list {
    struct tm_filter *items;
    size_t count;
    size_t capacity;
};

/** Copies the pattern (NULL: none) and sets nothing else but `inclusive`. */
struct tm_error *tm_filter_init(struct tm_filter *filter, bool inclusive, const char *pattern, size_t length);
void tm_filter_deinit(struct tm_filter *filter);

/** Takes ownership of the filter if it succeeds. */
struct tm_error *tm_filter_list_add(struct tm_filter_list *list, struct tm_filter *filter);
void tm_filter_list_remove(struct tm_filter_list *list, size_t index);
void tm_filter_list_deinit(struct tm_filter_list *list);

/**
 * Keep the groups that snapshot.filter_traces(list) keeps: at least one inclusive filter matches, if there are any,
 * and no exclusive one does.
 */
struct tm_error *tm_filter_list_apply(const struct tm_filter_list *list, const struct tm_host *host,
                                      struct tm_snapshot *snapshot);

/** A filter at work: it remembers which file names its pattern matches. All zero but `filter` at first. */
struct tm_matcher {
    const struct tm_filter *filter;
    struct tm_set seen;
};
void tm_matcher_deinit(struct tm_matcher *matcher);
/** Whether the filter's pattern, which it must have, matches this file name. */
struct tm_error *tm_matcher_name(struct tm_matcher *matcher, const struct tm_name *name, bool *result);

/** A list at work on one origin of blocks after the other. */
struct tm_sieve {
    struct tm_matcher *matchers;
    size_t count;
};
/** The list must outlive the sieve, and so must the names. */
struct tm_error *tm_sieve_init(struct tm_sieve *sieve, const struct tm_filter_list *list);
void tm_sieve_deinit(struct tm_sieve *sieve);
/** Whether snapshot.filter_traces(list) keeps traces with this domain and traceback. */
struct tm_error *tm_sieve_keeps(struct tm_sieve *sieve, uint32_t domain, const struct tm_traceback *traceback,
                                bool *result);
/** Whether one of the filters, all of which have patterns, names this frame by its file and its line. */
struct tm_error *tm_sieve_names(struct tm_sieve *sieve, const struct tm_frame *frame, bool *result);

/** For humans: "include *.py:12 (all frames, domain 3)", "exclude domain 3". Escaped. */
void tm_filter_describe(const struct tm_filter *filter, struct tm_text *text);
/** One object with the names of tracemalloc's attributes; "number" is null where the filter has none. */
void tm_filter_write_json(const struct tm_filter *filter, struct tm_json *json);

#endif
