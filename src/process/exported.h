/**
 * What an ELF file exports, by libelf: where a function is, and how its code begins.
 */
#ifndef TRACEMORTEM_PROCESS_EXPORTED_H
#define TRACEMORTEM_PROCESS_EXPORTED_H

#include <stdbool.h>
#include <stdint.h>

enum { TM_EXPORTED_BYTES = 64 };

struct tm_exported {
    uint64_t address; // from the beginning of the file's first mapping
    unsigned char code[TM_EXPORTED_BYTES];
};

/** False: the file does not export a function of this name with so much code, or cannot be read. */
bool tm_exported_find(const char *file, const char *name, struct tm_exported *result);

#endif
