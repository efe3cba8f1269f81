/* Virtual memory management under a limit: see vmm.c. Private to src/shim. */
#ifndef VGPU_SHIM_VMM_H
#define VGPU_SHIM_VMM_H

/* For a forked child: forgets all handles and mappings. */
void vmm_reset_in_child(void);

#endif
