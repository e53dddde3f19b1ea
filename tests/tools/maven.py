"""The jars of a server, as a pom.xml names them: fetched by Maven once a version, and kept in the cache."""
import hashlib
import re
import shutil
import subprocess

from cache import CACHE, making


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
    with making(folder.name):
        if not folder.exists():
            print(f"fetching Apache {product} {version} (once)", flush=True)
            scratch = CACHE / f"{folder.name}-fetching"
            shutil.rmtree(scratch, ignore_errors=True)
            subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime",
                            f"-DoutputDirectory={scratch}"], check=True)
            scratch.rename(folder)
    return folder
