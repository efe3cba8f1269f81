/* What is known to be free in a pool: only what is, joined where it lies together, and never more than the
 * list has room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shim/room.h"

static struct room room;

static void give(uint64_t base, uint64_t bytes, uint64_t chunk, uintptr_t stream)
{
    room_give(&room, (struct room_extent){base, bytes, chunk, stream});
}

static void what_a_stream_freed_is_for_that_stream_until_somebody_waited(void **state)
{
    struct room_extent extent;

    room_clear(&room);
    give(0x1000, 512, 1, 7);
    assert_false(room_claim(&room, 512, 8, &extent));
    room_ready(&room, 9);
    assert_false(room_claim(&room, 512, 8, &extent));
    room_ready(&room, 7);
    assert_true(room_claim(&room, 512, 8, &extent));
    assert_int_equal(extent.base, 0x1000);
    assert_false(room_claim(&room, 1, 7, &extent));
}

static void neighbours_of_one_chunk_are_one_extent(void **state)
{
    struct room_extent extent;

    room_clear(&room);
    give(0x1000, 0x1000, 1, 7);
    give(0x3000, 0x1000, 1, 7);
    give(0x4000, 0x1000, 2, 7);
    assert_false(room_claim(&room, 0x2000, 7, &extent));
    give(0x2000, 0x1000, 1, 7);
    assert_true(room_claim(&room, 0x3000, 7, &extent));
    assert_int_equal(extent.base, 0x1000);
    assert_int_equal(extent.bytes, 0x3000);
}

static void an_allocation_cuts_out_what_it_takes(void **state)
{
    struct room_extent extent;

    room_clear(&room);
    give(0x1000, 0x3000, 5, ROOM_ANY_STREAM);
    assert_int_equal(room_take(&room, 0x2000, 0x1000), 5);
    assert_int_equal(room_take(&room, 0x9000, 0x1000), 0);
    assert_false(room_claim(&room, 0x1001, 7, &extent));
    assert_true(room_claim(&room, 0x1000, 7, &extent));
    assert_true(room_claim(&room, 0x1000, 7, &extent));
    assert_false(room_claim(&room, 1, 7, &extent));
}

static void the_smallest_extent_that_fits_is_claimed(void **state)
{
    struct room_extent extent;

    room_clear(&room);
    give(0x10000, 0x8000, 0, 7);
    give(0x20000, 0x2000, 0, 7);
    give(0x30000, 0x4000, 0, 7);
    assert_true(room_claim(&room, 0x1000, 7, &extent));
    assert_int_equal(extent.base, 0x20000);
}

static void when_there_are_too_many_the_smallest_are_forgotten(void **state)
{
    struct room_extent extent;

    room_clear(&room);
    for (uint64_t i = 1; i <= 2 * ROOM_EXTENTS_MAX; i++)
        give(i << 20, 512 * i, 0, 7);
    assert_int_equal(room.n, ROOM_EXTENTS_MAX);
    assert_true(room_claim(&room, 512, 7, &extent));
    assert_int_equal(extent.bytes, 512 * (ROOM_EXTENTS_MAX + 1));
}

static void random_traffic_never_names_what_is_taken(void **state)
{
    enum { UNITS = 256 };
    static unsigned char taken[UNITS];
    uint32_t seed = 3;

    room_clear(&room);
    for (int i = 0; i < UNITS; i++)
        taken[i] = 1;
    for (int round = 0; round < 100000; round++) {
        unsigned at = (seed = seed * 1664525 + 1013904223) >> 24, length = 1 + (seed >> 8) % 8;
        struct room_extent extent;

        if (at + length > UNITS)
            continue;
        if (seed >> 31) {
            for (unsigned i = at; i < at + length; i++) {
                if (taken[i])
                    give((uint64_t)i * 512 + 0x10000, 512, 1, seed >> 30 & 1 ? 7 : 8);
                taken[i] = 0;
            }
            continue;
        }
        if (round % 50 == 0)
            room_ready(&room, 7);
        if (room_claim(&room, length * 512, 8, &extent)) {
            unsigned first = (unsigned)((extent.base - 0x10000) / 512);

            for (unsigned i = first; i < first + extent.bytes / 512; i++)
                assert_false(taken[i]);
            room_give(&room, extent);
            room_take(&room, extent.base, length * 512);
            for (unsigned i = first; i < first + length; i++)
                taken[i] = 1;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_stream_freed_is_for_that_stream_until_somebody_waited),
        cmocka_unit_test(neighbours_of_one_chunk_are_one_extent),
        cmocka_unit_test(an_allocation_cuts_out_what_it_takes),
        cmocka_unit_test(the_smallest_extent_that_fits_is_claimed),
        cmocka_unit_test(when_there_are_too_many_the_smallest_are_forgotten),
        cmocka_unit_test(random_traffic_never_names_what_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
