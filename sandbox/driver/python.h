/* Python's part of what a runtime does before it is copied. Included by warm.c.
 *
 * A Python program ends with taking all of Python apart. That is most of a short test: it writes to nearly every page, and a
 * copy must copy those. So where nobody would notice, a copy leaves it out. Noticed is whatever still runs some Python or
 * writes something when objects go: __del__, files, generators, the callbacks of weak references and of atexit, threads.
 */
typedef struct {
    long references;
    void *type;
} object; /* as every version of the stable ABI has it */

#define IS_A_TYPE (1ul << 31)
enum { TP_DEL = 53, TP_FINALIZE = 80 }; /* of typeslots.h */

#define PYTHON(result, name, ...) extern result name(__VA_ARGS__) __attribute__((weak));
PYTHON(int, PyGILState_Ensure, void)
PYTHON(void, PyGILState_Release, int)
PYTHON(object *, PyImport_ImportModule, const char *)
PYTHON(object *, PyImport_GetModuleDict, void)
PYTHON(object *, PyImport_AddModule, const char *)
PYTHON(object *, PyModule_GetDict, object *)
PYTHON(object *, PyDict_GetItemString, object *, const char *)
PYTHON(int, PyDict_DelItemString, object *, const char *)
PYTHON(object *, PyObject_CallMethod, object *, const char *, const char *, ...)
PYTHON(object *, PyObject_GetAttrString, object *, const char *)
PYTHON(void, PyObject_GC_UnTrack, object *)
PYTHON(void, PyObject_GC_Track, object *)
PYTHON(int, Py_FinalizeEx, void)
PYTHON(void *, PyType_GetSlot, object *, int)
PYTHON(unsigned long, PyType_GetFlags, object *)
PYTHON(int, PyType_IsSubtype, object *, object *)
PYTHON(object *, PyList_GetItem, object *, long)
PYTHON(long, PyList_Size, object *)
PYTHON(long, PyLong_AsLong, object *)
PYTHON(int, PyUnicode_CompareWithASCIIString, object *, const char *)
PYTHON(object *, PySys_GetObject, const char *)
PYTHON(void, PyErr_Clear, void)
PYTHON(void, Py_DecRef, object *)
extern object _Py_NoneStruct __attribute__((weak)), PyCFunction_Type __attribute__((weak));
extern object _PyWeakref_RefType __attribute__((weak));
extern object _PyWeakref_ProxyType __attribute__((weak)), _PyWeakref_CallableProxyType __attribute__((weak));

static object *collector, *at_exit, *names, *output, *errors; /* gc, atexit, what the program's module holds, its streams */
static char taking_apart[JUMP];                               /* how that begins */

static int is_python(void) {
    return PyGILState_Ensure && PyGILState_Release && PyImport_ImportModule && PyImport_GetModuleDict && PyImport_AddModule &&
           PyModule_GetDict && PyDict_GetItemString && PyDict_DelItemString && PyObject_CallMethod && PyObject_GC_UnTrack &&
           PyObject_GC_Track;
}

/* A built-in module, which the program finds imported only if it was before. NULL: not to be had. */
static object *module(const char *name) {
    object *modules = PyImport_GetModuleDict(), *known = PyDict_GetItemString(modules, name);
    object *found = PyImport_ImportModule(name);
    return found && !known && PyDict_DelItemString(modules, name) ? NULL : found;
}

/* Python's collector looks at all objects when a program ends. It writes to each as it does, and so a copy would copy most
   of its memory. What is there before the program it has no need to look at, but for the module that will hold the
   program: what that holds is freed when the program ends, and files among it are written. */
static int freeze(void) {
    object *program = PyImport_AddModule("__main__");
    if (!program || !(names = PyModule_GetDict(program))) return 0;
    if (!(collector = module("gc")) || !PyObject_CallMethod(collector, "freeze", NULL)) return 0;
    PyObject_GC_UnTrack(program), PyObject_GC_Track(program);
    PyObject_GC_UnTrack(names), PyObject_GC_Track(names);
    return 1;
}

/* --- the end of a test ---------------------------------------------------------------------------------------------- */

static int finalizes(object *type) {
    return PyType_GetSlot(type, TP_FINALIZE) || PyType_GetSlot(type, TP_DEL);
}

/* Of abstract classes, which many modules have, C code takes what has gone off a list. */
static int calls_somebody(object *reference) {
    object *callback = PyObject_GetAttrString(reference, "__callback__"), *name = NULL;
    int known = callback == &_Py_NoneStruct;
    if (callback && callback->type == &PyCFunction_Type && (name = PyObject_GetAttrString(callback, "__name__")))
        known = !PyUnicode_CompareWithASCIIString(name, "_destroy");
    if (name) Py_DecRef(name);
    if (callback) Py_DecRef(callback);
    return !known;
}

static int ends_unnoticed(object *one) {
    object *type = one->type;
    if (finalizes(type)) return 0;
    if (type == &_PyWeakref_ProxyType || type == &_PyWeakref_CallableProxyType) return 0;
    if (PyType_IsSubtype(type, &_PyWeakref_RefType)) return !calls_somebody(one);
    return !(PyType_GetFlags(type) & IS_A_TYPE) || !finalizes(one); /* the collector does not know all that a type makes */
}

/* Whether all objects that have come since end unnoticed. */
static int leaves_nothing(void) {
    object *all = PyObject_CallMethod(collector, "get_objects", NULL);
    long left = all ? PyList_Size(all) : 0;
    int complete = 0; /* not where the program has told the collector to leave its own alone */
    while (left && ends_unnoticed(PyList_GetItem(all, left - 1))) complete |= PyList_GetItem(all, --left) == names;
    if (all) Py_DecRef(all);
    return complete && !left;
}

static int ends_with_nobody_noticing(void) {
    object *left = PyObject_CallMethod(at_exit, "_ncallbacks", NULL);
    int noticed = !left || PyLong_AsLong(left) || PyDict_GetItemString(PyImport_GetModuleDict(), "threading") ||
                  PySys_GetObject("stdout") != output || PySys_GetObject("stderr") != errors;
    if (left) Py_DecRef(left);
    return !noticed && leaves_nothing() && PyObject_CallMethod(output, "flush", NULL) &&
           PyObject_CallMethod(errors, "flush", NULL);
}

/* In the place of Py_FinalizeEx. */
static int finalize(void) {
    if (ends_with_nobody_noticing()) return 0;
    PyErr_Clear();
    return write_code((char *)Py_FinalizeEx, taking_apart) ? Py_FinalizeEx() : 0;
}

static int has_an_end(void) {
    return Py_FinalizeEx && PyObject_GetAttrString && PyType_GetSlot && PyType_GetFlags && PyType_IsSubtype &&
           PyList_GetItem && PyList_Size && PyLong_AsLong && PyUnicode_CompareWithASCIIString && PySys_GetObject &&
           PyErr_Clear && Py_DecRef && &_Py_NoneStruct && &PyCFunction_Type && &_PyWeakref_RefType &&
           &_PyWeakref_ProxyType && &_PyWeakref_CallableProxyType;
}

static int replace_end(void) {
    if (!has_an_end()) return 1;
    if (!(at_exit = module("atexit"))) return 0;
    output = PySys_GetObject("stdout"), errors = PySys_GetObject("stderr");
    for (int i = 0; i < JUMP; i++) taking_apart[i] = ((char *)Py_FinalizeEx)[i];
    return replace((char *)Py_FinalizeEx, finalize);
}

static int ready_python(void) {
    if (!is_python()) return 1;
    int state = PyGILState_Ensure(), ready = freeze() && replace_end();
    if (!ready && PyErr_Clear) PyErr_Clear();
    PyGILState_Release(state);
    return ready;
}
