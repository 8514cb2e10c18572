/**
 * Made-up tables of CPython's own tracemalloc, of every version's kind, in an image.
 *
 * They are valid when they are made, as a process has them between two operations; then a test changes them through
 * image_at(). Tables do not grow: how many buckets they have is fixed when they are made.
 */
#ifndef TRACEMORTEM_TESTS_STOCK_IMAGE_H
#define TRACEMORTEM_TESTS_STOCK_IMAGE_H

#include "engine/stock/layout.h"
#include "support/image.h"

#define STOCK_IMAGE_MODULE UINT64_C(0x560000400000) // the interpreter's data
#define STOCK_IMAGE_MODULE_SIZE UINT64_C(0x10000)
#define STOCK_IMAGE_HEAP UINT64_C(0x7f5600000000) // tables, entries, names
#define STOCK_IMAGE_HEAP_SIZE UINT64_C(0x100000)

struct stock_image {
    struct image *image;
    const struct tm_stock_layout *layout;
    unsigned minor;
    uint64_t runtime;                                // _PyRuntime; before 3.12 nothing is in it
    uint64_t state;                                  // _PyRuntime.tracemalloc; before 3.12: the first static variable
    uint64_t config;                                 // initialized, tracing, max_nframe
    uint64_t lock;                                   // what is 0 or 1: a semaphore's value or a mutex
    uint64_t traces, tracebacks, filenames, domains; // tables; before 3.9 there is no domains
    uint64_t traces_at, traced_at, peak_at, lock_at; // variables
    uint64_t heap_end;                               // so far
};

/** The kinds of str objects in memory. */
enum stock_image_string {
    STOCK_IMAGE_ASCII = 0,
    STOCK_IMAGE_LATIN_1 = 1,
    STOCK_IMAGE_UCS_2 = 2,
    STOCK_IMAGE_UCS_4 = 4,
    STOCK_IMAGE_NOT_COMPACT = 8, // added to one of the others: of a subclass of str
};

/** A frame: the address of a name, and a line. */
struct stock_image_frame {
    uint64_t name;
    uint32_t line;
};

/**
 * Empty tables of CPython 3.`minor`, tracing with `limit` frames, without symbols. `buckets`: of the table of traces.
 */
void stock_image_create(struct stock_image *stock, struct image *image, unsigned minor, bool free_threaded,
                        uint32_t limit, uint64_t buckets);
/** Add the symbols that a build with a symbol table has. */
void stock_image_tell_symbols(struct stock_image *stock);

/** Room in the heap, zeroed, aligned to 16. */
uint64_t stock_image_allocate(struct stock_image *stock, uint64_t length);
/** The addresses of names: from 3.15 on of UTF-8 with a NUL at the end, whatever the kind; else of a str object. */
uint64_t stock_image_name(struct stock_image *stock, unsigned kind, const uint32_t *characters, size_t count);
uint64_t stock_image_ascii(struct stock_image *stock, const char *text);
/** The most recent frame first. The traceback is in the table of tracebacks too. */
uint64_t stock_image_traceback(struct stock_image *stock, const struct stock_image_frame *frames, uint16_t count,
                               uint16_t total);
/**
 * A live block, counted; returns the address of its entry. In 3.8 the first one in a domain other than 0 changes the
 * keys.
 */
uint64_t stock_image_trace(struct stock_image *stock, uint32_t domain, uint64_t address, uint64_t size,
                           uint64_t traceback);
/** The domain's table, 0: none yet. In 3.8 all are in one. */
uint64_t stock_image_domain(const struct stock_image *stock, uint32_t domain);

/** Where a table has its array of buckets, and how many there are. */
uint64_t stock_image_buckets(const struct stock_image *stock, uint64_t table, uint64_t *count);
/** A word of the target. */
uint64_t *stock_image_word(const struct stock_image *stock, uint64_t address);

/** Something of everything, for tests that change it anywhere: names of every kind, domains 0 and 389047, chains. */
void stock_image_fill(struct stock_image *stock);

#endif
