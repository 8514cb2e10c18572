/**
 * Heaps: the walkers of glibc's heaps and of pymalloc's pools, and the account made of them, on hostile memory.
 *
 * An input patches healthy memory: a main heap with caches and fastbins, the heap of a thread, large chunks, pools, a stack. A
 * patch has 12 bytes:
 *
 *     kind, area, offset (2 bytes, of words), value (8 bytes)
 *
 * The kind says what it writes: a number, an address in an area, the old value changed a little, or the page becomes
 * unreadable. Chunks must be in ascending order and inside of their heap, and the account must add up whatever is there.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/account/account.h"
#include "engine/account/fragmentation.h"
#include "engine/model/pool.h"
#include "fuzz.h"
#include "support/image.h"

enum { PAGE = 4096, PATCH_SIZE = 12, PATCHES = 64, CACHE_SIZE = 0x290, AREAS = 6, POOL = 16384 };
#define HEAP UINT64_C(0x555500000000)
#define THREAD_HEAP UINT64_C(0x7f0000000000)
#define DATA UINT64_C(0x7f5500000000)
#define MAPPED UINT64_C(0x7f6600000000)
#define POOLS UINT64_C(0x7f7700000000)
#define STACK UINT64_C(0x7f8800000000)

static const struct {
    uint64_t start, length;
    uint32_t flags;
} areas[AREAS] = {
    {HEAP, 4 * PAGE, 0},  {THREAD_HEAP, 4 * PAGE, 0}, {DATA, PAGE, TM_REGION_FILE}, {MAPPED, UINT64_C(1) << 18, 0},
    {POOLS, 8 * POOL, 0}, {STACK, 4 * PAGE, 0},
};

static void put(struct image *image, uint64_t address, uint64_t word)
{
    memcpy(image_at(image, address, 8), &word, 8);
}

static uint64_t put_chunk(struct image *image, uint64_t address, uint64_t size, uint64_t flags)
{
    put(image, address + 8, size | flags);
    return address + size;
}

static void put_state(struct image *image, uint64_t top, uint64_t last)
{
    put(image, top, last);
    for (uint64_t i = 0; i < 127; i++) {
        put(image, top + 16 + 16 * i, top + 16 * i);
        put(image, top + 24 + 16 * i, top + 16 * i);
    }
}

static void make_heaps(struct image *image)
{
    uint64_t at = put_chunk(image, HEAP, CACHE_SIZE, 1), first = at;
    for (unsigned i = 0; i < 100; i++)
        at = put_chunk(image, at, 0x40, i % 7 != 3);
    put_chunk(image, at, HEAP + 4 * PAGE - at, 1);
    image_at(image, HEAP + 16 + 4, 2);
    const uint16_t count = 2;
    memcpy(image_at(image, HEAP + 16 + 4, 2), &count, 2);
    put(image, HEAP + 16 + 128 + 16, first + 16);
    put(image, first + 16, (first + 0x50) ^ (first + 16) >> 12);
    put(image, first + 0x50, (first + 0x50) >> 12);
    put_state(image, DATA + 256, at);
    put(image, DATA + 256 - 80 + 16, first + 0x140);
    put(image, first + 0x150, (first + 0x150) >> 12);

    put(image, THREAD_HEAP, THREAD_HEAP + 48);
    put(image, THREAD_HEAP + 16, 4 * PAGE);
    put(image, THREAD_HEAP + 24, 4 * PAGE);
    put_state(image, THREAD_HEAP + 144, THREAD_HEAP + 0x8d0 + 0x200);
    at = THREAD_HEAP + 0x8d0;
    for (unsigned i = 0; i < 16; i++)
        at = put_chunk(image, at, 0x20, 5);
    put_chunk(image, at, THREAD_HEAP + 4 * PAGE - at, 5);
    put_chunk(image, MAPPED, UINT64_C(1) << 17, 2);
    put_chunk(image, MAPPED + (UINT64_C(1) << 17), UINT64_C(1) << 17, 2);
}

static void make_pools(struct image *image)
{
    for (unsigned i = 0; i < 7; i++) {
        uint64_t pool = POOLS + i * POOL;
        const uint32_t size = 64, head[] = {i == 5 ? 0 : 10 + i},
                       tail[] = {3, size / 16 - 1, 48 + 64 * size, POOL - size};
        memcpy(image_at(image, pool, 4), head, sizeof(head));
        put(image, pool + 8, pool + 48 + 40 * size);
        memcpy(image_at(image, pool + 32, sizeof(tail)), tail, sizeof(tail));
    }
    put(image, STACK + 3 * PAGE, STACK + 3 * PAGE);
    put(image, STACK + 3 * PAGE + 8, 1);
    put(image, STACK + 3 * PAGE + 16, STACK + 3 * PAGE);
}

static struct image *make_image(void)
{
    struct image *image = image_create();
    for (unsigned i = 0; i < AREAS; i++)
        image_map(image, areas[i].start, areas[i].length, i == 5 ? "" : "",
                  TM_REGION_READABLE | TM_REGION_WRITABLE | areas[i].flags);
    make_heaps(image);
    make_pools(image);
    return image;
}

static void patch(struct image *image, const uint8_t *bytes)
{
    unsigned area = bytes[1] % AREAS;
    uint64_t words = areas[area].length / 8, value, old;
    uint64_t address = areas[area].start + 8 * ((bytes[2] | (uint64_t)bytes[3] << 8) % words);
    memcpy(&value, bytes + 4, 8);
    memcpy(&old, image_at(image, address, 8), 8);
    switch (bytes[0] % 4) {
    case 0:
        put(image, address, value);
        break;
    case 1:
        put(image, address, areas[bytes[4] % AREAS].start + (value >> 8) % (2 * areas[bytes[4] % AREAS].length));
        break;
    case 2:
        put(image, address, old + (uint64_t)(int64_t)(int8_t)bytes[4] * (bytes[5] % 2 ? 1 : 16));
        break;
    default:
        image_hide(image, address & ~(uint64_t)(PAGE - 1), PAGE);
    }
}

struct order {
    const struct tm_glibc_heap *heap;
    uint64_t end; // of the last chunk
};

static struct tm_error *check_chunk(void *context, const struct tm_glibc_chunk *chunk)
{
    struct order *order = context;
    fuzz_require(chunk->address >= order->end && chunk->address >= order->heap->first + 16);
    fuzz_require(chunk->size <= order->heap->end - chunk->address + 8);
    order->end = chunk->address + chunk->size;
    return NULL;
}

static void check_account(struct tm_survey *survey)
{
    struct tm_account account;
    uint64_t sum = 0;
    fuzz_require(tm_account_take(&account, survey) == NULL);
    for (unsigned i = 0; i < TM_ACCOUNT_KINDS; i++) {
        sum += account.amounts[i].size;
        fuzz_require(account.amounts[i].shared <= account.amounts[i].size);
    }
    fuzz_require(sum + account.not_accounted == account.size);
}

static void check_fragmentation(struct tm_survey *survey)
{
    struct tm_fragmentation fragmentation;
    struct tm_snapshot kept = {0};
    fuzz_require(tm_fragmentation_take(&fragmentation, survey, &kept) == NULL);
    fuzz_require(fragmentation.used + fragmentation.free + fragmentation.unused == fragmentation.resident);
    tm_snapshot_deinit(&kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image *image = make_image();
    struct tm_pool *names;
    struct tm_survey survey;
    for (size_t i = 0; i < PATCHES && (i + 1) * PATCH_SIZE <= size; i++)
        patch(image, data + i * PATCH_SIZE);
    fuzz_require(tm_pool_create(&names) == NULL);
    fuzz_require(tm_survey_init(&survey, image_target(image), NULL, false, NULL, names) == NULL);
    for (size_t i = 0; i < survey.glibc.heap_count; i++) {
        struct order order = {&survey.glibc.heaps[i], 0};
        fuzz_require(tm_glibc_visit(&survey.glibc, order.heap, check_chunk, &order) == NULL);
    }
    check_fragmentation(&survey);
    check_account(&survey);
    tm_survey_deinit(&survey);
    tm_pool_destroy(names);
    image_destroy(image);
    return 0;
}
