/* mov, selp and slct: values pass unchanged, bit for bit. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

#define MOVE_WIDTHS(X) X(16, uint16_t) X(32, uint32_t) X(64, uint64_t)

#define DEFINE_MOVES(W, U)                                                                                      \
    ALU_VECTOR1(mov_##W, U, U, a)                                                                               \
    ALU_VECTOR3(selp_##W, U, U, U, uint8_t, c ? a : b)                                                          \
    ALU_VECTOR3(slct_s32_##W, U, U, U, int32_t, c >= 0 ? a : b)                                                 \
    ALU_VECTOR3(slct_f32_##W, U, U, U, float, c >= 0.0f ? a : b)                                                \
    ALU_VECTOR3(slct_f32_ftz_##W, U, U, U, float, c > -0x1p-126f ? a : b)
MOVE_WIDTHS(DEFINE_MOVES)
ALU_VECTOR1(mov_8, uint8_t, uint8_t, a)
ALU_VECTOR1(mov_128, alu_word128, alu_word128, a)

#define MOVE_ROWS(t, P, W)                                                                                      \
    ALU_ROW("mov." #t, mov_##W, MOVE, T(P), T(P))                                                               \
    ALU_ROW("selp." #t, selp_##W, INT, T(P), T(P), T(P), T(PRED))                                               \
    ALU_ROW("slct." #t ".s32", slct_s32_##W, INT, T(P), T(P), T(P), T(S32))                                     \
    ALU_ROW("slct." #t ".f32", slct_f32_##W, INT, T(P), T(P), T(P), T(F32))                                     \
    ALU_ROW("slct.ftz." #t ".f32", slct_f32_ftz_##W, INT, T(P), T(P), T(P), T(F32))

static const struct alu_row rows[] = {
    MOVE_ROWS(b16, B16, 16) MOVE_ROWS(b32, B32, 32) MOVE_ROWS(b64, B64, 64)
    MOVE_ROWS(u16, U16, 16) MOVE_ROWS(u32, U32, 32) MOVE_ROWS(u64, U64, 64)
    MOVE_ROWS(s16, S16, 16) MOVE_ROWS(s32, S32, 32) MOVE_ROWS(s64, S64, 64)
    MOVE_ROWS(f32, F32, 32) MOVE_ROWS(f64, F64, 64)
    ALU_ROW("mov.pred", mov_8, MOVE, T(PRED), T(PRED))
    ALU_ROW("mov.b128", mov_128, MOVE, T(B128), T(B128))
};

const struct alu_rows ALU_TIER(alu_move_rows) = ALU_ROWS(rows);
