/**
 * A core file: which memory of the dead process it really holds, and what its notes say of the process.
 *
 * The headers are read by their own bounds, with the structs of <elf.h> and without libelf: libelf opens no core whose
 * section table was cut off, and makes room for as many sections as a header claims. Sections play no part here.
 * Knows no trace table, no symbol and no live process.
 */
#ifndef TRACEMORTEM_PROCESS_CORE_H
#define TRACEMORTEM_PROCESS_CORE_H

#include <sys/stat.h>

#include "engine/tracemortem.h"
#include "layout/saved_core.h"
#include "process/constant.h"
#include "process/recorder.h"

/**
 * A range [start, end) of the dumped process. The file holds [start, held_end) of it, from `offset` on. It would hold up
 * to `file_end` if it were not cut short.
 */
struct tm_segment {
    uint64_t start, end, held_end, file_end, offset;
    bool readable, writable;
    bool is_file;   // it was mapped from a file
    bool is_memory; // from a file that only memory has, such as shared memory
};

struct tm_core {
    int file;
    struct stat status;          // of the file when it was opened
    char *path;                  // as it was given
    struct tm_segment *segments; // in ascending order
    size_t count, capacity;
    uint64_t missing; // bytes of memory that a truncated file lacks
    struct tm_notes notes;
    struct tm_constants constants;
    uint32_t process;      // its id as it saw itself; 0: not known
    struct tm_core *table; // the recorder's file that it names: the table's memory, which it lacks; NULL: none
    char table_path[256];  // what it calls that file; "": it names none
    char table_why[128];   // why that file cannot be used
    bool counted;          // `private_bytes` is known
    uint64_t private_bytes;
    char why[96]; // the last answer of why_missing
};

/** Reads the headers and notes at once. The error says what is wrong with the file, and what to give instead. */
struct tm_error *tm_core_open(const char *path, struct tm_core **result);
/** The same for a file that is open; the core closes it. `path` is only for messages. */
struct tm_error *tm_core_open_file(int file, const char *path, struct tm_core **result);
void tm_core_close(struct tm_core *core);

/** Whether it is the file of a recorder, or a table saved by tm-save --core: the table alone. */
bool tm_core_is_recorder(const struct tm_core *core, struct tm_recorder_note *note);
bool tm_core_is_saved(const struct tm_core *core, struct tm_saved_note *note);
/** How many bytes from this address on the file itself holds, of one segment, and copies them; 0: none. */
size_t tm_core_read_held(const struct tm_core *core, uint64_t address, void *buffer, size_t length);
/** Reads the headers again if the file has grown, as a recorder's does. False: it has not, or cannot be read. */
bool tm_core_refresh(struct tm_core *core);

/** The engine's callbacks, whose context is the core; `symbol` is NULL. */
extern const struct tm_target_callbacks tm_core_callbacks;

/** Whether the file was written to since it was opened. */
bool tm_core_is_changed(const struct tm_core *core);

/** A file's name for a message: what is not printable is escaped. Cut off where it does not fit. */
struct tm_printable {
    char text[512];
};
struct tm_printable tm_printable(const char *path);

#endif
