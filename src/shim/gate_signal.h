/* Signals between priorities: a process of more than the lowest priority counts what it begins and sees end
 * in a page that others watch; see "Priorities" in docs/shares.md. Private to src/shim. */
#ifndef VGPU_SHIM_GATE_SIGNAL_H
#define VGPU_SHIM_GATE_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"

/* The word to count launches in; NULL: nobody watches this process. */
uint64_t *gate_signal_begun(struct ledger_client *client, int device);
/* The process waited for the device, and all it had begun before is over; begun is the count from before the
 * wait. */
void gate_signal_ended(struct ledger_client *client, int device, uint64_t begun);

/* What those do on the device whom the gate has this instance yield to. A count that stands still for long
 * says nothing: who polls for completion never tells of it. */
enum gate_signal {
    GATE_SIGNAL_FREE,
    GATE_SIGNAL_SHORT, /* nobody is at work, but work of work_ns would not end before somebody is again, by
                          the pauses seen */
    GATE_SIGNAL_BUSY,
};
enum gate_signal gate_signal_look(struct ledger_client *client, const struct ledger_gate *gate,
                                  uint64_t work_ns, uint64_t now_ns);

void gate_signal_reset_in_child(void);

#endif
