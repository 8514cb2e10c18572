/**
 * Advice: what to type next, as lines for the end of an error's message. Here are the texts which several sources share.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_ADVICE_H
#define TRACEMORTEM_ENGINE_BASE_ADVICE_H

/** How to trace a program. */
#define TM_HOW_TO_TRACE                                            \
    "Start the program with tracing:\n"                            \
    "    python3 -m tracemortem SCRIPT ...\n"                      \
    "or leave its command line as it is and preload the tracer:\n" \
    "    TRACEMORTEM=1 LD_PRELOAD=.../tracemortem/_tracer.abi3.so python3 SCRIPT ..."

/** How to have all memory in the next core. */
#define TM_HOW_TO_DUMP                                                          \
    "Make a core that contains anonymous memory: gcore PID, or by the kernel\n" \
    "    echo 0x33 > /proc/PID/coredump_filter; ulimit -c unlimited\n"          \
    "(systemd-coredump: ProcessSizeMax= and ExternalSizeMax= in coredump.conf)"

/** Where a core is damaged. */
#define TM_TRY_ANOTHER_CORE "Try another core of the program."

#endif
