/**
 * Records: chunk arithmetic, single reads, and bulk loading that survives missing pages.
 *
 * A loaded chunk is kept in pieces of a power of two of records, at most TM_READ_LIMIT bytes each, exactly as they
 * were read. A piece with missing pages has a bitmap of the whole records; a piece that is missing altogether has no
 * memory. The array's own count never makes an allocation larger than one piece.
 */
#include "engine/table/records.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/target/target.h"

// The smallest unit that a core leaves out.
#define PAGE ((uint64_t)4096)
#define PAGES_IN_PIECE (TM_READ_LIMIT / PAGE + 1) // a piece need not begin at a page

// A record of a later layout may be larger than ours, but not unbounded; the same for a first chunk.
#define RECORD_SIZE_LIMIT 4096u
#define FIRST_SHIFT_LIMIT 32u

// One missing MiB costs 511 failed reads until its last page is known to be missing. After so many failed reads,
// readable pages are not searched for any more: a piece is there or is not. After as many again the rest is given up.
#define FAILURES_TO_BISECT 4096u
#define FAILURES_TO_GIVE_UP (2 * FAILURES_TO_BISECT)

// The most that one array may take of the debugger's memory.
#define LOAD_LIMIT (UINT64_C(4) << 30)

struct piece {
    unsigned char *bytes; // NULL: all of it is missing
    uint8_t *whole;       // a bit for each record that is there; NULL: all are
};

struct tm_records_chunk {
    struct piece *pieces;
    size_t count; // pieces tried
    size_t capacity;
};

// ---------------------------------------------------------------------------------------------------------------
// Flaws

bool tm_flaw_corrupt(struct tm_flaw *flaw, uint64_t address)
{
    if (flaw->kind == TM_FLAW_NONE)
        *flaw = (struct tm_flaw){.kind = TM_FLAW_CORRUPT, .address = address};
    return false;
}

bool tm_flaw_unreadable(struct tm_flaw *flaw, uint64_t address, uint64_t bytes)
{
    if (flaw->kind == TM_FLAW_NONE)
        *flaw = (struct tm_flaw){.kind = TM_FLAW_UNREADABLE, .address = address, .bytes = bytes};
    return false;
}

void tm_damage_add(struct tm_damage *damage, const struct tm_flaw *flaw, uint64_t records)
{
    if (flaw->kind == TM_FLAW_NONE || records == 0)
        return;
    if (flaw->kind == TM_FLAW_UNREADABLE) {
        damage->unreadable_records = tm_add_saturating(damage->unreadable_records, records);
        damage->unreadable_bytes = tm_add_saturating(damage->unreadable_bytes, flaw->bytes);
    } else {
        damage->corrupt_records = tm_add_saturating(damage->corrupt_records, records);
    }
    if (damage->first_address == 0)
        damage->first_address = flaw->address;
}

// ---------------------------------------------------------------------------------------------------------------
// Chunks

const char *tm_array_check(const struct tm_array *array, uint32_t size)
{
    if (array->record_size < size || array->record_size > RECORD_SIZE_LIMIT)
        return "an impossible record size";
    if (size == 1 && array->record_size != 1)
        return "an impossible record size";
    if (array->first_shift > FIRST_SHIFT_LIMIT)
        return "an impossible first chunk";
    return NULL;
}

// As far as that can be judged without the bytes that it refers to.
static bool is_good(const struct tm_records *records, uint64_t id, const void *record)
{
    return !records->judge || records->judge(id, record) == TM_RECORD_GOOD;
}

static uint64_t chunk_records(const struct tm_records *records, unsigned index)
{
    return UINT64_C(1) << (records->array.first_shift + index);
}

// The id of a chunk's first record.
static uint64_t chunk_first(const struct tm_records *records, unsigned index)
{
    return chunk_records(records, index) - chunk_records(records, 0);
}

// How many records of the chunk are below the count.
static uint64_t chunk_used(const struct tm_records *records, unsigned index)
{
    uint64_t first = chunk_first(records, index);
    if (records->count <= first)
        return 0;
    uint64_t used = records->count - first;
    return used < chunk_records(records, index) ? used : chunk_records(records, index);
}

struct place {
    unsigned chunk;
    uint64_t index; // in the chunk
};

// For ids below the count, which is within TM_ARRAY_CHUNKS chunks.
static struct place place_of(const struct tm_records *records, uint64_t id)
{
    uint64_t number = id + chunk_records(records, 0);
    unsigned log2 = 63u - (unsigned)__builtin_clzll(number);
    return (struct place){log2 - records->array.first_shift, number - (UINT64_C(1) << log2)};
}

void tm_records_init(struct tm_records *records, struct tm_target *target, const struct tm_array *array,
                     uint64_t array_address, uint64_t limit, tm_record_judge judge)
{
    *records = (struct tm_records){.target = target, .array = *array, .array_address = array_address, .judge = judge};
    records->piece_shift = 63u - (unsigned)__builtin_clzll(TM_READ_LIMIT / array->record_size);
    uint64_t reach = chunk_first(records, TM_ARRAY_CHUNKS);
    if (limit > reach)
        limit = reach;
    records->count = array->count < limit ? array->count : limit;
    if (array->count > records->count) {
        struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = array_address};
        tm_damage_add(&records->claimed, &flaw, array->count - records->count);
    }
    records->damage = records->claimed;
    if (records->count == 0)
        records->count = 1;
}

bool tm_records_extent(const struct tm_records *records, unsigned index, uint64_t *address, uint64_t *length)
{
    *address = records->array.chunk[index];
    if (__builtin_mul_overflow(chunk_used(records, index), (uint64_t)records->array.record_size, length))
        return false;
    return *address != 0 && *length != 0 && *address <= UINT64_MAX - *length;
}

bool tm_records_copy_extent(const struct tm_records *records, unsigned index, uint64_t *address, uint64_t *length)
{
    *address = index < TM_ARRAY_COPIES ? records->array.copy[index] : 0;
    if (__builtin_mul_overflow(chunk_used(records, index), (uint64_t)records->array.record_size, length))
        return false;
    return *address != 0 && *length != 0 && *address <= UINT64_MAX - *length;
}

// The address of record `id` in the copy of its chunk; 0: there is no copy.
static uint64_t copy_address(const struct tm_records *records, uint64_t id)
{
    struct place place = place_of(records, id);
    uint64_t address, length;
    if (!tm_records_copy_extent(records, place.chunk, &address, &length))
        return 0;
    return address + place.index * records->array.record_size;
}

uint64_t tm_records_address(const struct tm_records *records, uint64_t id)
{
    if (id >= records->count)
        return 0;
    struct place place = place_of(records, id);
    uint64_t address, length;
    if (!tm_records_extent(records, place.chunk, &address, &length))
        return 0;
    return address + place.index * records->array.record_size;
}

uint64_t tm_records_run(const struct tm_records *records, uint64_t id)
{
    if (tm_records_address(records, id) == 0)
        return 0;
    struct place place = place_of(records, id);
    return chunk_used(records, place.chunk) - place.index;
}

// ---------------------------------------------------------------------------------------------------------------
// Loading

struct loader {
    struct tm_records *records;
    const struct tm_host *host;
    const char *what;
    unsigned failures;
    bool stopped; // in the middle of a bisection
    // The piece being read.
    uint64_t address;
    uint64_t copy; // the same piece in the copy of its chunk; 0: there is none
    uint64_t length;
    unsigned char *bytes;
    bool missing[PAGES_IN_PIECE];
    uint64_t bytes_missing;
};

static size_t page_in_piece(const struct loader *loader, uint64_t address)
{
    return (size_t)(address / PAGE - loader->address / PAGE);
}

static bool try_range(struct loader *loader, uint64_t from, uint64_t to)
{
    struct tm_records *records = loader->records;
    if (tm_target_try_read(records->target, from, loader->bytes + (from - loader->address), to - from)) {
        records->bytes_loaded += to - from;
        return true;
    }
    loader->failures++;
    return false;
}

// What cannot be read is taken from the copy, if there is one, or noted as missing.
static void set_missing(struct loader *loader, uint64_t from, uint64_t to)
{
    uint64_t offset = from - loader->address;
    if (loader->copy &&
        tm_target_try_read(loader->records->target, loader->copy + offset, loader->bytes + offset, to - from)) {
        loader->records->bytes_loaded += to - from;
        return;
    }
    loader->bytes_missing += to - from;
    // By page number, since the last page of the address space has no end address.
    for (uint64_t page = from / PAGE; page <= (to - 1) / PAGE; page++)
        loader->missing[page - loader->address / PAGE] = true;
}

// [from, to) could not be read as a whole: read what can be read of it. At most 9 calls deep: it halves 257 pages.
static void bisect(struct loader *loader, uint64_t from, uint64_t to)
{
    uint64_t first_page = from / PAGE, last_page = (to - 1) / PAGE;
    loader->stopped = loader->stopped || tm_host_should_stop(loader->host);
    if (first_page == last_page || loader->failures >= FAILURES_TO_BISECT || loader->stopped) {
        set_missing(loader, from, to);
        return;
    }
    uint64_t middle = (first_page + (last_page - first_page + 1) / 2) * PAGE;
    if (!try_range(loader, from, middle))
        bisect(loader, from, middle);
    if (!try_range(loader, middle, to))
        bisect(loader, middle, to);
}

static bool record_is_whole(const struct loader *loader, uint64_t index)
{
    uint64_t size = loader->records->array.record_size;
    uint64_t start = loader->address + index * size;
    for (size_t page = page_in_piece(loader, start); page <= page_in_piece(loader, start + size - 1); page++) {
        if (loader->missing[page])
            return false;
    }
    return true;
}

// Sets the piece's bitmap; returns how many records are not whole, or UINT64_MAX if there is no memory.
static uint64_t mark_whole(const struct loader *loader, struct piece *piece, uint64_t count)
{
    piece->whole = calloc((size_t)(count / 8 + 1), 1);
    if (!piece->whole)
        return UINT64_MAX;
    uint64_t lost = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (record_is_whole(loader, i))
            piece->whole[i / 8] |= (uint8_t)(1u << i % 8);
        else
            lost++;
    }
    return lost;
}

// Read `count` records into a piece; *lost is how many of them are missing.
static struct tm_error *load_piece(struct loader *loader, uint64_t address, uint64_t copy, uint64_t count,
                                   struct piece *piece, uint64_t *lost)
{
    loader->address = address;
    loader->copy = copy;
    loader->length = count * loader->records->array.record_size;
    loader->bytes_missing = 0;
    *lost = 0;
    *piece = (struct piece){.bytes = malloc((size_t)loader->length)};
    if (!piece->bytes)
        return tm_error_no_memory();
    loader->bytes = piece->bytes;
    if (try_range(loader, address, address + loader->length))
        return NULL;

    memset(loader->missing, 0, sizeof(loader->missing));
    bisect(loader, address, address + loader->length);
    if (loader->stopped)
        return tm_host_stopped();
    if (loader->bytes_missing < loader->length) {
        *lost = mark_whole(loader, piece, count);
        return *lost == UINT64_MAX ? tm_error_no_memory() : NULL;
    }
    free(piece->bytes);
    piece->bytes = NULL;
    *lost = count;
    return NULL;
}

static bool is_whole(const struct piece *piece, uint64_t index)
{
    return !piece->whole || piece->whole[index / 8] >> index % 8 & 1;
}

// Take the copies of those records of the piece which are not good, where the copies are. `id` is the first one's.
static struct tm_error *repair_piece(struct loader *loader, struct piece *piece, uint64_t id, uint64_t count,
                                     uint64_t *lost)
{
    const struct tm_records *records = loader->records;
    uint64_t size = records->array.record_size;
    unsigned char *copies = NULL;
    bool copies_are_whole = false;
    if (!loader->copy || !records->judge || !piece->bytes)
        return NULL;
    for (uint64_t i = id == 0; i < count; i++) {
        unsigned char *record = piece->bytes + i * size;
        bool whole = is_whole(piece, i);
        if (whole && is_good(records, id + i, record))
            continue;
        if (!copies) {
            copies = malloc((size_t)(count * size));
            if (!copies)
                return tm_error_no_memory();
            copies_are_whole = tm_target_try_read(records->target, loader->copy, copies, count * size);
        }
        unsigned char *copy = copies + i * size;
        if (!copies_are_whole && !tm_target_try_read(records->target, loader->copy + i * size, copy, size))
            continue;
        if (!is_good(records, id + i, copy))
            continue;
        memcpy(record, copy, (size_t)size);
        if (!whole) {
            piece->whole[i / 8] |= (uint8_t)(1u << i % 8);
            --*lost;
        }
    }
    free(copies);
    return NULL;
}

static struct piece *add_piece(struct tm_records_chunk *chunk)
{
    if (!TM_GROW(&chunk->pieces, chunk->count + 1, &chunk->capacity))
        return NULL;
    chunk->pieces[chunk->count] = (struct piece){NULL, NULL};
    return &chunk->pieces[chunk->count++];
}

static bool gave_up(const struct loader *loader)
{
    return loader->failures >= FAILURES_TO_GIVE_UP || loader->records->bytes_loaded >= LOAD_LIMIT;
}

static struct tm_error *load_chunk(struct loader *loader, unsigned index)
{
    struct tm_records *records = loader->records;
    uint64_t used = chunk_used(records, index), address, copy, length, done = 0;
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = records->array_address};
    if (used && !tm_records_extent(records, index, &address, &length)) {
        tm_damage_add(&records->damage, &flaw, used);
        return NULL;
    }
    if (!tm_records_copy_extent(records, index, &copy, &length))
        copy = 0;
    while (done < used && !gave_up(loader)) {
        struct tm_error *error = tm_host_check(loader->host);
        if (error)
            return error;
        uint64_t count = UINT64_C(1) << records->piece_shift, lost = 0;
        if (count > used - done)
            count = used - done;
        uint64_t offset = done * records->array.record_size, piece_address = address + offset;
        struct piece *piece = add_piece(&records->chunks[index]);
        error = piece ? load_piece(loader, piece_address, copy ? copy + offset : 0, count, piece, &lost)
                      : tm_error_no_memory();
        if (!error)
            error = repair_piece(loader, piece, chunk_first(records, index) + done, count, &lost);
        if (error)
            return error;
        if (index == 0 && done == 0 && lost && !record_is_whole(loader, 0))
            lost--; // the placeholder is no record
        flaw = (struct tm_flaw){TM_FLAW_UNREADABLE, piece_address, loader->bytes_missing};
        tm_damage_add(&records->damage, &flaw, lost);
        done += count;
        tm_host_progress(loader->host, loader->what, chunk_first(records, index) + done, records->count);
    }
    if (done < used) {
        uint64_t rest = (used - done) * records->array.record_size;
        flaw = (struct tm_flaw){TM_FLAW_UNREADABLE, address + done * records->array.record_size, rest};
        tm_damage_add(&records->damage, &flaw, used - done);
    }
    return NULL;
}

static void free_chunks(struct tm_records *records)
{
    for (unsigned i = 0; records->chunks && i < TM_ARRAY_CHUNKS; i++) {
        for (uint64_t j = 0; j < records->chunks[i].count; j++) {
            free(records->chunks[i].pieces[j].bytes);
            free(records->chunks[i].pieces[j].whole);
        }
        free(records->chunks[i].pieces);
    }
    free(records->chunks);
    records->chunks = NULL;
}

struct tm_error *tm_records_load(struct tm_records *records, const struct tm_host *host, const char *what)
{
    if (records->loaded)
        return NULL;
    struct loader loader = {.records = records, .host = host, .what = what};
    records->bytes_loaded = 0;
    records->chunks = calloc(TM_ARRAY_CHUNKS, sizeof(*records->chunks));
    struct tm_error *error = records->chunks ? NULL : tm_error_no_memory();
    // An array with nothing but its placeholder needs no chunk.
    for (unsigned i = 0; records->count > 1 && !error && i < TM_ARRAY_CHUNKS; i++)
        error = load_chunk(&loader, i);
    if (error) {
        free_chunks(records);
        records->damage = records->claimed;
        return error;
    }
    records->loaded = true;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Reading again

// What to do with a record that is not what it was.
typedef void (*change_handler)(const struct tm_records *records, uint64_t id, unsigned char *record);

static void forget_record(const struct tm_records *records, uint64_t id, unsigned char *record)
{
    (void)id;
    memset(record, 0, records->array.record_size);
}

// Both readings were equal: as no field ever shrinks, none changed in between.
static void read_until_equal(const struct tm_records *records, uint64_t id, unsigned char *record)
{
    enum { TRIES = 16 };
    unsigned char next[RECORD_SIZE_LIMIT];
    uint64_t address = tm_records_address(records, id), size = records->array.record_size;
    for (unsigned i = 0; i < TRIES && tm_target_try_read(records->target, address, next, size); i++) {
        bool equal = memcmp(record, next, (size_t)size) == 0;
        memcpy(record, next, (size_t)size);
        if (equal)
            return;
    }
}

// Compares a piece with what is there now.
static struct tm_error *compare_piece(struct loader *loader, struct piece *piece, unsigned chunk, uint64_t done,
                                      uint64_t count, change_handler handler, uint64_t *changed)
{
    struct tm_records *records = loader->records;
    uint64_t size = records->array.record_size, offset = done * size, first = chunk_first(records, chunk) + done;
    uint64_t address, copy, length, lost;
    struct piece now = {NULL, NULL};
    if (!piece->bytes || !tm_records_extent(records, chunk, &address, &length))
        return NULL;
    bool has_copy = tm_records_copy_extent(records, chunk, &copy, &length);
    struct tm_error *error = load_piece(loader, address + offset, has_copy ? copy + offset : 0, count, &now, &lost);
    if (!error)
        error = repair_piece(loader, &now, first, count, &lost);
    for (uint64_t i = first == 0; !error && i < count; i++) {
        unsigned char *record = piece->bytes + i * size;
        bool is_there = now.bytes && is_whole(&now, i);
        if (!is_whole(piece, i) || (is_there && memcmp(record, now.bytes + i * size, (size_t)size) == 0))
            continue;
        ++*changed;
        handler(records, first + i, record);
    }
    free(now.bytes);
    free(now.whole);
    return error;
}

static struct tm_error *read_again(struct tm_records *records, const struct tm_host *host, change_handler handler,
                                   uint64_t *changed)
{
    struct loader loader = {.records = records, .host = host};
    struct tm_error *error = NULL;
    *changed = 0;
    for (unsigned chunk = 0; records->loaded && chunk < TM_ARRAY_CHUNKS; chunk++) {
        uint64_t used = chunk_used(records, chunk);
        for (uint64_t j = 0; j < records->chunks[chunk].count && !error; j++) {
            uint64_t done = j << records->piece_shift, count = UINT64_C(1) << records->piece_shift;
            error = tm_host_check(host);
            if (!error)
                error = compare_piece(&loader, &records->chunks[chunk].pieces[j], chunk, done,
                                      count < used - done ? count : used - done, handler, changed);
        }
    }
    return error;
}

struct tm_error *tm_records_confirm(struct tm_records *records, const struct tm_host *host, uint64_t *changed)
{
    return read_again(records, host, forget_record, changed);
}

struct tm_error *tm_records_settle(struct tm_records *records, const struct tm_host *host)
{
    uint64_t changed;
    return read_again(records, host, read_until_equal, &changed);
}

void tm_records_deinit(struct tm_records *records)
{
    free_chunks(records);
    records->loaded = false;
}

// ---------------------------------------------------------------------------------------------------------------
// Access

// The bytes of a loaded record, or NULL.
static const unsigned char *loaded_record(const struct tm_records *records, struct place place)
{
    const struct tm_records_chunk *chunk = &records->chunks[place.chunk];
    unsigned shift = records->piece_shift;
    if (place.index >> shift >= chunk->count)
        return NULL;
    const struct piece *piece = &chunk->pieces[place.index >> shift];
    uint64_t index = place.index & ((UINT64_C(1) << shift) - 1);
    if (!piece->bytes || !is_whole(piece, index))
        return NULL;
    return piece->bytes + index * records->array.record_size;
}

uint64_t tm_records_skip(const struct tm_records *records, uint64_t id)
{
    while (records->loaded && id < records->count) {
        struct place place = place_of(records, id);
        const struct tm_records_chunk *chunk = &records->chunks[place.chunk];
        uint64_t number = place.index >> records->piece_shift;
        if (number < chunk->count && chunk->pieces[number].bytes)
            return id;
        if (number < chunk->count) // on to the next piece, or the next chunk
            place.index = (number + 1) << records->piece_shift;
        if (number >= chunk->count || place.index >= chunk_records(records, place.chunk))
            id = chunk_first(records, place.chunk + 1);
        else
            id = chunk_first(records, place.chunk) + place.index;
    }
    return id < records->count ? id : records->count;
}

uint64_t tm_records_end(const struct tm_records *records)
{
    for (unsigned k = TM_ARRAY_CHUNKS; records->loaded && k-- > 0;) {
        const struct tm_records_chunk *chunk = &records->chunks[k];
        for (uint64_t number = chunk->count; number-- > 0;) {
            uint64_t end = chunk_first(records, k) + ((number + 1) << records->piece_shift);
            if (chunk->pieces[number].bytes)
                return end < records->count ? end : records->count;
        }
    }
    return 1;
}

const void *tm_records_peek(const struct tm_records *records, uint64_t id)
{
    if (!records->loaded || id == 0 || id >= records->count)
        return NULL;
    return loaded_record(records, place_of(records, id));
}

bool tm_records_get(const struct tm_records *records, uint64_t id, void *record, size_t size, struct tm_flaw *flaw)
{
    if (id == 0 || id >= records->count || size > records->array.record_size)
        return tm_flaw_corrupt(flaw, records->array_address);
    const void *bytes = tm_records_peek(records, id);
    if (bytes) { // a copy was taken already where one is needed
        memcpy(record, bytes, size);
        return true;
    }
    uint64_t address = tm_records_address(records, id);
    if (address == 0)
        return tm_flaw_corrupt(flaw, records->array_address);
    if (records->loaded)
        return tm_flaw_unreadable(flaw, address, size);
    bool there = tm_target_try_read(records->target, address, record, size);
    if (there && is_good(records, id, record))
        return true;
    unsigned char copy[RECORD_SIZE_LIMIT];
    bool copied = tm_records_get_copy(records, id, copy, size) && is_good(records, id, copy);
    if (copied)
        memcpy(record, copy, size);
    return copied || there || tm_flaw_unreadable(flaw, address, size);
}

bool tm_records_get_copy(const struct tm_records *records, uint64_t id, void *record, size_t size)
{
    uint64_t address = id && id < records->count && size <= records->array.record_size ? copy_address(records, id) : 0;
    return address && tm_target_try_read(records->target, address, record, size);
}

bool tm_records_in_chunk(const struct tm_records *records, uint64_t position, uint64_t length)
{
    if (position > records->count || length > records->count - position)
        return false;
    return length == 0 || place_of(records, position).chunk == place_of(records, position + length - 1).chunk;
}

static bool loaded_bytes(const struct tm_records *records, struct place place, uint64_t length, unsigned char *to)
{
    const struct tm_records_chunk *chunk = &records->chunks[place.chunk];
    uint64_t piece_size = UINT64_C(1) << records->piece_shift;
    while (length) {
        uint64_t number = place.index / piece_size, index = place.index % piece_size;
        if (number >= chunk->count || !chunk->pieces[number].bytes)
            return false;
        const struct piece *piece = &chunk->pieces[number];
        uint64_t part = length < piece_size - index ? length : piece_size - index;
        for (uint64_t i = index; i < index + part; i++) {
            if (!is_whole(piece, i))
                return false;
        }
        memcpy(to, piece->bytes + index, (size_t)part);
        to += part;
        place.index += part;
        length -= part;
    }
    return true;
}

bool tm_records_bytes(const struct tm_records *records, uint64_t position, uint64_t length, void *buffer,
                      struct tm_flaw *flaw)
{
    if (!tm_records_in_chunk(records, position, length) || length > TM_READ_LIMIT)
        return tm_flaw_corrupt(flaw, records->array_address);
    if (length == 0)
        return true;
    uint64_t address = tm_records_address(records, position);
    if (address == 0)
        return tm_flaw_corrupt(flaw, records->array_address);
    bool there = records->loaded ? loaded_bytes(records, place_of(records, position), length, buffer)
                                 : tm_target_try_read(records->target, address, buffer, length);
    return there || tm_records_bytes_copy(records, position, length, buffer) ||
           tm_flaw_unreadable(flaw, address, length);
}

bool tm_records_bytes_copy(const struct tm_records *records, uint64_t position, uint64_t length, void *buffer)
{
    if (!length || !tm_records_in_chunk(records, position, length) || length > TM_READ_LIMIT)
        return false;
    uint64_t address = copy_address(records, position);
    return address && tm_target_try_read(records->target, address, buffer, length);
}
