#!/usr/bin/env python3
"""Promise: the generator refuses what is not well described, and says which function it is.

    api_generator.py SOURCE_ROOT
"""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(sys.argv.pop(1))
sys.path.insert(0, str(ROOT / 'src' / 'api'))
from gen import describe, drivers, public, tables  # noqa: E402


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'x.h'
        path.write_text(text)
        return describe.read_functions([path], 'CU')


GOOD = '''/* a comment with CU_API(id = 9) in it */
CU_API(name = cuThing, since = 3020, id = 7, ptsz = 7000, memory = alloc, creates = event)
CUresult cuThing_v2(OUT CUdeviceptr *address, IN LEN(count) const int *values,
    size_t count, CALLBACK CUhostFn function);
CU_NAME(cuOther, since = 2000, id = 8)
'''


class Generator(unittest.TestCase):
    def refused(self, text, sentence):
        with self.assertRaisesRegex(describe.DescriptionError, sentence):
            read(text)

    def test_a_described_function_is_read_with_its_marks(self):
        thing, other = read(GOOD)
        self.assertEqual((thing.symbol, thing.name, thing.id, thing.since), ('cuThing_v2', 'cuThing', 7, 3020))
        self.assertEqual(thing.variants, {'ptsz': 7000})
        self.assertEqual(thing.marks, {'memory': 'alloc', 'creates': 'event'})
        self.assertEqual(thing.prototype(), 'CUresult cuThing_v2(CUdeviceptr *address, const int *values, size_t count, CUhostFn function)')
        self.assertEqual((thing.parameters[1].marks, thing.parameters[1].length), ({'IN'}, 'count'))
        self.assertFalse(other.typed)

    def test_a_pointer_without_direction_is_refused(self):
        self.refused('CU_API(since = 2000, id = 1)\nCUresult cuA(int *x);', 'cuA: the pointer "int .x" has no direction')
        self.refused('CU_API(since = 2000, id = 1)\nCUresult cuA(IN OUT int *x);', 'more than one direction')

    def test_an_id_or_a_symbol_given_twice_is_refused(self):
        a = 'CU_API(since = 2000, id = 1)\nCUresult cuA(int x);\n'
        self.refused(a + 'CU_API(since = 2000, id = 1)\nCUresult cuB(int x);', 'cuB: id 1 is taken')
        self.refused(a + 'CU_API(since = 3000, id = 2)\nCUresult cuA(int x);', 'cuA: symbol cuA is taken')

    def test_two_meanings_of_a_name_at_one_version_are_refused(self):
        self.refused('CU_API(since = 2000, id = 1)\nCUresult cuA(int x);\n'
                     'CU_API(name = cuA, since = 2000, id = 2)\nCUresult cuA_v2(int x);', 'two meanings since 2000')

    def test_unknown_marks_and_values_are_refused(self):
        self.refused('CU_API(since = 2000, id = 1, colour = red)\nCUresult cuA(int x);', 'unknown mark "colour"')
        self.refused('CU_API(since = 2000, id = 1, memory = lots)\nCUresult cuA(int x);', 'memory = lots is none of')
        self.refused('CU_API(since = 2000, id = 1, creates = trouble)\nCUresult cuA(int x);', 'trouble is no kind of object')
        self.refused('CU_API(since = 2000)\nCUresult cuA(int x);', 'an id is needed')
        self.refused('CU_API(since = 2000, id = 40000)\nCUresult cuA(int x);', 'out of range')
        self.refused('CU_API(name = cuB, since = 2000, id = 1)\nCUresult cuA(int x);', 'no version of cuB')

    def test_a_hook_of_no_function_is_refused(self):
        with self.assertRaisesRegex(describe.DescriptionError, 'hooks.txt names functions that do not exist: cuNone'):
            describe.make_entries(read(GOOD), {'cuThing_v2', 'cuNone'}, 'hooks.txt')

    def test_a_hooked_name_gets_no_trampoline_and_keeps_its_slot(self):
        entries = describe.make_entries(read(GOOD), {'cuThing_v2'}, 'hooks.txt')
        self.assertEqual([(e.symbol, e.slot, e.id) for e in entries],
                         [('cuThing_v2', 0, 7), ('cuThing_v2_ptsz', 1, 7 | 0x8000), ('cuOther', 2, 8)])
        text = drivers.trampolines(entries, 'table', 'resolve')
        self.assertNotIn('table_pass cuThing_v2 0', text)
        self.assertIn('table_pass cuThing_v2_ptsz 1', text)
        self.assertIn('[0] = table_resolve_0', text)

    def test_every_exported_name_has_a_stub_an_entry_and_a_line_in_the_map(self):
        entries = describe.make_entries(read(GOOD), set(), None)
        for symbol in ('cuThing_v2', 'cuThing_v2_ptsz', 'cuOther'):
            self.assertIn(f'STUB({symbol})', drivers.weak_stubs(entries, 'int', 'no'))
            self.assertIn(f'(void *){symbol},', tables.entries_source(entries))
            self.assertIn(f'    {symbol};', tables.export_map(entries))

    def test_a_plain_name_is_the_newest_public_function(self):
        plain, per_thread = public.name_macros(read(
            'CU_API(since = 2000, id = 1)\nCUresult cuA(int x);\n'
            'CU_API(name = cuA, since = 3020, id = 2, ptds = 7000)\nCUresult cuA_v2(int x);\n'
            'CU_API(name = cuA, since = 13000, id = 3, public = no)\nCUresult cuA_v3(int x);\n'
            'CU_API(since = 7000, id = 4, ptsz = 7000)\nCUresult cuB(int x);'))
        self.assertEqual(plain, ['#define cuA cuA_v2'])
        self.assertEqual(per_thread, ['#define cuA cuA_v2_ptds', '#define cuB cuB_ptsz'])


if __name__ == '__main__':
    unittest.main()
