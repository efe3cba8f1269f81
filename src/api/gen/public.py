"""The headers that programs compile against: one self-contained file each, C and C++, laid out from the type headers and the
prototypes."""
import re
from .text import HEAD


def body(path):
    """A header's declarations: without its opening comment, guard and includes of our own."""
    text = path.read_text()
    text = re.sub(r'\A\s*/\*.*?\*/\s*#ifndef \w+\n#define \w+\n', '', text, count=1, flags=re.S)
    text = re.sub(r'\n#endif\s*\Z', '\n', text)
    return re.sub(r'^#include "api/.*\n', '', text, flags=re.M).strip('\n')


def include_order(path, root, seen):
    """path and what it includes of our own, what is included first."""
    if path in seen:
        return []
    seen.add(path)
    order = []
    for name in re.findall(r'^#include "api/([^"]+)"', path.read_text(), flags=re.M):
        order += include_order(root / name, root, seen)
    return order + [path]


# Names whose plain use keeps its older signature, so that programs still compile: cuda.h 13.0 leaves them to cuGetProcAddress.
PLAIN_STAYS = {'cuCtxGetDevice': 'cuCtxGetDevice', 'cuCtxSynchronize': 'cuCtxSynchronize', 'cuStreamGetCtx': 'cuStreamGetCtx',
               'cuGraphInstantiate': 'cuGraphInstantiateWithFlags'}


def name_macros(functions):
    """What a program means by a plain name: the newest function of it, on the thread's own stream 0 if it asks for that."""
    means = {}
    for function in sorted((f for f in functions if f.typed), key=lambda f: f.since):
        wanted = function.marks.get('public', function.name)
        if wanted == 'no':
            means[function.symbol] = function
        else:
            means[function.name] = means[wanted] = function
    plain, per_thread = {}, {}
    for name, function in means.items():
        variant = next((f'_{v}' for v in function.variants), '')
        if function.symbol != name:
            plain[name] = function.symbol
        if function.symbol + variant != name:
            per_thread[name] = function.symbol + variant
    return [[f'#define {name} {symbol}' for name, symbol in sorted(table.items())] for table in (plain, per_thread)]


# A program on per-thread streams asks for per-thread functions unless it says otherwise.
PROC_ADDRESS = '''#define cuGetProcAddress cuGetProcAddress_v2_ptsz
static inline CUresult cuGetProcAddress_v2_ptsz(const char *symbol, void **function, int version, cuuint64_t flags,
                                                CUdriverProcAddressQueryResult *status)
{
    if (!(flags & (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)))
        flags |= CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    return cuGetProcAddress_v2(symbol, function, version, flags, status);
}
#define cuGetProcAddress_v2 cuGetProcAddress_v2_ptsz'''


def public_header(types, root, functions, guard, extra=()):
    lines = [HEAD, f'#ifndef {guard}', f'#define {guard}', '', '#ifdef __cplusplus', 'extern "C" {', '#endif', '']
    for path in include_order(types, root, set()):
        lines += [body(path), '']
    for function in functions:
        if function.typed:
            lines += [function.prototype() + ';']
            lines += [function.prototype(f'{function.symbol}_{variant}') + ';' for variant in function.variants]
    lines += ['', *extra, '', '#ifdef __cplusplus', '}', '#endif', '', '#endif', '']
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines))


def cuda_header(types, root, functions):
    plain, per_thread = name_macros(functions)
    extra = ['/* Stream 0 is the thread\'s own when the program says so before it includes this file. */',
             '#if defined(CUDA_API_PER_THREAD_DEFAULT_STREAM) || defined(__CUDA_API_PER_THREAD_DEFAULT_STREAM)',
             *(line for line in per_thread if ' cuGetProcAddress ' not in line), PROC_ADDRESS, '#else', *plain, '#endif']
    return public_header(types, root, functions, '__cuda_cuda_h__', extra)


def nvml_header(types, root, functions):
    newest = {}
    for function in functions:
        if function.typed:
            newest[function.name] = max(newest.get(function.name, ''), function.symbol)
    plain = [f'#define {name} {symbol}' for name, symbol in sorted(newest.items()) if name != symbol]
    # These two had their struct changed with the version: a plain name keeps its plain struct.
    plain = [line for line in plain if line.split()[1] not in ('nvmlDeviceGetMemoryInfo', 'nvmlDeviceGetFanSpeed')]
    extra = ['#ifndef NVML_NO_UNVERSIONED_FUNC_DEFS', *plain, '#endif']
    return public_header(types, root, functions, '__nvml_nvml_h__', extra)
