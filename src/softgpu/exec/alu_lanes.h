/* The loops of the arithmetic: macros that make one alu_fn from an expression over a, b, c, d, the lane's
 * sources.
 *
 * ALU_VECTOR is for cheap, total expressions: it computes every lane in a straight loop that compilers
 * turn into vector code and, when some lanes are off, blends with the old destination. ALU_LANE is for
 * expensive ones: only lanes that are on are computed. PER_LANE is how many elements a lane holds (2 for
 * f16x2 seen as uint16_t). A destination may be one of the sources: iterations never depend on each other,
 * which ALU_INDEPENDENT tells the compiler. */
/* clang-format off: macros and tables, laid out by hand */
#ifndef VGPU_SOFTGPU_EXEC_ALU_LANES_H
#define VGPU_SOFTGPU_EXEC_ALU_LANES_H

#include <stdint.h>
#include <string.h>

#include "softgpu/exec/alu_rows.h"

#define ALU_ALL UINT32_MAX

#ifdef __clang__
#define ALU_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define ALU_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* 16-byte values lie in arrays aligned for 8. */
typedef unsigned __int128 alu_word128 __attribute__((aligned(8)));

#define ALU_ARGS void *dst, void *dst2, const void *const src[ALU_OPERANDS_MAX], uint32_t mask

#define ALU_FROM1(A)          const A *pa = src[0];
#define ALU_FROM2(A, B)       ALU_FROM1(A) const B *pb = src[1];
#define ALU_FROM3(A, B, C)    ALU_FROM2(A, B) const C *pc = src[2];
#define ALU_FROM4(A, B, C, D) ALU_FROM3(A, B, C) const D *pd = src[3];
#define ALU_LOAD1(A)          const A a = pa[i];
#define ALU_LOAD2(A, B)       ALU_LOAD1(A) const B b = pb[i];
#define ALU_LOAD3(A, B, C)    ALU_LOAD2(A, B) const C c = pc[i];
#define ALU_LOAD4(A, B, C, D) ALU_LOAD3(A, B, C) const D d = pd[i];

#define ALU_VECTOR_BODY(R, PER_LANE, FROM, LOAD, EXPR)                                                          \
    {                                                                                                           \
        R *out = dst;                                                                                           \
        FROM                                                                                                    \
        if (mask == ALU_ALL) {                                                                                  \
            ALU_INDEPENDENT                                                                                     \
            for (unsigned i = 0; i < ALU_LANES * PER_LANE; i++) {                                               \
                LOAD                                                                                            \
                out[i] = (R)(EXPR);                                                                             \
            }                                                                                                   \
        } else {                                                                                                \
            ALU_INDEPENDENT                                                                                     \
            for (unsigned i = 0; i < ALU_LANES * PER_LANE; i++) {                                               \
                LOAD                                                                                            \
                R value = (R)(EXPR);                                                                            \
                out[i] = mask & (UINT32_C(1) << i / PER_LANE) ? value : out[i];                                 \
            }                                                                                                   \
        }                                                                                                       \
    }

#define ALU_LANE_BODY(R, PER_LANE, FROM, LOAD, EXPR)                                                            \
    {                                                                                                           \
        R *out = dst;                                                                                           \
        FROM                                                                                                    \
        for (uint32_t left = mask; left; left &= left - 1) {                                                    \
            unsigned lane = (unsigned)__builtin_ctz(left);                                                      \
            for (unsigned i = lane * PER_LANE; i < (lane + 1) * PER_LANE; i++) {                                \
                LOAD                                                                                            \
                out[i] = (R)(EXPR);                                                                             \
            }                                                                                                   \
        }                                                                                                       \
    }

/* ALU_VECTOR3(fma_f32, float, float, float, float, expr): name, result type, source types, expression. */
#define ALU_VECTOR1(name, R, A, EXPR)                                                                           \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(R, 1, ALU_FROM1(A), ALU_LOAD1(A), EXPR)
#define ALU_VECTOR2(name, R, A, B, EXPR)                                                                        \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(R, 1, ALU_FROM2(A, B), ALU_LOAD2(A, B), EXPR)
#define ALU_VECTOR3(name, R, A, B, C, EXPR)                                                                     \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(R, 1, ALU_FROM3(A, B, C), ALU_LOAD3(A, B, C), EXPR)
#define ALU_VECTOR4(name, R, A, B, C, D, EXPR)                                                                  \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(R, 1, ALU_FROM4(A, B, C, D), ALU_LOAD4(A, B, C, D), EXPR)
#define ALU_LANE1(name, R, A, EXPR)                                                                             \
    static void name(ALU_ARGS) ALU_LANE_BODY(R, 1, ALU_FROM1(A), ALU_LOAD1(A), EXPR)
#define ALU_LANE2(name, R, A, B, EXPR)                                                                          \
    static void name(ALU_ARGS) ALU_LANE_BODY(R, 1, ALU_FROM2(A, B), ALU_LOAD2(A, B), EXPR)
#define ALU_LANE3(name, R, A, B, C, EXPR)                                                                       \
    static void name(ALU_ARGS) ALU_LANE_BODY(R, 1, ALU_FROM3(A, B, C), ALU_LOAD3(A, B, C), EXPR)
#define ALU_LANE4(name, R, A, B, C, D, EXPR)                                                                    \
    static void name(ALU_ARGS) ALU_LANE_BODY(R, 1, ALU_FROM4(A, B, C, D), ALU_LOAD4(A, B, C, D), EXPR)

#endif
