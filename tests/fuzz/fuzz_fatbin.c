/* fatbin_find_ptx on any bytes, and both decompressors through it. Wrappers are left out: they hold pointers,
 * which the reader must trust. Run by libFuzzer (option fuzz), else by replay.c over the corpus. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/ptx/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const uint8_t wrapper_magic[] = {0xB1, 0x43, 0x62, 0x46};
    size_t text_bytes = 0;
    char *text = NULL;

    if (count >= sizeof(wrapper_magic) && !memcmp(bytes, wrapper_magic, sizeof(wrapper_magic)))
        return 0;
    int rc = fatbin_find_ptx(bytes, count, 90, &text, &text_bytes);
    if (rc ? text != NULL : strlen(text) != text_bytes)
        abort();
    if (rc && rc != -ENOEXEC && rc != -EBADMSG && rc != -ENOTSUP && rc != -ELIBACC && rc != -ENOMEM)
        abort();
    free(text);
    return 0;
}
