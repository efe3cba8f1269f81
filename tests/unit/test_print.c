/* Device printf: C's formatting over CUDA's packed arguments, and what a hostile kernel may try with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "softgpu/exec/print.h"

#define TEST(name) static void name(void **state)

/* The kernel's memory: an arena of this many bytes at BASE, nothing else. */
enum { MEMORY_BYTES = 1 << 16, FORMAT_AT = 0, ARGUMENTS_AT = 8192, STRINGS_AT = 16384 };
#define BASE UINT64_C(0x700000000000)

static unsigned char memory[MEMORY_BYTES];
static size_t next_argument, next_string;

static size_t memory_read(void *owner, uint64_t address, void *buffer, size_t bytes)
{
    size_t offset = (size_t)(address - BASE);

    if (address < BASE || offset >= MEMORY_BYTES)
        return 0;
    bytes = bytes < MEMORY_BYTES - offset ? bytes : MEMORY_BYTES - offset;
    memcpy(buffer, memory + offset, bytes);
    return bytes;
}

static void begin(const char *format)
{
    memset(memory, 0, sizeof memory);
    memcpy(memory + FORMAT_AT, format, strlen(format) + 1);
    next_argument = ARGUMENTS_AT;
    next_string = STRINGS_AT;
}

static void push(const void *value, size_t bytes)
{
    next_argument = (next_argument + bytes - 1) / bytes * bytes;
    memcpy(memory + next_argument, value, bytes);
    next_argument += bytes;
}

static void push_int(int value)
{
    push(&value, sizeof value);
}
static void push_long(long long value)
{
    push(&value, sizeof value);
}
static void push_double(double value)
{
    push(&value, sizeof value);
}

static void push_string(const char *text)
{
    push_long((long long)(BASE + next_string));
    memcpy(memory + next_string, text, strlen(text) + 1);
    next_string += strlen(text) + 1;
}

static char out[10000];
static size_t out_used;
static uint64_t fault;

static int print_into(size_t out_bytes)
{
    struct print_call call = {
        .format = BASE + FORMAT_AT, .arguments = BASE + ARGUMENTS_AT, .read = memory_read};
    int ret;

    memset(out, 0x7e, sizeof out);
    out_used = SIZE_MAX;
    ret = print_format(&call, out, out_bytes, &out_used, &fault);
    for (size_t i = out_bytes; i < sizeof out; i++)
        assert_int_equal(out[i], 0x7e);
    return ret;
}

static void expect(int n_arguments, const char *text)
{
    assert_int_equal(print_into(sizeof out), n_arguments);
    assert_int_equal(out_used, strlen(text));
    assert_memory_equal(out, text, out_used);
}

TEST(plain_text_and_percent_signs_pass)
{
    begin("hello, 100%% warp\n");
    expect(0, "hello, 100% warp\n");
    begin("");
    expect(0, "");
}

TEST(integers_of_every_length_are_printed_as_c_does)
{
    begin("%d %i %u %x %X %o %c|%hhd %hhu %hd %hu|%ld %lu %lld %llx %zu %jd %td");
    push_int(-5), push_int(7), push_int(-1), push_int(0xbeef), push_int(0xbeef), push_int(8), push_int('A');
    push_int(0x1ff), push_int(0x1ff), push_int(0x1ffff), push_int(0x1ffff);
    push_long(LONG_MIN), push_long(-1), push_long(-9), push_long(0x123456789abcdef), push_long(12),
        push_long(-13), push_long(-14);
    expect(18, "-5 7 4294967295 beef BEEF 10 A|-1 255 -1 65535|-9223372036854775808 18446744073709551615 -9 "
               "123456789abcdef 12 -13 -14");
}

TEST(flags_width_and_precision_agree_with_the_c_library)
{
    static const char *const conversions[] = {"%5d|",   "%-5d|", "%05d|", "%+d|",   "% d|",  "%.3d|",
                                              "%8.3d|", "%#x|",  "%#o|",  "%-+6d|", "%08x|", "%+.4d|"};
    static const char *const floats[] = {"%f|",    "%.2f|", "%10.3f|", "%-10.1f|", "%e|",   "%.0e|",
                                         "%g|",    "%G|",   "%a|",     "%A|",      "%+f|",  "%010.2f|",
                                         "%#.0f|", "%E|",   "%F|",     "% .3g|",   "%.20f|"};
    static const double values[] = {0.0,
                                    -0.0,
                                    1.0,
                                    -2.5,
                                    3.14159265358979,
                                    1e300,
                                    5e-324,
                                    __builtin_inf(),
                                    -__builtin_inf(),
                                    __builtin_nan("")};
    char want[1000];

    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
        for (int value = -1000; value <= 1000; value += 1000) {
            begin(conversions[i]);
            push_int(value);
            snprintf(want, sizeof want, conversions[i], value);
            expect(1, want);
        }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            begin(floats[i]);
            push_double(values[k]);
            snprintf(want, sizeof want, floats[i], values[k]);
            expect(1, want);
        }
}

TEST(width_and_precision_may_be_arguments)
{
    begin("[%*d] [%-*d] [%.*f] [%*.*f] [%*d] [%.*d]");
    push_int(5), push_int(42), push_int(5), push_int(42), push_int(2), push_double(3.14159), push_int(8),
        push_int(3), push_double(2.0), push_int(-5), push_int(42), push_int(-1), push_int(7);
    expect(13, "[   42] [42   ] [3.14] [   2.000] [42   ] [7]");
}

TEST(arguments_are_aligned_to_their_size)
{
    begin("%d %f %c %lld %d");
    push_int(1), push_double(2.5), push_int('x'), push_long(1LL << 40), push_int(3);
    expect(5, "1 2.500000 x 1099511627776 3");
    assert_int_equal(next_argument - ARGUMENTS_AT, 36);
}

TEST(strings_and_pointers_come_from_device_memory)
{
    begin("%s-%10s-%-10s-%.2s-%s|%p %p");
    push_string("one"), push_string("two"), push_string("three"), push_string("four"), push_long(0);
    push_long(0x7f0012345678), push_long(0);
    expect(7, "one-       two-three     -fo-(null)|0x7f0012345678 (nil)");
}

TEST(a_precision_keeps_from_reading_past_an_unterminated_string)
{
    begin("%.4s");
    push_long((long long)(BASE + MEMORY_BYTES - 4));
    memcpy(memory + MEMORY_BYTES - 4, "tail", 4);
    expect(1, "tail");
}

TEST(a_null_format_gives_minus_one)
{
    struct print_call call = {.format = 0, .read = memory_read};
    size_t bytes = 5;

    assert_int_equal(print_format(&call, out, sizeof out, &bytes, &fault), -1);
    assert_int_equal(bytes, 0);
}

TEST(unknown_conversions_are_printed_as_they_stand)
{
    begin("%q %y %n %5k %d %");
    push_int(1);
    expect(1, "%q %y %n %5k 1 %");
    begin("%-5.3");
    expect(0, "%-5.3");
}

TEST(only_32_arguments_are_formatted)
{
    char format[200] = "", want[300] = "";

    for (int i = 0; i < 34; i++)
        strcat(format, "%d ");
    begin(format);
    for (int i = 0; i < 34; i++) {
        push_int(i);
        snprintf(want + strlen(want), 8, i < 32 ? "%d " : "%%d ", i);
    }
    expect(32, want);
}

TEST(memory_that_is_not_there_is_a_fault_with_its_address)
{
    struct print_call call = {.format = BASE - 1, .arguments = BASE, .read = memory_read};
    size_t bytes = 77;

    assert_int_equal(print_format(&call, out, sizeof out, &bytes, &fault), -EFAULT);
    assert_true(fault == BASE - 1);
    assert_int_equal(bytes, 77);

    begin("%s");
    push_long(0x1234);
    assert_int_equal(print_into(sizeof out), -EFAULT);
    assert_true(fault == 0x1234);

    begin("%d");
    call.format = BASE;
    call.arguments = BASE + MEMORY_BYTES - 2;
    assert_int_equal(print_format(&call, out, sizeof out, &bytes, &fault), -EFAULT);
    assert_true(fault == call.arguments);

    memset(memory, 'x', sizeof memory); /* a format without an end */
    assert_int_equal(print_into(sizeof out), -EFAULT);
    assert_true(fault == BASE + MEMORY_BYTES);
}

TEST(output_never_passes_its_buffer)
{
    for (size_t room = 1; room < 40; room++) {
        begin("abc%20d%s%f%-9c%p");
        push_int(7), push_string("a string that is longer than the rest"), push_double(1e10), push_int('c'),
            push_long(1);
        assert_int_equal(print_into(room), 5);
        assert_int_equal(out_used, room - 1 < 3 + 20 + 37 + 18 + 9 + 3 ? room - 1 : 3 + 20 + 37 + 18 + 9 + 3);
    }
}

TEST(absurd_widths_and_precisions_are_limited)
{
    begin("%2000000000d|%.99999999999999999999f|%*s|%0.*x");
    push_int(1), push_double(1.5), push_int(INT_MIN), push_string("s"), push_int(INT_MAX), push_int(3);
    assert_int_equal(print_into(sizeof out), 6);
    assert_int_equal(out[PRINT_FIELD_MAX - 1], '1');
    assert_int_equal(out[PRINT_FIELD_MAX], '|');
}

/* Random formats over random arguments: nothing to assert but the bounds, which print_into and the sanitizers
 * watch. */
TEST(random_formats_stay_inside)
{
    static const char letters[] = "%%%%%%%%%%diouxXcspeEfgGaAnhhlljzt*.-+ #0123456789 q\n";
    uint64_t random = 12345;

    for (int round = 0; round < 20000; round++) {
        char format[40];
        for (size_t i = 0; i < sizeof format; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            format[i] = letters[(random >> 33) % (sizeof letters - 1)];
        }
        format[sizeof format - 1] = '\0';
        begin(format);
        for (int i = 0; i < 40; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            push_long((long long)(random >> 60 < 8    ? BASE + STRINGS_AT + (random >> 40) % 100
                                  : random >> 60 < 12 ? random >> 50
                                                      : random));
        }
        memset(memory + STRINGS_AT, 's', 90);
        print_into(1 + (random >> 40) % 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_and_percent_signs_pass),
        cmocka_unit_test(integers_of_every_length_are_printed_as_c_does),
        cmocka_unit_test(flags_width_and_precision_agree_with_the_c_library),
        cmocka_unit_test(width_and_precision_may_be_arguments),
        cmocka_unit_test(arguments_are_aligned_to_their_size),
        cmocka_unit_test(strings_and_pointers_come_from_device_memory),
        cmocka_unit_test(a_precision_keeps_from_reading_past_an_unterminated_string),
        cmocka_unit_test(a_null_format_gives_minus_one),
        cmocka_unit_test(unknown_conversions_are_printed_as_they_stand),
        cmocka_unit_test(only_32_arguments_are_formatted),
        cmocka_unit_test(memory_that_is_not_there_is_a_fault_with_its_address),
        cmocka_unit_test(output_never_passes_its_buffer),
        cmocka_unit_test(absurd_widths_and_precisions_are_limited),
        cmocka_unit_test(random_formats_stay_inside),
    };
    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
