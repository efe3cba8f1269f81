/* The syntax of a PTX module, as read from text: what was written, nothing decided yet. `ptx_parse` makes it, exec/
 * turns it into a program. Everything hangs on one arena inside struct ptx_module; nothing is freed singly.
 * Source: "Parallel Thread Execution ISA", NVIDIA's public language reference. */
#ifndef VGPU_SOFTGPU_PTX_AST_H
#define VGPU_SOFTGPU_PTX_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ptx_type {
    PTX_NONE, /* no type written */
    PTX_PRED,
    PTX_B8, PTX_B16, PTX_B32, PTX_B64, PTX_B128,
    PTX_U8, PTX_U16, PTX_U32, PTX_U64,
    PTX_S8, PTX_S16, PTX_S32, PTX_S64,
    PTX_F16, PTX_F16X2, PTX_BF16, PTX_BF16X2, PTX_F32, PTX_F64, PTX_TF32,
    PTX_TEXREF, PTX_SAMPLERREF, PTX_SURFREF, /* opaque handles */
    PTX_TYPE_COUNT
};

/* Bytes of one value: PRED 1, F16X2 4, B128 16, opaque handles 8, NONE 0. */
unsigned ptx_type_bytes(enum ptx_type type);
/* As PTX writes it without the dot: "u32"; "none" for NONE. */
const char *ptx_type_name(enum ptx_type type);
/* The type that a modifier such as "u32" (no dot) names; PTX_NONE for a word that is no type. */
enum ptx_type ptx_type_from_name(const char *name);

enum ptx_space {
    PTX_SPACE_GENERIC, PTX_SPACE_REG, PTX_SPACE_GLOBAL, PTX_SPACE_CONST, PTX_SPACE_SHARED, PTX_SPACE_LOCAL,
    PTX_SPACE_PARAM
};

/* Initialiser of a module variable: bytes, plus places where the address of a symbol goes. */
struct ptx_reloc {
    size_t offset_bytes;   /* in the variable */
    uint8_t width_bytes;   /* 8 or 4; 1 for a byte-mask form such as 0xFF00(sym) */
    uint8_t shift_bits;    /* for the byte-mask form: which byte of the address */
    bool generic;          /* generic(sym) */
    const char *symbol;
    int64_t addend;
};

struct ptx_var {
    const char *name;
    enum ptx_space space;
    enum ptx_type type;
    unsigned vec;          /* 1, 2 or 4 */
    uint64_t size_bytes;   /* 0: extern array of unknown length (dynamic shared memory) */
    uint32_t align_bytes;
    bool is_extern, is_visible, is_weak, is_common, is_managed, is_array;
    uint32_t reg_count;    /* .reg %r<100>: 100, names are name0..name99; 0 for a single register */
    const uint8_t *init;   /* the first init_bytes bytes, or NULL; all after them is zero */
    uint64_t init_bytes;   /* at most size_bytes: compilers leave trailing zeros out of large arrays */
    const struct ptx_reloc *relocs;
    size_t n_relocs;
    int line;
};

enum ptx_operand_kind {
    PTX_OP_NONE,
    PTX_OP_NAME,    /* register, variable, label, function, or special register when it begins with '%': name */
    PTX_OP_INT,     /* integer literal: i (two's complement; is_unsigned when it had a U suffix) */
    PTX_OP_F32,     /* 0f literal: bits in i */
    PTX_OP_F64,     /* 0d literal or decimal floating literal: bits in i */
    PTX_OP_ADDR,    /* [base], [base+offset], [offset]: name (NULL: absolute), i = offset; what follows a comma inside
                     * the brackets, as in [tex, {x, y}], is in items */
    PTX_OP_VEC,     /* {a, b, ...}: items, n_items */
    PTX_OP_LIST,    /* (a, b, ...): call parameters and returns: items, n_items */
    PTX_OP_SINK     /* _ */
};

struct ptx_operand {
    enum ptx_operand_kind kind;
    bool negated;          /* !p */
    bool is_unsigned;
    const char *name;      /* as written, with % */
    char component;        /* 'x' 'y' 'z' 'w' (also for .r .g .b .a) of a special register or vector; '0' to '3' for the
                            * video selectors .b0 to .b3, 'l' and 'h' for .h0 and .h1; else 0 */
    int64_t i;             /* literal, or offset of an address or of `name+offset` */
    const struct ptx_operand *items;
    size_t n_items;
    const struct ptx_operand *second; /* d|p form: the predicate; shfl, setp, match, elect */
};

enum { PTX_MODIFIERS_MAX = 16, PTX_OPERANDS_MAX = 10 };

/* `@!p mad.lo.cc.u32 d, a, b, c;`: op "mad", modifiers {"lo","cc","u32"}, negated guard p. */
struct ptx_insn {
    const char *op;                               /* first word, without modifiers */
    const char *const *modifiers;                 /* rest of the words in order, "::" words kept whole ("release", "shared::cta") */
    uint8_t n_modifiers;
    uint8_t n_operands;
    bool guard_negated;
    const char *guard;                            /* predicate register name, or NULL */
    const struct ptx_operand *operands;           /* n_operands, at most PTX_OPERANDS_MAX */
    int line;
    const char *text;                             /* the statement as written, blanks squeezed, for messages */
};

/* A function body is a list of statements in order, without the outermost braces. Scopes nest and are balanced: a name
 * declared in an inner scope hides an outer one. */
enum ptx_stmt_kind { PTX_STMT_INSN, PTX_STMT_LABEL, PTX_STMT_VAR, PTX_STMT_SCOPE_BEGIN, PTX_STMT_SCOPE_END,
                     PTX_STMT_BRANCH_TARGETS, /* L: .branchtargets a, b: label in label, names in targets */
                     PTX_STMT_CALL_TARGETS,   /* L: .calltargets f, g: likewise */
                     PTX_STMT_CALL_PROTOTYPE  /* L: .callprototype: label in label, params and returns in proto */ };

struct ptx_stmt {
    enum ptx_stmt_kind kind;
    union {
        const struct ptx_insn *insn;
        const struct ptx_var *var;
        struct { const char *name; const char *const *targets; size_t n_targets; } label;
        struct { const char *name; const struct ptx_func *proto; } prototype;
    };
};

struct ptx_func {
    const char *name;
    bool is_entry, is_extern, is_visible, is_weak, is_noreturn, has_body;
    const struct ptx_var *params;   size_t n_params;   /* space PARAM (or REG for old-style device functions) */
    const struct ptx_var *returns;  size_t n_returns;
    const struct ptx_stmt *stmts;   size_t n_stmts;
    uint32_t maxntid[3], reqntid[3]; /* 0: not given */
    uint32_t minnctapersm, maxnreg, maxclusterrank;
    uint32_t reqnctapercluster[3];
    int line;
};

struct ptx_module {
    unsigned version_major, version_minor; /* .version 7.5 */
    unsigned target_sm;                    /* .target sm_75 -> 75 */
    unsigned address_bits;                 /* 64 */
    const struct ptx_var *vars;   size_t n_vars;
    const struct ptx_func *funcs; size_t n_funcs; /* forward declarations are merged with their body: one entry a name */
    void *arena;                           /* owned: ptx_free */
};

enum { PTX_ERROR_TEXT_MAX = 400 };

/* Reads PTX text of text_bytes bytes (it need not end with NUL; reading stops at the first NUL). Several units, each with
 * its .version line, make one module: names that are local to a unit then get "@" and its number behind them. All names
 * are interned: equal names are the same pointer.
 *
 * The text may be hostile: every bound is checked, nesting and sizes are limited, time is linear in the text and memory at
 * most 128 times its size and 1 MiB (5 to 10 times for what compilers write). 0 and *ret_module (ptx_free), -EINVAL with
 * error "line N: what", or -ENOMEM; error is always set, to "" on success. Thread-safe; allocates only the module. */
int ptx_parse(const char *text, size_t text_bytes, struct ptx_module **ret_module, char error[PTX_ERROR_TEXT_MAX]);
void ptx_free(struct ptx_module *module);

/* Finds the PTX in an image given to cuModuleLoadData and friends: PTX text, a fat binary, or a fat binary wrapper (the
 * 24-byte __fatBinC_Wrapper_t). image_bytes is SIZE_MAX where the API gives no length: headers, or a text's NUL, then say
 * how much is read. Of each fat binary the PTX entry with the highest architecture not above device_sm is taken and
 * decompressed; a wrapper of separate compilation has several, whose texts follow each other for ptx_parse to link. The
 * text of a plain PTX image is handed over as it is: whoever parses it judges its .target.
 *
 * 0 and *ret_text (malloc'd, NUL-terminated, the caller's) with *ret_bytes; else:
 * -ENOEXEC  no PTX inside, only machine code (CUDA_ERROR_NO_BINARY_FOR_GPU)
 * -ENOTSUP  only PTX for newer devices (CUDA_ERROR_NO_BINARY_FOR_GPU)
 * -EBADMSG  broken or unknown image (CUDA_ERROR_INVALID_IMAGE)
 * -ELIBACC  compressed with zstd, and no libzstd.so.1 on the machine
 * -ENOMEM   memory is short */
int fatbin_find_ptx(const void *image, size_t image_bytes, unsigned device_sm, char **ret_text, size_t *ret_bytes);

#endif
