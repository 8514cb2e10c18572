/**
 * The x86-64 instructions that cannot change the trace table: they write at most registers and their thread's stack.
 */
#ifndef TRACEMORTEM_TESTS_INSTRUCTION_H
#define TRACEMORTEM_TESTS_INSTRUCTION_H

#include <stdbool.h>

/** `bytes`: at least 16, beginning with the instruction. False: it is not known to be harmless. */
bool instruction_is_harmless(const unsigned char *bytes);

#endif
