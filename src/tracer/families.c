// The table of families and the look-up. Knows the facts, nothing of a running interpreter.

#include "families.h"

#include "family.h"

static const struct cpython_facts *const families[] = {
#define EACH_FAMILY(family) &cpython_##family,
#include "families.h"
};
enum { FAMILIES = sizeof families / sizeof *families };

int family_of(uint32_t version, bool free_threaded)
{
    for (int family = 0; family < FAMILIES; family++)
        if (families[family]->version == version && families[family]->free_threaded == free_threaded)
            return family;
    return FAMILY_UNKNOWN;
}

const struct cpython_facts *family_facts(int family)
{
    return families[family];
}

uint32_t family_oldest_version(void)
{
    return families[0]->version;
}

uint32_t family_newest_version(void)
{
    return families[FAMILIES - 1]->version;
}
