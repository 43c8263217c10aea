/* What Python code of handlers asks of the core most often, without detours: calls of a handler,
 * attributes of messages and of enumerations. */
#ifndef GLYPH_FAST_CALLS_H
#define GLYPH_FAST_CALLS_H

#include <Python.h>
#include <stddef.h>
#include <structmember.h>

/* Call with one argument; a new reference, or NULL with an exception set. */
static inline PyObject *gf_call(PyObject *function, PyObject *argument)
{
    PyObject *arguments[2] = {NULL, argument};
    return PyObject_Vectorcall(function, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* Tells Cython that an exception is set, where a result other than -1 has said so. */
static inline int gf_failed(void) { return -1; }

/* Have what a connection needs for a message in the cache by the time it is its turn. In a room of
 * thousands that is the greater part of what a delivery costs besides the system call. */
#if defined(__GNUC__)
static inline void gf_prefetch(const void *object)
{
    __builtin_prefetch(object, 1);
    __builtin_prefetch((const char *)object + 64, 1);
}
#else
static inline void gf_prefetch(const void *object) { (void)object; }
#endif

/* Have a metaclass look up attributes of its classes as `type` does: without its `__getattr__`. */
static inline void gf_read_plainly(PyTypeObject *metaclass)
{
    metaclass->tp_getattro = PyType_Type.tp_getattro;
    PyType_Modified(metaclass);
}

/* Attributes Python code reads often. Cython gives an attribute a getter, which the interpreter has
 * to call; what is declared as a member, as the slots of a Python class are, it reads from where it
 * lies. Such a member is read-only here, since a member could be deleted and leaves NULL behind:
 * setting goes through Cython's own setter, which keeps that and the type in check. */
typedef struct {
    PyMemberDef member; /* first: a descriptor leads here */
    PyObject *setter;   /* Cython's descriptor */
} gf_member;

static const char gf_kept[] = "read from where it lies"; /* the mark of such a member */

#define GF_MEMBER(name, type, field) \
    {{name, T_OBJECT_EX, offsetof(type, field), READONLY, gf_kept}, NULL}

/* Set an attribute of an object whose class may have such members; NULL deletes it. */
static int gf_set(PyObject *self, PyObject *name, PyObject *value)
{
    PyObject *found = PyUnicode_Check(name) ? _PyType_Lookup(Py_TYPE(self), name) : NULL;
    if (found != NULL && Py_TYPE(found) == &PyMemberDescr_Type) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->doc == gf_kept) {
            PyObject *setter = ((gf_member *)member)->setter;
            return Py_TYPE(setter)->tp_descr_set(setter, self, value);
        }
    }
    return PyObject_GenericSetAttr(self, name, value);
}

/* Give a class these members, `count` of them, in place of the getters of the same names. The class
 * sets its attributes by `gf_set`, and `members` must live as long as the process. */
static int gf_keep_members(PyTypeObject *cls, gf_member *members, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *name = members[i].member.name;
        PyObject *setter = PyDict_GetItemString(cls->tp_dict, name);
        PyObject *descriptor = PyDescr_NewMember(cls, &members[i].member);
        if (setter == NULL || descriptor == NULL)
            return -1;
        Py_INCREF(setter);
        members[i].setter = setter;
        int status = PyDict_SetItemString(cls->tp_dict, name, descriptor);
        Py_DECREF(descriptor);
        if (status < 0)
            return -1;
    }
    PyType_Modified(cls);
    return 0;
}

#endif
