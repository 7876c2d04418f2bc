/* This header holds what kernels share: Python's headers, the module's definition, sequences that nobody else can change.

One style for all of them: PEP 7's braces, four spaces, 120 columns, types in CamelCase, arguments read by
PyArg_ParseTuple, `!pointer` for NULL, a comment above each function that returns more than a yes or no. A kernel keeps
no state between calls, so it serves any number of interpreters. */

#ifndef PENSTOCK_KERNEL_H
#define PENSTOCK_KERNEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Defines the module `package`._native_`name` with its functions: `PENSTOCK_KERNEL(scan, "penstock...", doc, {...})`. */
#define PENSTOCK_KERNEL(name, package, doc, ...)                                                                       \
    static PyMethodDef kernel_methods[] = {__VA_ARGS__, {NULL, NULL, 0, NULL}};                                        \
    static struct PyModuleDef kernel_definition = {                                                                    \
        PyModuleDef_HEAD_INIT, .m_name = package "._native_" #name, .m_doc = doc,                                      \
        .m_size = 0,           .m_methods = kernel_methods,                                                            \
    };                                                                                                                 \
    PyMODINIT_FUNC PyInit__native_##name(void)                                                                         \
    {                                                                                                                  \
        return PyModule_Create(&kernel_definition);                                                                    \
    }

/* Makes a tuple of `given`, whose items are bytes with a sum that can be counted; a new reference, NULL with an error. */
static inline PyObject *tuple_of_bytes(PyObject *given)
{
    PyObject *datas = PySequence_Tuple(given);
    if (!datas)
        return NULL;
    size_t total = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(datas); i++) {
        PyObject *data = PyTuple_GET_ITEM(datas, i);
        if (!PyBytes_Check(data)) {
            PyErr_Format(PyExc_TypeError, "item %zd is not bytes but %.100s", i, Py_TYPE(data)->tp_name);
            Py_DECREF(datas);
            return NULL;
        }
        total += (size_t)PyBytes_GET_SIZE(data) + 64;
        if (total > PY_SSIZE_T_MAX / 2) { /* the same huge object many times */
            PyErr_SetString(PyExc_OverflowError, "too many bytes in one batch");
            Py_DECREF(datas);
            return NULL;
        }
    }
    return datas;
}

#endif
