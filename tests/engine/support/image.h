/**
 * Made-up targets for tests of the engine: memory that contains what a test puts there, and a builder of trace
 * tables.
 *
 * An image is a set of mappings with holes. A table in it is written through the layout header alone, as the tracer
 * would write it; then a test changes it through image_at() and image_record(). Everything here aborts on a mistake
 * of the test.
 */
#ifndef TRACEMORTEM_TESTS_IMAGE_H
#define TRACEMORTEM_TESTS_IMAGE_H

#include "engine/tracemortem.h"
#include "layout/trace_table.h"

struct image;

struct image *image_create(void);
void image_destroy(struct image *image);

/** Zeroed memory at an address of the target; it is also a region (flags TM_REGION_*). */
void *image_map(struct image *image, uint64_t address, uint64_t length, const char *name, uint32_t flags);
/** The same with the usual flags and no name, anywhere, aligned to 4096. */
uint64_t image_map_anywhere(struct image *image, uint64_t length);
/** The bytes behind an address. */
void *image_at(const struct image *image, uint64_t address, uint64_t length);
/** Make memory unreadable, as if a core did not contain it; its region stays. */
void image_hide(struct image *image, uint64_t address, uint64_t length);
/** Make all readable again. */
void image_show_all(struct image *image);
void image_set_symbol(struct image *image, const char *name, uint64_t address);
/** Whether the target reports regions (by default it does). */
void image_tell_regions(struct image *image, bool tell);
/** The process's id, 0 (not known) by default. */
void image_set_process(struct image *image, uint32_t process);
/** Why mapped memory is missing, NULL (not known) by default. */
void image_set_why_missing(struct image *image, const char *why);

/** A target that reads the image; the image owns it. Every call makes a new one. */
struct tm_target *image_target(struct image *image);
/** The same, owned by the caller. */
struct tm_target *image_new_target(struct image *image);

/** Calls `then` after each read, with its number from 1 on: a program that goes on. NULL: it does not. */
void image_after_reads(struct image *image, void (*then)(void *context, uint64_t number), void *context);

/** How often read was called, and the longest read. */
uint64_t image_reads(const struct image *image);
uint64_t image_longest_read(const struct image *image);
/** Bytes that were read. */
uint64_t image_bytes_read(const struct image *image);

// ---------------------------------------------------------------------------------------------------------------
// A table in an image

struct image_table {
    struct image *image;
    uint64_t address;           // of the root
    struct tm_root *root;       // its bytes
    uint64_t map_next, map_end; // memory for grids and lists
};

#define IMAGE_ROOT UINT64_C(0x7f5500300000)
/** log2 of the slots in the index of tracked blocks. */
#define IMAGE_INDEX_SHIFT 12

/** An empty table that is tracing with a limit of 25 frames; only a search finds it. Chunks begin with 16 records. */
void image_table_create(struct image_table *table, struct image *image, uint64_t address);

uint32_t image_string(struct image_table *table, const char *bytes, uint32_t length);
/** A code object of a file. `lines` may be NULL with TM_LINES_NONE. */
uint32_t image_code(struct image_table *table, const char *file_name, int32_t first_line, uint8_t kind,
                    const void *lines, uint32_t lines_length, uint32_t code_length);
/**
 * After a test changed records: set the hashes that a writer would give their present contents. `arrays` is the root,
 * or a copy of it from before the change. A record that refers to bytes out of reach keeps its hash.
 */
void image_rehash(struct image_table *table, const struct tm_root *arrays);
/** Make all copies of chunks what the chunks are now; image_rehash() does it too. */
void image_copy_again(struct image_table *table, const struct tm_root *arrays);
uint32_t image_node(struct image_table *table, uint32_t parent, uint32_t code, int32_t instruction);
/** A node for a frame in this file and line, with a code object of its own. */
uint32_t image_frame(struct image_table *table, uint32_t parent, const char *file_name, int32_t line);
/** A site without blocks. `total_frames` 0: as many as the node's depth. */
uint32_t image_site(struct image_table *table, uint32_t node, uint32_t domain, uint16_t total_frames);

/** Take the counters away: the lean profile. To be called before the first site is made. */
void image_table_make_lean(struct image_table *table);

/** A live block in the map, counted in its site and in the root. In the unit's grid, if it fits there, or in its list. */
void image_block(struct image_table *table, uint64_t address, uint64_t size, uint32_t site);
/** Only the slot or the entry. */
void image_put_block(struct image_table *table, uint64_t address, uint64_t size, uint32_t site);
void image_free_block(struct image_table *table, uint64_t address, uint64_t size);

/** The number of the unit of an address, and the address of its start. */
uint64_t image_unit_number(const struct image_table *table, uint64_t address);
uint64_t image_unit_start(const struct image_table *table, uint64_t address);
/** The words of the unit of an address, and where in the target they are; its leaf is made. */
struct tm_unit *image_unit(struct image_table *table, uint64_t address);
uint64_t image_unit_address(struct image_table *table, uint64_t address);
/** The id of the leaf's record; it is made. */
uint32_t image_leaf(struct image_table *table, uint64_t address);
/** Give the unit of an address a grid without blocks; stride and phase in bytes. Returns the address of the array. */
uint64_t image_grid(struct image_table *table, uint64_t address, uint32_t stride, uint32_t phase);
/** The word of a grid, with its check; and of a list, where `word` is an address and TM_LIST_BUCKETS or nothing. */
uint64_t image_grid_word(const struct image_table *table, uint64_t address, uint64_t array, uint32_t stride,
                         uint32_t phase);
uint64_t image_list_word(const struct image_table *table, uint64_t address, uint64_t chunk, bool buckets);
/** The slot of an address, in the grid of its unit. */
uint32_t *image_slot(struct image_table *table, uint64_t address);
/** The entry of the block that starts at the address, in the list of its unit. */
uint64_t *image_entry(struct image_table *table, uint64_t address);

/** Make a copy of a chunk of an array, of what it holds now. Returns its address. */
uint64_t image_copy(struct image_table *table, struct tm_array *array, unsigned chunk);

/** A live tracked block, in the index too, counted. */
uint32_t image_track(struct image_table *table, uint32_t domain, uint64_t address, uint64_t size, uint32_t site);

/**
 * Something of everything, for tests that change a table at any place: odd names, all kinds of line tables,
 * tracebacks with common frames, blocks of every form from `heap` (a multiple of 8 GiB) on, in a grid, in a list with
 * buckets and far away; a watched code object, copies of chunks, tracked blocks of domains 389047 and 0. Sites 1 to 6 have
 * blocks.
 */
void image_table_fill(struct image_table *table, uint64_t heap);

/** A record's bytes, and its address in the target. */
void *image_record(struct image_table *table, const struct tm_array *array, uint64_t id);
uint64_t image_record_address(struct image_table *table, const struct tm_array *array, uint64_t id);

#endif
