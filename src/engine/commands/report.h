/**
 * The parts of answers that several commands share: the lines below a row, the filters applied, what is missing.
 * Each part exists as text and as JSON with the same facts.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_REPORT_H
#define TRACEMORTEM_ENGINE_COMMANDS_REPORT_H

#include "engine/base/json.h"
#include "engine/commands/format.h"
#include "engine/commands/request.h"
#include "engine/model/footprint.h"
#include "engine/objects/census.h"

/** A line above the frames of a traceback whose older frames cannot be read. */
#define TM_OLDER_MISSING "  (older frames are missing: their records cannot be read)\n"

/**
 * The version of the objects that commands print with --json, and of docs/json.schema.json: larger where a member goes or
 * changes its meaning. New members do not change it.
 */
#define TM_JSON_VERSION 1u

/**
 * Below a row: the source line for the key lineno, the whole traceback for the key traceback. `mixed`: the row has
 * blocks of other functions too.
 */
void tm_report_detail(struct tm_text *text, const struct tm_request *request, const struct tm_place *place, bool mixed);
/** A line "filters: …", if the session or the command has filters, and a line "mine: …", if it has --mine. */
void tm_report_filters(struct tm_text *text, const struct tm_request *request);
/** If anything is missing from the answer: a line that says what, and what this means for the answer. */
void tm_report_damage(struct tm_text *text, const struct tm_damage *damage);
/** The same for one side of a comparison. The line begins with `who`: "OLD: " or "NEW: ". */
void tm_report_damage_of_side(struct tm_text *text, const char *who, const struct tm_damage *damage,
                              const char *meaning);
/** What of all live blocks is no object, and which types could not be named. */
void tm_report_census(struct tm_text *text, const struct tm_census *census);
void tm_report_census_json(struct tm_json *json, const struct tm_census *census);
/** Only what is missing, without `who`, the meaning and the newline. Nothing if nothing is missing. */
void tm_report_damage_facts(struct tm_text *text, const struct tm_damage *damage);
/** After the total: that rows overlap, if they are cumulative; nothing with --plain. */
void tm_report_overlap(struct tm_text *text, const struct tm_request *request);
/** Lines below a row: how many of its blocks lack what the table had no room for. */
void tm_report_row_lacks(struct tm_text *text, const struct tm_lack *not_recorded, const struct tm_lack *shortened);
/** The same for a whole answer. `codes_full`: the table has no more room for code objects. */
void tm_report_lacks(struct tm_text *text, const char *who, const struct tm_statistics *statistics, bool codes_full);
/** Which arrays are full, of TM_FULL_*: "code objects, nodes". */
void tm_report_full(struct tm_text *text, uint32_t full);
/** A line about updates in flight; nothing if `bytes` is 0. */
void tm_report_in_flight(struct tm_text *text, const char *who, uint64_t bytes);

/** Member "traceback"; for keys with a single frame, also "filename", "lineno" and "name". If `mixed`, "names_differ". */
void tm_report_place_json(struct tm_json *json, const struct tm_place *place, enum tm_key key, bool mixed);
void tm_report_frames_json(struct tm_json *json, const struct tm_traceback *traceback, uint32_t first, uint32_t end);
/** Member "total_nframe": of the whole stack; null if all that is known is that older frames were cut off. */
void tm_report_total_json(struct tm_json *json, const struct tm_traceback *traceback);
/** Members "not_recorded" and "shortened", each with size and count; of a row only those that are not 0. */
void tm_report_row_lacks_json(struct tm_json *json, const struct tm_lack *not_recorded,
                              const struct tm_lack *shortened);
void tm_report_lacks_json(struct tm_json *json, const struct tm_statistics *statistics);
/** Members "allocated", "allocations", "freed" and "frees", each name after `prefix`. */
void tm_report_churn_json(struct tm_json *json, const char *prefix, const struct tm_churn *churn);
/** Member "full": the names of the full arrays. */
void tm_report_full_json(struct tm_json *json, uint32_t full);
/** Member "total_nframe", null where it is not known; and "older_frames_missing" where they are. */
void tm_report_total_json(struct tm_json *json, const struct tm_traceback *traceback);
/** Members "filename", "lineno" and, where known, "name". */
void tm_report_frame_json(struct tm_json *json, const struct tm_frame *frame);
/** Member "filters", and member "mine" if the command has --mine. */
void tm_report_filters_json(struct tm_json *json, const struct tm_request *request);
/** A member with size, count, cut_size and cut_count. */
void tm_report_unmatched_json(struct tm_json *json, const char *key, const struct tm_unmatched *unmatched);
/** A member with all counts, also those that are 0. */
void tm_report_damage_json(struct tm_json *json, const char *key, const struct tm_damage *damage);

/** A line that says how much private memory the process has beside its traced memory, if that is known. */
void tm_report_footprint(struct tm_text *text, const struct tm_footprint *footprint);
/** The same with the differences from `old`. */
void tm_report_footprints(struct tm_text *text, const struct tm_footprint *old, const struct tm_footprint *footprint,
                          bool has_account);
/** Only the numbers: "143 MiB resident: 106 MiB traced, 31.5 MiB the tracer's, 5320 KiB other". */
void tm_report_footprint_facts(struct tm_text *text, const struct tm_footprint *footprint);
/** A member with kind, size, traced, tracer and other, if they are known. */
void tm_report_footprint_json(struct tm_json *json, const char *key, const struct tm_footprint *footprint);

/** "1 block", "2 blocks". */
void tm_report_count(struct tm_text *text, uint64_t count, const char *noun);
/** Nanoseconds since 1970 as an ISO date and time in whole seconds, in UTC ("…Z"). */
void tm_report_time(struct tm_text *text, uint64_t nanoseconds);

#endif
