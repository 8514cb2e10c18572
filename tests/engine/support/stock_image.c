/**
 * A writer of CPython's own tracemalloc tables: what its C code leaves in memory, by the layouts of stock/layout.h.
 */
#include "support/stock_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS UINT64_C(0x560000001000) // addresses of functions; nothing is mapped there
#define RUNTIME_OFFSET UINT64_C(2768)      // of the variables, in _PyRuntime
#define STATICS_OFFSET UINT64_C(0x4000)
#define SMALL_TABLE 16u
#define LARGE_TABLE 1024u

enum function {
    HASH_POINTER,
    HASH_NUMBER,
    HASH_TRACEBACK,
    HASH_NAME,
    COMPARE_DIRECT,
    COMPARE_TRACEBACK,
    COMPARE_NAME,
    GET_ENTRY,
    FREE_TRACE,
    FREE_NAME,
    FREE_TABLE,
    ALLOCATE,
    RELEASE,
};

static uint64_t address_of(enum function function)
{
    return FUNCTIONS + 0x100 * (uint64_t)function;
}

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "stock image: %s\n", what);
        abort();
    }
}

static bool is_3_8(const struct stock_image *stock)
{
    return stock->layout->shape == TM_STOCK_SHAPE_3_8;
}

static void put(const struct stock_image *stock, uint64_t address, const void *bytes, uint64_t length)
{
    memcpy(image_at(stock->image, address, length), bytes, length);
}

static void put_word(const struct stock_image *stock, uint64_t address, uint64_t word)
{
    put(stock, address, &word, sizeof(word));
}

static void put_half(const struct stock_image *stock, uint64_t address, uint32_t half)
{
    put(stock, address, &half, sizeof(half));
}

static uint64_t word_at(const struct stock_image *stock, uint64_t address)
{
    uint64_t word;
    memcpy(&word, image_at(stock->image, address, sizeof(word)), sizeof(word));
    return word;
}

uint64_t *stock_image_word(const struct stock_image *stock, uint64_t address)
{
    return image_at(stock->image, address, sizeof(uint64_t));
}

uint64_t stock_image_allocate(struct stock_image *stock, uint64_t length)
{
    uint64_t address = stock->heap_end;
    stock->heap_end += (length + 15) / 16 * 16 + 16;
    require(stock->heap_end <= STOCK_IMAGE_HEAP + STOCK_IMAGE_HEAP_SIZE, "the heap is full");
    return address;
}

// ---------------------------------------------------------------------------------------------------------------
// Tables

// Their heads. 3.8 has no destroying functions, the others have no sizes.
static uint64_t make_table(struct stock_image *stock, uint64_t buckets, enum function hash, enum function compare,
                           enum function key_destroy, enum function value_destroy)
{
    uint64_t table = stock_image_allocate(stock, 80), array = stock_image_allocate(stock, buckets * 8);
    if (is_3_8(stock)) {
        uint64_t data_size = hash == HASH_POINTER ? 16 : 0;
        const uint64_t head[] = {buckets,
                                 0,
                                 array,
                                 8,
                                 data_size,
                                 address_of(hash),
                                 address_of(compare),
                                 address_of(ALLOCATE),
                                 address_of(RELEASE)};
        put(stock, table, head, sizeof(head));
        return table;
    }
    // HASH_POINTER is not a function here.
    const uint64_t head[] = {0,
                             buckets,
                             array,
                             address_of(GET_ENTRY),
                             address_of(hash),
                             address_of(compare),
                             key_destroy ? address_of(key_destroy) : 0,
                             value_destroy ? address_of(value_destroy) : 0,
                             address_of(ALLOCATE),
                             address_of(RELEASE)};
    put(stock, table, head, sizeof(head));
    return table;
}

uint64_t stock_image_buckets(const struct stock_image *stock, uint64_t table, uint64_t *count)
{
    *count = word_at(stock, table + (is_3_8(stock) ? 0 : 8));
    return word_at(stock, table + 16);
}

// An entry of `length` bytes as the first of its chain.
static uint64_t add_entry(struct stock_image *stock, uint64_t table, uint64_t hash, uint64_t length)
{
    uint64_t entry = stock_image_allocate(stock, length), buckets;
    uint64_t bucket = stock_image_buckets(stock, table, &buckets);
    bucket += (hash & (buckets - 1)) * 8;
    put_word(stock, entry, word_at(stock, bucket));
    put_word(stock, entry + 8, hash);
    put_word(stock, bucket, entry);
    ++*stock_image_word(stock, table + (is_3_8(stock) ? 8 : 0));
    return entry;
}

// From 3.9 on.
static uint64_t add_pair(struct stock_image *stock, uint64_t table, uint64_t hash, uint64_t key, uint64_t value)
{
    uint64_t entry = add_entry(stock, table, hash, 32);
    put_word(stock, entry + 16, key);
    put_word(stock, entry + 24, value);
    return entry;
}

static uint64_t hash_of_pointer(uint64_t pointer)
{
    return pointer >> 4 | pointer << 60;
}

static void make_tables(struct stock_image *stock, uint64_t buckets)
{
    const enum function none = HASH_POINTER;
    stock->traces = make_table(stock, buckets, HASH_POINTER, COMPARE_DIRECT, none, FREE_TRACE);
    // Before 3.13 the function that frees tracebacks was given for the values.
    stock->tracebacks = stock->minor < 13
                            ? make_table(stock, LARGE_TABLE, HASH_TRACEBACK, COMPARE_TRACEBACK, none, FREE_TRACE)
                            : make_table(stock, LARGE_TABLE, HASH_TRACEBACK, COMPARE_TRACEBACK, FREE_TRACE, none);
    stock->filenames = make_table(stock, LARGE_TABLE, HASH_NAME, COMPARE_NAME, FREE_NAME, none);
    if (!is_3_8(stock))
        stock->domains = make_table(stock, SMALL_TABLE, HASH_NUMBER, COMPARE_DIRECT, none, FREE_TABLE);
}

// ---------------------------------------------------------------------------------------------------------------
// Variables

// A semaphore in a block of glibc's malloc(); its value is 1 while it is free.
static uint64_t make_semaphore(struct stock_image *stock)
{
    uint64_t block = stock_image_allocate(stock, 48);
    put_word(stock, block + 8, 0x31);
    put_half(stock, block + 16, 1);
    return block + 16;
}

static void make_statics(struct stock_image *stock)
{
    stock->state = STOCK_IMAGE_MODULE + STATICS_OFFSET;
    stock->traced_at = stock->state;
    stock->peak_at = stock->state + 8;
    stock->traces_at = stock->state + 16;
    stock->lock_at = stock->state + 40;
    stock->config = stock->state + 0x800;
    stock->lock = make_semaphore(stock);
    put_word(stock, stock->lock_at, stock->lock);
    put_word(stock, stock->traces_at, stock->traces);
    put_word(stock, stock->state + 24, stock->tracebacks);
    put_word(stock, stock->state + 32, stock->filenames);
    put_word(stock, stock->state + 48, stock->domains);
}

// 3.15: the traceback of a block without frames; its name is in the executable.
static uint64_t make_empty_traceback(struct stock_image *stock)
{
    uint64_t name = STOCK_IMAGE_MODULE + 0x100, traceback = STOCK_IMAGE_MODULE + 0x140;
    put(stock, name, "<unknown>", 10);
    put_word(stock, traceback + TM_STOCK_FRAMES, name);
    return traceback;
}

static void make_state(struct stock_image *stock)
{
    stock->state = stock->runtime + RUNTIME_OFFSET;
    stock->config = stock->state;
    stock->traced_at = stock->state + TM_STOCK_TRACED;
    stock->peak_at = stock->state + TM_STOCK_PEAK;
    stock->traces_at = stock->state + TM_STOCK_TRACES;
    stock->lock = stock->lock_at = stock->state + TM_STOCK_LOCK;
    if (!stock->layout->mutex) {
        stock->lock = make_semaphore(stock);
        put_word(stock, stock->lock_at, stock->lock);
    }
    put_word(stock, stock->state + TM_STOCK_MEM_MALLOC, address_of(ALLOCATE));
    put_word(stock, stock->state + TM_STOCK_FILENAMES, stock->filenames);
    put_word(stock, stock->state + TM_STOCK_TRACEBACKS, stock->tracebacks);
    put_word(stock, stock->traces_at, stock->traces);
    put_word(stock, stock->state + TM_STOCK_DOMAINS, stock->domains);
    if (stock->minor >= 15)
        put_word(stock, stock->state + TM_STOCK_EMPTY_TRACEBACK, make_empty_traceback(stock));
    if (stock->minor >= 13) {
        put(stock, stock->runtime, "xdebugpy", 8);
        put_word(stock, stock->runtime + 8, UINT64_C(3) << 24 | (uint64_t)stock->minor << 16 | 0x1f0);
        put_word(stock, stock->runtime + 16, stock->layout->free_threaded);
    }
}

void stock_image_create(struct stock_image *stock, struct image *image, unsigned minor, bool free_threaded,
                        uint32_t limit, uint64_t buckets)
{
    *stock = (struct stock_image){.image = image,
                                  .layout = tm_stock_layout_of(minor, free_threaded),
                                  .minor = minor,
                                  .runtime = STOCK_IMAGE_MODULE + 0x1000,
                                  .heap_end = STOCK_IMAGE_HEAP};
    require(stock->layout != NULL, "no such version");
    uint32_t flags = TM_REGION_READABLE | TM_REGION_WRITABLE;
    image_map(image, STOCK_IMAGE_MODULE, STOCK_IMAGE_MODULE_SIZE, "/usr/bin/python3", flags | TM_REGION_FILE);
    image_map(image, STOCK_IMAGE_HEAP, STOCK_IMAGE_HEAP_SIZE, "", flags);
    char version[80];
    int length = snprintf(version, sizeof(version), "3.%u.1 (main, Jan  2 2024, 03:04:05) [GCC 12.2.0]", minor);
    put(stock, STOCK_IMAGE_MODULE + 0x200, version, (uint64_t)length + 1);
    make_tables(stock, buckets);
    if (stock->layout->in_runtime)
        make_state(stock);
    else
        make_statics(stock);
    put_half(stock, stock->config, 1);
    put_half(stock, stock->config + 4, 1);
    put_half(stock, stock->config + 8, limit);
}

void stock_image_tell_symbols(struct stock_image *stock)
{
    image_set_symbol(stock->image, "_PyRuntime", stock->runtime);
    if (stock->layout->in_runtime)
        return;
    image_set_symbol(stock->image, "tracemalloc_traces", stock->traces_at);
    image_set_symbol(stock->image, "tables_lock", stock->lock_at);
    image_set_symbol(stock->image, "_Py_tracemalloc_config", stock->config);
    image_set_symbol(stock->image, "tracemalloc_traced_memory", stock->traced_at);
    image_set_symbol(stock->image, "tracemalloc_peak_traced_memory", stock->peak_at);
}

// ---------------------------------------------------------------------------------------------------------------
// Names and tracebacks

static size_t encode(uint32_t c, unsigned char *to)
{
    if (c < 0x80) {
        to[0] = (unsigned char)c;
        return 1;
    }
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (unsigned i = more; i > 0; i--, c >>= 6)
        to[i] = 0x80 | (c & 0x3f);
    to[0] = (unsigned char)((0xff00u >> (more + 1)) | c);
    return more + 1;
}

static uint64_t make_utf8(struct stock_image *stock, const uint32_t *characters, size_t count)
{
    uint64_t address = stock_image_allocate(stock, count * 4 + 1), end = address;
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[4];
        size_t length = encode(characters[i], bytes);
        put(stock, end, bytes, length);
        end += length;
    }
    return address;
}

uint64_t stock_image_name(struct stock_image *stock, unsigned kind, const uint32_t *characters, size_t count)
{
    if (stock->layout->utf8_names)
        return make_utf8(stock, characters, count);
    const struct tm_stock_string *string = &stock->layout->string;
    bool compact = !(kind & STOCK_IMAGE_NOT_COMPACT), ascii = (kind & 7) == STOCK_IMAGE_ASCII;
    unsigned width = ascii ? 1 : kind & 7;
    uint64_t object = stock_image_allocate(stock, 80 + count * width + width), hash = count;
    uint64_t data = object + (ascii ? string->ascii : string->compact);
    if (!compact) {
        data = stock_image_allocate(stock, count * width + width);
        put_word(stock, object + string->pointer, data);
    }
    for (size_t i = 0; i < count; i++) {
        put(stock, data + i * width, &characters[i], width); // little-endian, as this host is
        hash = hash * 1000003 ^ characters[i];
    }
    put_word(stock, object + string->length, count);
    put_word(stock, object + string->hash, hash);
    put_half(stock, object + string->state,
             (width | (unsigned)compact << 3 | (unsigned)ascii << 4) << string->kind_shift);
    return object;
}

uint64_t stock_image_ascii(struct stock_image *stock, const char *text)
{
    uint32_t characters[256];
    size_t count = strlen(text);
    require(count <= 256, "a long name");
    for (size_t i = 0; i < count; i++)
        characters[i] = (unsigned char)text[i];
    return stock_image_name(stock, STOCK_IMAGE_ASCII, characters, count);
}

static uint64_t hash_of_name(const struct stock_image *stock, uint64_t name)
{
    return stock->layout->utf8_names ? hash_of_pointer(name) : word_at(stock, name + stock->layout->string.hash);
}

uint64_t stock_image_traceback(struct stock_image *stock, const struct stock_image_frame *frames, uint16_t count,
                               uint16_t total)
{
    uint64_t traceback = stock_image_allocate(stock, TM_STOCK_FRAMES + (uint64_t)count * TM_STOCK_FRAME_SIZE);
    uint64_t hash = 0x345678, multiplier = 1000003;
    for (unsigned i = 0; i < count; i++) {
        uint64_t frame = traceback + TM_STOCK_FRAMES + (uint64_t)i * TM_STOCK_FRAME_SIZE;
        put(stock, frame, &frames[i].name, 8);
        put_half(stock, frame + 8, frames[i].line);
        hash = (hash ^ hash_of_name(stock, frames[i].name) ^ frames[i].line) * multiplier;
        multiplier += 82520 + 2 * (uint64_t)(count - 1 - i);
    }
    if (!is_3_8(stock))
        hash ^= total;
    put_word(stock, traceback, hash + 97531);
    put_half(stock, traceback + 8, is_3_8(stock) ? count : (uint32_t)total << 16 | count);
    if (is_3_8(stock)) {
        uint64_t entry = add_entry(stock, stock->tracebacks, hash + 97531, 24);
        put_word(stock, entry + 16, traceback);
    } else {
        add_pair(stock, stock->tracebacks, hash + 97531, traceback, 0);
    }
    return traceback;
}

// ---------------------------------------------------------------------------------------------------------------
// Traces

// 3.8, when the first trace of a domain other than 0 comes: a new table, whose keys contain the domain.
static void give_keys_domains(struct stock_image *stock)
{
    uint64_t old = stock->traces, count, array = stock_image_buckets(stock, old, &count);
    require(word_at(stock, old + 24) == 8, "the keys have domains");
    stock->traces = make_table(stock, count, HASH_POINTER, COMPARE_DIRECT, HASH_POINTER, HASH_POINTER);
    put_word(stock, stock->traces + 24, 12);
    put_word(stock, stock->traces_at, stock->traces);
    for (uint64_t bucket = 0; bucket < count; bucket++) {
        for (uint64_t entry = word_at(stock, array + bucket * 8); entry; entry = word_at(stock, entry)) {
            uint64_t to = add_entry(stock, stock->traces, word_at(stock, entry + 8), 44);
            put_word(stock, to + 16, word_at(stock, entry + 16));
            put_word(stock, to + 28, word_at(stock, entry + 24));
            put_word(stock, to + 36, word_at(stock, entry + 32));
        }
    }
    put_word(stock, old + 24, 0); // freed
}

static uint64_t add_trace_3_8(struct stock_image *stock, uint32_t domain, uint64_t address, uint64_t size,
                              uint64_t traceback)
{
    uint64_t hash = hash_of_pointer(address);
    hash -= hash == UINT64_MAX;
    if (domain && word_at(stock, stock->traces + 24) == 8)
        give_keys_domains(stock);
    bool with_domains = word_at(stock, stock->traces + 24) == 12;
    uint64_t entry = add_entry(stock, stock->traces, with_domains ? hash ^ domain : hash, with_domains ? 44 : 40);
    put_word(stock, entry + 16, address);
    if (with_domains)
        put_half(stock, entry + 24, domain);
    put_word(stock, entry + (with_domains ? 28 : 24), size);
    put_word(stock, entry + (with_domains ? 36 : 32), traceback);
    return entry;
}

uint64_t stock_image_domain(const struct stock_image *stock, uint32_t domain)
{
    if (domain == 0 || is_3_8(stock))
        return stock->traces;
    uint64_t count, array = stock_image_buckets(stock, stock->domains, &count);
    for (uint64_t entry = word_at(stock, array + (domain & (count - 1)) * 8); entry; entry = word_at(stock, entry)) {
        if (word_at(stock, entry + 16) == domain)
            return word_at(stock, entry + 24);
    }
    return 0;
}

uint64_t stock_image_trace(struct stock_image *stock, uint32_t domain, uint64_t address, uint64_t size,
                           uint64_t traceback)
{
    *stock_image_word(stock, stock->traced_at) += size;
    *stock_image_word(stock, stock->peak_at) += size;
    if (is_3_8(stock))
        return add_trace_3_8(stock, domain, address, size, traceback);
    uint64_t table = stock_image_domain(stock, domain);
    if (!table) {
        table = make_table(stock, SMALL_TABLE, HASH_POINTER, COMPARE_DIRECT, HASH_POINTER, FREE_TRACE);
        add_pair(stock, stock->domains, domain, domain, table);
    }
    uint64_t trace = stock_image_allocate(stock, 16);
    put_word(stock, trace, size);
    put_word(stock, trace + 8, traceback);
    return add_pair(stock, table, hash_of_pointer(address), address, trace);
}

void stock_image_fill(struct stock_image *stock)
{
    static const uint32_t latin[] = {'l', 0xe9, '.', 'p', 'y'}, two[] = {0x4e2d, 0xdc80, '.', 'p', 'y'},
                          four[] = {0x1f40d, 0xd800, 'x'};
    const uint64_t names[] = {
        stock_image_ascii(stock, "/srv/app/main.py"),
        stock_image_name(stock, STOCK_IMAGE_LATIN_1, latin, 5),
        stock_image_name(stock, STOCK_IMAGE_UCS_2, two, 5),
        stock_image_name(stock, STOCK_IMAGE_UCS_4 | STOCK_IMAGE_NOT_COMPACT, four, 3),
        stock_image_name(stock, STOCK_IMAGE_ASCII, NULL, 0),
    };
    for (uint32_t i = 0; i < 24; i++) {
        const struct stock_image_frame frames[] = {{names[i % 5], i / 3 + 1}, {names[0], 10}, {names[1], 0}};
        uint16_t count = i % 3 + 1;
        uint64_t traceback = stock_image_traceback(stock, frames, count, count + i % 2);
        stock_image_trace(stock, i % 8 == 5 ? 389047 : 0, UINT64_C(0x7f7000000000) + 0x140 * i, 24 + i, traceback);
    }
}
