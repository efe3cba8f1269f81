/* What the parts of the PTX parser share: parser.c (module), parse_func.c (functions and statements),
 * parse_var.c and parse_init.c (declarations), parse_operand.c, parse_const.c (constant expressions).
 *
 * Errors stick: the first parser_fail keeps its words, and from then on every token is TOKEN_END, so that all
 * loops end and callers need not look after each step. Parts therefore return values only where there is
 * something to return. */
#ifndef VGPU_SOFTGPU_PTX_PARSER_H
#define VGPU_SOFTGPU_PTX_PARSER_H

#include "softgpu/ptx/arena.h"
#include "softgpu/ptx/ast.h"
#include "softgpu/ptx/lexer.h"
#include "softgpu/ptx/symbols.h"

enum {
    PTX_SCOPE_DEPTH_MAX = 200,   /* braces in a function body */
    PTX_OPERAND_DEPTH_MAX = 4,   /* vectors in lists in brackets */
    PTX_CONST_DEPTH_MAX = 50,    /* parentheses and signs in a constant expression */
    PTX_DIMENSIONS_MAX = 8,      /* of an array */
    PTX_REGISTERS_MAX = 1 << 20, /* declared in one function */
    PTX_ITEMS_MAX = 1 << 16,     /* in one operand list */
};

struct parser {
    struct lexer lexer;
    struct token token; /* the one to be read next */
    struct arena *arena;
    struct symbols symbols;
    locale_t c_locale;
    int status; /* 0 or negative errno */
    char *error;

    uint64_t registers;         /* declared in the present function */
    uint64_t init_budget_bytes; /* how many more bytes of zeros nested initialisers may skip */

    struct stack vars, funcs, aliases; /* of the module */
    struct stack stmts, locals;        /* of the present function; variables of the present list */
    struct stack operands, words;      /* of the lists being read: struct ptx_operand, const char * */
    struct stack relocs, bytes;        /* of the present initialiser */
    struct ptx_module *module;
};

/* Linkage words before a declaration. */
struct linkage {
    bool is_extern, is_visible, is_weak, is_common;
};

/* ---- errors and tokens (parser.c) ---- */
void parser_fail(struct parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
void parser_fail_memory(struct parser *parser);
/* Fails with what was wanted and what is there. */
void parser_fail_expected(struct parser *parser, const char *wanted);

void parser_advance(struct parser *parser);
bool parser_accept(struct parser *parser, int kind);
void parser_expect(struct parser *parser, int kind, const char *wanted);
bool parser_is_dot(const struct parser *parser, const char *word);
bool parser_accept_dot(struct parser *parser, const char *word);

/* The name or dotted word at hand, interned; reads past it. NULL after a failure. */
const char *parser_take_name(struct parser *parser, const char *wanted);
const char *parser_take_word(struct parser *parser);

/* Memory of the module; NULL after a failure. */
void *parser_alloc(struct parser *parser, size_t bytes);
void parser_push(struct parser *parser, struct stack *stack, const void *item);
/* Items from mark on, in the module's memory. NULL when there are none. */
void *parser_take(struct parser *parser, struct stack *stack, size_t mark, size_t *ret_count);

/* The symbol of a name declared at module level. A local name, which nobody outside its unit sees, gets
 * another one when an earlier unit has it. NULL after a failure. */
struct symbol *parser_declare(struct parser *parser, const char *name, bool is_local);

/* Directives that mean nothing here: .loc, .file, .section, .pragma. False when the token begins none of
 * them. */
bool parser_skip_directive(struct parser *parser);

/* ---- constants (parse_const.c) ---- */
struct constant {
    enum ptx_operand_kind kind; /* PTX_OP_INT, PTX_OP_F32 or PTX_OP_F64 */
    uint64_t bits;
    bool is_unsigned;
};

bool parser_is_constant(const struct parser *parser); /* the token begins a constant expression */
struct constant parse_constant(struct parser *parser);
/* An integer from 0 to max. */
uint64_t parse_count(struct parser *parser, uint64_t max, const char *what);

/* ---- declarations (parse_var.c, parse_init.c) ---- */

/* The state space that the token names, or PTX_SPACE_GENERIC. */
enum ptx_space parser_space(const struct parser *parser);
/* Space, attributes, alignment, vector and type: what all names of one declaration share. */
struct ptx_var parse_var_head(struct parser *parser);
/* One name with its dimensions and initialiser. */
struct ptx_var parse_var_name(struct parser *parser, const struct ptx_var *head);
/* `(.param .b32 a, .reg .u64 b)` from the opening parenthesis. */
const struct ptx_var *parse_params(struct parser *parser, size_t *ret_count);
/* What follows '=' of a variable whose dimensions, outermost first, end with its vector width; the first is 0
 * when it is to be counted. Sets init, relocs and, where counted, size_bytes. */
void parse_init(struct parser *parser, struct ptx_var *var, const uint64_t *dimensions,
                unsigned n_dimensions);

/* ---- functions (parse_func.c, parse_operand.c) ---- */

/* From `.entry` or `.func` on. */
void parse_func(struct parser *parser, const struct linkage *linkage);
/* (`returns`) `_` (`params`), after the word .callprototype. */
const struct ptx_func *parse_prototype(struct parser *parser);
/* Operands of an instruction up to its semicolon. */
void parse_operands(struct parser *parser, struct ptx_insn *insn);

#endif
