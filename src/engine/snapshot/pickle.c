// Opcodes are collected in a frame until it is large enough; no opcode crosses the end of one.

#include "engine/snapshot/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/utf8.h"

#define FRAME_TARGET ((size_t)64 << 10)
#define HEAD_SIZE ((size_t)9) // opcode FRAME and 8 bytes of length
#define PROTOCOL 4

static void put_number(unsigned char *to, uint64_t number, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        to[i] = (unsigned char)(number >> 8 * i);
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

static void fail(struct tm_pickler *pickler, struct tm_error *error)
{
    if (pickler->error)
        tm_error_destroy(error);
    else
        pickler->error = error;
}

static void output(struct tm_pickler *pickler, const unsigned char *bytes, size_t length)
{
    if (pickler->error)
        return;
    if (pickler->output(pickler->context, bytes, length) != 0)
        fail(pickler, tm_error_create(TM_ERROR_OUTPUT, "the output could not be written"));
    else
        pickler->written += length;
}

static void end_frame(struct tm_pickler *pickler)
{
    if (pickler->error || pickler->length == HEAD_SIZE)
        return;
    pickler->frame[0] = TM_PICKLE_FRAME;
    put_number(pickler->frame + 1, pickler->length - HEAD_SIZE, 8);
    output(pickler, pickler->frame, pickler->length);
    pickler->length = HEAD_SIZE;
}

// Room for one opcode with its operand; NULL: no memory, or an earlier error.
static unsigned char *reserve(struct tm_pickler *pickler, size_t length)
{
    if (pickler->error)
        return NULL;
    if (pickler->length >= FRAME_TARGET)
        end_frame(pickler);
    if (pickler->error)
        return NULL;
    if (!TM_GROW(&pickler->frame, pickler->length + length, &pickler->capacity)) {
        fail(pickler, tm_error_no_memory());
        return NULL;
    }
    unsigned char *room = pickler->frame + pickler->length;
    pickler->length += length;
    return room;
}

void tm_pickle_start(struct tm_pickler *pickler, tm_output_callback callback, void *context)
{
    const unsigned char head[] = {TM_PICKLE_PROTO, PROTOCOL};
    *pickler = (struct tm_pickler){.output = callback, .context = context};
    if (!TM_GROW(&pickler->frame, HEAD_SIZE + FRAME_TARGET, &pickler->capacity))
        fail(pickler, tm_error_no_memory());
    pickler->length = HEAD_SIZE;
    output(pickler, head, sizeof(head));
}

struct tm_error *tm_pickle_check(struct tm_pickler *pickler)
{
    struct tm_error *error = pickler->error;
    pickler->error = NULL;
    return error;
}

struct tm_error *tm_pickle_abandon(struct tm_pickler *pickler)
{
    free(pickler->frame);
    pickler->frame = NULL;
    return tm_pickle_check(pickler);
}

struct tm_error *tm_pickle_finish(struct tm_pickler *pickler)
{
    unsigned char *room = reserve(pickler, 1);
    if (room)
        *room = TM_PICKLE_STOP;
    end_frame(pickler);
    return tm_pickle_abandon(pickler);
}

// ---------------------------------------------------------------------------------------------------------------
// Opcodes

// An opcode and a number.
static void put(struct tm_pickler *pickler, unsigned char opcode, uint64_t number, unsigned width)
{
    unsigned char *room = reserve(pickler, 1 + width);
    if (!room)
        return;
    *room = opcode;
    put_number(room + 1, number, width);
}

void tm_pickle_opcode(struct tm_pickler *pickler, enum tm_pickle_opcode opcode)
{
    put(pickler, (unsigned char)opcode, 0, 0);
}

static void put_long(struct tm_pickler *pickler, uint64_t number)
{
    // Two's complement: the highest bit of the last byte is the sign.
    unsigned width = number >> 63 ? 9 : 8;
    unsigned char *room = reserve(pickler, 2 + width);
    if (!room)
        return;
    room[0] = TM_PICKLE_LONG1;
    room[1] = (unsigned char)width;
    put_number(room + 2, number, 8);
    if (width == 9)
        room[10] = 0;
}

void tm_pickle_number(struct tm_pickler *pickler, uint64_t number)
{
    if (number <= UINT8_MAX)
        put(pickler, TM_PICKLE_BININT1, number, 1);
    else if (number <= UINT16_MAX)
        put(pickler, TM_PICKLE_BININT2, number, 2);
    else if (number <= INT32_MAX)
        put(pickler, TM_PICKLE_BININT, number, 4);
    else
        put_long(pickler, number);
}

static bool is_stray(const char *bytes, size_t length, size_t *size)
{
    uint32_t code_point;
    *size = tm_utf8_decode(bytes, length, &code_point);
    return *size == 1 && code_point >= 0x80;
}

// How long the string is with each stray byte as a surrogate of three bytes.
static size_t valid_length(const char *bytes, size_t length)
{
    size_t result = length, size;
    for (size_t i = 0; i < length; i += size)
        result += is_stray(bytes + i, length - i, &size) ? 2 : 0;
    return result;
}

static void copy_valid(unsigned char *to, const char *bytes, size_t length)
{
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        if (is_stray(bytes + i, length - i, &size)) {
            unsigned surrogate = 0xdc00u + (unsigned char)bytes[i];
            *to++ = 0xed;
            *to++ = (unsigned char)(0x80 | (surrogate >> 6 & 0x3f));
            *to++ = (unsigned char)(0x80 | (surrogate & 0x3f));
        } else {
            memcpy(to, bytes + i, size);
            to += size;
        }
    }
}

void tm_pickle_string(struct tm_pickler *pickler, const char *bytes, size_t length)
{
    size_t valid = valid_length(bytes, length);
    unsigned width = valid <= UINT8_MAX ? 1 : 4;
    if (valid > UINT32_MAX) {
        fail(pickler, tm_error_create(TM_ERROR_OUTPUT, "a file name of %zu bytes is too long for the output", length));
        return;
    }
    unsigned char *room = reserve(pickler, 1 + width + valid);
    if (!room)
        return;
    room[0] = width == 1 ? TM_PICKLE_SHORT_BINUNICODE : TM_PICKLE_BINUNICODE;
    put_number(room + 1, valid, width);
    copy_valid(room + 1 + width, bytes, length);
}

void tm_pickle_word(struct tm_pickler *pickler, const char *word)
{
    tm_pickle_string(pickler, word, strlen(word));
}

uint32_t tm_pickle_memoize(struct tm_pickler *pickler)
{
    put(pickler, TM_PICKLE_MEMOIZE, 0, 0);
    return pickler->memoized++;
}

void tm_pickle_get(struct tm_pickler *pickler, uint32_t index)
{
    if (index <= UINT8_MAX)
        put(pickler, TM_PICKLE_BINGET, index, 1);
    else
        put(pickler, TM_PICKLE_LONG_BINGET, index, 4);
}
