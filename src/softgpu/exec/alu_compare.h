/* The comparisons shared by setp and set: one function for each operator and type, made in alu_compare.c.
 * dst is the PRED result; dst2, unless NULL, its negation (for f16x2 and bf16x2: dst is the low half's
 * result, dst2 the high half's, and both are needed). Private to alu*.c. */
/* clang-format off: macros and tables, laid out by hand */
#ifndef VGPU_SOFTGPU_EXEC_ALU_COMPARE_H
#define VGPU_SOFTGPU_EXEC_ALU_COMPARE_H

#include "softgpu/exec/alu_lanes.h"

/* X(operator as spelled, operator of the function, what the caller passes on). */
#define ALU_EQUAL_OPS(X, ...) X(eq, eq, __VA_ARGS__) X(ne, ne, __VA_ARGS__)
#define ALU_ORDER_OPS(X, ...)                                                                                   \
    ALU_EQUAL_OPS(X, __VA_ARGS__)                                                                               \
    X(lt, lt, __VA_ARGS__) X(le, le, __VA_ARGS__) X(gt, gt, __VA_ARGS__) X(ge, ge, __VA_ARGS__)
#define ALU_UNSIGNED_OPS(X, ...)                                                                                \
    ALU_ORDER_OPS(X, __VA_ARGS__)                                                                               \
    X(lo, lt, __VA_ARGS__) X(ls, le, __VA_ARGS__) X(hi, gt, __VA_ARGS__) X(hs, ge, __VA_ARGS__)
#define ALU_FLOAT_OPS(X, ...)                                                                                   \
    ALU_ORDER_OPS(X, __VA_ARGS__)                                                                               \
    X(equ, equ, __VA_ARGS__) X(neu, neu, __VA_ARGS__) X(ltu, ltu, __VA_ARGS__) X(leu, leu, __VA_ARGS__)         \
    X(gtu, gtu, __VA_ARGS__) X(geu, geu, __VA_ARGS__) X(num, num, __VA_ARGS__) X(nan, nan, __VA_ARGS__)

/* TYPE(operator list, type of the function, .ftz or not, type as spelled, its enumerator, class) */
#define ALU_INT_COMPARES(TYPE)                                                                                  \
    TYPE(ALU_EQUAL_OPS, u16, "", b16, B16, INT) TYPE(ALU_EQUAL_OPS, u32, "", b32, B32, INT)                     \
    TYPE(ALU_EQUAL_OPS, u64, "", b64, B64, INT)                                                                 \
    TYPE(ALU_UNSIGNED_OPS, u16, "", u16, U16, INT) TYPE(ALU_UNSIGNED_OPS, u32, "", u32, U32, INT)               \
    TYPE(ALU_UNSIGNED_OPS, u64, "", u64, U64, INT)                                                              \
    TYPE(ALU_ORDER_OPS, s16, "", s16, S16, INT) TYPE(ALU_ORDER_OPS, s32, "", s32, S32, INT)                     \
    TYPE(ALU_ORDER_OPS, s64, "", s64, S64, INT)
#define ALU_F32_COMPARES(TYPE)                                                                                  \
    TYPE(ALU_FLOAT_OPS, f32, "", f32, F32, FP32) TYPE(ALU_FLOAT_OPS, f32_ftz, ".ftz", f32, F32, FP32)
#define ALU_F64_COMPARES(TYPE) TYPE(ALU_FLOAT_OPS, f64, "", f64, F64, FP64)
#define ALU_F16_COMPARES(TYPE)                                                                                  \
    TYPE(ALU_FLOAT_OPS, f16, "", f16, F16, FP16) TYPE(ALU_FLOAT_OPS, f16_ftz, ".ftz", f16, F16, FP16)
#define ALU_BF16_COMPARES(TYPE) TYPE(ALU_FLOAT_OPS, bf16, "", bf16, BF16, FP16)
#define ALU_F16X2_COMPARES(TYPE)                                                                                \
    TYPE(ALU_FLOAT_OPS, f16x2, "", f16x2, F16X2, FP16) TYPE(ALU_FLOAT_OPS, f16x2_ftz, ".ftz", f16x2, F16X2, FP16)
#define ALU_BF16X2_COMPARES(TYPE) TYPE(ALU_FLOAT_OPS, bf16x2, "", bf16x2, BF16X2, FP16)

#define ALU_DECLARE_COMPARE(op, fn, t) void ALU_TIER(alu_setp_##op##_##t)(ALU_ARGS);
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, u16)
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, u32)
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, u64)
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, s16)
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, s32)
ALU_ORDER_OPS(ALU_DECLARE_COMPARE, s64)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f16)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f16_ftz)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, bf16)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f32)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f32_ftz)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f64)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f16x2)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, f16x2_ftz)
ALU_FLOAT_OPS(ALU_DECLARE_COMPARE, bf16x2)

#endif
