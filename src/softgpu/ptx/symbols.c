/* The hash table behind the parser's names. It lives as long as one parse; the texts live in the module's
 * arena. */
#include "softgpu/ptx/symbols.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 256 };

void symbols_init(struct symbols *symbols, struct arena *arena)
{
    /* The seed is an address, so that a text made to collide in one run does not in the next. */
    *symbols = (struct symbols){.arena = arena, .seed = (uintptr_t)arena * 0x9E3779B97F4A7C15u, .unit = 1};
}

void symbols_done(struct symbols *symbols)
{
    free(symbols->table.slots);
    symbols->table = (struct symbol_slots){0};
}

static uint64_t hash_of(const struct symbols *symbols, const char *text, size_t bytes)
{
    uint64_t hash = symbols->seed ^ 0xCBF29CE484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    return hash ^ hash >> 32;
}

/* Where the symbol of that text is, or would go. */
static struct symbol **slot_of(const struct symbol_slots *table, const char *text, size_t bytes,
                               uint64_t hash)
{
    size_t mask = table->count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct symbol *symbol = table->slots[i].symbol;
        if (!symbol ||
            (symbol->hash == hash && symbol->name_bytes == bytes && !memcmp(symbol->name, text, bytes)))
            return &table->slots[i].symbol;
    }
}

static bool grow(struct symbol_slots *table)
{
    struct symbol_slots grown = {.count = table->count ? table->count * 2 : SLOTS_MIN};
    grown.slots = calloc(grown.count, sizeof(*grown.slots));
    if (!grown.slots)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        struct symbol *symbol = table->slots[i].symbol;
        if (symbol)
            *slot_of(&grown, symbol->name, symbol->name_bytes, symbol->hash) = symbol;
    }
    free(table->slots);
    *table = grown;
    return true;
}

static struct symbol *symbol_new(struct symbols *symbols, const char *text, size_t bytes, uint64_t hash)
{
    struct symbol *symbol = arena_alloc(symbols->arena, sizeof(*symbol));
    char *name = arena_alloc(symbols->arena, bytes + 1);
    if (!symbol || !name)
        return NULL;
    memcpy(name, text, bytes);
    *symbol = (struct symbol){.name = name, .name_bytes = bytes, .hash = hash};
    return symbol;
}

struct symbol *symbols_find(struct symbols *symbols, const char *text, size_t bytes)
{
    if (symbols->count * 2 >= symbols->table.count && !grow(&symbols->table))
        return NULL;
    uint64_t hash = hash_of(symbols, text, bytes);
    struct symbol **slot = slot_of(&symbols->table, text, bytes, hash);
    if (!*slot) {
        *slot = symbol_new(symbols, text, bytes, hash);
        if (!*slot)
            return NULL;
        symbols->count++;
    }
    return (*slot)->rename_unit == symbols->unit ? (*slot)->renamed : *slot;
}

struct symbol *symbols_rename(struct symbols *symbols, struct symbol *symbol)
{
    /* '@' is in no PTX name, so the new name meets no other. */
    char suffix[24];
    int suffix_bytes = snprintf(suffix, sizeof(suffix), "@%u", symbols->unit);
    size_t bytes = symbol->name_bytes + (size_t)suffix_bytes;
    char *name = arena_alloc(symbols->arena, bytes + 1);
    if (!name)
        return NULL;
    memcpy(name, symbol->name, symbol->name_bytes);
    memcpy(name + symbol->name_bytes, suffix, (size_t)suffix_bytes);
    symbol->renamed = symbols_find(symbols, name, bytes);
    symbol->rename_unit = symbol->renamed ? symbols->unit : 0;
    return symbol->renamed;
}
