/* Promises of cgroup.c: which paths are control groups of instances, and what /proc/PID/cgroup is read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/cgroup.h"

static void a_path_below_the_root_may_be_an_instances(void **unused)
{
    static const char *const good[] = {"/a", "/a/b.scope", "/system.slice/docker-0123.scope", "/...",
                                       "/a/..b"};
    static const char *const bad[] = {"",   "/",   "a",     "a/b",     "//",     "/a/",   "/a//b",
                                      "/.", "/..", "/a/..", "/a/../b", "/a/./b", "/a\nb", "/\xc3\xa4"};
    char longest[CGROUP_MAX + 1];

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(cgroup_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(cgroup_ok(bad[i]));
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[CGROUP_MAX] = '\0';
    assert_false(cgroup_ok(longest));
    longest[CGROUP_MAX - 1] = '\0';
    assert_true(cgroup_ok(longest));
}

static void a_group_contains_itself_and_what_is_below(void **unused)
{
    assert_true(cgroup_contains("/a", "/a"));
    assert_true(cgroup_contains("/a", "/a/b/c"));
    assert_false(cgroup_contains("/a", "/ab"));
    assert_false(cgroup_contains("/a/b", "/a"));
    assert_false(cgroup_contains("/b", "/a/b"));
}

static void the_unified_hierarchy_alone_is_read(void **unused)
{
    char path[CGROUP_MAX] = "untouched", too_long[CGROUP_MAX + 16] = "0::/";

    assert_true(cgroup_parse("0::/a/b\n", path));
    assert_string_equal(path, "/a/b");
    assert_true(cgroup_parse("12:memory:/wrong\n1:name=systemd:/wrong\n0::/right\n", path));
    assert_string_equal(path, "/right");
    assert_true(cgroup_parse("0::/no/newline", path));
    assert_string_equal(path, "/no/newline");
    assert_false(cgroup_parse("", path));
    assert_false(cgroup_parse("4:memory:/a\n", path));
    assert_false(cgroup_parse("0::/\n", path));
    assert_false(cgroup_parse("0::/../sibling\n", path)); /* outside of a cgroup namespace */
    memset(too_long + 4, 'x', CGROUP_MAX);
    assert_false(cgroup_parse(too_long, path));
    assert_string_equal(path, "/no/newline");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_below_the_root_may_be_an_instances),
        cmocka_unit_test(a_group_contains_itself_and_what_is_below),
        cmocka_unit_test(the_unified_hierarchy_alone_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
