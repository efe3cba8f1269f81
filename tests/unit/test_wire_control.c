/* The control socket's framing: what is accepted, what is refused, and that descriptors travel. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdpass.h"
#include "wire/control.h"

struct message {
    struct control_header header;
    char body[32];
};

static struct message message_ok(void)
{
    struct message m = {
        .header = {
            .magic = CONTROL_MAGIC, .major = CONTROL_MAJOR, .type = CONTROL_JSON, .bytes = sizeof(m.body)}};

    return m;
}

static void a_whole_message_is_accepted(void **state)
{
    struct message m = message_ok();
    struct control_header header;

    assert_int_equal(control_check(&m, sizeof(m), &header), 0);
    assert_int_equal(header.type, CONTROL_JSON);
    assert_int_equal(header.bytes, sizeof(m.body));
}

static void a_higher_minor_is_accepted(void **state)
{
    struct message m = message_ok();
    struct control_header header;

    m.header.minor = CONTROL_MINOR + 7;
    assert_int_equal(control_check(&m, sizeof(m), &header), 0);
}

static void another_major_is_told_apart_from_garbage(void **state)
{
    struct message m = message_ok();
    struct control_header header;

    m.header.major = CONTROL_MAJOR + 1;
    assert_int_equal(control_check(&m, sizeof(m), &header), -EPROTO);
    m.header.magic = 0x20544547;
    assert_int_equal(control_check(&m, sizeof(m), &header), -EBADMSG);
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
    struct message m = message_ok();
    struct control_header header;

    for (size_t bytes = 0; bytes < sizeof(m); bytes++)
        assert_int_equal(control_check(&m, bytes, &header), -EBADMSG);
    m.header.bytes = UINT32_MAX;
    assert_int_equal(control_check(&m, sizeof(m), &header), -EBADMSG);
}

static void a_sent_message_arrives_whole_with_its_descriptors(void **state)
{
    struct control_attached body = {.slot = 7, .limits_bytes = 1, .ledger_bytes = 2, .instance = "i"}, got;
    unsigned char buf[512];
    struct control_header header;
    int pair[2], fds[2], n_fds = 2, null;
    ssize_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(null >= 0);
    assert_int_equal(control_send(pair[0], CONTROL_ATTACHED, &body, sizeof(body), (int[]){null, null}, 2), 0);
    n = fdpass_recv(pair[1], buf, sizeof(buf), fds, &n_fds, 0);
    assert_int_equal(control_check(buf, (size_t)n, &header), 0);
    assert_int_equal(header.type, CONTROL_ATTACHED);
    assert_int_equal(header.bytes, sizeof(got));
    memcpy(&got, buf + sizeof(header), sizeof(got));
    assert_memory_equal(&got, &body, sizeof(body));
    assert_int_equal(n_fds, 2);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(pair[i]);
    }
    close(null);
}

static void a_large_message_is_sent_and_one_too_large_refused(void **state)
{
    enum { LARGE = 100000 };
    char *body = calloc(1, CONTROL_MESSAGE_MAX), *buf = malloc(CONTROL_MESSAGE_MAX);
    struct control_header header;
    int pair[2];
    ssize_t n;

    assert_non_null(body);
    assert_non_null(buf);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    body[LARGE - 1] = 'z';
    assert_int_equal(control_send(pair[0], CONTROL_JSON, body, LARGE, NULL, 0), 0);
    n = fdpass_recv(pair[1], buf, CONTROL_MESSAGE_MAX, NULL, NULL, 0);
    assert_int_equal(control_check(buf, (size_t)n, &header), 0);
    assert_int_equal(header.bytes, LARGE);
    assert_int_equal(buf[sizeof(header) + LARGE - 1], 'z');
    assert_int_equal(control_send(pair[0], CONTROL_JSON, body, CONTROL_MESSAGE_MAX, NULL, 0), -EMSGSIZE);
    close(pair[0]);
    close(pair[1]);
    free(body);
    free(buf);
}

static void connecting_says_why_it_fails(void **state)
{
    char path[300];

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(control_connect(path), -ENAMETOOLONG);
    assert_int_equal(control_connect("/nonexistent/vgpud.sock"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_message_is_accepted),
        cmocka_unit_test(a_higher_minor_is_accepted),
        cmocka_unit_test(another_major_is_told_apart_from_garbage),
        cmocka_unit_test(lengths_that_do_not_fit_are_refused),
        cmocka_unit_test(a_sent_message_arrives_whole_with_its_descriptors),
        cmocka_unit_test(a_large_message_is_sent_and_one_too_large_refused),
        cmocka_unit_test(connecting_says_why_it_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
