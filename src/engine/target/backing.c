// What the notes say.

#include "engine/target/backing.h"

#include <string.h>

bool tm_backing_is_table_alone(const struct tm_backing *backing)
{
    return backing->kind == TM_BACKING_RECORDER || backing->kind == TM_BACKING_SAVED;
}

bool tm_backing_recorder(const struct tm_backing *backing, struct tm_recorder_note *note)
{
    if (backing->kind == TM_BACKING_SAVED || backing->note_length < sizeof(*note))
        return false;
    memcpy(note, backing->note, sizeof(*note));
    return note->version == TM_RECORDER_VERSION;
}

bool tm_backing_saved(const struct tm_backing *backing, struct tm_saved_note *note)
{
    if (backing->kind != TM_BACKING_SAVED || backing->note_length < sizeof(*note))
        return false;
    memcpy(note, backing->note, sizeof(*note));
    return note->version == TM_SAVED_VERSION;
}

uint64_t tm_backing_root(const struct tm_backing *backing)
{
    struct tm_recorder_note recorder;
    struct tm_saved_note saved;
    if (tm_backing_recorder(backing, &recorder))
        return recorder.root;
    return tm_backing_saved(backing, &saved) ? saved.root : 0;
}

// The time of a file that is mapped is not that of the last store. So a process that did not end with the core may have
// gone on for a while.
bool tm_backing_may_be_newer(const struct tm_backing *backing)
{
    struct tm_recorder_note note;
    if (backing->kind != TM_BACKING_CORE || !tm_backing_recorder(backing, &note))
        return false;
    return !backing->crashed || backing->life == TM_LIFE_LIVES || backing->file_changed > backing->moment ||
           note.ended > backing->moment;
}

struct tm_error *tm_backing_require_program(const struct tm_target *target)
{
    struct tm_backing backing;
    tm_target_backing(target, &backing);
    if (!tm_backing_is_table_alone(&backing))
        return NULL;
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "%s has the trace table alone: the memory of the program, its objects, threads and "
                           "registers are not in it\nA core of the process has them: gcore PID while it lives, or by "
                           "the kernel: ulimit -c unlimited",
                           backing.kind == TM_BACKING_RECORDER ? "a recorder's file" : "a saved table");
}
