/* Promises of state.c, uuid.c and inventory_decode: what vgpud wrote it reads again, and what it did not
 * write it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/inventory.h"
#include "daemon/state.h"

static char dir[] = "/tmp/vgpu-test-state-XXXXXX";
static char path[64];

static struct state_client clients[] = {
    {.process = {.pid = 12, .start_ticks = 3456},
     .slot = 3,
     .generation = 7,
     .image = UINT32_MAX,
     .command = "a"},
    {.process = {.pid = 78, .start_ticks = INT64_MAX}, .slot = UINT32_MAX, .signal_line = LEDGER_NO_SLOT}};

static struct state_instance sample(void)
{
    struct state_instance instance = {
        .id = "v001122334455",
        .name = "train",
        .owner_uid = UINT32_MAX - 1,
        .created_ms = 1700000000123,
        .sequence = 9,
        .overcommit = true,
        .persistent = true,
        .cgroup = "/a/b",
        .policy = LEDGER_FIXED_SHARE,
        .priority = LEDGER_PRIORITY_HIGH,
        .holder = {.pid = 5, .start_ticks = 6},
        .n_devices = 2,
        .n_clients = 2,
        .clients = clients,
    };

    for (unsigned d = 0; d < 2; d++) {
        memset(instance.devices[d].uuid, (int)(0xa0 + d), UUID_BYTES);
        instance.devices[d].memory_limit_bytes = 1000 + d;
        instance.devices[d].memory_capacity_bytes = INT64_MAX - d;
        instance.devices[d].share_permille = 300 + d;
        instance.devices[d].weight = 7 + d;
        instance.devices[d].time_slice_ns = 2000000 + d;
    }
    return instance;
}

static json_t *sample_document(void)
{
    struct state_instance instance = sample();

    return state_encode(&instance, "boot-1");
}

static void what_was_written_is_read_again(void **unused)
{
    struct state_instance want = sample(), got;
    json_t *document = sample_document();
    char boot_id[STATE_BOOT_ID_MAX];
    struct error err;

    assert_int_equal(state_save(path, document), 0);
    assert_int_equal(state_load(path, &got, boot_id, &err), 0);
    assert_string_equal(boot_id, "boot-1");
    assert_int_equal(got.n_clients, 2);
    assert_memory_equal(got.clients, clients, sizeof(clients));
    assert_string_equal(got.id, want.id);
    assert_string_equal(got.name, want.name);
    assert_int_equal(got.owner_uid, want.owner_uid);
    assert_int_equal(got.created_ms, want.created_ms);
    assert_int_equal(got.sequence, want.sequence);
    assert_true(got.overcommit);
    assert_true(got.persistent);
    assert_string_equal(got.cgroup, "/a/b");
    assert_int_equal(got.policy, LEDGER_FIXED_SHARE);
    assert_int_equal(got.priority, LEDGER_PRIORITY_HIGH);
    assert_memory_equal(&got.holder, &want.holder, sizeof(want.holder));
    assert_int_equal(got.n_devices, 2);
    assert_memory_equal(got.devices, want.devices, sizeof(want.devices));
    state_done(&got);
    json_decref(document);
}

static void the_file_is_private_and_no_half_of_it_stays(void **unused)
{
    json_t *document = sample_document();
    char fresh[80];
    struct stat st;

    assert_int_equal(state_save(path, document), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    assert_int_equal(access(fresh, F_OK), -1);
    assert_int_equal(state_save("/tmp/vgpu-test-no-such-dir/state", document), -ENOENT);
    json_decref(document);
}

static void a_missing_file_is_no_error_text(void **unused)
{
    char boot_id[STATE_BOOT_ID_MAX];
    struct state_instance state;
    struct error err;

    assert_int_equal(state_load("/tmp/vgpu-test-no-such-file", &state, boot_id, &err), -ENOENT);
}

static void write_text(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void what_is_not_ours_is_refused_with_a_reason(void **unused)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "not JSON"},
        {"{\"format\":", "not JSON"},
        {"[1,2,3]", "not a state file"},
        {"{\"format\":\"other\"}", "not a state file"},
        {"{\"format\":\"vgpud-instance\",\"version\":1,\"boot_id\":\"\"}", "version"},
        {"{\"format\":\"vgpud-instance\",\"version\":2}", "boot_id"},
        {"{\"format\":\"vgpud-instance\",\"version\":2,\"boot_id\":\"\",\"id\":\"\"}", "malformed"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char boot_id[STATE_BOOT_ID_MAX];
        struct state_instance state;
        struct error err = {0};

        write_text(cases[i].text);
        assert_int_equal(state_load(path, &state, boot_id, &err), -EINVAL);
        assert_non_null(strstr(err.text, cases[i].reason));
    }
}

/* Each member of `whole` in turn: taken away, or of another type, or out of range. `whole` is a part of the
 * document. Returns how many were tried. */
static unsigned try_wrong_members(json_t *document, json_t *whole)
{
    json_t *const wrong[] = {NULL, json_null(), json_integer(-1), json_string("x\ny"), json_array()};
    json_t *good = json_deep_copy(whole);
    void *at = json_object_iter(good);
    unsigned n = 0;

    for (; at; at = json_object_iter_next(good, at)) {
        for (size_t w = 0; w < sizeof(wrong) / sizeof(*wrong); w++, n++) {
            const char *key = json_object_iter_key(at);
            bool fine = json_is_string(wrong[w]) && json_is_string(json_object_get(good, key)) &&
                        strcmp(key, "format");
            struct state_instance instance;
            char boot_id[STATE_BOOT_ID_MAX];
            struct error err;

            fine |= json_is_array(wrong[w]) && !strcmp(key, "clients");
            if (wrong[w])
                json_object_set(whole, key, wrong[w]);
            else
                json_object_del(whole, key);
            assert_int_equal(state_decode(document, &instance, boot_id, &err), fine ? 0 : -EINVAL);
            if (fine)
                state_done(&instance);
            json_object_set(whole, key, json_object_get(good, key));
        }
    }
    for (size_t w = 0; w < sizeof(wrong) / sizeof(*wrong); w++)
        json_decref(wrong[w]);
    json_decref(good);
    return n;
}

static void an_instance_with_any_member_wrong_is_refused(void **unused)
{
    json_t *document = sample_document();

    assert_int_equal(try_wrong_members(document, document), 16 * 5);
    assert_int_equal(try_wrong_members(document, json_array_get(json_object_get(document, "clients"), 0)),
                     8 * 5);
    json_decref(document);
}

/* A slot that no ledger has would be written to. */
static void a_slot_out_of_range_is_refused(void **unused)
{
    json_t *document = sample_document();
    struct state_instance instance;
    char boot_id[STATE_BOOT_ID_MAX];
    struct error err;

    json_object_set_new(json_array_get(json_object_get(document, "clients"), 0), "slot",
                        json_integer(LEDGER_SLOTS_MAX));
    assert_int_equal(state_decode(document, &instance, boot_id, &err), -EINVAL);
    json_decref(document);
}

static void a_link_is_not_followed(void **unused)
{
    char link[80];
    char boot_id[STATE_BOOT_ID_MAX];
    struct state_instance state;
    struct error err;

    snprintf(link, sizeof(link), "%s.link", path);
    write_text("{}");
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(state_load(link, &state, boot_id, &err), -ELOOP);
    unlink(link);
}

/* ---- UUIDs, and a probe's answer ---- */

static void a_uuid_reads_as_it_was_written(void **unused)
{
    uint8_t uuid[UUID_BYTES], again[UUID_BYTES];
    char text[UUID_TEXT_BYTES];

    assert_int_equal(uuid_parse("GPU-0011AAff-2233-4455-6677-8899aabbccdd", uuid), 0);
    assert_string_equal(uuid_format(uuid, text), "GPU-0011aaff-2233-4455-6677-8899aabbccdd");
    assert_int_equal(uuid_parse(text + 4, again), 0);
    assert_memory_equal(uuid, again, UUID_BYTES);
}

static void a_text_that_is_no_uuid_is_refused(void **unused)
{
    static const char *const texts[] = {"",
                                        "GPU-",
                                        "0",
                                        "GPU-0011aaff-2233-4455-6677-8899aabbccd",
                                        "GPU-0011aaff-2233-4455-6677-8899aabbccdd0",
                                        "GPU-0011aaff22334455-6677-8899aabbccdd",
                                        "GPU-0011aaff-2233-4455-6677-8899aabbccdg"};
    uint8_t uuid[UUID_BYTES];

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(uuid_parse(texts[i], uuid), -EINVAL);
}

static void a_probes_answer_becomes_devices(void **unused)
{
    json_t *answer = json_loads(
        "{\"driver_dir\":\"/lib\",\"driver_version\":\"580\\u0007\",\"error\":\"\",\"devices\":[{\"uuid\":"
        "\"GPU-0011aaff-2233-4455-6677-8899aabbccdd\",\"name\":\"A \\u001b[31mB\",\"pci_bus_id\":\"0\","
        "\"memory_capacity_bytes\":1024,\"memory_used_bytes\":24}]}",
        0, NULL);
    struct inventory_source source;
    struct error err;

    assert_int_equal(inventory_decode(answer, INVENTORY_NVIDIA, &source, &err), 0);
    assert_int_equal(source.state, INVENTORY_PRESENT);
    assert_int_equal(source.n_devices, 1);
    assert_string_equal(source.devices[0].name, "A ?[31mB"); /* nothing of it steers a terminal */
    assert_string_equal(source.driver_version, "580?");
    assert_int_equal(source.devices[0].memory_capacity_bytes, 1024);
    assert_int_equal(source.devices[0].memory_used_bytes, 24);
    json_decref(answer);
}

static void an_answer_without_devices_says_why(void **unused)
{
    json_t *answer = json_loads(
        "{\"driver_dir\":\"\",\"driver_version\":\"\",\"error\":\"no driver was found\",\"devices\":[]}", 0,
        NULL);
    struct inventory_source source;
    struct error err;

    assert_int_equal(inventory_decode(answer, INVENTORY_NVIDIA, &source, &err), 0);
    assert_int_equal(source.state, INVENTORY_ABSENT);
    assert_string_equal(source.error.text, "no driver was found");
    json_decref(answer);
}

static void a_malformed_answer_changes_nothing(void **unused)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"devices\":7}",
        "{\"devices\":[{}]}",
        "{\"devices\":[{\"uuid\":\"GPU-0011aaff-2233-4455-6677-8899aabbccdd\",\"memory_capacity_bytes\":0}]}",
        "{\"devices\":[{\"uuid\":\"nonsense\",\"memory_capacity_bytes\":1}]}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_t *answer = json_loads(texts[i], 0, NULL);
        struct inventory_source source = {.n_devices = 77};
        struct error err;

        assert_int_equal(inventory_decode(answer, INVENTORY_SOFTWARE, &source, &err), -EINVAL);
        assert_int_equal(source.n_devices, 77);
        json_decref(answer);
    }
}

static int make_dir(void **unused)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/state", dir);
    return 0;
}

static int remove_dir(void **unused)
{
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(the_file_is_private_and_no_half_of_it_stays),
        cmocka_unit_test(a_missing_file_is_no_error_text),
        cmocka_unit_test(what_is_not_ours_is_refused_with_a_reason),
        cmocka_unit_test(an_instance_with_any_member_wrong_is_refused),
        cmocka_unit_test(a_slot_out_of_range_is_refused),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(a_uuid_reads_as_it_was_written),
        cmocka_unit_test(a_text_that_is_no_uuid_is_refused),
        cmocka_unit_test(a_probes_answer_becomes_devices),
        cmocka_unit_test(an_answer_without_devices_says_why),
        cmocka_unit_test(a_malformed_answer_changes_nothing),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
