// Shell patterns: parsed once into items which match one code point each, and stars between them.
//
// How Python's fnmatch rewrites a `[…]` for its regular expressions defines what it means, corner cases included
// ("[b-a!x]" is a negated set). So this code does the same rewriting, on code points, and then reads the result as
// `re` does.

#include "engine/base/match.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

enum item_kind {
    ITEM_STAR,
    ITEM_ANY,
    ITEM_LITERAL,
    ITEM_SET,
};

struct range {
    uint32_t low, high;
};

struct item {
    enum item_kind kind;
    bool negated;        // a set
    uint32_t code_point; // a literal
    size_t first_range, range_count;
};

struct tm_pattern {
    struct item *items;
    size_t item_count;
    struct range *ranges; // of all sets
    size_t range_count;
};

void tm_pattern_destroy(struct tm_pattern *pattern)
{
    if (!pattern)
        return;
    free(pattern->items);
    free(pattern->ranges);
    free(pattern);
}

// In a set which is being read: a hyphen that makes a range. It is no code point.
#define RANGE_MARK UINT32_MAX

// The set's text as code points and RANGE_MARKs.
struct set_text {
    uint32_t *points;
    size_t count;
};

// Where the first hyphen at or after `from` is that splits a chunk off, or `count`.
static size_t next_hyphen(const uint32_t *points, size_t from, size_t count)
{
    while (from < count && points[from] != '-')
        from++;
    return from < count ? from : count;
}

// Marks the hyphens that make ranges: not the first of the set (or of a negated set), not the last, and none within
// two code points after another one.
static void mark_ranges(uint32_t *points, size_t count)
{
    size_t hyphen = next_hyphen(points, points[0] == '!' ? 2 : 1, count);
    while (hyphen < count) {
        if (hyphen + 1 < count)
            points[hyphen] = RANGE_MARK;
        hyphen = next_hyphen(points, hyphen + 3, count);
    }
}

// Removes ranges whose ends are in the wrong order, both ends included, the last range first.
static void remove_empty_ranges(struct set_text *set)
{
    for (size_t i = set->count; i-- > 0;) {
        if (set->points[i] != RANGE_MARK || set->points[i - 1] <= set->points[i + 1])
            continue;
        memmove(set->points + i - 1, set->points + i + 2, (set->count - (i + 2)) * sizeof(*set->points));
        set->count -= 3;
        i--;
    }
}

// Reads the rest as the inside of a set of a regular expression.
static void read_set(struct tm_pattern *pattern, struct item *item, const struct set_text *set)
{
    size_t i = 0;

    item->kind = ITEM_SET;
    item->first_range = pattern->range_count;
    if (set->count > 0 && set->points[0] == '!') {
        item->negated = true;
        i = 1;
    }
    while (i < set->count) {
        struct range *range = &pattern->ranges[pattern->range_count++];
        // Only a "!" before it can have left a mark without a lower end: then it is a plain hyphen.
        range->low = range->high = set->points[i] == RANGE_MARK ? '-' : set->points[i];
        if (i + 2 < set->count && set->points[i + 1] == RANGE_MARK) {
            range->high = set->points[i + 2];
            i += 2;
        }
        i++;
    }
    item->range_count = pattern->range_count - item->first_range;
}

// The index of the `]` which ends the set that starts after the `[`, or `count`.
static size_t find_set_end(const uint32_t *points, size_t start, size_t count)
{
    size_t end = start;
    if (end < count && points[end] == '!')
        end++;
    if (end < count && points[end] == ']')
        end++;
    while (end < count && points[end] != ']')
        end++;
    return end;
}

// Appends the item which starts at points[at]; returns where the next one starts.
static size_t parse_item(struct tm_pattern *pattern, uint32_t *points, size_t at, size_t count)
{
    struct item item = {.kind = ITEM_LITERAL, .code_point = points[at]};
    size_t next = at + 1;

    if (points[at] == '*') {
        if (pattern->item_count > 0 && pattern->items[pattern->item_count - 1].kind == ITEM_STAR)
            return next;
        item.kind = ITEM_STAR;
    } else if (points[at] == '?') {
        item.kind = ITEM_ANY;
    } else if (points[at] == '[') {
        size_t end = find_set_end(points, at + 1, count);
        if (end < count) {
            struct set_text set = {points + at + 1, end - (at + 1)};
            mark_ranges(set.points, set.count);
            remove_empty_ranges(&set);
            read_set(pattern, &item, &set);
            next = end + 1;
        }
    }
    pattern->items[pattern->item_count++] = item;
    return next;
}

struct tm_error *tm_pattern_create(const char *bytes, size_t length, struct tm_pattern **result)
{
    // There are at most as many items, ranges and code points as bytes. One more, since calloc(0) may return NULL.
    struct tm_pattern *pattern = calloc(1, sizeof(*pattern));
    uint32_t *points = calloc(length + 1, sizeof(*points));
    size_t count = 0;

    if (pattern) {
        pattern->items = calloc(length + 1, sizeof(*pattern->items));
        pattern->ranges = calloc(length + 1, sizeof(*pattern->ranges));
    }
    if (!pattern || !points || !pattern->items || !pattern->ranges) {
        free(points);
        tm_pattern_destroy(pattern);
        return tm_error_no_memory();
    }
    for (size_t at = 0; at < length;)
        at += tm_utf8_decode(bytes + at, length - at, &points[count++]);
    for (size_t at = 0; at < count;)
        at = parse_item(pattern, points, at, count);
    free(points);
    *result = pattern;
    return NULL;
}

static bool item_matches(const struct tm_pattern *pattern, const struct item *item, uint32_t code_point)
{
    if (item->kind == ITEM_ANY)
        return true;
    if (item->kind == ITEM_LITERAL)
        return item->code_point == code_point;

    const struct range *range = pattern->ranges + item->first_range;
    for (size_t i = 0; i < item->range_count; i++)
        if (code_point >= range[i].low && code_point <= range[i].high)
            return !item->negated;
    return item->negated;
}

bool tm_pattern_matches(const struct tm_pattern *pattern, const char *name, size_t length)
{
    size_t item = 0, at = 0;
    // After the last star: the item behind it, and where in the name that item is tried. If the rest does not match,
    // the star takes one more code point. Stars before it need no second try.
    size_t star_item = 0, star_at = 0;
    bool star_seen = false;

    while (at < length || item < pattern->item_count) {
        uint32_t code_point = 0;
        size_t size = at < length ? tm_utf8_decode(name + at, length - at, &code_point) : 0;

        if (item < pattern->item_count && pattern->items[item].kind == ITEM_STAR) {
            star_item = ++item;
            star_at = at;
            star_seen = true;
        } else if (size > 0 && item < pattern->item_count && item_matches(pattern, &pattern->items[item], code_point)) {
            item++;
            at += size;
        } else if (star_seen && star_at < length) {
            star_at += tm_utf8_decode(name + star_at, length - star_at, &code_point);
            item = star_item;
            at = star_at;
        } else {
            return false;
        }
    }
    return true;
}
