/* The functions that a driver provides to PTX: vprintf, __assertfail, malloc and free. Found by name when a
 * call is decoded; all they read from the kernel's memory goes through memory.c, and the heap is the
 * launch's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "softgpu/exec/block.h"
#include "softgpu/exec/print.h"

enum { PRINT_TEXT_MAX = 16 * 1024, ASSERT_WORDS_MAX = 64 };

struct lane_memory {
    struct warp *warp;
    unsigned lane;
};

static size_t read_lane_memory(void *owner, uint64_t address, void *buffer, size_t bytes)
{
    const struct lane_memory *memory = owner;
    uint64_t rest = 0;
    const char *from = memory_rest(memory->warp, memory->lane, address, &rest);

    if (!from)
        return 0;
    if (bytes > rest)
        bytes = (size_t)rest;
    memcpy(buffer, from, bytes);
    return bytes;
}

static enum insn_next run_vprintf(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const struct call_site *site = insn->call;
    char text[PRINT_TEXT_MAX];

    for_each_lane(lane, mask)
    {
        struct lane_memory memory = {.warp = warp, .lane = lane};
        struct print_call call = {.format = call_argument(warp, &site->args[0], lane),
                                  .arguments = call_argument(warp, &site->args[1], lane),
                                  .read = read_lane_memory,
                                  .owner = &memory};
        uint64_t fault = 0;
        size_t bytes = 0;
        int ret = print_format(&call, text, sizeof text, &bytes, &fault);

        if (ret == -EFAULT)
            return grid_fault(warp, insn, lane, EXEC_FAULT_ILLEGAL_ADDRESS, fault,
                              "printf reads an illegal address");
        if (bytes)
            block_print(warp->block, text, bytes);
        if (site->n_returns)
            call_result(warp, &site->returns[0], lane, (uint64_t)(int64_t)ret);
    }
    return NEXT_GO;
}

/* A string of the kernel, cut to its buffer; "?" where there is none. */
static void read_words(struct lane_memory *memory, uint64_t address, char words[ASSERT_WORDS_MAX])
{
    size_t n = read_lane_memory(memory, address, words, ASSERT_WORDS_MAX - 1);

    words[n] = '\0';
    if (n == 0)
        strcpy(words, "?");
}

static enum insn_next run_assertfail(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const struct call_site *site = insn->call;
    struct lane_memory memory = {.warp = warp, .lane = (unsigned)__builtin_ctz(mask)};
    char message[ASSERT_WORDS_MAX], file[ASSERT_WORDS_MAX], what[ASSERT_WORDS_MAX * 2 + 40];

    read_words(&memory, call_argument(warp, &site->args[0], memory.lane), message);
    read_words(&memory, call_argument(warp, &site->args[1], memory.lane), file);
    snprintf(what, sizeof what, "assertion `%s' failed, %s:%u", message, file,
             (unsigned)call_argument(warp, &site->args[2], memory.lane));
    return grid_fault(warp, insn, memory.lane, EXEC_FAULT_ASSERT, 0, what);
}

static enum insn_next run_malloc(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const struct exec_launch *launch = warp->block->grid->launch;
    const struct call_site *site = insn->call;

    for_each_lane(lane, mask)
    {
        uint64_t bytes = call_argument(warp, &site->args[0], lane);
        uint64_t address = launch->heap_take ? launch->heap_take(launch->heap_owner, bytes) : 0;

        if (site->n_returns)
            call_result(warp, &site->returns[0], lane, address);
    }
    return NEXT_GO;
}

static enum insn_next run_free(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const struct exec_launch *launch = warp->block->grid->launch;

    for_each_lane(lane, mask)
    {
        uint64_t address = call_argument(warp, &insn->call->args[0], lane);

        if (address && (!launch->heap_give || launch->heap_give(launch->heap_owner, address)))
            return grid_fault(warp, insn, lane, EXEC_FAULT_ILLEGAL_ADDRESS, address,
                              "free of what malloc did not give");
    }
    return NEXT_GO;
}

struct builtin {
    const char *name;
    insn_run run;
    uint8_t return_bytes;
    uint8_t n_params;
    uint8_t param_bytes[5];
};

static const struct builtin builtins[] = {
    {"vprintf", run_vprintf, 4, 2, {8, 8}},
    {"__assertfail", run_assertfail, 0, 5, {8, 8, 4, 8, 8}},
    {"malloc", run_malloc, 8, 1, {8}},
    {"free", run_free, 0, 1, {8}},
};

static const struct builtin *find(const char *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

insn_run builtin_find(const char *name)
{
    const struct builtin *builtin = find(name);

    return builtin ? builtin->run : NULL;
}

int builtin_check(const struct function *callee, const struct call_site *site)
{
    const struct builtin *builtin = find(callee->name);

    if (!builtin || site->n_args != builtin->n_params)
        return -ENOTSUP;
    for (uint32_t i = 0; i < site->n_args; i++)
        if (site->args[i].size_bytes != builtin->param_bytes[i])
            return -ENOTSUP;
    if (site->n_returns > 1 || (site->n_returns == 1 && !site->returns[0].unused &&
                                site->returns[0].size_bytes != builtin->return_bytes))
        return -ENOTSUP;
    return 0;
}
