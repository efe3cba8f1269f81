/* Calls: frames, parameters and returns. Threads that call together share a frame; each has its own piece of
 * the frame's parameter area and of its warp's stack. Threads may return at different times; the frame is
 * reused after the last. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/block.h"

enum { CALL_DEPTH_MAX = 2048, FRAME_ALIGN = 64 };

static size_t align_frame(size_t bytes)
{
    return (bytes + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
}

/* ---- frames ---- */

void frame_fill_locals(struct frame *frame)
{
    const struct function *f = frame->function;

    for (uint32_t i = 0; i < f->n_locals; i++) {
        uint64_t *lanes = (uint64_t *)(frame->regs + f->locals[i].slot_bytes);

        for (unsigned lane = 0; lane < LANES; lane++)
            lanes[lane] = frame->local_base_bytes + f->locals[i].offset_bytes;
    }
}

static struct frame *frame_take(struct worker *worker, size_t bytes)
{
    struct frame *frame;

    for (struct frame **at = &worker->free_frames; *at; at = &(*at)->next_free) {
        frame = *at;
        if (frame->capacity_bytes >= bytes) {
            *at = frame->next_free;
            return frame;
        }
    }
    frame = aligned_alloc(FRAME_ALIGN, bytes);
    if (!frame)
        return NULL;
    frame->capacity_bytes = bytes;
    frame->next_owned = worker->owned_frames;
    worker->owned_frames = frame;
    return frame;
}

struct frame *frame_new(struct warp *warp, const struct function *function, uint32_t mask)
{
    size_t head = align_frame(sizeof(struct frame)),
           params = align_frame((size_t)function->param_bytes * LANES);
    struct frame *frame = frame_take(warp->worker, head + function->frame_bytes + params);

    if (!frame)
        return NULL;
    *frame = (struct frame){.function = function,
                            .live = mask,
                            .serial = ++warp->frame_serial,
                            .regs = (char *)frame + head,
                            .params = (char *)frame + head + function->frame_bytes,
                            .param_stride = function->param_bytes,
                            .capacity_bytes = frame->capacity_bytes,
                            .next_owned = frame->next_owned};
    memset(frame->regs, 0, function->frame_bytes + params);
    return frame;
}

void frame_leave(struct warp *warp, struct frame *frame, uint32_t mask)
{
    frame->live &= ~mask;
    if (frame->live || !frame->parent)
        return;
    frame->next_free = warp->worker->free_frames;
    warp->worker->free_frames = frame;
}

/* ---- parameters ---- */

static char *param_piece(struct warp *warp, struct frame *frame, unsigned lane, uint32_t offset)
{
    uint32_t of_launch = frame->function->entry_param_bytes;

    if (offset < of_launch)
        return (char *)warp->block->grid->params + offset;
    return frame->params + (size_t)lane * frame->param_stride + (offset - of_launch);
}

static void *actual_lanes(struct warp *warp, struct frame *caller, const struct actual *actual)
{
    if (OPERAND_BASE(actual->operand) == BASE_FRAME)
        return caller->regs + OPERAND_OFFSET(actual->operand);
    return lane_array(warp, actual->operand);
}

uint64_t call_argument(struct warp *warp, const struct actual *actual, unsigned lane)
{
    uint64_t value = 0;

    if (actual->in_register)
        return lane_read(actual_lanes(warp, warp->frame, actual), actual->size_bytes, lane);
    memcpy(&value, param_piece(warp, warp->frame, lane, actual->offset_bytes), actual->size_bytes);
    return value;
}

void call_result(struct warp *warp, const struct actual *actual, unsigned lane, uint64_t value)
{
    if (actual->unused)
        return;
    if (actual->in_register)
        lane_write(actual_lanes(warp, warp->frame, actual), actual->size_bytes, lane, value);
    else
        memcpy(param_piece(warp, warp->frame, lane, actual->offset_bytes), &value, actual->size_bytes);
}

/* Moves one parameter for the lanes of mask: to the callee, or back from it. Sizes were compared when
 * decoded. */
static void move_param(struct warp *warp, struct frame *caller, const struct actual *actual,
                       struct frame *callee, const struct formal *formal, bool back, uint32_t mask)
{
    uint32_t bytes = formal->size_bytes;

    if (actual->unused)
        return;
    for_each_lane(lane, mask)
    {
        char *outer = actual->in_register ? (char *)actual_lanes(warp, caller, actual) + (size_t)lane * bytes
                                          : param_piece(warp, caller, lane, actual->offset_bytes);
        char *inner = formal->in_register ? callee->regs + formal->offset_bytes + (size_t)lane * bytes
                                          : param_piece(warp, callee, lane, formal->offset_bytes);

        memcpy(back ? outer : inner, back ? inner : outer, bytes);
    }
}

/* ---- call and return ---- */

static enum insn_next enter(struct warp *warp, const struct insn *insn, const struct function *callee,
                            uint32_t mask)
{
    struct frame *caller = warp->frame, *frame;
    uint32_t local_base = (caller->local_base_bytes + caller->function->local_bytes + 15) & ~15u;
    unsigned first = (unsigned)__builtin_ctz(mask);

    if (caller->depth + 1 >= CALL_DEPTH_MAX ||
        local_base + callee->local_bytes > warp->block->grid->stack_stride)
        return grid_fault(warp, insn, first, EXEC_FAULT_STACK, 0, "call depth or stack exhausted");
    frame = frame_new(warp, callee, mask);
    if (!frame)
        return grid_fault(warp, insn, first, EXEC_FAULT_STACK, 0, "no memory for a call");
    frame->parent = caller;
    frame->depth = caller->depth + 1;
    frame->call = insn;
    frame->return_pc = warp->pc;
    frame->local_base_bytes = local_base;
    frame_fill_locals(frame);
    for (uint32_t i = 0; i < insn->call->n_args; i++)
        move_param(warp, caller, &insn->call->args[i], frame, &callee->params[i], false, mask);
    warp_narrow(warp, mask);
    warp_enter(warp, frame);
    warp->pc = callee->entry_pc;
    return NEXT_REGROUP;
}

enum insn_next run_call(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    return enter(warp, insn, insn->call->callee, mask);
}

static bool fits(const struct formal *formals, uint32_t n_formals, const struct actual *actuals, uint32_t n)
{
    if (n != n_formals)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!actuals[i].unused && actuals[i].size_bytes != formals[i].size_bytes)
            return false;
    return true;
}

static const struct function *function_at(struct warp *warp, const struct call_site *site, uint64_t address)
{
    const struct exec_program *program = warp->block->grid->program;
    uint64_t index = (address - FUNCTION_WINDOW_BASE) / 16 - 1;
    const struct function *function;

    if (address % 16 || address <= FUNCTION_WINDOW_BASE || index >= program->n_functions)
        return NULL;
    function = &program->functions[index];
    if (!function->has_body || function->is_entry || function->unsupported ||
        !fits(function->params, function->n_params, site->args, site->n_args) ||
        (site->n_returns && !fits(function->returns, function->n_returns, site->returns, site->n_returns)))
        return NULL;
    return function;
}

/* Threads that call the same function go together; the others execute the call again. */
enum insn_next run_call_indirect(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const uint64_t *address = lane_array(warp, insn->src[0]);
    unsigned first = (unsigned)__builtin_ctz(mask);
    const struct function *callee = function_at(warp, insn->call, address[first]);
    uint32_t same = 0, others;

    if (!callee)
        return grid_fault(warp, insn, first, EXEC_FAULT_ILLEGAL_INSTRUCTION, address[first],
                          "call of something that is not such a function");
    for_each_lane(lane, mask) same |= (uint32_t)(address[lane] == address[first]) << lane;
    others = mask & ~same;
    if (others) {
        warp->mask &= ~others;
        warp_split(warp, warp->frame, warp->pc - 1, others);
    }
    return enter(warp, insn, callee, same);
}

enum insn_next run_ret(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    struct frame *frame = warp->frame;
    const struct call_site *site;

    if (!frame->parent)
        return run_exit(warp, insn, mask);
    site = frame->call->call;
    for (uint32_t i = 0; i < site->n_returns; i++)
        move_param(warp, frame->parent, &site->returns[i], frame, &frame->function->returns[i], true, mask);
    warp_narrow(warp, mask);
    warp->pc = frame->return_pc;
    warp_enter(warp, frame->parent);
    frame_leave(warp, frame, mask);
    return NEXT_REGROUP;
}
