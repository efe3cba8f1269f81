/* Drawing; see draw.h. */
#include "meter/draw.h"

bool draw_try(uint64_t *drawn_ns, uint64_t ns, uint64_t allowance_ns, uint64_t burst_ns,
              uint64_t *ret_debt_ns)
{
    uint64_t drawn = __atomic_load_n(drawn_ns, __ATOMIC_RELAXED), next;

    do {
        uint64_t from = drawn;

        if (drawn >= allowance_ns) {
            *ret_debt_ns = drawn - allowance_ns;
            return false;
        }
        if (allowance_ns - from > burst_ns)
            from = allowance_ns - burst_ns;
        next = from + ns;
        if (next < from)
            next = UINT64_MAX;
    } while (!__atomic_compare_exchange_n(drawn_ns, &drawn, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

void draw_adjust(uint64_t *drawn_ns, int64_t ns)
{
    uint64_t drawn = __atomic_load_n(drawn_ns, __ATOMIC_RELAXED), next;

    do {
        if (ns >= 0)
            next = drawn + (uint64_t)ns < drawn ? UINT64_MAX : drawn + (uint64_t)ns;
        else
            next = drawn > -(uint64_t)ns ? drawn + (uint64_t)ns : 0;
    } while (!__atomic_compare_exchange_n(drawn_ns, &drawn, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}
