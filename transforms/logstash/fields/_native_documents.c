/* This kernel begins and ends a document's way through filters. Its twins are in documents.py. */

#include "_native_usual.h"

static PyObject *is_usual(PyObject *keys, PyObject *document)
{
    int usual = PyDict_CheckExact(document) ? is_usual_document(document, keys) : 0;
    return usual < 0 ? NULL : PyBool_FromLong(usual);
}

static PyMethodDef usual_method = {"is_usual", is_usual, METH_O,
                                   "Whether a document has texts as tags or none, and a time as Beats write it."};

static PyObject *usual(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *tags, *time;
    if (!PyArg_ParseTuple(args, "UU", &tags, &time))
        return NULL;
    return PyCFunction_NewEx(&usual_method, args, NULL);
}

/* Puts texts in the place of `type`'s instances, a kind of text; -1 with an exception. */
static int make_plain(PyObject *held, PyTypeObject *type)
{
    PyObject *key, *value;
    Py_ssize_t at = 0, status = 0;
    int is_dict = PyDict_CheckExact(held);
    if (Py_EnterRecursiveCall(" in a document"))
        return -1;
    while (!status) {
        if (is_dict) {
            if (!PyDict_Next(held, &at, &key, &value))
                break;
        } else {
            if (at >= PyList_GET_SIZE(held))
                break;
            value = PyList_GET_ITEM(held, at++);
        }
        if (PyDict_CheckExact(value) || PyList_CheckExact(value)) {
            status = make_plain(value, type);
        } else if (Py_IS_TYPE(value, type)) {
            PyObject *text = PyUnicode_FromObject(value); /* a plain text of the same characters */
            if (!text)
                status = -1;
            else if (!is_dict)
                PyList_SetItem(held, at - 1, text);
            else {
                status = PyDict_SetItem(held, key, text); /* of a key that is there: nothing moves */
                Py_DECREF(text);
            }
        }
    }
    Py_LeaveRecursiveCall();
    return (int)status;
}

static PyObject *plain(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *document, *type;
    if (!PyArg_ParseTuple(args, "O!O!", &PyDict_Type, &document, &PyType_Type, &type))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)type, &PyUnicode_Type))
        return PyErr_Format(PyExc_TypeError, "times are a kind of text");
    if (!PyDict_CheckExact(document) || make_plain(document, (PyTypeObject *)type) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "a document is a dict");
        return NULL;
    }
    return Py_NewRef(document);
}

PENSTOCK_KERNEL(documents, "penstock.transforms.logstash.fields", "Documents before and behind a chain of filters.",
                {"usual", usual, METH_VARARGS, "Makes the question whether a document has the usual tags and time."},
                {"plain", plain, METH_VARARGS, "Puts texts in the place of times, and gives the document."})
