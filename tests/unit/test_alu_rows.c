/* Promises that every instruction keeps, whatever it computes: lanes that are off keep their value, results
 * do not depend on which other lanes are on or on where the destination lies, both tiers give the same bits,
 * and every spelling is found. */
#include "test_alu.h"

#include <errno.h>

#include "softgpu/exec/alu_rows.h"

static alu_fn row_function(const struct alu_row *row)
{
    return row->flags & ALU_BY_TABLE ? row->run_by_table[next_random() % 256] : row->run;
}

static void row_operands(const struct alu_row *row, union lanes src[ALU_OPERANDS_MAX])
{
    for (unsigned k = 0; k < row->n_src; k++)
        fill_lanes(&src[k], row->src_type[k]);
}

static void row_run(const struct alu_row *row, alu_fn run, union lanes *dst, union lanes *dst2,
                    union lanes src[ALU_OPERANDS_MAX], uint32_t mask)
{
    const void *pointers[ALU_OPERANDS_MAX] = {&src[0], &src[1], &src[2], &src[3], &src[4]};

    run(dst, row->dst2_type ? dst2 : NULL, pointers, mask);
}

TEST(lanes_that_are_off_keep_their_value_and_the_others_do_not_depend_on_them)
{
    size_t i;
    const struct alu_row *row;

    for (i = 0; (row = alu_row_at(i, 1)); i++) {
        union lanes src[ALU_OPERANDS_MAX] = {0}, all, all2, some, some2;
        alu_fn run = row_function(row);
        uint32_t mask = (uint32_t)(next_random() & next_random());
        unsigned bytes = type_bytes(row->dst_type), bytes2 = type_bytes(row->dst2_type);

        row_operands(row, src);
        memset(&all, 0x5a, sizeof all);
        all2 = some = some2 = all;
        row_run(row, run, &all, &all2, src, UINT32_MAX);
        row_run(row, run, &some, &some2, src, mask);
        for (unsigned lane = 0; lane < 32; lane++) {
            int on = mask >> lane & 1;
            unsigned char kept[16];
            memset(kept, 0x5a, sizeof kept);
            if (memcmp(some.u8 + lane * bytes, on ? all.u8 + lane * bytes : kept, bytes))
                fail_msg("%s: lane %u (%s)", row->spelling, lane, on ? "on" : "off");
            if (memcmp(some2.u8 + lane * bytes2, on ? all2.u8 + lane * bytes2 : kept, bytes2))
                fail_msg("%s: second result of lane %u (%s)", row->spelling, lane, on ? "on" : "off");
        }
    }
    SAY_COUNT("instructions", i);
}

TEST(the_destination_may_be_any_source_of_the_same_width)
{
    size_t i, n = 0;
    const struct alu_row *row;

    for (i = 0; (row = alu_row_at(i, 1)); i++) {
        union lanes src[ALU_OPERANDS_MAX] = {0}, apart, apart2;
        alu_fn run = row_function(row);
        unsigned bytes = type_bytes(row->dst_type);

        row_operands(row, src);
        row_run(row, run, &apart, &apart2, src, UINT32_MAX);
        for (unsigned k = 0; k < row->n_src; k++) {
            union lanes in_place[ALU_OPERANDS_MAX], second;
            if (type_bytes(row->src_type[k]) != bytes)
                continue;
            memcpy(in_place, src, sizeof in_place);
            row_run(row, run, &in_place[k], &second, in_place, UINT32_MAX);
            if (memcmp(&in_place[k], &apart, bytes * 32))
                fail_msg("%s: destination in place of source %u", row->spelling, k);
            n++;
        }
    }
    SAY_COUNT("instruction and source pairs", n);
}

TEST(both_tiers_give_the_same_bits)
{
    size_t i;
    const struct alu_row *plain, *best;

    for (i = 0; (plain = alu_row_at(i, 0)) && (best = alu_row_at(i, 1)); i++) {
        assert_string_equal(plain->spelling, best->spelling);
        for (unsigned repeat = 0; repeat < 20; repeat++) {
            union lanes src[ALU_OPERANDS_MAX] = {0}, a, a2, b, b2;
            unsigned table = next_random() % 256;
            uint32_t mask = repeat & 1 ? (uint32_t)next_random() : UINT32_MAX;

            memset(&a, 0x5a, sizeof a);
            a2 = b = b2 = a;
            row_operands(plain, src);
            row_run(plain, plain->flags & ALU_BY_TABLE ? plain->run_by_table[table] : plain->run, &a, &a2,
                    src, mask);
            row_run(best, best->flags & ALU_BY_TABLE ? best->run_by_table[table] : best->run, &b, &b2, src,
                    mask);
            if (memcmp(&a, &b, sizeof a) || memcmp(&a2, &b2, sizeof a2))
                fail_msg("%s: tiers differ", plain->spelling);
        }
    }
    assert_null(alu_row_at(i, 0));
    assert_null(alu_row_at(i, 1));
    SAY_COUNT("instructions", i);
}

static int is_type_word(const char *word)
{
    return strchr("usbf", word[0]) && strlen(word) > 1 && word[strlen(word) - 1] >= '0' &&
           word[strlen(word) - 1] <= '9';
}

TEST(every_spelling_is_found_with_its_modifiers_in_any_order)
{
    size_t i;
    const struct alu_row *row;

    for (i = 0; (row = alu_row_at(i, 1)); i++) {
        struct spelled spelled;
        struct alu_op op;

        spell(&spelled, row->spelling);
        for (unsigned repeat = 0; repeat < 3; repeat++) {
            assert_int_equal(alu_find(spelled.words[0], spelled.words + 1, spelled.n_words - 1, 0, &op), 0);
            assert_ptr_equal(op.run, row->flags & ALU_BY_TABLE ? row->run_by_table[0] : row->run);
            assert_int_equal(op.n_src, row->n_src);
            assert_int_equal(op.dst_type, row->dst_type);
            for (size_t k = 1; k + 1 < spelled.n_words; k++)
                if (!is_type_word(spelled.words[k]) || !is_type_word(spelled.words[k + 1])) {
                    const char *word = spelled.words[k];
                    spelled.words[k] = spelled.words[k + 1];
                    spelled.words[k + 1] = word;
                }
        }
    }
    SAY_COUNT("spellings", i);
}

TEST(what_is_no_legal_instruction_is_refused)
{
    static const char *const illegal[] = {"add",
                                          "add.f32.f32",
                                          "add.b32",
                                          "add.rn.s32",
                                          "add.sat.u32",
                                          "add.sat.f64",
                                          "add.ftz.f64",
                                          "add.rn.rn.f32",
                                          "add.ftz.ftz.f32",
                                          "add.approx.f32",
                                          "mul.u32",
                                          "mul.wide.u64",
                                          "mul.wide.f32",
                                          "mad.u32",
                                          "mad.f32",
                                          "fma.f32",
                                          "fma.rn.s32",
                                          "div.f32",
                                          "div.lo.u32",
                                          "rcp.f32",
                                          "sqrt.f32",
                                          "sin.f32",
                                          "sin.approx.f64",
                                          "neg.u32",
                                          "abs.u32",
                                          "min.b32",
                                          "min.NaN.f64",
                                          "and.u32",
                                          "shl.u32",
                                          "shf.l.b32",
                                          "bfe.b32",
                                          "bfind.b32",
                                          "setp.f32",
                                          "setp.lt.b32",
                                          "setp.lo.s32",
                                          "setp.num.s32",
                                          "setp.lt.nand.f32",
                                          "set.lt.f32",
                                          "selp.f16",
                                          "mov.f16",
                                          "mov",
                                          "slct.f32.u32",
                                          "cvt.f32",
                                          "cvt.s32.f32",
                                          "cvt.rn.s32.f32",
                                          "cvt.rzi.f32.s32",
                                          "cvt.f32.f64",
                                          "cvt.rn.f64.f32",
                                          "cvt.sat.s32.u16",
                                          "cvt.f64.s32",
                                          "cvt.ftz.f64.s32",
                                          "lop3.xor.b32",
                                          "lop3.u32",
                                          "prmt.u32",
                                          "testp.normal.f16",
                                          "copysign.f16",
                                          "addc.sat.u32",
                                          "madc.wide.u32",
                                          "vadd.u32.u32.u32",
                                          "cvt.u32.s16.u32",
                                          "popc.u32",
                                          "dp4a.u32",
                                          "xyz.mov"};
    struct alu_op op;
    size_t n = 0;

    for (size_t i = 0; i < sizeof illegal / sizeof *illegal - 1; i++, n++)
        if (find_op(illegal[i], 0, &op) != -ENOTSUP)
            fail_msg("%s is not refused", illegal[i]);
    assert_int_equal(find_op("lop3.b32", 256, &op), -ENOTSUP);
    assert_int_equal(find_op("lop3.b32", -1, &op), -ENOTSUP);
    SAY_COUNT("refused", n);
}

TEST(what_is_not_arithmetic_is_left_to_the_interpreter)
{
    static const char *const others[] = {"bra",
                                         "ld.global.u32",
                                         "st.shared.f32",
                                         "atom.add.u32",
                                         "bar.sync",
                                         "call",
                                         "ret",
                                         "exit",
                                         "cvta.to.global.u64",
                                         "isspacep.shared",
                                         "shfl.sync.bfly.b32",
                                         "vote.sync.all.pred",
                                         "",
                                         "ad",
                                         "addx"};
    struct alu_op op;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct spelled spelled = {.words = {""}};
        spell(&spelled, others[i]);
        if (!spelled.n_words)
            spelled.n_words = 1;
        assert_int_equal(alu_find(spelled.words[0] ? spelled.words[0] : "", spelled.words + 1,
                                  spelled.n_words - 1, 0, &op),
                         -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_that_are_off_keep_their_value_and_the_others_do_not_depend_on_them),
        cmocka_unit_test(the_destination_may_be_any_source_of_the_same_width),
        cmocka_unit_test(both_tiers_give_the_same_bits),
        cmocka_unit_test(every_spelling_is_found_with_its_modifiers_in_any_order),
        cmocka_unit_test(what_is_no_legal_instruction_is_refused),
        cmocka_unit_test(what_is_not_arithmetic_is_left_to_the_interpreter),
    };
    return cmocka_run_group_tests_name("alu_rows", tests, NULL, NULL);
}
