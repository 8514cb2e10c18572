/**
 * Which x86-64 instructions cannot change the trace table: those known to write at most registers and their thread's stack.
 */
#ifndef TRACEMORTEM_TESTS_INSTRUCTION_H
#define TRACEMORTEM_TESTS_INSTRUCTION_H

#include <stdbool.h>

/** `bytes`: at least 16, of which the instruction is the first. False where it is not known. */
bool instruction_is_harmless(const unsigned char *bytes);

#endif
