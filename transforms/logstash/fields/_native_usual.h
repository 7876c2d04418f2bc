/* This header says whether a document is a usual one: no tags or texts as tags, and a time as Beats write it. */

#ifndef PENSTOCK_USUAL_H
#define PENSTOCK_USUAL_H

#include "../../kernels/_native_kernel.h"
#include "../../kernels/_native_times.h"

/* Whether a text is a time of the form `2026-11-22T12:00:00.000Z`. */
static inline int is_usual_time(PyObject *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    char written[TIME_CHARS];
    int parts[7] = {0}, part = 0;
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text) || PyUnicode_GET_LENGTH(text) != TIME_CHARS)
        return 0;
    const Py_UCS1 *at = PyUnicode_1BYTE_DATA(text);
    for (int i = 0; i < TIME_CHARS - 1; i++)
        if (form[i] != '0') {
            if (at[i] != form[i])
                return 0;
            part++;
        } else if (at[i] < '0' || at[i] > '9') {
            return 0;
        } else {
            parts[part] = 10 * parts[part] + at[i] - '0';
        }
    return at[TIME_CHARS - 1] == 'Z' &&
           put_time(written, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]);
}

static inline int are_texts(PyObject *tags)
{
    if (!PyList_CheckExact(tags))
        return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(tags); i++)
        if (!PyUnicode_CheckExact(PyList_GET_ITEM(tags, i)))
            return 0;
    return 1;
}

/* `keys` are the names of the tags and of the time; -1 with an exception. */
static inline int is_usual_document(PyObject *document, PyObject *keys)
{
    PyObject *tags = PyDict_GetItemWithError(document, PyTuple_GET_ITEM(keys, 0));
    if (tags ? !are_texts(tags) : PyErr_Occurred() != NULL)
        return tags ? 0 : -1;
    PyObject *time = PyDict_GetItemWithError(document, PyTuple_GET_ITEM(keys, 1));
    return time ? is_usual_time(time) : PyErr_Occurred() ? -1 : 0;
}

#endif
