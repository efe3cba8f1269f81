/* Logic, shifts and bit fields against the PTX reference's own bit-by-bit descriptions. */
#include "test_alu.h"

static int bit(uint64_t word, unsigned n)
{
    return (int)(word >> n & 1);
}

/* want(a, b, c, d) for one lane; width: bits of the first source. */
typedef uint64_t (*reference_fn)(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width);

static size_t check(const char *spelling, int64_t immediate, reference_fn want)
{
    struct call call;
    size_t n = 0;

    if (find_op(spelling, immediate, &call.op))
        fail_msg("no instruction %s", spelling);
    for (unsigned round = 0; round < 300; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            uint64_t s[4] = {0}, got = lane_bits(&call.dst, call.op.dst_type, i), expected;
            unsigned bits = 8 * type_bytes(call.op.dst_type);

            for (unsigned k = 0; k < call.op.n_src; k++)
                s[k] = lane_bits(&call.src[k], call.op.src_type[k], i);
            expected = want(s[0], s[1], s[2], s[3], 8 * type_bytes(call.op.src_type[0]));
            expected &= bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
            if (got != expected)
                fail_msg("%s %llx %llx %llx %llx: got %llx, want %llx", spelling, (long long)s[0],
                         (long long)s[1], (long long)s[2], (long long)s[3], (long long)got,
                         (long long)expected);
        }
    }
    return n;
}

static unsigned table; /* of the lop3 under test */

static uint64_t want_lop3(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t result = 0;

    for (unsigned n = 0; n < 32; n++)
        result |= (uint64_t)(table >> (bit(a, n) << 2 | bit(b, n) << 1 | bit(c, n)) & 1) << n;
    return result;
}

TEST(lop3_looks_every_bit_up_in_each_of_the_256_tables)
{
    size_t n = 0;

    for (table = 0; table < 256; table++)
        n += check("lop3.b32", table, want_lop3);
    SAY_COUNT("values", n);
}

TEST(lop3_combines_whether_the_word_is_zero_with_its_predicate)
{
    for (table = 0; table < 256; table += 5) {
        struct call with_and, with_or;

        assert_int_equal(find_op("lop3.and.b32", table, &with_and.op), 0);
        assert_int_equal(find_op("lop3.or.b32", table, &with_or.op), 0);
        call_random(&with_and);
        memcpy(with_or.src, with_and.src, sizeof with_or.src);
        call_run(&with_or);
        for (unsigned i = 0; i < 32; i++) {
            uint32_t word = (uint32_t)want_lop3(with_and.src[0].u32[i], with_and.src[1].u32[i],
                                                with_and.src[2].u32[i], 0, 32);
            assert_int_equal(with_and.dst.u32[i], word);
            assert_int_equal(with_and.dst2.u8[i], word && with_and.src[3].u8[i]);
            assert_int_equal(with_or.dst2.u8[i], word || with_and.src[3].u8[i]);
        }
    }
}

static uint64_t want_and(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return a & b;
}
static uint64_t want_or(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return a | b;
}
static uint64_t want_xor(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return a ^ b;
}
static uint64_t want_not(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return width == 8 ? !a : ~a;
}
static uint64_t want_cnot(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return !a;
}

static uint64_t want_shl(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t result = 0;

    for (unsigned n = 0; n < width; n++)
        result |= n >= b ? (uint64_t)bit(a, n - (unsigned)b) << n : 0;
    return result;
}

static uint64_t shifted_right(uint64_t a, uint64_t b, unsigned width, int fill)
{
    uint64_t result = 0;

    for (unsigned n = 0; n < width; n++)
        result |= (uint64_t)(n + b < width ? bit(a, n + (unsigned)b) : fill) << n;
    return result;
}

static uint64_t want_shr_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return shifted_right(a, b, width, 0);
}

static uint64_t want_shr_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return shifted_right(a, b, width, bit(a, width - 1));
}

TEST(logic_and_shifts_agree_bit_by_bit)
{
    static const struct {
        const char *op;
        reference_fn want;
    } ops[] = {{"and.b", want_and},   {"or.b", want_or},     {"xor.b", want_xor},
               {"not.b", want_not},   {"cnot.b", want_cnot}, {"shl.b", want_shl},
               {"shr.b", want_shr_u}, {"shr.u", want_shr_u}, {"shr.s", want_shr_s}};
    size_t n = 0;

    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
        for (unsigned width = 16; width <= 64; width *= 2) {
            char spelling[32];
            snprintf(spelling, sizeof spelling, "%s%u", ops[o].op, width);
            n += check(spelling, 0, ops[o].want);
        }
    n += check("and.pred", 0, want_and) + check("or.pred", 0, want_or) + check("xor.pred", 0, want_xor);
    n += check("not.pred", 0, want_not);
    SAY_COUNT("values", n);
}

static uint64_t funnel(uint64_t low, uint64_t high, unsigned first)
{
    uint64_t result = 0;

    for (unsigned n = 0; n < 32; n++)
        result |=
            (uint64_t)(first + n < 64 ? (first + n < 32 ? bit(low, first + n) : bit(high, first + n - 32))
                                      : 0)
            << n;
    return result;
}

static uint64_t want_l_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return funnel(a, b, 32 - c % 32);
}
static uint64_t want_r_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return funnel(a, b, c % 32);
}
static uint64_t want_l_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return funnel(a, b, c > 32 ? 0 : 32 - (unsigned)c);
}
static uint64_t want_r_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return funnel(a, b, c > 32 ? 32 : (unsigned)c);
}

TEST(funnel_shifts_take_a_window_of_the_two_words)
{
    size_t n = check("shf.l.wrap.b32", 0, want_l_wrap) + check("shf.r.wrap.b32", 0, want_r_wrap) +
               check("shf.l.clamp.b32", 0, want_l_clamp) + check("shf.r.clamp.b32", 0, want_r_clamp);
    SAY_COUNT("values", n);
}

static uint64_t byte_of(uint64_t a, uint64_t b, unsigned n)
{
    return (n < 4 ? a >> 8 * n : b >> 8 * (n - 4)) & 0xff;
}

static uint64_t want_prmt(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t result = 0;

    for (unsigned n = 0; n < 4; n++) {
        unsigned nibble = c >> 4 * n & 15;
        uint64_t byte = byte_of(a, b, nibble & 7);
        result |= (nibble & 8 ? (byte >> 7) * 0xff : byte) << 8 * n;
    }
    return result;
}

static uint64_t four(uint64_t a, uint64_t b, unsigned n0, unsigned n1, unsigned n2, unsigned n3)
{
    return byte_of(a, b, n0 % 8) | byte_of(a, b, n1 % 8) << 8 | byte_of(a, b, n2 % 8) << 16 |
           byte_of(a, b, n3 % 8) << 24;
}

static uint64_t want_f4e(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 3;
    return four(a, b, s, s + 1, s + 2, s + 3);
}
static uint64_t want_b4e(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 3;
    return four(a, b, s, s + 7, s + 6, s + 5);
}
static uint64_t want_rc8(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 3;
    return four(a, b, s, s, s, s);
}
static uint64_t want_rc16(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 1 ? 2 : 0;
    return four(a, b, s, s + 1, s, s + 1);
}
static uint64_t want_ecl(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 3;
    return four(a, b, s, s > 1 ? s : 1, s > 2 ? s : 2, 3);
}
static uint64_t want_ecr(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned s = c & 3;
    return four(a, b, 0, s < 1 ? s : 1, s < 2 ? s : 2, s);
}

TEST(prmt_picks_bytes_in_all_its_modes)
{
    size_t n = check("prmt.b32", 0, want_prmt) + check("prmt.b32.f4e", 0, want_f4e) +
               check("prmt.b32.b4e", 0, want_b4e) + check("prmt.b32.rc8", 0, want_rc8) +
               check("prmt.b32.rc16", 0, want_rc16) + check("prmt.b32.ecl", 0, want_ecl) +
               check("prmt.b32.ecr", 0, want_ecr);
    SAY_COUNT("values", n);
}

static uint64_t want_popc(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t n = 0;
    for (; a; a >>= 1)
        n += a & 1;
    return n;
}

static uint64_t want_clz(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned n = 0;
    while (n < width && !bit(a, width - 1 - n))
        n++;
    return n;
}

static uint64_t want_brev(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t result = 0;
    for (unsigned n = 0; n < width; n++)
        result |= (uint64_t)bit(a, n) << (width - 1 - n);
    return result;
}

static uint64_t find_top(uint64_t a, unsigned width, int differs_from)
{
    for (unsigned n = width; n-- > 0;)
        if (bit(a, n) != differs_from)
            return n;
    return UINT32_MAX;
}

static uint64_t want_bfind_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return find_top(a, width, 0);
}
static uint64_t want_bfind_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return find_top(a, width, bit(a, width - 1));
}
static uint64_t want_shift_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t n = want_bfind_u(a, b, c, d, width);
    return n == UINT32_MAX ? n : width - 1 - n;
}
static uint64_t want_shift_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    uint64_t n = want_bfind_s(a, b, c, d, width);
    return n == UINT32_MAX ? n : width - 1 - n;
}

TEST(counting_and_finding_bits_agree_with_looking_at_each)
{
    size_t n = check("popc.b32", 0, want_popc) + check("popc.b64", 0, want_popc) +
               check("clz.b32", 0, want_clz) + check("clz.b64", 0, want_clz) +
               check("brev.b32", 0, want_brev) + check("brev.b64", 0, want_brev) +
               check("bfind.u32", 0, want_bfind_u) + check("bfind.u64", 0, want_bfind_u) +
               check("bfind.s32", 0, want_bfind_s) + check("bfind.s64", 0, want_bfind_s) +
               check("bfind.shiftamt.u32", 0, want_shift_u) + check("bfind.shiftamt.u64", 0, want_shift_u) +
               check("bfind.shiftamt.s32", 0, want_shift_s) + check("bfind.shiftamt.s64", 0, want_shift_s);
    SAY_COUNT("values", n);
}

static uint64_t extracted(uint64_t a, uint64_t b, uint64_t c, unsigned width, int is_signed)
{
    unsigned position = b & 0xff, length = c & 0xff, last = position + length - 1;
    int fill = is_signed && length ? bit(a, last < width ? last : width - 1) : 0;
    uint64_t result = 0;

    for (unsigned n = 0; n < width; n++)
        result |= (uint64_t)(n < length && position + n < width ? bit(a, position + n) : fill) << n;
    return result;
}

static uint64_t want_bfe_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extracted(a, b, c, width, 0);
}
static uint64_t want_bfe_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extracted(a, b, c, width, 1);
}

static uint64_t want_bfi(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    unsigned position = c & 0xff, length = d & 0xff;

    for (unsigned n = 0; n < length && position + n < width; n++)
        b = (b & ~(UINT64_C(1) << (position + n))) | (uint64_t)(n < 64 ? bit(a, n) : 0) << (position + n);
    return b;
}

static uint64_t masked(uint64_t a, uint64_t b, int wrap)
{
    uint64_t result = 0, position = wrap ? a & 31 : a, width = wrap ? b & 31 : b;

    for (uint64_t n = position; n < 32 && n - position < width; n++)
        result |= UINT64_C(1) << n;
    return result;
}

static uint64_t want_bmsk_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return masked(a, b, 0);
}
static uint64_t want_bmsk_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return masked(a, b, 1);
}

static uint64_t extended(uint64_t a, uint64_t n, int is_signed)
{
    uint64_t result = 0;

    for (unsigned k = 0; k < 32; k++)
        result |= (uint64_t)(k < n ? bit(a, k) : is_signed && n ? bit(a, (unsigned)n - 1) : 0) << k;
    return result;
}

static uint64_t want_szext_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extended(a, b > 32 ? 32 : b, 0);
}
static uint64_t want_szext_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extended(a, b > 32 ? 32 : b, 1);
}
static uint64_t want_szext_wrap_u(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extended(a, b & 31, 0);
}
static uint64_t want_szext_wrap_s(uint64_t a, uint64_t b, uint64_t c, uint64_t d, unsigned width)
{
    return extended(a, b & 31, 1);
}

/* The reference's own loop. */
static uint64_t want_fns(uint64_t mask, uint64_t base, uint64_t offset_bits, uint64_t d, unsigned width)
{
    int64_t offset = (int32_t)(uint32_t)offset_bits, position = (int32_t)(uint32_t)base, count;

    if (!offset)
        return position >= 0 && position < 32 && bit(mask, (unsigned)position) ? (uint64_t)position
                                                                               : UINT32_MAX;
    count = (offset < 0 ? -offset : offset) - 1;
    for (; position >= 0 && position<32; position += offset> 0 ? 1 : -1)
        if (bit(mask, (unsigned)position) && count-- == 0)
            return (uint64_t)position;
    return UINT32_MAX;
}

TEST(bit_fields_agree_at_every_position_and_length)
{
    size_t n = check("bfe.u32", 0, want_bfe_u) + check("bfe.s32", 0, want_bfe_s) +
               check("bfe.u64", 0, want_bfe_u) + check("bfe.s64", 0, want_bfe_s) +
               check("bfi.b32", 0, want_bfi) + check("bfi.b64", 0, want_bfi) +
               check("bmsk.clamp.b32", 0, want_bmsk_clamp) + check("bmsk.wrap.b32", 0, want_bmsk_wrap) +
               check("szext.clamp.u32", 0, want_szext_u) + check("szext.clamp.s32", 0, want_szext_s) +
               check("szext.wrap.u32", 0, want_szext_wrap_u) + check("szext.wrap.s32", 0, want_szext_wrap_s) +
               check("fns.b32", 0, want_fns);
    SAY_COUNT("values", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lop3_looks_every_bit_up_in_each_of_the_256_tables),
        cmocka_unit_test(lop3_combines_whether_the_word_is_zero_with_its_predicate),
        cmocka_unit_test(logic_and_shifts_agree_bit_by_bit),
        cmocka_unit_test(funnel_shifts_take_a_window_of_the_two_words),
        cmocka_unit_test(prmt_picks_bytes_in_all_its_modes),
        cmocka_unit_test(counting_and_finding_bits_agree_with_looking_at_each),
        cmocka_unit_test(bit_fields_agree_at_every_position_and_length),
    };
    return cmocka_run_group_tests_name("alu_bits", tests, NULL, NULL);
}
