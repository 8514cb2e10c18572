/**
 * The session: one debugger's user, and what stays in force between commands.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_SESSION_H
#define TRACEMORTEM_ENGINE_COMMANDS_SESSION_H

#include "engine/base/text.h"
#include "engine/model/filter.h"

struct tm_session {
    struct tm_host host;
    struct tm_filter_list filters; // in force, in the order of their numbers
    uint32_t last_number;          // of a filter; 0: the next one is the first
    struct tm_text completion;     // what tm_complete() returned
};

#endif
