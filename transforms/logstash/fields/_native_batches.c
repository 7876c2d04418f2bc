/* This kernel runs a chain's function over the events of a batch. Its twin is RunFilters.each in ../beam.py. */

#include "../../kernels/_native_event_slots.h"
#include "_native_usual.h"

enum { EVENT_FIELDS = 10 };

/* The functions and classes that a batch is run with. All references are borrowed. */
typedef struct {
    PyObject *keys;                                      /* the names of the tags and of the time */
    PyObject *event_type, *log_event_type;               /* `Event`, `LogEvent` */
    PyObject *document_of, *begin, *step, *behind, *time_of; /* functions, `behind` may be None */
    PyObject *name;                                      /* the filters' name */
    int keep_document;
    PyObject *made, *refuse;
    EventSlots slots;
    Py_ssize_t filters, document, changed, cancelled;    /* places in an event, and three in a LogEvent */
} Filters;

/* Gives the event that filters changed, of which `document` is the document now; a new reference. */
static PyObject *changed_event(const Filters *filters, PyObject *event, PyObject *document)
{
    const EventSlots *slots = &filters->slots;
    PyObject *passed = get_slot(event, filters->filters), *made = NULL;
    PyObject *time = PyDict_GetItemWithError(document, PyTuple_GET_ITEM(filters->keys, 1));
    if (!time && PyErr_Occurred())
        return NULL;
    time = time && PyUnicode_CheckExact(time) ? Py_NewRef(time)
                                              : PyObject_CallOneArg(filters->time_of, time ? time : Py_None);
    PyObject *name = !passed || passed == Py_None ? Py_NewRef(filters->name) : PyUnicode_FromFormat("%S+%U", passed, filters->name);
    int whole = 1;
    if (time && name) {
        PyObject *fields[EVENT_FIELDS] = {
            get_slot(event, slots->data), get_slot(event, slots->origin), get_slot(event, slots->index),
            get_slot(event, slots->part), get_slot(event, slots->id),     time,
            document,                     Py_True,                        Py_False,
            name,
        };
        for (int i = 0; i < EVENT_FIELDS; i++)
            whole = whole && fields[i];
        made = whole ? PyObject_Vectorcall(filters->event_type, fields, EVENT_FIELDS, NULL) : NULL;
    }
    if (!whole)
        PyErr_SetString(PyExc_TypeError, "an event lacks a field");
    Py_XDECREF(time);
    Py_XDECREF(name);
    return made;
}

/* Does what comes behind the step: adds what the event became to `made`. */
static int end_event(const Filters *filters, PyObject *event, PyObject *log_event, int had_time)
{
    PyObject *document = get_slot(log_event, filters->document), *made;
    if (!document || !PyDict_CheckExact(document)) {
        PyErr_SetString(PyExc_TypeError, "a filter left no document");
        return -1;
    }
    if (filters->behind != Py_None) {
        PyObject *done = PyObject_CallOneArg(filters->behind, log_event);
        Py_XDECREF(done);
        if (!done)
            return -1;
    }
    if (get_slot(log_event, filters->changed) == Py_True) {
        made = changed_event(filters, event, document);
    } else {
        if (!had_time && PyDict_DelItem(document, PyTuple_GET_ITEM(filters->keys, 1)) < 0) {
            if (!PyErr_ExceptionMatches(PyExc_KeyError))
                return -1;
            PyErr_Clear();
        }
        if (filters->keep_document)
            set_slot(event, filters->slots.document, Py_NewRef(document));
        made = Py_NewRef(event);
    }
    int status = made ? PyList_Append(filters->made, made) : -1;
    Py_XDECREF(made);
    return status;
}

/* Runs the step on an event: 1 where it was dropped, 0 where it went on, -1 with an exception. */
static int filter_event(const Filters *filters, PyObject *event)
{
    PyObject *document = get_slot(event, filters->slots.document), *log_event = NULL, *done = NULL;
    int status = -1;
    document = !document || document == Py_None ? PyObject_CallOneArg(filters->document_of, event) : Py_NewRef(document);
    if (!document)
        return -1;
    if (!PyDict_CheckExact(document)) {
        PyErr_SetString(PyExc_TypeError, "a document is a dict");
    } else {
        int usual = is_usual_document(document, filters->keys);
        int had_time = usual ? usual : PyDict_Contains(document, PyTuple_GET_ITEM(filters->keys, 1));
        if (usual >= 0 && had_time >= 0)
            log_event = usual ? PyObject_CallOneArg(filters->log_event_type, document)
                              : PyObject_CallFunctionObjArgs(filters->begin, document,
                                                             get_slot(event, filters->slots.origin), NULL);
        if (log_event && !Py_IS_TYPE(log_event, (PyTypeObject *)filters->log_event_type))
            PyErr_SetString(PyExc_TypeError, "an event to filter is needed");
        else if (log_event)
            done = PyObject_CallOneArg(filters->step, log_event);
        if (done)
            status = get_slot(log_event, filters->cancelled) == Py_True
                         ? 1
                         : end_event(filters, event, log_event, had_time);
    }
    Py_XDECREF(done);
    Py_XDECREF(log_event);
    Py_DECREF(document);
    return status;
}

/* Gives the exception that costs an event only to `refuse`. */
static int refuse_event(const Filters *filters, PyObject *event)
{
    PyObject *type, *error, *trace, *done = NULL;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (error)
        done = PyObject_CallFunctionObjArgs(filters->refuse, event, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Finds the places of the fields, once per batch. */
static int find_places(Filters *filters)
{
    PyObject *log_event = filters->log_event_type;
    if (!PyType_Check(log_event)) {
        PyErr_SetString(PyExc_TypeError, "the events to filter must have a class");
        return -1;
    }
    if (find_slots(filters->event_type, &filters->slots) < 0 ||
        (filters->filters = slot_of(filters->event_type, "filters")) < 0 ||
        (filters->document = slot_of(log_event, "document")) < 0 ||
        (filters->changed = slot_of(log_event, "changed")) < 0 ||
        (filters->cancelled = slot_of(log_event, "cancelled")) < 0)
        return -1;
    return 0;
}

static PyObject *run(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *given, *plan;
    Filters filters;
    if (!PyArg_ParseTuple(args, "O!O!O!O", &PyTuple_Type, &plan, &PyList_Type, &given, &PyList_Type, &filters.made,
                          &filters.refuse) ||
        !PyArg_ParseTuple(plan, "O!OOOOOOOUp", &PyTuple_Type, &filters.keys, &filters.event_type,
                          &filters.log_event_type, &filters.document_of, &filters.begin, &filters.step, &filters.behind,
                          &filters.time_of, &filters.name, &filters.keep_document) ||
        find_places(&filters) < 0)
        return NULL;
    if (PyTuple_GET_SIZE(filters.keys) != 2 || !PyUnicode_CheckExact(PyTuple_GET_ITEM(filters.keys, 0)) ||
        !PyUnicode_CheckExact(PyTuple_GET_ITEM(filters.keys, 1)))
        return PyErr_Format(PyExc_TypeError, "the names of tags and time are needed");
    PyObject *events = PyList_AsTuple(given);
    Py_ssize_t dropped = 0;
    int status = events ? 0 : -1;
    for (Py_ssize_t i = 0; status >= 0 && i < PyTuple_GET_SIZE(events); i++) {
        PyObject *event = PyTuple_GET_ITEM(events, i);
        if (!Py_IS_TYPE(event, filters.slots.type)) {
            PyErr_Format(PyExc_TypeError, "item %zd is no event", i);
            break;
        }
        status = filter_event(&filters, event);
        if (status < 0)
            status = refuse_event(&filters, event);
        else
            dropped += status;
    }
    Py_XDECREF(events);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(dropped);
}

PENSTOCK_KERNEL(batches, "penstock.transforms.logstash.fields", "Filters over the events of a batch.",
                {"run", run, METH_VARARGS, "Runs a chain's function over events; gives how many it dropped."})
