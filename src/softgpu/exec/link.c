/* Walks the call graph from each kernel: which shared variables get a place in its block, how deep its stack
 * becomes, whether it reaches something unsupported, whether its blocks are alike. An indirect call may reach
 * every function that is not a kernel; recursion gets a fixed stack. */
#include "softgpu/exec/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/alike.h"
#include "softgpu/exec/program.h"

enum {
    RECURSION_STACK_BYTES = 32 * 1024,
    CALL_LEVELS_MAX = 1000,
    REGISTERS_MIN = 16,
    REGISTERS_MAX = 255,
    THREADS_MAX = 1024,
    SHARED_TOTAL_MAX = 1 << 30
};

struct walk {
    const struct exec_program *program;
    uint8_t *seen;                       /* per function */
    uint32_t *reached, n_reached;        /* functions, each once */
    uint8_t *shared_used, *globals_used; /* bits, of all that is reached */
    uint32_t
        *depth; /* per function: bytes of stack from it on, NOT_KNOWN, or OPEN while it is being found out */
    bool indirect, recursive;
};

#define NOT_KNOWN UINT32_MAX
#define OPEN      (UINT32_MAX - 1)

static bool bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static void visit(struct walk *walk, uint32_t function)
{
    if (walk->seen[function])
        return;
    walk->seen[function] = 1;
    walk->reached[walk->n_reached++] = function;
}

/* Everything reachable from kernel into walk->reached, and what it uses. */
static void reach(struct walk *walk, const struct function *kernel)
{
    const struct exec_program *p = walk->program;

    for (uint32_t i = 0; i < walk->n_reached; i++)
        walk->seen[walk->reached[i]] = 0;
    walk->n_reached = 0;
    walk->indirect = walk->recursive = false;
    memset(walk->shared_used, 0, p->n_shared / 8 + 1);
    memset(walk->globals_used, 0, p->n_globals / 8 + 1);
    visit(walk, kernel->index);
    for (uint32_t at = 0; at < walk->n_reached; at++) {
        const struct function *f = &p->functions[walk->reached[at]];

        for (uint32_t i = 0; i < f->n_calls; i++)
            visit(walk, f->calls[i]);
        for (uint32_t i = 0; i < p->n_functions && f->calls_indirect && !walk->indirect; i++)
            if (p->functions[i].has_body && !p->functions[i].is_entry)
                visit(walk, i);
        walk->indirect |= f->calls_indirect;
        for (uint32_t i = 0; i < p->n_shared / 8 + 1; i++)
            walk->shared_used[i] |= f->shared_used[i];
        for (size_t i = 0; i < p->n_globals / 8 + 1; i++)
            walk->globals_used[i] |= f->globals_used[i];
    }
}

/* Deepest stack from function on. A cycle, or a chain of calls too deep to follow, counts as recursion. */
static uint32_t stack_depth(struct walk *walk, const struct function *f, uint32_t level)
{
    uint32_t deepest = 0;

    if (walk->depth[f->index] == OPEN || level > CALL_LEVELS_MAX) {
        walk->recursive = true;
        return 0;
    }
    if (walk->depth[f->index] != NOT_KNOWN)
        return walk->depth[f->index];
    walk->depth[f->index] = OPEN;
    for (uint32_t i = 0; i < f->n_calls; i++) {
        uint32_t below = stack_depth(walk, &walk->program->functions[f->calls[i]], level + 1);

        deepest = below > deepest ? below : deepest;
    }
    walk->depth[f->index] = ((f->local_bytes + 15) & ~15u) + deepest;
    return walk->depth[f->index];
}

/* The answer holds for one kernel: a function inside a cycle knows its depth only from where the cycle was
 * entered. */
static uint32_t kernel_stack(struct walk *walk, const struct function *kernel)
{
    for (uint32_t i = 0; i < walk->n_reached; i++)
        walk->depth[walk->reached[i]] = NOT_KNOWN;
    return stack_depth(walk, kernel, 0);
}

static int place_shared(const struct exec_program *p, const struct walk *walk, struct zone *zone,
                        struct kernel *kernel, uint32_t *ret_static_bytes)
{
    uint32_t dynamic_align = 16;
    uint64_t offset = 0;

    kernel->shared_offset = zone_alloc(zone, (p->n_shared + 1) * sizeof *kernel->shared_offset);
    if (!kernel->shared_offset)
        return -ENOMEM;
    for (uint32_t s = 0; s < p->n_shared; s++) {
        const struct shared_symbol *symbol = &p->shared[s];

        if (!bit(walk->shared_used, s))
            continue;
        if (symbol->size_bytes == 0) {
            dynamic_align = symbol->align_bytes > dynamic_align ? symbol->align_bytes : dynamic_align;
            continue;
        }
        offset = (offset + symbol->align_bytes - 1) / symbol->align_bytes * symbol->align_bytes;
        kernel->shared_offset[s] = (uint32_t)offset;
        offset += symbol->size_bytes;
        if (offset > SHARED_TOTAL_MAX)
            offset = SHARED_TOTAL_MAX; /* no launch of this kernel will be accepted */
    }
    *ret_static_bytes = (uint32_t)offset;
    kernel->dynamic_offset = ((uint32_t)offset + dynamic_align - 1) / dynamic_align * dynamic_align;
    for (uint32_t s = 0; s < p->n_shared; s++)
        if (p->shared[s].size_bytes == 0)
            kernel->shared_offset[s] = kernel->dynamic_offset;
    return 0;
}

static uint32_t threads_of(const struct ptx_func *ast)
{
    const uint32_t *n = ast->reqntid[0] ? ast->reqntid : ast->maxntid;
    uint64_t threads = 1;

    if (!n[0])
        return THREADS_MAX;
    for (int i = 0; i < 3; i++)
        threads *= n[i] ? n[i] : 1;
    return threads < THREADS_MAX ? (uint32_t)threads : THREADS_MAX;
}

static int describe_params(const struct function *f, struct zone *zone, struct exec_kernel *info)
{
    uint32_t *offsets = zone_alloc(zone, (f->n_params + 1) * sizeof *offsets);
    uint32_t *sizes = zone_alloc(zone, (f->n_params + 1) * sizeof *sizes);

    if (!offsets || !sizes)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->n_params; i++) {
        offsets[i] = f->params[i].offset_bytes;
        sizes[i] = f->params[i].size_bytes;
    }
    info->n_params = f->n_params;
    info->param_offset_bytes = offsets;
    info->param_size_bytes = sizes;
    info->param_bytes = f->entry_param_bytes;
    return 0;
}

static uint32_t const_bytes(const struct exec_program *p, const struct walk *walk)
{
    uint64_t bytes = 0;

    for (uint32_t g = 0; g < p->n_globals; g++)
        if (bit(walk->globals_used, g) && p->globals[g].space == PTX_SPACE_CONST)
            bytes += p->globals[g].size_bytes;
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static int describe(struct exec_program *p, struct walk *walk, const struct function *f,
                    struct exec_kernel *info, struct kernel *kernel)
{
    uint32_t registers = REGISTERS_MIN;
    int ret;

    reach(walk, f);
    kernel->function = f;
    kernel->stack_bytes = kernel_stack(walk, f);
    kernel->is_alike = alike_blocks(p, f);
    info->name = f->name;
    info->local_bytes_per_thread = kernel->stack_bytes;
    if (walk->recursive || walk->indirect)
        kernel->stack_bytes += RECURSION_STACK_BYTES;
    for (uint32_t i = 0; i < walk->n_reached; i++) {
        const struct function *reached = &p->functions[walk->reached[i]];

        registers = reached->live_registers > registers ? reached->live_registers : registers;
        if (reached->unsupported && !info->unsupported)
            info->unsupported = reached->unsupported;
    }
    info->registers_per_thread = registers > REGISTERS_MAX ? REGISTERS_MAX : registers;
    info->max_threads_per_block = threads_of(f->ast);
    info->const_bytes = const_bytes(p, walk);
    info->ptx_version = p->module->version_major * 10 + p->module->version_minor;
    info->target_sm = p->module->target_sm;
    ret = describe_params(f, &p->zone, info);
    return ret ? ret : place_shared(p, walk, &p->zone, kernel, &info->static_shared_bytes);
}

static int walk_init(struct walk *walk, const struct exec_program *p)
{
    *walk = (struct walk){.program = p,
                          .seen = calloc(1, p->n_functions + 1u),
                          .reached = calloc(p->n_functions + 1u, sizeof *walk->reached),
                          .depth = calloc(p->n_functions + 1u, sizeof *walk->depth),
                          .shared_used = calloc(1, p->n_shared / 8 + 1u),
                          .globals_used = calloc(1, p->n_globals / 8 + 1)};
    return walk->seen && walk->reached && walk->depth && walk->shared_used && walk->globals_used ? 0
                                                                                                 : -ENOMEM;
}

static void walk_done(struct walk *walk)
{
    free(walk->seen);
    free(walk->reached);
    free(walk->depth);
    free(walk->shared_used);
    free(walk->globals_used);
}

int link_kernels(struct exec_program *p)
{
    struct exec_kernel *infos = zone_alloc(&p->zone, (p->n_functions + 1) * sizeof *infos);
    struct kernel *kernels = zone_alloc(&p->zone, (p->n_functions + 1) * sizeof *kernels);
    struct walk walk;
    int ret = walk_init(&walk, p);

    if (!infos || !kernels)
        ret = -ENOMEM;
    for (uint32_t i = 0; i < p->n_functions && !ret; i++) {
        if (!p->functions[i].is_entry || !p->functions[i].has_body)
            continue;
        ret = describe(p, &walk, &p->functions[i], &infos[p->n_kernels], &kernels[p->n_kernels]);
        p->n_kernels++;
    }
    p->kernels = infos;
    p->kernel_data = kernels;
    walk_done(&walk);
    return ret;
}
