/**
 * Verifying tracked blocks, and the index that finds them: a search from where its key says must find each live
 * block, and nothing else is in the index.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/target/target.h"
#include "engine/verify/parts.h"
#include "layout/hash.h"

#define WINDOW 16384u // slots read at once
#define SHIFT_LIMIT 31u
#define FAILURES_TO_GIVE_UP 4096u

struct index {
    struct tm_verifier *verifier;
    uint64_t slots; // address
    uint64_t mask;
    struct tm_marks listed; // ids found in it
    uint64_t run;           // position after the last free slot: a search may have begun there
    bool has_free;
    bool missing;
    unsigned failures;
    unsigned stale; // slots that lead to free records
    uint32_t *window;
};

static bool get_tracked(const struct index *index, uint64_t id, struct tm_tracked *record)
{
    const void *bytes = tm_records_peek(&index->verifier->table->tracked, id);
    if (bytes)
        memcpy(record, bytes, sizeof(*record));
    return bytes;
}

#define SLOT_DAMAGED(index, position, ...)                                                         \
    tm_findings_add(&(index)->verifier->findings, TM_FINDING_DAMAGE, "index of tracked blocks", 0, \
                    (index)->slots + ((position) & (index)->mask) * sizeof(uint32_t), 1, __VA_ARGS__)

// `position` may be beyond the last slot: then it is in a run that continues at the first one.
static void check_slot(struct index *index, uint64_t position, uint32_t id)
{
    struct tm_tracked record;
    if (id == TM_TRACKED_REMOVED)
        return;
    if (id >= index->verifier->table->tracked.count) {
        SLOT_DAMAGED(index, position, "it leads to tracked block %" PRIu32 ", which does not exist", id);
        return;
    }
    if (tm_marks_has(&index->listed, id)) {
        SLOT_DAMAGED(index, position, "it leads to tracked block %" PRIu32 " a second time", id);
        return;
    }
    if (!tm_marks_set(&index->listed, id))
        index->verifier->no_memory = true;
    if (!get_tracked(index, id, &record))
        return;
    // Removing frees the record first, then its slot.
    if (record.site == 0) {
        bool in_flight = index->stale++ == 0;
        tm_findings_add(&index->verifier->findings,
                        in_flight ? tm_findings_in_flight(&index->verifier->findings) : TM_FINDING_DAMAGE,
                        "index of tracked blocks", 0, index->slots + (position & index->mask) * sizeof(uint32_t), 1,
                        "it leads to tracked block %" PRIu32 ", which is free", id);
        return;
    }
    uint64_t home = tm_tracked_key_hash(record.domain, record.address);
    if (((position - home) & index->mask) > position - index->run)
        SLOT_DAMAGED(index, position, "a search for tracked block %" PRIu32 " would end before it", id);
}

// Reads the window that begins at `position`; false: it is missing.
static bool read_window(struct index *index, uint64_t position, uint64_t count)
{
    uint64_t address = index->slots + (position & index->mask) * sizeof(uint32_t);
    if (index->failures < FAILURES_TO_GIVE_UP &&
        tm_target_try_read(index->verifier->table->target, address, index->window, count * sizeof(uint32_t)))
        return true;
    index->failures++;
    index->missing = true;
    index->verifier->result->unreadable_bytes += count * sizeof(uint32_t);
    tm_findings_add(&index->verifier->findings, TM_FINDING_MISSING, "index of tracked blocks", 0, address, 1,
                    "%" PRIu64 " of its slots cannot be read", count);
    return false;
}

// The slots [from, to); those beyond the last are the first ones again. With `until_free`, only up to a free one.
static struct tm_error *check_slots(struct index *index, uint64_t from, uint64_t to, bool until_free, uint64_t *end)
{
    uint64_t count;
    for (uint64_t position = from; position < to; position += count) {
        struct tm_error *error = tm_host_check(index->verifier->host);
        if (error)
            return error;
        count = index->failures < FAILURES_TO_GIVE_UP ? WINDOW - position % WINDOW : to - position;
        count = count < to - position ? count : to - position;
        *end = position + count;
        if (!read_window(index, position, count))
            continue;
        for (uint64_t i = 0; i < count; i++) {
            if (index->window[i]) {
                if (!until_free)
                    check_slot(index, position + i, index->window[i]);
                continue;
            }
            index->has_free = true;
            index->run = position + i + 1;
            *end = position + i;
            if (until_free)
                return NULL;
        }
    }
    return NULL;
}

// From the first free slot all the way around to it, so that a run across the end is seen in one piece.
static struct tm_error *check_all_slots(struct index *index)
{
    uint64_t slots = index->mask + 1, first_free = 0, end;
    struct tm_error *error = check_slots(index, 0, slots, true, &first_free);
    if (error || index->missing)
        return error;
    if (!index->has_free) {
        SLOT_DAMAGED(index, 0, "no slot is free, so a search would never end");
        return NULL;
    }
    error = check_slots(index, first_free, slots, false, &end);
    return error ? error : check_slots(index, slots, slots + first_free, false, &end);
}

static struct tm_error *check_index(struct index *index, uint64_t address)
{
    struct tm_verifier *verifier = index->verifier;
    struct tm_tracked_index head;
    const char *what = "index of tracked blocks";
    if (address % sizeof(uint32_t) || address > UINT64_MAX - sizeof(head)) {
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, address, 1, "no index can be there");
        index->missing = true;
        return NULL;
    }
    if (!tm_target_try_read(verifier->table->target, address, &head, sizeof(head))) {
        tm_findings_add(&verifier->findings, TM_FINDING_MISSING, what, 0, address, 1, "it cannot be read");
        index->missing = true;
        return NULL;
    }
    uint64_t length = head.shift <= SHIFT_LIMIT ? sizeof(head) + (sizeof(uint32_t) << head.shift) : 0;
    if (length == 0 || address > UINT64_MAX - length) {
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, address, 1, "it has 2^%" PRIu32 " slots",
                        head.shift);
        index->missing = true;
        return NULL;
    }
    if (verifier->reserved_is_zero && (head._reserved[0] || head._reserved[1] || head._reserved[2]))
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, 0, address, 1, "a reserved field is not 0");
    tm_verifier_take(verifier, address, length, what);
    index->slots = address + sizeof(head);
    index->mask = (UINT64_C(1) << head.shift) - 1;
    index->window = malloc(WINDOW * sizeof(*index->window));
    struct tm_error *error = index->window ? check_all_slots(index) : tm_error_no_memory();
    free(index->window);
    return error;
}

static void check_record(struct tm_verifier *verifier, uint64_t id, const struct tm_tracked *record)
{
    const struct tm_records *tracked = &verifier->table->tracked;
    struct tm_site site;
    const void *bytes = tm_records_peek(&verifier->table->sites, record->site);
    verifier->result->tracked++;
    tm_verifier_count(verifier, "tracked block", id, tm_records_address(tracked, id), record->size, record->site);
    if (bytes) {
        memcpy(&site, bytes, sizeof(site));
        if (site.domain != record->domain)
            TM_VERIFY_DAMAGED(verifier, tracked, "tracked block", id,
                              "its domain is %" PRIu32 ", and its site's is %" PRIu32, record->domain, site.domain);
    }
    if (record->hash != tm_tracked_hash(id, record))
        TM_VERIFY_DAMAGED(verifier, tracked, "tracked block", id, "it changed after it was written");
}

// Live records, and whether the index has them: the one that is being stored may not be there yet.
static struct tm_error *check_live(struct index *index)
{
    struct tm_verifier *verifier = index->verifier;
    const struct tm_records *tracked = &verifier->table->tracked;
    unsigned unlisted = index->stale;
    for (uint64_t id = 1; (id = tm_records_skip(tracked, id)) < tracked->count; id++) {
        struct tm_error *error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        struct tm_tracked record;
        if (error)
            return error;
        if (!get_tracked(index, id, &record) || record.site == 0)
            continue;
        check_record(verifier, id, &record);
        if (index->missing || tm_marks_has(&index->listed, id))
            continue;
        bool in_flight = unlisted++ == 0;
        tm_findings_add(&verifier->findings, in_flight ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE,
                        "tracked block", id, tm_records_address(tracked, id), 1, "it is not in the index");
    }
    return NULL;
}

struct tm_error *tm_verify_tracked(struct tm_verifier *verifier)
{
    struct index index = {.verifier = verifier, .listed = {.limit = verifier->table->tracked.count}};
    uint64_t address = verifier->root->tracked_index;
    struct tm_error *error = address ? check_index(&index, address) : NULL;
    if (!error)
        error = check_live(&index);
    tm_marks_deinit(&index.listed);
    return error;
}
