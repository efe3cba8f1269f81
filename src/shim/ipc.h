/* Memory opened from other processes by CUipcMemHandle: see ipc.c. Private to src/shim. */
#ifndef VGPU_SHIM_IPC_H
#define VGPU_SHIM_IPC_H

#include "shim/shim.h"

/* The context is gone, and with it what was opened in it. */
void ipc_forget_context(struct ledger_client *client, CUcontext context);

/* For a forked child: forgets what is open. */
void ipc_reset_in_child(void);

#endif
