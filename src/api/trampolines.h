/* The shim's pass-through entry points: the generated shim_trampolines.c and shim_nvml_trampolines.c hold,
 * for every exported name that src/shim/hooks.txt (nvml_hooks.txt) does not name, a function which jumps
 * through the table with all argument registers as they came. x86-64 and arm64. */
#ifndef VGPU_API_TRAMPOLINES_H
#define VGPU_API_TRAMPOLINES_H

/* By slot, of hooked names too. Each element starts at a resolver, which keeps the arguments, asks
 * shim_resolve (shim_nvml_resolve) and jumps to what that answers; the resolver itself writes nothing. */
extern void *shim_cuda_table[];
extern void *shim_nvml_table[];

/* Defined by the shim; called in the thread of the first callers. Answers the function to jump to, never
 * NULL, and may store it into its table with one relaxed store so that later calls go straight there. */
void *shim_resolve(unsigned slot);
void *shim_nvml_resolve(unsigned slot);

#endif
