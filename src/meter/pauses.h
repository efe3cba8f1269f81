/* How long somebody else's pauses are, so that work which cannot be interrupted may be fitted into one. Pure;
 * time is an argument. */
#ifndef VGPU_METER_PAUSES_H
#define VGPU_METER_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

enum { PAUSES_KEPT = 8 };

/* Begins as all zero. */
struct pauses {
    uint64_t since_ns; /* of the pause that lasts; 0: it is at work, or was never looked at */
    uint64_t lengths_ns[PAUSES_KEPT];
    unsigned n_seen;
};

/* What a look at now_ns found. A pause that begins and ends between two looks is not seen, and one is seen as
 * shorter than it is. */
void pauses_look(struct pauses *pauses, bool is_at_work, uint64_t now_ns);

/* Whether work of work_ns that begins now would end before the pause does, if that is as long as the shortest
 * of the last ones. True where hardly any was seen yet. */
bool pauses_have_room(const struct pauses *pauses, uint64_t work_ns, uint64_t now_ns);

#endif
