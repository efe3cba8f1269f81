/* cuMemCreate and what can be done with it, under a limit: what is charged at each step, to the byte, as long
 * as the driver has the memory and no longer, whichever handle, mapping or process holds it last. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "shim_fixture.h"

/* The other processes of these tests are played by clients of the ledger, by forks, or by the fake driver. */

static const CUmemAllocationProp on_device = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                              .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
static const CUmemAllocationProp on_host = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                            .location = {.type = CU_MEM_LOCATION_TYPE_HOST_NUMA, .id = 0}};

#define FILE_HANDLE CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

static CUmemGenericAllocationHandle create(struct stage *s, uint64_t bytes)
{
    CUmemGenericAllocationHandle handle;

    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, bytes, &on_device, 0), CUDA_SUCCESS);
    return handle;
}

static CUdeviceptr reserve(struct stage *s, uint64_t bytes)
{
    CUdeviceptr address;

    CHECK_EQUAL(s->cuda.cuMemAddressReserve(&address, bytes, 0, 0, 0), CUDA_SUCCESS);
    return address;
}

static CUmemGenericAllocationHandle import(struct stage *s, int fd)
{
    CUmemGenericAllocationHandle handle;

    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)fd, FILE_HANDLE),
                CUDA_SUCCESS);
    return handle;
}

static CUresult release(struct stage *s, CUmemGenericAllocationHandle handle)
{
    return s->cuda.cuMemRelease(handle);
}

#define CHECK_CHARGED(stage, mib)                                                                            \
    do {                                                                                                     \
        CHECK_EQUAL(stage_ledger_bytes(stage, 0), (100 + (mib)) * MIB);                                      \
        CHECK_EXACT(stage);                                                                                  \
    } while (0)

TEST(physical_memory_is_charged_from_create_to_release)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemGenericAllocationHandle a = create(s, 64 * MIB), b = create(s, 2 * MIB);

    CHECK_CHARGED(s, 66);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(release(s, b), CUDA_ERROR_INVALID_VALUE);
    CHECK_CHARGED(s, 0);
}

TEST(addresses_and_mappings_cost_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 4 * GIB);
    CUmemGenericAllocationHandle a;

    CHECK_CHARGED(s, 0);
    a = create(s, 64 * MIB);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address + 64 * MIB, 32 * MIB, 32 * MIB, a, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address + 64 * MIB, 32 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuMemAddressFree(address, 4 * GIB), CUDA_SUCCESS);
}

TEST(what_is_released_while_mapped_stays_charged)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 128 * MIB);
    CUmemGenericAllocationHandle a = create(s, 64 * MIB);

    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address + 64 * MIB, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address + 64 * MIB, 64 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(one_unmap_ends_many_ranges)
{
    enum { RANGES = 40 }; /* more than the hook keeps without asking for memory */
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, (RANGES + 1) * 2 * MIB);
    CUmemGenericAllocationHandle apart = create(s, 2 * MIB);

    for (uint64_t i = 0; i < RANGES; i++) {
        CUmemGenericAllocationHandle a = create(s, 2 * MIB);

        /* Backwards, so that the list is not in the order of the calls. */
        CHECK_EQUAL(s->cuda.cuMemMap(address + (RANGES - 1 - i) * 2 * MIB, 2 * MIB, 0, a, 0), CUDA_SUCCESS);
        CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    }
    CHECK_EQUAL(s->cuda.cuMemMap(address + RANGES * 2 * MIB, 2 * MIB, 0, apart, 0), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, apart), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2 * (RANGES + 1));
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, RANGES * 2 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address + RANGES * 2 * MIB, 2 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(an_unmap_that_fails_changes_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 64 * MIB);
    CUmemGenericAllocationHandle a = create(s, 16 * MIB), b = create(s, 16 * MIB);

    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address + 16 * MIB, 16 * MIB, 0, b, 0), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 20 * MIB), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address + 2 * MIB, 2 * MIB), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 0), CUDA_ERROR_INVALID_VALUE);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 32 * MIB), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_CHARGED(s, 32);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 32 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_retained_handle_holds_the_memory)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 16 * MIB);
    CUmemGenericAllocationHandle a = create(s, 16 * MIB), again, late;

    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(address + MIB)),
                CUDA_SUCCESS);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, again), CUDA_SUCCESS);
    CHECK_CHARGED(s, 16);
    /* Now only the mapping is left, and the driver makes a new handle. */
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(&late, (void *)(uintptr_t)address), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 16 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 16);
    CHECK_EQUAL(release(s, late), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(&late, (void *)(uintptr_t)address),
                CUDA_ERROR_INVALID_VALUE);
}

TEST(over_the_limit_the_driver_is_not_asked)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUmemGenericAllocationHandle handle = 77, a = create(s, 100 * MIB);

    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, 2 * MIB, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, SIZE_MAX, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
    CHECK_EQUAL(handle, 77);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 200 * MIB);
    CHECK_CHARGED(s, 100);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, 2 * MIB, &on_device, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
}

TEST(the_drivers_own_errors_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemAllocationProp odd = on_device;
    CUdeviceptr address = reserve(s, 32 * MIB);
    CUmemGenericAllocationHandle a, b = create(s, 16 * MIB);
    int fd;

    CHECK_EQUAL(s->cuda.cuMemCreate(NULL, 2 * MIB, &on_device, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 0, &on_device, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 1, &on_device, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, &on_device, 1), CUDA_ERROR_INVALID_VALUE);
    odd.location.id = FAKE_DEVICES;
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, &odd, 0), CUDA_ERROR_INVALID_DEVICE);
    odd.location.type = CU_MEM_LOCATION_TYPE_INVALID;
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, &odd, 0), CUDA_ERROR_INVALID_VALUE);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, &on_device, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(release(s, b), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_EQUAL(release(s, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, b, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, SIZE_MAX, b, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemMap(0, 16 * MIB, 0, b, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, 0, 12345, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, 0, b, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(NULL, (void *)(uintptr_t)address),
                CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(NULL, b, FILE_HANDLE, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, 12345, FILE_HANDLE, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, b, CU_MEM_HANDLE_TYPE_WIN32, 0),
                CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(NULL, (void *)-1, FILE_HANDLE),
                CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&a, (void *)-1, FILE_HANDLE),
                CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&a, NULL, CU_MEM_HANDLE_TYPE_FABRIC),
                CUDA_ERROR_INVALID_VALUE);
    CHECK_CHARGED(s, 16);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 16);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 16 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    s->fake->devices[0].capacity_bytes = 200 * MIB;
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 150 * MIB, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_CHARGED(s, 0);
}

TEST(memory_of_the_host_is_not_charged)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 4 * GIB);
    CUmemGenericAllocationHandle a, b;
    int fd;

    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * GIB, &on_host, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 2 * GIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    b = import(s, fd);
    CHECK_EQUAL(s->cuda.cuMemMap(address + 2 * GIB, 2 * GIB, 0, b, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 4 * GIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_device_that_the_instance_has_no_part_of_is_refused)
{
    struct stage *s = stage_open(1 * GIB, 0);
    CUmemAllocationProp other = on_device;
    CUmemGenericAllocationHandle a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    other.location.id = 1;
    CHECK_EQUAL(s->cuda.cuMemCreate(&a, 2 * MIB, &other, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_device_bytes(s, 1), 0);
}

TEST(without_a_limit_everything_passes)
{
    struct stage *s = stage_open_unlimited();
    CUmemGenericAllocationHandle a, b;
    CUdeviceptr address;
    int fd;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    a = create(s, 2 * GIB);
    address = reserve(s, 2 * GIB);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 2 * GIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(&b, (void *)(uintptr_t)address), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, import(s, fd)), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 2 * GIB), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_device_bytes(s, 0), 0);
}

TEST(an_import_of_its_own_export_is_not_charged_again)
{
    struct stage *s = stage_open_context(300 * MIB);
    CUmemGenericAllocationHandle a = create(s, 150 * MIB), b, c, d;
    CUdeviceptr address = reserve(s, 150 * MIB);
    CUmemFabricHandle fabric;
    int first, second;

    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&first, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 150);
    b = import(s, first); /* 2 * 150 would pass the limit */
    CHECK_CHARGED(s, 150);
    /* Another file, and another kind of handle, lead to the same memory. */
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&second, b, FILE_HANDLE, 0), CUDA_SUCCESS);
    c = import(s, second);
    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fabric, c, CU_MEM_HANDLE_TYPE_FABRIC, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&d, &fabric, CU_MEM_HANDLE_TYPE_FABRIC), CUDA_SUCCESS);
    CHECK_CHARGED(s, 150);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, c), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, d), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 150 * MIB, 0, b, 0), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 150);
    b = import(s, first); /* only mapped by now */
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 150 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 150);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(an_import_from_outside_the_instance_is_charged)
{
    struct stage *s = stage_open_context(1 * GIB);
    int fd = s->fake->foreign_file(0, 64 * MIB, 64 * MIB);
    CUmemGenericAllocationHandle a = import(s, fd), b;
    CUdeviceptr address = reserve(s, 64 * MIB);

    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemRetainAllocationHandle(&b, (void *)(uintptr_t)address), CUDA_SUCCESS);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(release(s, b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&a, (void *)(intptr_t)fd, FILE_HANDLE),
                CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_CHARGED(s, 0);
}

TEST(an_import_whose_size_its_file_does_not_say_is_charged_when_it_is_mapped)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemGenericAllocationHandle a = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    CUdeviceptr address = reserve(s, 64 * MIB);

    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 32 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 132 * MIB);
    CHECK_EQUAL(s->cuda.cuMemMap(address + 32 * MIB, 32 * MIB, 32 * MIB, a, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(an_import_over_the_limit_is_undone)
{
    struct stage *s = stage_open_context(150 * MIB);
    int sized = s->fake->foreign_file(0, 64 * MIB, 64 * MIB), unsized = s->fake->foreign_file(0, 64 * MIB, 0);
    CUdeviceptr address = reserve(s, 64 * MIB);
    CUmemGenericAllocationHandle a;

    CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&a, (void *)(intptr_t)sized, FILE_HANDLE),
                CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_CHARGED(s, 0);
    a = import(s, unsized);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 64 * MIB), CUDA_ERROR_INVALID_VALUE); /* it was not mapped */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_map_that_fails_leaves_an_import_with_what_it_had)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemGenericAllocationHandle a = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    CUdeviceptr address = reserve(s, 64 * MIB);

    CHECK_EQUAL(s->cuda.cuMemMap(address, 512 * MIB, 0, a, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 4 * GIB, 0, a, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemMap(address, 64 * MIB, 0, a, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
}

/* ---- other processes of the instance ---- */

/* A process that holds what fd leads to. */
static struct ledger_client *holder(struct stage *s, int fd, uint32_t *ret_shared)
{
    struct ledger_client *client;
    uint32_t slot, generation;
    uint64_t words[2], bytes;
    struct stat file;
    uint8_t key[16];
    unsigned device;

    CHECK_EQUAL(ledger_slot_grant(&s->areas, 1, 1, 0, "other", &slot, &generation), 0);
    CHECK_EQUAL(ledger_client_new(s->areas.limits_fd, s->areas.ledger_fd, sizeof(struct ledger_limits),
                                  sizeof(struct ledger), slot, &client),
                0);
    CHECK_EQUAL(fstat(fd, &file), 0);
    words[0] = file.st_dev;
    words[1] = file.st_ino;
    memcpy(key, words, sizeof(key));
    CHECK_EQUAL(ledger_shared_join(client, key, ret_shared, &device, &bytes), 0);
    CHECK_EQUAL(device, 0);
    CHECK_EQUAL(bytes, 64 * MIB);
    return client;
}

TEST(the_instance_pays_until_the_last_process_leaves)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUmemGenericAllocationHandle a = create(s, 64 * MIB), b;
    struct ledger_client *other;
    uint32_t shared;
    int fd;

    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    other = holder(s, fd, &shared);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuMemCreate(&b, 64 * MIB, &on_device, 0), CUDA_ERROR_OUT_OF_MEMORY);
    ledger_shared_leave(other, shared);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuMemCreate(&b, 64 * MIB, &on_device, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
}

TEST(what_another_process_exported_is_not_charged_again)
{
    struct stage *s = stage_open_context(200 * MIB);
    int fd = s->fake->foreign_file(0, 64 * MIB, 64 * MIB);
    CUmemGenericAllocationHandle a;
    struct ledger_client *other;
    uint32_t slot, generation, shared;
    uint64_t key[2];
    struct stat file;

    CHECK_EQUAL(fstat(fd, &file), 0);
    key[0] = file.st_dev;
    key[1] = file.st_ino;
    CHECK_EQUAL(ledger_slot_grant(&s->areas, 1, 1, 0, "other", &slot, &generation), 0);
    CHECK_EQUAL(ledger_client_new(s->areas.limits_fd, s->areas.ledger_fd, sizeof(struct ledger_limits),
                                  sizeof(struct ledger), slot, &other),
                0);
    CHECK_EQUAL(ledger_reserve(other, 0, 64 * MIB), 0);
    CHECK_EQUAL(ledger_shared_publish(other, 0, (const uint8_t *)key, 64 * MIB, &shared), 0);
    a = import(s, fd);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    ledger_shared_leave(other, shared);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_dead_holder_is_reaped)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUmemGenericAllocationHandle a = create(s, 64 * MIB);
    uint32_t shared;
    int fd;

    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    holder(s, fd, &shared);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(ledger_slot_reap(&s->areas, 1, NULL), 0);
    CHECK_CHARGED(s, 0);
}

TEST(a_forked_child_holds_nothing_and_may_import)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUmemGenericAllocationHandle a = create(s, 64 * MIB);
    int fd, status;
    pid_t pid;

    CHECK_EQUAL(s->cuda.cuMemExportToShareableHandle(&fd, a, FILE_HANDLE, 0), CUDA_SUCCESS);
    pid = fork();
    if (pid == 0) {
        /* What the fake driver has of the parent's can be released here: that gives back nothing of its. */
        CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
        s->fake->devices[0].used_bytes = 0;
        CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
        CHECK_EQUAL(s->cuda.cuMemImportFromShareableHandle(&a, (void *)(intptr_t)fd, FILE_HANDLE),
                    CUDA_ERROR_INVALID_VALUE); /* the fake driver's are gone here by now */
        _exit(0);
    }
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_CHARGED(s, 64);
    pid = fork();
    if (pid == 0) {
        import(s, fd);
        CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
        _exit(0);
    }
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB); /* the second child has not been reaped */
    CHECK_EQUAL(ledger_slot_reap(&s->areas, 2, NULL), 0);
    CHECK_CHARGED(s, 0);
}

TEST(a_stopped_instance_makes_nothing_and_releases_everything)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address = reserve(s, 16 * MIB);
    CUmemGenericAllocationHandle a = create(s, 16 * MIB), b;

    CHECK_EQUAL(s->cuda.cuMemMap(address, 16 * MIB, 0, a, 0), CUDA_SUCCESS);
    s->areas.limits->revoked = 1;
    CHECK_EQUAL(s->cuda.cuMemCreate(&b, 16 * MIB, &on_device, 0), CUDA_ERROR_SYSTEM_NOT_READY);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemUnmap(address, 16 * MIB), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_multicast_object_is_charged_what_the_driver_needs_for_it)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmulticastObjectProp properties = {.numDevices = 1, .size = 512 * MIB};
    CUmemGenericAllocationHandle a, b;

    CHECK_EQUAL(s->cuda.cuMulticastCreate(&a, &properties), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(release(s, a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuMulticastCreate(&a, NULL), CUDA_ERROR_INVALID_VALUE);
    ledger_limit_set(&s->areas, 0, 101 * MIB);
    CHECK_EQUAL(s->cuda.cuMulticastCreate(&b, &properties), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_CHARGED(s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(physical_memory_is_charged_from_create_to_release),
        cmocka_unit_test(addresses_and_mappings_cost_nothing),
        cmocka_unit_test(what_is_released_while_mapped_stays_charged),
        cmocka_unit_test(one_unmap_ends_many_ranges),
        cmocka_unit_test(an_unmap_that_fails_changes_nothing),
        cmocka_unit_test(a_retained_handle_holds_the_memory),
        cmocka_unit_test(over_the_limit_the_driver_is_not_asked),
        cmocka_unit_test(the_drivers_own_errors_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(memory_of_the_host_is_not_charged),
        cmocka_unit_test(a_device_that_the_instance_has_no_part_of_is_refused),
        cmocka_unit_test(without_a_limit_everything_passes),
        cmocka_unit_test(an_import_of_its_own_export_is_not_charged_again),
        cmocka_unit_test(an_import_from_outside_the_instance_is_charged),
        cmocka_unit_test(an_import_whose_size_its_file_does_not_say_is_charged_when_it_is_mapped),
        cmocka_unit_test(an_import_over_the_limit_is_undone),
        cmocka_unit_test(a_map_that_fails_leaves_an_import_with_what_it_had),
        cmocka_unit_test(the_instance_pays_until_the_last_process_leaves),
        cmocka_unit_test(what_another_process_exported_is_not_charged_again),
        cmocka_unit_test(a_dead_holder_is_reaped),
        cmocka_unit_test(a_forked_child_holds_nothing_and_may_import),
        cmocka_unit_test(a_stopped_instance_makes_nothing_and_releases_everything),
        cmocka_unit_test(a_multicast_object_is_charged_what_the_driver_needs_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
