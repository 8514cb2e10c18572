// Adding damage up, and asking the front end why memory is missing.

#include "engine/model/damage.h"

#include "engine/base/number.h"

bool tm_damage_any(const struct tm_damage *damage)
{
    return damage->unreadable_records || damage->unreadable_bytes || damage->corrupt_records || damage->torn_records;
}

void tm_damage_merge(struct tm_damage *damage, const struct tm_damage *more)
{
    damage->unreadable_records = tm_add_saturating(damage->unreadable_records, more->unreadable_records);
    damage->unreadable_bytes = tm_add_saturating(damage->unreadable_bytes, more->unreadable_bytes);
    damage->corrupt_records = tm_add_saturating(damage->corrupt_records, more->corrupt_records);
    damage->torn_records = tm_add_saturating(damage->torn_records, more->torn_records);
    if (damage->first_address == 0)
        damage->first_address = more->first_address;
}

void tm_damage_explain(struct tm_damage *damage, const struct tm_target *target)
{
    if (damage->unreadable_records || damage->unreadable_bytes)
        damage->why = tm_target_why_missing(target, damage->first_address);
}
