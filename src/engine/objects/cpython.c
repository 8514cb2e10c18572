// The table of CPythons: one row for each header of facts.

#include "engine/objects/cpython.h"

#include <stddef.h>

#include "engine/objects/cpython/3.10.h"
#include "engine/objects/cpython/3.11.h"
#include "engine/objects/cpython/3.12.h"
#include "engine/objects/cpython/3.13.h"
#include "engine/objects/cpython/3.14.h"
#include "engine/objects/cpython/3.15.h"
#include "engine/objects/cpython/3.8.h"
#include "engine/objects/cpython/3.9.h"

static const struct tm_cpython *const rows[] = {
    &tm_cpython_3_8,  &tm_cpython_3_9,  &tm_cpython_3_10, &tm_cpython_3_11,
    &tm_cpython_3_12, &tm_cpython_3_13, &tm_cpython_3_14, &tm_cpython_3_15,
};

const struct tm_cpython *tm_cpython_row(unsigned index)
{
    return index < sizeof(rows) / sizeof(rows[0]) ? rows[index] : NULL;
}

const struct tm_cpython *tm_cpython_of(uint32_t version)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (version >> 16 == (UINT32_C(3) << 8 | rows[i]->minor))
            return rows[i];
    return NULL;
}
