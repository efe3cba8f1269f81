/* See exec_fixture.h. Buffers lie in a device address range of their own, each with a gap behind it. */
#include "exec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_BASE UINT64_C(0x0000700000000000)

static bool find(void *owner, uint64_t addr, struct exec_range *ret_range)
{
    struct fixture *f = owner;

    for (unsigned i = 0; i < f->n_buffers; i++) {
        if (addr >= f->buffers[i].base && addr < f->buffers[i].end) {
            *ret_range = f->buffers[i];
            return true;
        }
    }
    return false;
}

static void print(void *owner, const char *text, size_t bytes)
{
    struct fixture *f = owner;

    assert_true(f->text_bytes + bytes < sizeof f->text);
    memcpy(f->text + f->text_bytes, text, bytes);
    f->text_bytes += bytes;
    f->text[f->text_bytes] = '\0';
    f->n_prints++;
}

static void bind_globals(struct fixture *f)
{
    const struct exec_global *globals;
    size_t n = exec_program_globals(f->program, &globals);
    uint64_t addresses[FIXTURE_BUFFERS_MAX];
    void *host[FIXTURE_BUFFERS_MAX];

    assert_true(n < FIXTURE_BUFFERS_MAX);
    for (size_t i = 0; i < n; i++) {
        addresses[i] = fixture_buffer(f, globals[i].size_bytes);
        host[i] = fixture_host(f, addresses[i]);
    }
    assert_int_equal(exec_program_bind(f->program, addresses, host), 0);
}

static void open_text(struct fixture *f, const char *ptx, size_t bytes)
{
    memset(f, 0, sizeof *f);
    f->sm_count = 4;
    f->clock_khz = 1000000;
    if (ptx_parse(ptx, bytes, &f->module, f->error))
        fail_msg("parse: %s", f->error);
    if (exec_program_new(f->module, &f->program, f->error))
        fail_msg("decode: %s", f->error);
    bind_globals(f);
}

void fixture_open(struct fixture *f, const char *ptx)
{
    open_text(f, ptx, strlen(ptx));
}

bool fixture_open_file(struct fixture *f, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text;
    long bytes;

    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    bytes = ftell(file);
    rewind(file);
    text = malloc((size_t)bytes + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)bytes, file), bytes);
    fclose(file);
    open_text(f, text, (size_t)bytes);
    free(text);
    return true;
}

void fixture_close(struct fixture *f)
{
    exec_program_free(f->program);
    ptx_free(f->module);
    for (unsigned i = 0; i < f->n_buffers; i++)
        free(f->buffers[i].host);
}

uint64_t fixture_buffer(struct fixture *f, uint64_t bytes)
{
    struct exec_range *range = &f->buffers[f->n_buffers];

    assert_true(f->n_buffers < FIXTURE_BUFFERS_MAX);
    range->base = FIXTURE_BASE + ((uint64_t)f->n_buffers << 32);
    range->end = range->base + bytes;
    range->host = calloc(1, bytes + 1);
    assert_non_null(range->host);
    f->n_buffers++;
    f->generation++;
    return range->base;
}

void *fixture_host(struct fixture *f, uint64_t address)
{
    struct exec_range range = {0};

    if (!find(f, address, &range))
        fail_msg("no buffer at %#llx", (unsigned long long)address);
    return range.host + (address - range.base);
}

void *fixture_global(struct fixture *f, const char *name)
{
    const struct exec_global *globals;
    size_t n = exec_program_globals(f->program, &globals);

    for (size_t i = 0; i < n; i++)
        if (strcmp(globals[i].name, name) == 0)
            return f->buffers[i].host;
    fail_msg("no global %s", name);
    return NULL;
}

struct exec_memory fixture_memory(struct fixture *f)
{
    return (struct exec_memory){.find = find, .owner = f, .generation = &f->generation};
}

uint32_t fixture_kernel(struct fixture *f, const char *name)
{
    const struct exec_kernel *kernels;
    size_t n = exec_program_kernels(f->program, &kernels);

    for (size_t i = 0; i < n; i++)
        if (strcmp(kernels[i].name, name) == 0)
            return (uint32_t)i;
    fail_msg("no kernel %s", name);
    return 0;
}

const struct exec_kernel *fixture_kernel_info(struct fixture *f, const char *name)
{
    const struct exec_kernel *kernels;

    exec_program_kernels(f->program, &kernels);
    return &kernels[fixture_kernel(f, name)];
}

int fixture_launch(struct fixture *f, const char *kernel, const uint32_t grid[3], const uint32_t block[3],
                   const uint64_t *params, unsigned n, struct exec_result *ret_result)
{
    const struct exec_kernel *info = fixture_kernel_info(f, kernel);
    char *memory = calloc(1, (size_t)info->param_bytes + 8);
    struct exec_launch launch = {
        .program = f->program,
        .kernel = fixture_kernel(f, kernel),
        .grid = {grid[0], grid[1], grid[2]},
        .block = {block[0], block[1], block[2]},
        .dynamic_shared_bytes = f->dynamic_shared_bytes,
        .params = memory,
        .cooperative = f->cooperative,
        .memory = fixture_memory(f),
        .sm_count = f->sm_count,
        .start_ns = f->start_ns,
        .clock_khz = f->clock_khz,
        .print = print,
        .print_owner = f,
        .cancel = f->cancel,
    };
    int ret;

    assert_non_null(memory);
    assert_int_equal(info->n_params, n);
    for (unsigned i = 0; i < n; i++)
        memcpy(memory + info->param_offset_bytes[i], &params[i],
               info->param_size_bytes[i] < 8 ? info->param_size_bytes[i] : 8);
    ret = exec_run(&launch, ret_result);
    free(memory);
    return ret;
}

static struct exec_result run_list(struct fixture *f, const char *kernel, uint32_t grid, uint32_t block,
                                   unsigned n, va_list args)
{
    uint32_t g[3] = {grid, 1, 1}, b[3] = {block, 1, 1};
    struct exec_result result;
    uint64_t params[16];

    for (unsigned i = 0; i < n; i++)
        params[i] = va_arg(args, uint64_t);
    if (fixture_launch(f, kernel, g, b, params, n, &result))
        fail_msg("launch of %s refused: %s", kernel, fixture_kernel_info(f, kernel)->unsupported);
    return result;
}

struct exec_result fixture_try(struct fixture *f, const char *kernel, uint32_t grid, uint32_t block,
                               unsigned n, ...)
{
    struct exec_result result;
    va_list args;

    va_start(args, n);
    result = run_list(f, kernel, grid, block, n, args);
    va_end(args);
    return result;
}

struct exec_result fixture_run(struct fixture *f, const char *kernel, uint32_t grid, uint32_t block,
                               unsigned n, ...)
{
    struct exec_result result;
    va_list args;

    va_start(args, n);
    result = run_list(f, kernel, grid, block, n, args);
    va_end(args);
    if (result.fault != EXEC_OK)
        fail_msg("fault %d: %s", result.fault, result.fault_text);
    return result;
}
