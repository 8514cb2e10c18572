// str objects, decoded by their layout. Every code point becomes UTF-8, surrogates as three bytes.

#include "engine/stock/strings.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

#define OBJECT_LIMIT 80u // bytes of a str object, without its characters
#define UTF8_LONGEST 4u
#define NUL_STEP 256u

// A str object's head.
struct str {
    uint64_t length;
    uint64_t hash;
    unsigned kind; // bytes of a character: 1, 2 or 4
    bool is_ascii;
    uint64_t characters; // their address
};

// False: this is not a str object.
static bool decode_head(const struct tm_stock_string *layout, uint64_t address, const unsigned char *bytes,
                        struct str *str)
{
    uint32_t state = tm_load_u32(bytes + layout->state) >> layout->kind_shift;
    bool compact = state >> 3 & 1;
    *str = (struct str){.length = tm_load_u64(bytes + layout->length),
                        .hash = tm_load_u64(bytes + layout->hash),
                        .kind = state & 7,
                        .is_ascii = state >> 4 & 1};
    if (!compact)
        str->characters = tm_load_u64(bytes + layout->pointer);
    else
        str->characters = address + (str->is_ascii ? layout->ascii : layout->compact);
    return str->length <= TM_STOCK_NAME_LIMIT && (str->kind == 1 || str->kind == 2 || str->kind == 4) &&
           (!str->is_ascii || str->kind == 1);
}

static size_t encode(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)(leads[length] | c);
    return length;
}

// Writes the characters as UTF-8; false: they are not characters.
static bool encode_all(const struct str *str, const unsigned char *characters, char *to, uint32_t *length)
{
    uint32_t written = 0;
    for (uint64_t i = 0; i < str->length; i++) {
        uint32_t c = 0;
        memcpy(&c, characters + i * str->kind, str->kind); // little-endian, as this host is
        if (c > 0x10ffff || (str->is_ascii && c >= 0x80))
            return false;
        written += (uint32_t)encode(c, to + written);
    }
    *length = written;
    return true;
}

static struct tm_error *read_characters(struct tm_heap_cache *heap, const struct str *str, struct tm_pool *pool,
                                        struct tm_stock_name *result)
{
    uint64_t size = str->length * str->kind;
    unsigned char *characters = malloc(size + 1);
    char *text = malloc(str->length * UTF8_LONGEST + 1);
    struct tm_error *error = characters && text ? NULL : tm_error_no_memory();
    uint32_t length;
    if (!error && !tm_heap_cache_read(heap, str->characters, characters, size)) {
        result->unreadable = true;
        error = tm_heap_cache_error(heap);
    } else if (!error && encode_all(str, characters, text, &length)) {
        error = tm_pool_name(pool, text, length, &result->name);
    }
    free(characters);
    free(text);
    return error;
}

static struct tm_error *read_object(struct tm_heap_cache *heap, const struct tm_stock_string *layout, uint64_t address,
                                    struct tm_pool *pool, struct tm_stock_name *result)
{
    unsigned char bytes[OBJECT_LIMIT] = {0};
    struct str str;
    // A compact ASCII string at the end of a mapping may be shorter than the heads of other kinds.
    if (address % 8 != 0 || !(tm_heap_cache_read(heap, address, bytes, layout->pointer + 8u) ||
                              tm_heap_cache_read(heap, address, bytes, layout->ascii))) {
        result->unreadable = true;
        return tm_heap_cache_error(heap);
    }
    if (!decode_head(layout, address, bytes, &str))
        return NULL;
    result->hash = str.hash;
    return read_characters(heap, &str, pool, result);
}

static struct tm_error *read_utf8(struct tm_heap_cache *heap, uint64_t address, struct tm_pool *pool,
                                  struct tm_stock_name *result)
{
    char *text = malloc(TM_STOCK_NAME_LIMIT);
    struct tm_error *error = text ? NULL : tm_error_no_memory();
    uint32_t length = 0;
    // Reads to the end of each step of 256 bytes, so that memory after the string is hardly needed.
    while (!error && length < TM_STOCK_NAME_LIMIT - NUL_STEP) {
        uint32_t step = NUL_STEP - (uint32_t)((address + length) % NUL_STEP);
        if (!tm_heap_cache_read(heap, address + length, text + length, step)) {
            result->unreadable = true;
            error = tm_heap_cache_error(heap);
            break;
        }
        const char *end = memchr(text + length, '\0', step);
        if (end) {
            error = tm_pool_name(pool, text, (uint32_t)(end - text), &result->name);
            break;
        }
        length += step;
    }
    free(text);
    return error;
}

struct tm_error *tm_stock_name_read(struct tm_heap_cache *heap, const struct tm_stock_layout *layout, uint64_t address,
                                    struct tm_pool *pool, struct tm_stock_name *result)
{
    *result = (struct tm_stock_name){NULL, false, 0};
    if (!layout->utf8_names)
        return read_object(heap, &layout->string, address, pool, result);
    result->hash = address >> 4 | address << 60;
    if (result->hash == UINT64_MAX)
        result->hash--; // Py_hash_t has no -1
    return read_utf8(heap, address, pool, result);
}
