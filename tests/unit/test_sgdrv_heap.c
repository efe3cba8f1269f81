/* The heap of address ranges (softgpu/driver/heap.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/heap.h"

static struct heap heap_with(uint64_t base, uint64_t bytes)
{
    struct heap heap;

    heap_init(&heap, 512);
    assert_int_equal(heap_add(&heap, base, bytes), 0);
    return heap;
}

static uint64_t take(struct heap *heap, uint64_t bytes)
{
    uint64_t base;

    assert_int_equal(heap_take(heap, bytes, &base), 0);
    return base;
}

static void blocks_are_aligned_and_do_not_overlap(void **state)
{
    struct heap heap = heap_with(0x10000, 8192);

    assert_int_equal(take(&heap, 1), 0x10000);
    assert_int_equal(take(&heap, 513), 0x10200);
    assert_int_equal(take(&heap, 512), 0x10600);
    assert_int_equal(heap.used_bytes, 512 + 1024 + 512);
    heap_done(&heap);
}

static void a_full_heap_refuses_and_changes_nothing(void **state)
{
    struct heap heap = heap_with(0, 2048);
    uint64_t base = 77;

    take(&heap, 1024);
    assert_int_equal(heap_take(&heap, 1025, &base), -ENOSPC);
    assert_int_equal(heap_take(&heap, UINT64_MAX, &base), -ENOSPC);
    assert_int_equal(base, 77);
    assert_int_equal(heap.used_bytes, 1024);
    take(&heap, 1024);
    assert_int_equal(heap_take(&heap, 1, &base), -ENOSPC);
    heap_done(&heap);
}

static void the_smallest_gap_that_fits_is_taken(void **state)
{
    struct heap heap = heap_with(0, 512 * 10);

    for (int i = 0; i < 10; i++)
        take(&heap, 512);
    assert_int_equal(heap_give(&heap, 0, 512 * 3), 0);
    assert_int_equal(heap_give(&heap, 512 * 5, 512 * 2), 0);
    assert_int_equal(take(&heap, 1024), 512 * 5);
    assert_int_equal(take(&heap, 1024), 0);
    heap_done(&heap);
}

static void neighbouring_gaps_become_one(void **state)
{
    struct heap heap = heap_with(0, 512 * 4);

    take(&heap, 512 * 4);
    heap_give(&heap, 512, 512);
    heap_give(&heap, 512 * 3, 512);
    assert_int_equal(heap.n_gaps, 2);
    heap_give(&heap, 512 * 2, 512);
    assert_int_equal(heap.n_gaps, 1);
    heap_give(&heap, 0, 512);
    assert_int_equal(heap.n_gaps, 1);
    assert_int_equal(take(&heap, 512 * 4), 0);
    heap_done(&heap);
}

static void chunks_that_touch_leave_as_they_came(void **state)
{
    struct heap heap = heap_with(0, 2048);
    struct heap_range chunk;
    uint64_t low, high;

    assert_int_equal(heap_add(&heap, 2048, 2048), 0);
    low = take(&heap, 2048);
    high = take(&heap, 2048);
    assert_false(heap_remove_free_chunk(&heap, &chunk));
    heap_give(&heap, high, 2048);
    heap_give(&heap, low, 2048);
    assert_true(heap_remove_free_chunk(&heap, &chunk));
    assert_int_equal(chunk.base, 2048);
    assert_int_equal(chunk.bytes, 2048);
    assert_true(heap_remove_free_chunk(&heap, &chunk));
    assert_int_equal(chunk.base, 0);
    assert_int_equal(heap.chunk_bytes, 0);
    assert_false(heap_remove_free_chunk(&heap, &chunk));
    heap_done(&heap);
}

static void a_wanted_block_is_taken_where_it_is_free(void **state)
{
    struct heap heap = heap_with(512 * 2, 512 * 8);

    assert_int_equal(heap_take_at(&heap, 512 * 4, 512 * 2), 0); /* amid the gap */
    assert_int_equal(heap.n_gaps, 2);
    assert_int_equal(heap_take_at(&heap, 512 * 5, 512), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 512 * 3, 512 * 2), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 0, 512), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 512 * 10, 512), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 512 * 9, 512 * 2), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 512 * 2 + 1, 512), -ENOSPC);
    assert_int_equal(heap_take_at(&heap, 512 * 2, UINT64_MAX), -ENOSPC);
    assert_int_equal(heap.used_bytes, 1024);
    assert_int_equal(heap_take_at(&heap, 512 * 2, 512), 0); /* the gap's beginning */
    assert_int_equal(heap_take_at(&heap, 512 * 3, 512), 0); /* all of it */
    assert_int_equal(heap_take_at(&heap, 512 * 9, 512), 0); /* its end */
    assert_int_equal(heap.n_gaps, 1);
    assert_int_equal(take(&heap, 512 * 3), 512 * 6);
    assert_int_equal(heap_give(&heap, 512 * 2, 512 * 8), 0);
    assert_int_equal(heap.n_gaps, 1);
    assert_int_equal(heap.used_bytes, 0);
    heap_done(&heap);
}

/* A second, slow account of the same: which of the slots are taken. */
static void many_takes_and_gives_agree_with_a_map_of_slots(void **state)
{
    enum { CHUNKS = 4, SLOTS = 64, STEPS = 20000 };
    static bool taken[CHUNKS * SLOTS];
    static uint64_t bases[CHUNKS * SLOTS], lengths[CHUNKS * SLOTS];
    struct heap heap;
    size_t n = 0;

    srand(7);
    heap_init(&heap, 512);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(heap_add(&heap, (uint64_t)i * SLOTS * 512, SLOTS * 512), 0);
    for (int step = 0; step < STEPS; step++) {
        uint64_t base, slots = 1 + (uint64_t)rand() % 9;

        if (rand() % 2 && heap_take(&heap, slots * 512, &base) == 0) {
            assert_int_equal(base / 512 / SLOTS, (base / 512 + slots - 1) / SLOTS);
            for (uint64_t s = base / 512; s < base / 512 + slots; s++) {
                assert_false(taken[s]);
                taken[s] = true;
            }
            bases[n] = base;
            lengths[n++] = slots;
        } else if (n) {
            size_t victim = (size_t)rand() % n;

            assert_int_equal(heap_give(&heap, bases[victim], lengths[victim] * 512), 0);
            memset(taken + bases[victim] / 512, 0, lengths[victim]);
            bases[victim] = bases[--n];
            lengths[victim] = lengths[n];
        }
    }
    while (n--)
        heap_give(&heap, bases[n], lengths[n] * 512);
    assert_int_equal(heap.used_bytes, 0);
    assert_int_equal(heap.n_gaps, CHUNKS);
    heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_full_heap_refuses_and_changes_nothing),
        cmocka_unit_test(the_smallest_gap_that_fits_is_taken),
        cmocka_unit_test(neighbouring_gaps_become_one),
        cmocka_unit_test(chunks_that_touch_leave_as_they_came),
        cmocka_unit_test(a_wanted_block_is_taken_where_it_is_free),
        cmocka_unit_test(many_takes_and_gives_agree_with_a_map_of_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
