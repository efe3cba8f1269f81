/* CUDA arrays and mipmapped arrays: device memory with a shape, reached only by copies.
 *
 * An array lies in device memory row after row: rows begin at multiples of the device's pitch alignment,
 * slices (of depth, or layers, or faces) follow each other without a gap, and so do the levels of a mipmapped
 * array. Each array is a segment of its own, so what it costs is its bytes rounded up to granules. */
#ifndef VGPU_SOFTGPU_DRIVER_ARRAY_H
#define VGPU_SOFTGPU_DRIVER_ARRAY_H

#include "api/cuda_api.h"
#include "softgpu/driver/context.h"

/* Where the elements of a shape lie. */
struct array_layout {
    uint64_t element_bytes, row_bytes, pitch_bytes;
    uint64_t rows, slices; /* at least 1 each */
    uint64_t slice_bytes;  /* from one slice to the next */
    uint64_t bytes;        /* all of it */
};

/* What a CUarray names: an array of its own, or a level of a mipmapped one. */
struct array {
    struct object object;
    CUDA_ARRAY3D_DESCRIPTOR descriptor;
    struct array_layout layout;
    uint64_t address; /* of its first element; only the driver knows it */
    bool is_level;
};

/* What a CUmipmappedArray names, and, with one level, what owns the memory of an array. */
struct array_memory {
    struct object object;
    struct context *context;   /* referenced; its end frees its arrays, which drops that */
    struct array_memory *next; /* in context->arrays */
    uint64_t address, bytes;   /* bytes: what the device takes for it */
    unsigned n_levels;
    struct array **levels; /* references */
};

/* ---- shapes: no memory, no state ---- */

/* Whether device may have an array of that shape. INVALID_VALUE: it is none, or too large for the device;
 * NOT_SUPPORTED: a format or flag that the software GPU does not have. */
CUresult array_check(const struct device *device, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                     bool is_mipmapped);

/* The layout of a shape that array_check accepted. */
struct array_layout array_layout_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, uint64_t pitch_align_bytes);

/* Levels that a full chain of mipmaps of that shape has. */
unsigned array_levels_max(const CUDA_ARRAY3D_DESCRIPTOR *descriptor);
CUDA_ARRAY3D_DESCRIPTOR array_level_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned level);

/* ---- objects ---- */

/* Memory of context's device for n_levels levels of an accepted shape; its arrays are published, it is itself
 * when it is to be a mipmapped array. OUT_OF_MEMORY: nothing is taken. */
CUresult array_memory_new(struct context *context, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                          unsigned n_levels, bool is_mipmapped, struct array_memory **ret_memory);

/* The one whose only level is array, with a reference for the caller; NULL for a level of a mipmapped array.
 */
struct array_memory *array_memory_of(const struct array *array);

/* Waits for work that may use it, ends its handles and gives the memory back; only the first caller does so.
 */
void array_memory_end(struct array_memory *memory);

/* For the end of a context, whose work is done. */
void array_memory_end_all(struct context *context);

#endif
