/* See shim_fixture.h. The paths of the shim's libraries and of the fake driver come from the build
 * (SHIM_CUDA, SHIM_NVML, FAKE_DRIVER). */
#include "shim_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "api/lookup.h"
#include "base/fdpass.h"
#include "wire/control.h"

static struct stage stage;
static char dir[64];

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "stage: %s: %s\n", what, strerror(errno));
        _exit(1);
    }
}

/* ---- vgpud's part ---- */

static void answer(int sock)
{
    unsigned char message[512];
    struct control_header header;
    struct fdpass_peer peer;
    ssize_t n = fdpass_recv(sock, message, sizeof(message), NULL, NULL, 0);
    struct control_attached body = {.limits_bytes = sizeof(struct ledger_limits),
                                    .ledger_bytes = sizeof(struct ledger)};
    struct control_attach request;

    must(n > 0 && control_check(message, (size_t)n, &header) == 0, "request");
    if (header.type == CONTROL_REAP) {
        const struct control_reaped none = {0};

        stage.reaps_asked++;
        control_send(sock, CONTROL_REAPED, &none, sizeof(none), NULL, 0);
        return;
    }
    must(header.type == CONTROL_ATTACH, "attach request");
    memcpy(&request, message + sizeof(header), sizeof(request));
    if (stage.attach_error) {
        struct control_error_body error = {.code = stage.attach_error, .text = "no slot is free"};

        control_send(sock, CONTROL_ERROR, &error, sizeof(error), NULL, 0);
        return;
    }
    must(fdpass_peer(sock, &peer) == 0, "peer");
    body.slot = LEDGER_OBSERVER;
    if (request.kind != CONTROL_CLIENT_OBSERVER) {
        must(ledger_slot_grant(&stage.areas, peer.pid, 1, request.kind, "test", &body.slot,
                               &body.slot_generation) == 0,
             "slot");
        stage.slots_given++;
    }
    control_send(sock, CONTROL_ATTACHED, &body, sizeof(body),
                 (int[]){stage.areas.limits_fd, stage.areas.ledger_fd}, 2);
}

static void *vgpud_run(void *listener)
{
    for (;;) {
        int sock = accept4((int)(intptr_t)listener, NULL, NULL, SOCK_CLOEXEC);

        if (sock < 0)
            return NULL;
        answer(sock);
        close(sock);
    }
}

static void vgpud_start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pthread_t thread;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/vgpud.sock", dir);
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 8) == 0,
         "listen");
    must(pthread_create(&thread, NULL, vgpud_run, (void *)(intptr_t)listener) == 0, "thread");
    pthread_detach(thread);
    setenv("VGPU_SOCKET", address.sun_path, 1);
    setenv("VGPU_INSTANCE", "test", 1);
}

/* ---- libraries ---- */

static void driver_dir_fill(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/libcuda.so.1", dir);
    must(symlink(FAKE_DRIVER, path) == 0, "symlink");
    snprintf(path, sizeof(path), "%s/libnvidia-ml.so.1", dir);
    must(symlink(FAKE_DRIVER, path) == 0, "symlink");
    setenv("VGPU_DRIVER_DIR", dir, 1);
}

static void driver_dir_remove(void)
{
    char path[128];
    static const char *const names[] = {"libcuda.so.1", "libnvidia-ml.so.1", "vgpud.sock"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void libraries_load(void)
{
    void *cuda = dlopen(SHIM_CUDA, RTLD_NOW | RTLD_LOCAL), *nvml = dlopen(SHIM_NVML, RTLD_NOW | RTLD_LOCAL);
    void *fake = dlopen(FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);

    if (!cuda || !nvml || !fake) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        ((void **)&stage.cuda)[slot] = dlsym(cuda, api_cuda_slot(slot)->symbol);
    for (unsigned slot = 0; slot < NVML_SLOT_COUNT; slot++)
        ((void **)&stage.nvml)[slot] = dlsym(nvml, api_nvml_slot(slot)->symbol);
    stage.fake = ((fake_state_fn)dlsym(fake, "fake_state"))();
}

struct stage *stage_open_unlimited(void)
{
    driver_dir_fill();
    unsetenv("VGPU_INSTANCE");
    libraries_load();
    return &stage;
}

struct stage *stage_open(uint64_t limit_0_bytes, uint64_t limit_1_bytes)
{
    const uint64_t limits[FAKE_DEVICES] = {limit_0_bytes, limit_1_bytes};
    struct ledger_device_spec specs[FAKE_DEVICES] = {0};
    unsigned n = 0;

    driver_dir_fill();
    for (unsigned device = 0; device < FAKE_DEVICES; device++) {
        if (!limits[device])
            continue;
        memset(specs[n].uuid, 0x10 + (int)device, sizeof(specs[n].uuid));
        specs[n].memory_limit_bytes = limits[device];
        specs[n++].memory_capacity_bytes = 16 * GIB;
    }
    must(ledger_areas_new("test", "test", specs, n, &stage.areas, NULL) == 0, "areas");
    vgpud_start();
    libraries_load();
    return &stage;
}

struct stage *stage_open_context(uint64_t limit_0_bytes)
{
    struct stage *s = stage_open(limit_0_bytes, 2 * GIB);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    return s;
}

uint64_t stage_ledger_bytes(const struct stage *s, unsigned device)
{
    return s->areas.ledger->accounts[device].used.value;
}

uint64_t stage_device_bytes(const struct stage *s, unsigned device)
{
    return s->fake->devices[device].used_bytes;
}

void stage_run(void (*body)(void))
{
    int status;
    pid_t pid;

    strcpy(dir, "/tmp/vgpu-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    pid = fork();
    if (pid == 0) {
        alarm(60);
        body();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    driver_dir_remove();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
