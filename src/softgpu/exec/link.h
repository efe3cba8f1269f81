/* What each kernel needs, worked out over everything it can call. */
#ifndef VGPU_SOFTGPU_EXEC_LINK_H
#define VGPU_SOFTGPU_EXEC_LINK_H

struct exec_program;

/* Fills program->kernels and kernel_data. 0 or -ENOMEM. */
int link_kernels(struct exec_program *program);

#endif
