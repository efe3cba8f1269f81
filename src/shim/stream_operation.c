/* Memory operations of streams: a word that the device writes, or waits for. They are counted by number; what
 * a wait takes is nobody's work. See door.h. */
#include "shim/door.h"

static inline struct door_work operations(uint64_t count, CUstream stream)
{
    return door_work(GATE_STREAM_OPERATION, count, stream);
}

DOOR_PTSZ(cuStreamWaitValue32, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint32_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWaitValue32_v2, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint32_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWaitValue64, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint64_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWaitValue64_v2, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint64_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWriteValue32, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint32_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWriteValue32_v2, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint32_t,
          value, unsigned, flags)
DOOR_PTSZ(cuStreamWriteValue64, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint64_t, value,
          unsigned, flags)
DOOR_PTSZ(cuStreamWriteValue64_v2, operations(1, stream), CUstream, stream, CUdeviceptr, at, cuuint64_t,
          value, unsigned, flags)
DOOR_PTSZ(cuStreamBatchMemOp, operations(count, stream), CUstream, stream, unsigned, count,
          CUstreamBatchMemOpParams *, list, unsigned, flags)
DOOR_PTSZ(cuStreamBatchMemOp_v2, operations(count, stream), CUstream, stream, unsigned, count,
          CUstreamBatchMemOpParams *, list, unsigned, flags)
