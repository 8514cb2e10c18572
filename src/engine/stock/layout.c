// The table of layouts. Each row was checked against the headers and running interpreters of its versions.

#include "engine/stock/layout.h"

#include <stddef.h>
#include <stdio.h>

#define STRING_3_8                \
    {                             \
        16, 24, 32, 2, 48, 72, 72 \
    }
#define STRING_3_12               \
    {                             \
        16, 24, 32, 2, 40, 56, 56 \
    }
#define STRING_3_13T              \
    {                             \
        32, 40, 48, 2, 56, 72, 72 \
    }
#define STRING_3_14T              \
    {                             \
        32, 40, 48, 8, 56, 72, 72 \
    }

static const struct tm_stock_layout layouts[] = {
    // versions; free-threaded; shape; in _PyRuntime, lock is a mutex, names are UTF-8; str
    {8, 8, false, TM_STOCK_SHAPE_3_8, false, false, false, STRING_3_8},
    {9, 11, false, TM_STOCK_SHAPE_3_9, false, false, false, STRING_3_8},
    {12, 13, false, TM_STOCK_SHAPE_3_9, true, false, false, STRING_3_12},
    {13, 13, true, TM_STOCK_SHAPE_3_9, true, false, false, STRING_3_13T},
    {14, 14, false, TM_STOCK_SHAPE_3_9, true, true, false, STRING_3_12},
    {14, 14, true, TM_STOCK_SHAPE_3_9, true, true, false, STRING_3_14T},
    {15, 15, false, TM_STOCK_SHAPE_3_9, true, true, true, STRING_3_12},
    {15, 15, true, TM_STOCK_SHAPE_3_9, true, true, true, STRING_3_14T},
};

const struct tm_stock_layout *tm_stock_layout_of(unsigned minor, bool free_threaded)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        const struct tm_stock_layout *layout = &layouts[i];
        if (minor >= layout->first_minor && minor <= layout->last_minor && free_threaded == layout->free_threaded)
            return layout;
    }
    return NULL;
}

void tm_stock_layout_versions(const struct tm_stock_layout *layout, char *buffer, unsigned capacity)
{
    if (layout->first_minor == layout->last_minor)
        snprintf(buffer, capacity, "3.%u", layout->first_minor);
    else
        snprintf(buffer, capacity, "3.%u to 3.%u", layout->first_minor, layout->last_minor);
}
