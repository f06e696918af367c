"""The proto file: its stubs are what protoc makes of it, its names are in style, its enums are complete."""

import itertools
import re
from collections.abc import Iterator

import pytest
from generate import stubs
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto
from programs import ROOT

from extender.core.answers.overview import Condition
from extender.core.model.reasons import Reason
from extender.wire.placement_v1 import ENUMS, NUMBERS
from spotmix.placement.v1 import placement_pb2 as pb

PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
LOWER_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@pytest.fixture(scope="module")
def file() -> FileDescriptorProto:
    described = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(described)
    return described


def messages(found: FileDescriptorProto) -> Iterator[DescriptorProto]:
    """All but the entries of maps, which protoc names."""
    waiting = list(found.message_type)
    while waiting:
        message = waiting.pop()
        if not message.options.map_entry:
            yield message
        waiting.extend(message.nested_type)


def test_the_stubs_are_current() -> None:
    made = stubs.render()
    assert sorted(made) == sorted(
        f"{stubs.FILE.removesuffix('.proto')}_pb2{end}" for end in (".py", ".pyi", "_grpc.py")
    )
    for name, text in made.items():
        assert (ROOT / name).read_text() == text, f"{name} is not what `make proto` writes"


def test_package_and_file_are_named_alike(file: FileDescriptorProto) -> None:
    assert file.name == stubs.FILE
    folder, _, name = file.name.rpartition("/")
    assert file.package == folder.replace("/", ".")
    assert all(LOWER_SNAKE.fullmatch(part) for part in file.package.split("."))
    assert re.fullmatch(r"v\d+((alpha|beta)\d+)?", file.package.rsplit(".", maxsplit=1)[-1])
    assert LOWER_SNAKE.fullmatch(name.removesuffix(".proto"))
    assert not file.public_dependency
    assert not file.weak_dependency
    assert file.syntax == "proto3"


def test_messages_and_fields_are_in_style(file: FileDescriptorProto) -> None:
    for message in messages(file):
        assert PASCAL.fullmatch(message.name), message.name
        for field in message.field:
            assert LOWER_SNAKE.fullmatch(field.name), f"{message.name}.{field.name}"
        numbers = [field.number for field in message.field]
        assert numbers == list(range(1, len(numbers) + 1)), message.name


def test_enums_are_in_style(file: FileDescriptorProto) -> None:
    for enum in file.enum_type:
        assert PASCAL.fullmatch(enum.name)
        prefix = upper_snake(enum) + "_"
        assert enum.value[0].name == f"{prefix}UNSPECIFIED"
        assert enum.value[0].number == 0
        assert not enum.options.allow_alias
        for value in enum.value:
            assert value.name.startswith(prefix)
            assert value.name == value.name.upper()


def upper_snake(enum: EnumDescriptorProto) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()


def test_services_are_in_style(file: FileDescriptorProto) -> None:
    used: list[str] = []
    for service in file.service:
        assert PASCAL.fullmatch(service.name)
        assert service.name.endswith("Service")
        for method in service.method:
            assert PASCAL.fullmatch(method.name)
            assert method.input_type == f".{file.package}.{method.name}Request"
            assert method.output_type == f".{file.package}.{method.name}Response"
            used += [method.input_type, method.output_type]
    assert len(used) == len(set(used)) == 12


def test_everything_is_documented() -> None:
    """Messages, enums, their values and RPCs have a comment; a field whose name says all may go without."""
    lines = (stubs.PROTO / stubs.FILE).read_text().splitlines()
    bare = [
        line
        for above, line in itertools.pairwise(lines)
        if re.match(r"\s*(message|enum|service|rpc) |\s+[A-Z_]+ = \d+;", line) and not above.strip().startswith("//")
    ]
    assert bare == []


@pytest.mark.parametrize("enum", [Reason, Condition])
def test_an_enum_is_complete(enum: type[Reason] | type[Condition]) -> None:
    prefix = f"{enum.__name__.upper()}_"
    there = {value.name: value.number for value in ENUMS[enum].values}
    assert set(there) == {f"{prefix}UNSPECIFIED", *(prefix + member.value.replace("-", "_").upper() for member in enum)}
    assert {NUMBERS[member] for member in enum} == set(there.values()) - {0}
