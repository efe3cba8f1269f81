/* Initialisation, devices, contexts and handles through the driver API: what each call answers in which
 * state, and that no handle, however wrong, does more than give an error. */
#include <pthread.h>
#include <sys/wait.h>

#include "softgpu_api.h"

#define DEVICES                                                                                              \
    "name=Left,memory=1G,sms=4,context=64M,time=virtual,uuid=GPU-11111111-2222-3333-4444-555555555555;"      \
    "name=Right,memory=2G,sms=16,context=32M,time=virtual"

static void nothing_works_before_initialisation(void **state)
{
    size_t bytes;
    int count, version;
    CUcontext context;

    assert_code(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&count));
    assert_code(CUDA_ERROR_NOT_INITIALIZED, cuCtxCreate(&context, NULL, 0, 0));
    assert_code(CUDA_ERROR_NOT_INITIALIZED, cuMemGetInfo(&bytes, &bytes));
    assert_code(CUDA_ERROR_NOT_INITIALIZED, cuCtxGetCurrent(&context));
    assert_ok(cuDriverGetVersion(&version));
    assert_int_equal(version, 13000);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuInit(1));
    assert_ok(cuInit(0));
    assert_ok(cuInit(0));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuMemGetInfo(&bytes, &bytes));
}

static void devices_are_as_described(void **state)
{
    CUdevice device, by_bus;
    int count, value;
    char text[64];
    CUuuid uuid;
    size_t bytes;

    assert_ok(cuDeviceGetCount(&count));
    assert_int_equal(count, 2);
    assert_ok(cuDeviceGet(&device, 1));
    assert_ok(cuDeviceGetName(text, sizeof(text), device));
    assert_string_equal(text, "Right");
    assert_ok(cuDeviceTotalMem(&bytes, device));
    assert_int_equal(bytes, 2 * GIB);
    assert_ok(cuDeviceGetUuid(&uuid, 0));
    assert_memory_equal(uuid.bytes, "\x11\x11\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x55\x55\x55\x55", 16);
    assert_ok(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
    assert_int_equal(value, 16);
    assert_ok(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    assert_int_equal(value, 7);
    assert_ok(cuDeviceGetPCIBusId(text, sizeof(text), device));
    assert_ok(cuDeviceGetByPCIBusId(&by_bus, text));
    assert_int_equal(by_bus, device);
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, 2));
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, -1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX, 0));
    for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; i++)
        assert_ok(cuDeviceGetAttribute(&value, (CUdevice_attribute)i, 0));
}

static void contexts_are_a_stack_of_the_thread(void **state)
{
    CUcontext first, second, current;
    CUdevice device;

    assert_ok(cuCtxCreate(&first, NULL, 0, 0));
    assert_ok(cuCtxCreate(&second, NULL, CU_CTX_SCHED_BLOCKING_SYNC, 1));
    assert_ok(cuCtxGetDevice(&device));
    assert_int_equal(device, 1);
    assert_ok(cuCtxPopCurrent(&current));
    assert_ptr_equal(current, second);
    assert_ok(cuCtxGetCurrent(&current));
    assert_ptr_equal(current, first);
    assert_ok(cuCtxPushCurrent(second));
    assert_ok(cuCtxSetCurrent(first));
    assert_ok(cuCtxPopCurrent(&current));
    assert_ok(cuCtxDestroy(second));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(second));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(second));
    assert_ok(cuCtxDestroy(first));
    assert_ok(cuCtxGetCurrent(&current));
    assert_null(current);
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&current));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(&first, NULL, 0x1000, 0));
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuCtxCreate(&first, NULL, 0, 7));
}

static void *destroy_context(void *context)
{
    assert_ok(cuCtxDestroy(context));
    return NULL;
}

static void a_context_destroyed_elsewhere_is_an_error_here(void **state)
{
    CUcontext context, popped;
    CUdeviceptr address;
    pthread_t thread;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    pthread_create(&thread, NULL, destroy_context, context);
    pthread_join(thread, NULL);
    assert_code(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemAlloc(&address, 16));
    assert_ok(cuCtxPopCurrent(&popped));
}

static void the_primary_context_lives_while_it_is_retained(void **state)
{
    CUcontext first, second;
    unsigned flags;
    int active;

    assert_ok(cuDevicePrimaryCtxGetState(1, &flags, &active));
    assert_int_equal(active, 0);
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(1));
    assert_ok(cuDevicePrimaryCtxSetFlags(1, CU_CTX_SCHED_YIELD));
    assert_ok(cuDevicePrimaryCtxRetain(&first, 1));
    assert_ok(cuDevicePrimaryCtxRetain(&second, 1));
    assert_ptr_equal(first, second);
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(first));
    assert_ok(cuDevicePrimaryCtxRelease(1));
    assert_ok(cuDevicePrimaryCtxGetState(1, &flags, &active));
    assert_int_equal(active, 1);
    assert_int_equal(flags, CU_CTX_SCHED_YIELD);
    assert_ok(cuDevicePrimaryCtxRelease(1));
    assert_ok(cuDevicePrimaryCtxGetState(1, &flags, &active));
    assert_int_equal(active, 0);
    assert_ok(cuDevicePrimaryCtxRetain(&first, 1));
    assert_ok(cuDevicePrimaryCtxReset(1));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(first));
}

static void limits_are_kept(void **state)
{
    CUcontext context;
    size_t value;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    assert_ok(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_int_equal(value, 1024);
    assert_ok(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    assert_ok(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_int_equal(value, 4096);
    assert_code(CUDA_ERROR_UNSUPPORTED_LIMIT, cuCtxSetLimit(CU_LIMIT_CIG_ENABLED, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuCtxGetLimit(&value, (CUlimit)999));
    assert_ok(cuCtxDestroy(context));
}

static void wrong_handles_are_errors_and_never_more(void **state)
{
    void *wrong[] = {(void *)8, (void *)0xdeadbeefcafe, (void *)-1, &wrong, malloc(8)};
    CUcontext context;
    CUfunction function;
    CUstream stream;
    int number;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    assert_ok(cuStreamCreate(&stream, 0));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *handle = wrong[i];

        assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent(handle));
        assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventQuery(handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&function, handle, "x"));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuFuncGetAttribute(&number, 0, handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(handle, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        assert_code(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(handle));
        assert_code(CUDA_ERROR_INVALID_HANDLE, cuLibraryUnload(handle));
    }
    /* A live handle of another kind is no better. */
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventQuery((CUevent)stream));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent((CUcontext)stream));
    free(wrong[4]);
    assert_ok(cuCtxDestroy(context));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(stream));
}

static void names_lead_to_the_version_asked_for(void **state)
{
    CUdriverProcAddressQueryResult status;
    void *function;
    CUuuid id = {{0}};
    const void *table;

    assert_ok(cuGetProcAddress("cuMemAlloc", &function, 13000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    assert_ptr_equal(function, (void *)cuMemAlloc_v2);
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SUCCESS);
    assert_ok(cuGetProcAddress("cuCtxSynchronize", &function, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    assert_ptr_equal(function, (void *)(cuCtxSynchronize));
    assert_ok(cuGetProcAddress("cuCtxSynchronize", &function, 13000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    assert_ptr_equal(function, (void *)cuCtxSynchronize_v2);
    assert_ok(cuGetProcAddress("cuLaunchKernel", &function, 12000,
                               CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
    assert_ptr_not_equal(function, (void *)cuLaunchKernel);
    assert_ok(cuGetProcAddress("cuStreamGetDevice", &function, 11000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    assert_ok(cuGetProcAddress("cuNoSuchThing", &function, 13000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    assert_code(CUDA_ERROR_NOT_FOUND, cuGetExportTable(&table, &id));
}

static void errors_have_names_and_texts(void **state)
{
    const char *text;

    assert_ok(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
    assert_string_equal(text, "CUDA_ERROR_OUT_OF_MEMORY");
    assert_ok(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    assert_string_equal(text, "out of memory");
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGetErrorName((CUresult)12345, &text));
    assert_null(text);
}

static void what_is_missing_says_so(void **state)
{
    CUgraphConditionalHandle handle;

    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphConditionalHandleCreate(&handle, NULL, NULL, 0, 0));
}

/* Rows of 4 bytes go over and back, and the contexts that are named must exist. */
static void copy_boxes_between(CUcontext left, CUdeviceptr on_left, CUcontext right, CUdeviceptr on_right)
{
    CUDA_MEMCPY3D_PEER over = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                               .srcDevice = on_left,
                               .srcContext = left,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .dstDevice = on_right,
                               .dstContext = right,
                               .dstPitch = 64,
                               .dstY = 3,
                               .WidthInBytes = 4,
                               .Height = 1,
                               .Depth = 1};
    unsigned word = 0;

    assert_ok(cuMemcpy3DPeer(&over));
    assert_ok(cuMemcpyDtoH(&word, on_right + 192, 4));
    assert_int_equal(word, 123);
    assert_ok(cuMemsetD32(on_right, 321, 1));
    assert_ok(cuMemcpyPeerAsync(on_left, left, on_right, right, 4, NULL));
    assert_ok(cuCtxSynchronize());
    assert_ok(cuMemcpyDtoH(&word, on_left, 4));
    assert_int_equal(word, 321);
    over.dstContext = (CUcontext)&word;
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuMemcpy3DPeer(&over));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuMemcpyPeer(on_right, (CUcontext)&word, on_left, left, 4));
}

static void two_devices_have_memory_of_their_own(void **state)
{
    CUcontext left, right;
    CUdeviceptr on_left, on_right;
    int ordinal, can;
    unsigned word = 0;
    uint64_t before;

    assert_ok(cuCtxCreate(&left, NULL, 0, 0));
    assert_int_equal(free_bytes(), GIB - 64 * MIB);
    assert_ok(cuMemAlloc(&on_left, 4));
    assert_ok(cuMemsetD32(on_left, 123, 1));
    assert_ok(cuCtxSynchronize());
    assert_ok(cuCtxCreate(&right, NULL, 0, 1));
    before = free_bytes();
    assert_int_equal(before, 2 * GIB - 32 * MIB);
    assert_ok(cuMemAlloc(&on_right, GIB + 512 * MIB));
    assert_int_equal(free_bytes(), before - GIB - 512 * MIB);
    assert_ok(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, on_right));
    assert_int_equal(ordinal, 1);
    assert_ok(cuMemcpyPeer(on_right, right, on_left, left, 4));
    assert_ok(cuMemcpyDtoH(&word, on_right, 4));
    assert_int_equal(word, 123);
    assert_ok(cuDeviceCanAccessPeer(&can, 0, 1));
    assert_int_equal(can, 1);
    assert_ok(cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 1));
    assert_int_equal(can, 1);
    assert_code(CUDA_ERROR_INVALID_DEVICE,
                cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 1, 1));
    copy_boxes_between(left, on_left, right, on_right);
    assert_ok(cuCtxDestroy(right));
    assert_ok(cuCtxDestroy(left));
}

/* ---- fork ---- */

static int exit_code_of(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_child_cannot_use_its_parents_driver(void **state)
{
    CUcontext context;
    CUdeviceptr address;
    uint64_t before;
    pid_t child;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    assert_ok(cuMemAlloc(&address, 16));
    before = free_bytes();
    child = fork();
    if (!child) {
        bool refused = cuMemFree(address) == CUDA_ERROR_NOT_INITIALIZED &&
                       cuInit(0) == CUDA_ERROR_NOT_INITIALIZED &&
                       cuCtxGetCurrent(&context) == CUDA_ERROR_NOT_INITIALIZED;

        _exit(refused ? 0 : 1);
    }
    assert_int_equal(exit_code_of(child), 0);
    assert_ok(cuMemsetD8(address, 1, 16));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuCtxDestroy(context));
}

/* Runs first, before this process has called cuInit. */
static void a_child_of_an_uninitialised_parent_is_free(void **state)
{
    pid_t child = fork();
    CUcontext context;

    if (!child)
        _exit(cuInit(0) || cuCtxCreate(&context, NULL, 0, 0) || cuCtxDestroy(context) ? 1 : 0);
    assert_int_equal(exit_code_of(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_an_uninitialised_parent_is_free),
        cmocka_unit_test(nothing_works_before_initialisation),
        cmocka_unit_test(devices_are_as_described),
        cmocka_unit_test(contexts_are_a_stack_of_the_thread),
        cmocka_unit_test(a_context_destroyed_elsewhere_is_an_error_here),
        cmocka_unit_test(the_primary_context_lives_while_it_is_retained),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(wrong_handles_are_errors_and_never_more),
        cmocka_unit_test(names_lead_to_the_version_asked_for),
        cmocka_unit_test(errors_have_names_and_texts),
        cmocka_unit_test(what_is_missing_says_so),
        cmocka_unit_test(two_devices_have_memory_of_their_own),
        cmocka_unit_test(a_child_cannot_use_its_parents_driver),
    };

    softgpu_api_begin(DEVICES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
