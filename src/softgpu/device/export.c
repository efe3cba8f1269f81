/* The list of exported segments; see export.h. Few segments are ever exported, and a list of them is read
 * only when one is exported, imported or let go of. */
#include "softgpu/device/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct holding {
    struct holding *next; /* held later */
    struct arena_owner *holder;
    uint32_t count;
};

struct export
{
    struct export *next;
    uint64_t offset_bytes, bytes;
    uint8_t token[SGDEV_TOKEN_BYTES];
    struct holding *payer; /* the first of the holders */
};

static struct export **export_find(struct exports *exports, uint64_t offset_bytes)
{
    struct export **link = &exports->first;

    while (*link && (*link)->offset_bytes != offset_bytes)
        link = &(*link)->next;
    return link;
}

static struct holding **holding_find(struct export *export, const struct arena_owner *holder)
{
    struct holding **link = &export->payer;

    while (*link && (*link)->holder != holder)
        link = &(*link)->next;
    return link;
}

/* holder's holding, which it gets if it has none; NULL: no memory. */
static struct holding *holding_get(struct export *export, struct arena_owner *holder)
{
    struct holding **link = holding_find(export, holder);

    if (!*link) {
        *link = calloc(1, sizeof(**link));
        if (*link)
            (*link)->holder = holder;
    }
    return *link;
}

static void export_free(struct exports *exports, struct export **link)
{
    struct export *gone = *link;

    *link = gone->next;
    while (gone->payer) {
        struct holding *next = gone->payer->next;

        free(gone->payer);
        gone->payer = next;
    }
    free(gone);
}

int exports_add(struct exports *exports, const struct arena *arena, struct arena_owner *holder,
                uint64_t offset_bytes, uint8_t ret_token[SGDEV_TOKEN_BYTES])
{
    struct export *export = *export_find(exports, offset_bytes);
    struct holding *holding;

    if (export) {
        if (!*holding_find(export, holder))
            return -EINVAL;
        memcpy(ret_token, export->token, SGDEV_TOKEN_BYTES);
        return 0;
    }
    if (!arena_bytes(arena, holder, offset_bytes))
        return -EINVAL;
    export = calloc(1, sizeof(*export));
    if (!export)
        return -ENOMEM;
    export->offset_bytes = offset_bytes;
    export->bytes = arena_bytes(arena, holder, offset_bytes);
    holding = holding_get(export, holder);
    if (!holding || getrandom(export->token, SGDEV_TOKEN_BYTES, 0) != SGDEV_TOKEN_BYTES) {
        export_free(exports, &export);
        return -ENOMEM;
    }
    holding->count = 1;
    export->next = exports->first;
    exports->first = export;
    memcpy(ret_token, export->token, SGDEV_TOKEN_BYTES);
    return 0;
}

int exports_join(struct exports *exports, const uint8_t token[SGDEV_TOKEN_BYTES], struct arena_owner *holder,
                 uint64_t *ret_offset_bytes, uint64_t *ret_bytes)
{
    struct export *export = exports->first;
    struct holding *holding;

    while (export && memcmp(export->token, token, SGDEV_TOKEN_BYTES) != 0)
        export = export->next;
    if (!export)
        return -ENOENT;
    holding = holding_get(export, holder);
    if (!holding || holding->count == UINT32_MAX)
        return -ENOMEM;
    holding->count++;
    *ret_offset_bytes = export->offset_bytes;
    *ret_bytes = export->bytes;
    return 0;
}

/* Takes the holding out. The next one pays if it did; when there is none, the export is over. True: somebody
 * holds it still. */
static bool holding_end(struct exports *exports, struct arena *arena, struct export **export_link,
                        struct holding **link)
{
    struct export *export = *export_link;
    struct holding *gone = *link;

    *link = gone->next;
    if (link == &export->payer && export->payer)
        arena_move(arena, gone->holder, export->payer->holder, export->offset_bytes);
    free(gone);
    if (export->payer)
        return true;
    export_free(exports, export_link);
    return false;
}

bool exports_leave(struct exports *exports, struct arena *arena, struct arena_owner *holder,
                   uint64_t offset_bytes)
{
    struct export **export_link = export_find(exports, offset_bytes);
    struct holding **link;

    if (!*export_link)
        return false;
    link = holding_find(*export_link, holder);
    if (!*link)
        return false;
    return --(*link)->count ? true : holding_end(exports, arena, export_link, link);
}

void exports_forget(struct exports *exports, struct arena *arena, struct arena_owner *holder)
{
    for (struct export **export_link = &exports->first; *export_link;) {
        struct export *export = *export_link;
        struct holding **link = holding_find(export, holder);

        if (!*link || holding_end(exports, arena, export_link, link))
            export_link = &export->next;
    }
}

void exports_done(struct exports *exports)
{
    while (exports->first)
        export_free(exports, &exports->first);
}
