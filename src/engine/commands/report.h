/**
 * The parts of answers which several commands have: what stands below a row, which filters applied, what is missing.
 * Each part comes as text and as JSON with the same facts.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_REPORT_H
#define TRACEMORTEM_ENGINE_COMMANDS_REPORT_H

#include "engine/base/json.h"
#include "engine/commands/format.h"
#include "engine/commands/request.h"

/** Below a row: the source line for the key lineno, the whole traceback for the key traceback. */
void tm_report_detail(struct tm_text *text, const struct tm_host *host, const struct tm_place *place, enum tm_key key);
/** A line "filters: …" if any filter of the session or the command applied. */
void tm_report_filters(struct tm_text *text, const struct tm_request *request);
/** A line if anything is missing from the answer, which ends with what that means for it. */
void tm_report_damage(struct tm_text *text, const struct tm_damage *damage);
/** The same of one side of a comparison: it begins with `who`, "OLD: " or "NEW: ". */
void tm_report_damage_of_side(struct tm_text *text, const char *who, const struct tm_damage *damage,
                              const char *meaning);
/** The same without who, the newline and what it means; nothing if nothing is missing. */
void tm_report_damage_facts(struct tm_text *text, const struct tm_damage *damage);
/** A line about updates in flight of so many bytes, if any. */
void tm_report_in_flight(struct tm_text *text, const char *who, uint64_t bytes);

/** Members "traceback", and "filename" and "lineno" for the keys with a single frame. */
void tm_report_place_json(struct tm_json *json, const struct tm_place *place, enum tm_key key);
void tm_report_frames_json(struct tm_json *json, const struct tm_frame *frames, uint32_t first, uint32_t end);
/** Member "filters". */
void tm_report_filters_json(struct tm_json *json, const struct tm_request *request);
/** A member with the counts, none of them left out. */
void tm_report_damage_json(struct tm_json *json, const char *key, const struct tm_damage *damage);

/** "1 block", "2 blocks". */
void tm_report_count(struct tm_text *text, uint64_t count, const char *noun);
/** Nanoseconds since 1970 as an ISO date and time, in UTC ("…Z") or local ("…+01:00"), of seconds. */
void tm_report_time(struct tm_text *text, uint64_t nanoseconds, bool local);

#endif
