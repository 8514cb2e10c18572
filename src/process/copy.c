// Pages are copied in runs of neighbours, as few reads as the engine's limit allows.

#include "process/copy.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE ((uint64_t)1 << PAGE_SHIFT)
// Pages behind each run that are copied, too: where the table may have grown since the first answer.
#define AHEAD 16
#define MOST_PAGES ((size_t)1 << 21) // 8 GiB

// Items are numbers, plus 1 because 0 is no item.
static bool add_page(struct tm_set *set, uint64_t page)
{
    if (!tm_set_reserve(set))
        return false;
    struct tm_set_entry *entry = tm_set_find_number(set, page);
    if (!entry->item)
        tm_set_put_number(set, entry, page, (void *)(uintptr_t)(page + 1));
    return true;
}

void tm_copy_want(struct tm_copy *copy, uint64_t address, uint64_t length)
{
    if (!length || address > UINT64_MAX - length || copy->failed)
        return;
    for (uint64_t page = address >> PAGE_SHIFT; page <= (address + length - 1) >> PAGE_SHIFT; page++)
        copy->failed |= copy->wanted.count >= MOST_PAGES || !add_page(&copy->wanted, page);
}

static int by_number(const void *a, const void *b)
{
    return tm_compare_numbers(*(const uint64_t *)a, *(const uint64_t *)b);
}

static size_t list_pages(const struct tm_copy *copy, uint64_t *pages)
{
    size_t count = 0;
    for (size_t i = 0; i < copy->wanted.capacity; i++)
        if (copy->wanted.entries[i].item)
            pages[count++] = (uint64_t)(uintptr_t)copy->wanted.entries[i].item - 1;
    qsort(pages, count, sizeof(pages[0]), by_number);
    return count;
}

bool tm_copy_reserve(struct tm_copy *copy)
{
    size_t count = copy->wanted.count;
    uint64_t *wanted = count ? calloc(count, sizeof(*wanted)) : NULL;
    if (copy->failed || !wanted)
        return false;
    count = list_pages(copy, wanted);
    copy->pages = calloc(count, (AHEAD + 1) * sizeof(copy->pages[0]));
    for (size_t i = 0; copy->pages && i < count; i++) {
        copy->pages[copy->count++] = wanted[i];
        uint64_t end = i + 1 < count ? wanted[i + 1] : UINT64_MAX;
        for (uint64_t ahead = 1; ahead <= AHEAD && wanted[i] + ahead < end; ahead++)
            copy->pages[copy->count++] = wanted[i] + ahead;
    }
    free(wanted);
    copy->bytes = copy->pages ? malloc(copy->count << PAGE_SHIFT) : NULL;
    if (copy->bytes)
        memset(copy->bytes, 0, copy->count << PAGE_SHIFT); // the pages are ours before the process is held
    return copy->bytes;
}

bool tm_copy_fill(struct tm_copy *copy, const struct tm_target_callbacks *callbacks, void *context,
                  const struct tm_stop *stop, uint64_t most)
{
    const size_t longest = TM_READ_LIMIT >> PAGE_SHIFT;
    size_t kept = 0;

    for (size_t i = 0; i < copy->count;) {
        size_t run = 1;
        if (stop && tm_stop_elapsed(stop) > most)
            return false;
        while (run < longest && i + run < copy->count && copy->pages[i + run] == copy->pages[i] + run)
            run++;
        // A run that cannot be read as a whole is read page by page.
        if (callbacks->read(context, copy->pages[i] << PAGE_SHIFT, copy->bytes + (kept << PAGE_SHIFT),
                            run << PAGE_SHIFT) == 0) {
            memmove(copy->pages + kept, copy->pages + i, run * sizeof(copy->pages[0]));
            kept += run;
        } else {
            for (size_t j = i; j < i + run; j++) {
                uint64_t page = copy->pages[j];
                if (callbacks->read(context, page << PAGE_SHIFT, copy->bytes + (kept << PAGE_SHIFT), PAGE_SIZE) == 0)
                    copy->pages[kept++] = page;
            }
        }
        i += run;
    }
    copy->count = kept;
    return true;
}

// The index of a page; `count` if it was not copied.
static size_t find(const struct tm_copy *copy, uint64_t page)
{
    size_t low = 0, high = copy->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (copy->pages[middle] < page)
            low = middle + 1;
        else
            high = middle;
    }
    return low < copy->count && copy->pages[low] == page ? low : copy->count;
}

bool tm_copy_read(struct tm_copy *copy, uint64_t address, void *buffer, uint64_t length)
{
    unsigned char *to = buffer;
    while (length) {
        uint64_t offset = address & (PAGE_SIZE - 1), piece = PAGE_SIZE - offset;
        size_t index = find(copy, address >> PAGE_SHIFT);
        piece = piece < length ? piece : length;
        if (index == copy->count) {
            // A page that was wanted and could not be read is not missed: it is not there.
            copy->missed |= !tm_set_find_number(&copy->wanted, address >> PAGE_SHIFT)->item;
            return false;
        }
        memcpy(to, copy->bytes + (index << PAGE_SHIFT) + offset, piece);
        to += piece;
        address += piece;
        length -= piece;
    }
    return true;
}

void tm_copy_deinit(struct tm_copy *copy)
{
    tm_set_deinit(&copy->wanted);
    free(copy->pages);
    free(copy->bytes);
    *copy = (struct tm_copy){.failed = false};
}
