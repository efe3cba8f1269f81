/* Copies of rectangles and boxes. What is copied stands in a structure of the program: where it is NULL, the
 * driver says so, and nothing is known of the work. See door.h. */
#include "shim/door.h"

static enum gate_kind area_kind(CUmemorytype to, CUmemorytype from)
{
    const bool to_device = to == CU_MEMORYTYPE_DEVICE || to == CU_MEMORYTYPE_ARRAY;
    const bool from_device = from == CU_MEMORYTYPE_DEVICE || from == CU_MEMORYTYPE_ARRAY;

    if (from_device && to_device)
        return GATE_COPY_INSIDE;
    if (from == CU_MEMORYTYPE_HOST && to_device)
        return GATE_COPY_TO_DEVICE;
    if (from_device && to == CU_MEMORYTYPE_HOST)
        return GATE_COPY_TO_HOST;
    return GATE_COPY_UNKNOWN; /* unified, within the host, or nothing that the driver knows */
}

static struct door_work area_work(CUmemorytype to, CUmemorytype from, uint64_t bytes)
{
    return door_work(area_kind(to, from), bytes, NULL);
}

static struct door_work in_stream(struct door_work work, CUstream stream)
{
    work.stream = stream;
    return work;
}

/* Without a stream the driver returns when the copy is over, except within the device. */
static struct door_work now(struct door_work work)
{
    work.is_synchronous = work.kind != GATE_COPY_INSIDE;
    return work;
}

/* Of a structure of any of the versions. */
#define AREA(of, depth)                                                                                      \
    area_work((of)->dstMemoryType, (of)->srcMemoryType,                                                      \
              door_box_bytes((of)->WidthInBytes, (of)->Height, depth))
#define NOTHING       area_work(CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_UNIFIED, 0)
#define RECTANGLE(of) ((of) ? AREA(of, 1) : NOTHING)
#define BOX(of)       ((of) ? AREA(of, (of)->Depth) : NOTHING)

DOOR(cuMemcpy2D, now(RECTANGLE(copy)), const CUDA_MEMCPY2D_v1 *, copy)
DOOR_PTDS(cuMemcpy2D_v2, now(RECTANGLE(copy)), const CUDA_MEMCPY2D *, copy)
DOOR(cuMemcpy2DUnaligned, now(RECTANGLE(copy)), const CUDA_MEMCPY2D_v1 *, copy)
DOOR_PTDS(cuMemcpy2DUnaligned_v2, now(RECTANGLE(copy)), const CUDA_MEMCPY2D *, copy)
DOOR(cuMemcpy3D, now(BOX(copy)), const CUDA_MEMCPY3D_v1 *, copy)
DOOR_PTDS(cuMemcpy3D_v2, now(BOX(copy)), const CUDA_MEMCPY3D *, copy)
DOOR(cuMemcpy2DAsync, in_stream(RECTANGLE(copy), stream), const CUDA_MEMCPY2D_v1 *, copy, CUstream, stream)
DOOR_PTSZ(cuMemcpy2DAsync_v2, in_stream(RECTANGLE(copy), stream), const CUDA_MEMCPY2D *, copy, CUstream,
          stream)
DOOR(cuMemcpy3DAsync, in_stream(BOX(copy), stream), const CUDA_MEMCPY3D_v1 *, copy, CUstream, stream)
DOOR_PTSZ(cuMemcpy3DAsync_v2, in_stream(BOX(copy), stream), const CUDA_MEMCPY3D *, copy, CUstream, stream)

/* ---- between devices ---- */

static struct door_work peer(struct door_work work, CUstream stream)
{
    if (work.kind == GATE_COPY_INSIDE)
        work.kind = GATE_COPY_PEER;
    return in_stream(work, stream);
}

DOOR_PTDS(cuMemcpy3DPeer, peer(BOX(copy), NULL), const CUDA_MEMCPY3D_PEER *, copy)
DOOR_PTSZ(cuMemcpy3DPeerAsync, peer(BOX(copy), stream), const CUDA_MEMCPY3D_PEER *, copy, CUstream, stream)

/* ---- many boxes at once ---- */

/* Widths are in elements where an array is at one end, and bytes are taken for them. A sum that does not fit
 * is for the driver to refuse. */
static uint64_t boxes_bytes(const CUDA_MEMCPY3D_BATCH_OP *copies, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; copies && i < count; i++) {
        const CUextent3D *extent = &copies[i].extent;

        if (__builtin_add_overflow(bytes, door_box_bytes(extent->width, extent->height, extent->depth),
                                   &bytes))
            return 0;
    }
    return bytes;
}

static struct door_work boxes(const CUDA_MEMCPY3D_BATCH_OP *copies, size_t count, CUstream stream)
{
    return door_work(GATE_COPY_UNKNOWN, boxes_bytes(copies, count), stream);
}

DOOR_PTSZ(cuMemcpy3DBatchAsync, boxes(copies, count, stream), size_t, count, CUDA_MEMCPY3D_BATCH_OP *, copies,
          size_t *, failed, unsigned long long, flags, CUstream, stream)
DOOR_PTSZ(cuMemcpy3DBatchAsync_v2, boxes(copies, count, stream), size_t, count, CUDA_MEMCPY3D_BATCH_OP *,
          copies, unsigned long long, flags, CUstream, stream)
