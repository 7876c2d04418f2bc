/* This kernel runs changes of an event's fields, and branches around them, without Python's interpreter. Its twins are the
functions that operations.py and conditions.py describe.

`compile(pieces, event_type)` gives a function of an event. The pieces do their work in order; a piece is

- a block, `(tag, operations)`: its operations run in order, and an exception of one ends the block; the event then gets
  the tag, or, where the tag is None, the exception goes on; or
- a branch, `(arms,)`: the first arm whose condition holds. An arm is `(condition, pieces)`; None holds for all events. */

#include "_native_conditions.h"
#include "_native_operations.h"

#define PROGRAM "penstock.transforms.logstash.fields"

typedef struct Piece Piece;

typedef struct {
    Piece *first;
    Py_ssize_t count;
} Pieces;

typedef struct {
    Condition *condition;
    Pieces pieces;
} Arm;

/* A block; where it has arms, a branch. */
struct Piece {
    PyObject *tag;
    Operation *operations;
    Arm *arms;
    Py_ssize_t count;
};

/* `source` holds every object that pieces point at. */
typedef struct {
    PyObject *source, *add_tag;
    PyTypeObject *event_type;
    Py_ssize_t document, changed;
    Pieces pieces;
} Program;

static int do_block(Run *run, const Program *program, const Piece *block)
{
    for (Py_ssize_t i = 0; i < block->count; i++) {
        if (do_operation(run, &block->operations[i]) >= 0)
            continue;
        if (block->tag == Py_None || !PyErr_ExceptionMatches(PyExc_Exception))
            return -1;
        PyErr_Clear();
        PyObject *done = PyObject_CallMethodOneArg(run->event, program->add_tag, block->tag);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    return 0;
}

static int do_pieces(Run *run, const Program *program, const Pieces *pieces);

static int do_branch(Run *run, const Program *program, const Piece *branch)
{
    for (Py_ssize_t i = 0; i < branch->count; i++) {
        const Arm *arm = &branch->arms[i];
        int chosen = arm->condition ? holds(run, arm->condition) : 1;
        if (chosen)
            return chosen < 0 ? -1 : do_pieces(run, program, &arm->pieces);
    }
    return 0;
}

static int do_pieces(Run *run, const Program *program, const Pieces *pieces)
{
    int status = 0;
    for (const Piece *piece = pieces->first; status >= 0 && piece < pieces->first + pieces->count; piece++)
        status = piece->arms ? do_branch(run, program, piece) : do_block(run, program, piece);
    return status;
}

static PyObject *run_program(PyObject *capsule, PyObject *event)
{
    const Program *program = PyCapsule_GetPointer(capsule, PROGRAM);
    if (!program)
        return NULL;
    PyObject *document = Py_IS_TYPE(event, program->event_type) ? get_slot(event, program->document) : NULL;
    if (!document || !PyDict_CheckExact(document)) {
        PyErr_SetString(PyExc_TypeError, "an event with a document is needed");
        return NULL;
    }
    Run run = {event, Py_NewRef(document), 0};
    int status = do_pieces(&run, program, &program->pieces);
    if (run.changed)
        set_slot(event, program->changed, Py_NewRef(Py_True));
    Py_DECREF(run.document);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef run_method = {"change_fields", run_program, METH_O, "Changes the fields of an event."};

static void free_pieces(Pieces *pieces)
{
    for (Py_ssize_t i = 0; i < pieces->count; i++) {
        Piece *piece = &pieces->first[i];
        for (Py_ssize_t k = 0; piece->arms && k < piece->count; k++) {
            free_conditions(piece->arms[k].condition, 1);
            free_pieces(&piece->arms[k].pieces);
        }
        PyMem_Free(piece->arms);
        PyMem_Free(piece->operations);
    }
    PyMem_Free(pieces->first);
}

static void free_program(Program *program)
{
    free_pieces(&program->pieces);
    Py_XDECREF(program->source);
    Py_XDECREF(program->add_tag);
    Py_XDECREF((PyObject *)program->event_type);
    PyMem_Free(program);
}

static void free_capsule(PyObject *capsule)
{
    free_program(PyCapsule_GetPointer(capsule, PROGRAM));
}

/* Gives zeroed memory for `count` things of a size; NULL with an exception. */
static void *make_room(Py_ssize_t count, size_t size)
{
    void *room = PyMem_Calloc((size_t)count + 1, size);
    if (!room)
        PyErr_NoMemory();
    return room;
}

static int read_pieces(PyObject *given, Pieces *pieces, int level);

static int read_arm(PyObject *given, Arm *arm, int level)
{
    PyObject *condition, *pieces;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "OO!", &condition, &PyTuple_Type, &pieces))
        return -1;
    if (condition != Py_None && (!(arm->condition = make_room(1, sizeof(Condition))) ||
                                 read_condition(condition, arm->condition, 0) < 0))
        return -1;
    return read_pieces(pieces, &arm->pieces, level + 1);
}

static int read_piece(PyObject *given, Piece *piece, int level)
{
    PyObject *items;
    int is_branch = PyTuple_Check(given) && PyTuple_GET_SIZE(given) == 1, status = 0;
    if (!PyTuple_Check(given) || (is_branch ? !PyArg_ParseTuple(given, "O!", &PyTuple_Type, &items)
                                            : !PyArg_ParseTuple(given, "OO!", &piece->tag, &PyTuple_Type, &items)))
        return -1;
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    if (is_branch)
        piece->arms = make_room(count, sizeof(Arm));
    else
        piece->operations = make_room(count, sizeof(Operation));
    if (!piece->arms && !piece->operations)
        return -1;
    piece->count = count;
    for (Py_ssize_t i = 0; i < count && !status; i++)
        status = is_branch ? read_arm(PyTuple_GET_ITEM(items, i), &piece->arms[i], level)
                           : read_operation(PyTuple_GET_ITEM(items, i), &piece->operations[i]);
    return status;
}

static int read_pieces(PyObject *given, Pieces *pieces, int level)
{
    int status = level > MOST_LEVELS ? -1 : 0;
    if (status || !(pieces->first = make_room(PyTuple_GET_SIZE(given), sizeof(Piece))))
        return -1;
    pieces->count = PyTuple_GET_SIZE(given);
    for (Py_ssize_t i = 0; i < pieces->count && !status; i++)
        status = read_piece(PyTuple_GET_ITEM(given, i), &pieces->first[i], level);
    return status;
}

static PyObject *compile(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *pieces, *event_type;
    if (!PyArg_ParseTuple(args, "O!O!", &PyTuple_Type, &pieces, &PyType_Type, &event_type))
        return NULL;
    Program *program = make_room(1, sizeof(Program));
    if (!program)
        return NULL;
    program->source = Py_NewRef(pieces);
    program->event_type = (PyTypeObject *)Py_NewRef(event_type);
    program->add_tag = PyUnicode_InternFromString("tag");
    program->document = slot_of(event_type, "document");
    program->changed = program->document < 0 ? -1 : slot_of(event_type, "changed");
    int status = program->add_tag && program->changed >= 0 ? read_pieces(pieces, &program->pieces, 0) : -1;
    if (status && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "pieces are (tag, operations) or (arms,), arms are (condition, pieces)");
    PyObject *capsule = status ? NULL : PyCapsule_New(program, PROGRAM, free_capsule);
    if (!capsule) {
        free_program(program);
        return NULL;
    }
    PyObject *function = PyCFunction_NewEx(&run_method, capsule, NULL);
    Py_DECREF(capsule);
    return function;
}

PENSTOCK_KERNEL(fields, "penstock.transforms.logstash.fields", "Runs of changes of an event's fields.",
                {"compile", compile, METH_VARARGS, "Makes a function of an event from blocks and branches."})
