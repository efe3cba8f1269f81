/* Keeps the calls that the generated entry points report. One record a thread: tests of several threads do
 * not disturb each other. */
#include "nulldrv/recdrv.h"

#include <limits.h>
#include <string.h>

#include "api/cuda_table.h"
#include "api/entries.h"
#include "api/lookup.h"
#ifdef RECDRV_NEWER
#    include "nulldrv/newer.h"
#endif

/* The newest function that the driver has. */
#ifndef RECDRV_VERSION
#    define RECDRV_VERSION INT_MAX
#endif

static _Thread_local struct recdrv_call last;
static bool is_lookup;
static struct recdrv_outputs outputs;

/* Called by the entry points, from assembler. */
int recdrv_note(uint32_t slot, const uint64_t *registers, const uint64_t *stack);

#define EXPORT __attribute__((visibility("default")))

EXPORT int recdrv_result(uint32_t slot, uint64_t serial)
{
    uint64_t x = (serial << 16 | slot) * UINT64_C(0x9e3779b97f4a7c15);

    return (int)((x >> 33) % 1000);
}

EXPORT const struct recdrv_call *recdrv_last(void)
{
    return &last;
}

EXPORT void recdrv_serial_set(uint64_t serial)
{
    last.serial = serial - 1;
}

EXPORT void recdrv_lookup_set(bool lookup)
{
    __atomic_store_n(&is_lookup, lookup, __ATOMIC_RELAXED);
}

EXPORT void recdrv_outputs_set(const struct recdrv_outputs *wanted)
{
    outputs = *wanted;
}

/* The arguments of cuGetProcAddress; its first version has no status. */
static int proc_address(const struct recdrv_call *call)
{
    const char *name = (const char *)(uintptr_t)call->gp[0];
    void **function = (void **)(uintptr_t)call->gp[1];
    CUdriverProcAddressQueryResult *status = (CUdriverProcAddressQueryResult *)(uintptr_t)call->gp[4];
    int version = (int)call->gp[2];

    if (call->slot == CUDA_SLOT_cuGetProcAddress)
        status = NULL;
#ifdef RECDRV_NEWER
    if (name && function && newer_function(name, version)) {
        *function = newer_function(name, version);
        if (status)
            *status = CU_GET_PROC_ADDRESS_SUCCESS;
        return CUDA_SUCCESS;
    }
#endif
    return (int)api_cuda_proc_address(api_cuda_entries, name, function,
                                      version < RECDRV_VERSION ? version : RECDRV_VERSION, call->gp[3],
                                      status);
}

static void output_write(uint64_t argument, unsigned i)
{
    uint64_t value = (last.serial << 16 | last.slot << 8 | i) * UINT64_C(0x9e3779b97f4a7c15);

    if (argument >= outputs.low && argument < outputs.high)
        memcpy((void *)(uintptr_t)argument, &value, sizeof(value));
}

static void outputs_write(void)
{
    for (unsigned i = 0; i < 8; i++)
        if (outputs.gp >> i & 1)
            output_write(last.gp[i], i);
    for (unsigned i = 0; i < RECDRV_STACK_WORDS; i++)
        if (outputs.stack >> i & 1)
            output_write(last.stack[i], 8 + i);
}

/* Reads 16 words above the call whether or not they are arguments; a thread's stack has more than that above
 * any call. */
__attribute__((no_sanitize("address"))) int recdrv_note(uint32_t slot, const uint64_t *registers,
                                                        const uint64_t *stack)
{
    memcpy(last.gp, registers, sizeof(last.gp));
    memcpy(last.fp, registers + 8, sizeof(last.fp));
    for (unsigned i = 0; i < RECDRV_STACK_WORDS; i++)
        last.stack[i] = stack[i];
    last.serial++;
    last.slot = slot;
    last.result = recdrv_result(slot, last.serial);
    if ((slot == CUDA_SLOT_cuGetProcAddress || slot == CUDA_SLOT_cuGetProcAddress_v2) &&
        __atomic_load_n(&is_lookup, __ATOMIC_RELAXED))
        last.result = proc_address(&last);
    outputs_write();
    return last.result;
}
