#!/usr/bin/env python3
"""Starts several copies of one program and talks to each through one pipe, so that a test can drive all processes of one
instance: `several.py COUNT PROGRAM`. A line "I words" sends "words" to copy I and answers what it answers; "I pid" answers its
process id; "I kill" kills it with SIGKILL; "- start" starts one more and answers its greeting."""
import subprocess
import sys


def main():
    count, command = int(sys.argv[1]), sys.argv[2:]

    def start():
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    copies = [start() for _ in range(count)]
    greetings = [copy.stdout.readline().strip() for copy in copies]
    print(" ".join(greetings), flush=True)
    for line in sys.stdin:
        index, _, words = line.strip().partition(" ")
        if words == "start":
            copies.append(start())
            print(copies[-1].stdout.readline().strip(), flush=True)
            continue
        copy = copies[int(index)]
        if words == "pid":
            print(copy.pid, flush=True)
        elif words == "kill":
            copy.kill()
            copy.wait()
            print("ok", flush=True)
        else:
            copy.stdin.write(words + "\n")
            copy.stdin.flush()
            print(copy.stdout.readline().strip(), flush=True)
    for copy in copies:
        copy.stdin.close()
    for copy in copies:
        copy.wait()


main()
