/**
 * A file that an answer is written to: it appears only when it is committed, and then whole. A file that is replaced
 * keeps its content until then.
 */
#ifndef TRACEMORTEM_CLI_OUTPUT_H
#define TRACEMORTEM_CLI_OUTPUT_H

#include "cli/cli.h"

struct tm_output {
    char *path;    // its real one
    char *writing; // the name that it has until it is committed; NULL: its own
    int file;
    uint64_t written; // bytes
    int error;        // errno of a write that failed; 0: none failed
    bool is_committed;
};

/** `kind` is one of the three kinds of output. */
struct tm_error *tm_output_open(const char *path, enum tm_operand kind, struct tm_output *result);
/** The same for a file that is always written beside its name, whether or not there is one: it appears at once. */
struct tm_error *tm_output_open_beside(const char *path, struct tm_output *result);
/** For tm_request_set_output(); the context is the output. */
int tm_output_write(void *context, const void *bytes, size_t length);
/** Empty again. */
void tm_output_restart(struct tm_output *output);
/** NULL, or why it could not be written. */
struct tm_error *tm_output_check(const struct tm_output *output);
struct tm_error *tm_output_commit(struct tm_output *output);
/** Removes it unless it is committed. */
void tm_output_close(struct tm_output *output);

#endif
