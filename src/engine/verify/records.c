/**
 * Verifying strings, code objects, nodes and sites, in this order: each refers only to the ones before it, or to nodes of a
 * smaller depth, and is good if they are. One pass over each array, of nodes by their depths; no path is followed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/base/utf8.h"
#include "engine/table/sites.h"
#include "engine/verify/parts.h"
#include "layout/hash.h"

#define UNKNOWN "<unknown>"

// A loop over the records that can be read; `id` and `bytes` are the current one.
struct cursor {
    const struct tm_records *records;
    const struct tm_host *host;
    uint64_t id;
    const void *bytes;
    struct tm_error *error;
};

static bool next(struct cursor *cursor)
{
    for (;;) {
        cursor->id = tm_records_skip(cursor->records, cursor->id + 1);
        if (cursor->id >= cursor->records->count)
            return false;
        if (cursor->id % TM_VERIFY_BETWEEN_CHECKS == 0)
            cursor->error = tm_host_check(cursor->host);
        if (cursor->error)
            return false;
        cursor->bytes = tm_records_peek(cursor->records, cursor->id);
        if (cursor->bytes)
            return true;
    }
}

#define CURSOR(verifier, name)                                                 \
    {                                                                          \
        .records = &(verifier)->table->name, .host = (verifier)->host, .id = 0 \
    }

// Copies what a record refers to. NULL with *why: it is wrong. NULL without: it cannot be read, which is a finding
// already.
static unsigned char *take_bytes(struct tm_verifier *verifier, uint64_t position, uint64_t length, const char **why)
{
    const struct tm_records *bytes = &verifier->table->bytes;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    *why = NULL;
    if (!tm_records_in_chunk(bytes, position, length) || length > TM_READ_LIMIT) {
        *why = "not inside a chunk";
        return NULL;
    }
    if (length > verifier->bytes_left) {
        *why = bytes->damage.unreadable_records ? NULL : "shared with other records, or there are too many";
        return NULL;
    }
    verifier->bytes_left -= length;
    unsigned char *copy = malloc((size_t)length + 1);
    if (!copy) {
        verifier->no_memory = true;
        return NULL;
    }
    if (!tm_records_bytes(bytes, position, length, copy, &flaw)) {
        free(copy);
        *why = flaw.kind == TM_FLAW_CORRUPT ? "in a missing chunk" : NULL;
        return NULL;
    }
    return copy;
}

static void set(struct tm_verifier *verifier, struct tm_marks *marks, uint64_t id)
{
    if (!tm_marks_set(marks, (uint32_t)id))
        verifier->no_memory = true;
}

// ---------------------------------------------------------------------------------------------------------------
// Strings

static bool is_utf8(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t character;
        size_t size = tm_utf8_decode((const char *)bytes + i, length - i, &character);
        if (size == 1 && character >= 0x80)
            return false;
        i += size;
    }
    return true;
}

static void check_string(struct tm_verifier *verifier, uint64_t id, const struct tm_string *string)
{
    const struct tm_records *strings = &verifier->table->strings;
    const char *why;
    unsigned char *bytes = take_bytes(verifier, string->position, string->length, &why);
    if (why)
        TM_VERIFY_DAMAGED(verifier, strings, "string", id,
                          "its %" PRIu32 " bytes, from position %" PRIu64 " on, are %s", string->length,
                          (uint64_t)string->position, why);
    if (!bytes)
        return;
    if (tm_string_hash(bytes, string->length) != string->hash)
        TM_VERIFY_DAMAGED(verifier, strings, "string", id, "its bytes or its hash changed after it was written");
    else if (!is_utf8(bytes, string->length))
        TM_VERIFY_DAMAGED(verifier, strings, "string", id, "it is not UTF-8");
    else if (id == TM_STRING_UNKNOWN && (string->length != strlen(UNKNOWN) || memcmp(bytes, UNKNOWN, strlen(UNKNOWN))))
        TM_VERIFY_DAMAGED(verifier, strings, "string", id, "it is not " UNKNOWN);
    else
        set(verifier, &verifier->strings, id);
    free(bytes);
}

static struct tm_error *check_strings(struct tm_verifier *verifier)
{
    struct cursor cursor = CURSOR(verifier, strings);
    while (next(&cursor)) {
        struct tm_string string;
        memcpy(&string, cursor.bytes, sizeof(string));
        if (string.position == TM_POSITION_FREE)
            continue; // the record is free
        check_string(verifier, cursor.id, &string);
        verifier->result->strings++;
    }
    return cursor.error;
}

// ---------------------------------------------------------------------------------------------------------------
// Codes and their line tables

// How many bytes follow the first one of an entry of CPython 3.11's line tables; SIZE_MAX: the entry does not end.
static size_t location_rest(const unsigned char *table, size_t length)
{
    unsigned form = table[0] >> 3 & 15u;
    unsigned numbers = form == 13 ? 1 : form == 14 ? 4 : 0, columns = form < 10 ? 1 : form < 13 ? 2 : 0;
    size_t rest = 0;
    for (unsigned i = 0; i < columns; i++)
        rest++;
    for (unsigned i = 0; i < numbers; i++) {
        do
            rest++;
        while (rest < length && table[rest] & 0x40u);
    }
    return rest < length ? rest : SIZE_MAX;
}

static bool locations_decode(const unsigned char *table, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t rest = location_rest(table + i, length - i);
        if (!(table[i] & 0x80u) || rest == SIZE_MAX)
            return false;
        for (size_t j = 1; j <= rest; j++) {
            if (table[i + j] & 0x80u)
                return false;
        }
        i += 1 + rest;
    }
    return true;
}

static bool lines_decode(uint8_t kind, const unsigned char *table, size_t length)
{
    switch (kind) {
    case TM_LINES_NONE:
        return true;
    case TM_LINES_LOCATIONS:
        return locations_decode(table, length);
    default:
        return length % 2 == 0;
    }
}

// Whether one of a code object's names is good. What is wrong with the string itself is a finding already.
static bool check_name(struct tm_verifier *verifier, uint64_t id, uint32_t name, const char *which)
{
    const struct tm_records *strings = &verifier->table->strings;
    if (name == 0 || name >= strings->count)
        TM_VERIFY_DAMAGED(verifier, &verifier->table->codes, "code object", id,
                          "its %s is string %" PRIu32 " of %" PRIu64, which, name, strings->count - 1);
    return tm_marks_has(&verifier->strings, name);
}

static bool check_lines(struct tm_verifier *verifier, uint64_t id, const struct tm_code *code)
{
    const struct tm_records *codes = &verifier->table->codes;
    const char *why;
    unsigned char *table = take_bytes(verifier, code->line_table, code->line_table_length, &why);
    if (why)
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id,
                          "its line table of %" PRIu32 " bytes, from position %" PRIu64 " on, is %s",
                          code->line_table_length, (uint64_t)code->line_table, why);
    if (!table)
        return false;
    bool good = tm_code_hash(code, table) == code->hash;
    if (!good) {
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id, "it or its line table changed after it was written");
    } else if (!lines_decode(code->line_table_kind, table, code->line_table_length)) {
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id, "its line table does not decode");
        good = false;
    }
    free(table);
    return good;
}

static void check_code(struct tm_verifier *verifier, uint64_t id, const struct tm_code *code)
{
    const struct tm_records *codes = &verifier->table->codes;
    bool file_name = check_name(verifier, id, code->filename, "file name");
    bool name = check_name(verifier, id, code->qualname, "name"), sane = true;
    if (code->line_table_kind > TM_LINES_LOCATIONS || code->code_length > INT32_MAX) {
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id, "an impossible line table or length: kind %u, %" PRIu32,
                          code->line_table_kind, code->code_length);
        return;
    }
    if (verifier->reserved_is_zero && (code->_reserved[0] || code->_reserved[1] || code->_reserved[2]))
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id, "a reserved field is not 0");
    if (id == TM_CODE_UNKNOWN && (code->filename != TM_STRING_UNKNOWN || code->line_table_kind != TM_LINES_NONE)) {
        TM_VERIFY_DAMAGED(verifier, codes, "code object", id, "it is not that of " UNKNOWN);
        sane = false;
    }
    if (check_lines(verifier, id, code) && file_name && name && sane)
        set(verifier, &verifier->codes, id);
}

static struct tm_error *check_codes(struct tm_verifier *verifier)
{
    struct cursor cursor = CURSOR(verifier, codes);
    while (next(&cursor)) {
        struct tm_code code;
        memcpy(&code, cursor.bytes, sizeof(code));
        if (code.filename == 0)
            continue; // the record is free
        check_code(verifier, cursor.id, &code);
        verifier->result->codes++;
    }
    return cursor.error;
}

// ---------------------------------------------------------------------------------------------------------------
// Nodes

static bool check_parent(struct tm_verifier *verifier, uint64_t id, const struct tm_node *node)
{
    const struct tm_records *nodes = &verifier->table->nodes;
    struct tm_node parent = {.depth = 0};
    if (node->parent >= nodes->count) {
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "its parent is node %" PRIu32 " of %" PRIu64, node->parent,
                          nodes->count - 1);
        return false;
    }
    const void *bytes = tm_records_peek(nodes, node->parent);
    if (node->parent && !bytes)
        return false; // the missing memory is a finding already
    if (bytes)
        memcpy(&parent, bytes, sizeof(parent));
    // A wrong parent is a finding already.
    bool parent_is_good = !node->parent || tm_marks_has(&verifier->nodes, node->parent);
    if (node->depth != parent.depth + 1) { // also if the parent's record is free
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "its depth is %u, and its parent's %u", node->depth,
                          parent.depth);
        return false;
    }
    return parent_is_good;
}

static bool check_frame(struct tm_verifier *verifier, uint64_t id, const struct tm_node *node)
{
    const struct tm_records *nodes = &verifier->table->nodes, *codes = &verifier->table->codes;
    if (node->code == 0 || node->code >= codes->count) {
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "its code object is %" PRIu32 " of %" PRIu64, node->code,
                          codes->count - 1);
        return false;
    }
    struct tm_code code;
    const void *bytes = tm_records_peek(codes, node->code);
    if (!bytes)
        return false;
    memcpy(&code, bytes, sizeof(code));
    if (code.filename == 0)
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "the record of its code object, %" PRIu32 ", is free",
                          node->code);
    if (node->code != TM_CODE_UNKNOWN && node->instruction >= 0 && (uint32_t)node->instruction >= code.code_length) {
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id,
                          "its instruction is at %" PRId32 " of %" PRIu32 " bytes of code object %" PRIu32,
                          node->instruction, code.code_length, node->code);
        return false;
    }
    return tm_marks_has(&verifier->codes, node->code);
}

static void check_node(struct tm_verifier *verifier, uint64_t id)
{
    const struct tm_records *nodes = &verifier->table->nodes;
    struct tm_node node;
    memcpy(&node, tm_records_peek(nodes, id), sizeof(node));
    bool parent = check_parent(verifier, id, &node), frame = check_frame(verifier, id, &node);
    bool sane = id != TM_NODE_UNKNOWN || (node.parent == 0 && node.code == TM_CODE_UNKNOWN);
    bool as_written = node.hash == tm_node_hash(id, &node);
    if (!as_written && parent && frame)
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "it changed after it was written");
    if (!sane)
        TM_VERIFY_DAMAGED(verifier, nodes, "node", id, "it is not that of " UNKNOWN);
    if (parent && frame && sane && as_written)
        set(verifier, &verifier->nodes, id);
    verifier->result->nodes++;
}

#define DEPTHS (UINT16_MAX + 1u)

// The ids of all nodes in use, by depth: a parent comes before its children. *count of them.
static struct tm_error *sort_nodes(struct tm_verifier *verifier, uint64_t *starts, uint32_t **ids, uint64_t *count)
{
    struct cursor counting = CURSOR(verifier, nodes), placing = CURSOR(verifier, nodes);
    struct tm_node node;
    *count = 0;
    while (next(&counting)) {
        memcpy(&node, counting.bytes, sizeof(node));
        starts[node.depth]++;
    }
    if (counting.error)
        return counting.error;
    starts[0] = 0; // free records
    for (uint32_t depth = 0; depth < DEPTHS; depth++) {
        uint64_t here = starts[depth];
        starts[depth] = *count;
        *count += here;
    }
    *ids = malloc((size_t)(*count + 1) * sizeof(**ids));
    if (!*ids)
        return tm_error_no_memory();
    while (next(&placing)) {
        memcpy(&node, placing.bytes, sizeof(node));
        if (node.depth)
            (*ids)[starts[node.depth]++] = (uint32_t)placing.id;
    }
    return placing.error;
}

static struct tm_error *check_nodes(struct tm_verifier *verifier)
{
    uint64_t *starts = calloc(DEPTHS, sizeof(*starts)), count = 0;
    uint32_t *ids = NULL;
    struct tm_error *error = starts ? sort_nodes(verifier, starts, &ids, &count) : tm_error_no_memory();
    for (uint64_t i = 0; i < count && !error; i++) {
        check_node(verifier, ids[i]);
        error = i % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
    }
    free(starts);
    free(ids);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Sites

static bool check_traceback(struct tm_verifier *verifier, uint64_t id, const struct tm_site *site)
{
    const struct tm_records *sites = &verifier->table->sites, *nodes = &verifier->table->nodes;
    if (site->node == 0 || site->node >= nodes->count) {
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "its traceback is node %" PRIu32 " of %" PRIu64, site->node,
                          nodes->count - 1);
        return false;
    }
    struct tm_node node;
    const void *bytes = tm_records_peek(nodes, site->node);
    if (!bytes)
        return false;
    memcpy(&node, bytes, sizeof(node));
    if (node.depth == 0)
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "the record of its traceback, node %" PRIu32 ", is free",
                          site->node);
    if (!tm_marks_has(&verifier->nodes, site->node))
        return false;
    if (site->total_frames < node.depth) {
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "%u frames in all, and %u are kept", site->total_frames,
                          node.depth);
        return false;
    }
    // Counters start from 0 with tracing, so this site was allocated from under the present limit.
    if (tm_verify_counters(verifier, id).allocations && node.depth > verifier->root->frame_limit &&
        verifier->root->state == TM_STATE_TRACING)
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "%u frames, and the limit is %" PRIu32, node.depth,
                          verifier->root->frame_limit);
    return true;
}

static void check_site(struct tm_verifier *verifier, uint64_t id, const struct tm_site *site, struct tm_tally *tally)
{
    const struct tm_records *sites = &verifier->table->sites;
    struct tm_counters counters = tm_verify_counters(verifier, id);
    tally->known = true;
    if (counters.allocated > verifier->most_allocated && counters.allocated <= TM_COUNTER_LIMIT)
        verifier->most_allocated = counters.allocated;
    tally->foreign = site->domain != 0;
    tally->resolvable = check_traceback(verifier, id, site);
    if (site->allocator > TM_ALLOCATOR_TRACKED)
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "an unknown allocator: %u", site->allocator);
    else if (site->domain && site->allocator != TM_ALLOCATOR_TRACKED)
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "an allocator of CPython's, %u, in domain %" PRIu32,
                          site->allocator, site->domain);
    if (site->hash != tm_site_hash(id, site)) {
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "it changed after it was written");
        tally->resolvable = false;
    } else if (verifier->reserved_is_zero && site->flags & ~(TM_SITE_SHARED | TM_SITE_SHORTENED | TM_SITE_CUT)) {
        TM_VERIFY_DAMAGED(verifier, sites, "site", id, "a reserved field is not 0");
    }
}

static struct tm_error *check_sites(struct tm_verifier *verifier)
{
    struct cursor cursor = CURSOR(verifier, sites);
    while (next(&cursor)) {
        struct tm_site site;
        memcpy(&site, cursor.bytes, sizeof(site));
        if (site.node == 0)
            continue; // the record is free
        struct tm_tally *tally = tm_tallies_make(&verifier->tallies, cursor.id);
        if (!tally)
            return tm_error_no_memory();
        check_site(verifier, cursor.id, &site, tally);
        verifier->result->sites++;
    }
    return cursor.error;
}

struct tm_error *tm_verify_records(struct tm_verifier *verifier)
{
    struct tm_error *error = check_strings(verifier);
    if (!error)
        error = check_codes(verifier);
    if (!error)
        error = check_nodes(verifier);
    if (!error)
        error = check_sites(verifier);
    return error;
}
