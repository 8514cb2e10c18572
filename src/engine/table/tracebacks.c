/**
 * Tracebacks: following nodes towards the oldest frame, and decoding code objects and lines on the way.
 */
#include "engine/table/tracebacks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "layout/hash.h"
#include "layout/lines.h"

// How much of a line table is read first; most are shorter.
#define TABLE_FIRST_READ 512u
// A line table of more than so many bytes has a checkpoint at each so many entries.
#define LONG_TABLE 512u
#define CHECKPOINT_DISTANCE 64u
// No two strings or line tables share bytes; this bounds the work for a table in which they overlap without end.
#define BYTES_FACTOR 8u
#define BYTES_AT_LEAST (UINT64_C(64) << 20)
// Frames are shared, and yet each traceback is as long as it is: this bounds the time that a hostile table can take.
#define FRAMES_LIMIT (UINT64_C(1) << 27)
#define FRAMES_BETWEEN_CHECKS 16384u

struct name_entry {
    const struct tm_name *name; // NULL: flaw
    struct tm_flaw flaw;
};

struct code_entry {
    struct tm_flaw flaw; // NONE: the rest is good
    uint64_t address;    // of the record
    const struct tm_name *file_name;
    const struct tm_name *function; // NULL: not known
    uint32_t code_length;
    struct tm_lines lines;
    uint8_t *table; // the bytes of `lines`
    struct tm_line_cursor *checkpoints;
    uint32_t checkpoint_count;
};

// A decoded instruction: an entry of an open hash table, kept small, since most look-ups miss the cache.
struct tm_known_frame {
    uint64_t hash; // of the key: equal only if the keys are
    union {
        const struct tm_frame *frame; // the pool's
        struct tm_flaw *flaw;
    };
    enum { FRAME_FREE, FRAME_GOOD, FRAME_FLAWED } state;
};

struct tm_error *tm_tracebacks_init(struct tm_tracebacks *tracebacks, const struct tm_traceback_records *records,
                                    struct tm_pool *pool, const struct tm_host *host)
{
    *tracebacks = (struct tm_tracebacks){.records = *records, .pool = pool, .host = host, .frames_left = FRAMES_LIMIT};
    tracebacks->bytes_left = BYTES_AT_LEAST + BYTES_FACTOR * records->bytes->bytes_loaded;
    tracebacks->new_frames = malloc(TM_TRACEBACK_LIMIT * sizeof(*tracebacks->new_frames));
    tracebacks->new_nodes = malloc(TM_TRACEBACK_LIMIT * sizeof(*tracebacks->new_nodes));
    // No more memory than there are nodes, whatever the root says.
    tracebacks->path_count = records->nodes->loaded ? tm_records_end(records->nodes) : 0;
    tracebacks->paths = calloc(tracebacks->path_count + 1, sizeof(*tracebacks->paths));
    if (!tracebacks->new_frames || !tracebacks->new_nodes || !tracebacks->paths)
        return tm_error_no_memory();
    struct tm_frame unrecorded = {.not_recorded = true};
    struct tm_error *error = tm_pool_name(pool, "<unknown>", 9, &unrecorded.file_name);
    tracebacks->unknown = unrecorded.file_name;
    return error ? error : tm_pool_frame(pool, &unrecorded, &tracebacks->unrecorded);
}

void tm_tracebacks_deinit(struct tm_tracebacks *tracebacks)
{
    // Line tables grow, so they are not in the arena.
    for (size_t i = 0; i < tracebacks->codes.capacity; i++) {
        struct code_entry *code = tracebacks->codes.entries[i].item;
        if (!code)
            continue;
        free(code->table);
        free(code->checkpoints);
    }
    tm_set_deinit(&tracebacks->names);
    tm_set_deinit(&tracebacks->codes);
    free(tracebacks->known);
    tracebacks->known = NULL;
    tm_arena_deinit(&tracebacks->arena);
    free(tracebacks->new_frames);
    free(tracebacks->new_nodes);
    free(tracebacks->paths);
    tracebacks->new_frames = NULL;
    tracebacks->new_nodes = NULL;
    tracebacks->paths = NULL;
}

// The flaw of a remembered entry. Missing memory is counted the first time only.
static struct tm_flaw take_flaw(struct tm_flaw *flaw)
{
    struct tm_flaw taken = *flaw;
    flaw->bytes = 0;
    return taken;
}

// The entry of a key, all zero if it is new (*is_new); NULL: no memory.
static inline void *remember(struct tm_tracebacks *tracebacks, struct tm_set *set, uint64_t key, size_t size,
                             bool *is_new)
{
    *is_new = false;
    if (!tm_set_reserve(set))
        return NULL;
    struct tm_set_entry *entry = tm_set_find_number(set, key);
    if (!entry->item) {
        void *item = tm_arena_allocate(&tracebacks->arena, size);
        if (!item)
            return NULL;
        memset(item, 0, size);
        tm_set_put_number(set, entry, key, item);
        *is_new = true;
    }
    return entry->item;
}

// A record and the bytes that it refers to may each be damaged and have a copy: which of them to take.
enum { TAKE_CHUNKS = 0, TAKE_COPY_OF_RECORD = 1, TAKE_COPY_OF_BYTES = 2, TAKES = 4 };

static bool get_record(const struct tm_records *records, unsigned take, uint32_t id, void *record, size_t size,
                       struct tm_flaw *flaw)
{
    if (take & TAKE_COPY_OF_RECORD)
        return tm_records_get_copy(records, id, record, size) || tm_flaw_corrupt(flaw, 0);
    return tm_records_get(records, id, record, size, flaw);
}

// Bytes [from, to) of a range at `position` that is known to be in one chunk.
static bool copy_bytes(struct tm_tracebacks *tracebacks, unsigned take, tm_position position, uint32_t from,
                       uint32_t to, uint8_t *buffer, struct tm_flaw *flaw)
{
    if (to - from > tracebacks->bytes_left)
        return tm_flaw_corrupt(flaw, tracebacks->records.bytes->array_address);
    tracebacks->bytes_left -= to - from;
    while (from < to) {
        uint32_t part = to - from < TM_READ_LIMIT ? to - from : (uint32_t)TM_READ_LIMIT;
        if (take & TAKE_COPY_OF_BYTES) {
            if (!tm_records_bytes_copy(tracebacks->records.bytes, position + from, part, buffer + from))
                return tm_flaw_corrupt(flaw, 0);
        } else if (!tm_records_bytes(tracebacks->records.bytes, position + from, part, buffer + from, flaw)) {
            return false;
        }
        from += part;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// Names

static struct tm_error *decode_name_from(struct tm_tracebacks *tracebacks, unsigned take, uint32_t id,
                                         struct name_entry *entry)
{
    struct tm_string string;
    if (!get_record(tracebacks->records.strings, take, id, &string, sizeof(string), &entry->flaw))
        return NULL;
    // No name needs more. A longer one would only make the debugger allocate.
    if (!tm_records_in_chunk(tracebacks->records.bytes, string.position, string.length) ||
        string.length > TM_READ_LIMIT) {
        tm_flaw_corrupt(&entry->flaw, tm_records_address(tracebacks->records.strings, id));
        return NULL;
    }
    uint8_t *bytes = malloc((size_t)string.length + 1);
    if (!bytes)
        return tm_error_no_memory();
    struct tm_error *error = NULL;
    bool good = copy_bytes(tracebacks, take, string.position, 0, string.length, bytes, &entry->flaw);
    if (good && tm_string_hash(bytes, string.length) != string.hash)
        good = tm_flaw_corrupt(&entry->flaw, tm_records_address(tracebacks->records.strings, id));
    if (good)
        error = tm_pool_name(tracebacks->pool, (const char *)bytes, string.length, &entry->name);
    free(bytes);
    return error;
}

// The first flaw counts, if all that could be taken is flawed.
static struct tm_error *decode_name(struct tm_tracebacks *tracebacks, uint32_t id, struct name_entry *entry)
{
    struct tm_error *error = decode_name_from(tracebacks, TAKE_CHUNKS, id, entry);
    for (unsigned take = 1; take < TAKES && !error && entry->flaw.kind != TM_FLAW_NONE; take++) {
        struct name_entry other = {.name = NULL};
        error = decode_name_from(tracebacks, take, id, &other);
        if (!error && other.flaw.kind == TM_FLAW_NONE)
            *entry = other;
    }
    return error;
}

static struct tm_error *find_name(struct tm_tracebacks *tracebacks, uint32_t id, struct name_entry **result)
{
    bool is_new;
    *result = remember(tracebacks, &tracebacks->names, id, sizeof(**result), &is_new);
    if (!*result)
        return tm_error_no_memory();
    return is_new ? decode_name(tracebacks, id, *result) : NULL;
}

static struct tm_error *get_file_name(struct tm_tracebacks *tracebacks, uint32_t id, struct code_entry *code)
{
    if (id == TM_STRING_UNKNOWN) {
        code->file_name = tracebacks->unknown;
        return NULL;
    }
    struct name_entry *entry;
    struct tm_error *error = find_name(tracebacks, id, &entry);
    if (error)
        return error;
    code->file_name = entry->name;
    code->flaw = take_flaw(&entry->flaw);
    return NULL;
}

// A function whose name cannot be read costs no traceback: the name is left out of what is shown.
static struct tm_error *get_function(struct tm_tracebacks *tracebacks, uint32_t id, struct code_entry *code)
{
    if (id == TM_STRING_UNKNOWN)
        return NULL;
    struct name_entry *entry;
    struct tm_error *error = find_name(tracebacks, id, &entry);
    if (!error)
        code->function = entry->name;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Codes and their lines

// Read a code object's line table. Allocates at most twice what was read, plus the first read.
static struct tm_error *read_table(struct tm_tracebacks *tracebacks, unsigned take, const struct tm_code *code,
                                   struct code_entry *entry)
{
    uint32_t length = code->line_table_length;
    for (uint32_t have = 0; have < length;) {
        uint32_t next = have ? have : TABLE_FIRST_READ, want = length - have > next ? have + next : length;
        uint8_t *grown = realloc(entry->table, want);
        if (!grown)
            return tm_error_no_memory();
        entry->table = grown;
        if (!copy_bytes(tracebacks, take, code->line_table, have, want, grown, &entry->flaw))
            return NULL;
        have = want;
    }
    entry->lines = (struct tm_lines){entry->table, length, code->line_table_kind, code->first_line};
    return NULL;
}

// All of a code object but its names.
static struct tm_error *decode_lines_from(struct tm_tracebacks *tracebacks, unsigned take, uint32_t id,
                                          struct code_entry *entry, struct tm_code *result)
{
    struct tm_code code;
    if (!get_record(tracebacks->records.codes, take, id, &code, sizeof(code), &entry->flaw))
        return NULL;
    entry->address = tm_records_address(tracebacks->records.codes, id);
    entry->code_length = code.code_length;
    if (code.line_table_kind > TM_LINES_LOCATIONS || code.code_length > INT32_MAX ||
        !tm_records_in_chunk(tracebacks->records.bytes, code.line_table, code.line_table_length)) {
        tm_flaw_corrupt(&entry->flaw, entry->address);
        return NULL;
    }
    struct tm_error *error = read_table(tracebacks, take, &code, entry);
    if (error || entry->flaw.kind != TM_FLAW_NONE)
        return error;
    if (tm_code_hash(&code, entry->table) != code.hash)
        tm_flaw_corrupt(&entry->flaw, entry->address);
    *result = code;
    return NULL;
}

static struct tm_error *decode_code(struct tm_tracebacks *tracebacks, uint32_t id, struct code_entry *entry)
{
    struct tm_code code;
    struct tm_error *error = decode_lines_from(tracebacks, TAKE_CHUNKS, id, entry, &code);
    for (unsigned take = 1; take < TAKES && !error && entry->flaw.kind != TM_FLAW_NONE; take++) {
        struct code_entry other = {.table = NULL};
        error = decode_lines_from(tracebacks, take, id, &other, &code);
        bool good = !error && other.flaw.kind == TM_FLAW_NONE;
        free(good ? entry->table : other.table);
        if (good)
            *entry = other;
    }
    if (error || entry->flaw.kind != TM_FLAW_NONE)
        return error;
    error = get_file_name(tracebacks, code.filename, entry);
    if (error || entry->flaw.kind != TM_FLAW_NONE)
        return error;
    return get_function(tracebacks, code.qualname, entry);
}

static struct tm_error *get_code(struct tm_tracebacks *tracebacks, uint32_t id, struct code_entry **result)
{
    bool is_new;
    *result = remember(tracebacks, &tracebacks->codes, id, sizeof(**result), &is_new);
    if (!*result)
        return tm_error_no_memory();
    return is_new ? decode_code(tracebacks, id, *result) : NULL;
}

// Where decoding of a long table may begin: a cursor at every CHECKPOINT_DISTANCE entries.
static struct tm_error *make_checkpoints(struct code_entry *code)
{
    // An entry takes at least one byte.
    uint32_t capacity = code->lines.length / CHECKPOINT_DISTANCE + 1;
    code->checkpoints = malloc(capacity * sizeof(*code->checkpoints));
    if (!code->checkpoints)
        return tm_error_no_memory();
    struct tm_line_cursor cursor;
    tm_line_cursor_init(&cursor, &code->lines);
    uint32_t entries = 0;
    do {
        if (entries++ % CHECKPOINT_DISTANCE == 0)
            code->checkpoints[code->checkpoint_count++] = cursor;
    } while (code->checkpoint_count < capacity && tm_line_cursor_next(&cursor, &code->lines));
    return NULL;
}

static void start_cursor(const struct code_entry *code, uint64_t offset, struct tm_line_cursor *cursor)
{
    uint32_t low = 0, high = code->checkpoint_count;
    while (low < high) { // the last checkpoint that starts at or before the offset
        uint32_t middle = low + (high - low) / 2;
        if (code->checkpoints[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low)
        *cursor = code->checkpoints[low - 1];
    else
        tm_line_cursor_init(cursor, &code->lines);
}

static struct tm_error *find_line(struct code_entry *code, uint64_t offset, int64_t *line)
{
    if (code->lines.length > LONG_TABLE && !code->checkpoints) {
        struct tm_error *error = make_checkpoints(code);
        if (error)
            return error;
    }
    struct tm_line_cursor cursor;
    start_cursor(code, offset, &cursor);
    *line = tm_line_cursor_seek(&cursor, &code->lines, offset) ? cursor.line : TM_LINE_NONE;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

static uint32_t first_line(const struct code_entry *code)
{
    return code->lines.first_line > 0 ? (uint32_t)code->lines.first_line & INT32_MAX : 0;
}

static struct tm_error *decode_frame(struct tm_tracebacks *tracebacks, uint32_t code_id, int32_t instruction,
                                     struct tm_frame *frame, struct tm_flaw *flaw)
{
    if (code_id == TM_CODE_UNKNOWN) {
        *frame = (struct tm_frame){.file_name = tracebacks->unknown};
        return NULL;
    }
    struct code_entry *code;
    struct tm_error *error = get_code(tracebacks, code_id, &code);
    if (error)
        return error;
    *flaw = take_flaw(&code->flaw);
    if (flaw->kind != TM_FLAW_NONE)
        return NULL;
    if (instruction >= 0 && (uint32_t)instruction >= code->code_length) {
        tm_flaw_corrupt(flaw, code->address);
        return NULL;
    }
    int64_t line = code->lines.first_line;
    if (instruction >= 0 && code->lines.kind != TM_LINES_NONE)
        error = find_line(code, (uint64_t)instruction, &line);
    if (line > INT32_MAX)
        tm_flaw_corrupt(flaw, code->address);
    // tracemalloc stores 0 where CPython gives a negative line.
    *frame = (struct tm_frame){.file_name = code->file_name,
                               .line = line < 0 ? 0 : (uint32_t)line,
                               .first_line = first_line(code),
                               .function = code->function};
    return error;
}

static struct tm_known_frame *find_frame(struct tm_known_frame *frames, size_t capacity, uint64_t hash)
{
    size_t i = hash & (capacity - 1);
    while (frames[i].state != FRAME_FREE && frames[i].hash != hash)
        i = (i + 1) & (capacity - 1);
    return &frames[i];
}

static bool grow_frames(struct tm_tracebacks *tracebacks)
{
    size_t capacity = tracebacks->known_capacity ? tracebacks->known_capacity * 2 : 256;
    struct tm_known_frame *grown = calloc(capacity, sizeof(*grown));
    if (!grown)
        return false;
    for (size_t i = 0; i < tracebacks->known_capacity; i++) {
        if (tracebacks->known[i].state != FRAME_FREE)
            *find_frame(grown, capacity, tracebacks->known[i].hash) = tracebacks->known[i];
    }
    free(tracebacks->known);
    tracebacks->known = grown;
    tracebacks->known_capacity = capacity;
    return true;
}

static struct tm_error *learn_frame(struct tm_tracebacks *tracebacks, const struct tm_node *node,
                                    struct tm_known_frame *known)
{
    struct tm_frame frame = {0};
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    struct tm_error *error = decode_frame(tracebacks, node->code, node->instruction, &frame, &flaw);
    if (error)
        return error;
    if (flaw.kind == TM_FLAW_NONE) {
        error = tm_pool_frame(tracebacks->pool, &frame, &known->frame);
        known->state = error ? FRAME_FREE : FRAME_GOOD;
        return error;
    }
    known->flaw = tm_arena_allocate(&tracebacks->arena, sizeof(flaw));
    if (!known->flaw)
        return tm_error_no_memory();
    *known->flaw = flaw;
    known->state = FRAME_FLAWED;
    return NULL;
}

// The frame of a node, or a flaw.
static struct tm_error *get_frame(struct tm_tracebacks *tracebacks, uint32_t id, const struct tm_node *node,
                                  const struct tm_frame **frame, struct tm_flaw *flaw)
{
    if (node->code == TM_CODE_UNKNOWN && id != TM_NODE_UNKNOWN) {
        *frame = tracebacks->unrecorded;
        return NULL;
    }
    uint64_t key = (uint64_t)node->code << 32 | (uint32_t)node->instruction;
    if (tracebacks->known_count >= tracebacks->known_capacity / 2 && !grow_frames(tracebacks))
        return tm_error_no_memory();
    uint64_t hash = tm_hash_number(key);
    struct tm_known_frame *known = find_frame(tracebacks->known, tracebacks->known_capacity, hash);
    if (known->state == FRAME_FREE) {
        struct tm_error *error = learn_frame(tracebacks, node, known);
        if (error)
            return error;
        known->hash = hash;
        tracebacks->known_count++;
    }
    if (known->state == FRAME_GOOD)
        *frame = known->frame;
    else
        *flaw = take_flaw(known->flaw);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Paths

// Get a node that is as it was written, makes sense and has this depth (0: any).
static bool get_node(const struct tm_tracebacks *tracebacks, uint32_t id, uint32_t depth, struct tm_node *node,
                     struct tm_flaw *flaw)
{
    const struct tm_records *nodes = tracebacks->records.nodes;
    const void *bytes = tm_records_peek(nodes, id);
    if (bytes)
        memcpy(node, bytes, sizeof(*node));
    else if (!tm_records_get(nodes, id, node, sizeof(*node), flaw))
        return false;
    if (node->hash != tm_node_hash(id, node) || node->depth == 0 || (depth && node->depth != depth) ||
        (node->depth == 1) != (node->parent == 0))
        return tm_flaw_corrupt(flaw, tm_records_address(nodes, id));
    return true;
}

static struct tm_error *spend_frames(struct tm_tracebacks *tracebacks, uint64_t count)
{
    if (count > tracebacks->frames_left)
        return tm_error_create(TM_ERROR_NO_MEMORY,
                               "the tracebacks of this table have more than %llu million frames together: too many to "
                               "follow",
                               (unsigned long long)(FRAMES_LIMIT >> 20));
    uint64_t left = tracebacks->frames_left - count;
    bool check = left / FRAMES_BETWEEN_CHECKS != tracebacks->frames_left / FRAMES_BETWEEN_CHECKS;
    tracebacks->frames_left = left;
    return check ? tm_host_check(tracebacks->host) : NULL;
}

// The node's path, if another traceback went through it at this depth; or NULL.
static const struct tm_traceback *known_path(const struct tm_tracebacks *tracebacks, uint32_t id, uint32_t depth)
{
    const struct tm_traceback *path = id < tracebacks->path_count ? tracebacks->paths[id] : NULL;
    return path && path->count == depth ? path : NULL;
}

// From a node at this depth towards the oldest one, as far as no path is known. Fills the new frames, by their depth less
// one. *path: the known one. *missing: how many could not be had, because of the flaw. Depths
// count down, so the walk ends.
static struct tm_error *walk(struct tm_tracebacks *tracebacks, uint32_t id, uint32_t depth,
                             const struct tm_traceback **path, uint32_t *missing, struct tm_flaw *flaw)
{
    *missing = 0;
    while (depth > 0 && !(*path = known_path(tracebacks, id, depth))) {
        struct tm_node node;
        struct tm_error *error = NULL;
        if (get_node(tracebacks, id, depth, &node, flaw))
            error = get_frame(tracebacks, id, &node, &tracebacks->new_frames[depth - 1], flaw);
        if (error || flaw->kind != TM_FLAW_NONE) {
            *missing = depth;
            return error;
        }
        tracebacks->new_nodes[depth - 1] = id;
        id = node.parent;
        depth--;
    }
    return NULL;
}

// The path to a node at this depth, or, if some are missing, what is newer than these.
static struct tm_error *get_path(struct tm_tracebacks *tracebacks, uint32_t id, uint32_t depth,
                                 const struct tm_traceback **path, uint32_t *missing, struct tm_flaw *flaw)
{
    *path = NULL;
    struct tm_error *error = walk(tracebacks, id, depth, path, missing, flaw);
    uint32_t known = *path ? (*path)->count : *missing;
    for (uint32_t i = known; i < depth && !error; i++) {
        error = tm_pool_older(tracebacks->pool, *path, tracebacks->new_frames[i], path);
        if (!error && *missing == 0 && tracebacks->new_nodes[i] < tracebacks->path_count)
            tracebacks->paths[tracebacks->new_nodes[i]] = *path;
    }
    return error;
}

struct tm_error *tm_tracebacks_get(struct tm_tracebacks *tracebacks, uint32_t node_id, uint32_t total_frames, bool cut,
                                   const struct tm_traceback **result, struct tm_flaw *flaw)
{
    *result = NULL;
    struct tm_node node;
    if (!get_node(tracebacks, node_id, 0, &node, flaw))
        return NULL;
    const struct tm_traceback *older;
    const struct tm_frame *frame;
    uint32_t count = node.depth, missing;
    if (total_frames < count) {
        tm_flaw_corrupt(flaw, tm_records_address(tracebacks->records.nodes, node_id));
        return NULL;
    }
    if (cut && total_frames == count)
        total_frames = TM_TOTAL_UNKNOWN;
    struct tm_error *error = spend_frames(tracebacks, count);
    if (!error)
        error = get_frame(tracebacks, node_id, &node, &frame, flaw);
    if (error || flaw->kind != TM_FLAW_NONE)
        return error;
    error = get_path(tracebacks, node.parent, count - 1, &older, &missing, flaw);
    return error ? error : tm_pool_newest(tracebacks->pool, older, frame, total_frames, missing > 0, result);
}
