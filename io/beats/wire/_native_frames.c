/* This kernel cuts the JSON events out of a buffer of Lumberjack's frames, as the loop in _protocol.py does.

It takes only frames that are whole, of version 2 and not too long. It stops in front of any other, and the loop decides
about that one. */

#include "../../../transforms/kernels/_native_kernel.h"

#define HEADER 10 /* `2J`, the sequence number and the length, both of four bytes, big-endian */

static inline uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

PyDoc_STRVAR(read_events_doc, "read_events(buffer, position, last, room, longest, sequence, payloads, /)\n--\n\n"
                              "Appends the payloads of at most `room` events that begin at `last` or before.\n\n"
                              "Returns the position behind them, and the last one's sequence number.");

static PyObject *read_events(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *buffer, *payloads;
    Py_ssize_t position, last, room, longest;
    unsigned long sequence;
    if (!PyArg_ParseTuple(arguments, "SnnnnkO!:read_events", &buffer, &position, &last, &room, &longest, &sequence,
                          &PyList_Type, &payloads))
        return NULL;
    Py_ssize_t size = PyBytes_GET_SIZE(buffer);
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(buffer);
    if (last > size - HEADER)
        last = size - HEADER;
    for (; room > 0 && position >= 0 && position <= last; room--) {
        const uint8_t *at = bytes + position;
        Py_ssize_t length = (Py_ssize_t)big_endian(at + 6);
        if (at[0] != '2' || at[1] != 'J' || length > longest || length > size - HEADER - position)
            break;
        PyObject *payload = PyBytes_FromStringAndSize((const char *)at + HEADER, length);
        int failed = !payload || PyList_Append(payloads, payload) < 0;
        Py_XDECREF(payload);
        if (failed)
            return NULL;
        sequence = big_endian(at + 2);
        position += HEADER + length;
    }
    return Py_BuildValue("nk", position, sequence);
}

PENSTOCK_KERNEL(frames, "penstock.io.beats.wire", "Events of Lumberjack's frames; the twin is in _protocol.py.",
                {"read_events", read_events, METH_VARARGS, read_events_doc})
