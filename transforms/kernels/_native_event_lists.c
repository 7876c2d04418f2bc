/* This kernel makes the events of many payloads, and finds those of a batch that lack a field, as _event_lists.py does.

A new event is a copy of a template's fields, with its own `data` and `index`: no call and no argument per event. */

#include "_native_event_slots.h"

#define MAX_FIELDS 32

/* Finds the places of all fields of `type`; gives how many, -1 with an exception. */
static int all_slots(PyTypeObject *type, Py_ssize_t slots[MAX_FIELDS])
{
    PyObject *names = PyObject_GetAttrString((PyObject *)type, "__struct_fields__");
    int count = -1;
    if (names && PyTuple_Check(names) && PyTuple_GET_SIZE(names) <= MAX_FIELDS) {
        for (count = 0; count < PyTuple_GET_SIZE(names); count++) {
            const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, count));
            if (!name || (slots[count] = slot_of((PyObject *)type, name)) < 0) {
                count = -1;
                break;
            }
        }
    }
    Py_XDECREF(names);
    if (count < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "the template must be a msgspec.Struct of few fields");
    return count;
}

PyDoc_STRVAR(make_events_doc, "make_events(template, datas, first, /)\n--\n\n"
                              "Gives a copy of `template` for each payload, with that payload and the next index.");

static PyObject *make_events(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *template, *datas, *events = NULL;
    Py_ssize_t slots[MAX_FIELDS];
    long long first;
    if (!PyArg_ParseTuple(arguments, "OO!L:make_events", &template, &PyList_Type, &datas, &first))
        return NULL;
    PyTypeObject *type = Py_TYPE(template);
    int count = all_slots(type, slots);
    if (count < 0 || require_plain(type, count) < 0)
        return NULL;
    Py_ssize_t data_slot = slot_of((PyObject *)type, "data"), index_slot = slot_of((PyObject *)type, "index");
    if (data_slot < 0 || index_slot < 0 || (events = PyList_New(PyList_GET_SIZE(datas))) == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(events); i++) {
        PyObject *index = PyLong_FromLongLong(first + i);
        PyObject *event = index ? PyType_GenericAlloc(type, 0) : NULL; /* its fields are NULL */
        if (!event) {
            Py_XDECREF(index);
            Py_DECREF(events);
            return NULL;
        }
        for (int n = 0; n < count; n++) {
            PyObject *value = slots[n] == data_slot    ? PyList_GET_ITEM(datas, i)
                              : slots[n] == index_slot ? NULL
                                                       : get_slot(template, slots[n]);
            *(PyObject **)((char *)event + slots[n]) = Py_XNewRef(value);
        }
        set_slot(event, index_slot, index);
        PyList_SET_ITEM(events, i, event);
    }
    return events;
}

PyDoc_STRVAR(lacking_doc, "lacking(events, event_type, field, /)\n--\n\n"
                          "Gives the events whose field is None; the same list where that is each of them.");

static PyObject *lacking(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *events, *type;
    const char *field;
    if (!PyArg_ParseTuple(arguments, "O!O!s:lacking", &PyList_Type, &events, &PyType_Type, &type, &field))
        return NULL;
    Py_ssize_t slot = slot_of(type, field), count = 0, size = PyList_GET_SIZE(events);
    if (slot < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *event = PyList_GET_ITEM(events, i);
        if (!Py_IS_TYPE(event, (PyTypeObject *)type)) {
            PyErr_Format(PyExc_TypeError, "item %zd is a %.100s", i, Py_TYPE(event)->tp_name);
            return NULL;
        }
        count += get_slot(event, slot) == Py_None;
    }
    if (count == size)
        return Py_NewRef(events);
    PyObject *found = PyList_New(count);
    for (Py_ssize_t i = 0, n = 0; found && n < count; i++) {
        PyObject *event = PyList_GET_ITEM(events, i);
        if (get_slot(event, slot) == Py_None)
            PyList_SET_ITEM(found, n++, Py_NewRef(event));
    }
    return found;
}

PENSTOCK_KERNEL(event_lists, "penstock.transforms.kernels", "Many events at once; the twin is in _event_lists.py.",
                {"make_events", make_events, METH_VARARGS, make_events_doc},
                {"lacking", lacking, METH_VARARGS, lacking_doc})
