/**
 * The trace table: what the tracer writes into its process's memory and the engine reads from outside.
 *
 * This header is the whole contract between the two. It depends on nothing but <stdint.h>, and both compile it.
 * docs/layout.md explains it for humans, with the writer's order and worked examples.
 *
 * The big picture, in the order of the types below:
 *
 *   root       one record at an address aligned to TM_ROOT_ALIGN: who wrote the table, its state, where all else is
 *   array      fixed-size records in chunks that double and never move; the first chunks are there twice
 *   string     a copy of a file name or a qualified name
 *   code       a copy of what is needed of a code object: names, first line, line table
 *   node       one frame of a traceback: (parent node, code, instruction); a traceback is a path to the tree's root
 *   site       an allocation site: (node, total frames, allocator, domain)
 *   counters   of a site, in the full profile: what came and what went
 *   leaf       a piece of the map from addresses to blocks: an entry for each unit of address space
 *   unit       as much address space as a pool of CPython's object allocator: a grid for small blocks, a list for others
 *   slot       of a grid: 0, or a live block: its site and its size
 *   entry      of a list: 0, or a live block: its site, its size, and where in the unit it starts
 *   tracked    a live block that cannot be in the map (foreign domains, unaligned addresses, 1 GiB or more)
 *   resize     a block that is inside realloc() right now, and therefore neither in the map nor in `tracked`
 *   arena      memory from which CPython's object allocator cuts its pools
 *   own        a mapping that the tracer has made for itself
 *
 * Conventions. All fields are little-endian and naturally aligned. Addresses and sizes are 64 bits wide; sizes are in
 * bytes. `_reserved` fields are zero. Record 0 of every array is a placeholder and never live, so an id of 0 means
 * "none". Reading needs no lock: a record is complete before the count, id or slot that leads to it is stored. Every
 * record has a hash (hash.h) of what is written once. It shows that a record was overwritten since, or became zeros with
 * its page. No counters are on two pages, since they are in no hash.
 */
#ifndef TRACEMORTEM_LAYOUT_TRACE_TABLE_H
#define TRACEMORTEM_LAYOUT_TRACE_TABLE_H

#include <stdint.h>

/** Every table begins with this, and it is written last: 16 bytes, no terminating NUL. */
#define TM_MAGIC "\x93TRACEMORTEM\r\n\x1a\n"
#define TM_MAGIC_SIZE 16

/** A reader must refuse another major version. A higher minor version only adds what the reader may ignore. */
#define TM_LAYOUT_MAJOR 3
#define TM_LAYOUT_MINOR 0

/** `byte_order` as the writer stores it. */
#define TM_BYTE_ORDER 0x01020304u

/** The root's address is a multiple of this, so that a search of memory looks at few places. */
#define TM_ROOT_ALIGN (UINT64_C(1) << 20)

/** The tracer's exported variable with the root's address (0 before a table exists). */
#define TM_ROOT_SYMBOL "tracemortem_root"
/** The name of the root's mapping, if the kernel can name mappings: /proc/PID/maps shows [anon:tracemortem]. */
#define TM_MAPPING_NAME "tracemortem"

// ---------------------------------------------------------------------------------------------------------------
// Arrays

/**
 * Chunk k of an array holds `1 << (first_shift + k)` records and starts at address chunk[k] (0: not there yet). So
 * record id is in chunk k = log2(id + first) - first_shift at index id + first - (first << k), where
 * first = 1 << first_shift. Records [1, count) are complete. A chunk never moves, and its address is stored before a
 * count that reaches into it.
 *
 * The first chunks, which everything goes through, are there twice: copy[k] is the address of a chunk with the same
 * records on other pages (0: there is none). A record is stored in the chunk and then in its copy. A reader takes the copy
 * where the record in the chunk is missing or damaged. Counters have no copies.
 */
#define TM_ARRAY_CHUNKS 26
#define TM_ARRAY_COPIES 4
struct tm_array {
    uint64_t count;       // records in use, the placeholder 0 included; stored after the record is complete
    uint32_t record_size; // bytes from one record to the next; at least the size this header gives
    uint32_t first_shift; // log2 of the first chunk's number of records
    uint64_t chunk[TM_ARRAY_CHUNKS];
    uint64_t copy[TM_ARRAY_COPIES];
};

/** An index in `bytes`, an array of 1-byte records. The bytes that a record refers to never cross a chunk's end. */
typedef uint64_t tm_position;

/** UTF-8 in which a lone surrogate has three bytes of its own ("surrogatepass"); not terminated. */
struct tm_string {
    tm_position position; // index of its first byte in `bytes`; TM_POSITION_FREE: the record is free
    uint32_t length;      // bytes
    uint32_t hash;        // tm_string_hash() of its bytes
};
#define TM_POSITION_FREE UINT64_MAX
/** The string with this id is "<unknown>", which tracemalloc says if there is no frame. */
#define TM_STRING_UNKNOWN 1u

/** The format of a code object's line table. */
enum tm_line_table {
    TM_LINES_NONE = 0,     // there is none: every line is the first line
    TM_LINES_LNOTAB = 1,   // CPython 3.8, 3.9: pairs (u8 address delta, s8 line delta)
    TM_LINES_3_10 = 2,     // CPython 3.10: pairs (u8 range, s8 line delta or -128: no line)
    TM_LINES_LOCATIONS = 3 // CPython 3.11 and later: location entries with columns
};

struct tm_code {
    uint32_t filename; // string id; 0: the record is free
    uint32_t qualname; // string id (3.8 to 3.10: the plain name)
    int32_t first_line;
    uint32_t line_table_length; // bytes
    tm_position line_table;     // index of its first byte in `bytes`
    uint32_t code_length;       // bytes of bytecode; an instruction offset is below it
    uint8_t line_table_kind;    // enum tm_line_table
    uint8_t _reserved[3];
    uint64_t address; // of the code object when it was copied; it may have died since. For humans
    uint64_t hash;    // tm_code_hash() of the contents
};
/** The code with this id is that of a frame that could not be read: file name "<unknown>", line 0. */
#define TM_CODE_UNKNOWN 1u

struct tm_node {
    uint32_t parent;     // the caller's node; 0: this is the oldest frame recorded
    uint32_t code;       // code id
    int32_t instruction; // byte offset of the instruction in the bytecode; negative: before the first
    uint16_t depth;      // frames on the path, this one included: 1 + the parent's depth; 0: the record is free
    uint16_t hash;       // tm_node_hash()
};
/** The node with this id is the traceback of a block that was allocated without any frame: ("<unknown>", 0). */
#define TM_NODE_UNKNOWN 1u

/** Which allocator gave the block. */
enum tm_allocator {
    TM_ALLOCATOR_NONE = 0,
    TM_ALLOCATOR_RAW = 1,    // PyMem_RawMalloc and kin
    TM_ALLOCATOR_MEM = 2,    // PyMem_Malloc and kin
    TM_ALLOCATOR_OBJECT = 3, // PyObject_Malloc and kin
    TM_ALLOCATOR_TRACKED = 4 // an extension module's, by PyTraceMalloc_Track
};

/** In tm_site.flags: counters are updated atomically, by threads that need not hold the main interpreter's lock. */
#define TM_SITE_SHARED 1u
/** In tm_site.flags: the traceback lacks its oldest frames, within the frame limit, because the table had no room for them. */
#define TM_SITE_SHORTENED 2u
/** In tm_site.flags: older frames were cut off by the frame limit. If total_frames is not more than the node's depth, it is
 * not known how many. */
#define TM_SITE_CUT 4u

/**
 * A site without live blocks may be used again for another traceback. Then its generation is another one. So a reader of a
 * running process reads the slot, the site and what it leads to, and then the slot and the site again.
 */
struct tm_site {
    uint32_t node;   // 0: the record is free
    uint32_t domain; // tracemalloc's domain: 0 for CPython's own allocators
    uint16_t
        total_frames; // of the whole stack, at most 65535; at least the node's depth, which it is where not counted
    uint8_t allocator : 4; // enum tm_allocator
    uint8_t flags : 4;
    uint8_t generation; // how often the record was used again, modulo 256
    uint32_t hash;      // tm_site_hash()
};
/** Sites have ids below this. */
#define TM_SITE_LIMIT (1u << 22)

/**
 * What a site counts in the full profile: record id of `counters` belongs to site id. Live blocks are
 * allocations - frees and live bytes allocated - freed, modulo 2^64.
 */
struct tm_counters {
    uint64_t allocations; // ever, since tracing was started or cleared
    uint64_t allocated;   // bytes, ever
    uint64_t frees;       // ever
    uint64_t freed;       // bytes, ever
};

// ---------------------------------------------------------------------------------------------------------------
// The map

/**
 * The address space is cut into units of `1 << unit_shift` bytes, and TM_LEAF_UNITS of them make a leaf. A leaf is made when
 * the first block in its range is recorded, and stays. The record that leads to it is complete before root.leaves.count is.
 */
#define TM_ADDRESS_BITS 48
#define TM_LEAF_UNITS 8192u
/** unit_shift is the log2 of CPython's POOL_SIZE: 12 up to 3.9, 14 since. */
#define TM_UNIT_SHIFT_LEAST 12
#define TM_UNIT_SHIFT_MOST 14
/** Blocks in the map start at a multiple of this. */
#define TM_GRAIN_SHIFT 4

struct tm_leaf {
    uint64_t start; // the first address in its range, a multiple of TM_LEAF_UNITS << unit_shift
    uint64_t units; // address of TM_LEAF_UNITS of struct tm_unit, and then as many with copies of their words
    uint64_t hash;  // tm_leaf_hash()
};

/**
 * The blocks that start in a unit are in its grid or in its list, never in both. Each word is there twice. It is stored
 * before its copy, and becomes 0 after its copy. So a reader takes the copy where the word is missing, damaged or 0.
 */
struct tm_unit {
    uint64_t grid; // a word of TM_GRID_*, or 0: there is none
    uint64_t list; // a word of TM_LIST_*, or 0: there is none
};

/**
 * A grid. Its blocks start at `phase` bytes from the unit's start, and then every `stride` bytes; none is larger than the
 * stride. So an address leads to its slot by one division, and the block that contains an address is the one at or before it.
 * Both are multiples of 16.
 *
 *      63                  22 21     11 10       6 5        0
 *     ┌──────────────────────┬─────────┬──────────┬───────────┐
 *     │ address of the array │  check  │ phase/16 │ stride/16 │
 *     └──────────────────────┴─────────┴──────────┴───────────┘
 *
 * The array is at an address that is a multiple of 64: (word >> 16) & ~63. It begins with its head, 8 bytes, and then has
 * a slot of 4 bytes for each start: TM_GRID_SLOTS(unit_shift, stride, phase) of them. A word whose stride is 0 is no grid.
 */
#define TM_GRID_STRIDE_MASK 0x3fu // of stride / 16, at most 32: 512 bytes
#define TM_GRID_PHASE_SHIFT 6
#define TM_GRID_PHASE_MASK 0x1fu // of phase / 16, less than stride / 16
#define TM_GRID_CHECK_SHIFT 11
#define TM_GRID_CHECK_MASK 0x7ffu // tm_grid_check()
#define TM_GRID_ADDRESS_SHIFT 16
#define TM_GRID_ADDRESS_MASK (((UINT64_C(1) << TM_ADDRESS_BITS) - 1) & ~UINT64_C(63))
#define TM_GRID_HEAD 8u // bytes: tm_grid_head()
/** The number of slots; stride and phase in bytes. */
#define TM_GRID_SLOTS(unit_shift, stride, phase) ((((1u << (unit_shift)) - 1u - (phase)) / (stride)) + 1u)
/** No block of a grid is larger. */
#define TM_GRID_SIZE_MOST 512u

/**
 * A slot: 0, or a live block.
 *
 *      31   30          22 21                    0
 *     ┌───┬───────────────┬───────────────────────┐
 *     │ W │ size mod 512  │         site          │   W: TM_SLOT_WATCHED
 *     └───┴───────────────┴───────────────────────┘
 *
 * In a grid whose stride is 512 a size of 0 means 512. (A block of 0 bytes is then in the list.)
 */
#define TM_SLOT_SITE_MASK 0x003fffffu
#define TM_SLOT_SIZE_SHIFT 22
#define TM_SLOT_SIZE_MASK 0x1ffu
/** The block holds a code object that the tracer knows. For the tracer. */
#define TM_SLOT_WATCHED 0x80000000u

/**
 * A list: chunks of 64 bytes, each with TM_LIST_ENTRIES entries and the word of the next one. A word is the address of the
 * next chunk, a multiple of 64, with a check:
 *
 *      63                  22 21                1  0
 *     ┌──────────────────────┬───────────────────┬───┐
 *     │  address of a chunk  │       check       │ B │   B: TM_LIST_BUCKETS
 *     └──────────────────────┴───────────────────┴───┘
 *
 * After at most TM_LIST_CHUNKS chunks the word has TM_LIST_BUCKETS. Then it leads to TM_LIST_BUCKET_COUNT words, one for
 * each equal part of the unit, in the order of addresses. Each begins a list of its own, of at most TM_LIST_CHUNKS chunks,
 * for blocks that start in that part. Which of the places holds a block is a matter of when it came.
 */
#define TM_LIST_ENTRIES 7u
#define TM_LIST_CHUNKS 4u
#define TM_LIST_BUCKET_COUNT 64u
#define TM_LIST_BUCKETS 1u
#define TM_LIST_CHECK_SHIFT 1
#define TM_LIST_CHECK_MASK 0x1fffffu // tm_list_check()
#define TM_LIST_ADDRESS_SHIFT 16
#define TM_LIST_ADDRESS_MASK TM_GRID_ADDRESS_MASK

struct tm_list_chunk {
    uint64_t entry[TM_LIST_ENTRIES];
    uint64_t next; // a word as above; 0: there is none
};

/**
 * An entry: 0, or a live block. It never moves.
 *
 *      63  62  61        52 51                  22 21                    0
 *     ┌───┬───┬────────────┬──────────────────────┬───────────────────────┐
 *     │ W │ 0 │ start / 16 │         size         │         site          │   W: TM_ENTRY_WATCHED
 *     └───┴───┴────────────┴──────────────────────┴───────────────────────┘
 */
#define TM_ENTRY_SITE_MASK UINT64_C(0x3fffff)
#define TM_ENTRY_SIZE_SHIFT 22
#define TM_ENTRY_SIZE_MASK UINT64_C(0x3fffffff)
#define TM_ENTRY_START_SHIFT 52
#define TM_ENTRY_START_MASK UINT64_C(0x3ff) // of the distance from the unit's start, in grains
/** As TM_SLOT_WATCHED. */
#define TM_ENTRY_WATCHED (UINT64_C(1) << 63)

// ---------------------------------------------------------------------------------------------------------------
// Blocks outside the map

/** A live block if site is not 0 (stored last). Otherwise the record is free to be used again, and the rest is stale. */
struct tm_tracked {
    uint64_t address;
    uint64_t size;
    uint32_t domain;
    uint32_t site;
    uint64_t hash; // tm_tracked_hash()
};

/**
 * Finds a tracked block by domain and address: open addressing, linear probing from tm_tracked_key_hash() modulo
 * 1 << shift. The slots follow this head: 0 is free (ends a probe), TM_TRACKED_REMOVED is not (the probe goes on), all else
 * is an id in `tracked`. A grown index is complete before the root leads to it.
 */
struct tm_tracked_index {
    uint32_t shift; // log2 of the number of slots
    uint32_t _reserved[3];
    uint32_t slot[];
};
#define TM_TRACKED_REMOVED 0xffffffffu

static inline uint64_t tm_tracked_key_hash(uint32_t domain, uint64_t address)
{
    uint64_t hash = (address ^ ((uint64_t)domain << 32 | domain)) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/**
 * A block inside realloc(), if state is TM_RESIZE_BUSY. `moved` is stored when realloc() has returned: if the map or
 * `tracked` has a block there, that is the block, and the record is void. So it is if the map has one at `address` while
 * `moved` is 0: the block has not left the map yet, or is there again.
 */
struct tm_resize {
    uint64_t address;
    uint64_t size;
    uint32_t site;
    uint32_t state; // stored last when set, first when cleared
    uint64_t moved; // where the block is now; 0: inside realloc(), or it has failed
};
#define TM_RESIZE_FREE 0u
#define TM_RESIZE_CLAIMED 1u // being filled in; not to be read
#define TM_RESIZE_BUSY 2u
#define TM_RESIZES 32

// ---------------------------------------------------------------------------------------------------------------
// Memory

/** An arena of CPython's object allocator, as the tracer saw it come. */
struct tm_python_arena {
    uint64_t address;
    uint64_t size; // 0: it was given back, and the record is free
    uint64_t hash; // tm_python_arena_hash(), of a live record
};

/** A mapping of the tracer's own. */
enum tm_own_kind {
    TM_OWN_TABLE = 1,   // the table's: everything that this header describes is in such memory
    TM_OWN_PRIVATE = 2, // what only the tracer needs
};
struct tm_own {
    uint64_t address;
    uint64_t size; // 0: it was unmapped, and the record is free
    uint32_t kind; // enum tm_own_kind
    uint32_t _reserved;
    uint64_t hash; // tm_own_hash(), of a live record
};

// ---------------------------------------------------------------------------------------------------------------
// The root

enum tm_state {
    TM_STATE_LOADED = 0, // never started
    TM_STATE_TRACING = 1,
    TM_STATE_STOPPED = 2,  // what was recorded has been cleared
    TM_STATE_CLEARING = 3, // traces are being cleared now: blocks and counters go one by one
};

/** In tm_root.flags. */
#define TM_ROOT_DEBUG_BUILD 1u   // the interpreter is a Py_DEBUG build
#define TM_ROOT_FREE_THREADED 2u // the interpreter has no global lock
#define TM_ROOT_REUSE_EXACT 4u   // a block that CPython reuses from a free list has its latest traceback
#define TM_ROOT_LEAN 8u          // the lean profile: sites count nothing, and cut tracebacks have no total
// Up to CPython 3.12 one of these goes with TM_ROOT_REUSE_EXACT: how the tracer learns of the reuse.
#define TM_ROOT_REUSE_BY_ENTRY 16u // by a jump in CPython's code
#define TM_ROOT_REUSE_BY_SLOTS 32u // by CPython's table of traces, without the lock
#define TM_ROOT_REUSE_BY_TABLE 64u // by the same, with the lock
#define TM_ROOT_REUSE_WAY (TM_ROOT_REUSE_BY_ENTRY | TM_ROOT_REUSE_BY_SLOTS | TM_ROOT_REUSE_BY_TABLE)
#define TM_ROOT_SAMPLED 128u // with TM_ROOT_LEAN: only picked blocks are recorded, see tm_root.sample_period

/** Traced memory as one side counts it. The whole is owned.traced + shared.traced, modulo 2^64. */
struct tm_memory {
    uint64_t traced; // bytes in live blocks
    uint64_t peak;   // the greatest whole that this side has seen; the peak is the greater of the two sides'
    uint64_t _reserved[6];
};

/** Where the table's memory is: see recorder_file.h. */
enum tm_recorder_state {
    TM_RECORDER_NONE = 0,    // in anonymous memory, as no file was asked for, or none could be made at the start
    TM_RECORDER_FILE = 1,    // in the file
    TM_RECORDER_PRIVATE = 2, // in anonymous memory since a fork: no file could be made for this child
    TM_RECORDER_CUT = 3,     // somebody else has cut the file: nothing is recorded any more
};

/** The recorder, and the last moments of the process. */
struct tm_recorder {
    uint8_t identity[16]; // of the file that the table is in; zeros: it is in none
    uint32_t state;       // enum tm_recorder_state
    uint32_t error;       // errno of the last time that no file could be made or made longer; 0: there was none
    uint64_t refused;     // how often the file could not be made longer: what needed that memory was lost

    // TRACEMORTEM_AT
    uint64_t limit;        // bytes that were asked for; 0: nothing was asked for, or it is not known
    uint64_t reached;      // when they were reached for the first time: nanoseconds since 1970; 0: not yet. Stored last
    uint64_t reached_used; // bytes that were compared with the limit
    uint64_t reached_traced; // traced memory at that moment

    // Allocations of the program's for which the allocator had no memory.
    uint64_t failed;      // how many
    uint64_t failed_at;   // when the last one failed, in the same unit
    uint64_t failed_size; // its bytes
    uint64_t _reserved[5];
};

struct tm_root {
    char magic[TM_MAGIC_SIZE]; // stored last of all when the table is made

    uint32_t byte_order;   // TM_BYTE_ORDER
    uint16_t layout_major; // TM_LAYOUT_MAJOR
    uint16_t layout_minor; // TM_LAYOUT_MINOR
    uint32_t root_size;    // sizeof(struct tm_root)
    uint8_t pointer_size;  // 8
    uint8_t address_bits;  // TM_ADDRESS_BITS
    uint8_t unit_shift;    // log2 of a unit's bytes
    uint8_t _reserved0;
    uint64_t self;           // this record's own address: a copy in another place is not a table
    uint32_t pid;            // of the process, as it sees itself; a forked child stores its own
    uint32_t flags;          // TM_ROOT_*
    uint32_t python_version; // PY_VERSION_HEX of the running interpreter
    uint32_t _reserved1;
    char python_text[64]; // Py_GetVersion() up to the first space, NUL-padded
    char tracer_text[32]; // the tracer's own version, NUL-padded

    uint32_t state;       // enum tm_state
    uint32_t frame_limit; // frames kept per traceback; 0 before the first start
    uint64_t started;     // when tracing began: nanoseconds since 1970 (CLOCK_REALTIME); 0 unless tracing
    uint64_t cleared;     // when traces were last cleared while tracing, likewise; 0: never
    uint64_t starts;      // how many times tracing was started

    uint64_t tracked_index; // address of the struct tm_tracked_index, or 0
    uint64_t mapped;        // bytes of address space the tracer has mapped for itself
    uint64_t reuses;        // how often dead records were collected, to be used again

    // What could not be recorded.
    uint64_t lost_blocks; // allocations left out of the table: no memory or no room for them
    uint64_t lost_frames; // frames kept as TM_CODE_UNKNOWN: no memory, or no code object

    uint64_t record_limit; // the greatest number of sites; the limits of the other records follow from it
    uint32_t free_strings; // records that are free to be used again, of each kind
    uint32_t free_codes;
    uint32_t free_nodes;
    uint32_t free_sites;
    uint64_t sample_period; // TM_ROOT_SAMPLED: mean distance of the picked bytes; 0: every block is recorded

    struct tm_memory owned;  // written by holders of the main interpreter's lock
    struct tm_memory shared; // written atomically by all others

    struct tm_array bytes;
    struct tm_array strings;
    struct tm_array codes;
    struct tm_array nodes;
    struct tm_array sites;
    struct tm_array counters; // without records in the lean profile
    struct tm_array leaves;
    struct tm_array tracked;
    struct tm_array arenas;
    struct tm_array own;
    uint64_t _reserved3[(2 * sizeof(struct tm_array) - sizeof(struct tm_recorder)) / sizeof(uint64_t)]; // for one more
    struct tm_recorder recorder;

    struct tm_resize resize[TM_RESIZES]; // [0] is the lock holder's; the others are claimed one by one
};

// ---------------------------------------------------------------------------------------------------------------
// The layout is pinned here. docs/layout.md gives the same figures, and a test compares the two.

#define TM_PIN(type, field, offset) \
    _Static_assert(__builtin_offsetof(struct type, field) == (offset), #type "." #field " has moved")
#define TM_PIN_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " has changed its size")

TM_PIN_SIZE(tm_array, 256);
TM_PIN_SIZE(tm_string, 16);
TM_PIN_SIZE(tm_code, 48);
TM_PIN_SIZE(tm_node, 16);
TM_PIN_SIZE(tm_site, 16);
TM_PIN_SIZE(tm_counters, 32);
TM_PIN_SIZE(tm_leaf, 24);
TM_PIN_SIZE(tm_unit, 16);
TM_PIN_SIZE(tm_list_chunk, 64);
TM_PIN_SIZE(tm_tracked, 32);
TM_PIN_SIZE(tm_resize, 32);
TM_PIN_SIZE(tm_python_arena, 24);
TM_PIN_SIZE(tm_own, 32);
TM_PIN_SIZE(tm_memory, 64);
TM_PIN_SIZE(tm_recorder, 128);
TM_PIN(tm_code, address, 32);
TM_PIN(tm_site, total_frames, 8);
TM_PIN(tm_site, generation, 11);
TM_PIN(tm_root, self, 32);
TM_PIN(tm_root, python_text, 56);
TM_PIN(tm_root, state, 152);
TM_PIN(tm_root, tracked_index, 184);
TM_PIN(tm_root, lost_blocks, 208);
TM_PIN(tm_root, record_limit, 224);
TM_PIN(tm_root, free_strings, 232);
TM_PIN(tm_root, sample_period, 248);
TM_PIN(tm_root, owned, 256);
TM_PIN(tm_root, bytes, 384);
TM_PIN(tm_root, recorder, 3328);
TM_PIN(tm_root, resize, 3456);
TM_PIN_SIZE(tm_root, 4480);

#endif
