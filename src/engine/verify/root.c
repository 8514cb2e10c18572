/**
 * Verifying the root and its arrays' chunks.
 */
#include <inttypes.h>

#include "engine/verify/parts.h"

static bool all_zero(const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < length; i++) {
        if (byte[i])
            return false;
    }
    return true;
}

// Text up to a NUL, and only NULs after it.
static bool is_padded(const char *text, size_t size)
{
    size_t length = 0;
    while (length < size && text[length])
        length++;
    return length < size && all_zero(text + length, size - length);
}

#define ROOT_DAMAGED(verifier, field, ...)                               \
    tm_findings_add(&(verifier)->findings, TM_FINDING_DAMAGE, "root", 0, \
                    (verifier)->table->place.address + offsetof(struct tm_root, field), 1, __VA_ARGS__)

static void check_reserved(struct tm_verifier *verifier)
{
    const struct tm_root *root = verifier->root;
    const uint32_t flags = TM_ROOT_DEBUG_BUILD | TM_ROOT_FREE_THREADED | TM_ROOT_REUSE_EXACT | TM_ROOT_LEAN |
                           TM_ROOT_REUSE_WAY | TM_ROOT_SAMPLED;
    if (root->_reserved0 || root->_reserved1 || !all_zero(root->_reserved3, sizeof(root->_reserved3)) ||
        !all_zero(root->owned._reserved, sizeof(root->owned._reserved)) ||
        !all_zero(root->shared._reserved, sizeof(root->shared._reserved)))
        ROOT_DAMAGED(verifier, _reserved0, "a reserved field is not 0");
    if (!all_zero(root->recorder._reserved, sizeof(root->recorder._reserved)))
        ROOT_DAMAGED(verifier, recorder._reserved, "a reserved field of its recorder is not 0");
    if (root->flags & ~flags)
        ROOT_DAMAGED(verifier, flags, "unknown flags: 0x%" PRIx32, root->flags);
    if (root->root_size != sizeof(*root))
        ROOT_DAMAGED(verifier, root_size, "its size is %" PRIu32 ", not %zu", root->root_size, sizeof(*root));
}

static void check_state(struct tm_verifier *verifier)
{
    const struct tm_root *root = verifier->root;
    bool tracing = root->state == TM_STATE_TRACING;
    if (tracing && (root->started == 0 || root->starts == 0 || root->frame_limit == 0))
        ROOT_DAMAGED(verifier, state, "it is tracing but was never started");
    if ((root->state == TM_STATE_LOADED || root->state == TM_STATE_STOPPED) && root->started != 0)
        ROOT_DAMAGED(verifier, started, "it is not tracing but began at %" PRIu64, root->started);
    if ((root->flags & TM_ROOT_SAMPLED) && (root->sample_period == 0 || !(root->flags & TM_ROOT_LEAN)))
        ROOT_DAMAGED(verifier, sample_period, "blocks are picked, but %s",
                     root->sample_period == 0 ? "the mean distance is 0" : "the profile is not lean");
    if (!is_padded(root->python_text, sizeof(root->python_text)))
        ROOT_DAMAGED(verifier, python_text, "CPython's version is no text");
    if (!is_padded(root->tracer_text, sizeof(root->tracer_text)))
        ROOT_DAMAGED(verifier, tracer_text, "the tracer's version is no text");
}

static void check_recorder(struct tm_verifier *verifier)
{
    const struct tm_recorder *recorder = &verifier->root->recorder;
    bool named = !all_zero(recorder->identity, sizeof(recorder->identity));
    if (recorder->state > TM_RECORDER_CUT)
        ROOT_DAMAGED(verifier, recorder.state, "its recorder's state is %" PRIu32, recorder->state);
    else if (named != (recorder->state == TM_RECORDER_FILE || recorder->state == TM_RECORDER_CUT))
        ROOT_DAMAGED(verifier, recorder.identity,
                     named ? "it is in no file, but has a file's identity" : "it is in a file that has no identity");
    if (recorder->reached != 0 && recorder->reached_used < recorder->limit)
        ROOT_DAMAGED(verifier, recorder.reached, "a limit of %" PRIu64 " bytes was reached with %" PRIu64,
                     recorder->limit, recorder->reached_used);
}

static void check_resizes(struct tm_verifier *verifier)
{
    for (unsigned i = 0; i < TM_RESIZES; i++) {
        const struct tm_resize *resize = &verifier->root->resize[i];
        uint64_t address = verifier->table->place.address + offsetof(struct tm_root, resize) + i * sizeof(*resize);
        if (resize->state > TM_RESIZE_BUSY)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "resize record", i, address, 1,
                            "its state is %" PRIu32, resize->state);
        else if (resize->state == TM_RESIZE_CLAIMED)
            tm_findings_add(&verifier->findings, tm_findings_in_flight(&verifier->findings), "resize record", i,
                            address, 1, "a block is about to be resized");
        else if (resize->state == TM_RESIZE_BUSY)
            tm_findings_add(&verifier->findings, tm_findings_in_flight(&verifier->findings), "resize record", i,
                            address, 1, "the block at 0x%" PRIx64 ", of %" PRIu64 " bytes, is being resized",
                            resize->address, resize->size);
    }
}

// Every chunk up to the last used one is there, and no chunk follows a missing one.
static void check_chunks(struct tm_verifier *verifier, const struct tm_records *records, const char *what,
                         uint64_t alignment)
{
    const struct tm_array *array = &records->array;
    if (array->count == 0)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                        "record 0 is missing");
    if (records->claimed.corrupt_records)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                        "its count is %" PRIu64 ", more than is possible", array->count);
    bool ended = false;
    for (unsigned i = 0; i < TM_ARRAY_CHUNKS; i++) {
        uint64_t first = ((UINT64_C(1) << i) - 1) << array->first_shift, address, length;
        bool used = first < records->count && records->count > 1;
        if (used && !tm_records_extent(records, i, &address, &length))
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                            "chunk %u, from record %" PRIu64 " on, is missing", i, first);
        if (array->chunk[i] == 0) {
            ended = true;
            if (i < TM_ARRAY_COPIES && array->copy[i])
                tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                                "chunk %u is missing, and has a copy at 0x%" PRIx64, i, array->copy[i]);
            continue;
        }
        if (ended && !used)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                            "chunk %u is at 0x%" PRIx64 ", and the one before it is missing", i, array->chunk[i]);
        if (array->chunk[i] % alignment)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                            "chunk %u is at 0x%" PRIx64 ", which is not aligned", i, array->chunk[i]);
        if (__builtin_mul_overflow(UINT64_C(1) << (array->first_shift + i), (uint64_t)array->record_size, &length))
            length = UINT64_MAX;
        tm_verifier_take(verifier, array->chunk[i], length, what);
        if (i >= TM_ARRAY_COPIES || array->copy[i] == 0)
            continue;
        if (array->copy[i] % alignment)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, records->array_address, 1,
                            "the copy of chunk %u is at 0x%" PRIx64 ", which is not aligned", i, array->copy[i]);
        tm_verifier_take(verifier, array->copy[i], length, what);
    }
}

void tm_verify_root(struct tm_verifier *verifier)
{
    const struct tm_table *table = verifier->table;
    const struct tm_root *root = verifier->root;
    if (verifier->reserved_is_zero)
        check_reserved(verifier);
    check_state(verifier);
    check_recorder(verifier);
    check_resizes(verifier);
    tm_verifier_take(verifier, table->place.address, sizeof(*root), "root");
    check_chunks(verifier, &table->bytes, "bytes", 1);
    check_chunks(verifier, &table->strings, "strings", sizeof(uint64_t));
    check_chunks(verifier, &table->codes, "code objects", sizeof(uint64_t));
    check_chunks(verifier, &table->nodes, "nodes", sizeof(uint32_t));
    check_chunks(verifier, &table->sites, "sites", sizeof(uint64_t));
    check_chunks(verifier, &table->counters, "counters", sizeof(uint64_t));
    check_chunks(verifier, &table->leaves, "leaves", sizeof(uint64_t));
    check_chunks(verifier, &table->tracked, "tracked blocks", sizeof(uint64_t));
    check_chunks(verifier, &table->arenas, "arenas", sizeof(uint64_t));
    check_chunks(verifier, &table->own, "mappings", sizeof(uint64_t));
    if ((root->flags & TM_ROOT_LEAN) && table->counters.array.count > 1)
        ROOT_DAMAGED(verifier, counters, "the lean profile has no counters, and here are %" PRIu64,
                     table->counters.array.count - 1);
    if (!(root->flags & TM_ROOT_LEAN) && table->counters.count < table->sites.count)
        ROOT_DAMAGED(verifier, counters, "%" PRIu64 " sites have counters, and there are %" PRIu64,
                     table->counters.count - 1, table->sites.count - 1);
}
