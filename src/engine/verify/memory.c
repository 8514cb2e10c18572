// Verifying the memory that the parts noted: no two things of a table share any, and all of it is the tracer's.

#include <inttypes.h>
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/verify/parts.h"

static int compare_taken(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_taken *)a)->start, ((const struct tm_taken *)b)->start);
}

// Whether the tracer's mappings, which may follow each other, have all of it.
static bool is_own(const struct tm_verifier *verifier, const struct tm_taken *taken)
{
    uint64_t at = taken->start;
    size_t low = 0, high = verifier->own_count;
    while (low < high) { // the mappings that begin at or before it
        size_t middle = low + (high - low) / 2;
        if (verifier->own[middle].start <= at)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low ? low - 1 : 0; i < verifier->own_count && verifier->own[i].start <= at && at < taken->end; i++)
        at = verifier->own[i].end > at ? verifier->own[i].end : at;
    return at >= taken->end;
}

static void check_own(struct tm_verifier *verifier)
{
    const struct tm_records *own = &verifier->table->own;
    if (own->damage.unreadable_records || own->damage.corrupt_records || verifier->root->state == TM_STATE_LOADED)
        return; // then it is not known
    for (size_t i = 0; i < verifier->taken_count; i++) {
        const struct tm_taken *taken = &verifier->taken[i];
        if (!is_own(verifier, taken))
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, taken->what, 0, taken->start, 1,
                            "its memory is not recorded as the tracer's");
    }
}

void tm_verify_memory(struct tm_verifier *verifier)
{
    uint64_t sum = 0;
    qsort(verifier->taken, verifier->taken_count, sizeof(verifier->taken[0]), compare_taken);
    for (size_t i = 0; i < verifier->taken_count; i++) {
        const struct tm_taken *taken = &verifier->taken[i];
        sum = tm_add_saturating(sum, taken->end - taken->start);
        if (i > 0 && taken->start < taken[-1].end)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, taken->what, 0, taken->start, 1,
                            "it shares its memory with: %s at 0x%" PRIx64, taken[-1].what, taken[-1].start);
    }
    check_own(verifier);
    if (sum > verifier->root->mapped)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "root", 0,
                        verifier->table->place.address + offsetof(struct tm_root, mapped), 1,
                        "%" PRIu64 " bytes are mapped, but the table takes %" PRIu64, verifier->root->mapped, sum);
}
