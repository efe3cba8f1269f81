/* Where NVIDIA's assembler is installed: it accepts each spelling that alu_find knows, so nothing here is an
 * invention. One file with one instruction a row is assembled; skipped without ptxas. */
#include "test_alu.h"

#include "softgpu/exec/alu_rows.h"

/* Register files of the generated kernel, by type. */
static const char *register_of(enum ptx_type type)
{
    static const char *const registers[PTX_TYPE_COUNT] = {
        [PTX_PRED] = "%p", [PTX_B16] = "%h",    [PTX_B32] = "%r", [PTX_B64] = "%d", [PTX_B128] = "%q",
        [PTX_U8] = "%h",   [PTX_U16] = "%h",    [PTX_U32] = "%r", [PTX_U64] = "%d", [PTX_S8] = "%h",
        [PTX_S16] = "%h",  [PTX_S32] = "%r",    [PTX_S64] = "%d", [PTX_F16] = "%h", [PTX_F16X2] = "%r",
        [PTX_BF16] = "%h", [PTX_BF16X2] = "%r", [PTX_F32] = "%f", [PTX_F64] = "%g", [PTX_TF32] = "%r"};
    return registers[type];
}

static int has_second_result(const struct alu_row *row)
{
    const char *end = strrchr(row->spelling, '.');

    if (!row->dst2_type || row->flags & ALU_WRITES_CARRY)
        return 0;
    return strncmp(row->spelling, "setp", 4) || (strcmp(end, ".f16") && strcmp(end, ".bf16"));
}

static void write_instruction(FILE *file, const struct alu_row *row)
{
    unsigned n_written = row->n_src - !!(row->flags & ALU_READS_CARRY);

    fprintf(file, "%s %s1%s", row->spelling, register_of(row->dst_type),
            has_second_result(row) ? "|%p8" : "");
    for (unsigned k = 0; k < n_written; k++) {
        if (row->flags & ALU_BY_TABLE && k == 3)
            fprintf(file, ", 27");
        fprintf(file, ", %s%u", register_of(row->src_type[k]), k + 2);
    }
    fprintf(file, "%s;\n", row->flags & ALU_BY_TABLE && n_written == 3 ? ", 27" : "");
}

TEST(the_vendors_assembler_accepts_every_spelling)
{
    char directory[] = "/tmp/test_alu_ptxas.XXXXXX", path[64], command[256];
    const struct alu_row *row;
    size_t n;
    FILE *file;
    int status;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/all.ptx", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(".version 8.5\n.target sm_90\n.address_size 64\n.visible .entry all() {\n.reg .pred %p<9>;\n.reg "
          ".b16 %h<9>;\n"
          ".reg .b32 %r<9>;\n.reg .b64 %d<9>;\n.reg .f32 %f<9>;\n.reg .f64 %g<9>;\n.reg .b128 %q<9>;\n",
          file);
    for (n = 0; (row = alu_row_at(n, 0)); n++)
        write_instruction(file, row);
    fputs("ret;\n}\n", file);
    fclose(file);
    snprintf(command, sizeof command, "ptxas -arch=sm_90 -O0 -o %s/all.cubin %s", directory, path);
    status = system(command);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
    assert_int_equal(status, 0);
    SAY_COUNT("spellings", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_vendors_assembler_accepts_every_spelling)};

    if (system("ptxas --version >/dev/null 2>&1")) {
        printf("SKIP: ptxas is not installed\n");
        return 77;
    }
    return cmocka_run_group_tests_name("alu_ptxas", tests, NULL, NULL);
}
