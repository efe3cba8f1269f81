/* Initialisers: numbers, `generic(symbol)+8`, `0xFF00(symbol)`, nested braces. Numbers become bytes;
 * addresses become relocations, which whoever places the variables fills in. */
#include "softgpu/ptx/parser.h"

#include <string.h>

struct init {
    struct ptx_var *var;
    unsigned element_bytes;
    uint64_t size_bytes; /* UINT64_MAX while the outermost dimension is to be counted */
    uint64_t stride_bytes[PTX_DIMENSIONS_MAX + 2]; /* of one item at that depth of braces; [0] is the whole */
    unsigned n_strides;
};

/* ---- numbers ---- */

static double bits_to_double(struct constant value)
{
    double wide;
    if (value.kind == PTX_OP_F32) {
        uint32_t bits = (uint32_t)value.bits;
        float single;
        memcpy(&single, &bits, sizeof(single));
        return single;
    }
    if (value.kind == PTX_OP_F64) {
        memcpy(&wide, &value.bits, sizeof(wide));
        return wide;
    }
    return value.is_unsigned ? (double)value.bits : (double)(int64_t)value.bits;
}

/* The bits of value in a variable of that type. Compilers write floats into integer arrays as their bits, in
 * 0f form. */
static uint64_t element_bits(struct parser *parser, enum ptx_type type, struct constant value)
{
    uint64_t bits = value.bits;
    if (type == PTX_F64 && value.kind != PTX_OP_F64) {
        double wide = bits_to_double(value);
        memcpy(&bits, &wide, sizeof(wide));
    } else if (type == PTX_F32 && value.kind != PTX_OP_F32) {
        float narrow = (float)bits_to_double(value);
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, sizeof(narrow));
        bits = narrow_bits;
    } else if (value.kind != PTX_OP_INT && ptx_type_bytes(type) != (value.kind == PTX_OP_F32 ? 4u : 8u)) {
        parser_fail(parser, "a floating literal does not fit a .%s", ptx_type_name(type));
    }
    return bits;
}

/* Makes the bytes that are written so far reach to end_bytes. */
static void reach(struct parser *parser, uint64_t end_bytes)
{
    struct stack *bytes = &parser->bytes;
    while (bytes->count < end_bytes && !parser->status)
        parser_push(parser, bytes, &(uint8_t){0});
}

static void write_number(struct parser *parser, const struct init *init, uint64_t offset_bytes)
{
    struct constant value = parse_constant(parser);
    uint64_t bits = element_bits(parser, init->var->type, value);
    reach(parser, offset_bytes + init->element_bytes);
    if (!parser->status) /* little-endian, as the device is; 16-byte elements have their upper half zero */
        memcpy((uint8_t *)parser->bytes.items + offset_bytes, &bits,
               init->element_bytes < sizeof(bits) ? init->element_bytes : sizeof(bits));
}

/* ---- addresses ---- */

/* `symbol`, `generic(symbol)`, each with `+n` or `-n`. */
static void parse_symbol(struct parser *parser, struct ptx_reloc *reloc)
{
    bool is_generic = token_is(&parser->token, TOKEN_NAME, "generic");
    const char *name = parser_take_name(parser, "the name of a variable or function");
    if (is_generic && parser_accept(parser, '(')) {
        reloc->generic = true;
        name = parser_take_name(parser, "the name of a variable");
        if (parser->token.kind == '+' || parser->token.kind == '-')
            reloc->addend = (int64_t)parse_constant(parser).bits;
        parser_expect(parser, ')', "\")\" of generic");
    }
    reloc->symbol = name;
    if (parser->token.kind == '+' || parser->token.kind == '-') {
        struct constant addend = parse_constant(parser);
        if (addend.kind != PTX_OP_INT)
            parser_fail(parser, "what is added to an address is an integer");
        reloc->addend = (int64_t)((uint64_t)reloc->addend + addend.bits);
    }
}

/* `0xFF00(symbol)`: one byte of the address. */
static void parse_masked(struct parser *parser, struct ptx_reloc *reloc)
{
    uint64_t mask = parser->token.bits;
    parser_advance(parser);
    parser_expect(parser, '(', "\"(\"");
    parse_symbol(parser, reloc);
    parser_expect(parser, ')', "\")\" of an address mask");
    reloc->width_bytes = 1;
    reloc->shift_bits = mask ? (uint8_t)(__builtin_ctzll(mask) / 8 * 8) : 0;
    if (!mask || mask != UINT64_C(0xFF) << reloc->shift_bits)
        parser_fail(parser, "an address mask covers exactly one byte");
}

static bool is_mask(const struct parser *parser)
{
    struct lexer ahead = parser->lexer;
    return parser->token.kind == TOKEN_INT && lexer_next(&ahead).kind == '(';
}

static void write_address(struct parser *parser, const struct init *init, uint64_t offset_bytes)
{
    struct ptx_reloc reloc = {.offset_bytes = offset_bytes, .width_bytes = (uint8_t)init->element_bytes};
    bool is_masked = parser->token.kind == TOKEN_INT;
    if (is_masked)
        parse_masked(parser, &reloc);
    else
        parse_symbol(parser, &reloc);
    bool is_whole = reloc.width_bytes == 4 || reloc.width_bytes == 8;
    if (!is_whole && !is_masked)
        parser_fail(parser, "an address does not fit a .%s", ptx_type_name(init->var->type));
    reach(parser, offset_bytes + init->element_bytes);
    parser_push(parser, &parser->relocs, &reloc);
}

static void write_element(struct parser *parser, const struct init *init, uint64_t offset_bytes)
{
    if (offset_bytes + init->element_bytes > init->size_bytes)
        parser_fail(parser, "variable \"%.100s\" has more initialisers than elements", init->var->name);
    else if ((parser->token.kind == TOKEN_NAME && !parser_is_constant(parser)) || is_mask(parser))
        write_address(parser, init, offset_bytes);
    else
        write_number(parser, init, offset_bytes);
}

/* ---- braces ---- */

/* Offsets skipped by braces that close early become zeros in memory; a hostile text must not make many out of
 * few. */
static void spend_skip(struct parser *parser, uint64_t skipped_bytes)
{
    if (skipped_bytes > parser->init_budget_bytes)
        parser_fail(parser, "nested initialisers leave too much out");
    else
        parser->init_budget_bytes -= skipped_bytes;
}

/* `{a, b, {c, d}}` at `depth`, from start_bytes on; returns where the last item ended. Braces may be left
 * out, as in C. */
static uint64_t parse_braces(struct parser *parser, const struct init *init, unsigned depth,
                             uint64_t start_bytes)
{
    uint64_t at_bytes = start_bytes;
    parser_expect(parser, '{', "\"{\"");
    if (parser_accept(parser, '}'))
        return at_bytes;
    do {
        if (parser->token.kind == '{' && depth + 1 < init->n_strides) {
            uint64_t stride_bytes = init->stride_bytes[depth + 1];
            uint64_t item = (at_bytes - start_bytes + stride_bytes - 1) / stride_bytes;
            uint64_t item_start = start_bytes + item * stride_bytes;
            uint64_t item_end = parse_braces(parser, init, depth + 1, item_start);
            if (item_start + stride_bytes > init->size_bytes || item_end > item_start + stride_bytes)
                parser_fail(parser, "variable \"%.100s\" has more initialisers than elements",
                            init->var->name);
            spend_skip(parser, item_start + stride_bytes - item_end);
            at_bytes = item_start + stride_bytes;
        } else {
            write_element(parser, init, at_bytes);
            at_bytes += init->element_bytes;
        }
    } while (parser_accept(parser, ','));
    parser_expect(parser, '}', "\"}\" of an initialiser");
    return at_bytes;
}

/* Fills strides from the inside out; false when a dimension other than the first is zero, where nothing fits.
 */
static bool init_strides(struct init *init, const uint64_t *dimensions, unsigned n_dimensions)
{
    /* A vector width of 1 is no level of braces of its own. */
    unsigned n = dimensions[n_dimensions - 1] == 1 ? n_dimensions - 1 : n_dimensions;
    uint64_t stride_bytes = init->element_bytes;
    init->n_strides = n ? n : 1;
    for (unsigned depth = n; depth-- > 1;) {
        stride_bytes *= dimensions[depth];
        init->stride_bytes[depth] = stride_bytes;
        if (!stride_bytes)
            return false;
    }
    return true;
}

void parse_init(struct parser *parser, struct ptx_var *var, const uint64_t *dimensions, unsigned n_dimensions)
{
    struct init init = {
        .var = var, .element_bytes = ptx_type_bytes(var->type), .size_bytes = var->size_bytes};
    bool is_counted = var->is_array && !dimensions[0];
    if (is_counted)
        init.size_bytes = UINT64_MAX / 2;
    if (var->type >= PTX_TEXREF || var->type == PTX_PRED || !init_strides(&init, dimensions, n_dimensions)) {
        parser_fail(parser, "variable \"%.100s\" can have no initialiser", var->name);
        return;
    }
    uint64_t end_bytes = init.element_bytes;
    if (parser->token.kind == '{')
        end_bytes = parse_braces(parser, &init, 0, 0);
    else
        write_element(parser, &init, 0);
    if (is_counted) {
        uint64_t stride_bytes = init.n_strides > 1 ? init.stride_bytes[1] : init.element_bytes;
        var->size_bytes = (end_bytes + stride_bytes - 1) / stride_bytes * stride_bytes;
    }
    size_t init_bytes;
    var->init = parser_take(parser, &parser->bytes, 0, &init_bytes);
    var->init_bytes = init_bytes;
    var->relocs = parser_take(parser, &parser->relocs, 0, &var->n_relocs);
}
