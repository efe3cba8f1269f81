"""Reads the types of a C translation unit from its debug information, so that two headers can be compared by what the
compiler makes of them. Used by api_toolkit.py."""
import re
import subprocess


class Die:
    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.children = tag, attributes, []

    def get(self, name):
        return self.attributes.get(name)


def compile_debug(compiler, source, output, flags):
    command = [compiler, '-std=gnu17', '-g', '-gdwarf-4', '-O0', '-fno-eliminate-unused-debug-types', '-fno-debug-types-section', '-c',
               str(source), '-o', str(output), *flags]
    subprocess.run(command, check=True)
    return subprocess.run(['readelf', '--debug-dump=info', '-W', str(output)], check=True, capture_output=True, text=True).stdout


def number(text):
    return int(text, 0)


class Types:
    """Structs, unions, enums, typedefs and variables of one unit, all described by strings that can be compared."""

    def __init__(self, dump):
        self.dies = {}
        self.parse(dump)
        self.typedefs, self.records, self.enumerators, self.variables = {}, {}, {}, {}
        for die in self.root.children:
            self.collect(die)

    def parse(self, dump):
        stack = []
        die = None
        for line in dump.splitlines():
            head = re.match(r'\s*<(\w+)><(\w+)>: Abbrev Number: \d+ \((\w+)\)', line)
            if head:
                die = Die(head[3], {})
                depth = int(head[1], 16)
                self.dies[int(head[2], 16)] = die
                stack = stack[:depth]
                if stack:
                    stack[-1].children.append(die)
                else:
                    self.root = die
                stack.append(die)
                continue
            attribute = re.match(r'\s*<\w+>\s+(DW_AT_\w+)\s*:\s*(.*)', line)
            if attribute and die:
                value = attribute[2].strip()
                # binutils print the form first, in newer versions: "(strp) (offset: 0x1b): name", "(data1) 8".
                value = re.sub(r'^\([a-z_]+\d*\)\s*', '', value)
                value = re.sub(r'^\((?:indirect|alt indirect|offset)[^)]*\):\s*', '', value)
                die.attributes[attribute[1]] = value
            elif re.match(r'\s*<\w+><\w+>: Abbrev Number: 0', line):
                die = None

    def target(self, die):
        ref = die.get('DW_AT_type')
        return self.dies[int(re.search(r'<0x(\w+)>', ref)[1], 16)] if ref else None

    def collect(self, die):
        name = die.get('DW_AT_name')
        if die.tag == 'DW_TAG_typedef':
            self.typedefs[name] = self.describe(die)
            self.records.setdefault(name, self.layout(die))
        elif die.tag == 'DW_TAG_enumeration_type':
            for child in die.children:
                self.enumerators[child.get('DW_AT_name')] = number(child.get('DW_AT_const_value'))
        elif die.tag == 'DW_TAG_variable':
            self.variables[name] = self.describe(self.target(die))

    def resolved(self, die):
        while die is not None and die.tag in ('DW_TAG_typedef', 'DW_TAG_const_type', 'DW_TAG_volatile_type'):
            die = self.target(die)
        return die

    def describe(self, die):
        """A type as the calling convention and the layout see it; structs by size, opaque ones by tag."""
        if die is None:
            return 'void'
        inner = self.target(die)
        if die.tag == 'DW_TAG_typedef':
            return self.describe(inner)
        if die.tag == 'DW_TAG_const_type':
            return 'const ' + self.describe(inner)
        if die.tag == 'DW_TAG_pointer_type':
            return 'pointer to ' + self.describe(inner)
        if die.tag == 'DW_TAG_base_type':
            return f'{die.get("DW_AT_name")}'
        if die.tag == 'DW_TAG_enumeration_type':
            return f'enum of {die.get("DW_AT_byte_size")}: {min((c.get("DW_AT_name") for c in die.children), default="")}'
        if die.tag == 'DW_TAG_array_type':
            sizes = [c.get('DW_AT_upper_bound') or '?' for c in die.children]
            return f'array [{",".join(sizes)}] of ' + self.describe(inner)
        if die.tag == 'DW_TAG_subroutine_type':
            parameters = ', '.join(self.describe(self.target(c)) for c in die.children)
            return f'function({parameters}) returning {self.describe(inner)}'
        kind = die.tag.removeprefix('DW_TAG_').removesuffix('_type')
        if die.get('DW_AT_declaration'):
            return f'opaque {kind} {die.get("DW_AT_name")}'
        fields = ' '.join(f'{name}@{offset}' for name, offset, _ in self.fields(die))
        return f'{kind} of {die.get("DW_AT_byte_size")} {{{fields}}}'

    def fields(self, die, at=0, path=''):
        for child in die.children:
            if child.tag != 'DW_TAG_member':
                continue
            name = child.get('DW_AT_name')
            offset = at + number(child.get('DW_AT_data_member_location') or '0')
            full = f'{path}.{name}' if path and name else name or path
            inner = self.resolved(self.target(child))
            if name:
                yield full, offset, inner
            if inner is not None and inner.tag in ('DW_TAG_structure_type', 'DW_TAG_union_type'):
                yield from self.fields(inner, offset, full)

    def layout(self, die):
        """[(field, offset, type)] of a typedef's struct or union, nested fields included; None for other types."""
        die = self.resolved(die)
        if die is None or die.tag not in ('DW_TAG_structure_type', 'DW_TAG_union_type') or die.get('DW_AT_declaration'):
            return None
        rows = [('(size)', number(die.get('DW_AT_byte_size')), '')]
        return rows + [(name, offset, self.describe(inner) if inner is not None else 'void') for name, offset, inner in
                       self.fields(die)]
