/**
 * A recorder's file: what its note says, and whether its process lives. Knows the file's form (recorder_file.h) and /proc;
 * nothing of the table in it.
 */
#ifndef TRACEMORTEM_PROCESS_RECORDER_H
#define TRACEMORTEM_PROCESS_RECORDER_H

#include "layout/recorder_file.h"
#include "process/notes.h"

/** False: these are not the notes of a recorder's file of a version that can be read. */
bool tm_recorder_note(const struct tm_notes *notes, struct tm_recorder_note *result);

/** Whether the process lives that writes this open file. */
enum tm_life tm_recorder_life(int file, const struct tm_recorder_note *note);

#endif
