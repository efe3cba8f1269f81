/* Promises of the fat binary reader: the right PTX comes out of every wrapping that nvcc makes, and nothing
 * else does. The images are built here, from the layout in docs of the format, with the machine's own LZ4 and
 * zstd. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <lz4.h>
#include <lz4hc.h>
#include <zstd.h>

#include "softgpu/ptx/ast.h"
#include "softgpu/ptx/decompress.h"

enum { PTX = 1, ELF = 2, LZ4 = 0x2000, ZSTD = 0x8000, IMAGE_MAX = 1 << 20, ENTRY_BYTES = 80 };

/* An image that grows; on the heap and cut to size, so that a sanitizer sees a read beyond. */
struct image {
    char *bytes;
    size_t count;
};

static void image_put(struct image *image, size_t offset, const void *value, size_t bytes)
{
    memcpy(image->bytes + offset, value, bytes);
}

static struct image image_new(void)
{
    struct image image = {.bytes = calloc(1, IMAGE_MAX), .count = 16};
    uint32_t magic = 0xBA55ED50;
    uint16_t head[2] = {1, 16};

    image_put(&image, 0, &magic, 4);
    image_put(&image, 4, head, 4);
    return image;
}

static void image_free(struct image *image)
{
    free(image->bytes);
}

/* Appends an entry whose payload is `stored`; the fat binary's size follows. Returns the entry's offset. */
static size_t image_add(struct image *image, uint16_t kind, uint32_t sm, uint64_t flags, const void *stored,
                        size_t stored_bytes, size_t plain_bytes)
{
    size_t at = image->count;
    uint64_t payload_bytes = (stored_bytes + 7) / 8 * 8, all_bytes, plain = plain_bytes;
    uint32_t head_bytes = kind == PTX ? ENTRY_BYTES : 64,
             compressed_bytes = flags & (LZ4 | ZSTD) ? (uint32_t)stored_bytes : 0;

    flags |= 0x11;
    image_put(image, at, &kind, 2);
    image_put(image, at + 4, &head_bytes, 4);
    image_put(image, at + 8, &payload_bytes, 8);
    image_put(image, at + 16, &compressed_bytes, 4);
    image_put(image, at + 28, &sm, 4);
    image_put(image, at + 40, &flags, 8);
    image_put(image, at + 56, &plain, 8);
    image_put(image, at + head_bytes, stored, stored_bytes);
    image->count = at + head_bytes + payload_bytes;
    all_bytes = image->count - 16;
    image_put(image, 8, &all_bytes, 8);
    return at;
}

static void image_add_text(struct image *image, uint32_t sm, const char *text)
{
    image_add(image, PTX, sm, 0, text, strlen(text) + 1, strlen(text) + 1);
}

static size_t image_add_lz4(struct image *image, uint32_t sm, const char *text)
{
    char packed[65536];
    int bytes = LZ4_compress_default(text, packed, (int)strlen(text) + 1, sizeof(packed));

    assert_true(bytes > 0);
    return image_add(image, PTX, sm, LZ4, packed, (size_t)bytes, strlen(text) + 1);
}

static size_t image_add_zstd(struct image *image, uint32_t sm, const char *text)
{
    char packed[65536];
    size_t bytes = ZSTD_compress(packed, sizeof(packed), text, strlen(text) + 1, 3);

    assert_false(ZSTD_isError(bytes));
    return image_add(image, PTX, sm, ZSTD, packed, bytes, strlen(text) + 1);
}

/* What fatbin_find_ptx answers for a copy of exactly that size. */
static int find(const void *bytes, size_t count, unsigned device_sm, char **ret_text)
{
    char *exact = malloc(count ? count : 1);
    size_t text_bytes = 0;

    memcpy(exact, bytes, count);
    *ret_text = NULL;
    int rc = fatbin_find_ptx(exact, count, device_sm, ret_text, &text_bytes);
    free(exact);
    if (!rc)
        assert_int_equal(strlen(*ret_text), text_bytes);
    else
        assert_null(*ret_text);
    return rc;
}

static void expect_text(const struct image *image, unsigned device_sm, const char *expected)
{
    char *text;

    assert_int_equal(find(image->bytes, image->count, device_sm, &text), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void expect_error(const struct image *image, unsigned device_sm, int error)
{
    char *text;

    assert_int_equal(find(image->bytes, image->count, device_sm, &text), error);
}

static void a_text_is_its_own_image(void **state)
{
    static const char *const rows[] = {".version 7.5\n", "// by hand\n.version 7.5\n",
                                       "\n \t/* x */.version 7.5"};
    size_t bytes;
    char *text;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(find(rows[i], strlen(rows[i]), 75, &text), 0);
        assert_memory_equal(text, rows[i], strlen(rows[i]));
        free(text);
        assert_int_equal(fatbin_find_ptx(rows[i], SIZE_MAX, 75, &text, &bytes), 0);
        assert_memory_equal(text, rows[i], strlen(rows[i]));
        free(text);
    }
}

static void plain_lz4_and_zstd_give_the_same_text(void **state)
{
    char text[20000] = ".version 7.5\n";
    struct image plain = image_new(), lz4 = image_new(), zstd = image_new();

    for (unsigned i = 0; strlen(text) < sizeof(text) - 100; i++)
        sprintf(text + strlen(text), "add.u32 %%r%u, %%r%u, %u; // and on it goes\n", i, i * 7 % 100, i * i);
    image_add_text(&plain, 75, text);
    image_add_lz4(&lz4, 75, text);
    image_add_zstd(&zstd, 75, text);
    strcat(text, "\n"); /* a unit ends its last line */
    expect_text(&plain, 75, text);
    expect_text(&lz4, 75, text);
    expect_text(&zstd, 75, text);
    image_free(&plain);
    image_free(&lz4);
    image_free(&zstd);
}

static void the_best_architecture_for_the_device_is_taken(void **state)
{
    struct image image = image_new();

    image_add(&image, ELF, 75, 0,
              "\x7f"
              "ELF",
              4, 4);
    image_add_text(&image, 60, "sixty");
    image_add_zstd(&image, 80, "eighty");
    image_add_lz4(&image, 75, "seventy-five");
    image_add(&image, 99, 75, 0, "who knows", 9, 9);
    expect_text(&image, 60, "sixty\n");
    expect_text(&image, 75, "seventy-five\n");
    expect_text(&image, 79, "seventy-five\n");
    expect_text(&image, 80, "eighty\n");
    expect_text(&image, 120, "eighty\n");
    expect_error(&image, 52, -ENOTSUP);
    image_free(&image);
}

static void machine_code_alone_is_no_program_for_us(void **state)
{
    struct image image = image_new(), empty = image_new();
    char *text;

    image_add(&image, ELF, 75, 0,
              "\x7f"
              "ELF....",
              8, 8);
    expect_error(&image, 75, -ENOEXEC);
    expect_error(&empty, 75, -ENOEXEC);
    assert_int_equal(find("\x7f"
                          "ELF\2\1\1\0",
                          8, 75, &text),
                     -ENOEXEC);
    image_free(&image);
    image_free(&empty);
}

static void other_files_are_invalid(void **state)
{
    static const char *const rows[] = {
        "", "x", "hello, this is nothing", "BC\xC0\xDE....", "{\"json\": 1}", "\x50\xED\x55"};
    char *text;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(find(rows[i], strlen(rows[i]), 75, &text), -EBADMSG);
}

struct wrapper {
    uint32_t magic, version;
    const void *fatbin;
    const void *const *linked;
};

static void a_wrapper_leads_to_its_fat_binary(void **state)
{
    struct image image = image_new();
    struct wrapper wrapper = {.magic = 0x466243B1, .version = 1, .fatbin = image.bytes};
    char *text;

    image_add_zstd(&image, 75, "one");
    assert_int_equal(find(&wrapper, sizeof(wrapper), 75, &text), 0);
    assert_string_equal(text, "one\n");
    free(text);
    wrapper.fatbin = NULL;
    assert_int_equal(find(&wrapper, sizeof(wrapper), 75, &text), -EBADMSG);
    assert_int_equal(find(&wrapper, 23, 75, &text), -EBADMSG);
    image_free(&image);
}

static void separate_compilation_gives_all_units_one_after_the_other(void **state)
{
    struct image empty = image_new(), first = image_new(), second = image_new(), newer = image_new();
    const void *linked[] = {empty.bytes, first.bytes, second.bytes, newer.bytes, NULL};
    struct wrapper wrapper = {.magic = 0x466243B1, .version = 2, .fatbin = empty.bytes, .linked = linked};
    char *text;

    image_add_zstd(&first, 75, ".version 7.5");
    image_add_text(&second, 75, ".version 7.6");
    image_add_text(&newer, 121, ".version 9.0"); /* a runtime library's: not for this device */
    assert_int_equal(find(&wrapper, sizeof(wrapper), 75, &text), 0);
    assert_string_equal(text, ".version 7.5\n.version 7.6\n");
    free(text);
    wrapper.linked = NULL;
    wrapper.fatbin = second.bytes;
    assert_int_equal(find(&wrapper, sizeof(wrapper), 75, &text), 0);
    assert_string_equal(text, ".version 7.6\n");
    free(text);
    image_free(&empty);
    image_free(&first);
    image_free(&second);
    image_free(&newer);
}

static void an_image_cut_anywhere_is_invalid(void **state)
{
    struct image image = image_new();
    char *text;

    image_add_lz4(&image, 60, "first first first first");
    image_add_zstd(&image, 75, "second second second second");
    for (size_t bytes = 0; bytes < image.count; bytes++)
        assert_int_equal(find(image.bytes, bytes, 75, &text), -EBADMSG);
    image_free(&image);
}

static void sizes_that_lie_are_noticed(void **state)
{
    static const struct {
        size_t offset, bytes;
    } fields[] = {{4, 4}, {8, 8}, {16, 4}, {56, 8}};
    static const uint64_t values[] = {
        1, 63, 1000, UINT32_MAX, UINT64_MAX, UINT64_MAX / 2, ((uint64_t)1 << 40) + 12345};

    for (unsigned kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) * 7; i++) {
            struct image image = image_new();
            const char *plain = "some text some text some text some text";
            size_t field = i / 7, entry = 16;
            char *text;

            if (kind == 0)
                image_add_text(&image, 75, plain);
            else if (kind == 1)
                image_add_lz4(&image, 75, plain);
            else
                image_add_zstd(&image, 75, plain);
            image_put(&image, entry + fields[field].offset, &values[i % 7], fields[field].bytes);
            /* Of a plain entry the uncompressed size says nothing; a larger one than needed is no lie. */
            int rc = find(image.bytes, image.count, 75, &text);
            bool is_harmless =
                fields[field].offset == 56 && (kind == 0 || values[i % 7] == 1000 || values[i % 7] == 63);
            if (rc != (is_harmless ? 0 : -EBADMSG))
                fail_msg("kind %u, field %zu, value %zu: %d", kind, fields[field].offset, i % 7, rc);
            free(text);
            image_free(&image);
        }
    }
}

static void a_fat_binary_header_that_lies_is_noticed(void **state)
{
    struct image image = image_new();
    uint64_t all_bytes = 1 << 16;
    uint16_t head_bytes = 15;

    image_add_text(&image, 75, "text");
    image_put(&image, 8, &all_bytes, 8);
    expect_error(&image, 75, -EBADMSG);
    all_bytes = image.count - 16 - 1;
    image_put(&image, 8, &all_bytes, 8);
    expect_error(&image, 75, -EBADMSG);
    all_bytes = image.count - 16;
    image_put(&image, 8, &all_bytes, 8);
    image_put(&image, 6, &head_bytes, 2);
    expect_error(&image, 75, -EBADMSG);
    image_free(&image);
}

static void without_a_length_the_headers_say_how_much_is_read(void **state)
{
    struct image image = image_new();
    char *text, *exact;
    size_t bytes;

    image_add_lz4(&image, 75, "text text text text");
    exact = malloc(image.count);
    memcpy(exact, image.bytes, image.count);
    assert_int_equal(fatbin_find_ptx(exact, SIZE_MAX, 75, &text, &bytes), 0);
    assert_string_equal(text, "text text text text\n");
    free(text);
    free(exact);
    image_free(&image);
}

static void the_lz4_decoder_reads_what_lz4_writes(void **state)
{
    enum { PLAIN_MAX = 100000 };
    char *plain = malloc(PLAIN_MAX), *packed = malloc(LZ4_compressBound(PLAIN_MAX)),
         *back = malloc(PLAIN_MAX);
    uint32_t random = 12345;

    for (int bytes = 0; bytes < PLAIN_MAX; bytes = bytes * 3 / 2 + 1) {
        for (int alphabet = 1; alphabet < 200; alphabet *= 5) {
            for (int i = 0; i < bytes; i++)
                plain[i] = (char)((random = random * 1664525 + 1013904223) >> 16) % alphabet;
            for (int level = 0; level < 2; level++) {
                int packed_bytes = level
                                       ? LZ4_compress_HC(plain, packed, bytes, LZ4_compressBound(bytes), 9)
                                       : LZ4_compress_default(plain, packed, bytes, LZ4_compressBound(bytes));
                size_t back_bytes = 0;
                assert_int_equal(
                    lz4_decompress(packed, (size_t)packed_bytes, back, (size_t)bytes, &back_bytes), 0);
                assert_int_equal(back_bytes, bytes);
                assert_memory_equal(back, plain, (size_t)bytes);
                if (bytes > 1)
                    assert_int_equal(
                        lz4_decompress(packed, (size_t)packed_bytes, back, (size_t)bytes - 1, &back_bytes),
                        -EBADMSG);
            }
        }
    }
    free(plain);
    free(packed);
    free(back);
}

static void damaged_lz4_never_writes_beyond_its_room(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } rows[] = {{"", 0},
                {"\xF0", 1}, /* a length goes on, but the text ends */
                {"\x50"
                 "ab",
                 3}, /* fewer literals than promised */
                {"\x10"
                 "a\0\0",
                 4}, /* distance 0 */
                {"\x10"
                 "a\2\0",
                 4}, /* before the start */
                {"\x10"
                 "a\1",
                 3}, /* half a distance */
                {"\x1F"
                 "a\1\0",
                 4}, /* no match length */
                {"\x1F"
                 "a\1\0\xFF\xFF\0",
                 7} /* longer than the room */};
    char room[64];
    size_t bytes;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(lz4_decompress(rows[i].bytes, rows[i].count, room, sizeof(room), &bytes), -EBADMSG);
    assert_int_equal(lz4_decompress("\x14"
                                    "a\1\0\0",
                                    5, room, sizeof(room), &bytes),
                     0);
    assert_int_equal(bytes, 9);
    assert_memory_equal(room, "aaaaaaaaa", 9);
}

static void a_missing_zstd_library_is_said_so(void **state)
{
    char room[16];
    size_t bytes;

    assert_int_equal(zstd_decompress("libno-such-library.so.1", "x", 1, room, sizeof(room), &bytes),
                     -ELIBACC);
    assert_int_equal(zstd_decompress("libc.so.6", "x", 1, room, sizeof(room), &bytes), -ELIBACC);
    assert_int_equal(zstd_decompress(zstd_library_name, "nothing", 7, room, sizeof(room), &bytes), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_its_own_image),
        cmocka_unit_test(plain_lz4_and_zstd_give_the_same_text),
        cmocka_unit_test(the_best_architecture_for_the_device_is_taken),
        cmocka_unit_test(machine_code_alone_is_no_program_for_us),
        cmocka_unit_test(other_files_are_invalid),
        cmocka_unit_test(a_wrapper_leads_to_its_fat_binary),
        cmocka_unit_test(separate_compilation_gives_all_units_one_after_the_other),
        cmocka_unit_test(an_image_cut_anywhere_is_invalid),
        cmocka_unit_test(sizes_that_lie_are_noticed),
        cmocka_unit_test(a_fat_binary_header_that_lies_is_noticed),
        cmocka_unit_test(without_a_length_the_headers_say_how_much_is_read),
        cmocka_unit_test(the_lz4_decoder_reads_what_lz4_writes),
        cmocka_unit_test(damaged_lz4_never_writes_beyond_its_room),
        cmocka_unit_test(a_missing_zstd_library_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
