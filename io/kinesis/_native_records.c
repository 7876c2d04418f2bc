/* KPL's aggregated records in C: placeholder that grows (see _aggregation.py, _deaggregation.py for the format). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyMethodDef methods[] = {{NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "penstock.io.kinesis._native_records",
    .m_doc = "KPL's aggregated records; the twins are in _aggregation.py and _deaggregation.py.",
    .m_size = 0, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native_records(void) { return PyModule_Create(&definition); }
