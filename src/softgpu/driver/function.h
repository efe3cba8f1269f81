/* What can be asked of a function, and how many of its blocks an SM holds. */
#ifndef VGPU_SOFTGPU_DRIVER_FUNCTION_H
#define VGPU_SOFTGPU_DRIVER_FUNCTION_H

#include "softgpu/driver/module.h"

CUresult function_get_attribute(const struct function *function, CUfunction_attribute attribute,
                                int *ret_value);
CUresult function_set_attribute(struct function *function, CUfunction_attribute attribute, int value);
CUresult function_get_parameter(const struct function *function, size_t index, size_t *ret_offset,
                                size_t *ret_bytes);

/* Threads a block of it may have: what its registers and its own declaration allow. */
unsigned function_max_threads(const struct function *function);

/* Blocks of block_threads threads that an SM holds at a time; 0: not even one. */
unsigned function_blocks_per_sm(const struct function *function, unsigned block_threads,
                                uint64_t dynamic_shared_bytes);

#endif
