/* Integer arithmetic against 128-bit arithmetic: every operation in every type, on random operands and on
 * those at the edges of their type. */
#include "test_alu.h"

typedef __int128 wide;

struct shape {
    unsigned bits;
    int is_signed;
    wide min, max;
};

static struct shape shape_of(const char *type)
{
    unsigned bits = (unsigned)atoi(type + 1);
    int is_signed = type[0] == 's';
    wide top = (wide)1 << (bits - is_signed);

    return (struct shape){bits, is_signed, is_signed ? -top : 0, top - 1};
}

static wide value_of(uint64_t bits, struct shape shape)
{
    wide value = bits;

    return shape.is_signed && bits >> (shape.bits - 1) & 1 ? value - ((wide)1 << shape.bits) : value;
}

static wide high_half(wide product, struct shape shape)
{
    return product >> shape.bits;
}

static wide clamped(wide x, struct shape shape)
{
    return x < shape.min ? shape.min : x > shape.max ? shape.max : x;
}

/* The exact result before it is cut to the width. u64 products need care only for .hi, done unsigned. */
static wide product_of(wide a, wide b)
{
    return (wide)((unsigned __int128)a * (unsigned __int128)b);
}

static wide unsigned_high(uint64_t a, uint64_t b)
{
    return (wide)((unsigned __int128)a * b >> 64);
}

static wide reference(const char *op, struct shape s, wide a, wide b, wide c)
{
    wide high = s.bits == 64 && !s.is_signed ? unsigned_high((uint64_t)a, (uint64_t)b)
                                             : high_half(product_of(a, b), s);

    if (!strcmp(op, "add"))
        return a + b;
    if (!strcmp(op, "add.sat"))
        return clamped(a + b, s);
    if (!strcmp(op, "sub"))
        return a - b;
    if (!strcmp(op, "sub.sat"))
        return clamped(a - b, s);
    if (!strcmp(op, "mul.lo") || !strcmp(op, "mul.wide"))
        return product_of(a, b);
    if (!strcmp(op, "mul.hi"))
        return high;
    if (!strcmp(op, "mad.lo") || !strcmp(op, "mad.wide"))
        return (wide)((unsigned __int128)product_of(a, b) + (unsigned __int128)c);
    if (!strcmp(op, "mad.hi"))
        return high + c;
    if (!strcmp(op, "mad.hi.sat"))
        return clamped(high + c, s);
    if (!strcmp(op, "div"))
        return b ? a / b : -1;
    if (!strcmp(op, "rem"))
        return b ? a % b : -1;
    if (!strcmp(op, "min"))
        return a < b ? a : b;
    if (!strcmp(op, "max"))
        return a > b ? a : b;
    if (!strcmp(op, "min.relu"))
        return (a < b ? a : b) > 0 ? (a < b ? a : b) : 0;
    if (!strcmp(op, "max.relu"))
        return (a > b ? a : b) > 0 ? (a > b ? a : b) : 0;
    if (!strcmp(op, "abs"))
        return a < 0 ? -a : a;
    if (!strcmp(op, "neg"))
        return -a;
    if (!strcmp(op, "sad"))
        return c + (a > b ? a - b : b - a);
    fail_msg("no reference for %s", op);
    return 0;
}

static size_t check(const char *op, const char *type, unsigned rounds)
{
    struct shape s = shape_of(type);
    char spelling[64];
    struct call call;
    size_t n = 0;

    snprintf(spelling, sizeof spelling, "%s.%s", op, type);
    call.op = op_named(spelling);
    for (unsigned round = 0; round < rounds; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            wide operand[3] = {0};
            uint64_t got = lane_bits(&call.dst, call.op.dst_type, i), mask;
            wide want;

            for (unsigned k = 0; k < call.op.n_src; k++) {
                uint64_t bits = lane_bits(&call.src[k], call.op.src_type[k], i);
                operand[k] =
                    k < 2 || strncmp(op, "sad", 3)
                        ? value_of(bits,
                                   k == 2 && strstr(op, "wide") ? (struct shape){2 * s.bits, 0, 0, 0} : s)
                        : (wide)bits;
            }
            want = reference(op, s, operand[0], operand[1], operand[2]);
            mask = type_bytes(call.op.dst_type) == 8 ? UINT64_MAX
                                                     : (UINT64_C(1) << 8 * type_bytes(call.op.dst_type)) - 1;
            if (got != ((uint64_t)want & mask))
                fail_msg("%s %llx %llx %llx: got %llx, want %llx", spelling, (long long)operand[0],
                         (long long)operand[1], (long long)operand[2], (long long)got,
                         (long long)((uint64_t)want & mask));
        }
    }
    return n;
}

TEST(every_operation_agrees_with_128_bit_arithmetic)
{
    static const char *const types[] = {"u16", "u32", "u64", "s16", "s32", "s64"};
    static const char *const any[] = {"add", "sub", "mul.lo", "mul.hi", "mad.lo", "mad.hi",
                                      "div", "rem", "min",    "max",    "sad"};
    static const char *const only_signed[] = {"abs", "neg"};
    static const char *const only_s32[] = {"add.sat", "sub.sat", "mad.hi.sat", "min.relu", "max.relu"};
    size_t n = 0;

    for (size_t t = 0; t < 6; t++) {
        for (size_t o = 0; o < sizeof any / sizeof *any; o++)
            n += check(any[o], types[t], 400);
        for (size_t o = 0; o < 2 && t >= 3; o++)
            n += check(only_signed[o], types[t], 400);
        if (types[t][1] != '6') {
            n += check("mul.wide", types[t], 400);
            n += check("mad.wide", types[t], 400);
        }
    }
    for (size_t o = 0; o < 5; o++)
        n += check(only_s32[o], "s32", 400);
    SAY_COUNT("values", n);
}

/* ---- carries ---- */

/* The double-width sum or difference, with the carry or borrow out as bit `bits`. */
static size_t check_carry(const char *op, const char *type)
{
    struct shape s = shape_of(type);
    unsigned __int128 modulus = (unsigned __int128)1 << s.bits;
    char spelling[64];
    struct call call;
    size_t n = 0;
    int subtracts = !strncmp(op, "sub", 3), multiplies = !strncmp(op, "mad", 3);

    snprintf(spelling, sizeof spelling, "%s.%s", op, type);
    call.op = op_named(spelling);
    for (unsigned round = 0; round < 200; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            uint64_t a = lane_bits(&call.src[0], call.op.src_type[0], i),
                     b = lane_bits(&call.src[1], call.op.src_type[1], i);
            uint64_t carry_in = call.op.reads_carry ? call.src[call.op.n_src - 1].u8[i] : 0;
            unsigned __int128 first = a, second = b, exact;

            if (multiplies) {
                wide high = s.is_signed || s.bits < 64
                                ? high_half(product_of(value_of(a, s), value_of(b, s)), s)
                                : unsigned_high(a, b);
                first = (unsigned __int128)(strstr(op, "hi") ? high : product_of(a, b)) % modulus;
                second = lane_bits(&call.src[2], call.op.src_type[2], i);
            }
            exact = subtracts ? first - second - carry_in : first + second + carry_in;
            if (lane_bits(&call.dst, call.op.dst_type, i) != (uint64_t)(exact % modulus))
                fail_msg("%s: sum", spelling);
            if (call.op.writes_carry && call.dst2.u8[i] != (exact / modulus != 0))
                fail_msg("%s: carry", spelling);
        }
    }
    return n;
}

TEST(carries_chain_into_wider_arithmetic)
{
    static const char *const types[] = {"u32", "s32", "u64", "s64"};
    static const char *const ops[] = {"add.cc",  "addc",       "addc.cc",   "sub.cc",
                                      "subc",    "subc.cc",    "mad.lo.cc", "mad.hi.cc",
                                      "madc.lo", "madc.lo.cc", "madc.hi",   "madc.hi.cc"};
    size_t n = 0;

    for (size_t t = 0; t < 4; t++)
        for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
            n += check_carry(ops[o], types[t]);
    SAY_COUNT("values", n);
}

/* ---- 24-bit and dot products ---- */

static wide low24(uint64_t bits, int is_signed)
{
    wide value = bits & 0xffffff;
    return is_signed && value >= 0x800000 ? value - 0x1000000 : value;
}

TEST(products_of_24_bits_are_bits_of_the_48_bit_product)
{
    static const struct {
        const char *spelling;
        int is_signed, high, adds, saturates;
    } forms[] = {
        {"mul24.lo.u32", 0, 0, 0, 0}, {"mul24.lo.s32", 1, 0, 0, 0}, {"mul24.hi.u32", 0, 1, 0, 0},
        {"mul24.hi.s32", 1, 1, 0, 0}, {"mad24.lo.u32", 0, 0, 1, 0}, {"mad24.lo.s32", 1, 0, 1, 0},
        {"mad24.hi.u32", 0, 1, 1, 0}, {"mad24.hi.s32", 1, 1, 1, 0}, {"mad24.hi.sat.s32", 1, 1, 1, 1}};
    size_t n = 0;

    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        struct call call = {.op = op_named(forms[f].spelling)};
        for (unsigned round = 0; round < 300; round++) {
            call_random(&call);
            for (unsigned i = 0; i < 32; i++, n++) {
                wide want = low24(call.src[0].u32[i], forms[f].is_signed) *
                            low24(call.src[1].u32[i], forms[f].is_signed);
                want = forms[f].high ? want >> 16 : want;
                if (forms[f].high)
                    want = forms[f].is_signed ? (wide)(int32_t)(uint32_t)want : (wide)(uint32_t)want;
                if (forms[f].adds)
                    want += forms[f].saturates ? (wide)(int32_t)call.src[2].u32[i] : (wide)call.src[2].u32[i];
                if (forms[f].saturates)
                    want = clamped(want, shape_of("s32"));
                assert_int_equal(call.dst.u32[i], (uint32_t)want);
            }
        }
    }
    SAY_COUNT("values", n);
}

static wide piece(uint32_t word, unsigned bits, unsigned n, int is_signed)
{
    uint32_t value = word >> bits * n & ((1u << bits) - 1);
    return value_of(value, (struct shape){bits, is_signed, 0, 0});
}

TEST(dot_products_extend_each_piece_by_its_own_sign)
{
    static const char *const types[] = {"u32", "s32"};
    static const char *const ops[] = {"dp4a", "dp2a.lo", "dp2a.hi"};
    size_t n = 0;

    for (unsigned form = 0; form < 12; form++) {
        int a_signed = form & 1, b_signed = form >> 1 & 1;
        unsigned op = form >> 2;
        struct call call;
        char spelling[64];

        snprintf(spelling, sizeof spelling, "%s.%s.%s", ops[op], types[a_signed], types[b_signed]);
        call.op = op_named(spelling);
        for (unsigned round = 0; round < 200; round++) {
            call_random(&call);
            for (unsigned i = 0; i < 32; i++, n++) {
                wide want = call.src[2].u32[i];
                for (unsigned k = 0; k < (op ? 2u : 4u); k++)
                    want += piece(call.src[0].u32[i], op ? 16 : 8, k, a_signed) *
                            piece(call.src[1].u32[i], 8, op == 2 ? k + 2 : k, b_signed);
                assert_int_equal(call.dst.u32[i], (uint32_t)want);
            }
        }
    }
    SAY_COUNT("values", n);
}

TEST(pairs_of_16_bits_are_computed_apart)
{
    static const char *const ops[] = {"add", "min", "max", "min.relu", "max.relu"};
    size_t n = 0;

    for (unsigned form = 0; form < 10; form++) {
        int is_signed = form & 1;
        struct shape s = shape_of(is_signed ? "s16" : "u16");
        char spelling[64];
        struct call call;

        if (!is_signed && form / 2 >= 3)
            continue;
        snprintf(spelling, sizeof spelling, "%s.%s16x2", ops[form / 2], is_signed ? "s" : "u");
        call.op = op_named(spelling);
        for (unsigned round = 0; round < 300; round++) {
            call_random(&call);
            for (unsigned i = 0; i < 64; i++, n++)
                assert_int_equal(call.dst.u16[i],
                                 (uint16_t)reference(ops[form / 2], s, value_of(call.src[0].u16[i], s),
                                                     value_of(call.src[1].u16[i], s), 0));
        }
    }
    SAY_COUNT("values", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_agrees_with_128_bit_arithmetic),
        cmocka_unit_test(carries_chain_into_wider_arithmetic),
        cmocka_unit_test(products_of_24_bits_are_bits_of_the_48_bit_product),
        cmocka_unit_test(dot_products_extend_each_piece_by_its_own_sign),
        cmocka_unit_test(pairs_of_16_bits_are_computed_apart),
    };
    return cmocka_run_group_tests_name("alu_int", tests, NULL, NULL);
}
