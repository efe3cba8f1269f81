/* The kernels of tests/kernels, compiled by clang or by nvcc, against C on the host. Usage: test_exec_kernels
 * clang|nvcc, with the folder of the PTX in TEST_KERNELS. */
#include "exec_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *suffix;

static void open_kernels(struct fixture *f, const char *name)
{
    char path[512];

    snprintf(path, sizeof path, TEST_KERNELS "/%s%s", name, suffix);
    if (!fixture_open_file(f, path))
        fail_msg("no file %s", path);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void a_matrix_product_equals_the_one_in_c(void **unused)
{
    enum { N = 50 };
    uint32_t grid[3] = {4, 4, 1}, block[3] = {16, 16, 1}, seed = 1;
    struct exec_result result;
    struct fixture f;
    uint64_t a, b, c;
    float *ha, *hb, *hc;

    open_kernels(&f, "matmul");
    a = fixture_buffer(&f, N * N * 4);
    b = fixture_buffer(&f, N * N * 4);
    c = fixture_buffer(&f, N * N * 4);
    ha = fixture_host(&f, a), hb = fixture_host(&f, b), hc = fixture_host(&f, c);
    for (int i = 0; i < N * N; i++) {
        ha[i] = (float)(next_random(&seed) % 64) - 32;
        hb[i] = (float)(next_random(&seed) % 64) - 32;
    }
    assert_int_equal(fixture_launch(&f, "matmul", grid, block, (uint64_t[]){a, b, c, N}, 4, &result), 0);
    assert_int_equal(result.fault, EXEC_OK);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            float sum = 0;

            for (int k = 0; k < N; k++)
                sum += ha[i * N + k] * hb[k * N + j];
            assert_true(hc[i * N + j] == sum);
        }
    }
    fixture_close(&f);
}

static void reductions_add_up(void **unused)
{
    enum { N = 10000 };
    int64_t sum = 0;
    struct fixture f;
    uint64_t in, out, floats, parts;
    float total = 0;

    open_kernels(&f, "reduce");
    in = fixture_buffer(&f, N * 4);
    out = fixture_buffer(&f, 8);
    for (int i = 0; i < N; i++)
        sum += ((int32_t *)fixture_host(&f, in))[i] = i * 7 - 20000;
    fixture_run(&f, "reduce_sum", 7, 256, 3, in, out, (uint64_t)N);
    assert_int_equal(*(int64_t *)fixture_host(&f, out), sum);

    floats = fixture_buffer(&f, N * 4);
    parts = fixture_buffer(&f, 79 * 4);
    for (int i = 0; i < N; i++)
        ((float *)fixture_host(&f, floats))[i] = (float)(i % 13);
    f.dynamic_shared_bytes = 128 * 4;
    fixture_run(&f, "reduce_dynamic", 79, 128, 3, floats, parts, (uint64_t)N);
    for (int i = 0; i < N; i++)
        total -= (float)(i % 13);
    for (int i = 0; i < 79; i++)
        total += ((float *)fixture_host(&f, parts))[i];
    assert_true(total == 0);
    fixture_close(&f);
}

struct atomics_result {
    int32_t min, max, exchanged, locked_count;
    uint32_t wrapped;
    float float_sum;
};

static void atomics_of_all_threads_take_effect_once_each(void **unused)
{
    enum { N = 1000 };
    struct fixture f;
    uint64_t bytes, bins, in, out, lock;
    uint32_t counts[256] = {0}, seed = 7;
    struct atomics_result *result;

    open_kernels(&f, "atomics");
    bytes = fixture_buffer(&f, N);
    bins = fixture_buffer(&f, 256 * 4);
    for (int i = 0; i < N; i++)
        counts[((uint8_t *)fixture_host(&f, bytes))[i] = (uint8_t)next_random(&seed)]++;
    fixture_run(&f, "atomics_histogram", 3, 128, 3, bytes, bins, (uint64_t)N);
    assert_memory_equal(fixture_host(&f, bins), counts, sizeof counts);

    in = fixture_buffer(&f, N * 4);
    out = fixture_buffer(&f, sizeof *result);
    lock = fixture_buffer(&f, 4);
    for (int i = 0; i < N; i++)
        ((int32_t *)fixture_host(&f, in))[i] = (i * 37) % 1000 - 500;
    fixture_run(&f, "atomics_all", 8, 128, 4, in, out, lock, (uint64_t)N);
    result = fixture_host(&f, out);
    assert_int_equal(result->min, -500);
    assert_int_equal(result->max, 499);
    assert_int_equal(result->exchanged, 1);
    assert_int_equal(result->wrapped, N % 100);
    assert_true(result->float_sum == N);
    assert_int_equal(result->locked_count, N);
    fixture_close(&f);
}

static void shuffles_and_votes_see_the_whole_warp(void **unused)
{
    struct fixture f;
    uint64_t in, out, votes;
    int32_t *values, sum = 0;
    uint32_t odd = 0, same = 0, *said;

    open_kernels(&f, "warp");
    in = fixture_buffer(&f, 256);
    out = fixture_buffer(&f, 256);
    votes = fixture_buffer(&f, 24);
    values = fixture_host(&f, in);
    for (int i = 0; i < 64; i++)
        values[i] = i * i % 29 + 1;
    fixture_run(&f, "warp_scan", 2, 32, 2, in, out);
    for (int i = 0; i < 64; i++) {
        sum = i % 32 ? sum + values[i] : values[i];
        assert_int_equal(((int32_t *)fixture_host(&f, out))[i], sum);
    }
    fixture_run(&f, "warp_vote", 1, 32, 2, in, votes);
    said = fixture_host(&f, votes);
    sum = 0;
    for (int i = 0; i < 32; i++) {
        sum += values[i];
        odd |= (uint32_t)(values[i] & 1) << i;
        same |= (uint32_t)(values[i] % 4 == values[5] % 4) << i;
    }
    assert_int_equal(said[0], sum);
    assert_int_equal(said[1], odd);
    assert_int_equal(said[2], 1);
    assert_int_equal(said[3], 0);
    assert_int_equal(said[4], same);
    assert_int_equal(said[5], values[7]);
    fixture_close(&f);
}

static void threads_of_a_warp_leave_a_loop_one_by_one(void **unused)
{
    enum { N = 200 };
    struct fixture f;
    uint64_t in, out;

    open_kernels(&f, "warp");
    in = fixture_buffer(&f, N * 4);
    out = fixture_buffer(&f, N * 4);
    for (uint32_t i = 0; i < N; i++)
        ((uint32_t *)fixture_host(&f, in))[i] = i + 1;
    fixture_run(&f, "warp_diverge", 4, 64, 3, in, out, (uint64_t)N);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t steps = 0;

        for (uint32_t v = i + 1; v != 1; steps++)
            v = v & 1 ? 3 * v + 1 : v / 2;
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], steps);
    }
    fixture_close(&f);
}

static void printed_lines_come_in_thread_and_block_order(void **unused)
{
    char wanted[1024] = "";
    struct fixture f;

    open_kernels(&f, "print");
    fixture_run(&f, "print_lines", 3, 64, 1, (uint64_t)10);
    for (int block = 0; block < 3; block++)
        for (int i = 0; i < 3; i++)
            sprintf(wanted + strlen(wanted), "block %d thread %d: %5.2f %s %lld %x\n", block, 10 + i, 1.5 * i,
                    i & 1 ? "odd" : "even", 1ll << 40, 255);
    assert_string_equal(f.text, wanted);
    assert_int_equal(f.n_prints, 9);
    fixture_close(&f);
}

static void module_variables_have_their_initial_values(void **unused)
{
    static const int table[] = {3, 1, 4, 1};
    struct fixture f;
    uint64_t out;

    open_kernels(&f, "misc");
    out = fixture_buffer(&f, 32 * 4);
    *(int32_t *)fixture_global(&f, "counter") += 2;
    fixture_run(&f, "use_globals", 1, 32, 1, out);
    for (int i = 0; i < 32; i++)
        assert_int_equal(((int32_t *)fixture_host(&f, out))[i], table[i & 3] + 42);
    fixture_close(&f);
}

static void a_delay_loop_has_its_modelled_length(void **unused)
{
    struct fixture f;

    open_kernels(&f, "misc");
    for (uint64_t clocks = 1000; clocks <= 1000000000; clocks *= 10) {
        struct exec_result result = fixture_run(&f, "spin", 4, 64, 1, clocks);

        assert_true(result.model_cycles >= clocks);
        assert_true(result.model_cycles <= clocks + clocks / 100 + 200);
    }
    fixture_close(&f);
}

static void a_wild_store_is_a_fault_at_its_address(void **unused)
{
    struct exec_result result;
    struct fixture f;

    open_kernels(&f, "misc");
    result = fixture_try(&f, "poke", 1, 1, 2, UINT64_C(0xdeadbee0), UINT64_C(1));
    assert_int_equal(result.fault, EXEC_FAULT_ILLEGAL_ADDRESS);
    assert_int_equal(result.fault_address, 0xdeadbee0);
    fixture_close(&f);
}

static void check_math(const float *in, const float *out, int n)
{
    for (int i = 0; i < n; i++) {
        double x = in[i];
        double wanted[10] = {sin(x),  cos(x),      exp(x),  log(x),    pow(x, 1.5),
                             tanh(x), atan2(x, 2), sqrt(x), x * x - 1, 1 / x};

        for (int row = 0; row < 10; row++)
            assert_true(fabs(out[row * n + i] - wanted[row]) <= 4e-6 * fabs(wanted[row]) + 1e-6);
    }
}

static void device_math_is_close_to_the_host(void **unused)
{
    enum { N = 100 };
    struct fixture f;
    uint64_t in, out;
    float *values;

    open_kernels(&f, "math");
    in = fixture_buffer(&f, N * 4);
    out = fixture_buffer(&f, N * 4 * 10);
    values = fixture_host(&f, in);
    for (int i = 0; i < N; i++)
        values[i] = 0.05f + (float)i * 0.11f;
    fixture_run(&f, "math_float", 2, 64, 3, in, out, (uint64_t)N);
    check_math(values, fixture_host(&f, out), N);
    fixture_close(&f);
}

static void a_vector_sum_is_right_whatever_the_tail(void **unused)
{
    enum { N = 1000 };
    struct fixture f;
    uint64_t a, b, c;

    open_kernels(&f, "vector_add");
    a = fixture_buffer(&f, N * 4);
    b = fixture_buffer(&f, N * 4);
    c = fixture_buffer(&f, N * 4);
    for (int i = 0; i < N; i++) {
        ((float *)fixture_host(&f, a))[i] = (float)i;
        ((float *)fixture_host(&f, b))[i] = (float)i / 2;
    }
    fixture_run(&f, "vector_add", 4, 256, 4, a, b, c, (uint64_t)N);
    for (int i = 0; i < N; i++)
        assert_true(((float *)fixture_host(&f, c))[i] == (float)i * 1.5f);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_sum_is_right_whatever_the_tail),
        cmocka_unit_test(a_matrix_product_equals_the_one_in_c),
        cmocka_unit_test(reductions_add_up),
        cmocka_unit_test(atomics_of_all_threads_take_effect_once_each),
        cmocka_unit_test(shuffles_and_votes_see_the_whole_warp),
        cmocka_unit_test(threads_of_a_warp_leave_a_loop_one_by_one),
        cmocka_unit_test(printed_lines_come_in_thread_and_block_order),
        cmocka_unit_test(module_variables_have_their_initial_values),
        cmocka_unit_test(a_delay_loop_has_its_modelled_length),
        cmocka_unit_test(a_wild_store_is_a_fault_at_its_address),
        cmocka_unit_test(device_math_is_close_to_the_host),
    };

    suffix = argc > 1 && strcmp(argv[1], "nvcc") == 0 ? ".nvcc.ptx" : ".ptx";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
