"""The report: one file without requests, readable and playable in a real browser; its numbers."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from chromium import BROWSER, Chromium

from lt.audio.io import write_audio
from lt.evaluation.report import Media, Report, SoundExample, data_uri, write_report
from lt.evaluation.results import (
    Results,
    Score,
    Table,
    headline,
    leaves,
    tables,
    text,
    write_results,
)
from lt.plotting import new_figure, save_figure

needs_chromium = pytest.mark.skipif(
    BROWSER is None, reason="chromium is not installed (apt-get install chromium)"
)
N_EXAMPLES, N_SOUNDS = 2, 3


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with two examples, in a folder of its own."""
    folder = tmp_path_factory.mktemp("report")
    figure = new_figure(12, 3)
    figure.subplots().plot([0, 1])
    save_figure(figure, folder / "p.png")
    times = np.arange(22050) / 22050
    examples = []
    for example in range(N_EXAMPLES):
        sounds = []
        for sound in range(N_SOUNDS):
            path = folder / f"{example}_{sound}.wav"
            write_audio(path, 0.3 * np.sin(2 * np.pi * 220 * (1 + sound) * times))
            sounds.append(Media(path, f"sound {sound} <&>"))
        examples.append(
            SoundExample(
                f"Flute A{example} mf", "Read: A4", sounds, Media(folder / "p.png", "spectra")
            )
        )
    numbers = tuple(f"{value:.4f}" for value in range(9))
    wide = Table(
        "symbols",
        ("", *(f"column {index}" for index in range(9))),
        (("pitch: accuracy <b>", *numbers),),
    )
    folded = Table("confusion of pitch", ("", "C"), (("C", "3"),), folded=True)
    write_report(
        folder / "report.html",
        Report(
            "my model & others",
            "what was evaluated",
            [wide, folded],
            [Media(folder / "p.png", 'a "picture"')],
            examples,
            {"accuracy": "fraction of frames"},
        ),
    )
    for path in folder.iterdir():  # it needs none of them any more
        if path.suffix != ".html":
            path.unlink()
    return folder / "report.html"


class Elements(HTMLParser):
    """Every element with its attributes, and whether they close."""

    EMPTY = {"meta", "link", "img", "br"}

    def __init__(self, content):
        super().__init__()
        self.found, self.open = [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_self_contained(page):
    elements = Elements(page.read_text("utf-8"))
    assert elements.open == []
    addresses = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "poster")
    ]
    assert all(address.startswith(("data:", "#")) for address in addresses) and len(addresses) > 8
    assert not [tag for tag, _ in elements.found if tag in ("script", "iframe", "object", "form")]
    for tag, attributes in elements.found:
        if tag == "img":
            assert attributes["alt"]
        if tag == "audio":
            assert "controls" in attributes and attributes["aria-labelledby"]


def test_text_is_escaped(page):
    content = page.read_text("utf-8")
    assert (
        "accuracy &lt;b&gt;" in content
        and "sound 0 &lt;&amp;&gt;" in content
        and "my model &amp; others" in content
    )


def test_data_uris_hold_the_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x00\xff")
    assert data_uri(tmp_path / "a.png") == "data:image/png;base64,AP8="


# --- in a browser ---------------------------------------------------------------------------------

PLAY = """Promise.all([...document.querySelectorAll('audio')].map(async audio => {
  audio.muted = true;
  await audio.play();
  await new Promise(done => audio.addEventListener('timeupdate', done, {once: true}));
  audio.pause();
  return [audio.error === null, audio.duration, audio.currentTime];
}))"""


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        chromium.open(page.as_uri())
        yield chromium


@needs_chromium
def test_every_sound_decodes_and_plays(browser):
    played = browser.evaluate(PLAY)
    assert len(played) == N_EXAMPLES * N_SOUNDS
    assert all(fine and duration == pytest.approx(1, abs=0.01) for fine, duration, _ in played)


@needs_chromium
def test_pictures_are_shown(browser):
    widths = browser.evaluate("""(async () => { const images = [...document.images];
        images.forEach(image => image.loading = 'eager');
        await Promise.all(images.map(image => image.decode()));
        return images.map(image => image.naturalWidth) })()""")
    assert len(widths) == N_EXAMPLES + 1 and min(widths) > 100


@needs_chromium
def test_it_fits_a_phone(browser):
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=2,
        mobile=True,
    )
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        wide = (
            "[...document.querySelectorAll('.scroll')].some(table => table.scrollWidth > "
            "table.clientWidth)"
        )
        assert browser.evaluate(wide)  # the table scrolls within itself
        assert browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    finally:
        browser.send("Emulation.clearDeviceMetricsOverride")


def brightness(browser, what):
    colour = browser.evaluate(f"getComputedStyle(document.body).{what}")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765


@needs_chromium
def test_it_is_light_and_dark(browser):
    for scheme, sign in (("light", 1), ("dark", -1)):
        browser.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        assert sign * (brightness(browser, "backgroundColor") - brightness(browser, "color")) > 0.7


@needs_chromium
def test_everything_usable_is_reached_by_keyboard(browser):
    browser.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(80):
        browser.press_tab()
        reached.add(
            browser.evaluate(
                "(e => e.tagName + ':' + (e.getAttribute('aria-labelledby') || e.textContent))"
                "(document.activeElement)"
            )
        )
    kinds = [name.split(":")[0] for name in reached]
    assert kinds.count("AUDIO") == N_EXAMPLES * N_SOUNDS
    assert (
        kinds.count("A") == 3 and kinds.count("SUMMARY") == 2 and "DIV" in kinds
    )  # links, folds, scrolling tables


@needs_chromium
def test_nothing_is_logged_and_no_request_is_made(page, browser):
    assert browser.of("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    requests = {request["request"]["url"] for request in browser.of("Network.requestWillBeSent")}
    assert {url for url in requests if not url.startswith("data:")} <= {page.as_uri()}


# --- the numbers behind it ------------------------------------------------------------------------


def test_numbers_are_rounded_alike_in_every_form(tmp_path):
    values = {"x": np.float64(0.123456), "n": 3, "y": float("nan"), "z": -1e-9}
    scores = [Score(name, value, scope="latent") for name, value in values.items()]
    results = Results(
        {"model": "m", "seed": 0}, [*scores, Score("f1", 0.5, modality="notes", sd=1e-5)]
    )
    write_results(tmp_path, results)
    tree = json.loads((tmp_path / "results.json").read_text())
    assert tree["latent"] == {"x": 0.1235, "n": 3, "y": None, "z": 0.0}
    assert str(tree["latent"]["z"]) == "0.0"
    assert tree["overall"] == {"notes": {"f1": 0.5, "f1_sd": 0.0}} and tree["baselines"] == {}
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert rows[0] == "scope,name,modality,way,label,measure,value"
    assert rows[1:3] == ["run,,,,,model,m", "run,,,,,seed,0"]
    assert "latent,,,,,x,0.1235" in rows and "latent,,,,,y," in rows
    assert "overall,,notes,,,f1,0.5000" in rows
    assert [row[1] for table in tables(results) for row in table.rows] == [
        "0.5000 ± 0.0000",
        *("0.1235", "3", "-", "0.0000"),
    ]


def test_leaves_name_every_value():
    scores = {"accuracy": 0.5, "confusion": [[1, 2], [3, 4]]}
    found = dict(leaves({"overall": {"symbol": {"transfer": {"pitch": scores}}}}))
    assert found["overall", "symbol", "transfer", "pitch", "accuracy"] == 0.5
    assert found["overall", "symbol", "transfer", "pitch", "confusion_1_0"] == 3 and len(found) == 5


def test_remarks_are_with_their_file():
    results = Results({"model": "m"}, [Score("f1", 1.0, modality="notes")], {"tune": "odd"})
    assert results.to_dict()["files"] == {"tune": {"remarks": "odd"}}
    assert tables(results)[-1].rows == (("tune: odd",),)


def test_transcriptions_have_their_table():
    def scores(values, **fields):
        return [Score(name, value, modality="notes", **fields) for name, value in values.items()]

    notes = {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "frame_note": 0.9}
    of_classifier = scores({"f1": 0.1}, scope="baselines", name="classifier")
    of_file = scores(notes, scope="files", name="tune")
    results = Results({"model": "m"}, [*scores(notes), *of_file, *of_classifier])
    (table,) = tables(results)
    assert table.columns == ("", "precision", "recall", "F1", "frames: note")
    assert table.rows == (
        ("overall", "0.5000", "1.0000", "0.6667", "0.9000"),
        ("classifier", "-", "-", "0.1000", "-"),
        ("tune", "0.5000", "1.0000", "0.6667", "0.9000"),
    )
    assert headline(results) == "m" and text(results).startswith("m\n\nnotes\n")
