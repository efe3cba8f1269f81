/* Functions: their heads with launch bounds, and their bodies as a flat list of statements. Bodies are read
 * with a counter of open braces instead of recursion. */
#include "softgpu/ptx/parser.h"

#include <string.h>

enum { LAUNCH_BOUND_MAX = 1 << 30 };

/* ---- statements ---- */

static void push_stmt(struct parser *parser, struct ptx_stmt stmt)
{
    parser_push(parser, &parser->stmts, &stmt);
}

/* Makes [start, end) of the module's copy of the text one line that ends with NUL. The lexer is past end. */
static const char *cut_text(const char *start, const char *end)
{
    char *first = (char *)(uintptr_t)start, *to = first;
    for (const char *from = first; from < end; from++) {
        bool is_blank = *from == ' ' || *from == '\t' || *from == '\n' || *from == '\r';
        if (!is_blank)
            *to++ = *from;
        else if (to > first && to[-1] != ' ')
            *to++ = ' ';
    }
    *to = '\0';
    return first;
}

/* Guard, operation, modifiers, operands. `op` is set when the operation's first word is already read. */
static void parse_insn(struct parser *parser, const char *start, int line, const char *op)
{
    struct ptx_insn insn = {.op = op, .line = line};
    if (!op && parser_accept(parser, '@')) {
        insn.guard_negated = parser_accept(parser, '!');
        insn.guard = parser_take_name(parser, "a predicate");
    }
    if (!op)
        insn.op = parser_take_name(parser, "an instruction");
    size_t mark = parser->words.count, count;
    while (parser->token.kind == TOKEN_DOT) {
        const char *word = parser_take_word(parser);
        parser_push(parser, &parser->words, &word);
    }
    insn.modifiers = parser_take(parser, &parser->words, mark, &count);
    if (count > PTX_MODIFIERS_MAX)
        parser_fail(parser, "an instruction has more than %d modifiers", PTX_MODIFIERS_MAX);
    insn.n_modifiers = (uint8_t)count;
    parse_operands(parser, &insn);
    const char *end = parser->token.start;
    parser_expect(parser, ';', "\";\" after an instruction");
    struct ptx_insn *kept = parser_alloc(parser, sizeof(*kept));
    if (!kept)
        return;
    insn.text = cut_text(start, end);
    *kept = insn;
    push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_INSN, .insn = kept});
}

/* `a, b, c;` after .branchtargets or .calltargets. */
static void parse_targets(struct parser *parser, enum ptx_stmt_kind kind, const char *label)
{
    size_t mark = parser->words.count;
    do {
        const char *name = parser_take_name(parser, "a label or function");
        parser_push(parser, &parser->words, &name);
    } while (parser_accept(parser, ','));
    parser_expect(parser, ';', "\";\" after a list of targets");
    struct ptx_stmt stmt = {.kind = kind, .label.name = label};
    stmt.label.targets = parser_take(parser, &parser->words, mark, &stmt.label.n_targets);
    push_stmt(parser, stmt);
}

/* After `name :`. A label of a list of targets or of a prototype is no place in the code. */
static void parse_label(struct parser *parser, const char *name)
{
    if (parser_accept_dot(parser, "branchtargets"))
        parse_targets(parser, PTX_STMT_BRANCH_TARGETS, name);
    else if (parser_accept_dot(parser, "calltargets"))
        parse_targets(parser, PTX_STMT_CALL_TARGETS, name);
    else if (parser_accept_dot(parser, "callprototype"))
        push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_CALL_PROTOTYPE,
                                            .prototype = {.name = name, .proto = parse_prototype(parser)}});
    else
        push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_LABEL, .label.name = name});
}

static void parse_local_vars(struct parser *parser)
{
    struct ptx_var head = parse_var_head(parser);
    do {
        struct ptx_var *kept = parser_alloc(parser, sizeof(*kept));
        struct ptx_var var = parse_var_name(parser, &head);
        if (!kept)
            return;
        *kept = var;
        push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_VAR, .var = kept});
    } while (parser_accept(parser, ','));
    parser_expect(parser, ';', "\";\" after a declaration");
}

static void parse_stmt(struct parser *parser)
{
    const char *start = parser->token.start;
    int line = parser->token.line;
    if (parser->token.kind == TOKEN_NAME) {
        const char *name = parser_take_name(parser, "a label or instruction");
        if (parser_accept(parser, ':'))
            parse_label(parser, name);
        else
            parse_insn(parser, start, line, name);
    } else if (parser->token.kind == '@') {
        parse_insn(parser, start, line, NULL);
    } else if (parser_space(parser) != PTX_SPACE_GENERIC) {
        parse_local_vars(parser);
    } else if (!parser_skip_directive(parser) && !parser_accept(parser, ';')) {
        parser_fail_expected(parser, "a statement");
    }
}

static void parse_body(struct parser *parser, struct ptx_func *func)
{
    unsigned depth = 1;
    parser->stmts.count = 0;
    parser_expect(parser, '{', "\"{\" of a function");
    while (depth && parser->token.kind != TOKEN_END) {
        if (parser_accept(parser, '{')) {
            push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_SCOPE_BEGIN});
            if (++depth > PTX_SCOPE_DEPTH_MAX)
                parser_fail(parser, "scopes are nested too deeply");
        } else if (parser_accept(parser, '}')) {
            if (--depth)
                push_stmt(parser, (struct ptx_stmt){.kind = PTX_STMT_SCOPE_END});
        } else {
            parse_stmt(parser);
        }
    }
    if (depth)
        parser_fail_expected(parser, "\"}\" of a function");
    func->stmts = parser_take(parser, &parser->stmts, 0, &func->n_stmts);
}

/* ---- heads ---- */

/* `256, 1, 1`; what is left out is 1. */
static void parse_dim3(struct parser *parser, uint32_t dim[3], const char *what)
{
    for (unsigned i = 0; i < 3; i++)
        dim[i] =
            i == 0 || parser_accept(parser, ',') ? (uint32_t)parse_count(parser, LAUNCH_BOUND_MAX, what) : 1;
}

static uint32_t parse_bound(struct parser *parser, const char *what)
{
    return (uint32_t)parse_count(parser, LAUNCH_BOUND_MAX, what);
}

static void skip_attribute(struct parser *parser)
{
    parser_expect(parser, '(', "\"(\" after .attribute");
    for (unsigned depth = 1; depth && parser->token.kind != TOKEN_END; parser_advance(parser)) {
        depth += parser->token.kind == '(';
        depth -= parser->token.kind == ')';
    }
}

/* What may stand before a function's name and between its parameters and its body. */
static void parse_func_directives(struct parser *parser, struct ptx_func *func)
{
    while (parser->token.kind == TOKEN_DOT) {
        if (parser_accept_dot(parser, "maxntid"))
            parse_dim3(parser, func->maxntid, ".maxntid");
        else if (parser_accept_dot(parser, "reqntid"))
            parse_dim3(parser, func->reqntid, ".reqntid");
        else if (parser_accept_dot(parser, "reqnctapercluster"))
            parse_dim3(parser, func->reqnctapercluster, ".reqnctapercluster");
        else if (parser_accept_dot(parser, "minnctapersm"))
            func->minnctapersm = parse_bound(parser, ".minnctapersm");
        else if (parser_accept_dot(parser, "maxnreg"))
            func->maxnreg = parse_bound(parser, ".maxnreg");
        else if (parser_accept_dot(parser, "maxclusterrank"))
            func->maxclusterrank = parse_bound(parser, ".maxclusterrank");
        else if (parser_accept_dot(parser, "maxnctapersm") || parser_accept_dot(parser, "abi_preserve") ||
                 parser_accept_dot(parser, "abi_preserve_control"))
            parse_bound(parser, "a bound");
        else if (parser_accept_dot(parser, "noreturn"))
            func->is_noreturn = true;
        else if (parser_accept_dot(parser, "attribute"))
            skip_attribute(parser);
        else if (!parser_accept_dot(parser, "explicitcluster") &&
                 !parser_accept_dot(parser, "blocksareclusters") && !parser_skip_directive(parser))
            parser_fail_expected(parser, "a directive of a function");
    }
}

static void parse_signature(struct parser *parser, struct ptx_func *func)
{
    if (parser->token.kind == '(')
        func->returns = parse_params(parser, &func->n_returns);
    func->name = parser_take_name(parser, "the name of a function");
    if (parser->token.kind == '(')
        func->params = parse_params(parser, &func->n_params);
}

const struct ptx_func *parse_prototype(struct parser *parser)
{
    struct ptx_func *proto = parser_alloc(parser, sizeof(*proto));
    struct ptx_func func = {.line = parser->token.line};
    parse_signature(parser, &func);
    parse_func_directives(parser, &func);
    parser_expect(parser, ';', "\";\" after .callprototype");
    if (proto)
        *proto = func;
    return proto;
}

/* ---- definitions ---- */

/* Joins a function with what the module has under its name: declarations with their body, weak bodies with
 * each other. */
static void merge_func(struct parser *parser, struct ptx_func *old, const struct ptx_func *new)
{
    struct ptx_func *kept = old;
    bool is_visible = old->is_visible || new->is_visible;
    if (new->has_body && old->has_body && !new->is_weak && !old->is_weak)
        parser_fail(parser, "function \"%.100s\" is defined twice", new->name);
    else if (new->has_body && (!old->has_body || (old->is_weak && !new->is_weak)))
        *kept = *new;
    kept->is_visible = is_visible;
    kept->is_extern = kept->is_extern && !kept->has_body;
}

/* The function's place in the module; its name is known from here on, so that its body may call it. */
static uint32_t declare_func(struct parser *parser, struct ptx_func *func)
{
    bool is_local = !(func->is_extern || func->is_visible || func->is_weak || func->is_entry);
    struct symbol *symbol = parser->status ? NULL : parser_declare(parser, func->name, is_local);
    if (!symbol)
        return 0;
    func->name = symbol->name;
    if (symbol->kind == SYMBOL_VAR)
        parser_fail(parser, "\"%.100s\" is already a variable", func->name);
    if (symbol->kind == SYMBOL_NONE) {
        struct ptx_func declared = *func;
        declared.has_body = false;
        symbol->kind = SYMBOL_FUNC;
        symbol->index = (uint32_t)parser->funcs.count;
        parser_push(parser, &parser->funcs, &declared);
    }
    return symbol->index;
}

void parse_func(struct parser *parser, const struct linkage *linkage)
{
    struct ptx_func func = {.is_extern = linkage->is_extern,
                            .is_visible = linkage->is_visible,
                            .is_weak = linkage->is_weak || linkage->is_common,
                            .is_entry = parser_is_dot(parser, "entry"),
                            .line = parser->token.line};
    parser->registers = 0;
    parser_advance(parser);
    parse_func_directives(parser, &func);
    parse_signature(parser, &func);
    parse_func_directives(parser, &func);
    func.has_body = parser->token.kind == '{';
    uint32_t index = declare_func(parser, &func);
    if (func.has_body)
        parse_body(parser, &func);
    else
        parser_expect(parser, ';', "a function's body or \";\"");
    struct ptx_func *funcs = parser->funcs.items;
    if (!parser->status)
        merge_func(parser, &funcs[index], &func);
}
