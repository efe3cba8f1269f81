/* Every type of the CUDA driver API, version 13.0, in our own words: what drivers, shim and worker are
 * written against. The generated "api/cuda.h" holds the same for programs, with the prototypes and the name
 * macros. */
#ifndef VGPU_API_CUDA_TYPES_H
#define VGPU_API_CUDA_TYPES_H

#include "api/cuda_enums.h"
#include "api/cuda_graph_types.h"
#include "api/cuda_handles.h"
#include "api/cuda_memory_types.h"
#include "api/cuda_module_types.h"
#include "api/cuda_result.h"
#include "api/cuda_texture_types.h"

#endif
