/**
 * Tallies: what was found of each site's blocks, by the site's id. Knows nothing of how blocks are found.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_TALLIES_H
#define TRACEMORTEM_ENGINE_VERIFY_TALLIES_H

#include <stdbool.h>
#include <stdint.h>

struct tm_tally {
    uint64_t blocks;
    uint64_t bytes;
    uint8_t known;      // the record could be read, and is in use
    uint8_t resolvable; // its traceback can be read
    uint8_t foreign;    // its blocks are not of CPython's domain
};

struct tm_tallies {
    struct tm_tally **pages; // by site id; each made when its first site is met
};

/** False: no memory. */
bool tm_tallies_init(struct tm_tallies *tallies);
void tm_tallies_deinit(struct tm_tallies *tallies);

/** The tally of a site below TM_SITE_LIMIT, all zero if it is new; NULL: no memory. */
struct tm_tally *tm_tallies_make(struct tm_tallies *tallies, uint64_t site);
/** The tally of a site whose record could be read and is in use, or NULL. Any number of a site. */
struct tm_tally *tm_tallies_find(const struct tm_tallies *tallies, uint64_t site);

#endif
