/**
 * Hints: lines below an answer that say why it may not be what the user wanted, and what to type instead. Each line is
 * a sentence without a newline inside.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_HINTS_H
#define TRACEMORTEM_ENGINE_COMMANDS_HINTS_H

#include "engine/base/json.h"
#include "engine/commands/query.h"

/** A line for each pattern of the session and of the command that fits nothing. */
void tm_hint_patterns(struct tm_text *hints, const struct tm_request *request, const struct tm_fits *fits);
/** A line if the frame limit keeps --mine from finding own frames. It begins with `who`: "", "OLD: ". */
void tm_hint_frame_limit(struct tm_text *hints, const char *who, const struct tm_query *query);
/** Both of them, for a command that asks one target. */
void tm_hint(struct tm_text *hints, const struct tm_request *request, const struct tm_query *query);

/** Member "hints" with a list of the lines, if there are any. */
void tm_hints_write_json(struct tm_json *json, const struct tm_text *hints);

#endif
