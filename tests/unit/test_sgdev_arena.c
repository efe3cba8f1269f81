/* Promises of the arena's bookkeeping, and of that of segments which several processes hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "base/units.h"
#include "softgpu/device/arena.h"
#include "softgpu/device/export.h"

#define GRANULE (2 * MIB)

static struct arena *new_arena(uint64_t granules)
{
    struct arena *arena;

    assert_int_equal(arena_new(granules * GRANULE, GRANULE, &arena), 0);
    return arena;
}

static uint64_t reserve(struct arena *arena, struct arena_owner *owner, uint64_t granules)
{
    uint64_t offset_bytes = UINT64_MAX;

    assert_int_equal(arena_reserve(arena, owner, granules * GRANULE, &offset_bytes), 0);
    return offset_bytes / GRANULE;
}

static void release(struct arena *arena, struct arena_owner *owner, uint64_t offset_granules,
                    uint64_t granules)
{
    uint64_t bytes = 0;

    assert_int_equal(arena_release(arena, owner, offset_granules * GRANULE, &bytes), 0);
    assert_int_equal(bytes, granules * GRANULE);
}

static void the_lowest_hole_that_is_large_enough_is_taken(void **state)
{
    struct arena *arena = new_arena(16);
    struct arena_owner owner = {0};

    assert_int_equal(reserve(arena, &owner, 2), 0);
    assert_int_equal(reserve(arena, &owner, 1), 2);
    assert_int_equal(reserve(arena, &owner, 3), 3);
    assert_int_equal(reserve(arena, &owner, 1), 6);
    release(arena, &owner, 0, 2);
    release(arena, &owner, 3, 3);
    assert_int_equal(reserve(arena, &owner, 3), 3);
    assert_int_equal(reserve(arena, &owner, 1), 0);
    assert_int_equal(reserve(arena, &owner, 2), 7);
    arena_free(arena);
}

static void freed_neighbours_become_one_hole(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (unsigned order = 0; order < 6; order++) {
        struct arena *arena = new_arena(3);
        struct arena_owner owner = {0};

        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(reserve(arena, &owner, 1), i);
        for (unsigned i = 0; i < 3; i++)
            release(arena, &owner, orders[order][i], 1);
        assert_int_equal(owner.used_bytes, 0);
        assert_int_equal(reserve(arena, &owner, 3), 0);
        arena_free(arena);
    }
}

static void a_refused_reservation_takes_nothing(void **state)
{
    struct arena *arena = new_arena(4);
    struct arena_owner owner = {0};
    uint64_t offset_bytes = 77;

    assert_int_equal(arena_reserve(arena, &owner, 5 * GRANULE, &offset_bytes), -ENOMEM);
    assert_int_equal(arena_reserve(arena, &owner, 0, &offset_bytes), -EINVAL);
    assert_int_equal(arena_reserve(arena, &owner, GRANULE + 1, &offset_bytes), -EINVAL);
    assert_int_equal(offset_bytes, 77);
    assert_int_equal(owner.used_bytes, 0);
    assert_int_equal(reserve(arena, &owner, 4), 0);
    arena_free(arena);
}

static void only_the_owner_can_give_a_segment_back_and_once(void **state)
{
    struct arena *arena = new_arena(4);
    struct arena_owner mine = {0}, other = {0};
    uint64_t bytes;

    reserve(arena, &mine, 2);
    assert_int_equal(arena_release(arena, &other, 0, &bytes), -EINVAL);
    assert_int_equal(arena_release(arena, &mine, GRANULE, &bytes), -EINVAL);
    assert_int_equal(arena_release(arena, &mine, 3 * GRANULE, &bytes), -EINVAL);
    release(arena, &mine, 0, 2);
    assert_int_equal(arena_release(arena, &mine, 0, &bytes), -EINVAL);
    arena_free(arena);
}

static void all_of_an_owner_can_be_given_back(void **state)
{
    struct arena *arena = new_arena(1000);
    struct arena_owner mine = {0}, other = {0};
    uint64_t offset_bytes, bytes, sum_bytes = 0;

    for (unsigned i = 0; i < 100; i++) {
        reserve(arena, &mine, 1 + i % 5);
        reserve(arena, &other, 1);
    }
    while (arena_release_any(arena, &mine, &offset_bytes, &bytes))
        sum_bytes += bytes;
    assert_int_equal(sum_bytes, 300 * GRANULE);
    assert_int_equal(mine.used_bytes, 0);
    assert_int_equal(other.used_bytes, 100 * GRANULE);
    arena_free(arena);
}

/* Against a plain array of granules. */
static void random_use_agrees_with_a_simple_model(void **state)
{
    enum { GRANULES = 200, SEGMENTS = 100 };
    unsigned char taken[GRANULES] = {0};
    struct {
        unsigned at, n;
    } segments[SEGMENTS];
    struct arena *arena = new_arena(GRANULES);
    struct arena_owner owner = {0};
    unsigned random = 7, n_segments = 0;

    for (unsigned step = 0; step < 50000; step++) {
        unsigned n = 1 + (unsigned)rand_r(&random) % 9, at, run = 0;
        uint64_t offset_bytes;

        if (n_segments && (n_segments == SEGMENTS || rand_r(&random) % 2)) {
            unsigned victim = (unsigned)rand_r(&random) % n_segments;

            release(arena, &owner, segments[victim].at, segments[victim].n);
            memset(taken + segments[victim].at, 0, segments[victim].n);
            segments[victim] = segments[--n_segments];
            continue;
        }
        for (at = 0; at < GRANULES && run < n; at++)
            run = taken[at] ? 0 : run + 1;
        if (run < n) {
            assert_int_equal(arena_reserve(arena, &owner, n * GRANULE, &offset_bytes), -ENOMEM);
            continue;
        }
        assert_int_equal(reserve(arena, &owner, n), at - n);
        segments[n_segments].at = at - n;
        segments[n_segments++].n = n;
        memset(taken + at - n, 1, n);
    }
    arena_free(arena);
}

static void a_hundred_thousand_segments_stay_quick(void **state)
{
    enum { SEGMENTS = 100000 };
    struct arena *arena = new_arena(3 * SEGMENTS);
    struct arena_owner owner = {0};
    uint64_t before_ns = clock_monotonic_ns();

    for (unsigned i = 0; i < SEGMENTS; i++)
        reserve(arena, &owner, 1);
    /* Every second one free: no hole of two, so a plain search would look at all of them each time. */
    for (unsigned i = 0; i < SEGMENTS; i += 2)
        release(arena, &owner, i, 1);
    for (unsigned i = 0; i < SEGMENTS / 2; i++)
        assert_int_equal(reserve(arena, &owner, 2), SEGMENTS + 2 * i);
    /* A quadratic search needs minutes; ten seconds leave room for sanitizers and a busy machine. */
    assert_true(clock_monotonic_ns() - before_ns < 10 * NS_PER_S);
    arena_free(arena);
}

static void a_moved_segment_is_the_other_owners_in_its_place(void **state)
{
    struct arena *arena = new_arena(4);
    struct arena_owner mine = {0}, other = {0};

    reserve(arena, &mine, 1);
    reserve(arena, &mine, 2);
    assert_int_equal(arena_move(arena, &other, &mine, GRANULE), -EINVAL);
    assert_int_equal(arena_move(arena, &mine, &other, 2 * GRANULE), -EINVAL);
    assert_int_equal(arena_move(arena, &mine, &other, GRANULE), 0);
    assert_int_equal(mine.used_bytes, GRANULE);
    assert_int_equal(other.used_bytes, 2 * GRANULE);
    assert_int_equal(arena_bytes(arena, &other, GRANULE), 2 * GRANULE);
    assert_int_equal(arena_bytes(arena, &mine, GRANULE), 0);
    release(arena, &other, 1, 2);
    release(arena, &mine, 0, 1);
    arena_free(arena);
}

static void the_longest_holder_of_an_exported_segment_pays(void **state)
{
    struct arena *arena = new_arena(4);
    struct exports exports = {0};
    struct arena_owner first = {0}, second = {0}, third = {0};
    uint8_t token[SGDEV_TOKEN_BYTES], again[SGDEV_TOKEN_BYTES], wrong[SGDEV_TOKEN_BYTES] = {0};
    uint64_t offset_bytes = 77, bytes = 77;

    reserve(arena, &first, 2);
    assert_int_equal(exports_add(&exports, arena, &second, 0, token), -EINVAL);
    assert_int_equal(exports_add(&exports, arena, &first, GRANULE, token), -EINVAL);
    assert_int_equal(exports_add(&exports, arena, &first, 0, token), 0);
    assert_int_equal(exports_join(&exports, wrong, &second, &offset_bytes, &bytes), -ENOENT);
    assert_int_equal(offset_bytes, 77);
    assert_int_equal(exports_join(&exports, token, &second, &offset_bytes, &bytes), 0);
    assert_int_equal(offset_bytes, 0);
    assert_int_equal(bytes, 2 * GRANULE);
    assert_int_equal(exports_join(&exports, token, &third, &offset_bytes, &bytes), 0);
    assert_int_equal(exports_join(&exports, token, &second, &offset_bytes, &bytes), 0);
    assert_int_equal(exports_add(&exports, arena, &third, 0, again), 0);
    assert_memory_equal(token, again, SGDEV_TOKEN_BYTES);
    assert_int_equal(first.used_bytes, 2 * GRANULE);

    assert_true(exports_leave(&exports, arena, &first, 0));
    assert_false(exports_leave(&exports, arena, &first, 0)); /* it holds it no longer */
    assert_int_equal(first.used_bytes, 0);
    assert_int_equal(second.used_bytes, 2 * GRANULE);
    assert_true(exports_leave(&exports, arena, &second, 0)); /* one of twice */
    assert_int_equal(second.used_bytes, 2 * GRANULE);
    exports_forget(&exports, arena, &second);
    assert_int_equal(third.used_bytes, 2 * GRANULE);
    /* The last one has it as any other segment, and the token is worth nothing. */
    assert_false(exports_leave(&exports, arena, &third, 0));
    assert_int_equal(exports_join(&exports, token, &first, &offset_bytes, &bytes), -ENOENT);
    release(arena, &third, 0, 2);
    exports_done(&exports);
    arena_free(arena);
}

static void a_holder_that_is_gone_lets_go_of_all_it_held(void **state)
{
    struct arena *arena = new_arena(4);
    struct exports exports = {0};
    struct arena_owner gone = {0}, other = {0};
    uint8_t tokens[3][SGDEV_TOKEN_BYTES];
    uint64_t offset_bytes, bytes;

    reserve(arena, &gone, 1);
    reserve(arena, &gone, 1);
    reserve(arena, &other, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(exports_add(&exports, arena, i < 2 ? &gone : &other, i * GRANULE, tokens[i]), 0);
    assert_int_equal(exports_join(&exports, tokens[1], &other, &offset_bytes, &bytes), 0);
    assert_int_equal(exports_join(&exports, tokens[2], &gone, &offset_bytes, &bytes), 0);
    exports_forget(&exports, arena, &gone);
    /* The one that nobody else holds is left to be released with its owner. */
    assert_int_equal(gone.used_bytes, GRANULE);
    assert_int_equal(other.used_bytes, 2 * GRANULE);
    assert_int_equal(exports_join(&exports, tokens[0], &other, &offset_bytes, &bytes), -ENOENT);
    assert_true(arena_release_any(arena, &gone, &offset_bytes, &bytes));
    assert_int_equal(offset_bytes, 0);
    exports_done(&exports);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_hole_that_is_large_enough_is_taken),
        cmocka_unit_test(freed_neighbours_become_one_hole),
        cmocka_unit_test(a_refused_reservation_takes_nothing),
        cmocka_unit_test(only_the_owner_can_give_a_segment_back_and_once),
        cmocka_unit_test(all_of_an_owner_can_be_given_back),
        cmocka_unit_test(random_use_agrees_with_a_simple_model),
        cmocka_unit_test(a_hundred_thousand_segments_stay_quick),
        cmocka_unit_test(a_moved_segment_is_the_other_owners_in_its_place),
        cmocka_unit_test(the_longest_holder_of_an_exported_segment_pays),
        cmocka_unit_test(a_holder_that_is_gone_lets_go_of_all_it_held),
    };

    return cmocka_run_group_tests_name("sgdev_arena", tests, NULL, NULL);
}
