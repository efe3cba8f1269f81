/* Memory that is given back all at once: what the parser makes hangs on one arena. Also the growing array
 * that the parser collects lists in before it knows how long they are. Neither is thread-safe. */
#ifndef VGPU_SOFTGPU_PTX_ARENA_H
#define VGPU_SOFTGPU_PTX_ARENA_H

#include <stddef.h>

struct arena;

/* NULL when memory is short. */
struct arena *arena_new(void);
void arena_free(struct arena *arena);

/* Zeroed memory aligned for every type, until arena_free; NULL when memory is short. */
void *arena_alloc(struct arena *arena, size_t bytes);

/* What the arena took from the system. */
size_t arena_bytes(const struct arena *arena);

/* A stack of equal items. Nested lists share one: remember count, push, take the items off again from the
 * mark. */
struct stack {
    void *items;
    size_t count, capacity, item_bytes;
};

/* Copies *item on top; -ENOMEM. */
int stack_push(struct stack *stack, const void *item);

/* Moves the items from index mark on to the arena: *ret_items is NULL when there are none. -ENOMEM. */
int stack_take(struct stack *stack, size_t mark, struct arena *arena, void **ret_items, size_t *ret_count);
void stack_done(struct stack *stack);

#endif
