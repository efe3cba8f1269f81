/* Promises of the description of devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "base/units.h"
#include "softgpu/device/describe.h"

static struct describe parsed;

static void parse(const char *text)
{
    struct error err = {0};

    memset(&parsed, 0xee, sizeof(parsed));
    if (describe_parse(text, &parsed, &err) < 0)
        fail_msg("'%s': %s", text, err.text);
}

/* text is refused, and the words name each of the three. */
static void refuse(const char *text, const char *key, const char *value, const char *expected)
{
    struct error err = {0};

    memset(&parsed, 0, sizeof(parsed));
    assert_true(describe_parse(text, &parsed, &err) < 0);
    assert_int_equal(parsed.n_devices, 0);
    if (!strstr(err.text, key) || !strstr(err.text, value) || !strstr(err.text, expected))
        fail_msg("'%s' gave: %s", text, err.text);
}

static void without_a_description_there_is_one_sane_device(void **state)
{
    static const char *const empty[] = {NULL, "", " ; ,"};

    for (unsigned i = 0; i < 3; i++) {
        parse(empty[i]);
        assert_int_equal(parsed.n_devices, 1);
        assert_string_equal(parsed.devices[0].name, "vgpu Software GPU");
        assert_int_equal(parsed.devices[0].sm_count, 8);
        assert_int_equal(parsed.devices[0].memory_bytes, 16 * GIB);
        assert_int_equal(parsed.devices[0].compute_major, 7);
        assert_int_equal(parsed.devices[0].compute_minor, 5);
        assert_int_equal(parsed.devices[0].time_mode, SGDEV_TIME_PACED);
        assert_int_equal(parsed.devices[0].granule_bytes, 2 * MIB);
    }
}

static void every_key_reaches_its_field(void **state)
{
    const struct sgdev_properties *d = &parsed.devices[0];

    parse("name=Software A, memory=3G, sms=4, uuid=GPU-01234567-89ab-cdef-0123-456789ABCDEF, cc=8.6, "
          "clock=1.5GHz, memclock=800, "
          "bus=384, context=65M, time=virtual, ips=1.5M, copy=6G, devcopy=100G, launch=7us, slice=500us, "
          "preempt=no, switch=0");
    assert_int_equal(parsed.n_devices, 1);
    assert_string_equal(d->name, "Software A");
    assert_int_equal(d->memory_bytes, 3 * GIB);
    assert_int_equal(d->sm_count, 4);
    assert_int_equal(d->uuid[0], 0x01);
    assert_int_equal(d->uuid[15], 0xef);
    assert_int_equal(d->compute_major, 8);
    assert_int_equal(d->compute_minor, 6);
    assert_int_equal(d->clock_khz, 1500000);
    assert_int_equal(d->memory_clock_khz, 800000);
    assert_int_equal(d->bus_width_bits, 384);
    assert_int_equal(d->context_bytes, 66 * MIB); /* whole granules */
    assert_int_equal(d->time_mode, SGDEV_TIME_VIRTUAL);
    assert_int_equal(d->ips_per_sm, 1500000);
    assert_int_equal(d->copy_bytes_per_s, 6 * GIB);
    assert_int_equal(d->device_copy_bytes_per_s, 100 * GIB);
    assert_int_equal(d->launch_ns, 7000);
    assert_int_equal(d->n_time_slices, 1);
    assert_int_equal(d->time_slices_ns[0], 500000);
    assert_true(d->runs_to_end);
    assert_int_equal(d->switch_ns, 0);
}

static void turns_may_have_a_pattern_of_lengths(void **state)
{
    const struct sgdev_properties *d = &parsed.devices[0];
    uint64_t first;

    parse("slices=2ms/500us/1ms");
    assert_int_equal(d->n_time_slices, 3);
    assert_int_equal(d->time_slices_ns[0], 2000000);
    assert_int_equal(d->time_slices_ns[1], 500000);
    assert_int_equal(d->time_slices_ns[2], 1000000);
    first = describe_fingerprint(&parsed);
    parse("slices=2ms/500us/2ms");
    assert_true(describe_fingerprint(&parsed) != first);
    parse("slices=1ms/3ms,slice=700us"); /* the latter of the two counts */
    assert_int_equal(d->n_time_slices, 1);
    assert_int_equal(d->time_slices_ns[0], 700000);
    assert_false(d->runs_to_end);
    first = describe_fingerprint(&parsed);
    parse("slice=700us,preempt=no");
    assert_true(describe_fingerprint(&parsed) != first);
    parse("slice=700us,preempt=yes");
    assert_true(describe_fingerprint(&parsed) == first);
}

static void count_and_semicolons_make_several_devices(void **state)
{
    parse("count=2,name=A,sms=2;name=B,time=asap");
    assert_int_equal(parsed.n_devices, 3);
    assert_string_equal(parsed.devices[1].name, "A");
    assert_int_equal(parsed.devices[1].sm_count, 2);
    assert_string_equal(parsed.devices[2].name, "B");
    assert_int_equal(parsed.devices[2].sm_count, 8);
    assert_int_equal(parsed.devices[2].pci_bus, parsed.devices[0].pci_bus + 2);
    assert_memory_not_equal(parsed.devices[0].uuid, parsed.devices[1].uuid, 16);
    parse("count=0");
    assert_int_equal(parsed.n_devices, 0);
}

static void a_uuid_depends_on_name_and_ordinal_alone(void **state)
{
    uint8_t uuid[16];

    parse("count=2");
    memcpy(uuid, parsed.devices[1].uuid, 16);
    parse("name=other,memory=1G;memory=8G,sms=3");
    assert_memory_equal(parsed.devices[1].uuid, uuid, 16);
    assert_int_equal(uuid[6] >> 4, 8); /* RFC 9562: version 8 */
    assert_int_equal(uuid[8] >> 6, 2);
}

static void a_mistake_is_named_with_what_is_expected(void **state)
{
    refuse("memory=lots", "memory", "lots", "expected");
    refuse("memory=1K", "memory", "1K", "2 MiB");
    refuse("sms=0", "sms", "0", "from 1 to 1024");
    refuse("sms=8x", "sms", "8x", "number");
    refuse("cc=75", "cc", "75", "7.5");
    refuse("time=fast", "time", "fast", "virtual");
    refuse("slice=2", "slice", "2", "2ms");
    refuse("slices=2ms/", "slices", "2ms/", "500us");
    refuse("slices=2ms/49us", "slices", "49us", "50000ns");
    refuse("slices=1ms/1ms/1ms/1ms/1ms/1ms/1ms/1ms/1ms", "slices", "1ms/1ms", "at most 8");
    refuse("preempt=maybe", "preempt", "maybe", "yes or no");
    refuse("clock=fast", "clock", "fast", "1.5GHz");
    refuse("uuid=123", "uuid", "123", "32 hex digits");
    refuse("count=2,uuid=0123456789abcdef0123456789abcdef", "uuid", "2", "by itself");
    refuse("colour=red", "colour", "colour", "memory");
    refuse("memory", "memory", "memory", "key=value");
    refuse("count=17", "count", "17", "16");
    refuse("count=9;count=9", "device entry 2", "16", "devices");
    refuse("memory=32M,context=64M", "context", "memory", "more");
    refuse("uuid=0123456789abcdef0123456789abcdef;uuid=0123456789abcdef0123456789abcdef", "0 and 1", "uuid",
           "same");
    refuse("name=", "name", "name", "1 to 63");
    refuse("ips=99999999999999999999999", "ips", "9999", "number");
}

static void a_file_has_one_device_a_line(void **state)
{
    char path[] = "/tmp/test_sgdev_describe.XXXXXX", text[64];
    int fd = mkstemp(path);
    const char lines[] = "# two devices\nname=A, memory=1G   # small\n\n  name=B\n";

    assert_true(fd >= 0);
    assert_int_equal(write(fd, lines, sizeof(lines) - 1), sizeof(lines) - 1);
    snprintf(text, sizeof(text), "@%s", path);
    parse(text);
    assert_int_equal(parsed.n_devices, 2);
    assert_string_equal(parsed.devices[0].name, "A");
    assert_string_equal(parsed.devices[1].name, "B");
    assert_int_equal(write(fd, "sms=no\n", 7), 7);
    refuse(text, "line 5", "no", "expected");
    unlink(path);
    refuse(text, path, "No such file", "");
    close(fd);
}

static void equal_devices_have_equal_fingerprints(void **state)
{
    uint64_t first;

    parse("memory=16G");
    first = describe_fingerprint(&parsed);
    parse(NULL);
    assert_true(describe_fingerprint(&parsed) == first);
    parse("count=1,sms=8");
    assert_true(describe_fingerprint(&parsed) == first);
    parse("sms=9");
    assert_true(describe_fingerprint(&parsed) != first);
    parse("count=2");
    assert_true(describe_fingerprint(&parsed) != first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_description_there_is_one_sane_device),
        cmocka_unit_test(every_key_reaches_its_field),
        cmocka_unit_test(turns_may_have_a_pattern_of_lengths),
        cmocka_unit_test(count_and_semicolons_make_several_devices),
        cmocka_unit_test(a_uuid_depends_on_name_and_ordinal_alone),
        cmocka_unit_test(a_mistake_is_named_with_what_is_expected),
        cmocka_unit_test(a_file_has_one_device_a_line),
        cmocka_unit_test(equal_devices_have_equal_fingerprints),
    };

    return cmocka_run_group_tests_name("sgdev_describe", tests, NULL, NULL);
}
