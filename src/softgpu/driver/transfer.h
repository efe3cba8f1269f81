/* Copies and fills as work of a stream: boxes of bytes, from one row to three dimensions. */
#ifndef VGPU_SOFTGPU_DRIVER_TRANSFER_H
#define VGPU_SOFTGPU_DRIVER_TRANSFER_H

#include "api/cuda_api.h"
#include "softgpu/driver/stream.h"

/* One side of a copy: where its first byte is and how rows and slices lie apart. */
struct transfer_side {
    uint64_t address;
    bool is_array;        /* address lies in an array, and may in nothing else */
    bool may_be_pageable; /* memory that the driver did not allocate is the caller's own; else it is an error
                           */
    uint64_t pitch_bytes, slice_bytes;
};

struct transfer_box {
    uint64_t width_bytes, height, depth;
};

struct transfer_copy {
    struct transfer_side destination, source;
    struct transfer_box box;
};

struct transfer_fill {
    struct transfer_side destination;
    struct transfer_box box;
    uint32_t value;
    unsigned value_bytes; /* 1, 2 or 4; width_bytes is a multiple of it */
};

enum transfer_mode {
    TRANSFER_SYNC,  /* returns when the copy is done, as far as the host can tell */
    TRANSFER_ASYNC, /* returns when the caller may use its pageable memory again */
};

/* INVALID_VALUE when a side reaches outside its memory; the stream's sticky error. A box without bytes does
 * nothing. */
CUresult transfer_copy(struct stream *stream, const struct transfer_copy *copy, enum transfer_mode mode);
/* Never waits, unless in SYNC mode and on memory the host can see. */
CUresult transfer_fill(struct stream *stream, const struct transfer_fill *fill, enum transfer_mode mode);

/* The same as work of context, one reference for the caller, not enqueued: for who submits it later. The box
 * has bytes; where they are is found out when the work runs. NULL: no memory. */
struct engine_work *transfer_copy_work(struct context *context, const struct transfer_copy *copy);
struct engine_work *transfer_fill_work(struct context *context, const struct transfer_fill *fill);

/* The copy that a description in three dimensions means, and the fill that width elements of value_bytes in
 * height rows are. INVALID_VALUE, INVALID_HANDLE. */
CUresult transfer_describe_3d(const CUDA_MEMCPY3D *description, struct transfer_copy *ret_copy);
CUresult transfer_describe_fill(CUdeviceptr to, size_t pitch_bytes, uint32_t value, unsigned value_bytes,
                                size_t width, size_t height, struct transfer_fill *ret_fill);

/* Modelled time for bytes at a rate; a rate of 0 costs nothing. */
uint64_t transfer_duration_ns(uint64_t bytes, uint64_t bytes_per_s);

#endif
