/* Asking for all; see collect.h. */
#include "cli/collect.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "base/clock.h"
#include "base/paths.h"

void collect_init(struct collect *collect)
{
    *collect = (struct collect){.client = {.fd = -1}};
}

void collect_done(struct collect *collect)
{
    client_close(&collect->client);
}

int collect_connect(struct collect *collect, bool may_start, struct error *err)
{
    const struct timeval wait = {.tv_sec = COLLECT_WAIT_MS / 1000, .tv_usec = COLLECT_WAIT_MS % 1000 * 1000};
    int r;

    if (collect->client.fd >= 0)
        return 0;
    r = may_start ? client_open(&collect->client, err) : client_open_running(&collect->client, err);
    collect->client.stays = true; /* who only looks starts no other vgpud when this one ends */
    if (r == 0 && (setsockopt(collect->client.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
                   setsockopt(collect->client.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0))
        r = error_fail(err, error_errno(), "cannot limit the wait for vgpud: %s", strerror(errno));
    return r;
}

/* As client_ask. After a failure the connection may still bring the answer: it is of no more use, except
 * after a refusal. */
static json_t *ask(struct collect *collect, const json_t *request, struct error *err)
{
    json_t *answer = client_ask(&collect->client, request, err);

    if (!answer && (err->code == -EAGAIN || err->code == -EWOULDBLOCK))
        error_fail(err, -ETIMEDOUT, "vgpud at %s did not answer within %d s", collect->client.socket_path,
                   COLLECT_WAIT_MS / 1000);
    return answer;
}

static json_t *ask_devices(struct collect *collect, uint64_t now_ns, struct error *err)
{
    bool fresh = !collect->fresh_ns || now_ns - collect->fresh_ns >= COLLECT_FRESH_EVERY_MS * NS_PER_MS;
    json_auto_t *request = json_pack("{s:s, s:b, s:s*}", "op", "device.list", "fresh", fresh,
                                     "software_devices", paths_env("VGPU_SOFTGPU_DEVICES"));
    json_t *answer = ask(collect, request, err);

    if (answer && fresh)
        collect->fresh_ns = now_ns;
    return answer;
}

/* The pages of instance.list one after another. */
static int ask_instances(struct collect *collect, json_t *instances, struct error *err)
{
    json_int_t after = 0;

    for (;;) {
        json_auto_t *request = json_pack("{s:s, s:I}", "op", "instance.list", "after", after);
        json_auto_t *answer = ask(collect, request, err);
        const json_t *next = json_object_get(answer, "next");

        if (!answer)
            return err->code;
        json_array_extend(instances, json_object_get(answer, "instances"));
        if (!json_is_integer(next) || json_integer_value(next) <= after)
            return 0;
        after = json_integer_value(next);
    }
}

/* Adds "clients" to those that have some. One that has ended since the list keeps what the list said. */
static int ask_clients(struct collect *collect, json_t *instances, struct error *err)
{
    json_t *instance;
    size_t i;

    json_array_foreach(instances, i, instance)
    {
        json_auto_t *request = NULL, *answer = NULL;

        if (json_integer_value(json_object_get(instance, "client_count")) == 0)
            continue;
        request = json_pack("{s:s, s:O}", "op", "instance.show", "instance", json_object_get(instance, "id"));
        answer = ask(collect, request, err);
        if (answer)
            json_array_set(instances, i, json_object_get(answer, "instance"));
        else if (err->code != -ENOENT)
            return err->code;
        else
            *err = (struct error){0};
    }
    return 0;
}

static json_int_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static json_t *ask_all(struct collect *collect, bool with_clients, uint64_t now_ns, struct error *err)
{
    json_auto_t *request = json_pack("{s:s}", "op", "daemon.status"), *instances = json_array();
    json_auto_t *status = NULL, *devices = NULL;

    if (collect_connect(collect, false, err) < 0 || !(status = ask(collect, request, err)) ||
        !(devices = ask_devices(collect, now_ns, err)) || ask_instances(collect, instances, err) < 0 ||
        (with_clients && ask_clients(collect, instances, err) < 0)) {
        client_close(&collect->client);
        return NULL;
    }
    json_object_del(status, "ok");
    return json_pack("{s:I, s:O, s:O, s:O}", "time_ms", unix_ms(), "daemon", status, "devices",
                     json_object_get(devices, "devices"), "instances", instances);
}

json_t *collect_ask(struct collect *collect, bool with_clients, uint64_t now_ns, struct error *err)
{
    bool connected = collect->client.fd >= 0;
    json_t *answers = ask_all(collect, with_clients, now_ns, err);

    /* The vgpud of the last look has ended since; perhaps there is another one. */
    if (!answers && connected && err->code == -ECONNRESET) {
        *err = (struct error){0};
        answers = ask_all(collect, with_clients, now_ns, err);
    }
    return answers;
}
