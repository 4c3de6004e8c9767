"""The program `floutage` for Python users: `python -m floutage`, or `floutage.program()` for its path."""

import os
import sys
import sysconfig


def program() -> str:
    """The path of the program that came with this package."""
    name = "floutage" + (".exe" if sys.platform == "win32" else "")
    schemes = [None, sysconfig.get_preferred_scheme("user")]
    folders = [sysconfig.get_path("scripts", scheme) if scheme else sysconfig.get_path("scripts") for scheme in schemes]
    # With `pip install --target` the programs lie beside the packages.
    folders.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin"))
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"the program {name} is in none of {', '.join(folders)}; install the package again")
