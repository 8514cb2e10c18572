/**
 * Options of the commands that are not the engine's: run, start and stop.
 */
#ifndef TRACEMORTEM_CLI_PLAIN_OPTIONS_H
#define TRACEMORTEM_CLI_PLAIN_OPTIONS_H

#include "cli/cli.h"

/**
 * The value of an option of this letter (or NULL) and name, if words[*index] is it: in its own word or in the next, past
 * which *index moves. NULL: it is another option. "": it has no value.
 */
const char *tm_option_value(const char *letter, const char *name, int count, char **words, int *index);

/** Whether this is a number of frames, 1 to 65535. */
bool tm_is_frames(const char *text);
#define TM_NOT_FRAMES ": not a number of frames from 1 to 65535"

/** Whether this names a profile of the tracer. */
bool tm_is_detail(const char *text);
#define TM_NOT_DETAIL ": not lean, full or sampled"
#define TM_SAMPLED "sampled"

/**
 * How many frames to keep if nobody says, for a profile, or if `detail` is NULL or empty for that of the environment. A sample is
 * rare, so that its whole stack costs hardly more than its newest frame.
 */
const char *tm_frames_for(const char *detail);

/** Says what is wrong with a word of this command, and where the help is. Returns the exit status. */
int tm_wrong_word(const char *command, const char *word, const char *what);

/** Prints a help text. Returns the exit status. */
int tm_print_help(const char *help);

#endif
