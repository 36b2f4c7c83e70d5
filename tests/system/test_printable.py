"""Names and messages on a terminal."""

import os

from tfft.system.printable import printable, printable_name, unicode


def test_a_message_keeps_its_lines_and_loses_what_a_terminal_obeys():
    assert printable("a\n\tb\x1b[2J\x07\r\x9bc") == "a\n\tb\\x1b[2J\\x07\\x0d\\x9bc"
    assert printable("right to left \u202e") == "right to left \\u202e"
    assert printable("Löwenzahn 蒲公英 🐶 👩‍🚀") == "Löwenzahn 蒲公英 🐶 👩‍🚀"


def test_a_name_is_one_line():
    assert printable_name("a\nb\tc\u2028.jpg") == "a\\x0ab\\x09c\\u2028.jpg"


def test_a_name_that_is_not_utf_8_shows_its_bytes():
    name = os.fsdecode(b"caf\xe9.jpg")
    assert printable_name(name) == unicode(name) == "caf\\xe9.jpg"
    assert unicode("a\nb") == "a\nb"
