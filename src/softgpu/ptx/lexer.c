/* The lexer of the PTX parser: comments and blanks, names, dotted words, literals, punctuation. It works on
 * the parser's own copy of the text, allocates nothing, and gives TOKEN_ERROR for what is no PTX. */
#include "softgpu/ptx/lexer.h"

#include <stdlib.h>
#include <string.h>

/* Own classes: those of <ctype.h> follow the locale of the process that we are a guest in. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

static bool is_name(char c)
{
    return is_word(c) || c == '$';
}

/* The value of a digit in bases up to 16, else 99. */
static unsigned digit_value(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 99;
}

bool token_is(const struct token *token, int kind, const char *word)
{
    return token->kind == kind && strlen(word) == token->bytes && !memcmp(token->text, word, token->bytes);
}

static void skip_line(struct lexer *lexer)
{
    while (*lexer->at && *lexer->at != '\n')
        lexer->at++;
}

/* Past the end of a block comment; false when it has none. */
static bool skip_comment(struct lexer *lexer)
{
    lexer->at += 2;
    while (*lexer->at) {
        if (lexer->at[0] == '*' && lexer->at[1] == '/') {
            lexer->at += 2;
            return true;
        }
        lexer->line += *lexer->at++ == '\n';
    }
    return false;
}

static bool skip_blanks(struct lexer *lexer)
{
    for (;;) {
        const char *at = lexer->at;
        if (*at == '\n') {
            lexer->line++;
            lexer->at++;
        } else if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\f' || *at == '\v') {
            lexer->at++;
        } else if (at[0] == '/' && at[1] == '/') {
            skip_line(lexer);
        } else if (at[0] == '@' && at[1] == '@') {
            skip_line(lexer); /* "@@DWARF ...": debug lines of old compilers */
        } else if (at[0] == '/' && at[1] == '*') {
            if (!skip_comment(lexer))
                return false;
        } else {
            return true;
        }
    }
}

static void token_fail(struct lexer *lexer, struct token *token, const char *problem)
{
    lexer->problem = problem;
    token->kind = TOKEN_ERROR;
    token->text = token->start;
}

/* Digits in base at lexer->at, at least one and at most max; false on none or overflow of 64 bits. */
static bool lex_digits(struct lexer *lexer, unsigned base, unsigned max, uint64_t *ret_value)
{
    uint64_t value = 0;
    unsigned count = 0;
    for (; count < max && digit_value(*lexer->at) < base; count++, lexer->at++) {
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit_value(*lexer->at), &value))
            return false;
    }
    *ret_value = value;
    return count > 0;
}

/* 0f3F800000 and 0d3FF0000000000000: exactly so many hexadecimal digits. */
static void lex_float_bits(struct lexer *lexer, struct token *token, int kind, unsigned digits)
{
    lexer->at += 2;
    const char *first = lexer->at;
    token->kind = kind;
    if (!lex_digits(lexer, 16, digits, &token->bits) || lexer->at - first != (ptrdiff_t)digits)
        token_fail(lexer, token, "a 0f literal has 8 hexadecimal digits and a 0d literal 16");
}

static void lex_decimal_float(struct lexer *lexer, struct token *token)
{
    if (!*lexer->c_locale)
        *lexer->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!*lexer->c_locale) {
        token_fail(lexer, token, "no memory to read a decimal literal");
        return;
    }
    char *end;
    double value = strtod_l(token->start, &end, *lexer->c_locale);
    lexer->at = end;
    token->kind = TOKEN_F64;
    memcpy(&token->bits, &value, sizeof(value));
}

/* Whether a decimal point or exponent follows the digits at `at`. */
static bool is_decimal_float(const char *at)
{
    while (is_digit(*at))
        at++;
    if (*at == '.')
        return is_digit(at[1]) || !is_word(at[1]);
    if ((*at | 0x20) != 'e')
        return false;
    return is_digit(at[1]) || ((at[1] == '+' || at[1] == '-') && is_digit(at[2]));
}

static void lex_int(struct lexer *lexer, struct token *token)
{
    unsigned base = 10;
    char second = (char)(lexer->at[0] == '0' ? lexer->at[1] | 0x20 : 0);
    if (second == 'x' || second == 'b') {
        base = second == 'x' ? 16 : 2;
        lexer->at += 2;
    } else if (lexer->at[0] == '0') {
        base = 8;
    }
    token->kind = TOKEN_INT;
    if (!lex_digits(lexer, base, 4096, &token->bits)) {
        token_fail(lexer, token, "an integer literal needs digits and fits in 64 bits");
        return;
    }
    token->is_unsigned = (*lexer->at | 0x20) == 'u';
    lexer->at += token->is_unsigned;
    token->is_unsigned |= token->bits > INT64_MAX;
}

static void lex_number(struct lexer *lexer, struct token *token)
{
    char second = (char)(lexer->at[0] == '0' ? lexer->at[1] | 0x20 : 0);
    if (second == 'f')
        lex_float_bits(lexer, token, TOKEN_F32, 8);
    else if (second == 'd')
        lex_float_bits(lexer, token, TOKEN_F64, 16);
    else if (second != 'x' && second != 'b' && is_decimal_float(lexer->at))
        lex_decimal_float(lexer, token);
    else
        lex_int(lexer, token);
    if (token->kind != TOKEN_ERROR && is_name(*lexer->at))
        token_fail(lexer, token, "letters follow a number");
}

static void lex_dot(struct lexer *lexer, struct token *token)
{
    token->kind = TOKEN_DOT;
    token->text = ++lexer->at;
    while (is_word(*lexer->at)) {
        lexer->at++;
        if (lexer->at[0] == ':' && lexer->at[1] == ':' && is_word(lexer->at[2]))
            lexer->at += 2;
    }
    if (lexer->at == token->text)
        token_fail(lexer, token, "a word must follow the dot");
}

static void lex_string(struct lexer *lexer, struct token *token)
{
    token->kind = TOKEN_STRING;
    token->text = ++lexer->at;
    while (*lexer->at && *lexer->at != '"' && *lexer->at != '\n')
        lexer->at += 1 + (lexer->at[0] == '\\' && lexer->at[1] && lexer->at[1] != '\n');
    if (*lexer->at == '"')
        lexer->at++;
    else
        token_fail(lexer, token, "a string has no end");
}

static void lex_punctuation(struct lexer *lexer, struct token *token)
{
    static const struct {
        char text[3];
        int kind;
    } pairs[] = {{"<<", TOKEN_SHL}, {">>", TOKEN_SHR}, {"<=", TOKEN_LE},  {">=", TOKEN_GE},
                 {"==", TOKEN_EQ},  {"!=", TOKEN_NE},  {"&&", TOKEN_AND}, {"||", TOKEN_OR}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (!strncmp(lexer->at, pairs[i].text, 2)) {
            token->kind = pairs[i].kind;
            lexer->at += 2;
            return;
        }
    }
    token->kind = (unsigned char)*lexer->at++;
    if (!strchr("@,;:()[]{}<>=+-*/%!~&|^?", token->kind))
        token_fail(lexer, token, "this character has no meaning in PTX");
}

struct token lexer_next(struct lexer *lexer)
{
    bool closed = skip_blanks(lexer);
    struct token token = {.kind = TOKEN_END, .line = lexer->line, .start = lexer->at, .text = lexer->at};
    char first = *lexer->at;
    if (!closed) {
        token_fail(lexer, &token, "a comment has no end");
    } else if (is_letter(first) || first == '_' || first == '$' || (first == '%' && is_name(lexer->at[1]))) {
        token.kind = TOKEN_NAME;
        do
            lexer->at++;
        while (is_name(*lexer->at));
    } else if (is_digit(first)) {
        lex_number(lexer, &token);
    } else if (first == '.') {
        lex_dot(lexer, &token);
    } else if (first == '"') {
        lex_string(lexer, &token);
    } else if (first) {
        lex_punctuation(lexer, &token);
    }
    token.bytes = (size_t)(lexer->at - token.text) - (token.kind == TOKEN_STRING);
    return token;
}
