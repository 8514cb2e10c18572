// Resizes that fail.

#include "resize.h"

void resize_undo(const struct resize *resize)
{
    struct block block = resize->old.block;
    bool shared = resize->old.shared;
    if (block.site == 0)
        return;
    bool stored = resize->old.tracked ? block_store_tracked(0, resize->address, block, shared)
                                      : block_store(resize->address, block, resize->gridded, shared);
    if (stored) {
        count_in_whole(block.size, shared);
    } else {
        count_out_of_site(profile_now, block.site, block.size, shared);
        table_lost_block();
    }
}
