/* Linear copies, one or many a call. Those without a stream use stream 0; where one end is memory of the host
 * they return when the copy is over, else the driver returns at once. See door.h; rectangles and boxes are
 * copy_area.c's. */
#include "shim/door.h"

static inline struct door_work to_device(uint64_t bytes, CUstream stream)
{
    return door_work(GATE_COPY_TO_DEVICE, bytes, stream);
}

static inline struct door_work to_host(uint64_t bytes, CUstream stream)
{
    return door_work(GATE_COPY_TO_HOST, bytes, stream);
}

static inline struct door_work inside(uint64_t bytes, CUstream stream)
{
    return door_work(GATE_COPY_INSIDE, bytes, stream);
}

static inline struct door_work peer(uint64_t bytes, CUstream stream)
{
    return door_work(GATE_COPY_PEER, bytes, stream);
}

/* Which way, the driver alone knows. */
static inline struct door_work anywhere(uint64_t bytes, CUstream stream)
{
    return door_work(GATE_COPY_UNKNOWN, bytes, stream);
}

static inline struct door_work now(struct door_work work)
{
    work.is_synchronous = true;
    return work;
}

/* ---- memory to memory ---- */

DOOR_PTDS(cuMemcpy, now(anywhere(bytes, NULL)), CUdeviceptr, to, CUdeviceptr, from, size_t, bytes)
DOOR(cuMemcpyHtoD, now(to_device(bytes, NULL)), CUdeviceptr_v1, to, const void *, from, unsigned, bytes)
DOOR_PTDS(cuMemcpyHtoD_v2, now(to_device(bytes, NULL)), CUdeviceptr, to, const void *, from, size_t, bytes)
DOOR(cuMemcpyDtoH, now(to_host(bytes, NULL)), void *, to, CUdeviceptr_v1, from, unsigned, bytes)
DOOR_PTDS(cuMemcpyDtoH_v2, now(to_host(bytes, NULL)), void *, to, CUdeviceptr, from, size_t, bytes)
DOOR(cuMemcpyDtoD, inside(bytes, NULL), CUdeviceptr_v1, to, CUdeviceptr_v1, from, unsigned, bytes)
DOOR_PTDS(cuMemcpyDtoD_v2, inside(bytes, NULL), CUdeviceptr, to, CUdeviceptr, from, size_t, bytes)
DOOR_PTDS(cuMemcpyPeer, peer(bytes, NULL), CUdeviceptr, to, CUcontext, to_context, CUdeviceptr, from,
          CUcontext, from_context, size_t, bytes)

DOOR_PTSZ(cuMemcpyAsync, anywhere(bytes, stream), CUdeviceptr, to, CUdeviceptr, from, size_t, bytes, CUstream,
          stream)
DOOR(cuMemcpyHtoDAsync, to_device(bytes, stream), CUdeviceptr_v1, to, const void *, from, unsigned, bytes,
     CUstream, stream)
DOOR_PTSZ(cuMemcpyHtoDAsync_v2, to_device(bytes, stream), CUdeviceptr, to, const void *, from, size_t, bytes,
          CUstream, stream)
DOOR(cuMemcpyDtoHAsync, to_host(bytes, stream), void *, to, CUdeviceptr_v1, from, unsigned, bytes, CUstream,
     stream)
DOOR_PTSZ(cuMemcpyDtoHAsync_v2, to_host(bytes, stream), void *, to, CUdeviceptr, from, size_t, bytes,
          CUstream, stream)
DOOR(cuMemcpyDtoDAsync, inside(bytes, stream), CUdeviceptr_v1, to, CUdeviceptr_v1, from, unsigned, bytes,
     CUstream, stream)
DOOR_PTSZ(cuMemcpyDtoDAsync_v2, inside(bytes, stream), CUdeviceptr, to, CUdeviceptr, from, size_t, bytes,
          CUstream, stream)
DOOR_PTSZ(cuMemcpyPeerAsync, peer(bytes, stream), CUdeviceptr, to, CUcontext, to_context, CUdeviceptr, from,
          CUcontext, from_context, size_t, bytes, CUstream, stream)

/* ---- arrays at one end or both ---- */

DOOR(cuMemcpyDtoA, inside(bytes, NULL), CUarray, to, unsigned, offset, CUdeviceptr_v1, from, unsigned, bytes)
DOOR_PTDS(cuMemcpyDtoA_v2, inside(bytes, NULL), CUarray, to, size_t, offset, CUdeviceptr, from, size_t, bytes)
DOOR(cuMemcpyAtoD, inside(bytes, NULL), CUdeviceptr_v1, to, CUarray, from, unsigned, offset, unsigned, bytes)
DOOR_PTDS(cuMemcpyAtoD_v2, inside(bytes, NULL), CUdeviceptr, to, CUarray, from, size_t, offset, size_t, bytes)
DOOR(cuMemcpyAtoA, inside(bytes, NULL), CUarray, to, unsigned, to_offset, CUarray, from, unsigned,
     from_offset, unsigned, bytes)
DOOR_PTDS(cuMemcpyAtoA_v2, inside(bytes, NULL), CUarray, to, size_t, to_offset, CUarray, from, size_t,
          from_offset, size_t, bytes)
DOOR(cuMemcpyHtoA, now(to_device(bytes, NULL)), CUarray, to, unsigned, offset, const void *, from, unsigned,
     bytes)
DOOR_PTDS(cuMemcpyHtoA_v2, now(to_device(bytes, NULL)), CUarray, to, size_t, offset, const void *, from,
          size_t, bytes)
DOOR(cuMemcpyAtoH, now(to_host(bytes, NULL)), void *, to, CUarray, from, unsigned, offset, unsigned, bytes)
DOOR_PTDS(cuMemcpyAtoH_v2, now(to_host(bytes, NULL)), void *, to, CUarray, from, size_t, offset, size_t,
          bytes)

DOOR(cuMemcpyHtoAAsync, to_device(bytes, stream), CUarray, to, unsigned, offset, const void *, from, unsigned,
     bytes, CUstream, stream)
DOOR_PTSZ(cuMemcpyHtoAAsync_v2, to_device(bytes, stream), CUarray, to, size_t, offset, const void *, from,
          size_t, bytes, CUstream, stream)
DOOR(cuMemcpyAtoHAsync, to_host(bytes, stream), void *, to, CUarray, from, unsigned, offset, unsigned, bytes,
     CUstream, stream)
DOOR_PTSZ(cuMemcpyAtoHAsync_v2, to_host(bytes, stream), void *, to, CUarray, from, size_t, offset, size_t,
          bytes, CUstream, stream)

/* ---- many copies at once ---- */

/* Lists are the program's: none, or one whose sum does not fit, is for the driver to refuse, and counts 0. */
static uint64_t sum_bytes(const size_t *sizes, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; sizes && i < count; i++)
        if (__builtin_add_overflow(bytes, sizes[i], &bytes))
            return 0;
    return bytes;
}

DOOR_PTSZ(cuMemcpyBatchAsync, anywhere(sum_bytes(sizes, count), stream), CUdeviceptr *, to, CUdeviceptr *,
          from, size_t *, sizes, size_t, count, CUmemcpyAttributes *, attributes, size_t *, attribute_first,
          size_t, attributes_count, size_t *, failed, CUstream, stream)
DOOR_PTSZ(cuMemcpyBatchAsync_v2, anywhere(sum_bytes(sizes, count), stream), CUdeviceptr *, to, CUdeviceptr *,
          from, size_t *, sizes, size_t, count, CUmemcpyAttributes *, attributes, size_t *, attribute_first,
          size_t, attributes_count, CUstream, stream)

/* What comes out is what takes the time. */
static uint64_t decompressed_bytes(const CUmemDecompressParams *jobs, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; jobs && i < count; i++)
        if (__builtin_add_overflow(bytes, jobs[i].dstNumBytes, &bytes))
            return 0;
    return bytes;
}

DOOR_PTSZ(cuMemBatchDecompressAsync, inside(decompressed_bytes(jobs, count), stream), CUmemDecompressParams *,
          jobs, size_t, count, unsigned, flags, size_t *, failed, CUstream, stream)

/* ---- managed memory brought to where it is needed: at most so many bytes move ---- */

static inline struct door_work prefetch(bool is_to_device, uint64_t bytes, CUstream stream)
{
    return is_to_device ? to_device(bytes, stream) : to_host(bytes, stream);
}

DOOR_PTSZ(cuMemPrefetchAsync, prefetch(device != CU_DEVICE_CPU, bytes, stream), CUdeviceptr, at, size_t,
          bytes, CUdevice, device, CUstream, stream)
DOOR_PTSZ(cuMemPrefetchAsync_v2, prefetch(location.type == CU_MEM_LOCATION_TYPE_DEVICE, bytes, stream),
          CUdeviceptr, at, size_t, bytes, CUmemLocation, location, unsigned, flags, CUstream, stream)
DOOR_PTSZ(cuMemPrefetchBatchAsync, anywhere(sum_bytes(sizes, count), stream), CUdeviceptr *, at, size_t *,
          sizes, size_t, count, CUmemLocation *, locations, size_t *, location_first, size_t, locations_count,
          unsigned long long, flags, CUstream, stream)
DOOR_PTSZ(cuMemDiscardAndPrefetchBatchAsync, anywhere(sum_bytes(sizes, count), stream), CUdeviceptr *, at,
          size_t *, sizes, size_t, count, CUmemLocation *, locations, size_t *, location_first, size_t,
          locations_count, unsigned long long, flags, CUstream, stream)
