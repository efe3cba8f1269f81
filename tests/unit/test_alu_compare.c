/* setp, set, selp, slct: every spelling, by the words it is made of, against a plain reading of the rules. */
#include "test_alu_quad.h"

#include "softgpu/exec/alu_rows.h"

enum relation { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

static const struct {
    const char *name;
    int accepts;
} operators[] = {{"eq", EQUAL},
                 {"ne", LESS | GREATER},
                 {"lt", LESS},
                 {"le", LESS | EQUAL},
                 {"gt", GREATER},
                 {"ge", GREATER | EQUAL},
                 {"lo", LESS},
                 {"ls", LESS | EQUAL},
                 {"hi", GREATER},
                 {"hs", GREATER | EQUAL},
                 {"equ", EQUAL | UNORDERED},
                 {"neu", LESS | GREATER | UNORDERED},
                 {"ltu", LESS | UNORDERED},
                 {"leu", LESS | EQUAL | UNORDERED},
                 {"gtu", GREATER | UNORDERED},
                 {"geu", GREATER | EQUAL | UNORDERED},
                 {"num", LESS | EQUAL | GREATER},
                 {"nan", UNORDERED}};

static int accepts(const char *name)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (!strcmp(operators[i].name, name))
            return operators[i].accepts;
    fail_msg("no operator %s", name);
    return 0;
}

static quad value_of(const char *type, uint64_t bits, int ftz)
{
    const struct format *f = !strncmp(type, "f16", 3)    ? &format_f16
                             : !strncmp(type, "bf16", 4) ? &format_bf16
                             : !strcmp(type, "f32")      ? &format_f32
                             : !strcmp(type, "f64")      ? &format_f64
                                                         : NULL;
    int width = atoi(type + 1);

    if (f)
        return format_value(f, ftz && !(bits & format_infinity(f)) ? bits & format_sign(f) : bits);
    return type[0] == 's' && bits >> (width - 1) & 1 ? (quad)bits - power_of_two(width) : (quad)bits;
}

static int compared(const char *op, const char *type, int ftz, uint64_t a, uint64_t b)
{
    quad x = value_of(type, a, ftz), y = value_of(type, b, ftz);
    enum relation relation = x != x || y != y ? UNORDERED : x < y ? LESS : x > y ? GREATER : EQUAL;

    return (accepts(op) & relation) != 0;
}

static int combined(const char *boolean, int p, int c)
{
    return !strcmp(boolean, "and")   ? p & c
           : !strcmp(boolean, "or")  ? p | c
           : !strcmp(boolean, "xor") ? p ^ c
                                     : p;
}

/* set's word for true in a destination type; of one half for pairs. */
static uint32_t true_word(const char *type, int pair)
{
    return !strcmp(type, "f32")           ? 0x3f800000u
           : !strncmp(type, "f16", 3)     ? 0x3c00u
           : !strncmp(type, "bf16", 4)    ? 0x3f80u
           : pair || atoi(type + 1) == 16 ? 0xffffu
                                          : 0xffffffffu;
}

struct shape {
    const char *op, *boolean, *dst_type, *src_type;
    int ftz, pair;
};

static struct shape shape_of(const struct spelled *spelled)
{
    struct shape shape = {.op = spelled->words[1],
                          .boolean = "",
                          .src_type = spelled->words[spelled->n_words - 1],
                          .dst_type = spelled->words[spelled->n_words - 2]};

    for (size_t i = 2; i < spelled->n_words; i++) {
        if (!strcmp(spelled->words[i], "and") || !strcmp(spelled->words[i], "or") ||
            !strcmp(spelled->words[i], "xor"))
            shape.boolean = spelled->words[i];
        shape.ftz |= !strcmp(spelled->words[i], "ftz");
    }
    shape.pair = strstr(shape.src_type, "x2") != NULL;
    return shape;
}

/* Half the lanes get equal operands, so that equality is met. */
static void run_with_equals(struct call *call)
{
    call_random(call);
    for (unsigned i = 0; i < 32; i += 2)
        memcpy(call->src[1].u8 + i * type_bytes(call->op.src_type[1]),
               call->src[0].u8 + i * type_bytes(call->op.src_type[0]), type_bytes(call->op.src_type[0]));
    call_run(call);
}

static size_t check(const char *spelling)
{
    struct call call = {.op = op_named(spelling)};
    int is_set = !strncmp(spelling, "set.", 4);
    struct spelled spelled;
    struct shape shape;
    size_t n = 0;

    spell(&spelled, spelling);
    shape = shape_of(&spelled);
    for (unsigned round = 0; round < 6; round++) {
        run_with_equals(&call);
        for (unsigned i = 0; i < 32; i++, n++) {
            uint64_t a = lane_bits(&call.src[0], call.op.src_type[0], i),
                     b = lane_bits(&call.src[1], call.op.src_type[1], i);
            int c = call.src[2].u8[i], first, second;

            first = compared(shape.op, shape.src_type, shape.ftz, shape.pair ? a & 0xffff : a,
                             shape.pair ? b & 0xffff : b);
            second = shape.pair ? compared(shape.op, shape.src_type, shape.ftz, a >> 16, b >> 16) : !first;
            first = combined(shape.boolean, first, c), second = combined(shape.boolean, second, c);
            if (is_set) {
                uint64_t word = true_word(shape.dst_type, shape.pair);
                uint64_t want = shape.pair ? (first ? word : 0) | (second ? word << 16 : 0)
                                : first    ? word
                                           : 0;
                if (lane_bits(&call.dst, call.op.dst_type, i) != want)
                    fail_msg("%s %llx %llx", spelling, (long long)a, (long long)b);
            } else if (call.dst.u8[i] != first || call.dst2.u8[i] != second) {
                fail_msg("%s %llx %llx %d: got %d|%d, want %d|%d", spelling, (long long)a, (long long)b, c,
                         call.dst.u8[i], call.dst2.u8[i], first, second);
            }
        }
    }
    return n;
}

static size_t check_all(const char *prefix, size_t *ret_spellings)
{
    const struct alu_row *row;
    size_t n = 0;

    *ret_spellings = 0;
    for (size_t i = 0; (row = alu_row_at(i, 1)); i++)
        if (!strncmp(row->spelling, prefix, strlen(prefix))) {
            n += check(row->spelling);
            ++*ret_spellings;
        }
    return n;
}

TEST(setp_gives_the_comparison_and_its_negation_combined_with_c)
{
    size_t spellings, n = check_all("setp.", &spellings);

    assert_true(spellings > 500);
    SAY_COUNT("spellings", spellings);
    SAY_COUNT("values", n);
}

TEST(setp_works_without_its_second_predicate)
{
    struct call call = {.op = op_named("setp.lt.and.f32")};
    const void *src[ALU_OPERANDS_MAX] = {&call.src[0], &call.src[1], &call.src[2]};
    union lanes alone;

    call_random(&call);
    call.op.run(&alone, NULL, src, UINT32_MAX);
    assert_memory_equal(&alone, &call.dst, 32);
}

TEST(set_writes_ones_or_one_in_the_destination_type)
{
    size_t spellings, n = check_all("set.", &spellings);

    assert_true(spellings > 2000);
    SAY_COUNT("spellings", spellings);
    SAY_COUNT("values", n);
}

TEST(selp_and_slct_choose_a_whole_value)
{
    static const char *const types[] = {"b16", "b32", "b64", "u16", "u32", "u64",
                                        "s16", "s32", "s64", "f32", "f64"};
    size_t n = 0;

    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (unsigned form = 0; form < 4; form++) {
            struct call call;
            char spelling[64];

            snprintf(spelling, sizeof spelling, "selp.%s", types[t]);
            if (form)
                snprintf(spelling, sizeof spelling, "slct.%s%s.%s", form == 3 ? "ftz." : "", types[t],
                         form == 1 ? "s32" : "f32");
            call.op = op_named(spelling);
            for (unsigned round = 0; round < 50; round++) {
                call_random(&call);
                for (unsigned i = 0; i < 32; i++, n++) {
                    uint32_t bits = call.src[2].u32[i];
                    quad x = format_value(&format_f32,
                                          form == 3 && !(bits & 0x7f800000) ? bits & 0x80000000 : bits);
                    int first = form == 0 ? call.src[2].u8[i] : form == 1 ? (int32_t)bits >= 0 : x >= 0;
                    uint64_t want = lane_bits(&call.src[!first], call.op.dst_type, i);
                    if (lane_bits(&call.dst, call.op.dst_type, i) != want)
                        fail_msg("%s with %x", spelling, bits);
                }
            }
        }
    SAY_COUNT("values", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setp_gives_the_comparison_and_its_negation_combined_with_c),
        cmocka_unit_test(setp_works_without_its_second_predicate),
        cmocka_unit_test(set_writes_ones_or_one_in_the_destination_type),
        cmocka_unit_test(selp_and_slct_choose_a_whole_value),
    };
    return cmocka_run_group_tests_name("alu_compare", tests, NULL, NULL);
}
