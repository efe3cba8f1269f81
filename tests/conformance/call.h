/* Calling a function of the driver API with any arguments, whatever its prototype: every register and sixteen
 * stack words that could carry one are filled. Used by the conformance test alone. x86-64 and arm64. */
#ifndef VGPU_TESTS_CALL_H
#define VGPU_TESTS_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "nulldrv/recdrv.h"

enum { CALL_PARAMS_MAX = 16 };

/* How a function takes its parameters; of one whose prototype we do not have nothing is known. */
struct call_params {
    bool known;
    unsigned n;
    struct {
        unsigned bytes;
        bool is_float;
    } params[CALL_PARAMS_MAX];
};
extern const struct call_params call_params[]; /* by slot */

/* What the registers and the stack hold when the function is entered; laid out as struct recdrv_call begins.
 */
struct call_arguments {
    uint64_t gp[8];
    uint64_t fp[8][2];
    uint64_t stack[RECDRV_STACK_WORDS];
};

/* Returns what the function leaves in the register of an int. */
int call_function(const void *function, const struct call_arguments *arguments);

/* Clears in *arguments what is no argument of a function with these parameters: registers beyond them, upper
 * halves of ints. */
void call_mask(const struct call_params *params, struct call_arguments *arguments);

/* Which general registers and stack words carry arguments of pointer size, as bits. */
void call_wide(const struct call_params *params, uint32_t *ret_gp, uint32_t *ret_stack);

#endif
