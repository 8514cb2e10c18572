/**
 * Gathering: pieces are sorted, claimed, joined into stretches of at most TM_READ_LIMIT bytes, and read stretch by stretch.
 */
#include "engine/table/gather.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/target/target.h"

#define PAGE ((uint64_t)4096)
#define CELLS_IN_PAGE (PAGE / TM_GATHER_CELL)
_Static_assert(CELLS_IN_PAGE == 64, "the claims of a page are the bits of a word");

// Pieces that are not further apart are read together.
#define GAP PAGE

// As in records.c: after so many failed reads, readable pages are not searched for any more. After as many again the
// rest is given up.
#define FAILURES_TO_BISECT 4096u
#define FAILURES_TO_GIVE_UP (2 * FAILURES_TO_BISECT)

bool tm_gather_gave_up(const struct tm_gather *gather)
{
    return gather->failures >= FAILURES_TO_GIVE_UP;
}

void tm_gather_clear(struct tm_gather *gather)
{
    for (size_t i = 0; i < gather->buffer_count; i++)
        free(gather->buffers[i]);
    gather->buffer_count = 0;
}

void tm_gather_deinit(struct tm_gather *gather)
{
    tm_gather_clear(gather);
    free(gather->buffers);
    gather->buffers = NULL;
    gather->buffer_capacity = 0;
    tm_set_deinit(&gather->claims);
}

// ---------------------------------------------------------------------------------------------------------------
// Each cell once

// The writer never uses memory for two things. If a target leads to the same memory twice, its blocks would be counted
// twice, and a small target could keep us busy forever.
static bool claim(struct tm_gather *gather, const struct tm_piece *piece, bool *is_new)
{
    uint64_t first = piece->address / TM_GATHER_CELL, end = (piece->address + piece->size - 1) / TM_GATHER_CELL + 1;
    *is_new = true;
    for (int pass = 0; pass < 2 && *is_new; pass++) { // the first looks, the second claims
        for (uint64_t cell = first, next; cell < end; cell = next) {
            uint64_t page = cell / CELLS_IN_PAGE;
            next = (page + 1) * CELLS_IN_PAGE < end ? (page + 1) * CELLS_IN_PAGE : end;
            uint64_t bits = UINT64_MAX >> (CELLS_IN_PAGE - (next - cell)) << cell % CELLS_IN_PAGE;
            if (!tm_set_reserve(&gather->claims))
                return false;
            struct tm_set_entry *entry = tm_set_find_number(&gather->claims, page);
            uint64_t taken = (uint64_t)(uintptr_t)entry->item;
            if (pass == 0)
                *is_new = *is_new && !(taken & bits);
            else if (entry->item)
                entry->item = (void *)(uintptr_t)(taken | bits);
            else
                tm_set_put_number(&gather->claims, entry, page, (void *)(uintptr_t)bits);
        }
    }
    if (*is_new)
        gather->bytes += (end - first) * TM_GATHER_CELL;
    return true;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct tm_piece *left = a, *right = b;
    int order = tm_compare_numbers(left->address, right->address);
    return order ? order : tm_compare_numbers(left->owner, right->owner);
}

static void sort(struct tm_piece *pieces, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare_pieces(&pieces[i - 1], &pieces[i]) > 0) {
            qsort(pieces, count, sizeof(*pieces), compare_pieces);
            return;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

struct stretch {
    struct tm_gather *gather;
    struct tm_piece *pieces;
    size_t count;
    uint64_t start, end;
    unsigned char *bytes;
    bool stopped;
};

static void set_missing(struct stretch *stretch, uint64_t from, uint64_t to)
{
    memset(stretch->bytes + (from - stretch->start), 0, (size_t)(to - from));
    for (size_t i = 0; i < stretch->count; i++) {
        struct tm_piece *piece = &stretch->pieces[i];
        uint64_t first = piece->address > from ? piece->address : from;
        uint64_t last = piece->address + piece->size < to ? piece->address + piece->size : to;
        if (first < last && !piece->claimed)
            piece->missing += (uint32_t)(last - first);
    }
}

// At most 9 calls deep: it halves 257 pages.
static void read_range(struct stretch *stretch, uint64_t from, uint64_t to)
{
    struct tm_gather *gather = stretch->gather;
    if (!tm_gather_gave_up(gather) &&
        tm_target_try_read(gather->target, from, stretch->bytes + (from - stretch->start), to - from))
        return;
    uint64_t first_page = from / PAGE, last_page = (to - 1) / PAGE;
    gather->failures++;
    stretch->stopped = stretch->stopped || tm_host_should_stop(gather->host);
    if (first_page == last_page || gather->failures >= FAILURES_TO_BISECT || stretch->stopped) {
        set_missing(stretch, from, to);
        return;
    }
    uint64_t middle = (first_page + (last_page - first_page + 1) / 2) * PAGE;
    read_range(stretch, from, middle);
    read_range(stretch, middle, to);
}

static struct tm_error *read_stretch(struct stretch *stretch)
{
    struct tm_gather *gather = stretch->gather;
    if (!TM_GROW(&gather->buffers, gather->buffer_count + 1, &gather->buffer_capacity))
        return tm_error_no_memory();
    stretch->bytes = malloc((size_t)(stretch->end - stretch->start));
    if (!stretch->bytes)
        return tm_error_no_memory();
    gather->buffers[gather->buffer_count++] = stretch->bytes;
    for (size_t i = 0; i < stretch->count; i++) {
        if (!stretch->pieces[i].claimed)
            stretch->pieces[i].bytes = stretch->bytes + (stretch->pieces[i].address - stretch->start);
    }
    read_range(stretch, stretch->start, stretch->end);
    return stretch->stopped ? tm_host_stopped() : tm_host_check(gather->host);
}

// The pieces that are read together with the first one: *count of them.
static struct stretch find_stretch(struct tm_gather *gather, struct tm_piece *pieces, size_t count)
{
    struct stretch stretch = {.gather = gather, .pieces = pieces, .start = pieces[0].address};
    stretch.end = stretch.start + pieces[0].size;
    size_t i;
    for (i = 1; i < count; i++) {
        if (pieces[i].claimed)
            continue;
        uint64_t end = pieces[i].address + pieces[i].size;
        if (pieces[i].address - stretch.end > GAP || end - stretch.start > TM_READ_LIMIT)
            break;
        stretch.end = end;
    }
    stretch.count = i;
    return stretch;
}

struct tm_error *tm_gather_read(struct tm_gather *gather, struct tm_piece *pieces, size_t count)
{
    sort(pieces, count);
    for (size_t i = 0; i < count; i++) {
        struct tm_piece *piece = &pieces[i];
        bool is_new = false;
        bool possible = piece->size && piece->size <= TM_GATHER_LARGEST && piece->address % TM_GATHER_CELL == 0 &&
                        piece->address <= UINT64_MAX - piece->size;
        piece->bytes = NULL;
        piece->missing = 0;
        if (possible && !claim(gather, piece, &is_new))
            return tm_error_no_memory();
        piece->claimed = !is_new;
    }
    for (size_t i = 0; i < count;) {
        if (pieces[i].claimed) {
            i++;
            continue;
        }
        struct stretch stretch = find_stretch(gather, pieces + i, count - i);
        struct tm_error *error = read_stretch(&stretch);
        if (error)
            return error;
        i += stretch.count;
    }
    return NULL;
}
