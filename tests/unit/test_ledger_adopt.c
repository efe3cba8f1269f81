/* Promises of taking an account over from a vgpud that is dead: exact, and nothing that is not an account. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "ledger/ledger.h"

static const struct ledger_device_spec device = {
    .uuid = {7}, .memory_limit_bytes = GIB, .memory_capacity_bytes = 8 * GIB};

static struct ledger_areas make(const char *id)
{
    struct ledger_areas areas;
    struct error err;

    assert_int_equal(ledger_areas_new(id, "name", &device, 1, &areas, &err), 0);
    return areas;
}

/* A process of the instance. */
static struct ledger_client *join(struct ledger_areas *areas, int pid, uint32_t *ret_slot)
{
    struct ledger_client *client;
    uint32_t generation;

    assert_int_equal(ledger_slot_grant(areas, pid, 1000, 0, "x", ret_slot, &generation), 0);
    assert_int_equal(ledger_client_new(areas->limits_fd, areas->ledger_fd, sizeof(struct ledger_limits),
                                       sizeof(struct ledger), *ret_slot, &client),
                     0);
    return client;
}

/* The old vgpud dies: its mappings and descriptors go, the keeper's stay. */
static struct ledger_areas take_over(struct ledger_areas *old, const char *id)
{
    int limits_fd = dup(old->limits_fd), ledger_fd = dup(old->ledger_fd);
    struct ledger_areas areas;
    struct error err;

    ledger_areas_free(old);
    assert_int_equal(ledger_areas_adopt(id, limits_fd, ledger_fd, &areas, &err), 0);
    close(limits_fd);
    return areas;
}

static uint64_t used_bytes(const struct ledger_areas *areas)
{
    struct ledger_usage usage;

    ledger_usage_read(areas->ledger, areas->limits, 0, &usage);
    return usage.used_bytes;
}

static void the_account_goes_on_where_it_was(void **unused)
{
    struct ledger_areas areas = make("v1");
    struct ledger_slot_left left;
    uint32_t live, dead, epoch;
    struct ledger_client *a = join(&areas, 11, &live), *b = join(&areas, 12, &dead);

    assert_int_equal(ledger_reserve(a, 0, 3 * MIB), 0);
    assert_int_equal(ledger_reserve(b, 0, 5 * MIB), 0);
    ledger_limit_set(&areas, 0, 2 * GIB);
    epoch = areas.limits->epoch;
    areas = take_over(&areas, "v1");
    assert_int_equal(ledger_reserve(a, 0, 4 * MIB), 0); /* it knows nothing of all this */
    assert_int_equal(used_bytes(&areas), 12 * MIB);
    assert_int_equal(areas.limits->epoch, epoch + 1);
    assert_int_equal(areas.limits->devices[0].memory_limit_bytes, 2 * GIB);

    assert_true(ledger_slot_left(&areas, live, &left));
    assert_true(left.is_live && left.pid == 11 && left.start_ticks == 1000 && left.generation == 1);
    assert_int_equal(ledger_slot_adopt(&areas, live, &left), 0);
    assert_int_equal(ledger_slot_adopt(&areas, live, &left), -EEXIST);
    assert_false(ledger_slot_left(&areas, live, &left));
    assert_true(ledger_slot_left(&areas, dead, &left));
    assert_int_equal(ledger_slot_adopt(&areas, dead, &left), 0);
    assert_int_equal(ledger_slot_reap(&areas, dead, NULL), 0);
    assert_int_equal(used_bytes(&areas), 7 * MIB);
    assert_false(ledger_slot_left(&areas, dead, &left));

    ledger_client_free(b);
    b = join(&areas, 13, &dead); /* a slot is never handed out twice under one generation */
    assert_int_equal(ledger_slot_generation(&areas, dead), 2);
    ledger_release(a, 0, 7 * MIB);
    assert_int_equal(used_bytes(&areas), 0);
    ledger_client_free(a);
    ledger_client_free(b);
    ledger_areas_free(&areas);
}

static void a_client_follows_to_the_new_limits(void **unused)
{
    struct ledger_areas areas = make("v1"), other = make("v2");
    uint32_t slot;
    struct ledger_client *client = join(&areas, 11, &slot);
    int wrong = memfd_create("wrong", MFD_ALLOW_SEALING);

    areas = take_over(&areas, "v1");
    ledger_limit_set(&areas, 0, 64 * MIB);
    assert_int_equal(ledger_limit_bytes(client, 0), GIB);
    assert_int_equal(ledger_client_limits_replace(client, other.limits_fd, sizeof(struct ledger_limits)),
                     -EBADMSG);
    assert_int_equal(ledger_client_limits_replace(client, areas.limits_fd, sizeof(struct ledger_limits) - 1),
                     -EBADMSG);
    assert_int_equal(ledger_client_limits_replace(client, wrong, sizeof(struct ledger_limits)), -EBADMSG);
    assert_int_equal(ftruncate(wrong, sizeof(struct ledger_limits)), 0);
    assert_int_equal(ledger_client_limits_replace(client, wrong, sizeof(struct ledger_limits)),
                     -EBADMSG); /* it could shrink */
    assert_int_equal(ledger_limit_bytes(client, 0), GIB);
    assert_int_equal(ledger_client_limits_replace(client, areas.limits_fd, sizeof(struct ledger_limits)), 0);
    assert_int_equal(ledger_limit_bytes(client, 0), 64 * MIB);
    assert_int_equal(ledger_reserve(client, 0, 65 * MIB), -ENOMEM);
    ledger_limit_set(&areas, 0, 128 * MIB);
    assert_int_equal(ledger_reserve(client, 0, 65 * MIB), 0);
    close(wrong);
    ledger_client_free(client);
    ledger_areas_free(&areas);
    ledger_areas_free(&other);
}

static void refused(const char *id, int limits_fd, int ledger_fd)
{
    struct ledger_areas areas = {.limits_fd = -7};
    struct error err = {0};

    assert_int_equal(ledger_areas_adopt(id, limits_fd, ledger_fd, &areas, &err), -EBADMSG);
    assert_int_equal(areas.limits_fd, -7);
    assert_true(strlen(err.text) > 10);
}

/* A memfd like an area, but not sealed as one. */
static int copy_of(int fd, size_t bytes, int seals)
{
    int copy = memfd_create("copy", MFD_ALLOW_SEALING);
    void *from = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(copy >= 0 && from != MAP_FAILED);
    assert_int_equal(write(copy, from, bytes), bytes);
    munmap(from, bytes);
    assert_int_equal(fcntl(copy, F_ADD_SEALS, seals), 0);
    return copy;
}

static void what_is_no_account_is_refused(void **unused)
{
    const int kept = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct ledger_areas areas = make("v1"), other = make("v2");
    int unsealed = copy_of(areas.limits_fd, sizeof(struct ledger_limits), 0),
        writable = copy_of(areas.limits_fd, sizeof(struct ledger_limits), kept),
        shrinks = copy_of(areas.ledger_fd, sizeof(struct ledger), F_SEAL_GROW | F_SEAL_SEAL),
        null = open("/dev/null", O_RDWR);

    refused("v2", areas.limits_fd, areas.ledger_fd);
    refused("v1", areas.ledger_fd, areas.limits_fd);
    refused("v1", areas.limits_fd, other.ledger_fd);
    refused("v1", areas.limits_fd, areas.limits_fd);
    refused("v1", unsealed, areas.ledger_fd);
    refused("v1", writable, areas.ledger_fd); /* a tenant could write the limits */
    refused("v1", areas.limits_fd, shrinks);
    refused("v1", null, areas.ledger_fd);
    refused("v1", areas.limits_fd, null);
    refused("v1", -1, -1);
    areas.ledger->magic = 0;
    refused("v1", areas.limits_fd, areas.ledger_fd);
    close(unsealed);
    close(writable);
    close(shrinks);
    close(null);
    ledger_areas_free(&areas);
    ledger_areas_free(&other);
}

static void lies_in_a_ledger_cost_its_own_instance_alone(void **unused)
{
    struct ledger_areas areas = make("v1");
    struct ledger_slot_left left;
    uint32_t slot;
    struct ledger_client *client = join(&areas, 11, &slot);

    areas.ledger->slots_mark = UINT32_MAX;
    areas.ledger->shared_mark = UINT32_MAX;
    memset(areas.ledger->slots, 0xff, sizeof(areas.ledger->slots));
    areas = take_over(&areas, "v1");
    for (uint32_t i = 0; i <= LEDGER_SLOTS_MAX; i++) {
        if (!ledger_slot_left(&areas, i, &left))
            continue;
        assert_int_equal(left.command[sizeof(left.command) - 1], '\0');
        assert_int_equal(ledger_slot_adopt(&areas, i, &left), 0);
        ledger_slot_reap(&areas, i, NULL);
    }
    ledger_client_free(client);
    ledger_areas_free(&areas);
}

static void signals_are_mapped_as_their_descriptor_allows(void **unused)
{
    struct ledger_areas areas = make("v1");
    struct ledger_signals *mine, *again;
    uint32_t slot;
    struct ledger_client *client = join(&areas, 11, &slot);
    char path[40];
    struct error err;
    int fd, read_only;

    assert_int_equal(ledger_signals_new(&fd, &mine, &err), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_only = open(path, O_RDONLY);
    assert_null(ledger_client_signals(client));
    assert_int_equal(ledger_client_signals_map(client, areas.ledger_fd, sizeof(*mine)), -EBADMSG);
    assert_int_equal(ledger_client_signals_map(client, read_only, sizeof(*mine)), 0);
    assert_false(ledger_client_may_signal(client));
    assert_int_equal(ledger_client_signals_map(client, fd, sizeof(*mine)), 0);
    assert_true(ledger_client_may_signal(client));
    ledger_client_signals(client)->lines[1][2].begun = 9;
    assert_int_equal(mine->lines[1][2].begun, 9);
    assert_int_equal(ledger_client_signals_map(client, read_only, sizeof(*mine)), 0);
    assert_false(ledger_client_may_signal(client));
    assert_int_equal(ledger_client_signals(client)->lines[1][2].begun, 9);
    assert_int_equal(ledger_signals_adopt(fd, &again, &err), 0);
    assert_int_equal(again->lines[1][2].begun, 9);
    assert_int_equal(ledger_signals_adopt(areas.ledger_fd, &again, &err), -EBADMSG);
    close(read_only);
    ledger_signals_free(fd, mine);
    ledger_client_free(client);
    ledger_areas_free(&areas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_account_goes_on_where_it_was),
        cmocka_unit_test(a_client_follows_to_the_new_limits),
        cmocka_unit_test(what_is_no_account_is_refused),
        cmocka_unit_test(lies_in_a_ledger_cost_its_own_instance_alone),
        cmocka_unit_test(signals_are_mapped_as_their_descriptor_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
