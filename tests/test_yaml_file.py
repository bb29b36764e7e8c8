"""The reader of YAML: what is good is taken as it is meant, and nothing grows beyond its bounds."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lq import yaml_file
from lq.errors import BadInput
from lq.yaml_file import YamlError, parse

KEYS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(st.characters(codec="utf-8"))
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@pytest.fixture(params=["with libyaml", "without"], autouse=True)
def parser(request, monkeypatch):
    """Both parsers of the library: where it was built without libyaml there is only the slow one."""
    if request.param == "without":
        monkeypatch.setattr(yaml_file, "_LOADER", yaml.SafeLoader)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
@given(data=VALUES)
def test_what_was_written_is_read_back(loader, data):
    text = yaml_file.dump(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_file, "_LOADER", loader)
        try:
            found = parse(text, "f").data
        except YamlError as error:
            assert "has no place in text" in str(error)  # noqa: PT017
        else:
            assert found == data


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="replace")))
def test_any_octets_are_read_or_refused_in_one_line(octets):
    with contextlib.suppress(YamlError):
        yaml_file.decode(octets, "f")
        return
    with pytest.raises(YamlError, match=r"\Af:[0-9]+: [^\n]+\Z"):
        yaml_file.decode(octets, "f")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: yes\nb: on\nc: No", {"a": "yes", "b": "on", "c": "No"}),
        ("a: true\nb: False\nc: tRue", {"a": True, "b": False, "c": "tRue"}),
        ("a: 2001-01-01\nb: 12:30:45\nc: 02:00:00:00:00:05", None),
        ("a: 1e6\nb: -2E-3\nc: 1e\nd: .5\ne: 5.", {"a": 1e6, "b": -0.002, "c": "1e", "d": 0.5, "e": 5.0}),
        ("a: 0x10\nb: 0o17\nc: +5\nd: -7", {"a": 16, "b": 15, "c": 5, "d": -7}),
        ("a: '010'\nb: \"yes\"\nc: |\n  7", {"a": "010", "b": "yes", "c": "7"}),
        ("a: !!str 3\nb: !!float 3\nc: ! 3\nd: !!seq []", {"a": "3", "b": 3.0, "c": "3", "d": []}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, p: 3}", {"a": {"p": 1, "q": 2}, "b": {"p": 3, "q": 2}}),
        ("a: {p: 3, <<: [{q: 1}, {q: 2, r: 3}]}", {"a": {"p": 3, "q": 1, "r": 3}}),
        ("", None),
        ("---\n# nothing\n...\n", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_what_values_mean(text, data):
    found = yaml_file.decode(text.encode(), "f").data
    if data is None and text:
        assert found is None or all(isinstance(value, str) for value in found.values())
    else:
        assert found == data


def test_a_zero_has_no_sign():
    assert [repr(value) for value in parse("[-0.0, -0]", "f").data] == ["0.0", "0"]


def test_a_number_remembers_how_it_was_written():
    found = parse("[0x0102, 2.10, 1e3, 17]", "f").data
    assert found == [0x102, 2.1, 1000.0, 17]
    assert [str(value) for value in found] == ["0x0102", "2.10", "1e3", "17"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", 4, "'c' is there twice"),
        ("43: a\n43: b", 2, "43 is there twice"),
        ("a: 1\nb: 010", 2, "leave out the zeros"),
        ("a: .inf", 1, "no number that can be used"),
        ("a: .NaN", 1, "no number that can be used"),
        ("a: 1e999", 1, "larger than any number"),
        ("a: 0x" + "f" * 6000, 1, "a number of 6,002 characters"),
        ("a: " + "9" * 6000, 1, "a number of 6,000 characters"),
        ("a: " + "1" * 5000 + ".5", 1, "a number of 5,002 characters"),
        ("a: " + "x" * 20_000, 1, "text of 20,000 characters"),
        ("a: !!int x", 1, "does not fit the tag !!int"),
        ("a: !!int 1.5", 1, "does not fit the tag !!int"),
        ("a: !!map 1", 1, "does not fit"),
        ("a: !!binary x", 1, "'!!binary' is not known"),
        ("a: !!timestamp 2001-01-01", 1, "is not known"),
        ("a: !!python/object/apply:os.system [id]", 1, "is not known"),
        ("- !!set {a}", 1, "does not fit|is not known"),
        ('a: "x\\0y"', 1, r"U\+0000 has no place"),
        ("a: x\x00y", 1, r"U\+0000 has no place"),
        ("a: 1\nb: \x1b[31m", 2, r"U\+001B has no place"),
        ("&a [*a]", 1, "stands for nothing"),
        ("a: *b", 1, "stands for nothing"),
        ("<<: 3", 1, "takes a mapping"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("? [a]\n: 1", 1, "a list is no key"),
        ("true: 1", 1, "True is no key"),
        ("a: [", 1, "not valid YAML"),
        ("[" * 40, 1, "nested too deeply"),
        ("".join(f"k{number}: 1\n" for number in range(1001)), 1001, "too many keys"),
    ],
    ids=lambda value: value[:20].replace("\n", "/").replace("\0", "0") if isinstance(value, str) else value,
)
def test_faults_are_told_with_their_line(text, line, words):
    with pytest.raises(YamlError, match=words) as caught:
        parse(text, "f")
    assert str(caught.value).startswith(f"f:{line}: ") or text == "a: ["
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, b: *a{n - 1}}}\n" for n in range(1, 99)),
        "a: &a " + "x" * 9000 + "\nb: [" + "*a," * 8000 + "]",
        "a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 1000 + "]",
    ],
    ids=["lists", "merges", "text", "one level"],
)
def test_aliases_count_as_what_they_stand_for(text):
    with pytest.raises(YamlError, match="too many values"):
        parse(text, "f")


def test_the_bound_is_where_it_is_said_to_be(monkeypatch):
    monkeypatch.setattr(yaml_file, "MOST_VALUES", 20)
    assert len(parse("[" + "x," * 19 + "]", "f").data) == 19
    with pytest.raises(YamlError, match="too many values: at most 20"):
        parse("[" + "x," * 20 + "]", "f")
    thrice = "a: &a [x, x, x]\nb: *a\nc: *a\n"  # 1, and 3 times 1 for the key and 4 for the list
    assert parse(f"{thrice}d: [x, x]", "f").data["c"] == ["x"] * 3
    with pytest.raises(YamlError, match="too many values"):
        parse(f"{thrice}d: *a", "f")


def test_octets_that_are_no_text():
    for octets, line, words in [
        (b"a: 1\nb: \xff\n", 2, "not UTF-8 text: save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, "this is UTF-16 text: save the file as UTF-8"),
        ("a: 1\n".encode("utf-32"), 1, "this is UTF-16 text"),
        ("a: 1\n".encode("utf-16-le"), 1, "U.0000"),
    ]:
        with pytest.raises(YamlError, match=words) as caught:
            yaml_file.decode(octets, "f")
        assert str(caught.value).startswith(f"f:{line}: ")


def test_a_file_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
    with pytest.raises(BadInput, match=r"large\.yaml: it is larger than 8,388,608 octets"):
        yaml_file.load(path)


def test_a_configuration_of_many_reservations_is_read():
    lines = [
        f"  - {{address: 198.18.{n >> 8}.{n & 255}, hardware: '02:00:00:00:{n >> 8:02x}:{n & 255:02x}', "
        f"options: {{host-name: host{n}}}}}"
        for n in range(60_000)
    ]
    text = "reservations:\n" + "\n".join(lines)
    assert len(text) < yaml_file.MOST_OCTETS
    if yaml_file._LOADER is not yaml.SafeLoader:  # which takes half a minute for it
        assert len(parse(text, "f").data["reservations"]) == 60_000


def test_the_line_of_a_key():
    document = parse(
        "a: &a\n  b: 1\n  c:\n    - x\n    - y:\n        z: 1\nd: *a\n? e\n:\n  {f: 1,\n   g: 2}\n", "f"
    )
    for keys, line in [
        ([], 1), (["a"], 1), (["a", "b"], 2), (["a", "c", 0], 4), (["a", "c", 1, "y", "z"], 6),
        (["a", "nothing"], 1), (["d", "b"], 7), (["e", "g"], 11), (["nowhere"], 1), (["a", "c", 7], 3),
    ]:  # fmt: skip
        assert document.line(keys) == line, keys
