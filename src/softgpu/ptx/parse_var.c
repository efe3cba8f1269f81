/* Declarations of variables, registers and parameters: `.global .align 4 .b8 a[2][3], b = 5;`. Called for
 * modules, function bodies and parameter lists alike. */
#include "softgpu/ptx/parser.h"

static const uint64_t var_bytes_max = UINT64_C(1) << 40;
enum { ALIGN_MAX_BYTES = 1 << 16 };

enum ptx_space parser_space(const struct parser *parser)
{
    static const struct {
        const char *word;
        enum ptx_space space;
    } spaces[] = {
        {"reg", PTX_SPACE_REG},       {"global", PTX_SPACE_GLOBAL}, {"const", PTX_SPACE_CONST},
        {"shared", PTX_SPACE_SHARED}, {"local", PTX_SPACE_LOCAL},   {"param", PTX_SPACE_PARAM},
    };
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (parser_is_dot(parser, spaces[i].word))
            return spaces[i].space;
    }
    return PTX_SPACE_GENERIC;
}

/* `.align 16`: a power of two. */
static uint32_t parse_align(struct parser *parser)
{
    uint64_t bytes = parse_count(parser, ALIGN_MAX_BYTES, "an alignment");
    if (!bytes || (bytes & (bytes - 1)))
        parser_fail(parser, "an alignment is a power of two");
    return (uint32_t)bytes;
}

/* `.ptr .global .align 8`: what a pointer parameter points to. It changes nothing for us. */
static void skip_pointer_attributes(struct parser *parser)
{
    if (parser_space(parser) != PTX_SPACE_GENERIC)
        parser_advance(parser);
    if (parser_accept_dot(parser, "align"))
        parse_align(parser);
}

/* `.attribute(.managed)`, `.attribute(.unified(1, 2))` */
static void parse_attributes(struct parser *parser, struct ptx_var *var)
{
    parser_expect(parser, '(', "\"(\" after .attribute");
    unsigned depth = 1;
    while (depth && parser->token.kind != TOKEN_END) {
        var->is_managed |= depth == 1 && parser_is_dot(parser, "managed");
        depth += parser->token.kind == '(';
        depth -= parser->token.kind == ')';
        parser_advance(parser);
    }
    if (depth)
        parser_fail_expected(parser, "\")\" of .attribute");
}

struct ptx_var parse_var_head(struct parser *parser)
{
    struct ptx_var head = {.space = parser_space(parser), .vec = 1};
    if (head.space == PTX_SPACE_GENERIC)
        parser_fail_expected(parser, "a state space");
    parser_advance(parser);
    while (parser->token.kind == TOKEN_DOT) {
        if (parser_accept_dot(parser, "align")) {
            head.align_bytes = parse_align(parser);
        } else if (parser_accept_dot(parser, "attribute")) {
            parse_attributes(parser, &head);
        } else if (parser_accept_dot(parser, "ptr")) {
            skip_pointer_attributes(parser);
        } else if (parser_accept_dot(parser, "v2")) {
            head.vec = 2;
        } else if (parser_accept_dot(parser, "v4")) {
            head.vec = 4;
        } else {
            struct token word = parser->token;
            const char *name = parser_take_word(parser);
            enum ptx_type type = name ? ptx_type_from_name(name) : PTX_NONE;
            if (!type || head.type)
                parser_fail(parser, "\".%.*s\" is no type for a variable",
                            word.bytes < 40 ? (int)word.bytes : 40, word.text);
            head.type = type;
        }
    }
    if (!head.type)
        parser_fail_expected(parser, "a type");
    if (!head.align_bytes)
        head.align_bytes = ptx_type_bytes(head.type) * head.vec;
    return head;
}

/* `<100>` after the name of a register. */
static void parse_register_range(struct parser *parser, struct ptx_var *var)
{
    if (var->space != PTX_SPACE_REG)
        parser_fail(parser, "only registers are declared by range");
    /* Not parse_count: the closing mark would be read as "greater than". */
    if (parser->token.kind != TOKEN_INT || !parser->token.bits || parser->token.bits > PTX_REGISTERS_MAX)
        parser_fail(parser, "a register range is an integer from 1 to %d", PTX_REGISTERS_MAX);
    var->reg_count = (uint32_t)parser->token.bits;
    parser_advance(parser);
    parser_expect(parser, '>', "\">\" of a register range");
}

/* `[2][3]`: the sizes go to dimensions from *n on. The first may be left out. */
static void parse_dimensions(struct parser *parser, struct ptx_var *var, uint64_t *dimensions, unsigned *n)
{
    while (parser_accept(parser, '[')) {
        if (*n == PTX_DIMENSIONS_MAX) {
            parser_fail(parser, "an array has more than %d dimensions", PTX_DIMENSIONS_MAX);
            return;
        }
        dimensions[*n] = 0;
        if (parser->token.kind != ']' || *n)
            dimensions[*n] = parse_count(parser, var_bytes_max, "the size of an array");
        parser_expect(parser, ']', "\"]\"");
        var->is_array = true;
        ++*n;
    }
}

static uint64_t size_of(struct parser *parser, const struct ptx_var *var, const uint64_t *dimensions,
                        unsigned n)
{
    uint64_t bytes = ptx_type_bytes(var->type);
    for (unsigned i = 0; i < n; i++) {
        if (__builtin_mul_overflow(bytes, dimensions[i], &bytes) || bytes > var_bytes_max) {
            parser_fail(parser, "variable \"%.100s\" is larger than 1 TiB", var->name);
            return 0;
        }
    }
    return bytes;
}

static void count_registers(struct parser *parser, const struct ptx_var *var)
{
    if (var->space != PTX_SPACE_REG)
        return;
    parser->registers += (uint64_t)(var->reg_count ? var->reg_count : 1) * var->vec;
    if (parser->registers > PTX_REGISTERS_MAX)
        parser_fail(parser, "a function has more than %d registers", PTX_REGISTERS_MAX);
}

struct ptx_var parse_var_name(struct parser *parser, const struct ptx_var *head)
{
    struct ptx_var var = *head;
    uint64_t dimensions[PTX_DIMENSIONS_MAX + 1];
    unsigned n_dimensions = 0;
    var.line = parser->token.line;
    var.name = parser_take_name(parser, "the name of a variable");
    if (parser_accept(parser, '<'))
        parse_register_range(parser, &var);
    else
        parse_dimensions(parser, &var, dimensions, &n_dimensions);
    count_registers(parser, &var);
    dimensions[n_dimensions++] = var.vec;
    var.size_bytes = size_of(parser, &var, dimensions, n_dimensions);
    if (parser_accept(parser, '=')) {
        if (var.space == PTX_SPACE_GLOBAL || var.space == PTX_SPACE_CONST)
            parse_init(parser, &var, dimensions, n_dimensions);
        else
            parser_fail(parser, "only .global and .const variables have initialisers");
    }
    return var;
}

const struct ptx_var *parse_params(struct parser *parser, size_t *ret_count)
{
    size_t mark = parser->locals.count;
    parser_expect(parser, '(', "\"(\"");
    if (parser->token.kind != ')') {
        do {
            struct ptx_var head = parse_var_head(parser);
            struct ptx_var var = parse_var_name(parser, &head);
            if (head.space != PTX_SPACE_PARAM && head.space != PTX_SPACE_REG)
                parser_fail(parser, "a parameter is declared with .param or .reg");
            parser_push(parser, &parser->locals, &var);
        } while (parser_accept(parser, ','));
    }
    parser_expect(parser, ')', "\")\" of a parameter list");
    return parser_take(parser, &parser->locals, mark, ret_count);
}
