/* One launch from beginning to end. Workers (the caller and pool threads) take blocks in launch order and run
 * each to its end. A block that runs very long may be waiting for a later one (a grid barrier by hand), so a
 * patient worker then starts the next block beside it, up to what the modelled SMs could hold. A cooperative
 * grid has all its blocks resident from the start, with one worker. Finished blocks are retired in launch
 * order: that makes printed text and modelled time independent of threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/alu.h"
#include "softgpu/exec/block.h"
#include "softgpu/exec/pool.h"

enum {
    PATIENCE_INSTRUCTIONS =
        1 << 22,              /* a block alone with its worker runs this long before the next joins it */
    TURN_INSTRUCTIONS = 2048, /* of a block among several resident ones */
    WINDOW_BLOCKS = 1 << 16,  /* blocks that may be finished before an earlier one is */
    THREADS_MAX = 1024,
    SHARED_BYTES_MAX = 228 * 1024
};

/* ---- faults ---- */

static void describe_fault(const struct grid *grid, const struct warp *warp, const struct insn *insn,
                           unsigned lane, const char *what, struct exec_result *result)
{
    const uint32_t *size = grid->launch->block, *ctaid = warp->block->ctaid;
    uint32_t thread = warp->index * LANES + lane;
    char line[24] = "";

    if (insn)
        snprintf(line, sizeof line, ", line %u", insn->line);
    snprintf(result->fault_text, sizeof result->fault_text,
             "%s: kernel %.60s, block (%u,%u,%u), thread (%u,%u,%u)%s", what, grid->kernel_name, ctaid[0],
             ctaid[1], ctaid[2], thread % size[0], thread / size[0] % size[1], thread / size[0] / size[1],
             line);
}

enum insn_next grid_fault(struct warp *warp, const struct insn *insn, unsigned lane, enum exec_fault fault,
                          uint64_t addr, const char *what)
{
    struct grid *grid = warp->block->grid;

    pthread_mutex_lock(&grid->lock);
    if (grid->result->fault == EXEC_OK) {
        grid->result->fault = fault;
        grid->result->fault_address = addr;
        describe_fault(grid, warp, insn, lane, what, grid->result);
    }
    pthread_mutex_unlock(&grid->lock);
    __atomic_store_n(&grid->stop, 1, __ATOMIC_RELAXED);
    return NEXT_STOP;
}

/* ---- retiring ---- */

static void print_and_free(const struct grid *grid, struct text_piece *text)
{
    while (text) {
        struct text_piece *next = text->next;

        if (grid->launch->print)
            grid->launch->print(grid->launch->print_owner, text->text, text->bytes);
        free(text);
        text = next;
    }
}

/* With the lock held. */
static void retire_ready(struct grid *grid)
{
    for (;;) {
        struct finished *first = &grid->window[grid->first_unretired % grid->window_blocks];

        if (!first->done)
            return;
        if (grid->n_alike > 1)
            cost_schedule_alike(grid->schedule, grid->n_alike, first->latency_cycles, first->issue_cycles);
        else
            cost_schedule_block(grid->schedule, first->latency_cycles, first->issue_cycles);
        print_and_free(grid, first->text);
        *first = (struct finished){0};
        grid->first_unretired++;
    }
}

/* A block is over (done) or given up (its grid has a fault): its counts go to the worker, its text into the
 * window. */
static void hand_in(struct worker *worker, struct block *block, bool done)
{
    struct grid *grid = worker->grid;
    struct finished *finished = &grid->window[block->number % grid->window_blocks];

    for (uint32_t i = 0; i < block->n_warps; i++) {
        worker->warp_instructions += block->warps[i].instructions;
        worker->thread_instructions += block->warps[i].thread_instructions;
    }
    pthread_mutex_lock(&grid->lock);
    if (block->number < grid->first_unretired + grid->window_blocks) {
        block_cost(block, &finished->latency_cycles, &finished->issue_cycles);
        finished->text = block->text;
        finished->done = done;
        block->text = NULL;
        block->text_end = &block->text;
    } /* else it was given up before it could run a single instruction */
    retire_ready(grid);
    pthread_cond_broadcast(&grid->retired_some);
    pthread_mutex_unlock(&grid->lock);
    __atomic_fetch_sub(&grid->resident, 1, __ATOMIC_RELAXED);
    block->next = worker->free_blocks;
    worker->free_blocks = block;
}

/* ---- workers ---- */

static bool stopped(struct grid *grid)
{
    return __atomic_load_n(&grid->stop, __ATOMIC_RELAXED);
}

/* The number of the next block, now resident; n_blocks when none is left or no more may be resident. */
static uint64_t claim_block(struct grid *grid)
{
    uint64_t number = grid->n_blocks;

    if (__atomic_add_fetch(&grid->resident, 1, __ATOMIC_RELAXED) <= grid->max_resident)
        number = __atomic_fetch_add(&grid->next_block, 1, __ATOMIC_RELAXED);
    if (number < grid->n_blocks)
        return number;
    __atomic_fetch_sub(&grid->resident, 1, __ATOMIC_RELAXED);
    return grid->n_blocks;
}

/* The window has room for block number, sooner or later: every earlier block is being run by somebody. */
static void wait_for_window(struct grid *grid, uint64_t number)
{
    if (grid->n_blocks <= grid->window_blocks)
        return;
    pthread_mutex_lock(&grid->lock);
    while (number >= grid->first_unretired + grid->window_blocks && !stopped(grid))
        pthread_cond_wait(&grid->retired_some, &grid->lock);
    pthread_mutex_unlock(&grid->lock);
}

/* Starts the next block of the grid with this worker. False: none left, no room, or no memory. beside: other
 * blocks of this worker still run, so it must not wait for anything. */
static bool take_block(struct worker *worker, bool beside)
{
    struct grid *grid = worker->grid;
    struct block *block = worker->free_blocks;
    uint64_t number;

    if (__atomic_load_n(&grid->next_block, __ATOMIC_RELAXED) >= grid->n_blocks || stopped(grid))
        return false;
    if (beside && grid->n_blocks > grid->window_blocks)
        return false;
    if (!block)
        block = block_new(grid, worker);
    else
        worker->free_blocks = block->next;
    if (!block)
        return false;
    number = claim_block(grid);
    if (number == grid->n_blocks) {
        block->next = worker->free_blocks;
        worker->free_blocks = block;
        return false;
    }
    wait_for_window(grid, number);
    block_start(block, number);
    block->next = NULL;
    for (struct block **at = &worker->resident;; at = &(*at)->next) {
        if (!*at) {
            *at = block;
            return true;
        }
    }
}

/* One turn for each resident block. */
static void turn(struct worker *worker)
{
    bool alone = !worker->resident->next;
    uint64_t budget = alone ? PATIENCE_INSTRUCTIONS : TURN_INSTRUCTIONS;

    for (struct block **at = &worker->resident; *at;) {
        struct block *block = *at;
        enum block_progress progress = stopped(worker->grid) ? BLOCK_FAULT : block_run(block, budget);

        if (progress == BLOCK_RUNS) {
            at = &block->next;
            continue;
        }
        *at = block->next;
        hand_in(worker, block, progress == BLOCK_DONE);
    }
}

static void worker_done(struct worker *worker)
{
    struct grid *grid = worker->grid;

    while (worker->free_blocks) {
        struct block *next = worker->free_blocks->next;

        block_free(worker->free_blocks);
        worker->free_blocks = next;
    }
    while (worker->owned_frames) {
        struct frame *next = worker->owned_frames->next_owned;

        free(worker->owned_frames);
        worker->owned_frames = next;
    }
    pthread_mutex_lock(&grid->lock);
    grid->result->warp_instructions += worker->warp_instructions * grid->n_alike;
    grid->result->thread_instructions += worker->thread_instructions * grid->n_alike;
    pthread_mutex_unlock(&grid->lock);
}

static void out_of_memory(struct grid *grid)
{
    pthread_mutex_lock(&grid->lock);
    if (grid->result->fault == EXEC_OK) {
        grid->result->fault = EXEC_FAULT_STACK;
        snprintf(grid->result->fault_text, sizeof grid->result->fault_text,
                 "no host memory for a block of kernel %.60s", grid->kernel_name);
    }
    pthread_mutex_unlock(&grid->lock);
    __atomic_store_n(&grid->stop, 1, __ATOMIC_RELAXED);
}

static void work(void *data)
{
    struct grid *grid = data;
    struct worker worker = {.grid = grid};
    uint64_t since_joined = 0;
    struct alu_env caller_env;

    alu_env_enter(&caller_env);
    worker.cache.generation = grid->launch->memory.generation
                                  ? __atomic_load_n(grid->launch->memory.generation, __ATOMIC_RELAXED)
                                  : 0;
    while (grid->launch->cooperative && take_block(&worker, true))
        continue;
    if (grid->launch->cooperative && grid->next_block < grid->n_blocks)
        out_of_memory(grid);
    while (worker.resident || take_block(&worker, false)) {
        bool alone = !worker.resident->next;

        turn(&worker);
        since_joined += alone ? PATIENCE_INSTRUCTIONS : TURN_INSTRUCTIONS;
        if (worker.resident && since_joined >= PATIENCE_INSTRUCTIONS && take_block(&worker, true))
            since_joined = 0;
    }
    if (!stopped(grid) && __atomic_load_n(&grid->next_block, __ATOMIC_RELAXED) < grid->n_blocks &&
        __atomic_load_n(&grid->resident, __ATOMIC_RELAXED) == 0)
        out_of_memory(grid);
    worker_done(&worker);
    alu_env_leave(&caller_env);
}

/* ---- the launch ---- */

static void fill_launch_slot(struct grid *grid, enum launch_slot slot, uint32_t value)
{
    uint32_t *lanes = (uint32_t *)(grid->launch_slots + (size_t)slot * SLOT_BYTES);

    for (unsigned lane = 0; lane < LANES; lane++)
        lanes[lane] = value;
}

static void fill_launch_slots(struct grid *grid)
{
    const struct exec_launch *launch = grid->launch;
    const struct exec_program *program = grid->program;

    for (unsigned axis = 0; axis < 3; axis++) {
        fill_launch_slot(grid, (enum launch_slot)(LAUNCH_NTID_X + axis), launch->block[axis]);
        fill_launch_slot(grid, (enum launch_slot)(LAUNCH_NCTAID_X + axis), launch->grid[axis]);
    }
    fill_launch_slot(grid, LAUNCH_NSMID, launch->sm_count);
    fill_launch_slot(grid, LAUNCH_GRIDID, 1);
    fill_launch_slot(grid, LAUNCH_NWARPID, 64);
    fill_launch_slot(grid, LAUNCH_ENVREG1, launch->cooperative ? (uint32_t)(WORKSPACE_BASE >> 32) : 0);
    fill_launch_slot(grid, LAUNCH_ENVREG2, launch->cooperative ? (uint32_t)WORKSPACE_BASE : 0);
    fill_launch_slot(grid, LAUNCH_TOTAL_SMEM, grid->shared_bytes);
    fill_launch_slot(grid, LAUNCH_DYNAMIC_SMEM, launch->dynamic_shared_bytes);
    for (uint32_t i = 0; i < program->n_symbols; i++) {
        uint64_t *lanes = (uint64_t *)(grid->launch_slots + OPERAND_OFFSET(launch_symbol_operand(i)));
        uint64_t addr =
            grid->kernel->shared_offset[program->symbols[i].shared] + (uint64_t)program->symbols[i].addend;

        for (unsigned lane = 0; lane < LANES; lane++)
            lanes[lane] = addr;
    }
}

static bool dimensions_fit(const struct exec_launch *launch, const struct exec_kernel *info,
                           const struct kernel *kernel)
{
    const uint32_t *g = launch->grid, *b = launch->block, *required = kernel->function->ast->reqntid;
    uint64_t threads = (uint64_t)b[0] * b[1] * b[2];

    if (!g[0] || !g[1] || !g[2] || g[0] > INT32_MAX || g[1] > 65535 || g[2] > 65535)
        return false;
    if (!threads || b[0] > THREADS_MAX || b[1] > THREADS_MAX || b[2] > 64 ||
        threads > info->max_threads_per_block)
        return false;
    if (required[0] && (b[0] != required[0] || b[1] != (required[1] ? required[1] : 1) ||
                        b[2] != (required[2] ? required[2] : 1)))
        return false;
    if ((uint64_t)info->static_shared_bytes + launch->dynamic_shared_bytes > SHARED_BYTES_MAX)
        return false;
    return launch->sm_count > 0 && launch->clock_khz > 0 && (launch->params || info->param_bytes == 0);
}

static int grid_alloc(struct grid *grid, const struct exec_kernel *info)
{
    size_t slots = LAUNCH_SYMBOLS * SLOT_BYTES + (size_t)grid->program->n_symbols * SYMBOL_SLOT_BYTES;
    uint32_t per_sm = cost_blocks_per_sm(grid->threads, grid->shared_bytes);

    grid->window_blocks =
        grid->launch->cooperative || grid->n_blocks < WINDOW_BLOCKS ? grid->n_blocks : WINDOW_BLOCKS;
    grid->max_resident = grid->launch->cooperative ? UINT32_MAX : grid->launch->sm_count * per_sm;
    grid->launch_slots = aligned_alloc(64, slots);
    grid->params = calloc(1, (size_t)info->param_bytes + 8);
    grid->window = calloc(grid->window_blocks, sizeof *grid->window);
    grid->schedule = cost_schedule_new(grid->launch->sm_count, per_sm, grid->n_blocks * grid->n_alike);
    if (!grid->launch_slots || !grid->params || !grid->window || !grid->schedule)
        return -ENOMEM;
    if (info->param_bytes)
        memcpy(grid->params, grid->launch->params, info->param_bytes);
    grid->param_bytes = info->param_bytes;
    return 0;
}

static void grid_done(struct grid *grid)
{
    if (grid->window) { /* after a fault: what was printed before it */
        for (uint64_t i = 0; i < grid->window_blocks; i++)
            print_and_free(grid, grid->window[(grid->first_unretired + i) % grid->window_blocks].text);
    }
    free(grid->launch_slots);
    free(grid->params);
    free(grid->window);
    cost_schedule_free(grid->schedule);
    pthread_mutex_destroy(&grid->lock);
    pthread_cond_destroy(&grid->retired_some);
}

static unsigned helpers_for(const struct grid *grid)
{
    uint64_t threads = pool_threads();

    if (grid->launch->cooperative)
        return 0;
    if (threads > grid->launch->sm_count)
        threads = grid->launch->sm_count;
    if (threads > grid->n_blocks)
        threads = grid->n_blocks;
    return (unsigned)threads - 1;
}

int exec_run(const struct exec_launch *launch, struct exec_result *ret_result)
{
    const struct exec_program *program = launch->program;
    struct exec_result result = {.fault = EXEC_OK};
    struct grid grid = {.launch = launch,
                        .program = program,
                        .result = &result,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .retired_some = PTHREAD_COND_INITIALIZER};
    const struct exec_kernel *info;
    int ret;

    if (launch->kernel >= program->n_kernels)
        return -EINVAL;
    info = &program->kernels[launch->kernel];
    grid.kernel = &program->kernel_data[launch->kernel];
    grid.kernel_name = info->name;
    grid.lanes = lanes_best();
    if (info->unsupported)
        return -ENOTSUP;
    if (!dimensions_fit(launch, info, grid.kernel))
        return -EINVAL;
    grid.threads = launch->block[0] * launch->block[1] * launch->block[2];
    grid.n_warps = (grid.threads + LANES - 1) / LANES;
    grid.n_blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    grid.n_alike = grid.kernel->is_alike ? grid.n_blocks : 1;
    grid.n_blocks /= grid.n_alike;
    grid.shared_bytes = grid.kernel->dynamic_offset + launch->dynamic_shared_bytes;
    grid.stack_stride = grid.kernel->stack_bytes;
    grid.start_cycles = (uint64_t)((unsigned __int128)launch->start_ns * launch->clock_khz / 1000000);
    ret = grid_alloc(&grid, info);
    if (!ret) {
        fill_launch_slots(&grid);
        pool_run(work, &grid, helpers_for(&grid));
        result.model_cycles = cost_schedule_cycles(grid.schedule);
    }
    grid_done(&grid);
    if (!ret)
        *ret_result = result;
    return ret;
}
