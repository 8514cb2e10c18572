// The texts of hints. Nothing here reads the target.

#include "engine/commands/hints.h"

#include <inttypes.h>
#include <string.h>

#include "engine/commands/estimates.h"
#include "engine/commands/report.h"

// ---------------------------------------------------------------------------------------------------------------
// Patterns

static void add_pattern(struct tm_text *hints, const struct tm_filter *filter)
{
    tm_text_escape(hints, filter->pattern_text, filter->pattern_length);
}

static void hint_pattern(struct tm_text *hints, const struct tm_filter *filter, enum tm_fit fit)
{
    tm_text_add(hints, "\"");
    add_pattern(hints, filter);
    switch (fit) {
    case TM_FIT_SOME:
        break;
    case TM_FIT_OLDER:
        tm_text_add(hints, "\" matches no line that allocated, only lines that called one: add --all-frames");
        break;
    case TM_FIT_OTHER_LINE:
        tm_text_printf(hints, "\" matches file names, but no frame at line %" PRIu32, filter->line);
        break;
    case TM_FIT_IN_FOLDER:
        tm_text_add(hints, "\" matches no file name, because a pattern must match the whole name: '*/");
        add_pattern(hints, filter);
        tm_text_add(hints, "' matches");
        break;
    case TM_FIT_NONE:
        tm_text_add(hints,
                    "\" matches no file name; a pattern must match the whole name, as '*/svc.py' or '/srv/*' do");
        break;
    }
    tm_text_add(hints, "\n");
}

static void hint_filters(struct tm_text *hints, const struct tm_filter_list *list, const enum tm_fit *fits)
{
    for (size_t i = 0; i < list->count; i++)
        if (fits[i] != TM_FIT_SOME)
            hint_pattern(hints, &list->items[i], fits[i]);
}

void tm_hint_patterns(struct tm_text *hints, const struct tm_request *request, const struct tm_fits *fits)
{
    const struct tm_filter_list *session = &request->session->filters;
    const struct tm_filter_list *own = &request->settings.filters;
    const struct tm_mine *mine = &request->settings.mine;

    // Without filters there are no fits, and nothing to add an offset to.
    if (fits->count == 0 || fits->count < session->count + own->count + tm_mine_count(mine))
        return;
    hint_filters(hints, session, fits->items);
    hint_filters(hints, own, fits->items + session->count);
    for (size_t i = 0; i < tm_mine_count(mine); i++) {
        enum tm_fit fit = fits->items[session->count + own->count + i];
        if (fit != TM_FIT_SOME)
            hint_pattern(hints, tm_mine_get(mine, i), fit);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The frame limit

void tm_hint_frame_limit(struct tm_text *hints, const char *who, const struct tm_query *query)
{
    const struct tm_unmatched *unmatched = &query->unmatched;
    uint32_t frame_limit = query->frame_limit;

    if (unmatched->cut_count == 0)
        return;
    tm_text_add(hints, who);
    tm_text_add(hints, query->sample_period ? TM_ABOUT : "");
    tm_report_count(hints, unmatched->cut_count, "block");
    tm_text_add(hints, " (");
    tm_format_size(hints, false, unmatched->cut_size, false);
    tm_text_add(hints, unmatched->cut_count == 1 ? ") has a traceback that was" : ") have tracebacks that were");
    tm_text_add(hints, " cut before any frame matched: only ");
    tm_report_count(hints, frame_limit, "frame");
    tm_text_add(hints, frame_limit == 1 ? " is" : " are");
    if (frame_limit < 10)
        tm_text_add(hints, " kept; 10 or more would name the callers (TRACEMORTEM=10)\n");
    else
        tm_text_printf(hints, " kept; more would name the callers (TRACEMORTEM=%" PRIu64 ")\n",
                       2 * (uint64_t)frame_limit);
}

void tm_hint(struct tm_text *hints, const struct tm_request *request, const struct tm_query *query)
{
    tm_hint_patterns(hints, request, &query->fits);
    tm_hint_frame_limit(hints, "", query);
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

void tm_hints_write_json(struct tm_json *json, const struct tm_text *hints)
{
    json->text->failed = json->text->failed || hints->failed;
    if (hints->length == 0)
        return;
    tm_json_begin_array(json, "hints");
    for (const char *line = tm_text_string(hints); *line; line += strcspn(line, "\n") + 1)
        tm_json_string(json, NULL, line, strcspn(line, "\n"));
    tm_json_end_array(json);
}
