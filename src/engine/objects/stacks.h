/**
 * Stacks: the Python threads of a target and the frames that each of them runs, with the lines that faulthandler would
 * print and with local variables. Walks the interpreter's own lists; each link is checked and bounded.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_STACKS_H
#define TRACEMORTEM_ENGINE_OBJECTS_STACKS_H

#include "engine/objects/objects.h"

/** A thread state of an interpreter. */
struct tm_python_thread {
    uint64_t state;       // the address of its PyThreadState
    uint64_t id;          // threading.get_ident()
    uint64_t native_id;   // the system's number of it; 0: not known
    uint64_t interpreter; // the interpreter's id
};

/** A frame that runs, or that waits for the one before it. */
struct tm_python_frame {
    uint64_t address;
    uint64_t code;                               // the address of its code object
    const struct tm_name *file_name;             // NULL: it cannot be read
    const struct tm_name *name, *qualified_name; // the latter from 3.11 on
    int64_t line;                                // 0: not known
    uint64_t locals;                             // the address of the first variable
    uint32_t local_count;                        // variables, cells and free variables
};

struct tm_stack_visitor {
    /** Called for each thread, and then for its frames, the most recent first. */
    struct tm_error *(*thread)(void *context, const struct tm_python_thread *thread);
    struct tm_error *(*frame)(void *context, const struct tm_python_frame *frame);
    void *context;
};

/**
 * Visit all threads of all interpreters. *incomplete: a list could not be followed to its end. Fails with
 * TM_ERROR_NOT_FOUND if the interpreter's state is not found.
 */
struct tm_error *tm_stacks_visit(struct tm_objects *objects, const struct tm_stack_visitor *visitor, bool *incomplete);

/** Called for a chunk of memory [start, end) in which a thread has its frames; up to `top` they are in use. */
typedef struct tm_error *(*tm_stack_chunk_visitor)(void *context, uint64_t start, uint64_t top, uint64_t end);
/** Visit the chunks of a thread, the newest first; there are none up to 3.10. At most `most` are visited. */
struct tm_error *tm_stack_chunks_visit(struct tm_objects *objects, const struct tm_python_thread *thread, size_t most,
                                       tm_stack_chunk_visitor visit, void *context);

/** The name of variable `index` of the frames of a code object. */
bool tm_local_name(struct tm_objects *objects, uint64_t code, uint32_t index, char *name, size_t capacity);
/** The name of a frame's variable and the address of its value, through its cell. False: it has no value. */
bool tm_frame_local(struct tm_objects *objects, const struct tm_python_frame *frame, uint32_t index, char *name,
                    size_t capacity, uint64_t *value);

#endif
