#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes cases/*.s: what every instruction must do, computed by models/ alone.

generate.py [DIRECTORY]     default: cases/ beside this file; files that are made no more are removed.
"""
import importlib
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from models.cases import File  # noqa: E402

MODELS = ['scalar', 'integer', 'floating', 'compare', 'convert', 'memory', 'lds', 'packed', 'lanes', 'matrix',
          'typed', 'image', 'rare']


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'cases')
    os.makedirs(directory, exist_ok=True)
    for model in MODELS:
        importlib.import_module('models.' + model).make()
    for file in File.files.values():
        file.write(directory)
    for name in os.listdir(directory):
        if name.endswith('.s') and name[:-2] not in File.files:
            os.remove(os.path.join(directory, name))


if __name__ == '__main__':
    main()
