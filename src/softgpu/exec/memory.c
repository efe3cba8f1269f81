/* From a kernel's addresses to host pointers, with every bound checked: whatever a kernel computes, a wrong
 * address becomes a fault of its grid and never a signal. Allocations are asked of exec_launch.memory and
 * remembered in a cache a worker. */
#include <string.h>

#include "softgpu/exec/block.h"

static bool inside(const struct exec_range *range, uint64_t addr, uint64_t bytes)
{
    return addr >= range->base && addr < range->end && range->end - addr >= bytes;
}

static const struct exec_range *find_range(struct worker *worker, uint64_t addr)
{
    const struct exec_memory *memory = &worker->grid->launch->memory;
    struct address_cache *cache = &worker->cache;
    uint64_t generation = memory->generation ? __atomic_load_n(memory->generation, __ATOMIC_RELAXED) : 0;
    struct exec_range found;
    int i;

    if (generation != cache->generation) {
        memset(cache, 0, sizeof *cache);
        cache->generation = generation;
    }
    for (i = 0; i < CACHE_ENTRIES; i++)
        if (inside(&cache->entries[i], addr, 1))
            break;
    if (i == 0)
        return &cache->entries[0];
    if (i < CACHE_ENTRIES) {
        found = cache->entries[i];
    } else {
        if (!memory->find || !memory->find(memory->owner, addr, &found) || !inside(&found, addr, 1))
            return NULL;
        i = CACHE_ENTRIES - 1;
    }
    memmove(&cache->entries[1], &cache->entries[0], (size_t)i * sizeof cache->entries[0]);
    cache->entries[0] = found;
    return &cache->entries[0];
}

char *memory_global(struct worker *worker, uint64_t addr, uint64_t bytes)
{
    const struct exec_range *range = find_range(worker, addr);

    return range && inside(range, addr, bytes) ? range->host + (addr - range->base) : NULL;
}

enum ptx_space memory_space(uint64_t addr)
{
    if (addr - EXEC_SHARED_WINDOW_BASE < EXEC_WINDOW_BYTES)
        return PTX_SPACE_SHARED;
    if (addr - EXEC_LOCAL_WINDOW_BASE < LOCAL_PART_BYTES)
        return PTX_SPACE_LOCAL;
    if (addr - PARAM_WINDOW_BASE < PARAM_WINDOW_BYTES)
        return PTX_SPACE_PARAM;
    return PTX_SPACE_GLOBAL;
}

static char *checked(char *base, uint64_t limit, uint64_t offset, uint64_t bytes)
{
    return offset < limit && limit - offset >= bytes ? base + offset : NULL;
}

char *memory_lane(struct warp *warp, enum ptx_space space, unsigned lane, uint64_t addr, uint64_t bytes)
{
    struct grid *grid = warp->block->grid;

    if (space == PTX_SPACE_GENERIC) {
        static const uint64_t window[] = {[PTX_SPACE_SHARED] = EXEC_SHARED_WINDOW_BASE,
                                          [PTX_SPACE_LOCAL] = EXEC_LOCAL_WINDOW_BASE,
                                          [PTX_SPACE_PARAM] = PARAM_WINDOW_BASE};

        if (addr - WORKSPACE_BASE < WORKSPACE_BYTES)
            return checked((char *)grid->workspace, WORKSPACE_BYTES, addr - WORKSPACE_BASE, bytes);
        space = memory_space(addr);
        addr -= window[space];
    }
    switch (space) {
    case PTX_SPACE_SHARED:
        return checked(warp->block->shared, grid->shared_bytes, addr, bytes);
    case PTX_SPACE_LOCAL:
        return checked(warp->local + (size_t)lane * grid->stack_stride, grid->stack_stride, addr, bytes);
    case PTX_SPACE_PARAM:
        return checked(grid->params, grid->param_bytes, addr, bytes);
    default:
        if (addr - WORKSPACE_BASE < WORKSPACE_BYTES)
            return checked((char *)grid->workspace, WORKSPACE_BYTES, addr - WORKSPACE_BASE, bytes);
        return memory_global(warp->worker, addr, bytes);
    }
}

char *memory_rest(struct warp *warp, unsigned lane, uint64_t addr, uint64_t *ret_bytes)
{
    struct grid *grid = warp->block->grid;
    const struct exec_range *range;
    uint64_t limit;

    switch (memory_space(addr)) {
    case PTX_SPACE_SHARED:
        addr -= EXEC_SHARED_WINDOW_BASE;
        limit = grid->shared_bytes;
        *ret_bytes = addr < limit ? limit - addr : 0;
        return checked(warp->block->shared, limit, addr, 1);
    case PTX_SPACE_LOCAL:
        addr -= EXEC_LOCAL_WINDOW_BASE;
        limit = grid->stack_stride;
        *ret_bytes = addr < limit ? limit - addr : 0;
        return checked(warp->local + (size_t)lane * limit, limit, addr, 1);
    case PTX_SPACE_PARAM:
        addr -= PARAM_WINDOW_BASE;
        limit = grid->param_bytes;
        *ret_bytes = addr < limit ? limit - addr : 0;
        return checked(grid->params, limit, addr, 1);
    default:
        range = find_range(warp->worker, addr);
        if (!range)
            return NULL;
        *ret_bytes = range->end - addr;
        return range->host + (addr - range->base);
    }
}

/* ---- whole warps ---- */

static uint64_t lane_address(const struct warp *warp, const struct insn *insn, unsigned lane)
{
    return lane_read(lane_array(warp, insn->src[0]), insn->src_bytes[0], lane) + (uint64_t)insn->imm;
}

/* All lanes in shared memory, or all in one allocation: the usual case, without a loop here. */
static bool lanes_together(struct warp *warp, const struct insn *insn, uint32_t mask, unsigned bytes,
                           unsigned align, bool writes, char *ret_pointers[LANES])
{
    struct grid *grid = warp->block->grid;
    struct lanes_access access = {.addresses = lane_array(warp, insn->src[0]),
                                  .width_bytes = insn->src_bytes[0],
                                  .offset = (uint64_t)insn->imm,
                                  .mask = mask,
                                  .bytes = bytes,
                                  .align = align};
    uint64_t first = lane_address(warp, insn, (unsigned)__builtin_ctz(mask));
    const struct exec_range *range;

    if (insn->space == PTX_SPACE_LOCAL || insn->space == PTX_SPACE_PARAM)
        return false;
    if (insn->space == PTX_SPACE_SHARED ||
        (insn->space == PTX_SPACE_GENERIC && first - EXEC_SHARED_WINDOW_BASE < EXEC_WINDOW_BYTES)) {
        access.base = insn->space == PTX_SPACE_SHARED ? 0 : EXEC_SHARED_WINDOW_BASE;
        access.size_bytes = grid->shared_bytes;
        access.host = warp->block->shared;
    } else {
        range = find_range(warp->worker, first);
        if (!range || (writes && range->is_read_only))
            return false;
        access.base = range->base;
        access.size_bytes = range->end - range->base;
        access.host = range->host;
    }
    return grid->lanes->place(&access, ret_pointers);
}

static bool is_read_only(struct warp *warp, enum ptx_space space, uint64_t addr)
{
    const struct exec_range *range;

    if (space != PTX_SPACE_GLOBAL && (space != PTX_SPACE_GENERIC || memory_space(addr) != PTX_SPACE_GLOBAL))
        return false;
    range = find_range(warp->worker, addr);
    return range && range->is_read_only;
}

bool memory_lanes(struct warp *warp, const struct insn *insn, uint32_t mask, unsigned bytes, unsigned align,
                  bool writes, char *ret_pointers[LANES])
{
    if (lanes_together(warp, insn, mask, bytes, align, writes, ret_pointers))
        return true;
    memset(ret_pointers, 0, LANES * sizeof *ret_pointers);
    for_each_lane(lane, mask)
    {
        uint64_t addr = lane_address(warp, insn, lane);

        if (addr & (align - 1)) {
            grid_fault(warp, insn, lane, EXEC_FAULT_MISALIGNED, addr, "misaligned address");
            return false;
        }
        ret_pointers[lane] = memory_lane(warp, (enum ptx_space)insn->space, lane, addr, bytes);
        if (!ret_pointers[lane] || (writes && is_read_only(warp, (enum ptx_space)insn->space, addr))) {
            grid_fault(warp, insn, lane, EXEC_FAULT_ILLEGAL_ADDRESS, addr, "illegal address");
            return false;
        }
    }
    return true;
}
