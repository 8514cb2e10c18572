// The cache. Names may be long, and then no more texts are kept: they are made each time.

#include "engine/export/frame_texts.h"

#include <stdlib.h>

struct tm_span {
    size_t start, length; // length 0: not made yet
};

enum { MOST_KEPT = 32 << 20 };

struct tm_error *tm_frame_texts_init(struct tm_frame_texts *texts, const struct tm_frames *frames,
                                     tm_frame_writer write)
{
    *texts = (struct tm_frame_texts){.frames = frames, .write = write};
    texts->spans = calloc(frames->count + 1, sizeof(*texts->spans));
    return texts->spans ? NULL : tm_error_no_memory();
}

void tm_frame_texts_deinit(struct tm_frame_texts *texts)
{
    tm_text_deinit(&texts->kept);
    free(texts->spans);
    *texts = (struct tm_frame_texts){0};
}

void tm_frame_texts_add(struct tm_frame_texts *texts, uint32_t frame, struct tm_text *text)
{
    struct tm_span *span = &texts->spans[frame];

    if (span->length == 0 && texts->kept.length >= MOST_KEPT) {
        texts->write(text, texts->frames->items[frame]);
        return;
    }
    if (span->length == 0) {
        span->start = texts->kept.length;
        texts->write(&texts->kept, texts->frames->items[frame]);
        span->length = texts->kept.length - span->start;
    }
    text->failed = text->failed || texts->kept.failed;
    if (!text->failed)
        tm_text_bytes(text, texts->kept.bytes + span->start, span->length);
}
