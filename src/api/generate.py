#!/usr/bin/env python3
"""Derives everything that follows from the annotated headers of src/api.

    generate.py build --out DIR [--hooks FILE] [--nvml-hooks FILE]      what the build compiles (meson runs this)
    generate.py coverage --out FILE [--hooks FILE] [--nvml-hooks FILE] [--cuda-library LIB] [--nvml-library LIB]
                                                                        docs/coverage.md
"""
import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from gen import coverage, describe, drivers, public, tables  # noqa: E402

HERE = Path(__file__).resolve().parent


def read(args):
    """The entries of both APIs, hooks marked."""
    result = []
    for prefix, pattern, hooks in (('CU', 'cuda_api*.h', args.hooks), ('NVML', 'nvml_api*.h', args.nvml_hooks)):
        functions = describe.read_functions(sorted(HERE.glob(pattern)), prefix)
        result += [functions, describe.make_entries(functions, describe.read_hooks(hooks), hooks)]
    return result


def build(args):
    cuda_functions, cuda, nvml_functions, nvml = read(args)
    outputs = {
        'cuda.h': public.cuda_header(HERE / 'cuda_types.h', HERE, cuda_functions),
        'nvml.h': public.nvml_header(HERE / 'nvml_types.h', HERE, nvml_functions),
        'cuda_table.h': tables.table_header(cuda, 'cuda', 'CUresult', 'cuda_api.h'),
        'nvml_table.h': tables.table_header(nvml, 'nvml', 'nvmlReturn_t', 'nvml_api.h'),
        'cuda_rows.c': tables.rows_source(cuda, 'cuda', tables.cuda_row),
        'nvml_rows.c': tables.rows_source(nvml, 'nvml', tables.nvml_row),
        'api_cuda_entries.c': tables.entries_source(cuda),
        'cuda.map': tables.export_map(cuda),
        'nvml.map': tables.export_map(nvml),
        'softgpu_cuda_stubs.c': drivers.weak_stubs(cuda, 'int', 'softgpu_unsupported'),
        'softgpu_nvml_stubs.c': drivers.weak_stubs(nvml, 'int', 'softgpu_nvml_unsupported'),
        'shim_trampolines.c': drivers.trampolines(cuda, 'shim_cuda_table', 'shim_resolve'),
        'shim_nvml_trampolines.c': drivers.trampolines(nvml, 'shim_nvml_table', 'shim_nvml_resolve'),
        'null_entries.c': drivers.null_driver(cuda),
        'recdrv_entries.c': drivers.recording_driver(cuda),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in outputs.items():
        (args.out / name).write_text(text)


def coverage_command(args):
    _, cuda, _, nvml = read(args)
    args.out.write_text(coverage.coverage_page(cuda, nvml, args.cuda_library, args.nvml_library))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (('build', build), ('coverage', coverage_command)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument('--out', type=Path, required=True)
        command.add_argument('--hooks', type=Path)
        command.add_argument('--nvml-hooks', type=Path)
        if run is coverage_command:
            command.add_argument('--cuda-library', type=Path)
            command.add_argument('--nvml-library', type=Path)
    args = parser.parse_args()
    try:
        args.run(args)
    except describe.DescriptionError as error:
        sys.exit(f'{parser.prog}: {error}')


if __name__ == '__main__':
    main()
