/**
 * What `metrics` and `push` share: their words, and an export of each target, in memory. Knows no server and no format.
 */
#ifndef TRACEMORTEM_CLI_FLEET_H
#define TRACEMORTEM_CLI_FLEET_H

#include <sys/types.h>

#include "cli/words.h"

enum { TM_MOST_LABELS = 32 };

/** "NAME=VALUE" or "NAME: VALUE", as it was typed. */
struct tm_fleet_values {
    const char *items[TM_MOST_LABELS];
    size_t count;
};

struct tm_fleet {
    struct tm_fleet_values labels, headers;
    const char *url, *to, *output;
    const char **rest; // the words that are not ours
    int rest_count;
    struct tm_command_line line; // of tm-export, with the targets among its words
};

/** `is_push`: with --to, --header and a URL, without --output. The words must outlive the result. */
struct tm_error *tm_fleet_parse(bool is_push, int count, char **words, struct tm_fleet *result);
void tm_fleet_deinit(struct tm_fleet *fleet);

struct tm_fleet_target {
    const char *text; // as it was typed
    pid_t pid;        // 0: a core or a snapshot
    uint64_t time;    // when it was so: nanoseconds since 1970; of a file when it was written
    char name[512];   // what the process calls itself, escaped; of a file its name
};
typedef struct tm_error *(*tm_fleet_visitor)(void *context, const struct tm_fleet_target *target,
                                             const struct tm_text *exported);
/**
 * Exports each target and passes it to the visitor. What fails is reported on standard error, unless it is the only one;
 * an error is returned if that is so of all, or if interrupted.
 */
struct tm_error *tm_fleet_each(struct tm_fleet *fleet, const char *format, tm_fleet_visitor visit, void *context);

/** Appends what the target is, and then the labels, each by `add`. A label that was typed replaces ours. */
typedef void (*tm_label_adder)(struct tm_text *text, const char *name, size_t name_length, const char *value);
void tm_fleet_add_labels(const struct tm_fleet *fleet, const char *const ours[][2], size_t count, tm_label_adder add,
                         struct tm_text *text);

#endif
