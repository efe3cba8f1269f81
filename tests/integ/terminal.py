"""A terminal as a test sees it: a program on a pty, and the screen that its output makes. Knows the few control sequences that vgpu sends, and
fails on any other."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(r"\033(?:\[([?]?)([0-9;]*)([A-Za-z])|(.))")


class Screen:
    """Cells, the second screen and the cursor's visibility, from bytes."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.second = False
        self.cursor_shown = True
        self.colours = set()  # of attributes that were ever set
        self.unknown = []
        self.overflow = 0  # characters that were written past the last column
        self.clear()

    def clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def feed(self, text):
        at = 0
        while at < len(text):
            match = SEQUENCE.match(text, at)
            if match:
                self.control(*match.groups())
                at = match.end()
                continue
            self.put(text[at])
            at += 1

    def put(self, character):
        if character in "\r\n":
            self.column = 0
            self.row = min(self.row + (character == "\n"), self.rows - 1)
        elif self.column >= self.columns:
            self.overflow += 1
        elif self.row < self.rows:
            self.cells[self.row][self.column] = character
            self.column += 1

    def control(self, private, numbers, final, other):
        values = [int(n) if n else 0 for n in (numbers or "").split(";")]
        if private == "?" and final in "hl" and values[0] == 1049:
            self.second = final == "h"
        elif private == "?" and final in "hl" and values[0] == 25:
            self.cursor_shown = final == "h"
        elif final == "H":
            self.row, self.column = max(values[0], 1) - 1, max(values[1] if len(values) > 1 else 1, 1) - 1
        elif final == "K":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif final == "J" and values[0] == 2:
            self.cells = [[" "] * self.columns for _ in range(self.rows)]
        elif final == "J":
            for row in range(self.row, self.rows):
                self.cells[row] = [" "] * self.columns
        elif final == "m":
            self.colours |= set(values)
        else:
            self.unknown.append((private, numbers, final, other))

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def text(self):
        return "\n".join(self.lines())


class Terminal:
    """A program that runs on a pty of its own."""

    def __init__(self, command, env, columns=80, rows=24):
        self.screen = Screen(columns, rows)
        self.rest = b""
        self.master, slave = pty.openpty()
        self.set_size(columns, rows, slave)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave

    def set_size(self, columns, rows, fd=None):
        fcntl.ioctl(self.slave if fd is None else fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.pump()
        self.screen.columns, self.screen.rows = columns, rows
        self.screen.clear()
        self.set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)  # as the terminal would, to its foreground group

    def type(self, text):
        os.write(self.master, text.encode())

    def pump(self, wait_s=0.0):
        while select.select([self.master], [], [], wait_s)[0]:
            try:
                read = os.read(self.master, 65536)
            except OSError:
                return
            if not read:
                return
            whole = self.rest + read
            try:
                text, self.rest = whole.decode(), b""
            except UnicodeDecodeError as error:
                text, self.rest = whole[:error.start].decode(), whole[error.start:]
            # A control sequence that was cut off waits for its end.
            cut = re.search(r"\033(\[[?0-9;]*)?$", text)
            if cut:
                self.rest, text = text[cut.start():].encode() + self.rest, text[:cut.start()]
            self.screen.feed(text)
            wait_s = 0.0

    def wait_for(self, condition, seconds=10):
        """Until condition(screen) holds: whether it ever did."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(0.02)
            if condition(self.screen):
                return True
        return False

    def sees(self, text, seconds=10):
        found = self.wait_for(lambda screen: text in screen.text(), seconds)
        if not found:
            print("\n".join("# |" + line for line in self.screen.lines()), flush=True)
        return found

    def sees_not(self, text, seconds=10):
        return self.wait_for(lambda screen: text not in screen.text(), seconds)

    def is_as_before(self):
        """The first screen, a cursor, and the settings of before."""
        self.pump()
        return not self.screen.second and self.screen.cursor_shown and termios.tcgetattr(self.slave) == self.before

    def wait(self, seconds=10):
        """Exit status; output until then is read, as a full pty would block the program."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.pump(0.02)
        self.pump()
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)
