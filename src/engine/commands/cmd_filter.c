// tm-filter: the filters that apply to the whole session.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/report.h"
#include "engine/commands/words.h"

#define FILTER_OPTIONS(X)                                                                                            \
    X(TM_OPTION_EXCLUSIVE, 0, "    ", "--exclude", "", "add: leave out what matches, instead of keeping only that.") \
    X(TM_OPTION_ALL_FRAMES, 0, "    ", "--all-frames", "",                                                           \
      "add: match all frames of a traceback, not only the most recent one.")                                         \
    X(TM_OPTION_FILTER_DOMAIN, 0, "    ", "--domain", " N",                                                          \
      "add: match only blocks of this domain; without PATTERN, all of them.")                                        \
    TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {FILTER_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Add, remove and list filters that apply to the whole session.",
                                   "tm-filter add [OPTION]... [PATTERN[:LINENO]]\n"
                                   "       tm-filter remove NUMBER\n"
                                   "       tm-filter list\n"
                                   "       tm-filter clear",
                                   "All commands that count or list blocks take only those that these filters keep,\n"
                                   "and name the filters. PATTERN is matched against file names: *, ?, [seq],\n"
                                   "[!seq]. A filter keeps its number until it is removed.\n"
                                   "\n" TM_HELP_FILTERS,
                                   FILTER_OPTIONS,
                                   "Examples:\n"
                                   "  tm-filter add '*/myapp/*'\n"
                                   "  tm-filter add --exclude '<frozen *>'\n"
                                   "  tm-filter add --domain 389047\n"
                                   "  tm-filter remove 2\n"
                                   "\n"
                                   "The JSON object has, after the change:\n"
                                   "  command\n" TM_HELP_JSON_FILTERS);

enum action {
    ACTION_ADD,
    ACTION_REMOVE,
    ACTION_LIST,
    ACTION_CLEAR,
};
static const char *const action_names[] = {"add", "remove", "list", "clear"};
enum { ACTIONS = sizeof(action_names) / sizeof(action_names[0]) };

// ---------------------------------------------------------------------------------------------------------------
// Parsing

static struct tm_error *parse_action(struct tm_request *request)
{
    const char *word = request->words.count > 0 ? request->words.items[0] : "list";
    char after[96];

    for (unsigned i = 0; i < ACTIONS; i++) {
        if (strcmp(word, action_names[i]) == 0) {
            request->action = i;
            return NULL;
        }
    }
    const char *nearest = tm_nearest(word, action_names, ACTIONS);
    snprintf(after, sizeof(after),
             nearest ? "\": the actions are add, remove, list, clear; did you mean %s?"
                     : "\": the actions are add, remove, list, clear",
             nearest);
    return tm_usage_error(request->command->name, "unknown action \"", word, after);
}

// The filter to add is kept among the request's own filters until the request runs.
static struct tm_error *prepare_add(struct tm_request *request)
{
    struct tm_settings *settings = &request->settings;
    struct tm_filter filter = {.inclusive = !settings->exclusive};

    struct tm_error *error = tm_request_check_words(request, 2);
    if (error)
        return error;
    if (request->words.count < 2 && !settings->has_domain)
        return tm_usage_error(request->command->name, "", "add", " needs a PATTERN[:LINENO], or --domain N");
    if (request->words.count < 2 && settings->all_frames)
        return tm_usage_error(request->command->name, "", "--all-frames", " needs a PATTERN[:LINENO]");
    if (request->words.count == 2)
        error = tm_filter_parse(request->command->name, "add", request->words.items[1], filter.inclusive, &filter);
    if (error)
        return error;
    filter.all_frames = settings->all_frames;
    filter.has_domain = settings->has_domain;
    filter.domain = settings->domain;
    error = tm_filter_list_add(&settings->filters, &filter);
    if (error)
        tm_filter_deinit(&filter);
    return error;
}

static struct tm_error *prepare_remove(struct tm_request *request)
{
    struct tm_error *error = tm_request_check_words(request, 2);
    if (error)
        return error;
    if (request->words.count < 2)
        return tm_usage_error(request->command->name, "", "remove",
                              " needs the number of a filter: tm-filter list shows the numbers");
    if (!tm_word_number(request->words.items[1], &request->number))
        return tm_usage_error(request->command->name, "remove: \"", request->words.items[1],
                              "\" is not a number: tm-filter list shows the numbers");
    return NULL;
}

static struct tm_error *prepare(struct tm_request *request)
{
    const struct tm_settings *settings = &request->settings;

    struct tm_error *error = parse_action(request);
    if (error)
        return error;
    if (request->action == ACTION_ADD)
        return prepare_add(request);
    if (settings->exclusive || settings->all_frames || settings->has_domain)
        return tm_usage_error(request->command->name, "--exclude, --all-frames and --domain are for add, not for ",
                              action_names[request->action], "");
    return request->action == ACTION_REMOVE ? prepare_remove(request) : tm_request_check_words(request, 1);
}

// ---------------------------------------------------------------------------------------------------------------
// Running

static void write_filter(const struct tm_filter *filter, const char *before, struct tm_text *out)
{
    tm_text_printf(out, "%s%" PRIu32 " ", before, filter->number);
    tm_filter_describe(filter, out);
    tm_text_add(out, "\n");
}

static struct tm_error *run_add(struct tm_request *request, struct tm_text *out)
{
    struct tm_session *session = request->session;
    struct tm_filter_list *own = &request->settings.filters;

    // A request that runs twice has nothing to add the second time.
    if (own->count == 0)
        return NULL;
    own->items[0].number = session->last_number + 1;
    struct tm_error *error = tm_filter_list_add(&session->filters, &own->items[0]);
    if (error)
        return error;
    own->count = 0;
    session->last_number++;
    write_filter(&session->filters.items[session->filters.count - 1], "added: ", out);
    return NULL;
}

static struct tm_error *run_remove(struct tm_request *request, struct tm_text *out)
{
    struct tm_filter_list *filters = &request->session->filters;

    for (size_t i = 0; i < filters->count; i++) {
        if (filters->items[i].number == request->number) {
            write_filter(&filters->items[i], "removed: ", out);
            tm_filter_list_remove(filters, i);
            return NULL;
        }
    }
    return tm_usage_error(request->command->name, "there is no filter ", request->words.items[1],
                          ": tm-filter list shows the filters");
}

static void run_clear(struct tm_request *request, struct tm_text *out)
{
    size_t count = request->session->filters.count;

    tm_filter_list_deinit(&request->session->filters);
    request->session->last_number = 0;
    tm_text_add(out, "removed: ");
    tm_report_count(out, count, "filter");
    tm_text_add(out, "\n");
}

static void run_list(const struct tm_request *request, struct tm_text *out)
{
    const struct tm_filter_list *filters = &request->session->filters;

    for (size_t i = 0; i < filters->count; i++)
        write_filter(&filters->items[i], "", out);
    if (filters->count == 0)
        tm_text_add(out, "no filters\n");
}

static void write_json(const struct tm_request *request, struct tm_text *out)
{
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_report_filters_json(&json, request);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct tm_error *error = NULL;

    (void)current;
    switch ((enum action)request->action) {
    case ACTION_ADD:
        error = run_add(request, out);
        break;
    case ACTION_REMOVE:
        error = run_remove(request, out);
        break;
    case ACTION_LIST:
        run_list(request, out);
        break;
    case ACTION_CLEAR:
        run_clear(request, out);
        break;
    }
    if (!error && request->settings.json) {
        tm_text_clear(out);
        write_json(request, out);
    }
    return error;
}

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    if (before->count == 0) {
        for (unsigned i = 0; i < ACTIONS; i++)
            tm_text_printf(candidates, "%s\n", action_names[i]);
    } else if (before->count == 1 && strcmp(before->items[0], action_names[ACTION_REMOVE]) == 0) {
        for (size_t i = 0; i < session->filters.count; i++)
            tm_text_printf(candidates, "%" PRIu32 "\n", session->filters.items[i].number);
    }
}

const struct tm_command tm_command_filter = {
    .name = "tm-filter",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
