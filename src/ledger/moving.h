/* The word that says what a slot's process has charged but may not have on the device. Private to src/ledger;
 * the clients' side of it is in ledger.h. */
#ifndef VGPU_LEDGER_MOVING_H
#define VGPU_LEDGER_MOVING_H

#include <stdint.h>

/* Nothing moves any more: the slot's process is dead and its row given back. For the reaper. */
void moving_clear(uint64_t *moving);

#endif
