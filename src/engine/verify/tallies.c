// Pages of tallies: a table has few sites, and their ids are dense.

#include "engine/verify/tallies.h"

#include <stdlib.h>

#include "layout/trace_table.h"

#define TALLIES_IN_PAGE 4096u
#define PAGES (TM_SITE_LIMIT / TALLIES_IN_PAGE)

bool tm_tallies_init(struct tm_tallies *tallies)
{
    tallies->pages = calloc(PAGES, sizeof(*tallies->pages));
    return tallies->pages;
}

void tm_tallies_deinit(struct tm_tallies *tallies)
{
    for (size_t i = 0; tallies->pages && i < PAGES; i++)
        free(tallies->pages[i]);
    free(tallies->pages);
    tallies->pages = NULL;
}

struct tm_tally *tm_tallies_make(struct tm_tallies *tallies, uint64_t site)
{
    struct tm_tally **page = &tallies->pages[site / TALLIES_IN_PAGE];
    if (!*page)
        *page = calloc(TALLIES_IN_PAGE, sizeof(**page));
    return *page ? &(*page)[site % TALLIES_IN_PAGE] : NULL;
}

struct tm_tally *tm_tallies_find(const struct tm_tallies *tallies, uint64_t site)
{
    if (site >= TM_SITE_LIMIT || !tallies->pages[site / TALLIES_IN_PAGE])
        return NULL;
    struct tm_tally *tally = &tallies->pages[site / TALLIES_IN_PAGE][site % TALLIES_IN_PAGE];
    return tally->known ? tally : NULL;
}
