"""Progress is shown where somebody looks, and in a form that suits the place."""

import io

import pytest

from arraystore.ingestion.progress import BarProgress, LineProgress, NoProgress, format_nbytes, make_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_shows_label_count_and_rate():
    stream = Terminal()
    with BarProgress(stream).phase("images", total=2_000) as advance:
        advance(500, 3_000_000)
        advance(2_000, 14_000_000)
    shown = stream.getvalue()
    assert "images" in shown
    assert "2.00k/2.00k" in shown
    assert "images/s" in shown


def test_bar_of_what_is_quick_is_not_shown():
    stream = Terminal()
    with BarProgress(stream, delay_s=60).phase("images", total=2_000) as advance:
        advance(2_000, 14_000_000)
    assert stream.getvalue() == ""


def test_lines_are_few_and_the_last_one_is_complete():
    stream = io.StringIO()
    with LineProgress(stream, interval_s=100).phase("images", total=3_000) as advance:
        for done in range(0, 3_001, 10):
            advance(done, done * 7_000)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("images: 3,000 of 3,000 images, 21.0 MB")


def test_lines_tell_the_remaining_time():
    stream = io.StringIO()
    with LineProgress(stream, interval_s=0).phase("images", total=100) as advance:
        advance(50, 0)
        advance(100, 0)
    assert stream.getvalue().splitlines()[0].endswith("s left")


def test_phase_without_records_shows_no_line():
    stream = io.StringIO()
    with LineProgress(stream).phase("metadata"):
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("stream", "progress", "kind"),
    [
        (Terminal(), None, BarProgress),
        (Terminal(), True, BarProgress),
        (Terminal(), False, NoProgress),
        (io.StringIO(), None, NoProgress),
        (io.StringIO(), True, LineProgress),
        (io.StringIO(), False, NoProgress),
    ],
)
def test_form_follows_place_and_wish(monkeypatch, stream, progress, kind):
    monkeypatch.setattr("sys.stderr", stream)
    assert isinstance(make_progress(progress), kind)


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (2.5e12, "2.5 TB"), (3e15, "3000.0 TB")]
)
def test_bytes_for_people(nbytes, text):
    assert format_nbytes(nbytes) == text
