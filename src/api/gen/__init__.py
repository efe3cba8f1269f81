"""The generator of src/api/generate.py: describe.py reads the headers, the others write."""
