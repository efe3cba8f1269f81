/* Runs one warp: which group of threads goes on, and the loop over its instructions. The order is the deepest
 * frame first and in it the lowest pc, so groups that parted meet again at the first instruction they share;
 * a group stops where another one waits (stop_pc). A group that waits for another of its own warp (a spin
 * lock) would starve it, so after TURN_EVERY instructions the one that has waited longest gets TURN_LENGTH.
 * Called by block.c; never touches another warp. */
#include "softgpu/exec/warp.h"

#include <string.h>

#include "softgpu/exec/block.h"

enum { TURN_EVERY = 4096, TURN_LENGTH = 512, NO_GROUP = GROUPS_MAX };

void warp_enter(struct warp *warp, struct frame *frame)
{
    warp->frame = frame;
    warp->base[BASE_FRAME] = frame->regs;
}

void warp_start(struct warp *warp, const struct function *kernel, uint32_t lanes)
{
    struct frame *frame = &warp->kernel_frame;

    warp->initial = warp->live = lanes;
    warp->n_groups = 0;
    warp->current = NO_GROUP;
    warp->spent = 0;
    warp->taking_turns = false;
    warp->turn = warp->frame_serial = 0;
    warp->cycles = warp->instructions = warp->thread_instructions = 0;
    warp->poll_start = warp->poll_instructions = warp->poll_effects = 0;
    warp->poll_insn = NULL;
    warp->poll_others = 0;
    memset(warp->counts, 0, sizeof warp->counts);
    frame->live = lanes;
    memset(frame->regs, 0, kernel->frame_bytes);
    frame_fill_locals(frame);
    warp_split(warp, frame, kernel->entry_pc, lanes);
    warp->mask = 0;
    warp->regroup = true;
}

/* ---- groups ---- */

static void group_remove(struct warp *warp, uint32_t index)
{
    warp->groups[index] = warp->groups[--warp->n_groups];
}

static void save_running(struct warp *warp)
{
    struct group *group;

    if (warp->current == NO_GROUP)
        return;
    group = &warp->groups[warp->current];
    group->frame = warp->frame;
    group->pc = warp->pc;
    group->mask = warp->mask;
    group->turn = warp->turn;
    if (!group->mask)
        group_remove(warp, warp->current);
    warp->current = NO_GROUP;
}

void warp_split(struct warp *warp, struct frame *frame, uint32_t pc, uint32_t mask)
{
    warp->groups[warp->n_groups++] =
        (struct group){.frame = frame, .pc = pc, .mask = mask, .state = GROUP_READY, .turn = warp->turn};
}

void warp_narrow(struct warp *warp, uint32_t mask)
{
    uint32_t others = warp->mask & ~mask;

    if (!others)
        return;
    warp->mask = mask;
    warp_split(warp, warp->frame, warp->pc, others);
}

void warp_wait(struct warp *warp, enum group_state state, uint32_t key)
{
    struct group *group = &warp->groups[warp->current];

    group->state = state;
    group->key = key;
    save_running(warp);
    warp->regroup = true;
}

void warp_exit(struct warp *warp, uint32_t mask)
{
    warp->live &= ~mask;
    warp->mask &= ~mask;
    for (struct frame *frame = warp->frame; frame;) {
        struct frame *parent = frame->parent;

        frame_leave(warp, frame, mask);
        frame = parent;
    }
    save_running(warp);
    warp->regroup = true;
    if (!warp->live)
        warp->block->live_warps--;
    exchange_recheck(warp);
    barriers_recheck(warp->block);
}

/* Groups at the same instruction of the same frame become one. */
static void merge_groups(struct warp *warp)
{
    for (uint32_t i = 0; i < warp->n_groups; i++) {
        struct group *a = &warp->groups[i];

        for (uint32_t j = i + 1; j < warp->n_groups;) {
            struct group *b = &warp->groups[j];

            if (a->state == GROUP_READY && b->state == GROUP_READY && a->pc == b->pc &&
                a->frame == b->frame) {
                a->mask |= b->mask;
                a->turn = a->turn < b->turn ? a->turn : b->turn;
                group_remove(warp, j);
            } else {
                j++;
            }
        }
    }
}

static bool runs_before(const struct group *a, const struct group *b)
{
    if (a->frame != b->frame)
        return a->frame->depth != b->frame->depth ? a->frame->depth > b->frame->depth
                                                  : a->frame->serial < b->frame->serial;
    return a->pc < b->pc;
}

static uint32_t choose_first(const struct warp *warp, uint32_t *ret_ready)
{
    uint32_t best = NO_GROUP, ready = 0;

    for (uint32_t i = 0; i < warp->n_groups; i++) {
        if (warp->groups[i].state != GROUP_READY)
            continue;
        ready++;
        if (best == NO_GROUP || runs_before(&warp->groups[i], &warp->groups[best]))
            best = i;
    }
    *ret_ready = ready;
    return best;
}

/* Of those that can run, other than first; first where there is none. */
static uint32_t choose_longest_waiting(const struct warp *warp, uint32_t first)
{
    uint32_t best = first;

    for (uint32_t i = 0; i < warp->n_groups; i++) {
        if (i == first || warp->groups[i].state != GROUP_READY)
            continue;
        if (best == first || warp->groups[i].turn < warp->groups[best].turn)
            best = i;
    }
    return best;
}

static uint32_t find_stop(const struct warp *warp, uint32_t running)
{
    uint32_t stop = UINT32_MAX;

    for (uint32_t i = 0; i < warp->n_groups; i++) {
        const struct group *group = &warp->groups[i];

        if (i != running && group->state == GROUP_READY && group->frame == warp->groups[running].frame &&
            group->pc < stop)
            stop = group->pc;
    }
    return stop;
}

/* False: no group can run. */
static bool choose_group(struct warp *warp)
{
    uint32_t chosen, ready;
    struct group *group;

    save_running(warp);
    merge_groups(warp);
    chosen = choose_first(warp, &ready);
    if (chosen == NO_GROUP)
        return false;
    warp->taking_turns = ready > 1 && warp->spent >= TURN_EVERY;
    if (warp->taking_turns)
        chosen = choose_longest_waiting(warp, chosen);
    if (warp->taking_turns || ready == 1)
        warp->spent = 0;
    group = &warp->groups[chosen];
    warp->current = chosen;
    warp->turn++;
    warp_enter(warp, group->frame);
    warp->pc = group->pc;
    warp->mask = group->mask;
    warp->stop_pc = warp->taking_turns || ready == 1 ? UINT32_MAX : find_stop(warp, chosen);
    warp->regroup = false;
    return true;
}

/* Somebody else's turn: the running one has had its share. */
static void account_turn(struct warp *warp, uint32_t ran)
{
    if (warp->n_groups < 2) {
        warp->spent = 0;
        return;
    }
    warp->spent += ran;
    if (warp->spent >= (warp->taking_turns ? (uint32_t)TURN_LENGTH : (uint32_t)TURN_EVERY)) {
        if (warp->taking_turns)
            warp->spent = 0;
        warp->regroup = true;
    }
}

/* ---- the loop ---- */

static inline uint32_t guarded_mask(const struct warp *warp, const struct insn *insn)
{
    uint32_t guard;

    if (insn->guard == OPERAND_NONE)
        return warp->mask;
    guard = predicate_mask(lane_array(warp, insn->guard));
    return warp->mask & (insn->guard_not ? ~guard : guard);
}

/* The running group goes on until it waits, parts, meets another, or budget is spent. */
static enum insn_next run_group(struct warp *warp, const struct insn *code, uint32_t budget,
                                uint32_t *ret_ran)
{
    uint32_t n = 0, last_mask = 0, last_count = 0;
    uint64_t threads = 0;
    enum insn_next next = NEXT_GO;

    do {
        const struct insn *insn = &code[warp->pc++];
        uint32_t mask = guarded_mask(warp, insn);

        n++;
        warp->counts[insn->cost]++;
        warp->cycles += insn->latency_cycles;
        if (!mask)
            continue;
        if (mask != last_mask) {
            last_mask = mask;
            last_count = popcount32(mask);
        }
        threads += last_count;
        next = insn->run(warp, insn, mask);
    } while (next == NEXT_GO && n < budget && warp->pc < warp->stop_pc);
    warp->instructions += n;
    warp->thread_instructions += threads;
    *ret_ran = n;
    return next;
}

enum warp_progress warp_run(struct warp *warp, uint32_t budget, uint32_t *ret_ran)
{
    const struct insn *code = warp->block->grid->program->code;
    uint32_t ran, total = 0;

    while (total < budget) {
        enum insn_next next;

        if (warp->regroup && !choose_group(warp)) {
            *ret_ran = total;
            return warp->live ? WARP_WAITS : WARP_DONE;
        }
        next = run_group(warp, code, budget - total, &ran);
        total += ran;
        account_turn(warp, ran);
        if (next == NEXT_REGROUP || warp->pc >= warp->stop_pc)
            warp->regroup = true;
        if (next == NEXT_STOP) {
            *ret_ran = total;
            return WARP_FAULT;
        }
        if (next == NEXT_YIELD)
            break;
    }
    *ret_ran = total;
    return WARP_RAN;
}
