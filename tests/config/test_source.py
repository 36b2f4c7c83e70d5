"""The YAML that recipes are written in."""

import pytest

from tfft.config.loading.source import read_yaml
from tfft.errors import RecipeError


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        (".5", 0.5),
        ("-3", -3),
        ("0x1f", 31),
        ("0o17", 15),
        ("017", 17),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2020-01-01", "2020-01-01"),
        ("'1e-4'", "1e-4"),
        ('"true"', "true"),
    ],
)
def test_words_mean_what_yaml_1_2_says(word, value):
    read = read_yaml(f"key: {word}", "a.yaml").values["key"]
    assert (read, type(read)) == (value, type(value))


def test_every_value_has_its_line():
    text = "a: 1\nb:\n  - x: 2\n    y: {z: 3}\n  -\n    5\n"
    document = read_yaml(text, "a.yaml")
    assert document.values == {"a": 1, "b": [{"x": 2, "y": {"z": 3}}, 5]}
    assert document.place(("a",)) == "a.yaml:1"
    assert document.place(("b",)) == "a.yaml:2"
    assert document.place(("b", 0, "x")) == "a.yaml:3"
    assert document.place(("b", 0, "y", "z")) == "a.yaml:4"
    assert document.place(("b", 1)) == "a.yaml:6"
    assert document.place(("b", 0, "y", "not there")) == "a.yaml:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "a.yaml:2: the key 'a' stands here twice"),
        ("a: {b: 1, b: 2}\n", "a.yaml:1: the key 'b' stands here twice"),
        ("a: !foo 1\n", "a.yaml:1: tags are not allowed. Received: !foo"),
        ("a: !!str 1\n", "a.yaml:1: tags are not allowed. Received: tag:yaml.org,2002:str"),
        (
            "a:\n  !!python/object/apply:os.system [ls]\n",
            "a.yaml:2: tags are not allowed. Received: "
            "tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("? [1]\n: 2\n", "a.yaml:1: a key must be a word"),
        ("a: &here [*here]\n", "a.yaml:1: refers to itself"),
        ("[" * 100, "a.yaml:1: nested deeper than 30; this is no recipe"),
        ("a: " + "b" * 2**20, "a.yaml: larger than 1,048,576 bytes; this is no recipe"),
        (
            "a: &a [" + "1, " * 200 + "]\nb: &b [" + "*a, " * 200 + "]\n",
            "a.yaml:1: more than 20,000 values; this is no recipe",
        ),
        (
            "a:\n\tb: 1\n",
            "a.yaml:2: not YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token; indent by spaces, not by tabs",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "a.yaml:2: not YAML: expected a single document in the stream, "
            "but found another document",
        ),
        ("a: \x00\n", "a.yaml:1: not YAML: the character U+0000, which YAML does not allow"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text, message):
    with pytest.raises(RecipeError) as caught:
        read_yaml(text, "a.yaml")
    assert str(caught.value) == message


def test_a_number_of_thousands_of_digits_is_no_crash():
    assert read_yaml("a: " + "9" * 5000, "a.yaml").values == {"a": float("inf")}


def test_an_empty_document_is_an_empty_section():
    assert read_yaml("# nothing\n", "a.yaml").values == {}
