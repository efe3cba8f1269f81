/* An account of busy time: a total, and how much of the last second it was. Pure arithmetic; time is an
 * argument. */
#ifndef VGPU_SOFTGPU_DEVICE_BUSY_H
#define VGPU_SOFTGPU_DEVICE_BUSY_H

#include <stdint.h>

/* The last second is kept in slots of 1/128 s; one more than 128, since the oldest and the newest are cut. */
enum { BUSY_SLOTS = 129 };
#define BUSY_SLOT_NS UINT64_C(7812500)

/* Zeroed memory is an empty account. */
struct busy {
    uint64_t total_ns;
    uint64_t last_end_ns;
    uint64_t sm_ns;       /* total weighted by the part of the SMs in use */
    uint32_t sm_rest;     /* what does not make a whole ns of sm_ns yet, in 1/1000 ns */
    uint64_t newest_slot; /* number of the latest slot in use, counted from time 0 */
    uint32_t slot_ns[BUSY_SLOTS];
};

/* Adds [start_ns, end_ns), which begins at or after every end added before. sm_permille: part of the SMs that
 * worked. */
void busy_add(struct busy *busy, uint64_t start_ns, uint64_t end_ns, uint32_t sm_permille);

/* How much of (now_ns - 1 s, now_ns] was busy; at most 1 s. The oldest slot counts in proportion. now_ns is
 * not before the last end. */
uint64_t busy_last_second(const struct busy *busy, uint64_t now_ns);

/* What slot number `slot` holds; 0 for one that is forgotten or yet to come. */
uint64_t busy_slot_ns(const struct busy *busy, uint64_t slot);

#endif
