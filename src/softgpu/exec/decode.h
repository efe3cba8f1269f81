/* The decoder's own state: from syntax (ptx/ast.h) to a program (program.h). decode.c walks a function,
 * decode_alu.c, decode_memory.c, decode_sync.c and decode_flow.c each make the instructions of their kind.
 * One PTX instruction becomes exactly one struct insn, so counts are counts of PTX instructions. Not
 * thread-safe; one decoder a module. */
#ifndef VGPU_SOFTGPU_EXEC_DECODE_H
#define VGPU_SOFTGPU_EXEC_DECODE_H

#include "softgpu/exec/names.h"
#include "softgpu/exec/program.h"

struct vreg {
    uint8_t bytes;
    bool pinned; /* has a slot of its own for the whole function */
};

/* A lane array in the constant pool: a literal, or the address of a global plus something, known at
 * exec_program_bind. */
struct constant {
    uint64_t bits; /* literal, or addend */
    uint32_t offset_bytes;
    uint32_t global; /* CONSTANT_LITERAL, or the index of the global */
    uint8_t bytes;
    int32_t next;
};
#define CONSTANT_LITERAL UINT32_MAX
enum { CONSTANT_BUCKETS = 1024 };

enum { DECODE_SCOPES_MAX = 256 }; /* scopes nested deeper keep the room of their parameter variables */

struct decoder {
    struct exec_program *program;
    const struct ptx_module *module;
    char *error; /* PTX_ERROR_TEXT_MAX */
    struct names names;
    const struct ptx_var **shared_vars;            /* of program->shared */
    bool *shared_in_function, *global_in_function; /* their names belong to a function's scope */

    struct insn *code;
    uint32_t n_code, code_capacity;

    struct constant *constants;
    uint32_t n_constants, constants_capacity;
    uint32_t const_bytes;
    int32_t constant_buckets[CONSTANT_BUCKETS];
    struct launch_symbol *symbols; /* addresses of shared variables that code asks for */
    uint32_t n_symbols, symbols_capacity;

    struct function *function; /* the one being decoded */
    struct vreg *vregs;
    uint32_t n_vregs, vregs_capacity;
    uint32_t carry; /* virtual register: condition code */
    struct local_symbol *locals;
    uint32_t n_locals, locals_capacity;
    uint32_t *calls;
    uint32_t n_calls, calls_capacity;
    uint32_t
        param_top; /* end of the parameter variables in scope; function->param_bytes is the highest ever */
    uint32_t param_tops[DECODE_SCOPES_MAX]; /* as it was when each open scope began */
};

/* Each fills *insn (zeroed but for dst/src/guard = OPERAND_NONE). 0; -EINVAL: broken PTX; -ENOTSUP: not ours;
 * -ENOMEM; the error text is set by decode_fail. */
typedef int (*decode_fn)(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);

int decode_module(struct decoder *d);

/* Writes "line N: what: statement". */
void decode_explain(struct decoder *d, const struct ptx_insn *ast, const char *what);

/* The same as the last step of a failure: returns code. */
static inline int decode_fail(struct decoder *d, int code, const struct ptx_insn *ast, const char *what)
{
    decode_explain(d, ast, what);
    return code;
}

/* Operands. want: the type a literal takes. Registers give their declared width in *ret_bytes. */
int decode_source(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                  enum ptx_type want, uint32_t *ret_operand, uint8_t *ret_bytes);
int decode_source_at(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                     enum ptx_type want, struct insn *insn, unsigned index);
int decode_destination(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                       struct insn *insn, unsigned index);
/* [base+offset] into src[0] and imm. */
int decode_address(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                   struct insn *insn);
int decode_constant(struct decoder *d, uint32_t global, uint64_t bits, unsigned bytes, uint32_t *ret_operand);
/* `%tid.x` and its like. -ENOENT: no such register; the ones that change while a warp runs (clocks) are
 * decode_mov's. */
int decode_special(const struct ptx_operand *operand, uint32_t *ret_operand, uint8_t *ret_bytes);
/* Grows *list to hold one more element. */
int decode_grow(void **list, uint32_t n, uint32_t *capacity, size_t element_bytes);
int decode_vreg(struct decoder *d, unsigned bytes, bool pinned, uint32_t *ret_vreg);
int decode_label(struct decoder *d, const struct ptx_insn *ast, const char *name, uint32_t *ret_pc);
/* Declares a .param variable of the current function: room in the per-thread area. */
int decode_param_var(struct decoder *d, const struct ptx_var *var);

/* Modifiers. */
bool decode_has(const struct ptx_insn *ast, const char *modifier);
enum ptx_type decode_type_of(const char *word); /* PTX_NONE: not a type */
enum ptx_type decode_last_type(const struct ptx_insn *ast);
bool decode_type_is_signed(enum ptx_type type);

/* Kinds of instruction; decode_kind_find returns NULL for what is arithmetic. */
decode_fn decode_kind_find(const char *op);
int decode_alu(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_mov(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_cvta(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_isspacep(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_load(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_store(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_atomic(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_prefetch(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_fence(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_barrier(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_shfl(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_vote(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_match(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_redux(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_elect(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_activemask(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_nanosleep(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_branch(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_branch_index(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_call(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);
int decode_leave(struct decoder *d, const struct ptx_insn *ast, struct insn *insn);

/* slots.c: gives virtual registers of the current function (code from first_pc on) their place in the frame.
 */
int slots_assign(struct decoder *d, uint32_t first_pc);

#endif
