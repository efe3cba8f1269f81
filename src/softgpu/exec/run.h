/* What instructions do: one function a kind, chosen by decode*.c, called by warp.c. Each executes for the
 * lanes of mask, which are never empty, and says what the warp does next. Internal to the room. */
#ifndef VGPU_SOFTGPU_EXEC_RUN_H
#define VGPU_SOFTGPU_EXEC_RUN_H

#include "softgpu/exec/program.h"

/* run_alu.c */
enum insn_next run_alu1(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_alu2(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_alu3(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_alu5(struct warp *warp, const struct insn *insn,
                        uint32_t mask); /* any number, two results */
enum insn_next run_alu_resized(struct warp *warp, const struct insn *insn,
                               uint32_t mask); /* with conversions */
enum insn_next run_pack(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_unpack(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_cvta(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_isspacep(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_activemask(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_nothing(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_unsupported(struct warp *warp, const struct insn *insn, uint32_t mask);

/* run_clock.c; insn->mode says which clock */
enum clock_mode { CLOCK_LOW, CLOCK_HIGH, CLOCK_64, CLOCK_NS, CLOCK_NS_LOW, CLOCK_NS_HIGH };
enum insn_next run_clock(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_nanosleep(struct warp *warp, const struct insn *insn, uint32_t mask);

/* run_memory.c, run_param.c, run_atomic.c */
enum param_mode { PARAM_OF_LAUNCH, PARAM_OF_FRAME, PARAM_BY_REGISTER };
enum insn_next run_load(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_load_any(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_store(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_store_any(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_load_param(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_load_frame_param(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_store_frame_param(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_atomic(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_fence(struct warp *warp, const struct insn *insn, uint32_t mask);

/* run_flow.c, run_call.c */
enum insn_next run_branch(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_branch_index(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_call(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_call_indirect(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_ret(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_exit(struct warp *warp, const struct insn *insn, uint32_t mask);
enum insn_next run_trap(struct warp *warp, const struct insn *insn, uint32_t mask);

/* builtin.c: functions that PTX calls and the driver provides: vprintf, __assertfail, malloc, free. NULL: not
 * one of them. */
insn_run builtin_find(const char *name);
/* 0, or -ENOTSUP when a call passes other parameters than the function has. */
int builtin_check(const struct function *callee, const struct call_site *site);

/* run_exchange.c: everything among the threads of a warp. The member mask is src[EXCHANGE_MEMBERS]
 * (OPERAND_NONE: whoever executes). */
enum { EXCHANGE_MEMBERS = 3 };
enum exchange_mode {
    EXCHANGE_SYNC,
    EXCHANGE_SHFL_UP,
    EXCHANGE_SHFL_DOWN,
    EXCHANGE_SHFL_BFLY,
    EXCHANGE_SHFL_IDX,
    EXCHANGE_BALLOT,
    EXCHANGE_VOTE_ALL,
    EXCHANGE_VOTE_ANY,
    EXCHANGE_VOTE_UNI,
    EXCHANGE_MATCH_ANY,
    EXCHANGE_MATCH_ALL,
    EXCHANGE_REDUX_ADD,
    EXCHANGE_REDUX_MIN,
    EXCHANGE_REDUX_MAX,
    EXCHANGE_REDUX_AND,
    EXCHANGE_REDUX_OR,
    EXCHANGE_REDUX_XOR,
    EXCHANGE_ELECT
};
enum insn_next run_exchange(struct warp *warp, const struct insn *insn, uint32_t mask);

/* run_barrier.c: barriers of a block. */
enum barrier_mode { BARRIER_SYNC, BARRIER_ARRIVE, BARRIER_RED_POPC, BARRIER_RED_AND, BARRIER_RED_OR };
enum insn_next run_barrier(struct warp *warp, const struct insn *insn, uint32_t mask);

/* Parts of the local window that are not local memory: the kernel's parameters by address, and the workspace
 * of the grid barrier. */
#define LOCAL_PART_BYTES   UINT64_C(0x80000000)
#define PARAM_WINDOW_BASE  (EXEC_LOCAL_WINDOW_BASE + LOCAL_PART_BYTES)
#define PARAM_WINDOW_BYTES UINT64_C(0x00010000)
#define WORKSPACE_BASE     (EXEC_LOCAL_WINDOW_BASE + UINT64_C(0xC0000000))
#define WORKSPACE_BYTES    UINT64_C(256)

#endif
