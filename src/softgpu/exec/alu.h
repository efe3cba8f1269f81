/* Arithmetic of PTX on 32 lanes at once: pure functions over lane arrays, no warp state, no memory access.
 * exec/ picks one at decode time (alu_find) and calls it through a pointer for each executed instruction.
 *
 * A lane array holds 32 values side by side at the width of its type (ptx_type_bytes): 1 byte for PRED (0 or
 * 1), U8 and S8, 2, 4, 8 or 16 bytes else, aligned to that width or 8. mask: one bit a lane; lanes outside it
 * keep their old destination value. A destination may be the same array as a source of the same width; arrays
 * of different widths do not overlap. Rounding: .rn/.rz/.rm/.rp, .ftz, .sat, .approx as the PTX reference
 * says; fma has a single rounding. NaN results are the canonical NaN (0x7fffffff, 0x7fffffffffffffff,
 * 0x7fff), but abs, neg, copysign, mov, selp and cvt without any modifier between equal types pass payloads
 * on. Where the reference leaves a result to the implementation (.approx), the correctly rounded value of the
 * exact function is given. Integer division by zero gives all ones, for the remainder too. */
#ifndef VGPU_SOFTGPU_EXEC_ALU_H
#define VGPU_SOFTGPU_EXEC_ALU_H

#include <stddef.h>
#include <stdint.h>

#include "softgpu/ptx/ast.h"

enum { ALU_LANES = 32, ALU_OPERANDS_MAX = 5 };

/* dst2: second result (carry-out as a PRED lane array for .cc; q of setp p|q; predicate of lop3.or/.and d|p),
 * NULL when unused. src[i]: lane arrays, widths as alu_op.src_type says. Forms that read the carry (addc,
 * subc, madc) have it as last source; .cc alone only writes it. The boolean source c of setp, set and lop3 is
 * the last one; exec inverts it for !c. lop3's table and prmt's mode are no sources: the first is alu_find's
 * immediate, the second a modifier. */
typedef void (*alu_fn)(void *dst, void *dst2, const void *const src[ALU_OPERANDS_MAX], uint32_t mask);

/* Which kind of work an instruction is, for the cost model and instruction counts. */
enum alu_class {
    ALU_CLASS_INT,
    ALU_CLASS_FP32,
    ALU_CLASS_FP64,
    ALU_CLASS_FP16,
    ALU_CLASS_SFU,
    ALU_CLASS_CONVERT,
    ALU_CLASS_MOVE
};

struct alu_op {
    alu_fn run;
    enum alu_class cost_class;
    uint8_t n_src;                     /* sources run expects (carry-in included) */
    enum ptx_type dst_type, dst2_type; /* PTX_NONE: none */
    enum ptx_type src_type[ALU_OPERANDS_MAX];
    /* Uses of the warp's condition-code register: exec supplies src[n_src - 1], and dst2. */
    uint8_t reads_carry, writes_carry;
};

/* Finds the function for an instruction: op "fma", modifiers {"rn","ftz","f32"}, in any order as long as
 * types keep theirs (ptxas takes them so). immediate: the literal operand that selects behaviour (lop3's
 * table), else 0. Constant time; thread-safe. 0 with *ret_op; -ENOENT: not an arithmetic instruction (a
 * branch, a load, ...: exec's own business); -ENOTSUP: known as arithmetic but this combination is not
 * implemented or not legal PTX. Covers: add sub mul mad fma div rem abs neg min max sad mul24 mad24 addc subc
 * madc popc clz bfind brev bfe bfi bmsk fns szext dp4a dp2a, and or xor not cnot lop3 shl shr shf prmt, set
 * setp selp slct testp copysign, rcp sqrt rsqrt sin cos lg2 ex2 tanh, cvt (all pairs and roundings), mov
 * (register to register; mov.b64 {a,b} goes through alu_pack), f16, bf16 and packed forms. Not there: video
 * instructions, f32x2, fp8, cvt.pack, fma.oob. */
int alu_find(const char *op, const char *const *modifiers, size_t n_modifiers, int64_t immediate,
             struct alu_op *ret_op);

/* mov.b32/.b64/.b128 between a wide register and a vector of narrow ones. n: 2, 4 or 8 parts, part_bytes 1,
 * 2, 4 or 8. */
void alu_pack(void *dst, const void *const *parts, unsigned n, unsigned part_bytes, uint32_t mask);
void alu_unpack(void *const *parts, const void *src, unsigned n, unsigned part_bytes, uint32_t mask);

/* Moves lane values between widths: a destination wider than the source is zero- or sign-extended, a narrower
 * one truncated. For ld/st/cvt operands whose register is declared wider than the operation. The arrays may
 * be one only when the widths are equal. */
void alu_resize(void *dst, unsigned dst_bytes, const void *src, unsigned src_bytes, int is_signed,
                uint32_t mask);

/* The arithmetic needs the default floating-point environment (round to nearest, subnormals kept). A thread
 * that interprets calls enter before and leave after; enter saves what the thread had. */
struct alu_env {
    uint64_t saved[8];
};
void alu_env_enter(struct alu_env *ret_saved);
void alu_env_leave(const struct alu_env *saved);

/* One atomic read-modify-write on host memory for one lane: op "add", "min", "max", "inc", "dec", "and",
 * "or", "xor", "exch", "cas" (a = expected, b = new value). addr is aligned to the type. Returns the old
 * value's bits. Sequentially consistent. no_ftz 0 makes add.f32 flush subnormals, as it does on global
 * memory; other types never flush. alu_find_atom: 0 or -ENOTSUP. */
typedef uint64_t (*alu_atom_fn)(void *addr, uint64_t a, uint64_t b);
int alu_find_atom(const char *op, enum ptx_type type, int no_ftz, alu_atom_fn *ret_fn);

#endif
