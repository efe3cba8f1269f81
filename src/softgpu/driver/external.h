/* Buffers of external memory: see external.c. */
#ifndef VGPU_SOFTGPU_DRIVER_EXTERNAL_H
#define VGPU_SOFTGPU_DRIVER_EXTERNAL_H

#include "softgpu/driver/space.h"

/* Ends a mapped buffer, which is out of the address space and in no work's use. */
void external_buffer_end(const struct space_allocation *buffer);

#endif
