"Write .sas7bdat files for tests: pyreadstat's library can, though pyreadstat offers no function for it."
import ctypes

import pytest

TEXT, NUMBER = 0, 5   # readstat_type_t


def library():
    "The C library inside pyreadstat; the test is skipped where it does not show the function."
    import pyreadstat._readstat_writer as writer
    try:
        found = ctypes.CDLL(writer.__file__)
        found.readstat_begin_writing_sas7bdat
    except (OSError, AttributeError): pytest.skip('pyreadstat shows no writer of .sas7bdat')
    found.readstat_writer_init.restype = found.readstat_add_variable.restype = ctypes.c_void_p
    return found


def write_sas7bdat(path, frame, labels={}, formats={}):
    "Columns of numbers (a letter among them is a code for missing) and of text."
    readstat, must = library(), lambda code: code == 0 or pytest.fail(f'readstat: error {code}')
    kinds = [TEXT if all(cell is None or isinstance(cell, str) for cell in frame[name]) else NUMBER for name in frame]
    with open(path, 'wb') as file:
        write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)(lambda data, size, _: file.write(ctypes.string_at(data, size)))
        writer = ctypes.c_void_p(readstat.readstat_writer_init())
        readstat.readstat_set_data_writer(writer, write)
        variables = []
        for name, kind in zip(frame, kinds):
            width = max((len(str(cell).encode()) for cell in frame[name]), default=1) if kind == TEXT else 8
            variable = ctypes.c_void_p(readstat.readstat_add_variable(writer, name.encode(), kind, ctypes.c_size_t(max(width, 1))))
            if name in labels: readstat.readstat_variable_set_label(variable, labels[name].encode())
            if name in formats: readstat.readstat_variable_set_format(variable, formats[name].encode())
            variables.append(variable)
        must(readstat.readstat_begin_writing_sas7bdat(writer, None, ctypes.c_long(len(frame))))
        for row in frame.itertuples(index=False):
            readstat.readstat_begin_row(writer)
            for variable, kind, cell in zip(variables, kinds, row):
                if kind == TEXT: must(readstat.readstat_insert_string_value(writer, variable, (cell or '').encode()))
                elif isinstance(cell, str): must(readstat.readstat_insert_tagged_missing_value(writer, variable, ctypes.c_char(cell.encode())))
                elif cell is None or cell != cell: must(readstat.readstat_insert_missing_value(writer, variable))
                else: must(readstat.readstat_insert_double_value(writer, variable, ctypes.c_double(cell)))
            must(readstat.readstat_end_row(writer))
        must(readstat.readstat_end_writing(writer))
        readstat.readstat_writer_free(writer)
