/**
 * The recorder's file: the trace table's memory as a file that outlives the process.
 *
 * With TRACEMORTEM_FILE the tracer has the table in a file that it maps shared. The file is an ELF core of the table alone:
 * ELF64, ET_CORE, of the machine and byte order of the process. This header is the whole contract between the tracer, which
 * writes such files, and those who read them. docs/recorder.md explains it for humans.
 *
 *     offset 0                    Elf64_Ehdr, and behind it e_phnum program headers (at most TM_RECORDER_SEGMENTS + 1)
 *     TM_RECORDER_NOTES           the notes; the first program header is their PT_NOTE
 *     TM_RECORDER_HEADER          the table's memory: the other program headers are its PT_LOAD
 *
 * *Segments.* The first PT_LOAD begins at offset TM_RECORDER_HEADER and has the root at its first byte. Mostly it is the only
 * one. Another one begins where the addresses behind the last were taken. Each is as long in memory as in the file, and has
 * what the array `own` lists as TM_OWN_TABLE, and nothing else. TM_OWN_PRIVATE memory is not in the file.
 *
 * *Growth.* The file grows while the process lives. Its space is reserved (fallocate) before the program header says so
 * (p_filesz and p_memsz, then e_phnum for a new one; each by one store), and that is stored before the table refers to it.
 * So what the headers promise is there, and a reader of a living process's file that meets an address beyond the segments
 * reads the headers again. Pages that the table has given back are holes, and read as zeros. A file that is shorter than its
 * headers say was cut by somebody else, and the table in the process has lost the same pages (TM_RECORDER_CUT).
 *
 * *Does the process live?* In this order:
 *   1. note.end is not 0: the process has ended, and has said how; or, at TM_RECORDER_END_EXEC, is another program now.
 *   2. A process that holds a POSIX record lock (fcntl) on the byte TM_RECORDER_LOCK lives and writes this file. F_GETLK
 *      shows it to readers in other pid namespaces, too (l_pid is 0 there), and needs no right to write. The kernel takes
 *      the lock away when the process ends or calls exec.
 *   3. Without the lock the process may live on: a program that closes all descriptors loses it until the file grows. So
 *      look for a process `pid` (`outer_pid` in another namespace) with the start time of the note, if the note's boot_id
 *      is this boot's; it writes the file if its /proc/PID/maps has it (by device and inode). Only that says so: an exec
 *      keeps process id and start time. Where maps cannot be read, it is not known.
 *   4. Otherwise it is dead, or has become another program.
 *
 * *Identity.* 16 random bytes are in the note and in the root (tm_root.recorder.identity). A core of the process, whose
 * dumper left out shared mappings of files, has the root in none of its segments; but the process's own copy is in the
 * tracer's exported variable TM_RECORDER_IDENTITY_SYMBOL, and the file in the core's NT_FILE. A forked child has a file and
 * an identity of its own.
 */
#ifndef TRACEMORTEM_LAYOUT_RECORDER_FILE_H
#define TRACEMORTEM_LAYOUT_RECORDER_FILE_H

#include <stdint.h>

/** Bytes in front of the table's memory. */
#define TM_RECORDER_HEADER 65536u
/** Where the notes begin. */
#define TM_RECORDER_NOTES 4096u
/** At most so many PT_LOAD. */
#define TM_RECORDER_SEGMENTS 64u
/** The byte of the file that the living process has locked. */
#define TM_RECORDER_LOCK 0u
/** Names of files that the tracer chooses itself end so. */
#define TM_RECORDER_SUFFIX ".tm-core"
/** The tracer's exported variable with the identity of its file, 16 bytes; zeros: the table is not in a file. */
#define TM_RECORDER_IDENTITY_SYMBOL "tracemortem_file_identity"

/**
 * The notes, in this order:
 *
 *   TM_RECORDER_NOTE, type 1       struct tm_recorder_note
 *   "CORE", NT_PRPSINFO            struct elf_prpsinfo: pr_pid as the process sees itself, pr_fname the program's name (comm).
 *                                  pr_psargs is the name again; with TRACEMORTEM_FILE_ARGS=1 the command line
 *   "CORE", NT_FILE                the modules that were loaded when the file was made (their PT_LOAD), as in a kernel's core;
 *                                  not this file
 */
#define TM_RECORDER_NOTE "TRACEMORTEM" // n_namesz is 12: with its NUL
#define TM_RECORDER_NOTE_TYPE 1u

/** A reader must refuse another version. `size` may grow. */
#define TM_RECORDER_VERSION 1u

enum tm_recorder_end {
    TM_RECORDER_END_NONE = 0,  // none recorded: the process lives, or was killed
    TM_RECORDER_END_CLEAN = 1, // it exited with status 0
    TM_RECORDER_END_EXIT = 2,  // it exited with another status
    TM_RECORDER_END_EXEC = 3,  // it has become another program. If the call fails, this is taken back
};

struct tm_recorder_note {
    uint32_t version;       // TM_RECORDER_VERSION
    uint32_t size;          // of this record
    uint32_t pid;           // as the process sees itself
    uint32_t outer_pid;     // in the outermost pid namespace that it can see (NSpid); 0: not known
    uint64_t start_ticks;   // when it started: field 22 of /proc/self/stat; 0: not known
    uint64_t pid_namespace; // inode of /proc/self/ns/pid; 0: not known
    uint8_t boot_id[16];    // /proc/sys/kernel/random/boot_id; zeros: not known
    uint8_t identity[16];   // also in the root
    uint64_t root;          // address of the root
    uint64_t made;          // when the file was made: nanoseconds since 1970 (CLOCK_REALTIME)
    uint64_t ended;         // when the end was recorded, likewise; 0: it was not
    uint32_t end;           // enum tm_recorder_end; stored last
    int32_t status;         // the exit status, at TM_RECORDER_END_CLEAN and TM_RECORDER_END_EXIT
};

_Static_assert(sizeof(struct tm_recorder_note) == 96, "struct tm_recorder_note has changed its size");
_Static_assert(__builtin_offsetof(struct tm_recorder_note, boot_id) == 32, "tm_recorder_note.boot_id has moved");
_Static_assert(__builtin_offsetof(struct tm_recorder_note, root) == 64, "tm_recorder_note.root has moved");
_Static_assert(__builtin_offsetof(struct tm_recorder_note, end) == 88, "tm_recorder_note.end has moved");

#endif
