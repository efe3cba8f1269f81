/* The addresses of a library's own exported functions, by slot. The generated api_cuda_entries.c is compiled
 * into each library that stands as libcuda.so.1 (meson: api_cuda_entries), which links with
 * api_cuda_link_args: without -Bsymbolic another libcuda in the process would take the addresses' place. */
#ifndef VGPU_API_ENTRIES_H
#define VGPU_API_ENTRIES_H

extern void *const api_cuda_entries[];

#endif
