/* One block: its memory, its warps in turn. A warp gets SLICE_INSTRUCTIONS and then the next one, because
 * programs exist that are right only where warps interleave; a load from device memory passes the turn on as
 * well. Called by grid.c's workers. */
#include "softgpu/exec/block.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t align64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Thread t of the block has these indices. */
static void fill_thread_ids(struct warp *warp, const struct grid *grid)
{
    const uint32_t *block = grid->launch->block;

    for (unsigned lane = 0; lane < LANES; lane++) {
        uint32_t t = warp->index * LANES + lane;
        uint32_t values[WARP_SLOTS] = {
            [WARP_TID_X] = t % block[0],
            [WARP_TID_Y] = t / block[0] % block[1],
            [WARP_TID_Z] = t / block[0] / block[1],
            [WARP_LANEID] = lane,
            [WARP_WARPID] = warp->index,
            [WARP_LANEMASK_EQ] = 1u << lane,
            [WARP_LANEMASK_LT] = (1u << lane) - 1,
            [WARP_LANEMASK_LE] = (1u << lane) * 2 - 1,
            [WARP_LANEMASK_GT] = ~((1u << lane) * 2 - 1),
            [WARP_LANEMASK_GE] = ~((1u << lane) - 1),
        };

        for (unsigned slot = 0; slot < WARP_SLOTS; slot++)
            ((uint32_t *)(warp->base[BASE_WARP] + (size_t)slot * SLOT_BYTES))[lane] = values[slot];
    }
}

static void place_warp(struct block *block, struct warp *warp, char *memory, uint32_t index)
{
    struct grid *grid = block->grid;
    const struct function *f = grid->kernel->function;
    struct frame *frame = &warp->kernel_frame;

    warp->block = block;
    warp->worker = block->worker;
    warp->index = index;
    frame->function = f;
    frame->regs = memory;
    frame->params = memory + f->frame_bytes;
    frame->param_stride = f->param_bytes - f->entry_param_bytes;
    warp->base[BASE_FRAME] = frame->regs;
    warp->base[BASE_CONST] = grid->program->consts;
    warp->base[BASE_LAUNCH] = grid->launch_slots;
    warp->base[BASE_WARP] = memory + f->frame_bytes + align64((size_t)frame->param_stride * LANES);
    warp->local = block->local + (size_t)index * LANES * grid->stack_stride;
    fill_thread_ids(warp, grid);
}

static size_t bytes_per_warp(const struct grid *grid)
{
    const struct function *f = grid->kernel->function;

    return f->frame_bytes + align64((size_t)(f->param_bytes - f->entry_param_bytes) * LANES) +
           WARP_SLOTS * SLOT_BYTES;
}

static bool map_local(struct block *block, const struct grid *grid)
{
    block->local_bytes = (size_t)grid->n_warps * LANES * grid->stack_stride;
    if (!block->local_bytes)
        return true;
    block->local = mmap(NULL, block->local_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block->local == MAP_FAILED)
        block->local = NULL;
    return block->local;
}

struct block *block_new(struct grid *grid, struct worker *worker)
{
    size_t per_warp = bytes_per_warp(grid), head = align64(sizeof(struct block));
    size_t warps = align64(sizeof(struct warp) * grid->n_warps),
           shared = align64((size_t)grid->shared_bytes + 16);
    char *memory = aligned_alloc(64, head + warps + shared + per_warp * grid->n_warps);
    struct block *block = (struct block *)memory;

    if (!memory)
        return NULL;
    memset(memory, 0, head + warps);
    block->grid = grid;
    block->worker = worker;
    block->n_warps = grid->n_warps;
    block->warps = (struct warp *)(memory + head);
    block->shared = memory + head + warps;
    block->text_end = &block->text;
    if (!map_local(block, grid)) {
        free(memory);
        return NULL;
    }
    for (uint32_t i = 0; i < grid->n_warps; i++)
        place_warp(block, &block->warps[i], memory + head + warps + shared + i * per_warp, i);
    return block;
}

void block_free(struct block *block)
{
    if (block->local)
        munmap(block->local, block->local_bytes);
    while (block->text) {
        struct text_piece *next = block->text->next;

        free(block->text);
        block->text = next;
    }
    free(block);
}

static void fill_slot(struct warp *warp, enum warp_slot slot, uint32_t value)
{
    uint32_t *lanes = (uint32_t *)(warp->base[BASE_WARP] + (size_t)slot * SLOT_BYTES);

    for (unsigned lane = 0; lane < LANES; lane++)
        lanes[lane] = value;
}

void block_start(struct block *block, uint64_t number)
{
    const struct grid *grid = block->grid;
    const uint32_t *size = grid->launch->grid;

    block->number = number;
    block->ctaid[0] = (uint32_t)(number % size[0]);
    block->ctaid[1] = (uint32_t)(number / size[0] % size[1]);
    block->ctaid[2] = (uint32_t)(number / size[0] / size[1]);
    block->live_warps = block->n_warps;
    block->instructions = 0;
    memset(block->barriers, 0, sizeof block->barriers);
    memset(block->shared, 0, grid->shared_bytes);
    for (uint32_t i = 0; i < block->n_warps; i++) {
        struct warp *warp = &block->warps[i];
        uint32_t threads = grid->threads - i * LANES;

        warp_start(warp, grid->kernel->function,
                   threads >= LANES ? (uint32_t)FULL_MASK : (1u << threads) - 1);
        for (unsigned axis = 0; axis < 3; axis++)
            fill_slot(warp, (enum warp_slot)(WARP_CTAID_X + axis), block->ctaid[axis]);
        fill_slot(warp, WARP_SMID, (uint32_t)(number % grid->launch->sm_count));
    }
}

static bool must_stop(struct grid *grid)
{
    const volatile uint32_t *cancel = grid->launch->cancel;

    if (cancel && *cancel) {
        struct exec_result *result = grid->result;

        pthread_mutex_lock(&grid->lock);
        if (result->fault == EXEC_OK)
            result->fault = EXEC_FAULT_TIMEOUT;
        pthread_mutex_unlock(&grid->lock);
        __atomic_store_n(&grid->stop, 1, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&grid->stop, __ATOMIC_RELAXED);
}

/* Every thread waits and none can wake another. */
static enum block_progress stuck(struct block *block)
{
    struct warp *warp = block->warps;

    while (!warp->live)
        warp++;
    grid_fault(warp, NULL, (unsigned)__builtin_ctz(warp->live), EXEC_FAULT_TIMEOUT, 0,
               "all threads wait at barriers that cannot open");
    return BLOCK_FAULT;
}

enum block_progress block_run(struct block *block, uint64_t budget)
{
    uint64_t ran_total = 0;

    while (block->live_warps && ran_total < budget) {
        uint64_t ran_before = ran_total;

        if (must_stop(block->grid))
            return BLOCK_FAULT;
        for (uint32_t i = 0; i < block->n_warps; i++) {
            uint32_t ran = 0;

            if (!block->warps[i].live)
                continue;
            if (warp_run(&block->warps[i], SLICE_INSTRUCTIONS, &ran) == WARP_FAULT)
                return BLOCK_FAULT;
            ran_total += ran;
        }
        if (ran_total == ran_before && block->live_warps)
            return stuck(block);
    }
    block->instructions += ran_total;
    return block->live_warps ? BLOCK_RUNS : BLOCK_DONE;
}

void block_cost(const struct block *block, uint64_t *ret_latency_cycles, uint64_t *ret_issue_cycles)
{
    uint64_t counts[COST_CLASS_COUNT] = {0}, latest = 0;

    for (uint32_t i = 0; i < block->n_warps; i++) {
        for (int class = 0; class < COST_CLASS_COUNT; class ++)
            counts[class] += block->warps[i].counts[class];
        if (block->warps[i].cycles > latest)
            latest = block->warps[i].cycles;
    }
    *ret_latency_cycles = latest;
    *ret_issue_cycles = cost_issue_cycles(counts);
}

void block_print(struct block *block, const char *text, size_t bytes)
{
    struct text_piece *piece = malloc(sizeof *piece + bytes);

    if (!piece)
        return;
    piece->next = NULL;
    piece->bytes = bytes;
    memcpy(piece->text, text, bytes);
    *block->text_end = piece;
    block->text_end = &piece->next;
}
