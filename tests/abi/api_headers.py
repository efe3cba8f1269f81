#!/usr/bin/env python3
"""Promise: the installed cuda.h and nvml.h stand alone: they compile without a warning as C and as C++, with per-thread default
streams and without, and a plain name calls the function it should.

    api_headers.py GENERATED_DIR COMPILER...
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = '''#include <cuda.h>
#include <nvml.h>

static int sum(CUdeviceptr a, size_t n, CUstream s)
{
    CUgraphExec exec = 0;
    CUgraph graph = 0;
    CUcontext context;
    void *function;
    CUdriverProcAddressQueryResult status;
    nvmlProcessInfo_t processes[4];
    unsigned int count = 4;

    return (int)cuMemAlloc(&a, n) + (int)cuMemcpyHtoD(a, "x", 1) + (int)cuLaunchKernel(0, 1, 1, 1, 1, 1, 1, 0, s, 0, 0) +
           (int)cuCtxCreate(&context, 0, 0, 0) + (int)cuGraphInstantiate(&exec, graph, 0) +
           (int)cuGetProcAddress("cuInit", &function, 13000, 0, &status) + (int)nvmlInit() +
           (int)nvmlDeviceGetComputeRunningProcesses(0, &count, processes);
}

int main(void)
{
    return sum(0, 0, CU_STREAM_LEGACY);
}
'''
CALLED = {
    '': 'cuMemAlloc_v2 cuMemcpyHtoD_v2 cuLaunchKernel cuCtxCreate_v4 cuGraphInstantiateWithFlags cuGetProcAddress_v2 nvmlInit_v2 '
        'nvmlDeviceGetComputeRunningProcesses_v3',
    '-DCUDA_API_PER_THREAD_DEFAULT_STREAM':
        'cuMemAlloc_v2 cuMemcpyHtoD_v2_ptds cuLaunchKernel_ptsz cuCtxCreate_v4 cuGraphInstantiateWithFlags cuGetProcAddress_v2 '
        'nvmlInit_v2 nvmlDeviceGetComputeRunningProcesses_v3',
}


def main():
    generated, compilers = Path(sys.argv[1]), sys.argv[2:]
    checks, failures = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / 'include').mkdir()
        for name in ('cuda.h', 'nvml.h'):
            shutil.copy(generated / name, work / 'include')
        for compiler in filter(shutil.which, compilers):
            for language, standard in (('c', 'c11'), ('c++', 'c++11')):
                for define, called in CALLED.items():
                    (work / 'program').write_text(PROGRAM)
                    command = [compiler, '-x', language, f'-std={standard}', '-Wall', '-Wextra', '-Werror', f'-I{work}/include', '-c',
                               str(work / 'program'), '-o', str(work / 'program.o'), *filter(None, [define])]
                    done = subprocess.run(command, capture_output=True, text=True)
                    checks += 1
                    if done.returncode:
                        failures += 1
                        print(' '.join(command), done.stderr, sep='\n')
                        continue
                    out = subprocess.run(['nm', '-u', str(work / 'program.o')], check=True, capture_output=True, text=True).stdout
                    found = {line.split()[1] for line in out.splitlines() if line.split()[1].startswith(('cu', 'nvml'))}
                    if found != set(called.split()):
                        failures += 1
                        print(f'{compiler} {language} {define}: calls {sorted(found)}')
    if not checks:
        print('skipped: none of these compilers is here:', ' '.join(compilers))
        sys.exit(77)
    print(f'{checks} programs compiled, {failures} wrong')
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
