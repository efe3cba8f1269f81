/* The two halves of the program `invisible`: what a process looks like from inside (invisible.c) and calls
 * that a driver must answer by itself (invisible_calls.c). Each prints lines that are the same in every run
 * in which nobody stands before the driver. */
#ifndef VGPU_TESTS_INVISIBLE_H
#define VGPU_TESTS_INVISIBLE_H

/* Calls that ask for something impossible: each one's code, and what became of errno. `when` opens each line.
 */
void calls_refused(const char *when);

/* Each function that the file names, with no argument but zeros. */
void calls_zero(const char *when, const char *names_path);

/* An ordinary program's calls, from a context to its end; refused calls in the middle of them. image: PTX or
 * a fat binary with a kernel vector_add. */
void calls_ordinary(const char *image_path);

/* Memory figures, on lines that begin with "memory". Needs a context. */
void calls_memory(const char *when);

#endif
