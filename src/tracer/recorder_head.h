/**
 * The first bytes of the recorder's file, which make it an ELF core: headers and notes, as layout/recorder_file.h says. Knows
 * bytes in memory; nothing of files.
 */
#ifndef TRACEMORTEM_TRACER_RECORDER_HEAD_H
#define TRACEMORTEM_TRACER_RECORDER_HEAD_H

#include <stdbool.h>

#include "layout/recorder_file.h"

/** TM_RECORDER_HEADER zeroed bytes get everything but segments. `arguments`: the command line, too. */
void recorder_head_init(char *head, bool arguments);
/** The same in a forked child, in a copy of its parent's, whose segments go. */
void recorder_head_renew(char *head, bool arguments);

/** Our note in it. */
struct tm_recorder_note *recorder_head_note(char *head);

/** Segment `index` is `size` bytes long from now on, at an address and at an offset of the file. */
void recorder_head_segment(char *head, unsigned index, uint64_t address, uint64_t offset, uint64_t size);

#endif
