/**
 * A saved table: the small core that tm-save --core writes. It is an ELF core of the trace table alone, as a recorder's file
 * is (recorder_file.h), of any target that has a table.
 *
 * Its notes are NT_PRPSINFO with the process's id, and one of ours: "TRACEMORTEM", type 2. Stretches of zeros share one
 * place in the file, so several PT_LOAD may have the same offset. Depends on nothing.
 */
#ifndef TRACEMORTEM_LAYOUT_SAVED_CORE_H
#define TRACEMORTEM_LAYOUT_SAVED_CORE_H

#include <stdint.h>

/** Its name is TM_RECORDER_NOTE. */
#define TM_SAVED_NOTE_TYPE 2u
/** A reader must refuse another version. `size` may grow. */
#define TM_SAVED_VERSION 1u

struct tm_saved_note {
    uint32_t version;       // TM_SAVED_VERSION
    uint32_t size;          // of this record
    uint32_t pid;           // of the process, as it sees itself; 0: not known
    uint32_t private_kind;  // enum tm_private_kind of the engine's interface; 0: not known
    uint64_t private_bytes; // of the whole process, not of this file
    uint64_t root;          // address of the root
    uint64_t moment;        // after which the process did not run: nanoseconds since 1970
    uint64_t saved;         // when the file was written
    uint8_t identity[16];   // of the recorder's file that the table was in; zeros: it was in none
    uint64_t missing;       // bytes of the table that could not be read
};

_Static_assert(sizeof(struct tm_saved_note) == 72, "struct tm_saved_note has changed its size");
_Static_assert(__builtin_offsetof(struct tm_saved_note, root) == 24, "tm_saved_note.root has moved");
_Static_assert(__builtin_offsetof(struct tm_saved_note, missing) == 64, "tm_saved_note.missing has moved");

#endif
