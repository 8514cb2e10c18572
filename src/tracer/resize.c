// Resizes that fail.

#include "resize.h"

void resize_undo(const struct resize *resize)
{
    const struct taken_block *old = &resize->old;
    bool stored;
    if (old->counters == NULL)
        return;
    if (old->tracked)
        stored = block_store_tracked(0, resize->address, (struct tracked_block){.size = old->size, .site = old->site});
    else
        stored = shadow_store(resize->address, old->size, old->site);
    if (stored) {
        count_in_whole(old->counters, old->size);
    } else {
        count_out_of_site(profile_now, old->counters, old->size);
        table_lost_block();
    }
}
