/* The names of a module: each text is stored once, so equal names are equal pointers, and each remembers
 * which variable or function of the module it stands for.
 *
 * A text may hold several units, each with its own .version line, as separate compilation leaves them. Two
 * units can have different things under one name when nobody else sees them; the later one then gets another
 * name
 * (`symbols_rename`). */
#ifndef VGPU_SOFTGPU_PTX_SYMBOLS_H
#define VGPU_SOFTGPU_PTX_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/ptx/arena.h"

enum symbol_kind { SYMBOL_NONE, SYMBOL_VAR, SYMBOL_FUNC };

struct symbol {
    const char *name; /* NUL-terminated, in the arena */
    size_t name_bytes;
    uint64_t hash;
    enum symbol_kind kind;
    uint32_t index;       /* into the parser's list of variables or functions */
    bool is_local;        /* only the unit that declared it sees it */
    uint32_t unit;        /* the last that declared it */
    uint32_t rename_unit; /* the unit in which this text means `renamed` */
    struct symbol *renamed;
};

/* Open addressing; the number of slots is a power of two. */
struct symbol_slots {
    struct symbol_slot {
        struct symbol *symbol;
    } * slots;
    size_t count;
};

struct symbols {
    struct arena *arena;
    struct symbol_slots table;
    size_t count; /* of symbols */
    uint64_t seed;
    uint32_t unit; /* counts from 1 */
};

void symbols_init(struct symbols *symbols, struct arena *arena);
void symbols_done(struct symbols *symbols);

/* The symbol that a text means in the present unit; made when new. NULL when memory is short. */
struct symbol *symbols_find(struct symbols *symbols, const char *text, size_t bytes);

/* From here to the end of the unit the text of `symbol` means a new symbol, which is returned: its name has
 * "@" and the unit's number behind it. NULL when memory is short. */
struct symbol *symbols_rename(struct symbols *symbols, struct symbol *symbol);

#endif
