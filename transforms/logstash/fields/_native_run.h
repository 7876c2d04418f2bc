/* A `Run` is one event on its way through a program. The functions find its fields. A path is a tuple of keys. */

#ifndef PENSTOCK_RUN_H
#define PENSTOCK_RUN_H

#include "../../kernels/_native_event_slots.h"

enum Found { FAILED = -1, ABSENT, FOUND, ARRAY };

typedef struct {
    PyObject *event, *document;
    int changed;
} Run;

/* Finds the object that holds the last key of `path`, borrowed; ABSENT and ARRAY say what stands in its way. */
static inline enum Found parent_of(PyObject *document, PyObject *path, PyObject **parent)
{
    Py_ssize_t last = PyTuple_GET_SIZE(path) - 1;
    *parent = document;
    for (Py_ssize_t i = 0; i < last; i++) {
        PyObject *held = PyDict_GetItemWithError(*parent, PyTuple_GET_ITEM(path, i));
        if (!held)
            return PyErr_Occurred() ? FAILED : ABSENT;
        if (!PyDict_CheckExact(held))
            return PyList_CheckExact(held) ? ARRAY : ABSENT;
        *parent = held;
    }
    return FOUND;
}

static inline PyObject *last_of(PyObject *path)
{
    return PyTuple_GET_ITEM(path, PyTuple_GET_SIZE(path) - 1);
}

/* Finds a field's value, borrowed. */
static inline enum Found get_field(PyObject *document, PyObject *path, PyObject **value)
{
    PyObject *parent;
    enum Found found = parent_of(document, path, &parent);
    if (found != FOUND)
        return found;
    *value = PyDict_GetItemWithError(parent, last_of(path));
    if (*value)
        return FOUND;
    return PyErr_Occurred() ? FAILED : ABSENT;
}

static inline int is_path(PyObject *path)
{
    if (!PyTuple_Check(path) || !PyTuple_GET_SIZE(path))
        return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(path); i++)
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(path, i)))
            return 0;
    return 1;
}

#endif
