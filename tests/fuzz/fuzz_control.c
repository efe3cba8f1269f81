/* Whatever arrives on the control socket is either refused or is a message whose length is what it says. */
#include <stdint.h>
#include <stdlib.h>

#include "wire/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct control_header header;

    if (control_check(data, bytes, &header) == 0 &&
        (header.magic != CONTROL_MAGIC || header.major != CONTROL_MAJOR ||
         header.bytes + sizeof(header) != bytes))
        abort();
    return 0;
}
