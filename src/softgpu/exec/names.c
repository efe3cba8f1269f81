/* A chained hash table whose entries are also a stack: ending a scope pops them. A register range such as
 * %r<100> is one entry under its prefix; a member is found by splitting trailing digits off. */
#include "softgpu/exec/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash_text(const char *text, size_t bytes)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

void names_init(struct names *names)
{
    memset(names, 0, sizeof *names);
    memset(names->buckets, -1, sizeof names->buckets);
}

void names_done(struct names *names)
{
    free(names->list);
    names->list = NULL;
}

int names_add(struct names *names, const char *text, enum name_kind kind, uint32_t index, uint32_t count,
              const void *detail)
{
    struct name *name;

    if (names->n == names->capacity) {
        uint32_t capacity = names->capacity ? names->capacity * 2 : 256;
        struct name *list = realloc(names->list, capacity * sizeof *list);

        if (!list)
            return -ENOMEM;
        names->list = list;
        names->capacity = capacity;
    }
    name = &names->list[names->n];
    *name = (struct name){.text = text,
                          .kind = kind,
                          .index = index,
                          .count = count,
                          .detail = detail,
                          .depth = names->depth,
                          .hash = hash_text(text, strlen(text))};
    name->next = names->buckets[name->hash % NAME_BUCKETS];
    names->buckets[name->hash % NAME_BUCKETS] = (int32_t)names->n++;
    return 0;
}

void names_scope_begin(struct names *names)
{
    names->depth++;
}

void names_scope_end(struct names *names)
{
    while (names->n && names->list[names->n - 1].depth == names->depth) {
        const struct name *last = &names->list[--names->n];

        names->buckets[last->hash % NAME_BUCKETS] = last->next;
    }
    names->depth--;
}

static const struct name *find_text(const struct names *names, const char *text, size_t bytes, int want_range)
{
    uint32_t hash = hash_text(text, bytes);

    for (int32_t i = names->buckets[hash % NAME_BUCKETS]; i >= 0; i = names->list[i].next) {
        const struct name *name = &names->list[i];

        if (name->hash == hash && (name->kind == NAME_REGISTERS) == want_range &&
            strncmp(name->text, text, bytes) == 0 && name->text[bytes] == '\0')
            return name;
    }
    return NULL;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const struct name *names_find(const struct names *names, const char *text, uint32_t *ret_member)
{
    size_t bytes = strlen(text);
    const struct name *found = find_text(names, text, bytes, 0);

    *ret_member = 0;
    for (size_t split = bytes; split > 1 && is_digit(text[split - 1]) && bytes - split < 9; split--) {
        const struct name *range;
        uint32_t member;

        if (text[split - 1] == '0' && split != bytes)
            continue; /* %r01 is no member of %r<100> */
        range = find_text(names, text, split - 1, 1);
        member = (uint32_t)strtoul(text + split - 1, NULL, 10);
        if (range && member < range->count && (!found || range->depth > found->depth)) {
            found = range;
            *ret_member = member;
        }
    }
    return found;
}
