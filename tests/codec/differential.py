#!/usr/bin/env python3
"""Compares the codec with Python's protobuf, over random messages: both encodings, both directions.

usage: differential.py MESSAGE_TOOL DESCRIPTOR_SET [--cases N] [--seed N]

A failure prints the seed and the case; the same arguments replay it.
"""
import argparse
import json
import random
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format
from google.protobuf.descriptor import FieldDescriptor as Field

ROOT_TYPE = "test.everything.v1.Everything"
# No maps: in what order Python writes one into an Any is chance.
ANY_TYPES = ["test.everything.v1.Scalars", "test.everything.v1.Oneof", "test.everything.v1.Empty", "google.protobuf.Duration",
             "google.protobuf.Int64Value", "google.protobuf.FieldMask", "google.protobuf.Any", "google.protobuf.Timestamp"]
# Python writes null in an array of google.protobuf.NullValue, or a map of them, and then cannot read it.
UNREADABLE = ("null_values", "nulls")
EXPECTED_FAILURES = ("MALFORMED", "TOO_LARGE", "INTERNAL")


class Tool:
    """The program under test, one request at a time."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def convert(self, type_name, source, target, data):
        """(bytes, None) or (None, the error)."""
        self.process.stdin.write(f"{type_name} {source} {target} {data.hex()}\n".encode())
        self.process.stdin.flush()
        word, _, rest = self.process.stdout.readline().decode("utf-8", "replace").rstrip("\n").partition(" ")
        if word == "ok":
            return bytes.fromhex(rest), None
        if word not in EXPECTED_FAILURES:
            raise AssertionError(f"{type_name} {source} {target} {data!r}: {word} {rest}")
        return None, f"{word} {rest}"

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Messages:
    """Random messages of the descriptor set's types."""

    def __init__(self, descriptor_set, rng):
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file:
            self.pool.Add(file)
        self.rng = rng

    def cls(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def integer(self, low, high):
        pick = self.rng.random()
        if pick < 0.3:
            return self.rng.choice([low, high, 0, 1, max(low, -1), high - 1])
        if pick < 0.6:
            return max(low, min(high, self.rng.randint(-300, 300)))
        return max(low, min(high, self.rng.randint(low, high) >> self.rng.randint(0, high.bit_length())))

    def floating(self):
        special = [0.0, -0.0, 1.0, 0.1, 1e300, -1e-300, 5e-324, float("inf"), float("-inf"), float("nan"), 1728926331000.0, 1e21]
        return self.rng.choice(special) if self.rng.random() < 0.5 else self.rng.uniform(-1, 1) * 10.0 ** self.rng.randint(-30, 30)

    def text(self):
        alphabet = ["a", "B", "7", " ", "\"", "\\", "/", "\n", "\t", "\0", "\x1f", "\x7f", "é", "\u2028", "€", "\uffff", "😀", "\U0010ffff"]
        return "".join(self.rng.choices(alphabet, k=self.rng.choice([0, 1, 2, 7, 8, 9, 40])))

    def data(self):
        return self.rng.randbytes(self.rng.choice([0, 1, 2, 3, 4, 5, 64]))

    def scalar(self, field):
        kind = field.cpp_type
        if kind == Field.CPPTYPE_INT32:
            return self.integer(-2**31, 2**31 - 1)
        if kind == Field.CPPTYPE_INT64:
            return self.integer(-2**63, 2**63 - 1)
        if kind == Field.CPPTYPE_UINT32:
            return self.integer(0, 2**32 - 1)
        if kind == Field.CPPTYPE_UINT64:
            return self.integer(0, 2**64 - 1)
        if kind == Field.CPPTYPE_DOUBLE:
            return self.floating()
        if kind == Field.CPPTYPE_FLOAT:
            return self.rng.choice([0.0, 0.1, 3.4e38, 1e-45, float("nan"), float("-inf"), self.rng.uniform(-1e6, 1e6)])
        if kind == Field.CPPTYPE_BOOL:
            return self.rng.random() < 0.5
        if kind == Field.CPPTYPE_ENUM:
            known = [value.number for value in field.enum_type.values]
            unknown = [] if field.enum_type.name == "NullValue" else [3, -1, 99]
            return self.rng.choice(known * 2 + unknown)
        return self.data() if field.type == Field.TYPE_BYTES else self.text()

    def fill_json_value(self, value, depth):
        kind = self.rng.randrange(6 if depth > 0 else 4)
        if kind == 0:
            value.null_value = 0
        elif kind == 1:
            value.number_value = self.rng.choice([0.0, -0.0, 1.5, 1e100, -7.0, 123456789012.0])
        elif kind == 2:
            value.string_value = self.text()
        elif kind == 3:
            value.bool_value = self.rng.random() < 0.5
        elif kind == 4:
            value.struct_value.SetInParent()
            self.fill_struct(value.struct_value, depth - 1)
        else:
            value.list_value.SetInParent()
            for _ in range(self.rng.randrange(4)):
                self.fill_json_value(value.list_value.values.add(), depth - 1)

    def fill_struct(self, struct, depth):
        for _ in range(self.rng.randrange(4)):
            self.fill_json_value(struct.fields[self.text()], depth)

    def fill_any(self, any_message, depth):
        if self.rng.random() < 0.1:
            return
        held = self.cls(self.rng.choice(ANY_TYPES))()
        self.fill(held, depth - 1)
        any_message.type_url = self.rng.choice(["type.googleapis.com/", "example.com/a/"]) + held.DESCRIPTOR.full_name
        any_message.value = held.SerializeToString(deterministic=True)

    def fill_well_known(self, message, depth):
        """True when the type is one whose values JSON restricts."""
        name = message.DESCRIPTOR.full_name
        if name == "google.protobuf.Timestamp":
            message.seconds = self.rng.choice([0, -1, -62135596800, 253402300799, 1728926331, self.rng.randint(-10**10, 10**11)])
            message.nanos = self.nanos()
        elif name == "google.protobuf.Duration":
            sign = self.rng.choice([1, -1])
            message.seconds = sign * self.rng.choice([0, 1, 3600, 315576000000 - 1, self.rng.randint(0, 10**11)])
            message.nanos = sign * self.nanos()
        elif name == "google.protobuf.FieldMask":
            message.paths.extend(self.rng.choices(["a", "foo_bar", "foo.bar_baz_q", "x1.y2"], k=self.rng.randrange(4)))
        elif name == "google.protobuf.Struct":
            self.fill_struct(message, depth)
        elif name == "google.protobuf.Value":
            self.fill_json_value(message, depth)
        elif name == "google.protobuf.ListValue":
            for _ in range(self.rng.randrange(4)):
                self.fill_json_value(message.values.add(), depth)
        elif name == "google.protobuf.Any":
            self.fill_any(message, depth)
        else:
            return False
        return True

    def nanos(self):
        return self.rng.choice([0, 1, 999999999, 500000000, 123000000, 123456000, self.rng.randrange(10**9)])

    def fill(self, message, depth):
        if self.fill_well_known(message, max(depth, 0)):
            return
        fields = message.DESCRIPTOR.fields
        density = self.rng.choice([0.05, 0.3, 0.9])
        for field in fields:
            if field.name not in UNREADABLE and self.rng.random() < density and (depth > 0 or field.type != Field.TYPE_MESSAGE):
                self.fill_field(message, field, depth)

    def fill_field(self, message, field, depth):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self.fill_map(getattr(message, field.name), field.message_type, depth)
        elif field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(self.rng.choice([0, 1, 2, 5, 20 if field.type != Field.TYPE_MESSAGE else 2])):
                if field.type == Field.TYPE_MESSAGE:
                    self.fill(values.add(), depth - 1)
                else:
                    values.append(self.scalar(field))
        elif field.type == Field.TYPE_MESSAGE:
            getattr(message, field.name).SetInParent()
            self.fill(getattr(message, field.name), depth - 1)
        else:
            setattr(message, field.name, self.scalar(field))

    def fill_map(self, entries, entry, depth):
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(self.rng.randrange(5)):
            if value.type == Field.TYPE_MESSAGE:
                self.fill(entries[self.scalar(key)], depth - 1)
            else:
                entries[self.scalar(key)] = self.scalar(value)


class Comparison:
    def __init__(self, tool, messages, rng):
        self.tool, self.messages, self.rng = tool, messages, rng
        self.cls = messages.cls(ROOT_TYPE)
        self.rejected = 0

    def canonical(self, message):
        """Bytes that are equal when the messages are, NaNs included."""
        return message.SerializeToString(deterministic=True)

    def from_json(self, data):
        value = json.loads(data.decode(), object_pairs_hook=without_duplicates, parse_int=lambda text: -0.0 if text == "-0" else int(text))
        return json_format.ParseDict(value, self.cls(), ignore_unknown_fields=True, descriptor_pool=self.messages.pool,
                                     max_recursion_depth=200)

    def to_json(self, message):
        text = json_format.MessageToJson(
            message, descriptor_pool=self.messages.pool, preserving_proto_field_name=self.rng.random() < 0.5,
            indent=self.rng.choice([None, 2]), ensure_ascii=self.rng.random() < 0.5, sort_keys=self.rng.random() < 0.5,
            use_integers_for_enums=self.rng.random() < 0.2, always_print_fields_with_no_presence=self.rng.random() < 0.2)
        if self.rng.random() < 0.3:
            text = text.replace("/", "\\/")
        return text.encode()

    def check(self, what, got, message, source):
        output, error = got
        assert error is None, f"{what}: {error}; input {excerpt(source)}"
        read = self.from_json(output) if what.endswith("json") else self.cls.FromString(output)
        assert self.canonical(read) == self.canonical(message), f"{what}: {difference(message, read)}"

    def valid(self):
        """What the other implementation wrote is read, and what we write of it reads back as the same message."""
        message = self.cls()
        self.messages.fill(message, self.rng.choice([1, 2, 2, 3, 3, 4]))
        binary, text = self.canonical(message), self.to_json(message)
        for source, data in (("binary", binary), ("json", text)):
            for target in ("binary", "json"):
                self.check(f"{source} to {target}", self.tool.convert(ROOT_TYPE, source, target, data), message, data)
        return binary, text

    def damaged_binary(self, data):
        """Both refuse damaged bytes, or both read the same."""
        data = damage(data, self.rng)
        output, error = self.tool.convert(ROOT_TYPE, "binary", "binary", data)
        message = refusal = None
        try:
            message = self.cls.FromString(data)
        except Exception as exception:
            refusal = exception
        self.rejected += error is not None
        assert (error is None) == (message is not None), f"damaged binary: we say {error}, they {refusal}; input {excerpt(data)}"
        if message is None:
            return
        whole = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() == whole:  # else: to them, a map's entry with an unknown field is one as a whole
            assert self.canonical(self.cls.FromString(output)) == self.canonical(message), f"damaged binary: {difference(message, self.cls.FromString(output))}"

    def damaged_json(self, data):
        """We refuse what isn't JSON; what both take is the same message."""
        data = damage(data, self.rng)
        output, error = self.tool.convert(ROOT_TYPE, "json", "binary", data)
        self.rejected += error is not None
        try:
            json.loads(data.decode())
        except (ValueError, RecursionError):
            assert error is not None, f"damaged JSON was taken: {excerpt(data)}"
        try:
            message = self.from_json(data)
        except Exception:
            return
        if error is None:
            assert self.canonical(self.cls.FromString(output)) == self.canonical(message), f"damaged JSON: {difference(message, self.cls.FromString(output))}"


def without_duplicates(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def excerpt(data):
    return repr(data) if len(data) < 2000 else repr(data[:2000]) + "..."


def difference(wanted, got):
    """The first lines of their texts that are not equal."""
    wanted, got = (text_format.MessageToString(message).splitlines() for message in (wanted, got))
    at = next((i for i, pair in enumerate(zip(wanted, got)) if pair[0] != pair[1]), min(len(wanted), len(got)))
    return "wanted\n  " + "\n  ".join(wanted[max(0, at - 5):at + 2]) + "\ngot\n  " + "\n  ".join(got[max(0, at - 5):at + 2])


def damage(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        action = rng.randrange(4)
        if action == 0:
            del data[at:at + rng.choice([1, 1, 2, 8])]
        elif action == 1:
            data[at:at] = rng.randbytes(rng.choice([1, 2]))
        elif action == 2 and at < len(data):
            data[at] = rng.choice([data[at] ^ 1 << rng.randrange(8), rng.randrange(256), ord("1"), ord('"'), ord("}")])
        else:
            del data[at:]
    return bytes(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("descriptors")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with open(arguments.descriptors, "rb") as file:
        descriptors = file.read()
    rng = random.Random(arguments.seed)
    tool = Tool(arguments.tool)
    comparison = Comparison(tool, Messages(descriptors, rng), rng)
    for case in range(arguments.cases):
        try:
            binary, text = comparison.valid()
            comparison.damaged_binary(binary)
            comparison.damaged_json(text)
        except Exception as error:
            print(f"case {case} of --seed {arguments.seed}: {type(error).__name__}: {error}")
            return 1
    print(f"{arguments.cases} messages, both ways through both encodings; of {2 * arguments.cases} damaged ones {comparison.rejected} refused")
    return tool.close()


if __name__ == "__main__":
    sys.exit(main())
