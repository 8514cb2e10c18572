// The word that has the sum of all traces is the traced memory; the one beside it that is no address is the peak.

#include "engine/stock/peak.h"

#include "engine/base/number.h"

#define AROUND 256u // bytes before and after the variable: tracemalloc has no more variables
#define WORDS (2 * AROUND / 8)
#define LARGEST (UINT64_C(1) << 46) // no process has so much memory
#define LEAST 4096u                 // a smaller sum may be anything

// Pointers are beside the two variables. Most are greater than any peak; in a program at fixed addresses they may be
// small, but then memory is there.
static bool may_be_peak(struct tm_target *target, uint64_t word, uint64_t traced)
{
    char byte;
    return word >= traced && word < LARGEST && !(word % 8 == 0 && tm_target_try_read(target, word, &byte, 1));
}

bool tm_stock_find_peak(struct tm_target *target, uint64_t variable, uint64_t traced, uint64_t *peak)
{
    unsigned char around[2 * AROUND];
    uint64_t found[2]; // words that may be the peak
    unsigned found_count = 0, places = 0;

    if (traced < LEAST || variable < AROUND || !tm_target_try_read(target, variable - AROUND, around, sizeof(around)))
        return false;
    for (unsigned i = 1; i + 1 < WORDS; i++) {
        if (tm_load_u64(around + 8 * i) != traced)
            continue;
        places++;
        for (unsigned j = i - 1; j <= i + 1; j += 2) {
            uint64_t word = tm_load_u64(around + 8 * j);
            if (!may_be_peak(target, word, traced))
                continue;
            if (found_count == 2)
                return false;
            found[found_count++] = word;
        }
    }
    // Memory is at its peak: both variables have the sum, and each is beside the other.
    bool same = places == 2 && found_count == 2 && found[0] == traced && found[1] == traced;
    if (!same && (places != 1 || found_count != 1))
        return false;
    *peak = found[0];
    return true;
}
