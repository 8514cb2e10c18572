/**
 * One command on many processes: a row for each, and the sum.
 */
#ifndef TRACEMORTEM_CLI_MANY_H
#define TRACEMORTEM_CLI_MANY_H

#include "cli/words.h"

/** Whether many processes can be asked this. */
bool tm_many_can_ask(const char *command);
/** Asks all processes that the line selects, and prints. */
struct tm_error *tm_many_ask(const struct tm_command_line *line);

#endif
