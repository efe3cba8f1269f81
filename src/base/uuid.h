/* Device UUIDs: 16 bytes inside, "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" for people and drivers. */
#ifndef VGPU_BASE_UUID_H
#define VGPU_BASE_UUID_H

#include <stdint.h>

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 41 /* with the NUL */ };

/* Reads the text form, with or without "GPU-", in either letter case. 0, or -EINVAL. */
int uuid_parse(const char *text, uint8_t ret_uuid[UUID_BYTES]);

/* Writes the text form; returns text. */
char *uuid_format(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES]);

#endif
