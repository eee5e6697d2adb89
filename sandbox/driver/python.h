/* Python's part of what is done before an interpreter is copied. Included by warm.c.
 *
 * A Python program ends with taking all of Python apart. That is most of a short test: it writes to nearly every page, and a
 * copy must copy those. So where nobody would notice, a copy leaves it out. Noticed is whatever still runs some Python or
 * writes something when objects go: __del__, files, generators, callbacks, threads, and what a few modules in C do.
 */
typedef struct {
    long references;
    void *type;
} object; /* as every version of the stable ABI has it */

/* Python 3.11's: before each object that the collector knows, and the three lists of them. */
struct links {
    struct links *next, *previous;
};
struct generation {
    struct links objects;
    int threshold, count;
};

#define IS_A_TYPE (1ul << 31)
enum { TP_DEL = 53, TP_FINALIZE = 80 }; /* of typeslots.h */

#define PYTHON(result, name, ...) extern result name(__VA_ARGS__) __attribute__((weak));
PYTHON(int, Py_IsInitialized, void)
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
PYTHON(object *, PyList_New, long)
PYTHON(long, PyList_Size, object *)
PYTHON(long, PyDict_Size, object *)
PYTHON(const char *, Py_GetVersion, void)
PYTHON(long, PyLong_AsLong, object *)
PYTHON(int, PyUnicode_CompareWithASCIIString, object *, const char *)
PYTHON(object *, PySys_GetObject, const char *)
PYTHON(void, PyErr_Clear, void)
PYTHON(void, Py_DecRef, object *)
extern object _Py_NoneStruct __attribute__((weak)), PyCFunction_Type __attribute__((weak));
extern object _PyWeakref_RefType __attribute__((weak));
extern object _PyWeakref_ProxyType __attribute__((weak)), _PyWeakref_CallableProxyType __attribute__((weak));

static object *names, *collector, *callbacks, *at_exit; /* what the program's module holds; gc, gc.callbacks, atexit */
static struct generation *generations;                  /* the collector's */
static object *streams[2], *attributes[2][3];           /* sys.stdout and stderr; theirs, their buffers' and their files' */
static char taking_apart[JUMP];                         /* how that begins */

static int is_python(void) {
    return Py_IsInitialized && PyGILState_Ensure && PyGILState_Release && PyImport_ImportModule && PyImport_GetModuleDict && PyImport_AddModule &&
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

/* Whether all objects that have come since end unnoticed. Without the collector's help: a list of them would be memory that
   the program has not asked for, and making it is an event to sys.addaudithook. */
static int leaves_nothing(void) {
    int complete = 0; /* not where the program has told the collector to leave its own alone */
    for (int i = 0; i < 3; i++)
        for (struct links *at = generations[i].objects.next; at != &generations[i].objects; at = at->next) {
            if (!ends_unnoticed((object *)(at + 1))) return 0;
            complete |= (object *)(at + 1) == names;
        }
    return complete;
}

/* Whether it has been given a function of its own, which closing it would call. */
static int is_changed(object *own, const char *known) {
    long size = PyDict_Size(own);
    return size > 1 || (size == 1 && !(known && PyDict_GetItemString(own, known)));
}

static int ends_with_nobody_noticing(void) {
    /* Threads that are waited for; what C code writes, or calls, when its objects go; collectors of other interpreters. */
    static const char *telling[] = {"threading", "_ctypes", "_dbm", "_gdbm", "_sqlite3", "_xxsubinterpreters"};
    static const char *given[] = {"mode", NULL, "name"}; /* by Python, to a text stream, its buffer and the file of that */
    object *modules = PyImport_GetModuleDict(), *left = PyObject_CallMethod(at_exit, "_ncallbacks", NULL);
    int noticed = !left || PyLong_AsLong(left) || PyList_Size(callbacks);
    if (left) Py_DecRef(left);
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) noticed |= !!PyDict_GetItemString(modules, telling[i]);
    for (int i = 0; i < 2; i++) {
        noticed |= PySys_GetObject(i ? "stderr" : "stdout") != streams[i];
        for (int j = 0; j < 3; j++) noticed |= is_changed(attributes[i][j], given[j]);
    }
    return !noticed && leaves_nothing() && PyObject_CallMethod(streams[0], "flush", NULL) &&
           PyObject_CallMethod(streams[1], "flush", NULL);
}

/* In the place of Py_FinalizeEx. */
static int finalize(void) {
    if (ends_with_nobody_noticing()) return 0;
    PyErr_Clear();
    return write_code((char *)Py_FinalizeEx, taking_apart) ? Py_FinalizeEx() : -1;
}

static int has_an_end(void) {
    const char *version = Py_GetVersion ? Py_GetVersion() : "", *known = "3.11.";
    while (*known && *version == *known) version++, known++;
    return !*known && Py_FinalizeEx && PyObject_GetAttrString && PyType_GetSlot && PyType_GetFlags && PyType_IsSubtype &&
           PyList_New && PyList_Size && PyDict_Size && PyLong_AsLong && PyUnicode_CompareWithASCIIString &&
           PySys_GetObject && PyErr_Clear && Py_DecRef && &_Py_NoneStruct && &PyCFunction_Type && &_PyWeakref_RefType &&
           &_PyWeakref_ProxyType && &_PyWeakref_CallableProxyType;
}

/* What the collector hears of last is at the end of its first list. */
static int find_generations(void) {
    long found = 0;
    object *last = PyList_New(0), *all;
    if (!last) return 0;
    generations = (struct generation *)((struct links *)last - 1)->next;
    Py_DecRef(last);
    if (!(all = PyObject_CallMethod(collector, "get_objects", NULL))) return 0;
    for (int i = 0; i < 3; i++)
        for (struct links *at = generations[i].objects.next; at != &generations[i].objects; at = at->next) found++;
    found -= PyList_Size(all) + 1; /* itself */
    Py_DecRef(all);
    return !found;
}

static int find_streams(void) {
    for (int i = 0; i < 2; i++) {
        object *stream = streams[i] = PySys_GetObject(i ? "stderr" : "stdout");
        for (int j = 0; j < 3; j++) {
            static const char *below[] = {"buffer", "raw"};
            if (!stream || !(attributes[i][j] = PyObject_GetAttrString(stream, "__dict__"))) return 0;
            if (j < 2 && (stream = PyObject_GetAttrString(stream, below[j]))) Py_DecRef(stream); /* others hold it */
        }
    }
    return 1;
}

static int replace_end(void) {
    if (!(at_exit = module("atexit")) || !(callbacks = PyObject_GetAttrString(collector, "callbacks"))) return 0;
    if (!find_generations() || !find_streams()) return 0;
    for (int i = 0; i < JUMP; i++) taking_apart[i] = ((char *)Py_FinalizeEx)[i];
    return replace((char *)Py_FinalizeEx, finalize);
}

static int ready_python(void) {
    if (!is_python()) return 1;
    if (!Py_IsInitialized()) return 0;
    int state = PyGILState_Ensure(), ready = freeze() && (!has_an_end() || replace_end());
    if (!ready && PyErr_Clear) PyErr_Clear();
    PyGILState_Release(state);
    return ready;
}
