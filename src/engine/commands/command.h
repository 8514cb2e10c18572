/**
 * The commands: a table which all else is derived from. Each has a file of its own, cmd_*.c.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_COMMAND_H
#define TRACEMORTEM_ENGINE_COMMANDS_COMMAND_H

#include "engine/commands/request.h"

struct tm_command {
    const char *name;
    const char *help; // as tm_command_help() returns it
    struct tm_option_table options;
    bool takes_expression; // its one operand is the rest of the line after the options
    bool needs_target;
    /** Check the operands and fill in what the request has of them. May change needs_target. */
    struct tm_error *(*prepare)(struct tm_request *request);
    /** Answer: append to `out`, which is written only if all went well. */
    struct tm_error *(*run)(struct tm_request *request, struct tm_target *current, struct tm_text *out);
    /** NULL, or what could stand after these operands: words, each with a newline behind it. */
    void (*complete)(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates);
};

extern const struct tm_command tm_command_info;
extern const struct tm_command tm_command_top;
extern const struct tm_command tm_command_traceback;
extern const struct tm_command tm_command_traces;
extern const struct tm_command tm_command_diff;
extern const struct tm_command tm_command_save;
extern const struct tm_command tm_command_filter;
extern const struct tm_command tm_command_verify;

/** NULL: there is no such command. */
const struct tm_command *tm_command_find(const char *name);
/** For complete(): the keys. */
void tm_complete_keys(struct tm_text *candidates);

// How a help text is put together.
#define TM_HELP(summary, usage, body, options, after) \
    summary "\n\nUsage: " usage "\n\n" body "\nOptions:\n" options(TM_OPTION_AS_HELP) "\n" after

#define TM_HELP_KEYS                                                           \
    "KEY is what the blocks are grouped by:\n"                                 \
    "  lineno     file name and line number of the allocation (the default)\n" \
    "  filename   file name\n"                                                 \
    "  traceback  the whole traceback\n"
#define TM_HELP_FILTERS                                                                 \
    "Filters work as in tracemalloc's Snapshot.filter_traces(). If there are\n"         \
    "inclusive filters, a block must match at least one of them. It must match no\n"    \
    "exclusive filter. The session's filters (tm-filter) are applied first, then the\n" \
    "command's filters to the rest. In PATTERN, \".pyc\" means \".py\".\n"
#define TM_HELP_JSON_FILTERS                                                            \
    "  filters       the filters applied: number (of tm-filter, or null), inclusive,\n" \
    "                filename_pattern, lineno, all_frames, domain\n"
#define TM_HELP_JSON_MISSING                                                     \
    "unreadable_records, unreadable_bytes, corrupt_records,\n"                   \
    "                torn_records (lost because the table was being changed),\n" \
    "                first_address (null: nothing is missing), why (where known)\n"

#endif
