/* What the files of copy calls have in common: the most general of them. */
#ifndef VGPU_SOFTGPU_DRIVER_COPY_H
#define VGPU_SOFTGPU_DRIVER_COPY_H

#include "api/cuda_api.h"
#include "softgpu/driver/transfer.h"

/* cuMemcpy3D and its variants: the copy in a stream of the calling thread's context. stream and per_thread as
 * for stream_resolve. */
CUresult copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool per_thread, enum transfer_mode mode);

#endif
