/* The CUDA driver API, version 13.0, described once: every exported function under its real symbol name, with
 * what our parts must know about it. The compiler sees plain prototypes; src/api/generate.py reads the marks
 * and derives the dispatch table, the lookup rows, the export map, stubs, trampolines, the public
 * "api/cuda.h" and docs/coverage.md.
 *
 * CU_API(...) stands before a prototype. Its marks:
 *   name = N       what cuGetProcAddress knows the function by; left out where it is the symbol
 *   since = V      the first driver version (13000 is 13.0) at which the name means this symbol
 *   id = I         a number of its own for wire and traces, never reused; a variant's id is I | 0x8000
 *   ptsz = V       SYMBOL_ptsz exists since V: the same, but stream 0 is the thread's own default stream
 *   ptds = V       the same as SYMBOL_ptds, for functions without a stream parameter
 *   memory = DOOR  what it does to device memory: alloc free pool query context module map unmap export
 *                  import graph
 *   time = DOOR    what it makes the device do: launch copy fill operation (of a stream, on memory) graph
 *                  host
 *   sync = HOW     local (answered in the caller's process), oneway (needs no answer), sync (the default)
 *   creates = KIND, destroys = KIND
 *                  the kind of object that begins or ends
 *   public = no    in a program the plain name does not mean this symbol, although it is the newest
 *   public = N     in a program N means this symbol
 *   capture = illegal
 *                  refused while a stream of the thread or context captures in the strict modes
 * CU_NAME(SYMBOL, marks...) names a function that we only pass on. Which functions the shim hooks is said in
 * src/shim/hooks.txt, by the room that does it.
 *
 * Marks of parameters; every pointer has a direction or is OPAQUE, the generator refuses others:
 *   IN OUT INOUT   what the callee does with what the pointer points to
 *   LEN(expr)      how many elements (bytes where the element is void) that is; without it, one
 *   STRING         ends with a NUL
 *   NULLABLE       may be NULL
 *   OPAQUE         length or meaning depend on other things: remoting needs code written by hand
 *   CALLBACK       a function of the caller's process
 *   KERNEL_PARAMS KERNEL_EXTRA
 *                  a kernel's parameters, laid out as its module says
 * A CUdeviceptr is a device pointer and a CUstream a stream handle by type; they need no mark. */
#ifndef VGPU_API_CUDA_API_H
#define VGPU_API_CUDA_API_H

#include "api/cuda_types.h"

#define CU_API(...)
#define CU_NAME(...)
#define IN
#define OUT
#define INOUT
#define LEN(expr)
#define STRING
#define NULLABLE
#define OPAQUE
#define CALLBACK
#define KERNEL_PARAMS
#define KERNEL_EXTRA

#pragma GCC visibility push(default)
#include "api/cuda_api_context.h"
#include "api/cuda_api_copy.h"
#include "api/cuda_api_device.h"
#include "api/cuda_api_graph.h"
#include "api/cuda_api_interop.h"
#include "api/cuda_api_memory.h"
#include "api/cuda_api_module.h"
#include "api/cuda_api_stream.h"
#include "api/cuda_api_texture.h"
#pragma GCC visibility pop

#undef CU_API
#undef CU_NAME
#undef IN
#undef OUT
#undef INOUT
#undef LEN
#undef STRING
#undef NULLABLE
#undef OPAQUE
#undef CALLBACK
#undef KERNEL_PARAMS
#undef KERNEL_EXTRA

#endif
