// Decoding of UTF-8 with surrogates, and Python's white space. Allocates nothing and never fails.

#include "engine/base/utf8.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

// How many bytes a sequence has which starts with this byte; 0: no sequence starts so.
static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

size_t tm_utf8_decode(const char *bytes, size_t length, uint32_t *code_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned char lead = (unsigned char)bytes[0];
    size_t size = sequence_length(lead);

    if (size > 0 && size <= length) {
        uint32_t value = lead & lead_mask[size];
        size_t i = 1;
        while (i < size && is_continuation((unsigned char)bytes[i]))
            value = value << 6 | ((unsigned char)bytes[i++] & 0x3f);
        if (i == size && value >= smallest[size] && value <= 0x10ffff) {
            *code_point = value;
            return size;
        }
    }
    *code_point = 0xdc00u + lead;
    return 1;
}

bool tm_utf8_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

void tm_utf8_strip(const char **bytes, size_t *length)
{
    const char *start = *bytes;
    const char *end = start + *length;
    const char *kept_end = start;
    uint32_t code_point;

    while (start < end) {
        size_t size = tm_utf8_decode(start, (size_t)(end - start), &code_point);
        if (!tm_utf8_is_space(code_point))
            break;
        start += size;
    }
    kept_end = start;
    for (const char *at = start; at < end;) {
        at += tm_utf8_decode(at, (size_t)(end - at), &code_point);
        if (!tm_utf8_is_space(code_point))
            kept_end = at;
    }
    *bytes = start;
    *length = (size_t)(kept_end - start);
}
