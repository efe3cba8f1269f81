/* vgpud's log: lines on stderr, which a started-on-demand daemon has in RUNTIME_DIR/vgpud.log. Only the
 * outermost handler of an event says it, once; what a request did wrong is answered to its sender and not
 * logged. */
#ifndef VGPU_DAEMON_SAY_H
#define VGPU_DAEMON_SAY_H

/* One line with time and pid in front; a newline is added. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
