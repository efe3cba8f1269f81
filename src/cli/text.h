/* Text for terminals. Names of commands and devices come from others: what is not printable must not reach a
 * terminal. */
#ifndef VGPU_CLI_TEXT_H
#define VGPU_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum text_side { TEXT_LEFT, TEXT_RIGHT };

/* Columns that text takes on a terminal, in the locale's encoding. */
unsigned text_columns(const char *text);

/* Writes text to buf, cut and padded with blanks to exactly `columns` columns; `side` is where the text
 * stands. Whatever is not printable, or not of the locale's encoding, becomes '?'. buf should have room for
 * four bytes a column and one more; less cuts earlier, at a whole character. Returns buf. */
char *text_fit(const char *text, unsigned columns, enum text_side side, char *buf, size_t buf_bytes);

/* The same without padding: all of the text that fits in buf. */
char *text_clean(const char *text, char *buf, size_t buf_bytes);

/* Whether the locale's encoding is UTF-8, so that block characters can be shown. */
bool text_is_utf8(void);

#endif
