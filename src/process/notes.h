/**
 * The notes of a core: the process's id, its threads, and which ranges of its memory were mapped from files. Knows only bytes.
 */
#ifndef TRACEMORTEM_PROCESS_NOTES_H
#define TRACEMORTEM_PROCESS_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tracemortem.h"

/** A range [start, end) that was mapped from a file. */
struct tm_mapped_file {
    uint64_t start, end;
    uint64_t offset; // in the file
    char path[256];  // the end of it, if it is longer
    bool is_memory;  // a file that only memory has: shared anonymous memory, memfd_create(), shm_open(), shmget()
};

/** A note of tracemortem's own: of a recorder's file (recorder_file.h) or of a saved table (saved_core.h). */
struct tm_own_note {
    uint32_t type; // 0: there is none
    uint32_t length;
    unsigned char bytes[TM_BACKING_NOTE]; // the beginning, if it is longer
};

/** All zero: nothing was read. */
struct tm_notes {
    struct tm_own_note own;
    uint32_t process; // 0: no note says it
    uint32_t signal;  // that stopped the first thread; 0: none, or not known
    struct tm_mapped_file *files;
    size_t count, capacity;
    struct tm_thread *threads;
    size_t thread_count, thread_capacity;
};

/** Adds what the notes in these bytes say, up to a note that is incomplete. `machine`: ELF's. False: no memory. */
bool tm_notes_read(struct tm_notes *notes, unsigned machine, const unsigned char *bytes, size_t length);
/** After the last tm_notes_read(). */
void tm_notes_sort(struct tm_notes *notes);
/** The file that was mapped at this address, or NULL. */
const struct tm_mapped_file *tm_notes_file_at(const struct tm_notes *notes, uint64_t address);
void tm_notes_deinit(struct tm_notes *notes);

#endif
