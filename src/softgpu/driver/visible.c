/* CUDA_VISIBLE_DEVICES; see visible.h. Called once, by cuInit. Pure: the value is an argument. */
#include "softgpu/driver/visible.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"

/* The one device that entry names, or -1. */
static int entry_device(const char *entry, size_t length, const struct sgdev_properties *const *devices, unsigned n_devices)
{
    unsigned number = 0;
    int found = -1;

    if (length >= 4 && !strncasecmp(entry, "GPU-", 4)) {
        for (unsigned i = 0; i < n_devices; i++) {
            char text[UUID_TEXT_BYTES];

            uuid_format(devices[i]->uuid, text);
            if (length < sizeof(text) && !strncasecmp(text, entry, length)) {
                if (found >= 0)
                    return -1;
                found = (int)i;
            }
        }
        return found;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)entry[i]) || number > SGDEV_DEVICES_MAX)
            return -1;
        number = number * 10 + (unsigned)(entry[i] - '0');
    }
    return length && number < n_devices ? (int)number : -1;
}

unsigned visible_devices(const char *list, const struct sgdev_properties *const *devices, unsigned n_devices,
                         unsigned *ret_numbers)
{
    uint64_t seen = 0;
    unsigned n = 0;

    if (!list) {
        for (; n < n_devices; n++)
            ret_numbers[n] = n;
        return n;
    }
    while (*list) {
        size_t length = strcspn(list, ","), blank = strspn(list, " ");
        int number;

        if (blank > length)
            blank = length;
        number = entry_device(list + blank, length - blank, devices, n_devices);
        if (number < 0 || seen >> number & 1)
            break;
        seen |= UINT64_C(1) << number;
        ret_numbers[n++] = (unsigned)number;
        list += length;
        list += *list == ',';
    }
    return n;
}
