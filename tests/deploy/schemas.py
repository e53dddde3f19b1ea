"""Checks manifests without a server: Kubernetes' own kinds by its OpenAPI documents, the operators' by their CustomResourceDefinitions. Strict: a
field that no schema names is a problem, as `kubectl apply --validate=strict` has it. CEL rules and formats are the API server's (apiserver.py).
"""
import functools
import json
import os
import pathlib

import jsonschema
import yaml

import programs

ROOT = pathlib.Path(__file__).resolve().parents[2]
# CRDs of operators that are no Go modules: a folder of *.yaml files, one subfolder a project, as their releases have them.
CRDS = pathlib.Path(os.environ.get("PING_CRDS") or ROOT.parent / "shared/crds")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text):
    """The documents of a YAML text that hold something."""
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


def crd_files():
    """CRDS first: what stands there is what the operators that are named in deploy/README.md install."""
    files = [file for folder in (CRDS, programs.get("schemas") / "crds") for file in sorted(folder.glob("*/*.yaml"))]
    return [file for file in files if file.name != "kustomization.yaml"]


@functools.cache
def crds():
    """{plural.group: CustomResourceDefinition}"""
    found = {}
    for file in crd_files():
        for document in load(file.read_text()):
            if document.get("kind") == "CustomResourceDefinition":
                found.setdefault(document["metadata"]["name"], document)
    return found


def close(schema, top=False):
    """A structural schema as a strict JSON Schema."""
    if isinstance(schema, list):
        return [close(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key not in ("format", "default", "nullable", "properties", "items", "additionalProperties")}
    for key in ("allOf", "anyOf", "oneOf"):
        if key in made:
            made[key] = [close_alternative(inner) for inner in made[key]]
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        made["properties"] = {name: close(inner) for name, inner in schema["properties"].items()}
        if top:
            made["properties"].update(apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"})
    if "additionalProperties" in schema:
        made["additionalProperties"] = close(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    if "items" in schema:
        made["items"] = close(schema["items"])
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def close_alternative(schema):
    """A part of anyOf and its kin says something about fields that are declared elsewhere: it stays open. A reference stays one."""
    return schema


@functools.cache
def custom(version, kind):
    for document in crds().values():
        spec = document["spec"]
        for served in spec["versions"]:
            if f"{spec['group']}/{served['name']}" == version and spec["names"]["kind"] == kind and served["served"]:
                return jsonschema.Draft202012Validator(close(served["schema"]["openAPIV3Schema"], top=True))
    return None


@functools.cache
def native_document(version):
    name = f"apis__{version.replace('/', '__')}" if "/" in version else f"api__{version}"
    file = programs.get("schemas") / "kubernetes" / f"{name}_openapi.json"
    if not file.exists():
        return None
    schemas = json.loads(file.read_text())["components"]["schemas"]
    return schemas, {name: close(schema) for name, schema in schemas.items()}


@functools.cache
def native(version, kind):
    document = native_document(version)
    if not document:
        return None
    group, _, number = version.rpartition("/")
    for name, schema in document[0].items():
        for known in schema.get("x-kubernetes-group-version-kind", []):
            if (known["group"], known["version"], known["kind"]) == (group, number, kind):
                return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": document[1]}})
    return None


def validator(manifest):
    """None: nobody here knows the kind."""
    version, kind = manifest.get("apiVersion", ""), manifest.get("kind", "")
    return native(version, kind) or custom(version, kind)


def name(manifest):
    return f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"


def problems(manifest):
    """What is wrong with it, each with its place; empty: nothing."""
    found = validator(manifest)
    if not found:
        return [f"{name(manifest)}: no schema of {manifest.get('apiVersion')} {manifest.get('kind')} in {CRDS} or {programs.get('schemas')}"]
    return [f"{name(manifest)}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found.iter_errors(manifest)]
