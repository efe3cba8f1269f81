/* Operands of instructions: registers, constants, addresses, vectors, call lists, and the forms around them
 * (`!p`, `d|p`,
 * `_`, `%tid.x`). Names are only written down; exec/ knows what they mean. */
#include "softgpu/ptx/parser.h"

#include <string.h>

static struct ptx_operand parse_operand(struct parser *parser, bool is_call, unsigned depth);

static bool is_plain_name(const struct parser *parser)
{
    return parser->token.kind == TOKEN_NAME && !parser_is_constant(parser);
}

static struct ptx_operand parse_immediate(struct parser *parser)
{
    struct constant value = parse_constant(parser);
    return (struct ptx_operand){
        .kind = value.kind, .i = (int64_t)value.bits, .is_unsigned = value.is_unsigned};
}

/* What may be added to a name: `+8`, `-8`, `+-8`. */
static int64_t parse_offset(struct parser *parser)
{
    if (parser->token.kind != '+' && parser->token.kind != '-')
        return 0;
    struct constant offset = parse_constant(parser);
    if (offset.kind != PTX_OP_INT)
        parser_fail(parser, "an offset is an integer");
    return (int64_t)offset.bits;
}

/* `.x` and the like right behind a name. */
static char parse_component(struct parser *parser)
{
    static const struct {
        const char *word;
        char component;
    } components[] = {{"x", 'x'},  {"y", 'y'},  {"z", 'z'},  {"w", 'w'},  {"r", 'x'},
                      {"g", 'y'},  {"b", 'z'},  {"a", 'w'},  {"b0", '0'}, {"b1", '1'},
                      {"b2", '2'}, {"b3", '3'}, {"h0", 'l'}, {"h1", 'h'}};
    for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
        if (parser_accept_dot(parser, components[i].word))
            return components[i].component;
    }
    parser_fail_expected(parser, "a component such as .x");
    return 0;
}

static struct ptx_operand parse_name(struct parser *parser)
{
    struct ptx_operand operand = {.kind = PTX_OP_NAME};
    if (token_is(&parser->token, TOKEN_NAME, "_")) {
        operand.kind = PTX_OP_SINK;
        parser_advance(parser);
        return operand;
    }
    operand.name = parser_take_name(parser, "an operand");
    if (parser->token.kind == TOKEN_DOT)
        operand.component = parse_component(parser);
    operand.i = parse_offset(parser);
    if (parser->token.kind == '[')
        parser_fail(parser, "indexed variables are not supported as operands");
    return operand;
}

/* The items up to `close`, whose opening mark is read. */
static void parse_items(struct parser *parser, struct ptx_operand *operand, int close, bool is_call,
                        unsigned depth)
{
    size_t mark = parser->operands.count;
    if (depth > PTX_OPERAND_DEPTH_MAX)
        parser_fail(parser, "operands are nested too deeply");
    if (parser->token.kind != close) {
        do {
            struct ptx_operand item = parse_operand(parser, is_call, depth + 1);
            parser_push(parser, &parser->operands, &item);
            if (parser->operands.count - mark > PTX_ITEMS_MAX)
                parser_fail(parser, "an operand list has more than %d items", PTX_ITEMS_MAX);
        } while (parser_accept(parser, ','));
    }
    parser_expect(parser, close, "the end of an operand list");
    operand->items = parser_take(parser, &parser->operands, mark, &operand->n_items);
}

/* `[base+8]`, `[16]`, `[texture, {x, y}]` after the opening bracket. */
static struct ptx_operand parse_address(struct parser *parser, unsigned depth)
{
    struct ptx_operand operand = {.kind = PTX_OP_ADDR};
    if (is_plain_name(parser)) {
        operand.name = parser_take_name(parser, "an address");
        operand.i = parse_offset(parser);
    } else {
        struct constant address = parse_constant(parser);
        if (address.kind != PTX_OP_INT)
            parser_fail(parser, "an address is an integer");
        operand.i = (int64_t)address.bits;
        operand.is_unsigned = address.is_unsigned;
    }
    if (parser_accept(parser, ','))
        parse_items(parser, &operand, ']', false, depth);
    else
        parser_expect(parser, ']', "\"]\" of an address");
    return operand;
}

static bool is_negated_name(const struct parser *parser)
{
    struct lexer ahead = parser->lexer;
    return parser->token.kind == '!' && lexer_next(&ahead).kind == TOKEN_NAME;
}

/* The `|p` of `d|p`. */
static const struct ptx_operand *parse_second(struct parser *parser)
{
    struct ptx_operand *second = parser_alloc(parser, sizeof(*second));
    struct ptx_operand operand = parse_name(parser);
    if (second)
        *second = operand;
    return second;
}

static struct ptx_operand parse_operand(struct parser *parser, bool is_call, unsigned depth)
{
    struct ptx_operand operand = {.kind = PTX_OP_NONE};
    if (is_negated_name(parser)) {
        parser_advance(parser);
        operand = parse_name(parser);
        operand.negated = true;
    } else if (is_call && parser_accept(parser, '(')) {
        operand.kind = PTX_OP_LIST;
        parse_items(parser, &operand, ')', false, depth);
    } else if (parser_is_constant(parser)) {
        operand = parse_immediate(parser);
    } else if (parser_accept(parser, '{')) {
        operand.kind = PTX_OP_VEC;
        parse_items(parser, &operand, '}', false, depth);
    } else if (parser_accept(parser, '[')) {
        operand = parse_address(parser, depth);
    } else {
        operand = parse_name(parser);
        if (parser_accept(parser, '|'))
            operand.second = parse_second(parser);
    }
    return operand;
}

void parse_operands(struct parser *parser, struct ptx_insn *insn)
{
    bool is_call = insn->op && !strcmp(insn->op, "call");
    size_t mark = parser->operands.count, count;
    if (parser->token.kind != ';') {
        do {
            struct ptx_operand operand = parse_operand(parser, is_call, 0);
            parser_push(parser, &parser->operands, &operand);
            if (parser->operands.count - mark > PTX_OPERANDS_MAX)
                parser_fail(parser, "an instruction has more than %d operands", PTX_OPERANDS_MAX);
        } while (parser_accept(parser, ','));
    }
    insn->operands = parser_take(parser, &parser->operands, mark, &count);
    insn->n_operands = (uint8_t)count;
}
