/* This header finds where msgspec keeps the fields of an `Event`, and reads and writes them without attribute look-ups.

A msgspec.Struct has a member descriptor for each field, which names the place of a plain reference in the object. The
places are asked for once per call and never kept, so a class that changes, or a second interpreter, cannot mislead us. */

#ifndef PENSTOCK_EVENT_SLOTS_H
#define PENSTOCK_EVENT_SLOTS_H

#include "_native_kernel.h"

#include <structmember.h>

typedef struct {
    PyTypeObject *type;
    Py_ssize_t data, origin, index, part, id, timestamp, document, changed, stamped;
} EventSlots;

static inline Py_ssize_t slot_of(PyObject *type, const char *name)
{
    PyObject *found = PyObject_GetAttrString(type, name);
    Py_ssize_t offset = -1;
    if (!found)
        return -1;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX && !(member->flags & READONLY))
            offset = member->offset;
    }
    Py_DECREF(found);
    if (offset < 0)
        PyErr_Format(PyExc_TypeError, "%.100s is no msgspec.Struct's field: build the package again for this msgspec",
                     name);
    return offset;
}

/* Makes sure that PyType_GenericAlloc makes an object of this class as msgspec does: where objects stand in other memory, are known
   to the garbage collector, or have more than `count` fields, only the library can make them. -1 with an exception. */
static inline int require_plain(PyTypeObject *type, Py_ssize_t count)
{
    Py_ssize_t size = (Py_ssize_t)(sizeof(PyObject) + (size_t)count * sizeof(PyObject *));
    if (!PyType_IS_GC(type) && !type->tp_itemsize && type->tp_basicsize == size)
        return 0;
    PyErr_Format(PyExc_TypeError, "%.100s has another layout than this kernel was built for", type->tp_name);
    return -1;
}

/* Finds the places of all fields of `type`; -1 with an exception where it isn't the class that this was written for. */
static inline int find_slots(PyObject *type, EventSlots *slots)
{
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "the events' class must be a class");
        return -1;
    }
    slots->type = (PyTypeObject *)type;
    if ((slots->data = slot_of(type, "data")) < 0 || (slots->origin = slot_of(type, "origin")) < 0 ||
        (slots->index = slot_of(type, "index")) < 0 || (slots->part = slot_of(type, "part")) < 0 ||
        (slots->id = slot_of(type, "id")) < 0 || (slots->timestamp = slot_of(type, "timestamp")) < 0 ||
        (slots->document = slot_of(type, "document")) < 0 || (slots->changed = slot_of(type, "changed")) < 0 ||
        (slots->stamped = slot_of(type, "stamped")) < 0)
        return -1;
    return 0;
}

/* Reads a field: a borrowed reference, or NULL where it was never set. */
static inline PyObject *get_slot(PyObject *event, Py_ssize_t slot)
{
    return *(PyObject **)((char *)event + slot);
}

/* Sets a field, and takes over the reference to `value`. */
static inline void set_slot(PyObject *event, Py_ssize_t slot, PyObject *value)
{
    PyObject **place = (PyObject **)((char *)event + slot), *old = *place;
    *place = value;
    Py_XDECREF(old);
}

#endif
