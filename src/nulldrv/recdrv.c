/* Keeps the calls that the generated entry points report. One record a thread: tests of several threads do
 * not disturb each other. */
#include "nulldrv/recdrv.h"

#include <string.h>

static _Thread_local struct recdrv_call last;

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
    return last.result;
}
