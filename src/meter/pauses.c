/* See pauses.h. */
#include "meter/pauses.h"

enum { SEEN_LEAST = 2 };

void pauses_look(struct pauses *pauses, bool is_at_work, uint64_t now_ns)
{
    if (!is_at_work && !pauses->since_ns) {
        pauses->since_ns = now_ns;
    } else if (is_at_work && pauses->since_ns) {
        pauses->lengths_ns[pauses->n_seen++ % PAUSES_KEPT] = now_ns - pauses->since_ns;
        pauses->since_ns = 0;
    }
}

bool pauses_have_room(const struct pauses *pauses, uint64_t work_ns, uint64_t now_ns)
{
    unsigned n = pauses->n_seen < PAUSES_KEPT ? pauses->n_seen : PAUSES_KEPT;
    uint64_t least_ns = UINT64_MAX;

    for (unsigned i = 0; i < n; i++)
        if (pauses->lengths_ns[i] < least_ns)
            least_ns = pauses->lengths_ns[i];
    if (!pauses->since_ns)
        return false;
    return n < SEEN_LEAST || now_ns - pauses->since_ns + work_ns <= least_ns - least_ns / 8;
}
