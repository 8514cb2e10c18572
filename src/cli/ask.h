/**
 * One of the engine's commands on one target, with the answer kept.
 */
#ifndef TRACEMORTEM_CLI_ASK_H
#define TRACEMORTEM_CLI_ASK_H

#include "cli/words.h"

/** Asks what the line asks, of this target. The answer is appended to `answer`, also one that is bad news. */
struct tm_error *tm_ask_target(const struct tm_command_line *line, const char *target, struct tm_text *answer);

#endif
