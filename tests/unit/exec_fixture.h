/* What the tests of exec/ share: a module from PTX text, memory for its globals and buffers, and a launch.
 * Device addresses are not host addresses: a pointer that escapes translation faults at once. */
#ifndef VGPU_TESTS_EXEC_FIXTURE_H
#define VGPU_TESTS_EXEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "softgpu/exec/exec.h"

enum { FIXTURE_BUFFERS_MAX = 64, FIXTURE_TEXT_MAX = 65536 };

struct fixture {
    struct ptx_module *module;
    struct exec_program *program;
    char error[PTX_ERROR_TEXT_MAX];
    struct exec_range buffers[FIXTURE_BUFFERS_MAX];
    unsigned n_buffers;
    uint64_t generation;
    uint32_t sm_count, dynamic_shared_bytes;
    bool cooperative;
    uint64_t start_ns;
    uint32_t clock_khz;
    const volatile uint32_t *cancel;
    char text[FIXTURE_TEXT_MAX]; /* what was printed */
    size_t text_bytes;
    unsigned n_prints;
};

/* Parses and decodes; fails the test when that does not work. */
void fixture_open(struct fixture *f, const char *ptx);
/* The same from a file; false when there is none. */
bool fixture_open_file(struct fixture *f, const char *path);
void fixture_close(struct fixture *f);

/* A buffer of bytes zero bytes: its device address; its host side. */
uint64_t fixture_buffer(struct fixture *f, uint64_t bytes);
void *fixture_host(struct fixture *f, uint64_t address);
/* Host side of a module variable. */
void *fixture_global(struct fixture *f, const char *name);

struct exec_memory fixture_memory(struct fixture *f);

uint32_t fixture_kernel(struct fixture *f, const char *name);
const struct exec_kernel *fixture_kernel_info(struct fixture *f, const char *name);

/* Launches with 64-bit words as parameters (n of them, each put at its parameter's place and cut to its
 * size). */
int fixture_launch(struct fixture *f, const char *kernel, const uint32_t grid[3], const uint32_t block[3],
                   const uint64_t *params, unsigned n, struct exec_result *ret_result);
/* One-dimensional, must end without a fault. */
struct exec_result fixture_run(struct fixture *f, const char *kernel, uint32_t grid, uint32_t block,
                               unsigned n, ...);
/* The same, whatever the end. */
struct exec_result fixture_try(struct fixture *f, const char *kernel, uint32_t grid, uint32_t block,
                               unsigned n, ...);

/* PTX of one kernel `k` with n 64-bit parameters loaded into %rd1..%rdn, registers %p %rs %r %rd %f %fd <40>
 * declared. */
#define KERNEL_HEAD ".version 7.5\n.target sm_75\n.address_size 64\n"
#define KERNEL_REGS                                                                                          \
    ".reg .pred %p<40>; .reg .b16 %rs<40>; .reg .b32 %r<40>; .reg .b64 %rd<40>; .reg .f32 %f<40>; .reg "     \
    ".f64 %fd<40>;\n"
#define KERNEL_1(body)                                                                                       \
    KERNEL_HEAD ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS "ld.param.u64 %rd1, [a];\n" body          \
                "ret;\n}\n"
#define KERNEL_2(body)                                                                                       \
    KERNEL_HEAD ".visible .entry k(.param .u64 a, .param .u64 b) {\n" KERNEL_REGS                            \
                "ld.param.u64 %rd1, [a];\nld.param.u64 %rd2, [b];\n" body "ret;\n}\n"

#endif
