"""What is written as YAML: OmegaConf's own words, since it and Hydra read them again, and nothing lost."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from aetrain.config.tree import as_yaml

ODD = ["no", "1e-3", "1_000", "nan", ".inf", "0x1f", "x: y", "- a", "", " ", "null", "~", "ü €", "a\nb", "#", "'", "y",
       "\x85", "1:30", "=", "<<", "x" * 200]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(ODD)
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
                    max_leaves=8))  # fmt: skip
def test_it_is_written_as_omegaconf_writes_it(value):
    assume("${" not in str(value))  # to OmegaConf an interpolation
    ours, theirs = as_yaml({"key": value}).decode(), OmegaConf.to_yaml(OmegaConf.create({"key": value}))
    if theirs.isascii():  # of others libyaml escapes more: PyYAML writes U+0085, a line break, as it is
        assert ours == theirs
    assert_read_back(value, ours)


def test_a_byte_that_is_no_utf_8():
    for value in ("/photos\udcff", ["1e3", "a\udcff: é"]):
        assert_read_back(value, as_yaml({"key": value}).decode())


def assert_read_back(value, ours):
    read = OmegaConf.to_container(OmegaConf.create(ours))
    assert read == {"key": value} and repr(read) == repr({"key": value})
