#!/usr/bin/env python3
"""Turns a text file into a C string: embed.py NAME INPUT OUTPUT.

So a program finds its text wherever it runs.
"""
import sys


def main():
    name, source, target = sys.argv[1:]
    with open(source, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    with open(target, "w", encoding="ascii") as out:
        out.write(f"const char {name}[];\nconst char {name}[] =\n")
        for line in lines:
            # Octal escapes have an end, others would swallow digits that follow.
            text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\?'
                           else f"\\{byte:03o}" for byte in line)
            out.write(f'    "{text}"\n')
        out.write('    "";\n')


main()
