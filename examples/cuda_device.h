/* CUDA C for Debian's clang alone: the words, thread indices and intrinsics that kernels of examples and tests use, over
 * clang's own builtins, so that no CUDA toolkit is needed. nvcc brings all of this itself and skips the file's body.
 * Device math comes from libclc's nvptx64--nvidiacl.bc, whose names are OpenCL's (sin(float) is _Z3sinf). */
#ifndef VGPU_EXAMPLES_CUDA_DEVICE_H
#define VGPU_EXAMPLES_CUDA_DEVICE_H

#ifndef __NVCC__

# define __global__   __attribute__((global))
# define __device__   __attribute__((device))
# define __host__     __attribute__((host))
# define __shared__   __attribute__((shared))
# define __constant__ __attribute__((constant))
# define __forceinline__ __inline__ __attribute__((always_inline))
# define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

typedef unsigned long size_t;

/* threadIdx.x and friends: reading a member reads the special register. */
# define CUDA_DEVICE_INDEX(variable, reg)                                                                    \
     struct cuda_device_##variable {                                                                         \
         __declspec(property(get = get_x)) unsigned x;                                                       \
         __declspec(property(get = get_y)) unsigned y;                                                       \
         __declspec(property(get = get_z)) unsigned z;                                                       \
         static __device__ __forceinline__ unsigned get_x() { return __nvvm_read_ptx_sreg_##reg##_x(); }     \
         static __device__ __forceinline__ unsigned get_y() { return __nvvm_read_ptx_sreg_##reg##_y(); }     \
         static __device__ __forceinline__ unsigned get_z() { return __nvvm_read_ptx_sreg_##reg##_z(); }     \
     };                                                                                                      \
     extern const __device__ cuda_device_##variable variable;

CUDA_DEVICE_INDEX(threadIdx, tid)
CUDA_DEVICE_INDEX(blockIdx, ctaid)
CUDA_DEVICE_INDEX(blockDim, ntid)
CUDA_DEVICE_INDEX(gridDim, nctaid)
# define warpSize 32

# define CUDA_DEVICE_FN static __device__ __forceinline__

extern "C" __device__ int printf(const char *format, ...);

CUDA_DEVICE_FN long long clock64() { return (long long)__nvvm_read_ptx_sreg_clock64(); }

CUDA_DEVICE_FN int __shfl_sync(unsigned mask, int v, int lane) { return __nvvm_shfl_sync_idx_i32(mask, v, lane, 31); }
CUDA_DEVICE_FN int __shfl_up_sync(unsigned mask, int v, unsigned d) { return __nvvm_shfl_sync_up_i32(mask, v, d, 0); }
CUDA_DEVICE_FN int __shfl_down_sync(unsigned mask, int v, unsigned d) { return __nvvm_shfl_sync_down_i32(mask, v, d, 31); }
CUDA_DEVICE_FN int __shfl_xor_sync(unsigned mask, int v, int m) { return __nvvm_shfl_sync_bfly_i32(mask, v, m, 31); }
CUDA_DEVICE_FN float __shfl_down_sync(unsigned mask, float v, unsigned d) { return __nvvm_shfl_sync_down_f32(mask, v, d, 31); }
CUDA_DEVICE_FN int __all_sync(unsigned mask, int p) { return __nvvm_vote_all_sync(mask, p); }
CUDA_DEVICE_FN int __any_sync(unsigned mask, int p) { return __nvvm_vote_any_sync(mask, p); }
CUDA_DEVICE_FN unsigned __ballot_sync(unsigned mask, int p) { return __nvvm_vote_ballot_sync(mask, p); }
CUDA_DEVICE_FN unsigned __match_any_sync(unsigned mask, unsigned v) { return __nvvm_match_any_sync_i32(mask, v); }
CUDA_DEVICE_FN void __syncwarp(unsigned mask = 0xffffffffu) { __nvvm_bar_warp_sync(mask); }
CUDA_DEVICE_FN int __popc(unsigned v) { return __builtin_popcount(v); }
CUDA_DEVICE_FN void __threadfence() { __nvvm_membar_gl(); }

CUDA_DEVICE_FN int atomicAdd(int *p, int v) { return __nvvm_atom_add_gen_i(p, v); }
CUDA_DEVICE_FN unsigned atomicAdd(unsigned *p, unsigned v) { return (unsigned)__nvvm_atom_add_gen_i((int *)p, (int)v); }
CUDA_DEVICE_FN unsigned long long atomicAdd(unsigned long long *p, unsigned long long v)
{
    return (unsigned long long)__nvvm_atom_add_gen_ll((long long *)p, (long long)v);
}
CUDA_DEVICE_FN float atomicAdd(float *p, float v) { return __nvvm_atom_add_gen_f(p, v); }
CUDA_DEVICE_FN int atomicMin(int *p, int v) { return __nvvm_atom_min_gen_i(p, v); }
CUDA_DEVICE_FN int atomicMax(int *p, int v) { return __nvvm_atom_max_gen_i(p, v); }
CUDA_DEVICE_FN int atomicExch(int *p, int v) { return __nvvm_atom_xchg_gen_i(p, v); }
CUDA_DEVICE_FN int atomicCAS(int *p, int expected, int v) { return __nvvm_atom_cas_gen_i(p, expected, v); }
CUDA_DEVICE_FN unsigned atomicInc(unsigned *p, unsigned limit) { return __nvvm_atom_inc_gen_ui(p, limit); }

/* libclc */
__device__ float sin(float);
__device__ float cos(float);
__device__ float exp(float);
__device__ float log(float);
__device__ float pow(float, float);
__device__ float tanh(float);
__device__ float atan2(float, float);
__device__ float sqrt(float);
__device__ double sin(double);
__device__ double exp(double);
__device__ double log(double);
__device__ double sqrt(double);
__device__ float fma(float, float, float);

# define sinf(x)      sin((float)(x))
# define cosf(x)      cos((float)(x))
# define expf(x)      exp((float)(x))
# define logf(x)      log((float)(x))
# define powf(x, y)   pow((float)(x), (float)(y))
# define tanhf(x)     tanh((float)(x))
# define atan2f(y, x) atan2((float)(y), (float)(x))
# define sqrtf(x)     sqrt((float)(x))
# define fmaf(a, b, c) fma((float)(a), (float)(b), (float)(c))

#endif
#endif
