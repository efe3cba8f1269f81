/* Fills. Plain functions return before the fill is over too, and use stream 0. See door.h. */
#include "shim/door.h"

static inline struct door_work fill(uint64_t element_bytes, uint64_t width, uint64_t height, CUstream stream)
{
    return door_work(GATE_FILL, door_box_bytes(element_bytes, width, height), stream);
}

DOOR(cuMemsetD8, fill(1, count, 1, NULL), CUdeviceptr_v1, to, unsigned char, value, unsigned, count)
DOOR(cuMemsetD16, fill(2, count, 1, NULL), CUdeviceptr_v1, to, unsigned short, value, unsigned, count)
DOOR(cuMemsetD32, fill(4, count, 1, NULL), CUdeviceptr_v1, to, unsigned, value, unsigned, count)
DOOR_PTDS(cuMemsetD8_v2, fill(1, count, 1, NULL), CUdeviceptr, to, unsigned char, value, size_t, count)
DOOR_PTDS(cuMemsetD16_v2, fill(2, count, 1, NULL), CUdeviceptr, to, unsigned short, value, size_t, count)
DOOR_PTDS(cuMemsetD32_v2, fill(4, count, 1, NULL), CUdeviceptr, to, unsigned, value, size_t, count)
DOOR_PTSZ(cuMemsetD8Async, fill(1, count, 1, stream), CUdeviceptr, to, unsigned char, value, size_t, count,
          CUstream, stream)
DOOR_PTSZ(cuMemsetD16Async, fill(2, count, 1, stream), CUdeviceptr, to, unsigned short, value, size_t, count,
          CUstream, stream)
DOOR_PTSZ(cuMemsetD32Async, fill(4, count, 1, stream), CUdeviceptr, to, unsigned, value, size_t, count,
          CUstream, stream)

DOOR(cuMemsetD2D8, fill(1, width, height, NULL), CUdeviceptr_v1, to, unsigned, pitch, unsigned char, value,
     unsigned, width, unsigned, height)
DOOR(cuMemsetD2D16, fill(2, width, height, NULL), CUdeviceptr_v1, to, unsigned, pitch, unsigned short, value,
     unsigned, width, unsigned, height)
DOOR(cuMemsetD2D32, fill(4, width, height, NULL), CUdeviceptr_v1, to, unsigned, pitch, unsigned, value,
     unsigned, width, unsigned, height)
DOOR_PTDS(cuMemsetD2D8_v2, fill(1, width, height, NULL), CUdeviceptr, to, size_t, pitch, unsigned char, value,
          size_t, width, size_t, height)
DOOR_PTDS(cuMemsetD2D16_v2, fill(2, width, height, NULL), CUdeviceptr, to, size_t, pitch, unsigned short,
          value, size_t, width, size_t, height)
DOOR_PTDS(cuMemsetD2D32_v2, fill(4, width, height, NULL), CUdeviceptr, to, size_t, pitch, unsigned, value,
          size_t, width, size_t, height)
DOOR_PTSZ(cuMemsetD2D8Async, fill(1, width, height, stream), CUdeviceptr, to, size_t, pitch, unsigned char,
          value, size_t, width, size_t, height, CUstream, stream)
DOOR_PTSZ(cuMemsetD2D16Async, fill(2, width, height, stream), CUdeviceptr, to, size_t, pitch, unsigned short,
          value, size_t, width, size_t, height, CUstream, stream)
DOOR_PTSZ(cuMemsetD2D32Async, fill(4, width, height, stream), CUdeviceptr, to, size_t, pitch, unsigned, value,
          size_t, width, size_t, height, CUstream, stream)
