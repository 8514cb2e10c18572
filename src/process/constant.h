/**
 * Constant memory that a core leaves out because a file has it: the read-only parts of programs and libraries. The file's
 * bytes count only if its build id and its program headers are those in the core, and only where the file itself says that
 * the process could not write. Knows no trace table and no symbol.
 */
#ifndef TRACEMORTEM_PROCESS_CONSTANT_H
#define TRACEMORTEM_PROCESS_CONSTANT_H

#include "process/notes.h"

/** Reads memory of the core; returns how many bytes it holds from `address` on. */
typedef size_t (*tm_constant_reader)(void *context, uint64_t address, void *buffer, size_t length);

struct tm_constant_file;

/** The files that were mapped, each opened at the first read. All zero: none was. */
struct tm_constants {
    struct tm_constant_file **files;
    size_t count, capacity;
};

/**
 * Read the beginning of [address, address + length) from the file that was mapped there; returns how many bytes, 0 if no
 * file is known to have them.
 */
size_t tm_constant_read(struct tm_constants *constants, const struct tm_notes *notes, tm_constant_reader reader,
                        void *context, uint64_t address, void *buffer, size_t length);
/** Why the file that was mapped at this address has no bytes for it; NULL: nothing is known. */
const char *tm_constant_why(const struct tm_constants *constants, const struct tm_notes *notes, uint64_t address);
void tm_constants_deinit(struct tm_constants *constants);

#endif
