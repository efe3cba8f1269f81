/* Register allocation in its simplest exact form: liveness over basic blocks, one interval a virtual
 * register, and one pass that hands slots of the same width on. It exists because compilers write PTX with
 * thousands of registers: one slot each would push every warp out of the cache. Two registers share a slot
 * only when their intervals do not even touch, so an instruction never writes the slot it reads from unless
 * the program says so. Called by decode.c at a function's end. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/run.h"

enum { WIDTHS = 4 };
#define NOWHERE           UINT32_MAX
#define LIVENESS_BITS_MAX ((uint64_t)1 << 31) /* above this every register gets a slot of its own */

struct interval {
    uint32_t start, end;
    uint32_t next_start, next_end; /* lists of intervals with the same start, the same end */
    uint32_t slot;
};

struct liveness {
    struct decoder *d;
    uint32_t first, n;     /* instructions */
    uint32_t *block_of;    /* per instruction */
    uint32_t *block_start; /* n_blocks + 1 */
    uint32_t n_blocks, words;
    uint64_t *in, *gen, *kill; /* n_blocks x words */
    struct interval *intervals;
};

static bool is_vreg(uint32_t operand)
{
    return operand != OPERAND_NONE && OPERAND_BASE(operand) == BASE_FRAME;
}

typedef void (*vreg_visit)(void *data, uint32_t *operand, bool is_def);

static void visit_insn(struct insn *insn, vreg_visit visit, void *data)
{
    if (is_vreg(insn->guard))
        visit(data, &insn->guard, false);
    for (unsigned i = 0; i < INSN_SRC_MAX; i++)
        if (is_vreg(insn->src[i]))
            visit(data, &insn->src[i], false);
    for (unsigned i = 0; i < INSN_DST_MAX; i++)
        if (is_vreg(insn->dst[i]))
            visit(data, &insn->dst[i], true);
}

/* ---- control flow ---- */

static bool ends_flow(const struct insn *insn)
{
    return insn->guard == OPERAND_NONE &&
           (insn->run == run_branch || insn->run == run_branch_index || insn->run == run_ret ||
            insn->run == run_exit || insn->run == run_trap);
}

static uint32_t n_targets(const struct insn *insn)
{
    return insn->run == run_branch ? 1 : insn->run == run_branch_index ? (uint32_t)insn->imm : 0;
}

static uint32_t target(const struct insn *insn, uint32_t i)
{
    return insn->run == run_branch ? (uint32_t)insn->imm : insn->targets[i];
}

static void find_blocks(struct liveness *l)
{
    const struct insn *code = l->d->code + l->first;
    uint32_t n = 0;

    memset(l->block_of, 0, l->n * sizeof *l->block_of);
    l->block_of[0] = 1;
    for (uint32_t i = 0; i < l->n; i++) {
        for (uint32_t t = 0; t < n_targets(&code[i]); t++)
            l->block_of[target(&code[i], t) - l->first] = 1;
        if ((n_targets(&code[i]) || ends_flow(&code[i])) && i + 1 < l->n)
            l->block_of[i + 1] = 1;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->block_of[i])
            l->block_start[n++] = i;
        l->block_of[i] = n - 1;
    }
    l->block_start[n] = l->n;
    l->n_blocks = n;
}

struct block_scan {
    struct liveness *l;
    uint64_t *gen, *kill;
    bool guarded;
};

static void scan_vreg(void *data, uint32_t *operand, bool is_def)
{
    struct block_scan *scan = data;
    uint32_t vreg = OPERAND_OFFSET(*operand);
    uint64_t bit = UINT64_C(1) << vreg % 64;

    if (is_def && !scan->guarded)
        scan->kill[vreg / 64] |= bit;
    else if (!is_def && !(scan->kill[vreg / 64] & bit))
        scan->gen[vreg / 64] |= bit;
}

static void scan_blocks(struct liveness *l)
{
    for (uint32_t b = 0; b < l->n_blocks; b++) {
        struct block_scan scan = {
            .l = l, .gen = l->gen + (size_t)b * l->words, .kill = l->kill + (size_t)b * l->words};

        for (uint32_t i = l->block_start[b]; i < l->block_start[b + 1]; i++) {
            struct insn *insn = &l->d->code[l->first + i];

            scan.guarded = insn->guard != OPERAND_NONE;
            visit_insn(insn, scan_vreg, &scan);
        }
    }
}

/* live-out of block b, word w: what its successors want. */
static uint64_t live_out(const struct liveness *l, uint32_t b, uint32_t w)
{
    uint32_t last = l->block_start[b + 1] - 1;
    const struct insn *insn = &l->d->code[l->first + last];
    uint64_t out = 0;

    for (uint32_t t = 0; t < n_targets(insn); t++)
        out |= l->in[(size_t)l->block_of[target(insn, t) - l->first] * l->words + w];
    if (!ends_flow(insn) && b + 1 < l->n_blocks)
        out |= l->in[(size_t)(b + 1) * l->words + w];
    return out;
}

static void solve(struct liveness *l)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (uint32_t b = l->n_blocks; b-- > 0;) {
            for (uint32_t w = 0; w < l->words; w++) {
                size_t at = (size_t)b * l->words + w;
                uint64_t in = l->gen[at] | (live_out(l, b, w) & ~l->kill[at]);

                changed |= in != l->in[at];
                l->in[at] = in;
            }
        }
    }
}

/* ---- intervals ---- */

static void extend(struct interval *interval, uint32_t at)
{
    if (interval->start == NOWHERE || at < interval->start)
        interval->start = at;
    if (interval->end == NOWHERE || at > interval->end)
        interval->end = at;
}

struct touch {
    struct liveness *l;
    uint32_t at;
};

static void touch_vreg(void *data, uint32_t *operand, bool is_def)
{
    struct touch *touch = data;
    uint32_t vreg = OPERAND_OFFSET(*operand);

    extend(&touch->l->intervals[vreg], touch->at);
    if (touch->l->d->vregs[vreg].pinned) {
        extend(&touch->l->intervals[vreg], 0);
        extend(&touch->l->intervals[vreg], touch->l->n - 1);
    }
}

static void extend_word(struct liveness *l, uint64_t word, uint32_t w, uint32_t at)
{
    for (; word; word &= word - 1)
        extend(&l->intervals[w * 64 + (uint32_t)__builtin_ctzll(word)], at);
}

static void make_intervals(struct liveness *l, bool solved)
{
    for (uint32_t i = 0; i < l->d->n_vregs; i++) {
        l->intervals[i] = (struct interval){.start = NOWHERE, .end = NOWHERE};
        if (l->d->vregs[i].pinned) {
            extend(&l->intervals[i], 0);
            extend(&l->intervals[i], l->n - 1);
        }
    }
    for (uint32_t i = 0; i < l->n; i++) {
        struct touch touch = {.l = l, .at = i};

        visit_insn(&l->d->code[l->first + i], touch_vreg, &touch);
    }
    for (uint32_t b = 0; b < l->n_blocks && solved; b++) {
        for (uint32_t w = 0; w < l->words; w++) {
            extend_word(l, l->in[(size_t)b * l->words + w], w, l->block_start[b]);
            extend_word(l, live_out(l, b, w), w, l->block_start[b + 1] - 1);
        }
    }
}

/* ---- slots ---- */

static unsigned width_index(unsigned bytes)
{
    return bytes == 8 ? 0 : bytes == 4 ? 1 : bytes == 2 ? 2 : 3;
}

struct pool {
    uint32_t n, n_free;
    uint32_t *free;
};

static void give_slots(struct liveness *l, struct pool pools[WIDTHS], uint32_t *starts, uint32_t *ends)
{
    struct decoder *d = l->d;

    memset(starts, 0xff, l->n * sizeof *starts);
    memset(ends, 0xff, l->n * sizeof *ends);
    for (uint32_t v = 0; v < d->n_vregs; v++) {
        struct interval *interval = &l->intervals[v];

        if (interval->start == NOWHERE)
            continue;
        interval->next_start = starts[interval->start];
        starts[interval->start] = v;
        interval->next_end = ends[interval->end];
        ends[interval->end] = v;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        for (uint32_t v = starts[i]; v != NOWHERE; v = l->intervals[v].next_start) {
            struct pool *pool = &pools[width_index(d->vregs[v].bytes)];

            l->intervals[v].slot = pool->n_free ? pool->free[--pool->n_free] : pool->n++;
        }
        for (uint32_t v = ends[i]; v != NOWHERE; v = l->intervals[v].next_end) {
            struct pool *pool = &pools[width_index(d->vregs[v].bytes)];

            pool->free[pool->n_free++] = l->intervals[v].slot;
        }
    }
}

struct placement {
    struct liveness *l;
    uint32_t base[WIDTHS];
};

static uint32_t place(const struct placement *p, uint32_t vreg)
{
    unsigned bytes = p->l->d->vregs[vreg].bytes;

    return p->base[width_index(bytes)] + p->l->intervals[vreg].slot * LANES * bytes;
}

static void place_vreg(void *data, uint32_t *operand, bool is_def)
{
    *operand = OPERAND(BASE_FRAME, place(data, OPERAND_OFFSET(*operand)));
}

/* Actuals are reached through const pointers by those who run; until here they belong to the decoder. */
static void place_actuals(const struct placement *p, const struct actual *actuals, uint32_t n)
{
    struct actual *writable = (struct actual *)actuals;

    for (uint32_t i = 0; i < n; i++)
        if (is_vreg(writable[i].operand))
            place_vreg((void *)p, &writable[i].operand, false);
}

static void place_formals(const struct placement *p, struct formal *formals, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (formals[i].in_register)
            formals[i].offset_bytes = place(p, formals[i].offset_bytes);
}

static void place_all(struct liveness *l, const struct pool pools[WIDTHS])
{
    static const unsigned bytes_of[WIDTHS] = {8, 4, 2, 1};
    struct function *f = l->d->function;
    struct placement p = {.l = l};
    uint32_t offset = 0;

    for (int i = 0; i < WIDTHS; i++) {
        p.base[i] = offset;
        offset += pools[i].n * LANES * bytes_of[i];
    }
    f->frame_bytes = (offset + 63) & ~63u;
    f->live_registers = pools[0].n * 2 + pools[1].n + pools[2].n;
    for (uint32_t i = 0; i < l->n; i++) {
        struct insn *insn = &l->d->code[l->first + i];

        visit_insn(insn, place_vreg, &p);
        if (insn->is_call) {
            place_actuals(&p, insn->call->args, insn->call->n_args);
            place_actuals(&p, insn->call->returns, insn->call->n_returns);
        }
    }
    place_formals(&p, f->params, f->n_params);
    place_formals(&p, f->returns, f->n_returns);
    for (uint32_t i = 0; i < l->d->n_locals; i++)
        l->d->locals[i].slot_bytes = place(&p, l->d->locals[i].slot_bytes);
}

static int assign(struct liveness *l)
{
    struct pool pools[WIDTHS] = {0};
    uint32_t n_vregs = l->d->n_vregs;
    uint32_t *lists = calloc((size_t)l->n * 2, sizeof *lists);
    uint32_t *free_lists = calloc((size_t)n_vregs * WIDTHS, sizeof *free_lists);
    uint64_t bits = (uint64_t)l->n_blocks * l->words * 64;
    bool solvable = bits <= LIVENESS_BITS_MAX;
    int ret = -ENOMEM;

    if (!lists || !free_lists)
        goto done;
    if (solvable) {
        l->in = calloc(3 * (size_t)l->n_blocks * l->words, sizeof *l->in);
        if (!l->in)
            goto done;
        l->gen = l->in + (size_t)l->n_blocks * l->words;
        l->kill = l->gen + (size_t)l->n_blocks * l->words;
        scan_blocks(l);
        solve(l);
    } else {
        for (uint32_t i = 0; i < n_vregs; i++)
            l->d->vregs[i].pinned = true;
    }
    make_intervals(l, solvable);
    for (int i = 0; i < WIDTHS; i++)
        pools[i].free = free_lists + (size_t)i * n_vregs;
    give_slots(l, pools, lists, lists + l->n);
    place_all(l, pools);
    ret = 0;
done:
    free(l->in);
    free(lists);
    free(free_lists);
    return ret;
}

int slots_assign(struct decoder *d, uint32_t first_pc)
{
    struct liveness l = {
        .d = d, .first = first_pc, .n = d->n_code - first_pc, .words = (d->n_vregs + 63) / 64};
    int ret = -ENOMEM;

    l.block_of = calloc(l.n, sizeof *l.block_of);
    l.block_start = calloc((size_t)l.n + 1, sizeof *l.block_start);
    l.intervals = calloc(d->n_vregs, sizeof *l.intervals);
    if (l.block_of && l.block_start && l.intervals) {
        find_blocks(&l);
        ret = assign(&l);
    }
    free(l.block_of);
    free(l.block_start);
    free(l.intervals);
    return ret;
}
