/* What names mean while a function is decoded: scoped, so that an inner declaration hides an outer one until
 * its scope ends. Used by decode*.c only; not thread-safe. */
#ifndef VGPU_SOFTGPU_EXEC_NAMES_H
#define VGPU_SOFTGPU_EXEC_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum name_kind {
    NAME_REGISTER,  /* index: virtual register */
    NAME_REGISTERS, /* %r<count>: index of the first; the name is the prefix */
    NAME_GLOBAL,    /* index in program->globals */
    NAME_SHARED,    /* index in program->shared */
    NAME_LOCAL,     /* index: virtual register that holds its address */
    NAME_PARAM,     /* index: offset in the parameter area, count: bytes */
    NAME_LABEL,     /* index: pc */
    NAME_FUNCTION,  /* index in program->functions */
    NAME_TARGETS,   /* detail: struct ptx_stmt of .branchtargets */
    NAME_PROTOTYPE  /* detail: struct ptx_func */
};

struct name {
    const char *text; /* not owned */
    enum name_kind kind;
    uint32_t index, count;
    const void *detail;
    uint32_t depth, hash;
    int32_t next; /* older name in the same bucket, -1: none */
};

enum { NAME_BUCKETS = 1024 };

struct names {
    struct name *list;
    uint32_t n, capacity;
    uint32_t depth;
    int32_t buckets[NAME_BUCKETS];
};

void names_init(struct names *names);
void names_done(struct names *names);

/* 0, or -ENOMEM. The text must outlive the table. */
int names_add(struct names *names, const char *text, enum name_kind kind, uint32_t index, uint32_t count,
              const void *detail);
void names_scope_begin(struct names *names);
void names_scope_end(struct names *names);

/* The innermost meaning of text, or NULL. For a member of a register range *ret_member is its number (else
 * 0). The result is valid until the next names_add. */
const struct name *names_find(const struct names *names, const char *text, uint32_t *ret_member);

#endif
