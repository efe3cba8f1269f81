/* mov, packing, changes of width, atomics, and the floating-point environment. */
#include "test_alu_quad.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>

TEST(mov_copies_bits_of_every_type)
{
    static const char *const types[] = {"pred", "b16", "b32", "b64", "b128", "u16", "u32",
                                        "u64",  "s16", "s32", "s64", "f32",  "f64"};

    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct call call;
        char spelling[32];

        snprintf(spelling, sizeof spelling, "mov.%s", types[t]);
        call.op = op_named(spelling);
        call_random(&call);
        assert_memory_equal(&call.dst, &call.src[0], 32 * type_bytes(call.op.dst_type));
    }
}

TEST(packing_puts_the_first_part_lowest_and_unpacking_reverses_it)
{
    static const struct {
        unsigned n, bytes;
    } shapes[] = {{2, 1}, {4, 1}, {2, 2}, {4, 2}, {2, 4}, {8, 1}, {4, 4}, {2, 8}};

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        unsigned n = shapes[s].n, bytes = shapes[s].bytes;
        union lanes parts[8], back[8], whole;
        const void *sources[8];
        void *targets[8];
        uint32_t mask = (uint32_t)next_random();

        for (unsigned k = 0; k < n; k++) {
            for (unsigned i = 0; i < 32; i++)
                parts[k].u64[i] = next_random();
            sources[k] = &parts[k], targets[k] = &back[k];
        }
        memset(&whole, 0xee, sizeof whole);
        memset(back, 0xee, sizeof back);
        alu_pack(&whole, sources, n, bytes, mask);
        targets[1] = NULL; /* the sink _ */
        alu_unpack(targets, &whole, n, bytes, mask);
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned k = 0; k < n; k++) {
                unsigned char kept[8];
                int on = mask >> lane & 1;
                memset(kept, 0xee, sizeof kept);
                assert_memory_equal(whole.u8 + (lane * n + k) * bytes, on ? parts[k].u8 + lane * bytes : kept,
                                    bytes);
                assert_memory_equal(back[k].u8 + lane * bytes,
                                    on && k != 1 ? parts[k].u8 + lane * bytes : kept, bytes);
            }
    }
}

TEST(resizing_extends_or_cuts_each_lane)
{
    static const unsigned widths[] = {1, 2, 4, 8, 16};

    for (unsigned form = 0; form < 5 * 5 * 2 * 2; form++) {
        unsigned to = widths[form % 5], from = widths[form / 5 % 5];
        int is_signed = form / 25 % 2;
        uint32_t mask = form / 50 ? (uint32_t)next_random() : UINT32_MAX;
        union lanes src, dst;

        for (unsigned i = 0; i < 64; i++)
            src.u64[i] = next_random();
        memset(&dst, 0xee, sizeof dst);
        alu_resize(&dst, to, &src, from, is_signed, mask);
        for (unsigned lane = 0; lane < 32; lane++) {
            unsigned char want[16];
            unsigned char fill = is_signed && from < 16 && src.u8[lane * from + from - 1] & 0x80 ? 0xff : 0;

            memset(want, fill, sizeof want);
            memcpy(want, src.u8 + lane * from, from);
            if (!(mask >> lane & 1))
                memset(want, 0xee, sizeof want);
            assert_memory_equal(dst.u8 + lane * to, want, to);
        }
    }
}

/* ---- atomics ---- */

static alu_atom_fn atom_named(const char *op, enum ptx_type type, int no_ftz)
{
    alu_atom_fn fn;

    assert_int_equal(alu_find_atom(op, type, no_ftz, &fn), 0);
    return fn;
}

static uint64_t atom_once(alu_atom_fn fn, uint64_t memory, uint64_t a, uint64_t b, uint64_t *ret_old)
{
    *ret_old = fn(&memory, a, b);
    return memory;
}

TEST(integer_atomics_store_the_result_and_give_the_old_value)
{
    static const struct {
        const char *op;
        enum ptx_type type;
        uint64_t memory, a, b, want;
    } cases[] = {{"add", PTX_U32, 0xffffffff, 2, 0, 1},
                 {"add", PTX_S32, 5, 0xffffffff, 0, 4},
                 {"add", PTX_U64, UINT64_MAX, 2, 0, 1},
                 {"min", PTX_U32, 7, 0xfffffff0, 0, 7},
                 {"min", PTX_S32, 7, 0xfffffff0, 0, 0xfffffff0},
                 {"max", PTX_U32, 7, 0xfffffff0, 0, 0xfffffff0},
                 {"max", PTX_S32, 7, 0xfffffff0, 0, 7},
                 {"min", PTX_S64, 7, UINT64_MAX, 0, UINT64_MAX},
                 {"min", PTX_U64, 7, UINT64_MAX, 0, 7},
                 {"max", PTX_S64, 7, UINT64_MAX, 0, 7},
                 {"max", PTX_U64, 7, UINT64_MAX, 0, UINT64_MAX},
                 {"inc", PTX_U32, 3, 3, 0, 0},
                 {"inc", PTX_U32, 2, 3, 0, 3},
                 {"dec", PTX_U32, 0, 9, 0, 9},
                 {"dec", PTX_U32, 12, 9, 0, 9},
                 {"dec", PTX_U32, 9, 9, 0, 8},
                 {"and", PTX_B32, 0xff00ff, 0xf0f0f0, 0, 0xf000f0},
                 {"or", PTX_B32, 0xf0, 0x0f, 0, 0xff},
                 {"xor", PTX_B64, 0xff, 0x0f, 0, 0xf0},
                 {"exch", PTX_B32, 1, 2, 0, 2},
                 {"exch", PTX_B64, 1, 2, 0, 2},
                 {"cas", PTX_B32, 5, 5, 9, 9},
                 {"cas", PTX_B32, 5, 6, 9, 5},
                 {"cas", PTX_B64, 5, 5, UINT64_MAX, UINT64_MAX},
                 {"cas", PTX_B16, 5, 5, 9, 9}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t old, after = atom_once(atom_named(cases[i].op, cases[i].type, 1), cases[i].memory,
                                        cases[i].a, cases[i].b, &old);
        if (after != cases[i].want || old != cases[i].memory)
            fail_msg("%s (case %zu): %llx, old %llx", cases[i].op, i, (long long)after, (long long)old);
    }
}

TEST(narrow_atomics_leave_their_neighbours_alone)
{
    uint16_t halves[4] = {0x3c00, 0x4000, 0x4200, 0x4400}; /* 1 2 3 4 */

    assert_int_equal(atom_named("add", PTX_F16, 1)(&halves[1], 0x3c00, 0), 0x4000);
    assert_int_equal(halves[0], 0x3c00);
    assert_int_equal(halves[1], 0x4200);
    assert_int_equal(halves[2], 0x4200);
    assert_int_equal(atom_named("cas", PTX_B16, 1)(&halves[3], 0x4400, 0x1234), 0x4400);
    assert_int_equal(halves[3], 0x1234);
    assert_int_equal(atom_named("add", PTX_F16X2, 1)(&halves[0], 0x3c003c00, 0), 0x42003c00);
    assert_int_equal(halves[0], 0x4000);
    assert_int_equal(halves[1], 0x4400);
    halves[0] = 0x3f80;
    assert_int_equal(atom_named("add", PTX_BF16, 1)(&halves[0], 0x3f80, 0), 0x3f80);
    assert_int_equal(halves[0], 0x4000);
}

TEST(floating_point_atomics_flush_only_where_they_are_told)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t a = edgy_f32(), b = edgy_f32();
        uint64_t old, c = edgy_f64(), d = edgy_f64();
        uint64_t sum = format_round(
            &format_f32, exact_sum(format_value(&format_f32, a), format_value(&format_f32, b), MODE_RN),
            MODE_RN);

        assert_int_equal(atom_once(atom_named("add", PTX_F32, 1), a, b, 0, &old), sum);
        assert_int_equal(old, a);
        assert_true(
            atom_once(atom_named("add", PTX_F64, 1), c, d, 0, &old) ==
            format_round(&format_f64,
                         exact_sum(format_value(&format_f64, c), format_value(&format_f64, d), MODE_RN),
                         MODE_RN));
    }
    assert_int_equal(atom_once(atom_named("add", PTX_F32, 0), 1, 1, 0, &(uint64_t){0}), 0);
    assert_int_equal(atom_once(atom_named("add", PTX_F32, 1), 1, 1, 0, &(uint64_t){0}), 2);
}

static float shared_total;

static void *add_many(void *unused)
{
    alu_atom_fn add = atom_named("add", PTX_F32, 1);
    float one = 1.0f;
    uint32_t bits;

    memcpy(&bits, &one, sizeof bits);
    for (int i = 0; i < 100000; i++)
        add(&shared_total, bits, 0);
    return NULL;
}

TEST(racing_floating_point_additions_lose_nothing)
{
    pthread_t threads[4];

    shared_total = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(shared_total == 400000.0f);
}

TEST(unknown_atomics_are_refused)
{
    alu_atom_fn fn;

    assert_int_equal(alu_find_atom("add", PTX_B32, 1, &fn), -ENOTSUP);
    assert_int_equal(alu_find_atom("min", PTX_F32, 1, &fn), -ENOTSUP);
    assert_int_equal(alu_find_atom("inc", PTX_S32, 1, &fn), -ENOTSUP);
    assert_int_equal(alu_find_atom("nand", PTX_B32, 1, &fn), -ENOTSUP);
}

TEST(entering_sets_the_default_rounding_and_leaving_restores_the_threads_own)
{
    struct alu_env saved;
    struct call call = {.op = op_named("add.rz.f32")};

    fesetround(FE_UPWARD);
    alu_env_enter(&saved);
    assert_int_equal(fegetround(), FE_TONEAREST);
    call_random(&call); /* directed rounding puts back what it found */
    assert_int_equal(fegetround(), FE_TONEAREST);
    alu_env_leave(&saved);
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mov_copies_bits_of_every_type),
        cmocka_unit_test(packing_puts_the_first_part_lowest_and_unpacking_reverses_it),
        cmocka_unit_test(resizing_extends_or_cuts_each_lane),
        cmocka_unit_test(integer_atomics_store_the_result_and_give_the_old_value),
        cmocka_unit_test(narrow_atomics_leave_their_neighbours_alone),
        cmocka_unit_test(floating_point_atomics_flush_only_where_they_are_told),
        cmocka_unit_test(racing_floating_point_additions_lose_nothing),
        cmocka_unit_test(unknown_atomics_are_refused),
        cmocka_unit_test(entering_sets_the_default_rounding_and_leaving_restores_the_threads_own),
    };
    return cmocka_run_group_tests_name("alu_move", tests, NULL, NULL);
}
