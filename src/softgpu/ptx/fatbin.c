/* Fat binaries: what nvcc's fatbinary tool wraps around PTX and machine code. Layouts were observed, not
 * documented; every number in them is checked against the bytes that are there. Called when a module is
 * loaded; runs no code of the image. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/ptx/ast.h"
#include "softgpu/ptx/decompress.h"

enum {
    WRAPPER_MAGIC = 0x466243B1,
    FATBIN_MAGIC = (int)0xBA55ED50,
    ELF_MAGIC = 0x464C457F, /* 7f 45 4c 46 */
    WRAPPER_LINKED = 2,     /* wrapper version of separate compilation */
    KIND_PTX = 1,
    FLAG_LZ4 = 0x2000,
    FLAG_ZSTD = 0x8000,
    UNITS_MAX = 1 << 16, /* fat binaries of one program */
    LZ4_RATIO_MAX = 255, /* what the format can reach */
};
static const size_t text_bytes_max = (size_t)1 << 30;

struct wrapper {
    uint32_t magic, version;
    const void *fatbin;
    const void *const *linked; /* version 2: fat binaries, ends with NULL */
};

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t payload_bytes; /* all entries */
};

struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_bytes;
    uint64_t payload_bytes; /* to the next entry */
    uint32_t compressed_bytes, options_offset, ptx_version, sm;
    uint32_t unknown[2];
    uint64_t flags, unknown_2, plain_bytes;
};
_Static_assert(sizeof(struct wrapper) == 24, "as nvcc's host code lays it out");
_Static_assert(sizeof(struct fatbin_header) == 16, "as observed");
_Static_assert(sizeof(struct fatbin_entry) == 64, "as observed");

/* What has been found so far in one image. */
struct search {
    unsigned device_sm;
    bool has_newer; /* PTX for newer devices */
    char *text;     /* texts of all units, one after the other */
    size_t bytes;
};

/* The best PTX entry of one fat binary. */
struct candidate {
    struct fatbin_entry entry;
    const char *payload;
};

static int text_append(struct search *search, const char *text, size_t bytes)
{
    bytes = strnlen(text, bytes);
    if (bytes > text_bytes_max - search->bytes)
        return -EBADMSG;
    char *grown = realloc(search->text, search->bytes + bytes + 2);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + search->bytes, text, bytes);
    search->text = grown;
    search->bytes += bytes;
    grown[search->bytes++] = '\n'; /* a unit ends its last line */
    grown[search->bytes] = '\0';
    return 0;
}

static int append_compressed(struct search *search, const struct candidate *found)
{
    const struct fatbin_entry *entry = &found->entry;
    bool is_lz4 = entry->flags & FLAG_LZ4;
    if (!entry->plain_bytes || entry->plain_bytes > text_bytes_max ||
        entry->compressed_bytes > entry->payload_bytes ||
        (is_lz4 && entry->plain_bytes / LZ4_RATIO_MAX > entry->compressed_bytes))
        return -EBADMSG;
    char *plain = malloc(entry->plain_bytes);
    if (!plain)
        return -ENOMEM;
    size_t bytes = 0;
    int rc = is_lz4
                 ? lz4_decompress(found->payload, entry->compressed_bytes, plain, entry->plain_bytes, &bytes)
                 : zstd_decompress(zstd_library_name, found->payload, entry->compressed_bytes, plain,
                                   entry->plain_bytes, &bytes);
    if (!rc)
        rc = text_append(search, plain, bytes);
    free(plain);
    return rc;
}

static int append_candidate(struct search *search, const struct candidate *found)
{
    if (found->entry.flags & (FLAG_LZ4 | FLAG_ZSTD))
        return append_compressed(search, found);
    if (found->entry.compressed_bytes)
        return -EBADMSG; /* a compression that we do not know */
    return text_append(search, found->payload, found->entry.payload_bytes);
}

/* Looks through the entries in [at, at + bytes). -EBADMSG when one reaches out of them. */
static int find_best(struct search *search, const char *at, size_t bytes, struct candidate *best)
{
    while (bytes >= sizeof(struct fatbin_entry)) {
        struct candidate found;
        memcpy(&found.entry, at, sizeof(found.entry));
        const struct fatbin_entry *entry = &found.entry;
        if (entry->header_bytes < sizeof(*entry) || entry->header_bytes > bytes ||
            entry->payload_bytes > bytes - entry->header_bytes)
            return -EBADMSG;
        found.payload = at + entry->header_bytes;
        if (entry->kind == KIND_PTX && entry->sm > search->device_sm)
            search->has_newer = true;
        else if (entry->kind == KIND_PTX && (!best->payload || entry->sm > best->entry.sm))
            *best = found;
        at = found.payload + entry->payload_bytes;
        bytes -= entry->header_bytes + (size_t)entry->payload_bytes;
    }
    return bytes ? -EBADMSG : 0;
}

/* Adds the PTX of one fat binary, if it has any for this device. */
static int search_fatbin(struct search *search, const char *image, size_t image_bytes)
{
    struct fatbin_header header;
    if (image_bytes < sizeof(header))
        return -EBADMSG;
    memcpy(&header, image, sizeof(header));
    if (header.magic != (uint32_t)FATBIN_MAGIC || header.header_bytes < sizeof(header) ||
        header.header_bytes > image_bytes || header.payload_bytes > image_bytes - header.header_bytes)
        return -EBADMSG;
    struct candidate best = {.payload = NULL};
    int rc = find_best(search, image + header.header_bytes, (size_t)header.payload_bytes, &best);
    if (!rc && best.payload)
        rc = append_candidate(search, &best);
    return rc;
}

/* The wrapper's pointers are those of the program that we are part of; like the driver, we must trust them.
 */
static int search_wrapper(struct search *search, const char *image, size_t image_bytes)
{
    struct wrapper wrapper;
    if (image_bytes < sizeof(wrapper))
        return -EBADMSG;
    memcpy(&wrapper, image, sizeof(wrapper));
    if (wrapper.version != WRAPPER_LINKED || !wrapper.linked)
        return wrapper.fatbin ? search_fatbin(search, wrapper.fatbin, SIZE_MAX) : -EBADMSG;
    int rc = 0;
    for (unsigned i = 0; !rc && wrapper.linked[i]; i++)
        rc = i < UNITS_MAX ? search_fatbin(search, wrapper.linked[i], SIZE_MAX) : -EBADMSG;
    return rc;
}

/* PTX text begins with blanks, a comment or ".version". */
static bool is_text(const char *image, size_t image_bytes)
{
    size_t at = 0;
    while (at < image_bytes && image[at] && strchr(" \t\r\n", image[at]))
        at++;
    return at < image_bytes && (image[at] == '.' || image[at] == '/');
}

static int search_image(struct search *search, const char *image, size_t image_bytes)
{
    uint32_t magic = 0;
    if (is_text(image, image_bytes))
        return text_append(search, image, image_bytes);
    if (image_bytes < sizeof(magic))
        return -EBADMSG;
    memcpy(&magic, image, sizeof(magic));
    if (magic == WRAPPER_MAGIC)
        return search_wrapper(search, image, image_bytes);
    if (magic == (uint32_t)FATBIN_MAGIC)
        return search_fatbin(search, image, image_bytes);
    return magic == ELF_MAGIC ? -ENOEXEC : -EBADMSG;
}

int fatbin_find_ptx(const void *image, size_t image_bytes, unsigned device_sm, char **ret_text,
                    size_t *ret_bytes)
{
    struct search search = {.device_sm = device_sm};
    int rc = search_image(&search, image, image_bytes);
    if (!rc && !search.text)
        rc = search.has_newer ? -ENOTSUP : -ENOEXEC;
    if (rc) {
        free(search.text);
        return rc;
    }
    *ret_text = search.text;
    *ret_bytes = search.bytes;
    return 0;
}
