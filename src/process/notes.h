/**
 * The notes of a core: the process's id, and which ranges of its memory were mapped from files. Knows only bytes.
 */
#ifndef TRACEMORTEM_PROCESS_NOTES_H
#define TRACEMORTEM_PROCESS_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A range [start, end) that was mapped from a file. */
struct tm_mapped_file {
    uint64_t start, end;
    bool is_memory; // a file that only memory has: shared anonymous memory, memfd_create(), shm_open(), shmget()
};

/** All zero: nothing was read. */
struct tm_notes {
    uint32_t process; // 0: no note says it
    struct tm_mapped_file *files;
    size_t count, capacity;
};

/** Adds what the notes in these bytes say, up to a note that is incomplete. False: no memory. */
bool tm_notes_read(struct tm_notes *notes, const unsigned char *bytes, size_t length);
/** After the last tm_notes_read(). */
void tm_notes_sort(struct tm_notes *notes);
/** The file that was mapped at this address, or NULL. */
const struct tm_mapped_file *tm_notes_file_at(const struct tm_notes *notes, uint64_t address);
void tm_notes_deinit(struct tm_notes *notes);

#endif
