/* UUID text; see uuid.h. Strict about the form, because what it reads comes from a socket. */
#include "base/uuid.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* A dash stands before bytes 4, 6, 8 and 10. */
static bool dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int uuid_parse(const char *text, uint8_t ret_uuid[UUID_BYTES])
{
    uint8_t uuid[UUID_BYTES];

    if (!strncmp(text, "GPU-", 4))
        text += 4;
    for (unsigned i = 0; i < UUID_BYTES; i++) {
        int high, low;

        if (dash_before(i) && *text++ != '-')
            return -EINVAL;
        high = hex_digit(*text);
        low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return -EINVAL;
        uuid[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return -EINVAL;
    memcpy(ret_uuid, uuid, UUID_BYTES);
    return 0;
}

char *uuid_format(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES])
{
    char *at = text + sprintf(text, "GPU-");

    for (unsigned i = 0; i < UUID_BYTES; i++)
        at += sprintf(at, dash_before(i) ? "-%02x" : "%02x", uuid[i]);
    return text;
}
