/**
 * Exports that are tables of places or tracebacks, with every word that answers have: JSON, and CSV of places.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_EXPORT_ROWS_H
#define TRACEMORTEM_ENGINE_COMMANDS_EXPORT_ROWS_H

#include "engine/commands/query.h"
#include "engine/export/formats.h"
#include "engine/model/diff.h"

/** Both sides of an export. Without --base `old` is all zero. */
struct tm_export_sides {
    struct tm_query now, old;
    struct tm_snapshot now_groups, old_groups;
};

/** The JSON object: all rows, and how many these are. `export` is for the key traceback. */
struct tm_error *tm_export_json(const struct tm_request *request, const struct tm_export_sides *sides,
                                const struct tm_export *export, struct tm_sink *sink, uint64_t *rows);
/** For the other keys. */
struct tm_error *tm_export_places_csv(const struct tm_request *request, const struct tm_export_sides *sides,
                                      struct tm_sink *sink, uint64_t *rows);

#endif
