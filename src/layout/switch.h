/**
 * The switch: how a program outside a process has the tracer in it start or stop. The one thing beside the trace table that
 * the tracer shares with others.
 *
 * The tracer exports TM_SWITCH_FUNCTION. A thread of the process calls it with a request, at any point where that thread may
 * call libc. It returns soon, with the address of the switch, which says from then on what has become of the request: what
 * waits for the interpreter's lock goes on in a thread of its own. The caller may write `cancelled`, and nothing else.
 *
 * Depends on nothing.
 */
#ifndef TRACEMORTEM_LAYOUT_SWITCH_H
#define TRACEMORTEM_LAYOUT_SWITCH_H

#include <stdint.h>

#define TM_SWITCH_FUNCTION "tracemortem_switch"
#define TM_SWITCH_MAGIC UINT32_C(0x77734d54) // "TMsw"

enum tm_switch_order {
    TM_SWITCH_START = 1,
    TM_SWITCH_STOP = 2,
};

struct tm_switch_request {
    uint32_t magic;
    uint32_t order; // enum tm_switch_order
    uint32_t frame_limit;
    uint32_t waits;  // 1: the calling thread waits in a system call, so what it shares with others is at rest
    char detail[16]; // the profile's name, NUL-terminated; empty: as the process's environment says, or the default
    char file[512];  // a recorder's file, as in TRACEMORTEM_FILE, NUL-terminated; empty: as the environment says
};

enum tm_switch_state {
    TM_SWITCH_IDLE = 0,
    TM_SWITCH_SETTING, // for a moment, while a request is written down
    TM_SWITCH_WAITING, // for the interpreter's lock
    TM_SWITCH_WORKING,
    TM_SWITCH_DONE,
    TM_SWITCH_NOTHING, // there was nothing to do: it is traced already, or is not traced
    TM_SWITCH_FAILED,  // `message` says why
    TM_SWITCH_CANCELLED,
};

struct tm_switch {
    uint32_t magic;
    uint32_t state;       // enum tm_switch_state; stored last
    uint32_t cancelled;   // the caller's: 1: do nothing any more
    uint32_t frame_limit; // of the trace that there is, where there was nothing to do
    char message[240];    // NUL-terminated; what went wrong, also beside a start
};

#endif
