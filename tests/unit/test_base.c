/* Promises of src/base: amounts are read exactly or refused by name, descriptors travel, processes are named beyond pid reuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fdpass.h"
#include "base/paths.h"
#include "base/units.h"

static void amounts_are_read_exactly(void **state)
{
    static const struct { const char *text; uint64_t bytes; } rows[] = {
        {"1", 1}, {"512M", 512 * MIB}, {"512m", 512 * MIB}, {"2G", 2 * GIB}, {"2GiB", 2 * GIB}, {"2gb", 2 * GIB},
        {"1.5G", GIB + GIB / 2}, {"0.25k", 256}, {"3T", 3 * TIB}, {"100B", 100}, {"1.001K", 1025}};
    struct error err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 0;

        assert_int_equal(units_parse_bytes(rows[i].text, &bytes, &err), 0);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

static void an_amount_that_is_none_is_refused_by_name(void **state)
{
    static const char *const rows[] = {"",   "G",   "-1G",  "0",    "0.0G", "1X",  "1Gx", "1 G", "1e9",
                                       "1.", "12%", "nan", "99999999999G", "18446744073709551616", "1.G", "G1"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {0};
        uint64_t bytes = 77;

        assert_true(units_parse_bytes(rows[i], &bytes, &err) < 0);
        assert_int_equal(bytes, 77);
        assert_non_null(strstr(err.text, rows[i]));
    }
}

static void percentages_are_per_mille_between_nothing_and_all(void **state)
{
    static const char *const bad[] = {"0%", "0.0%", "100.1%", "101%", "25", "%", "12.55%", "-3%", "25 %", "99999999999999999999%"};
    struct error err;
    unsigned permille;

    assert_int_equal(units_parse_percent("25%", &permille, &err), 0);
    assert_int_equal(permille, 250);
    assert_int_equal(units_parse_percent("12.5%", &permille, &err), 0);
    assert_int_equal(permille, 125);
    assert_int_equal(units_parse_percent("100%", &permille, &err), 0);
    assert_int_equal(permille, 1000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(units_parse_percent(bad[i], &permille, &err) < 0);
}

static void amounts_are_printed_as_people_write_them(void **state)
{
    char buf[32];

    assert_string_equal(units_format_bytes(17, buf, sizeof(buf)), "17 B");
    assert_string_equal(units_format_bytes(512 * MIB, buf, sizeof(buf)), "512 MiB");
    assert_string_equal(units_format_bytes(GIB + GIB / 2, buf, sizeof(buf)), "1.50 GiB");
    assert_string_equal(units_format_bytes(UINT64_MAX, buf, sizeof(buf)), "16777216.00 TiB");
}

static void times_are_printed_for_people(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "0 ns"},
                 {999, "999 ns"},
                 {1500, "1.50 us"},
                 {2500000, "2.50 ms"},
                 {38 * NS_PER_MS, "38.0 ms"},
                 {12340 * NS_PER_MS, "12.3 s"},
                 {245 * NS_PER_S, "4 min 05 s"},
                 {11220 * NS_PER_S, "3 h 07 min"}};
    char buf[32];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(units_format_ns(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

static void an_error_keeps_its_code_when_a_prefix_is_put_before_it(void **state)
{
    struct error err;

    assert_int_equal(error_fail(&err, -ENOENT, "no device '%s'", "x"), -ENOENT);
    assert_int_equal(error_prefix(&err, "run"), -ENOENT);
    assert_string_equal(err.text, "run: no device 'x'");
    assert_int_equal(error_fail(NULL, -EINVAL, "nobody reads this"), -EINVAL);
}

static void descriptors_travel_with_a_message(void **state)
{
    int pair[2], pipe_fds[2], got[2], n = 2;
    char byte = 0, buf[16];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fdpass_send(pair[0], "hello", 5, pipe_fds, 2), 5);
    assert_int_equal(fdpass_recv(pair[1], buf, sizeof(buf), got, &n, 0), 5);
    assert_int_equal(n, 2);
    assert_int_equal(write(got[1], "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(pipe_fds[i]);
        close(got[i]);
    }
}

static void unasked_descriptors_are_closed_and_the_message_refused(void **state)
{
    int pair[2], devnull = dup(0), before, n = 0;
    char buf[16];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    before = dup(0);
    close(before);
    assert_int_equal(fdpass_send(pair[0], "hello", 5, &devnull, 1), 5);
    assert_int_equal(fdpass_recv(pair[1], buf, sizeof(buf), NULL, &n, 0), -EMSGSIZE);
    assert_int_equal(dup(0), before); /* the lowest free number is what it was: nothing leaked */
    close(before);
    assert_int_equal(fdpass_send(pair[0], "0123456789abcdefg", 17, NULL, 0), 17);
    assert_int_equal(fdpass_recv(pair[1], buf, sizeof(buf), NULL, NULL, 0), -EMSGSIZE);
    close(devnull);
    close(pair[0]);
    close(pair[1]);
}

static void the_kernel_names_the_peer(void **state)
{
    struct fdpass_peer peer;
    int pair[2], pidfd;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fdpass_peer(pair[0], &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    pidfd = fdpass_peer_pidfd(pair[0]);
    assert_true(pidfd >= 0);
    close(pidfd);
    close(pair[0]);
    close(pair[1]);
}

static void a_process_has_one_start_time_and_a_missing_one_has_none(void **state)
{
    uint64_t first = 0, second = 1;

    assert_int_equal(clock_process_start(getpid(), &first), 0);
    assert_int_equal(clock_process_start(getpid(), &second), 0);
    assert_true(first > 0 && first == second);
    assert_int_equal(clock_process_start(-1, &first), -ESRCH);
}

static void a_private_directory_is_refused_when_others_may_write_it(void **state)
{
    char dir[] = "/tmp/vgpu-test-XXXXXX", inner[64];

    assert_non_null(mkdtemp(dir));
    snprintf(inner, sizeof(inner), "%s/a/b", dir);
    assert_int_equal(paths_make_private_dir(inner), 0);
    assert_int_equal(paths_make_private_dir(inner), 0);
    assert_int_equal(chmod(inner, 0777), 0);
    assert_int_equal(paths_make_private_dir(inner), -EPERM);
    rmdir(inner);
    snprintf(inner, sizeof(inner), "%s/a", dir);
    rmdir(inner);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_exactly),
        cmocka_unit_test(an_amount_that_is_none_is_refused_by_name),
        cmocka_unit_test(percentages_are_per_mille_between_nothing_and_all),
        cmocka_unit_test(amounts_are_printed_as_people_write_them),
        cmocka_unit_test(times_are_printed_for_people),
        cmocka_unit_test(an_error_keeps_its_code_when_a_prefix_is_put_before_it),
        cmocka_unit_test(descriptors_travel_with_a_message),
        cmocka_unit_test(unasked_descriptors_are_closed_and_the_message_refused),
        cmocka_unit_test(the_kernel_names_the_peer),
        cmocka_unit_test(a_process_has_one_start_time_and_a_missing_one_has_none),
        cmocka_unit_test(a_private_directory_is_refused_when_others_may_write_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
