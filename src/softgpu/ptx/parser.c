/* The PTX parser's outer level: tokens and errors for all its parts, then the module with its header lines
 * and top-level declarations. Called through ptx_parse only. Nothing here judges whether a program makes
 * sense: exec/ does. */
#include "softgpu/ptx/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXCERPT_MAX = 40 };
static const size_t text_bytes_max = (size_t)1 << 30;
/* A nested initialiser may leave this much out, plus as much as a multiple of the text. */
enum { INIT_SKIP_BYTES = 1 << 20, INIT_SKIP_PER_TEXT_BYTE = 8 };

/* ---- errors and tokens ---- */

static void parser_stop(struct parser *parser, int status)
{
    parser->status = status;
    parser->token = (struct token){.kind = TOKEN_END, .line = parser->token.line, .start = "", .text = ""};
    parser->lexer.at = "";
}

void parser_fail(struct parser *parser, const char *format, ...)
{
    if (parser->status)
        return;
    va_list args;
    va_start(args, format);
    int used = snprintf(parser->error, PTX_ERROR_TEXT_MAX, "line %d: ", parser->token.line);
    vsnprintf(parser->error + used, PTX_ERROR_TEXT_MAX - (size_t)used, format, args);
    va_end(args);
    /* Parts of the text are quoted; what is no printable character there shall not reach a log. */
    for (char *at = parser->error; *at; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
    parser_stop(parser, -EINVAL);
}

void parser_fail_memory(struct parser *parser)
{
    if (parser->status)
        return;
    snprintf(parser->error, PTX_ERROR_TEXT_MAX, "line %d: out of memory", parser->token.line);
    parser_stop(parser, -ENOMEM);
}

void parser_fail_expected(struct parser *parser, const char *wanted)
{
    const struct token *token = &parser->token;
    int bytes = token->bytes < EXCERPT_MAX ? (int)token->bytes : EXCERPT_MAX;
    if (token->kind == TOKEN_END)
        parser_fail(parser, "expected %s, but the text ends", wanted);
    else
        parser_fail(parser, "expected %s, not \"%s%.*s\"", wanted, token->kind == TOKEN_DOT ? "." : "", bytes,
                    token->text);
}

void parser_advance(struct parser *parser)
{
    if (parser->status)
        return;
    parser->token = lexer_next(&parser->lexer);
    if (parser->token.kind == TOKEN_ERROR) {
        size_t bytes = parser->token.bytes;
        parser_fail(parser, "%s: \"%.*s\"", parser->lexer.problem,
                    bytes < EXCERPT_MAX ? (int)bytes : EXCERPT_MAX, parser->token.start);
    }
}

bool parser_accept(struct parser *parser, int kind)
{
    if (parser->token.kind != kind || parser->status)
        return false;
    parser_advance(parser);
    return true;
}

void parser_expect(struct parser *parser, int kind, const char *wanted)
{
    if (!parser_accept(parser, kind))
        parser_fail_expected(parser, wanted);
}

bool parser_is_dot(const struct parser *parser, const char *word)
{
    return token_is(&parser->token, TOKEN_DOT, word);
}

bool parser_accept_dot(struct parser *parser, const char *word)
{
    return parser_is_dot(parser, word) && parser_accept(parser, TOKEN_DOT);
}

static const char *take_interned(struct parser *parser)
{
    struct symbol *symbol = symbols_find(&parser->symbols, parser->token.text, parser->token.bytes);
    if (!symbol) {
        parser_fail_memory(parser);
        return NULL;
    }
    parser_advance(parser);
    return symbol->name;
}

const char *parser_take_name(struct parser *parser, const char *wanted)
{
    if (parser->token.kind != TOKEN_NAME) {
        parser_fail_expected(parser, wanted);
        return NULL;
    }
    return take_interned(parser);
}

const char *parser_take_word(struct parser *parser)
{
    return take_interned(parser);
}

/* ---- memory ---- */

void *parser_alloc(struct parser *parser, size_t bytes)
{
    void *memory = parser->status ? NULL : arena_alloc(parser->arena, bytes);
    if (!memory)
        parser_fail_memory(parser);
    return memory;
}

void parser_push(struct parser *parser, struct stack *stack, const void *item)
{
    if (!parser->status && stack_push(stack, item))
        parser_fail_memory(parser);
}

void *parser_take(struct parser *parser, struct stack *stack, size_t mark, size_t *ret_count)
{
    void *items = NULL;
    *ret_count = 0;
    if (!parser->status && stack_take(stack, mark, parser->arena, &items, ret_count))
        parser_fail_memory(parser);
    return items;
}

struct symbol *parser_declare(struct parser *parser, const char *name, bool is_local)
{
    struct symbol *symbol = parser->status ? NULL : symbols_find(&parser->symbols, name, strlen(name));
    uint32_t unit = parser->symbols.unit;
    bool is_older = symbol && symbol->kind != SYMBOL_NONE && symbol->unit != unit;
    if (is_older && is_local)
        symbol = symbols_rename(&parser->symbols, symbol);
    if (!symbol) {
        parser_fail_memory(parser);
        return NULL;
    }
    if (is_older && !is_local && symbol->is_local) /* its users are bound already */
        parser_fail(parser, "\"%.100s\" is local to one unit and global in a later one", name);
    symbol->is_local = is_local;
    symbol->unit = unit;
    return symbol;
}

/* ---- directives without meaning here ---- */

/* `.loc 1 15 0, function_name $L__info+4, inlined_at 1 22 3` and `.file 1 "a.cu", 123, 456` have no end mark.
 */
static void skip_debug_line(struct parser *parser)
{
    bool is_operand_wanted = true;
    for (;;) {
        const struct token *token = &parser->token;
        bool is_attribute =
            token_is(token, TOKEN_NAME, "function_name") || token_is(token, TOKEN_NAME, "inlined_at");
        if (token->kind == ',') {
            is_operand_wanted = true;
        } else if (is_attribute) {
            bool is_name = token->bytes == strlen("function_name");
            parser_advance(parser);
            if (is_name && parser->token.kind != TOKEN_DOT)
                parser_take_name(parser, "a label");
            else if (is_name)
                parser_advance(parser);
            if (is_name && parser_accept(parser, '+'))
                parser_expect(parser, TOKEN_INT, "an offset");
            is_operand_wanted = false;
            continue;
        } else if (token->kind != TOKEN_INT && token->kind != TOKEN_STRING) {
            break;
        } else {
            is_operand_wanted = false;
        }
        parser_advance(parser);
    }
    if (is_operand_wanted)
        parser_fail_expected(parser, "a number");
}

static void skip_section(struct parser *parser)
{
    if (parser->token.kind != TOKEN_DOT && parser->token.kind != TOKEN_NAME)
        parser_fail_expected(parser, "the name of a section");
    parser_advance(parser);
    parser_expect(parser, '{', "\"{\" of a section");
    unsigned depth = 1;
    while (depth && parser->token.kind != TOKEN_END) {
        depth += parser->token.kind == '{';
        depth -= parser->token.kind == '}';
        parser_advance(parser);
    }
    if (depth)
        parser_fail_expected(parser, "\"}\" of a section");
}

static void skip_pragma(struct parser *parser)
{
    do
        parser_expect(parser, TOKEN_STRING, "a string");
    while (parser_accept(parser, ','));
    parser_expect(parser, ';', "\";\" after .pragma");
}

bool parser_skip_directive(struct parser *parser)
{
    if (parser_accept_dot(parser, "loc") || parser_accept_dot(parser, "file"))
        skip_debug_line(parser);
    else if (parser_accept_dot(parser, "section"))
        skip_section(parser);
    else if (parser_accept_dot(parser, "pragma"))
        skip_pragma(parser);
    else
        return false;
    return true;
}

/* ---- the module ---- */

/* `.alias f, g;`: f is another name of g, which may be defined later. */
struct alias {
    const char *name, *target;
    int line;
};

static void parse_alias(struct parser *parser)
{
    struct alias alias = {.line = parser->token.line};
    alias.name = parser_take_name(parser, "a function");
    parser_expect(parser, ',', "\",\" in .alias");
    alias.target = parser_take_name(parser, "a function");
    parser_expect(parser, ';', "\";\" after .alias");
    parser_push(parser, &parser->aliases, &alias);
}

static void resolve_aliases(struct parser *parser)
{
    const struct alias *aliases = parser->aliases.items;
    struct ptx_func *funcs = parser->funcs.items;
    for (size_t i = 0; i < parser->aliases.count && !parser->status; i++) {
        struct symbol *name = symbols_find(&parser->symbols, aliases[i].name, strlen(aliases[i].name));
        struct symbol *target = symbols_find(&parser->symbols, aliases[i].target, strlen(aliases[i].target));
        if (!name || !target) {
            parser_fail_memory(parser);
            return;
        }
        if (name->kind != SYMBOL_FUNC || target->kind != SYMBOL_FUNC || funcs[name->index].has_body ||
            !funcs[target->index].has_body) {
            parser_fail(parser, "the .alias of line %d needs a declared function and one with a body",
                        aliases[i].line);
            return;
        }
        struct ptx_func *func = &funcs[name->index];
        struct ptx_func copy = funcs[target->index];
        copy.name = func->name;
        copy.is_visible = func->is_visible;
        copy.is_weak = func->is_weak;
        *func = copy;
    }
    parser->aliases.count = 0;
}

/* Digits at *at, which moves past them. */
static unsigned read_digits(const char **at, const char *end)
{
    unsigned value = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && value < 100000; ++*at)
        value = value * 10 + (unsigned)(**at - '0');
    return value;
}

/* `.version 7.5`: the lexer saw a floating literal, its text counts. */
static void parse_version(struct parser *parser)
{
    struct ptx_module *module = parser->module;
    const char *at = parser->token.start, *end = at + parser->token.bytes;
    unsigned major = read_digits(&at, end);
    if (parser->token.kind != TOKEN_F64 || at == end || *at++ != '.') {
        parser_fail_expected(parser, "a version such as 7.5");
        return;
    }
    unsigned minor = read_digits(&at, end);
    parser_advance(parser);
    if (module->version_major) {
        resolve_aliases(parser);
        parser->symbols.unit++;
    }
    if (major > module->version_major || (major == module->version_major && minor > module->version_minor)) {
        module->version_major = major;
        module->version_minor = minor;
    }
}

/* `.target sm_90a, texmode_independent` */
static void parse_target(struct parser *parser)
{
    do {
        const struct token *token = &parser->token;
        if (token->kind != TOKEN_NAME) {
            parser_fail_expected(parser, "a target such as sm_75");
            return;
        }
        if (token->bytes > 3 && !memcmp(token->text, "sm_", 3)) {
            const char *at = token->text + 3;
            unsigned sm = read_digits(&at, token->text + token->bytes);
            if (sm > parser->module->target_sm)
                parser->module->target_sm = sm;
        }
        parser_advance(parser);
    } while (parser_accept(parser, ','));
}

/* Which of two declarations of one name is the definition: the stronger one. */
enum { STRENGTH_EXTERN, STRENGTH_COMMON, STRENGTH_WEAK, STRENGTH_FULL };

static int var_strength(const struct ptx_var *var)
{
    if (var->is_extern)
        return STRENGTH_EXTERN;
    if (var->is_common)
        return STRENGTH_COMMON;
    return var->is_weak ? STRENGTH_WEAK : STRENGTH_FULL;
}

/* Joins a declaration with what the module already has under that name. */
static void merge_var(struct parser *parser, struct ptx_var *old, const struct ptx_var *new)
{
    int old_strength = var_strength(old), new_strength = var_strength(new);
    if (old->space != new->space)
        parser_fail(parser, "variable \"%.100s\" is declared in two state spaces", new->name);
    else if (new_strength > old_strength || (new_strength < STRENGTH_WEAK && new_strength == old_strength &&
                                             new->size_bytes > old->size_bytes))
        *old = *new;
    else if (new_strength == STRENGTH_FULL)
        parser_fail(parser, "variable \"%.100s\" is defined twice", new->name);
}

static void add_var(struct parser *parser, struct ptx_var *var, const struct linkage *linkage)
{
    if (parser->status)
        return;
    var->is_extern = linkage->is_extern;
    var->is_visible = linkage->is_visible;
    var->is_weak = linkage->is_weak;
    var->is_common = linkage->is_common;
    bool is_local = !(var->is_extern || var->is_visible || var->is_weak || var->is_common);
    struct symbol *symbol = parser_declare(parser, var->name, is_local);
    if (!symbol)
        return;
    var->name = symbol->name;
    struct ptx_var *vars = parser->vars.items;
    if (symbol->kind == SYMBOL_FUNC) {
        parser_fail(parser, "\"%.100s\" is already a function", var->name);
    } else if (symbol->kind == SYMBOL_VAR) {
        merge_var(parser, &vars[symbol->index], var);
    } else {
        symbol->kind = SYMBOL_VAR;
        symbol->index = (uint32_t)parser->vars.count;
        parser_push(parser, &parser->vars, var);
    }
}

static void parse_module_vars(struct parser *parser, const struct linkage *linkage)
{
    struct ptx_var head = parse_var_head(parser);
    if (head.space == PTX_SPACE_REG || head.space == PTX_SPACE_PARAM)
        parser_fail(parser, "registers and parameters belong into functions");
    do {
        struct ptx_var var = parse_var_name(parser, &head);
        add_var(parser, &var, linkage);
    } while (parser_accept(parser, ','));
    parser_expect(parser, ';', "\";\" after a declaration");
}

static struct linkage parse_linkage(struct parser *parser)
{
    struct linkage linkage = {0};
    for (;;) {
        if (parser_accept_dot(parser, "extern"))
            linkage.is_extern = true;
        else if (parser_accept_dot(parser, "visible"))
            linkage.is_visible = true;
        else if (parser_accept_dot(parser, "weak"))
            linkage.is_weak = true;
        else if (parser_accept_dot(parser, "common"))
            linkage.is_common = true;
        else
            return linkage;
    }
}

static void parse_top_level(struct parser *parser)
{
    if (parser_accept_dot(parser, "version")) {
        parse_version(parser);
    } else if (parser_accept_dot(parser, "target")) {
        parse_target(parser);
    } else if (parser_accept_dot(parser, "address_size")) {
        uint64_t bits = parse_count(parser, 64, "an address size");
        if (bits != 64)
            parser_fail(parser, "only 64-bit addresses are supported");
        parser->module->address_bits = 64;
    } else if (parser_accept_dot(parser, "alias")) {
        parse_alias(parser);
    } else if (!parser_skip_directive(parser) && !parser_accept(parser, ';')) {
        struct linkage linkage = parse_linkage(parser);
        if (parser_is_dot(parser, "func") || parser_is_dot(parser, "entry"))
            parse_func(parser, &linkage);
        else if (parser_space(parser) != PTX_SPACE_GENERIC)
            parse_module_vars(parser, &linkage);
        else
            parser_fail_expected(parser, "a declaration");
    }
}

static void parse_module(struct parser *parser)
{
    parser_advance(parser);
    if (!parser->status && !parser_is_dot(parser, "version"))
        parser_fail_expected(parser, ".version");
    while (parser->token.kind != TOKEN_END)
        parse_top_level(parser);
    resolve_aliases(parser);
    struct ptx_module *module = parser->module;
    if (!parser->status && !module->target_sm)
        parser_fail(parser, "there is no .target");
    module->vars = parser_take(parser, &parser->vars, 0, &module->n_vars);
    module->funcs = parser_take(parser, &parser->funcs, 0, &module->n_funcs);
}

static void parser_init(struct parser *parser, struct arena *arena, char *error)
{
    *parser = (struct parser){
        .arena = arena,
        .error = error,
        .token.line = 1,
        .vars.item_bytes = sizeof(struct ptx_var),
        .funcs.item_bytes = sizeof(struct ptx_func),
        .aliases.item_bytes = sizeof(struct alias),
        .stmts.item_bytes = sizeof(struct ptx_stmt),
        .locals.item_bytes = sizeof(struct ptx_var),
        .operands.item_bytes = sizeof(struct ptx_operand),
        .words.item_bytes = sizeof(const char *),
        .relocs.item_bytes = sizeof(struct ptx_reloc),
        .bytes.item_bytes = 1,
    };
    symbols_init(&parser->symbols, arena);
}

static void parser_done(struct parser *parser)
{
    struct stack *stacks[] = {&parser->vars,     &parser->funcs,  &parser->aliases,
                              &parser->stmts,    &parser->locals, &parser->words,
                              &parser->operands, &parser->relocs, &parser->bytes};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
        stack_done(stacks[i]);
    symbols_done(&parser->symbols);
    if (parser->c_locale)
        freelocale(parser->c_locale);
}

int ptx_parse(const char *text, size_t text_bytes, struct ptx_module **ret_module,
              char error[PTX_ERROR_TEXT_MAX])
{
    error[0] = '\0';
    size_t bytes = strnlen(text, text_bytes);
    struct arena *arena = arena_new();
    struct parser parser;
    parser_init(&parser, arena, error);
    if (!arena)
        parser_fail_memory(&parser);
    else if (bytes > text_bytes_max)
        parser_fail(&parser, "the text is longer than 1 GiB");
    /* The module keeps a copy of the text: statements are cut out of it for messages. */
    char *copy = parser_alloc(&parser, bytes + 1);
    parser.module = parser_alloc(&parser, sizeof(*parser.module));
    if (!parser.status) {
        memcpy(copy, text, bytes);
        parser.lexer = (struct lexer){.at = copy, .line = 1, .c_locale = &parser.c_locale};
        parser.init_budget_bytes = INIT_SKIP_BYTES + (uint64_t)bytes * INIT_SKIP_PER_TEXT_BYTE;
        parser.module->arena = arena;
        parser.module->address_bits = 64;
        parse_module(&parser);
    }
    parser_done(&parser);
    if (parser.status)
        arena_free(arena);
    else
        *ret_module = parser.module;
    return parser.status;
}

void ptx_free(struct ptx_module *module)
{
    if (module)
        arena_free(module->arena);
}
