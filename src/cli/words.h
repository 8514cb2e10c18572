/**
 * The words of a command line: those for the engine, and options that only the command line has.
 */
#ifndef TRACEMORTEM_CLI_WORDS_H
#define TRACEMORTEM_CLI_WORDS_H

#include "cli/cli.h"

enum { TM_MOST_NOTES = 16 };

/** What the command line has beside the engine's options. All zero: nothing was given. */
struct tm_own_options {
    bool stop;
    uint64_t max_stop; // nanoseconds
    bool help;
    const char *folder; // where relative names of source files begin
    const char *children, *name, *cgroup;
    uint64_t every;                   // nanoseconds; 0: once
    uint64_t keep;                    // snapshots
    const char *notes[TM_MOST_NOTES]; // "KEY=VALUE"
    size_t note_count;
};

/** Their help, in the form of the engine's. */
extern const char tm_own_options_help[];
extern const char tm_many_options_help[];
extern const char tm_every_options_help[];
/** Their names, a line each, for completion. */
extern const char *const tm_own_option_names[];

struct tm_command_line {
    const char *command; // the engine's name of it
    struct tm_own_options own;
    const char **words; // the engine's words, without the target
    size_t count;
    const char *target; // NULL: there is none
};

/** Splits the words. `takes_target`: the first operand is the target. The words must outlive the result. */
struct tm_error *tm_command_line_parse(const char *command, bool takes_target, int count, char **words,
                                       struct tm_command_line *result);
void tm_command_line_deinit(struct tm_command_line *line);

/** The engine's words as one line for tm_request_create(), options first. */
struct tm_error *tm_command_line_text(const struct tm_command_line *line, struct tm_text *text);

/** Appends a word as a POSIX shell, and the engine, read it back. */
void tm_add_quoted(struct tm_text *text, const char *word);

/** "200ms", "2s", "1.5m": nanoseconds. False: it is not a time. */
bool tm_parse_time(const char *word, uint64_t *result);

#endif
