/* cvt: every legal spelling, told apart by its words, against exact values rounded by the slow reference. */
#include "test_alu_quad.h"

#include "softgpu/exec/alu_rows.h"

struct kind {
    const char *name;
    int is_float, is_signed;
    unsigned bits;
    const struct format *format;
};

static const struct kind kinds[] = {{"u8", 0, 0, 8, NULL},          {"u16", 0, 0, 16, NULL},
                                    {"u32", 0, 0, 32, NULL},        {"u64", 0, 0, 64, NULL},
                                    {"s8", 0, 1, 8, NULL},          {"s16", 0, 1, 16, NULL},
                                    {"s32", 0, 1, 32, NULL},        {"s64", 0, 1, 64, NULL},
                                    {"f16", 1, 1, 16, &format_f16}, {"bf16", 1, 1, 16, &format_bf16},
                                    {"f32", 1, 1, 32, &format_f32}, {"f64", 1, 1, 64, &format_f64}};

static const struct kind *kind_of(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, word))
            return &kinds[i];
    return NULL;
}

static uint64_t all_bits(unsigned bits)
{
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static quad int_value(const struct kind *kind, uint64_t bits)
{
    return kind->is_signed && bits >> (kind->bits - 1) & 1 ? (quad)bits - power_of_two((int)kind->bits)
                                                           : (quad)bits;
}

static uint64_t flushed(const struct format *f, uint64_t bits)
{
    return bits & format_infinity(f) ? bits : bits & format_sign(f);
}

/* Clamped to the type; x is integral or NaN. */
static uint64_t int_bits(const struct kind *kind, quad x)
{
    quad top = power_of_two((int)kind->bits - kind->is_signed), bottom = kind->is_signed ? -top : 0;

    if (x >= top)
        return kind->is_signed ? all_bits(kind->bits - 1) : all_bits(kind->bits);
    if (x < bottom)
        return kind->is_signed ? UINT64_C(1) << (kind->bits - 1) : 0;
    return (x < 0 ? 0 - (uint64_t)-x : (uint64_t)x) & all_bits(kind->bits);
}

/* x rounded to an integral value: 'n' nearest even, 'z', 'm', 'p'. */
static quad integral(quad x, char rounding)
{
    quad magnitude = x < 0 ? -x : x, whole, fraction;
    int up;

    if (!(magnitude < power_of_two(64)))
        return x;
    whole = (quad)(uint64_t)magnitude;
    fraction = magnitude - whole;
    up = rounding == 'n'   ? fraction > (quad)0.5 || (fraction == (quad)0.5 && (uint64_t)whole & 1)
         : rounding == 'm' ? x < 0 && fraction > 0
         : rounding == 'p' ? x > 0 && fraction > 0
                           : 0;
    whole += up;
    return quad_signbit(x) ? -whole : whole;
}

struct form {
    char rounding; /* n z m p, 0 for none */
    int to_integral, ftz, sat, relu, satfinite;
};

static struct form form_of(const struct spelled *spelled)
{
    struct form form = {0};

    for (size_t i = 1; i < spelled->n_words; i++) {
        const char *word = spelled->words[i];
        if (!strcmp(word, "ftz"))
            form.ftz = 1;
        else if (!strcmp(word, "sat"))
            form.sat = 1;
        else if (!strcmp(word, "relu"))
            form.relu = 1;
        else if (!strcmp(word, "satfinite"))
            form.satfinite = 1;
        else if (word[0] == 'r')
            form.rounding = word[1], form.to_integral = word[2] == 'i';
    }
    return form;
}

static enum mode mode_of(char rounding)
{
    return rounding == 'z' ? MODE_RZ : rounding == 'm' ? MODE_RM : rounding == 'p' ? MODE_RP : MODE_RN;
}

static uint64_t limited(const struct format *f, uint64_t bits, struct form form)
{
    quad value = format_value(f, bits);

    if (form.sat)
        return value >= 1 ? format_round(f, (struct exact){1, 0}, MODE_RN) : value > 0 ? bits : 0;
    if (form.relu && bits & format_sign(f))
        bits = 0;
    if (form.satfinite && (bits & ~format_sign(f)) == format_infinity(f))
        bits--;
    return bits;
}

static uint64_t want(const struct kind *to, const struct kind *from, struct form form, uint64_t bits)
{
    uint64_t result;
    quad x;

    if (!from->is_float && !to->is_float)
        return form.sat ? int_bits(to, int_value(from, bits))
                        : (uint64_t)(__int128)int_value(from, bits) & all_bits(to->bits);
    if (!form.rounding && !form.ftz && !form.sat && to == from)
        return bits; /* a copy */
    if (form.ftz && from->format == &format_f32)
        bits = flushed(from->format, bits);
    x = from->is_float ? format_value(from->format, bits) : int_value(from, bits);
    if (!to->is_float) {
        if (x != x)
            return from->bits == 64 || to->bits == 64 ? UINT64_C(1) << (to->bits - 1) : 0;
        return int_bits(to, integral(x, form.rounding));
    }
    if (form.to_integral)
        x = integral(x, form.rounding);
    result =
        limited(to->format, format_round(to->format, (struct exact){x, 0}, mode_of(form.rounding)), form);
    return form.ftz && to->format == &format_f32 && result != to->format->nan ? flushed(to->format, result)
                                                                              : result;
}

static size_t check(const char *spelling)
{
    struct call call = {.op = op_named(spelling)};
    struct spelled spelled;
    const struct kind *to, *from;
    struct form form;
    size_t n = 0;

    spell(&spelled, spelling);
    to = kind_of(spelled.words[spelled.n_words - 2]);
    from = kind_of(spelled.words[spelled.n_words - 1]);
    if (!to || !from)
        return 0; /* packed and tf32: below */
    form = form_of(&spelled);
    for (unsigned round = 0; round < 30; round++) {
        call_random(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            uint64_t bits = lane_bits(&call.src[0], call.op.src_type[0], i);
            uint64_t got = lane_bits(&call.dst, call.op.dst_type, i), expected = want(to, from, form, bits);
            if (got != expected)
                fail_msg("%s %llx: got %llx, want %llx", spelling, (long long)bits, (long long)got,
                         (long long)expected);
        }
    }
    return n;
}

TEST(every_conversion_is_rounded_once_and_clamped_as_its_words_say)
{
    const struct alu_row *row;
    size_t n = 0, n_spellings = 0;

    for (size_t i = 0; (row = alu_row_at(i, 1)); i++)
        if (!strncmp(row->spelling, "cvt.", 4)) {
            size_t values = check(row->spelling);
            n += values;
            n_spellings += values > 0;
        }
    assert_true(n_spellings > 700);
    SAY_COUNT("spellings", n_spellings);
    SAY_COUNT("values", n);
}

TEST(a_pair_has_its_first_source_in_the_high_half)
{
    static const char *const rounding[] = {"rn", "rz"}, *const types[] = {"f16", "bf16"};
    static const char *const limits[] = {"", ".relu", ".satfinite", ".relu.satfinite"};

    for (unsigned k = 0; k < 16; k++) {
        struct call pair, single;
        char spelling[64];

        snprintf(spelling, sizeof spelling, "cvt.%s%s.%sx2.f32", rounding[k & 1], limits[k >> 2],
                 types[k >> 1 & 1]);
        pair.op = op_named(spelling);
        snprintf(spelling, sizeof spelling, "cvt.%s%s.%s.f32", rounding[k & 1], limits[k >> 2],
                 types[k >> 1 & 1]);
        single.op = op_named(spelling);
        call_random(&pair);
        for (unsigned half = 0; half < 2; half++) {
            single.src[0] = pair.src[1 - half];
            call_run(&single);
            for (unsigned i = 0; i < 32; i++)
                assert_int_equal(pair.dst.u16[2 * i + half], single.dst.u16[i]);
        }
    }
}

/* tf32 is a format of 11 significant bits in the upper bits of an f32. */
static const struct format format_tf32 = {"tf32", 11, -126, 127, 19, 0x3ffff};

TEST(tf32_keeps_eleven_significant_bits)
{
    struct call rn = {.op = op_named("cvt.rn.tf32.f32")}, rz = {.op = op_named("cvt.rz.tf32.f32")};
    struct call rna = {.op = op_named("cvt.rna.tf32.f32")}, relu = {.op = op_named("cvt.rn.relu.tf32.f32")};
    struct call finite = {.op = op_named("cvt.rna.satfinite.tf32.f32")};

    for (unsigned round = 0; round < 300; round++) {
        call_random(&rn);
        rz.src[0] = rna.src[0] = relu.src[0] = finite.src[0] = rn.src[0];
        call_run(&rz), call_run(&rna), call_run(&relu), call_run(&finite);
        for (unsigned i = 0; i < 32; i++) {
            struct exact x = {format_value(&format_f32, rn.src[0].u32[i]), 0};
            uint32_t near = (uint32_t)format_round(&format_tf32, x, MODE_RN) << 13;
            uint32_t cut = (uint32_t)format_round(&format_tf32, x, MODE_RZ) << 13;
            uint32_t next = cut + 0x2000;
            quad middle = (format_value(&format_f32, cut) + format_value(&format_f32, next)) * (quad)0.5;

            if (x.value != x.value) {
                assert_int_equal(rna.dst.u32[i], 0x7fffffff);
                assert_int_equal(rn.dst.u32[i], 0x7fffffff);
                continue;
            }
            assert_int_equal(rn.dst.u32[i], near);
            assert_int_equal(rz.dst.u32[i], cut);
            assert_int_equal(relu.dst.u32[i], near >> 31 ? 0 : near);
            if ((next & 0x7fffffff) > 0x7f800000 || (next & 0x7fffffff) == 0x7f800000)
                continue;
            assert_int_equal(rna.dst.u32[i],
                             (quad_signbit(middle) ? x.value <= middle : x.value >= middle) ? next : cut);
            assert_int_equal(finite.dst.u32[i], rna.dst.u32[i]);
        }
    }
    rna.src[0].u32[0] = finite.src[0].u32[0] = 0xff7fffff;
    call_run(&rna), call_run(&finite);
    assert_int_equal(rna.dst.u32[0], 0xff800000);
    assert_int_equal(finite.dst.u32[0], 0xff7fe000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversion_is_rounded_once_and_clamped_as_its_words_say),
        cmocka_unit_test(a_pair_has_its_first_source_in_the_high_half),
        cmocka_unit_test(tf32_keeps_eleven_significant_bits),
    };
    return cmocka_run_group_tests_name("alu_convert", tests, NULL, NULL);
}
