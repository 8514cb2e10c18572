/**
 * The rows of an account, for the commands that show one: their names, their parts, text and JSON.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_MEMORY_H
#define TRACEMORTEM_ENGINE_COMMANDS_MEMORY_H

#include "engine/account/account.h"
#include "engine/base/json.h"

/** An account of a target, and why nothing is traced there, if so. */
struct tm_process_memory {
    struct tm_account account;
    struct tm_survey survey;
    struct tm_error *untraced; // the reason; NULL: it is traced
};
/**
 * Open the target's table, if it has one, and make the survey. The pool must outlive the result. Call tm_memory_deinit() in
 * any case.
 */
struct tm_error *tm_memory_survey(struct tm_process_memory *memory, struct tm_target *target,
                                  const struct tm_host *host, struct tm_pool *pool);
/** The same, with the account. */
struct tm_error *tm_memory_init(struct tm_process_memory *memory, struct tm_target *target, const struct tm_host *host,
                                struct tm_pool *pool);
void tm_memory_deinit(struct tm_process_memory *memory);

/** All lines of an account. */
void tm_memory_write(const struct tm_process_memory *memory, struct tm_text *out);
/** The members of an object. */
void tm_memory_write_json(const struct tm_process_memory *memory, struct tm_json *json);

/** The lines of how the second differs from the first. */
void tm_memory_write_growth(const struct tm_process_memory *old, const struct tm_process_memory *now,
                            struct tm_text *out);
/** A member with how the second differs from the first. */
void tm_memory_write_growth_json(const struct tm_process_memory *old, const struct tm_process_memory *now,
                                 struct tm_json *json);

/** A line on memory that a core leaves out, if there is some. */
void tm_memory_write_absent(const struct tm_process_memory *memory, struct tm_text *out);
/** A line that says why nothing is traced, if that is so. */
void tm_memory_write_untraced(const struct tm_process_memory *memory, struct tm_text *out);

/** A line where only samples of the blocks are traced. */
void tm_memory_write_samples(const struct tm_process_memory *memory, struct tm_text *out);

#endif
