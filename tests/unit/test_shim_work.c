/* The hooks of copies, fills and memory operations (src/shim/copy.c and its like), compiled into this program
 * over the recording driver, whose path is argv[1], and a gate that keeps what it is asked: what each says of
 * its work, and that nothing of the call is changed. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/cuda_table.h"
#include "api/lookup.h"
#include "call.h"
#include "shim/gate.h"
#include "shim/gate_copy.h"
#include "shim/shim.h"

#if defined(__aarch64__)
enum { PARAMS_IN_REGISTERS = 8 };
#else
enum { PARAMS_IN_REGISTERS = 6 };
#endif

static const struct recdrv_call *(*driver_last)(void);
static int (*driver_result)(uint32_t slot, uint64_t serial);
static void (*driver_serial_set)(uint64_t serial);

/* ---- what the hooks stand on ---- */

struct shim shim;
struct driver shim_driver;
static unsigned slow_count;

/* As of a process that is asked for the first time; or of one that is refused. */
CUresult shim_limit_slow(struct ledger_client **ret_client)
{
    slow_count++;
    if (shim.mode == SHIM_REFUSED)
        return shim.refusal;
    shim.mode = SHIM_LIMITED;
    *ret_client = shim.client;
    return CUDA_SUCCESS;
}

bool gate_on;
unsigned gate_captures;
struct cost_table gate_costs;
_Thread_local struct gate_thread *gate_thread;
static struct {
    unsigned enters, leaves;
    struct gate_work work;
    const struct gate_ticket *ticket;
    uint64_t serial; /* of the driver's last call when the work was paid for */
    CUresult result;
} gate;

void gate_enter(struct gate_ticket *ticket, const struct gate_work *work)
{
    gate.enters++;
    gate.work = *work;
    gate.ticket = ticket;
    gate.serial = driver_last()->serial;
    ticket->key = 77;
}

void gate_leave(struct gate_ticket *ticket, CUresult result)
{
    gate.leaves++;
    gate.result = result;
    assert_ptr_equal(ticket, gate.ticket);
    assert_int_equal(ticket->key, 77);
    assert_int_equal(driver_last()->serial, gate.serial + 1);
}

/* ---- the table: which parameters, counted from 0, say what ---- */

enum { NONE = -1 };
struct door {
    const char *symbol, *variant;
    enum gate_kind kind;
    int stream;
    bool is_synchronous;
    unsigned unit; /* bytes, or operations: this times the parameters named in of; 0: of a list or struct */
    int of[2];
    unsigned null_params; /* lists and structs that the hook would look into: bits */
};

#define NOW(bytes)             NONE, true, 1, {bytes, NONE}, 0
#define SOON(bytes)            NONE, false, 1, {bytes, NONE}, 0
#define IN(stream, bytes)      stream, false, 1, {bytes, NONE}, 0
#define FILL(unit, a, b)       NONE, false, unit, {a, b}, 0
#define FILL_IN(s, unit, a, b) s, false, unit, {a, b}, 0
#define STRUCT(param, sync)    NONE, sync, 0, {NONE, NONE}, 1 << (param)
#define STRUCT_IN(s, param)    s, false, 0, {NONE, NONE}, 1 << (param)

static const struct door doors[] = {
    {"cuMemcpy", "ptds", GATE_COPY_UNKNOWN, NOW(2)},
    {"cuMemcpyHtoD", NULL, GATE_COPY_TO_DEVICE, NOW(2)},
    {"cuMemcpyHtoD_v2", "ptds", GATE_COPY_TO_DEVICE, NOW(2)},
    {"cuMemcpyDtoH", NULL, GATE_COPY_TO_HOST, NOW(2)},
    {"cuMemcpyDtoH_v2", "ptds", GATE_COPY_TO_HOST, NOW(2)},
    {"cuMemcpyDtoD", NULL, GATE_COPY_INSIDE, SOON(2)},
    {"cuMemcpyDtoD_v2", "ptds", GATE_COPY_INSIDE, SOON(2)},
    {"cuMemcpyPeer", "ptds", GATE_COPY_PEER, SOON(4)},
    {"cuMemcpyDtoA", NULL, GATE_COPY_INSIDE, SOON(3)},
    {"cuMemcpyDtoA_v2", "ptds", GATE_COPY_INSIDE, SOON(3)},
    {"cuMemcpyAtoD", NULL, GATE_COPY_INSIDE, SOON(3)},
    {"cuMemcpyAtoD_v2", "ptds", GATE_COPY_INSIDE, SOON(3)},
    {"cuMemcpyAtoA", NULL, GATE_COPY_INSIDE, SOON(4)},
    {"cuMemcpyAtoA_v2", "ptds", GATE_COPY_INSIDE, SOON(4)},
    {"cuMemcpyHtoA", NULL, GATE_COPY_TO_DEVICE, NOW(3)},
    {"cuMemcpyHtoA_v2", "ptds", GATE_COPY_TO_DEVICE, NOW(3)},
    {"cuMemcpyAtoH", NULL, GATE_COPY_TO_HOST, NOW(3)},
    {"cuMemcpyAtoH_v2", "ptds", GATE_COPY_TO_HOST, NOW(3)},
    {"cuMemcpyAsync", "ptsz", GATE_COPY_UNKNOWN, IN(3, 2)},
    {"cuMemcpyPeerAsync", "ptsz", GATE_COPY_PEER, IN(5, 4)},
    {"cuMemcpyHtoDAsync", NULL, GATE_COPY_TO_DEVICE, IN(3, 2)},
    {"cuMemcpyHtoDAsync_v2", "ptsz", GATE_COPY_TO_DEVICE, IN(3, 2)},
    {"cuMemcpyDtoHAsync", NULL, GATE_COPY_TO_HOST, IN(3, 2)},
    {"cuMemcpyDtoHAsync_v2", "ptsz", GATE_COPY_TO_HOST, IN(3, 2)},
    {"cuMemcpyDtoDAsync", NULL, GATE_COPY_INSIDE, IN(3, 2)},
    {"cuMemcpyDtoDAsync_v2", "ptsz", GATE_COPY_INSIDE, IN(3, 2)},
    {"cuMemcpyHtoAAsync", NULL, GATE_COPY_TO_DEVICE, IN(4, 3)},
    {"cuMemcpyHtoAAsync_v2", "ptsz", GATE_COPY_TO_DEVICE, IN(4, 3)},
    {"cuMemcpyAtoHAsync", NULL, GATE_COPY_TO_HOST, IN(4, 3)},
    {"cuMemcpyAtoHAsync_v2", "ptsz", GATE_COPY_TO_HOST, IN(4, 3)},
    {"cuMemcpy2D", NULL, GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy2D_v2", "ptds", GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy2DUnaligned", NULL, GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy2DUnaligned_v2", "ptds", GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy3D", NULL, GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy3D_v2", "ptds", GATE_COPY_UNKNOWN, STRUCT(0, true)},
    {"cuMemcpy3DPeer", "ptds", GATE_COPY_UNKNOWN, STRUCT(0, false)},
    {"cuMemcpy2DAsync", NULL, GATE_COPY_UNKNOWN, STRUCT_IN(1, 0)},
    {"cuMemcpy2DAsync_v2", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(1, 0)},
    {"cuMemcpy3DAsync", NULL, GATE_COPY_UNKNOWN, STRUCT_IN(1, 0)},
    {"cuMemcpy3DAsync_v2", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(1, 0)},
    {"cuMemcpy3DPeerAsync", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(1, 0)},
    {"cuMemcpyBatchAsync", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(8, 2)},
    {"cuMemcpyBatchAsync_v2", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(7, 2)},
    {"cuMemcpy3DBatchAsync", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(4, 1)},
    {"cuMemcpy3DBatchAsync_v2", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(3, 1)},
    {"cuMemBatchDecompressAsync", "ptsz", GATE_COPY_INSIDE, STRUCT_IN(4, 0)},
    {"cuMemPrefetchAsync", "ptsz", GATE_COPY_TO_DEVICE, IN(3, 1)},
    {"cuMemPrefetchAsync_v2", "ptsz", GATE_COPY_TO_HOST, IN(4, 1)}, /* any location is hardly a device */
    {"cuMemPrefetchBatchAsync", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(7, 1)},
    {"cuMemDiscardAndPrefetchBatchAsync", "ptsz", GATE_COPY_UNKNOWN, STRUCT_IN(7, 1)},
    {"cuMemsetD8", NULL, GATE_FILL, FILL(1, 2, NONE)},
    {"cuMemsetD8_v2", "ptds", GATE_FILL, FILL(1, 2, NONE)},
    {"cuMemsetD16", NULL, GATE_FILL, FILL(2, 2, NONE)},
    {"cuMemsetD16_v2", "ptds", GATE_FILL, FILL(2, 2, NONE)},
    {"cuMemsetD32", NULL, GATE_FILL, FILL(4, 2, NONE)},
    {"cuMemsetD32_v2", "ptds", GATE_FILL, FILL(4, 2, NONE)},
    {"cuMemsetD2D8", NULL, GATE_FILL, FILL(1, 3, 4)},
    {"cuMemsetD2D8_v2", "ptds", GATE_FILL, FILL(1, 3, 4)},
    {"cuMemsetD2D16", NULL, GATE_FILL, FILL(2, 3, 4)},
    {"cuMemsetD2D16_v2", "ptds", GATE_FILL, FILL(2, 3, 4)},
    {"cuMemsetD2D32", NULL, GATE_FILL, FILL(4, 3, 4)},
    {"cuMemsetD2D32_v2", "ptds", GATE_FILL, FILL(4, 3, 4)},
    {"cuMemsetD8Async", "ptsz", GATE_FILL, FILL_IN(3, 1, 2, NONE)},
    {"cuMemsetD16Async", "ptsz", GATE_FILL, FILL_IN(3, 2, 2, NONE)},
    {"cuMemsetD32Async", "ptsz", GATE_FILL, FILL_IN(3, 4, 2, NONE)},
    {"cuMemsetD2D8Async", "ptsz", GATE_FILL, FILL_IN(5, 1, 3, 4)},
    {"cuMemsetD2D16Async", "ptsz", GATE_FILL, FILL_IN(5, 2, 3, 4)},
    {"cuMemsetD2D32Async", "ptsz", GATE_FILL, FILL_IN(5, 4, 3, 4)},
    {"cuStreamWaitValue32", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWaitValue32_v2", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWaitValue64", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWaitValue64_v2", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWriteValue32", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWriteValue32_v2", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWriteValue64", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamWriteValue64_v2", "ptsz", GATE_STREAM_OPERATION, IN(0, NONE)},
    {"cuStreamBatchMemOp", "ptsz", GATE_STREAM_OPERATION, IN(0, 1)},
    {"cuStreamBatchMemOp_v2", "ptsz", GATE_STREAM_OPERATION, IN(0, 1)},
};
enum { DOORS = sizeof(doors) / sizeof(doors[0]) };

static const struct door *door_of(const struct cuda_row *row)
{
    char symbol[128];

    for (unsigned i = 0; i < DOORS; i++) {
        if (strcmp(doors[i].symbol, row->symbol) == 0)
            return &doors[i];
        snprintf(symbol, sizeof(symbol), "%s_%s", doors[i].symbol, doors[i].variant ? doors[i].variant : "");
        if (strcmp(symbol, row->symbol) == 0)
            return &doors[i];
    }
    return NULL;
}

static bool is_door(const struct cuda_row *row)
{
    return row->time == API_TIME_COPY || row->time == API_TIME_FILL || row->time == API_TIME_OPERATION;
}

static void the_table_has_every_copy_fill_and_operation(void **state)
{
    unsigned found = 0, expected = 0;

    for (unsigned i = 0; i < api_cuda_rows_count; i++) {
        if (!is_door(&api_cuda_rows[i]))
            continue;
        if (!door_of(&api_cuda_rows[i]))
            fail_msg("%s is not in the table", api_cuda_rows[i].symbol);
        found++;
    }
    for (unsigned i = 0; i < DOORS; i++)
        expected += doors[i].variant ? 2 : 1;
    assert_int_equal(found, expected);
}

/* ---- calls ---- */

static uint64_t *argument_at(struct call_arguments *arguments, unsigned param)
{
    return param < PARAMS_IN_REGISTERS ? &arguments->gp[param]
                                       : &arguments->stack[param - PARAMS_IN_REGISTERS];
}

static uint64_t argument_value(const struct cuda_row *row, const struct call_arguments *arguments,
                               unsigned param)
{
    struct call_arguments known = *arguments;

    call_mask(&call_params[row->slot], &known);
    return *argument_at(&known, param);
}

/* Any values; areas of a size that can be multiplied. */
static void arguments_fill(const struct door *door, struct call_arguments *arguments, uint64_t seed)
{
    uint64_t *words = (uint64_t *)(void *)arguments;

    for (unsigned i = 0; i < sizeof(*arguments) / 8; i++)
        words[i] = (seed + i) * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned param = 0; param < 16; param++)
        if (door->null_params & 1 << param)
            *argument_at(arguments, param) = 0;
    for (unsigned i = 0; i < 2; i++)
        if (door->of[i] != NONE && door->kind == GATE_FILL)
            *argument_at(arguments, (unsigned)door->of[i]) &= 0xfffff;
}

static uint64_t bytes_expected(const struct cuda_row *row, const struct door *door,
                               const struct call_arguments *arguments)
{
    uint64_t bytes = door->unit;

    for (unsigned i = 0; i < 2; i++)
        if (door->of[i] != NONE)
            bytes *= argument_value(row, arguments, (unsigned)door->of[i]);
    return bytes;
}

/* The call number from 1 on with which the driver's function succeeds, or fails. */
static uint64_t serial_find(uint32_t slot, bool succeeds)
{
    uint64_t serial = 1;

    while ((driver_result(slot, serial) == 0) != succeeds)
        serial++;
    return serial;
}

/* Calls the hook and holds that the driver got the same and gave the answer. */
static int call_through(const struct cuda_row *row, const struct call_arguments *arguments, bool succeeds)
{
    const uint64_t serial = serial_find(row->slot, succeeds);
    struct call_arguments expected = *arguments, seen;
    const void *hook = dlsym(RTLD_DEFAULT, row->symbol);
    int result;

    assert_non_null(hook);
    memset(&gate, 0, sizeof(gate));
    driver_serial_set(serial);
    result = call_function(hook, arguments);
    assert_int_equal(driver_last()->slot, row->slot);
    assert_int_equal(driver_last()->serial, serial);
    assert_int_equal(result, driver_result(row->slot, serial));
    memcpy(&seen, driver_last(), sizeof(seen));
    call_mask(&call_params[row->slot], &seen);
    call_mask(&call_params[row->slot], &expected);
    assert_memory_equal(&seen, &expected, sizeof(seen));
    return result;
}

static void work_check(const struct cuda_row *row, const struct door *door,
                       const struct call_arguments *arguments, int result)
{
    const bool variant = row->variant != API_PLAIN;
    const uint64_t stream = door->stream == NONE ? 0 : argument_value(row, arguments, (unsigned)door->stream);

    assert_int_equal(gate.enters, 1);
    assert_int_equal(gate.leaves, 1);
    assert_int_equal(gate.result, result);
    assert_string_equal(gate.work.call, row->symbol);
    if (gate.work.kind != door->kind || gate.work.bytes != bytes_expected(row, door, arguments) ||
        (uintptr_t)gate.work.stream != stream || gate.work.is_per_thread != variant ||
        gate.work.is_synchronous != door->is_synchronous || gate.work.object)
        fail_msg("%s: kind %d, %llu bytes, stream %p, per thread %d, synchronous %d", row->symbol,
                 gate.work.kind, (unsigned long long)gate.work.bytes, (void *)gate.work.stream,
                 gate.work.is_per_thread, gate.work.is_synchronous);
}

/* Of each hook: a call that the driver accepts and one that it does not. */
static void each_hook(enum shim_mode mode, bool on, bool asks)
{
    for (unsigned i = 0; i < api_cuda_rows_count; i++) {
        const struct cuda_row *row = &api_cuda_rows[i];
        const struct door *door = is_door(row) ? door_of(row) : NULL;

        for (unsigned succeeds = 0; door && succeeds < 2; succeeds++) {
            struct call_arguments arguments;
            int result;

            shim.mode = mode;
            gate_on = on;
            arguments_fill(door, &arguments, i * 2 + succeeds + 1);
            result = call_through(row, &arguments, succeeds);
            if (asks)
                work_check(row, door, &arguments, result);
            else
                assert_int_equal(gate.enters + gate.leaves, 0);
        }
    }
}

static void a_metered_call_asks_the_gate_and_is_the_drivers(void **state)
{
    slow_count = 0;
    each_hook(SHIM_LIMITED, true, true);
    assert_int_equal(slow_count, 0);
}

static void a_first_call_attaches_and_asks_the_gate(void **state)
{
    slow_count = 0;
    each_hook(SHIM_NEW, true, true);
    assert_true(slow_count > 200);
}

static void without_a_share_nobody_is_asked(void **state)
{
    each_hook(SHIM_LIMITED, false, false);
    each_hook(SHIM_NEW, false, false);
}

static void without_an_instance_nobody_is_asked(void **state)
{
    slow_count = 0;
    each_hook(SHIM_PASS, false, false);
    assert_int_equal(slow_count, 0);
}

static void a_refused_process_gives_the_device_nothing(void **state)
{
    const struct call_arguments arguments = {.gp = {1, 2, 3, 4}};

    shim.mode = SHIM_REFUSED;
    shim.refusal = CUDA_ERROR_SYSTEM_NOT_READY;
    gate_on = true;
    memset(&gate, 0, sizeof(gate));
    driver_serial_set(1);
    for (unsigned i = 0; i < api_cuda_rows_count; i++)
        if (is_door(&api_cuda_rows[i]))
            assert_int_equal(call_function(dlsym(RTLD_DEFAULT, api_cuda_rows[i].symbol), &arguments),
                             CUDA_ERROR_SYSTEM_NOT_READY);
    assert_int_equal(gate.enters + gate.leaves, 0);
    assert_int_equal(driver_last()->serial, 0);
}

/* ---- structures and lists ---- */

static int metered(void **state)
{
    shim.mode = SHIM_LIMITED;
    gate_on = true;
    memset(&gate, 0, sizeof(gate));
    return 0;
}

/* Of the last call. */
static void paid(enum gate_kind kind, uint64_t bytes, bool is_synchronous)
{
    assert_int_equal(gate.work.kind, kind);
    assert_int_equal(gate.work.bytes, bytes);
    assert_int_equal(gate.work.is_synchronous, is_synchronous);
}

static const struct {
    CUmemorytype to, from;
    enum gate_kind kind;
} ways[] = {
    {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST, GATE_COPY_TO_DEVICE},
    {CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_HOST, GATE_COPY_TO_DEVICE},
    {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE, GATE_COPY_TO_HOST},
    {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_ARRAY, GATE_COPY_TO_HOST},
    {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_DEVICE, GATE_COPY_INSIDE},
    {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_ARRAY, GATE_COPY_INSIDE},
    {CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_ARRAY, GATE_COPY_INSIDE},
    {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_HOST, GATE_COPY_UNKNOWN},
    {CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_HOST, GATE_COPY_UNKNOWN},
    {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_UNIFIED, GATE_COPY_UNKNOWN},
    {(CUmemorytype)0, CU_MEMORYTYPE_DEVICE, GATE_COPY_UNKNOWN},
    {CU_MEMORYTYPE_DEVICE, (CUmemorytype)-1, GATE_COPY_UNKNOWN},
};

#define AREA(way, ...)                                                                                       \
    {                                                                                                        \
        .dstMemoryType = ways[way].to, .srcMemoryType = ways[way].from, __VA_ARGS__                          \
    }

static void rectangles_say_which_way_and_how_much(void **state)
{
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const CUDA_MEMCPY2D_v1 narrow = AREA(i, .WidthInBytes = 100000, .Height = 70000);
        const CUDA_MEMCPY2D wide = AREA(i, .WidthInBytes = 100000, .Height = 70000);
        const uint64_t bytes = UINT64_C(7000000000);
        const bool waits = ways[i].kind != GATE_COPY_INSIDE;

        cuMemcpy2D(&narrow);
        paid(ways[i].kind, bytes, waits);
        cuMemcpy2DUnaligned(&narrow);
        paid(ways[i].kind, bytes, waits);
        cuMemcpy2DAsync(&narrow, NULL);
        paid(ways[i].kind, bytes, false);
        cuMemcpy2D_v2(&wide);
        paid(ways[i].kind, bytes, waits);
        cuMemcpy2DUnaligned_v2(&wide);
        paid(ways[i].kind, bytes, waits);
        cuMemcpy2DAsync_v2(&wide, NULL);
        paid(ways[i].kind, bytes, false);
    }
}

static void boxes_say_which_way_and_how_much(void **state)
{
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const CUDA_MEMCPY3D_v1 narrow = AREA(i, .WidthInBytes = 70000, .Height = 70000, .Depth = 3);
        const CUDA_MEMCPY3D wide = AREA(i, .WidthInBytes = 70000, .Height = 70000, .Depth = 3);
        const CUDA_MEMCPY3D_PEER peer = AREA(i, .WidthInBytes = 70000, .Height = 70000, .Depth = 3);
        const enum gate_kind kind = ways[i].kind;
        const uint64_t bytes = UINT64_C(14700000000);

        cuMemcpy3D(&narrow);
        paid(kind, bytes, kind != GATE_COPY_INSIDE);
        cuMemcpy3DAsync(&narrow, NULL);
        paid(kind, bytes, false);
        cuMemcpy3D_v2(&wide);
        paid(kind, bytes, kind != GATE_COPY_INSIDE);
        cuMemcpy3DAsync_v2(&wide, NULL);
        paid(kind, bytes, false);
        cuMemcpy3DPeer(&peer);
        paid(kind == GATE_COPY_INSIDE ? GATE_COPY_PEER : kind, bytes, false);
        cuMemcpy3DPeerAsync(&peer, NULL);
        paid(kind == GATE_COPY_INSIDE ? GATE_COPY_PEER : kind, bytes, false);
    }
}

static void what_cannot_be_is_the_drivers_to_refuse_and_counts_nothing(void **state)
{
    const CUDA_MEMCPY2D rectangle = AREA(0, .WidthInBytes = SIZE_MAX, .Height = 2);
    const CUDA_MEMCPY3D box = AREA(0, .WidthInBytes = 1 << 30, .Height = 1 << 30, .Depth = 1 << 30);
    const size_t too_much[] = {SIZE_MAX, 2};
    CUmemDecompressParams jobs[] = {{.dstNumBytes = SIZE_MAX}, {.dstNumBytes = 2}};
    CUDA_MEMCPY3D_BATCH_OP copies[] = {{.extent = {SIZE_MAX, 1, 1}}, {.extent = {2, 1, 1}}};

    cuMemcpy2D_v2(&rectangle);
    paid(GATE_COPY_TO_DEVICE, 0, true);
    cuMemcpy3DAsync_v2(&box, NULL);
    paid(GATE_COPY_TO_DEVICE, 0, false);
    cuMemsetD2D32_v2(1, 0, 0, SIZE_MAX / 2, 1);
    paid(GATE_FILL, 0, false);
    cuMemcpyBatchAsync_v2(NULL, NULL, (size_t *)(uintptr_t)too_much, 2, NULL, NULL, 0, NULL);
    paid(GATE_COPY_UNKNOWN, 0, false);
    cuMemBatchDecompressAsync(jobs, 2, 0, NULL, NULL);
    paid(GATE_COPY_INSIDE, 0, false);
    cuMemcpy3DBatchAsync_v2(2, copies, 0, NULL);
    paid(GATE_COPY_UNKNOWN, 0, false);
}

static void lists_are_summed(void **state)
{
    size_t sizes[] = {1, 20, 300, UINT64_C(1) << 40};
    CUmemDecompressParams jobs[] = {{.srcNumBytes = 9, .dstNumBytes = 1},
                                    {.srcNumBytes = 9, .dstNumBytes = 20}};
    CUDA_MEMCPY3D_BATCH_OP copies[] = {{.extent = {2, 3, 5}}, {.extent = {7, 1, 1}}, {.extent = {7, 0, 1}}};
    const uint64_t sum = (UINT64_C(1) << 40) + 321;

    cuMemcpyBatchAsync(NULL, NULL, sizes, 4, NULL, NULL, 0, NULL, NULL);
    paid(GATE_COPY_UNKNOWN, sum, false);
    cuMemcpyBatchAsync_v2_ptsz(NULL, NULL, sizes, 3, NULL, NULL, 0, NULL);
    paid(GATE_COPY_UNKNOWN, 321, false);
    cuMemPrefetchBatchAsync(NULL, sizes, 4, NULL, NULL, 0, 0, NULL);
    paid(GATE_COPY_UNKNOWN, sum, false);
    cuMemDiscardAndPrefetchBatchAsync(NULL, sizes, 4, NULL, NULL, 0, 0, NULL);
    paid(GATE_COPY_UNKNOWN, sum, false);
    cuMemcpyBatchAsync(NULL, NULL, sizes, 0, NULL, NULL, 0, NULL, NULL);
    paid(GATE_COPY_UNKNOWN, 0, false);
    cuMemBatchDecompressAsync(jobs, 2, 0, NULL, NULL);
    paid(GATE_COPY_INSIDE, 21, false);
    cuMemcpy3DBatchAsync(3, copies, NULL, 0, NULL);
    paid(GATE_COPY_UNKNOWN, 37, false);
    cuMemcpy3DBatchAsync_v2(2, copies, 0, NULL);
    paid(GATE_COPY_UNKNOWN, 37, false);
}

static void prefetches_go_where_they_say(void **state)
{
    static const struct {
        CUmemLocationType type;
        enum gate_kind kind;
    } locations[] = {{CU_MEM_LOCATION_TYPE_DEVICE, GATE_COPY_TO_DEVICE},
                     {CU_MEM_LOCATION_TYPE_HOST, GATE_COPY_TO_HOST},
                     {CU_MEM_LOCATION_TYPE_HOST_NUMA, GATE_COPY_TO_HOST},
                     {CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, GATE_COPY_TO_HOST}};

    cuMemPrefetchAsync(1, 4096, 0, NULL);
    paid(GATE_COPY_TO_DEVICE, 4096, false);
    cuMemPrefetchAsync(1, 4096, CU_DEVICE_CPU, NULL);
    paid(GATE_COPY_TO_HOST, 4096, false);
    for (unsigned i = 0; i < 4; i++) {
        cuMemPrefetchAsync_v2(1, 4096, (CUmemLocation){locations[i].type, 0}, 0, NULL);
        paid(locations[i].kind, 4096, false);
    }
}

/* ---- credit ---- */

static void what_a_thread_has_credit_for_asks_nobody(void **state)
{
    struct gate_thread thread = {.credit_ns = {[0] = {[LEDGER_COPY] = 3000, [LEDGER_COMPUTE] = 2600}}};
    uint64_t begun = 7;

    thread.begun = &begun;
    gate_thread = &thread;
    cuMemcpyDtoD_v2(1, 2, 64); /* unknown: 2 us */
    cuMemsetD8Async(1, 0, 64, NULL);
    cuStreamWriteValue32_v2(NULL, 1, 2, 0);
    assert_int_equal(gate.enters, 0);
    assert_int_equal(begun, 10);
    assert_int_equal(thread.credit_ns[0][LEDGER_COPY], 1000);
    assert_int_equal(thread.credit_ns[0][LEDGER_COMPUTE], 100);
    assert_int_equal(driver_last()->slot, CUDA_SLOT_cuStreamWriteValue32_v2);
    cuMemcpyDtoD_v2(1, 2, 64);
    cuMemcpyDtoD_v2(1, 2, SIZE_MAX);
    cuStreamWriteValue32_v2(NULL, 1, 2, 0);
    assert_int_equal(gate.enters, 3);
    assert_int_equal(gate.leaves, 3);
    assert_int_equal(begun, 10);
    assert_int_equal(thread.credit_ns[0][LEDGER_COPY], 1000);
    thread.credit_ns[0][LEDGER_COPY] = 5000;
    gate_captures = 1; /* the slow path looks whether it is this stream */
    cuMemcpyDtoD_v2(1, 2, 64);
    assert_int_equal(gate.enters, 4);
    gate_captures = 0;
    gate_thread = NULL;
}

static void *driver_symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);

    if (!address) {
        fprintf(stderr, "%s is missing\n", name);
        exit(2);
    }
    return address;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_copy_fill_and_operation),
        cmocka_unit_test(a_metered_call_asks_the_gate_and_is_the_drivers),
        cmocka_unit_test(a_first_call_attaches_and_asks_the_gate),
        cmocka_unit_test(without_a_share_nobody_is_asked),
        cmocka_unit_test(without_an_instance_nobody_is_asked),
        cmocka_unit_test(a_refused_process_gives_the_device_nothing),
        cmocka_unit_test_setup(rectangles_say_which_way_and_how_much, metered),
        cmocka_unit_test_setup(boxes_say_which_way_and_how_much, metered),
        cmocka_unit_test_setup(what_cannot_be_is_the_drivers_to_refuse_and_counts_nothing, metered),
        cmocka_unit_test_setup(lists_are_summed, metered),
        cmocka_unit_test_setup(prefetches_go_where_they_say, metered),
        cmocka_unit_test_setup(what_a_thread_has_credit_for_asks_nobody, metered),
    };
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

    if (!library) {
        fprintf(stderr, "usage: %s RECORDING-DRIVER\n", argv[0]);
        return 2;
    }
    driver_last = (const struct recdrv_call *(*)(void))driver_symbol(library, "recdrv_last");
    driver_result = (int (*)(uint32_t, uint64_t))driver_symbol(library, "recdrv_result");
    driver_serial_set = (void (*)(uint64_t))driver_symbol(library, "recdrv_serial_set");
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        ((void **)&shim_driver.cuda)[slot] = driver_symbol(library, api_cuda_slot(slot)->symbol);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
