"""DNA codes are those that a loop over the letters would find."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError, UnknownKeyError
from arraystore.reader.dna import DnaForm

ALPHABETS = ["ACGTN", "ACGT", "nacgt", "-ACGTRYN", "T"]


def codes_by_letters(text, length, alphabet):
    """The rule, one letter at a time."""
    known = alphabet.upper()
    codes = []
    for byte in (text or b"")[:length]:
        letter = chr(byte).upper() if byte < 128 else "?"
        codes.append(known.index(letter) if letter in known else known.index("N") if "N" in known else 255)
    return codes + [len(alphabet)] * (length - len(codes))


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_each_byte_has_the_code_of_the_rule(alphabet):
    expected = [code for byte in range(256) for code in codes_by_letters(bytes([byte]), 1, alphabet)]
    assert list(DnaForm(1, alphabet).codes()) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_codes_are_those_of_the_texts(store, data):
    rows = data.draw(st.lists(st.integers(-len(store), len(store) - 1)))
    length = data.draw(st.sampled_from([1, 30, 660, 700]))
    alphabet = data.draw(st.sampled_from(ALPHABETS))
    source = store.select(data.draw(st.permutations(range(len(store))))) if data.draw(st.booleans()) else store
    texts = [None if text is None else text.encode() for text in source.text(rows)]
    codes = source.dna(rows, length=length, alphabet=alphabet)
    assert codes.dtype == np.uint8
    assert codes.shape == (len(rows), length)
    assert codes.tolist() == [codes_by_letters(text, length, alphabet) for text in texts]


def test_a_missing_text_is_all_padding(store):
    missing = [row for row, text in enumerate(store.text(slice(None))) if text is None]
    assert len(missing) == 3
    assert (store.dna(missing) == 5).all()
    assert (store.dna(missing, alphabet="ACGT") == 4).all()


def test_out_is_filled_and_returned(store):
    ring = np.full((2, 5, 100), 9, np.uint8)
    out = ring[:, :, ::2][1]
    assert store.dna(slice(5), length=50, out=out) is out
    np.testing.assert_array_equal(out, store.dna(slice(5), length=50, field="dna_barcode"))
    assert (ring[0] == 9).all()
    assert (ring[1, :, 1::2] == 9).all()
    assert store.dna([], length=50).shape == (0, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length=0: expected an integer from 1"),
        ({"length": 6.5}, "length=6.5"),
        ({"alphabet": ""}, "alphabet='': expected ASCII letters"),
        ({"alphabet": "ACGTa"}, "each once"),
        ({"alphabet": "ACGß"}, "ASCII"),
        ({"alphabet": ["A", "C"]}, "alphabet=.*expected ASCII letters"),
        ({"field": "dna"}, "text field 'dna': the store has dna_barcode"),
        ({"out": [[0]]}, "out: expected an array to fill, found list"),
        ({"out": np.zeros((3, 660), np.uint8)}, r"expected uint8 of shape \(2, 660\), found uint8 of shape \(3, 660\)"),
        ({"out": np.zeros((2, 660), np.int64)}, "found int64"),
        ({"out": np.broadcast_to(np.zeros(660, np.uint8), (2, 660))}, "expected a writable array"),
    ],
)
def test_a_wrong_argument_is_named(store, arguments, message):
    with pytest.raises(InvalidRequestError, match=message):
        store.dna([0, 1], **arguments)


def test_one_record_is_put_in_a_list(store):
    with pytest.raises(InvalidRequestError, match="put it in a list"):
        store.dna(5)
    with pytest.raises(UnknownKeyError):
        store.dna(["nobody"])
