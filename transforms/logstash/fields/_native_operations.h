/* Each function changes one field, as operations.py describes it. An operation is `(kind, step, path, target, put, value)`:

- `step(event)` does the whole operation in Python. It is called wherever the field is no plain one of nested objects.
- `path` is the field that is read, `target` the field that is set, each a tuple of keys; `put(event, value)` sets the
  target where `target` is None or something in its way is no object.
- `value` is a text, a tuple of a template's parts (a text, or `(path or None, render)`), or for CHANGE a function. */

#ifndef PENSTOCK_OPERATIONS_H
#define PENSTOCK_OPERATIONS_H

#include "_native_run.h"

enum Kind { CALL, MOVE, DROP, PUT, UPDATE, ADD, TAG, INTEGER, FLOAT, COPY, CHANGE, KINDS };

typedef struct {
    long kind;
    PyObject *step, *path, *target, *put, *value;
} Operation;

static inline int call_step(const Run *run, const Operation *operation)
{
    PyObject *done = PyObject_CallOneArg(operation->step, run->event);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Sets the target. Objects are made on the way. */
static inline int put_field(Run *run, const Operation *operation, PyObject *value)
{
    PyObject *parent = run->document, *path = operation->target;
    Py_ssize_t last = path ? PyTuple_GET_SIZE(path) - 1 : -1;
    for (Py_ssize_t i = 0; i < last; i++) {
        PyObject *key = PyTuple_GET_ITEM(path, i), *held = PyDict_GetItemWithError(parent, key);
        if (!held) {
            if (PyErr_Occurred() || !(held = PyDict_New()))
                return -1;
            run->changed = 1;
            int failed = PyDict_SetItem(parent, key, held);
            Py_DECREF(held); /* its parent holds it */
            if (failed)
                return -1;
        }
        if (!PyDict_CheckExact(held)) {
            path = NULL;
            break;
        }
        parent = held;
    }
    if (!path) {
        PyObject *done = PyObject_CallFunctionObjArgs(operation->put, run->event, value, NULL);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    run->changed = 1;
    return PyDict_SetItem(parent, PyTuple_GET_ITEM(path, last), value);
}

/* Makes the text of one part of a template; a new reference. */
static inline PyObject *text_of_part(const Run *run, PyObject *part)
{
    if (PyUnicode_Check(part))
        return Py_NewRef(part);
    PyObject *path = PyTuple_GET_ITEM(part, 0), *value = NULL;
    if (path != Py_None) {
        if (get_field(run->document, path, &value) == FAILED)
            return NULL;
        if (value && PyUnicode_CheckExact(value))
            return Py_NewRef(value);
        if (value && PyLong_CheckExact(value))
            return PyObject_Str(value);
    }
    value = PyObject_CallOneArg(PyTuple_GET_ITEM(part, 1), run->event);
    if (value && !PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "a template gave a %.100s", Py_TYPE(value)->tp_name);
        Py_CLEAR(value);
    }
    return value;
}

/* Makes the text of a template; a new reference. */
static inline PyObject *text_of(const Run *run, PyObject *template)
{
    if (PyUnicode_Check(template))
        return Py_NewRef(template);
    PyObject *text = text_of_part(run, PyTuple_GET_ITEM(template, 0));
    for (Py_ssize_t i = 1; text && i < PyTuple_GET_SIZE(template); i++) {
        PyObject *more = text_of_part(run, PyTuple_GET_ITEM(template, i));
        if (more)
            PyUnicode_Append(&text, more);
        else
            Py_CLEAR(text);
        Py_XDECREF(more);
    }
    return text;
}

static inline int put_text(Run *run, const Operation *operation)
{
    PyObject *text = text_of(run, operation->value);
    int status = text ? put_field(run, operation, text) : -1;
    Py_XDECREF(text);
    return status;
}

/* Takes a key and its value out of an object; `*value` is a new reference where it was FOUND. */
static inline enum Found pop_key(PyObject *object, PyObject *key, PyObject **value)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (enum Found)PyDict_Pop(object, key, value);
#else
    *value = _PyDict_Pop(object, key, Py_Ellipsis); /* no document holds an Ellipsis */
    if (*value == Py_Ellipsis)
        Py_CLEAR(*value);
    return *value ? FOUND : PyErr_Occurred() ? FAILED : ABSENT;
#endif
}

/* Takes a field out of the document; `*value` is a new reference where it was FOUND. */
static inline enum Found take_field(Run *run, PyObject *path, PyObject **value)
{
    PyObject *parent;
    enum Found found = parent_of(run->document, path, &parent);
    if (found != FOUND)
        return found;
    found = pop_key(parent, last_of(path), value);
    run->changed |= found == FOUND;
    return found;
}

static inline int take(Run *run, const Operation *operation)
{
    PyObject *value = NULL;
    enum Found found = take_field(run, operation->path, &value);
    if (found == ARRAY)
        return call_step(run, operation);
    int status = found == FAILED ? -1 : 0;
    if (found == FOUND && operation->kind == MOVE)
        status = put_field(run, operation, value);
    Py_XDECREF(value);
    return status;
}

/* Sets a field that is there to a text. */
static inline int update(Run *run, const Operation *operation)
{
    PyObject *value = NULL;
    switch (get_field(run->document, operation->path, &value)) {
    case FOUND:
        return put_text(run, operation);
    case ARRAY:
        return call_step(run, operation);
    case ABSENT:
        return 0;
    default:
        return -1;
    }
}

/* Sets a field that is not there to a text. */
static inline int add(Run *run, const Operation *operation)
{
    PyObject *held = run->document, *path = operation->path;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(path); i++) {
        if (!PyDict_CheckExact(held))
            return call_step(run, operation);
        held = PyDict_GetItemWithError(held, PyTuple_GET_ITEM(path, i));
        if (!held)
            return PyErr_Occurred() ? -1 : put_text(run, operation);
    }
    return call_step(run, operation);
}

static inline int tag(Run *run, const Operation *operation)
{
    PyObject *tags = NULL;
    if (get_field(run->document, operation->path, &tags) == FAILED)
        return -1;
    if (tags && tags != Py_None && !PyList_CheckExact(tags))
        return call_step(run, operation);
    int status = -1, is_new = !tags || tags == Py_None;
    tags = is_new ? PyList_New(0) : Py_NewRef(tags);
    PyObject *text = tags ? text_of(run, operation->value) : NULL;
    if (text && !PyList_Append(tags, text))
        status = is_new ? PyDict_SetItem(run->document, last_of(operation->path), tags) : 0;
    if (!status)
        run->changed = 1;
    Py_XDECREF(text);
    Py_XDECREF(tags);
    return status;
}

/* Makes the number that a text of 1 to 15 ASCII digits is, for a float with one point among them; NULL without an exception where
   the text is another one. Both parts of the fraction are exact, so their quotient is the nearest double. */
static inline PyObject *number_of(PyObject *text, int is_float)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    Py_ssize_t size = PyUnicode_GET_LENGTH(text), point = -1;
    if (!PyUnicode_IS_COMPACT_ASCII(text) || !size || size > 15)
        return NULL;
    const Py_UCS1 *at = PyUnicode_1BYTE_DATA(text);
    long long digits = 0;
    for (Py_ssize_t i = 0; i < size; i++)
        if (at[i] >= '0' && at[i] <= '9')
            digits = 10 * digits + at[i] - '0';
        else if (at[i] == '.' && is_float && point < 0 && size > 1)
            point = i;
        else
            return NULL;
    if (!is_float)
        return PyLong_FromLongLong(digits);
    return PyFloat_FromDouble((double)digits / powers[point < 0 ? 0 : size - 1 - point]);
}

static inline int convert(Run *run, const Operation *operation)
{
    PyObject *value = NULL, *made;
    int is_float = operation->kind == FLOAT;
    enum Found found = get_field(run->document, operation->path, &value);
    if (found == FAILED || found == ABSENT)
        return found == FAILED ? -1 : 0;
    if (found == ARRAY)
        return call_step(run, operation);
    made = PyUnicode_CheckExact(value) ? number_of(value, is_float) : NULL;
    if (!made) {
        int is_done = is_float ? PyFloat_CheckExact(value) : PyLong_CheckExact(value);
        return is_done ? 0 : PyErr_Occurred() ? -1 : call_step(run, operation);
    }
    int status = put_field(run, operation, made);
    Py_DECREF(made);
    return status;
}

static inline int copy(Run *run, const Operation *operation)
{
    PyObject *value = NULL;
    enum Found found = get_field(run->document, operation->path, &value);
    if (found == FAILED || found == ABSENT)
        return found == FAILED ? -1 : 0;
    if (found == ARRAY || PyDict_CheckExact(value) || PyList_CheckExact(value))
        return call_step(run, operation);
    if (value == Py_None)
        return 0;
    Py_INCREF(value);
    int status = put_field(run, operation, value);
    Py_DECREF(value);
    return status;
}

/* Sets a text to what a function makes of it, if that differs. */
static inline int change(Run *run, const Operation *operation)
{
    PyObject *value = NULL;
    enum Found found = get_field(run->document, operation->path, &value);
    if (found == FAILED || found == ABSENT)
        return found == FAILED ? -1 : 0;
    if (found == ARRAY || PyList_CheckExact(value))
        return call_step(run, operation);
    if (!PyUnicode_CheckExact(value))
        return 0;
    Py_INCREF(value);
    PyObject *made = PyObject_CallOneArg(operation->value, value);
    int differs = made ? PyObject_RichCompareBool(made, value, Py_NE) : -1;
    int status = differs > 0 ? put_field(run, operation, made) : differs;
    Py_DECREF(value);
    Py_XDECREF(made);
    return status;
}

static inline int do_operation(Run *run, const Operation *operation)
{
    switch (operation->kind) {
    case MOVE:
    case DROP:
        return take(run, operation);
    case PUT:
        return put_text(run, operation);
    case UPDATE:
        return update(run, operation);
    case ADD:
        return add(run, operation);
    case TAG:
        return tag(run, operation);
    case INTEGER:
    case FLOAT:
        return convert(run, operation);
    case COPY:
        return copy(run, operation);
    case CHANGE:
        return change(run, operation);
    default:
        return call_step(run, operation);
    }
}

static inline int is_template(PyObject *template)
{
    if (PyUnicode_CheckExact(template))
        return 1;
    if (!PyTuple_Check(template) || !PyTuple_GET_SIZE(template))
        return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(template); i++) {
        PyObject *part = PyTuple_GET_ITEM(template, i);
        if (PyUnicode_Check(part))
            continue;
        if (!PyTuple_Check(part) || PyTuple_GET_SIZE(part) != 2)
            return 0;
        PyObject *path = PyTuple_GET_ITEM(part, 0);
        if (path != Py_None && !is_path(path))
            return 0;
    }
    return 1;
}

/* Reads one operation, and checks all that the functions above rely on. */
static inline int read_operation(PyObject *given, Operation *operation)
{
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "lOOOOO", &operation->kind, &operation->step, &operation->path, &operation->target,
                          &operation->put, &operation->value))
        return -1;
    long kind = operation->kind;
    int has_path = is_path(operation->path), has_target = is_path(operation->target);
    int writes = kind >= PUT && kind <= TAG;
    if (!has_target)
        operation->target = NULL;
    if (kind < 0 || kind >= KINDS || (kind != CALL && kind != PUT && !has_path) ||
        (kind != CALL && kind != DROP && kind != TAG && !has_target && operation->put == Py_None) ||
        (writes && !is_template(operation->value))) {
        PyErr_SetString(PyExc_ValueError, "an operation lacks what its kind needs");
        return -1;
    }
    return 0;
}

#endif
