/* Memory and events between processes. This program starts itself again as workers, which do what they are
 * told over a socket; it is no user of the driver itself, and judges by the device's own account. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "softgpu/device/client.h"
#include "softgpu_api.h"

#define CONTEXT_BYTES (64 * MIB)
#define LARGE_BYTES   (10 * MIB)

enum operation {
    ALLOC,
    FREE,
    FILL,
    READ,
    MEM_HANDLE,
    MEM_OPEN,
    MEM_CLOSE,
    CREATE,
    RELEASE,
    EXPORT,
    IMPORT,
    IMPORT_PATH,
    MAP,
    UNMAP,
    EXTERNAL,
    BUFFER,
    EXTERNAL_END,
    EVENT,
    EVENT_HANDLE,
    EVENT_OPEN,
    EVENT_END,
    RECORD,
    QUERY,
    SYNCHRONIZE,
    STREAM,
    HOLD,
    LET_GO,
    STREAM_WAIT,
    STREAM_QUERY,
    STREAM_SYNCHRONIZE,
};

/* A request, and its answer: value[0] is what the call gave. */
struct message {
    enum operation operation;
    CUresult result;
    uint64_t value[3];
    char blob[64];
};

/* ---- messages ---- */

/* fd goes with it unless it is -1. */
static bool send_message(int sock, const struct message *message, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)message, sizeof(*message)};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&header) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof(fd));
    }
    return sendmsg(sock, &header, MSG_NOSIGNAL) == sizeof(*message);
}

static bool receive_message(int sock, struct message *message, int *ret_fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {message, sizeof(*message)};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

    *ret_fd = -1;
    if (recvmsg(sock, &header, MSG_CMSG_CLOEXEC) != sizeof(*message))
        return false;
    if (CMSG_FIRSTHDR(&header))
        memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(*ret_fd));
    return true;
}

/* ---- the worker ---- */

static CUresult map_handle(CUmemGenericAllocationHandle handle, uint64_t bytes, CUdeviceptr *ret_base)
{
    CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUresult result = cuMemAddressReserve(ret_base, bytes, 0, 0, 0);

    if (!result)
        result = cuMemMap(*ret_base, bytes, 0, handle, 0);
    return result ? result : cuMemSetAccess(*ret_base, bytes, &access, 1);
}

static CUresult do_memory(struct message *message)
{
    uint64_t *value = message->value;
    CUipcMemHandle handle;
    uint32_t word = 0;
    CUresult result;

    memcpy(&handle, message->blob, sizeof(handle));
    switch (message->operation) {
    case ALLOC:
        return cuMemAlloc((CUdeviceptr *)value, value[0]);
    case FREE:
        return cuMemFree(value[0]);
    case FILL:
        result = cuMemsetD32(value[0], (unsigned)value[1], value[2]);
        return result ? result : cuCtxSynchronize();
    case READ:
        result = cuMemcpyDtoH(&word, value[0], 4);
        value[0] = word;
        return result;
    case MEM_HANDLE:
        result = cuIpcGetMemHandle(&handle, value[0]);
        memcpy(message->blob, &handle, sizeof(handle));
        return result;
    case MEM_OPEN:
        return cuIpcOpenMemHandle((CUdeviceptr *)value, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
    default:
        return cuIpcCloseMemHandle(value[0]);
    }
}

static CUresult import_external(int fd, uint64_t bytes, uint64_t *ret_memory)
{
    CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = {
        .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .handle.fd = fd, .size = bytes};

    return cuImportExternalMemory((CUexternalMemory *)ret_memory, &description);
}

static CUresult do_physical(struct message *message, int fd, int *ret_fd)
{
    CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    uint64_t *value = message->value;
    CUresult result;

    switch (message->operation) {
    case CREATE:
        return cuMemCreate((CUmemGenericAllocationHandle *)value, value[0], &properties, 0);
    case RELEASE:
        return cuMemRelease(value[0]);
    case EXPORT:
        result = cuMemExportToShareableHandle(ret_fd, value[0], CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
        value[0] = (uint64_t)*ret_fd;
        return result;
    case IMPORT_PATH:
        fd = open(message->blob, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            fd = open(message->blob, O_RDONLY | O_CLOEXEC);
        __attribute__((fallthrough));
    case IMPORT:
        result = cuMemImportFromShareableHandle((CUmemGenericAllocationHandle *)value, (void *)(intptr_t)fd,
                                                CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
        close(fd);
        return result;
    case MAP:
        return map_handle(value[0], value[1], (CUdeviceptr *)value);
    case UNMAP:
        result = cuMemUnmap(value[0], value[1]);
        return result ? result : cuMemAddressFree(value[0], value[1]);
    case EXTERNAL:
        return import_external(fd, value[0], value);
    case BUFFER: {
        CUDA_EXTERNAL_MEMORY_BUFFER_DESC description = {.offset = value[1], .size = value[2]};

        return cuExternalMemoryGetMappedBuffer((CUdeviceptr *)value, (CUexternalMemory)value[0],
                                               &description);
    }
    default:
        return cuDestroyExternalMemory((CUexternalMemory)value[0]);
    }
}

static CUresult do_event(struct message *message)
{
    static CUstream opener;
    static CUdeviceptr gate;
    uint64_t *value = message->value;
    CUipcEventHandle handle;
    CUresult result;

    memcpy(&handle, message->blob, sizeof(handle));
    switch (message->operation) {
    case EVENT:
        return cuEventCreate((CUevent *)value, (unsigned)value[0]);
    case EVENT_HANDLE:
        result = cuIpcGetEventHandle(&handle, (CUevent)value[0]);
        memcpy(message->blob, &handle, sizeof(handle));
        return result;
    case EVENT_OPEN:
        return cuIpcOpenEventHandle((CUevent *)value, handle);
    case EVENT_END:
        return cuEventDestroy((CUevent)value[0]);
    case RECORD:
        return cuEventRecord((CUevent)value[0], (CUstream)value[1]);
    case QUERY:
        return cuEventQuery((CUevent)value[0]);
    case SYNCHRONIZE:
        return cuEventSynchronize((CUevent)value[0]);
    case STREAM:
        return cuStreamCreate((CUstream *)value, CU_STREAM_NON_BLOCKING);
    case HOLD: /* what comes behind it in the stream waits for LET_GO */
        result = cuMemAlloc(&gate, 4);
        if (!result)
            result = cuMemsetD32(gate, 0, 1);
        if (!result)
            result = cuCtxSynchronize();
        if (!result)
            result = cuStreamCreate(&opener, CU_STREAM_NON_BLOCKING);
        return result ? result : cuStreamWaitValue32((CUstream)value[0], gate, 1, CU_STREAM_WAIT_VALUE_GEQ);
    case LET_GO:
        return cuStreamWriteValue32(opener, gate, 1, 0);
    case STREAM_WAIT:
        return cuStreamWaitEvent((CUstream)value[0], (CUevent)value[1], 0);
    case STREAM_QUERY:
        return cuStreamQuery((CUstream)value[0]);
    default:
        return cuStreamSynchronize((CUstream)value[0]);
    }
}

static int worker(int sock)
{
    struct message message;
    CUcontext context;
    int fd;

    if (cuInit(0) || cuCtxCreate(&context, NULL, 0, 0))
        return 1;
    while (receive_message(sock, &message, &fd)) {
        int out = -1;

        if (message.operation <= MEM_CLOSE)
            message.result = do_memory(&message);
        else if (message.operation <= EXTERNAL_END)
            message.result = do_physical(&message, fd, &out);
        else
            message.result = do_event(&message);
        if (!send_message(sock, &message, out))
            return 2;
    }
    return 0;
}

/* ---- the judge ---- */

enum { WORKERS = 3 };

static struct {
    pid_t pid;
    int sock;
} workers[WORKERS];
static struct sgdev *dev;
static uint64_t idle_bytes; /* what is used when the workers have their contexts and nothing else */

static uint64_t used_bytes(void)
{
    uint64_t free_now, total;

    assert_int_equal(sgdev_memory(dev, 0, &free_now, &total), 0);
    return total - free_now;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void assert_soon_used(uint64_t bytes)
{
    uint64_t until = now_ms() + 5000;

    while (used_bytes() != bytes && now_ms() < until)
        usleep(1000);
    assert_int_equal(used_bytes(), bytes);
}

/* What the device counts for a worker beyond its context. */
static uint64_t paid_by(unsigned index)
{
    struct sgdev_process rows[8];
    size_t n = 8;

    assert_int_equal(sgdev_processes(dev, 0, rows, &n), 0);
    for (size_t i = 0; i < n; i++)
        if (rows[i].pid == workers[index].pid)
            return rows[i].memory_bytes - CONTEXT_BYTES;
    return UINT64_MAX;
}

static void tell(unsigned index, enum operation operation, uint64_t a, uint64_t b, uint64_t c,
                 const char *blob, int fd)
{
    struct message message = {.operation = operation, .value = {a, b, c}};

    if (blob)
        memcpy(message.blob, blob, sizeof(message.blob));
    assert_true(send_message(workers[index].sock, &message, fd));
}

static bool is_answered(unsigned index, int within_ms)
{
    struct pollfd sock = {.fd = workers[index].sock, .events = POLLIN};

    return poll(&sock, 1, within_ms) == 1;
}

static struct message hear(unsigned index, int *ret_fd)
{
    struct message message;
    int fd;

    assert_true(is_answered(index, 20000));
    assert_true(receive_message(workers[index].sock, &message, &fd));
    if (ret_fd)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return message;
}

static struct message ask(unsigned index, enum operation operation, uint64_t a, uint64_t b, uint64_t c,
                          const char *blob)
{
    tell(index, operation, a, b, c, blob, -1);
    return hear(index, NULL);
}

/* The value of a call that succeeds. */
static uint64_t get(unsigned index, enum operation operation, uint64_t a, uint64_t b, uint64_t c,
                    const char *blob)
{
    struct message answer = ask(index, operation, a, b, c, blob);

    if (answer.result)
        fail_msg("worker %u, operation %d: %d", index, operation, answer.result);
    return answer.value[0];
}

static CUresult result(unsigned index, enum operation operation, uint64_t a, uint64_t b, uint64_t c,
                       const char *blob)
{
    return ask(index, operation, a, b, c, blob).result;
}

static void get_blob(unsigned index, enum operation operation, uint64_t a, char blob[64])
{
    struct message answer = ask(index, operation, a, 0, 0, NULL);

    assert_int_equal(answer.result, CUDA_SUCCESS);
    memcpy(blob, answer.blob, 64);
}

static int get_fd(unsigned index, uint64_t handle)
{
    int fd;

    tell(index, EXPORT, handle, 0, 0, NULL, -1);
    assert_int_equal(hear(index, &fd).result, CUDA_SUCCESS);
    assert_true(fd >= 0);
    return fd;
}

static uint64_t give_fd(unsigned index, enum operation operation, uint64_t a, int fd)
{
    struct message answer;

    tell(index, operation, a, 0, 0, NULL, fd);
    answer = hear(index, NULL);
    assert_int_equal(answer.result, CUDA_SUCCESS);
    return answer.value[0];
}

static void start(unsigned index)
{
    int ends[2];
    char number[16];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    workers[index].sock = ends[0];
    workers[index].pid = fork();
    if (!workers[index].pid) {
        fcntl(ends[1], F_SETFD, 0);
        snprintf(number, sizeof(number), "%d", ends[1]);
        execl("/proc/self/exe", "softgpu_api_ipc", number, NULL);
        _exit(9);
    }
    close(ends[1]);
}

static void end_worker(unsigned index, bool by_kill)
{
    int status;

    if (by_kill)
        kill(workers[index].pid, SIGKILL);
    close(workers[index].sock);
    assert_int_equal(waitpid(workers[index].pid, &status, 0), workers[index].pid);
    if (!by_kill)
        assert_int_equal(status, 0);
    workers[index].pid = 0;
}

static int start_all(void **state)
{
    assert_int_equal(sgdev_open(&dev), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        start(i);
    idle_bytes = WORKERS * CONTEXT_BYTES;
    assert_soon_used(idle_bytes);
    return 0;
}

static int end_all(void **state)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (workers[i].pid)
            end_worker(i, false);
    assert_soon_used(0);
    sgdev_close(dev);
    return 0;
}

/* ---- IPC memory ---- */

static void two_processes_see_the_same_memory(void **state)
{
    const uint64_t sizes[] = {LARGE_BYTES, 1000};

    for (unsigned i = 0; i < 2; i++) {
        uint64_t neighbour = get(0, ALLOC, 512, 0, 0, NULL), own = get(0, ALLOC, sizes[i], 0, 0, NULL), other,
                 again, used = used_bytes();
        char blob[64], same[64];

        get(0, FILL, own, 0x1111, sizes[i] / 4, NULL);
        get(0, FILL, neighbour, 0x7777, 128, NULL);
        get_blob(0, MEM_HANDLE, own, blob);
        get_blob(0, MEM_HANDLE, own, same);
        assert_memory_equal(blob, same, 64);
        assert_int_equal(result(0, MEM_OPEN, 0, 0, 0, blob), CUDA_ERROR_INVALID_CONTEXT);

        other = get(1, MEM_OPEN, 0, 0, 0, blob);
        again = get(1, MEM_OPEN, 0, 0, 0, blob);
        assert_int_equal(other, again);
        assert_int_equal(used_bytes(), used);
        assert_int_equal(paid_by(1), 0);
        assert_int_equal(get(1, READ, other + sizes[i] / 4 * 4 - 4, 0, 0, NULL), 0x1111);
        get(1, FILL, other, 0x2222, 1, NULL);
        assert_int_equal(get(0, READ, own, 0, 0, NULL), 0x2222);
        /* Of a granule that small allocations share, only the one is there. */
        assert_int_equal(result(1, READ, other + sizes[i] - 2, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(result(1, FREE, other, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(result(1, MEM_HANDLE, other, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);

        get(1, MEM_CLOSE, other, 0, 0, NULL);
        assert_int_equal(get(1, READ, other, 0, 0, NULL), 0x2222);
        get(1, MEM_CLOSE, other, 0, 0, NULL);
        assert_int_equal(result(1, READ, other, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(result(1, MEM_CLOSE, other, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(used_bytes(), used);
        get(0, FREE, own, 0, 0, NULL);
        get(0, FREE, neighbour, 0, 0, NULL);
        assert_int_equal(used_bytes(), idle_bytes);
    }
}

static void a_handle_of_nothing_is_refused(void **state)
{
    uint64_t own = get(0, ALLOC, LARGE_BYTES, 0, 0, NULL);
    char blob[64], wrong[64];

    get_blob(0, MEM_HANDLE, own, blob);
    for (unsigned i = 0; i < 64; i += 8) {
        memset(wrong, (int)i, 64);
        assert_int_equal(result(1, MEM_OPEN, 0, 0, 0, wrong), CUDA_ERROR_INVALID_VALUE);
    }
    memcpy(wrong, blob, 64);
    wrong[12] ^= 1; /* in the token */
    assert_int_equal(result(1, MEM_OPEN, 0, 0, 0, wrong), CUDA_ERROR_INVALID_VALUE);
    get(0, FREE, own, 0, 0, NULL);
    assert_int_equal(result(1, MEM_OPEN, 0, 0, 0, blob), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(result(0, MEM_HANDLE, own, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(used_bytes(), idle_bytes);
}

static void memory_outlives_its_killed_exporter(void **state)
{
    uint64_t own = get(0, ALLOC, LARGE_BYTES, 0, 0, NULL), first, second;
    char blob[64];

    get(0, FILL, own, 0x5a5a, LARGE_BYTES / 4, NULL);
    get_blob(0, MEM_HANDLE, own, blob);
    first = get(1, MEM_OPEN, 0, 0, 0, blob);
    second = get(2, MEM_OPEN, 0, 0, 0, blob);
    assert_int_equal(paid_by(0), LARGE_BYTES);
    end_worker(0, true);
    assert_soon_used(idle_bytes - CONTEXT_BYTES + LARGE_BYTES);
    /* The longest holder pays. */
    assert_int_equal(paid_by(1), LARGE_BYTES);
    assert_int_equal(paid_by(2), 0);
    assert_int_equal(get(1, READ, first + LARGE_BYTES - 4, 0, 0, NULL), 0x5a5a);
    get(1, MEM_CLOSE, first, 0, 0, NULL);
    assert_int_equal(paid_by(1), 0);
    assert_int_equal(paid_by(2), LARGE_BYTES);
    assert_int_equal(get(2, READ, second, 0, 0, NULL), 0x5a5a);
    get(2, MEM_CLOSE, second, 0, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes - CONTEXT_BYTES);
}

static void a_killed_importer_takes_nothing_with_it(void **state)
{
    uint64_t own = get(0, ALLOC, LARGE_BYTES, 0, 0, NULL);
    char blob[64];

    get(0, FILL, own, 9, 1, NULL);
    get_blob(0, MEM_HANDLE, own, blob);
    get(1, MEM_OPEN, 0, 0, 0, blob);
    end_worker(1, true);
    assert_soon_used(idle_bytes - CONTEXT_BYTES + LARGE_BYTES);
    assert_int_equal(paid_by(0), LARGE_BYTES);
    assert_int_equal(get(0, READ, own, 0, 0, NULL), 9);
    get(0, FREE, own, 0, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes - CONTEXT_BYTES);
}

/* ---- memory as a descriptor ---- */

static void memory_goes_over_a_socket_as_a_descriptor(void **state)
{
    uint64_t handle = get(0, CREATE, LARGE_BYTES, 0, 0, NULL), imported, mine, theirs;
    int fd = get_fd(0, handle);

    imported = give_fd(1, IMPORT, 0, fd);
    close(fd);
    assert_int_equal(used_bytes(), idle_bytes + LARGE_BYTES);
    mine = get(0, MAP, handle, LARGE_BYTES, 0, NULL);
    theirs = get(1, MAP, imported, LARGE_BYTES, 0, NULL);
    get(0, FILL, mine, 0xabc, LARGE_BYTES / 4, NULL);
    assert_int_equal(get(1, READ, theirs + 8 * MIB, 0, 0, NULL), 0xabc);
    get(0, RELEASE, handle, 0, 0, NULL);
    get(0, UNMAP, mine, LARGE_BYTES, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes + LARGE_BYTES);
    assert_int_equal(paid_by(0), 0);
    assert_int_equal(paid_by(1), LARGE_BYTES);
    get(1, RELEASE, imported, 0, 0, NULL);
    assert_int_equal(get(1, READ, theirs, 0, 0, NULL), 0xabc);
    get(1, UNMAP, theirs, LARGE_BYTES, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes);
}

static void memory_is_found_by_the_path_of_its_descriptor(void **state)
{
    uint64_t handle = get(0, CREATE, LARGE_BYTES, 0, 0, NULL), fd = get(0, EXPORT, handle, 0, 0, NULL),
             imported, theirs;
    char path[64] = {0};

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)workers[0].pid, (int)fd);
    imported = get(1, IMPORT_PATH, 0, 0, 0, path);
    theirs = get(1, MAP, imported, LARGE_BYTES, 0, NULL);
    get(1, FILL, theirs, 0x77, 4, NULL);
    end_worker(0, true);
    assert_soon_used(idle_bytes - CONTEXT_BYTES + LARGE_BYTES);
    assert_int_equal(get(1, READ, theirs, 0, 0, NULL), 0x77);
    get(1, RELEASE, imported, 0, 0, NULL);
    get(1, UNMAP, theirs, LARGE_BYTES, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes - CONTEXT_BYTES);
}

static void a_descriptor_of_something_else_is_refused(void **state)
{
    struct message answer;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

    tell(1, IMPORT, 0, 0, 0, NULL, fd);
    answer = hear(1, NULL);
    assert_int_equal(answer.result, CUDA_ERROR_INVALID_VALUE);
    tell(1, IMPORT, 0, 0, 0, NULL, -1);
    assert_int_equal(hear(1, NULL).result, CUDA_ERROR_INVALID_VALUE);
    close(fd);
}

static void external_memory_is_mapped_and_lives_by_its_buffer(void **state)
{
    uint64_t handle = get(0, CREATE, LARGE_BYTES, 0, 0, NULL),
             mine = get(0, MAP, handle, LARGE_BYTES, 0, NULL), memory, buffer;
    int fd = get_fd(0, handle);

    memory = give_fd(1, EXTERNAL, LARGE_BYTES, fd);
    close(fd);
    assert_int_equal(result(1, BUFFER, memory, LARGE_BYTES, 4, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(result(1, BUFFER, memory, 4, LARGE_BYTES, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(result(1, BUFFER, memory, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    buffer = get(1, BUFFER, memory, 3 * MIB + 512, 4096, NULL);
    get(0, FILL, mine + 3 * MIB + 512, 0x99, 1024, NULL);
    assert_int_equal(get(1, READ, buffer + 4092, 0, 0, NULL), 0x99);
    assert_int_equal(result(1, READ, buffer + 4094, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    get(1, EXTERNAL_END, memory, 0, 0, NULL);
    assert_int_equal(result(1, EXTERNAL_END, memory, 0, 0, NULL), CUDA_ERROR_INVALID_HANDLE);
    get(0, RELEASE, handle, 0, 0, NULL);
    get(0, UNMAP, mine, LARGE_BYTES, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes + LARGE_BYTES);
    assert_int_equal(get(1, READ, buffer, 0, 0, NULL), 0x99);
    get(1, FREE, buffer, 0, 0, NULL);
    assert_int_equal(used_bytes(), idle_bytes);
}

/* ---- events ---- */

#define SHARED_EVENT (CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING)

/* An event of worker 0, opened by worker 1. */
static void share_event(uint64_t events[2])
{
    char blob[64];

    events[0] = get(0, EVENT, SHARED_EVENT, 0, 0, NULL);
    get_blob(0, EVENT_HANDLE, events[0], blob);
    events[1] = get(1, EVENT_OPEN, 0, 0, 0, blob);
}

static void a_record_is_waited_for_in_the_other_process(void **state)
{
    for (unsigned recorder = 0; recorder < 2; recorder++) {
        unsigned waiter = 1 - recorder;
        uint64_t events[2], held = get(recorder, STREAM, 0, 0, 0, NULL),
                            waiting = get(waiter, STREAM, 0, 0, 0, NULL);

        share_event(events);
        assert_int_equal(result(waiter, QUERY, events[waiter], 0, 0, NULL), CUDA_SUCCESS);
        get(recorder, HOLD, held, 0, 0, NULL);
        get(recorder, RECORD, events[recorder], held, 0, NULL);
        assert_int_equal(result(waiter, QUERY, events[waiter], 0, 0, NULL), CUDA_ERROR_NOT_READY);
        assert_int_equal(result(recorder, QUERY, events[recorder], 0, 0, NULL), CUDA_ERROR_NOT_READY);
        get(waiter, STREAM_WAIT, waiting, events[waiter], 0, NULL);
        assert_int_equal(result(waiter, STREAM_QUERY, waiting, 0, 0, NULL), CUDA_ERROR_NOT_READY);
        tell(waiter, SYNCHRONIZE, events[waiter], 0, 0, NULL, -1);
        assert_false(is_answered(waiter, 50));
        get(recorder, LET_GO, 0, 0, 0, NULL);
        assert_int_equal(hear(waiter, NULL).result, CUDA_SUCCESS);
        get(waiter, STREAM_SYNCHRONIZE, waiting, 0, 0, NULL);
        get(recorder, STREAM_SYNCHRONIZE, held, 0, 0, NULL);
        assert_int_equal(result(recorder, QUERY, events[recorder], 0, 0, NULL), CUDA_SUCCESS);
        assert_int_equal(result(waiter, QUERY, events[waiter], 0, 0, NULL), CUDA_SUCCESS);
        get(1, EVENT_END, events[1], 0, 0, NULL);
        get(0, EVENT_END, events[0], 0, 0, NULL);
    }
}

/* Far more records than are remembered at once. */
static void a_stream_of_records_never_blocks_when_it_moves(void **state)
{
    uint64_t events[2], stream = get(0, STREAM, 0, 0, 0, NULL);

    share_event(events);
    for (unsigned i = 0; i < 3000; i++)
        get(0, RECORD, events[0], stream, 0, NULL);
    get(1, SYNCHRONIZE, events[1], 0, 0, NULL);
    assert_int_equal(result(1, QUERY, events[1], 0, 0, NULL), CUDA_SUCCESS);
}

static void the_death_of_the_recorder_ends_its_records(void **state)
{
    uint64_t events[2], held = get(0, STREAM, 0, 0, 0, NULL), waiting = get(1, STREAM, 0, 0, 0, NULL);

    share_event(events);
    get(0, HOLD, held, 0, 0, NULL);
    get(0, RECORD, events[0], held, 0, NULL);
    get(1, STREAM_WAIT, waiting, events[1], 0, NULL);
    tell(1, SYNCHRONIZE, events[1], 0, 0, NULL, -1);
    assert_false(is_answered(1, 50));
    end_worker(0, true);
    assert_int_equal(hear(1, NULL).result, CUDA_SUCCESS);
    get(1, STREAM_SYNCHRONIZE, waiting, 0, 0, NULL);
    assert_int_equal(result(1, QUERY, events[1], 0, 0, NULL), CUDA_SUCCESS);
    get(1, RECORD, events[1], waiting, 0, NULL);
    get(1, SYNCHRONIZE, events[1], 0, 0, NULL);
}

static void event_handles_are_checked(void **state)
{
    uint64_t plain = get(0, EVENT, CU_EVENT_DISABLE_TIMING, 0, 0, NULL),
             event = get(0, EVENT, SHARED_EVENT, 0, 0, NULL), opened, again;
    char blob[64], wrong[64] = {0};

    assert_int_equal(result(0, EVENT, CU_EVENT_INTERPROCESS, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(result(0, EVENT_HANDLE, plain, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(result(0, EVENT_HANDLE, 0xdeadbee0, 0, 0, NULL), CUDA_ERROR_INVALID_HANDLE);
    get_blob(0, EVENT_HANDLE, event, blob);
    get_blob(0, EVENT_HANDLE, event, wrong);
    assert_memory_equal(blob, wrong, 64);
    wrong[9] ^= 1; /* in the token */
    assert_int_equal(result(1, EVENT_OPEN, 0, 0, 0, wrong), CUDA_ERROR_INVALID_HANDLE);
    memset(wrong, 0, sizeof(wrong));
    assert_int_equal(result(1, EVENT_OPEN, 0, 0, 0, wrong), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(result(0, EVENT_OPEN, 0, 0, 0, blob), CUDA_ERROR_INVALID_CONTEXT);
    opened = get(1, EVENT_OPEN, 0, 0, 0, blob);
    again = get(1, EVENT_OPEN, 0, 0, 0, blob);
    assert_int_equal(result(1, EVENT_HANDLE, opened, 0, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    get(1, EVENT_END, opened, 0, 0, NULL);
    assert_int_equal(result(1, QUERY, again, 0, 0, NULL), CUDA_SUCCESS);
    get(0, EVENT_END, event, 0, 0, NULL);
    assert_int_equal(result(2, EVENT_OPEN, 0, 0, 0, blob), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(result(1, QUERY, again, 0, 0, NULL), CUDA_SUCCESS);
}

/* Files of events in the device process's directory. */
static unsigned event_files(void)
{
    char command[128], line[16] = {0};
    FILE *count;

    snprintf(command, sizeof(command), "ls '%s' | grep -c '^event-'", softgpu_api_dir);
    count = popen(command, "r");
    assert_non_null(count);
    assert_non_null(fgets(line, sizeof(line), count));
    pclose(count);
    return (unsigned)atoi(line);
}

static void files_of_events_do_not_stay(void **state)
{
    uint64_t event = get(0, EVENT, SHARED_EVENT, 0, 0, NULL);

    get(1, EVENT, SHARED_EVENT, 0, 0, NULL);
    assert_int_equal(event_files(), 2);
    get(0, EVENT_END, event, 0, 0, NULL);
    assert_int_equal(event_files(), 1);
    end_worker(1, true);
    assert_int_equal(event_files(), 1);
    event = get(2, EVENT, SHARED_EVENT, 0, 0, NULL);
    assert_int_equal(event_files(), 1);
    get(2, EVENT_END, event, 0, 0, NULL);
    assert_int_equal(event_files(), 0);
}

#define TEST_OF_WORKERS(name) cmocka_unit_test_setup_teardown(name, start_all, end_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_OF_WORKERS(two_processes_see_the_same_memory),
        TEST_OF_WORKERS(a_handle_of_nothing_is_refused),
        TEST_OF_WORKERS(memory_outlives_its_killed_exporter),
        TEST_OF_WORKERS(a_killed_importer_takes_nothing_with_it),
        TEST_OF_WORKERS(memory_goes_over_a_socket_as_a_descriptor),
        TEST_OF_WORKERS(memory_is_found_by_the_path_of_its_descriptor),
        TEST_OF_WORKERS(a_descriptor_of_something_else_is_refused),
        TEST_OF_WORKERS(external_memory_is_mapped_and_lives_by_its_buffer),
        TEST_OF_WORKERS(files_of_events_do_not_stay),
        TEST_OF_WORKERS(a_record_is_waited_for_in_the_other_process),
        TEST_OF_WORKERS(a_stream_of_records_never_blocks_when_it_moves),
        TEST_OF_WORKERS(the_death_of_the_recorder_ends_its_records),
        TEST_OF_WORKERS(event_handles_are_checked),
    };

    if (argc > 1)
        return worker(atoi(argv[1]));
    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
