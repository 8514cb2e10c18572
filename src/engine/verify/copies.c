// Verifying the copies of chunks: byte for byte what the chunks are.

#include <inttypes.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/target/target.h"
#include "engine/verify/parts.h"

#define PAGE ((uint64_t)4096)

struct pair {
    struct tm_verifier *verifier;
    const struct tm_records *records;
    const char *what;
    uint64_t first_id;          // of the chunk
    uint64_t chunk, copy;       // addresses
    unsigned differing_records; // of the array
    uint64_t last_id;           // of the last record that differed
};

static bool is_bad(const struct pair *pair, uint64_t id, uint64_t address)
{
    struct tm_verifier *verifier = pair->verifier;
    unsigned char record[sizeof(struct tm_code)]; // the largest
    uint64_t size = pair->records->array.record_size;
    size = size < sizeof(record) ? size : sizeof(record);
    return pair->records->judge && tm_target_try_read(verifier->table->target, address, record, size) &&
           pair->records->judge(id, record) == TM_RECORD_BAD;
}

static void report_difference(struct pair *pair, uint64_t id)
{
    struct tm_verifier *verifier = pair->verifier;
    uint64_t offset = (id - pair->first_id) * pair->records->array.record_size;
    if (pair->differing_records && pair->last_id == id)
        return; // its bytes on the page before
    pair->last_id = id;
    bool is_wrong = is_bad(pair, id, pair->chunk + offset), copy_is_wrong = is_bad(pair, id, pair->copy + offset);
    // A record is stored in the chunk and then in the copy: one may be in between.
    bool in_flight = pair->differing_records++ == 0 && pair->records->judge && !is_wrong && !copy_is_wrong;
    tm_findings_add(&verifier->findings, in_flight ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE,
                    pair->what, id, copy_is_wrong ? pair->copy + offset : pair->chunk + offset, 1,
                    is_wrong        ? "it changed after it was written, and has a copy"
                    : copy_is_wrong ? "this copy of it changed after it was written"
                                    : "its copy is different");
}

static void report_missing(struct pair *pair, uint64_t address, uint64_t length, bool is_copy)
{
    struct tm_verifier *verifier = pair->verifier;
    verifier->result->unreadable_bytes += length;
    tm_findings_add(&verifier->findings, TM_FINDING_MISSING, pair->what, 0, address, 1,
                    is_copy ? "%" PRIu64 " bytes of a copy cannot be read" : "%" PRIu64 " bytes have a copy only",
                    length);
}

// Bytes [offset, offset + length) of the chunk, at most a page.
static void compare_part(struct pair *pair, uint64_t offset, uint64_t length)
{
    unsigned char chunk[PAGE], copy[PAGE];
    struct tm_target *target = pair->verifier->table->target;
    bool has_chunk = tm_target_try_read(target, pair->chunk + offset, chunk, length);
    bool has_copy = tm_target_try_read(target, pair->copy + offset, copy, length);
    if (!has_copy)
        report_missing(pair, pair->copy + offset, length, true);
    else if (!has_chunk)
        report_missing(pair, pair->chunk + offset, length, false);
    if (!has_chunk || !has_copy || memcmp(chunk, copy, (size_t)length) == 0)
        return;
    uint64_t size = pair->records->array.record_size;
    for (uint64_t i = 0; i < length; i++) {
        if (chunk[i] != copy[i] && pair->first_id + (offset + i) / size) // the placeholder is no record
            report_difference(pair, pair->first_id + (offset + i) / size);
    }
}

static struct tm_error *compare_copies(struct tm_verifier *verifier, const struct tm_records *records, const char *what)
{
    struct pair pair = {.verifier = verifier, .records = records, .what = what};
    for (unsigned i = 0; i < TM_ARRAY_COPIES; i++) {
        uint64_t length, part;
        if (!tm_records_extent(records, i, &pair.chunk, &length) ||
            !tm_records_copy_extent(records, i, &pair.copy, &length))
            continue;
        pair.first_id = ((UINT64_C(1) << i) - 1) << records->array.first_shift;
        for (uint64_t offset = 0; offset < length; offset += part) {
            struct tm_error *error = tm_host_check(verifier->host);
            if (error)
                return error;
            part = length - offset < PAGE ? length - offset : PAGE;
            compare_part(&pair, offset, part);
        }
    }
    return NULL;
}

struct tm_error *tm_verify_copies(struct tm_verifier *verifier)
{
    const struct tm_table *table = verifier->table;
    const struct {
        const struct tm_records *records;
        const char *what;
    } arrays[] = {{&table->bytes, "byte"},
                  {&table->strings, "string"},
                  {&table->codes, "code object"},
                  {&table->nodes, "node"},
                  {&table->sites, "site"},
                  {&table->leaves, "leaf"},
                  {&table->tracked, "tracked block"},
                  {&table->arenas, "arena"},
                  {&table->own, "mapping"}};
    struct tm_error *error = NULL;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]) && !error; i++)
        error = compare_copies(verifier, arrays[i].records, arrays[i].what);
    return error;
}
