/**
 * The target: the front end's callbacks. Each call is bounded, and each answer is checked. Knows no table.
 */
#include "engine/target/target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/text.h"

struct tm_target {
    struct tm_target_callbacks callbacks;
    void *context;
    uint64_t bytes_read;
    void *owned; // destroyed when the target changes; NULL: none
    void (*destroy_owned)(void *owned);
    bool is_file;
    uint64_t file_size;
    bool running; // the process may run while it is read
    bool moving;  // it did
    bool program_was_read;
};

// Far more mappings than Linux allows a process by default (65530).
#define REGIONS_LIMIT ((size_t)1 << 20)
#define REGIONS_AT_FIRST ((size_t)256)
// More threads than any system runs in a process.
#define THREADS_LIMIT ((size_t)1 << 18)
#define THREADS_AT_FIRST ((size_t)16)

struct tm_error *tm_target_create(const struct tm_target_callbacks *callbacks, void *context, struct tm_target **result)
{
    if (!callbacks || !callbacks->read)
        return tm_error_create(TM_ERROR_USAGE, "a target needs a read callback");
    struct tm_target *target = calloc(1, sizeof(*target));
    if (!target)
        return tm_error_no_memory();
    target->callbacks = *callbacks;
    target->context = context;
    *result = target;
    return NULL;
}

struct tm_error *tm_target_create_file(const struct tm_target_callbacks *callbacks, void *context, uint64_t size,
                                       struct tm_target **result)
{
    struct tm_error *error = tm_target_create(callbacks, context, result);
    if (!error) {
        (*result)->is_file = true;
        (*result)->file_size = size;
    }
    return error;
}

bool tm_target_is_file(const struct tm_target *target)
{
    return target->is_file;
}

uint64_t tm_target_file_size(const struct tm_target *target)
{
    return target->file_size;
}

void tm_target_changed(struct tm_target *target)
{
    if (!target)
        return;
    target->program_was_read = false;
    tm_target_own(target, NULL, NULL);
}

void tm_target_destroy(struct tm_target *target)
{
    tm_target_changed(target);
    free(target);
}

void tm_target_set_running(struct tm_target *target, bool running)
{
    target->running = running;
}

bool tm_target_is_running(const struct tm_target *target)
{
    return target->running;
}

void tm_target_set_moving(struct tm_target *target, bool moving)
{
    target->moving = moving;
}

bool tm_target_is_moving(const struct tm_target *target)
{
    return target->moving;
}

void tm_target_note_program(struct tm_target *target)
{
    target->program_was_read = true;
}

bool tm_target_program_was_read(const struct tm_target *target)
{
    return target->program_was_read;
}

uint64_t tm_target_bytes_read(const struct tm_target *target)
{
    return target->bytes_read;
}

void *tm_target_owned(const struct tm_target *target)
{
    return target->owned;
}

void tm_target_own(struct tm_target *target, void *owned, void (*destroy)(void *owned))
{
    if (target->owned)
        target->destroy_owned(target->owned);
    target->owned = owned;
    target->destroy_owned = destroy;
}

bool tm_target_try_read(struct tm_target *target, uint64_t address, void *buffer, uint64_t length)
{
    if (length == 0)
        return true;
    if (length > TM_READ_LIMIT || address > UINT64_MAX - length)
        return false;
    target->bytes_read += length;
    return target->callbacks.read(target->context, address, buffer, length) == 0;
}

struct tm_error *tm_target_read(struct tm_target *target, const struct tm_host *host, uint64_t address, void *buffer,
                                uint64_t length)
{
    if (length && address > UINT64_MAX - length)
        return tm_error_create(TM_ERROR_FAULT,
                               "cannot read %" PRIu64 " bytes of the target's memory at 0x%" PRIx64
                               ": they would reach past the end of its address space",
                               length, address);
    unsigned char *to = buffer;
    for (uint64_t done = 0; done < length;) {
        if (done) {
            struct tm_error *error = tm_host_check(host);
            if (error)
                return error;
        }
        uint64_t piece = length - done < TM_READ_LIMIT ? length - done : TM_READ_LIMIT;
        if (!tm_target_try_read(target, address + done, to + done, piece))
            return tm_error_create(TM_ERROR_FAULT, "cannot read %" PRIu64 " bytes of the target's memory at 0x%" PRIx64,
                                   piece, address + done);
        done += piece;
    }
    return NULL;
}

uint64_t tm_target_symbol(const struct tm_target *target, const char *name)
{
    return target->callbacks.symbol ? target->callbacks.symbol(target->context, name) : 0;
}

const char *tm_target_why_missing(const struct tm_target *target, uint64_t address)
{
    return target->callbacks.why_missing ? target->callbacks.why_missing(target->context, address) : NULL;
}

uint32_t tm_target_process(const struct tm_target *target)
{
    return target->callbacks.process ? target->callbacks.process(target->context) : 0;
}

uint64_t tm_target_private_memory(const struct tm_target *target, uint32_t *kind)
{
    *kind = 0;
    return target->callbacks.private_memory ? target->callbacks.private_memory(target->context, kind) : 0;
}

void tm_target_backing(const struct tm_target *target, struct tm_backing *backing)
{
    *backing = (struct tm_backing){.kind = TM_BACKING_UNKNOWN};
    if (target->callbacks.backing)
        target->callbacks.backing(target->context, backing);
    struct tm_backing given = *backing;
    tm_escape_into(backing->file, sizeof(backing->file), given.file, strnlen(given.file, sizeof(given.file)));
    tm_escape_into(backing->why, sizeof(backing->why), given.why, strnlen(given.why, sizeof(given.why)));
    if (backing->note_length > TM_BACKING_NOTE)
        backing->note_length = 0;
}

// Lists by a callback that writes at most `capacity` items and returns how many there are. The front end has to be asked
// again where that is more.
#define LIST(target, callback, at_first, limit, result, count)                                   \
    do {                                                                                         \
        size_t capacity = 0, wanted = (at_first);                                                \
        while ((target)->callbacks.callback) {                                                   \
            if (!TM_GROW((result), wanted, &capacity)) {                                         \
                free(*(result));                                                                 \
                *(result) = NULL;                                                                \
                return tm_error_no_memory();                                                     \
            }                                                                                    \
            size_t there = (target)->callbacks.callback((target)->context, *(result), capacity); \
            *(count) = there < capacity ? there : capacity;                                      \
            if (there <= capacity || wanted == (limit))                                          \
                break;                                                                           \
            wanted = there < (limit) ? there : (limit);                                          \
        }                                                                                        \
    } while (0)

struct tm_error *tm_target_regions(const struct tm_target *target, struct tm_region **result, size_t *count)
{
    *result = NULL;
    *count = 0;
    LIST(target, regions, REGIONS_AT_FIRST, REGIONS_LIMIT, result, count);
    for (size_t i = 0; i < *count; i++)
        (*result)[i].name[sizeof((*result)[i].name) - 1] = '\0';
    return NULL;
}

struct tm_error *tm_target_threads(const struct tm_target *target, struct tm_thread **result, size_t *count)
{
    *result = NULL;
    *count = 0;
    LIST(target, threads, THREADS_AT_FIRST, THREADS_LIMIT, result, count);
    for (size_t i = 0; i < *count; i++)
        if ((*result)[i].register_count > TM_THREAD_REGISTERS)
            (*result)[i].register_count = TM_THREAD_REGISTERS;
    return NULL;
}

struct tm_error *tm_target_modules(const struct tm_target *target, struct tm_module **result, size_t *count)
{
    *result = NULL;
    *count = 0;
    LIST(target, modules, REGIONS_AT_FIRST, REGIONS_LIMIT, result, count);
    for (size_t i = 0; i < *count; i++)
        (*result)[i].path[sizeof((*result)[i].path) - 1] = '\0';
    return NULL;
}

bool tm_target_page_map(const struct tm_target *target, uint64_t address, uint64_t *entries, uint64_t count)
{
    return target->callbacks.page_map && target->callbacks.page_map(target->context, address, entries, count) == 0;
}

uint64_t tm_target_resident(const struct tm_target *target)
{
    return target->callbacks.resident ? target->callbacks.resident(target->context) : 0;
}

uint64_t tm_regions_absent(const struct tm_region *regions, size_t count, uint64_t *first)
{
    const uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_ABSENT;
    uint64_t bytes = 0;
    for (size_t i = count; i-- > 0;) {
        const struct tm_region *region = &regions[i];
        if ((region->flags & (wanted | TM_REGION_FILE)) != wanted || region->start >= region->end)
            continue;
        *first = region->start;
        bytes = tm_add_saturating(bytes, region->end - region->start);
    }
    return bytes;
}
