/* External memory under a limit: see external.c. Private to src/shim. */
#ifndef VGPU_SHIM_EXTERNAL_H
#define VGPU_SHIM_EXTERNAL_H

/* For a forked child: forgets all imports. */
void external_reset_in_child(void);

#endif
