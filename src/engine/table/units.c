// Reading units, and choosing between a word and its copy.

#include "engine/table/units.h"

#include <string.h>

#include "engine/target/target.h"

static bool grid_leads(unsigned unit_shift, uint64_t unit, uint64_t word)
{
    struct tm_grid grid;
    return word && tm_grid_decode(unit_shift, unit, word, &grid);
}

static bool list_leads(uint64_t unit, uint64_t word)
{
    uint64_t address;
    bool buckets;
    return word && tm_list_decode(unit, word, &address, &buckets);
}

uint32_t tm_units_mend(unsigned unit_shift, uint64_t first, struct tm_unit *units, const struct tm_unit *copies,
                       uint32_t count)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tm_unit *unit = &units[i];
        const struct tm_unit *copy = &copies[i];
        if (copy->grid != unit->grid && !grid_leads(unit_shift, first + i, unit->grid) &&
            grid_leads(unit_shift, first + i, copy->grid)) {
            unit->grid = copy->grid;
            taken++;
        }
        if (copy->list != unit->list && !list_leads(first + i, unit->list) && list_leads(first + i, copy->list)) {
            unit->list = copy->list;
            taken++;
        }
    }
    return taken;
}

bool tm_units_read(const struct tm_map *map, const struct tm_map_leaf *leaf, uint32_t first, uint32_t count,
                   struct tm_unit *units)
{
    struct tm_unit copies[TM_UNITS_MOST];
    uint64_t address = leaf->units + first * sizeof(*units), size = count * sizeof(*units);
    bool there = tm_target_try_read(map->target, address, units, size);
    bool copied = tm_target_try_read(map->target, address + TM_UNITS_SIZE, copies, size);
    if (!there)
        memset(units, 0, size);
    if (copied)
        tm_units_mend(map->unit_shift, leaf->number * TM_LEAF_UNITS + first, units, copies, count);
    return there || copied;
}
