/**
 * The trace table: what the tracer writes into its process's memory and the engine reads from outside.
 *
 * This header is the whole contract between the two. It depends on nothing but <stdint.h>, and both compile it.
 * docs/layout.md explains it for humans, with the writer's order and worked examples.
 *
 * The big picture, in the order of the types below:
 *
 *   root       one record at an address aligned to TM_ROOT_ALIGN: who wrote the table, its state, where all else is
 *   array      an append-only array of fixed-size records in chunks that double and never move
 *   string     a copy of a file name or a qualified name
 *   code       a copy of what is needed of a code object: names, first line, line table
 *   node       one frame of a traceback: (parent node, code, instruction); a traceback is a path to the tree's root
 *   site       an allocation site: (node, total frames, allocator, domain) with its counters
 *   directory  the shadow map's radix tree over addresses: root -> branch -> leaf of 32-bit slots, one per 16 bytes
 *   slot       0, or the start of a live block: which site allocated it; the slots after it hold its size
 *   tracked    a live block that has no slot in the shadow map (foreign domains, unaligned addresses)
 *   resize     a block that is inside realloc() right now, and therefore neither in the map nor in `tracked`
 *
 * Conventions. All fields are little-endian and naturally aligned. Addresses and sizes are 64 bits wide; sizes are in
 * bytes. `_reserved` fields are zero. Record 0 of every array is a placeholder and never live, so an id of 0 means
 * "none". Reading needs no lock: a record is complete before the count, id or slot that leads to it is stored. Every
 * record has a hash (hash.h) of what is written once. It shows that a record was overwritten since, or became zeros with
 * its page. A site is never on two pages, since its counters are in no hash.
 */
#ifndef TRACEMORTEM_LAYOUT_TRACE_TABLE_H
#define TRACEMORTEM_LAYOUT_TRACE_TABLE_H

#include <stdint.h>

/** Every table begins with this, and it is written last: 16 bytes, no terminating NUL. */
#define TM_MAGIC "\x93TRACEMORTEM\r\n\x1a\n"
#define TM_MAGIC_SIZE 16

/** A reader must refuse another major version. A higher minor version only adds what the reader may ignore. */
#define TM_LAYOUT_MAJOR 2
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
 */
#define TM_ARRAY_CHUNKS 26
struct tm_array {
    uint64_t count;       // records in use, the placeholder 0 included; stored after the record is complete
    uint32_t record_size; // bytes from one record to the next; at least the size this header gives
    uint32_t first_shift; // log2 of the first chunk's number of records
    uint64_t chunk[TM_ARRAY_CHUNKS];
};

/** An index in `bytes`, an array of 1-byte records. The bytes that a record refers to never cross a chunk's end. */
typedef uint64_t tm_position;

/** UTF-8 in which a lone surrogate has three bytes of its own ("surrogatepass"); not terminated. */
struct tm_string {
    tm_position position; // index of its first byte in `bytes`
    uint32_t length;      // bytes
    uint32_t hash;        // tm_string_hash() of its bytes
};
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
    uint32_t filename; // string id
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
    uint32_t parent;     // the caller's node, always a smaller id; 0: this is the oldest frame recorded
    uint32_t code;       // code id
    int32_t instruction; // byte offset of the instruction in the bytecode; negative: before the first
    uint16_t depth;      // frames on the path, this one included: 1 + the parent's depth
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
/** In tm_site.flags: older frames were cut off by the frame limit. If total_frames is not more than the node's depth, it is not
 * known how many. */
#define TM_SITE_CUT 4u

/** Live blocks are allocations - frees and live bytes allocated - freed, modulo 2^64. */
struct tm_site {
    uint32_t node;
    uint16_t total_frames; // of the whole stack, at most 65535; the node's depth where TM_SITE_CUT and no more is known
    uint8_t allocator;     // enum tm_allocator
    uint8_t flags;
    uint32_t domain;      // tracemalloc's domain: 0 for CPython's own allocators
    uint32_t hash;        // tm_site_hash() of all but the counters
    uint64_t allocations; // ever, since tracing was started or cleared
    uint64_t allocated;   // bytes, ever
    uint64_t frees;       // ever
    uint64_t freed;       // bytes, ever
};

// ---------------------------------------------------------------------------------------------------------------
// The shadow map

/** Addresses are cut into: 15 bits directory | 13 bits branch | 16 bits leaf | 4 bits inside a slot. */
#define TM_ADDRESS_BITS 48
#define TM_BRANCH_SHIFT 33
#define TM_LEAF_SHIFT 20
#define TM_SLOT_SHIFT 4
#define TM_DIRECTORY_ENTRIES (1u << (TM_ADDRESS_BITS - TM_BRANCH_SHIFT))
#define TM_BRANCH_ENTRIES (1u << (TM_BRANCH_SHIFT - TM_LEAF_SHIFT))
#define TM_LEAF_SLOTS (1u << (TM_LEAF_SHIFT - TM_SLOT_SHIFT))

typedef uint64_t tm_directory[TM_DIRECTORY_ENTRIES]; // addresses of branches, or 0
typedef uint64_t tm_branch[TM_BRANCH_ENTRIES];       // addresses of leaves with the parts in use, or 0
typedef uint32_t tm_leaf[TM_LEAF_SLOTS];             // slots

/**
 * A leaf is aligned to its size. It has 16 parts of 4096 slots each, and the low bits of the branch's entry say which of
 * them may hold a block's start: bit 0 for the lowest. A bit is set before the first start in its part is stored, so a
 * search for a start need not read a part whose bit is clear.
 */
#define TM_LEAF_PARTS 16
#define TM_LEAF_PART_SHIFT (TM_LEAF_SHIFT - 4)
#define TM_LEAF_PARTS_MASK UINT64_C(0xffff)

/**
 * A slot with TM_SLOT_START is where a live block starts. Its other bits: WATCHED, SMALL, SITE. SMALL - 1 is the
 * size in bytes of a block of at most 16 bytes. SMALL = 0 means that the next slot, which is inside the block then, holds
 * the size. All other slots are no blocks and may hold anything without TM_SLOT_START.
 */
#define TM_SLOT_START 0x80000000u
/** The block holds a code object that the tracer knows; without START, an untraced block does. For the tracer. */
#define TM_SLOT_WATCHED 0x40000000u
#define TM_SLOT_SMALL_SHIFT 25
#define TM_SLOT_SMALL_MASK 0x1fu
#define TM_SLOT_SMALL_LIMIT 16u // bytes; SMALL is at most this + 1
#define TM_SLOT_SITE_MASK 0x01ffffffu
/** Sites have ids below this. */
#define TM_SITE_LIMIT (1u << TM_SLOT_SMALL_SHIFT)

/** A size slot: bit 31 is 0. If bit 30 is clear, bits 0-29 are the size. If it is set, they are the low 30 bits of the
 * size, and the next slot, with bits 31 and 30 clear, holds the next 30. */
#define TM_SIZE_ESCAPE 0x40000000u
#define TM_SIZE_BITS 30
#define TM_SIZE_MASK 0x3fffffffu

// ---------------------------------------------------------------------------------------------------------------
// Blocks outside the shadow map

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

/** A block inside realloc(), if state is TM_RESIZE_BUSY. Its site still counts it with this size. */
struct tm_resize {
    uint64_t address;
    uint64_t size;
    uint32_t site;
    uint32_t state; // stored last when set, first when cleared
    uint64_t _reserved;
};
#define TM_RESIZE_FREE 0u
#define TM_RESIZE_CLAIMED 1u // being filled in; not to be read
#define TM_RESIZE_BUSY 2u
#define TM_RESIZES 32

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
#define TM_ROOT_LEAN 8u          // the profile of the trace: the frames that were cut off are not counted
// Up to CPython 3.12 one of these goes with TM_ROOT_REUSE_EXACT: how the tracer learns of the reuse.
#define TM_ROOT_REUSE_BY_ENTRY 16u // by a jump in CPython's code
#define TM_ROOT_REUSE_BY_SLOTS 32u // by CPython's table of traces, without the lock
#define TM_ROOT_REUSE_BY_TABLE 64u // by the same, with the lock
#define TM_ROOT_REUSE_WAY (TM_ROOT_REUSE_BY_ENTRY | TM_ROOT_REUSE_BY_SLOTS | TM_ROOT_REUSE_BY_TABLE)

/** Traced memory as one side counts it. The whole is owned.traced + shared.traced, modulo 2^64. */
struct tm_memory {
    uint64_t traced; // bytes in live blocks
    uint64_t peak;   // the greatest whole that this side has seen; the peak is the greater of the two sides'
    uint64_t _reserved[6];
};

struct tm_root {
    char magic[TM_MAGIC_SIZE]; // stored last of all when the table is made

    uint32_t byte_order;     // TM_BYTE_ORDER
    uint16_t layout_major;   // TM_LAYOUT_MAJOR
    uint16_t layout_minor;   // TM_LAYOUT_MINOR
    uint32_t root_size;      // sizeof(struct tm_root)
    uint8_t pointer_size;    // 8
    uint8_t address_bits;    // TM_ADDRESS_BITS
    uint8_t branch_shift;    // TM_BRANCH_SHIFT
    uint8_t leaf_shift;      // TM_LEAF_SHIFT
    uint64_t self;           // this record's own address: a copy in another place is not a table
    uint32_t pid;            // of the process, as it sees itself; a forked child stores its own
    uint32_t flags;          // TM_ROOT_*
    uint32_t python_version; // PY_VERSION_HEX of the running interpreter
    uint32_t _reserved0;
    char python_text[64]; // Py_GetVersion() up to the first space, NUL-padded
    char tracer_text[32]; // the tracer's own version, NUL-padded

    uint32_t state;       // enum tm_state
    uint32_t frame_limit; // frames kept per traceback; 0 before the first start
    uint64_t started;     // when tracing began: nanoseconds since 1970 (CLOCK_REALTIME); 0 unless tracing
    uint64_t cleared;     // when traces were last cleared while tracing, likewise; 0: never
    uint64_t starts;      // how many times tracing was started

    uint64_t directory;     // address of the tm_directory
    uint64_t tracked_index; // address of the struct tm_tracked_index, or 0
    uint64_t mapped;        // bytes of address space the tracer has mapped for itself
    uint64_t leaves;        // leaves mapped, of sizeof(tm_leaf) each

    // What could not be recorded.
    uint64_t lost_blocks; // allocations left out of the table: no memory or no room for them
    uint64_t lost_frames; // frames kept as TM_CODE_UNKNOWN: no memory, or no code object

    uint64_t record_limit; // the greatest number of sites; the limits of the other records follow from it
    uint64_t _reserved1[2];

    struct tm_memory owned;  // written by holders of the main interpreter's lock
    struct tm_memory shared; // written atomically by all others

    struct tm_array bytes;
    struct tm_array strings;
    struct tm_array codes;
    struct tm_array nodes;
    struct tm_array sites;
    struct tm_array tracked;

    struct tm_resize resize[TM_RESIZES]; // [0] is the lock holder's; the others are claimed one by one
};

// ---------------------------------------------------------------------------------------------------------------
// The layout is pinned here. docs/layout.md gives the same figures, and a test compares the two.

#define TM_PIN(type, field, offset) \
    _Static_assert(__builtin_offsetof(struct type, field) == (offset), #type "." #field " has moved")
#define TM_PIN_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " has changed its size")

TM_PIN_SIZE(tm_array, 224);
TM_PIN_SIZE(tm_string, 16);
TM_PIN_SIZE(tm_code, 48);
TM_PIN_SIZE(tm_node, 16);
TM_PIN_SIZE(tm_site, 48);
TM_PIN_SIZE(tm_tracked, 32);
TM_PIN_SIZE(tm_resize, 32);
TM_PIN_SIZE(tm_memory, 64);
TM_PIN(tm_site, allocations, 16);
TM_PIN(tm_code, address, 32);
TM_PIN(tm_root, self, 32);
TM_PIN(tm_root, python_text, 56);
TM_PIN(tm_root, state, 152);
TM_PIN(tm_root, directory, 184);
TM_PIN(tm_root, lost_blocks, 216);
TM_PIN(tm_root, record_limit, 232);
TM_PIN(tm_root, owned, 256);
TM_PIN(tm_root, bytes, 384);
TM_PIN(tm_root, resize, 1728);
TM_PIN_SIZE(tm_root, 2752);

#endif
