/* The decoded form of a module, between decode*.c (which makes it) and run*.c (which executes it). Nothing
 * here is known outside the room.
 *
 * An operand is a 32-bit word: which base (2 bits) and the byte offset of a lane array from it. Registers,
 * constants, special registers and symbols are all lane arrays, so no instruction needs to know what its
 * operand was. */
#ifndef VGPU_SOFTGPU_EXEC_PROGRAM_H
#define VGPU_SOFTGPU_EXEC_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/exec/alu.h"
#include "softgpu/exec/cost.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/zone.h"
#include "softgpu/ptx/ast.h"

enum { LANES = ALU_LANES, FULL_MASK = -1 };

enum operand_base {
    BASE_FRAME,  /* registers of the running function: frame->regs */
    BASE_CONST,  /* literals and addresses of globals: program->consts */
    BASE_LAUNCH, /* same for all warps of a grid: sizes, addresses of shared variables */
    BASE_WARP,   /* one a warp: thread indices, lane masks, block index */
    BASE_COUNT
};

enum { OPERAND_BASE_SHIFT = 30 };
#define OPERAND_NONE            UINT32_MAX
#define OPERAND(base, offset)   ((uint32_t)(base) << OPERAND_BASE_SHIFT | (uint32_t)(offset))
#define OPERAND_OFFSET(operand) ((operand) & ((1u << OPERAND_BASE_SHIFT) - 1))
#define OPERAND_BASE(operand)   ((enum operand_base)((operand) >> OPERAND_BASE_SHIFT))

/* Lane arrays that exist once a grid and once a warp, each 32 x 4 bytes, except shared symbols (32 x 8, after
 * LAUNCH_SYMBOLS). */
enum launch_slot {
    LAUNCH_NTID_X,
    LAUNCH_NTID_Y,
    LAUNCH_NTID_Z,
    LAUNCH_NCTAID_X,
    LAUNCH_NCTAID_Y,
    LAUNCH_NCTAID_Z,
    LAUNCH_NSMID,
    LAUNCH_GRIDID,
    LAUNCH_NWARPID,
    LAUNCH_ENVREG1,
    LAUNCH_ENVREG2,
    LAUNCH_TOTAL_SMEM,
    LAUNCH_DYNAMIC_SMEM,
    LAUNCH_SYMBOLS
};
enum warp_slot {
    WARP_TID_X,
    WARP_TID_Y,
    WARP_TID_Z,
    WARP_CTAID_X,
    WARP_CTAID_Y,
    WARP_CTAID_Z,
    WARP_LANEID,
    WARP_WARPID,
    WARP_SMID,
    WARP_LANEMASK_EQ,
    WARP_LANEMASK_LT,
    WARP_LANEMASK_LE,
    WARP_LANEMASK_GT,
    WARP_LANEMASK_GE,
    WARP_SLOTS
};
enum { SLOT_BYTES = LANES * 4, SYMBOL_SLOT_BYTES = LANES * 8 };

struct warp;
struct insn;

/* What the warp does after an instruction. */
enum insn_next {
    NEXT_GO,      /* on to warp->pc */
    NEXT_YIELD,   /* the same, but it is the next warp's turn */
    NEXT_REGROUP, /* groups, masks or frames changed: choose a group again */
    NEXT_STOP     /* the grid has a fault */
};

/* Executes one instruction for the lanes of mask (never 0). warp->pc is already that of the following
 * instruction. */
typedef enum insn_next (*insn_run)(struct warp *warp, const struct insn *insn, uint32_t mask);

enum { INSN_DST_MAX = 4, INSN_SRC_MAX = ALU_OPERANDS_MAX };

struct call_site;
struct function;

struct insn {
    insn_run run;
    union {
        alu_fn alu;
        alu_atom_fn atom;
        const struct call_site *call;
        const uint32_t *targets; /* brx.idx: n_targets pcs */
    };
    int64_t imm;                /* address offset, branch target, n_targets, amounts */
    uint32_t dst[INSN_DST_MAX]; /* OPERAND_NONE: not wanted */
    uint32_t src[INSN_SRC_MAX];
    uint32_t guard; /* predicate lane array or OPERAND_NONE */
    uint32_t line;
    uint8_t dst_bytes[INSN_DST_MAX], src_bytes[INSN_SRC_MAX]; /* width of the register behind the operand */
    uint8_t op_bytes[INSN_SRC_MAX]; /* width the operation wants of src[i], where that may differ */
    uint8_t op_dst_bytes[2];        /* width of what the operation makes */
    uint8_t src_signed, dst_signed; /* bit i: extend src[i] / dst[i] with its sign */
    uint8_t src_not;                /* bit i: predicate src[i] is negated */
    bool guard_not, is_call;
    uint8_t n_dst, n_src;
    uint8_t bytes;           /* memory: width of one element */
    uint8_t space;           /* memory: enum ptx_space */
    uint8_t order;           /* memory: enum insn_order */
    uint8_t mode;            /* meaning depends on run: kinds of shuffle, vote, barrier, ... */
    uint8_t cost;            /* enum cost_class */
    uint16_t latency_cycles; /* cost_latency_cycles[cost] */
};

enum insn_order { ORDER_WEAK, ORDER_VOLATILE = 1, ORDER_ACQUIRE = 2, ORDER_RELEASE = 4 };

static inline uint32_t launch_symbol_operand(uint32_t index)
{
    return OPERAND(BASE_LAUNCH, LAUNCH_SYMBOLS * SLOT_BYTES + index * SYMBOL_SLOT_BYTES);
}

/* Where a formal parameter or return value of a function lies: in the per-thread parameter area, or in a
 * register. */
struct formal {
    const char *name;
    bool in_register;
    uint32_t offset_bytes; /* in the area, or of the register in the frame */
    uint32_t size_bytes;
};

/* One argument of a call: a piece of the caller's parameter area, or a lane array. */
struct actual {
    bool in_register;
    bool unused;           /* return value that is not wanted: `_` */
    uint32_t offset_bytes; /* in the caller's area */
    uint32_t operand, size_bytes;
};

struct call_site {
    const struct function *callee; /* NULL: indirect, address in insn->src[0] */
    const struct actual *args, *returns;
    uint32_t n_args, n_returns;
};

/* The address of a shared variable, plus addend: a lane array filled at each launch. */
struct launch_symbol {
    uint32_t shared; /* index in program->shared */
    int64_t addend;
};

/* A lane array in the constant pool that waits for the address of a global. */
struct global_fixup {
    uint32_t global, offset_bytes;
    int64_t addend;
};

struct local_symbol {
    uint32_t slot_bytes;   /* register slot (64-bit lanes) that holds the address */
    uint32_t offset_bytes; /* in the function's local memory */
};

struct function {
    const char *name;
    uint32_t index;
    bool is_entry, has_body;
    uint32_t entry_pc, end_pc;  /* its code: [entry_pc, end_pc) */
    uint32_t frame_bytes;       /* registers */
    uint32_t param_bytes;       /* per-thread parameter area: formals, returns, call temporaries */
    uint32_t local_bytes;       /* per-thread local memory */
    uint32_t live_registers;    /* 32-bit registers alive at once, estimate */
    uint32_t entry_param_bytes; /* entry: the launch's parameter block lies first in the area's addresses */
    struct formal *params, *returns;
    uint32_t n_params, n_returns;
    const struct local_symbol *locals;
    uint32_t n_locals;
    const uint32_t *calls; /* functions called directly, by index; may repeat */
    uint32_t n_calls;
    bool calls_indirect;
    uint8_t *shared_used, *globals_used; /* bit per shared variable / per global */
    const char *unsupported;             /* NULL, or the instruction that this interpreter does not have */
    const struct ptx_func *ast;
};

struct shared_symbol {
    const char *name;
    uint64_t size_bytes; /* 0: dynamic */
    uint32_t align_bytes;
};

/* What exec_run needs of a kernel beyond struct exec_kernel. */
struct kernel {
    const struct function *function;
    uint32_t *shared_offset; /* of each shared symbol */
    uint32_t dynamic_offset; /* where dynamic shared memory begins: static bytes, aligned */
    uint32_t stack_bytes;    /* local memory a thread: its own and its deepest calls */
    bool is_alike;           /* see alike.h */
};

struct exec_program {
    struct zone zone;
    const struct ptx_module *module;
    struct function *functions;
    uint32_t n_functions;
    struct insn *code;
    uint32_t n_code;
    char *consts;
    size_t const_bytes;
    const struct exec_global *globals;
    const struct ptx_var *const *global_vars;
    size_t n_globals;
    const struct global_fixup *fixups;
    uint32_t n_fixups;
    const struct launch_symbol *symbols; /* launch slot LAUNCH_SYMBOLS + i */
    uint32_t n_symbols;
    const struct shared_symbol *shared;
    uint32_t n_shared;
    const struct exec_kernel *kernels;
    const struct kernel *kernel_data;
    size_t n_kernels;
};

/* Functions have addresses of their own, in a window where no memory is. */
#define FUNCTION_WINDOW_BASE UINT64_C(0x0000120000000000)
static inline uint64_t function_address(uint32_t index)
{
    return FUNCTION_WINDOW_BASE + ((uint64_t)index + 1) * 16;
}

static inline unsigned popcount32(uint32_t x)
{
    return (unsigned)__builtin_popcount(x);
}

/* Lane array of predicates (32 bytes of 0 or 1) as a mask: eight bytes at a time, one multiplication each. */
static inline uint32_t predicate_mask(const void *lanes)
{
    const uint64_t *words = lanes;
    uint32_t mask = 0;

    for (int i = 0; i < 4; i++)
        mask |= (uint32_t)((words[i] & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56)
                << (8 * i);
    return mask;
}

#endif
