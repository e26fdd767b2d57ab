"""The report: one file without requests, readable and playable in a real browser; its numbers."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from chromium import BROWSER, Chromium

from lt.audio.io import to_mp3, write_audio
from lt.evaluation.latent_map import LatentMap, project
from lt.evaluation.page import Media, SoundExample
from lt.evaluation.report import Report, write_report
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
NOTES = [(octave, pitch) for octave in ("4", "5") for pitch in "CDE"]


def map_of_tones():
    """A map of six notes on a grid: octaves are rows, pitches columns."""
    points = np.array([(column, -row) for row in range(2) for column in range(3)], float)
    tones = [
        np.sin(2 * np.pi * 220 * (1 + note) * np.arange(22050) / 22050)
        for note in range(len(NOTES))
    ]
    octaves, pitches = zip(*NOTES)
    return LatentMap(
        "Notes of <Flute>",
        [f"{pitch}{octave} <mf>" for octave, pitch in NOTES],
        [to_mp3(0.3 * tone) for tone in tones],
        {"pitch": pitches, "octave": octaves},
        dict(reversed(project(points).items())),
    )


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
            map_of_tones(),
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
    assert not [tag for tag, _ in elements.found if tag in ("iframe", "object", "form")]
    scripts = [attributes for tag, attributes in elements.found if tag == "script"]
    assert scripts == [{"type": "application/json"}, {}]
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
    assert Media(tmp_path / "a.png", "").uri == "data:image/png;base64,AP8="


def test_a_page_without_a_map_has_no_script(tmp_path):
    write_report(tmp_path / "report.html", Report("m", "", [], [], [], {}))
    assert "script" not in (tmp_path / "report.html").read_text("utf-8")


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


def mouse(browser, kind, x, y):
    browser.send(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
    )


def place_of(browser, note):
    """Where a note of the map is on the screen."""
    return browser.evaluate(
        f"""(() => {{ const circle = document.querySelectorAll('.map circle')[{note}];
        circle.scrollIntoView({{block: 'center'}});
        const box = circle.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2] }})()"""
    )


def heard(browser, note):
    """Wait until a note of the map sounds."""
    return browser.evaluate(
        f"""(async () => {{ const map = document.querySelector('.map');
        for (let n = 0; n < 400 && map.dataset.playing !== '{note}'; n++)
          await new Promise((done) => setTimeout(done, 25));
        return map.dataset.playing === '{note}' }})()"""
    )


STATUS = "document.querySelector('.map-status').textContent"


@needs_chromium
def test_a_note_of_the_map_is_heard_by_a_click_and_by_keys(browser):
    for kind in ("mousePressed", "mouseReleased"):
        mouse(browser, kind, *place_of(browser, 1))
    assert heard(browser, 1) and browser.evaluate(STATUS) == "D4 <mf>"
    for key, note in (("ArrowRight", 2), ("ArrowDown", 5), ("ArrowLeft", 4), ("ArrowDown", 4)):
        browser.send("Input.dispatchKeyEvent", type="rawKeyDown", key=key)
        assert heard(browser, note), key


@needs_chromium
def test_a_path_is_drawn_heard_and_played_again(browser):
    (left, top), (right, _) = place_of(browser, 0), place_of(browser, 2)
    left, top = place_of(browser, 0)
    mouse(browser, "mousePressed", left, top)
    for step in range(1, 9):
        mouse(browser, "mouseMoved", left + step * (right - left) / 8, top)
    mouse(browser, "mouseReleased", right, top)
    assert heard(browser, 2)
    assert browser.evaluate("document.querySelectorAll('.map line').length") == 8
    mouse(browser, "mouseMoved", left, top)  # without the button, it draws and plays nothing
    assert browser.evaluate("document.querySelectorAll('.map line').length") == 8
    browser.evaluate("document.querySelector('.map-replay').click()")
    assert heard(browser, 0) and heard(browser, 2)


@needs_chromium
def test_colours_and_projections_are_chosen(browser):
    def choose(what, value):
        browser.evaluate(
            f"""(() => {{ const menu = document.querySelector('.map-{what}');
            menu.value = '{value}'; menu.dispatchEvent(new Event('change')) }})()"""
        )
        return browser.evaluate(
            "[...document.querySelectorAll('.map circle')].map((circle) => "
            "circle.getAttribute('fill'))"
        )

    by_octave = choose("colour", "octave")
    assert by_octave == [by_octave[0]] * 3 + [by_octave[3]] * 3 and len(set(by_octave)) == 2
    legend = "[...document.querySelectorAll('.map-legend li')].map((item) => item.textContent)"
    assert browser.evaluate(legend) == ["4", "5"]
    by_pitch = choose("colour", "pitch")
    assert by_pitch[:3] == by_pitch[3:] and len(set(by_pitch)) == 3
    for projection, word in (("t-SNE", "neighbours"), ("principal axes", "variance")):
        choose("projection", projection)
        assert word in browser.evaluate("document.querySelector('.map-about').textContent")


@needs_chromium
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_screen(browser, width):
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=740,
        deviceScaleFactor=2,
        mobile=width < 500,
    )
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        wide = (
            "[...document.querySelectorAll('.scroll')].some(table => table.scrollWidth > "
            "table.clientWidth)"
        )
        assert browser.evaluate(wide) or width > 500  # the table scrolls within itself
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
        kinds.count("A") == 4 and kinds.count("SUMMARY") == 2 and "DIV" in kinds
    )  # links, folds, scrolling tables
    assert kinds.count("SELECT") == 2 and "svg" in kinds and "BUTTON" in kinds  # the map


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
