/**
 * Core files: any file as a core, and as the target of a command. Input: the file.
 */
#define _GNU_SOURCE

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "process/table_file.h"

enum { REGIONS = 64 };

static int file_of(const uint8_t *data, size_t size)
{
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_require(file >= 0 && write(file, data, size) == (ssize_t)size);
    return file;
}

// Reads at both ends of every region, and past the end of the address space.
static void check_regions(struct tm_core *core)
{
    struct tm_region regions[REGIONS];
    size_t count = tm_core_callbacks.regions(core, regions, REGIONS);
    char byte;

    for (size_t i = 0; i < count && i < REGIONS; i++) {
        const struct tm_region *region = &regions[i];
        fuzz_require(region->start < region->end);
        fuzz_require(tm_core_callbacks.why_missing(core, region->start) != NULL);
        tm_core_callbacks.read(core, region->start, &byte, 1);
        tm_core_callbacks.read(core, region->end - 1, &byte, 1);
        fuzz_require(tm_core_callbacks.read(core, UINT64_MAX, &byte, 2) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tm_core *core;
    struct tm_error *error = tm_core_open_file(file_of(data, size), "fuzz.core", &core);
    if (error) {
        fuzz_require(tm_error_message(error)[0]);
        tm_error_destroy(error);
        return 0;
    }
    uint32_t kind;
    tm_core_find_table(core);
    struct tm_backing backing = {.kind = TM_BACKING_UNKNOWN};
    tm_core_callbacks.backing(core, &backing);
    fuzz_require(backing.note_length <= TM_BACKING_NOTE && memchr(backing.file, 0, sizeof(backing.file)));
    check_regions(core);
    fuzz_require(tm_core_callbacks.private_memory(core, &kind) == tm_core_callbacks.private_memory(core, &kind));

    struct tm_target *target = NULL;
    struct tm_session *session = fuzz_session_create();
    fuzz_require(tm_target_create(&tm_core_callbacks, core, &target) == NULL);
    fuzz_run(session, "tm-info", "", target, target, 0);
    fuzz_run(session, "tm-save", "file --core", target, target, 0);
    tm_target_destroy(target);
    tm_session_destroy(session);
    tm_core_close(core);
    return 0;
}
