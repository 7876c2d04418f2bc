/* This kernel makes the events of one record of CloudWatch Logs of its decoded log events, as the loop in
_cloudwatch_logs.py does.

`make_events(log_events, log_event_type, nothing, event_type, origin, index, first, names, shared)`: `nothing` is what stands
in `extracted` where there is none, `names` what ids hash before a log event's own id, `shared` the end of each document.
Gives a list of events, or None where a log event is unusual and Python must decide: fields extracted, an id that
isn't ASCII letters and digits, a time before 1970 or beyond the year 9999, a message that is no text. */

#include "../kernels/_native_event_slots.h"

#include "../kernels/_native_ids.h"
#include "../kernels/_native_times.h"

#define MAX_HASHED 1024
#define ID_CHARS (1 + 6 + HASH_CHARS) /* version, time, hash */
#define LAST_SECOND 253402300799

static const char before_time[] = "{\"@timestamp\":\"", before_message[] = "\",\"message\":", before_id[] = ",\"event\":{\"id\":\"";
#define SIZE(text) (sizeof(text) - 1)

typedef struct {
    Py_ssize_t timestamp, message, id, extracted;
} LogSlots;

typedef struct {
    PyTypeObject *log_type;
    LogSlots slots;
    PyObject *nothing, *event_type, *origin, *index, *shared;
    uint8_t hashed[MAX_HASHED];
    size_t names_size;
} Record;

/* Gives a log event's id as plain characters; NULL where it is unusual. */
static const char *plain_id(PyObject *id, size_t *size)
{
    if (!id || !PyUnicode_Check(id) || !PyUnicode_IS_COMPACT_ASCII(id))
        return NULL;
    const char *at = (const char *)PyUnicode_1BYTE_DATA(id);
    *size = (size_t)PyUnicode_GET_LENGTH(id);
    for (size_t i = 0; i < *size; i++)
        if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z')))
            return NULL;
    return at;
}

static PyObject *document_of(const Record *record, const char time[TIME_CHARS], const Py_buffer *message, const char *id,
                             size_t id_size)
{
    size_t shared = (size_t)PyBytes_GET_SIZE(record->shared);
    size_t size = SIZE(before_time) + TIME_CHARS + SIZE(before_message) + (size_t)message->len + SIZE(before_id) + id_size;
    PyObject *document = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size + shared));
    if (!document)
        return NULL;
    char *out = PyBytes_AS_STRING(document);
#define PUT(text, length) out = (char *)memcpy(out, text, length) + (length)
    PUT(before_time, SIZE(before_time));
    PUT(time, TIME_CHARS);
    PUT(before_message, SIZE(before_message));
    PUT(message->buf, (size_t)message->len);
    PUT(before_id, SIZE(before_id));
    PUT(id, id_size);
    PUT(PyBytes_AS_STRING(record->shared), shared);
#undef PUT
    return document;
}

static void put_id(Record *record, int64_t second, const char *id, size_t id_size, char name[ID_CHARS])
{
    int64_t minute = second / 60 & 0x3FFFFFFF;
    name[0] = VERSION;
    for (int i = 0; i < 5; i++)
        name[1 + i] = sorted_alphabet[minute >> (24 - 6 * i) & 63];
    name[6] = sorted_alphabet[second % 60];
    memcpy(record->hashed + record->names_size, id, id_size);
    hash_text(record->hashed, record->names_size + id_size, name + 7);
}

/* Makes a new event; Py_None where Python must decide; NULL with an exception. */
static PyObject *event_of(Record *record, PyObject *log_event, Py_ssize_t number)
{
    char time[TIME_CHARS], name[ID_CHARS];
    size_t id_size = 0;
    int overflow = 0;
    if (!Py_IS_TYPE(log_event, record->log_type) || get_slot(log_event, record->slots.extracted) != record->nothing)
        Py_RETURN_NONE;
    PyObject *when = get_slot(log_event, record->slots.timestamp), *raw = get_slot(log_event, record->slots.message);
    const char *id = plain_id(get_slot(log_event, record->slots.id), &id_size);
    int64_t milliseconds = when && PyLong_Check(when) ? PyLong_AsLongLongAndOverflow(when, &overflow) : -1;
    if (!id || record->names_size + id_size > MAX_HASHED || milliseconds < 0 || milliseconds / 1000 > LAST_SECOND || !raw ||
        !put_epoch(time, milliseconds / 1000, (int)(milliseconds % 1000)))
        Py_RETURN_NONE;
    Py_buffer message;
    if (PyObject_GetBuffer(raw, &message, PyBUF_SIMPLE) < 0)
        return NULL;
    if (message.len < 2 || *(const char *)message.buf != '"') {
        PyBuffer_Release(&message);
        Py_RETURN_NONE;
    }
    PyObject *document = document_of(record, time, &message, id, id_size);
    PyBuffer_Release(&message);
    put_id(record, milliseconds / 1000, id, id_size, name);
    PyObject *part = PyLong_FromSsize_t(number), *text = PyUnicode_FromStringAndSize(time, TIME_CHARS);
    PyObject *given = PyUnicode_FromStringAndSize(name, ID_CHARS), *event = NULL;
    if (document && part && text && given)
        event = PyObject_CallFunctionObjArgs(record->event_type, document, record->origin, record->index, part, given, text,
                                             NULL);
    Py_XDECREF(document);
    Py_XDECREF(part);
    Py_XDECREF(text);
    Py_XDECREF(given);
    return event;
}

PyDoc_STRVAR(make_events_doc,
             "make_events(log_events, log_event_type, nothing, event_type, origin, index, first, names, shared, /)\n--\n\n"
             "Gives the events of a record, or None where Python must decide.");

static PyObject *make_events(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *log_events, *names;
    Record record;
    Py_ssize_t first;
    if (!PyArg_ParseTuple(arguments, "O!O!OOOOnSS:make_events", &PyList_Type, &log_events, &PyType_Type, &record.log_type,
                          &record.nothing, &record.event_type, &record.origin, &record.index, &first, &names,
                          &record.shared))
        return NULL;
    PyObject *type = (PyObject *)record.log_type;
    if ((record.slots.timestamp = slot_of(type, "timestamp")) < 0 || (record.slots.message = slot_of(type, "message")) < 0 ||
        (record.slots.id = slot_of(type, "id")) < 0 || (record.slots.extracted = slot_of(type, "extracted")) < 0)
        return NULL;
    record.names_size = (size_t)PyBytes_GET_SIZE(names);
    if (record.names_size > MAX_HASHED)
        Py_RETURN_NONE;
    memcpy(record.hashed, PyBytes_AS_STRING(names), record.names_size);
    PyObject *events = PyList_New(0);
    for (Py_ssize_t i = 0; events && i < PyList_GET_SIZE(log_events); i++) {
        PyObject *log_event = Py_NewRef(PyList_GET_ITEM(log_events, i)), *event = event_of(&record, log_event, first + i);
        Py_DECREF(log_event);
        if (event == Py_None) {
            Py_DECREF(events);
            return event;
        }
        if (!event || PyList_Append(events, event) < 0)
            Py_CLEAR(events);
        Py_XDECREF(event);
    }
    return events;
}

PENSTOCK_KERNEL(cloudwatch, "penstock.transforms.codecs", "Events of CloudWatch Logs; the twin is in _cloudwatch_logs.py.",
                {"make_events", make_events, METH_VARARGS, make_events_doc})
