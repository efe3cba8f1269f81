/* The address space and the table of handles (softgpu/driver/space.h, object.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>

#include "softgpu/driver/object.h"
#include "softgpu/driver/space.h"

static struct space_allocation allocation_at(uint64_t base, uint64_t bytes)
{
    return (struct space_allocation){.base = base,
                                     .bytes = bytes,
                                     .reach_bytes = bytes,
                                     .block_bytes = bytes,
                                     .host = (char *)(uintptr_t)(base + 0x1000000)};
}

static int remove_at(uint64_t base)
{
    struct space_allocation gone;

    return space_remove(base, &gone);
}

static void an_address_belongs_to_one_allocation_or_none(void **state)
{
    struct space_allocation low = allocation_at(0x1000, 100), high = allocation_at(0x2000, 100), found;

    assert_int_equal(space_add(&high), 0);
    assert_int_equal(space_add(&low), 0);
    assert_true(low.id != high.id);
    assert_false(space_find(0xfff, &found));
    assert_true(space_find(0x1000, &found) && found.id == low.id);
    assert_true(space_find(0x1063, &found) && found.id == low.id);
    assert_false(space_find(0x1064, &found));
    assert_true(space_find(0x2000, &found) && found.id == high.id);
    assert_int_equal(remove_at(0x1001), -ENOENT);
    assert_int_equal(remove_at(0x1000), 0);
    assert_int_equal(remove_at(0x1000), -ENOENT);
    assert_false(space_find(0x1000, &found));
    assert_int_equal(remove_at(0x2000), 0);
}

static void overlapping_allocations_are_refused(void **state)
{
    struct space_allocation first = allocation_at(0x1000, 0x100), second;
    const uint64_t wrong[][2] = {{0x1000, 1}, {0x10ff, 1}, {0xfff, 2}, {0x900, 0x1000}};

    assert_int_equal(space_add(&first), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        second = allocation_at(wrong[i][0], wrong[i][1]);
        assert_int_equal(space_add(&second), -EEXIST);
    }
    second = allocation_at(0x1100, 1);
    assert_int_equal(space_add(&second), 0);
    assert_int_equal(remove_at(0x1000), 0);
    assert_int_equal(remove_at(0x1100), 0);
}

static void only_ranges_inside_one_allocation_resolve(void **state)
{
    struct space_allocation first = allocation_at(0x1000, 0x100), second = allocation_at(0x1100, 0x100);
    char *host;

    assert_int_equal(space_add(&first), 0);
    assert_int_equal(space_add(&second), 0);
    assert_true(space_resolve(0x1010, 0xf0, &host, NULL));
    assert_ptr_equal(host, (char *)(uintptr_t)0x1001010);
    assert_false(space_resolve(0x1010, 0xf1, &host, NULL));
    assert_false(space_resolve(0x1010, UINT64_MAX, &host, NULL));
    assert_int_equal(remove_at(0x1000), 0);
    assert_int_equal(remove_at(0x1100), 0);
}

static void a_range_touches_what_it_overlaps_and_nothing_else(void **state)
{
    struct space_allocation allocation = allocation_at(0x1000, 0x100);

    assert_false(space_touches(0, UINT64_MAX));
    assert_int_equal(space_add(&allocation), 0);
    assert_false(space_touches(0x800, 0x800));
    assert_true(space_touches(0x800, 0x801));
    assert_true(space_touches(0x1000, 1));
    assert_true(space_touches(0x10ff, 1));
    assert_false(space_touches(0x1100, 0x1000));
    assert_int_equal(remove_at(0x1000), 0);
    assert_false(space_touches(0x1000, 0x100));
}

/* Mapped ranges side by side are one, with the rights that all give; not when the host's are not side by
 * side. */
static void mapped_ranges_side_by_side_resolve_as_one(void **state)
{
    struct space_allocation parts[4], found;
    char *host;

    for (unsigned i = 0; i < 4; i++) {
        parts[i] = allocation_at(0x1000 + i * 0x100, 0x100);
        parts[i].kind = SPACE_MAPPED;
        parts[i].device_mask = i == 1 ? 1 : 3;
        parts[i].write_mask = i == 2 ? 0 : 3;
        if (i == 3)
            parts[i].host += 0x1000;
        assert_int_equal(space_add(&parts[i]), 0);
    }
    assert_true(space_resolve(0x1010, 0xf0, &host, &found));
    assert_int_equal(found.device_mask, 3);
    assert_true(space_resolve(0x1010, 0xf1, &host, &found));
    assert_ptr_equal(host, (char *)(uintptr_t)0x1001010);
    assert_int_equal(found.device_mask, 1);
    assert_int_equal(found.write_mask, 3);
    assert_true(space_resolve(0x1010, 0x2f0, &host, &found));
    assert_int_equal(found.write_mask, 0);
    assert_false(space_resolve(0x1010, 0x2f1, &host, NULL));
    assert_true(space_resolve(0x1300, 0x100, &host, NULL));
    assert_false(space_resolve(0x1300, 0x101, &host, NULL));
    assert_false(space_resolve(0x1010, UINT64_MAX, &host, NULL));
    assert_int_equal(remove_at(0x1100), 0);
    assert_false(space_resolve(0x1010, 0x1f0, &host, NULL));
    for (unsigned i = 0; i < 4; i++)
        remove_at(0x1000 + i * 0x100);
}

static void a_block_freed_in_a_stream_is_reached_but_not_found(void **state)
{
    struct space_allocation pooled = allocation_at(0x4000, 100), found;
    char *host;

    pooled.kind = SPACE_POOL;
    pooled.block_bytes = 512;
    assert_int_equal(space_add(&pooled), 0);
    assert_false(space_resolve(0x4000 + 100, 1, &host, NULL));
    assert_true(space_claim_freed(0x4000, &found));
    assert_false(space_claim_freed(0x4000, &found));
    assert_false(space_find(0x4000, &found));
    assert_true(space_resolve(0x4000 + 511, 1, &host, NULL));
    assert_int_equal(remove_at(0x4000), 0);
}

static void the_generation_moves_with_every_removal(void **state)
{
    struct space_allocation allocation = allocation_at(0x1000, 16);
    uint64_t before = *space_generation();

    assert_int_equal(space_add(&allocation), 0);
    assert_int_equal(*space_generation(), before);
    assert_int_equal(remove_at(0x1000), 0);
    assert_true(*space_generation() > before);
}

/* ---- handles ---- */

static int n_destroyed;

static void count_destroyed(void *object)
{
    n_destroyed++;
}

static void a_handle_is_valid_from_publishing_to_retiring(void **state)
{
    struct object object;

    n_destroyed = 0;
    object_init(&object, OBJECT_EVENT, count_destroyed);
    assert_null(object_get(OBJECT_EVENT, &object));
    object_publish(&object);
    assert_ptr_equal(object_get(OBJECT_EVENT, &object), &object);
    assert_null(object_get(OBJECT_STREAM, &object));
    assert_null(object_get(OBJECT_EVENT, (char *)&object + 8));
    assert_null(object_get(OBJECT_EVENT, NULL));
    assert_true(object_retire(&object));
    assert_false(object_retire(&object));
    assert_null(object_get(OBJECT_EVENT, &object));
    object_unref(&object);
    assert_int_equal(n_destroyed, 0);
    object_unref(&object);
    assert_int_equal(n_destroyed, 1);
    assert_false(object_try_ref(&object));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_belongs_to_one_allocation_or_none),
        cmocka_unit_test(overlapping_allocations_are_refused),
        cmocka_unit_test(only_ranges_inside_one_allocation_resolve),
        cmocka_unit_test(a_range_touches_what_it_overlaps_and_nothing_else),
        cmocka_unit_test(mapped_ranges_side_by_side_resolve_as_one),
        cmocka_unit_test(a_block_freed_in_a_stream_is_reached_but_not_found),
        cmocka_unit_test(the_generation_moves_with_every_removal),
        cmocka_unit_test(a_handle_is_valid_from_publishing_to_retiring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
