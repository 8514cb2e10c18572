// Filters. A pattern is matched once against each file name, however many frames have it: names are interned.

#include "engine/model/filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"

// tracemalloc's _normalize_filename(): the length of the name without the "c" of ".pyc".
static size_t normalized_length(const char *name, size_t length)
{
    return length >= 4 && memcmp(name + length - 4, ".pyc", 4) == 0 ? length - 1 : length;
}

struct tm_error *tm_filter_init(struct tm_filter *filter, bool inclusive, const char *pattern, size_t length)
{
    *filter = (struct tm_filter){.inclusive = inclusive};
    if (!pattern)
        return NULL;

    length = normalized_length(pattern, length);
    filter->pattern_text = calloc(length + 1, 1);
    if (!filter->pattern_text)
        return tm_error_no_memory();
    memcpy(filter->pattern_text, pattern, length);
    filter->pattern_length = length;

    struct tm_error *error = tm_pattern_create(pattern, length, &filter->pattern);
    if (error)
        tm_filter_deinit(filter);
    return error;
}

void tm_filter_deinit(struct tm_filter *filter)
{
    tm_pattern_destroy(filter->pattern);
    free(filter->pattern_text);
    *filter = (struct tm_filter){0};
}

struct tm_error *tm_filter_list_add(struct tm_filter_list *list, struct tm_filter *filter)
{
    if (!TM_GROW(&list->items, list->count + 1, &list->capacity))
        return tm_error_no_memory();
    list->items[list->count++] = *filter;
    *filter = (struct tm_filter){0};
    return NULL;
}

void tm_filter_list_remove(struct tm_filter_list *list, size_t index)
{
    tm_filter_deinit(&list->items[index]);
    list->count--;
    memmove(list->items + index, list->items + index + 1, (list->count - index) * sizeof(*list->items));
}

void tm_filter_list_deinit(struct tm_filter_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        tm_filter_deinit(&list->items[i]);
    free(list->items);
    *list = (struct tm_filter_list){0};
}

// ---------------------------------------------------------------------------------------------------------------
// Matching

// The item of each name that was seen is one of these answers.
static const char name_matches, name_differs;

void tm_matcher_deinit(struct tm_matcher *matcher)
{
    tm_set_deinit(&matcher->seen);
}

struct tm_error *tm_matcher_name(struct tm_matcher *matcher, const struct tm_name *name, bool *result)
{
    if (!tm_set_reserve(&matcher->seen))
        return tm_error_no_memory();

    uint64_t key = (uint64_t)(uintptr_t)name;
    struct tm_set_entry *entry = tm_set_find_number(&matcher->seen, key);
    if (!entry->item) {
        size_t length = normalized_length(name->bytes, name->length);
        bool matches = tm_pattern_matches(matcher->filter->pattern, name->bytes, length);
        tm_set_put_number(&matcher->seen, entry, key, (void *)(uintptr_t)(matches ? &name_matches : &name_differs));
    }
    *result = entry->item == (const void *)&name_matches;
    return NULL;
}

// Filter._match_frame_impl().
static struct tm_error *match_frame(struct tm_matcher *matcher, const struct tm_frame *frame, bool *result)
{
    const struct tm_filter *filter = matcher->filter;

    *result = false;
    if (filter->has_line && frame->line != filter->line)
        return NULL;
    return tm_matcher_name(matcher, frame->file_name, result);
}

// The same for the most recent frame or any.
static struct tm_error *match_frames(struct tm_matcher *matcher, const struct tm_traceback *traceback, bool *result)
{
    const struct tm_filter *filter = matcher->filter;

    *result = false;
    for (; traceback && !*result; traceback = filter->all_frames ? traceback->older : NULL) {
        struct tm_error *error = match_frame(matcher, traceback->newest, result);
        if (error)
            return error;
    }
    return NULL;
}

// Filter._match() and DomainFilter._match(). An exclusive filter matches an origin that is not what it names.
static struct tm_error *match_origin(struct tm_matcher *matcher, uint32_t domain, const struct tm_traceback *traceback,
                                     bool *result)
{
    const struct tm_filter *filter = matcher->filter;
    bool named = !filter->has_domain || domain == filter->domain;

    if (named && filter->pattern) {
        struct tm_error *error = match_frames(matcher, traceback, &named);
        if (error)
            return error;
    }
    // What the missing frames would match is not known: then the origin is left out.
    if (!named && !filter->inclusive && filter->pattern && filter->all_frames && traceback->older_missing)
        named = !filter->has_domain || domain == filter->domain;
    *result = named == filter->inclusive;
    return NULL;
}

struct tm_error *tm_sieve_init(struct tm_sieve *sieve, const struct tm_filter_list *list)
{
    *sieve = (struct tm_sieve){NULL, 0};
    if (list->count == 0)
        return NULL;
    sieve->matchers = calloc(list->count, sizeof(*sieve->matchers));
    if (!sieve->matchers)
        return tm_error_no_memory();
    sieve->count = list->count;
    for (size_t i = 0; i < list->count; i++)
        sieve->matchers[i].filter = &list->items[i];
    return NULL;
}

void tm_sieve_deinit(struct tm_sieve *sieve)
{
    for (size_t i = 0; i < sieve->count; i++)
        tm_matcher_deinit(&sieve->matchers[i]);
    free(sieve->matchers);
    *sieve = (struct tm_sieve){NULL, 0};
}

struct tm_error *tm_sieve_keeps(struct tm_sieve *sieve, uint32_t domain, const struct tm_traceback *traceback,
                                bool *result)
{
    bool any_inclusive = false, included = false;

    *result = false;
    for (size_t i = 0; i < sieve->count; i++) {
        bool inclusive = sieve->matchers[i].filter->inclusive;
        bool matches;
        if (inclusive && included)
            continue;
        struct tm_error *error = match_origin(&sieve->matchers[i], domain, traceback, &matches);
        if (error)
            return error;
        if (!inclusive && !matches)
            return NULL;
        any_inclusive = any_inclusive || inclusive;
        included = included || (inclusive && matches);
    }
    *result = included || !any_inclusive;
    return NULL;
}

struct tm_error *tm_sieve_names(struct tm_sieve *sieve, const struct tm_frame *frame, bool *result)
{
    *result = false;
    for (size_t i = 0; i < sieve->count && !*result; i++) {
        struct tm_error *error = match_frame(&sieve->matchers[i], frame, result);
        if (error)
            return error;
    }
    return NULL;
}

static struct tm_error *keep_groups(struct tm_sieve *sieve, const struct tm_host *host, struct tm_snapshot *snapshot)
{
    size_t kept = 0;
    uint64_t frames = 0;

    for (size_t i = 0; i < snapshot->count; i++) {
        const struct tm_group *group = &snapshot->groups[i];
        struct tm_error *error = NULL;
        bool keep = false;
        frames += group->traceback->count;
        if (frames >= 4096) {
            frames = 0;
            error = tm_host_check(host);
        }
        if (!error)
            error = tm_sieve_keeps(sieve, group->domain, group->traceback, &keep);
        if (error)
            return error;
        if (keep)
            snapshot->groups[kept++] = *group;
    }
    snapshot->count = kept;
    return NULL;
}

struct tm_error *tm_filter_list_apply(const struct tm_filter_list *list, const struct tm_host *host,
                                      struct tm_snapshot *snapshot)
{
    struct tm_sieve sieve;

    if (list->count == 0)
        return NULL;
    struct tm_error *error = tm_sieve_init(&sieve, list);
    if (!error)
        error = keep_groups(&sieve, host, snapshot);
    tm_sieve_deinit(&sieve);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Showing

void tm_filter_describe(const struct tm_filter *filter, struct tm_text *text)
{
    tm_text_add(text, filter->inclusive ? "include " : "exclude ");
    if (!filter->pattern) {
        tm_text_printf(text, "domain %" PRIu32, filter->domain);
        return;
    }
    tm_text_escape(text, filter->pattern_text, filter->pattern_length);
    if (filter->has_line)
        tm_text_printf(text, ":%" PRIu32, filter->line);
    if (filter->all_frames || filter->has_domain) {
        tm_text_add(text, filter->all_frames ? " (all frames" : " (");
        if (filter->has_domain)
            tm_text_printf(text, "%sdomain %" PRIu32, filter->all_frames ? ", " : "", filter->domain);
        tm_text_add(text, ")");
    }
}

void tm_filter_write_json(const struct tm_filter *filter, struct tm_json *json)
{
    tm_json_begin_object(json, NULL);
    if (filter->number)
        tm_json_number(json, "number", filter->number);
    else
        tm_json_null(json, "number");
    tm_json_bool(json, "inclusive", filter->inclusive);
    if (filter->pattern) {
        tm_json_string(json, "filename_pattern", filter->pattern_text, filter->pattern_length);
        if (filter->has_line)
            tm_json_number(json, "lineno", filter->line);
        else
            tm_json_null(json, "lineno");
        tm_json_bool(json, "all_frames", filter->all_frames);
    }
    if (filter->has_domain)
        tm_json_number(json, "domain", filter->domain);
    else
        tm_json_null(json, "domain");
    tm_json_end_object(json);
}
