// Verifying the memory that the parts noted: no two things of a table share any.

#include <inttypes.h>
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/verify/parts.h"

static int compare_taken(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_taken *)a)->start, ((const struct tm_taken *)b)->start);
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
    if (sum > verifier->root->mapped)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "root", 0,
                        verifier->table->place.address + offsetof(struct tm_root, mapped), 1,
                        "%" PRIu64 " bytes are mapped, but the table takes %" PRIu64, verifier->root->mapped, sum);
}
