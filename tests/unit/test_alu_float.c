/* f32 and f64 arithmetic in every rounding, with .ftz and .sat, against exact quadruple-precision results. */
#include "test_alu_quad.h"

static uint64_t flushed(const struct format *f, uint64_t bits)
{
    return bits & format_infinity(f) ? bits : bits & format_sign(f);
}

static uint64_t saturated(const struct format *f, uint64_t bits)
{
    quad value = format_value(f, bits);

    return value >= 1 ? format_round(f, (struct exact){1, 0}, MODE_RN) : value > 0 ? bits : 0;
}

static struct exact compute(const char *op, quad a, quad b, quad c, enum mode mode)
{
    if (!strcmp(op, "add"))
        return exact_sum(a, b, mode);
    if (!strcmp(op, "sub"))
        return exact_sum(a, -b, mode);
    if (!strcmp(op, "mul"))
        return (struct exact){a * b, 0};
    if (!strcmp(op, "fma") || !strcmp(op, "mad"))
        return exact_sum(a * b, c, mode);
    if (!strcmp(op, "div"))
        return exact_quotient(a, b);
    if (!strcmp(op, "rcp"))
        return exact_quotient(1, a);
    return exact_root(a);
}

static size_t check(const char *spelling, const char *op, const struct format *f, enum mode mode,
                    unsigned rounds)
{
    int ftz = strstr(spelling, ".ftz") != NULL, sat = strstr(spelling, ".sat") != NULL;
    struct call call = {.op = op_named(spelling)};
    size_t n = 0;

    for (unsigned round = 0; round < rounds; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            uint64_t bits[3] = {0}, got = lane_bits(&call.dst, call.op.dst_type, i), want;
            quad v[3];

            for (unsigned k = 0; k < 3; k++) {
                bits[k] = k < call.op.n_src ? lane_bits(&call.src[k], call.op.src_type[k], i) : 0;
                v[k] = format_value(f, ftz ? flushed(f, bits[k]) : bits[k]);
            }
            want = format_round(f, compute(op, v[0], v[1], v[2], mode), mode);
            want = sat ? saturated(f, want) : want;
            want = ftz && want != f->nan ? flushed(f, want) : want;
            if (got != want)
                fail_msg("%s %llx %llx %llx: got %llx, want %llx", spelling, (long long)bits[0],
                         (long long)bits[1], (long long)bits[2], (long long)got, (long long)want);
        }
    }
    return n;
}

TEST(f32_arithmetic_is_rounded_once_in_every_mode)
{
    static const char *const ops[] = {"add", "sub", "mul", "fma", "mad"}, *const divisions[] = {"div", "rcp",
                                                                                                "sqrt"};
    static const char *const variants[] = {"", ".ftz", ".sat", ".ftz.sat"};
    char spelling[64];
    size_t n = 0;

    for (int mode = 0; mode < 4; mode++)
        for (int v = 0; v < 4; v++) {
            for (int o = 0; o < 5; o++) {
                snprintf(spelling, sizeof spelling, "%s.%s%s.f32", ops[o], mode_names[mode], variants[v]);
                n += check(spelling, ops[o], &format_f32, (enum mode)mode, 100);
            }
            for (int o = 0; o < 3 && v < 2; o++) {
                snprintf(spelling, sizeof spelling, "%s.%s%s.f32", divisions[o], mode_names[mode],
                         variants[v]);
                n += check(spelling, divisions[o], &format_f32, (enum mode)mode, 100);
            }
        }
    n += check("add.f32", "add", &format_f32, MODE_RN, 100) +
         check("mul.ftz.f32", "mul", &format_f32, MODE_RN, 100) +
         check("sub.sat.f32", "sub", &format_f32, MODE_RN, 100) +
         check("div.full.f32", "div", &format_f32, MODE_RN, 100) +
         check("rcp.approx.ftz.f32", "rcp", &format_f32, MODE_RN, 100) +
         check("sqrt.approx.f32", "sqrt", &format_f32, MODE_RN, 100);
    SAY_COUNT("values", n);
}

TEST(f64_arithmetic_is_rounded_once_in_every_mode)
{
    static const char *const ops[] = {"add", "sub", "mul", "fma", "mad", "div", "rcp", "sqrt"};
    char spelling[64];
    size_t n = 0;

    for (int mode = 0; mode < 4; mode++)
        for (int o = 0; o < 8; o++) {
            snprintf(spelling, sizeof spelling, "%s.%s.f64", ops[o], mode_names[mode]);
            n += check(spelling, ops[o], &format_f64, (enum mode)mode, 150);
        }
    n += check("add.f64", "add", &format_f64, MODE_RN, 100) +
         check("sub.f64", "sub", &format_f64, MODE_RN, 100);
    SAY_COUNT("values", n);
}

/* A tie of the product, broken by an addend far below it: two roundings would go wrong. */
TEST(fma_has_no_second_rounding)
{
    struct call call = {.op = op_named("fma.rn.f32")};

    for (unsigned i = 0; i < 32; i++) {
        call.src[0].f32[i] = 1.0f + 0x1p-12f;
        call.src[1].f32[i] = 1.0f + 0x1p-12f;
        call.src[2].f32[i] = i & 1 ? 0x1p-140f : -0x1p-140f;
    }
    call_run(&call);
    for (unsigned i = 0; i < 32; i++)
        assert_true(call.dst.f32[i] == (i & 1 ? 1.0f + 0x1p-11f + 0x1p-23f : 1.0f + 0x1p-11f));
}

TEST(div_approx_gives_zero_for_huge_divisors_as_documented)
{
    struct call call = {.op = op_named("div.approx.f32")};

    call_random(&call);
    call.src[0].f32[0] = 3.0f, call.src[1].f32[0] = 0x1p127f;
    call.src[0].f32[1] = INFINITY, call.src[1].f32[1] = 0x1p127f;
    call.src[0].f32[2] = 6.0f, call.src[1].f32[2] = 0x1p126f;
    call_run(&call);
    assert_int_equal(call.dst.u32[0], 0);
    assert_int_equal(call.dst.u32[1], 0x7fffffff);
    assert_true(call.dst.f32[2] == 6.0f / 0x1p126f);
}

/* ---- min, max ---- */

static uint64_t pick(const struct format *f, uint64_t a, uint64_t b, int is_max, int propagate, int xorsign)
{
    uint64_t sign = xorsign ? (a ^ b) & format_sign(f) : 0, result;
    quad x, y;

    if (xorsign)
        a &= ~format_sign(f), b &= ~format_sign(f);
    x = format_value(f, a), y = format_value(f, b);
    if ((x != x && y != y) || (propagate && (x != x || y != y)))
        return f->nan;
    if (x != x || y != y)
        result = x != x ? b : a;
    else if (x == y)
        result = (quad_signbit(x) != 0) != is_max ? a : b;
    else
        result = (x < y) != is_max ? a : b;
    return result | sign;
}

static size_t check_pick(const char *spelling, const struct format *f)
{
    int ftz = strstr(spelling, ".ftz") != NULL, n_parts = strstr(spelling, "x2") ? 2 : 1;
    struct call call = {.op = op_named(spelling)};
    size_t n = 0;

    for (unsigned round = 0; round < 200; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32u * (unsigned)n_parts; i++, n++) {
            uint64_t a = f->bits == 16 ? call.src[0].u16[i] : lane_bits(&call.src[0], call.op.src_type[0], i);
            uint64_t b = f->bits == 16 ? call.src[1].u16[i] : lane_bits(&call.src[1], call.op.src_type[1], i);
            uint64_t got = f->bits == 16 ? call.dst.u16[i] : lane_bits(&call.dst, call.op.dst_type, i), want;

            want = pick(f, ftz ? flushed(f, a) : a, ftz ? flushed(f, b) : b, spelling[1] == 'a',
                        strstr(spelling, "NaN") != NULL, strstr(spelling, "xorsign") != NULL);
            if (got != want)
                fail_msg("%s %llx %llx: got %llx, want %llx", spelling, (long long)a, (long long)b,
                         (long long)got, (long long)want);
        }
    }
    return n;
}

TEST(min_and_max_treat_nan_and_zeros_by_the_rules)
{
    static const char *const ops[] = {"min", "max"}, *const nan[] = {"", ".NaN"}, *const ftz[] = {"", ".ftz"};
    static const char *const sign[] = {"", ".xorsign.abs"}, *const pair[] = {"", "x2"};
    char spelling[64];
    size_t n = check_pick("min.f64", &format_f64) + check_pick("max.f64", &format_f64);

    for (unsigned form = 0; form < 32; form++) {
        const char *op = ops[form & 1], *with_nan = nan[form >> 1 & 1], *with_ftz = ftz[form >> 2 & 1];
        const char *with_sign = sign[form >> 3 & 1], *packed = pair[form >> 4];

        snprintf(spelling, sizeof spelling, "%s%s%s%s.f32", op, with_ftz, with_nan, with_sign);
        n += check_pick(spelling, &format_f32);
        snprintf(spelling, sizeof spelling, "%s%s%s%s.f16%s", op, with_ftz, with_nan, with_sign, packed);
        n += check_pick(spelling, &format_f16);
        snprintf(spelling, sizeof spelling, "%s%s%s.bf16%s", op, with_nan, with_sign, packed);
        n += check_pick(spelling, &format_bf16);
    }
    SAY_COUNT("values", n);
}

/* ---- signs and classes ---- */

TEST(abs_neg_and_copysign_touch_only_the_sign)
{
    struct call abs32 = {.op = op_named("abs.f32")}, neg32 = {.op = op_named("neg.f32")};
    struct call abs64 = {.op = op_named("abs.f64")}, neg64 = {.op = op_named("neg.f64")};
    struct call abs_ftz = {.op = op_named("abs.ftz.f32")}, neg_ftz = {.op = op_named("neg.ftz.f32")};
    struct call copy32 = {.op = op_named("copysign.f32")}, copy64 = {.op = op_named("copysign.f64")};

    for (unsigned round = 0; round < 200; round++) {
        call_random(&abs32), call_random(&neg32), call_random(&abs64), call_random(&neg64);
        call_random(&abs_ftz), call_random(&neg_ftz), call_random(&copy32), call_random(&copy64);
        for (unsigned i = 0; i < 32; i++) {
            assert_int_equal(abs32.dst.u32[i], abs32.src[0].u32[i] & 0x7fffffff);
            assert_int_equal(neg32.dst.u32[i], neg32.src[0].u32[i] ^ 0x80000000);
            assert_true(abs64.dst.u64[i] == (abs64.src[0].u64[i] & INT64_MAX));
            assert_true(neg64.dst.u64[i] == (neg64.src[0].u64[i] ^ UINT64_C(1) << 63));
            assert_int_equal(abs_ftz.dst.u32[i], flushed(&format_f32, abs_ftz.src[0].u32[i]) & 0x7fffffff);
            assert_int_equal(neg_ftz.dst.u32[i], flushed(&format_f32, neg_ftz.src[0].u32[i]) ^ 0x80000000);
            assert_int_equal(copy32.dst.u32[i],
                             (copy32.src[1].u32[i] & 0x7fffffff) | (copy32.src[0].u32[i] & 0x80000000));
            assert_true(copy64.dst.u64[i] ==
                        ((copy64.src[1].u64[i] & INT64_MAX) | (copy64.src[0].u64[i] & UINT64_C(1) << 63)));
        }
    }
}

TEST(testp_classifies_as_the_c_library_does)
{
    static const char *const tests[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};

    for (unsigned form = 0; form < 12; form++) {
        const char *test = tests[form / 2];
        struct call call;
        char spelling[64];

        snprintf(spelling, sizeof spelling, "testp.%s.%s", test, form & 1 ? "f64" : "f32");
        call.op = op_named(spelling);
        for (unsigned round = 0; round < 100; round++) {
            call_random(&call);
            for (unsigned i = 0; i < 32; i++) {
                int class = form & 1 ? fpclassify(call.src[0].f64[i]) : fpclassify(call.src[0].f32[i]);
                int want = form / 2 == 0   ? class != FP_NAN && class != FP_INFINITE
                           : form / 2 == 1 ? class == FP_INFINITE
                           : form / 2 == 2 ? class != FP_NAN
                           : form / 2 == 3 ? class == FP_NAN
                           : form / 2 == 4 ? class == FP_NORMAL
                                           : class == FP_SUBNORMAL;
                assert_int_equal(call.dst.u8[i], want);
            }
        }
    }
}

/* ---- special functions ---- */

static long double exact_rsqrt(long double x)
{
    return 1.0L / sqrtl(x);
}

TEST(special_functions_are_the_nearest_value_of_the_exact_function)
{
    static const struct {
        const char *name;
        long double (*exact)(long double);
    } functions[] = {{"rsqrt", exact_rsqrt}, {"sin", sinl},  {"cos", cosl},
                     {"lg2", log2l},         {"ex2", exp2l}, {"tanh", tanhl}};
    size_t n = 0, off = 0;

    for (size_t k = 0; k < 6; k++)
        for (int ftz = 0; ftz < 2; ftz++) {
            struct call call;
            char spelling[64];

            snprintf(spelling, sizeof spelling, "%s.approx%s.f32", functions[k].name, ftz ? ".ftz" : "");
            if (find_op(spelling, 0, &call.op))
                continue; /* tanh has no .ftz */
            for (unsigned round = 0; round < 200; round++) {
                call_random(&call);
                for (unsigned i = 0; i < 32; i++, n++) {
                    uint32_t in =
                        ftz ? (uint32_t)flushed(&format_f32, call.src[0].u32[i]) : call.src[0].u32[i];
                    float want = (float)functions[k].exact((long double)(float)format_value(&format_f32, in));
                    float got = call.dst.f32[i];

                    if (want != want) {
                        assert_int_equal(call.dst.u32[i], 0x7fffffff);
                        continue;
                    }
                    if (ftz && fpclassify(want) == FP_SUBNORMAL)
                        want = copysignf(0.0f, want);
                    off += got != want;
                    assert_true(got == want || got == nextafterf(want, INFINITY) ||
                                got == nextafterf(want, -INFINITY));
                    assert_int_equal(!signbit(got), !signbit(want));
                }
            }
        }
    assert_true(off * 10000 <= n); /* correctly rounded but for hard cases */
    SAY_COUNT("values", n);
    SAY_COUNT("one unit off", off);
}

TEST(the_f64_approximations_deliver_upper_halves)
{
    struct call rcp = {.op = op_named("rcp.approx.ftz.f64")},
                rsqrt = {.op = op_named("rsqrt.approx.ftz.f64")};

    for (unsigned round = 0; round < 200; round++) {
        call_random(&rcp), call_random(&rsqrt);
        for (unsigned i = 0; i < 32; i++) {
            double x = rcp.src[0].f64[i], y = rsqrt.src[0].f64[i];
            assert_int_equal((uint32_t)rcp.dst.u64[i], 0);
            assert_int_equal((uint32_t)rsqrt.dst.u64[i], 0);
            if (isnormal(x) && isnormal(1 / x))
                assert_true(fabs(rcp.dst.f64[i] * x - 1) < 0x1p-18);
            if (isnormal(y) && y > 0)
                assert_true(fabs(rsqrt.dst.f64[i] * sqrt(y) - 1) < 0x1p-18);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_arithmetic_is_rounded_once_in_every_mode),
        cmocka_unit_test(f64_arithmetic_is_rounded_once_in_every_mode),
        cmocka_unit_test(fma_has_no_second_rounding),
        cmocka_unit_test(div_approx_gives_zero_for_huge_divisors_as_documented),
        cmocka_unit_test(min_and_max_treat_nan_and_zeros_by_the_rules),
        cmocka_unit_test(abs_neg_and_copysign_touch_only_the_sign),
        cmocka_unit_test(testp_classifies_as_the_c_library_does),
        cmocka_unit_test(special_functions_are_the_nearest_value_of_the_exact_function),
        cmocka_unit_test(the_f64_approximations_deliver_upper_halves),
    };
    return cmocka_run_group_tests_name("alu_float", tests, NULL, NULL);
}
