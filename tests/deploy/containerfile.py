#!/usr/bin/env python3
"""Carries out a Containerfile's steps without Docker, as root: each stage is a Debian made by debootstrap, each RUN a shell in it.

usage: containerfile.py FILE FOLDER [STAGE]     build into FOLDER (emptied first), up to and with a stage; prints the last stage's root

Knows what deploy/images uses: ARG, FROM … AS, WORKDIR, ENV, COPY [--from], RUN, USER, EXPOSE, ENTRYPOINT; anything else is an error. The bases are cached:
Debian by its suite; and in the place of Flink's image, which is nowhere to be had here, a Debian with what that has where it has it (its Dockerfile, apache/flink-docker):
Java, the distribution of that version in /opt/flink and the user `flink` who owns it, but for the shell scripts of bin/. Any other base is an error.
"""
import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"
SUITE = "bookworm"
# How this machine reaches registries, as Docker gives its containers a name service.
FROM_HOST = ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/java/cacerts")


def debian():
    """A minimal Debian, made once."""
    folder = CACHE / f"debian-{SUITE}"
    if not folder.exists():
        if not shutil.which("debootstrap"):
            raise SystemExit("no debootstrap: apt-get install debootstrap")
        scratch = CACHE / f"debian-{SUITE}-making-{os.getpid()}"
        subprocess.run(["debootstrap", "--variant=minbase", SUITE, scratch], check=True, stdout=sys.stderr)
        (scratch / "etc/apt/sources.list").write_text("".join(f"deb http://{host} main\n" for host in (
            f"deb.debian.org/debian {SUITE}", f"deb.debian.org/debian {SUITE}-updates", f"deb.debian.org/debian-security {SUITE}-security")))
        scratch.rename(folder)
    return folder


def flink(version):
    """A Debian with Java and Flink, made once a version."""
    folder = CACHE / f"flink-image-{version}-{SUITE}"
    if not folder.exists():
        sys.path.insert(0, str(ROOT / "tests" / "tools"))
        import flink_cluster
        if version != flink_cluster.VERSION:
            raise SystemExit(f"Flink {version} in an image, {flink_cluster.VERSION} in flink/pom.xml")
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            stage = Stage(pathlib.Path(scratch) / "root")
            subprocess.run(["cp", "-a", "--reflink=auto", debian(), stage.root], check=True)
            stage.run("apt-get update -q && apt-get install -y -q --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*")
            home = stage.root / "opt/flink"
            for part in ("lib", "plugins", "bin"):
                shutil.copytree(flink_cluster.distribution() / part, home / part)
            (home / "opt").mkdir()
            subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact=org.apache.flink:flink-s3-fs-presto:{version}", f"-DoutputDirectory={home / 'opt'}"],
                           check=True, cwd=scratch)
            stage.run("groupadd --system --gid=9999 flink && useradd --system --home-dir /opt/flink --uid=9999 --gid=flink flink && chown -R flink:flink /opt/flink")
            stage.root.rename(folder)
    return folder


def instructions(text):
    """(word, rest) of each, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


class Stage:
    def __init__(self, folder):
        self.root, self.work, self.env, self.user, self.entrypoint = folder, "/", {}, None, None

    def inside(self, path):
        return self.root / os.path.normpath(os.path.join(self.work, path)).lstrip("/")

    def run(self, command):
        for name in ("proc", "dev"):
            (self.root / name).mkdir(exist_ok=True)
        for name in FROM_HOST:
            if os.path.exists(f"/{name}"):
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(f"/{name}", self.root / name)
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive",
               "CARGO_HTTP_CAINFO": "/etc/ssl/certs/ca-certificates.crt", "LC_ALL": "C.UTF-8", **self.env}
        subprocess.run(self.command("/bin/sh", "-euc", f"cd {shlex.quote(self.work)}; {command}"), env=env, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)

    def command(self, *arguments):
        """What runs these in it as its user, in a mount namespace of their own, so that nothing stays mounted whatever happens."""
        user, _, group = (self.user or "0:0").partition(":")
        script = 'mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"; exec chroot --userspec="$1" "$0" "${@:2}"'
        return ["unshare", "--mount", "--propagation=private", "/bin/bash", "-c", script, str(self.root), f"{user}:{group or user}", *map(str, arguments)]


def ignored(file):
    """As the .dockerignore beside it has it."""
    patterns = [line for line in pathlib.Path(f"{file}.dockerignore").read_text().splitlines() if line]

    def matches(folder, names):
        relative = pathlib.Path(folder).relative_to(ROOT)
        return [name for name in names if any(fnmatch.fnmatch(str(relative / name), pattern.removeprefix("**/")) or
                                              (pattern.startswith("**/") and fnmatch.fnmatch(name, pattern[3:])) for pattern in patterns)]

    return matches


class Build:
    def __init__(self, file, folder):
        self.file, self.folder = pathlib.Path(file), pathlib.Path(folder)
        self.args, self.stages, self.stage = {}, {}, None

    def expand(self, text):
        return re.sub(r"\$\{(\w+)\}", lambda match: self.args[match[1]], text)

    def copy(self, rest):
        words = rest.split()
        start = ROOT
        if words[0].startswith("--from="):
            start = self.stages[words.pop(0).removeprefix("--from=")].root
        *sources, target = words
        many = len(sources) > 1 or target.endswith("/")
        for source in sources:
            origin, place = start / source.lstrip("/"), self.stage.inside(target)
            if origin.is_dir():
                shutil.copytree(origin, place, dirs_exist_ok=True, symlinks=True, ignore=ignored(self.file) if start == ROOT else None)
            else:
                place = place / origin.name if many else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, place)

    def step(self, word, rest):
        if word == "ARG":
            name, _, value = rest.partition("=")
            self.args[name] = os.environ.get(name, value)
        elif word == "FROM":
            base, _, name = self.expand(rest).partition(" AS ")
            self.stage = Stage(self.folder / f"stage-{len(self.stages)}")
            self.stages[name or "last"] = self.stage
            of_flink = re.search(r"/flink:([\d.]+)-java17$", base)
            if not of_flink and f"/debian:{SUITE}" not in base:
                raise SystemExit(f"{self.file.name}: a stage from {base} cannot be made here")
            subprocess.run(["cp", "-a", "--reflink=auto", flink(of_flink[1]) if of_flink else debian(), self.stage.root], check=True)
            if of_flink:
                self.stage.work, self.stage.user = "/opt/flink", "9999:9999"
                self.stage.env.update(FLINK_HOME="/opt/flink", HOME="/opt/flink")
        elif word == "RUN":
            self.stage.run(rest)
        elif word == "COPY":
            self.copy(rest)
        elif word == "WORKDIR":
            self.stage.work = rest
            self.stage.inside(".").mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            self.stage.env.update(pair.split("=", 1) for pair in rest.split())
        elif word == "USER":
            self.stage.user = rest
        elif word == "ENTRYPOINT":
            self.stage.entrypoint = json.loads(rest)
        elif word != "EXPOSE":
            raise SystemExit(f"{self.file.name}: {word} is not known here")

    def until(self, last=None):
        """The stage named so, or the last one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for word, rest in instructions(self.file.read_text()):
            if word == "FROM" and last in self.stages:
                break
            print(f"== {word} {rest[:120]}", file=sys.stderr, flush=True)
            self.step(word, rest)
        return self.stages[last] if last else self.stage


def main():
    if len(sys.argv) not in (3, 4) or os.geteuid() != 0:
        print(__doc__, file=sys.stderr)
        return 2
    stage = Build(sys.argv[1], sys.argv[2]).until(*sys.argv[3:])
    print(stage.root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
