"""The jars of a server, as a pom.xml names them: fetched by Maven once a version, and kept in the cache."""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"


class Missing(Exception):
    """What they are fetched or run with is not there."""


def java():
    """java 17 or newer on PATH; None: there is none."""
    program = shutil.which("java")
    if not program:
        return None
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return program if found and int(found[1]) >= 17 else None


def jars(pom, product, artifact):
    """The folder that they are in."""
    version = re.search(rf"{artifact}</artifactId><version>([^<]+)", pom.read_text())[1]
    folder = CACHE / f"{product.lower()}-{version}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:8]}"
    if not java():
        raise Missing(f"no Java 17 or newer on PATH for {product}")
    if folder.exists():
        return folder
    if not shutil.which("mvn"):
        raise Missing(f"no Maven to fetch {product} with")
    print(f"fetching Apache {product} {version} (once)", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = CACHE / f"{product.lower()}-fetching-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime",
                    f"-DoutputDirectory={scratch}"], check=True)
    with contextlib.suppress(OSError):  # another run was faster
        scratch.rename(folder)
    shutil.rmtree(scratch, ignore_errors=True)
    return folder
