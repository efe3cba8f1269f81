/* Constant expressions: C's operators over 64-bit integers and doubles, as initialisers, array sizes, address
 * offsets and immediate operands use them. Called by the other parts of the parser. */
#include "softgpu/ptx/parser.h"

#include <string.h>

/* Warps have 32 threads on every target; the language has a name for it. */
static const char warp_size_name[] = "WARP_SZ";
enum { WARP_SIZE = 32 };

static struct constant constant_int(uint64_t bits, bool is_unsigned)
{
    return (struct constant){.kind = PTX_OP_INT, .bits = bits, .is_unsigned = is_unsigned};
}

static struct constant constant_f64(double value)
{
    struct constant constant = {.kind = PTX_OP_F64};
    memcpy(&constant.bits, &value, sizeof(value));
    return constant;
}

static double constant_as_double(struct constant constant)
{
    double value;
    if (constant.kind == PTX_OP_INT)
        return constant.is_unsigned ? (double)constant.bits : (double)(int64_t)constant.bits;
    if (constant.kind == PTX_OP_F32) {
        uint32_t bits = (uint32_t)constant.bits;
        float single;
        memcpy(&single, &bits, sizeof(single));
        return single;
    }
    memcpy(&value, &constant.bits, sizeof(value));
    return value;
}

static bool constant_is_true(struct constant constant)
{
    return constant.kind == PTX_OP_INT ? constant.bits != 0 : constant_as_double(constant) != 0;
}

bool parser_is_constant(const struct parser *parser)
{
    int kind = parser->token.kind;
    return kind == TOKEN_INT || kind == TOKEN_F32 || kind == TOKEN_F64 || kind == '-' || kind == '+' ||
           kind == '~' || kind == '!' || kind == '(' || token_is(&parser->token, TOKEN_NAME, warp_size_name);
}

static struct constant parse_ternary(struct parser *parser, unsigned depth);

/* `(.s64)x` and `(.u64)x` after the opening parenthesis. */
static bool parse_cast(struct parser *parser, bool *ret_is_unsigned)
{
    *ret_is_unsigned = parser_is_dot(parser, "u64");
    if (!*ret_is_unsigned && !parser_is_dot(parser, "s64"))
        return false;
    parser_advance(parser);
    parser_expect(parser, ')', "\")\" after a cast");
    return true;
}

static struct constant parse_unary(struct parser *parser, unsigned depth);

static struct constant parse_parenthesis(struct parser *parser, unsigned depth)
{
    struct constant value;
    bool is_unsigned;
    if (parse_cast(parser, &is_unsigned)) {
        value = parse_unary(parser, depth);
        if (value.kind != PTX_OP_INT)
            parser_fail(parser, "a cast of a constant needs an integer");
        value.is_unsigned = is_unsigned;
        return value;
    }
    value = parse_ternary(parser, depth);
    parser_expect(parser, ')', "\")\"");
    return value;
}

static struct constant parse_literal(struct parser *parser)
{
    struct token token = parser->token;
    struct constant value = {.kind = PTX_OP_INT, .bits = token.bits, .is_unsigned = token.is_unsigned};
    if (token.kind == TOKEN_F32)
        value.kind = PTX_OP_F32;
    else if (token.kind == TOKEN_F64)
        value.kind = PTX_OP_F64;
    else if (token_is(&token, TOKEN_NAME, warp_size_name))
        value.bits = WARP_SIZE;
    else if (token.kind != TOKEN_INT)
        parser_fail_expected(parser, "a constant");
    parser_advance(parser);
    return value;
}

static struct constant negate(struct constant value)
{
    if (value.kind == PTX_OP_INT)
        value.bits = -value.bits;
    else
        value.bits ^= value.kind == PTX_OP_F32 ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
    return value;
}

static struct constant parse_unary(struct parser *parser, unsigned depth)
{
    if (depth > PTX_CONST_DEPTH_MAX) {
        parser_fail(parser, "a constant expression is nested too deeply");
        return constant_int(0, false);
    }
    if (parser_accept(parser, '('))
        return parse_parenthesis(parser, depth + 1);
    if (parser_accept(parser, '+'))
        return parse_unary(parser, depth + 1);
    if (parser_accept(parser, '-'))
        return negate(parse_unary(parser, depth + 1));
    if (parser_accept(parser, '!'))
        return constant_int(!constant_is_true(parse_unary(parser, depth + 1)), false);
    if (!parser_accept(parser, '~'))
        return parse_literal(parser);
    struct constant value = parse_unary(parser, depth + 1);
    if (value.kind != PTX_OP_INT)
        parser_fail(parser, "\"~\" needs an integer");
    value.bits = ~value.bits;
    return value;
}

/* 0: no binary op. */
static unsigned precedence_of(int op)
{
    switch (op) {
    case '*':
    case '/':
    case '%':
        return 10;
    case '+':
    case '-':
        return 9;
    case TOKEN_SHL:
    case TOKEN_SHR:
        return 8;
    case '<':
    case '>':
    case TOKEN_LE:
    case TOKEN_GE:
        return 7;
    case TOKEN_EQ:
    case TOKEN_NE:
        return 6;
    case '&':
        return 5;
    case '^':
        return 4;
    case '|':
        return 3;
    case TOKEN_AND:
        return 2;
    case TOKEN_OR:
        return 1;
    default:
        return 0;
    }
}

static struct constant divide(struct parser *parser, int op, struct constant a, struct constant b)
{
    bool is_unsigned = a.is_unsigned || b.is_unsigned;
    int64_t x = (int64_t)a.bits, y = (int64_t)b.bits;
    if (!b.bits) {
        parser_fail(parser, "a constant is divided by zero");
        return a;
    }
    if (is_unsigned)
        return constant_int(op == '/' ? a.bits / b.bits : a.bits % b.bits, true);
    if (y == -1) /* the smallest integer has no opposite: it wraps */
        return constant_int(op == '/' ? -a.bits : 0, false);
    return constant_int((uint64_t)(op == '/' ? x / y : x % y), false);
}

static struct constant compare(int op, struct constant a, struct constant b)
{
    int order;
    if (a.kind != PTX_OP_INT || b.kind != PTX_OP_INT) {
        double x = constant_as_double(a), y = constant_as_double(b);
        if (x != x || y != y)
            return constant_int(op == TOKEN_NE, false);
        order = (x > y) - (x < y);
    } else if (a.is_unsigned || b.is_unsigned) {
        order = (a.bits > b.bits) - (a.bits < b.bits);
    } else {
        order = ((int64_t)a.bits > (int64_t)b.bits) - ((int64_t)a.bits < (int64_t)b.bits);
    }
    switch (op) {
    case '<':
        return constant_int(order < 0, false);
    case '>':
        return constant_int(order > 0, false);
    case TOKEN_LE:
        return constant_int(order <= 0, false);
    case TOKEN_GE:
        return constant_int(order >= 0, false);
    case TOKEN_EQ:
        return constant_int(order == 0, false);
    default:
        return constant_int(order != 0, false);
    }
}

static struct constant shift(int op, struct constant a, struct constant b)
{
    if (b.bits > 63) /* every bit leaves; a signed right shift keeps the sign */
        return constant_int(op == TOKEN_SHR && !a.is_unsigned && (int64_t)a.bits < 0 ? UINT64_MAX : 0,
                            a.is_unsigned);
    if (op == TOKEN_SHL)
        return constant_int(a.bits << b.bits, a.is_unsigned);
    if (a.is_unsigned)
        return constant_int(a.bits >> b.bits, true);
    return constant_int((uint64_t)((int64_t)a.bits >> b.bits), false);
}

static struct constant apply_double(struct parser *parser, int op, double a, double b)
{
    switch (op) {
    case '+':
        return constant_f64(a + b);
    case '-':
        return constant_f64(a - b);
    case '*':
        return constant_f64(a * b);
    case '/':
        return constant_f64(a / b);
    default:
        parser_fail(parser, "an op needs integer constants");
        return constant_f64(0);
    }
}

static struct constant apply(struct parser *parser, int op, struct constant a, struct constant b)
{
    bool is_unsigned = a.is_unsigned || b.is_unsigned;
    if (op == TOKEN_AND)
        return constant_int(constant_is_true(a) && constant_is_true(b), false);
    if (op == TOKEN_OR)
        return constant_int(constant_is_true(a) || constant_is_true(b), false);
    if (precedence_of(op) == precedence_of('<') || precedence_of(op) == precedence_of(TOKEN_EQ))
        return compare(op, a, b);
    if (a.kind != PTX_OP_INT || b.kind != PTX_OP_INT)
        return apply_double(parser, op, constant_as_double(a), constant_as_double(b));
    switch (op) {
    case '*':
        return constant_int(a.bits * b.bits, is_unsigned);
    case '/':
    case '%':
        return divide(parser, op, a, b);
    case '+':
        return constant_int(a.bits + b.bits, is_unsigned);
    case '-':
        return constant_int(a.bits - b.bits, is_unsigned);
    case '&':
        return constant_int(a.bits & b.bits, is_unsigned);
    case '^':
        return constant_int(a.bits ^ b.bits, is_unsigned);
    case '|':
        return constant_int(a.bits | b.bits, is_unsigned);
    default:
        return shift(op, a, b);
    }
}

/* The lexer takes the "%3" of "7%3" for a register. After a constant it can only be the remainder and what follows it. */
static void split_remainder(struct parser *parser)
{
    if (parser->token.kind != TOKEN_NAME || *parser->token.start != '%')
        return;
    parser->lexer.at = parser->token.start + 1;
    parser->token.kind = '%';
}

/* Operators that bind at least as strongly as `floor`. */
static struct constant parse_binary(struct parser *parser, unsigned floor, unsigned depth)
{
    struct constant left = parse_unary(parser, depth);
    for (;;) {
        split_remainder(parser);
        int op = parser->token.kind;
        unsigned precedence = precedence_of(op);
        if (!precedence || precedence < floor)
            return left;
        parser_advance(parser);
        left = apply(parser, op, left, parse_binary(parser, precedence + 1, depth));
    }
}

static struct constant parse_ternary(struct parser *parser, unsigned depth)
{
    if (depth > PTX_CONST_DEPTH_MAX)
        parser_fail(parser, "a constant expression is nested too deeply");
    struct constant condition = parse_binary(parser, 1, depth);
    if (!parser_accept(parser, '?'))
        return condition;
    struct constant yes = parse_ternary(parser, depth + 1);
    parser_expect(parser, ':', "\":\" of a conditional");
    struct constant no = parse_ternary(parser, depth + 1);
    return constant_is_true(condition) ? yes : no;
}

struct constant parse_constant(struct parser *parser)
{
    return parse_ternary(parser, 0);
}

uint64_t parse_count(struct parser *parser, uint64_t max, const char *what)
{
    int line = parser->token.line;
    struct constant value = parse_constant(parser);
    bool is_negative = !value.is_unsigned && (int64_t)value.bits < 0;
    if (value.kind != PTX_OP_INT || is_negative || value.bits > max) {
        if (!parser->status)
            parser->token.line = line;
        parser_fail(parser, "%s is an integer from 0 to %llu", what, (unsigned long long)max);
        return 0;
    }
    return value.bits;
}
