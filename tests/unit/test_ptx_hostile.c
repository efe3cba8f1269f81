/* Promises of the PTX parser towards texts that want to harm: limits hold, time is linear, memory is bounded,
 * and every shortage of memory is reported without a leak. */
#include "test_ptx.h"

#include <time.h>

#include "softgpu/ptx/arena.h"

/* The linker sends the library's allocations here: the one that brings allocations_left to 0 fails, -1 lets
 * all pass. */
static long allocations_left = -1;

void *__real_calloc(size_t count, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);

static bool allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return allocation_fails() ? NULL : __real_reallocarray(old, count, bytes);
}

/* `before`, `count` times `repeated`, `after`; the caller's. */
static char *repeat(const char *before, const char *repeated, size_t count, const char *after)
{
    size_t bytes = strlen(before) + count * strlen(repeated) + strlen(after) + 1;
    char *text = malloc(bytes), *end = stpcpy(text, before);

    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, repeated);
    strcpy(end, after);
    return text;
}

static void refuse_repeated(const char *before, const char *repeated, size_t count, const char *after,
                            const char *words)
{
    char *text = repeat(before, repeated, count, after);

    ptx_refuse(text, words);
    free(text);
}

static void nesting_is_limited(void **state)
{
    refuse_repeated(".func f ", "{", 1000000, "}", "scopes are nested too deeply");
    refuse_repeated(".func f { t ", "{", 1000000, "; }", "operands are nested too deeply");
    refuse_repeated(".func f { t [a, ", "[a, ", 1000000, "; }", "operands are nested too deeply");
    refuse_repeated(".func f { t ", "(", 1000000, "; }", "nested too deeply");
    refuse_repeated(".func f { call ", "(", 1000000, "; }", "nested too deeply");
    refuse_repeated(".func f { t ", "-", 1000000, "1; }", "nested too deeply");
    refuse_repeated(".func f { t ", "1?", 1000000, "1; }", "nested too deeply");
    refuse_repeated(".func f { t 1", "?1:1", 1000000, "; }", "nested too deeply");
    refuse_repeated(".global .b8 a[2] = ", "{", 1000000, "", "expected");
    refuse_repeated(".global .b8 a", "[1]", 1000000, ";", "dimensions");
    refuse_repeated(".global .b8 a[1][1][1][1][1][1][1][1] = ", "{", 1000000, "", "expected");
}

static void long_rows_of_operators_need_no_stack(void **state)
{
    char *text = repeat(".func f { t 1", "+1", 1000000, "; }");
    struct ptx_module *module = ptx_read(text);

    assert_int_equal(module->funcs[0].stmts[0].insn->operands[0].i, 1000001);
    ptx_free(module);
    free(text);
}

static void what_few_bytes_ask_for_is_limited(void **state)
{
    ptx_refuse(".func f { .reg .b32 %r<4000000000>; }", "a register range");
    ptx_refuse(".func f { .reg .b32 %r<1000000>; .reg .b32 %s<1000000>; }", "more than 1048576 registers");
    ptx_refuse(".global .b8 a[4000][10000000] = {{1},{2},{3}};", "leave too much out");
    refuse_repeated(".func f { t {a", ",a", 1000000, "}; }", "more than 65536 items");
    ptx_refuse(".global .b8 a[9999999999999];", "integer from 0");
}

static double seconds_to_parse(const char *text)
{
    struct timespec before, after;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    ptx_free(ptx_read(text));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
}

/* A row of different texts, as a table of names sees it. */
static char *numbered(const char *format, size_t count)
{
    char *text = malloc(count * (strlen(format) + 20) + 1), *end = text;

    *end = '\0';
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, format, i, i);
    return text;
}

static void time_grows_with_the_text_and_no_faster(void **state)
{
    static const char *const formats[] = {".func f%zu { ret; }\n", ".global .b8 v%zu[3] = {1,2,3};\n",
                                          ".weak .func f { l%zu: bra l%zu; }\n"};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        char *small = numbered(formats[i], 10000), *large = numbered(formats[i], 80000);
        double small_s = seconds_to_parse(small), large_s = seconds_to_parse(large);

        /* 8 times the text; quadratic time would be 64 times. */
        if (large_s > 32 * small_s + 0.05)
            fail_msg("%s: %.3f s and %.3f s", formats[i], small_s, large_s);
        free(small);
        free(large);
    }
}

static void memory_is_a_bounded_multiple_of_the_text(void **state)
{
    static const struct {
        const char *before, *repeated, *after;
    } rows[] = {{".func f {", "a;", "}"},
                {".func f { .reg .b8 a", ",a", "; }"},
                {".func f {", "a b|c;", "}"},
                {".func f {", "a {b,b,b,b,b,b,b,b};", "}"},
                {".func f {", "a:", "}"},
                {".func f {", "@p a.b c,d;", "}"},
                {".global .b8 a[] = {1", ",0xFF(a)", "};"},
                {".global .b64 a[] = {1", ",a", "};"},
                {".func f (.reg .b8 a", ",.reg .b8 a", ");"},
                {"", ".weak .func f;", ""},
                {"", ".extern .const .b8 a;", ""},
                {".func f { x: .branchtargets a", ",a", "; }"},
                {".func f {", "x: .callprototype _;", "}"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = repeat(rows[i].before, rows[i].repeated, 50000, rows[i].after);
        struct ptx_module *module = ptx_read(text);

        if (arena_bytes(module->arena) > 128 * strlen(text))
            fail_msg("%s: %zu for %zu bytes", rows[i].repeated, arena_bytes(module->arena), strlen(text));
        ptx_free(module);
        free(text);
    }
}

/* A text that visits every place where the parser asks for memory, with lists that outgrow their first
 * allocation. */
static const char everything[] =
    PTX_HEAD ".visible .global .align 4 .u32 x = 5, y[3] = {1, generic(x), 2};\n"
             ".extern .func (.param .b32 r) vprintf (.param .b64 a);\n"
             ".func a;\n.alias a, f;\n"
             ".func f (.reg .u32 p) { .reg .b32 %r<5>, q; L: @!p add.u32 %r1|%p, {a, b}, [c, {d}], 1.5;\n"
             "t: .branchtargets L, M; pr: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
             "{ call (a), f, (b, c), pr; b1; b2; b3; b4; b5; b6; b7; b8; b9; b10; b11; b12; } }\n"
             ".version 7.6\n.target sm_75\n.address_size 64\n.func f { ret; }\n";

static void every_shortage_of_memory_is_reported(void **state)
{
    char error[PTX_ERROR_TEXT_MAX];
    long n_failures = 0;
    int rc;

    do {
        struct ptx_module *module = NULL;

        allocations_left = n_failures;
        rc = ptx_parse(everything, sizeof(everything), &module, error);
        bool has_failed = allocations_left < 0;
        allocations_left = -1;
        assert_true(rc == (has_failed ? -ENOMEM : 0));
        if (has_failed)
            assert_non_null(strstr(error, "out of memory"));
        ptx_free(module);
        n_failures += has_failed;
    } while (rc);
    assert_in_range(n_failures, 10, 1000);
}

static void a_text_cut_anywhere_does_no_harm(void **state)
{
    char error[PTX_ERROR_TEXT_MAX];

    for (size_t bytes = 0; bytes < sizeof(everything); bytes++) {
        struct ptx_module *module = NULL;
        char *exact = malloc(bytes ? bytes : 1); /* so that a sanitizer sees a read beyond */

        memcpy(exact, everything, bytes);
        int rc = ptx_parse(exact, bytes, &module, error);
        assert_true(rc == 0 || (rc == -EINVAL && !strncmp(error, "line ", 5)));
        ptx_free(module);
        free(exact);
    }
}

static void words_of_an_error_stay_in_their_buffer(void **state)
{
    refuse_repeated("", "n", 100000, "", "expected a declaration, not \"nnnn");
    refuse_repeated(".global .b8 ", "n", 100000, " = 1, 2;", "");
    refuse_repeated(".func f { mov a, \"", "n", 100000, "\"; }", "");
    refuse_repeated(".global .", "n", 100000, " x;", "is no type");
    ptx_refuse(".global .b8 \x1b[31m;", "\"?\"");
    ptx_refuse(".func f { mov \"\xc3\xa9\n", "\"\"??\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(long_rows_of_operators_need_no_stack),
        cmocka_unit_test(what_few_bytes_ask_for_is_limited),
        cmocka_unit_test(time_grows_with_the_text_and_no_faster),
        cmocka_unit_test(memory_is_a_bounded_multiple_of_the_text),
        cmocka_unit_test(every_shortage_of_memory_is_reported),
        cmocka_unit_test(a_text_cut_anywhere_does_no_harm),
        cmocka_unit_test(words_of_an_error_stay_in_their_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
