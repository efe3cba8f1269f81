/* Addresses: spaces, widths, vectors, parameters; and that whatever a kernel computes, a wrong address is a
 * fault of its grid. */
#include "exec_fixture.h"

#include <string.h>

static void expect_fault(const char *ptx, uint64_t address, enum exec_fault fault, uint64_t fault_address)
{
    struct exec_result result;
    struct fixture f;

    fixture_open(&f, ptx);
    fixture_buffer(&f, 64);
    result = fixture_try(&f, "k", 1, 32, 1, address);
    assert_int_equal(result.fault, fault);
    assert_int_equal(result.fault_address, fault_address);
    fixture_close(&f);
}

#define BUFFER          UINT64_C(0x700000000000)
#define LOAD(type, reg) KERNEL_1("ld.global." type " " reg ", [%rd1];\n")
#define SPREAD(access)                                                                                       \
    KERNEL_1("cvt.u64.u32 %rd2, %tid.x;\nshl.b64 %rd3, %rd2, 2;\nadd.u64 %rd4, %rd1, %rd3;\n" access)

static void addresses_outside_allocations_fault(void **unused)
{
    expect_fault(LOAD("u32", "%r1"), 0, EXEC_FAULT_ILLEGAL_ADDRESS, 0);
    expect_fault(LOAD("u32", "%r1"), BUFFER + 64, EXEC_FAULT_ILLEGAL_ADDRESS, BUFFER + 64);
    expect_fault(LOAD("u32", "%r1"), BUFFER - 4, EXEC_FAULT_ILLEGAL_ADDRESS, BUFFER - 4);
    expect_fault(LOAD("u32", "%r1"), UINT64_MAX - 3, EXEC_FAULT_ILLEGAL_ADDRESS, UINT64_MAX - 3);
    expect_fault(LOAD("v4.u32", "{%r1, %r2, %r3, %r4}"), BUFFER + 64, EXEC_FAULT_ILLEGAL_ADDRESS,
                 BUFFER + 64);
    /* Lane 16 is the first beyond 64 bytes. */
    expect_fault(SPREAD("st.global.u32 [%rd4], %r1;\n"), BUFFER, EXEC_FAULT_ILLEGAL_ADDRESS, BUFFER + 64);
    expect_fault(SPREAD("atom.global.add.u32 %r1, [%rd4], 1;\n"), BUFFER, EXEC_FAULT_ILLEGAL_ADDRESS,
                 BUFFER + 64);
    expect_fault(SPREAD("st.u32 [%rd4], %r1;\n"), BUFFER, EXEC_FAULT_ILLEGAL_ADDRESS, BUFFER + 64);
}

static void misaligned_addresses_fault(void **unused)
{
    expect_fault(LOAD("u32", "%r1"), BUFFER + 2, EXEC_FAULT_MISALIGNED, BUFFER + 2);
    expect_fault(LOAD("v2.u32", "{%r1, %r2}"), BUFFER + 4, EXEC_FAULT_MISALIGNED, BUFFER + 4);
    expect_fault(LOAD("u64", "%rd2"), BUFFER + 4, EXEC_FAULT_MISALIGNED, BUFFER + 4);
}

static void shared_memory_ends_where_the_launch_says(void **unused)
{
#define SHARED_AT(access)                                                                                    \
    KERNEL_1(                                                                                                \
        ".shared .align 4 .b8 s[128];\nmov.u32 %r1, s;\ncvt.u32.u64 %r2, %rd1;\nadd.u32 %r3, %r1, %r2;\n"    \
        "mov.u64 %rd2, s;\ncvta.shared.u64 %rd3, %rd2;\nadd.u64 %rd4, %rd3, %rd1;\n" access)
    expect_fault(SHARED_AT("st.shared.u32 [%r3], 1;\n"), 128, EXEC_FAULT_ILLEGAL_ADDRESS, 128);
    expect_fault(SHARED_AT("ld.shared.u32 %r9, [%r3+-8];\n"), 0, EXEC_FAULT_ILLEGAL_ADDRESS, UINT64_MAX - 7);
    expect_fault(SHARED_AT("st.u32 [%rd4], 1;\n"), 128, EXEC_FAULT_ILLEGAL_ADDRESS,
                 EXEC_SHARED_WINDOW_BASE + 128);
    expect_fault(SHARED_AT("st.shared.u32 [%r3], 1;\n"), 2, EXEC_FAULT_MISALIGNED, 2);
    expect_fault(SHARED_AT("st.shared.u32 [%r3], 1;\nst.u32 [%rd4], 2;\nld.shared.u32 %r9, [%r3];\n"), 124,
                 EXEC_OK, 0);
}

static void local_and_parameter_addresses_are_bounded_too(void **unused)
{
    expect_fault(KERNEL_1(".local .align 8 .b8 l[32];\nmov.u64 %rd2, l;\nadd.u64 %rd3, %rd2, "
                          "%rd1;\nst.local.u32 [%rd3], 1;\n"),
                 4096, EXEC_FAULT_ILLEGAL_ADDRESS, 4096);
    expect_fault(KERNEL_1(".local .align 8 .b8 l[32];\nmov.u64 %rd2, l;\ncvta.local.u64 %rd3, %rd2;\nst.u32 "
                          "[%rd3+32], 1;\n"),
                 0, EXEC_FAULT_ILLEGAL_ADDRESS, EXEC_LOCAL_WINDOW_BASE + 32);
    expect_fault(KERNEL_1("mov.b64 %rd2, a;\nadd.u64 %rd3, %rd2, %rd1;\nld.param.u32 %r1, [%rd3];\n"), 8,
                 EXEC_FAULT_ILLEGAL_ADDRESS, 0);
}

static void a_fault_in_one_lane_leaves_memory_as_it_was(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(&f, SPREAD("st.global.u32 [%rd4], 7;\n"));
    out = fixture_buffer(&f, 64);
    fixture_try(&f, "k", 1, 32, 1, out);
    for (int i = 0; i < 16; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], 0);
    fixture_close(&f);
}

static void a_freed_buffer_is_gone_when_the_generation_changes(void **unused)
{
    struct exec_result result;
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_1("st.global.u32 [%rd1], 1;\n"));
    out = fixture_buffer(&f, 64);
    fixture_run(&f, "k", 4, 32, 1, out);
    f.buffers[0].end = f.buffers[0].base;
    f.generation++;
    result = fixture_try(&f, "k", 4, 32, 1, out);
    assert_int_equal(result.fault, EXEC_FAULT_ILLEGAL_ADDRESS);
    fixture_close(&f);
}

static void narrow_values_are_extended_into_wide_registers(void **unused)
{
    struct fixture f;
    uint64_t at;
    uint64_t *words;

    fixture_open(
        &f,
        KERNEL_1(
            "ld.global.s8 %r1, [%rd1];\nld.global.u8 %r2, [%rd1];\nld.global.s16 %rd2, [%rd1];\n"
            "ld.global.u8 %rs1, [%rd1];\nld.global.s32 %rd3, [%rd1];\n"
            "st.global.u32 [%rd1+8], %r1;\nst.global.u32 [%rd1+12], %r2;\nst.global.u64 [%rd1+16], %rd2;\n"
            "st.global.u8 [%rd1+24], %r1;\nst.global.u16 [%rd1+26], %rs1;\nst.global.u32 [%rd1+28], %rd3;\n"
            "st.global.u64 [%rd1+32], %rd3;\n"));
    at = fixture_buffer(&f, 40);
    words = fixture_host(&f, at);
    words[0] = 0x80fffffe;
    fixture_run(&f, "k", 1, 1, 1, at);
    assert_int_equal((uint32_t)words[1], 0xfffffffe);
    assert_int_equal(words[1] >> 32, 0xfe);
    assert_int_equal(words[2], UINT64_C(0xfffffffffffffffe));
    assert_int_equal(words[3] & 0xff, 0xfe);
    assert_int_equal(words[3] >> 16 & 0xffff, 0xfe);
    assert_int_equal(words[3] >> 32, 0x80fffffe);
    assert_int_equal(words[4], UINT64_C(0xffffffff80fffffe));
    fixture_close(&f);
}

static void vectors_move_whole_whatever_the_mask(void **unused)
{
    struct fixture f;
    uint64_t in, out;

    fixture_open(&f, KERNEL_2("cvt.u64.u32 %rd3, %tid.x;\nshl.b64 %rd4, %rd3, 4;\nadd.u64 %rd5, %rd1, "
                              "%rd4;\nadd.u64 %rd6, %rd2, %rd4;\n"
                              "mov.u32 %r9, %tid.x;\nsetp.lt.u32 %p1, %r9, 20;\n"
                              "@%p1 ld.global.v4.u32 {%r1, _, %r3, %r4}, [%rd5];\n@%p1 st.global.v4.f32 "
                              "[%rd6], {%r4, %r3, %r3, %r1};\n"));
    in = fixture_buffer(&f, 512);
    out = fixture_buffer(&f, 512);
    for (uint32_t i = 0; i < 128; i++)
        ((uint32_t *)fixture_host(&f, in))[i] = i;
    fixture_run(&f, "k", 1, 32, 2, in, out);
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t *o = (uint32_t *)fixture_host(&f, out) + 4 * i;

        assert_int_equal(o[0], i < 20 ? 4 * i + 3 : 0);
        assert_int_equal(o[1], i < 20 ? 4 * i + 2 : 0);
        assert_int_equal(o[3], i < 20 ? 4 * i : 0);
    }
    fixture_close(&f);
}

static void generic_addresses_reach_every_space_lane_by_lane(void **unused)
{
    struct fixture f;
    uint64_t out;

    /* Lane mod 3: own global cell, shared cell, local cell, through one generic store and load. */
    fixture_open(
        &f,
        KERNEL_1(".shared .align 4 .b8 s[128];\n.local .align 4 .b8 l[4];\nmov.u32 %r1, %tid.x;\n"
                 "mul.wide.u32 %rd2, %r1, 4;\nadd.u64 %rd3, %rd1, %rd2;\nmov.u64 %rd4, s;\ncvta.shared.u64 "
                 "%rd5, %rd4;\n"
                 "add.u64 %rd5, %rd5, %rd2;\nmov.u64 %rd6, l;\ncvta.local.u64 %rd7, %rd6;\n"
                 "rem.u32 %r2, %r1, 3;\nsetp.eq.u32 %p1, %r2, 0;\nsetp.eq.u32 %p2, %r2, 1;\n"
                 "selp.b64 %rd8, %rd5, %rd7, %p2;\nselp.b64 %rd8, %rd3, %rd8, %p1;\n"
                 "add.u32 %r3, %r1, 9;\nst.u32 [%rd8], %r3;\nld.u32 %r4, [%rd8];\nadd.u32 %r4, %r4, 1;\n"
                 "isspacep.shared %p3, %rd8;\nisspacep.local %p4, %rd8;\nisspacep.global %p5, %rd8;\n"
                 "@%p3 add.u32 %r4, %r4, 1000;\n@%p4 add.u32 %r4, %r4, 2000;\n@%p5 add.u32 %r4, %r4, 4000;\n"
                 "st.global.u32 [%rd3], %r4;\n"));
    out = fixture_buffer(&f, 128);
    fixture_run(&f, "k", 1, 32, 1, out);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], i + 10 +
                                                                     (i % 3 == 0   ? 4000
                                                                      : i % 3 == 1 ? 1000
                                                                                   : 2000));
    fixture_close(&f);
}

static void dynamic_shared_memory_follows_the_static(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f, KERNEL_HEAD
        ".extern .shared .align 16 .b8 dyn[];\n.shared .align 4 .b8 unused[999];\n"
        ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS ".shared .align 4 .b8 s[20];\n"
        "ld.param.u64 %rd1, [a];\nmov.u32 %r1, s;\nmov.u32 %r2, dyn;\nmov.u32 %r3, %dynamic_smem_size;\n"
        "mov.u32 %r4, %total_smem_size;\nst.shared.u32 [%r2+12], 1;\n"
        "st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4};\nret;\n}\n");
    out = fixture_buffer(&f, 16);
    f.dynamic_shared_bytes = 16;
    assert_int_equal(fixture_kernel_info(&f, "k")->static_shared_bytes, 20);
    fixture_run(&f, "k", 1, 1, 1, out);
    assert_memory_equal(fixture_host(&f, out), ((uint32_t[]){0, 32, 16, 48}), 16);
    fixture_close(&f);
}

static void the_largest_parameter_block_arrives_whole(void **unused)
{
    enum { BYTES = 32764 - 8 };
    static char params[32768];
    const struct exec_kernel *info;
    struct exec_result result;
    struct exec_launch launch;
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_HEAD
                 ".visible .entry k(.param .u64 a, .param .align 4 .b8 big[32756]) {\n" KERNEL_REGS
                 "ld.param.u64 %rd1, [a];\nld.param.u32 %r1, [big+32752];\nmov.b64 %rd2, big;\n"
                 "ld.param.u32 %r2, [%rd2+4];\nst.global.v2.u32 [%rd1], {%r1, %r2};\nret;\n}\n");
    out = fixture_buffer(&f, 8);
    info = fixture_kernel_info(&f, "k");
    assert_int_equal(info->param_bytes, 32764);
    assert_int_equal(info->param_offset_bytes[1], 8);
    memcpy(params, &out, 8);
    memcpy(params + 8 + BYTES - 4, "last", 4);
    memcpy(params + 8 + 4, "next", 4);
    launch = (struct exec_launch){.program = f.program,
                                  .grid = {1, 1, 1},
                                  .block = {1, 1, 1},
                                  .params = params,
                                  .memory = fixture_memory(&f),
                                  .sm_count = 1,
                                  .clock_khz = 1000};
    assert_int_equal(exec_run(&launch, &result), 0);
    assert_int_equal(result.fault, EXEC_OK);
    assert_memory_equal(fixture_host(&f, out), "lastnext", 8);
    fixture_close(&f);
}

static void initialisers_hold_addresses_and_bytes(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_HEAD
                 ".global .align 4 .b8 bytes[4] = {1, 2, 3, 4};\n.global .align 8 .u64 where[2] = {bytes+2, "
                 "generic(bytes)};\n"
                 ".const .align 4 .u32 c[2] = {7, 8};\n"
                 ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS
                 "ld.param.u64 %rd1, [a];\nld.global.u64 %rd2, [where];\nld.global.u8 %r1, [%rd2];\n"
                 "ld.global.u64 %rd3, [where+8];\nld.u8 %r2, [%rd3];\nld.const.u32 %r3, [c+4];\n"
                 "mov.u64 %rd4, bytes;\nld.global.u8 %r4, [%rd4+3];\nst.global.v4.u32 [%rd1], {%r1, %r2, "
                 "%r3, %r4};\nret;\n}\n");
    out = fixture_buffer(&f, 16);
    fixture_run(&f, "k", 1, 1, 1, out);
    assert_memory_equal(fixture_host(&f, out), ((uint32_t[]){3, 1, 8, 4}), 16);
    assert_int_equal(fixture_kernel_info(&f, "k")->const_bytes, 8);
    fixture_close(&f);
}

static void atomics_work_on_shared_and_narrow_cells(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f, KERNEL_1(".shared .align 4 .b8 s[8];\nmov.u32 %r1, s;\nmov.u32 %r2, %tid.x;\nred.shared.add.u32 "
                     "[%r1], %r2;\n"
                     "L: atom.shared.cas.b16 %rs1, [%r1+4], 0, 1;\nsetp.ne.u16 %p1, %rs1, 0;\n@%p1 bra L;\n"
                     "ld.volatile.shared.u16 %rs2, [%r1+6];\nadd.u16 %rs2, %rs2, 1;\nst.volatile.shared.u16 "
                     "[%r1+6], %rs2;\n"
                     "st.volatile.shared.u16 [%r1+4], 0;\nbar.sync 0;\n"
                     "ld.shared.u32 %r3, [%r1];\nld.shared.u16 %r4, [%r1+6];\n"
                     "atom.global.add.f32 %f1, [%rd1+8], 0f3F000000;\natom.global.add.f64 %fd1, [%rd1+16], "
                     "0d3FD0000000000000;\n"
                     "st.global.v2.u32 [%rd1], {%r3, %r4};\n"));
    out = fixture_buffer(&f, 24);
    fixture_run(&f, "k", 1, 64, 1, out);
    assert_int_equal(((uint32_t *)fixture_host(&f, out))[0], 63 * 32);
    assert_int_equal(((uint32_t *)fixture_host(&f, out))[1], 64);
    assert_true(((float *)fixture_host(&f, out))[2] == 32.0f);
    assert_true(((double *)fixture_host(&f, out))[2] == 16.0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_outside_allocations_fault),
        cmocka_unit_test(misaligned_addresses_fault),
        cmocka_unit_test(shared_memory_ends_where_the_launch_says),
        cmocka_unit_test(local_and_parameter_addresses_are_bounded_too),
        cmocka_unit_test(a_fault_in_one_lane_leaves_memory_as_it_was),
        cmocka_unit_test(a_freed_buffer_is_gone_when_the_generation_changes),
        cmocka_unit_test(narrow_values_are_extended_into_wide_registers),
        cmocka_unit_test(vectors_move_whole_whatever_the_mask),
        cmocka_unit_test(generic_addresses_reach_every_space_lane_by_lane),
        cmocka_unit_test(dynamic_shared_memory_follows_the_static),
        cmocka_unit_test(the_largest_parameter_block_arrives_whole),
        cmocka_unit_test(initialisers_hold_addresses_and_bytes),
        cmocka_unit_test(atomics_work_on_shared_and_narrow_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
