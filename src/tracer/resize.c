// Resizes that fail.

#include "resize.h"

void resize_undo(const struct resize *resize)
{
    struct block block = resize->old.block;
    if (block.site == 0)
        return;
    bool stored = resize->old.tracked ? block_store_tracked(0, resize->address, block)
                                      : block_store(resize->address, block, resize->gridded);
    if (stored) {
        count_in_whole(block.size, block.shared);
    } else {
        count_out_of_site(profile_now, block.site, block.size, block.shared);
        table_lost_block();
    }
}
