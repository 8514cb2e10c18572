// Comparing a pattern with all frames of a snapshot. A name is matched once, however many frames have it.

#include "engine/model/fit.h"

#include <stdlib.h>

#include "engine/base/grow.h"

// What the frames that were seen have shown. The least of it is the answer.
struct fitting {
    struct tm_matcher exact;
    struct tm_matcher wide; // the same pattern with "*/" before it
    bool all_frames;
    enum tm_fit best;
};

static struct tm_error *fit_frame(struct fitting *fitting, const struct tm_frame *frame, bool most_recent)
{
    const struct tm_filter *filter = fitting->exact.filter;
    enum tm_fit fit = TM_FIT_NONE;
    bool matches;

    struct tm_error *error = tm_matcher_name(&fitting->exact, frame->file_name, &matches);
    if (!error && matches) {
        if (filter->has_line && frame->line != filter->line)
            fit = TM_FIT_OTHER_LINE;
        else
            fit = most_recent || fitting->all_frames ? TM_FIT_SOME : TM_FIT_OLDER;
    } else if (!error && fitting->best > TM_FIT_IN_FOLDER) {
        error = tm_matcher_name(&fitting->wide, frame->file_name, &matches);
        if (!error && matches)
            fit = TM_FIT_IN_FOLDER;
    }
    if (fit < fitting->best)
        fitting->best = fit;
    return error;
}

static struct tm_error *fit_groups(struct fitting *fitting, const struct tm_host *host,
                                   const struct tm_snapshot *snapshot)
{
    uint64_t frames = 0;

    for (size_t i = 0; i < snapshot->count && fitting->best != TM_FIT_SOME; i++) {
        const struct tm_traceback *traceback = snapshot->groups[i].traceback;
        struct tm_error *error = NULL;
        frames += traceback->count;
        if (frames >= 4096) {
            frames = 0;
            error = tm_host_check(host);
        }
        for (const struct tm_traceback *rest = traceback; rest && !error; rest = rest->older)
            error = fit_frame(fitting, rest->newest, rest == traceback);
        if (error)
            return error;
    }
    return NULL;
}

static struct tm_error *fit(const struct tm_filter *filter, bool all_frames, const struct tm_host *host,
                            const struct tm_snapshot *snapshot, enum tm_fit *result)
{
    struct tm_text pattern = TM_TEXT_EMPTY;
    struct tm_filter wide = {0};

    tm_text_add(&pattern, "*/");
    tm_text_bytes(&pattern, filter->pattern_text, filter->pattern_length);
    struct tm_error *error = tm_text_check(&pattern);
    if (!error)
        error = tm_filter_init(&wide, true, tm_text_string(&pattern), pattern.length);
    struct fitting fitting = {{.filter = filter}, {.filter = &wide}, all_frames, TM_FIT_NONE};
    if (!error)
        error = fit_groups(&fitting, host, snapshot);
    *result = fitting.best;
    tm_matcher_deinit(&fitting.exact);
    tm_matcher_deinit(&fitting.wide);
    tm_filter_deinit(&wide);
    tm_text_deinit(&pattern);
    return error;
}

static struct tm_error *add(struct tm_fits *fits, enum tm_fit fit)
{
    if (!TM_GROW(&fits->items, fits->count + 1, &fits->capacity))
        return tm_error_no_memory();
    fits->items[fits->count++] = fit;
    return NULL;
}

void tm_fits_deinit(struct tm_fits *fits)
{
    free(fits->items);
    *fits = (struct tm_fits){0};
}

struct tm_error *tm_fits_add_filters(struct tm_fits *fits, const struct tm_filter_list *list,
                                     const struct tm_host *host, const struct tm_snapshot *snapshot)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct tm_filter *filter = &list->items[i];
        enum tm_fit found = TM_FIT_SOME;
        struct tm_error *error = NULL;
        if (filter->pattern)
            error = fit(filter, filter->all_frames, host, snapshot, &found);
        if (!error)
            error = add(fits, found);
        if (error)
            return error;
    }
    return NULL;
}

struct tm_error *tm_fits_add_mine(struct tm_fits *fits, const struct tm_mine *mine, const struct tm_host *host,
                                  const struct tm_snapshot *snapshot)
{
    for (size_t i = 0; i < tm_mine_count(mine); i++) {
        const struct tm_filter *pair = tm_mine_get(mine, i);
        enum tm_fit name, folder = TM_FIT_NONE;
        struct tm_error *error = fit(&pair[0], true, host, snapshot, &name);
        if (!error && name != TM_FIT_SOME)
            error = fit(&pair[1], true, host, snapshot, &folder);
        if (!error)
            error = add(fits, name < folder ? name : folder);
        if (error)
            return error;
    }
    return NULL;
}

void tm_fits_merge(struct tm_fits *fits, const struct tm_fits *more)
{
    for (size_t i = 0; i < fits->count && i < more->count; i++)
        if (more->items[i] < fits->items[i])
            fits->items[i] = more->items[i];
}
