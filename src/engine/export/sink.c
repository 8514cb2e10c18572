// Passing text on in pieces, by zlib where it is to be compressed.

#include "engine/export/sink.h"

#include <stdlib.h>
#include <zlib.h>

enum { PIECE = 64 << 10 };

struct tm_gzip {
    z_stream stream;
    unsigned char bytes[PIECE];
};

static void fail(struct tm_sink *sink, struct tm_error *error)
{
    if (sink->error)
        tm_error_destroy(error);
    else
        sink->error = error;
}

static void write_bytes(struct tm_sink *sink, const void *bytes, size_t length)
{
    if (sink->error || length == 0)
        return;
    sink->written += length;
    if (sink->output(sink->context, bytes, length) != 0)
        fail(sink, tm_error_create(TM_ERROR_OUTPUT, "the export could not be written to its file"));
}

// A head without a time, so that the same bytes compress to the same file.
static struct tm_gzip *create_gzip(void)
{
    enum { WINDOW = 15 + 16, MEMORY = 8 }; // 16: with the head of gzip
    struct tm_gzip *gzip = calloc(1, sizeof(*gzip));
    if (gzip &&
        deflateInit2(&gzip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return NULL;
    }
    return gzip;
}

static void compress_bytes(struct tm_sink *sink, const char *bytes, size_t length, int flush)
{
    z_stream *stream = &sink->gzip->stream;

    stream->next_in = (unsigned char *)(uintptr_t)bytes; // zlib only reads it
    stream->avail_in = (unsigned)length;
    do {
        stream->next_out = sink->gzip->bytes;
        stream->avail_out = PIECE;
        if (deflate(stream, flush) == Z_STREAM_ERROR) {
            fail(sink, tm_error_create(TM_ERROR_OUTPUT, "the export could not be compressed"));
            return;
        }
        write_bytes(sink, sink->gzip->bytes, PIECE - stream->avail_out);
    } while (stream->avail_out == 0 && !sink->error);
}

// zlib takes its lengths as 32-bit numbers.
static void pass_on(struct tm_sink *sink, bool last)
{
    enum { MOST = 1 << 30 };
    const char *bytes = tm_text_string(&sink->text);
    size_t length = sink->text.length;

    if (sink->text.failed)
        fail(sink, tm_error_no_memory());
    for (; sink->gzip && length > MOST && !sink->error; bytes += MOST, length -= MOST)
        compress_bytes(sink, bytes, MOST, Z_NO_FLUSH);
    if (sink->gzip && !sink->error)
        compress_bytes(sink, bytes, length, last ? Z_FINISH : Z_NO_FLUSH);
    else if (!sink->gzip)
        write_bytes(sink, bytes, length);
    tm_text_clear(&sink->text);
}

void tm_sink_init(struct tm_sink *sink, tm_output_callback output, void *context, bool compressed)
{
    *sink = (struct tm_sink){.output = output, .context = context};
    if (compressed)
        sink->gzip = create_gzip();
    if (compressed && !sink->gzip)
        sink->error = tm_error_no_memory();
}

const struct tm_error *tm_sink_pass(struct tm_sink *sink)
{
    if (sink->text.length >= PIECE || sink->text.failed)
        pass_on(sink, false);
    return sink->error;
}

struct tm_error *tm_sink_finish(struct tm_sink *sink, struct tm_error *error, uint64_t *written)
{
    if (!error)
        pass_on(sink, true);
    *written = sink->written;
    if (sink->gzip)
        deflateEnd(&sink->gzip->stream);
    free(sink->gzip);
    tm_text_deinit(&sink->text);
    struct tm_error *own = sink->error;
    *sink = (struct tm_sink){0};
    if (!error)
        return own;
    tm_error_destroy(own);
    return error;
}
