/**
 * What tm-info says of a recorder's file: where the table is, whether its process lives, and when it last wrote.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_RECORDER_FACTS_H
#define TRACEMORTEM_ENGINE_COMMANDS_RECORDER_FACTS_H

#include "engine/base/json.h"
#include "engine/model/source.h"
#include "engine/target/backing.h"

struct tm_recorder_facts {
    struct tm_backing backing;
    bool has_note, has_saved;
    struct tm_recorder_note note;
    struct tm_saved_note saved;
    struct tm_recorder recorder; // the root's
    char file[256];              // "": not known, or there is none
    uint64_t last;               // the newest time that the table or its file has, nanoseconds since 1970
};

struct tm_error *tm_recorder_facts_init(struct tm_recorder_facts *facts, const struct tm_target *target,
                                        const struct tm_info *info);

/** Nothing is written where there is no recorder and no saved table. */
void tm_recorder_write_text(const struct tm_recorder_facts *facts, struct tm_text *out);
void tm_recorder_write_json(const struct tm_recorder_facts *facts, struct tm_json *json);

#endif
