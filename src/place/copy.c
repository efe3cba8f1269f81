/* Copying and comparing requests; see copy.h. */
#include "place/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One block: the pointers, then the texts. */
static int names_copy(struct place_names *copy, const struct place_names *names)
{
    size_t bytes = names->n * sizeof(char *);
    const char **pointers;
    char *text;

    *copy = (struct place_names){0};
    if (!names->n)
        return 0;
    for (unsigned i = 0; i < names->n; i++)
        bytes += strlen(names->names[i]) + 1;
    pointers = malloc(bytes);
    if (!pointers)
        return -ENOMEM;
    text = (char *)(pointers + names->n);
    for (unsigned i = 0; i < names->n; i++) {
        pointers[i] = text;
        text = stpcpy(text, names->names[i]) + 1;
    }
    *copy = (struct place_names){.names = pointers, .n = names->n};
    return 0;
}

static void names_done(struct place_names *names)
{
    free((void *)names->names);
    *names = (struct place_names){0};
}

int place_request_copy(struct place_request *copy, const struct place_request *request)
{
    *copy = *request;
    copy->types = copy->not_types = copy->uuids = copy->not_uuids = (struct place_names){0};
    if (names_copy(&copy->types, &request->types) || names_copy(&copy->not_types, &request->not_types) ||
        names_copy(&copy->uuids, &request->uuids) || names_copy(&copy->not_uuids, &request->not_uuids)) {
        place_request_done(copy);
        return -ENOMEM;
    }
    return 0;
}

void place_request_done(struct place_request *copy)
{
    names_done(&copy->types);
    names_done(&copy->not_types);
    names_done(&copy->uuids);
    names_done(&copy->not_uuids);
}

static bool names_equal(const struct place_names *a, const struct place_names *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++) {
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    }
    return true;
}

bool place_request_equal(const struct place_request *a, const struct place_request *b)
{
    return a->cpu_milli == b->cpu_milli && a->memory_bytes == b->memory_bytes &&
           a->n_devices == b->n_devices && a->whole == b->whole &&
           a->device_memory_bytes == b->device_memory_bytes &&
           a->device_memory_permille == b->device_memory_permille &&
           a->compute_permille == b->compute_permille && a->one_numa_node == b->one_numa_node &&
           names_equal(&a->types, &b->types) && names_equal(&a->not_types, &b->not_types) &&
           names_equal(&a->uuids, &b->uuids) && names_equal(&a->not_uuids, &b->not_uuids);
}
