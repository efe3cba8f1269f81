/* Hooks of the doors through which a program gives the device copies, fills and memory operations: one line a
 * function, which says what work it is; all else is the same for each and stands in DOOR below. The driver
 * gets every call with the arguments as they came and its answer is the call's; what is wrong with them is
 * the driver's to say.
 *
 *     DOOR(symbol, work, type, name, type, name, ...)         the parameters, in order
 *     DOOR_PTSZ(...), DOOR_PTDS(...)                          that function and its variant of the name
 *
 * Cost above the driver's: with no instance one load, with an instance whose time is not metered two; then
 * a jump. Else what the gate costs. Private to src/shim. */
#ifndef VGPU_SHIM_DOOR_H
#define VGPU_SHIM_DOOR_H

#include "shim/gate.h"
#include "shim/gate_copy.h"
#include "shim/shim.h"

/* Is this process settled, and nobody to be asked? */
static inline bool door_is_open(void)
{
    switch (__atomic_load_n(&shim.mode, __ATOMIC_ACQUIRE)) {
    case SHIM_PASS:
        return true;
    case SHIM_LIMITED:
        return !gate_is_on();
    default:
        return false;
    }
}

static inline CUresult door_attach(void)
{
    struct ledger_client *client;

    return shim_limit(&client);
}

/* What a call asks for, small enough for registers. Functions without a parameter for a stream use stream 0.
 */
struct door_work {
    enum gate_kind kind;
    bool is_synchronous;
    uint64_t bytes;
    CUstream stream;
};

static inline struct door_work door_work(enum gate_kind kind, uint64_t bytes, CUstream stream)
{
    return (struct door_work){.kind = kind, .stream = stream, .bytes = bytes};
}

/* Width times height times depth. A product that does not fit is none that a driver takes, and counts 0. */
static inline uint64_t door_box_bytes(uint64_t width_bytes, uint64_t height, uint64_t depth)
{
    uint64_t bytes;

    if (__builtin_mul_overflow(width_bytes, height, &bytes) || __builtin_mul_overflow(bytes, depth, &bytes))
        return 0;
    return bytes;
}

/* ---- the hook ---- */

#define DOOR(symbol, work, ...) DOOR_ONE(symbol, false, work, __VA_ARGS__)
#define DOOR_PTSZ(symbol, work, ...)                                                                         \
    DOOR_ONE(symbol, false, work, __VA_ARGS__) DOOR_ONE(symbol##_ptsz, true, work, __VA_ARGS__)
#define DOOR_PTDS(symbol, work, ...)                                                                         \
    DOOR_ONE(symbol, false, work, __VA_ARGS__) DOOR_ONE(symbol##_ptds, true, work, __VA_ARGS__)

/* The gate's part is a function of its own, or every call would make room on the stack for it. */
#define DOOR_ONE(symbol, of_thread, work, ...)                                                               \
    static __attribute__((noinline)) CUresult gated_##symbol(DOOR_PARAMETERS(__VA_ARGS__))                   \
    {                                                                                                        \
        struct gate_ticket ticket;                                                                           \
        struct door_work asked;                                                                              \
        CUresult result = door_attach();                                                                     \
                                                                                                             \
        if (result || !gate_is_on())                                                                         \
            return result ? result : real(symbol)(DOOR_ARGUMENTS(__VA_ARGS__));                              \
        asked = work;                                                                                        \
        if (gate_pay_bytes(asked.kind, asked.bytes))                                                         \
            return real(symbol)(DOOR_ARGUMENTS(__VA_ARGS__));                                                \
        gate_enter(&ticket, &(struct gate_work){.kind = asked.kind,                                          \
                                                .call = #symbol,                                             \
                                                .stream = asked.stream,                                      \
                                                .is_per_thread = of_thread,                                  \
                                                .is_synchronous = asked.is_synchronous,                      \
                                                .bytes = asked.bytes});                                      \
        result = real(symbol)(DOOR_ARGUMENTS(__VA_ARGS__));                                                  \
        gate_leave(&ticket, result);                                                                         \
        return result;                                                                                       \
    }                                                                                                        \
                                                                                                             \
    CUresult symbol(DOOR_PARAMETERS(__VA_ARGS__))                                                            \
    {                                                                                                        \
        return door_is_open() ? real(symbol)(DOOR_ARGUMENTS(__VA_ARGS__))                                    \
                              : gated_##symbol(DOOR_ARGUMENTS(__VA_ARGS__));                                 \
    }

/* ---- up to nine pairs of type and name, as parameters and as arguments ---- */

#define DOOR_PARAMETERS(...) DOOR_EACH(DOOR_PARAMETERS_, DOOR_PAIRS(__VA_ARGS__), __VA_ARGS__)
#define DOOR_ARGUMENTS(...)  DOOR_EACH(DOOR_ARGUMENTS_, DOOR_PAIRS(__VA_ARGS__), __VA_ARGS__)

#define DOOR_EACH(what, pairs, ...)  DOOR_EACH_(what, pairs, __VA_ARGS__)
#define DOOR_EACH_(what, pairs, ...) what##pairs(__VA_ARGS__)

#define DOOR_PAIRS(...) DOOR_19TH(__VA_ARGS__, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0)

#define DOOR_19TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, pairs, ...) pairs

#define DOOR_PARAMETERS_1(type, name)      type name
#define DOOR_PARAMETERS_2(type, name, ...) type name, DOOR_PARAMETERS_1(__VA_ARGS__)
#define DOOR_PARAMETERS_3(type, name, ...) type name, DOOR_PARAMETERS_2(__VA_ARGS__)
#define DOOR_PARAMETERS_4(type, name, ...) type name, DOOR_PARAMETERS_3(__VA_ARGS__)
#define DOOR_PARAMETERS_5(type, name, ...) type name, DOOR_PARAMETERS_4(__VA_ARGS__)
#define DOOR_PARAMETERS_6(type, name, ...) type name, DOOR_PARAMETERS_5(__VA_ARGS__)
#define DOOR_PARAMETERS_7(type, name, ...) type name, DOOR_PARAMETERS_6(__VA_ARGS__)
#define DOOR_PARAMETERS_8(type, name, ...) type name, DOOR_PARAMETERS_7(__VA_ARGS__)
#define DOOR_PARAMETERS_9(type, name, ...) type name, DOOR_PARAMETERS_8(__VA_ARGS__)

#define DOOR_ARGUMENTS_1(type, name)      name
#define DOOR_ARGUMENTS_2(type, name, ...) name, DOOR_ARGUMENTS_1(__VA_ARGS__)
#define DOOR_ARGUMENTS_3(type, name, ...) name, DOOR_ARGUMENTS_2(__VA_ARGS__)
#define DOOR_ARGUMENTS_4(type, name, ...) name, DOOR_ARGUMENTS_3(__VA_ARGS__)
#define DOOR_ARGUMENTS_5(type, name, ...) name, DOOR_ARGUMENTS_4(__VA_ARGS__)
#define DOOR_ARGUMENTS_6(type, name, ...) name, DOOR_ARGUMENTS_5(__VA_ARGS__)
#define DOOR_ARGUMENTS_7(type, name, ...) name, DOOR_ARGUMENTS_6(__VA_ARGS__)
#define DOOR_ARGUMENTS_8(type, name, ...) name, DOOR_ARGUMENTS_7(__VA_ARGS__)
#define DOOR_ARGUMENTS_9(type, name, ...) name, DOOR_ARGUMENTS_8(__VA_ARGS__)

#endif
