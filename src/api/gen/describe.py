"""Reads the annotated headers (cuda_api*.h, nvml_api*.h) into objects and refuses what is not well described.
Everything else in this package only turns these objects into text."""
import re
from dataclasses import dataclass, field

VALUES = {
    'memory': 'alloc free pool query context module map unmap export import graph'.split(),
    'time': 'launch copy fill operation graph host'.split(),
    'sync': 'local oneway'.split(),
    'capture': ['illegal'],
    'creates': None,
    'destroys': None,
    'public': None,
}
KINDS = set('context green_context stream event module library link_state graph graph_exec user_object mem_pool allocation array '
            'mipmapped_array texref texture surface external_memory external_semaphore graphics_resource resource_description'.split())
DIRECTIONS = {'IN', 'OUT', 'INOUT'}
PARAMETER_MARKS = DIRECTIONS | {'STRING', 'NULLABLE', 'OPAQUE', 'CALLBACK', 'KERNEL_PARAMS', 'KERNEL_EXTRA'}
VARIANTS = ('ptsz', 'ptds')
VARIANT_ID = 0x8000


class DescriptionError(Exception):
    """A sentence for the person who edits the headers."""


@dataclass
class Parameter:
    declaration: str  # without marks, as C
    marks: set
    length: str | None


@dataclass
class Function:
    symbol: str
    name: str
    id: int
    since: int
    variants: dict
    marks: dict
    result: str
    parameters: list = field(default_factory=list)
    typed: bool = True

    def prototype(self, symbol=None):
        inside = ', '.join(p.declaration for p in self.parameters) or 'void'
        gap = '' if self.result.endswith('*') else ' '
        return f'{self.result}{gap}{symbol or self.symbol}({inside})'


@dataclass
class Entry:
    """One exported symbol: a function or one of its per-thread variants."""
    symbol: str
    function: Function
    variant: str
    since: int
    id: int
    slot: int = 0
    hooked: bool = False


def without_comments(text):
    return re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)


def read_parameter(text, symbol):
    marks, length = set(), None
    text = text.strip()
    while True:
        match = re.match(r'(LEN)\(([^()]*)\)\s*|(\w+)\b\s*', text)
        word = match and (match[1] or match[3])
        if word == 'LEN':
            length = match[2]
        elif word in PARAMETER_MARKS:
            marks.add(word)
        else:
            break
        text = text[match.end():]
    if '*' in text and not marks & (DIRECTIONS | {'OPAQUE'}):
        raise DescriptionError(f'{symbol}: the pointer "{text}" has no direction (IN, OUT, INOUT) and is not OPAQUE')
    if len(marks & DIRECTIONS) > 1:
        raise DescriptionError(f'{symbol}: "{text}" has more than one direction')
    return Parameter(text, marks, length)


def read_marks(text, where):
    marks = {}
    for item in filter(None, (part.strip() for part in text.split(','))):
        key, equals, value = (piece.strip() for piece in item.partition('='))
        if not equals or key in marks:
            raise DescriptionError(f'{where}: mark "{item}" is not KEY = VALUE, or comes twice')
        if key not in VALUES and key not in ('name', 'id', 'since', *VARIANTS):
            raise DescriptionError(f'{where}: unknown mark "{key}"')
        if VALUES.get(key) and value not in VALUES[key]:
            raise DescriptionError(f'{where}: {key} = {value} is none of {" ".join(VALUES[key])}')
        if key in ('creates', 'destroys') and value not in KINDS:
            raise DescriptionError(f'{where}: {value} is no kind of object')
        marks[key] = value
    return marks


def make_function(symbol, marks, result='CUresult', parameters=(), typed=True):
    marks = dict(marks)
    try:
        number = int(marks.pop('id'))
        since = int(marks.pop('since', 0))
        variants = {v: int(marks.pop(v)) for v in VARIANTS if v in marks}
    except (KeyError, ValueError):
        raise DescriptionError(f'{symbol}: id, since and variants are numbers, and an id is needed') from None
    return Function(symbol, marks.pop('name', symbol), number, since, variants, marks, result, list(parameters), typed)


def read_functions(paths, prefix):
    """All functions that the headers describe, marked PREFIX_API(...) or PREFIX_NAME(...)."""
    functions = []
    for path in paths:
        text = re.sub(r'^\s*#.*$', '', without_comments(path.read_text()), flags=re.M)
        for match in re.finditer(rf'{prefix}_(API|NAME)\(([^()]*)\)\s*', text):
            if match[1] == 'NAME':
                symbol, _, rest = match[2].partition(',')
                functions.append(make_function(symbol.strip(), read_marks(rest, symbol), typed=False))
                continue
            prototype = ' '.join(text[match.end():text.index(';', match.end())].split())
            parts = re.fullmatch(r'(.*?)(\w+)\((.*)\)', prototype)
            if not parts:
                raise DescriptionError(f'{path.name}: "{prototype}" is no prototype')
            inside = [] if parts[3] == 'void' else re.split(r',\s*(?![^()]*\))', parts[3])
            functions.append(make_function(parts[2], read_marks(match[2], parts[2]), parts[1].strip(),
                                           (read_parameter(p, parts[2]) for p in inside)))
    check(functions)
    return sorted(functions, key=lambda f: f.id)


def check(functions):
    for what in ('id', 'symbol'):
        seen = set()
        for function in functions:
            value = getattr(function, what)
            if value in seen:
                raise DescriptionError(f'{function.symbol}: {what} {value} is taken')
            seen.add(value)
    for function in functions:
        if not 0 < function.id < VARIANT_ID:
            raise DescriptionError(f'{function.symbol}: id {function.id} is out of range')
        if not re.fullmatch(re.escape(function.name) + r'(_v\d+)?', function.symbol):
            raise DescriptionError(f'{function.symbol}: is no version of {function.name}')
        if len(function.variants) > 1:
            raise DescriptionError(f'{function.symbol}: a function has _ptsz or _ptds, not both')
    seen = set()
    for function in functions:
        if function.since and (function.name, function.since) in seen:
            raise DescriptionError(f'{function.symbol}: {function.name} has two meanings since {function.since}')
        seen.add((function.name, function.since))


def read_hooks(path):
    if path is None or not path.exists():
        return set()
    lines = (line.split('#')[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}


def make_entries(functions, hooks, hooks_path):
    """Exported symbols in slot order: functions by id, each followed by its variant."""
    entries = []
    for function in functions:
        entries.append(Entry(function.symbol, function, '', function.since, function.id))
        for variant, since in function.variants.items():
            entries.append(Entry(f'{function.symbol}_{variant}', function, variant, since, function.id | VARIANT_ID))
    for slot, entry in enumerate(entries):
        entry.slot = slot
        entry.hooked = entry.symbol in hooks
    unknown = hooks - {entry.symbol for entry in entries}
    if unknown:
        raise DescriptionError(f'{hooks_path} names functions that do not exist: {" ".join(sorted(unknown))}')
    return entries
