/**
 * Snapshots again and again: `tracemortem save TARGET FOLDER --every 60s`.
 */
#ifndef TRACEMORTEM_CLI_EVERY_H
#define TRACEMORTEM_CLI_EVERY_H

#include "cli/words.h"

/** Saves until it is interrupted, or until no process is left. */
struct tm_error *tm_every_save(const struct tm_command_line *line);

#endif
