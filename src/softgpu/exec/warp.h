/* The state of a running grid, block and warp; internal to the room. One worker thread runs a block; nothing
 * of a block or warp is ever touched by two threads. Shared between workers are only struct grid's atomics
 * and lock. */
#ifndef VGPU_SOFTGPU_EXEC_WARP_H
#define VGPU_SOFTGPU_EXEC_WARP_H

#include "softgpu/exec/program.h"

struct block;
struct grid;
struct worker;

/* One activation of a function by some threads of a warp. Threads that call together share it. */
struct frame {
    const struct function *function;
    struct frame *parent;    /* NULL: the kernel itself */
    const struct insn *call; /* the call to return to; NULL in the kernel's frame */
    uint32_t return_pc;
    uint32_t live;             /* lanes that have not left it */
    uint32_t depth, serial;    /* serial: order of creation, to choose among equals */
    uint32_t local_base_bytes; /* of its local memory in each thread's stack */
    char *regs;                /* lane arrays */
    char *params;              /* [lane][param_stride] */
    uint32_t param_stride;
    size_t capacity_bytes; /* of a frame that was allocated */
    struct frame *next_free;
    struct frame *next_owned; /* all frames that the worker has ever allocated */
};

enum group_state { GROUP_READY, GROUP_AT_BARRIER, GROUP_AT_EXCHANGE };

/* Threads of a warp at the same place. */
struct group {
    struct frame *frame;
    uint32_t pc, mask;
    enum group_state state;
    uint32_t key;  /* at a barrier: its number */
    uint64_t turn; /* when it ran last */
};

enum { GROUPS_MAX = LANES, SCRATCH_ARRAYS = 8, LANE_ARRAY_MAX = LANES * 8 };

struct warp {
    /* what every instruction touches */
    char *base[BASE_COUNT];
    uint32_t pc, mask; /* of the running group */
    uint32_t stop_pc;  /* first pc at which another group of this frame waits */
    bool regroup;      /* choose a group before the next instruction */
    struct frame *frame;
    uint64_t cycles; /* modelled clock */
    uint64_t instructions, thread_instructions;
    uint64_t counts[COST_CLASS_COUNT];

    struct block *block;
    struct worker *worker;
    uint32_t index;   /* in the block */
    uint32_t initial; /* lanes that exist */
    uint32_t live;    /* lanes that have not exited */
    uint32_t n_groups, current;
    struct group groups[GROUPS_MAX];
    uint32_t spent; /* instructions since the groups last took turns */
    bool taking_turns;
    uint64_t turn;
    uint32_t frame_serial;
    struct frame kernel_frame;
    char *local; /* [lane][stack_stride] */

    /* clock polling */
    uint64_t poll_start;
    uint64_t poll_instructions, poll_effects;
    const struct insn *poll_insn; /* the clock read of the loop */
    uint32_t poll_others;         /* reads elsewhere since */

    /* exchange among lanes */
    uint32_t members[LANES]; /* member mask that a waiting lane has named */
    uint64_t value[LANES];
    uint32_t predicate;

    _Alignas(64) char scratch[SCRATCH_ARRAYS][LANE_ARRAY_MAX];
};

static inline void *lane_array(const struct warp *warp, uint32_t operand)
{
    return warp->base[operand >> OPERAND_BASE_SHIFT] + OPERAND_OFFSET(operand);
}

static inline uint64_t lane_read(const void *lanes, unsigned bytes, unsigned lane)
{
    switch (bytes) {
    case 1:
        return ((const uint8_t *)lanes)[lane];
    case 2:
        return ((const uint16_t *)lanes)[lane];
    case 4:
        return ((const uint32_t *)lanes)[lane];
    default:
        return ((const uint64_t *)lanes)[lane];
    }
}

static inline void lane_write(void *lanes, unsigned bytes, unsigned lane, uint64_t value)
{
    switch (bytes) {
    case 1:
        ((uint8_t *)lanes)[lane] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)lanes)[lane] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)lanes)[lane] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)lanes)[lane] = value;
    }
}

#define for_each_lane(lane, mask)                                                                            \
    for (uint32_t lane##_left = (mask), lane;                                                                \
         lane##_left && (lane = (uint32_t)__builtin_ctz(lane##_left), 1); lane##_left &= lane##_left - 1)

/* ---- warp.c ---- */

enum warp_progress { WARP_RAN, WARP_WAITS, WARP_DONE, WARP_FAULT };

/* Puts the warp at the kernel's first instruction. */
void warp_start(struct warp *warp, const struct function *kernel, uint32_t lanes);
/* Runs at most budget instructions; *ret_ran says how many. */
enum warp_progress warp_run(struct warp *warp, uint32_t budget, uint32_t *ret_ran);

/* For instructions that change who runs where. The running group is warp->{frame, pc, mask}; a group whose
 * mask becomes 0 vanishes. */
void warp_split(struct warp *warp, struct frame *frame, uint32_t pc, uint32_t mask); /* adds a group */
/* Leaves only mask in the running group: the others go on at the next instruction. */
void warp_narrow(struct warp *warp, uint32_t mask);
/* The running group waits; it is at the instruction after the one that made it wait. */
void warp_wait(struct warp *warp, enum group_state state, uint32_t key);
void warp_enter(struct warp *warp, struct frame *frame); /* registers of frame become the running ones */
/* Lanes of mask end: removed from the running group, every frame and the block's account of live threads. */
void warp_exit(struct warp *warp, uint32_t mask);

/* run_exchange.c: after lanes have exited, exchanges that waited for them may be complete. */
void exchange_recheck(struct warp *warp);

/* ---- run_call.c ---- */

/* A frame with clean registers; NULL when memory is out. */
struct frame *frame_new(struct warp *warp, const struct function *function, uint32_t mask);
/* Lanes of mask leave frame; it is reused when none is left. */
void frame_leave(struct warp *warp, struct frame *frame, uint32_t mask);
void frame_fill_locals(struct frame *frame);
/* For functions without a body: a parameter of at most 8 bytes of one lane, in the running frame. */
uint64_t call_argument(struct warp *warp, const struct actual *actual, unsigned lane);
void call_result(struct warp *warp, const struct actual *actual, unsigned lane, uint64_t value);

/* ---- memory.c: addresses to host pointers ---- */

enum { CACHE_ENTRIES = 4 };

struct address_cache {
    struct exec_range entries[CACHE_ENTRIES]; /* most recently used first */
    uint64_t generation;
};

/* Host address of bytes bytes at addr, whole inside one allocation, or NULL. */
char *memory_global(struct worker *worker, uint64_t addr, uint64_t bytes);
/* The same for one lane in any space. */
char *memory_lane(struct warp *warp, enum ptx_space space, unsigned lane, uint64_t addr, uint64_t bytes);
/* Bytes that may be read from *host on for a generic address of one lane: to the end of its allocation. NULL:
 * none. */
char *memory_rest(struct warp *warp, unsigned lane, uint64_t addr, uint64_t *ret_bytes);
/* Which space a generic address belongs to. */
enum ptx_space memory_space(uint64_t addr);

/* Host pointers for all lanes of an access of bytes bytes at src[0] + imm, aligned to align. False: fault
 * recorded. Lanes outside mask get a pointer that must not be used. */
bool memory_lanes(struct warp *warp, const struct insn *insn, uint32_t mask, unsigned bytes, unsigned align,
                  bool writes, char *ret_pointers[LANES]);

/* ---- grid.c ---- */

/* Records the grid's fault (the first wins) with kernel, block, thread and line. addr is the faulting address
 * or 0. Returns NEXT_STOP. */
enum insn_next grid_fault(struct warp *warp, const struct insn *insn, unsigned lane, enum exec_fault fault,
                          uint64_t addr, const char *what);
/* Keeps text for exec_launch.print; it is handed over in block order. */
void block_print(struct block *block, const char *text, size_t bytes);

#endif
