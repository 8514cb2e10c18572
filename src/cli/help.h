/**
 * Help texts, and the engine's texts as they read on a command line: "tracemortem top" where a debugger has "tm-top".
 */
#ifndef TRACEMORTEM_CLI_HELP_H
#define TRACEMORTEM_CLI_HELP_H

#include "cli/cli.h"

/** The engine's command that "top" means; NULL: there is no such command on the command line. */
const char *tm_help_engine_name(const char *word);
/** The name of the engine's command number `index` on the command line; NULL: there are no more, *skip: not here. */
const char *tm_help_name(size_t index, bool *skip);
/** Whether the first operand of the engine's command is a TARGET here. That of tm-diff is OLD. */
bool tm_help_takes_target(const char *command);

/** Prints the help of one of the engine's commands. */
struct tm_error *tm_help_print(const char *command);
/** Appends the help of `tracemortem` itself. */
void tm_help_add_overview(struct tm_text *text);
/** Appends a message of the engine in the words of the command line. */
void tm_help_add_message(struct tm_text *text, const char *message);

#endif
