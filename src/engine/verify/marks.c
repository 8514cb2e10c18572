// Pages of bits, each made when its first id is marked.

#include "engine/verify/marks.h"

#include <stddef.h>
#include <stdlib.h>

#define MARKS_IN_PAGE (UINT32_C(1) << 15)

static size_t mark_pages(const struct tm_marks *marks)
{
    return (size_t)(marks->limit / MARKS_IN_PAGE + 1);
}

bool tm_marks_set(struct tm_marks *marks, uint32_t id)
{
    if (!marks->pages)
        marks->pages = calloc(mark_pages(marks), sizeof(*marks->pages));
    if (!marks->pages)
        return false;
    uint8_t **page = &marks->pages[id / MARKS_IN_PAGE];
    if (!*page)
        *page = calloc(MARKS_IN_PAGE / 8, 1);
    if (!*page)
        return false;
    (*page)[id % MARKS_IN_PAGE / 8] |= (uint8_t)(1u << id % 8);
    return true;
}

bool tm_marks_has(const struct tm_marks *marks, uint64_t id)
{
    const uint8_t *page = marks->pages && id < marks->limit ? marks->pages[id / MARKS_IN_PAGE] : NULL;
    return page && page[id % MARKS_IN_PAGE / 8] >> id % 8 & 1;
}

void tm_marks_deinit(struct tm_marks *marks)
{
    for (size_t i = 0; marks->pages && i < mark_pages(marks); i++)
        free(marks->pages[i]);
    free(marks->pages);
    marks->pages = NULL;
}
