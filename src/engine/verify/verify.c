/**
 * Verifying: what its parts share, and their order.
 */
#include "engine/verify/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/verify/parts.h"

// ---------------------------------------------------------------------------------------------------------------
// Marks

#define MARKS_IN_PAGE (UINT32_C(1) << 15)

static size_t mark_pages(const struct tm_marks *marks)
{
    return (size_t)(marks->limit / MARKS_IN_PAGE + 1);
}

bool tm_marks_set(struct tm_marks *marks, uint32_t id)
{
    if (!marks->pages)
        marks->pages = calloc(mark_pages(marks), sizeof(*marks->pages));
    if (!marks->pages)
        return false;
    uint8_t **page = &marks->pages[id / MARKS_IN_PAGE];
    if (!*page)
        *page = calloc(MARKS_IN_PAGE / 8, 1);
    if (!*page)
        return false;
    (*page)[id % MARKS_IN_PAGE / 8] |= (uint8_t)(1u << id % 8);
    return true;
}

bool tm_marks_has(const struct tm_marks *marks, uint64_t id)
{
    const uint8_t *page = marks->pages && id < marks->limit ? marks->pages[id / MARKS_IN_PAGE] : NULL;
    return page && page[id % MARKS_IN_PAGE / 8] >> id % 8 & 1;
}

void tm_marks_deinit(struct tm_marks *marks)
{
    for (size_t i = 0; marks->pages && i < mark_pages(marks); i++)
        free(marks->pages[i]);
    free(marks->pages);
    marks->pages = NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Findings

void tm_verify_tell(struct tm_verifier *verifier, enum tm_finding_kind kind, const char *what, uint64_t id,
                    uint64_t address, uint64_t records, const char *why, ...)
{
    char words[256];
    verifier->result->records[kind] += records;
    if (verifier->visited[kind] >= verifier->request->limit)
        return;
    verifier->visited[kind]++;
    va_list arguments;
    va_start(arguments, why);
    vsnprintf(words, sizeof(words), why, arguments);
    va_end(arguments);
    const struct tm_finding finding = {kind, what, id, address, words};
    verifier->request->visit(verifier->request->context, &finding);
}

enum tm_finding_kind tm_verify_in_flight(const struct tm_verifier *verifier)
{
    return verifier->request->strict ? TM_FINDING_DAMAGE : TM_FINDING_IN_FLIGHT;
}

void tm_verify_take(struct tm_verifier *verifier, uint64_t start, uint64_t length, const char *what)
{
    if (verifier->taken_count == verifier->taken_capacity) {
        size_t capacity = verifier->taken_capacity ? verifier->taken_capacity * 2 : 256;
        struct tm_taken *grown = reallocarray(verifier->taken, capacity, sizeof(*grown));
        if (!grown) {
            verifier->no_memory = true;
            return;
        }
        verifier->taken = grown;
        verifier->taken_capacity = capacity;
    }
    uint64_t end = start > UINT64_MAX - length ? UINT64_MAX : start + length;
    verifier->taken[verifier->taken_count++] = (struct tm_taken){start, end, what};
}

struct tm_tally *tm_verify_tally(const struct tm_verifier *verifier, uint64_t site)
{
    if (site >= TM_SITE_LIMIT || !verifier->tallies[site / TM_TALLIES_IN_PAGE])
        return NULL;
    struct tm_tally *tally = &verifier->tallies[site / TM_TALLIES_IN_PAGE][site % TM_TALLIES_IN_PAGE];
    return tally->known ? tally : NULL;
}

// ---------------------------------------------------------------------------------------------------------------

static void tell_missing(struct tm_verifier *verifier, const struct tm_records *records, const char *what)
{
    const struct tm_damage *damage = &records->damage;
    if (!damage->unreadable_records)
        return;
    verifier->result->unreadable_bytes += damage->unreadable_bytes;
    tm_verify_tell(verifier, TM_FINDING_MISSING, what, 0, damage->first_address, damage->unreadable_records,
                   "%llu cannot be read: %llu bytes of memory are missing",
                   (unsigned long long)damage->unreadable_records, (unsigned long long)damage->unreadable_bytes);
}

static struct tm_error *run(struct tm_verifier *verifier)
{
    const struct tm_verify_table *table = verifier->table;
    tell_missing(verifier, table->bytes, "bytes");
    tell_missing(verifier, table->strings, "strings");
    tell_missing(verifier, table->codes, "code objects");
    tell_missing(verifier, table->nodes, "nodes");
    tell_missing(verifier, table->sites, "sites");
    tell_missing(verifier, table->tracked, "tracked blocks");
    tm_verify_root(verifier);
    struct tm_error *error = tm_verify_records(verifier);
    if (!error)
        error = tm_verify_tracked(verifier);
    if (!error)
        error = tm_verify_blocks(verifier);
    if (!error)
        tm_verify_memory(verifier);
    return !error && verifier->no_memory ? tm_error_no_memory() : error;
}

static void deinit(struct tm_verifier *verifier)
{
    tm_marks_deinit(&verifier->strings);
    tm_marks_deinit(&verifier->codes);
    tm_marks_deinit(&verifier->nodes);
    for (size_t i = 0; verifier->tallies && i < TM_SITE_LIMIT / TM_TALLIES_IN_PAGE; i++)
        free(verifier->tallies[i]);
    free(verifier->tallies);
    free(verifier->taken);
}

struct tm_error *tm_verify(const struct tm_verify_table *table, const struct tm_verify_request *request,
                           struct tm_verification *result)
{
    struct tm_verifier verifier = {.table = table, .root = &table->place->root, .request = request, .result = result};
    *result = (struct tm_verification){.table_address = table->place->address};
    verifier.strings.limit = table->strings->count;
    verifier.codes.limit = table->codes->count;
    verifier.nodes.limit = table->nodes->count;
    verifier.reserved_is_zero = verifier.root->layout_minor == TM_LAYOUT_MINOR;
    verifier.bytes_left = table->bytes->bytes_loaded;
    verifier.tallies = calloc(TM_SITE_LIMIT / TM_TALLIES_IN_PAGE, sizeof(*verifier.tallies));
    struct tm_error *error = verifier.tallies ? run(&verifier) : tm_error_no_memory();
    deinit(&verifier);
    return error;
}
