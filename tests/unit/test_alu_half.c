/* f16 and bf16: arithmetic against exact results rounded once, single and packed; all 65,536 halves where
 * there is one operand. */
#include "test_alu_quad.h"

static uint64_t flushed(const struct format *f, uint64_t bits)
{
    return bits & format_infinity(f) ? bits : bits & format_sign(f);
}

/* Rounded, then .sat, .relu, .ftz as the spelling says. */
static uint16_t finish(const char *spelling, const struct format *f, struct exact x)
{
    uint64_t bits = format_round(f, x, MODE_RN);
    quad value = format_value(f, bits);

    if (strstr(spelling, ".sat"))
        bits = value >= 1 ? format_round(f, (struct exact){1, 0}, MODE_RN) : value > 0 ? bits : 0;
    if (strstr(spelling, ".relu") && bits & format_sign(f))
        bits = 0;
    return (uint16_t)(strstr(spelling, ".ftz") && bits != f->nan ? flushed(f, bits) : bits);
}

static struct exact compute(char op, quad a, quad b, quad c)
{
    switch (op) {
    case 'a':
        return exact_sum(a, b, MODE_RN);
    case 's':
        return exact_sum(a, -b, MODE_RN);
    case 'm':
        return (struct exact){a * b, 0};
    default:
        return exact_sum(a * b, c, MODE_RN);
    }
}

static size_t check(const char *op, const char *modifiers, const char *type, const struct format *f)
{
    unsigned n_halves = strstr(type, "x2") ? 64 : 32;
    char spelling[64];
    struct call call;
    size_t n = 0;

    snprintf(spelling, sizeof spelling, "%s%s.%s", op, modifiers, type);
    call.op = op_named(spelling);
    for (unsigned round = 0; round < 300; round++) {
        call_random(&call);
        for (unsigned i = 0; i < n_halves; i++, n++) {
            quad v[3];
            for (unsigned k = 0; k < 3; k++) {
                uint64_t bits = call.src[k].u16[i];
                v[k] = format_value(f, strstr(spelling, ".ftz") ? flushed(f, bits) : bits);
            }
            if (call.dst.u16[i] != finish(spelling, f, compute(op[0], v[0], v[1], v[2])))
                fail_msg("%s %x %x %x: got %x, want %x", spelling, call.src[0].u16[i], call.src[1].u16[i],
                         call.src[2].u16[i], call.dst.u16[i],
                         finish(spelling, f, compute(op[0], v[0], v[1], v[2])));
        }
    }
    return n;
}

TEST(arithmetic_on_halves_is_rounded_once)
{
    static const char *const ops[] = {"add", "sub", "mul", "add.rn", "sub.rn", "mul.rn", "fma.rn"};
    static const char *const variants[] = {"", ".ftz", ".sat", ".ftz.sat"};
    size_t n = 0;

    for (int o = 0; o < 7; o++) {
        for (int v = 0; v < 4; v++)
            n += check(ops[o], variants[v], "f16", &format_f16) +
                 check(ops[o], variants[v], "f16x2", &format_f16);
        n += check(ops[o], "", "bf16", &format_bf16) + check(ops[o], "", "bf16x2", &format_bf16);
    }
    n += check("fma.rn", ".relu", "f16", &format_f16) + check("fma.rn", ".relu", "f16x2", &format_f16) +
         check("fma.rn", ".ftz.relu", "f16", &format_f16) +
         check("fma.rn", ".ftz.relu", "f16x2", &format_f16) + check("fma.rn", ".relu", "bf16", &format_bf16) +
         check("fma.rn", ".relu", "bf16x2", &format_bf16);
    SAY_COUNT("values", n);
}

/* Products that are ties and addends below any intermediate format: 2^-8 * 1.1000000b and friends. */
TEST(an_addend_too_small_to_see_still_breaks_a_tie_of_bf16_fma)
{
    struct call call = {.op = op_named("fma.rn.bf16")};

    for (unsigned i = 0; i < 32; i++) {
        call.src[0].u16[i] = 0x3f81; /* 1 + 2^-7 */
        call.src[1].u16[i] = 0x3fc0; /* 1.5: the product 1.5 + 1.5 * 2^-7 lies half-way */
        call.src[2].u16[i] = i & 1 ? 0x0080 : 0x8080;
    }
    call_run(&call);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(call.dst.u16[i], i & 1 ? 0x3fc2 : 0x3fc1);
}

/* Runs a one-operand instruction over all halves. */
static void for_all_halves(const char *spelling, const struct format *f,
                           uint64_t (*want)(const struct format *, uint64_t))
{
    struct call call = {.op = op_named(spelling)};

    for (uint32_t first = 0; first < 65536; first += 32) {
        for (unsigned i = 0; i < 32; i++)
            call.src[0].u16[i] = (uint16_t)(first + i);
        call_run(&call);
        for (unsigned i = 0; i < 32; i++) {
            uint64_t got = lane_bits(&call.dst, call.op.dst_type, i), expected = want(f, first + i);
            if (got != expected)
                fail_msg("%s %x: got %llx, want %llx", spelling, first + i, (long long)got,
                         (long long)expected);
        }
    }
}

static uint64_t want_f32(const struct format *f, uint64_t bits)
{
    return format_round(&format_f32, (struct exact){format_value(f, bits), 0}, MODE_RN);
}

static uint64_t want_f64(const struct format *f, uint64_t bits)
{
    return format_round(&format_f64, (struct exact){format_value(f, bits), 0}, MODE_RN);
}

static uint64_t want_sat(const struct format *f, uint64_t bits)
{
    quad value = format_value(f, bits);
    return value >= 1 ? 0x3c00 : value > 0 ? bits : 0;
}

TEST(every_half_widens_exactly)
{
    for_all_halves("cvt.f32.f16", &format_f16, want_f32);
    for_all_halves("cvt.f64.f16", &format_f16, want_f64);
    for_all_halves("cvt.f32.bf16", &format_bf16, want_f32);
    for_all_halves("cvt.f64.bf16", &format_bf16, want_f64);
    for_all_halves("cvt.sat.f16.f16", &format_f16, want_sat);
}

static uint64_t want_abs(const struct format *f, uint64_t bits)
{
    return bits & 0x7fff;
}
static uint64_t want_neg(const struct format *f, uint64_t bits)
{
    return bits ^ 0x8000;
}
static uint64_t want_abs_ftz(const struct format *f, uint64_t bits)
{
    return flushed(f, bits) & 0x7fff;
}
static uint64_t want_neg_ftz(const struct format *f, uint64_t bits)
{
    return flushed(f, bits) ^ 0x8000;
}

static uint64_t want_tanh(const struct format *f, uint64_t bits)
{
    quad x = format_value(f, bits);
    return x == 0 ? bits : format_round(f, (struct exact){tanhl((long double)x), 0}, MODE_RN);
}

static uint64_t want_ex2(const struct format *f, uint64_t bits)
{
    return format_round(f, (struct exact){exp2l((long double)format_value(f, bits)), 0}, MODE_RN);
}

static uint64_t want_ex2_ftz(const struct format *f, uint64_t bits)
{
    return flushed(f, want_ex2(f, flushed(f, bits)));
}

TEST(functions_of_one_half_are_right_for_every_half)
{
    for_all_halves("abs.f16", &format_f16, want_abs);
    for_all_halves("neg.f16", &format_f16, want_neg);
    for_all_halves("abs.ftz.f16", &format_f16, want_abs_ftz);
    for_all_halves("neg.ftz.f16", &format_f16, want_neg_ftz);
    for_all_halves("abs.bf16", &format_bf16, want_abs);
    for_all_halves("neg.bf16", &format_bf16, want_neg);
    for_all_halves("tanh.approx.f16", &format_f16, want_tanh);
    for_all_halves("tanh.approx.bf16", &format_bf16, want_tanh);
    for_all_halves("ex2.approx.f16", &format_f16, want_ex2);
    for_all_halves("ex2.approx.ftz.bf16", &format_bf16, want_ex2_ftz);
}

TEST(packed_functions_do_to_both_halves_what_single_ones_do)
{
    static const char *const names[] = {
        "abs.f16",         "neg.f16",          "abs.ftz.f16",    "neg.bf16",
        "tanh.approx.f16", "tanh.approx.bf16", "ex2.approx.f16", "ex2.approx.ftz.bf16"};

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct call single = {.op = op_named(names[k])}, packed;
        char spelling[64];

        snprintf(spelling, sizeof spelling, "%sx2", names[k]);
        packed.op = op_named(spelling);
        call_random(&packed);
        memcpy(&single.src[0], &packed.src[0], sizeof single.src[0]);
        call_run(&single);
        for (unsigned i = 0; i < 32; i++)
            assert_int_equal(packed.dst.u16[i], single.dst.u16[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_on_halves_is_rounded_once),
        cmocka_unit_test(an_addend_too_small_to_see_still_breaks_a_tie_of_bf16_fma),
        cmocka_unit_test(every_half_widens_exactly),
        cmocka_unit_test(functions_of_one_half_are_right_for_every_half),
        cmocka_unit_test(packed_functions_do_to_both_halves_what_single_ones_do),
    };
    return cmocka_run_group_tests_name("alu_half", tests, NULL, NULL);
}
