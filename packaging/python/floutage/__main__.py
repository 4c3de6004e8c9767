"""Runs the program with the ONNX Runtime of this Python."""

import importlib.util
import os
import sys

from floutage import program


def main() -> None:
    if not os.environ.get("ORT_DYLIB_PATH"):
        found = importlib.util.find_spec("onnxruntime")
        for place in (found.submodule_search_locations or []) if found else []:
            folder = os.path.join(place, "capi")
            if os.path.isdir(folder):
                os.environ["ORT_DYLIB_PATH"] = folder
    path = program()
    os.execv(path, [path, *sys.argv[1:]])


if __name__ == "__main__":
    main()
