/**
 * Source files, whose text is shown below rows: any file as one. Input: the file.
 */
#include <string.h>

#include "engine/base/utf8.h"
#include "fuzz.h"
#include "process/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tm_text text = TM_TEXT_EMPTY;
    const char *problem = tm_source_decode(data, size, &text);

    // What was decoded is valid UTF-8 without a carriage return, and at most three times as long.
    const char *at = tm_text_string(&text);
    size_t left = problem ? 0 : text.length;
    fuzz_require(left <= 3 * size && (left == 0 || memchr(at, '\r', left) == NULL));
    while (left) {
        uint32_t code_point;
        size_t step = tm_utf8_decode(at, left, &code_point);
        fuzz_require(code_point < 0xd800 || code_point > 0xdfff);
        at += step;
        left -= step;
    }
    tm_text_deinit(&text);
    return 0;
}
