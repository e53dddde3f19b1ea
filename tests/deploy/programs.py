#!/usr/bin/env python3
"""The programs and schemas that check deploy/, from Go modules and npm, each cached by its version under $XDG_CACHE_HOME/ping.

usage: programs.py [find] WHAT...     WHAT: kustomize, helm, gofakes3, grafana, schemas (quick), kube-apiserver, etcd, kubectl (minutes)

Prints where each is, one a line. With `find` nothing is made: exit 1 when one is missing.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ping"
sys.path.insert(0, str(HERE.parent / "tools"))
import toolchains  # noqa: E402

KUBERNETES = "v1.34.4"
INSTALLED = {  # program: what `go install` takes
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    "helm": "helm.sh/helm/v4/cmd/helm@v4.3.1",
    "gofakes3": "github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0",  # S3-compatible storage
}
# Kinds that are no part of Kubernetes, where their project is a Go module: module and the folder of its CRDs. The others: operators() in schemas.py.
MODULES = {
    "cloudnative-pg": ("github.com/cloudnative-pg/cloudnative-pg@v1.30.0", "config/crd/bases"),
    "gateway-api": ("sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard"),
}

COMPOSE = "github.com/compose-spec/compose-go/v2@v2.6.0"


def go(*arguments, folder, **more):
    environment = {**os.environ, "GOFLAGS": "-modcacherw -buildvcs=false", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", **more}
    done = subprocess.run(["nice", "-n", "5", toolchains.go(CACHE / "toolchains"), *map(str, arguments)], cwd=folder, env=environment,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"go {' '.join(map(str, arguments))}: {done.stderr[-4000:]}")
    return done.stdout


def download(module):
    """What `go mod download -json` says of a module: Dir, GoMod."""
    with tempfile.TemporaryDirectory() as scratch:
        return json.loads(go("mod", "download", "-json", module, folder=scratch))


def write_kubernetes_module(folder):
    """A go.mod from which k8s.io/kubernetes builds through the module proxy: each `=> ./staging/src/X` of its own becomes `X v0.minor.patch`,
    the same as published; `go install` refuses it for those lines."""
    module = download(f"k8s.io/kubernetes@{KUBERNETES}")
    text = pathlib.Path(module["GoMod"]).read_text()
    published = "v0" + KUBERNETES[2:]
    staged = re.findall(r"^\t(\S+) => \./staging", text, re.M)
    version = re.search(r"^go (\S+)", text, re.M)[1]
    required = [(name, published if name in staged else number) for name, number in re.findall(r"^\t(\S+) (v\S+)", text, re.M)]
    lines = [f"module ping.test/deploy/kubernetes\n\ngo {version}\n\ngodebug default=go{version.rsplit('.', 1)[0]}\n"]
    lines += [f"require {name} {number}" for name, number in [("k8s.io/kubernetes", KUBERNETES), *required]]
    lines += [f"replace {name} => {name} {published}" for name in staged]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    (folder / "tools.go").write_text('//go:build tools\n\npackage tools\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n')
    shutil.copyfile(pathlib.Path(module["Dir"]) / "go.sum", folder / "go.sum")


def make_kubernetes(folder, name):
    with tempfile.TemporaryDirectory() as scratch:
        write_kubernetes_module(pathlib.Path(scratch))
        major, minor, _ = KUBERNETES[1:].split(".")
        flags = " ".join(f"-X k8s.io/component-base/version.{key}={value}"
                         for key, value in (("gitVersion", KUBERNETES), ("gitMajor", major), ("gitMinor", minor)))
        go("build", "-mod=mod", "-trimpath", "-p", 2, "-ldflags", f"-s -w {flags}", "-o", folder / name, f"k8s.io/kubernetes/cmd/{name}", folder=scratch)


def make_etcd(folder, name):
    go("build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", folder / name, ".", folder=HERE / "etcd")


def make_schemas(folder, _):
    """kubernetes/: OpenAPI documents, one a group and version; crds/PROJECT/: CustomResourceDefinitions; compose-spec.json; CloudNativePG's queries."""
    source = pathlib.Path(download(f"k8s.io/kubernetes@{KUBERNETES}")["Dir"]) / "api/openapi-spec/v3"
    (folder / "kubernetes").mkdir()
    for file in source.glob("*__v*_openapi.json"):
        shutil.copyfile(file, folder / "kubernetes" / file.name)
    shutil.copyfile(pathlib.Path(download(COMPOSE)["Dir"]) / "schema/compose-spec.json", folder / "compose-spec.json")
    shutil.copyfile(pathlib.Path(download(MODULES["cloudnative-pg"][0])["Dir"]) / "config/manager/default-monitoring.yaml", folder / "cnpg-monitoring.yaml")
    for project, (module, path) in MODULES.items():
        (folder / "crds" / project).mkdir(parents=True)
        for file in (pathlib.Path(download(module)["Dir"]) / path).glob("*.yaml"):
            if file.name != "kustomization.yaml":
                shutil.copyfile(file, folder / "crds" / project / file.name)


def make_installed(folder, name):
    with tempfile.TemporaryDirectory() as scratch:
        go("install", "-trimpath", INSTALLED[name], folder=scratch, GOBIN=str(folder))


def make_grafana(folder, _):
    """node_modules with Grafana's schema of its boards, and TypeScript to check by it."""
    command, environment = toolchains.npm(CACHE / "toolchains")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / "grafana" / name, folder / name)
    done = subprocess.run([*command, "ci", "--no-audit", "--no-fund", "--silent", "--prefix", folder], env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"npm ci of tests/deploy/grafana: {done.stderr[-2000:]}")


def plan(name):
    """(cached folder's name, what makes it, path of the thing in it)"""
    if name in INSTALLED:
        return f"{name}-{INSTALLED[name].split('@')[1]}", make_installed, name
    if name in ("kube-apiserver", "kubectl"):
        return f"{name}-{KUBERNETES}", make_kubernetes, name
    if name == "etcd":
        return f"etcd-{hashlib.sha256((HERE / 'etcd/go.sum').read_bytes()).hexdigest()[:16]}", make_etcd, name
    if name == "grafana":
        return f"grafana-schema-{hashlib.sha256((HERE / 'grafana/package-lock.json').read_bytes()).hexdigest()[:16]}", make_grafana, "."
    if name == "schemas":
        key = hashlib.sha256(repr((KUBERNETES, MODULES, COMPOSE, "queries")).encode()).hexdigest()[:16]
        return f"kubernetes-schemas-{key}", make_schemas, "."
    raise SystemExit(f"programs.py knows no {name}: {__doc__}")


def find(name):
    """The program's path, or the schemas' folder; None: not made yet."""
    folder, _, path = plan(name)
    return CACHE / folder / path if (CACHE / folder).exists() else None


def get(name):
    """The same, made where it is missing: whole or not at all."""
    folder, make, path = plan(name)
    if not (CACHE / folder).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"   making {folder} (once)", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            filled = pathlib.Path(scratch) / "filled"
            filled.mkdir()
            make(filled, name)
            filled.rename(CACHE / folder)
    return CACHE / folder / path


def main():
    names = [name for name in sys.argv[1:] if name != "find"]
    found = [find(name) if sys.argv[1] == "find" else get(name) for name in names]
    for path in found:
        print(path or "missing")
    return 0 if names and all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
