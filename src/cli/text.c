/* Cutting and cleaning text; see text.h. */
#include "cli/text.h"

#include <langinfo.h>
#include <limits.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* The next character of *text: its columns; *ret_bytes is its length, and *ret_clean what stands for it. 0 at
 * the end. */
static unsigned next_character(const char *text, mbstate_t *state, size_t *ret_bytes, const char **ret_clean)
{
    wchar_t c;
    size_t n;
    int columns;

    if (!*text)
        return 0;
    n = mbrtowc(&c, text, strlen(text), state);
    if (n == (size_t)-1 || n == (size_t)-2) {
        memset(state, 0, sizeof(*state));
        *ret_bytes = 1;
        *ret_clean = "?";
        return 1;
    }
    columns = iswprint((wint_t)c) ? wcwidth(c) : -1;
    *ret_bytes = n;
    *ret_clean = columns > 0 ? text : "?";
    return columns > 0 ? (unsigned)columns : 1;
}

/* Copies what fits; the columns it takes, its bytes in *ret_bytes. */
static unsigned copy_columns(const char *text, unsigned columns, char *buf, size_t buf_bytes,
                             size_t *ret_bytes)
{
    mbstate_t state = {0};
    unsigned used = 0, width;
    size_t n, out = 0;
    const char *clean;

    while ((width = next_character(text, &state, &n, &clean)) > 0) {
        size_t bytes = clean == text ? n : 1;

        if (used + width > columns || out + bytes >= buf_bytes)
            break;
        memcpy(buf + out, clean, bytes);
        out += bytes;
        used += width;
        text += n;
    }
    buf[out] = '\0';
    *ret_bytes = out;
    return used;
}

unsigned text_columns(const char *text)
{
    mbstate_t state = {0};
    unsigned used = 0, width;
    size_t n;
    const char *clean;

    while ((width = next_character(text, &state, &n, &clean)) > 0) {
        used += width;
        text += n;
    }
    return used;
}

char *text_fit(const char *text, unsigned columns, enum text_side side, char *buf, size_t buf_bytes)
{
    size_t bytes, pad;
    unsigned used = copy_columns(text, columns, buf, buf_bytes, &bytes);

    pad = columns - used;
    if (pad > buf_bytes - 1 - bytes)
        pad = buf_bytes - 1 - bytes;
    if (side == TEXT_LEFT) {
        memset(buf + bytes, ' ', pad);
    } else {
        memmove(buf + pad, buf, bytes);
        memset(buf, ' ', pad);
    }
    buf[bytes + pad] = '\0';
    return buf;
}

char *text_clean(const char *text, char *buf, size_t buf_bytes)
{
    size_t bytes;

    copy_columns(text, UINT_MAX / 2, buf, buf_bytes, &bytes);
    return buf;
}

bool text_is_utf8(void)
{
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}
