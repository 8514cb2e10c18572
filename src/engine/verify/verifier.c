// What more than one part does: noting memory, and counting a block for its site.

#include "engine/verify/verifier.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

struct tm_counters tm_verify_counters(const struct tm_verifier *verifier, uint64_t site)
{
    const void *bytes = tm_records_peek(&verifier->table->counters, site);
    struct tm_counters counters = {0};
    if (bytes && !tm_table_is_lean(verifier->table))
        memcpy(&counters, bytes, sizeof(counters));
    return counters;
}

void tm_verifier_take(struct tm_verifier *verifier, uint64_t start, uint64_t length, const char *what)
{
    if (!TM_GROW(&verifier->taken, verifier->taken_count + 1, &verifier->taken_capacity)) {
        verifier->no_memory = true;
        return;
    }
    verifier->taken[verifier->taken_count++] = (struct tm_taken){start, tm_add_saturating(start, length), what};
}

void tm_verifier_count(struct tm_verifier *verifier, const char *what, uint64_t id, uint64_t address, uint64_t size,
                       uint32_t site)
{
    struct tm_verification *result = verifier->result;
    struct tm_tally *tally = tm_tallies_find(&verifier->tallies, site);
    result->blocks++;
    result->bytes = tm_add_saturating(result->bytes, size);
    if (tally) {
        tally->blocks++;
        tally->bytes += size;
        return;
    }
    const struct tm_records *sites = &verifier->table->sites;
    if (site == 0 || site >= sites->count)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, id, address, 1,
                        "its site is %" PRIu32 " of %" PRIu64, site, sites->count - 1);
    else if (tm_records_peek(sites, site))
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, what, id, address, 1,
                        "the record of its site, %" PRIu32 ", is free", site);
}
