/* The processor of the software GPU: a warp-wide interpreter. `exec_program` is a decoded module, `exec_run`
 * runs one grid to its end in the calling thread and the pool of SM threads.
 *
 * Order: blocks start in launch order; warps of a block are interleaved with a slice of at most 32
 * instructions; threads of a warp that took different ways run as groups which merge again at the same
 * instruction. Instruction counts are exact and do not depend on how many host threads work. */
#ifndef VGPU_SOFTGPU_EXEC_EXEC_H
#define VGPU_SOFTGPU_EXEC_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/ptx/ast.h"

struct exec_program; /* opaque; immutable after exec_program_bind, so many grids may run it at once */

/* ---- loading ---- */

/* A variable of the module that needs device memory before kernels can run. */
struct exec_global {
    const char *name;
    enum ptx_space space; /* GLOBAL or CONST */
    uint64_t size_bytes;
    uint32_t align_bytes;
    bool is_managed, is_extern;
};

struct exec_kernel {
    const char *name;
    uint32_t n_params;
    const uint32_t *param_offset_bytes, *param_size_bytes; /* n_params each: layout of the parameter block */
    uint32_t param_bytes;                                  /* whole block */
    uint32_t static_shared_bytes, const_bytes, local_bytes_per_thread;
    uint32_t registers_per_thread;   /* estimate, at least 16 */
    uint32_t max_threads_per_block;  /* 1024, or what .maxntid / .reqntid says */
    unsigned ptx_version, target_sm; /* 75 means 7.5 */
    const char *unsupported; /* NULL, or the statement that keeps this kernel from running: "line N: what:
                                statement" */
};

/* Decodes module (which must outlive the program; not owned). A kernel that reaches an instruction this
 * interpreter does not have is marked (exec_kernel.unsupported) and refused by exec_run; the module's other
 * kernels run. 0; -EINVAL with error "line N: what" for broken PTX; -ENOMEM. */
int exec_program_new(const struct ptx_module *module, struct exec_program **ret_program,
                     char error[PTX_ERROR_TEXT_MAX]);
void exec_program_free(struct exec_program *program);

size_t exec_program_kernels(const struct exec_program *program, const struct exec_kernel **ret_kernels);
size_t exec_program_globals(const struct exec_program *program, const struct exec_global **ret_globals);

/* Says where globals live (addresses[i] is the device address of global i) and writes their initial contents
 * through host[i], the same memory as seen by this process. Once, before the first exec_run. */
int exec_program_bind(struct exec_program *program, const uint64_t *addresses, void *const *host);

/* ---- running ---- */

struct exec_range {
    uint64_t base, end; /* device addresses [base, end) */
    char *host;         /* where this process sees base */
    bool is_read_only;  /* stores and atomics fault */
};

/* The address space of a context: find() answers which allocation holds addr, false when none does. Called
 * from several threads; answers are cached until generation changes. */
struct exec_memory {
    bool (*find)(void *owner, uint64_t addr, struct exec_range *ret_range);
    void *owner;
    const uint64_t *generation;
};

enum exec_fault {
    EXEC_OK,
    EXEC_FAULT_ILLEGAL_ADDRESS,     /* CUDA_ERROR_ILLEGAL_ADDRESS */
    EXEC_FAULT_MISALIGNED,          /* CUDA_ERROR_MISALIGNED_ADDRESS */
    EXEC_FAULT_ILLEGAL_INSTRUCTION, /* trap with unknown code, bad indirect call */
    EXEC_FAULT_TRAP,                /* trap: CUDA_ERROR_LAUNCH_FAILED */
    EXEC_FAULT_ASSERT,              /* CUDA_ERROR_ASSERT */
    EXEC_FAULT_TIMEOUT,             /* instruction budget spent, or cancelled: CUDA_ERROR_LAUNCH_TIMEOUT */
    EXEC_FAULT_STACK                /* call depth or local memory exhausted */
};

struct exec_launch {
    const struct exec_program *program;
    uint32_t kernel; /* index into exec_program_kernels */
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared_bytes;
    const void *params; /* param_bytes bytes, laid out as exec_kernel says */
    bool cooperative;   /* all blocks resident at once; grid barrier works */
    struct exec_memory memory;
    uint32_t sm_count; /* %nsmid; modelled occupancy */
    uint64_t start_ns; /* %globaltimer at the start; %clock64 counts from start_ns * clock_khz / 1e6 */
    uint32_t clock_khz;
    void (*print)(void *owner, const char *text,
                  size_t bytes); /* one finished vprintf call at a time, in block order per block */
    void *print_owner;
    /* malloc and free of kernels; NULL: malloc never has room. take returns 0 when there is none, give not 0
     * when address is no block's. Called from several threads. */
    uint64_t (*heap_take)(void *owner, uint64_t bytes);
    int (*heap_give)(void *owner, uint64_t address);
    void *heap_owner;
    const volatile uint32_t *cancel; /* may be NULL; non-zero stops the grid with EXEC_FAULT_TIMEOUT */
};

struct exec_result {
    enum exec_fault fault;
    uint64_t fault_address;
    char fault_text[160];         /* kernel, block, thread, line: for one log line */
    uint64_t warp_instructions;   /* exact: one per warp group and executed instruction */
    uint64_t thread_instructions; /* exact: one per active, guarded-in lane */
    uint64_t model_cycles;        /* SM cycles of the whole grid by exec/cost.c on sm_count modelled SMs */
};

/* Runs the grid to its end. 0 (look at ret_result->fault), -EINVAL (dimensions out of range), -ENOTSUP
 * (exec_kernel.unsupported) or -ENOMEM before anything ran. Blocking; thread-safe. After fork the child's
 * first call makes its own pool. */
int exec_run(const struct exec_launch *launch, struct exec_result *ret_result);

/* Windows of the generic address space that are not device memory. Device allocations stay clear of them. */
#define EXEC_SHARED_WINDOW_BASE UINT64_C(0x0000100000000000)
#define EXEC_LOCAL_WINDOW_BASE  UINT64_C(0x0000110000000000)
#define EXEC_WINDOW_BYTES       UINT64_C(0x0000000100000000)

#endif
