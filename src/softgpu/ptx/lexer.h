/* Cuts PTX text into tokens. The text ends with a NUL, which no token contains; the lexer never reads past
 * it. */
#ifndef VGPU_SOFTGPU_PTX_LEXER_H
#define VGPU_SOFTGPU_PTX_LEXER_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A punctuation mark is its own character; "||" and the like are below. */
enum {
    TOKEN_END = 0,
    TOKEN_NAME = 256, /* identifier, with its % */
    TOKEN_DOT,        /* ".word" or ".word::word": text is without the dot */
    TOKEN_INT,        /* bits, is_unsigned */
    TOKEN_F32,        /* bits: from 0f12345678 */
    TOKEN_F64,        /* bits: from 0d... or a decimal literal */
    TOKEN_STRING,     /* text is between the quotes */
    TOKEN_SHL,
    TOKEN_SHR,
    TOKEN_LE,
    TOKEN_GE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_ERROR /* text is what cannot be read; lexer->problem says why */
};

struct token {
    int kind;
    int line;
    const char *start; /* in the text, dot and quotes included */
    const char *text;
    size_t bytes;
    uint64_t bits;
    bool is_unsigned;
};

struct lexer {
    const char *at;
    int line;
    const char *problem;
    locale_t *c_locale; /* made when the first decimal literal needs it; the caller frees it */
};

struct token lexer_next(struct lexer *lexer);

/* The word of a name or dot token is exactly `word`. */
bool token_is(const struct token *token, int kind, const char *word);

#endif
