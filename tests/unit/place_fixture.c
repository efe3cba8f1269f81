/* See place_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "place_fixture.h"

size_t fixture_add(struct place_cluster *cluster, const char *name, uint64_t cpu_milli, unsigned n_devices,
                   const char *type, uint32_t slots)
{
    struct place_device_spec devices[PLACE_DEVICES_MAX];
    char uuids[PLACE_DEVICES_MAX][PLACE_UUID_BYTES];
    struct place_node_spec spec = {.name = name,
                                   .cpu_milli = cpu_milli,
                                   .memory_bytes = 100 * GIB,
                                   .devices = devices,
                                   .n_devices = n_devices};
    size_t index = SIZE_MAX;
    struct error err;

    for (unsigned i = 0; i < n_devices; i++) {
        snprintf(uuids[i], sizeof(uuids[i]), "%s-%u", name, i);
        devices[i] = (struct place_device_spec){.uuid = uuids[i],
                                                .type = type,
                                                .numa_node = i < n_devices / 2 ? 0 : 1,
                                                .memory_bytes = 16000 * MIB,
                                                .slots = slots};
    }
    assert_int_equal(place_cluster_add(cluster, &spec, &index, &err), 0);
    return index;
}

struct place_request fixture_ask(uint64_t cpu_milli, unsigned n_devices, unsigned permille)
{
    return (struct place_request){.cpu_milli = cpu_milli,
                                  .n_devices = n_devices,
                                  .device_memory_permille = permille,
                                  .compute_permille = permille};
}

void fixture_take(struct place_cluster *cluster, size_t node, uint64_t devices, struct place_request request)
{
    place_cluster_assign(cluster, &request, &(struct place_choice){.node = node, .devices = devices});
}
