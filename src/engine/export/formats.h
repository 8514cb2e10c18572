/**
 * Formats: each writes stacks in the form that other programs read. Knows no command and no target.
 *
 * Names come from the target. They are escaped as in all answers (base/text.h), and by the rules of each format.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_FORMATS_H
#define TRACEMORTEM_ENGINE_EXPORT_FORMATS_H

#include "engine/export/sink.h"
#include "engine/export/stacks.h"
#include "engine/model/source.h"
#include "engine/model/statistics.h"

/** What all formats write: stacks, and whether they are a comparison. */
struct tm_export {
    const struct tm_host *host;
    const struct tm_stacks *stacks;
    bool compared;
    bool sampled;      // sizes and counts are estimates, and tables have their errors
    const char *title; // such as "process 4711", escaped
};

/**
 * Stacks of flamegraph.pl: "outer (FILE:LINE);inner (FILE:LINE) BYTES", each on a line; of a comparison "… OLD NEW", as
 * difffolded.pl writes them.
 */
struct tm_error *tm_export_collapsed(const struct tm_export *export, struct tm_sink *sink);

/** A file of speedscope: a profile of the bytes and one of the blocks; of a comparison what grew, NEW and OLD of each. */
struct tm_error *tm_export_speedscope(const struct tm_export *export, struct tm_sink *sink);

/** A table with a head, largest first: RFC 4180, but that a cell which a spreadsheet would compute begins with "'". */
struct tm_error *tm_export_csv(const struct tm_export *export, struct tm_sink *sink);
/** Which cells of places there are beside those of the place. */
struct tm_csv_cells {
    bool typed, compared, sampled;
};
/**
 * The same for places: the head, then a row for each. `typed`: with a cell for a type. Without a frame its cells are empty.
 * `estimates` are of both sides, if `sampled`.
 */
void tm_csv_places_head(struct tm_text *text, const struct tm_csv_cells *cells);
void tm_csv_place(struct tm_text *text, const struct tm_csv_cells *cells, const struct tm_name *type,
                  const struct tm_frame *frame, const struct tm_amount *amount, const struct tm_estimate *estimates);

/**
 * The protocol buffer of pprof, which the sink compresses: live blocks and bytes, and what was ever allocated where the
 * table has it. `notes` are lines for the comment, NULL: none. Of a comparison `old` is the base as `pprof -diff_base`
 * has it.
 */
struct tm_error *tm_export_pprof(const struct tm_host *host, const struct tm_snapshot *now,
                                 const struct tm_snapshot *old, const char *notes, struct tm_sink *sink);

/** What OpenMetrics has of a process. */
struct tm_metrics {
    const struct tm_info *info; // NULL: not known, as of a snapshot file
    uint64_t traced, blocks;    // live
    uint64_t in_flight;         // bytes
    uint64_t missing;           // records
    const struct tm_statistics *statistics;
    size_t limit; // so many of its places, which are sorted as far
    bool by_line; // places are lines
};
/** Without labels that say which process it is. */
void tm_export_openmetrics(const struct tm_metrics *metrics, struct tm_sink *sink);

/** "FUNCTION (FILE:LINE)", or "FILE:LINE" where the function is not known; each ';' is "\x3b". */
void tm_export_frame_text(struct tm_text *text, const struct tm_frame *frame);

/** The indices of the stacks, the largest first, or of a comparison those that changed most. The caller frees the array. */
struct tm_error *tm_export_rank(const struct tm_export *export, uint32_t **result);

#endif
