/* Blocks, grids and workers: what block.c, grid.c and run_barrier.c share. Internal to the room. */
#ifndef VGPU_SOFTGPU_EXEC_BLOCK_H
#define VGPU_SOFTGPU_EXEC_BLOCK_H

#include <pthread.h>

#include "softgpu/exec/lanes.h"
#include "softgpu/exec/run.h"
#include "softgpu/exec/warp.h"

enum { BARRIERS = 16, WARPS_MAX = 32, SLICE_INSTRUCTIONS = 32, WORKSPACE_WORDS = WORKSPACE_BYTES / 8 };

struct barrier {
    uint32_t arrived[WARPS_MAX]; /* lanes of each warp that have arrived in this phase */
    uint32_t extra_threads;      /* arrivals of warps that arrived more than once in this phase */
    uint32_t wanted_threads;     /* 0: all live threads */
    bool in_use;
    uint32_t true_count; /* reduction: threads whose predicate was true, threads in all */
    uint32_t red_count;
    uint64_t cycles; /* latest clock of those that arrived */
};

struct text_piece {
    struct text_piece *next;
    size_t bytes;
    char text[];
};

struct block {
    struct grid *grid;
    struct worker *worker;
    uint64_t number; /* in launch order */
    uint32_t ctaid[3];
    uint32_t n_warps, live_warps;
    struct warp *warps;
    char *shared;
    struct barrier barriers[BARRIERS];
    uint64_t instructions; /* executed so far */
    struct text_piece *text, **text_end;
    struct block *next; /* resident with a worker, or free */
    char *memory;       /* everything above but text: one piece */
    size_t memory_bytes;
    char *local; /* stacks of its threads; mapped when the kernel has any */
    size_t local_bytes;
};

/* One host thread at work on a grid. */
struct worker {
    struct grid *grid;
    struct address_cache cache;
    struct block *resident, *free_blocks;
    struct frame *free_frames;  /* of any function; each remembers its size */
    struct frame *owned_frames; /* all, in use or not: a grid with a fault leaves some in use */
    uint64_t warp_instructions, thread_instructions;
};

/* Cost and text of a finished block that waits for its predecessors. */
struct finished {
    bool done;
    uint64_t latency_cycles, issue_cycles;
    struct text_piece *text;
};

struct grid {
    const struct exec_launch *launch;
    const struct exec_program *program;
    const struct kernel *kernel;
    const char *kernel_name;
    uint64_t n_blocks; /* to run */
    uint64_t n_alike;  /* what each counts for: 1, or all blocks of the launch, of which one is run */
    uint32_t threads, n_warps;
    uint32_t shared_bytes;         /* static + dynamic */
    uint32_t stack_stride;         /* local bytes a thread */
    const struct lanes_ops *lanes; /* memory access for this processor */
    char *launch_slots;            /* BASE_LAUNCH lane arrays */
    char *params;                  /* the parameter block, a copy */
    uint32_t param_bytes;
    uint64_t start_cycles; /* %clock64 at modelled cycle 0 */
    uint64_t workspace[WORKSPACE_WORDS];
    uint32_t max_resident; /* blocks that may be resident at once, all workers together */

    uint64_t next_block; /* atomic: the next to start */
    uint32_t resident;   /* atomic */
    uint32_t stop;       /* atomic: a fault or cancellation */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t retired_some;
    struct exec_result *result;
    struct cost_schedule *schedule;
    struct finished *window; /* ring: blocks [first_unretired, first_unretired + WINDOW) */
    uint64_t window_blocks, first_unretired;
};

/* ---- block.c ---- */

/* Room for one block of grid; NULL when memory is out. */
struct block *block_new(struct grid *grid, struct worker *worker);
void block_free(struct block *block);
void block_start(struct block *block, uint64_t number);

enum block_progress { BLOCK_RUNS, BLOCK_DONE, BLOCK_FAULT };
/* Runs at most about budget instructions, warps in turn. */
enum block_progress block_run(struct block *block, uint64_t budget);
/* Cost of a finished block. */
void block_cost(const struct block *block, uint64_t *ret_latency_cycles, uint64_t *ret_issue_cycles);

/* ---- run_barrier.c ---- */

/* Threads of warp have exited: barriers that waited for them may open. */
void barriers_recheck(struct block *block);

#endif
