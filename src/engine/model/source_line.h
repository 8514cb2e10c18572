/**
 * Source lines below rows and frames: a line is shown as the one that ran, or marked as one that may differ, or not
 * shown. Knows the text of lines, and nothing of files: the host finds those.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SOURCE_LINE_H
#define TRACEMORTEM_ENGINE_MODEL_SOURCE_LINE_H

#include "engine/base/host.h"
#include "engine/base/text.h"
#include "engine/model/pool.h"

/**
 * Append the source line of a frame, stripped, or nothing if it cannot be read. If it may differ from the one that ran,
 * append to `mark` what to write beside it.
 */
void tm_source_line_get(const struct tm_host *host, const struct tm_frame *frame, struct tm_text *result,
                        struct tm_text *mark);
/** Append both, indented by `indent`, on their own line. `plain`: nothing if there is a mark. */
void tm_source_line_add(struct tm_text *text, const struct tm_host *host, const struct tm_frame *frame, bool plain,
                        const char *indent);

/**
 * Whether the code of a function with this qualified name may begin at a line of `length` bytes. False only if that
 * is certain not to be so.
 */
bool tm_source_line_may_begin(const char *line, size_t length, const struct tm_name *function);

#endif
