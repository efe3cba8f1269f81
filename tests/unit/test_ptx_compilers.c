/* Promises of the PTX parser about what compilers really write: `test_ptx_compilers clang` compiles
 * test_ptx_sample.cu with Debian's clang, `test_ptx_compilers nvcc` that and more with nvcc. Skipped (77)
 * where the compiler is not there. */
#include "test_ptx.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "softgpu/ptx/arena.h"

static char folder[] = "/tmp/vgpu-ptx-XXXXXX"; /* of what the compilers write */
static const char *nvcc;

/* Runs a compiler in the folder; its sources are in TEST_SOURCES. */
__attribute__((format(printf, 1, 2))) static void compile(const char *format, ...)
{
    char command[2000];
    int used =
        snprintf(command, sizeof(command), "cd %s && S=%s && exec >log 2>&1 && ", folder, TEST_SOURCES);
    va_list args;

    va_start(args, format);
    vsnprintf(command + used, sizeof(command) - (size_t)used, format, args);
    va_end(args);
    if (system(command))
        fail_msg("%s", command);
}

static char *read_file(const char *name, size_t *ret_bytes)
{
    char path[200];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    char *bytes = malloc((size_t)status.st_size + 1);
    *ret_bytes = fread(bytes, 1, (size_t)status.st_size, file);
    fclose(file);
    return bytes;
}

static struct ptx_module *parse(const char *text, size_t bytes)
{
    char error[PTX_ERROR_TEXT_MAX];
    struct ptx_module *module;

    if (ptx_parse(text, bytes, &module, error))
        fail_msg("%s", error);
    return module;
}

static struct ptx_module *parse_file(const char *name)
{
    size_t bytes;
    char *text = read_file(name, &bytes);
    struct ptx_module *module = parse(text, bytes);

    free(text);
    return module;
}

static bool is_label(const struct ptx_func *func, const char *name)
{
    for (size_t i = 0; i < func->n_stmts; i++) {
        if (func->stmts[i].kind == PTX_STMT_LABEL && func->stmts[i].label.name == name)
            return true;
    }
    return false;
}

/* A body is whole: its scopes close, its branches go to labels that it has, its last instruction leaves it.
 */
static void check_body(const struct ptx_func *func)
{
    const struct ptx_insn *last = NULL;
    int depth = 0;

    for (size_t i = 0; i < func->n_stmts; i++) {
        const struct ptx_stmt *stmt = &func->stmts[i];

        depth += stmt->kind == PTX_STMT_SCOPE_BEGIN;
        depth -= stmt->kind == PTX_STMT_SCOPE_END;
        assert_true(depth >= 0);
        if (stmt->kind != PTX_STMT_INSN)
            continue;
        last = stmt->insn;
        if (!strcmp(last->op, "bra"))
            assert_true(is_label(func, last->operands[0].name));
        if (!strncmp(last->op, "ld", 2) || !strncmp(last->op, "st", 2))
            assert_int_equal(last->operands[last->op[0] == 'l'].kind, PTX_OP_ADDR);
    }
    assert_int_equal(depth, 0);
    assert_non_null(last);
    if (strcmp(last->op, "ret") && strcmp(last->op, "bra") && strcmp(last->op, "trap") &&
        strcmp(last->op, "exit"))
        fail_msg("%s ends with %s", func->name, last->text);
}

static void check_module(const struct ptx_module *module)
{
    for (size_t i = 0; i < module->n_funcs; i++) {
        if (module->funcs[i].has_body)
            check_body(&module->funcs[i]);
    }
}

static int32_t word_of(const struct ptx_var *var, size_t offset_bytes)
{
    int32_t word = 0;

    assert_in_range(offset_bytes + sizeof(word), sizeof(word), var->init_bytes);
    memcpy(&word, var->init + offset_bytes, sizeof(word));
    return word;
}

static void check_sample_values(const struct ptx_module *module)
{
    const struct ptx_var *var = ptx_var(module, "numbers");

    assert_int_equal(word_of(ptx_var(module, "number"), 0), 5);
    assert_int_equal(var->size_bytes, 16);
    assert_int_equal(word_of(var, 4), -2);
    var = ptx_var(module, "sparse");
    assert_int_equal(var->size_bytes, 4 << 20);
    assert_int_equal(var->init[0], 7);
    var = ptx_var(module, "texts");
    assert_int_equal(var->n_relocs, 2);
    assert_true(var->relocs[1].generic);
    assert_memory_equal(ptx_var(module, var->relocs[1].symbol)->init, "beta\n\"q\"", 8);
    var = ptx_var(module, "mixed_values");
    assert_int_equal(var->size_bytes, 32);
    assert_int_equal(var->n_relocs, 2);
    assert_string_equal(var->relocs[0].symbol, "numbers");
    assert_int_equal(var->relocs[0].offset_bytes, 16);
    assert_int_equal(var->relocs[0].addend, 8);
    assert_memory_equal(var->init + 8, &(double){3.25}, 8);
    assert_int_equal(ptx_var(module, "table")->n_relocs, 2);
    assert_int_equal(ptx_var(module, "factors")->space, PTX_SPACE_CONST);
    assert_int_equal(ptx_var(module, "dynamic")->size_bytes, 0);
    assert_true(ptx_var(module, "dynamic")->is_extern);
}

static void check_sample(const struct ptx_module *module)
{
    const struct ptx_func *sample = ptx_func(module, "sample");

    assert_int_equal(module->target_sm, 75);
    check_module(module);
    check_sample_values(module);
    assert_true(sample->is_entry && sample->is_visible);
    assert_int_equal(sample->n_params, 4);
    assert_int_equal(sample->params[2].size_bytes, 36);
    assert_int_equal(sample->maxntid[0], 256);
    assert_int_equal(sample->minnctapersm, 2);
    assert_int_equal(ptx_func(module, "by_value")->returns[0].size_bytes, 36);
    assert_true(ptx_func(module, "recurse")->has_body);
    assert_false(ptx_func(module, "vprintf")->has_body);
}

static void clang_is_understood(void **state)
{
    static const char *const levels[] = {"-O2", "-O0", "-O1 -g"};

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        compile("clang-14 -x cuda --cuda-device-only --cuda-gpu-arch=sm_75 -Xclang -target-feature -Xclang "
                "+ptx64 -nocudainc "
                "-nocudalib -DBARE %s -S -o clang.ptx $S/test_ptx_sample.cu",
                levels[i]);
        struct ptx_module *module = parse_file("clang.ptx");
        check_sample(module);
        ptx_free(module);
    }
}

static void nvcc_is_understood(void **state)
{
    static const char *const options[] = {"", "-lineinfo", "-G", "-rdc=true"};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        compile("%s -arch=sm_75 %s -ptx -o nvcc.ptx $S/test_ptx_sample.cu", nvcc, options[i]);
        struct ptx_module *module = parse_file("nvcc.ptx");
        check_sample(module);
        assert_true(ptx_var(module, "managed_float")->is_managed);
        assert_int_equal(ptx_var(module, "packed_values")->n_relocs, 8);
        ptx_free(module);
    }
}

static void every_way_nvcc_compresses_gives_the_same_text(void **state)
{
    static const char *const modes[] = {"default", "size", "balance", "speed", "none"};
    char *first = NULL;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char *image, *text;
        size_t image_bytes, text_bytes;

        compile(
            "%s -gencode arch=compute_75,code=[compute_75,sm_75] -gencode arch=compute_100,code=compute_100 "
            "--compress-mode=%s -fatbin -o nvcc.fatbin $S/test_ptx_sample.cu",
            nvcc, modes[i]);
        image = read_file("nvcc.fatbin", &image_bytes);
        assert_int_equal(fatbin_find_ptx(image, image_bytes, 75, &text, &text_bytes), 0);
        struct ptx_module *module = parse(text, text_bytes);
        check_sample(module);
        ptx_free(module);
        free(image);
        if (first)
            assert_string_equal(text, first);
        free(first);
        first = text;
    }
    free(first);
}

static void images_without_usable_ptx_are_told_apart(void **state)
{
    static const struct {
        const char *options, *output;
        int error;
    } rows[] = {{"-gencode arch=compute_75,code=sm_75", "-fatbin", -ENOEXEC},
                {"-gencode arch=compute_100,code=compute_100", "-fatbin", -ENOTSUP},
                {"-arch=sm_75", "-cubin", -ENOEXEC}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t image_bytes, text_bytes;
        char *text;

        compile("%s %s %s -o nvcc.image $S/test_ptx_unit_b.cu -rdc=%s", nvcc, rows[i].options, rows[i].output,
                rows[i].error == -ENOEXEC ? "true" : "false");
        char *image = read_file("nvcc.image", &image_bytes);
        assert_int_equal(fatbin_find_ptx(image, image_bytes, 75, &text, &text_bytes), rows[i].error);
        free(image);
    }
}

/* The fat binaries of a program that nvcc linked from units, in the order in which its wrapper has them. */
static size_t fatbins_in(char *program, size_t bytes, const void **ret_fatbins, size_t max)
{
    static const uint32_t magic = 0xBA55ED50;
    size_t n = 0;

    for (size_t at = 0; at + 16 <= bytes && n < max; at += 8) {
        if (!memcmp(program + at, &magic, sizeof(magic)))
            ret_fatbins[n++] = program + at;
    }
    return n;
}

static void units_that_nvcc_compiled_apart_are_linked(void **state)
{
    struct {
        uint32_t magic, version;
        const void *fatbin;
        const void *const *linked;
    } wrapper = {.magic = 0x466243B1, .version = 2};
    const void *fatbins[21] = {NULL};
    size_t bytes;

    compile(
        "%s -gencode arch=compute_75,code=compute_75 -rdc=true -cudart shared -o units $S/test_ptx_unit_a.cu "
        "$S/test_ptx_unit_b.cu",
        nvcc);
    char *program = read_file("units", &bytes), *text;
    assert_in_range(fatbins_in(program, bytes, fatbins, 20), 2, 19);
    wrapper.linked = fatbins;
    assert_int_equal(fatbin_find_ptx(&wrapper, sizeof(wrapper), 75, &text, &bytes), 0);
    struct ptx_module *module = parse(text, bytes);
    check_module(module);
    assert_true(ptx_func(module, "_Z8kernel_aPi")->has_body);
    assert_true(ptx_func(module, "_Z8kernel_bPi")->has_body);
    assert_true(ptx_func(module, "_Z5scalei")->has_body);
    assert_false(ptx_var(module, "shared_value")->is_extern);
    assert_int_equal(ptx_var(module, "$str")->init[0], 'a');
    assert_int_equal(ptx_var(module, "$str@2")->init[0], 'b');
    ptx_free(module);
    free(text);
    free(program);
}

static void a_library_of_a_megabyte_is_understood(void **state)
{
    size_t bytes;

    compile("%s -arch=sm_75 -lineinfo -ptx -o sort.ptx $S/test_ptx_sort.cu", nvcc);
    char *text = read_file("sort.ptx", &bytes);
    struct ptx_module *module = parse(text, bytes);
    assert_in_range(bytes, 300000, 100000000);
    check_module(module);
    assert_in_range(module->n_funcs, 10, 10000);
    assert_in_range(arena_bytes(module->arena), 1, 16 * bytes);
    ptx_free(module);
    free(text);
}

static int run_clang(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clang_is_understood)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_nvcc(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nvcc_is_understood),
        cmocka_unit_test(every_way_nvcc_compresses_gives_the_same_text),
        cmocka_unit_test(images_without_usable_ptx_are_told_apart),
        cmocka_unit_test(units_that_nvcc_compiled_apart_are_linked),
        cmocka_unit_test(a_library_of_a_megabyte_is_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    bool is_nvcc = argc > 1 && !strcmp(argv[1], "nvcc");
    char command[100];
    int rc;

    nvcc = access("/usr/local/cuda/bin/nvcc", X_OK) ? "nvcc" : "/usr/local/cuda/bin/nvcc";
    snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", is_nvcc ? nvcc : "clang-14");
    if (system(command)) {
        printf("skipped: there is no %s on this machine\n", is_nvcc ? "nvcc" : "clang-14");
        return 77;
    }
    if (!mkdtemp(folder))
        return 1;
    rc = is_nvcc ? run_nvcc() : run_clang();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) || rc;
}
