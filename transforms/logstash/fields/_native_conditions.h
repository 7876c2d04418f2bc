/* The functions decide conditions as conditions.py describes them. A condition is `(kind, call, path, value)`:

- `call(event)` decides it in Python. It is called wherever the field is none of nested objects, or its value an odd one.
- `path` is the field that is asked about.
- `value` is what it is compared with: for NOT, AND, OR and XOR a tuple of conditions, for ORDER
  `(operator, number)`, for FINDS a function of a text, for LITERAL `(at the start, inside, at the end)`, each a text or None. */

#ifndef PENSTOCK_CONDITIONS_H
#define PENSTOCK_CONDITIONS_H

#include "_native_run.h"

enum Test { ASK, CONSTANT, NOT, AND, OR, XOR, TRUE_VALUE, EQUAL, ORDER, HAS, AMONG, FINDS, LITERAL, TESTS };

enum { MOST_LEVELS = 100 };

typedef struct Condition {
    long kind;
    PyObject *call, *path, *value;
    struct Condition *parts;
    Py_ssize_t count;
    int operator;
} Condition;

static inline int ask(const Run *run, const Condition *condition)
{
    PyObject *answer = PyObject_CallOneArg(condition->call, run->event);
    int holds = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return holds;
}

/* Whether a value counts as true. */
static inline int is_true_value(PyObject *value)
{
    if (value == Py_None || value == Py_False)
        return 0;
    return !PyUnicode_Check(value) ||
           (PyUnicode_GET_LENGTH(value) && PyUnicode_CompareWithASCIIString(value, "false") != 0);
}

/* Whether a text begins with, holds or ends with one of a literal's three texts. */
static inline int finds_literal(PyObject *text, PyObject *literal)
{
    PyObject *start = PyTuple_GET_ITEM(literal, 0), *inside = PyTuple_GET_ITEM(literal, 1),
             *end = PyTuple_GET_ITEM(literal, 2);
    Py_ssize_t found = start == Py_None ? 0 : PyUnicode_Tailmatch(text, start, 0, PY_SSIZE_T_MAX, -1);
    if (!found && inside != Py_None)
        found = PyUnicode_Contains(text, inside);
    if (!found && end != Py_None)
        found = PyUnicode_Tailmatch(text, end, 0, PY_SSIZE_T_MAX, 1);
    return (int)found;
}

static inline int finds(PyObject *text, PyObject *search)
{
    PyObject *match = PyObject_CallOneArg(search, text);
    int found = match ? match != Py_None : -1;
    Py_XDECREF(match);
    return found;
}

/* Whether the condition holds for a field that is there. */
static inline int holds_for(const Run *run, const Condition *condition, PyObject *value)
{
    int is_text = PyUnicode_CheckExact(value);
    switch (condition->kind) {
    case TRUE_VALUE:
        return is_true_value(value);
    case EQUAL:
        return Py_IS_TYPE(value, Py_TYPE(condition->value)) ? PyObject_RichCompareBool(value, condition->value, Py_EQ)
                                                            : 0;
    case ORDER:
        return PyLong_CheckExact(value) || PyFloat_CheckExact(value)
                   ? PyObject_RichCompareBool(value, condition->value, condition->operator)
                   : ask(run, condition);
    case HAS:
        if (PyList_CheckExact(value))
            return PySequence_Contains(value, condition->value);
        return is_text ? PyUnicode_Contains(value, condition->value) : 0;
    case AMONG:
        return is_text ? PySet_Contains(condition->value, value) : ask(run, condition);
    case FINDS:
        return is_text ? finds(value, condition->value) : 0;
    default: /* LITERAL */
        return is_text ? finds_literal(value, condition->value) : 0;
    }
}

/* Whether a condition holds: 1, 0, or -1 with an exception. */
static inline int holds(const Run *run, const Condition *condition)
{
    PyObject *value = NULL;
    int first;
    switch (condition->kind) {
    case ASK:
        return ask(run, condition);
    case CONSTANT:
        return condition->value == Py_True;
    case NOT:
        first = holds(run, condition->parts);
        return first < 0 ? -1 : !first;
    case AND:
    case OR:
        first = holds(run, condition->parts);
        return first == (condition->kind == AND) ? holds(run, condition->parts + 1) : first;
    case XOR: {
        first = holds(run, condition->parts);
        int second = first < 0 ? -1 : holds(run, condition->parts + 1);
        return second < 0 ? -1 : first != second;
    }
    default:
        break;
    }
    switch (get_field(run->document, condition->path, &value)) {
    case FOUND:
        break;
    case ABSENT: /* an order cannot be decided then */
        return condition->kind == ORDER ? ask(run, condition) : 0;
    case ARRAY:
        return ask(run, condition);
    default:
        return -1;
    }
    Py_INCREF(value); /* a comparison may run Python's code */
    first = holds_for(run, condition, value);
    Py_DECREF(value);
    return first;
}

static inline void free_conditions(Condition *conditions, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; conditions && i < count; i++)
        free_conditions(conditions[i].parts, conditions[i].count);
    PyMem_Free(conditions);
}

static inline int is_literal(PyObject *value)
{
    if (!PyTuple_CheckExact(value) || PyTuple_GET_SIZE(value) != 3)
        return 0;
    for (Py_ssize_t i = 0; i < 3; i++)
        if (PyTuple_GET_ITEM(value, i) != Py_None && !PyUnicode_CheckExact(PyTuple_GET_ITEM(value, i)))
            return 0;
    return 1;
}

/* Reads a condition into zeroed memory, and checks all that the functions above rely on. */
static inline int read_condition(PyObject *given, Condition *condition, int level)
{
    if (!PyTuple_Check(given) || level > MOST_LEVELS ||
        !PyArg_ParseTuple(given, "lOOO", &condition->kind, &condition->call, &condition->path, &condition->value)) {
        PyErr_SetString(PyExc_TypeError, "a condition is a tuple of four");
        return -1;
    }
    long kind = condition->kind;
    PyObject *value = condition->value;
    int fits = kind >= 0 && kind < TESTS;
    if (fits && kind >= NOT && kind <= XOR) {
        Py_ssize_t count = kind == NOT ? 1 : 2;
        fits = PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == count;
        condition->parts = fits ? PyMem_Calloc((size_t)count, sizeof(Condition)) : NULL;
        for (; condition->parts && condition->count < count; condition->count++)
            if (read_condition(PyTuple_GET_ITEM(value, condition->count), condition->parts + condition->count,
                               level + 1) < 0) {
                condition->count++;
                return -1;
            }
        fits = fits && condition->parts;
    }
    if (fits && kind == ORDER)
        fits = PyTuple_CheckExact(value) && PyArg_ParseTuple(value, "iO", &condition->operator, &condition->value) &&
               condition->operator >= Py_LT && condition->operator <= Py_GE &&
               (PyLong_CheckExact(condition->value) || PyFloat_CheckExact(condition->value));
    if (!fits || (kind > XOR && !is_path(condition->path)) || (kind == HAS && !PyUnicode_CheckExact(value)) ||
        (kind == AMONG && !PyFrozenSet_CheckExact(value)) || (kind == LITERAL && !is_literal(value))) {
        PyErr_SetString(PyExc_ValueError, "a condition lacks what its kind needs");
        return -1;
    }
    return 0;
}

#endif
