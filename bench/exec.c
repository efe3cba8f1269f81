/* How fast the interpreter is on this machine: matrix product of order N (512) in 16x16 tiles, one host
 * thread and all. Usage: exec PTX-OF-tests/kernels/matmul.cu [N]. Prints one line a run: multiply-adds and
 * warp instructions per second. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/pool.h"

struct buffers {
    struct exec_range range[3];
};

static bool find(void *owner, uint64_t addr, struct exec_range *ret_range)
{
    struct buffers *b = owner;

    for (int i = 0; i < 3; i++) {
        if (addr >= b->range[i].base && addr < b->range[i].end) {
            *ret_range = b->range[i];
            return true;
        }
    }
    return false;
}

static char *read_text(const char *path, size_t *ret_bytes)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n = file ? getdelim(&text, &capacity, '\0', file) : -1;

    if (file)
        fclose(file);
    if (n < 0)
        return NULL;
    *ret_bytes = (size_t)n;
    return text;
}

/* Processor time of all threads: the figure that does not depend on what else the machine does. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void report(const struct exec_launch *launch, unsigned n, unsigned threads)
{
    struct exec_result result;
    uint64_t start, ns, cpu;
    int ret;

    pool_limit(threads);
    cpu = cpu_ns();
    start = clock_monotonic_ns();
    ret = exec_run(launch, &result);
    ns = clock_monotonic_ns() - start;
    cpu = cpu_ns() - cpu;
    if (ret || result.fault != EXEC_OK) {
        printf("failed: %d %s\n", ret, ret ? "" : result.fault_text);
        return;
    }
    printf("%u threads: %6.1f Mmadd/s (%6.1f a core), %5.1f M warp instructions/s, %llu warp instructions, "
           "%llu modelled cycles\n",
           threads ? threads : pool_threads(), (double)n * n * n * 1e3 / (double)ns,
           (double)n * n * n * 1e3 / (double)cpu, (double)result.warp_instructions * 1e3 / (double)ns,
           (unsigned long long)result.warp_instructions, (unsigned long long)result.model_cycles);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 512;
    char error[PTX_ERROR_TEXT_MAX] = "";
    struct exec_program *program = NULL;
    struct ptx_module *module = NULL;
    struct buffers buffers;
    size_t bytes = 0;
    char *text = argc > 1 ? read_text(argv[1], &bytes) : NULL;
    struct {
        uint64_t a, b, c;
        uint32_t n;
    } params = {.n = n};

    if (!text || ptx_parse(text, bytes, &module, error) || exec_program_new(module, &program, error)) {
        fprintf(stderr, "usage: %s matmul.ptx [N] %s\n", argv[0], error);
        return 2;
    }
    for (int i = 0; i < 3; i++) {
        uint64_t base = UINT64_C(0x700000000000) + ((uint64_t)i << 32);

        buffers.range[i] = (struct exec_range){
            .base = base, .end = base + (uint64_t)n * n * 4, .host = calloc((size_t)n * n, 4)};
        (&params.a)[i] = base;
    }
    exec_program_bind(program, NULL, NULL);
    for (unsigned threads = 1;; threads = 0) {
        struct exec_launch launch = {.program = program,
                                     .grid = {(n + 15) / 16, (n + 15) / 16, 1},
                                     .block = {16, 16, 1},
                                     .params = &params,
                                     .memory = {.find = find, .owner = &buffers},
                                     .sm_count = 16,
                                     .clock_khz = 1000000};

        report(&launch, n, threads);
        if (threads == 0)
            break;
    }
    exec_program_free(program);
    ptx_free(module);
    for (int i = 0; i < 3; i++)
        free(buffers.range[i].host);
    free(text);
    return 0;
}
