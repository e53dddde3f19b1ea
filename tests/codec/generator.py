#!/usr/bin/env python3
"""What protoc-gen-pingc writes and refuses.

usage: generator.py PROTOC PLUGIN SOURCE_ROOT CC
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROTOC, PLUGIN, SOURCE_ROOT, CC = sys.argv[1:5]


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, body, syntax='syntax = "proto3";', package="a"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{syntax}\npackage {package};\n{body}\n")
        return name

    def generate(self, *names, option=""):
        """protoc's exit status and what it said."""
        out = self.root / "out"
        out.mkdir(exist_ok=True)
        done = subprocess.run([PROTOC, f"--plugin=protoc-gen-pingc={PLUGIN}", f"-I{self.root}", f"--pingc_out={option}{out}", *names],
                              capture_output=True, text=True)
        return done.returncode, done.stderr

    def files(self):
        return sorted(path.relative_to(self.root / "out").as_posix() for path in (self.root / "out").rglob("*.pb.*"))

    def compile(self):
        """Everything generated, warnings as errors."""
        sources = list((self.root / "out").rglob("*.c"))
        objects = [self.root / f"{i}.o" for i in range(len(sources))]
        for source, compiled in zip(sources, objects):
            done = subprocess.run([*CC.split(), "-std=gnu17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes", "-Werror",
                                   "-I", self.root / "out", "-I", f"{SOURCE_ROOT}/src", "-c", source, "-o", compiled],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def assert_refused(self, name, text):
        status, said = self.generate(name)
        self.assertNotEqual(status, 0)
        self.assertIn(text, said)
        self.assertEqual(self.files(), [])

    def test_each_file_becomes_a_pair_that_compiles(self):
        names = [self.write("x/one.proto", 'import "x/two.proto"; message One { Two two = 1; Kind kind = 2; repeated Kind kinds = 3; }'),
                 self.write("x/two.proto", "message Two {} enum Kind { KIND_UNSPECIFIED = 0; }")]
        self.assertEqual(self.generate(*names), (0, ""))
        self.assertEqual(self.files(), ["x/one.pb.c", "x/one.pb.h", "x/two.pb.c", "x/two.pb.h"])
        self.assertIn('#include "x/two.pb.h"', (self.root / "out/x/one.pb.h").read_text())
        self.compile()

    def test_single_puts_the_imports_into_the_same_pair(self):
        self.write("two.proto", "message Two {}")
        name = self.write("one.proto", 'import "two.proto"; import "google/protobuf/any.proto"; message One { Two two = 1; google.protobuf.Any any = 2; }')
        self.assertEqual(self.generate(name, option="single=all:"), (0, ""))
        self.assertEqual(self.files(), ["all.pb.c", "all.pb.h"])
        self.compile()

    def test_a_type_behind_a_public_import_is_found(self):
        self.write("deep.proto", "message Deep {}", package="deep")
        self.write("middle.proto", 'import public "deep.proto";')
        name = self.write("top.proto", 'import "middle.proto"; message Top { deep.Deep deep = 1; } '
                                       "service S { rpc Do(deep.Deep) returns (deep.Deep); }")
        self.assertEqual(self.generate(name, "deep.proto"), (0, ""))
        self.assertIn('#include "deep.pb.h"', (self.root / "out/top.pb.h").read_text())
        self.compile()

    def test_keywords_as_names_compile(self):
        name = self.write("keywords.proto", """message Words {
            int32 int = 1; bool register = 2; optional string struct = 3; repeated double double = 4; map<string, int32> switch = 5;
            oneof union { bytes static = 6; Words void = 7; } bool bool = 8; int32 true = 9; int32 typeof = 10; }""")
        self.assertEqual(self.generate(name), (0, ""))
        self.compile()

    def test_a_file_without_a_package_compiles(self):
        (self.root / "bare.proto").write_text('syntax = "proto3"; message Bare { enum Kind { ZERO = 0; } Kind kind = 1; } enum Top { TOP_ZERO = 0; }')
        self.assertEqual(self.generate("bare.proto"), (0, ""))
        self.compile()

    def test_proto2_is_refused(self):
        self.assert_refused(self.write("old.proto", "message Old { required int32 a = 1; }", syntax='syntax = "proto2";'),
                            'old.proto: only syntax = "proto3" is supported')

    def test_a_type_of_a_proto2_file_is_refused(self):
        self.write("old.proto", "message Old { optional int32 a = 1; }", syntax='syntax = "proto2";')
        self.assert_refused(self.write("new.proto", 'import "old.proto"; message New { Old old = 1; }'),
                            "a.New.old: a.Old is not of a proto3 file")

    def test_an_import_of_proto2_that_gives_no_type_is_fine(self):
        self.write("old.proto", 'import "google/protobuf/descriptor.proto"; extend google.protobuf.FieldOptions { optional bool secret = 50000; }',
                   syntax='syntax = "proto2";')
        name = self.write("new.proto", 'import "old.proto"; message New { int32 a = 1 [(secret) = true]; }')
        self.assertEqual(self.generate(name, option="single=all:"), (0, ""))
        self.compile()

    def test_two_names_that_become_one_are_refused(self):
        self.assert_refused(self.write("clash.proto", "message FooBar {} message Foo { message Bar {} }"), "would both be a_foo_bar in C")
        self.assert_refused(self.write("twice.proto", "message M { optional int32 x = 1; bool has_x = 2; }"),
                            "a.M: two members would be named has_x in C")

    def test_too_many_fields_are_refused(self):
        fields = "".join(f"int32 f{i} = {i};" for i in range(1, 514))
        self.assert_refused(self.write("wide.proto", f"message Wide {{ {fields} }}"), "a.Wide: more than 512 fields")

    def test_an_unknown_parameter_is_refused(self):
        status, said = self.generate(self.write("m.proto", "message M {}"), option="colour=red:")
        self.assertNotEqual(status, 0)
        self.assertIn("unknown parameter colour=red", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
