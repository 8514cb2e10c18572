/**
 * The texts of frames, in some form: each is made once, as most frames are in many stacks. Knows no form.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_FRAME_TEXTS_H
#define TRACEMORTEM_ENGINE_EXPORT_FRAME_TEXTS_H

#include "engine/base/text.h"
#include "engine/export/stacks.h"

/** Appends the text of a frame. */
typedef void (*tm_frame_writer)(struct tm_text *text, const struct tm_frame *frame);

struct tm_span;

struct tm_frame_texts {
    const struct tm_frames *frames;
    tm_frame_writer write;
    struct tm_text kept;   // one text after the other
    struct tm_span *spans; // in it, by the number of the frame
};

struct tm_error *tm_frame_texts_init(struct tm_frame_texts *texts, const struct tm_frames *frames,
                                     tm_frame_writer write);
void tm_frame_texts_deinit(struct tm_frame_texts *texts);
void tm_frame_texts_add(struct tm_frame_texts *texts, uint32_t frame, struct tm_text *text);

#endif
