/* Kernels whose blocks cannot differ: nothing in them depends on which block it is, and nothing they do can
 * be noticed from outside. Of such a grid one block is run and counts for all. That makes a kernel that only
 * takes time cheap for the host however many blocks it has. */
#ifndef VGPU_SOFTGPU_EXEC_ALIKE_H
#define VGPU_SOFTGPU_EXEC_ALIKE_H

#include <stdbool.h>

struct exec_program;
struct function;

/* Decided from the code alone. Of the decoded function of a kernel. */
bool alike_blocks(const struct exec_program *program, const struct function *function);

#endif
