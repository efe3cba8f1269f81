/* The bytes are moved by the copy lane's thread when the stream reaches the work; where they are is looked up
 * then, so that memory freed too early is an error of the device and not of this process. What the caller's
 * own pageable memory holds is taken at the call when it is little, and waited for when it is much, as real
 * drivers do. */
#include "softgpu/driver/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "softgpu/driver/capture.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"

#define STAGING_MAX_BYTES MIB

enum place { PLACE_DEVICE, PLACE_PINNED, PLACE_MANAGED, PLACE_PAGEABLE };

struct copy_work {
    struct engine_work work;
    struct context *context;
    struct transfer_copy copy;
    uint64_t bytes_per_s;
    char *staging; /* the source's bytes, taken at the call; or NULL */
};

struct fill_work {
    struct engine_work work;
    struct context *context;
    struct transfer_fill fill;
};

uint64_t transfer_duration_ns(uint64_t bytes, uint64_t bytes_per_s)
{
    if (!bytes_per_s)
        return 0;
    return (uint64_t)(((unsigned __int128)bytes * NS_PER_S + bytes_per_s - 1) / bytes_per_s);
}

/* Bytes from the first to behind the last of a box. False when that is no number. */
static bool box_extent(const struct transfer_box *box, const struct transfer_side *side, uint64_t *ret_bytes)
{
    uint64_t rows, slices;

    return !__builtin_mul_overflow(box->height - 1, side->pitch_bytes, &rows) &&
           !__builtin_mul_overflow(box->depth - 1, side->slice_bytes, &slices) &&
           !__builtin_add_overflow(rows, slices, ret_bytes) &&
           !__builtin_add_overflow(*ret_bytes, box->width_bytes, ret_bytes);
}

static enum place place_of(enum space_kind kind)
{
    switch (kind) {
    case SPACE_HOST:
    case SPACE_HOST_REGISTERED:
        return PLACE_PINNED;
    case SPACE_MANAGED:
        return PLACE_MANAGED;
    default:
        return PLACE_DEVICE;
    }
}

/* Arrays are reached by name only, kernels' own memory not at all, and mapped ranges as far as cuMemSetAccess
 * let any device. */
static bool may_touch(const struct space_allocation *allocation, bool is_array, bool writes)
{
    if (allocation->kind == SPACE_MAPPED && !(writes ? allocation->write_mask : allocation->device_mask))
        return false;
    return allocation->kind != SPACE_KERNEL_HEAP && is_array == (allocation->kind == SPACE_ARRAY);
}

/* Where this process touches a side, and what kind of memory that is. False: it is not all there. */
static bool side_resolve(const struct transfer_side *side, const struct transfer_box *box, bool writes,
                         char **ret_host, enum place *ret_place)
{
    struct space_allocation allocation;
    uint64_t bytes;

    if (!box_extent(box, side, &bytes))
        return false;
    if (space_resolve(side->address, bytes, ret_host, &allocation)) {
        *ret_place = place_of(allocation.kind);
        return may_touch(&allocation, side->is_array, writes);
    }
    if (!side->may_be_pageable || !side->address || segment_window_touches(side->address, bytes))
        return false;
    *ret_host = (char *)(uintptr_t)side->address;
    *ret_place = PLACE_PAGEABLE;
    return true;
}

/* ---- copies ---- */

static void copy_rows(const struct transfer_copy *copy, char *to, const char *from)
{
    const struct transfer_box *box = &copy->box;

    for (uint64_t z = 0; z < box->depth; z++)
        for (uint64_t y = 0; y < box->height; y++)
            memmove(to + z * copy->destination.slice_bytes + y * copy->destination.pitch_bytes,
                    from + z * copy->source.slice_bytes + y * copy->source.pitch_bytes, box->width_bytes);
}

static void copy_run(struct engine_work *work)
{
    struct copy_work *self = (struct copy_work *)work;
    struct transfer_copy *copy = &self->copy;
    char *to, *from = self->staging;
    enum place place;

    if (!side_resolve(&copy->destination, &copy->box, true, &to, &place) ||
        (!from && !side_resolve(&copy->source, &copy->box, false, &from, &place))) {
        context_fail(self->context, CUDA_ERROR_ILLEGAL_ADDRESS);
        return;
    }
    copy_rows(copy, to, from);
    work->duration_ns =
        transfer_duration_ns(copy->box.width_bytes * copy->box.height * copy->box.depth, self->bytes_per_s);
}

static void copy_destroy(struct engine_work *work)
{
    struct copy_work *self = (struct copy_work *)work;

    free(self->staging);
    free(self);
}

static bool is_row(const struct transfer_box *box)
{
    return box->height == 1 && box->depth == 1;
}

/* Takes a pageable source's bytes at once when that is cheap. The stream then needs the caller's memory no
 * more. */
static bool try_stage(struct copy_work *self, const char *from)
{
    const struct transfer_box *box = &self->copy.box;

    if (!is_row(box) || box->width_bytes > STAGING_MAX_BYTES)
        return false;
    self->staging = malloc(box->width_bytes);
    if (self->staging)
        memcpy(self->staging, from, box->width_bytes);
    return self->staging != NULL;
}

static struct copy_work *copy_work_new(struct context *context, const struct transfer_copy *copy, bool inside)
{
    const struct sgdev_properties *properties = context->device->properties;
    struct copy_work *self = calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    engine_work_init(&self->work, &context->queue, ENGINE_COPY, copy_run, copy_destroy);
    self->context = context;
    self->copy = *copy;
    self->bytes_per_s = inside ? properties->device_copy_bytes_per_s : properties->copy_bytes_per_s;
    return self;
}

struct engine_work *transfer_copy_work(struct context *context, const struct transfer_copy *copy)
{
    enum place to_place = PLACE_PINNED, from_place = PLACE_PINNED;
    char *to, *from;
    bool found = side_resolve(&copy->destination, &copy->box, true, &to, &to_place) &&
                 side_resolve(&copy->source, &copy->box, false, &from, &from_place);
    struct copy_work *self =
        copy_work_new(context, copy, found && to_place == PLACE_DEVICE && from_place == PLACE_DEVICE);

    return self ? &self->work : NULL;
}

/* A side as a node describes it; the first byte is the side's own, so there are no offsets. */
static CUmemorytype side_type(const struct transfer_side *side)
{
    return side->may_be_pageable ? CU_MEMORYTYPE_UNIFIED : CU_MEMORYTYPE_DEVICE;
}

static size_t slice_rows(const struct transfer_side *side, const struct transfer_box *box)
{
    return side->pitch_bytes ? side->slice_bytes / side->pitch_bytes : box->height;
}

static CUgraphNodeParams copy_node(const struct stream *stream, const struct transfer_copy *copy)
{
    const struct transfer_side *to = &copy->destination, *from = &copy->source;

    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMCPY,
                               .memcpy = {.copyCtx = (CUcontext)stream->context,
                                          .copyParams = {.srcMemoryType = side_type(from),
                                                         .srcDevice = from->address,
                                                         .srcPitch = from->pitch_bytes,
                                                         .srcHeight = slice_rows(from, &copy->box),
                                                         .dstMemoryType = side_type(to),
                                                         .dstDevice = to->address,
                                                         .dstPitch = to->pitch_bytes,
                                                         .dstHeight = slice_rows(to, &copy->box),
                                                         .WidthInBytes = copy->box.width_bytes,
                                                         .Height = copy->box.height,
                                                         .Depth = copy->box.depth}}};
}

/* A copy that waits cannot be captured, and may be forbidden while another stream captures. */
static bool copy_is_captured(struct stream *stream, const struct transfer_copy *copy, enum transfer_mode mode,
                             CUresult *ret_result)
{
    CUgraphNodeParams node = copy_node(stream, copy);

    if (mode == TRANSFER_ASYNC)
        return capture_node(stream, &node, ret_result);
    *ret_result = capture_forbid_in(stream);
    if (!*ret_result)
        *ret_result = capture_forbid();
    return *ret_result != CUDA_SUCCESS;
}

CUresult transfer_copy(struct stream *stream, const struct transfer_copy *copy, enum transfer_mode mode)
{
    enum place to_place, from_place;
    char *to, *from;
    CUresult result;
    bool waits;

    if (!copy->box.width_bytes || !copy->box.height || !copy->box.depth)
        return CUDA_SUCCESS;
    if (copy_is_captured(stream, copy, mode, &result))
        return result;
    if (!side_resolve(&copy->destination, &copy->box, true, &to, &to_place) ||
        !side_resolve(&copy->source, &copy->box, false, &from, &from_place))
        return CUDA_ERROR_INVALID_VALUE;

    bool inside = to_place == PLACE_DEVICE && from_place == PLACE_DEVICE;
    struct copy_work *self = copy_work_new(stream->context, copy, inside);

    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (mode == TRANSFER_SYNC)
        waits = !inside;
    else
        waits = to_place == PLACE_PAGEABLE || (from_place == PLACE_PAGEABLE && !try_stage(self, from));
    return waits ? stream_submit_and_wait(stream, &self->work)
                 : stream_submit_and_forget(stream, &self->work);
}

/* ---- fills ---- */

static void fill_row(char *row, uint64_t bytes, uint32_t value, unsigned value_bytes)
{
    if (value_bytes == 1) {
        memset(row, (int)(value & 0xff), bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += value_bytes)
        memcpy(row + i, &value, value_bytes);
}

static void fill_run(struct engine_work *work)
{
    struct fill_work *self = (struct fill_work *)work;
    const struct transfer_fill *fill = &self->fill;
    const struct sgdev_properties *properties = self->context->device->properties;
    enum place place;
    char *to;

    if (!side_resolve(&fill->destination, &fill->box, true, &to, &place)) {
        context_fail(self->context, CUDA_ERROR_ILLEGAL_ADDRESS);
        return;
    }
    for (uint64_t y = 0; y < fill->box.height; y++)
        fill_row(to + y * fill->destination.pitch_bytes, fill->box.width_bytes, fill->value,
                 fill->value_bytes);
    work->duration_ns =
        transfer_duration_ns(fill->box.width_bytes * fill->box.height, properties->device_copy_bytes_per_s);
}

static void fill_destroy(struct engine_work *work)
{
    free(work);
}

struct engine_work *transfer_fill_work(struct context *context, const struct transfer_fill *fill)
{
    struct fill_work *self = calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    engine_work_init(&self->work, &context->queue, ENGINE_COMPUTE, fill_run, fill_destroy);
    self->context = context;
    self->fill = *fill;
    return &self->work;
}

static bool fill_is_captured(struct stream *stream, const struct transfer_fill *fill, enum transfer_mode mode,
                             CUresult *ret_result)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_MEMSET,
                              .memset = {.dst = fill->destination.address,
                                         .pitch = fill->destination.pitch_bytes,
                                         .value = fill->value,
                                         .elementSize = fill->value_bytes,
                                         .width = fill->box.width_bytes / fill->value_bytes,
                                         .height = fill->box.height,
                                         .ctx = (CUcontext)stream->context}};

    if (mode == TRANSFER_ASYNC)
        return capture_node(stream, &node, ret_result);
    *ret_result = capture_forbid_in(stream);
    if (!*ret_result)
        *ret_result = capture_forbid();
    return *ret_result != CUDA_SUCCESS;
}

CUresult transfer_fill(struct stream *stream, const struct transfer_fill *fill, enum transfer_mode mode)
{
    struct engine_work *work;
    enum place place;
    CUresult result;
    char *to;

    if (!fill->box.width_bytes || !fill->box.height)
        return CUDA_SUCCESS;
    if (fill_is_captured(stream, fill, mode, &result))
        return result;
    if (!side_resolve(&fill->destination, &fill->box, true, &to, &place))
        return CUDA_ERROR_INVALID_VALUE;
    work = transfer_fill_work(stream->context, fill);
    if (!work)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (mode == TRANSFER_SYNC && place != PLACE_DEVICE)
        return stream_submit_and_wait(stream, work);
    return stream_submit_and_forget(stream, work);
}
