/**
 * Snapshot files: any file as one side of a diff and as the target of the commands. Input: the file.
 */
#include <string.h>

#include "fuzz.h"

struct file {
    const uint8_t *bytes;
    size_t length;
};

// Each answer reads the file to its end, once.
#define READS_LIMIT 64

static int read_file(void *context, uint64_t offset, void *buffer, uint64_t length)
{
    const struct file *file = context;
    fuzz_require(length <= TM_READ_LIMIT && offset <= file->length && length <= file->length - offset);
    memcpy(buffer, file->bytes + offset, length);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tm_target_callbacks callbacks = {.read = read_file};
    struct file file = {data, size};
    struct tm_target *target = NULL;
    struct tm_session *session = fuzz_session_create();
    fuzz_require(tm_target_create_file(&callbacks, &file, size, &target) == NULL);
    if (fuzz_run(session, "tm-diff", "old new traceback --exclude '*/x*' --all-frames", target, target, 0)) {
        fuzz_run(session, "tm-diff", "old new lineno -c --json --include '*:1' -n 0", target, target, 0);
        fuzz_run(session, "tm-top", "filename -c", target, target, 0);
        fuzz_run(session, "tm-export", "speedscope file --base other", target, target, 0);
    }
    fuzz_run(session, "tm-traces", "", target, target, 0);
    fuzz_require(tm_target_bytes_read(target) <= READS_LIMIT * (uint64_t)size);
    tm_target_destroy(target);
    tm_session_destroy(session);
    return 0;
}
