/* The one device of the null driver: its libcuda.so.1 and its libnvidia-ml.so.1 tell of the same. */
#ifndef VGPU_NULLDRV_NULL_H
#define VGPU_NULLDRV_NULL_H

#include <stdint.h>

#define NULL_UUID_BYTES                                                                                      \
    {                                                                                                        \
        0x0e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1                                                 \
    }
#define NULL_UUID_TEXT    "GPU-0e110000-0000-0000-0000-000000000001"
#define NULL_MEMORY_BYTES (UINT64_C(1) << 40)

#endif
