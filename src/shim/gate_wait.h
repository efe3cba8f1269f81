/* Drawing GPU time for the gate, and waiting where there is none: the part that knows vgpud's gates, the
 * instance's account, the clock and how to sleep. Private to gate.c. Thread-safe. */
#ifndef VGPU_SHIM_GATE_WAIT_H
#define VGPU_SHIM_GATE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "shim/gate.h"

void gate_wait_begin(struct ledger_client *client);
void gate_wait_reset_in_child(void);

/* Draws ns for the work, when the thread may begin it: waits for the share to allow it, for windows of others
 * to end, for those of higher priority. Sleeps; the longest waits for other reasons than debt are 100 ms. */
void gate_draw(struct ledger_client *client, int device, enum ledger_engine engine,
               const struct gate_work *work, uint64_t ns);

/* Puts right by delta_ns what was drawn and billed. */
void gate_correct(struct ledger_client *client, int device, enum ledger_engine engine, int64_t delta_ns);
/* Gives back what was drawn and not used. */
void gate_give_back(struct ledger_client *client, unsigned device, enum ledger_engine engine, uint64_t ns);

/* Where the share is capped: waits until the cost of key is known, for up to 100 ms, when a measurement of it
 * is under way. */
void gate_wait_for_cost(struct ledger_client *client, int device, const struct gate_work *work, uint64_t key);

/* Who else could have disturbed what the device ran from ran_from_ns on until now (0: what is begun now).
 * ALONE is sure only for what lies in the past by GATE_ALONE_AFTER_NS: vgpud sees others after a moment.
 * *ret_window (may be NULL) gets the window's name for GATE_IN_WINDOW. */
enum gate_company { GATE_DISTURBED, GATE_ALONE, GATE_IN_WINDOW };
#define GATE_ALONE_AFTER_NS UINT64_C(25000000)
enum gate_company gate_company(struct ledger_client *client, int device, uint64_t ran_from_ns,
                               uint64_t *ret_window);

/* Tells vgpud that this process would like to measure work of about that length alone (0: none, for now). */
void gate_want_window(struct ledger_client *client, int device, uint64_t work_ns);

/* Tells vgpud how long the works are that this process begins: one is predicted to take work_ns. */
void gate_note_length(struct ledger_client *client, int device, uint64_t work_ns);

/* How much a thread may draw at a time, of at most most_ns. */
uint64_t gate_chunk_most_ns(int device, uint64_t most_ns);

/* Whether the key's cost is awaited by others; of gate.c. */
bool gate_is_awaited(uint64_t key);

#endif
