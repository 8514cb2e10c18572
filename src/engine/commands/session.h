/**
 * The session: one user of one debugger, and what is kept between commands.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_SESSION_H
#define TRACEMORTEM_ENGINE_COMMANDS_SESSION_H

#include "engine/base/text.h"
#include "engine/model/filter.h"

#define TM_DEFAULT_LIMIT 10

/** What commands do if no option says otherwise. tm-set changes it. */
struct tm_defaults {
    uint32_t limit;  // rows
    bool has_frames; // false: tm-traceback shows all frames
    uint32_t frames;
    bool plain;
    bool source;  // lines are shown
    char *folder; // where relative names of source files begin; NULL: the host finds out. The session's own
};

struct tm_session {
    struct tm_host host;
    struct tm_defaults defaults;
    struct tm_filter_list filters; // ordered by their numbers
    uint32_t last_number;          // of a filter; 0: the next filter gets 1
    struct tm_text completion;     // the last result of tm_complete()
};

#endif
