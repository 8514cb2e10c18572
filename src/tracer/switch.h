/**
 * Tracing on and off while the program runs, for those who are not the program: `tracemortem start` and `stop`, a debugger,
 * a signal.
 */
#ifndef TRACEMORTEM_TRACER_SWITCH_H
#define TRACEMORTEM_TRACER_SWITCH_H

#include "layout/switch.h"
#include "profile.h"

/** Connect to the interpreter that is in this process, if that was not done yet. NULL, or why not. */
const char *switch_connect(void);

/** Begin to trace, holding the interpreter's lock. NULL, or why not. While tracing: nothing. */
const char *switch_start(unsigned frame_limit, profile_t profile);

/** Do what is wanted at once, holding the interpreter's lock. */
const struct tm_switch *switch_now(const struct tm_switch_request *request);

/** The function of layout/switch.h. Any thread may call it that may call libc. */
__attribute__((visibility("default"))) struct tm_switch *tracemortem_switch(const struct tm_switch_request *request);

#endif
