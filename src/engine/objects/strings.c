// Heads of str objects are checked before any character is read.

#include "engine/objects/strings.h"

#include <string.h>

#include "engine/base/number.h"

enum { HEAD_SIZE = 80, PIECE = 64 };

bool tm_str_open(struct tm_objects *objects, uint64_t address, struct tm_str *str)
{
    const struct tm_cpython *cpython = objects->cpython;
    unsigned char bytes[HEAD_SIZE];
    // A compact ASCII string at the end of a mapping may be shorter than the heads of other kinds.
    if (address % 8 != 0 || !(tm_objects_read(objects, address, bytes, cpython->str_compact + 8u) ||
                              tm_objects_read(objects, address, bytes, cpython->str_ascii)))
        return false;
    uint32_t state = tm_load_u32(bytes + TM_STR_STATE);
    *str = (struct tm_str){.length = tm_load_u64(bytes + TM_STR_LENGTH),
                           .kind = state >> 2 & 7,
                           .compact = state >> 5 & 1,
                           .ascii = state >> 6 & 1};
    if (str->compact)
        str->characters = address + (str->ascii ? cpython->str_ascii : cpython->str_compact);
    else
        str->characters = tm_load_u64(bytes + cpython->str_compact);
    return (str->kind == 1 || str->kind == 2 || str->kind == 4) && (!str->ascii || str->kind == 1) &&
           str->length <= UINT64_MAX / 8;
}

size_t tm_utf8_encode(uint32_t c, char *to)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)(leads[length] | c);
    return length;
}

bool tm_string_read(struct tm_objects *objects, uint64_t address, char *text, size_t capacity)
{
    struct tm_str str;
    unsigned char piece[4 * PIECE];
    size_t written = 0;
    if (!tm_str_open(objects, address, &str) || str.length >= capacity)
        return false;
    for (uint64_t done = 0; done < str.length; done += PIECE) {
        uint64_t count = str.length - done < PIECE ? str.length - done : PIECE;
        if (!tm_objects_read(objects, str.characters + done * str.kind, piece, count * str.kind))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            uint32_t c = (uint32_t)tm_load_number(piece + i * str.kind, str.kind);
            if (c == 0 || c > 0x10ffff || written + 5 > capacity)
                return false;
            written += tm_utf8_encode(c, text + written);
        }
    }
    text[written] = '\0';
    return true;
}

bool tm_string_read_c(struct tm_objects *objects, uint64_t address, char *text, size_t capacity)
{
    for (size_t length = 0; length < capacity;) {
        // To the end of the piece: memory behind the string may be missing.
        size_t step = PIECE - (size_t)((address + length) % PIECE);
        if (step > capacity - length)
            step = capacity - length;
        if (!tm_objects_read(objects, address + length, text + length, step))
            return false;
        if (memchr(text + length, '\0', step))
            return true;
        length += step;
    }
    return false;
}
