/* Becoming a client of the instance: one exchange with vgpud. Private to src/shim; used by both libraries. */
#ifndef VGPU_SHIM_ATTACH_H
#define VGPU_SHIM_ATTACH_H

#include <stddef.h>

#include "ledger/ledger.h"
#include "wire/control.h"

/* Id or name of the instance this process belongs to (the stamp, or VGPU_INSTANCE), or NULL: no limit is set.
 */
const char *attach_instance(void);

/* Asks the vgpud at VGPU_SOCKET (or at its usual place) for a slot in instance, maps what it sends, and
 * closes every descriptor again. Waits at most 10 s for each answer. 0 or negative errno; then text says why,
 * for a person. */
int attach_open(const char *instance, enum control_client_kind kind, struct ledger_client **ret_client,
                char *text, size_t text_bytes);

/* vgpud was restarted: asks it for its areas and puts them where those of the former one are mapped. Waits wait_ms at most for each of
 * connecting and the answer. 0 or negative errno: all is as it was. An observer attaches anew. */
int attach_rejoin(struct ledger_client *client, unsigned wait_ms);

/* Asks vgpud to take back now what processes of the instance hold that are dead or dying: before this process
 * is refused memory for it. 0 when vgpud has done so (it waits 50 ms at most for the dying), or negative
 * errno. A few system calls. */
int attach_reap(void);

#endif
