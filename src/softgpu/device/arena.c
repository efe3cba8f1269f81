/* Extents of an arena; see arena.h. All extents, free and owned, are nodes of one treap ordered by offset, in
 * which every node knows the longest free extent below it: so the lowest hole that is large enough is found
 * by going down once. They are also a list in order of offset, which gives a freed extent its neighbours. */
#include "softgpu/device/arena.h"

#include <errno.h>
#include <stdlib.h>

struct arena_extent {
    uint64_t offset_bytes, bytes;
    uint64_t free_below_bytes; /* longest free extent in this subtree */
    uint32_t priority;
    struct arena_extent *left, *right;
    struct arena_extent *before, *after;            /* neighbours by offset */
    struct arena_owner *owner;                      /* NULL: free */
    struct arena_extent *owner_next, *owner_before; /* other extents of the owner */
};

struct arena {
    uint64_t span_bytes, granule_bytes;
    uint32_t random;
    struct arena_extent *root;
};

/* ---- the treap ---- */

static void extent_update(struct arena_extent *extent)
{
    uint64_t longest = extent->owner ? 0 : extent->bytes;

    if (extent->left && extent->left->free_below_bytes > longest)
        longest = extent->left->free_below_bytes;
    if (extent->right && extent->right->free_below_bytes > longest)
        longest = extent->right->free_below_bytes;
    extent->free_below_bytes = longest;
}

/* Those below offset go left, the others right. */
static void treap_split(struct arena_extent *root, uint64_t offset, struct arena_extent **ret_left,
                        struct arena_extent **ret_right)
{
    if (!root) {
        *ret_left = *ret_right = NULL;
    } else if (root->offset_bytes < offset) {
        treap_split(root->right, offset, &root->right, ret_right);
        *ret_left = root;
        extent_update(root);
    } else {
        treap_split(root->left, offset, ret_left, &root->left);
        *ret_right = root;
        extent_update(root);
    }
}

static struct arena_extent *treap_join(struct arena_extent *left, struct arena_extent *right)
{
    if (!left || !right)
        return left ? left : right;
    if (left->priority > right->priority) {
        left->right = treap_join(left->right, right);
        extent_update(left);
        return left;
    }
    right->left = treap_join(left, right->left);
    extent_update(right);
    return right;
}

static void treap_insert(struct arena *arena, struct arena_extent *extent)
{
    struct arena_extent *left, *right;

    extent->left = extent->right = NULL;
    extent_update(extent);
    treap_split(arena->root, extent->offset_bytes, &left, &right);
    arena->root = treap_join(treap_join(left, extent), right);
}

static void treap_remove(struct arena *arena, struct arena_extent *extent)
{
    struct arena_extent *left, *middle, *right;

    treap_split(arena->root, extent->offset_bytes, &left, &middle);
    treap_split(middle, extent->offset_bytes + 1, &middle, &right);
    arena->root = treap_join(left, right);
}

/* Brings free_below_bytes of extent and of those above it up to date. */
static void treap_refresh(struct arena_extent *root, struct arena_extent *extent)
{
    if (root != extent)
        treap_refresh(extent->offset_bytes < root->offset_bytes ? root->left : root->right, extent);
    extent_update(root);
}

static struct arena_extent *treap_find(struct arena_extent *root, uint64_t offset)
{
    while (root && root->offset_bytes != offset)
        root = offset < root->offset_bytes ? root->left : root->right;
    return root;
}

static struct arena_extent *treap_first_fit(struct arena_extent *root, uint64_t bytes)
{
    if (!root || root->free_below_bytes < bytes)
        return NULL;
    for (;;) {
        if (root->left && root->left->free_below_bytes >= bytes)
            root = root->left;
        else if (!root->owner && root->bytes >= bytes)
            return root;
        else
            root = root->right;
    }
}

/* ---- extents ---- */

static struct arena_extent *extent_new(struct arena *arena, uint64_t offset, uint64_t bytes)
{
    struct arena_extent *extent = calloc(1, sizeof(*extent));

    if (!extent)
        return NULL;
    /* xorshift32: the treap needs priorities without pattern, not secrets. */
    arena->random ^= arena->random << 13;
    arena->random ^= arena->random >> 17;
    arena->random ^= arena->random << 5;
    extent->priority = arena->random;
    extent->offset_bytes = offset;
    extent->bytes = bytes;
    return extent;
}

static void extent_own(struct arena_extent *extent, struct arena_owner *owner)
{
    extent->owner = owner;
    extent->owner_next = owner->first;
    if (owner->first)
        owner->first->owner_before = extent;
    owner->first = extent;
    owner->used_bytes += extent->bytes;
}

static void extent_disown(struct arena_extent *extent)
{
    struct arena_owner *owner = extent->owner;

    if (extent->owner_before)
        extent->owner_before->owner_next = extent->owner_next;
    else
        owner->first = extent->owner_next;
    if (extent->owner_next)
        extent->owner_next->owner_before = extent->owner_before;
    owner->used_bytes -= extent->bytes;
    extent->owner = NULL;
    extent->owner_next = extent->owner_before = NULL;
}

/* Makes extent end where `next`, its neighbour behind it, ends; next is the caller's to free. */
static void extent_swallow(struct arena *arena, struct arena_extent *extent, struct arena_extent *next)
{
    treap_remove(arena, next);
    extent->bytes += next->bytes;
    extent->after = next->after;
    if (next->after)
        next->after->before = extent;
}

static uint64_t extent_release(struct arena *arena, struct arena_extent *extent)
{
    struct arena_extent *hole = extent, *after = extent->after, *before = extent->before;
    uint64_t bytes = extent->bytes;

    extent_disown(extent);
    if (after && !after->owner)
        extent_swallow(arena, extent, after);
    else
        after = NULL;
    if (before && !before->owner) {
        extent_swallow(arena, before, extent);
        hole = before;
    }
    treap_refresh(arena->root, hole);
    free(after);
    if (hole != extent)
        free(extent);
    return bytes;
}

/* ---- arena.h ---- */

int arena_new(uint64_t span_bytes, uint64_t granule_bytes, struct arena **ret_arena)
{
    struct arena *arena;

    if (!granule_bytes || !span_bytes || span_bytes % granule_bytes)
        return -EINVAL;
    arena = calloc(1, sizeof(*arena));
    if (!arena)
        return -ENOMEM;
    arena->span_bytes = span_bytes;
    arena->granule_bytes = granule_bytes;
    arena->random = 0x9e3779b9;
    arena->root = extent_new(arena, 0, span_bytes);
    if (!arena->root) {
        free(arena);
        return -ENOMEM;
    }
    extent_update(arena->root);
    *ret_arena = arena;
    return 0;
}

void arena_free(struct arena *arena)
{
    struct arena_extent *extent, *next;

    if (!arena)
        return;
    for (extent = arena->root; extent->before; extent = extent->before)
        ;
    for (; extent; extent = next) {
        next = extent->after;
        free(extent);
    }
    free(arena);
}

int arena_reserve(struct arena *arena, struct arena_owner *owner, uint64_t bytes, uint64_t *ret_offset_bytes)
{
    struct arena_extent *extent, *rest;

    if (!bytes || bytes % arena->granule_bytes)
        return -EINVAL;
    extent = treap_first_fit(arena->root, bytes);
    if (!extent)
        return -ENOMEM;
    if (extent->bytes > bytes) {
        rest = extent_new(arena, extent->offset_bytes + bytes, extent->bytes - bytes);
        if (!rest)
            return -ENOMEM;
        rest->before = extent;
        rest->after = extent->after;
        if (rest->after)
            rest->after->before = rest;
        extent->after = rest;
        extent->bytes = bytes;
        treap_insert(arena, rest);
    }
    extent_own(extent, owner);
    treap_refresh(arena->root, extent);
    *ret_offset_bytes = extent->offset_bytes;
    return 0;
}

int arena_release(struct arena *arena, struct arena_owner *owner, uint64_t offset_bytes, uint64_t *ret_bytes)
{
    struct arena_extent *extent = treap_find(arena->root, offset_bytes);

    if (!extent || !extent->owner || extent->owner != owner)
        return -EINVAL;
    *ret_bytes = extent_release(arena, extent);
    return 0;
}

int arena_move(struct arena *arena, struct arena_owner *from, struct arena_owner *to, uint64_t offset_bytes)
{
    struct arena_extent *extent = treap_find(arena->root, offset_bytes);

    if (!extent || !extent->owner || extent->owner != from)
        return -EINVAL;
    extent_disown(extent);
    extent_own(extent, to);
    return 0;
}

uint64_t arena_bytes(const struct arena *arena, const struct arena_owner *owner, uint64_t offset_bytes)
{
    const struct arena_extent *extent = treap_find(arena->root, offset_bytes);

    return extent && extent->owner == owner ? extent->bytes : 0;
}

bool arena_release_any(struct arena *arena, struct arena_owner *owner, uint64_t *ret_offset_bytes,
                       uint64_t *ret_bytes)
{
    struct arena_extent *extent = owner->first;

    if (!extent)
        return false;
    *ret_offset_bytes = extent->offset_bytes;
    *ret_bytes = extent_release(arena, extent);
    return true;
}
