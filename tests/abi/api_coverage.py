#!/usr/bin/env python3
"""Promise: docs/coverage.md says what is described, hooked and present in the software GPU's driver as built.

    api_coverage.py SOURCE_ROOT CUDA_LIBRARY NVML_LIBRARY [--write]
"""
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    root, cuda, nvml = map(Path, sys.argv[1:4])
    page = root / 'docs' / 'coverage.md'
    with tempfile.TemporaryDirectory() as folder:
        fresh = page if '--write' in sys.argv else Path(folder) / 'coverage.md'
        subprocess.run([sys.executable, str(root / 'src' / 'api' / 'generate.py'), 'coverage', '--out', str(fresh),
                        '--hooks', str(root / 'src' / 'shim' / 'hooks.txt'), '--nvml-hooks', str(root / 'src' / 'shim' / 'nvml_hooks.txt'),
                        '--cuda-library', str(cuda), '--nvml-library', str(nvml)], check=True)
        before = page.read_text().splitlines() if page.exists() else []
        changes = list(difflib.unified_diff(before, fresh.read_text().splitlines(), 'docs/coverage.md', 'as built', lineterm='', n=0))
    if changes:
        print('\n'.join(changes[:40]))
        print('docs/coverage.md is old: run ./dev coverage')
        sys.exit(1)
    print('docs/coverage.md is fresh')


if __name__ == '__main__':
    main()
